//! What is held, and whether it may still be served.

mod config;

pub use config::{CallerDirectives, Config, UpstreamDirectives};
