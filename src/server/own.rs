//! How a command on this machine calls a TLS listener of the same settings.
//!
//! It believes the certificate that the listener's files hold, whoever has signed it, for
//! whatever name and until whatever day: the question is whether this is that listener, and the
//! files say so better than any CA. Where callers must show a certificate it shows that same one,
//! which the listener takes when its CA has signed it, and for callers too.
//!
//! Files that hold no usable pair leave the listener with the one before, which is nowhere else:
//! then any certificate is believed. A caller of this kind sends no secret.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::TlsFiles;
use super::tls::{Contents, TlsError, parse};

/// What shakes hands with the listener of these files.
pub(crate) fn caller(files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    let pair = Contents::read(files)
        .and_then(|contents| parse(files, &contents.cert, &contents.key))
        .ok();
    let provider = Arc::new(default_provider());
    let verifier = Own {
        leaf: pair.as_ref().and_then(|pair| pair.cert.first().cloned()),
        provider: Arc::clone(&provider),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(match pair {
        Some(pair) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair))),
        None => builder.with_no_client_auth(),
    })
}

/// Believes one certificate, or any where there is none to compare with.
#[derive(Debug)]
struct Own {
    leaf: Option<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.leaf {
            Some(leaf) if leaf != shown => Err(NOT_OURS),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    // Who shows it must have its key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

/// The certificate is another than the files hold.
pub(crate) const NOT_OURS: Error =
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
