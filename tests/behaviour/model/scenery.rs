//! The simulated Graph and the proxy before it, as a story wants them; and what goes wrong.

use std::sync::Mutex;
use std::time::Duration;

use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::config::Config;
use graph_photo_proxy::demo::{self, Absent, Fault, Generation, Graph, Settings, TokenSpec};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::cast::ids;
use super::ledger::{Ledger, Policy};
use super::oracle;
use super::stage::Stage;
use super::step::{Backend, Conditional, Scene, Spoil};
use crate::support::Proxy;

impl Stage {
    pub(super) fn set(policy: Policy, scene: Scene) -> Self {
        let clock = Clock::by_hand();
        let graph = Graph::start(Settings {
            clock: clock.clone(),
            generation: match scene.graph {
                Backend::Newer => Generation::Newer,
                Backend::Older => Generation::Older,
                Backend::Documented => Generation::Documented,
            },
            conditional: match scene.conditional {
                Conditional::NotModified => demo::Conditional::NotModified,
                Conditional::SameTag => demo::Conditional::SameTag,
                Conditional::NewTag => demo::Conditional::NewTag,
                Conditional::NoTag => demo::Conditional::NoTag,
            },
            absent: if scene.one_by_one {
                Absent::OneByOne
            } else {
                Absent::NotFound
            },
            tag_per_size: scene.tag_per_size,
            own_photo_quirk: scene.own_photo_quirk,
            batch_in_any_order: scene.any_order,
            batch_null_body: scene.bare_parts,
            ..Settings::default()
        });
        let base = graph.base_url();
        let seconds = |seconds: u64| format!("{seconds}s");
        let mut config = Config::with([
            ("listen", "127.0.0.1:0"),
            ("admin", "off"),
            ("upstream", &base),
            ("upstream_concurrency", "64"),
            (
                "sharing",
                match policy {
                    Policy::Token => "token",
                    Policy::Verified => "verified",
                    Policy::Tenant => "tenant",
                },
            ),
            ("photo_ttl", &seconds(oracle::PHOTO_TTL)),
            ("absent_ttl", &seconds(oracle::ABSENT_TTL)),
            ("proof_ttl", &seconds(oracle::PROOF_TTL)),
            ("stale_while_revalidate", &seconds(oracle::REVALIDATE)),
            ("stale_if_error", &seconds(oracle::IF_ERROR)),
        ])
        .unwrap();
        if scene.tiny_memory {
            config.cache.memory = 20_000;
        }
        if scene.few_proofs {
            config.identity.proofs = 3;
        }
        let proxy = Proxy::run(config, clock.clone());
        let member = |n: usize| graph.tenant().members().nth(n).unwrap().clone();
        let everything = "User.ReadWrite.All Group.ReadWrite.All TeamSettings.ReadWrite.All";
        let auditor = graph.issue(
            TokenSpec::of(&member(5))
                .with(everything)
                .lasting(Duration::from_secs(1 << 30)),
        );
        let contacts_auditor = graph.issue(
            TokenSpec::application()
                .with("Contacts.Read")
                .lasting(Duration::from_secs(1 << 30)),
        );
        let stage = Self {
            scene,
            ledger: Mutex::new(Ledger::new(policy, scene, ids(&graph))),
            graph,
            proxy,
            clock,
            direct: Client::builder(TokioExecutor::new()).build_http(),
            auditor,
            contacts_auditor,
            tokens: Mutex::default(),
            tags: Mutex::default(),
        };
        stage.cast();
        stage
    }
}

/// What the simulator does for a word of a story, and for how long it thereby throttles.
pub(super) fn fault(spoil: Spoil) -> (Fault, Option<u64>) {
    match spoil {
        Spoil::Error500 => (Fault::Status(500), None),
        Spoil::Unavailable => (Fault::RetryAfter(503, "7".to_owned()), Some(7)),
        Spoil::Throttled => (Fault::RetryAfter(429, "2.5".to_owned()), Some(3)),
        Spoil::CutShort => (Fault::CutBody(300), None),
        Spoil::SaysMore => (Fault::DeclareMore(9), None),
        Spoil::Closed => (Fault::Close, None),
        Spoil::Noise => (Fault::Garbage, None),
        Spoil::CaptivePortal => (Fault::CaptiveGateway, None),
        Spoil::OtherType => (Fault::ContentType("text/plain".to_owned()), None),
        Spoil::Empty => (Fault::Empty, None),
        Spoil::NoStore => (
            Fault::Headers(vec![("cache-control", "no-store".to_owned())]),
            None,
        ),
        Spoil::Unauthorized => (Fault::Status(401), None),
        Spoil::ClaimsChallenge => (Fault::ClaimsChallenge, None),
        Spoil::Forbidden => (Fault::Status(403), None),
        Spoil::Gzip => (Fault::Gzip, None),
        Spoil::Redirect => (
            Fault::Redirect("https://elsewhere.example/".to_owned()),
            None,
        ),
    }
}
