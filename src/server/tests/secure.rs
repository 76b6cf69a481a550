//! TLS: both protocols by ALPN, handshakes that hang, and certificates that change.

use std::fs;
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::{Error, Tls, TlsError};
use super::protocols::{get, speak_http2, text};
use super::*;

/// A directory with a certificate and key, removed at the end.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let files = Self(std::env::temp_dir().join(format!("gpp-{name}-{}", std::process::id())));
        fs::create_dir_all(&files.0).unwrap();
        files
    }

    fn tls(&self) -> Tls {
        Tls {
            listen: "127.0.0.1:0".parse().unwrap(),
            cert: self.0.join("cert.pem"),
            key: self.0.join("key.pem"),
        }
    }

    /// Writes a new pair, and says how to trust it.
    fn renew(&self) -> RootCertStore {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(self.tls().cert, made.cert.pem()).unwrap();
        fs::write(self.tls().key, made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        roots
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn secure_config(files: &Files) -> Config {
    Config {
        listen: None,
        tls: Some(files.tls()),
        ..config()
    }
}

async fn shake(
    server: &Running,
    roots: &RootCertStore,
    alpn: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    within(connector.connect(name, server.connect().await)).await
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn both_protocols_are_chosen_by_alpn() {
    let files = Files::new("alpn");
    let roots = files.renew();
    let server = start(&secure_config(&files));
    let mut old = shake(&server, &roots, "http/1.1").await.unwrap();
    old.write_all(GET).await.unwrap();
    until(&mut old, "<GET /a>").await;
    let new = shake(&server, &roots, "h2").await.unwrap();
    assert_eq!(new.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, _connection) = speak_http2(new).await;
    assert_eq!(text(&mut sender, get("https://localhost/a")).await.0, 200);
}

#[tokio::test]
async fn a_handshake_that_hangs_is_closed() {
    let files = Files::new("hang");
    files.renew();
    let soon = Duration::from_millis(100);
    let server = start(&Config {
        handshake_timeout: soon,
        ..secure_config(&files)
    });
    let mut silent = server.connect().await;
    assert_eq!(rest(&mut silent).await, "");
    let reply = server.say(GET).await;
    assert!(
        !reply.contains("HTTP/"),
        "plain HTTP on the TLS port: {reply}"
    );
}

#[tokio::test]
async fn a_new_certificate_is_used_without_dropping_a_connection() {
    let files = Files::new("renew");
    let old_roots = files.renew();
    let server = start(&secure_config(&files));
    let mut kept = shake(&server, &old_roots, "http/1.1").await.unwrap();
    let new_roots = files.renew();
    within(async {
        while shake(&server, &new_roots, "http/1.1").await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    kept.write_all(GET).await.unwrap();
    until(&mut kept, "<GET /a>").await;
    fs::write(files.tls().cert, "broken").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        shake(&server, &new_roots, "http/1.1").await.is_ok(),
        "the old pair stays"
    );
    let newest_roots = files.renew();
    within(async {
        while shake(&server, &newest_roots, "http/1.1").await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_unusable_certificate_is_named_in_one_sentence() {
    let files = Files::new("broken");
    let missing = bind(&secure_config(&files)).unwrap_err();
    assert!(
        matches!(missing, Error::Tls(TlsError::Unreadable { .. })),
        "{missing}"
    );
    files.renew();
    let key = fs::read(files.tls().key).unwrap();
    files.renew();
    fs::write(files.tls().key, key).unwrap();
    let mismatch = bind(&secure_config(&files)).unwrap_err();
    assert!(
        matches!(mismatch, Error::Tls(TlsError::NotAPair { .. })),
        "{mismatch}"
    );
    fs::write(files.tls().key, "no key").unwrap();
    let no_key = bind(&secure_config(&files)).unwrap_err();
    assert!(
        matches!(no_key, Error::Tls(TlsError::NotPem { .. })),
        "{no_key}"
    );
    assert!(no_key.to_string().contains("private key"), "{no_key}");
    assert!(matches!(
        bind(&Config {
            listen: None,
            ..config()
        }),
        Err(Error::NoListener)
    ));
}
