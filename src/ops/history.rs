//! The last half hour of the figures, so that a page opened now shows where they come from.

use std::collections::VecDeque;
use std::time::Duration;

use super::system;
use super::watched::Watched;

/// How often a sample is taken.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// How many are kept: half an hour of them take some 30 KB.
const MOST: usize = 360;

/// Figures at one time; counts are since the start, for the reader to subtract.
#[derive(Debug, Clone, Copy)]
struct Sample {
    unix: u64,
    requests: u64,
    hits: u64,
    calls: u64,
    errors: u64,
    hit_seconds: f64,
    graph_answers: u64,
    graph_seconds: f64,
    held: u64,
    resident: u64,
}

/// Samples, oldest first.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Sample>);

impl History {
    /// Takes a sample.
    pub(super) fn take(watched: &Watched) {
        let figures = watched.rooms.ops.figures();
        let sample = Sample {
            unix: watched.rooms.clock.now().unix_seconds(),
            requests: figures.requests.sum(),
            hits: figures.requests.of_way(None),
            calls: figures.calls(),
            errors: super::report::errors(figures),
            hit_seconds: figures.hit.sum(),
            graph_answers: figures.graph.count(),
            graph_seconds: figures.graph.sum(),
            held: watched.rooms.cache.held().1,
            resident: system::resident().unwrap_or(0),
        };
        let mut history = watched.history();
        if history.0.len() >= MOST {
            history.0.pop_front();
        }
        history.0.push_back(sample);
    }

    /// One array per figure.
    pub(super) fn json(&self) -> serde_json::Value {
        fn column<T: serde::Serialize>(history: &History, of: impl Fn(&Sample) -> T) -> Vec<T> {
            history.0.iter().map(of).collect()
        }
        serde_json::json!({
            "unix": column(self, |sample| sample.unix),
            "requests": column(self, |sample| sample.requests),
            "hits": column(self, |sample| sample.hits),
            "calls": column(self, |sample| sample.calls),
            "errors": column(self, |sample| sample.errors),
            "hit_seconds": column(self, |sample| sample.hit_seconds),
            "graph_answers": column(self, |sample| sample.graph_answers),
            "graph_seconds": column(self, |sample| sample.graph_seconds),
            "held_bytes": column(self, |sample| sample.held),
            "resident_bytes": column(self, |sample| sample.resident),
        })
    }
}
