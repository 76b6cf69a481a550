//! Stories at random: a few people meeting again and again, and now and then anybody else.

use proptest::collection::vec;
use proptest::prelude::*;

use super::choices::{
    Cast, any_size, anybody, anything, batch, caller, change, companion, read, trouble, write,
};
use super::episodes::{lose, outlive, overtake, poach, refuse};
use super::step::{Act, Backend, Caller, Conditional, Held, Meanwhile, Read, Scene, Step, Story};

/// Stories of at most so many episodes.
pub(super) fn story(most: usize) -> impl Strategy<Value = Story> {
    let leading = prop::sample::select(vec![
        Caller::Alice,
        Caller::AliceAgain,
        Caller::AliceBriefly,
        Caller::Bob,
        Caller::Bob,
        Caller::Carol,
        Caller::App,
        Caller::Pat,
    ]);
    let cast = (
        leading,
        vec(anybody(), 0..4),
        vec(anything(), 1..3),
        any_size(),
    );
    let cast = cast.prop_map(|(leading, mut callers, owners, size)| {
        callers.extend([leading, companion(leading)]);
        Cast {
            callers,
            owners,
            size,
        }
    });
    let steps = cast.prop_flat_map(move |cast| vec(episode(&cast), 1..most));
    (scene(), steps).prop_map(|(scene, steps)| Story {
        scene,
        steps: steps.concat(),
    })
}

fn scene() -> BoxedStrategy<Scene> {
    let backend = prop_oneof![
        3 => Just(Backend::Newer),
        1 => Just(Backend::Older),
        1 => Just(Backend::Documented)
    ];
    let conditional = prop_oneof![
        4 => Just(Conditional::NotModified),
        1 => Just(Conditional::SameTag),
        1 => Just(Conditional::NewTag),
        1 => Just(Conditional::NoTag),
    ];
    let rarely = || prop::bool::weighted(0.2);
    (
        backend,
        conditional,
        [rarely(), rarely(), rarely(), rarely(), rarely()],
        [rarely(), rarely()],
    )
        .prop_map(
            |(
                graph,
                conditional,
                [
                    one_by_one,
                    tag_per_size,
                    own_photo_quirk,
                    tiny_memory,
                    few_proofs,
                ],
                [any_order, bare_parts],
            )| {
                Scene {
                    graph,
                    conditional,
                    one_by_one,
                    tag_per_size,
                    own_photo_quirk,
                    tiny_memory,
                    few_proofs,
                    any_order,
                    bare_parts,
                }
            },
        )
        .boxed()
}

/// A few steps that belong together: one by itself, or one of the ways in which caches have
/// gone wrong, with this story's people.
fn episode(cast: &Cast) -> BoxedStrategy<Vec<Step>> {
    prop_oneof![
        12 => step(cast).prop_map(|step| vec![step]),
        2 => poach(cast),
        2 => outlive(cast),
        1 => refuse(cast),
        3 => overtake(cast),
        2 => lose(cast),
    ]
    .boxed()
}

fn step(cast: &Cast) -> BoxedStrategy<Step> {
    let held = || prop_oneof![Just(Held::Nothing), Just(Held::Everything)];
    let meanwhile = |longest_wait| {
        prop_oneof![
            8 => (act(cast, longest_wait), 0..60u8).prop_map(|(act, turns)| Meanwhile::Begin(act, turns)),
            1 => (0..40u8).prop_map(Meanwhile::LetOneGo),
            1 => (0..8usize).prop_map(Meanwhile::Leave),
        ]
    };
    prop_oneof![
        10 => act(cast, 2_400).prop_map(Step::One),
        // The same question again, by the same and by another: what caches are for.
        6 => (read(cast), caller(cast)).prop_map(|(read, other)| Step::Together(Held::Nothing, vec![
            Meanwhile::Begin(Act::Read(read), 60),
            Meanwhile::Begin(Act::Read(Read { caller: other, ..read }), 0),
            Meanwhile::Begin(Act::Read(read), 0),
        ])),
        // A read that is under way while something happens, and others after that.
        6 => (read(cast), act(cast, 120), caller(cast), 0..60u8).prop_map(|(read, act, other, turns)| {
            let again = Read { caller: other, ..read };
            Step::Together(Held::Everything, vec![
                Meanwhile::Begin(Act::Read(read), 60),
                Meanwhile::Begin(act, turns),
                Meanwhile::Begin(Act::Read(again), turns / 2),
                Meanwhile::Begin(Act::Read(read), turns / 4),
            ])
        }),
        4 => (held(), vec(meanwhile(120), 2..9)).prop_map(|(held, acts)| Step::Together(held, acts)),
        2 => (trouble(), vec(read(cast), 1..4)).prop_map(|(trouble, reads)| {
            let begin = |read| Meanwhile::Begin(Act::Read(read), 0);
            Step::Spoilt(trouble, Held::Nothing, reads.into_iter().map(begin).collect())
        }),
        // While no time passes, so that it is known when Graph has failed.
        2 => (trouble(), held(), vec(meanwhile(0), 2..6))
            .prop_map(|(trouble, held, acts)| Step::Spoilt(trouble, held, acts)),
    ]
        .boxed()
}

fn act(cast: &Cast, longest_wait: u64) -> BoxedStrategy<Act> {
    prop_oneof![
        10 => read(cast).prop_map(Act::Read),
        2 => write(cast).prop_map(Act::Write),
        3 => batch(cast).prop_map(Act::Batch),
        4 => change(cast, longest_wait).prop_map(Act::Change),
    ]
    .boxed()
}
