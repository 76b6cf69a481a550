//! What can go wrong with asking Graph, by cause.

use std::error::Error as StdError;

use hyper_util::client::legacy;

use super::connect::TimedOut;

/// Why the client could not be set up. Each is a mistake in the settings or on the machine.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The upstream is not `http[s]://host[:port]`.
    #[error("the upstream is not of the form https://host[:port]")]
    Base,
    /// The egress proxy is not `http://[user:password@]host[:port]`.
    #[error("the egress proxy is not of the form http://[user:password@]host[:port]")]
    Proxy,
    /// The file of extra roots cannot be read as PEM.
    #[error("the file of extra root certificates cannot be read")]
    CaFile(#[source] Box<dyn StdError + Send + Sync>),
    /// The file of extra roots holds no certificate.
    #[error("the file of extra root certificates holds none")]
    CaFileEmpty,
    /// Neither the system nor the file gave a root to trust.
    #[error("no root certificates were found on this system")]
    NoRoots,
    /// TLS could not be set up.
    #[error("tls could not be set up")]
    Tls(#[source] rustls::Error),
}

/// Why an exchange with Graph gave no answer. A status is not an error: it is an answer.
///
/// `Display` names neither host nor token; the source chain is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made.
    #[error("no connection to graph")]
    Connect(#[source] Box<dyn StdError + Send + Sync>),
    /// No connection, or no answer, within the time.
    #[error("graph did not answer in time")]
    TimedOut,
    /// The caller stopped in the middle of its body.
    #[error("the caller stopped sending its body")]
    CallerStalled,
    /// The exchange broke off, or what came was not an HTTP answer.
    #[error("the exchange with graph broke off")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// A message that is not what HTTP allows here.
    pub(super) fn broken(cause: &'static str) -> Self {
        Self::Broken(cause.into())
    }

    /// Sorts what the client says went wrong by how far the exchange had come.
    pub(super) fn from_client(error: legacy::Error) -> Self {
        if !error.is_connect() {
            return Self::Broken(Box::new(error));
        }
        let mut cause = error.source();
        while let Some(inner) = cause {
            if inner.is::<TimedOut>() {
                return Self::TimedOut;
            }
            cause = inner.source();
        }
        Self::Connect(Box::new(error))
    }
}
