//! TLS 1.2 and 1.3 on the caller's side, with a certificate that can be replaced in place.
//!
//! The files are read again every few seconds and compared by content: a cluster swaps a
//! symbolic link, which file watches miss. A new pair is used for new handshakes once both
//! files fit each other; until then, and when they are broken, the old pair stays. The same
//! goes for the CA whose certificates callers must show, where there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest::{Context as Hash, SHA256};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::TlsAcceptor;

use super::{TlsFiles, validity};

/// How often the certificate's files are read: they are small, so seconds are cheap.
pub(crate) const REREAD: Duration = if cfg!(test) {
    Duration::from_millis(20)
} else {
    Duration::from_secs(3)
};

/// The protocols a listener speaks, the best first (RFC 7301).
pub(crate) type Alpn = &'static [&'static [u8]];

/// HTTP/2, and HTTP/1.1 for whoever does not speak it.
pub(crate) const EITHER: Alpn = &[b"h2", b"http/1.1"];

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
    /// The roots of callers' certificates cannot be used.
    #[error("{path} holds no usable CA: {source}")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The library refused the protocol versions.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// What a reading of the files came to.
#[derive(Debug)]
enum Reading {
    /// They hold what they held.
    Same,
    /// What they hold now is in use.
    Replaced,
    /// They have changed and cannot be used; what was in use stays.
    Broken(TlsError),
}

/// The certificate in use, whose certificates are asked for, and where both came from.
#[derive(Debug)]
pub struct Certificate {
    files: TlsFiles,
    alpn: Alpn,
    current: RwLock<Current>,
    /// What the files last held, usable or not; the key itself is not kept as text.
    last: Mutex<[u8; 32]>,
}

/// What new handshakes are made with. It is replaced as a whole: with it go the sessions that
/// could be resumed, which would let a caller in by a certificate of the CA before.
#[derive(Debug, Clone)]
struct Current {
    config: Arc<ServerConfig>,
    /// The certificate's last second, since 1970.
    ends: Option<u64>,
}

/// The contents of the files.
pub(super) struct Contents {
    pub(super) cert: Vec<u8>,
    pub(super) key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Certificate {
    pub(crate) fn load(files: &TlsFiles, alpn: Alpn) -> Result<Arc<Self>, TlsError> {
        let contents = Contents::read(files)?;
        Ok(Arc::new(Self {
            files: files.clone(),
            alpn,
            current: RwLock::new(Current::of(files, alpn, &contents)?),
            last: Mutex::new(contents.fingerprint()),
        }))
    }

    /// Whether callers must show a certificate.
    pub(crate) const fn asks_callers(&self) -> bool {
        self.files.client_ca.is_some()
    }

    /// What accepts the next handshake.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current.config))
    }

    /// The last second of the certificate in use, since 1970, where it can be read.
    pub fn ends(&self) -> Option<u64> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.ends
    }

    /// Reads the files again, off the runtime's threads, and says what came of it.
    pub(crate) fn look_again(self: &Arc<Self>) {
        let certificate = Arc::clone(self);
        tokio::task::spawn_blocking(move || match certificate.reread() {
            Reading::Same => {}
            Reading::Replaced => tracing::info!("the TLS certificate has been replaced"),
            Reading::Broken(error) => {
                tracing::warn!(%error, "the new TLS certificate cannot be used; the old one stays");
            }
        });
    }

    fn reread(&self) -> Reading {
        // A file that is missing for a moment is a swap half done: not worth a word.
        let Ok(contents) = Contents::read(&self.files) else {
            return Reading::Same;
        };
        let found = contents.fingerprint();
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if *last == found {
                return Reading::Same;
            }
            *last = found;
        }
        match Current::of(&self.files, self.alpn, &contents) {
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
                Reading::Replaced
            }
            Err(error) => Reading::Broken(error),
        }
    }
}

impl Current {
    fn of(files: &TlsFiles, alpn: Alpn, contents: &Contents) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        let pair = parse(files, &contents.cert, &contents.key)?;
        let ends = pair.cert.first().and_then(validity::ends);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?;
        let builder = match (&files.client_ca, &contents.client_ca) {
            (Some(path), Some(pem)) => {
                let roots = Arc::new(client_roots(path, pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = verifier.build().map_err(|source| TlsError::ClientCa {
                    path: path.clone(),
                    source: source.into(),
                })?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self {
            config: Arc::new(config),
            ends,
        })
    }
}

impl Contents {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            cert: read(&files.cert)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Hash::new(&SHA256);
        for file in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()] {
            let file = file.map_or(&[][..], Vec::as_slice);
            hash.update(&(file.len() as u64).to_le_bytes());
            hash.update(file);
        }
        let mut print = [0; 32];
        print.copy_from_slice(hash.finish().as_ref());
        print
    }
}

/// Whose certificates are accepted: all of the file, or none of it.
fn client_roots(path: &Path, text: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(path, text)? {
        roots.add(root).map_err(|source| TlsError::ClientCa {
            path: path.to_path_buf(),
            source: source.into(),
        })?;
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable {
        path: path.to_path_buf(),
        source,
    })
}

/// The pair of the files, where they fit each other.
pub(super) fn parse(files: &TlsFiles, cert: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&files.cert, cert)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| TlsError::NotPem {
        path: files.key.clone(),
        wanted: "private key",
        source,
    })?;
    let provider = default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|source| TlsError::NotAPair {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    })
}

/// All certificates of a file, at least one.
fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .and_then(|all| {
            if all.is_empty() {
                Err(pem::Error::NoItemsFound)
            } else {
                Ok(all)
            }
        })
        .map_err(|source| TlsError::NotPem {
            path: path.to_path_buf(),
            wanted: "certificate",
            source,
        })
}
