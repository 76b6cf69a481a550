//! What each room takes of a hit, in nanoseconds and allocations.
//!
//! `cargo bench --bench rooms`; words choose benches by name. The same request as in
//! `benches/hits`: a photo of one of 1,000 owners, a token of 1,800 bytes. `whole` is all of them
//! together, without the listener. Where there are more, they are asked for in an order that the
//! processor cannot foresee, so that each is a way to memory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box};
use graph_photo_proxy::app::App;
use graph_photo_proxy::cache::keep::Answered;
use graph_photo_proxy::cache::{Authority, Cache, Held, Key, Kind, Lookup, Place};
use graph_photo_proxy::clock::{Clock, Time};
use graph_photo_proxy::config::Config;
use graph_photo_proxy::identity::{Space, Subject};
use graph_photo_proxy::render::{Answer, Asked, Body, CacheStatus, Outcome, Shape, Wire};
use graph_photo_proxy::route::{self, Guid, ObjectId, PhotoOwner, PhotoRequest, Recognition, View};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Empty;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const OWNERS: usize = 1_000;
/// Goes to one after another of as many as there are in an order of its own: a prime.
const STRIDE: usize = 611_953;

fn main() {
    divan::main();
}

fn target(owner: usize) -> String {
    format!("/v1.0/users/{owner:08x}-1234-4567-89ab-0123456789ab/photos/48x48/$value")
}

fn request(target: &str, token: &str) -> Request<Empty<Bytes>> {
    Request::get(target)
        .header(header::HOST, "localhost")
        .header(header::ACCEPT, "*/*")
        .header(header::USER_AGENT, "app")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Empty::new())
        .expect("a request")
}

fn token(nth: usize) -> String {
    format!("{nth:06}{}", "aZ3-_".repeat(360))
}

/// The proxy with every photo held, and its upstream.
struct World {
    runtime: Runtime,
    app: App,
    upstream: String,
}

impl World {
    fn new() -> Self {
        Self::of(OWNERS)
    }

    fn of(owners: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let upstream = format!("http://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || graph(stream));
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let settings = [
            ("listen", "127.0.0.1:0"),
            ("admin", "off"),
            ("cache_memory", "4GiB"),
            ("proofs", "1000000"),
            ("upstream", upstream.as_str()),
        ];
        let config = Config::with(settings).expect("settings");
        let app = runtime
            .block_on(async { App::bind_with(config, Clock::by_hand()) })
            .expect("the proxy");
        runtime.block_on(async {
            for owner in 0..owners {
                app.proxy().answer(request(&target(owner), &token(0))).await;
            }
        });
        Self {
            runtime,
            app,
            upstream,
        }
    }

    /// The key under which one of the photos is held.
    fn key(&self, owner: usize) -> Key {
        let rooms = self.app.rooms();
        let request = request(&target(owner), &token(0));
        let caller = rooms.identity.caller(request.headers(), rooms.clock.now());
        let caller = caller.expect("a token");
        let photo = recognised(request.method(), request.uri(), request.headers());
        let authority = format!("{}/", self.upstream);
        Key {
            partition: rooms.identity.own_partition(&caller),
            owner: photo.owner,
            view: photo.view,
            size: photo.size,
            variant: photo.variant,
            version: photo.version,
            authority: Authority::of(&authority),
        }
    }

    fn held(&self, key: &Key) -> Held {
        let rooms = self.app.rooms();
        match rooms.cache.lookup(key, key.partition, rooms.clock.now()) {
            Lookup::Fresh(held) => held,
            other => unreachable!("it was stored: {other:?}"),
        }
    }
}

/// Graph, as far as it is needed.
fn graph(stream: TcpStream) -> Option<()> {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(600)));
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nETag: \"0123456789abcdef\"\r\n\
                        Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 2000\r\n\r\n";
            let answer = [head.as_bytes(), &[7; 2_000]].concat();
            writer.write_all(&answer).ok()?;
        }
    }
}

fn recognised(method: &Method, target: &Uri, headers: &HeaderMap) -> PhotoRequest {
    match route::recognise(method, target, headers, false) {
        Recognition::Read(photo) => photo,
        other => unreachable!("it is a photo: {other:?}"),
    }
}

#[divan::bench(args = ["id", "name", "metadata", "other"])]
fn recognise(bencher: Bencher<'_, '_>, what: &str) {
    let target = match what {
        "id" => target(1),
        "name" => "/v1.0/users/someone@company.example/photo/$value".to_owned(),
        "metadata" => "/v1.0/me/photo?$select=id,width".to_owned(),
        _ => "/v1.0/me/messages?$top=10".to_owned(),
    };
    let request = request(&target, &token(0));
    bencher.bench_local(|| {
        route::recognise(
            black_box(request.method()),
            request.uri(),
            request.headers(),
            false,
        )
    });
}

/// The caller of a token that Graph has accepted, one of so many.
#[divan::bench(args = [1, 1_000, 100_000], sample_size = 16, sample_count = 2_000)]
fn credential(bencher: Bencher<'_, '_>, tokens: usize) {
    let world = World::of(1);
    let rooms = world.app.rooms();
    let now = rooms.clock.now();
    for nth in 0..tokens {
        let request = request(&target(0), &token(nth));
        let caller = rooms.identity.caller(request.headers(), now);
        let caller = caller.expect("a token");
        let proof = rooms.identity.accepted(&caller, now, now);
        assert!(proof.is_some(), "nothing speaks against it");
    }
    // Each is seen once more when all are accepted.
    for nth in 0..tokens {
        let _ = rooms
            .identity
            .caller(request(&target(0), &token(nth)).headers(), now);
    }
    let mut nth = 0;
    bencher
        .with_inputs(|| {
            nth = (nth + STRIDE) % tokens;
            request(&target(0), &token(nth))
        })
        .bench_local_refs(|request| rooms.identity.caller(black_box(request.headers()), now));
}

#[divan::bench]
fn credential_unknown(bencher: Bencher<'_, '_>) {
    let world = World::of(1);
    let rooms = world.app.rooms();
    let request = request(&target(0), &token(1));
    let now = rooms.clock.now();
    bencher.bench_local(|| rooms.identity.caller(black_box(request.headers()), now));
}

/// What is held under a key, one of so many.
#[divan::bench(args = [1_000, 100_000], sample_size = 16, sample_count = 2_000)]
fn lookup(bencher: Bencher<'_, '_>, owners: usize) {
    let world = World::of(1);
    let rooms = world.app.rooms();
    let (now, first) = (rooms.clock.now(), world.key(0));
    let keys: Vec<Key> = (0..owners).map(|owner| key_of(&first, owner)).collect();
    for (owner, key) in keys.iter().enumerate() {
        keep(&rooms.cache, key, owner, now);
        rooms.cache.lookup(key, key.partition, now);
    }
    let mut nth = 0;
    bencher
        .with_inputs(|| {
            nth = (nth + STRIDE) % owners;
            keys.get(nth).expect("one of them").clone()
        })
        .bench_local_refs(|key| rooms.cache.lookup(black_box(key), key.partition, now));
}

/// The same key for another owner.
fn key_of(first: &Key, owner: usize) -> Key {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(owner as u64).to_be_bytes());
    Key {
        owner: PhotoOwner::User(ObjectId::Guid(Guid(id))),
        view: View::Metadata,
        ..first.clone()
    }
}

/// Holds metadata under a key.
fn keep(cache: &Cache, key: &Key, owner: usize, now: Time) {
    let PhotoOwner::User(id) = &key.owner else {
        return;
    };
    let place = Place {
        own: key.partition,
        subject: Subject::User(id.clone()),
        space: Space::Tenant(Guid([1; 16])),
        view: View::Metadata,
        current: None,
        keys: vec![key.clone()],
    };
    let body =
        format!(r#"{{"@odata.mediaContentType":"image/jpeg","id":"{owner:08}","width":240}}"#);
    let mut fields = HeaderMap::new();
    let json = HeaderValue::from_static("application/json");
    fields.insert(header::CONTENT_TYPE, json);
    let answered = Answered {
        status: StatusCode::OK,
        fields: &fields,
        bytes: body.into(),
        asked: now,
        born: cache.doubts.born(),
    };
    let kept = cache.keep(&place, Kind::Json, answered, None, now);
    assert_eq!(kept.not_stored, None);
}

fn render<S: Shape>(bencher: Bencher<'_, '_>) {
    let world = World::new();
    let rooms = world.app.rooms();
    let held = world.held(&world.key(0));
    let request = request(&target(0), &token(0));
    let now = rooms.clock.now();
    bencher.bench_local(|| {
        let outcome = Outcome {
            answer: Answer::Held(held.clone()),
            status: CacheStatus::hit(),
        };
        let asked = Asked {
            headers: request.headers(),
            head: false,
            key: None,
        };
        outcome.reply::<S>(asked, &rooms.ids, black_box(now))
    });
}

#[divan::bench]
fn render_for_hyper(bencher: Bencher<'_, '_>) {
    render::<Response<Body>>(bencher);
}

#[divan::bench]
fn render_as_bytes(bencher: Bencher<'_, '_>) {
    render::<Wire>(bencher);
}

#[divan::bench]
fn whole(bencher: Bencher<'_, '_>) {
    let world = World::new();
    let targets: Vec<String> = (0..OWNERS).map(target).collect();
    let token = token(0);
    let mut targets = targets.iter().cycle();
    bencher
        .with_inputs(|| request(targets.next().expect("a cycle has no end"), &token))
        .bench_local_values(|request| world.runtime.block_on(world.app.proxy().answer(request)));
}
