//! The throttle gate: one clock and one short queue per budget.
//!
//! Graph throttles by tenant and application (teams have limits of their own). After a 429 or
//! 503 that names a wait, no photo question of that budget is sent until it has passed; and at
//! most `concurrency` are in flight at a time, Graph's documented figure per application.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Time;
use crate::identity::{Caller, Credential};
use crate::route::{Guid, OwnerKind};

/// The longest wait believed, whatever Graph names.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// The first wait where Graph names none; it doubles with each refusal in a row.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait where Graph names none.
const LONGEST_GUESS: Duration = Duration::from_mins(1);

/// Whose calls Graph counts together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Budget {
    whose: Whose,
    teams: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Whose {
    Application { tenant: Guid, client: Box<str> },
    Alone(Credential),
}

impl Budget {
    /// The budget a caller's question about an owner of `kind` draws on. Claims are believed
    /// here: a false one can only make its own bearer wait in the wrong queue.
    pub fn of(caller: &Caller, kind: OwnerKind) -> Self {
        let whose = match (caller.principal.tenant(), caller.principal.client()) {
            (Some(tenant), Some(client)) => Whose::Application {
                tenant,
                client: client.into(),
            },
            _ => Whose::Alone(caller.credential),
        };
        Self {
            whose,
            teams: kind == OwnerKind::Team,
        }
    }

    /// Its name where people read it: tenant and application by the first 32 bits of their
    /// SHA-256, which an operator can work out for an id at hand and nobody can read back.
    pub fn label(&self) -> String {
        let short = |text: &[u8]| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text);
            let mut name = String::with_capacity(8);
            for byte in digest.as_ref().iter().take(4) {
                let _ = write!(name, "{byte:02x}");
            }
            name
        };
        let whose = match &self.whose {
            Whose::Application { tenant, client } => {
                let application = short(client.as_bytes());
                format!("tenant {} app {application}", short(&tenant.0))
            }
            Whose::Alone(_) => "one unreadable token".to_owned(),
        };
        let teams = if self.teams { " teams" } else { "" };
        format!("{whose}{teams}")
    }
}

/// How one budget stands, for showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// [`Budget::label`].
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

/// Why a question may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Graph said wait: so much is left.
    Wait(Duration),
    /// The queue is full.
    Full,
}

/// All budgets.
#[derive(Debug)]
pub struct Gate {
    concurrency: usize,
    queue: usize,
    lanes: Mutex<HashMap<Budget, Arc<Lane>>>,
    closed: Arc<Closed>,
}

/// How much Graph has had us wait since the start, all budgets together.
#[derive(Debug, Default)]
struct Closed {
    times: AtomicU64,
    milliseconds: AtomicU64,
}

#[derive(Debug)]
struct Lane {
    label: String,
    places: Arc<Semaphore>,
    state: Mutex<State>,
    closed: Arc<Closed>,
}

#[derive(Debug, Default)]
struct State {
    queued: usize,
    closed_until: Option<Time>,
    refusals_in_a_row: u32,
    /// A closing that has been told and whose end has not.
    told: bool,
}

impl Gate {
    /// All gates open; per budget `concurrency` questions in flight and `queue` waiting.
    pub fn new(concurrency: usize, queue: usize) -> Self {
        Self {
            concurrency,
            queue,
            lanes: Mutex::default(),
            closed: Arc::default(),
        }
    }

    /// How every budget in use stands, the longest closed first.
    pub fn standings(&self, now: Time) -> Vec<Standing> {
        let lanes: Vec<Arc<Lane>> = lock(&self.lanes).values().map(Arc::clone).collect();
        let mut standings: Vec<Standing> = lanes
            .iter()
            .map(|lane| {
                let state = lock(&lane.state);
                let in_flight = self
                    .concurrency
                    .saturating_sub(lane.places.available_permits());
                Standing {
                    label: lane.label.clone(),
                    in_flight,
                    queued: state.queued,
                    closed_for: state
                        .closed_until
                        .map_or(Duration::ZERO, |until| now.until(until)),
                    refusals_in_a_row: state.refusals_in_a_row,
                }
            })
            .collect();
        standings.sort_by(|a, b| (b.closed_for, &a.label).cmp(&(a.closed_for, &b.label)));
        standings
    }

    /// How often Graph has closed a budget since the start, and for how long in all.
    pub fn closed(&self) -> (u64, Duration) {
        let Closed {
            times,
            milliseconds,
        } = &*self.closed;
        let milliseconds = milliseconds.load(Ordering::Relaxed);
        (
            times.load(Ordering::Relaxed),
            Duration::from_millis(milliseconds),
        )
    }

    /// Waits for a place in the budget's lane. Dropping the future leaves the queue.
    ///
    /// # Errors
    ///
    /// When the budget's clock is running, before or after the queue, or the queue is full.
    pub async fn enter(&self, budget: &Budget, now: impl Fn() -> Time) -> Result<Pass, Refusal> {
        let lane = self.lane(budget);
        lane.refusal(now())?;
        let place = if let Ok(place) = Arc::clone(&lane.places).try_acquire_owned() {
            place
        } else {
            let _queued = Queued::new(&lane, self.queue)?;
            let place = Arc::clone(&lane.places).acquire_owned().await;
            place.map_err(|_| Refusal::Full)?
        };
        lane.refusal(now())?;
        Ok(Pass {
            lane,
            _place: place,
        })
    }

    /// What is left of the budget's wait.
    pub fn wait_left(&self, budget: &Budget, now: Time) -> Option<Duration> {
        let lane = lock(&self.lanes).get(budget).cloned()?;
        match lane.refusal(now) {
            Err(Refusal::Wait(wait)) => Some(wait),
            _ => None,
        }
    }

    /// Graph has throttled this budget on a call that did not pass the gate.
    pub fn throttled(&self, budget: &Budget, wait: Option<Duration>, now: Time) {
        self.lane(budget).close(wait, now);
    }

    /// Forgets budgets that nobody uses and whose clock does not run.
    pub fn maintain(&self, now: Time) {
        lock(&self.lanes).retain(|_, lane| {
            lane.tell_if_open(now);
            Arc::strong_count(lane) > 1
                || lock(&lane.state)
                    .closed_until
                    .is_some_and(|until| now < until)
        });
    }

    fn lane(&self, budget: &Budget) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.get(budget) {
            return Arc::clone(lane);
        }
        let lane = Arc::new(Lane {
            label: budget.label(),
            closed: Arc::clone(&self.closed),
            places: Arc::new(Semaphore::new(self.concurrency)),
            state: Mutex::default(),
        });
        lanes.insert(budget.clone(), Arc::clone(&lane));
        lane
    }
}

impl Lane {
    fn refusal(&self, now: Time) -> Result<(), Refusal> {
        match lock(&self.state).closed_until {
            Some(until) if now < until => Err(Refusal::Wait(now.until(until))),
            _ => Ok(()),
        }
    }

    fn close(&self, wait: Option<Duration>, now: Time) {
        let mut state = lock(&self.state);
        let guess = FIRST_WAIT
            .saturating_mul(1 << state.refusals_in_a_row.min(6))
            .min(LONGEST_GUESS);
        let until = now.plus(wait.unwrap_or(guess).min(LONGEST_WAIT));
        state.refusals_in_a_row = state.refusals_in_a_row.saturating_add(1);
        if state.closed_until.is_none_or(|before| before < until) {
            let from = state
                .closed_until
                .filter(|before| *before > now)
                .unwrap_or(now);
            let longer = u64::try_from(from.until(until).as_millis()).unwrap_or(u64::MAX);
            self.closed
                .milliseconds
                .fetch_add(longer, Ordering::Relaxed);
            state.closed_until = Some(until);
        }
        // Questions in flight come back one by one with the same refusal: one line is enough.
        if !state.told {
            state.told = true;
            self.closed.times.fetch_add(1, Ordering::Relaxed);
            let seconds = now.until(until).as_secs();
            tracing::info!(budget = %self.label, seconds, "graph says wait: the gate is closed");
        }
    }

    fn tell_if_open(&self, now: Time) {
        let mut state = lock(&self.state);
        if state.told && state.closed_until.is_none_or(|until| until <= now) {
            state.told = false;
            tracing::info!(budget = %self.label, "the wait is over: the gate is open");
        }
    }
}

/// A place in a lane's queue.
struct Queued<'a>(&'a Lane);

impl<'a> Queued<'a> {
    fn new(lane: &'a Lane, most: usize) -> Result<Self, Refusal> {
        let mut state = lock(&lane.state);
        if state.queued >= most {
            return Err(Refusal::Full);
        }
        state.queued += 1;
        Ok(Self(lane))
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).queued -= 1;
    }
}

/// Leave to send one question. Dropping it gives the place to the next in the queue.
#[derive(Debug)]
pub struct Pass {
    lane: Arc<Lane>,
    _place: OwnedSemaphorePermit,
}

impl Pass {
    /// Graph answered 429 or 503: the budget waits, for as long as Graph says or a growing guess.
    pub fn throttled(&self, wait: Option<Duration>, now: Time) {
        self.lane.close(wait, now);
    }

    /// Graph answered otherwise.
    pub fn answered(&self) {
        lock(&self.lane.state).refusals_in_a_row = 0;
    }
}

/// `Retry-After` as whole or fractional seconds or as a date (RFC 9110 §10.2.3; Graph's own
/// sample is `2.128`). `None` when it is not there or says nothing.
pub fn retry_after(fields: &HeaderMap, now: Time) -> Option<Duration> {
    let text = fields.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date.duration_since(now.wall()).unwrap_or_default());
    }
    let number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| number)?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .or(Some(LONGEST_WAIT))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
