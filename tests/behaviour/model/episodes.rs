//! The ways in which caches have gone wrong, each as a few steps with a story's people.

use proptest::option;
use proptest::prelude::*;

use super::choices::{Cast, caller, change, name, read, trouble, write};
use super::law;
use super::step::{
    Act, Batch, Caller, Change, Condition, Held, Meanwhile, Name, Owner, Part, Read, Step, Subject,
    View, Write,
};

/// Somebody is proven by what they may see, and asks for what another was given.
pub(super) fn poach(cast: &Cast) -> BoxedStrategy<Vec<Step>> {
    let ways = (any::<bool>(), any::<bool>());
    let drawn = (read(cast), caller(cast), caller(cast), any::<bool>(), ways);
    drawn
        .prop_map(|(read, holder, other, own, (first_way, last_way))| {
            let first = Read {
                owner: if own { Owner::Me } else { Owner::Stranger },
                view: View::Media,
                size: None,
                ..plain(Read {
                    caller: other,
                    ..read
                })
            };
            let taken = Read {
                caller: holder,
                ..read
            };
            let last = Read {
                caller: other,
                ..read
            };
            vec![
                either(plain(taken), first_way),
                one(first),
                either(last, last_way),
            ]
        })
        .boxed()
}

/// Something ends, and time passes; the caller is proven anew by something else, or not.
pub(super) fn outlive(cast: &Cast) -> BoxedStrategy<Vec<Step>> {
    let wait = || prop::sample::select(vec![10, 70, 200, 250, 310, 650, 1_000]);
    let later = |seconds| Step::One(Act::Change(Change::Later(seconds)));
    let drawn = (
        (read(cast), caller(cast)),
        option::of(change(cast, 10)),
        (wait(), wait()),
        (any::<bool>(), any::<bool>()),
    );
    drawn
        .prop_map(
            move |((read, caller), change, (first, second), (anew, way))| {
                let read = plain(Read { caller, ..read });
                let stranger = Read {
                    owner: Owner::Stranger,
                    view: View::Media,
                    size: None,
                    ..read
                };
                let change = change.map(|change| Step::One(Act::Change(change)));
                let mut steps = vec![one(read), later(first), one(read)];
                steps.extend(change);
                steps.push(later(second));
                steps.extend(anew.then(|| one(stranger)));
                steps.push(either(read, way));
                steps
            },
        )
        .boxed()
}

/// Somebody is refused an owner in whatever way, and asks again for what was held.
pub(super) fn refuse(cast: &Cast) -> BoxedStrategy<Vec<Step>> {
    let ways = (any::<bool>(), any::<bool>());
    let drawn = (read(cast), read(cast), ways);
    drawn
        .prop_map(|(read, asks, (way, way_again))| {
            let asks = Read {
                caller: read.caller,
                owner: read.owner,
                ..asks
            };
            let held = plain(read);
            let whom = law::facts(read.caller).person;
            let what = law::subject(read.owner, read.caller);
            let forbid = whom.zip(what).map(|(who, what)| Change::Forbid(who, what));
            let mut steps = vec![one(held)];
            steps.extend(forbid.map(|forbid| Step::One(Act::Change(forbid))));
            steps.extend([either(asks, way), either(held, way_again)]);
            steps
        })
        .boxed()
}

/// A write by any name, while the answer to a read is on its way, or between two.
pub(super) fn overtake(cast: &Cast) -> BoxedStrategy<Vec<Step>> {
    let ways = (any::<bool>(), any::<bool>(), any::<bool>());
    let drawn = (
        read(cast),
        write(cast),
        name(),
        caller(cast),
        ways,
        20..90u8,
    );
    drawn
        .prop_map(
            |(read, write, name, other, (held, in_a_batch, write_in_a_batch), turns)| {
                // Of a size, so that the write goes another way and is not held back with it.
                let read = Read {
                    size: match (read.owner, read.view) {
                        (Owner::Team(..) | Owner::Contact(..), _) | (_, View::List) => None,
                        _ => Some(48),
                    },
                    ..plain(read)
                };
                let write = Write {
                    owner: by_name(read, name),
                    ..write
                };
                let again = Read {
                    caller: other,
                    ..read
                };
                let held = match (held, in_a_batch) {
                    (false, _) => Held::Nothing,
                    (true, false) => Held::LikeThis(read),
                    (true, true) => Held::Batches,
                };
                let write_in_a_batch = write_in_a_batch && held != Held::Batches;
                let mut acts = vec![
                    Meanwhile::Begin(asked(read, in_a_batch), turns),
                    Meanwhile::Begin(written(write, write_in_a_batch), turns),
                ];
                if turns % 2 == 0 {
                    acts.push(Meanwhile::Begin(Act::Read(again), turns / 2));
                }
                vec![Step::Together(held, acts), one(again), one(read)]
            },
        )
        .boxed()
}

/// A write whose answer is lost, and what is shown after it.
pub(super) fn lose(cast: &Cast) -> BoxedStrategy<Vec<Step>> {
    let ways = (any::<bool>(), any::<bool>());
    let readers = (caller(cast), caller(cast));
    let drawn = (read(cast), write(cast), name(), readers, trouble(), ways);
    drawn
        .prop_map(
            |(read, write, name, (reader, other), trouble, (write_in_a_batch, way))| {
                let read = plain(Read {
                    caller: reader,
                    ..read
                });
                let again = Read {
                    caller: other,
                    ..read
                };
                let write = Write {
                    owner: by_name(read, name),
                    ..write
                };
                let lost = vec![Meanwhile::Begin(written(write, write_in_a_batch), 0)];
                vec![
                    either(read, way),
                    one(again),
                    Step::Spoilt(trouble, Held::Nothing, lost),
                    one(again),
                    either(read, way),
                ]
            },
        )
        .boxed()
}

fn one(read: Read) -> Step {
    Step::One(Act::Read(read))
}

fn either(read: Read, in_a_batch: bool) -> Step {
    Step::One(asked(read, in_a_batch))
}

/// A read by itself, or in a batch of one.
fn asked(read: Read, in_a_batch: bool) -> Act {
    if in_a_batch {
        alone(read.caller, read.beta, Part::Read(read))
    } else {
        Act::Read(read)
    }
}

/// The same of a write.
fn written(write: Write, in_a_batch: bool) -> Act {
    if in_a_batch {
        alone(write.caller, write.beta, Part::Write(write))
    } else {
        Act::Write(write)
    }
}

fn alone(caller: Caller, beta: bool, part: Part) -> Act {
    Act::Batch(Batch {
        caller,
        beta,
        parts: vec![("1", part.asked_by(caller, beta))],
    })
}

/// Whom a read is about, by this name where it is a person.
fn by_name(read: Read, name: Name) -> Owner {
    match law::subject(read.owner, read.caller) {
        Some(Subject::Person(who)) => Owner::Person(who, name),
        _ => read.owner,
    }
}

/// Nothing asked besides.
fn plain(read: Read) -> Read {
    Read {
        condition: Condition::None,
        head: false,
        ..read
    }
}
