//! Settings of this room.

use std::time::Duration;

/// What a caller's `Cache-Control` and `Pragma` do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallerDirectives {
    /// Nothing: the stock .NET Graph SDK sends `no-store, no-cache` with every request.
    #[default]
    Ignore,
    /// What RFC 9111 §5.2.1 says.
    Honour,
}

/// What rules freshness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpstreamDirectives {
    /// The operator's lifetimes. `no-store` and `Vary` are obeyed all the same.
    #[default]
    Operator,
    /// What the answer says, wherever it says something.
    Honour,
}

/// Settings of this room.
#[derive(Debug, Clone)]
pub struct Config {
    /// Freshness lifetime of pictures, metadata and lists.
    pub photo_ttl: Duration,
    /// Freshness lifetime of "no photo".
    pub absent_ttl: Duration,
    /// How long past its lifetime an answer may be shown while it is revalidated.
    pub stale_while_revalidate: Duration,
    /// How long past its lifetime an answer may be shown when Graph cannot be had.
    pub stale_if_error: Duration,
    /// Bound on what is held, in bytes, overhead included.
    pub memory: u64,
    /// The largest picture that is stored, in bytes; a larger one streams through.
    pub max_photo: usize,
    /// What a caller's directives do.
    pub caller_directives: CallerDirectives,
    /// What rules freshness.
    pub upstream_directives: UpstreamDirectives,
}
