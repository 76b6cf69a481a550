//! The simulator's switches: wherever Graph's behaviour is unknown, both ways can be had.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;

/// How a simulated Graph behaves.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of its own; any mixture of them is meant"
)]
pub struct Settings {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// TLS, if the listener should speak it.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// What decides expiry, throttle windows and visibility of writes.
    pub clock: Clock,
    /// What everything invented follows from.
    pub seed: u64,
    /// About how many people the tenant has.
    pub people: usize,
    /// The service root written into JSON.
    pub service_root: String,
    /// Which generation of backend answers.
    pub generation: Generation,
    /// What `If-None-Match` with the current tag gets.
    pub conditional: Conditional,
    /// What the metadata of a missing photo looks like.
    pub absent: Absent,
    /// What `WWW-Authenticate` says.
    pub challenge: Challenge,
    /// How the length of a body is told.
    pub framing: Framing,
    /// Whether each size of one upload has a tag of its own.
    pub tag_per_size: bool,
    /// Whether `@odata.mediaEtag` keeps the `W/` of the newer backend's tags.
    pub weak_media_etag: bool,
    /// Whether `/me` is named as such in `@odata.context`, as on the seed page.
    pub context_names_me: bool,
    /// The status for a size the documentation does not know.
    pub unsupported_size: u16,
    /// Whether an application-only token may read a group's photo.
    pub applications_read_groups: bool,
    /// Whether guests may read other people's photos.
    pub guests_read_members: bool,
    /// Whether beta answers a personal account with its own photo for anybody's.
    pub own_photo_quirk: bool,
    /// Whether a missing photo inside a batch has a `null` body.
    pub batch_null_body: bool,
    /// Whether the answers of a batch come in any order: Graph promises none.
    pub batch_in_any_order: bool,
    /// Whether JSON is compressed for callers that accept gzip.
    pub gzip: bool,
    /// How many requests of one application may be in flight.
    pub concurrency: Option<usize>,
    /// How many requests one application may make about one owner, and in what time.
    pub quota: Option<(usize, Duration)>,
    /// How a 429 tells the wait.
    pub retry_after: RetryAfter,
    /// How long a write takes to show.
    pub visibility_delay: Duration,
    /// The shortest and the longest time an answer takes.
    pub latency: (Duration, Duration),
}

impl Default for Settings {
    /// Quick, unthrottled and small: for tests.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            clock: Clock::system(),
            seed: 1,
            people: 12,
            service_root: "https://graph.microsoft.com".to_owned(),
            generation: Generation::Newer,
            conditional: Conditional::NotModified,
            absent: Absent::NotFound,
            challenge: Challenge::Plain,
            framing: Framing::Alternating,
            tag_per_size: false,
            weak_media_etag: true,
            context_names_me: false,
            unsupported_size: 404,
            applications_read_groups: false,
            guests_read_members: false,
            own_photo_quirk: false,
            batch_null_body: false,
            batch_in_any_order: false,
            gzip: false,
            concurrency: None,
            quota: None,
            retry_after: RetryAfter::Seconds,
            visibility_delay: Duration::ZERO,
            latency: (Duration::ZERO, Duration::ZERO),
        }
    }
}

impl Settings {
    /// A few hundred people, and Graph's own slowness and limits: for looking at.
    pub fn demo() -> Self {
        Self {
            people: 240,
            gzip: true,
            concurrency: Some(4),
            quota: Some((10_000, Duration::from_secs(600))),
            latency: (Duration::from_millis(120), Duration::from_millis(500)),
            ..Self::default()
        }
    }
}

/// Which backend answers for photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Weak tags of 64 digits, id `default`, `ImageNotFound`; seen since 2021.
    Newer,
    /// Strong tags of 8 digits, ids such as `648X648`, plain text for a missing size.
    Older,
    /// What the seed page shows: `@odata.id`, ids by size, the 1x1 metadata.
    Documented,
}

/// What a conditional request gets when its tag is still the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditional {
    /// 304.
    NotModified,
    /// The whole photo again, under the same tag.
    SameTag,
    /// The whole photo again, under a tag never seen before.
    NewTag,
    /// The whole photo, and never any tag.
    NoTag,
}

/// What the metadata of a missing photo looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// 404.
    NotFound,
    /// 200, `image/gif`, 1x1.
    OneByOne,
}

/// What a 401 says in `WWW-Authenticate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// Where to get a token.
    Plain,
    /// The same, with the claims challenge of continuous access evaluation.
    Claims,
}

/// How the length of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One way and the other in turn.
    Alternating,
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// How a 429 or 503 tells the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Whole seconds, rounded up.
    Seconds,
    /// Seconds with three decimals.
    Fraction,
    /// An HTTP date.
    Date,
    /// Not at all.
    Absent,
}
