//! Asking Graph, once.
//!
//! Fourth room of the walk, and the only user of HTTP towards Graph. A token never goes
//! anywhere but to the one configured authority; redirects are answers, never followed.
//!
//! Read [`forward`] for pass-through, [`pool`] for the connections.

pub mod forward;
pub mod pool;

pub use pool::{Config, Error, Upstream};
