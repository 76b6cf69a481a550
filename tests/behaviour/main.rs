//! What the product promises, tried through its sockets. One file per promise.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::struct_excessive_bools,
    reason = "the whole crate is a test: what cannot be set up, or is not where it must be, has failed"
)]

mod aliases;
mod batch;
mod bounded;
mod certificate_expiry;
mod client_certificates;
mod collapsing;
mod drop_in;
mod faults;
mod fewer_calls;
mod first_word;
mod hardening;
mod health;
mod held_faces;
mod http2_frames;
mod in_flight;
mod incidents;
mod isolation;
mod kept_connections;
mod lanes;
mod leaving;
mod links;
mod logs;
mod meanwhile;
mod model;
mod names;
mod one_wire;
mod operator;
mod page_of_faces;
mod preflight;
mod proofs;
mod protocols;
mod ranges;
mod refreshing;
mod reload;
mod remembered;
mod routes;
mod semantics;
mod settings;
mod sharing;
mod shutdown;
mod snippets;
mod streaming;
mod support;
mod throttling;
mod tls_dev;
mod truth;
mod under_load;
mod verifying;
mod visible;
mod writes;
