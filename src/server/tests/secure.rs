//! TLS: both protocols by ALPN, handshakes that hang, and certificates that change.

use std::fs;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::{Error, Tls, TlsError, TlsFiles};
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
            files: TlsFiles {
                cert: self.0.join("cert.pem"),
                key: self.0.join("key.pem"),
                client_ca: None,
            },
        }
    }

    /// Writes a new pair, and says how to trust it.
    fn renew(&self) -> RootCertStore {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(self.tls().files.cert, made.cert.pem()).unwrap();
        fs::write(self.tls().files.key, made.signing_key.serialize_pem()).unwrap();
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

type ClientBuilder = rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>;

fn trusting(roots: &RootCertStore) -> ClientBuilder {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots.clone())
}

async fn shake(
    server: &Running,
    roots: &RootCertStore,
    alpn: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    shake_as(server, trusting(roots).with_no_client_auth(), alpn).await
}

async fn shake_as(
    server: &Running,
    mut config: rustls::ClientConfig,
    alpn: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
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
    fs::write(files.tls().files.cert, "broken").unwrap();
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
    let key = fs::read(files.tls().files.key).unwrap();
    files.renew();
    fs::write(files.tls().files.key, key).unwrap();
    let mismatch = bind(&secure_config(&files)).unwrap_err();
    assert!(
        matches!(mismatch, Error::Tls(TlsError::NotAPair { .. })),
        "{mismatch}"
    );
    fs::write(files.tls().files.key, "no key").unwrap();
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

/// A CA of callers, and a caller it has signed for.
fn callers(roots: &RootCertStore) -> (String, rustls::ClientConfig) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["app.test".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &authority).unwrap();
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let client = trusting(roots).with_client_auth_cert(chain, key).unwrap();
    (authority.pem(), client)
}

/// Whether a caller is answered on a connection of its own.
async fn is_heard(server: &Running, client: &rustls::ClientConfig) -> bool {
    let Ok(mut stream) = shake_as(server, client.clone(), "http/1.1").await else {
        return false;
    };
    let mut first = [0; 4];
    stream.write_all(GET).await.is_ok()
        && within(stream.read_exact(&mut first)).await.is_ok()
        && first == *b"HTTP"
}

#[tokio::test]
async fn a_new_ca_of_callers_is_asked_for_without_dropping_a_connection() {
    let files = Files::new("callers");
    let roots = files.renew();
    let (first, of_first) = callers(&roots);
    let (second, of_second) = callers(&roots);
    let path = files.0.join("callers.pem");
    fs::write(&path, first).unwrap();
    let mut config = secure_config(&files);
    config.tls.as_mut().unwrap().files.client_ca = Some(path.clone());
    let server = start(&config);
    assert!(is_heard(&server, &of_first).await && !is_heard(&server, &of_second).await);
    let mut kept = shake_as(&server, of_first.clone(), "http/1.1")
        .await
        .unwrap();
    kept.write_all(GET).await.unwrap();
    until(&mut kept, "<GET /a>").await;
    fs::write(&path, second).unwrap();
    within(async {
        while !is_heard(&server, &of_second).await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Nor by the session it had: a resumed handshake shows no certificate.
    assert!(!is_heard(&server, &of_first).await);
    kept.write_all(GET).await.unwrap();
    until(&mut kept, "<GET /a>").await;
    fs::write(&path, "nobody").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(is_heard(&server, &of_second).await, "the old CA stays");
    assert!(!is_heard(&server, &trusting(&roots).with_no_client_auth()).await);
}

#[tokio::test]
async fn an_unusable_ca_of_callers_is_named_in_one_sentence() {
    let files = Files::new("no-callers");
    files.renew();
    let path = files.0.join("callers.pem");
    let mut config = secure_config(&files);
    config.tls.as_mut().unwrap().files.client_ca = Some(path.clone());
    let missing = bind(&config).unwrap_err();
    assert!(
        matches!(missing, Error::Tls(TlsError::Unreadable { .. })),
        "{missing}"
    );
    for (text, expected) in [
        ("", "holds no certificate in PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "holds no usable CA",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let refused = bind(&config).unwrap_err().to_string();
        assert!(
            refused.contains("callers.pem") && refused.contains(expected),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn the_end_of_the_certificate_in_use_follows_it() {
    let files = Files::new("ends");
    let write = |year: i32| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        fs::write(files.tls().files.cert, certificate.pem()).unwrap();
        fs::write(files.tls().files.key, key.serialize_pem()).unwrap();
    };
    write(2030);
    let listeners = bind(&secure_config(&files)).unwrap();
    let certificate = Arc::clone(listeners.certificate().unwrap());
    assert_eq!(certificate.ends(), Some(1_893_456_000));
    let serving = tokio::spawn(serve(listeners, Echo::default(), std::future::pending()));
    write(2031);
    within(async {
        while certificate.ends() != Some(1_924_992_000) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    serving.abort();
}
