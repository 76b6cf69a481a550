//! TLS 1.2 and 1.3 on the caller's side, with a certificate that can be replaced in place.
//!
//! The files are read again every few seconds and compared by content: a cluster swaps a
//! symbolic link, which file watches miss. A new pair is used for new handshakes once both
//! files fit each other; until then, and when they are broken, the old pair stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_lc_rs::digest::{Context as Hash, SHA256};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::TlsAcceptor;

use super::Tls;

/// Why the TLS listener cannot use its certificate or key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not PEM, or holds nothing of the kind it should.
    #[error("{path} holds no {wanted} in PEM: {source}")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What the parser says.
        source: pem::Error,
    },
    /// The pair cannot be used together, or the key is of no supported kind.
    #[error("{cert} and {key} are not a usable pair: {source}")]
    NotAPair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The library refused the protocol versions.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// What a reading of the two files came to.
#[derive(Debug)]
pub(super) enum Reading {
    /// They hold what they held.
    Same,
    /// A new pair is in use.
    Replaced,
    /// They have changed and cannot be used; the old pair stays.
    Broken(TlsError),
}

/// The certificate in use, and where it came from.
#[derive(Debug)]
pub(super) struct Certificate {
    files: Tls,
    current: RwLock<Arc<CertifiedKey>>,
    /// What the files last held, usable or not; the key itself is not kept as text.
    last: Mutex<[u8; 32]>,
}

impl Certificate {
    pub(super) fn load(files: &Tls) -> Result<Arc<Self>, TlsError> {
        let (cert, key) = (read(&files.cert)?, read(&files.key)?);
        let current = parse(files, &cert, &key)?;
        Ok(Arc::new(Self {
            files: files.clone(),
            current: RwLock::new(current),
            last: Mutex::new(fingerprint(&cert, &key)),
        }))
    }

    /// What accepts handshakes with whatever certificate is current then.
    pub(super) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let mut config = builder
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again. Blocks on the file system.
    pub(super) fn reread(&self) -> Reading {
        // A file that is missing for a moment is a swap half done: not worth a word.
        let (Ok(cert), Ok(key)) = (read(&self.files.cert), read(&self.files.key)) else {
            return Reading::Same;
        };
        let found = fingerprint(&cert, &key);
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if *last == found {
                return Reading::Same;
            }
            *last = found;
        }
        match parse(&self.files, &cert, &key) {
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
                Reading::Replaced
            }
            Err(error) => Reading::Broken(error),
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable {
        path: path.to_path_buf(),
        source,
    })
}

fn parse(files: &Tls, cert: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
    let not_pem = |path: &Path, wanted| {
        let path = path.to_path_buf();
        move |source| TlsError::NotPem {
            path,
            wanted,
            source,
        }
    };
    let chain = CertificateDer::pem_slice_iter(cert)
        .collect::<Result<Vec<_>, _>>()
        .and_then(|chain| {
            if chain.is_empty() {
                Err(pem::Error::NoItemsFound)
            } else {
                Ok(chain)
            }
        })
        .map_err(not_pem(&files.cert, "certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(not_pem(&files.key, "private key"))?;
    CertifiedKey::from_der(chain, key, &default_provider())
        .map(Arc::new)
        .map_err(|source| TlsError::NotAPair {
            cert: files.cert.clone(),
            key: files.key.clone(),
            source,
        })
}

fn fingerprint(cert: &[u8], key: &[u8]) -> [u8; 32] {
    let mut hash = Hash::new(&SHA256);
    hash.update(&(cert.len() as u64).to_le_bytes());
    hash.update(cert);
    hash.update(key);
    let mut print = [0; 32];
    print.copy_from_slice(hash.finish().as_ref());
    print
}
