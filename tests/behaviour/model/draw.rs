//! Stories at random: a few people meeting again and again, and now and then anybody else.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::oracle;
use super::step::{
    Act, Backend, Caller, Change, Condition, Conditional, Held, Meanwhile, Name, Owner, Place,
    Read, Scene, Spoil, Step, Story, Subject, View, Who, Write,
};

/// Who and what a story is mostly about: few enough to meet again and again.
#[derive(Debug, Clone)]
struct Cast {
    callers: Vec<Caller>,
    owners: Vec<Owner>,
    size: Option<u32>,
}

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
        rarely(),
        rarely(),
        rarely(),
        rarely(),
        rarely(),
    )
        .prop_map(
            |(
                graph,
                conditional,
                one_by_one,
                tag_per_size,
                own_photo_quirk,
                tiny_memory,
                few_proofs,
            )| {
                Scene {
                    graph,
                    conditional,
                    one_by_one,
                    tag_per_size,
                    own_photo_quirk,
                    tiny_memory,
                    few_proofs,
                }
            },
        )
        .boxed()
}

/// Whom a caller is most easily taken for.
fn companion(caller: Caller) -> Caller {
    match caller {
        Caller::AliceAgain => Caller::AliceNarrow,
        Caller::AliceBriefly => Caller::AliceAgain,
        Caller::Carol => Caller::GusDisguised,
        Caller::App => Caller::TeamApp,
        Caller::Pat => Caller::Quinn,
        other => other,
    }
}

/// A few steps that belong together: one by itself, or one of the ways in which caches have
/// gone wrong, with this story's people.
fn episode(cast: &Cast) -> BoxedStrategy<Vec<Step>> {
    let one = |read| Step::One(Act::Read(read));
    let later = |seconds| Step::One(Act::Change(Change::Later(seconds)));
    let wait = || prop::sample::select(vec![10, 70, 200, 250, 310, 650, 1_000]);
    // Somebody is proven by what they may see, and asks for what another was given.
    let poach = (read(cast), caller(cast), caller(cast), any::<bool>()).prop_map(
        move |(read, holder, other, own)| {
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
            vec![
                one(plain(taken)),
                one(first),
                one(Read {
                    caller: other,
                    ..read
                }),
            ]
        },
    );
    // Something ends, and time passes; the caller is proven anew by something else, or not.
    let outlive = (
        (read(cast), caller(cast)),
        option::of(change(cast, 10)),
        (wait(), wait()),
        any::<bool>(),
    )
        .prop_map(move |((read, caller), change, (first, second), anew)| {
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
            steps.push(one(read));
            steps
        });
    // A write by any name, while the answer to a read is on its way, or between two.
    let overtake = (
        read(cast),
        write(cast),
        name(),
        caller(cast),
        any::<bool>(),
        20..90u8,
    )
        .prop_map(move |(read, write, name, other, held, turns)| {
            // Of a size, so that the write goes another way and is not held back with it.
            let read = Read {
                size: match (read.owner, read.view) {
                    (Owner::Team(..) | Owner::Contact(..), _) | (_, View::List) => None,
                    _ => Some(48),
                },
                ..plain(read)
            };
            let owner = match oracle::subject(read.owner, read.caller) {
                Some(Subject::Person(who)) => Owner::Person(who, name),
                _ => read.owner,
            };
            let again = Read {
                caller: other,
                ..read
            };
            let mut acts = vec![
                Meanwhile::Begin(Act::Read(read), turns),
                Meanwhile::Begin(Act::Write(Write { owner, ..write }), turns),
            ];
            if turns % 2 == 0 {
                acts.push(Meanwhile::Begin(Act::Read(again), turns / 2));
            }
            let held = if held {
                Held::LikeThis(read)
            } else {
                Held::Nothing
            };
            vec![Step::Together(held, acts), one(again), one(read)]
        });
    prop_oneof![
        12 => step(cast).prop_map(|step| vec![step]),
        2 => poach,
        2 => outlive,
        3 => overtake,
    ]
    .boxed()
}

/// Nothing asked besides.
fn plain(read: Read) -> Read {
    Read {
        condition: Condition::None,
        head: false,
        ..read
    }
}

fn renamed((owner, name): (Owner, Name)) -> Owner {
    match owner {
        Owner::Person(who, _) => Owner::Person(who, name),
        other => other,
    }
}

fn step(cast: &Cast) -> BoxedStrategy<Step> {
    let held = prop_oneof![Just(Held::Nothing), Just(Held::Everything)];
    let meanwhile = prop_oneof![
        8 => (act(cast, 120), 0..60u8).prop_map(|(act, turns)| Meanwhile::Begin(act, turns)),
        1 => (0..40u8).prop_map(Meanwhile::LetOneGo),
        1 => (0..8usize).prop_map(Meanwhile::Leave),
    ];
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
        4 => (held, vec(meanwhile, 2..9)).prop_map(|(held, acts)| Step::Together(held, acts)),
        2 => (spoil(), vec(read(cast), 1..4)).prop_map(|(spoil, reads)| Step::Spoilt(spoil, reads)),
    ]
        .boxed()
}

fn act(cast: &Cast, longest_wait: u64) -> BoxedStrategy<Act> {
    prop_oneof![
        10 => read(cast).prop_map(Act::Read),
        2 => write(cast).prop_map(Act::Write),
        4 => change(cast, longest_wait).prop_map(Act::Change),
    ]
    .boxed()
}

fn caller(cast: &Cast) -> BoxedStrategy<Caller> {
    prop_oneof![
        8 => prop::sample::select(cast.callers.clone()),
        1 => anybody(),
    ]
    .boxed()
}

fn anybody() -> BoxedStrategy<Caller> {
    use Caller::{
        Alice, AliceAgain, AliceBriefly, AliceNarrow, AliceOfElsewhere, AliceSpaced, App, Bob,
        BobElsewhere, BobThenAlice, Carol, Forged, Gus, GusDisguised, Misaddressed, Nobody, Pat,
        Quinn, TeamApp,
    };
    prop_oneof![
        6 => Just(Alice),
        3 => Just(AliceAgain),
        2 => Just(AliceBriefly),
        2 => Just(AliceNarrow),
        5 => Just(Bob),
        2 => Just(BobElsewhere),
        3 => Just(Carol),
        2 => Just(Gus),
        2 => Just(GusDisguised),
        3 => Just(App),
        1 => Just(TeamApp),
        2 => Just(AliceOfElsewhere),
        2 => Just(Pat),
        1 => Just(Quinn),
        2 => Just(Forged),
        1 => Just(Misaddressed),
        1 => Just(Nobody),
        1 => Just(BobThenAlice),
        1 => Just(AliceSpaced),
    ]
    .boxed()
}

fn name() -> BoxedStrategy<Name> {
    prop_oneof![
        4 => Just(Name::Id),
        1 => Just(Name::IdInCapitals),
        3 => Just(Name::Upn),
        1 => Just(Name::UpnInCapitals),
        1 => Just(Name::UpnTwice),
    ]
    .boxed()
}

/// Mostly of the cast, by whatever name.
fn owner(cast: &Cast) -> BoxedStrategy<Owner> {
    prop_oneof![
        6 => prop::sample::select(cast.owners.clone()),
        4 => (prop::sample::select(cast.owners.clone()), name()).prop_map(renamed),
        1 => Just(Owner::Me),
        1 => anything(),
    ]
    .boxed()
}

fn anything() -> BoxedStrategy<Owner> {
    use Who::{Alice, Bob, Carol, Gus, Pat};
    let place = prop_oneof![
        Just(Place::Teams),
        Just(Place::Team),
        Just(Place::GroupTeam),
        Just(Place::Joined)
    ];
    prop_oneof![
        4 => Just(Owner::Me),
        6 => name().prop_map(|name| Owner::Person(Bob, name)),
        4 => name().prop_map(|name| Owner::Person(Alice, name)),
        3 => name().prop_map(|name| Owner::Person(Carol, name)),
        1 => name().prop_map(|name| Owner::Person(Gus, name)),
        1 => name().prop_map(|name| Owner::Person(Pat, name)),
        2 => prop_oneof![Just(0), Just(1), Just(3)].prop_map(Owner::Group),
        2 => (0..2usize, place).prop_map(|(group, place)| Owner::Team(group, place)),
        2 => (prop_oneof![Just(Alice), Just(Bob)], 0..3usize, option::of(name()), any::<bool>())
            .prop_map(|(who, number, path, folder)| Owner::Contact(who, number, path, folder)),
        1 => Just(Owner::Stranger),
    ]
    .boxed()
}

fn any_size() -> BoxedStrategy<Option<u32>> {
    prop_oneof![
        3 => Just(None),
        3 => Just(Some(48)),
        1 => Just(Some(96)),
        1 => Just(Some(240))
    ]
    .boxed()
}

fn read(cast: &Cast) -> BoxedStrategy<Read> {
    let view = prop_oneof![
        8 => Just(View::Media),
        2 => Just(View::Metadata),
        1 => Just(View::Bare),
        1 => Just(View::Full),
        1 => Just(View::Selected),
        1 => Just(View::List),
    ];
    let size = prop_oneof![3 => Just(cast.size), 1 => any_size()];
    let condition = prop_oneof![
        12 => Just(Condition::None),
        2 => Just(Condition::LastTag),
        2 => Just(Condition::ForeignTag),
        1 => Just(Condition::AnyTag),
        1 => Just(Condition::FirstBytes),
        1 => Just(Condition::LastBytes),
        1 => Just(Condition::NoStore),
    ];
    (
        caller(cast),
        owner(cast),
        view,
        size,
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.1),
        condition,
    )
        .prop_map(|(caller, owner, view, size, beta, head, condition)| Read {
            caller,
            owner,
            view,
            size: match (owner, view) {
                (Owner::Team(..) | Owner::Contact(..), _) | (_, View::List) => None,
                _ => size,
            },
            beta,
            head,
            condition,
        })
        .boxed()
}

fn write(cast: &Cast) -> BoxedStrategy<Write> {
    let caller = prop_oneof![
        6 => Just(Caller::Alice),
        2 => Just(Caller::AliceAgain),
        3 => Just(Caller::Bob),
        1 => Just(Caller::Carol),
        1 => Just(Caller::Forged),
        1 => Just(Caller::AliceOfElsewhere),
    ];
    let side = prop_oneof![
        2 => Just(None),
        3 => Just(Some(48)),
        3 => Just(Some(96)),
        2 => Just(Some(240))
    ];
    (caller, owner(cast), side, prop::bool::weighted(0.15))
        .prop_map(|(caller, owner, side, beta)| Write {
            caller,
            owner,
            side,
            beta,
        })
        .boxed()
}

/// Mostly what the cast's owners are.
fn subject(cast: &Cast) -> BoxedStrategy<Subject> {
    let of_cast: Vec<Subject> = cast
        .owners
        .iter()
        .flat_map(|owner| {
            cast.callers
                .iter()
                .filter_map(|caller| oracle::subject(*owner, *caller))
        })
        .filter(|subject| *subject != Subject::Stranger)
        .collect();
    if of_cast.is_empty() {
        return any_subject();
    }
    prop_oneof![4 => prop::sample::select(of_cast), 1 => any_subject()].boxed()
}

fn any_subject() -> BoxedStrategy<Subject> {
    use Who::{Alice, Bob, Carol, Gus, Pat};
    prop_oneof![
        4 => Just(Subject::Person(Bob)),
        3 => Just(Subject::Person(Alice)),
        2 => Just(Subject::Person(Carol)),
        1 => Just(Subject::Person(Gus)),
        1 => Just(Subject::Person(Pat)),
        2 => prop_oneof![Just(0), Just(1), Just(3)].prop_map(Subject::Group),
        1 => (prop_oneof![Just(Alice), Just(Bob)], 0..3usize)
            .prop_map(|(who, number)| Subject::Contact(who, number)),
    ]
    .boxed()
}

fn change(cast: &Cast, longest_wait: u64) -> BoxedStrategy<Change> {
    let side = || prop_oneof![Just(48), Just(96), Just(240)];
    let who = prop_oneof![
        3 => Just(Who::Alice),
        3 => Just(Who::Bob),
        1 => Just(Who::Carol)
    ];
    let wait = prop_oneof![
        5 => Just(10u64),
        4 => Just(70),
        3 => Just(200),
        2 => Just(310),
        2 => Just(650),
        1 => Just(1_000),
        1 => Just(2_400)
    ];
    prop_oneof![
        2 => caller(cast).prop_map(Change::Revoke),
        3 => caller(cast).prop_map(Change::Renew),
        3 => (who, subject(cast)).prop_map(|(who, subject)| Change::Forbid(who, subject)),
        2 => Just(Change::Forgive),
        3 => (subject(cast), side()).prop_map(|(subject, side)| Change::Upload(subject, side)),
        1 => subject(cast).prop_map(Change::Remove),
        6 => wait.prop_map(move |wait| Change::Later(wait.min(longest_wait))),
        2 => Just(Change::Housekeeping),
        1 => prop_oneof![Just(5), Just(oracle::LONGEST_THROTTLE)].prop_map(Change::Throttle),
    ]
    .boxed()
}

fn spoil() -> impl Strategy<Value = Spoil> {
    prop::sample::select(vec![
        Spoil::Error500,
        Spoil::Error500,
        Spoil::Unavailable,
        Spoil::Throttled,
        Spoil::CutShort,
        Spoil::CutShort,
        Spoil::SaysMore,
        Spoil::Closed,
        Spoil::CaptivePortal,
        Spoil::OtherType,
        Spoil::Empty,
        Spoil::NoStore,
        Spoil::Unauthorized,
        Spoil::ClaimsChallenge,
        Spoil::Forbidden,
        Spoil::Gzip,
        Spoil::Redirect,
    ])
}
