//! A span for each request and each question to Graph, for whoever collects traces.
//!
//! A caller's trace is continued (W3C Trace Context): what is sent to Graph names our span as its
//! parent, and ours names the caller's. A caller who does not sample is left alone. A span holds
//! times, a status and words of the rooms' enums: no token, no target, no name, no id.
//!
//! Off, and then a request passes by a single look, unless `otlp_endpoint` is set.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};

use super::{Told, figures};
use crate::clock::{Clock, Time};
use crate::render::Forward;

/// Spans that wait for the exporter; more are dropped and counted.
const QUEUE: usize = 4_096;
/// How long the end may wait for the last export.
const LAST: Duration = Duration::from_secs(2);
const FIELD: &str = "traceparent";

/// Where spans go, if anywhere.
#[derive(Debug, Default)]
pub struct Spans {
    queue: Option<mpsc::Sender<Message>>,
    /// For the exporter, until it takes it.
    waiting: Mutex<Option<mpsc::Receiver<Message>>>,
    dropped: AtomicU64,
}

/// What the exporter is sent.
#[derive(Debug)]
pub(super) enum Message {
    Span(Span),
    /// Everything before this is to be exported now.
    Flush(oneshot::Sender<()>),
}

/// A span that has ended.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) name: &'static str,
    pub(super) asks: bool,
    pub(super) place: Place,
    pub(super) began: Time,
    pub(super) ended: Time,
    /// What was answered, if anything was.
    pub(super) status: Option<StatusCode>,
    pub(super) words: Words,
}

/// Where a span stands in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) trace: [u8; 16],
    pub(super) parent: Option<[u8; 8]>,
    pub(super) own: [u8; 8],
}

/// A span that has begun. Dropping it leaves it out.
#[derive(Debug)]
#[must_use]
pub struct Begun {
    place: Place,
    at: Time,
}

/// What is worth knowing about a photo request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) kind: Option<&'static str>,
    pub(super) view: Option<&'static str>,
    pub(super) cache: Option<&'static str>,
    pub(super) source: Option<&'static str>,
}

impl Spans {
    /// With somebody to export them, who takes them by [`Spans::take`].
    pub fn exported() -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self {
            queue: Some(queue),
            waiting: Mutex::new(Some(waiting)),
            dropped: AtomicU64::new(0),
        }
    }

    /// What is to be exported. Once.
    pub(super) fn take(&self) -> Option<mpsc::Receiver<Message>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take()
    }

    /// Begins the span of a message with these fields, which name it as the parent from then
    /// on. None where nobody collects, or the caller does not sample this trace.
    pub fn begin(&self, fields: &mut HeaderMap, clock: &Clock) -> Option<Begun> {
        self.queue.as_ref()?;
        let place = Place::under(fields)?;
        fields.insert(FIELD, place.traceparent());
        let at = clock.now();
        Some(Begun { place, at })
    }

    /// Lays what is known of a photo request beside its answer, for [`Spans::answered`].
    pub fn describe<B>(&self, answer: &mut Response<B>, told: &Told<'_>) {
        if self.queue.is_some() {
            answer.extensions_mut().insert(Words {
                kind: figures::kind(told.photo.owner.kind()),
                view: figures::view(told.photo.view),
                cache: Some(told.status.forward.map_or("hit", Forward::token)),
                source: Some(told.source.name()),
            });
        }
    }

    /// A caller has been answered.
    pub fn answered<B>(&self, begun: &Begun, answer: &Response<B>, now: Time) {
        let words = answer.extensions().get::<Words>().copied();
        let name = if words.is_some() {
            "photo"
        } else {
            "pass through"
        };
        let words = words.unwrap_or_default();
        self.end(begun, name, Some(answer.status()), words, now);
    }

    /// Graph has answered a question, or has not.
    pub fn asked(&self, begun: Option<Begun>, status: Option<StatusCode>, now: Time) {
        if let Some(begun) = begun {
            self.end(&begun, "ask graph", status, Words::default(), now);
        }
    }

    fn end(
        &self,
        begun: &Begun,
        name: &'static str,
        status: Option<StatusCode>,
        words: Words,
        now: Time,
    ) {
        let span = Span {
            name,
            asks: name == "ask graph",
            place: begun.place,
            began: begun.at,
            ended: now,
            status,
            words,
        };
        let queue = self.queue.as_ref();
        if queue.is_some_and(|queue| queue.try_send(Message::Span(span)).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Spans that found the queue full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until what has ended is exported, but not for long.
    pub async fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, exported) = oneshot::channel();
        if queue.try_send(Message::Flush(done)).is_ok() {
            let _ = tokio::time::timeout(LAST, exported).await;
        }
    }
}

impl Place {
    /// Beneath the one `traceparent` of these fields, or in a trace of its own where there is
    /// none that can be read (§4.3). None where it says that the trace is not sampled.
    fn under(fields: &HeaderMap) -> Option<Self> {
        let mut given = fields.get_all(FIELD).iter();
        let only = given.next().filter(|_| given.next().is_none());
        let read = only.and_then(|value| read(value.as_bytes()));
        if let Some((.., false)) = read {
            return None;
        }
        let mut random = [0; 24];
        rand::fill(&mut random).ok()?;
        let (own, new) = random.split_at(8);
        Some(Self {
            trace: read.map_or(new.try_into().ok()?, |(trace, ..)| trace),
            parent: read.map(|(_, parent, _)| parent),
            own: own.try_into().ok()?,
        })
    }

    /// As a field: version 00, sampled.
    fn traceparent(self) -> HeaderValue {
        let text = format!("00-{}-{}-01", hex(&self.trace), hex(&self.own));
        HeaderValue::try_from(text).expect("digits and hyphens are field content")
    }
}

/// Trace, parent and whether it is sampled (§3.2.2). Later versions may be longer.
fn read(text: &[u8]) -> Option<([u8; 16], [u8; 8], bool)> {
    let version = digits::<1>(text.get(..2)?)?;
    let whole = match version {
        [0] => text.len() == 55,
        [0xFF] => false,
        _ => text.len() == 55 || text.get(55) == Some(&b'-'),
    };
    let hyphens = [2, 35, 52].map(|at| text.get(at) == Some(&b'-'));
    let trace = digits::<16>(text.get(3..35)?)?;
    let parent = digits::<8>(text.get(36..52)?)?;
    let [flags] = digits::<1>(text.get(53..55)?)?;
    let named = trace != [0; 16] && parent != [0; 8];
    (whole && named && hyphens == [true; 3]).then_some((trace, parent, flags & 1 == 1))
}

/// So many bytes of small hexadecimal digits.
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        _ => None,
    }
}

/// As small hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn under(values: &[&'static str]) -> Option<Place> {
        let mut fields = HeaderMap::new();
        for value in values {
            fields.append(FIELD, HeaderValue::from_static(value));
        }
        Place::under(&fields)
    }

    #[test]
    fn a_trace_is_continued_where_its_one_parent_can_be_read() {
        for text in [
            PARENT,
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later",
        ] {
            let place = under(&[text]).unwrap();
            assert_eq!(hex(&place.trace), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!(place.parent.map(|id| hex(&id)).unwrap(), "00f067aa0ba902b7");
            assert_ne!(place.parent, Some(place.own));
            let ours = place.traceparent();
            let (trace, parent, sampled) = read(ours.as_bytes()).unwrap();
            assert_eq!((trace, parent, sampled), (place.trace, place.own, true));
        }
    }

    #[test]
    fn what_cannot_be_read_begins_a_trace_of_its_own() {
        for odd in [
            &[][..],
            &[PARENT, PARENT],
            &[""],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-"],
            &["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
            &["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"],
            &["00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"],
            &["00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
        ] {
            let place = under(odd).unwrap();
            assert_eq!(place.parent, None, "{odd:?}");
            assert_ne!(hex(&place.trace), "4bf92f3577b34da6a3ce929d0e0e4736");
        }
    }

    #[test]
    fn a_trace_that_is_not_sampled_is_left_alone() {
        let unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        assert_eq!(under(&[unsampled]), None);
        let mut fields = HeaderMap::new();
        fields.insert(FIELD, HeaderValue::from_static(unsampled));
        let clock = Clock::by_hand();
        assert!(Spans::exported().begin(&mut fields, &clock).is_none());
        assert_eq!(fields[FIELD], unsampled);
        fields.insert(FIELD, HeaderValue::from_static(PARENT));
        assert!(Spans::default().begin(&mut fields, &clock).is_none());
        assert_eq!(
            fields[FIELD], PARENT,
            "with nobody to collect nothing changes"
        );
    }
}
