//! A certificate for development: TLS on one flag, for SDKs that send no token without it.

#![cfg(feature = "tls-dev")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::config::Config;
use http::{Request, StatusCode};
use http_body_util::Full;
use rustls::RootCertStore;

use crate::support::World;
use crate::support::tls::{self, Folder};

async fn world(folder: &Folder, more: &[(&str, &str)]) -> World {
    let directory = folder.path("state");
    let mut settings = vec![
        ("listen", "off"),
        ("tls_listen", "127.0.0.1:0"),
        ("tls_dev", "true"),
        ("tls_dev_dir", directory.as_str()),
    ];
    settings.extend_from_slice(more);
    World::with(&settings, |_| {}).await
}

/// A client of the time the proxy's clock shows: it stands still in the past.
fn client(folder: &Folder) -> rustls::ClientConfig {
    let mut client = tls::client(tls::roots(folder.path("state/ca.pem")));
    client.time_provider = std::sync::Arc::new(Then);
    client
}

#[derive(Debug)]
struct Then;

impl rustls::time_provider::TimeProvider for Then {
    fn current_time(&self) -> Option<rustls_pki_types::UnixTime> {
        let then = Clock::by_hand().now().unix_seconds();
        Some(rustls_pki_types::UnixTime::since_unix_epoch(
            std::time::Duration::from_secs(then),
        ))
    }
}

fn photo(world: &World, token: &str) -> Request<Full<Bytes>> {
    let path = format!("/v1.0/users/{}/photo/$value", world.person(1).id);
    Request::get(format!("https://localhost{path}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Full::default())
        .unwrap()
}

#[tokio::test]
async fn whoever_trusts_the_ca_gets_photos_under_every_name_and_in_both_protocols() {
    let folder = Folder::new("dev-names");
    let world = world(&folder, &[("tls_dev_names", "photos.test,10.1.2.3")]).await;
    let token = world.token(0);
    for name in ["localhost", "127.0.0.1", "::1", "photos.test", "10.1.2.3"] {
        for alpn in [&b"h2"[..], b"http/1.1"] {
            let stream = tls::connect(world.proxy.address, name, client(&folder), &[alpn]).await;
            let stream = stream.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn));
            let answer = tls::send(stream, photo(&world, &token)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
    let stranger = tls::connect(world.proxy.address, "evil.test", client(&folder), &[]).await;
    stranger.expect_err("it is for no other name");
    let untrusting = tls::client(RootCertStore::empty());
    let untrusting = tls::connect(world.proxy.address, "localhost", untrusting, &[]).await;
    untrusting.expect_err("nobody trusts it by itself");
}

#[tokio::test]
async fn the_next_start_is_trusted_by_those_who_trusted_the_last() {
    let folder = Folder::new("dev-again");
    let first = world(&folder, &[]).await;
    let trusting = client(&folder);
    let before = fs::read(folder.path("state/localhost.pem")).unwrap();
    drop(first);
    let second = world(&folder, &[]).await;
    assert_eq!(
        fs::read(folder.path("state/localhost.pem")).unwrap(),
        before
    );
    let stream = tls::connect(second.proxy.address, "localhost", trusting, &[b"h2"]).await;
    let token = second.token(0);
    let answer = tls::send(stream.unwrap(), photo(&second, &token)).await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn nobody_else_can_read_the_keys() {
    let folder = Folder::new("dev-modes");
    let _world = world(&folder, &[]).await;
    let mode = |path: &str| {
        fs::metadata(folder.path(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("state"), 0o700);
    for file in [
        "ca.pem",
        "ca-key.pem",
        "localhost.pem",
        "bundle.pem",
        "lock",
    ] {
        assert_eq!(mode(&format!("state/{file}")), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_directory_in_which_others_write_is_refused() {
    let folder = Folder::new("dev-open");
    fs::create_dir(folder.path("state")).unwrap();
    fs::set_permissions(folder.path("state"), fs::Permissions::from_mode(0o777)).unwrap();
    let config = Config::with([
        ("listen", "off"),
        ("tls_listen", "127.0.0.1:0"),
        ("tls_dev", "true"),
        ("tls_dev_dir", folder.path("state").as_str()),
        ("admin", "off"),
    ]);
    let refused = graph_photo_proxy::app::App::bind(config.unwrap()).unwrap_err();
    assert!(
        refused.to_string().contains("can be written by others"),
        "{refused}"
    );
    assert!(!fs::exists(folder.path("state/ca-key.pem")).unwrap());
}

/// The real program, killed at the end.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn one_flag_serves_the_demo_over_tls_and_says_how_to_trust_it() {
    let folder = Folder::new("dev-demo");
    let mut program = Command::new(env!("CARGO_BIN_EXE_graph-photo-proxy"));
    program
        .args([
            "demo",
            "--tls-dev",
            "--tls-listen=127.0.0.1:0",
            "--listen=127.0.0.1:0",
        ])
        .args(["--demo-listen=127.0.0.1:0", "--admin=off"])
        .env_clear()
        .env("HOME", folder.path("home"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut program = Program(program.spawn().unwrap());
    let said = BufReader::new(program.0.stdout.take().unwrap());
    let (mut address, mut authority) = (None, None);
    for line in said.lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("tls_listen", at)) => {
                address = at.strip_prefix("https://").map(ToOwned::to_owned);
            }
            Some(("tls_ca", path)) => authority = Some(path.to_owned()),
            Some(("demo", _)) => break,
            _ => {}
        }
    }
    let authority = authority.unwrap();
    assert_eq!(
        authority,
        folder.path("home/.local/state/graph-photo-proxy/ca.pem")
    );
    let address = address.unwrap().parse().unwrap();
    let stream = tls::connect(
        address,
        "localhost",
        tls::client(tls::roots(&authority)),
        &[b"h2"],
    );
    let request = Request::get("https://localhost/v1.0/me/photo/$value").body(Full::default());
    let answer = tls::send(stream.await.unwrap(), request.unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let log = BufReader::new(program.0.stderr.take().unwrap());
    let advice = log
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("development certificate"));
    let advice = advice.unwrap();
    for part in [
        "localhost, 127.0.0.1, ::1",
        &format!("NODE_EXTRA_CA_CERTS={authority}"),
        "SSL_CERT_FILE=",
        "REQUESTS_CA_BUNDLE=",
        &format!("curl --cacert {authority}"),
    ] {
        assert!(advice.contains(part), "{advice}");
    }
}
