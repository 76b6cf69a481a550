//! A caller over TLS, by whichever protocol is agreed on.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::wire::soon;

/// A directory of one test, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("gpp-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The roots in a PEM file.
pub(crate) fn roots(file: impl AsRef<Path>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(file).unwrap() {
        roots.add(root.unwrap()).unwrap();
    }
    roots
}

/// What such a caller brings.
pub(crate) fn client(roots: RootCertStore) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Shakes hands with whom it takes for `name`, and offers these protocols.
pub(crate) async fn connect(
    address: SocketAddr,
    name: &str,
    mut client: rustls::ClientConfig,
    alpn: &[&[u8]],
) -> io::Result<TlsStream<TcpStream>> {
    client.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    soon(connector.connect(name, stream)).await
}

/// Sends a request in the protocol that was agreed on.
pub(crate) async fn send(
    stream: TlsStream<TcpStream>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, hyper::Error> {
    // A TLS stream and HTTP/2's handshake are large to carry about.
    Box::pin(exchange(stream, request)).await
}

async fn exchange(
    stream: TlsStream<TcpStream>,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, hyper::Error> {
    let io = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => {
            let sender = http2_on(stream).await?;
            return ask(&sender, request).await;
        }
        _ => TokioIo::new(stream),
    };
    let (mut sender, connection) = soon(http1::handshake(io)).await?;
    tokio::spawn(connection);
    let host = request.uri().authority().unwrap().as_str().parse().unwrap();
    request.headers_mut().insert("host", host);
    *request.uri_mut() = request
        .uri()
        .path_and_query()
        .unwrap()
        .as_str()
        .parse()
        .unwrap();
    whole(soon(sender.send_request(request)).await?).await
}

pub(crate) type Sender = http2::SendRequest<Full<Bytes>>;

/// HTTP/2 on a stream, the connection in a task of its own.
pub(crate) async fn http2_on<S>(stream: S) -> Result<Sender, hyper::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = soon(shaken).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One question on a connection in HTTP/2.
pub(crate) async fn ask(
    sender: &Sender,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, hyper::Error> {
    whole(soon(sender.clone().send_request(request)).await?).await
}

async fn whole(answer: Response<hyper::body::Incoming>) -> Result<Response<Bytes>, hyper::Error> {
    let (head, body) = answer.into_parts();
    let body = soon(body.collect()).await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// A CA that signs for callers.
pub(crate) struct Authority(rcgen::CertifiedIssuer<'static, rcgen::KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = rcgen::CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        Self(rcgen::CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// As a file holds it.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(
        &self,
        uses: Vec<rcgen::ExtendedKeyUsagePurpose>,
    ) -> (rcgen::Certificate, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["app.test".to_owned()]).unwrap();
        params.extended_key_usages = uses;
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// A certificate of this CA for those uses as the files `cert.pem` and `key.pem` of a folder.
    pub(crate) fn write(&self, folder: &Folder, uses: Vec<rcgen::ExtendedKeyUsagePurpose>) {
        let (certificate, key) = self.sign(uses);
        std::fs::write(folder.path("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path("key.pem"), key.serialize_pem()).unwrap();
    }

    /// A caller who trusts these roots and shows a certificate of this CA for that use.
    pub(crate) fn client(
        &self,
        roots: RootCertStore,
        use_for: rcgen::ExtendedKeyUsagePurpose,
    ) -> rustls::ClientConfig {
        let (certificate, key) = self.sign(vec![use_for]);
        let chain = vec![certificate.der().clone()];
        let key = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap()
    }
}

/// A certificate for `localhost` as the files `cert.pem` and `key.pem` of a folder.
pub(crate) fn certificate(folder: &Folder) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(folder.path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made
}
