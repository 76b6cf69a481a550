//! One throttle clock: closed while Graph says wait, then opened again by a trickle. Pure.

use std::time::Duration;

use crate::clock::Time;

/// The first wait where Graph names none; it doubles with each refusal in a row.
const FIRST_GUESS: Duration = Duration::from_secs(1);
/// The longest wait where Graph names none. Calls made while throttled count against the
/// caller (Graph: throttling), so a guess that is too short costs more than one too long.
const LONGEST_GUESS: Duration = Duration::from_mins(1);

/// How many questions may be on their way: none while Graph says wait, then one, then twice
/// as many with every one that is answered, then as many as the lane is wide.
#[derive(Debug, Default)]
pub(super) struct Valve {
    closed_until: Option<Time>,
    /// How wide it is while it opens; `None` is wide open.
    opening: Option<usize>,
    refusals_in_a_row: u32,
    /// Counts closings: an answer to a question from before the last one says nothing new.
    round: u32,
}

impl Valve {
    /// What is left of the wait.
    pub(super) fn wait(&self, now: Time) -> Option<Duration> {
        self.closed_until
            .map(|until| now.until(until))
            .filter(|left| !left.is_zero())
    }

    /// How many of a lane of `width` may be on their way, once the wait is over.
    pub(super) fn width(&self, width: usize) -> usize {
        self.opening.map_or(width, |opening| opening.min(width))
    }

    /// The closing after which a question is sent.
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    /// How often in a row Graph has refused.
    pub(super) fn refusals_in_a_row(&self) -> u32 {
        self.refusals_in_a_row
    }

    /// Whether nothing speaks of throttling any more, so that it may be forgotten.
    pub(super) fn is_quiet(&self, now: Time) -> bool {
        self.closed_until
            .is_none_or(|until| now.since(until) > LONGEST_GUESS)
    }

    /// Graph has refused a question of `round`. A wait that is not named, or none at all, is a
    /// guess that grows; no wait is longer than `cap`, and none shortens one that runs.
    pub(super) fn close(&mut self, round: u32, named: Option<Duration>, cap: Duration, now: Time) {
        // Those on their way together are refused together: that is one refusal.
        if round == self.round {
            self.refusals_in_a_row = self.refusals_in_a_row.saturating_add(1);
            self.round = self.round.wrapping_add(1);
        }
        let doublings = self.refusals_in_a_row.saturating_sub(1).min(16);
        let guess = FIRST_GUESS
            .saturating_mul(1 << doublings)
            .min(LONGEST_GUESS);
        let named = named.filter(|wait| !wait.is_zero());
        let until = now.plus(named.unwrap_or(guess).min(cap));
        if self.closed_until.is_none_or(|before| before < until) {
            self.closed_until = Some(until);
        }
        self.opening = Some(1);
    }

    /// Graph has answered a question of `round`.
    pub(super) fn answered(&mut self, round: u32, width: usize) {
        if round != self.round {
            return;
        }
        self.refusals_in_a_row = 0;
        self.opening = self
            .opening
            .map(|opening| opening.saturating_mul(2))
            .filter(|opening| *opening < width);
        if self.opening.is_none() {
            self.closed_until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const CAP: Duration = Duration::from_mins(15);

    #[test]
    fn a_wait_over_lets_one_through_then_two_then_all() {
        let (mut valve, clock) = (Valve::default(), Clock::by_hand());
        assert_eq!(valve.width(4), 4);
        valve.close(0, Some(Duration::from_secs(7)), CAP, clock.now());
        assert_eq!(valve.wait(clock.now()), Some(Duration::from_secs(7)));
        clock.advance(Duration::from_secs(7));
        assert_eq!(valve.wait(clock.now()), None);
        for width in [1, 2, 4] {
            assert_eq!(valve.width(4), width);
            valve.answered(valve.round(), 4);
        }
    }

    #[test]
    fn waits_that_are_not_named_double_up_to_a_minute_and_start_anew_after_an_answer() {
        let (mut valve, clock) = (Valve::default(), Clock::by_hand());
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            valve.close(valve.round(), None, CAP, clock.now());
            assert_eq!(valve.wait(clock.now()), Some(Duration::from_secs(seconds)));
            clock.advance(Duration::from_secs(seconds));
        }
        valve.answered(valve.round(), 4);
        valve.close(valve.round(), Some(Duration::ZERO), CAP, clock.now());
        assert_eq!(valve.wait(clock.now()), Some(Duration::from_secs(1)));
    }

    #[test]
    fn those_refused_together_are_one_refusal_and_late_answers_open_nothing() {
        let (mut valve, clock) = (Valve::default(), Clock::by_hand());
        let round = valve.round();
        for _ in 0..4 {
            valve.close(round, None, CAP, clock.now());
        }
        assert_eq!(valve.wait(clock.now()), Some(Duration::from_secs(1)));
        valve.answered(round, 4);
        assert_eq!(valve.width(4), 1);
        valve.close(valve.round(), None, CAP, clock.now());
        assert_eq!(valve.wait(clock.now()), Some(Duration::from_secs(2)));
    }

    #[test]
    fn no_wait_is_longer_than_the_cap_and_none_shortens_one_that_runs() {
        let (mut valve, clock) = (Valve::default(), Clock::by_hand());
        valve.close(0, Some(Duration::MAX), CAP, clock.now());
        assert_eq!(valve.wait(clock.now()), Some(CAP));
        valve.close(0, Some(Duration::from_secs(1)), CAP, clock.now());
        assert_eq!(valve.wait(clock.now()), Some(CAP));
    }
}
