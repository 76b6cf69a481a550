//! A clock for a Graph that fails: after failures in a row only a probe now and then. Pure.

use std::time::Duration;

use crate::clock::Time;

/// The first pause; it doubles with each probe that fails.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: how late the end of an outage may be noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Failures further apart than this are not in a row.
const MEMORY: Duration = Duration::from_mins(1);

/// How a breaker stands: the words of the metric, the dashboard, explain and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaking {
    /// Questions are sent.
    Closed,
    /// The pause is over: one question at a time tries whether Graph is back.
    HalfOpen,
    /// None is sent for so long.
    Open(Duration),
}

impl Breaking {
    /// All there are, in a word each.
    pub const WORDS: [&str; 3] = ["closed", "half_open", "open"];

    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open(_) => "open",
        }
    }

    /// The worse the higher.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open(_) => 2,
        }
    }

    /// What is left until the next question is sent.
    pub const fn left(self) -> Duration {
        match self {
            Self::Open(left) => left,
            Self::Closed | Self::HalfOpen => Duration::ZERO,
        }
    }
}

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

    /// How it stands.
    pub(super) fn stands(&self, now: Time) -> Breaking {
        match self.pause {
            None => Breaking::Closed,
            Some(pause) if pause.probing => Breaking::HalfOpen,
            Some(_) => self.wait(now).map_or(Breaking::HalfOpen, Breaking::Open),
        }
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

    /// Graph works. Whether that is news.
    pub(super) fn succeeded(&mut self) -> bool {
        let was_open = self.pause.is_some();
        *self = Self::new(self.enough_failures, self.enough_owners);
        was_open
    }

    /// Graph has failed on a question about `owner`. Whether that was one too many.
    pub(super) fn failed(&mut self, owner: u64, now: Time) -> bool {
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
            return false;
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
        self.pause.is_some()
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
    fn it_is_open_through_the_pause_half_open_until_there_is_word_and_then_closed() {
        let (mut breaker, clock) = (Breaker::of_connections(), Clock::by_hand());
        let stands = |breaker: &Breaker| breaker.stands(clock.now());
        assert!(!breaker.failed(1, clock.now()) && !breaker.failed(1, clock.now()));
        assert_eq!(stands(&breaker), Breaking::Closed);
        assert!(breaker.failed(1, clock.now()), "the third is one too many");
        assert!(!breaker.failed(1, clock.now()), "and the fourth no news");
        assert_eq!(stands(&breaker), Breaking::Open(FIRST_PAUSE));
        clock.advance(FIRST_PAUSE);
        assert_eq!(stands(&breaker), Breaking::HalfOpen);
        assert!(breaker.admit(clock.now()).is_ok());
        assert_eq!(stands(&breaker), Breaking::HalfOpen);
        breaker.failed(1, clock.now());
        assert_eq!(stands(&breaker), Breaking::Open(FIRST_PAUSE * 2));
        assert!(breaker.succeeded(), "it was open");
        assert!(!breaker.succeeded());
        assert_eq!(stands(&breaker), Breaking::Closed);
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
