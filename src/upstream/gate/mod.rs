//! The throttle gate: one clock and one short lane per budget, and a clock for a Graph that fails.
//!
//! Graph throttles by tenant and application (teams have limits of their own). After a 429 or
//! 503 that names a wait, no photo question of that budget is sent until it has passed; then
//! one, then two, and so on. At most `concurrency` are on their way at a time, Graph's
//! documented figure per application. Pass-through is never held up here, but a 429 it meets
//! closes the gate too.
//!
//! Everything goes by status. Graph's error codes for throttling are many and undocumented.
//!
//! Read [`budget`], then [`valve`] and [`breaker`], the two clocks, then [`lane`].

mod breaker;
pub mod budget;
mod lane;
mod retry_after;
mod standing;
mod valve;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use breaker::Breaker;
pub use breaker::Breaking;
pub use budget::Budget;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use lane::{Lane, Place};
pub use retry_after::retry_after;
use standing::Closed;
pub use standing::{Cause, Standing};
use tokio::sync::oneshot;

use crate::clock::Time;
use crate::identity::Subject;
use crate::render::Body;
use crate::render::body::BodyError;
use crate::route::OwnerKind;

/// Whether Graph has accepted the token that a question is asked with. One that it has not may
/// be anybody's, whatever budget it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// Graph has accepted this very token.
    Accepted,
    /// Graph has not said yet.
    Unheard,
}

/// Why a question may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Graph said wait: so much is left.
    Wait(Duration),
    /// Graph has failed too often in a row: so much is left until it is tried again.
    Down(Duration),
    /// The queue is full, or has not moved in time.
    Full,
}

/// The bounds of the gate.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Questions of one budget that are on their way.
    pub concurrency: usize,
    /// Questions of one budget that wait for a place, of each kind of [`Bearer`].
    pub queue: usize,
    /// How long they wait.
    pub patience: Duration,
    /// The longest wait believed, whatever Graph names.
    pub longest_wait: Duration,
    /// How long a body that is handed on keeps its question's place.
    pub longest_body: Duration,
}

/// All budgets.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    lanes: Mutex<HashMap<Budget, Arc<Lane>>>,
    /// Whether Graph can be reached at all: the same for every budget.
    reach: Arc<Mutex<Breaker>>,
    hasher: RandomState,
    closed: Arc<Closed>,
}

impl Gate {
    /// All gates open.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: Mutex::default(),
            reach: Arc::new(Mutex::new(Breaker::of_connections())),
            hasher: RandomState::new(),
            closed: Arc::default(),
        }
    }

    /// How every budget in use stands, the longest closed first.
    pub fn standings(&self, now: Time) -> Vec<Standing> {
        let lanes: Vec<Arc<Lane>> = lock(&self.lanes).values().map(Arc::clone).collect();
        let mut standings: Vec<Standing> = lanes.iter().map(|lane| lane.standing(now)).collect();
        standings.sort_by(|a, b| (b.closed_for, &a.label).cmp(&(a.closed_for, &b.label)));
        standings
    }

    /// How often Graph has closed a budget since the start, and for how long in all.
    pub fn closed(&self) -> (u64, Duration) {
        self.closed.sum()
    }

    /// How the breaker stands that all budgets share, for connections with Graph.
    pub fn reach(&self, now: Time) -> Breaking {
        lock(&self.reach).stands(now)
    }

    /// How often a breaker has opened for that since the start.
    pub fn openings(&self, cause: Cause) -> u64 {
        self.closed.openings(cause)
    }

    /// The breaker that a question of that budget would meet, where one is not closed.
    pub fn broken(&self, budget: &Budget, kind: OwnerKind, now: Time) -> Option<(Cause, Breaking)> {
        let lane = lock(&self.lanes).get(budget).cloned();
        let answers = lane.map_or(Breaking::Closed, |lane| lane.breaking(kind, now));
        let all = [
            (Cause::Connections, self.reach(now)),
            (Cause::Answers, answers),
        ];
        all.into_iter()
            .find(|(_, breaking)| *breaking != Breaking::Closed)
    }

    /// Waits for a place in the budget's lane, for a question about `subject`. Dropping the
    /// future leaves the queue.
    ///
    /// # Errors
    ///
    /// When a clock is running, before or after the queue, or the queue is full or too slow.
    pub async fn enter(
        &self,
        budget: &Budget,
        bearer: Bearer,
        (kind, subject): (OwnerKind, &Subject),
        now: impl Fn() -> Time,
    ) -> Result<Pass, Refusal> {
        let begun = now();
        if let Some(left) = lock(&self.reach).wait(begun) {
            return Err(Refusal::Down(left));
        }
        let lane = self.lane(budget);
        let patience = self.limits.patience;
        let (place, at) = lane.place((kind, bearer), patience, begun, now).await?;
        lock(&self.reach).admit(at).map_err(Refusal::Down)?;
        Ok(Pass {
            place: Arc::new(place),
            lane,
            kind,
            owner: self.hasher.hash_one(subject),
            longest_wait: self.limits.longest_wait,
            longest_body: self.limits.longest_body,
            reach: Arc::clone(&self.reach),
            closed: Arc::clone(&self.closed),
        })
    }

    /// Why a question of that budget could not be sent now. Takes no place.
    pub fn refusal(&self, budget: &Budget, kind: OwnerKind, now: Time) -> Option<Refusal> {
        let lane = lock(&self.lanes).get(budget).cloned();
        let refusal = lane.and_then(|lane| lane.refusal(kind, now));
        refusal.or_else(|| lock(&self.reach).wait(now).map(Refusal::Down))
    }

    /// Whether the budget has room for a question that nobody waits for.
    pub fn has_room(&self, budget: &Budget, kind: OwnerKind, now: Time) -> bool {
        let lane = lock(&self.lanes).get(budget).cloned();
        self.refusal(budget, kind, now).is_none() && lane.is_none_or(|lane| lane.has_room())
    }

    /// Graph has throttled this budget on a call that did not pass the gate.
    pub fn throttled(&self, budget: &Budget, wait: Option<Duration>, now: Time) {
        self.lane(budget)
            .close(None, wait, self.limits.longest_wait, now);
    }

    /// Forgets budgets that nobody uses and whose clocks do not run.
    pub fn maintain(&self, now: Time) {
        lock(&self.lanes).retain(|_, lane| {
            lane.tell_if_open(now);
            Arc::strong_count(lane) > 1 || !lane.is_quiet(now)
        });
    }

    fn lane(&self, budget: &Budget) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.get(budget) {
            return Arc::clone(lane);
        }
        let lane = Arc::new(Lane::new(
            self.limits,
            budget.label(),
            Arc::clone(&self.closed),
        ));
        lanes.insert(budget.clone(), Arc::clone(&lane));
        lane
    }
}

/// Leave to send one question, and the duty to say how it went. Dropping it gives the place to
/// the next in the queue, unless a body that still comes keeps it.
#[derive(Debug)]
pub struct Pass {
    place: Arc<Place>,
    lane: Arc<Lane>,
    kind: OwnerKind,
    owner: u64,
    longest_wait: Duration,
    longest_body: Duration,
    reach: Arc<Mutex<Breaker>>,
    closed: Arc<Closed>,
}

impl Pass {
    /// Keeps the place until the body has ended or been dropped: to Graph the question is on its
    /// way until then. No longer than a photo may take, or a caller who does not read would keep
    /// others from asking.
    ///
    /// To be called within a runtime: the time is kept by a task, since a body that nobody reads
    /// is not polled.
    pub fn until_end_of<B>(&self, body: B) -> Body
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let (reading, ended) = oneshot::channel::<()>();
        let (place, most) = (Arc::clone(&self.place), self.longest_body);
        tokio::spawn(async move {
            // Nothing is ever sent: it ends when the body does.
            let _ = tokio::time::timeout(most, ended).await;
            drop(place);
        });
        Body::stream(Read {
            body,
            reading: Some(reading),
        })
    }

    /// Graph answered 429, or 503 with a wait: the budget waits, for as long as Graph says or a
    /// growing guess.
    pub fn throttled(&self, wait: Option<Duration>, now: Time) {
        self.reached();
        self.lane
            .close(Some(self.place.round()), wait, self.longest_wait, now);
    }

    /// Graph answered, whatever it said.
    pub fn answered(&self) {
        self.reached();
        self.lane.answered(self.place.round(), self.kind);
    }

    /// Graph answered that it does not work, or broke off, or kept silent.
    pub fn failed(&self, now: Time) {
        self.lane.failed(self.kind, self.owner, now);
    }

    /// No connection to Graph could be made.
    pub fn unreachable(&self, now: Time) {
        if lock(&self.reach).failed(self.owner, now) {
            self.closed.opened(Cause::Connections);
            let reason = Cause::Connections.reason();
            tracing::warn!(reason, "the breaker is open: graph is tried now and then");
        }
    }

    /// A connection was made, and somebody answered on it.
    pub fn reached(&self) {
        if lock(&self.reach).succeeded() {
            tracing::info!("graph can be reached again: the breaker is closed");
        }
    }
}

/// A body, and the word that it is still being read.
struct Read<B> {
    body: B,
    reading: Option<oneshot::Sender<()>>,
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Read<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if self.body.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            self.reading = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
