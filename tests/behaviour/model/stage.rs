//! Where a story is played: the simulated Graph, the real proxy before it, and a caller for
//! every part, all on sockets.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::config::Config;
use graph_photo_proxy::demo::{
    self, Absent, Fault, Generation, Graph, Person, RetryAfter, Settings, TokenSpec, faces,
};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::task::JoinHandle;

use super::oracle::{self, Asked, Credential, Got, Ledger, Moment, Picture, Policy};
use super::reading::{self, Tags};
use super::step::{
    Act, Backend, Caller, Change, Condition, Conditional, Held, Meanwhile, Name, Owner, Place,
    Read, Scene, Spoil, Step, Story, Subject, View, Who, Write,
};
use crate::support::Proxy;

const LIFETIME: Duration = Duration::from_secs(3_900);
const MEMBER: &str = "b79fbf4d-3ef9-4689-8143-76b194e85509";
const ELSEWHERE: &str = "5d3b2f14-90a7-4f43-8f59-0d7c7c1c9a11";

/// The tags of uploads, which depend on nothing that differs from story to story but this key.
type TagKey = (Backend, String, u64, u32);
static TAGS: LazyLock<Mutex<HashMap<TagKey, String>>> = LazyLock::new(Mutex::default);

/// Plays a story from beginning to end.
pub(super) async fn play(policy: Policy, story: &Story) -> Result<(), String> {
    let stage = Arc::new(Stage::set(policy, story.scene));
    for (number, step) in story.steps.iter().enumerate() {
        stage.learn_tags().await;
        stage
            .step(step)
            .await
            .map_err(|why| format!("step {number}, {step:?}: {why}"))?;
    }
    Ok(())
}

pub(super) struct Stage {
    scene: Scene,
    graph: Graph,
    proxy: Proxy,
    clock: Clock,
    direct: Client<HttpConnector, Full<Bytes>>,
    auditor: String,
    contacts_auditor: String,
    ledger: Mutex<Ledger>,
    /// The token each caller holds now, and how many before.
    tokens: Mutex<HashMap<Caller, (String, usize)>>,
    tags: Mutex<Tags>,
}

/// A request that is under way.
enum Under {
    Read(JoinHandle<Result<Asked, String>>),
    Write(JoinHandle<Result<Asked, String>>),
    Left,
}

impl Stage {
    fn set(policy: Policy, scene: Scene) -> Self {
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

    /// Gives everybody their first photo and token.
    fn cast(&self) {
        let first: Vec<(Subject, String)> = self
            .ledger()
            .ids
            .iter()
            .map(|(subject, id)| (*subject, id.clone()))
            .collect();
        for (subject, id) in first {
            if subject == Subject::Person(Who::Carol) {
                self.ledger().show(subject, None);
                continue;
            }
            let upload = self.graph.upload_sized(&id, 96);
            self.ledger()
                .show(subject, Some(Picture { upload, side: 96 }));
        }
        for caller in [
            Caller::Alice,
            Caller::AliceAgain,
            Caller::AliceBriefly,
            Caller::AliceNarrow,
            Caller::Bob,
            Caller::BobElsewhere,
            Caller::Carol,
            Caller::Gus,
            Caller::GusDisguised,
            Caller::App,
            Caller::TeamApp,
            Caller::AliceOfElsewhere,
            Caller::Pat,
            Caller::Quinn,
            Caller::Misaddressed,
        ] {
            self.sign_in(caller, 0);
        }
    }

    fn sign_in(&self, caller: Caller, times: usize) {
        let person = |who| person(&self.graph, who);
        let alice = "User.ReadWrite.All Group.ReadWrite.All TeamSettings.ReadWrite.All \
                     Contacts.ReadWrite";
        let bob = "User.ReadBasic.All User.ReadWrite Group.Read.All Team.ReadBasic.All \
                   Contacts.Read";
        let lifetime = match caller {
            Caller::AliceBriefly => Duration::from_secs(240),
            _ => LIFETIME,
        };
        let spec = match caller {
            Caller::Alice | Caller::AliceAgain | Caller::AliceBriefly => {
                TokenSpec::of(&person(Who::Alice)).with(alice)
            }
            Caller::AliceNarrow => TokenSpec::of(&person(Who::Alice))
                .with("User.Read")
                .from_app("0ce3f5a1-5d6e-4b59-9b0e-1c0a6fd3b001"),
            Caller::Bob => TokenSpec::of(&person(Who::Bob)).with(bob),
            Caller::BobElsewhere => TokenSpec::of(&person(Who::Bob))
                .with(bob)
                .from_app("0ce3f5a1-5d6e-4b59-9b0e-1c0a6fd3b002"),
            Caller::Carol => TokenSpec::of(&person(Who::Carol)).with("User.Read.All"),
            Caller::Gus => TokenSpec::of(&person(Who::Gus)),
            Caller::GusDisguised => TokenSpec::of(&person(Who::Gus))
                .claim("wids", json!([MEMBER]))
                .claim("acct", json!(0))
                .claim("idp", json!(null)),
            Caller::App => TokenSpec::application(),
            Caller::TeamApp => TokenSpec::application()
                .with("Team.ReadBasic.All")
                .from_app("0ce3f5a1-5d6e-4b59-9b0e-1c0a6fd3b003"),
            Caller::AliceOfElsewhere => TokenSpec::of(&person(Who::Alice))
                .with(alice)
                .in_tenant(ELSEWHERE)
                .claim("upn", json!(person(Who::Bob).upn)),
            Caller::Pat => TokenSpec::of(&person(Who::Pat)),
            Caller::Quinn => TokenSpec::of(&person(Who::Quinn)),
            Caller::Misaddressed => TokenSpec::of(&person(Who::Alice))
                .with(alice)
                .for_audience("https://elsewhere.example"),
            Caller::Forged | Caller::Nobody | Caller::BobThenAlice | Caller::AliceSpaced => return,
        };
        let token = self.graph.issue(spec.lasting(lifetime));
        if caller == Caller::Alice {
            let forged = forge(&token);
            self.tokens().insert(Caller::Forged, (forged, times));
        }
        self.tokens().insert(caller, (token, times));
        if caller != Caller::Misaddressed {
            self.ledger().issue((caller, times), lifetime);
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Caller, (String, usize)>> {
        self.tokens.lock().unwrap()
    }

    /// Asks Graph itself for the tags of new uploads.
    async fn learn_tags(&self) {
        let subjects: Vec<(Subject, Picture, String)> = {
            let ledger = self.ledger();
            let all = ledger.ids.iter();
            all.filter_map(|(subject, id)| Some((*subject, ledger.picture(*subject)?, id.clone())))
                .collect()
        };
        for (subject, picture, id) in subjects {
            let key = (
                self.scene.graph,
                format!("{id}{}", self.scene.tag_per_size),
                picture.upload,
                picture.side,
            );
            let known = TAGS.lock().unwrap().get(&key).cloned();
            let tag = match known {
                Some(tag) => Some(tag),
                None => self.ask_directly(subject, &id).await,
            };
            if let Some(tag) = tag {
                self.tags
                    .lock()
                    .unwrap()
                    .saw(&tag, subject, picture.upload, None);
                TAGS.lock().unwrap().insert(key, tag);
            }
        }
    }

    async fn ask_directly(&self, subject: Subject, id: &str) -> Option<String> {
        let (path, token) = match subject {
            Subject::Person(_) => (format!("/users/{id}"), &self.auditor),
            Subject::Group(_) => (format!("/groups/{id}"), &self.auditor),
            Subject::Contact(whose, _) => {
                let whose = self.id(Subject::Person(whose));
                (
                    format!("/users/{whose}/contacts/{id}"),
                    &self.contacts_auditor,
                )
            }
            Subject::Stranger => return None,
        };
        let request = Request::get(format!("{}/v1.0{path}/photo", self.graph.base_url()))
            .header("authorization", format!("Bearer {token}"))
            .body(Full::default())
            .unwrap();
        let reply = self.direct.request(request).await.unwrap();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&body).ok()?;
        Some(json.get("@odata.mediaEtag")?.as_str()?.to_owned())
    }

    fn id(&self, subject: Subject) -> String {
        match subject {
            Subject::Stranger => "77777777-1111-2222-3333-444444444444".to_owned(),
            known => self.ledger().ids.get(&known).unwrap().clone(),
        }
    }

    async fn step(self: &Arc<Self>, step: &Step) -> Result<(), String> {
        match step {
            Step::One(act) => {
                let all = vec![Meanwhile::Begin(*act, 0)];
                self.together(Held::Nothing, &all, false).await
            }
            Step::Together(held, acts) => self.together(*held, acts, false).await,
            Step::Spoilt(spoil, reads) => {
                let (fault, wait) = fault(*spoil);
                self.graph.next(fault);
                if let Some(wait) = wait {
                    self.ledger().throttle(wait);
                }
                if spoil.is_failure() {
                    self.ledger().fail();
                }
                let acts: Vec<Meanwhile> = reads
                    .iter()
                    .map(|read| Meanwhile::Begin(Act::Read(*read), 0))
                    .collect();
                let done = self.together(Held::Nothing, &acts, true).await;
                self.graph.clear_faults();
                done
            }
        }
    }

    async fn together(
        self: &Arc<Self>,
        held: Held,
        acts: &[Meanwhile],
        spoilt: bool,
    ) -> Result<(), String> {
        let hold = match held {
            Held::Nothing => None,
            Held::Everything => Some(self.graph.hold()),
            Held::LikeThis(read) => Some(self.graph.hold_on(&self.path(&read))),
        };
        let began = self.ledger().now();
        let mut under = Vec::new();
        let mut writing = HashSet::new();
        for act in acts {
            let turns = match act {
                Meanwhile::Begin(act, turns) => {
                    under.extend(self.begin(act, spoilt, &mut writing));
                    *turns
                }
                Meanwhile::LetOneGo(turns) => {
                    if let Some(hold) = &hold {
                        hold.release_one();
                    }
                    *turns
                }
                Meanwhile::Leave(place) => {
                    if let Some(one) = under.get_mut(*place)
                        && let Under::Read(task) = &*one
                    {
                        task.abort();
                        *one = Under::Left;
                    }
                    0
                }
            };
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        }
        drop(hold);
        let mut asked = Vec::new();
        for one in under {
            match one {
                Under::Read(task) | Under::Write(task) => {
                    asked.push(task.await.map_err(panicked)??);
                }
                Under::Left => {}
            }
        }
        if held != Held::Nothing {
            self.ledger().throttle_if_since(began);
        }
        asked.sort_by_key(|asked| asked.ended);
        for asked in asked {
            let mut ledger = self.ledger();
            if asked.judged {
                ledger
                    .judge(&asked)
                    .map_err(|why| format!("{:?} got {why}", asked.read))?;
            }
            ledger.remember(&asked);
        }
        Ok(())
    }

    fn begin(
        self: &Arc<Self>,
        act: &Act,
        spoilt: bool,
        writing: &mut HashSet<Subject>,
    ) -> Option<Under> {
        // Two things are never quite at one time. All of these in a story are no second.
        self.clock.advance(Duration::from_millis(1));
        match act {
            Act::Change(change) => {
                self.change(*change, writing);
                None
            }
            Act::Read(read) => {
                let stage = Arc::clone(self);
                let (request, sent, credential) = self.read_request(read);
                let read = *read;
                let began = self.ledger().moment();
                Some(Under::Read(tokio::spawn(async move {
                    stage
                        .read(read, request, sent, credential, began, spoilt)
                        .await
                })))
            }
            Act::Write(write) => {
                let subject = oracle::subject(write.owner, write.caller)?;
                if subject == Subject::Stranger || !writing.insert(subject) {
                    return None;
                }
                let stage = Arc::clone(self);
                let write = *write;
                let (token, credential) = self.token(write.caller);
                let picture = write.side.map(|side| Picture {
                    upload: self.ledger().uploads(subject) + 1,
                    side,
                });
                let began = self.ledger().write_begins(subject, picture);
                Some(Under::Write(tokio::spawn(async move {
                    stage.write(write, subject, token, credential, began).await
                })))
            }
        }
    }

    fn change(&self, change: Change, writing: &HashSet<Subject>) {
        match change {
            Change::Revoke(caller) => {
                let (token, credential) = self.token(caller);
                if let (Some(token), Some(credential)) = (token, credential) {
                    self.graph.revoke(&token);
                    self.ledger().revoke(credential);
                }
            }
            Change::Renew(caller) => {
                let times = self.tokens().get(&caller).map(|(_, times)| times + 1);
                if let Some(times) = times {
                    self.sign_in(caller, times);
                }
            }
            Change::Forbid(who, subject) => {
                let (person, owner) = (self.id(Subject::Person(who)), self.id(subject));
                self.graph.forbid(&person, &owner);
                self.ledger().forbid(who, subject);
            }
            Change::Forgive => {
                self.graph.forgive();
                self.ledger().forgive();
            }
            Change::Upload(subject, side) if !writing.contains(&subject) => {
                let upload = self.graph.upload_sized(&self.id(subject), side);
                self.ledger().show(subject, Some(Picture { upload, side }));
            }
            Change::Remove(subject) if !writing.contains(&subject) => {
                self.graph.remove_photo(&self.id(subject));
                self.ledger().show(subject, None);
            }
            Change::Upload(..) | Change::Remove(_) => {}
            Change::Later(seconds) => {
                self.clock.advance(Duration::from_secs(seconds));
                self.ledger().later(seconds);
            }
            Change::Housekeeping => self.proxy.rooms.maintain(),
            Change::Throttle(seconds) => {
                self.graph
                    .throttle_for(Duration::from_secs(seconds), RetryAfter::Seconds);
                self.ledger().throttle(seconds);
            }
        }
    }

    /// The token a caller shows now.
    fn token(&self, caller: Caller) -> (Option<String>, Option<Credential>) {
        let holder = match caller {
            Caller::BobThenAlice => Caller::Bob,
            Caller::AliceSpaced => Caller::Alice,
            other => other,
        };
        match self.tokens().get(&holder) {
            Some((token, times)) => (Some(token.clone()), Some((holder, *times))),
            None => (None, None),
        }
    }

    fn read_request(
        &self,
        read: &Read,
    ) -> (Request<Full<Bytes>>, Option<String>, Option<Credential>) {
        let (token, credential) = self.token(read.caller);
        let method = if read.head { Method::HEAD } else { Method::GET };
        let mut request = self.proxy.request(method, &self.path(read), "");
        if let Some(token) = token {
            let space = match read.caller {
                Caller::AliceSpaced => "  ",
                _ => " ",
            };
            request = request.header("authorization", format!("Bearer{space}{token}"));
            if read.caller == Caller::BobThenAlice {
                let (alice, _) = self.token(Caller::Alice);
                request = request.header("authorization", format!("Bearer {}", alice.unwrap()));
            }
        }
        let accept = match read.view {
            View::Bare => "application/json;odata.metadata=none",
            View::Full => "application/json;odata.metadata=full",
            _ => "*/*",
        };
        request = request.header("accept", accept);
        let subject = oracle::subject(read.owner, read.caller).unwrap_or(Subject::Stranger);
        let tags = self.tags.lock().unwrap();
        let tag = match read.condition {
            Condition::LastTag => tags.last_of(subject, read.size),
            Condition::ForeignTag => tags.last_of_another(subject),
            Condition::AnyTag => Some("*".to_owned()),
            _ => None,
        };
        drop(tags);
        if let Some(tag) = &tag {
            request = request.header("if-none-match", tag);
        }
        request = match read.condition {
            Condition::FirstBytes => request.header("range", "bytes=0-99"),
            Condition::LastBytes => request.header("range", "bytes=-70"),
            Condition::NoStore => request.header("cache-control", "no-store, no-cache"),
            _ => request,
        };
        (request.body(Full::default()).unwrap(), tag, credential)
    }

    async fn read(
        &self,
        read: Read,
        request: Request<Full<Bytes>>,
        sent: Option<String>,
        credential: Option<Credential>,
        began: Moment,
        spoilt: bool,
    ) -> Result<Asked, String> {
        let reply = self.proxy.try_sending(request).await;
        let ended = self.ledger().moment();
        let (judged, got) = match &reply {
            Err(_) if spoilt => (false, Got::Status(502)),
            Err(error) => return Err(format!("{read:?} got no whole answer: {error}")),
            Ok(reply) if spoilt && reading::is_spoilt(reply, read.head) => {
                (false, Got::Status(reply.status.as_u16()))
            }
            Ok(reply) => {
                super::count(reply);
                let mut tags = self.tags.lock().unwrap();
                let got = reading::read(&read, reply, sent.as_deref(), &self.ledger(), &mut tags)
                    .map_err(|why| format!("{read:?} got {why}\n{reply:?}"))?;
                (true, got)
            }
        };
        Ok(Asked {
            read,
            credential,
            began,
            ended,
            got,
            spoilt,
            judged,
        })
    }

    async fn write(
        &self,
        write: Write,
        subject: Subject,
        token: Option<String>,
        credential: Option<Credential>,
        began: Moment,
    ) -> Result<Asked, String> {
        let read = Read {
            caller: write.caller,
            owner: write.owner,
            view: View::Media,
            size: None,
            beta: write.beta,
            head: false,
            condition: Condition::None,
        };
        let method = match write.side {
            Some(_) => Method::PUT,
            None => Method::DELETE,
        };
        let body = write
            .side
            .map(|side| faces::jpeg("an upload", 1, side))
            .unwrap_or_default();
        let path = self.path(&read);
        let request = self
            .proxy
            .request(method, &path, &token.unwrap_or_default())
            .header("content-type", "image/jpeg")
            .body(Full::new(body))
            .unwrap();
        let reply = self
            .proxy
            .try_sending(request)
            .await
            .map_err(|error| format!("{write:?} got no answer: {error}"))?;
        let mut ledger = self.ledger();
        let ended = ledger.moment();
        ledger.write_ends(subject, ended, reply.status.is_success());
        if reply.status.is_server_error() {
            return Err(format!("{write:?} got {}", reply.status));
        }
        let forever_bad = matches!(write.caller, Caller::Forged | Caller::AliceOfElsewhere);
        if reply.status.is_success() && forever_bad {
            return Err(format!("{write:?} got {}", reply.status));
        }
        Ok(Asked {
            read,
            credential,
            began,
            ended,
            // A write that is refused says nothing of reads.
            got: Got::Status(match reply.status.as_u16() {
                401 => 401,
                _ => 204,
            }),
            spoilt: false,
            judged: false,
        })
    }

    fn path(&self, read: &Read) -> String {
        let version = if read.beta { "/beta" } else { "/v1.0" };
        let user = |who, name| format!("users/{}", self.name(who, name));
        let owner = match read.owner {
            Owner::Me => "me".to_owned(),
            Owner::Person(who, name) => user(who, name),
            Owner::Group(group) => format!("groups/{}", self.id(Subject::Group(group))),
            Owner::Team(group, place) => {
                let id = self.id(Subject::Group(group));
                match place {
                    Place::Teams => format!("teams/{id}"),
                    Place::Team => format!("team/{id}"),
                    Place::GroupTeam => format!("groups/{id}/team"),
                    Place::Joined => format!("me/joinedTeams/{id}"),
                }
            }
            Owner::Contact(whose, number, path, folder) => {
                let mailbox = path.map_or("me".to_owned(), |name| user(whose, name));
                let person = person(&self.graph, whose);
                let contact = self
                    .graph
                    .tenant()
                    .contacts_of(&person)
                    .nth(number)
                    .unwrap();
                let folder = if folder {
                    format!("/contactFolders/{}", contact.folder)
                } else {
                    String::new()
                };
                format!("{mailbox}{folder}/contacts/{}", contact.id)
            }
            Owner::Stranger => format!("users/{}", self.id(Subject::Stranger)),
        };
        let photo = match read.size {
            Some(side) => format!("photos/{side}x{side}"),
            None => "photo".to_owned(),
        };
        let rest = match read.view {
            View::Media => format!("{photo}/$value"),
            View::Metadata | View::Bare | View::Full => photo,
            View::Selected => format!("{photo}?$select=id"),
            View::List => "photos".to_owned(),
        };
        format!("{version}/{owner}/{rest}")
    }

    fn name(&self, who: Who, name: Name) -> String {
        let person = person(&self.graph, who);
        match name {
            Name::Id => person.id,
            Name::IdInCapitals => person.id.to_ascii_uppercase(),
            Name::Upn => person.upn.replace('#', "%23"),
            Name::UpnInCapitals => person.upn.to_ascii_uppercase().replace('#', "%23"),
            Name::UpnTwice => person.upn.replace('#', "%2523"),
        }
    }
}

fn person(graph: &Graph, who: Who) -> Person {
    let tenant = graph.tenant();
    let found = match who {
        Who::Alice => tenant.members().next(),
        Who::Bob => tenant.members().nth(1),
        Who::Carol => tenant.members().nth(2),
        Who::Gus => tenant.guests().next(),
        Who::Pat => tenant.personal().next(),
        Who::Quinn => tenant.personal().nth(1),
    };
    found.unwrap().clone()
}

fn ids(graph: &Graph) -> HashMap<Subject, String> {
    let mut ids = HashMap::new();
    for who in [
        Who::Alice,
        Who::Bob,
        Who::Carol,
        Who::Gus,
        Who::Pat,
        Who::Quinn,
    ] {
        ids.insert(Subject::Person(who), person(graph, who).id);
    }
    for (number, group) in graph.tenant().groups.iter().enumerate() {
        ids.insert(Subject::Group(number), group.id.clone());
    }
    for whose in [Who::Alice, Who::Bob] {
        let person = person(graph, whose);
        for (number, contact) in graph.tenant().contacts_of(&person).enumerate() {
            ids.insert(Subject::Contact(whose, number), contact.id.clone());
        }
    }
    ids
}

/// The same claims under another signature.
fn forge(token: &str) -> String {
    let last = if token.ends_with('A') { 'B' } else { 'A' };
    let mut forged = token.to_owned();
    forged.pop();
    forged.push(last);
    forged
}

/// What the simulator does for a word of a story, and for how long it thereby throttles.
fn fault(spoil: Spoil) -> (Fault, Option<u64>) {
    match spoil {
        Spoil::Error500 => (Fault::Status(500), None),
        Spoil::Unavailable => (Fault::RetryAfter(503, "7".to_owned()), Some(7)),
        Spoil::Throttled => (Fault::RetryAfter(429, "2.5".to_owned()), Some(3)),
        Spoil::CutShort => (Fault::CutBody(300), None),
        Spoil::SaysMore => (Fault::DeclareMore(9), None),
        Spoil::Closed => (Fault::Close, None),
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

fn panicked(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| "a check failed".to_owned()),
        Err(error) => error.to_string(),
    }
}
