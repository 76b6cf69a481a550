//! What the operator sees: figures, logs, the admin listener. Off the data path.
//!
//! A request meets [`Ops`] alone, which counts and says one line; nothing here decides what a
//! caller gets. [`admin`] has a listener of its own and reads the rooms from outside.
//!
//! Read `figures`, then `metrics` and `report` (two ways to show them), then [`admin`].

pub mod admin;
mod config;
mod connected;
mod expiry;
mod explain;
mod figures;
pub mod health;
mod history;
mod metrics;
pub mod notify;
pub mod otlp;
mod purge;
pub mod reload;
mod report;
pub mod spans;
pub mod system;
pub mod telemetry;
mod watched;

pub use config::{Config, LogFormat, Secret, plain_token};
pub use expiry::watch as watch_certificates;
pub use figures::Figures;
pub use reload::{Reloaded, Reloader};
pub use spans::Spans;
pub use watched::{Served, Watched};

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::render::{CacheStatus, Detail, Forward};
use crate::route::PhotoRequest;
use crate::upstream;

/// What requests tell, and how the proxy itself is.
#[derive(Debug, Default)]
pub struct Ops {
    figures: Figures,
    stage: AtomicU8,
    canary: AtomicU8,
    spans: Spans,
}

/// What the canary last said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// It has not sung yet, or is off.
    Silent,
    /// Two identities were kept apart.
    Well,
    /// They were not.
    Dead,
}

/// How far the process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Bound, and not taking callers up yet.
    Starting,
    /// Taking callers up.
    Serving,
    /// Draining.
    Leaving,
}

/// A photo request that has been answered.
#[derive(Debug)]
pub struct Told<'a> {
    /// What was asked.
    pub photo: &'a PhotoRequest,
    /// The caller's fields, for naming the trace.
    pub headers: &'a HeaderMap,
    /// How it was handled.
    pub status: CacheStatus,
    /// Where the answer came from, by [`Source`].
    pub source: Source,
    /// What the caller was answered.
    pub answered: StatusCode,
    /// From the end of the caller's head to the head of the answer.
    pub took: Duration,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(usize);

impl Source {
    const MEMORY: Self = Self(0);

    /// Where this answer came from.
    pub fn of(answer: &crate::render::Answer) -> Self {
        Self(figures::source(answer))
    }

    fn name(self) -> &'static str {
        figures::SOURCES.get(self.0).copied().unwrap_or("?")
    }
}

impl Ops {
    /// With spans for whoever collects traces, where the settings name one.
    pub fn new(config: &Config) -> Self {
        Self {
            spans: match config.otlp_endpoint {
                Some(_) => Spans::exported(),
                None => Spans::default(),
            },
            ..Self::default()
        }
    }

    /// The spans.
    pub fn spans(&self) -> &Spans {
        &self.spans
    }

    /// The figures.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// A photo request has been answered. On the way of every hit: four relaxed additions, and
    /// the line only where somebody listens.
    pub fn photo(&self, told: &Told<'_>) {
        let Told { photo, status, .. } = told;
        let figures = &self.figures;
        figures
            .requests
            .one(photo.owner.kind(), photo.view, status.forward);
        if let Some(answers) = figures.answers.get(told.source.0) {
            answers.one(told.answered);
        }
        if status.forward.is_none() {
            figures.hit.note(told.took);
        }
        if status.collapsed {
            figures.collapsed.add(1);
        }
        if let Some(detail) = status.detail {
            figures.detail(detail, told.source == Source::MEMORY);
        }
        tracing::debug!(
            kind = ?photo.owner.kind(),
            view = ?photo.view,
            size = ?photo.size,
            outcome = status.forward.map_or("hit", Forward::token),
            detail = status.detail.map(Detail::token),
            collapsed = status.collapsed,
            stored = status.stored,
            source = told.source.name(),
            status = told.answered.as_u16(),
            graph_status = status.forward_status.map(|status| status.as_u16()),
            microseconds = u64::try_from(told.took.as_micros()).unwrap_or(u64::MAX),
            trace_id = trace_id(told.headers),
            "photo"
        );
    }

    /// A photo request went to Graph past the store.
    pub fn relayed(&self) {
        self.figures.relayed.add(1);
    }

    /// Graph has answered a photo question, `took` after it was asked.
    pub fn asked(&self, status: StatusCode, conditional: bool, took: Duration) {
        self.figures.asked.one(status);
        self.figures.graph.note(took);
        if conditional {
            self.figures.conditional.add(1);
        }
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(
            status = status.as_u16(),
            conditional,
            microseconds,
            "asked graph"
        );
    }

    /// Graph has not answered a photo question.
    pub fn unanswered(&self, error: &upstream::Error) {
        self.figures.failure(error);
    }

    /// A request has passed through.
    pub fn passed_through(&self, status: StatusCode) {
        self.figures.passed.one(status);
        tracing::debug!(status = status.as_u16(), "passed through");
    }

    /// A photo request went to Graph that `sharing = "tenant"` would have answered from memory.
    pub fn would_share(&self) {
        self.figures.would_share.add(1);
    }

    /// An answer of one identity was seen with another. The proxy is not ready from here on.
    pub fn cross_identity_hit(&self) {
        self.figures.cross_identity.add(1);
        self.canary.store(2, Ordering::Release);
    }

    /// The canary has kept its two identities apart.
    pub fn canary_sang(&self) {
        // One that is dead stays dead, whatever it sings later.
        let _ = self
            .canary
            .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire);
    }

    /// What the canary last said.
    pub fn canary(&self) -> Canary {
        match self.canary.load(Ordering::Acquire) {
            0 => Canary::Silent,
            1 => Canary::Well,
            _ => Canary::Dead,
        }
    }

    /// The listeners take callers up.
    pub fn serve(&self) {
        self.stage.store(1, Ordering::Release);
    }

    /// The drain has begun: no longer ready.
    pub fn leave(&self) {
        self.stage.store(2, Ordering::Release);
    }

    /// How far the process has come.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Serving,
            _ => Stage::Leaving,
        }
    }
}

/// The trace's name out of `traceparent` (W3C Trace Context §3.2), where it is well formed: 32
/// hexadecimal digits, so that no caller writes a log line of its own.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let (_version, rest) = text.split_once('-')?;
    let (id, _) = rest.split_once('-')?;
    let digits = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (id.len() == 32 && digits).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_trace_is_named_only_by_a_well_formed_traceparent() {
        let named = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_static(text));
            trace_id(&headers).map(str::to_owned)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            named(good).as_deref(),
            Some("4bf92f3577b34da6a3ce929d0e0e4736")
        );
        for odd in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "00-someone@example.com-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            assert_eq!(named(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_dead_canary_stays_dead() {
        let ops = Ops::default();
        assert_eq!(ops.canary(), Canary::Silent);
        ops.canary_sang();
        assert_eq!(ops.canary(), Canary::Well);
        ops.cross_identity_hit();
        ops.canary_sang();
        assert_eq!(ops.canary(), Canary::Dead);
    }
}
