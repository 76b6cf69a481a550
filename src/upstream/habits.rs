//! What Graph makes of validators, learnt from its own answers, by kind of owner. Pure.
//!
//! It is not known whether Graph honours `If-None-Match` on photos (no trace of a 304 was ever
//! published), nor whether the tag in a photo's metadata is the photo's own. Both are tried,
//! believed while they hold, and tried again after an hour.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Time;
use crate::route::OwnerKind;

/// How long a habit is believed before it is tried again: one download an hour, per kind.
const BELIEVED: Duration = Duration::from_hours(1);

/// How a picture that is held is best verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By asking for it with `If-None-Match`.
    Condition,
    /// By asking for its metadata, which names its tag.
    Metadata,
}

/// Whether metadata asked for while somebody else downloads the picture has spared a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Meanwhile {
    /// Not tried yet.
    #[default]
    Unknown,
    /// Being tried since then, by one caller.
    Trying(Time),
    /// It has.
    Spares,
    /// It has cost one instead, at that time.
    Costs(Time),
}

impl Meanwhile {
    fn may_be_asked(self, now: Time) -> bool {
        match self {
            Self::Unknown | Self::Spares => true,
            Self::Trying(at) | Self::Costs(at) => now.since(at) >= BELIEVED,
        }
    }
}

/// What has been learnt.
#[derive(Debug, Default)]
pub struct Habits(Mutex<HashMap<OwnerKind, Habit>>);

#[derive(Debug, Default)]
struct Habit {
    /// When a condition was last ignored.
    ignored: Option<Time>,
    /// When metadata last told nothing about the picture.
    told_nothing: Option<Time>,
    /// Whether the tag in metadata has been seen to be the picture's.
    tags_agree: bool,
    meanwhile: Meanwhile,
}

impl Habits {
    /// How to verify a picture of this kind now. Once an hour the condition is tried again, by
    /// one caller.
    pub fn way(&self, kind: OwnerKind, now: Time) -> Way {
        let mut habits = self.lock();
        let habit = habits.entry(kind).or_default();
        let recent = |at: Option<Time>| at.is_some_and(|at| now.since(at) < BELIEVED);
        if habit.ignored.is_none() || recent(habit.told_nothing) {
            return Way::Condition;
        }
        if !recent(habit.ignored) {
            habit.ignored = Some(now);
            return Way::Condition;
        }
        Way::Metadata
    }

    /// A condition was honoured: 304.
    pub fn condition_honoured(&self, kind: OwnerKind) {
        self.lock().entry(kind).or_default().ignored = None;
    }

    /// A condition was ignored: the same tag, or the same bytes, came with 200.
    pub fn condition_ignored(&self, kind: OwnerKind, now: Time) {
        self.lock().entry(kind).or_default().ignored = Some(now);
    }

    /// The tag in metadata was the picture's.
    pub fn tags_agreed(&self, kind: OwnerKind) {
        let mut habits = self.lock();
        let habit = habits.entry(kind).or_default();
        habit.tags_agree = true;
        habit.told_nothing = None;
    }

    /// The tag in metadata was another one, or was not there, though the picture was the same.
    pub fn metadata_told_nothing(&self, kind: OwnerKind, now: Time) {
        let mut habits = self.lock();
        let habit = habits.entry(kind).or_default();
        habit.tags_agree = false;
        habit.told_nothing = Some(now);
    }

    /// Whether a tag in metadata that is not the picture's shows that the picture has changed.
    pub fn tags_agree(&self, kind: OwnerKind) -> bool {
        self.lock().get(&kind).is_some_and(|habit| habit.tags_agree)
    }

    /// Whether metadata may be asked for while somebody else downloads the picture: where that
    /// has spared questions, and once an hour to see whether it does.
    pub fn may_ask_meanwhile(&self, kind: OwnerKind, now: Time) -> bool {
        let habits = self.lock();
        let meanwhile = habits.get(&kind).map(|habit| habit.meanwhile);
        meanwhile.unwrap_or_default().may_be_asked(now)
    }

    /// The same for a caller who asks at once: where it is not known yet, one at a time tries.
    pub fn asks_meanwhile(&self, kind: OwnerKind, now: Time) -> Option<Trial<'_>> {
        let mut habits = self.lock();
        let habit = habits.entry(kind).or_default();
        if !habit.meanwhile.may_be_asked(now) {
            return None;
        }
        if habit.meanwhile != Meanwhile::Spares {
            habit.meanwhile = Meanwhile::Trying(now);
        }
        Some(Trial { habits: self, kind })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OwnerKind, Habit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to say what came of asking for metadata meanwhile. Dropping it says that nothing
/// was learnt.
#[derive(Debug)]
pub struct Trial<'a> {
    habits: &'a Habits,
    kind: OwnerKind,
}

impl Trial<'_> {
    /// It has spared a question.
    pub fn spared(self) {
        self.ends(Meanwhile::Spares);
    }

    /// It told nothing, and the question had to be asked all the same.
    pub fn cost(self, now: Time) {
        self.ends(Meanwhile::Costs(now));
    }

    fn ends(&self, meanwhile: Meanwhile) {
        self.habits.lock().entry(self.kind).or_default().meanwhile = meanwhile;
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let mut habits = self.habits.lock();
        let habit = habits.entry(self.kind).or_default();
        if matches!(habit.meanwhile, Meanwhile::Trying(_)) {
            habit.meanwhile = Meanwhile::Unknown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const USER: OwnerKind = OwnerKind::User;

    #[test]
    fn metadata_is_asked_only_where_conditions_are_ignored() {
        let (habits, clock) = (Habits::default(), Clock::by_hand());
        assert_eq!(habits.way(USER, clock.now()), Way::Condition);
        habits.condition_ignored(USER, clock.now());
        assert_eq!(habits.way(USER, clock.now()), Way::Metadata);
        assert_eq!(habits.way(OwnerKind::Group, clock.now()), Way::Condition);
        habits.condition_honoured(USER);
        assert_eq!(habits.way(USER, clock.now()), Way::Condition);
    }

    #[test]
    fn once_an_hour_one_caller_tries_the_condition_again() {
        let (habits, clock) = (Habits::default(), Clock::by_hand());
        habits.condition_ignored(USER, clock.now());
        clock.advance(BELIEVED);
        assert_eq!(habits.way(USER, clock.now()), Way::Condition);
        assert_eq!(habits.way(USER, clock.now()), Way::Metadata);
    }

    #[test]
    fn metadata_that_tells_nothing_is_left_alone_for_an_hour() {
        let (habits, clock) = (Habits::default(), Clock::by_hand());
        habits.condition_ignored(USER, clock.now());
        habits.tags_agreed(USER);
        assert!(habits.tags_agree(USER));
        habits.metadata_told_nothing(USER, clock.now());
        assert!(!habits.tags_agree(USER));
        assert_eq!(habits.way(USER, clock.now()), Way::Condition);
        clock.advance(BELIEVED);
        assert_eq!(habits.way(USER, clock.now()), Way::Condition);
        assert_eq!(habits.way(USER, clock.now()), Way::Metadata);
    }

    #[test]
    fn while_nothing_is_known_one_at_a_time_asks_for_metadata_meanwhile() {
        let (habits, clock) = (Habits::default(), Clock::by_hand());
        let now = clock.now();
        let trial = habits.asks_meanwhile(USER, now).unwrap();
        assert!(habits.asks_meanwhile(USER, now).is_none());
        assert!(habits.asks_meanwhile(OwnerKind::Group, now).is_some());
        drop(trial);
        habits.asks_meanwhile(USER, now).unwrap().spared();
        let all = [0; 9].map(|_| habits.asks_meanwhile(USER, now));
        assert!(all.iter().all(Option::is_some));
    }

    #[test]
    fn what_has_cost_a_question_is_not_tried_again_for_an_hour() {
        let (habits, clock) = (Habits::default(), Clock::by_hand());
        habits.asks_meanwhile(USER, clock.now()).unwrap().spared();
        habits
            .asks_meanwhile(USER, clock.now())
            .unwrap()
            .cost(clock.now());
        assert!(habits.asks_meanwhile(USER, clock.now()).is_none());
        clock.advance(BELIEVED);
        let trial = habits.asks_meanwhile(USER, clock.now());
        assert!(trial.is_some());
        assert!(!habits.may_ask_meanwhile(USER, clock.now()));
    }
}
