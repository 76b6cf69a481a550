//! What the operator sees.

mod config;

pub mod telemetry;

pub use config::{Config, LogFormat, Secret};
