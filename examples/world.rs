//! A simulated Graph and the proxy before it, for trying clients that are not written in Rust.
//!
//! Prints one line of JSON: addresses, a CA file, a token, and who lives there. Answers on a
//! control address: `/count` says what Graph has been asked, `/clear` begins to count anew,
//! `/end` ends. Everything ends with standard input, too.

mod certificates;

use std::error::Error;
use std::io::{self, Write as _};
use std::sync::Arc;

use graph_photo_proxy::app::App;
use graph_photo_proxy::config::Config;
use graph_photo_proxy::demo::{Graph, Settings, Tenant, TokenSpec};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What every scenario of the clients' tests needs.
const PERMISSIONS: &str = "User.ReadWrite User.ReadWrite.All Group.ReadWrite.All \
                           Team.ReadBasic.All Contacts.ReadWrite";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::temp_dir().join(format!("graph-photo-proxy-{}", std::process::id()));
    std::fs::create_dir_all(&place)?;
    let tls = certificates::write(&place)?;
    let graph = Graph::start(Settings {
        tls: Some(Arc::new(tls)),
        people: 120,
        ..Settings::default()
    });
    let file = |name: &str| place.join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let upstream = format!("https://localhost:{}", graph.address().port());
    let app = App::bind(Config::with([
        ("listen", "127.0.0.1:0"),
        ("tls_listen", "127.0.0.1:0"),
        ("tls_cert", &cert),
        ("tls_key", &key),
        ("admin", "off"),
        ("upstream", &upstream),
        ("upstream_ca", &ca),
        ("upstream_concurrency", "64"),
    ])?)?;
    let address = |name: &str| {
        let found = app.addresses().iter().find(|(key, _)| *key == name);
        let (_, url) = found.expect("both listeners are configured");
        url.replace("127.0.0.1", "localhost")
    };
    let control = TcpListener::bind("127.0.0.1:0").await?;
    let mut world = described(&graph);
    for (key, value) in [
        ("graph", upstream.clone()),
        ("proxy", address("tls_listen")),
        ("plain", address("listen")),
        ("ca", ca.clone()),
        ("control", format!("http://{}", control.local_addr()?)),
    ] {
        world.insert(key.to_owned(), Value::from(value));
    }
    writeln!(io::stdout(), "{}", Value::Object(world))?;
    let stop = obey(control, graph);
    app.run(stop).await?;
    std::fs::remove_dir_all(&place)?;
    Ok(())
}

/// Who lives there, and a token that may see and change all of it.
fn described(graph: &Graph) -> serde_json::Map<String, Value> {
    let tenant: &Tenant = graph.tenant();
    let people: Vec<_> = tenant.with_photo().collect();
    let me = people.first().expect("a tenant has people with photos");
    let group = tenant
        .groups
        .iter()
        .find(|one| !one.team && one.photo.is_some());
    let contact = tenant.contacts_of(me).find(|one| one.photo.is_some());
    let token = || graph.issue(TokenSpec::of(me).with(PERMISSIONS));
    let world = json!({
        "token": token(),
        "tokens": [token(), token(), token(), token()],
        "tenant": tenant.id,
        "me": me.id,
        "people": people.iter().map(|one| json!({"id": one.id, "upn": one.upn, "name": one.name})).collect::<Vec<_>>(),
        "faceless": tenant.without_photo().map(|one| json!({"id": one.id, "upn": one.upn, "name": one.name})).collect::<Vec<_>>(),
        "group": group.map(|one| &one.id),
        "team": tenant.teams().find(|one| one.photo.is_some()).map(|one| &one.id),
        "contact": contact.map(|one| &one.id),
        "folder": contact.map(|one| &one.folder),
    });
    match world {
        Value::Object(world) => world,
        _ => serde_json::Map::new(),
    }
}

/// Answers on the control address until told to end.
async fn obey(control: TcpListener, graph: Graph) {
    while let Ok((mut stream, _)) = control.accept().await {
        let mut head = [0; 1024];
        let read = stream.read(&mut head).await.unwrap_or(0);
        let head = String::from_utf8_lossy(head.get(..read).unwrap_or_default()).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default();
        if path == "/clear" {
            graph.clear_seen();
        }
        let body = json!({
            "calls": graph.count(),
            "photoCalls": graph.photo_calls(),
            "downloads": graph.downloads(),
        })
        .to_string();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        if path == "/end" {
            break;
        }
    }
}
