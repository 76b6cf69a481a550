//! When certificates end is seen in time: in the figures, on the dashboard, in the log.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::support::World;
use crate::support::binary::Binary;
use crate::support::tls::Folder;

/// A pair that ends on that day, as files.
fn write(folder: &Folder, name: &str, until: (i32, u8, u8)) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(until.0, until.1, until.2);
    let certificate = params.self_signed(&key).unwrap();
    let paths = (
        folder.path(&format!("{name}.pem")),
        folder.path(&format!("{name}-key.pem")),
    );
    fs::write(&paths.0, certificate.pem()).unwrap();
    fs::write(&paths.1, key.serialize_pem()).unwrap();
    paths
}

#[tokio::test]
async fn the_end_of_each_certificate_served_is_a_figure() {
    let folder = Folder::new("ends");
    let callers = write(&folder, "callers", (2026, 11, 25));
    let world = World::with(
        &[
            ("tls_listen", "127.0.0.1:0"),
            ("tls_cert", &callers.0),
            ("tls_key", &callers.1),
            ("admin", "127.0.0.1:0"),
        ],
        |_| {},
    )
    .await;
    let admin = world.proxy.admin.unwrap();
    let asked = |path: &str| {
        let request = http::Request::get(format!("http://{admin}{path}"));
        world
            .proxy
            .send(request.body(http_body_util::Full::default()).unwrap())
    };
    let metrics = asked("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body);
    let line = "graph_photo_proxy_tls_certificate_expiration_timestamp_seconds{listener=\"tls_listen\"} 1795564800";
    assert!(text.lines().any(|found| found == line), "{text}");
    assert!(
        text.contains(
            "# UNIT graph_photo_proxy_tls_certificate_expiration_timestamp_seconds seconds"
        )
    );
    let figures = asked("/figures").await.json();
    assert_eq!(figures["certificates"]["tls_listen"], 1_795_564_800);
}

#[tokio::test]
async fn an_end_that_is_near_or_over_is_said_in_the_log_and_one_far_away_is_not() {
    let folder = Folder::new("ends-log");
    let over = write(&folder, "over", (2020, 1, 1));
    let far = write(&folder, "far", (2100, 1, 1));
    let graph = crate::support::wire::RawGraph::answering(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let binary = Binary::start(
        &graph.url(),
        &[
            ("tls_listen", "127.0.0.1:0"),
            ("tls_cert", &over.0),
            ("tls_key", &over.1),
            ("admin", "127.0.0.1:0"),
            ("admin_tls_cert", &far.0),
            ("admin_tls_key", &far.1),
        ],
    );
    let reached = crate::support::wire::Wire::to(binary.address).await;
    drop(reached);
    binary.terminate();
    let (_, log) = binary.ended().await;
    let said: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("TLS certificate"))
        .collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(
        said[0].contains("WARN") && said[0].contains("has ended"),
        "{log}"
    );
    assert!(said[0].contains("tls_listen"), "{log}");
}
