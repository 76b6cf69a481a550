//! Callers of all sorts on one kept connection: whoever asks, the answer is to that very request.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use graph_photo_proxy::demo::{TokenSpec, mark};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::World;
use crate::support::attack::{forged, segment};
use crate::support::wire::{Message, Wire, soon};

/// How many people share the connection; the second may not see the third.
const PEOPLE: usize = 4;
const BLIND: (usize, usize) = (1, 2);

/// What a caller shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Credential {
    Good,
    /// Graph took it back after it was used.
    Ended,
    /// Graph took it back before.
    NeverGood,
    Forged,
    None,
}

/// What is asked of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Photo,
    Small,
    Metadata,
}

#[derive(Debug, Clone)]
struct Ask {
    who: usize,
    credential: Credential,
    /// `None` is `/me`.
    owner: Option<usize>,
    by_name: bool,
    wanted: Wanted,
    method: &'static str,
    field: Field,
    plain: bool,
}

#[derive(Debug, Clone, Copy)]
enum Field {
    No,
    /// With the tag of that person's picture.
    Tag(usize),
    Range(&'static str),
    NoCache,
}

#[derive(Debug, Clone)]
enum Step {
    /// All sent at once, but for a cut so far into it.
    Asks(Vec<Ask>, usize),
    Upload(usize),
    Later(u64),
}

fn ask() -> impl Strategy<Value = Ask> {
    let credential = prop_oneof![
        6 => Just(Credential::Good),
        1 => Just(Credential::Ended),
        1 => Just(Credential::NeverGood),
        1 => Just(Credential::Forged),
        1 => Just(Credential::None),
    ];
    let wanted = prop_oneof![
        3 => Just(Wanted::Photo),
        2 => Just(Wanted::Small),
        1 => Just(Wanted::Metadata),
    ];
    let method = prop_oneof![8 => Just("GET"), 1 => Just("HEAD"), 1 => Just("PUT")];
    let field = prop_oneof![
        6 => Just(Field::No),
        1 => (0..PEOPLE).prop_map(Field::Tag),
        1 => prop::sample::select(vec!["0-", "0-99999999", "99999999-"]).prop_map(Field::Range),
        1 => Just(Field::NoCache),
    ];
    let owner = prop::option::weighted(0.7, 0..PEOPLE);
    let who = (0..PEOPLE, credential, owner, any::<bool>());
    (who, wanted, method, field, any::<bool>()).prop_map(
        |((who, credential, owner, by_name), wanted, method, field, plain)| Ask {
            who,
            credential,
            owner,
            by_name,
            wanted,
            method,
            field,
            plain,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (prop::collection::vec(ask(), 1..2), Just(usize::MAX)).prop_map(|(asks, cut)| Step::Asks(asks, cut)),
        4 => (prop::collection::vec(ask(), 1..5), 0..2_000_usize).prop_map(|(asks, cut)| Step::Asks(asks, cut)),
        1 => (0..PEOPLE).prop_map(Step::Upload),
        2 => prop::sample::select(vec![1, 9, 600, 4_000]).prop_map(Step::Later),
    ];
    prop::collection::vec(step, 30..70)
}

/// The world, the one connection, and what has been seen on it.
struct Stage {
    world: World,
    wire: Wire,
    tokens: HashMap<(usize, Credential), String>,
    /// Whose picture each tag was seen on, and the latest of each.
    tags: HashMap<String, HashSet<usize>>,
    latest: HashMap<usize, String>,
    asked: u64,
    hits: usize,
}

impl Stage {
    async fn start() -> Self {
        let world = World::start().await;
        let wire = Wire::to(world.proxy.address).await;
        let (blind, hidden) = (world.person(BLIND.0), world.person(BLIND.1));
        world.graph.forbid(&blind.id, &hidden.id);
        let mut tokens = HashMap::new();
        for who in 0..PEOPLE {
            let long = Duration::from_hours(10_000);
            let issue = || {
                let spec = TokenSpec::of(&world.person(who)).lasting(long);
                world.graph.issue(&spec)
            };
            let [good, ended, never] = [issue(), issue(), issue()];
            tokens.insert((who, Credential::Forged), forged(&good));
            tokens.insert((who, Credential::Good), good);
            world.get("/v1.0/me/photo/$value", &ended).await;
            for taken_back in [&ended, &never] {
                world.graph.revoke(taken_back);
            }
            tokens.insert((who, Credential::Ended), ended);
            tokens.insert((who, Credential::NeverGood), never);
        }
        Self {
            world,
            wire,
            tokens,
            tags: HashMap::new(),
            latest: HashMap::new(),
            asked: 0,
            hits: 0,
        }
    }

    /// The request in bytes, with an id of its own, and the tag it shows.
    fn request(&mut self, ask: &Ask) -> (String, String, Option<String>) {
        self.asked += 1;
        let id = format!("q-{}", self.asked);
        let owner = match ask.owner {
            None => "me".to_owned(),
            Some(n) => {
                let person = self.world.person(n);
                let name = if ask.by_name {
                    segment(&person.upn)
                } else {
                    person.id
                };
                format!("users/{name}")
            }
        };
        let what = match ask.wanted {
            Wanted::Photo => "photo/$value",
            Wanted::Small => "photos/48x48/$value",
            Wanted::Metadata => "photo",
        };
        let token = self.tokens.get(&(ask.who, ask.credential));
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let tag = match ask.field {
            Field::Tag(of) => self.latest.get(&of).cloned(),
            Field::No | Field::Range(_) | Field::NoCache => None,
        };
        let field = match ask.field {
            Field::No => String::new(),
            Field::Tag(_) => format!(
                "If-None-Match: {}\r\n",
                tag.as_deref().unwrap_or("\"none\"")
            ),
            Field::Range(range) => format!("Range: bytes={range}\r\n"),
            Field::NoCache => "Cache-Control: no-cache\r\n".to_owned(),
        };
        let token = token.unwrap_or_default();
        let fields = format!("Host: p\r\nclient-request-id: {id}\r\n{token}{field}");
        let (before, body) = match (ask.method, ask.plain) {
            ("PUT", true) => ("", "Content-Length: 1\r\n\r\nx"),
            ("PUT", false) => ("", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
            (_, true) => ("", "\r\n"),
            (_, false) => ("\r\n", "Connection: keep-alive\r\n\r\n"),
        };
        let line = format!("{} /v1.0/{owner}/{what} HTTP/1.1", ask.method);
        (format!("{before}{line}\r\n{fields}{body}"), id, tag)
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Upload(of) => {
                self.world.graph.upload(&self.world.person(*of).id);
            }
            Step::Later(seconds) => self.world.later(Duration::from_secs(*seconds)),
            Step::Asks(asks, cut) => {
                let requests: Vec<_> = asks.iter().map(|ask| self.request(ask)).collect();
                let bytes: String = requests.iter().map(|(bytes, ..)| &**bytes).collect();
                let (first, rest) = bytes.split_at((*cut).min(bytes.len()));
                for part in [first, rest] {
                    self.wire.send(part).await;
                    tokio::task::yield_now().await;
                }
                for (ask, (_, id, tag)) in asks.iter().zip(&requests) {
                    let answer = soon(self.wire.answer(ask.method)).await;
                    self.judge(ask, id, tag.as_deref(), &answer.unwrap());
                }
            }
        }
    }

    fn judge(&mut self, ask: &Ask, id: &str, tag: Option<&str>, answer: &Message) {
        let said = format!("{ask:?}\n{} {:?}", answer.line, answer.fields);
        for echoed in answer.values("client-request-id") {
            assert!(!echoed.starts_with("q-") || echoed == id, "{id}: {said}");
        }
        let owner = ask.owner.unwrap_or(ask.who);
        let status = answer.status();
        let shown = mark(&answer.body).map(|mark| mark.owner);
        let refusal = match ask.credential {
            Credential::Good if (ask.who, owner) == BLIND => Some(403),
            Credential::Forged | Credential::NeverGood | Credential::None => Some(401),
            Credential::Good => None,
            Credential::Ended => (status == 401).then_some(401),
        };
        if ask.method == "PUT" {
            assert!(shown.is_none() && status != 304, "{said}");
            return;
        }
        if let Some(refusal) = refusal {
            assert_eq!((status, shown), (refusal, None), "{said}");
            return;
        }
        if answer.values("cache-status").concat().contains("; hit") {
            self.hits += 1;
        }
        match (status, ask.wanted) {
            (304, _) => {
                let whose = tag.and_then(|tag| self.tags.get(tag));
                assert!(whose.is_some_and(|whose| whose.contains(&owner)), "{said}");
            }
            (416, _) => assert!(matches!(ask.field, Field::Range("99999999-")), "{said}"),
            (200 | 206, Wanted::Photo | Wanted::Small) => {
                for tag in answer.values("etag") {
                    let whose = self.tags.entry(tag.to_owned()).or_default();
                    whose.insert(owner);
                    self.latest.insert(owner, tag.to_owned());
                }
                if ask.method == "GET" {
                    assert_eq!(shown, Some(self.world.person(owner).id), "{said}");
                }
            }
            (200 | 206, Wanted::Metadata) => {
                let text = answer.text();
                assert!(shown.is_none(), "{said}");
                for other in (0..PEOPLE).filter(|other| *other != owner) {
                    let other = self.world.person(other);
                    assert!(!text.contains(&other.id), "{said}\n{text}");
                    assert!(!text.contains(&other.upn), "{said}\n{text}");
                }
            }
            _ => panic!("{said}"),
        }
    }
}

#[test]
fn whoever_asks_on_one_connection_gets_the_answer_to_that_very_request() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(40)
    });
    let hits = std::cell::Cell::new(0);
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let mut stage = Stage::start().await;
            for step in &steps {
                stage.take(step).await;
            }
            hits.set(hits.get() + stage.hits);
        });
        Ok(())
    });
    outcome.unwrap();
    assert!(hits.get() > 100, "{} hits", hits.get());
}
