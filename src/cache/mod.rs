//! What is held: stored answers, and whether each may still be served.
//!
//! Third room of the walk: given a [`Key`], says [`Lookup`]. Given an answer of Graph, stores
//! it, or says why not.
//!
//! Owns the key, the freshness sum (RFC 9111 §4.2) and the bound on memory, counted in bytes
//! of body plus a fixed overhead per entry. An entry belongs to one partition; only the bytes
//! behind it are shared.
//!
//! Never touches the network, the system clock (`now` is an argument) or a token.
//!
//! Read [`key`], then [`stored`], [`freshness`], [`demand`], [`admission`], [`doubt`],
//! [`keep`], and [`store`].

pub mod admission;
pub mod alias;
pub mod config;
pub mod demand;
pub mod doubt;
pub mod etag;
mod fields;
pub mod freshness;
pub mod keep;
pub mod key;
mod near;
pub mod purge;
mod refusal;
mod slots;
pub mod store;
pub mod stored;

#[cfg(test)]
mod tests;

pub use admission::NotStored;
pub use config::{CallerDirectives, Config, UpstreamDirectives};
pub use demand::Demand;
pub use doubt::Born;
pub use fields::StoredFields;
pub use key::{Authority, CurrentKey, Key};
pub use purge::Purged;
pub use slots::Removals;
pub use store::{Cache, Lookup, Place};
pub use stored::{Held, HeldBytes, Kind, StoredBody, StoredResponse};
