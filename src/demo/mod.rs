//! The simulated Microsoft Graph, and the page of faces.
//!
//! [`Graph`] is what `graph-photo-proxy demo` puts behind the proxy and what the tests use as
//! Graph. It follows the page "Get profilePhoto" and what is known of the live service; where
//! the live service is unknown, [`Settings`] has a switch for each way. It records what it saw
//! ([`Graph::seen`]), and goes wrong on command ([`Fault`], [`Hold`]).
//!
//! It shares nothing with the proxy but the clock: an error in the proxy's reading of a URL or
//! a header cannot hide behind the same error here.
//!
//! Read `service` first, then `photos`.
//!
//! [`Graph`]: crate::demo::Graph
//! [`Graph::seen`]: crate::demo::Graph::seen
//! [`Settings`]: crate::demo::Settings
//! [`Fault`]: crate::demo::Fault
//! [`Hold`]: crate::demo::Hold

mod answer;
mod batch;
mod dice;
mod directory;
mod errors;
mod faults;
mod graph;
mod gzip;
mod head;
mod metadata;
mod owners;
mod page;
mod permissions;
mod photos;
mod pictures;
mod record;
mod service;
mod settings;
mod target;
mod tenant;
mod throttle;
mod tokens;
mod wire;

#[cfg(test)]
mod tests;

/// Faces as JPEGs, and the mark each carries.
pub mod faces;

pub use faces::{Mark, mark};
pub use faults::{Fault, Hold};
pub use graph::Graph;
pub use page::Page;
pub use record::Seen;
pub use settings::{Absent, Challenge, Conditional, Framing, Generation, RetryAfter, Settings};
pub use tenant::{Account, Contact, Group, Person, Tenant};
pub use tokens::TokenSpec;
