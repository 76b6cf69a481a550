//! How the budgets stand, for the operator: figures, and a line in the log when Graph says wait.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
}

/// How much Graph has had us wait since the start, all budgets together.
#[derive(Debug, Default)]
pub(super) struct Closed {
    times: AtomicU64,
    milliseconds: AtomicU64,
}

impl Closed {
    /// A budget has been closed once more, or for longer.
    pub(super) fn add(&self, anew: bool, longer: Duration) {
        self.times.fetch_add(u64::from(anew), Ordering::Relaxed);
        let longer = u64::try_from(longer.as_millis()).unwrap_or(u64::MAX);
        self.milliseconds.fetch_add(longer, Ordering::Relaxed);
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
