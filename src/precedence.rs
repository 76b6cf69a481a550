//! Who goes first on a thread: what memory answers, before what Graph is asked for.
//!
//! A hit takes some microseconds, each step of a miss some ten. Where both come at once and one
//! core has to do for them, a step gives way: what the system has brought meanwhile is looked at
//! first, and of several steps that are due one is made before it is looked again. So a hit waits
//! for one step, not for all of them; and a step waits for a few such looks at most, and for none
//! where none have been answered lately.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use hyper::rt::Executor;
use tokio::task::yield_now;

/// How often a step gives way at most: where more steps are due than that, several are made in
/// one go, so that misses come to their end beside any number of hits.
const MOST: u8 = 8;

/// For how many steps after a hit more hits are expected. While they are, each step gives way once
/// at least, so that between any two of them is a look: where several are due, hits seldom come
/// between the first and the second.
const EXPECTED: u8 = 64;

thread_local! {
    /// For how many more steps this thread expects hits.
    static EXPECTS: Cell<u8> = const { Cell::new(0) };
    /// How many steps it has made.
    static STEPS: Cell<u32> = const { Cell::new(0) };
}

/// A hit has been answered.
pub(crate) fn hit() {
    EXPECTS.set(EXPECTED);
}

/// A step that is due.
#[derive(Default)]
struct Turn {
    /// How often it has given way, and how many steps had been made then.
    gave: u8,
    steps: u32,
}

impl Turn {
    fn is_mine(&self) -> bool {
        match self.gave {
            0 => EXPECTS.get() == 0,
            MOST.. => true,
            _ => STEPS.get() == self.steps,
        }
    }

    /// Ready when the step is to be made; whether it has given way.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if !self.is_mine() {
            self.gave += 1;
            self.steps = STEPS.get();
            // Pending once, to be polled again after the thread has looked what is new.
            if pin!(yield_now()).poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        STEPS.set(STEPS.get().wrapping_add(1));
        EXPECTS.set(EXPECTS.get().saturating_sub(1));
        Poll::Ready(std::mem::take(self).gave > 0)
    }
}

/// Waits until the step that follows is due; whether anything may have happened meanwhile.
pub(crate) async fn turn() -> bool {
    let mut turn = Turn::default();
    poll_fn(|context| turn.poll(context)).await
}

/// Work whose steps, each from one wait to the next, give way to hits.
pub(crate) struct Behind<F> {
    work: Pin<Box<F>>,
    turn: Turn,
    /// Whether its next step is to be made at once.
    at_once: bool,
}

impl<F: Future> Behind<F> {
    /// Not begun yet.
    pub(crate) fn new(work: F) -> Self {
        Self {
            work: Box::pin(work),
            turn: Turn::default(),
            at_once: false,
        }
    }

    /// The same for work that begins by waiting for its [`turn`].
    pub(crate) fn beginning_at_once(work: F) -> Self {
        Self {
            at_once: true,
            ..Self::new(work)
        }
    }
}

impl<F: Future> Future for Behind<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if !std::mem::take(&mut self.at_once) {
            ready!(self.turn.poll(context));
        }
        self.work.as_mut().poll(context)
    }
}

/// Spawns tasks whose steps give way to hits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpawnBehind;

impl<F> Executor<F> for SpawnBehind
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, work: F) {
        tokio::spawn(Behind::new(work));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::task::JoinSet;

    use super::*;

    /// What has happened, in order.
    #[derive(Clone, Default)]
    struct Story(Arc<Mutex<Vec<String>>>);

    impl Story {
        fn tell(&self, what: impl Into<String>) {
            self.0.lock().unwrap().push(what.into());
        }

        fn told(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    /// Steps of misses that are all due, and then something that the system has brought, which
    /// looks `turns` times what is new.
    async fn play(steps: usize, turns: usize) -> Vec<String> {
        let story = Story::default();
        let mut tasks = JoinSet::new();
        for step in 0..steps {
            let story = story.clone();
            tasks.spawn(Behind::new(
                async move { story.tell(format!("step {step}")) },
            ));
        }
        let looks = story.clone();
        tasks.spawn(async move {
            for _ in 0..turns {
                looks.tell("look");
                yield_now().await;
            }
        });
        tasks.join_all().await;
        story.told()
    }

    /// What looks, and the steps, change places from one turn of the thread to the next.
    fn take_turns(told: &[String]) {
        let (mut looks, mut steps) = (0, 0);
        for what in told {
            *(if what == "look" {
                &mut looks
            } else {
                &mut steps
            }) += 1;
            assert!(steps <= looks, "{told:?}");
        }
        assert_eq!((looks, steps), (6, 5));
    }

    #[tokio::test]
    async fn a_hit_waits_for_one_step_and_not_for_all_that_are_due() {
        hit();
        take_turns(&play(5, 6).await);
    }

    #[tokio::test]
    async fn steps_take_turns_too_when_no_hit_has_come_between_them() {
        hit();
        assert_eq!(play(1, 1).await, ["look", "step 0"]);
        take_turns(&play(5, 6).await);
    }

    #[tokio::test]
    async fn without_hits_nothing_waits() {
        let at_once = ["step 0", "step 1", "look"];
        assert_eq!(play(2, 1).await, at_once);
        // Nor when the last was long ago.
        hit();
        for _ in 0..EXPECTED {
            assert_eq!(play(1, 1).await, ["look", "step 0"]);
        }
        assert_eq!(play(2, 1).await, at_once);
    }

    #[tokio::test]
    async fn however_many_steps_are_due_none_waits_for_long() {
        hit();
        let told = play(1_000, usize::from(MOST) + 2).await;
        let looks = told.iter().take_while(|what| *what != "step 999");
        let looks = looks.filter(|what| *what == "look").count();
        assert!((1..=usize::from(MOST) + 1).contains(&looks), "{looks}");
    }

    #[tokio::test]
    async fn work_that_waits_gives_way_at_each_step_of_it() {
        let story = Story::default();
        let (wake, woken) = tokio::sync::oneshot::channel::<()>();
        let tells = story.clone();
        let work = tokio::spawn(Behind::new(async move {
            tells.tell("first step");
            woken.await.unwrap();
            tells.tell("second step");
        }));
        yield_now().await;
        hit();
        wake.send(()).unwrap();
        let looks = story.clone();
        let other = tokio::spawn(async move { looks.tell("look") });
        work.await.unwrap();
        other.await.unwrap();
        assert_eq!(story.told(), ["first step", "look", "second step"]);
    }
}
