//! The figures a request touches: relaxed atomics in arrays, found by enum and never by name.
//!
//! Recording takes no lock, allocates nothing and looks no label up; names appear only when
//! somebody reads. A figure only grows, so a reader who races a request is one behind at most.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

use crate::cache::NotStored;
use crate::render::{Answer, Detail, Forward};
use crate::route::{OwnerKind, View};
use crate::upstream;

/// A figure that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Reads.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Figures side by side, by slot.
#[derive(Debug)]
pub struct Table<const N: usize>([Count; N]);

impl<const N: usize> Default for Table<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Count::default()))
    }
}

impl<const N: usize> Table<N> {
    /// Adds one to a slot.
    pub fn one(&self, slot: usize) {
        if let Some(count) = self.0.get(slot) {
            count.add(1);
        }
    }

    /// Reads a slot; one that is not there is zero.
    pub fn get(&self, slot: usize) -> u64 {
        self.0.get(slot).map_or(0, Count::get)
    }

    /// All slots together.
    pub fn sum(&self) -> u64 {
        self.0.iter().map(Count::get).sum()
    }
}

/// One figure per HTTP status, 100 to 599.
#[derive(Debug, Default)]
pub struct Statuses(Table<500>);

impl Statuses {
    /// Counts one.
    pub fn one(&self, status: StatusCode) {
        self.0.one(usize::from(status.as_u16()).wrapping_sub(100));
    }

    /// Those that have occurred.
    pub fn seen(&self) -> impl Iterator<Item = (u16, u64)> {
        (100_u16..600)
            .map(|status| (status, self.0.get(usize::from(status - 100))))
            .filter(|(_, count)| *count > 0)
    }

    /// Those within a range, together.
    pub fn within(&self, from: u16, to: u16) -> u64 {
        (from..=to)
            .map(|status| self.0.get(usize::from(status).wrapping_sub(100)))
            .sum()
    }

    /// All together.
    pub fn sum(&self) -> u64 {
        self.0.sum()
    }
}

/// How many bounds a histogram has.
pub(super) const BOUNDS: usize = 14;

/// How long things took.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds, in microseconds.
    bounds: &'static [u64; BOUNDS],
    buckets: Table<{ BOUNDS + 1 }>,
    nanoseconds: Count,
}

/// For answers from memory: 10 microseconds to a quarter of a second.
pub(super) const QUICK: [u64; BOUNDS] = [
    10, 25, 50, 75, 100, 150, 250, 500, 1_000, 2_500, 10_000, 25_000, 100_000, 250_000,
];
/// For Graph: 5 milliseconds to half a minute.
pub(super) const SLOW: [u64; BOUNDS] = [
    5_000, 10_000, 25_000, 50_000, 100_000, 200_000, 300_000, 500_000, 1_000_000, 2_000_000,
    3_000_000, 5_000_000, 10_000_000, 30_000_000,
];

impl Histogram {
    fn new(bounds: &'static [u64; BOUNDS]) -> Self {
        Self {
            bounds,
            buckets: Table::default(),
            nanoseconds: Count::default(),
        }
    }

    /// Notes one.
    pub fn note(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let slot = self
            .bounds
            .partition_point(|bound| bound * 1_000 < nanoseconds);
        self.buckets.one(slot);
        self.nanoseconds.add(nanoseconds);
    }

    /// How many were noted.
    pub fn count(&self) -> u64 {
        self.buckets.sum()
    }

    /// All of them together, in seconds.
    pub fn sum(&self) -> f64 {
        seconds(self.nanoseconds.get())
    }

    /// Upper bound in seconds and how many lie within it and above the one before.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().map(|bound| seconds(bound * 1_000));
        bounds
            .chain([f64::MAX])
            .enumerate()
            .map(|(slot, bound)| (bound, self.buckets.get(slot)))
            .collect()
    }
}

/// Nanoseconds as seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a figure for people; 2^53 nanoseconds are 104 days, and then the last digits go"
)]
pub(super) fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// How a photo request was handled, as a slot: a hit, why it went to Graph, or neither.
pub(super) const WAYS: [(&str, Option<Forward>); 8] = [
    ("hit", None),
    ("bypass", Some(Forward::Bypass)),
    ("method", Some(Forward::Method)),
    ("miss", Some(Forward::Miss)),
    ("request", Some(Forward::Request)),
    ("stale", Some(Forward::Stale)),
    ("vary-miss", Some(Forward::VaryMiss)),
    ("unasked", Some(Forward::Unasked)),
];

fn way(forward: Option<Forward>) -> usize {
    match forward {
        None => 0,
        Some(Forward::Bypass) => 1,
        Some(Forward::Method) => 2,
        Some(Forward::Miss) => 3,
        Some(Forward::Request) => 4,
        Some(Forward::Stale) => 5,
        Some(Forward::VaryMiss) => 6,
        Some(Forward::Unasked) => 7,
    }
}

/// Whose photo, as a slot.
pub(super) const KINDS: [(&str, OwnerKind); 5] = [
    ("user", OwnerKind::User),
    ("group", OwnerKind::Group),
    ("team", OwnerKind::Team),
    ("contact", OwnerKind::Contact),
    ("team_template", OwnerKind::TeamTemplate),
];

/// Which view, as a slot.
pub(super) const VIEWS: [(&str, View); 3] = [
    ("media", View::Media),
    ("metadata", View::Metadata),
    ("list", View::List),
];

/// A kind of owner in a word.
pub(super) fn kind(kind: OwnerKind) -> Option<&'static str> {
    KINDS
        .iter()
        .find(|(_, known)| *known == kind)
        .map(|(word, _)| *word)
}

/// A view in a word.
pub(super) fn view(view: View) -> Option<&'static str> {
    VIEWS
        .iter()
        .find(|(_, known)| *known == view)
        .map(|(word, _)| *word)
}

/// Photo requests by kind, view and way.
#[derive(Debug, Default)]
pub struct Requests(Table<{ 5 * 3 * 8 }>);

impl Requests {
    /// Counts one.
    pub fn one(&self, kind: OwnerKind, view: View, forward: Option<Forward>) {
        self.0.one(Self::slot(kind, view, forward));
    }

    /// Reads one.
    pub fn get(&self, kind: OwnerKind, view: View, forward: Option<Forward>) -> u64 {
        self.0.get(Self::slot(kind, view, forward))
    }

    /// All of one way.
    pub fn of_way(&self, forward: Option<Forward>) -> u64 {
        (0..15)
            .map(|owner| self.0.get(owner * 8 + way(forward)))
            .sum()
    }

    /// All together.
    pub fn sum(&self) -> u64 {
        self.0.sum()
    }

    fn slot(kind: OwnerKind, view: View, forward: Option<Forward>) -> usize {
        (kind as usize * 3 + view as usize) * 8 + way(forward)
    }
}

/// Why an answer was shown past its lifetime, or instead of Graph's, as a slot.
pub(super) const INSTEAD: [Detail; 4] = [
    Detail::Revalidating,
    Detail::Error,
    Detail::Throttled,
    Detail::Overloaded,
];

/// Why an answer was not stored, as a slot.
pub(super) const NOT_STORED: [NotStored; 8] = [
    NotStored::Status,
    NotStored::Type,
    NotStored::Encoding,
    NotStored::NoStore,
    NotStored::Vary,
    NotStored::Body,
    NotStored::TooLarge,
    NotStored::Written,
];

/// Where an answer came from, as a slot.
pub(super) const SOURCES: [&str; 3] = ["memory", "graph", "proxy"];

/// Where an answer came from: what is held (or has just come and could be), Graph's own handed
/// on, or an error of ours.
pub(super) fn source(answer: &Answer) -> usize {
    match answer {
        Answer::Held(_) => 0,
        Answer::Relayed(_) => 1,
        Answer::Problem(_) => 2,
    }
}

/// Why Graph did not answer, as a slot.
pub(super) const FAILURES: [&str; 3] = ["connect", "timeout", "broken"];

/// All of them.
#[derive(Debug)]
pub struct Figures {
    /// Photo requests.
    pub requests: Requests,
    /// Their answers, by [`SOURCES`].
    pub answers: [Statuses; 3],
    /// Photo requests that shared somebody else's question.
    pub collapsed: Count,
    /// Answers shown past their lifetime or instead of Graph's, by [`INSTEAD`].
    pub instead: Table<4>,
    /// Answers that were not stored, by [`NOT_STORED`].
    pub not_stored: Table<8>,
    /// Graph's answers to photo questions.
    pub asked: Statuses,
    /// Photo requests that went past the store, by Graph's answer.
    pub relayed: Count,
    /// Graph's answers to everything that passes through.
    pub passed: Statuses,
    /// Photo questions that Graph did not answer, by [`FAILURES`].
    pub failures: Table<3>,
    /// Photo questions that carried a validator.
    pub conditional: Count,
    /// Photo requests that went to Graph and that `sharing = "tenant"` would have answered.
    pub would_share: Count,
    /// Answers of one identity seen with another; anything above zero is the end.
    pub cross_identity: Count,
    /// How long answers from memory took.
    pub hit: Histogram,
    /// How long Graph took to the first byte of a photo answer.
    pub graph: Histogram,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            requests: Requests::default(),
            answers: Default::default(),
            collapsed: Count::default(),
            instead: Table::default(),
            not_stored: Table::default(),
            asked: Statuses::default(),
            relayed: Count::default(),
            passed: Statuses::default(),
            failures: Table::default(),
            conditional: Count::default(),
            would_share: Count::default(),
            cross_identity: Count::default(),
            hit: Histogram::new(&QUICK),
            graph: Histogram::new(&SLOW),
        }
    }
}

impl Figures {
    /// Notes what else is worth saying about an answer; `held` where it came from memory. A caller
    /// who is told to wait was shown nothing instead.
    pub fn detail(&self, detail: Detail, held: bool) {
        match detail {
            detail if !held && INSTEAD.contains(&detail) => {}
            Detail::Revalidating => self.instead.one(0),
            Detail::Error => self.instead.one(1),
            Detail::Throttled => self.instead.one(2),
            Detail::Overloaded => self.instead.one(3),
            Detail::NotStored(reason) => {
                let slot = NOT_STORED.iter().position(|known| *known == reason);
                self.not_stored.one(slot.unwrap_or(usize::MAX));
            }
            Detail::NoCredential | Detail::NoStoreAsked | Detail::OnlyIfCached => {}
        }
    }

    /// Graph did not answer a photo question.
    pub fn failure(&self, error: &upstream::Error) {
        self.failures.one(match error {
            upstream::Error::Connect(_) => 0,
            upstream::Error::TimedOut => 1,
            upstream::Error::Broken(_) => 2,
            // A photo question has no body to wait for.
            upstream::Error::CallerStalled => return,
        });
    }

    /// Photo requests that did reach Graph, whatever became of them.
    pub fn calls(&self) -> u64 {
        self.asked.sum() + self.failures.sum() + self.relayed.get()
    }

    /// Calls that callers made and Graph did not see.
    pub fn saved(&self) -> u64 {
        self.requests.sum().saturating_sub(self.calls())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_view_has_a_slot_of_its_own() {
        let requests = Requests::default();
        for (_, kind) in KINDS {
            for (_, view) in VIEWS {
                for (_, forward) in WAYS {
                    requests.one(kind, view, forward);
                    assert_eq!(requests.get(kind, view, forward), 1);
                }
            }
        }
        assert_eq!(requests.sum(), 120);
        assert_eq!(requests.of_way(None), 15);
    }

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_it_reaches() {
        let histogram = Histogram::new(&QUICK);
        for microseconds in [0, 10, 11, 250_000, 250_001] {
            histogram.note(Duration::from_micros(microseconds));
        }
        let buckets = histogram.buckets();
        let of = |bound: f64| {
            let found = buckets.iter().find(|(at, _)| (at - bound).abs() < 1e-12);
            found.map(|(_, count)| *count)
        };
        assert_eq!(of(0.000_010), Some(2));
        assert_eq!(of(0.000_025), Some(1));
        assert_eq!(of(0.25), Some(1));
        assert_eq!(buckets.last().map(|(_, count)| *count), Some(1));
        assert_eq!(histogram.count(), 5);
    }

    #[test]
    fn a_status_out_of_range_counts_nowhere_and_harms_nothing() {
        let statuses = Statuses::default();
        statuses.one(StatusCode::from_u16(999).unwrap());
        statuses.one(StatusCode::NOT_FOUND);
        assert_eq!(statuses.seen().collect::<Vec<_>>(), [(404, 1)]);
        assert_eq!(statuses.within(400, 499), 1);
    }
}
