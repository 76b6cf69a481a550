//! What is learnt of an answer that counts: that Graph accepts the token, that the caller may have
//! it, whose names are one person's, what is held from now on and what of it is another upload's.
//!
//! The caller's answer needs none of that where its token had been accepted already and nothing
//! hangs on this word about it. Then it leaves first ([`Rooms::foretold`]), and what it tells is
//! learnt in a task of its own. To everybody else the question is open until that has been done:
//! who comes meanwhile waits for it, and finds the answer held or is told it; what is written,
//! refused or purged meanwhile counts as what comes while an answer is on its way ever does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::response::Parts;

use super::Rooms;
use super::download::{Came, Turn};
use super::question::{Before, Flown, Word};
use super::told::Posed;
use super::wanted::Wanted;
use crate::cache::keep::Received;
use crate::cache::{Born, Held, admission};
use crate::clock::Time;
use crate::identity::{Caller, Proof, Space};
use crate::render::Forward;
use crate::route::{Guid, PhotoOwner, View};
use crate::upstream::Landing;

/// What an answer tells, to be learnt.
#[derive(Debug)]
pub(super) struct Lesson {
    received: Received,
    before: Before,
    /// The duty to say what came of a download.
    pub(super) turn: Option<Turn>,
    /// The answer's head, which takes a while to take apart.
    _head: Option<Parts>,
}

impl Lesson {
    /// What was received in answer to a question, with what was known before.
    pub(super) fn new(before: Before, received: Received) -> Self {
        Self {
            received,
            before,
            turn: None,
            _head: None,
        }
    }

    /// The same, to be dropped with the head of the answer: later.
    pub(super) fn and(self, head: Parts) -> Self {
        Self {
            _head: Some(head),
            ..self
        }
    }
}

impl Rooms {
    /// What the caller may be told before it is learnt, as far as is known now.
    pub(super) fn foretold(&self, wanted: &Wanted, lesson: &Lesson, now: Time) -> Option<Held> {
        let would_accept =
            self.identity
                .would_accept(&wanted.facts.caller, lesson.received.asked(), now);
        let held = self.cache.foretell(&wanted.place, &lesson.received, now);
        held.filter(|_| would_accept)
    }

    /// Learns what an answer tells, once its caller has been answered; returned is what those who
    /// wait are told.
    pub(super) fn learn_behind(
        &self,
        wanted: &Wanted,
        why: Forward,
        mut lesson: Lesson,
    ) -> Landing<Word> {
        let turn = lesson.turn.take();
        let posed = Posed {
            wanted,
            why,
            born: lesson.received.born(),
            asked: lesson.received.asked(),
        };
        let Some(flown) = self.learn(posed, lesson, self.clock.now()) else {
            return Landing::Alone;
        };
        if let Some(turn) = turn {
            turn.land(Landing::Shared(Came::of(&flown)));
        }
        flown.landing
    }

    /// Learns what an answer tells. Nothing, where Graph's word about the token has ended by our
    /// clock or been taken back meanwhile.
    pub(super) fn learn(&self, posed: Posed<'_>, lesson: Lesson, now: Time) -> Option<Flown> {
        let Posed {
            wanted,
            born,
            asked,
            ..
        } = posed;
        let Lesson {
            received, before, ..
        } = lesson;
        let (status, bytes) = (received.status(), received.bytes());
        let shown = match status {
            StatusCode::NOT_FOUND => Shown::NotFound(&bytes),
            _ => Shown::Photo(Some(&bytes)),
        };
        self.accepted(posed, shown, now)?;
        let held = before.held.as_ref();
        let kept = self.cache.keep_received(&wanted.place, received, held, now);
        if kept.not_stored.is_none() {
            self.learn_habit(wanted, &before, &kept.held, now);
            self.metadata_tells(wanted, &kept.held, born, asked, now);
            self.picture_tells(wanted, &kept.held, born, asked, now);
        }
        Some(posed.kept(kept, status, now))
    }

    /// Graph has accepted the caller's token and answered about the subject: both are noted.
    pub(super) fn accepted(
        &self,
        posed: Posed<'_>,
        shown: Shown<'_>,
        now: Time,
    ) -> Option<Arc<Proof>> {
        self.credited(posed.wanted, (posed.asked, posed.born), shown, now)
    }

    /// The same, of a question asked and born then.
    pub(super) fn credited(
        &self,
        wanted: &Wanted,
        (asked, born): (Time, Born),
        shown: Shown<'_>,
        now: Time,
    ) -> Option<Arc<Proof>> {
        let facts = &wanted.facts;
        let proof = self.identity.accepted(&facts.caller, asked, now)?;
        self.learn_names(&facts.caller, now);
        if let (View::Metadata | View::List, PhotoOwner::User(upn), Shown::Photo(Some(json))) =
            (facts.photo.view, &facts.photo.owner, shown)
            && let Some(guid) = named_in(json)
        {
            self.cache.aliases.learn(facts.space, guid, upn, asked, now);
        }
        let names = self.names(wanted, now);
        if shown.is_about_a_photo() {
            let owner = &facts.owner;
            self.identity
                .witnessed(&facts.caller, &proof, owner, &names, asked);
        }
        // Only the picture itself takes a refusal back: it may have been the picture's.
        if facts.photo.view == View::Media {
            self.cache.doubts.granted(facts.own, &names, born);
        }
        Some(proof)
    }

    /// The names of the signed-in user, from the claims of a token Graph has accepted; as old as
    /// the token, which keeps its names when the user is given others.
    ///
    /// A guest's principal name is its home tenant's, and may be somebody else's here.
    pub(super) fn learn_names(&self, caller: &Caller, now: Time) {
        let principal = caller.principal();
        if principal.is_guest() {
            return;
        }
        if let (Some(tenant), Some(user), Some(upn)) =
            (principal.tenant(), principal.user(), principal.upn())
        {
            let age = principal
                .issued()
                .map_or(0, |issued| now.unix_seconds().saturating_sub(issued));
            let told = now.minus(Duration::from_secs(age));
            self.cache
                .aliases
                .learn(Space::Tenant(tenant), user, upn, told, now);
        }
    }
}

/// What an answer that counts shows.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    /// A photo, or its JSON with these bytes.
    Photo(Option<&'a Bytes>),
    /// 404, with these bytes.
    NotFound(&'a Bytes),
}

impl Shown<'_> {
    /// Whether it tells that this caller may know of the owner's photo: "no such user" does not.
    fn is_about_a_photo(&self) -> bool {
        match self {
            Self::Photo(_) => true,
            Self::NotFound(json) => admission::says_no_photo(json),
        }
    }
}

/// The GUID of the user that Graph says a JSON answer is about: `…users('<guid>')/photo…` or
/// `…users('<guid>@<tenant>')/photo` in `@odata.id` or `@odata.context`.
fn named_in(json: &[u8]) -> Option<Guid> {
    let json: serde_json::Value = serde_json::from_slice(json).ok()?;
    ["@odata.id", "@odata.context"]
        .iter()
        .find_map(|annotation| {
            let text = json.get(annotation)?.as_str()?;
            let (_, from) = text.split_once("users('")?;
            let (name, _) = from.split_once("')/photo")?;
            Guid::parse(name.split('@').next().unwrap_or(name))
        })
}

/// What comes between an answer and its learning: no task runs before a test awaits again.
#[cfg(test)]
#[cfg(feature = "demo")]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use http::{Request, Response, header};
    use http_body_util::Empty;

    use super::*;
    use crate::app::App;
    use crate::cache::Cache;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::demo::{Graph, Settings, TokenSpec};
    use crate::identity::Subject;
    use crate::proxy::Proxy;
    use crate::render::Body;
    use crate::route::ObjectId;

    struct World {
        graph: Graph,
        proxy: Proxy,
        clock: Clock,
        token: String,
        /// Whose photo is not held, and its path.
        person: String,
        path: String,
    }

    impl World {
        /// With a token that Graph has accepted already, and a photo that is not held.
        async fn new(sharing: &str) -> Self {
            let clock = Clock::by_hand();
            let graph = Graph::start(Settings {
                clock: clock.clone(),
                ..Settings::default()
            });
            let upstream = graph.base_url();
            let settings = [
                ("listen", "127.0.0.1:0"),
                ("admin", "off"),
                ("upstream", upstream.as_str()),
                ("sharing", sharing),
            ];
            let app = App::bind_with(Config::with(settings).unwrap(), clock.clone()).unwrap();
            let members = graph.tenant().members();
            let people = members.filter(|person| graph.photo_of(&person.id).is_some());
            let people: Vec<_> = people.take(4).cloned().collect();
            let token = graph.issue(TokenSpec::of(&people[0]));
            let [person, before @ ..] = [1, 2, 3].map(|nth| people[nth].id.clone());
            let path = |id: String| format!("/v1.0/users/{id}/photo/$value");
            let (path, before) = (path(person.clone()), before.map(path));
            let world = Self {
                proxy: app.proxy().clone(),
                token,
                graph,
                clock,
                person,
                path,
            };
            for path in before {
                assert_eq!(world.ask_for(&path).await.status(), 200);
                world.learnt().await;
            }
            world.graph.clear_seen();
            world
        }

        fn request(&self) -> Request<Empty<Bytes>> {
            let authorization = format!("Bearer {}", self.token);
            let request = Request::get(&self.path).header(header::AUTHORIZATION, authorization);
            request.body(Empty::new()).unwrap()
        }

        async fn ask_for(&self, path: &str) -> Response<Body> {
            let mut request = self.request();
            *request.uri_mut() = path.parse().unwrap();
            self.send(request).await
        }

        /// As a caller does on a connection that attends to nothing else.
        async fn send(&self, mut request: Request<Empty<Bytes>>) -> Response<Body> {
            match self.proxy.at_once(&mut request) {
                Ok(answer) => answer,
                Err(unanswered) => self.proxy.go_on(request, unanswered, true).await,
            }
        }

        async fn ask(&self) -> Response<Body> {
            self.ask_for(&self.path).await
        }

        fn caller(&self) -> Caller {
            let (request, rooms) = (self.request(), self.proxy.rooms());
            let caller = rooms.identity.caller(request.headers(), self.clock.now());
            caller.unwrap()
        }

        /// Until nothing is left to be learnt.
        async fn learnt(&self) {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        }

        fn held(&self) -> u64 {
            self.proxy.rooms().cache.tidy(self.clock.now());
            self.proxy.rooms().cache.held().0
        }
    }

    fn status(answer: &Response<Body>) -> &str {
        answer.headers()["cache-status"].to_str().unwrap()
    }

    #[tokio::test]
    async fn whoever_asks_between_an_answer_and_its_learning_waits_for_the_same_question() {
        for sharing in ["token", "verified", "tenant"] {
            let world = World::new(sharing).await;
            let before = world.held();
            let first = world.ask().await;
            assert!(status(&first).contains("fwd=miss; fwd-status=200; stored"));
            assert_eq!(world.held(), before, "it has been answered first");
            let mut second = pin!(world.ask());
            let polled = poll_fn(|context| Poll::Ready(second.as_mut().poll(context))).await;
            assert!(polled.is_pending(), "{sharing}");
            let second = second.await;
            assert_eq!(second.status(), 200);
            assert!(
                status(&second).contains("; collapsed"),
                "{}",
                status(&second)
            );
            assert!(status(&world.ask().await).contains("; hit"));
            assert_eq!(world.graph.count(), 1);
        }
    }

    #[tokio::test]
    async fn whoever_looked_before_the_learning_and_asks_after_it_finds_the_answer() {
        for refused in [false, true] {
            let world = World::new("verified").await;
            assert_eq!(world.ask().await.status(), 200);
            let mut request = world.request();
            let found: Result<Response<Body>, _> = world.proxy.at_once(&mut request);
            let Err(unanswered) = found else {
                panic!("it is held already");
            };
            world.learnt().await;
            if refused {
                let (caller, now) = (world.caller(), world.clock.now());
                world
                    .proxy
                    .rooms()
                    .identity
                    .refused(&caller.credential, now);
                world.clock.advance(Duration::from_secs(1));
            }
            let answer = world.proxy.go_on(request, unanswered, true).await;
            // Not with a token that was refused since it looked.
            assert_eq!(status(&answer).contains("; hit"), !refused);
            assert_eq!(world.graph.count(), 1 + u64::from(refused));
        }
    }

    #[tokio::test]
    async fn a_refusal_between_an_answer_and_its_learning_ends_what_it_shows_about_others() {
        let world = World::new("tenant").await;
        // Somebody else's, which the colleague has been given and the tenant holds.
        let members = world.graph.tenant().members();
        let people = members.filter(|person| world.graph.photo_of(&person.id).is_some());
        let people: Vec<_> = people.skip(4).take(2).cloned().collect();
        let [colleague, other] = [0, 1].map(|nth| &people[nth]);
        let theirs = format!("Bearer {}", world.graph.issue(TokenSpec::of(colleague)));
        let path = format!("/v1.0/users/{}/photo/$value", other.id);
        let mut request = world.request();
        *request.uri_mut() = path.parse().unwrap();
        let fields = request.headers_mut();
        fields.insert(header::AUTHORIZATION, theirs.parse().unwrap());
        assert_eq!(world.send(request).await.status(), 200);
        world.learnt().await;
        assert_eq!(world.ask().await.status(), 200);
        let refused = PhotoOwner::User(ObjectId::of_user(&colleague.id));
        let (rooms, now) = (world.proxy.rooms(), world.clock.now());
        rooms.denied(&world.caller(), &refused, now);
        world.learnt().await;
        world.graph.clear_seen();
        let answer = world.ask_for(&path).await;
        assert!(!status(&answer).contains("; hit"), "{}", status(&answer));
        assert_eq!(world.graph.count(), 1);
    }

    #[tokio::test]
    async fn who_waits_while_the_cache_is_turned_off_asks_for_itself() {
        for sharing in ["token", "verified", "tenant"] {
            let world = World::new(sharing).await;
            assert_eq!(world.ask().await.status(), 200);
            let mut second = pin!(world.ask());
            let polled = poll_fn(|context| Poll::Ready(second.as_mut().poll(context))).await;
            assert!(polled.is_pending(), "{sharing}");
            world.proxy.rooms().trust.lose();
            world.proxy.rooms().cache.clear();
            let second = second.await;
            assert_eq!(second.status(), 200);
            assert!(
                !status(&second).contains("; collapsed"),
                "{}",
                status(&second)
            );
            assert_eq!(world.graph.count(), 2, "{sharing}");
        }
    }

    #[tokio::test]
    async fn what_is_written_purged_or_refused_between_an_answer_and_its_learning_counts() {
        type Between = fn(&World, &Caller);
        let cases: [(&str, Between); 5] = [
            ("a write", |world, caller| {
                let Cache {
                    doubts, aliases, ..
                } = &world.proxy.rooms().cache;
                let subject = Subject::User(ObjectId::of_user(&world.person));
                let space = subject.space(caller.principal(), caller.credential);
                doubts.written(&subject, space, aliases, world.clock.now());
            }),
            ("a purge", |world, _| {
                let cache = &world.proxy.rooms().cache;
                let _ = cache.purge_owner(&world.person, world.clock.now(), &world.clock);
            }),
            ("a purge of everything", |world, _| {
                let _ = world.proxy.rooms().cache.purge_everything();
            }),
            ("403", |world, caller| {
                let owner = PhotoOwner::User(ObjectId::of_user(&world.person));
                world
                    .proxy
                    .rooms()
                    .denied(caller, &owner, world.clock.now());
            }),
            ("401", |world, caller| {
                let identity = &world.proxy.rooms().identity;
                identity.refused(&caller.credential, world.clock.now());
            }),
        ];
        for (what, between) in cases {
            let world = World::new("verified").await;
            let before = world.held();
            let caller = world.caller();
            assert_eq!(world.ask().await.status(), 200);
            between(&world, &caller);
            world.learnt().await;
            assert!(world.held() <= before, "{what}: it is not held");
            assert!(!status(&world.ask().await).contains("; hit"), "{what}");
            assert_eq!(world.graph.count(), 2, "{what}");
        }
    }
}
