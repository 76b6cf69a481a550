//! The directory where the CA and its certificate stand between two starts.
//!
//! Every file is written beside its place and renamed into it, readable by its owner alone.
//! One process at a time: two that start together would leave a CA and a certificate that do
//! not belong to each other.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::make::{Authority, Leaf};
use super::{Error, Made};

pub(super) const AUTHORITY: &str = "ca.pem";
pub(super) const BUNDLE: &str = "bundle.pem";
const AUTHORITY_KEY: &str = "ca-key.pem";
const LOCK: &str = "lock";

/// The directory, locked until this is dropped.
pub(super) struct Kept {
    directory: PathBuf,
    leaf: PathBuf,
    _lock: File,
}

impl Kept {
    /// Makes the directory where it is missing. Waits for another process that is at it.
    pub(super) fn open(place: &crate::server::Development) -> Result<Self, Error> {
        let directory = &place.directory;
        let failed = |source| Error::Keep {
            path: directory.clone(),
            source,
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(failed)?;
        let found = fs::metadata(directory).map_err(failed)?;
        if found.permissions().mode() & 0o022 != 0 {
            return Err(Error::Open {
                path: directory.clone(),
            });
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(directory.join(LOCK))
            .and_then(|file| file.lock().map(|()| file))
            .map_err(failed)?;
        Ok(Self {
            directory: directory.clone(),
            leaf: place.leaf(),
            _lock: lock,
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The CA that was kept, if it can be read.
    pub(super) fn authority(&self) -> Option<Authority> {
        Some(Authority {
            certificate: CertificateDer::from_pem_file(self.path(AUTHORITY)).ok()?,
            key: key(&self.path(AUTHORITY_KEY))?,
        })
    }

    /// The certificate that was kept, if it can be read.
    pub(super) fn leaf(&self) -> Option<Leaf> {
        Some(Leaf {
            certificate: CertificateDer::from_pem_file(&self.leaf).ok()?,
            key: key(&self.leaf)?,
        })
    }

    /// Writes what was made, keys first, and the bundle each time: the system's roots change.
    pub(super) fn keep(&self, authority: &Authority, leaf: &Leaf, made: Made) -> Result<(), Error> {
        let authority_pem = pem("CERTIFICATE", &authority.certificate);
        if made == Made::Authority {
            self.write(&self.path(AUTHORITY_KEY), &key_pem(&authority.key))?;
            self.write(&self.path(AUTHORITY), &authority_pem)?;
        }
        if made != Made::Nothing {
            // In one file, so that the listener never reads the one without the other.
            let leaf_pem = key_pem(&leaf.key) + &pem("CERTIFICATE", &leaf.certificate);
            self.write(&self.leaf, &leaf_pem)?;
        }
        let mut bundle = authority_pem;
        let system = rustls_native_certs::load_native_certs().certs;
        for root in system.iter().filter(|root| **root != authority.certificate) {
            bundle.push_str(&pem("CERTIFICATE", root));
        }
        self.write(&self.path(BUNDLE), &bundle)?;
        // They may have come here from elsewhere, with what was allowed there.
        for path in [
            self.path(AUTHORITY),
            self.path(AUTHORITY_KEY),
            self.leaf.clone(),
        ] {
            let own = fs::set_permissions(&path, Permissions::from_mode(0o600));
            own.map_err(|source| Error::Keep { path, source })?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        let beside = self.path("new");
        let written = remove(&beside)
            .and_then(|()| {
                let mut options = OpenOptions::new();
                let mut file = options
                    .create_new(true)
                    .write(true)
                    .mode(0o600)
                    .open(&beside)?;
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&beside, path));
        written.map_err(|source| Error::Keep {
            path: path.to_path_buf(),
            source,
        })
    }
}

/// What an earlier start left half written.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn key(path: &Path) -> Option<KeyPair> {
    KeyPair::try_from(&PrivateKeyDer::from_pem_file(path).ok()?).ok()
}

fn key_pem(key: &KeyPair) -> String {
    pem("PRIVATE KEY", key.serialized_der())
}

/// Text as RFC 7468 §2 has it.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        text.push_str(&STANDARD.encode(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}
