//! The narrator.
