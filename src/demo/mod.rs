//! Simulated Graph.
