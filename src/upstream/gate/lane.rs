//! The lane of one budget: so many questions on their way, a short fair queue behind them.
//!
//! Whose budget it is only a token says, and anybody can write a token. So those that Graph has
//! not accepted yet queue apart: they never fill the queue of the others, leave one place to
//! them once there are any, and take turns with them for the rest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::breaker::{Breaker, Breaking};
use super::standing::{Cause, Closed, Standing};
use super::valve::Valve;
use super::{Bearer, Limits, Refusal};
use crate::clock::Time;
use crate::route::OwnerKind;

/// One budget's lane.
#[derive(Debug)]
pub(super) struct Lane {
    label: String,
    width: usize,
    longest_queue: usize,
    state: Mutex<State>,
    closed: Arc<Closed>,
}

#[derive(Debug, Default)]
struct State {
    valve: Valve,
    accepted: Side,
    unheard: Side,
    /// Whether the unheard are next, where both wait.
    turn_of_unheard: bool,
    /// Whether anybody has come whom Graph has accepted.
    has_known: bool,
    /// By kind of owner: the services behind users, teams and contacts differ.
    breakers: HashMap<OwnerKind, Breaker>,
    /// A closing that has been told and whose end has not.
    told: bool,
}

/// Those of one kind.
#[derive(Debug, Default)]
struct Side {
    on_their_way: usize,
    /// First come, first served. Empty whenever there is room on the way.
    queue: VecDeque<oneshot::Sender<Place>>,
}

impl State {
    fn side(&mut self, bearer: Bearer) -> &mut Side {
        match bearer {
            Bearer::Accepted => &mut self.accepted,
            Bearer::Unheard => &mut self.unheard,
        }
    }

    fn on_their_way(&self) -> usize {
        self.accepted.on_their_way + self.unheard.on_their_way
    }

    /// Whether there is room on the way for one more of that kind, in a lane of `width`.
    fn has_room(&self, bearer: Bearer, width: usize) -> bool {
        let width = self.valve.width(width);
        let left_to_known = usize::from(self.has_known && width > 1);
        let room = match bearer {
            Bearer::Accepted => true,
            Bearer::Unheard => self.unheard.on_their_way < width - left_to_known,
        };
        room && self.on_their_way() < width
    }

    /// Who is next of those that wait and have room.
    fn next(&mut self, width: usize) -> Option<Bearer> {
        let (first, then) = if self.turn_of_unheard {
            (Bearer::Unheard, Bearer::Accepted)
        } else {
            (Bearer::Accepted, Bearer::Unheard)
        };
        [first, then]
            .into_iter()
            .find(|bearer| !self.side(*bearer).queue.is_empty() && self.has_room(*bearer, width))
    }
}

/// A place on the way. Dropping it gives it to the first in the queue.
#[derive(Debug)]
pub(super) struct Place {
    lane: Option<Arc<Lane>>,
    bearer: Bearer,
    round: u32,
}

enum Turn {
    Now(Place),
    Later(oneshot::Receiver<Place>),
}

impl Lane {
    /// An open lane of these limits.
    pub(super) fn new(limits: Limits, label: String, closed: Arc<Closed>) -> Self {
        Self {
            label,
            width: limits.concurrency,
            longest_queue: limits.queue,
            state: Mutex::default(),
            closed,
        }
    }

    /// How it stands.
    pub(super) fn standing(&self, now: Time) -> Standing {
        let state = self.state();
        Standing {
            label: self.label.clone(),
            in_flight: state.on_their_way(),
            queued: state.accepted.queue.len() + state.unheard.queue.len(),
            closed_for: state.valve.wait(now).unwrap_or_default(),
            refusals_in_a_row: state.valve.refusals_in_a_row(),
            breakers: state
                .breakers
                .iter()
                .map(|(kind, breaker)| (*kind, breaker.stands(now)))
                .collect(),
        }
    }

    /// How the breaker of that kind of owner stands.
    pub(super) fn breaking(&self, kind: OwnerKind, now: Time) -> Breaking {
        let state = self.state();
        let breaker = state.breakers.get(&kind);
        breaker.map_or(Breaking::Closed, |breaker| breaker.stands(now))
    }

    /// A place and when it was had: at once, that is at `begun`, or after a turn in the queue of at
    /// most `patience`. Dropping the future leaves the queue.
    pub(super) async fn place(
        self: &Arc<Self>,
        (kind, bearer): (OwnerKind, Bearer),
        patience: Duration,
        begun: Time,
        now: impl Fn() -> Time,
    ) -> Result<(Place, Time), Refusal> {
        let (place, at) = match self.turn(kind, bearer, begun)? {
            Turn::Now(place) => (place, begun),
            Turn::Later(turn) => match tokio::time::timeout(patience, turn).await {
                Ok(Ok(place)) => (place, now()),
                // The lane was closed meanwhile, and its queue sent away.
                Ok(Err(_)) => return Err(self.refusal(kind, now()).unwrap_or(Refusal::Full)),
                Err(_) => return Err(Refusal::Full),
            },
        };
        // Last, because the first to be admitted after a pause is its probe.
        let admitted = self.admit(kind, at);
        admitted.map(|()| (place, at))
    }

    /// Why nothing may be sent now.
    pub(super) fn refusal(&self, kind: OwnerKind, now: Time) -> Option<Refusal> {
        let state = self.state();
        let down = || state.breakers.get(&kind)?.wait(now).map(Refusal::Down);
        state.valve.wait(now).map(Refusal::Wait).or_else(down)
    }

    /// Whether half of the lane is free: room for what nobody waits for.
    pub(super) fn has_room(&self) -> bool {
        let state = self.state();
        state.on_their_way() < state.valve.width(self.width).div_ceil(2)
    }

    /// Whether the lane holds nothing that must be remembered.
    pub(super) fn is_quiet(&self, now: Time) -> bool {
        let state = self.state();
        state.valve.is_quiet(now) && state.breakers.values().all(|breaker| breaker.is_quiet(now))
    }

    /// Graph has throttled a question of `round`, or, where it had no place here, some other
    /// call. The queue is sent away: its callers are told at once.
    pub(super) fn close(
        &self,
        round: Option<u32>,
        named: Option<Duration>,
        cap: Duration,
        now: Time,
    ) {
        let mut state = self.state();
        let round = round.unwrap_or_else(|| state.valve.round());
        let before = state.valve.wait(now).unwrap_or_default();
        state.valve.close(round, named, cap, now);
        state.accepted.queue.clear();
        state.unheard.queue.clear();
        let wait = state.valve.wait(now).unwrap_or_default();
        self.closed.add(!state.told, wait.saturating_sub(before));
        // Questions on their way come back one by one with the same refusal: one line is enough.
        if !state.told {
            state.told = true;
            let seconds = wait.as_secs();
            tracing::info!(budget = %self.label, seconds, "graph says wait: the gate is closed");
        }
    }

    /// Says in the log that a wait is over, once.
    pub(super) fn tell_if_open(&self, now: Time) {
        let mut state = self.state();
        if state.told && state.valve.wait(now).is_none() {
            state.told = false;
            tracing::info!(budget = %self.label, "the wait is over: the gate is open");
        }
    }

    /// Graph has answered a question of `round` about an owner of `kind`.
    pub(super) fn answered(self: &Arc<Self>, round: u32, kind: OwnerKind) {
        let mut state = self.state();
        state.valve.answered(round, self.width);
        let broken = state.breakers.remove(&kind);
        if broken.is_some_and(|mut breaker| breaker.succeeded()) {
            tracing::info!(budget = %self.label, ?kind, "graph answers again: the breaker is closed");
        }
        self.wake(&mut state);
    }

    /// Graph has failed on a question about `owner`.
    pub(super) fn failed(&self, kind: OwnerKind, owner: u64, now: Time) {
        let opens = self
            .state()
            .breakers
            .entry(kind)
            .or_insert_with(Breaker::of_answers)
            .failed(owner, now);
        if opens {
            self.closed.opened(Cause::Answers);
            let reason = Cause::Answers.reason();
            tracing::warn!(budget = %self.label, ?kind, reason, "the breaker is open: graph is tried now and then");
        }
    }

    fn admit(&self, kind: OwnerKind, now: Time) -> Result<(), Refusal> {
        let mut state = self.state();
        if let Some(left) = state.valve.wait(now) {
            return Err(Refusal::Wait(left));
        }
        state
            .breakers
            .get_mut(&kind)
            .map_or(Ok(()), |breaker| breaker.admit(now).map_err(Refusal::Down))
    }

    fn turn(self: &Arc<Self>, kind: OwnerKind, bearer: Bearer, now: Time) -> Result<Turn, Refusal> {
        if let Some(refusal) = self.refusal(kind, now) {
            return Err(refusal);
        }
        let mut state = self.state();
        state.has_known |= bearer == Bearer::Accepted;
        if state.side(bearer).queue.is_empty() && state.has_room(bearer, self.width) {
            state.side(bearer).on_their_way += 1;
            return Ok(Turn::Now(Place {
                lane: Some(Arc::clone(self)),
                bearer,
                round: state.valve.round(),
            }));
        }
        let queue = &mut state.side(bearer).queue;
        if queue.len() >= self.longest_queue {
            queue.retain(|turn| !turn.is_closed());
            if queue.len() >= self.longest_queue {
                return Err(Refusal::Full);
            }
        }
        let (give, turn) = oneshot::channel();
        queue.push_back(give);
        Ok(Turn::Later(turn))
    }

    /// Gives free places to the queues, each in its order.
    fn wake(self: &Arc<Self>, state: &mut State) {
        while let Some(bearer) = state.next(self.width) {
            let Some(turn) = state.side(bearer).queue.pop_front() else {
                return;
            };
            let place = Place {
                lane: Some(Arc::clone(self)),
                bearer,
                round: state.valve.round(),
            };
            match turn.send(place) {
                Ok(()) => {
                    state.side(bearer).on_their_way += 1;
                    state.turn_of_unheard = bearer == Bearer::Accepted;
                }
                // Its caller has left. The place was never counted, so it must not be given
                // back (nor could it: the lock is ours).
                Err(mut unwanted) => unwanted.lane = None,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The lane's closing after which this place was given.
    pub(super) fn round(&self) -> u32 {
        self.round
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            let mut state = lane.state();
            state.side(self.bearer).on_their_way -= 1;
            lane.wake(&mut state);
        }
    }
}
