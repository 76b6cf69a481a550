//! The way out: the egress proxy, and settings that cannot work.

use super::*;
use crate::upstream::SetupError;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// An egress proxy that takes one pair of credentials and leads every tunnel to `graph`.
pub(super) async fn egress_to(graph: SocketAddr) -> Graph {
    Graph::serving(move |_, mut wire| async move {
        let head = wire.request().await.unwrap();
        if !head.contains("\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n") {
            wire.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                .await;
            return;
        }
        let mut far = TcpStream::connect(graph).await.unwrap();
        wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .await;
        let _ = tokio::io::copy_bidirectional(&mut wire.stream, &mut far).await;
    })
    .await
}

pub(super) fn by_proxy(base: &str, proxy: &Graph) -> Config {
    Config {
        proxy: Some(
            format!("http://user:p%40ss@{}", proxy.address)
                .parse()
                .unwrap(),
        ),
        ..config(base)
    }
}

#[tokio::test]
async fn the_egress_proxy_is_given_its_credentials_and_graph_is_not() {
    let graph = Graph::answering(OK).await;
    let proxy = egress_to(graph.address).await;
    let upstream = Upstream::new(&by_proxy("http://graph.test", &proxy)).unwrap();
    let answer = upstream.forward(get("/me")).await.unwrap();
    assert_eq!(body_of(answer).await, "hi");
    let connect = "CONNECT graph.test:80 HTTP/1.1\r\nHost: graph.test:80\r\n\
                   Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n";
    assert_eq!(proxy.seen(), [connect]);
    assert_eq!(
        graph.seen(),
        ["GET /me HTTP/1.1\r\nhost: graph.test\r\n\r\n"]
    );
}

#[tokio::test]
async fn an_egress_proxy_that_refuses_is_no_connection() {
    let graph = Graph::answering(OK).await;
    let proxy = egress_to(graph.address).await;
    let config = Config {
        proxy: Some(format!("http://{}", proxy.address).parse().unwrap()),
        ..config("https://graph.test")
    };
    let error = Upstream::new(&config)
        .unwrap()
        .forward(get("/"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Connect(_)));
    assert_eq!(graph.connections(), 0);
}

#[tokio::test]
async fn hosts_of_no_proxy_and_loopback_are_reached_directly() {
    let graph = Graph::answering(OK).await;
    let proxy = egress_to(graph.address).await;
    let base = format!("http://{}", graph.address);
    for (no_proxy, for_loopback, tunnels) in [
        (None, false, 0),
        (Some("example.com, 127.0.0.0/8"), true, 0),
        (Some("*"), true, 0),
        (Some("example.com"), true, 1),
    ] {
        let config = Config {
            no_proxy: no_proxy.map(Into::into),
            proxy_for_loopback: for_loopback,
            ..by_proxy(&base, &proxy)
        };
        let upstream = Upstream::new(&config).unwrap();
        upstream.forward(get("/")).await.unwrap();
        assert_eq!(proxy.connections(), tunnels, "{no_proxy:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_given_up() {
    // The proxy takes the connection and says nothing.
    let proxy = Graph::serving(|_, wire| async move { drop(wire.rest().await) }).await;
    let config = Config {
        connect_timeout: Duration::from_millis(100),
        ..by_proxy("https://graph.test", &proxy)
    };
    let upstream = Upstream::new(&config).unwrap();
    let error = soon(upstream.forward(get("/"))).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error:?}");
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let refused = |config: Config| Upstream::new(&config).unwrap_err();
    for base in [
        "/",
        "graph.test",
        "ftp://graph.test",
        "https://u@graph.test",
        "https://g.test/v1.0",
    ] {
        assert!(matches!(refused(config(base)), SetupError::Base), "{base}");
    }
    for proxy in [
        "https://proxy.test",
        "proxy.test:3128",
        "socks5://proxy.test",
    ] {
        let config = Config {
            proxy: Some(proxy.parse().unwrap()),
            ..config("http://graph.test")
        };
        assert!(matches!(refused(config), SetupError::Proxy), "{proxy}");
    }
    let missing = Config {
        ca_file: Some("/nowhere/roots.pem".into()),
        ..config("https://graph.test")
    };
    assert!(matches!(refused(missing), SetupError::CaFile(_)));
    let not_pem = Config {
        ca_file: Some("/dev/null".into()),
        ..config("https://graph.test")
    };
    assert!(matches!(refused(not_pem), SetupError::CaFileEmpty));
}

#[test]
fn settings_shown_for_debugging_hide_the_proxys_password() {
    let config = Config {
        proxy: Some("http://user:hunter2@proxy.test".parse().unwrap()),
        ..config("https://graph.test")
    };
    assert!(!format!("{config:?}").contains("hunter2"));
}
