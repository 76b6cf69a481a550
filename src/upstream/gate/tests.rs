//! The gate as the narrator uses it.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::Clock;
use crate::identity::{Caller, Config, Identity, Sharing};
use crate::route::ObjectId;

const USER: OwnerKind = OwnerKind::User;

fn limits() -> Limits {
    Limits {
        concurrency: 4,
        queue: 2,
        patience: Duration::from_secs(10),
        longest_wait: Duration::from_mins(15),
        longest_body: Duration::from_secs(30),
    }
}

fn subject(name: u8) -> Subject {
    Subject::User(ObjectId::Other(format!("someone {name}").into()))
}

fn budget(token: &str) -> Budget {
    let identity = Identity::new(&Config {
        sharing: Sharing::Verified,
        proof_ttl: Duration::from_mins(15),
        proofs: 10,
        member_roles: Vec::new(),
        extra_permissions: crate::identity::ExtraPermissions::default(),
    });
    let mut headers = http::HeaderMap::new();
    let value = format!("Bearer {token}").parse().unwrap();
    headers.insert(http::header::AUTHORIZATION, value);
    let caller: Caller = identity.caller(&headers, Clock::by_hand().now()).unwrap();
    Budget::of(&caller, USER)
}

async fn enter(gate: &Gate, budget: &Budget, clock: &Clock) -> Result<Pass, Refusal> {
    enter_as(gate, budget, Bearer::Accepted, clock).await
}

async fn enter_as(
    gate: &Gate,
    budget: &Budget,
    bearer: Bearer,
    clock: &Clock,
) -> Result<Pass, Refusal> {
    gate.enter(budget, bearer, (USER, &subject(1)), || clock.now())
        .await
}

#[tokio::test]
async fn a_closed_budget_stops_no_other() {
    let (gate, clock) = (Gate::new(limits()), Clock::by_hand());
    let (one, other) = (budget("one"), budget("other"));
    let pass = enter(&gate, &one, &clock).await.unwrap();
    pass.throttled(Some(Duration::from_secs(30)), clock.now());
    drop(pass);
    let wait = Duration::from_secs(30);
    assert_eq!(
        enter(&gate, &one, &clock).await.unwrap_err(),
        Refusal::Wait(wait)
    );
    assert!(enter(&gate, &other, &clock).await.is_ok());
    assert!(!gate.has_room(&one, USER, clock.now()));
    assert!(gate.has_room(&other, USER, clock.now()));
}

#[tokio::test]
async fn the_queue_is_served_in_its_order_and_is_short() {
    let (gate, clock, budget) = (Gate::new(limits()), Clock::by_hand(), budget("a"));
    let mut passes = Vec::new();
    for _ in 0..4 {
        passes.push(enter(&gate, &budget, &clock).await.unwrap());
    }
    let mut first = Box::pin(enter(&gate, &budget, &clock));
    let mut second = Box::pin(enter(&gate, &budget, &clock));
    assert!(futures_pending(&mut first).await && futures_pending(&mut second).await);
    let third = enter(&gate, &budget, &clock).await;
    assert_eq!(third.unwrap_err(), Refusal::Full);
    passes.pop();
    assert!(futures_pending(&mut second).await);
    assert!(first.await.is_ok());
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn a_flood_of_tokens_unheard_of_fills_neither_the_lane_nor_the_queue_of_the_others() {
    let (gate, clock, budget) = (Gate::new(limits()), Clock::by_hand(), budget("a"));
    let unheard = || enter_as(&gate, &budget, Bearer::Unheard, &clock);
    drop(enter(&gate, &budget, &clock).await.unwrap());
    let mut flood = vec![unheard().await, unheard().await, unheard().await];
    assert!(flood.iter().all(Result::is_ok));
    let (mut one, mut two) = (Box::pin(unheard()), Box::pin(unheard()));
    assert!(futures_pending(&mut one).await && futures_pending(&mut two).await);
    assert_eq!(unheard().await.unwrap_err(), Refusal::Full);
    // One place is free for whom Graph has accepted, and so is their queue.
    let first = enter(&gate, &budget, &clock).await.unwrap();
    let mut second = Box::pin(enter(&gate, &budget, &clock));
    let mut third = Box::pin(enter(&gate, &budget, &clock));
    assert!(futures_pending(&mut second).await && futures_pending(&mut third).await);
    // They take turns for what becomes free.
    flood.pop();
    let second = second.await.unwrap();
    assert!(futures_pending(&mut one).await && futures_pending(&mut third).await);
    flood.pop();
    let one = one.await.unwrap();
    assert!(futures_pending(&mut two).await && futures_pending(&mut third).await);
    drop(first);
    let third = third.await.unwrap();
    assert!(futures_pending(&mut two).await);
    drop((one, second, third));
    assert!(two.await.is_ok());
}

#[tokio::test]
async fn a_lane_of_one_place_serves_tokens_unheard_of_in_their_turn() {
    let limits = Limits {
        concurrency: 1,
        ..limits()
    };
    let (gate, clock, budget) = (Gate::new(limits), Clock::by_hand(), budget("a"));
    let first = enter(&gate, &budget, &clock).await.unwrap();
    let mut accepted = Box::pin(enter(&gate, &budget, &clock));
    let mut unheard = Box::pin(enter_as(&gate, &budget, Bearer::Unheard, &clock));
    let mut last = Box::pin(enter(&gate, &budget, &clock));
    for turn in [&mut accepted, &mut last] {
        assert!(futures_pending(turn).await);
    }
    assert!(futures_pending(&mut unheard).await);
    drop(first);
    let pass = accepted.await.unwrap();
    assert!(futures_pending(&mut unheard).await);
    drop(pass);
    let pass = unheard.await.unwrap();
    assert!(futures_pending(&mut last).await);
    drop(pass);
    assert!(last.await.is_ok());
}

#[tokio::test]
async fn one_who_leaves_the_queue_leaves_no_gap() {
    let (gate, clock, budget) = (Gate::new(limits()), Clock::by_hand(), budget("a"));
    let mut passes = Vec::new();
    for _ in 0..4 {
        passes.push(enter(&gate, &budget, &clock).await.unwrap());
    }
    let mut leaver = Box::pin(enter(&gate, &budget, &clock));
    let mut stayer = Box::pin(enter(&gate, &budget, &clock));
    assert!(futures_pending(&mut leaver).await && futures_pending(&mut stayer).await);
    passes.pop();
    drop(leaver);
    let stayer = stayer.await.unwrap();
    drop((passes, stayer));
    for _ in 0..4 {
        std::mem::forget(enter(&gate, &budget, &clock).await.unwrap());
    }
}

#[tokio::test]
async fn nobody_waits_in_the_queue_for_longer_than_its_patience() {
    let patience = Duration::from_millis(20);
    let gate = Gate::new(Limits {
        patience,
        ..limits()
    });
    let (clock, budget) = (Clock::by_hand(), budget("a"));
    let mut passes = Vec::new();
    for _ in 0..4 {
        passes.push(enter(&gate, &budget, &clock).await.unwrap());
    }
    let waited = tokio::time::Instant::now();
    let refused = enter(&gate, &budget, &clock).await.unwrap_err();
    assert_eq!(refused, Refusal::Full);
    assert!(waited.elapsed() >= patience);
}

#[tokio::test]
async fn those_who_queue_are_told_at_once_when_graph_says_wait() {
    let (gate, clock, budget) = (Gate::new(limits()), Clock::by_hand(), budget("a"));
    let mut passes = Vec::new();
    for _ in 0..4 {
        passes.push(enter(&gate, &budget, &clock).await.unwrap());
    }
    let mut queued = Box::pin(enter(&gate, &budget, &clock));
    assert!(futures_pending(&mut queued).await);
    let wait = Duration::from_secs(9);
    passes.pop().unwrap().throttled(Some(wait), clock.now());
    assert_eq!(queued.await.unwrap_err(), Refusal::Wait(wait));
}

#[tokio::test]
async fn after_the_wait_one_goes_ahead_and_the_others_follow_its_answer() {
    let (gate, clock, budget) = (Gate::new(limits()), Clock::by_hand(), budget("a"));
    let pass = enter(&gate, &budget, &clock).await.unwrap();
    pass.throttled(Some(Duration::from_secs(9)), clock.now());
    drop(pass);
    clock.advance(Duration::from_secs(9));
    let probe = enter(&gate, &budget, &clock).await.unwrap();
    let mut second = Box::pin(enter(&gate, &budget, &clock));
    let mut third = Box::pin(enter(&gate, &budget, &clock));
    assert!(futures_pending(&mut second).await && futures_pending(&mut third).await);
    probe.answered();
    let second = second.await.unwrap();
    assert!(futures_pending(&mut third).await);
    drop(probe);
    let third = third.await.unwrap();
    drop((second, third));
}

#[tokio::test]
async fn a_graph_that_cannot_be_reached_is_not_asked_by_anybody_for_a_while() {
    let (gate, clock) = (Gate::new(limits()), Clock::by_hand());
    for _ in 0..3 {
        let pass = enter(&gate, &budget("a"), &clock).await.unwrap();
        pass.unreachable(clock.now());
    }
    let down = Refusal::Down(Duration::from_secs(1));
    assert_eq!(enter(&gate, &budget("b"), &clock).await.unwrap_err(), down);
    clock.advance(Duration::from_secs(1));
    let probe = enter(&gate, &budget("b"), &clock).await.unwrap();
    assert_eq!(enter(&gate, &budget("a"), &clock).await.unwrap_err(), down);
    probe.answered();
    assert!(enter(&gate, &budget("a"), &clock).await.is_ok());
}

#[tokio::test]
async fn an_outage_of_one_kind_of_photo_stops_no_other_kind() {
    let (gate, clock, budget) = (Gate::new(limits()), Clock::by_hand(), budget("a"));
    let ask = |kind, name| {
        let (gate, budget, clock) = (&gate, &budget, &clock);
        async move {
            let subject = subject(name);
            gate.enter(budget, Bearer::Accepted, (kind, &subject), || clock.now())
                .await
        }
    };
    for name in [1, 2, 3, 4, 5] {
        ask(USER, name).await.unwrap().failed(clock.now());
    }
    assert!(matches!(ask(USER, 6).await, Err(Refusal::Down(_))));
    assert!(ask(OwnerKind::Group, 6).await.is_ok());
}

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    Later(u64),
    Ask,
    Answered(usize),
    Throttled(usize, Option<u64>),
    Lost(usize),
    PassedThrough(Option<u64>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wait = || proptest::option::of(0..20_000_u64);
    let step = prop_oneof![
        3 => (0..9_000_u64).prop_map(Step::Later),
        6 => Just(Step::Ask),
        4 => (0..4_usize).prop_map(Step::Answered),
        2 => (0..4_usize, wait()).prop_map(|(which, wait)| Step::Throttled(which, wait)),
        1 => (0..4_usize).prop_map(Step::Lost),
        1 => wait().prop_map(Step::PassedThrough),
    ];
    proptest::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn nothing_is_sent_inside_any_window_graph_has_named(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (clock, budget) = (Clock::by_hand(), budget("a"));
        // Without a queue, a question that may not go is refused at once.
        let gate = Gate::new(Limits { queue: 0, ..limits() });
        let mut out: Vec<Pass> = Vec::new();
        let mut closed_until = clock.now();
        for step in steps {
            let now = clock.now();
            let named = |wait: Option<u64>| wait.map(Duration::from_millis);
            match step {
                Step::Later(by) => clock.advance(Duration::from_millis(by)),
                Step::Ask => match runtime.block_on(enter(&gate, &budget, &clock)) {
                    Ok(pass) => {
                        prop_assert!(now >= closed_until, "sent inside a window");
                        out.push(pass);
                        prop_assert!(out.len() <= 4, "too many on their way");
                    }
                    Err(Refusal::Wait(left)) => {
                        prop_assert!(now.plus(left) >= closed_until, "told too short a wait");
                    }
                    Err(Refusal::Full) => prop_assert!(!out.is_empty(), "stuck"),
                    Err(Refusal::Down(_)) => prop_assert!(false, "nothing failed"),
                },
                Step::Answered(which) if which < out.len() => out.swap_remove(which).answered(),
                Step::Throttled(which, wait) if which < out.len() => {
                    out.swap_remove(which).throttled(named(wait), now);
                    closed_until = closed_until.max(now.plus(named(wait).unwrap_or_default()));
                }
                Step::Lost(which) if which < out.len() => drop(out.swap_remove(which)),
                Step::PassedThrough(wait) => {
                    gate.throttled(&budget, named(wait), now);
                    closed_until = closed_until.max(now.plus(named(wait).unwrap_or_default()));
                }
                _ => {}
            }
            gate.maintain(clock.now());
        }
    }
}

/// Whether a future is still waiting after it has been given a chance.
async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_pending()))
        .await
}
