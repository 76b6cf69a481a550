//! Who asks, what Graph has said about them, and who may share an answer.

mod config;

pub use config::{Config, ExtraPermissions, Sharing};
