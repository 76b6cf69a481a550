//! A development certificate: a CA of this machine alone, and the certificate it has signed.
//!
//! Some Graph SDKs send a token only over https, so a developer needs TLS before there is a
//! certificate. [`prepare`] leaves in a directory what the TLS listener and those who are to
//! trust it read:
//!
//! - `ca.pem` — the CA, to be trusted
//! - `bundle.pem` — the system's roots and that CA, for what takes one file instead of the roots
//! - `localhost.pem` — the certificate and its key, for the listener
//! - `ca-key.pem` — the CA's key
//!
//! The CA may sign for the names asked for and no others (RFC 5280 §4.2.1.10), so whoever
//! steals its key can play no other site to those who trust it. What is in the directory is
//! used again if it would stand before a caller, for every name and a month from now; else the
//! certificate is made anew, and the CA only if it must be.

mod keep;
mod make;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Time;
use crate::server::{Development, certificate_ends};
use keep::Kept;

const DAY: Duration = Duration::from_secs(86_400);
/// How long a certificate is good for; browsers and systems refuse some that last for years.
const LEAF: Duration = DAY.saturating_mul(90);
/// How long before its end it is made anew.
const MARGIN: Duration = DAY.saturating_mul(30);
/// How long the CA is good for: whoever trusts it has to be told of the next one.
const AUTHORITY: Duration = DAY.saturating_mul(5 * 365);

/// Why there is no development certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory or a file in it cannot be made or read.
    #[error("the development certificate cannot be kept in {path}")]
    Keep {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may write in the directory, and so put their own CA there.
    #[error("{path} can be written by others: no place for the development certificate's key")]
    Open {
        /// The directory.
        path: PathBuf,
    },
    /// A certificate could not be made.
    #[error("the development certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// What was made would not stand before a caller.
    #[error("the development certificate that was made does not verify")]
    Unsound,
}

/// What had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Nothing: what was there is used again.
    Nothing,
    /// A certificate, signed by the CA that was there.
    Certificate,
    /// Both; the new CA has to be trusted.
    Authority,
}

/// What there is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The CA's file.
    pub authority: PathBuf,
    /// The system's roots and the CA in one file.
    pub bundle: PathBuf,
    /// What had to be made.
    pub made: Made,
    /// The names it is for.
    names: Vec<String>,
    /// The last second, since 1970, in which it is still far from its end.
    renewal: u64,
}

impl Prepared {
    /// Whether the certificate nears its end.
    pub fn wants_renewal(&self, now: Time) -> bool {
        now.unix_seconds() > self.renewal
    }

    /// One line for whoever is to trust it.
    pub fn advice(&self) -> String {
        let (authority, bundle) = (self.authority.display(), self.bundle.display());
        format!(
            "development certificate for {}; trust its CA with NODE_EXTRA_CA_CERTS={authority}, with SSL_CERT_FILE={bundle} and REQUESTS_CA_BUNDLE={bundle}, or with curl --cacert {authority}",
            self.names.join(", ")
        )
    }
}

/// Makes sure that a certificate for these names is there and stays good for a while.
///
/// # Errors
///
/// When the directory cannot be used, or nothing sound can be made.
pub fn prepare(wanted: &Development, now: Time) -> Result<Prepared, Error> {
    let kept = Kept::open(wanted)?;
    let names = make::names(&wanted.names);
    let (authority, leaf) = (kept.authority(), kept.leaf());
    let sound = |authority: &make::Authority, leaf: &make::Leaf| {
        authority.is_good_until(now.plus(MARGIN)) && authority.vouches(leaf, &names, now, MARGIN)
    };
    let (made, authority, leaf) = match (authority, leaf) {
        (Some(authority), Some(leaf)) if sound(&authority, &leaf) => {
            (Made::Nothing, authority, leaf)
        }
        (Some(authority), _) if authority.is_good_until(now.plus(LEAF)) => {
            let leaf = authority.sign(&names, now)?;
            if sound(&authority, &leaf) {
                (Made::Certificate, authority, leaf)
            } else {
                // Another name than the CA may sign for, or a key that is not its own.
                anew(&names, now)?
            }
        }
        _ => anew(&names, now)?,
    };
    if !sound(&authority, &leaf) {
        return Err(Error::Unsound);
    }
    kept.keep(&authority, &leaf, made)?;
    let end = certificate_ends(&leaf.certificate).ok_or(Error::Unsound)?;
    Ok(Prepared {
        authority: kept.path(keep::AUTHORITY),
        bundle: kept.path(keep::BUNDLE),
        made,
        names,
        renewal: end.saturating_sub(MARGIN.as_secs()),
    })
}

fn anew(names: &[String], now: Time) -> Result<(Made, make::Authority, make::Leaf), Error> {
    let authority = make::Authority::new(names, now)?;
    let leaf = authority.sign(names, now)?;
    Ok((Made::Authority, authority, leaf))
}
