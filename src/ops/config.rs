//! What the operator says about what the operator sees.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;

use http::Uri;

use crate::server::TlsFiles;

/// The operator's part of the settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The admin listener; `None` is off. Beyond loopback only with a token, or a CA whose
    /// certificates its callers must show.
    pub admin: Option<SocketAddr>,
    /// What the admin listener asks for as a bearer token.
    pub admin_token: Option<Secret>,
    /// What the admin listener shakes hands with; plain HTTP when there is nothing.
    pub admin_tls: Option<TlsFiles>,
    /// A tracing filter directive, such as `info`.
    pub log: String,
    /// How a log line looks.
    pub log_format: LogFormat,
    /// Where a service manager wants to hear of readiness (`NOTIFY_SOCKET`, `sd_notify(3)`).
    pub notify_socket: Option<OsString>,
    /// Whom spans are exported to, without a path; `None` is nobody.
    pub otlp_endpoint: Option<Uri>,
}

/// What is said of an admin listener beyond loopback that asks for its token without TLS.
pub fn plain_token(address: SocketAddr) -> String {
    format!(
        "admin = \"{address}\" takes admin_token in plain text from beyond this machine; admin_tls_cert and admin_tls_key would not."
    )
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A value that is compared and never shown.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes a secret in.
    pub fn new(secret: &str) -> Self {
        Self(secret.into())
    }

    /// Whether `other` is the secret; takes the same time wherever the two differ.
    pub fn matches(&self, other: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), other).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(_)")
    }
}
