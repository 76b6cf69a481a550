//! How the budgets stand, for the operator: figures, and a line in the log when Graph says wait.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::breaker::Breaking;
use crate::route::OwnerKind;

/// How one budget stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// [`Budget::label`](super::Budget::label).
    pub label: String,
    /// Questions in flight.
    pub in_flight: usize,
    /// Questions waiting for their turn.
    pub queued: usize,
    /// What is left of Graph's wait; zero when the gate is open.
    pub closed_for: Duration,
    /// How often in a row Graph has refused.
    pub refusals_in_a_row: u32,
    /// Kinds of owners on whose photos Graph has failed, and how their breakers stand.
    pub breakers: Vec<(OwnerKind, Breaking)>,
}

/// Why a breaker opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No connection with Graph is to be had: the same for every budget.
    Connections,
    /// Graph fails in the place of an answer: for one budget and kind of owner.
    Answers,
}

impl Cause {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Connections, Self::Answers];

    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Answers => "answers",
        }
    }

    /// In a sentence.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Connections => "no connection with Graph was to be had, three times in a row",
            Self::Answers => {
                "Graph failed, broke off or kept silent five times in a row, about three owners"
            }
        }
    }
}

/// How much Graph has had us wait since the start, all budgets together.
#[derive(Debug, Default)]
pub(super) struct Closed {
    times: AtomicU64,
    milliseconds: AtomicU64,
    /// How often a breaker has opened, by [`Cause`].
    opened: [AtomicU64; 2],
}

impl Closed {
    /// A budget has been closed once more, or for longer.
    pub(super) fn add(&self, anew: bool, longer: Duration) {
        self.times.fetch_add(u64::from(anew), Ordering::Relaxed);
        let longer = u64::try_from(longer.as_millis()).unwrap_or(u64::MAX);
        self.milliseconds.fetch_add(longer, Ordering::Relaxed);
    }

    /// A breaker has opened.
    pub(super) fn opened(&self, cause: Cause) {
        let [connections, answers] = &self.opened;
        match cause {
            Cause::Connections => connections.fetch_add(1, Ordering::Relaxed),
            Cause::Answers => answers.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// How often a breaker has opened for that.
    pub(super) fn openings(&self, cause: Cause) -> u64 {
        let [connections, answers] = &self.opened;
        match cause {
            Cause::Connections => connections.load(Ordering::Relaxed),
            Cause::Answers => answers.load(Ordering::Relaxed),
        }
    }

    /// How often, and for how long in all.
    pub(super) fn sum(&self) -> (u64, Duration) {
        let milliseconds = self.milliseconds.load(Ordering::Relaxed);
        (
            self.times.load(Ordering::Relaxed),
            Duration::from_millis(milliseconds),
        )
    }
}

/// The first 32 bits of a SHA-256, which an operator can work out for an id at hand and nobody
/// can read back.
pub(super) fn short(text: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text);
    let mut name = String::with_capacity(8);
    for byte in digest.as_ref().iter().take(4) {
        let _ = write!(name, "{byte:02x}");
    }
    name
}
