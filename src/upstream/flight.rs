//! One question to Graph for many callers (collapsed forwarding, RFC 9111 §4).
//!
//! The first caller of a key leads, those who come while the question is open wait. What they
//! are told is [`Landing`]: the answer, where it may be shared, or that each must decide again.
//!
//! A leader's question runs in a task of its own, or in its leader's until that one leaves
//! ([`Attended`]), so a leader who leaves fails nobody. A [`Lead`] that is dropped, by a panic or a
//! deadline, lands as [`Landing::Alone`].

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::watch;

/// How a question ended, for those who waited.
#[derive(Debug, Clone)]
pub enum Landing<T> {
    /// An answer they may all have.
    Shared(T),
    /// Nothing that can be shared: each decides again.
    Alone,
}

/// A caller's place in a flight.
#[derive(Debug)]
pub enum Seat<K: Eq + Hash, G, T> {
    /// Ask, and [`Lead::land`].
    Leader(Lead<K, G, T>),
    /// Wait for the leader.
    Waiter(Wait<T>),
    /// Too many wait already.
    Full,
}

/// All open questions, by key. `G` says from when a question is, so that nobody joins one that
/// was asked before a write it has seen.
pub struct Flights<K, G, T> {
    open: Arc<Mutex<HashMap<K, Open<G, T>>>>,
    waiting: Arc<AtomicUsize>,
    most_waiting: usize,
    ended: Arc<AtomicU64>,
}

struct Open<G, T> {
    asked: G,
    landing: watch::Receiver<Option<Landing<T>>>,
}

impl<K: Eq + Hash + Clone, G: Clone, T: Clone> Flights<K, G, T> {
    /// No open questions; at most `most_waiting` callers wait in all.
    pub fn new(most_waiting: usize) -> Self {
        Self {
            open: Arc::default(),
            waiting: Arc::default(),
            most_waiting,
            ended: Arc::default(),
        }
    }

    /// Joins the open question of `key` if `joinable` says so of the time it was asked, or
    /// opens one asked at `asked`.
    pub fn join(&self, key: K, asked: G, joinable: impl FnOnce(&G) -> bool) -> Seat<K, G, T> {
        let mut open = lock(&self.open);
        if let Some(flight) = open.get(&key).filter(|flight| joinable(&flight.asked)) {
            if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.most_waiting {
                self.waiting.fetch_sub(1, Ordering::AcqRel);
                return Seat::Full;
            }
            return Seat::Waiter(Wait {
                landing: flight.landing.clone(),
                _place: Place(Arc::clone(&self.waiting)),
            });
        }
        let (landing, receiver) = watch::channel(None);
        open.insert(
            key.clone(),
            Open {
                asked,
                landing: receiver,
            },
        );
        Seat::Leader(Lead {
            key,
            open: Arc::clone(&self.open),
            landing,
            ended: Arc::clone(&self.ended),
        })
    }

    /// How many callers wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// How many questions have ended, ever. Who looked for an answer, found none and then leads
    /// must look again where another has ended since before it looked: it may have been this one.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }
}

impl<K, G, T> std::fmt::Debug for Flights<K, G, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flights")
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// The duty to land one question. Dropping it lands it as [`Landing::Alone`].
pub struct Lead<K: Eq + Hash, G, T> {
    key: K,
    open: Arc<Mutex<HashMap<K, Open<G, T>>>>,
    landing: watch::Sender<Option<Landing<T>>>,
    ended: Arc<AtomicU64>,
}

impl<K: Eq + Hash, G, T> Lead<K, G, T> {
    /// Tells those who wait.
    pub fn land(self, landing: Landing<T>) {
        self.landing.send_replace(Some(landing));
    }
}

impl<K: Eq + Hash, G, T> Drop for Lead<K, G, T> {
    fn drop(&mut self) {
        // What it brought is to be found by now. Counted before the question is gone: who finds
        // it gone finds it counted.
        self.ended.fetch_add(1, Ordering::AcqRel);
        let mut open = lock(&self.open);
        let mut taken = open.remove_entry(&self.key);
        // A later question may have taken the key over; that one is not ours to close.
        let is_ours = |flight: &Open<G, T>| flight.landing.same_channel(&self.landing.subscribe());
        if let Some((key, flight)) = taken.take_if(|(_, flight)| !is_ours(flight)) {
            open.insert(key, flight);
        }
        drop(open);
        drop(taken);
        self.landing.send_if_modified(|landing| {
            let dropped = landing.is_none();
            if dropped {
                *landing = Some(Landing::Alone);
            }
            dropped
        });
    }
}

impl<K: Eq + Hash, G, T> std::fmt::Debug for Lead<K, G, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lead(_)")
    }
}

/// A question that its asker drives, and that goes on in a task of its own when the asker leaves.
///
/// Only for an asker that is polled whenever the question can go on: others wait for it.
pub struct Attended<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: Send> + Send + 'static> Attended<F> {
    /// Not begun yet.
    pub fn new(question: Pin<Box<F>>) -> Self {
        Self(Some(question))
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Attended<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Out of its place meanwhile: one that panics is over, and must not be gone on with.
        let Some(mut question) = self.0.take() else {
            return Poll::Pending;
        };
        let answer = question.as_mut().poll(context);
        if answer.is_pending() {
            self.0 = Some(question);
        }
        answer
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Attended<F> {
    fn drop(&mut self) {
        // Without a runtime the process is at its end.
        if let (Some(question), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(question);
        }
    }
}

impl<F: Future<Output: Send> + Send + 'static> std::fmt::Debug for Attended<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attended(_)")
    }
}

/// A place among those who wait. Dropping it leaves the flight, and no more.
pub struct Wait<T> {
    landing: watch::Receiver<Option<Landing<T>>>,
    _place: Place,
}

impl<T: Clone> Wait<T> {
    /// How the question ended. Always returns: the leader's task has a deadline, and its end in
    /// any way is a landing.
    pub async fn landed(mut self) -> Landing<T> {
        match self.landing.wait_for(Option::is_some).await {
            Ok(landing) => landing.clone().unwrap_or(Landing::Alone),
            Err(_) => Landing::Alone,
        }
    }
}

impl<T> std::fmt::Debug for Wait<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wait(_)")
    }
}

/// One place taken of [`Flights::most_waiting`].
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn lock<K, O>(open: &Mutex<HashMap<K, O>>) -> MutexGuard<'_, HashMap<K, O>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flights() -> Flights<&'static str, u32, u32> {
        Flights::new(2)
    }

    fn leader(seat: Seat<&'static str, u32, u32>) -> Lead<&'static str, u32, u32> {
        match seat {
            Seat::Leader(lead) => lead,
            other => panic!("not a leader: {other:?}"),
        }
    }

    fn waiter(seat: Seat<&'static str, u32, u32>) -> Wait<u32> {
        match seat {
            Seat::Waiter(wait) => wait,
            other => panic!("not a waiter: {other:?}"),
        }
    }

    #[tokio::test]
    async fn those_who_come_while_a_question_is_open_get_its_answer() {
        let flights = flights();
        let lead = leader(flights.join("a", 0, |_| true));
        let wait = waiter(flights.join("a", 0, |_| true));
        lead.land(Landing::Shared(7));
        assert!(matches!(wait.landed().await, Landing::Shared(7)));
        leader(flights.join("a", 0, |_| true));
    }

    #[tokio::test]
    async fn a_leader_that_is_dropped_sends_everybody_to_decide_again() {
        let flights = flights();
        let lead = leader(flights.join("a", 0, |_| true));
        let wait = waiter(flights.join("a", 0, |_| true));
        drop(lead);
        assert!(matches!(wait.landed().await, Landing::Alone));
    }

    #[test]
    fn who_leads_after_another_has_ended_can_tell() {
        let flights = flights();
        let before = flights.ended();
        let lead = leader(flights.join("a", 0, |_| true));
        assert_eq!(flights.ended(), before);
        lead.land(Landing::Shared(7));
        leader(flights.join("a", 0, |_| true));
        assert!(flights.ended() > before);
    }

    #[tokio::test]
    async fn nobody_joins_a_question_asked_before_a_write_they_have_seen() {
        let flights = flights();
        let old = leader(flights.join("a", 1, |_| true));
        let new = leader(flights.join("a", 2, |asked| *asked >= 2));
        drop(old);
        let wait = waiter(flights.join("a", 2, |asked| *asked >= 2));
        new.land(Landing::Shared(2));
        assert!(matches!(wait.landed().await, Landing::Shared(2)));
    }

    #[tokio::test]
    async fn waiting_callers_are_bounded_and_leaving_frees_the_place() {
        let flights = flights();
        let _lead = leader(flights.join("a", 0, |_| true));
        let first = waiter(flights.join("a", 0, |_| true));
        let _second = waiter(flights.join("a", 0, |_| true));
        assert!(matches!(flights.join("a", 0, |_| true), Seat::Full));
        drop(first);
        assert_eq!(flights.waiting(), 1);
        waiter(flights.join("a", 0, |_| true));
    }

    /// Polls once.
    async fn begin<F: Future<Output: Send> + Send + 'static>(asked: &mut Attended<F>) {
        tokio::select! {
            biased;
            _ = asked => panic!("it had to wait"),
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn a_question_goes_on_when_whoever_drove_it_leaves() {
        let flights = flights();
        let lead = leader(flights.join("a", 0, |_| true));
        let wait = waiter(flights.join("a", 0, |_| true));
        let (answer, answered) = tokio::sync::oneshot::channel();
        let mut asked = Attended::new(Box::pin(async move {
            lead.land(Landing::Shared(answered.await.unwrap()));
        }));
        begin(&mut asked).await;
        drop(asked);
        answer.send(7).unwrap();
        assert!(matches!(wait.landed().await, Landing::Shared(7)));
    }

    #[tokio::test]
    async fn a_question_that_panics_is_over_for_all() {
        let flights = flights();
        let lead = leader(flights.join("a", 0, |_| true));
        let wait = waiter(flights.join("a", 0, |_| true));
        let mut asked = Attended::new(Box::pin(async move {
            let _lead = lead;
            tokio::task::yield_now().await;
            panic!("asked to");
        }));
        begin(&mut asked).await;
        assert!(tokio::spawn(asked).await.is_err());
        assert!(matches!(wait.landed().await, Landing::Alone));
    }

    #[test]
    fn a_question_that_is_left_when_the_process_ends_ends_too() {
        let flights = flights();
        let lead = leader(flights.join("a", 0, |_| true));
        drop(Attended::new(Box::pin(async move {
            lead.land(Landing::Shared(7));
        })));
        leader(flights.join("a", 0, |_| true));
    }
}
