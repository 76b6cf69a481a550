//! What the product promises, tried through its sockets. One file per promise.

mod collapsing;
mod drop_in;
mod fewer_calls;
mod hardening;
mod operator;
mod protocols;
mod settings;
mod support;
mod throttling;
