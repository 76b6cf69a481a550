//! The log: one line an event, on standard error, as text or JSON.
//!
//! Other crates are heard from `warn` up, whatever the directive says: at finer levels they
//! print header fields and request targets, which hold tokens and people's names.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt};

use super::{Config, LogFormat};

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directive is not one.
    #[error("the log directive cannot be read")]
    Directive(#[source] tracing_subscriber::filter::ParseError),
    /// Something else in this process logs already.
    #[error("logging has begun already")]
    Twice(#[source] SetGlobalDefaultError),
}

/// Begins logging for the whole process.
///
/// # Errors
/// When the directive cannot be read, or logging has begun already.
pub fn start(config: &Config) -> Result<(), Error> {
    start_into(config, io::stderr)
}

/// The same, with lines that go elsewhere.
///
/// # Errors
/// As [`start`].
pub fn start_into<W>(config: &Config, lines: W) -> Result<(), Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let directive = directive(&config.log).map_err(Error::Directive)?;
    let ours = filter_fn(|event| {
        event.target().starts_with("graph_photo_proxy") || *event.level() <= LevelFilter::WARN
    });
    let heard = directive.and(ours);
    let lines = fmt::layer().with_writer(lines).with_ansi(false);
    let registry = Registry::default();
    match config.log_format {
        LogFormat::Text => {
            let lines = lines.with_filter(heard);
            tracing::subscriber::set_global_default(registry.with(lines))
        }
        LogFormat::Json => {
            let lines = lines.json().with_filter(heard);
            tracing::subscriber::set_global_default(registry.with(lines))
        }
    }
    .map_err(Error::Twice)
}

/// Reads a filter directive, such as `info` or `graph_photo_proxy::upstream=debug`.
///
/// # Errors
/// When it is not one.
pub fn directive(text: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder().parse(text)
}
