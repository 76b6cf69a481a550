//! A clock for a Graph that fails: after failures in a row only a probe now and then. Pure.

use std::time::Duration;

use crate::clock::Time;

/// The first pause; it doubles with each probe that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: how late the end of an outage may be noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Failures further apart than this are not in a row.
const MEMORY: Duration = Duration::from_mins(1);

/// Counts failures in a row, and pauses when they are too many.
///
/// One broken mailbox must not stop everybody's photos, so failures count as an outage only
/// when they are about several owners, with no answer in between.
#[derive(Debug)]
pub(super) struct Breaker {
    enough_failures: u32,
    enough_owners: usize,
    failures: u32,
    owners: Vec<u64>,
    latest: Option<Time>,
    pause: Option<Pause>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    length: Duration,
    until: Time,
    probing: bool,
}

impl Breaker {
    /// For failures to connect, which say nothing about any one owner.
    pub(super) const fn of_connections() -> Self {
        Self::new(3, 0)
    }

    /// For failures in the place of an answer.
    pub(super) const fn of_answers() -> Self {
        Self::new(5, 3)
    }

    const fn new(enough_failures: u32, enough_owners: usize) -> Self {
        Self {
            enough_failures,
            enough_owners,
            failures: 0,
            owners: Vec::new(),
            latest: None,
            pause: None,
        }
    }

    /// What is left of the pause.
    pub(super) fn wait(&self, now: Time) -> Option<Duration> {
        self.pause
            .map(|pause| now.until(pause.until))
            .filter(|left| !left.is_zero())
    }

    /// Whether nothing speaks of failing any more, so that it may be forgotten.
    pub(super) fn is_quiet(&self, now: Time) -> bool {
        let latest = self.pause.map(|pause| pause.until).or(self.latest);
        latest.is_none_or(|latest| now.since(latest) > MEMORY)
    }

    /// Leave to send a question; after a pause one at a time is the probe, and a probe that
    /// brings no word is followed by the next one a pause later.
    pub(super) fn admit(&mut self, now: Time) -> Result<(), Duration> {
        if let Some(left) = self.wait(now) {
            return Err(left);
        }
        if let Some(pause) = &mut self.pause {
            pause.probing = true;
            pause.until = now.plus(pause.length);
        }
        Ok(())
    }

    /// Graph works.
    pub(super) fn succeeded(&mut self) {
        *self = Self::new(self.enough_failures, self.enough_owners);
    }

    /// Graph has failed on a question about `owner`.
    pub(super) fn failed(&mut self, owner: u64, now: Time) {
        if let Some(pause) = &mut self.pause {
            // Those that were on their way when the pause began say nothing new.
            if pause.probing {
                let length = pause.length.saturating_mul(2).min(LONGEST_PAUSE);
                *pause = Pause {
                    length,
                    until: now.plus(length),
                    probing: false,
                };
            }
            return;
        }
        if self.latest.is_some_and(|latest| now.since(latest) > MEMORY) {
            self.succeeded();
        }
        self.latest = Some(now);
        self.failures += 1;
        if self.owners.len() < self.enough_owners && !self.owners.contains(&owner) {
            self.owners.push(owner);
        }
        if self.failures >= self.enough_failures && self.owners.len() >= self.enough_owners {
            self.pause = Some(Pause {
                length: FIRST_PAUSE,
                until: now.plus(FIRST_PAUSE),
                probing: false,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn one_broken_owner_stops_nobody() {
        let (mut breaker, clock) = (Breaker::of_answers(), Clock::by_hand());
        for _ in 0..100 {
            breaker.failed(1, clock.now());
            breaker.failed(2, clock.now());
        }
        assert!(breaker.admit(clock.now()).is_ok());
        breaker.failed(3, clock.now());
        assert!(breaker.admit(clock.now()).is_err());
    }

    #[test]
    fn a_pause_is_followed_by_one_probe_and_doubles_when_it_fails() {
        let (mut breaker, clock) = (Breaker::of_connections(), Clock::by_hand());
        for _ in 0..3 {
            assert!(breaker.admit(clock.now()).is_ok());
            breaker.failed(1, clock.now());
        }
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let pause = Duration::from_secs(seconds);
            assert_eq!(breaker.admit(clock.now()), Err(pause));
            clock.advance(pause);
            assert_eq!(breaker.admit(clock.now()), Ok(()));
            assert_eq!(breaker.admit(clock.now()), Err(pause));
            breaker.failed(1, clock.now());
            // An answer late by a pause changes nothing.
            breaker.failed(1, clock.now());
        }
        breaker.succeeded();
        assert_eq!(breaker.admit(clock.now()), Ok(()));
    }

    #[test]
    fn failures_an_answer_or_an_hour_apart_are_not_in_a_row() {
        let (mut breaker, clock) = (Breaker::of_connections(), Clock::by_hand());
        for _ in 0..9 {
            breaker.failed(1, clock.now());
            breaker.failed(1, clock.now());
            breaker.succeeded();
        }
        for _ in 0..9 {
            breaker.failed(1, clock.now());
            clock.advance(Duration::from_hours(1));
        }
        assert!(breaker.admit(clock.now()).is_ok());
    }
}
