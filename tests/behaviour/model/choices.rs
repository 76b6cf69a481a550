//! What is drawn for a story: mostly its few people, and now and then anybody else.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::law;
use super::oracle::LONGEST_THROTTLE;
use super::step::{
    Batch, Caller, Change, Condition, Name, Owner, Part, Place, Read, Spoil, Subject, Trouble,
    View, Who, Write,
};

/// The ids of a batch's parts.
const IDS: [&str; 6] = ["1", "2", "3", "a", "0", "photo/$value"];

/// Who and what a story is mostly about: few enough to meet again and again.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    pub(super) callers: Vec<Caller>,
    pub(super) owners: Vec<Owner>,
    pub(super) size: Option<u32>,
}

/// Whom a caller is most easily taken for.
pub(super) fn companion(caller: Caller) -> Caller {
    match caller {
        Caller::AliceAgain => Caller::AliceNarrow,
        Caller::AliceBriefly => Caller::AliceAgain,
        Caller::Carol => Caller::GusDisguised,
        Caller::App => Caller::TeamApp,
        Caller::Pat => Caller::Quinn,
        other => other,
    }
}

pub(super) fn caller(cast: &Cast) -> BoxedStrategy<Caller> {
    prop_oneof![
        8 => prop::sample::select(cast.callers.clone()),
        1 => anybody(),
    ]
    .boxed()
}

pub(super) fn anybody() -> BoxedStrategy<Caller> {
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

pub(super) fn name() -> BoxedStrategy<Name> {
    prop_oneof![
        4 => Just(Name::Id),
        1 => Just(Name::IdInCapitals),
        3 => Just(Name::Upn),
        1 => Just(Name::UpnInCapitals),
        1 => Just(Name::UpnTwice),
    ]
    .boxed()
}

fn renamed((owner, name): (Owner, Name)) -> Owner {
    match owner {
        Owner::Person(who, _) => Owner::Person(who, name),
        other => other,
    }
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

pub(super) fn anything() -> BoxedStrategy<Owner> {
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

pub(super) fn any_size() -> BoxedStrategy<Option<u32>> {
    prop_oneof![
        3 => Just(None),
        3 => Just(Some(48)),
        1 => Just(Some(96)),
        1 => Just(Some(240))
    ]
    .boxed()
}

pub(super) fn read(cast: &Cast) -> BoxedStrategy<Read> {
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

/// Mostly somebody who may write something.
fn writer() -> BoxedStrategy<Caller> {
    prop_oneof![
        6 => Just(Caller::Alice),
        2 => Just(Caller::AliceAgain),
        3 => Just(Caller::Bob),
        1 => Just(Caller::Carol),
        1 => Just(Caller::Forged),
        1 => Just(Caller::AliceOfElsewhere),
    ]
    .boxed()
}

pub(super) fn write(cast: &Cast) -> BoxedStrategy<Write> {
    let side = prop_oneof![
        2 => Just(None),
        3 => Just(Some(48)),
        3 => Just(Some(96)),
        2 => Just(Some(240))
    ];
    (writer(), owner(cast), side, prop::bool::weighted(0.15))
        .prop_map(|(caller, owner, side, beta)| Write {
            caller,
            owner,
            side,
            beta,
        })
        .boxed()
}

pub(super) fn batch(cast: &Cast) -> BoxedStrategy<Batch> {
    let question = || read(cast).prop_map(Part::Read);
    let reads = (caller(cast), vec(question(), 1..6));
    let part = prop_oneof![3 => question(), 2 => write(cast).prop_map(Part::Write)];
    let mixed = (writer(), vec(part, 1..6));
    let ids = Just(IDS.to_vec()).prop_shuffle();
    let all = (
        prop_oneof![3 => reads, 2 => mixed],
        prop::bool::weighted(0.15),
        ids,
    );
    all.prop_map(|((caller, parts), beta, ids)| {
        let parts = parts.into_iter().map(|part| part.asked_by(caller, beta));
        Batch {
            caller,
            beta,
            parts: ids.into_iter().zip(parts).collect(),
        }
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
                .filter_map(|caller| law::subject(*owner, *caller))
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

pub(super) fn change(cast: &Cast, longest_wait: u64) -> BoxedStrategy<Change> {
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
        1 => prop_oneof![Just(5), Just(LONGEST_THROTTLE)].prop_map(Change::Throttle),
    ]
    .boxed()
}

pub(super) fn trouble() -> BoxedStrategy<Trouble> {
    (spoil(), any::<bool>(), prop::bool::weighted(0.4))
        .prop_map(|(spoil, done_first, by_path)| Trouble {
            spoil,
            done_first,
            by_path,
        })
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
        Spoil::Noise,
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
