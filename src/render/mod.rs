//! The reply: what a caller is sent for each outcome.
//!
//! Fifth room of the walk. Pure: given an [`Outcome`], the caller's header fields and `now`,
//! makes the response. The same enums feed the `Cache-Status` field, the metrics and the log.
//!
//! Read [`outcome`], then [`reply`]; [`preconditions`] for 304, [`ranges`] for 206 and 416,
//! [`shared`] for what a shared cache is told, [`problem`] for our own errors, [`wire`] for the bytes
//! of a reply where hyper does not write them.

pub mod batch;
pub mod body;
pub mod coding;
pub mod outcome;
pub mod preconditions;
pub mod problem;
pub mod ranges;
pub mod reply;
pub mod shared;
mod text;
pub mod wire;

pub use batch::BatchStatus;
pub use body::Body;
pub use outcome::{Answer, CacheStatus, Detail, Forward, Outcome};
pub use problem::Problem;
pub use reply::{Asked, RequestIds};
pub use wire::{Shape, Wire};
