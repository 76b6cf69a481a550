//! The day played before a simulated Graph: through the proxy, or straight to it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graph_photo_proxy::app::App;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::config::Config;
use graph_photo_proxy::demo::{Fault, Graph, Person, RetryAfter, Settings, TokenSpec, mark};
use graph_photo_proxy::proxy::Proxy;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Outcome;
use super::causes::Causes;
use super::trace::{Face, Page, Trace, What};

/// Requests a browser has under way at once.
const LANES: usize = 6;
/// Parts of a batch, at most.
const PARTS: usize = 20;

/// What stands between the page and Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    Nothing,
    /// The proxy under this sharing policy.
    Proxy(&'static str),
    /// The proxy under `tenant`, asking for the names in the directory.
    WithNames,
}

/// What the day came to.
#[derive(Debug, Default)]
pub(crate) struct Day {
    pub(crate) views: u64,
    /// About photos, parts of batches among them.
    pub(crate) calls: u64,
    /// A batch is one.
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) downloads: u64,
    pub(crate) throttled: u64,
    pub(crate) missing: u64,
    /// Of these, faces that had been shown to the same caller before, and whose token was proven.
    pub(crate) missing_though_held: u64,
    /// Pictures of anybody but the person asked for.
    pub(crate) wrong: u64,
    /// Photo calls after Graph had said wait, and before the wait was over.
    pub(crate) in_wait: u64,
    /// Of pictures, in seconds, sorted.
    pub(crate) staleness: Vec<u64>,
    pub(crate) causes: Causes,
}

/// One answer, as far as it counts.
struct Told {
    face: Face,
    status: StatusCode,
    mark: Option<(String, u64)>,
}

/// Who lives there, for both the trace and the replay.
pub(crate) struct People {
    pub(crate) all: Vec<Person>,
    /// Who has a photo when the day begins: seven in ten.
    pub(crate) photos: Vec<bool>,
}

impl People {
    pub(crate) fn of(graph: &Graph) -> Self {
        let all: Vec<Person> = graph.tenant().members().cloned().collect();
        let mut photos: Vec<bool> = all.iter().map(|person| person.photo.is_some()).collect();
        let wanted = photos.len() * 7 / 10;
        let mut have = photos.iter().filter(|has| **has).count();
        for has in &mut photos {
            if have < wanted && !*has {
                *has = true;
                have += 1;
            }
        }
        Self { all, photos }
    }
}

/// A Graph of about so many people on a clock by hand, with the limits it documents.
pub(crate) fn graph(people: usize, clock: &Clock) -> Outcome<Graph> {
    Ok(Graph::bind(Settings {
        clock: clock.clone(),
        people,
        concurrency: Some(4),
        quota: Some((10_000, Duration::from_mins(10))),
        ..Settings::default()
    })?)
}

struct Stage {
    way: Way,
    graph: Graph,
    clock: Clock,
    people: Arc<People>,
    /// Who is meant by an id or a name.
    owners: HashMap<String, usize>,
    tokens: Vec<Option<String>>,
    /// Since when which upload of whom is there.
    uploads: Vec<Vec<(u64, u64)>>,
    /// What has been shown to whom: to a viewer, or to a token.
    shown: HashSet<(usize, Face)>,
    by_token: bool,
}

#[derive(Clone)]
enum Way {
    Straight(Box<Client<HttpConnector, Full<Bytes>>>, String),
    Proxy(Proxy),
}

/// Plays the day. At each time of `waits` Graph says wait, for a minute; at the second of three
/// it answers 503 instead, and at the third not at all.
pub(crate) async fn play(
    trace: &Trace,
    size: usize,
    between: Between,
    waits: &[u64],
) -> Outcome<Day> {
    let clock = Clock::by_hand();
    let graph = graph(size, &clock)?;
    let people = Arc::new(People::of(&graph));
    let way = match between {
        Between::Nothing => Way::Straight(
            Box::new(Client::builder(TokioExecutor::new()).build_http()),
            graph.base_url(),
        ),
        Between::Proxy(_) | Between::WithNames => {
            let (sharing, names) = match between {
                Between::Proxy(sharing) => (sharing, "false"),
                _ => ("tenant", "true"),
            };
            let settings = [
                ("listen", "127.0.0.1:0"),
                ("admin", "off"),
                ("upstream", &graph.base_url()),
                ("sharing", sharing),
                ("ask_names", names),
            ];
            let app = App::bind_with(Config::with(settings)?, clock.clone())?;
            Way::Proxy(app.proxy().clone())
        }
    };
    let named = people.all.iter().enumerate();
    let owners = named.flat_map(|(at, one)| [(one.id.clone(), at), (one.upn.clone(), at)]);
    let mut stage = Stage {
        way,
        owners: owners.collect(),
        shown: HashSet::new(),
        by_token: matches!(between, Between::Nothing | Between::Proxy("token")),
        uploads: vec![Vec::new(); people.all.len()],
        tokens: vec![None; trace.tokens],
        graph,
        clock,
        people,
    };
    stage.begin();
    stage.play(trace, waits).await
}

impl Stage {
    fn begin(&mut self) {
        let people = Arc::clone(&self.people);
        for (owner, has) in people.photos.iter().enumerate() {
            let first = people.all.get(owner).and_then(|person| person.photo);
            match first {
                Some(_) => self.came(owner, 1, 0),
                None if *has => self.upload(owner, 0),
                None => {}
            }
        }
    }

    fn came(&mut self, owner: usize, number: u64, at: u64) {
        if let Some(uploads) = self.uploads.get_mut(owner) {
            uploads.push((number, at));
        }
    }

    fn upload(&mut self, owner: usize, at: u64) {
        if let Some(person) = self.people.all.get(owner) {
            let number = self.graph.upload(&person.id);
            self.came(owner, number, at);
        }
    }

    async fn play(mut self, trace: &Trace, waits: &[u64]) -> Outcome<Day> {
        let mut day = Day::default();
        let (mut elapsed, mut uploads) = (0, trace.uploads.iter().peekable());
        let (mut waits, mut waiting_until, mut told) = (waits.iter().peekable(), 0, false);
        let mut troubles = 0;
        let sent = self.graph.bytes_sent();
        for page in &trace.pages {
            while let Some((at, owner)) = uploads.next_if(|(at, _)| *at <= page.at) {
                self.upload(*owner, *at);
                day.causes.changed(*owner, *at);
            }
            self.clock.advance(Duration::from_secs(page.at - elapsed));
            elapsed = page.at;
            if page.at >= waiting_until {
                self.graph.clear_faults();
            }
            if waits.next_if(|at| **at <= page.at).is_some() {
                let wait = Duration::from_mins(1);
                (waiting_until, told) = (page.at + wait.as_secs(), false);
                troubles += 1;
                match troubles % 3 {
                    1 => self.graph.throttle_for(wait, RetryAfter::Seconds),
                    2 => self.graph.on("/", Fault::Status(503)),
                    _ => self.graph.on("/", Fault::Close),
                }
            }
            if let Way::Proxy(proxy) = &self.way {
                proxy.rooms().maintain();
            }
            self.graph.clear_seen();
            let proven = day.causes.is_proven(page);
            for answer in self.open(page).await? {
                self.judge(&answer, page, proven, &mut day);
            }
            self.settle().await;
            let waiting = page.at < waiting_until;
            let calls = self.graph.photo_calls();
            if waiting && told {
                day.in_wait += calls;
            }
            told |= waiting && self.graph.throttled() > 0;
            let seen = self.graph.seen();
            let names = seen.iter().filter(|one| one.path.ends_with("/users"));
            day.calls += calls + names.count() as u64;
            day.requests += self.graph.count();
            day.downloads += self.graph.downloads();
            day.causes.add(page, &seen, &self.owners);
        }
        day.bytes = self.graph.bytes_sent() - sent;
        day.staleness.sort_unstable();
        Ok(day)
    }

    /// Waits for what was asked behind answers.
    async fn settle(&self) {
        let Way::Proxy(proxy) = &self.way else {
            return;
        };
        for _ in 0..1_000 {
            tokio::time::sleep(Duration::from_micros(300)).await;
            let standings = proxy.rooms().questions.gate().standings(self.clock.now());
            if standings.iter().all(|one| one.in_flight + one.queued == 0) {
                return;
            }
        }
    }

    async fn open(&mut self, page: &Page) -> Outcome<Vec<Told>> {
        let person = self.people.all.get(page.viewer).ok_or("no such viewer")?;
        let slot = self.tokens.get_mut(page.token).ok_or("no such token")?;
        let graph = &self.graph;
        let token = slot.get_or_insert_with(|| graph.issue(TokenSpec::of(person)));
        let bearer: Arc<str> = format!("Bearer {token}").into();
        let mut lanes = JoinSet::new();
        let (width, lane_count) = if page.batch { (PARTS, 1) } else { (1, LANES) };
        let pieces: Vec<Vec<Face>> = page.faces.chunks(width).map(<[Face]>::to_vec).collect();
        for lane in 0..lane_count {
            let mine: Vec<Vec<Face>> = pieces
                .iter()
                .skip(lane)
                .step_by(lane_count)
                .cloned()
                .collect();
            let (way, people) = (self.way.clone(), Arc::clone(&self.people));
            let (bearer, batch) = (Arc::clone(&bearer), page.batch);
            lanes.spawn(async move {
                let mut told = Vec::new();
                for faces in mine {
                    if batch {
                        told.extend(way.batch(&faces, &bearer, &people).await?);
                    } else {
                        for face in faces {
                            told.push(way.single(face, &bearer, &people).await?);
                        }
                    }
                }
                Outcome::Ok(told)
            });
        }
        let mut told = Vec::with_capacity(page.faces.len());
        while let Some(lane) = lanes.join_next().await {
            told.extend(lane??);
        }
        Ok(told)
    }

    fn judge(&mut self, answer: &Told, page: &Page, proven: bool, day: &mut Day) {
        let now = page.at;
        let whose = if self.by_token {
            page.token
        } else {
            page.viewer
        };
        if answer.status == StatusCode::OK {
            self.shown.insert((whose, answer.face));
        } else if proven && self.shown.contains(&(whose, answer.face)) {
            day.missing_though_held += 1;
        }
        day.views += 1;
        day.throttled += u64::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
        let owner = answer.face.owner;
        let uploads = self.uploads.get(owner).map_or(&[][..], Vec::as_slice);
        day.missing += u64::from(!uploads.is_empty() && answer.status != StatusCode::OK);
        let Some((whose, shown)) = &answer.mark else {
            return;
        };
        let asked_for = self
            .people
            .all
            .get(owner)
            .is_some_and(|one| one.id == *whose);
        day.wrong += u64::from(!asked_for);
        let newer = uploads.iter().find(|(number, _)| number > shown);
        day.staleness
            .push(newer.map_or(0, |(_, since)| now - since));
    }
}

impl Way {
    async fn send(&self, request: Request<Full<Bytes>>) -> Outcome<(StatusCode, Bytes)> {
        match self {
            Self::Straight(client, _) => {
                // Without an answer the page shows what it shows without a photo.
                let Ok(answer) = client.request(request).await else {
                    return Ok((StatusCode::BAD_GATEWAY, Bytes::new()));
                };
                let status = answer.status();
                Ok((status, answer.into_body().collect().await?.to_bytes()))
            }
            Self::Proxy(proxy) => {
                let answer = proxy.answer(request).await;
                let status = answer.status();
                Ok((status, answer.into_body().collect().await?.to_bytes()))
            }
        }
    }

    fn base(&self) -> &str {
        match self {
            Self::Straight(_, base) => base,
            Self::Proxy(_) => "",
        }
    }

    async fn single(&self, face: Face, bearer: &str, people: &People) -> Outcome<Told> {
        let target = format!("{}/v1.0{}", self.base(), path(face, people)?);
        let request = Request::get(target)
            .header(header::AUTHORIZATION, bearer)
            .body(Full::default())?;
        let (status, bytes) = self.send(request).await?;
        Ok(told(face, status, &bytes))
    }

    async fn batch(&self, faces: &[Face], bearer: &str, people: &People) -> Outcome<Vec<Told>> {
        let mut requests = Vec::with_capacity(faces.len());
        for (id, face) in faces.iter().enumerate() {
            let url = path(*face, people)?;
            requests.push(json!({"id": id.to_string(), "method": "GET", "url": url}));
        }
        let body = json!({ "requests": requests }).to_string();
        let request = Request::post(format!("{}/v1.0/$batch", self.base()))
            .header(header::AUTHORIZATION, bearer)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let (status, bytes) = self.send(request).await?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let Some(parts) = answer.get("responses").and_then(Value::as_array) else {
            return Ok(faces.iter().map(|face| told(*face, status, b"")).collect());
        };
        let mut all = Vec::with_capacity(faces.len());
        for part in parts {
            let id = part.get("id").and_then(Value::as_str).unwrap_or_default();
            let face = id.parse().ok().and_then(|id: usize| faces.get(id));
            let status = part.get("status").and_then(Value::as_u64).unwrap_or(0);
            let text = part.get("body").and_then(Value::as_str).unwrap_or_default();
            let status = StatusCode::from_u16(u16::try_from(status)?)?;
            let bytes = STANDARD.decode(text).unwrap_or_default();
            all.push(told(*face.ok_or("an id of nobody")?, status, &bytes));
        }
        Ok(all)
    }
}

fn told(face: Face, status: StatusCode, bytes: &[u8]) -> Told {
    let mark = mark(bytes).map(|mark| (mark.owner, mark.upload));
    Told { face, status, mark }
}

fn path(face: Face, people: &People) -> Outcome<String> {
    let person = people.all.get(face.owner).ok_or("no such person")?;
    let name = if face.by_name {
        &person.upn
    } else {
        &person.id
    };
    Ok(match face.what {
        What::Small => format!("/users/{name}/photos/48x48/$value"),
        What::Large => format!("/users/{name}/photo/$value"),
        What::Metadata => format!("/users/{name}/photo"),
    })
}
