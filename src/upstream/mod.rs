//! Asking Graph, once.
//!
//! Fourth room of the walk, and the only user of HTTP towards Graph. A token never goes
//! anywhere but to the one configured authority; redirects are answers, never followed.
//!
//! Read [`forward`] for pass-through and [`ask`] for photos, then [`collect`] for how a body
//! becomes stored bytes, [`pool`] for the connections and [`connect`] for how one is made.

pub mod ask;
pub mod collect;
mod connect;
pub mod error;
mod expect;
mod fields;
pub mod forward;
pub mod pool;

#[cfg(test)]
mod tests;

pub use ask::{Ask, Trace};
pub use collect::{Collected, collect};
pub use error::{Error, SetupError};
pub use pool::{Config, Upstream};
