//! Callers, and operators, who must show a certificate before they may say anything.

use std::fs;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rustls::ClientConfig;

use crate::support::World;
use crate::support::tls::{self, Authority, Folder};

/// What came of asking over TLS: the answer's status, or that there was none.
async fn status(
    address: SocketAddr,
    client: &ClientConfig,
    alpn: &'static [u8],
    request: Request<Full<Bytes>>,
) -> Option<StatusCode> {
    // In TLS 1.3 a client takes the handshake for done before its certificate is judged.
    let stream = tls::connect(address, "localhost", client.clone(), &[alpn]).await;
    let answer = tls::send(stream.ok()?, request).await;
    Some(answer.ok()?.status())
}

fn get(target: &str, token: &str) -> Request<Full<Bytes>> {
    Request::get(target)
        .header("authorization", format!("Bearer {token}"))
        .body(Full::default())
        .unwrap()
}

struct Place {
    folder: Folder,
    callers: Authority,
}

impl Place {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        tls::certificate(&folder);
        let callers = Authority::new("callers");
        fs::write(folder.path("callers.pem"), callers.pem()).unwrap();
        Self { folder, callers }
    }

    async fn world(&self, settings: &[(&str, &str)]) -> World {
        let (cert, key) = (self.folder.path("cert.pem"), self.folder.path("key.pem"));
        let callers = self.folder.path("callers.pem");
        let settings: Vec<_> = settings
            .iter()
            .map(|(key_of, value)| match *value {
                "CERT" => (*key_of, cert.as_str()),
                "KEY" => (*key_of, key.as_str()),
                "CALLERS" => (*key_of, callers.as_str()),
                value => (*key_of, value),
            })
            .collect();
        World::with(&settings, |_| {}).await
    }

    fn roots(&self) -> rustls::RootCertStore {
        tls::roots(self.folder.path("cert.pem"))
    }

    /// Who is let in, and some who are not.
    fn clients(&self) -> (ClientConfig, [(&'static str, ClientConfig); 3]) {
        let stranger = Authority::new("callers");
        let clients = [
            ("no certificate", tls::client(self.roots())),
            (
                "another CA of that name",
                stranger.client(self.roots(), ClientAuth),
            ),
            (
                "a server's certificate",
                self.callers.client(self.roots(), ServerAuth),
            ),
        ];
        (self.callers.client(self.roots(), ClientAuth), clients)
    }
}

#[tokio::test]
async fn only_a_caller_with_a_certificate_of_that_ca_is_heard_in_either_protocol() {
    let place = Place::new("callers");
    let world = place
        .world(&[
            ("listen", "off"),
            ("tls_listen", "127.0.0.1:0"),
            ("tls_cert", "CERT"),
            ("tls_key", "KEY"),
            ("tls_client_ca", "CALLERS"),
        ])
        .await;
    let token = world.token(0);
    let photo = format!(
        "https://localhost/v1.0/users/{}/photo/$value",
        world.person(1).id
    );
    let (known, strangers) = place.clients();
    for alpn in [&b"h2"[..], b"http/1.1"] {
        for (who, client) in &strangers {
            let heard = status(world.proxy.address, client, alpn, get(&photo, &token)).await;
            assert_eq!(heard, None, "{who}");
        }
    }
    assert_eq!(world.graph.count(), 0);
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let heard = status(world.proxy.address, &known, alpn, get(&photo, &token)).await;
        assert_eq!(heard, Some(StatusCode::OK));
        // A certificate opens the connection and says nothing about the token.
        let heard = status(world.proxy.address, &known, alpn, get(&photo, "forged")).await;
        assert_eq!(heard, Some(StatusCode::UNAUTHORIZED));
    }
}

#[tokio::test]
async fn an_operator_beyond_loopback_may_be_known_by_a_certificate() {
    let place = Place::new("operators");
    let settings = [
        ("admin", "0.0.0.0:0"),
        ("admin_tls_cert", "CERT"),
        ("admin_tls_key", "KEY"),
        ("admin_client_ca", "CALLERS"),
    ];
    let world = place.world(&settings).await;
    let mut admin = world.proxy.admin.unwrap();
    admin.set_ip([127, 0, 0, 1].into());
    let (known, strangers) = place.clients();
    let metrics = || get("https://photos.example/metrics", "");
    for (who, client) in &strangers {
        for target in ["/metrics", "/livez", "/"] {
            let request = get(&format!("https://photos.example{target}"), "");
            let heard = status(admin, client, b"http/1.1", request).await;
            assert_eq!(heard, None, "{who} at {target}");
        }
    }
    let heard = status(admin, &known, b"http/1.1", metrics()).await;
    assert_eq!(heard, Some(StatusCode::OK));
}

#[tokio::test]
async fn an_operators_token_is_wanted_over_tls_too() {
    let place = Place::new("token");
    let secret = "0123456789abcdef";
    let settings = [
        ("admin", "0.0.0.0:0"),
        ("admin_tls_cert", "CERT"),
        ("admin_tls_key", "KEY"),
        ("admin_token", secret),
    ];
    let world = place.world(&settings).await;
    let mut admin = world.proxy.admin.unwrap();
    admin.set_ip([127, 0, 0, 1].into());
    let client = tls::client(place.roots());
    for (token, expected) in [
        ("", StatusCode::UNAUTHORIZED),
        ("0123456789abcdee", StatusCode::UNAUTHORIZED),
        (secret, StatusCode::OK),
    ] {
        let request = get("https://localhost/metrics", token);
        let heard = status(admin, &client, b"http/1.1", request).await;
        assert_eq!(heard, Some(expected), "{token}");
    }
}

#[tokio::test]
async fn without_client_certificates_a_page_of_another_name_reaches_no_admin_over_tls() {
    let place = Place::new("rebind");
    let settings = [
        ("admin", "127.0.0.1:0"),
        ("admin_tls_cert", "CERT"),
        ("admin_tls_key", "KEY"),
    ];
    let world = place.world(&settings).await;
    let client = tls::client(place.roots());
    let admin = world.proxy.admin.unwrap();
    let asked = |host: &str| get(&format!("https://{host}/metrics"), "");
    let heard = status(admin, &client, b"http/1.1", asked("evil.example")).await;
    assert_eq!(heard, Some(StatusCode::MISDIRECTED_REQUEST));
    let heard = status(admin, &client, b"http/1.1", asked("localhost")).await;
    assert_eq!(heard, Some(StatusCode::OK));
}
