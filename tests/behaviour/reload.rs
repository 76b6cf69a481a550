//! Other settings for a running proxy: what can change live does, and no request is lost by it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use graph_photo_proxy::config::Config;
use http::Method;
use http_body_util::Full;

use crate::support::{World, raw};

fn photo(world: &World, n: usize) -> String {
    format!("/v1.0/users/{}/photo/$value", world.person(n).id)
}

/// Gives the world's proxy these settings, on top of the harness' own.
fn reload(world: &World, settings: &[(&str, &str)]) -> Vec<&'static str> {
    let config = Config::with(settings.iter().copied()).expect("good settings");
    world.proxy.reloader.reload(&config).taken
}

#[tokio::test]
async fn a_narrower_policy_holds_at_once_for_what_is_held_already() {
    let world = World::with(&[("sharing", "tenant")], |_| {}).await;
    let (first, second) = (world.token(0), world.token(1));
    for path in [photo(&world, 2), photo(&world, 3)] {
        world.get(&path, &first).await;
    }
    world.get(&photo(&world, 4), &second).await;
    assert!(world.get(&photo(&world, 2), &second).await.is_hit());
    assert_eq!(reload(&world, &[("sharing", "verified")]), ["sharing"]);
    for path in [photo(&world, 2), photo(&world, 3)] {
        let reply = world.get(&path, &second).await;
        assert!(reply.went_to_graph(), "{reply:?}");
        assert_eq!(reply.status, 200);
    }
    assert_eq!(reload(&world, &[("sharing", "token")]), ["sharing"]);
    let again = world.token(1);
    let reply = world.get(&photo(&world, 2), &again).await;
    assert!(reply.went_to_graph(), "{reply:?}");
}

#[tokio::test]
async fn what_graph_refused_under_one_policy_is_not_shown_under_another() {
    for (wide, narrow) in [("verified", "token"), ("token", "verified")] {
        let world = World::with(&[("sharing", wide)], |_| {}).await;
        let token = world.token(0);
        let path = photo(&world, 2);
        assert_eq!(world.get(&path, &token).await.status, 200);
        reload(&world, &[("sharing", narrow)]);
        world.graph.forbid(&world.person(0).id, &world.person(2).id);
        assert_eq!(world.get(&path, &token).await.status, 403);
        reload(&world, &[("sharing", wide)]);
        let reply = world.get(&path, &token).await;
        assert_eq!(reply.status, 403, "{wide}, {narrow}: {reply:?}");
    }
}

#[tokio::test]
async fn who_waits_for_a_shared_answer_asks_alone_once_sharing_has_ended() {
    let world = World::with(&[("sharing", "tenant")], |_| {}).await;
    let (first, second) = (world.token(0), world.token(1));
    for token in [&first, &second] {
        world.get(&photo(&world, 3), token).await;
    }
    world.graph.clear_seen();
    let path = photo(&world, 2);
    let hold = world.graph.hold_on(&path);
    let asking = world.get(&path, &first);
    let ending = async {
        let waiting = world.get(&path, &second);
        let narrowing = async {
            world.waiting(1).await;
            reload(&world, &[("sharing", "verified")]);
            hold.release();
        };
        tokio::join!(waiting, narrowing).0
    };
    let (asked, waited) = tokio::join!(asking, ending);
    assert_eq!((asked.status.as_u16(), waited.status.as_u16()), (200, 200));
    assert_eq!(world.graph.photo_calls(), 2, "{waited:?}");
}

#[tokio::test]
async fn other_lifetimes_count_for_what_is_stored_from_then_on() {
    let world = World::start().await;
    let token = world.token(0);
    let taken = reload(
        &world,
        &[("photo_ttl", "1m"), ("stale_while_revalidate", "0s")],
    );
    assert_eq!(taken, ["photo_ttl", "stale_while_revalidate"]);
    let path = photo(&world, 1);
    world.get(&path, &token).await;
    world.later(Duration::from_secs(50));
    assert!(world.get(&path, &token).await.is_hit());
    world.later(Duration::from_secs(20));
    let reply = world.get(&path, &token).await;
    assert!(reply.went_to_graph(), "{reply:?}");
}

#[tokio::test]
async fn a_shorter_life_of_proofs_ends_older_ones_at_once() {
    let world = World::start().await;
    let token = world.token(0);
    let path = photo(&world, 1);
    world.get(&path, &token).await;
    world.later(Duration::from_mins(5));
    assert!(world.get(&path, &token).await.is_hit());
    assert_eq!(reload(&world, &[("proof_ttl", "1m")]), ["proof_ttl"]);
    let reply = world.get(&path, &token).await;
    assert!(reply.went_to_graph(), "{reply:?}");
}

#[tokio::test]
async fn what_callers_may_ask_for_changes_with_the_next_request_and_is_named() {
    let world = World::start().await;
    let (token, path) = (world.token(0), photo(&world, 1));
    let anew = || {
        let request = world.proxy.request(Method::GET, &path, &token);
        let request = request.header("cache-control", "no-cache");
        world.proxy.send(request.body(Full::default()).unwrap())
    };
    world.get(&path, &token).await;
    assert!(anew().await.is_hit());
    let honour = ("caller_directives", "honour");
    assert_eq!(reload(&world, &[honour]), ["caller_directives"]);
    assert!(anew().await.went_to_graph());
    // Beside another setting it changes no less, and is named no less.
    assert_eq!(
        reload(&world, &[("photo_ttl", "2h")]),
        ["photo_ttl", "caller_directives"]
    );
    assert!(anew().await.is_hit());
}

#[tokio::test]
async fn what_cannot_change_live_waits_and_is_named() {
    let world = World::start().await;
    let config = Config::with([("cache_memory", "1MiB"), ("admin", "off")]).expect("settings");
    let reloaded = world.proxy.reloader.reload(&config);
    assert!(reloaded.taken.is_empty(), "{reloaded:?}");
    assert!(reloaded.waiting.contains(&"cache_memory"), "{reloaded:?}");
    // What is left of 256 MiB for photos.
    assert_eq!(world.proxy.rooms.cache.bound(), 236 * 1024 * 1024);
}

/// The program itself, and what it says.
struct Program {
    child: Child,
    said: std::io::Lines<BufReader<std::process::ChildStderr>>,
    admin: SocketAddr,
}

impl Program {
    fn start(config: &PathBuf, notify: &PathBuf) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_graph-photo-proxy"))
            .args(["--listen=127.0.0.1:0", "--admin=127.0.0.1:0"])
            .env_clear()
            .env("GRAPH_PHOTO_PROXY_CONFIG", config)
            .env("NOTIFY_SOCKET", notify)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let said = BufReader::new(child.stderr.take().expect("piped")).lines();
        let printed = BufReader::new(child.stdout.take().expect("piped")).lines();
        let admin = printed
            .map(|line| line.expect("text"))
            .find_map(|line| line.strip_prefix("admin http://")?.parse().ok())
            .expect("it prints where the admin listener is");
        Self { child, said, admin }
    }

    /// Reads on until a line holds these words.
    fn says(&mut self, words: &str) -> String {
        let line = self
            .said
            .find_map(|line| line.ok().filter(|line| line.contains(words)));
        line.unwrap_or_else(|| panic!("it never said {words:?}"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    async fn settings(&self) -> String {
        let head = "GET /config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        raw::exchange(self.admin, head.as_bytes()).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_program_tells_its_manager_and_takes_its_file_again_at_a_hangup() {
    let folder = std::env::temp_dir().join(format!("gpp-reload-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let (config, notify) = (folder.join("proxy.toml"), folder.join("notify"));
    fs::write(&config, "photo_ttl = \"2h\"\n").expect("a file");
    let _ = fs::remove_file(&notify);
    let manager = UnixDatagram::bind(&notify).expect("a socket");
    let patience = Some(Duration::from_secs(20));
    manager.set_read_timeout(patience).expect("a timeout");
    let mut heard = [0; 32];
    let mut program = Program::start(&config, &notify);
    let length = manager.recv(&mut heard).expect("readiness");
    assert_eq!(&heard[..length], b"READY=1");
    assert!(program.settings().await.contains("2h"));

    fs::write(&config, "photo_ttl = \"3h\"\n").expect("a file");
    program.signal("-HUP");
    let line = program.says("other settings hold");
    assert!(line.contains("photo_ttl"), "{line}");
    assert!(program.settings().await.contains("3h"));

    fs::write(&config, "photo_ttl = \"soon\"\nno_such_key = 1\n").expect("a file");
    program.signal("-HUP");
    let line = program.says("the settings stay as they were");
    assert!(line.contains("photo_ttl"), "{line}");
    assert!(program.settings().await.contains("3h"));

    program.signal("-TERM");
    let length = manager.recv(&mut heard).expect("the end");
    assert_eq!(&heard[..length], b"STOPPING=1");
    assert!(program.child.wait().expect("an end").success());
    let _ = fs::remove_dir_all(&folder);
}
