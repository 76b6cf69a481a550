//! Pass-through: what is not a photo read reaches Graph, and comes back, byte for byte.
