//! How long an answer is good for: the freshness sum of RFC 9111 §4.2 under the operator's
//! lifetimes. Pure.

use std::time::Duration;

use http::{HeaderMap, header};

use super::config::{Config, UpstreamDirectives};
use super::stored::Kind;

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
}

impl Freshness {
    /// The freshness of an answer of `kind` with these fields.
    ///
    /// `jitter` in -1.0 to 1.0 moves the operator's lifetime by up to a tenth, so that a
    /// morning's answers do not end together.
    pub fn of(config: &Config, kind: Kind, fields: &HeaderMap, jitter: f64) -> Self {
        let operator = match kind {
            Kind::Media | Kind::Json => config.photo_ttl,
            Kind::Absent => config.absent_ttl,
        };
        let mut freshness = Self {
            lifetime: operator.mul_f64(1.0 + jitter.clamp(-1.0, 1.0) / 10.0),
            initial_age: age(fields),
            stale_while_revalidate: config.stale_while_revalidate,
            stale_if_error: config.stale_if_error,
        };
        if config.upstream_directives == UpstreamDirectives::Honour {
            freshness.honour(fields);
        }
        freshness
    }

    /// Lets the answer's own directives rule wherever they say something.
    fn honour(&mut self, fields: &HeaderMap) {
        let directives = Directives::of(fields);
        if let Some(explicit) = directives.lifetime(fields) {
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
            self.stale_while_revalidate = Duration::ZERO;
            self.stale_if_error = Duration::ZERO;
        }
    }
}

/// The `Age` an answer arrived with (RFC 9111 §5.1); one that is no number is ignored.
fn age(fields: &HeaderMap) -> Duration {
    fields
        .get(header::AGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| delta_seconds(text.trim()))
        .unwrap_or_default()
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
                let (name, argument) = match part.split_once('=') {
                    Some((name, argument)) => (name, Some(unquote(argument.trim()))),
                    None => (part, None),
                };
                let name = name.trim().to_ascii_lowercase();
                if !name.is_empty() {
                    found.push((name, argument));
                }
            }
        }
        Self(found)
    }

    /// Whether a directive is there, with or without an argument.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found == name)
    }

    /// A directive's seconds: `None` when it is not there, `Some(None)` when it is there and
    /// cannot be read. Of several the smallest counts, one that cannot be read before all
    /// (RFC 9111 §4.2.1: be conservative).
    pub fn seconds(&self, name: &str) -> Option<Option<Duration>> {
        self.0
            .iter()
            .filter(|(found, _)| found == name)
            .map(|(_, argument)| argument.as_deref().and_then(delta_seconds))
            .min_by_key(|seconds| seconds.map_or(Duration::ZERO, |seconds| seconds))
    }

    /// The explicit lifetime: `max-age`, else `Expires` minus `Date` of the same answer. One
    /// that is there but unreadable or over is zero, never absent.
    fn lifetime(&self, fields: &HeaderMap) -> Option<Duration> {
        if let Some(seconds) = self.seconds("max-age") {
            return Some(seconds.unwrap_or_default());
        }
        let expires = fields.get(header::EXPIRES)?;
        let date = |value: &http::HeaderValue| {
            value
                .to_str()
                .ok()
                .and_then(|text| httpdate::parse_http_date(text).ok())
        };
        let lifetime = match (date(expires), fields.get(header::DATE).and_then(date)) {
            (Some(expires), Some(date)) => expires.duration_since(date).unwrap_or_default(),
            _ => Duration::ZERO,
        };
        Some(lifetime.min(Duration::from_secs(LONGEST)))
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
pub(super) fn split_unquoted(text: &str, at: char) -> impl Iterator<Item = &str> {
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
