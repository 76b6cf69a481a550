//! What the operator says about what is held, and for how long.

use std::time::Duration;

/// The cache's part of the settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long a photo, its metadata or a list is fresh.
    pub photo_ttl: Duration,
    /// How long "no photo" is fresh.
    pub absent_ttl: Duration,
    /// How long after that it may be shown while it is being revalidated.
    pub stale_while_revalidate: Duration,
    /// How long after that it may be shown while Graph cannot be asked.
    pub stale_if_error: Duration,
    /// The bound on what is held, in bytes.
    pub memory: u64,
    /// The largest photo that is stored, in bytes.
    pub max_photo: usize,
    /// Whether callers' `Cache-Control` is obeyed.
    pub caller_directives: CallerDirectives,
    /// What rules freshness on photos.
    pub upstream_directives: UpstreamDirectives,
}

/// Whether callers' `Cache-Control` and `Pragma` are obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerDirectives {
    /// They are not: the stock .NET Graph SDK sends `no-store, no-cache` with every request.
    Ignore,
    /// They are, as RFC 9111 §5.2.1 says.
    Honour,
}

/// What rules freshness on photos. `no-store` and `Vary` are obeyed either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamDirectives {
    /// The operator's lifetimes.
    Operator,
    /// What the answer says, wherever it says something.
    Honour,
}
