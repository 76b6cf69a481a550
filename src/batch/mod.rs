//! `$batch`: several requests in one, taken apart and put together. Pure.
//!
//! Beside the walk: the narrator hands in a body, gets its parts with what each one is, asks
//! the rooms about them as about direct requests, and has what is left written again.
//!
//! The reading is strict and alone in deciding what may be answered from memory: JSON objects
//! with the documented members only, no member twice, ids that nobody could confuse. Whatever
//! is odd makes the *whole* batch pass as it came (Graph: "Combine multiple HTTP requests in
//! one batch call"). Looking for writes is lenient on purpose, as in `route`.
//!
//! Texts that came from a caller or from Graph are handed on to the letter, never re-written.
//!
//! Read [`request`], then [`answer`], then [`held`]; [`lenient`] is for what `request` refuses.

pub mod answer;
mod fields;
pub mod held;
pub mod lenient;
pub mod request;

#[cfg(test)]
mod tests;

pub use answer::{Answers, PartAnswer, Response};
pub use request::{Batch, Odd, Part, Wish};

/// The most requests Graph takes in one batch.
pub const MOST_PARTS: usize = 20;
