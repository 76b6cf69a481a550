//! The connections to Graph: one pooled HTTP/1.1 and HTTP/2 client, one authority.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

/// Where Graph is, and how long we wait for it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Scheme and authority of Graph; plain `http` only to a loopback address.
    pub base: Uri,
    /// Extra PEM roots, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the first byte of an answer may take on photo requests.
    pub first_byte_timeout: Duration,
    /// How long a whole photo may take.
    pub photo_timeout: Duration,
    /// Photo requests in flight per tenant and application.
    pub concurrency: usize,
    /// Photo requests that may wait for their turn, per tenant and application.
    pub queue: usize,
    /// The egress proxy: `http`, authority, perhaps with user and password.
    pub proxy: Option<Uri>,
    /// Hosts that are reached without the egress proxy, as `NO_PROXY` lists them.
    pub no_proxy: Option<String>,
}

/// Why an exchange with Graph gave no answer. A status is not an error: it is an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made.
    #[error("no connection to graph")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer within the time.
    #[error("graph did not answer in time")]
    TimedOut,
    /// The exchange broke off.
    #[error("the exchange with graph broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The client of Graph. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Upstream {}
