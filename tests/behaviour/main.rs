//! What the product promises, tried through its sockets. One file per promise.

mod batch;
mod bounded;
mod collapsing;
mod drop_in;
mod faults;
mod fewer_calls;
mod hardening;
mod http2_frames;
mod isolation;
mod logs;
mod operator;
mod proofs;
mod protocols;
mod ranges;
mod reload;
mod routes;
mod semantics;
mod settings;
mod shutdown;
mod streaming;
mod support;
mod throttling;
mod truth;
mod visible;
