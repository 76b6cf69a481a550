//! Asking Graph, once.
//!
//! Fourth room of the walk, and the only user of HTTP towards Graph. A token never goes
//! anywhere but to the one configured authority; redirects are answers, never followed.
//!
//! Read [`forward`] for pass-through and [`ask`] for photos, then [`mod@collect`] for how a body
//! becomes stored bytes, [`pool`] for the connections and [`connect`] for how one is made.

mod arrival;
pub mod ask;
pub mod collect;
mod connect;
pub mod error;
mod expect;
mod fields;
pub mod flight;
pub mod forward;
pub mod gate;
pub mod habits;
pub mod pool;

#[cfg(test)]
mod tests;

pub use ask::{Ask, Trace};
pub use collect::{Collected, collect, rejoin};
pub use error::{Error, SetupError};
pub use flight::{Attended, Flights, Landing, Lead, Seat};
pub use forward::inbound;
pub use gate::{Bearer, Budget, Gate, Limits, Pass, Refusal, retry_after};
pub use habits::{Habits, Trial, Way};
pub use pool::{Config, Upstream};
