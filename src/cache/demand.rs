//! What a caller asks of a stored answer: the request directives of RFC 9111 §5.2.1, where the
//! operator lets them rule. Pure.

use std::time::Duration;

use http::{HeaderMap, header};

use super::config::CallerDirectives;
use super::freshness::Directives;
use super::stored::StoredResponse;
use crate::clock::Time;

/// The request directives of one request; the default asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// `no-store`: the answer to this request is not to be stored.
    pub no_store: bool,
    /// `only-if-cached`: Graph is not to be asked.
    pub only_if_cached: bool,
    /// `no-cache`, or `Pragma: no-cache` where there is no `Cache-Control`.
    no_cache: bool,
    /// `max-age`; one that cannot be read is zero.
    max_age: Option<Duration>,
    /// `min-fresh`; one that cannot be read is never met.
    min_fresh: Option<Duration>,
    /// `max-stale`; without an argument any staleness will do.
    max_stale: Option<Duration>,
}

impl Demand {
    /// The demand of a request with these fields, under this policy.
    pub fn of(fields: &HeaderMap, policy: CallerDirectives) -> Self {
        if policy == CallerDirectives::Ignore {
            return Self::default();
        }
        if !fields.contains_key(header::CACHE_CONTROL) {
            return Self {
                no_cache: asks_pragma(fields),
                ..Self::default()
            };
        }
        let directives = Directives::of(fields);
        Self {
            no_store: directives.has("no-store"),
            only_if_cached: directives.has("only-if-cached"),
            no_cache: directives.has("no-cache"),
            max_age: directives.seconds("max-age").map(Option::unwrap_or_default),
            min_fresh: directives
                .longest("min-fresh")
                .map(|seconds| seconds.unwrap_or(Duration::MAX)),
            max_stale: max_stale(&directives),
        }
    }

    /// Whether the caller takes this answer without Graph's word.
    ///
    /// Stale ones too, where nothing is said: whether those are shown at all is the operator's
    /// to say, and the answer's own `must-revalidate`.
    pub fn takes(&self, stored: &StoredResponse, now: Time) -> bool {
        let within = |age: Duration| !age.is_zero() && stored.age(now) <= age;
        if self.no_cache
            || self.max_age.is_some_and(|age| !within(age))
            || self
                .min_fresh
                .is_some_and(|least| stored.remaining(now) < least)
        {
            return false;
        }
        if stored.is_fresh(now) {
            return true;
        }
        match self.max_stale {
            Some(most) => !stored.freshness.must_revalidate && stored.staleness(now) <= most,
            // A caller that names an age does not want a stale answer (RFC 9111 §5.2.1.1).
            None => self.max_age.is_none() && self.min_fresh.is_none(),
        }
    }

    /// Whether the caller takes an answer that the operator would show only when Graph cannot
    /// be had.
    pub fn takes_expired(&self, stored: &StoredResponse, now: Time) -> bool {
        self.max_stale.is_some() && self.takes(stored, now)
    }
}

/// `max-stale`, the smallest of several; one that cannot be read is not there.
fn max_stale(directives: &Directives) -> Option<Duration> {
    if !directives.has("max-stale") {
        return None;
    }
    if directives.is_bare("max-stale") {
        return Some(Duration::MAX);
    }
    directives.seconds("max-stale").flatten()
}

/// RFC 9111 §5.4: counts only without `Cache-Control`.
fn asks_pragma(fields: &HeaderMap) -> bool {
    fields
        .get_all(header::PRAGMA)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-cache"))
}
