//! How long an answer is good for: the freshness sum of RFC 9111 §4.2 under the operator's
//! lifetimes. Pure.
//!
//! The age an answer arrives with is what its `Age` says, and no more: RFC 9111 §4.2.3 lets a
//! cache leave the difference between its own clock and `Date` out where no HTTP/1.0 cache
//! stands in between, and a sidecar's clock is the less trustworthy of the two.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};

use super::config::{Config, UpstreamDirectives};
use super::stored::Kind;
use crate::clock::Time;

/// The largest age or lifetime counted with, in seconds (RFC 9111 §1.2.2: at least 2^31).
const LONGEST: u64 = 1 << 31;

/// What an answer's head says about its freshness, with the operator's word applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// How long it is fresh, counted from its making.
    pub lifetime: Duration,
    /// The age it arrived with.
    pub initial_age: Duration,
    /// How long past that it may be shown while it is revalidated.
    pub stale_while_revalidate: Duration,
    /// How long past that it may be shown when Graph cannot be had.
    pub stale_if_error: Duration,
    /// Whether it may never be used stale (RFC 9111 §5.2.2.2, §5.2.2.4).
    pub must_revalidate: bool,
    /// How long it is held at all: while it may be shown, and past that for its validator, as
    /// long as any other would be.
    pub hold: Duration,
}

impl Freshness {
    /// The freshness of an answer of `kind` with these fields, `received` now.
    ///
    /// `jitter` in -1.0 to 1.0 moves the operator's lifetime by up to a tenth, so that a
    /// morning's answers do not end together.
    pub fn of(
        config: &Config,
        kind: Kind,
        fields: &HeaderMap,
        received: Time,
        jitter: f64,
    ) -> Self {
        let operator = match kind {
            Kind::Media | Kind::Json => config.photo_ttl,
            Kind::Absent => config.absent_ttl,
        };
        let mut freshness = Self {
            lifetime: operator.mul_f64(1.0 + jitter.clamp(-1.0, 1.0) / 10.0),
            initial_age: age(fields),
            stale_while_revalidate: config.stale_while_revalidate,
            stale_if_error: config.stale_if_error,
            must_revalidate: false,
            hold: Duration::ZERO,
        };
        if config.upstream_directives == UpstreamDirectives::Honour {
            freshness.honour(fields, received);
        }
        let grace = [
            config.stale_while_revalidate,
            config.stale_if_error,
            freshness.stale_while_revalidate,
            freshness.stale_if_error,
        ];
        freshness.hold = freshness
            .lifetime
            .saturating_sub(freshness.initial_age)
            .saturating_add(grace.into_iter().max().unwrap_or_default())
            .max(Duration::from_secs(1));
        freshness
    }

    /// The freshness of `before`, which an answer with these fields confirms. Directives that
    /// the answer does not repeat stay as they were (RFC 9111 §3.2).
    #[must_use]
    pub fn retaining(self, config: &Config, before: &Self, fields: &HeaderMap) -> Self {
        let repeated =
            fields.contains_key(header::CACHE_CONTROL) || fields.contains_key(header::EXPIRES);
        if repeated || config.upstream_directives != UpstreamDirectives::Honour {
            return self;
        }
        // None that was shown to be of an earlier upload has its lifetime from Graph.
        let outdated = before.lifetime.is_zero() && !before.must_revalidate;
        Self {
            lifetime: if outdated {
                self.lifetime
            } else {
                before.lifetime
            },
            stale_while_revalidate: before.stale_while_revalidate,
            stale_if_error: before.stale_if_error,
            must_revalidate: before.must_revalidate,
            ..self
        }
    }

    /// Lets the answer's own directives rule wherever they say something.
    fn honour(&mut self, fields: &HeaderMap, received: Time) {
        let directives = Directives::of(fields);
        if let Some(explicit) = directives.lifetime(fields, received) {
            self.lifetime = explicit;
        }
        if directives.has("no-cache") {
            self.lifetime = Duration::ZERO;
        }
        if let Some(grace) = directives.seconds("stale-while-revalidate") {
            self.stale_while_revalidate = grace.unwrap_or_default();
        }
        if let Some(grace) = directives.seconds("stale-if-error") {
            self.stale_if_error = grace.unwrap_or_default();
        }
        if directives.has("must-revalidate") || directives.has("no-cache") {
            self.must_revalidate = true;
            self.stale_while_revalidate = Duration::ZERO;
            self.stale_if_error = Duration::ZERO;
        }
    }
}

/// The `Age` an answer arrived with (RFC 9111 §5.1): of several the first counts, and one that
/// is no number is ignored.
fn age(fields: &HeaderMap) -> Duration {
    fields
        .get(header::AGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| delta_seconds(text.split(',').next()?.trim()))
        .unwrap_or_default()
}

/// An HTTP date in any of its three forms (RFC 9110 §5.6.7); `None` for anything else.
pub fn http_date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?.trim()).ok()
}

/// A directive's name, and its argument as it is written.
fn directive(part: &str) -> (&str, Option<&str>) {
    match part.split_once('=') {
        Some((name, argument)) => (name.trim(), Some(argument.trim())),
        None => (part.trim(), None),
    }
}

/// The `Cache-Control` directives of an answer or a request, names lowered (RFC 9111 §5.2).
#[derive(Debug, Default)]
pub struct Directives(Vec<(String, Option<String>)>);

impl Directives {
    /// Reads every `Cache-Control` field. Text in quoted strings is no directive; what cannot
    /// be read is skipped.
    pub fn of(fields: &HeaderMap) -> Self {
        let mut found = Vec::new();
        for value in fields.get_all(header::CACHE_CONTROL) {
            let text = String::from_utf8_lossy(value.as_bytes());
            for part in split_unquoted(&text, ',') {
                let (name, argument) = directive(part);
                if !name.is_empty() {
                    found.push((name.to_ascii_lowercase(), argument.map(unquote)));
                }
            }
        }
        Self(found)
    }

    /// The parts of one field, as they stand; text in quoted strings is not looked into.
    pub fn parts(text: &str) -> impl Iterator<Item = &str> {
        split_unquoted(text, ',')
    }

    /// Whether fields say a directive, with or without an argument: the same as reading them all and
    /// looking for it.
    pub fn say(fields: &HeaderMap, name: &str) -> bool {
        let mut said = fields.get_all(header::CACHE_CONTROL).iter();
        said.any(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            split_unquoted(&text, ',').any(|part| directive(part).0.eq_ignore_ascii_case(name))
        })
    }

    /// Whether a directive is there, with or without an argument.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found == name)
    }

    /// Whether a directive is there, and never with an argument.
    pub fn is_bare(&self, name: &str) -> bool {
        let mut found = self.0.iter().filter(|(found, _)| found == name).peekable();
        found.peek().is_some() && found.all(|(_, argument)| argument.is_none())
    }

    /// As [`Directives::seconds`], but of several the largest counts.
    pub fn longest(&self, name: &str) -> Option<Option<Duration>> {
        self.0
            .iter()
            .filter(|(found, _)| found == name)
            .map(|(_, argument)| argument.as_deref().and_then(delta_seconds))
            .max_by_key(|seconds| seconds.unwrap_or(Duration::MAX))
    }

    /// A directive's seconds: `None` when it is not there, `Some(None)` when it is there and
    /// cannot be read. Of several the smallest counts, one that cannot be read before all
    /// (RFC 9111 §4.2.1: be conservative).
    pub fn seconds(&self, name: &str) -> Option<Option<Duration>> {
        self.0
            .iter()
            .filter(|(found, _)| found == name)
            .map(|(_, argument)| argument.as_deref().and_then(delta_seconds))
            .min_by_key(|seconds| seconds.unwrap_or_default())
    }

    /// The explicit lifetime: `max-age`, else `Expires` minus `Date` of the same answer, else
    /// of the time it was received (RFC 9110 §6.6.1). One that is there but unreadable or over
    /// is zero, never absent; of several the shortest counts.
    fn lifetime(&self, fields: &HeaderMap, received: Time) -> Option<Duration> {
        if let Some(seconds) = self.seconds("max-age") {
            return Some(seconds.unwrap_or_default());
        }
        let made = fields.get(header::DATE).and_then(http_date);
        let made = made.unwrap_or_else(|| received.wall());
        let until = |expires: &HeaderValue| {
            let expires = http_date(expires)?;
            expires.duration_since(made).ok()
        };
        fields
            .get_all(header::EXPIRES)
            .iter()
            .map(|expires| until(expires).unwrap_or_default())
            .min()
            .map(|lifetime| lifetime.min(Duration::from_secs(LONGEST)))
    }
}

/// RFC 9111 §1.2.2: digits only; a number too large counts as the largest.
fn delta_seconds(text: &str) -> Option<Duration> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = text.parse::<u64>().unwrap_or(LONGEST).min(LONGEST);
    Some(Duration::from_secs(seconds))
}

fn unquote(argument: &str) -> String {
    argument
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .map_or_else(|| argument.to_owned(), |inner| inner.replace('\\', ""))
}

/// Splits at `at` outside quoted strings.
fn split_unquoted(text: &str, at: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let here = character == at && !quoted;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        here
    })
}
