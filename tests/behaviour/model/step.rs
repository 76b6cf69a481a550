//! The words of a story: who asks, for whose photo, what changes meanwhile.

/// Somebody of flesh and blood.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Alice,
    Bob,
    /// Has no photo to begin with.
    Carol,
    /// Invited from elsewhere.
    Gus,
    /// A personal account.
    Pat,
    /// Another one.
    Quinn,
}

/// Whose name and which token a request carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    /// May read and write everything.
    Alice,
    /// The same application and permissions, the next hour's token.
    AliceAgain,
    /// The same once more, for four minutes only.
    AliceBriefly,
    /// Alice in an application that may read her own photo only.
    AliceNarrow,
    /// May read users, groups, teams and his contacts, and write his own photo.
    Bob,
    /// Bob in another application, with the same permissions.
    BobElsewhere,
    /// May read users only.
    Carol,
    /// A guest, whom Graph shows nobody but himself.
    Gus,
    /// The guest, with a token that does not tell.
    GusDisguised,
    /// An application that may read users.
    App,
    /// An application that may read teams only.
    TeamApp,
    /// Another tenant's token with Alice's id and Bob's name.
    AliceOfElsewhere,
    Pat,
    Quinn,
    /// Alice's claims under a signature that nobody made.
    Forged,
    /// Issued for another service.
    Misaddressed,
    /// No token at all.
    Nobody,
    /// Bob's token and then Alice's, in two fields.
    BobThenAlice,
    /// Alice's token after two spaces.
    AliceSpaced,
}

/// What a photo shows, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Person(Who),
    /// The groups 0 and 1 are teams, 3 is not.
    Group(usize),
    /// A contact in the mailbox of Alice or Bob, and its number there.
    Contact(Who, usize),
    /// Nobody at all.
    Stranger,
}

/// By which name a person is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Name {
    Id,
    IdInCapitals,
    Upn,
    UpnInCapitals,
    /// A guest's mark encoded twice; for others the same as `Upn`.
    UpnTwice,
}

/// By which path a team is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Teams,
    Team,
    GroupTeam,
    Joined,
}

/// Whose photo, as the path says it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Me,
    Person(Who, Name),
    Group(usize),
    Team(usize, Place),
    /// Whose contact, by which path to the mailbox, whether through its folder.
    Contact(Who, usize, Option<Name>, bool),
    Stranger,
}

/// Which representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum View {
    Media,
    Metadata,
    /// Without annotations.
    Bare,
    /// With all annotations.
    Full,
    /// Only the id.
    Selected,
    List,
}

/// What a request asks besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Condition {
    None,
    /// The tag last seen of that very photo.
    LastTag,
    /// The tag last seen of anybody else's.
    ForeignTag,
    AnyTag,
    FirstBytes,
    LastBytes,
    NoStore,
}

/// A read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) caller: Caller,
    pub(super) owner: Owner,
    pub(super) view: View,
    pub(super) size: Option<u32>,
    pub(super) beta: bool,
    pub(super) head: bool,
    pub(super) condition: Condition,
}

/// A write through the proxy; of that side, or a removal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) caller: Caller,
    pub(super) owner: Owner,
    pub(super) side: Option<u32>,
    pub(super) beta: bool,
}

/// One of the things that are asked for in one request, by its caller and of its version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Read(Read),
    Write(Write),
}

impl Part {
    /// The same, asked for by this caller of this version.
    pub(super) fn asked_by(self, caller: Caller, beta: bool) -> Self {
        match self {
            Self::Read(read) => Self::Read(Read {
                caller,
                beta,
                head: false,
                ..read
            }),
            Self::Write(write) => Self::Write(Write {
                caller,
                beta,
                ..write
            }),
        }
    }
}

/// Several in one request, each under an id that tells nothing of its place.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) caller: Caller,
    pub(super) beta: bool,
    pub(super) parts: Vec<(&'static str, Part)>,
}

/// What happens behind the proxy's back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Revoke(Caller),
    Renew(Caller),
    Forbid(Who, Subject),
    Forgive,
    Upload(Subject, u32),
    Remove(Subject),
    Later(u64),
    Housekeeping,
    Throttle(u64),
}

/// One thing after another.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Act {
    Read(Read),
    Write(Write),
    Batch(Batch),
    Change(Change),
}

/// One thing among others.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// It begins, and the next follows after so many turns of the others.
    Begin(Act, u8),
    /// One answer that Graph holds back is let go.
    LetOneGo(u8),
    /// The caller whose request was begun at that place leaves.
    Leave(usize),
}

/// One step of a story.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Step {
    One(Act),
    /// At once.
    Together(Held, Vec<Meanwhile>),
    /// At once, and one of them meets this trouble.
    Spoilt(Trouble, Held, Vec<Meanwhile>),
}

/// Which answers Graph holds back until everybody has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Nothing,
    Everything,
    /// What is asked for by the path of this read.
    LikeThis(Read),
    /// Those to batches.
    Batches,
}

/// What goes wrong with one request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) spoil: Spoil,
    /// What was asked for is done first, where that is no contradiction.
    pub(super) done_first: bool,
    /// The request by the first one's path meets it, and no other; inside a batch too.
    pub(super) by_path: bool,
}

/// What goes wrong at Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoil {
    Error500,
    Unavailable,
    Throttled,
    CutShort,
    SaysMore,
    Closed,
    Noise,
    CaptivePortal,
    OtherType,
    Empty,
    NoStore,
    Unauthorized,
    ClaimsChallenge,
    Forbidden,
    Gzip,
    Redirect,
}

impl Spoil {
    /// Whether it looks as if Graph were down.
    pub(super) fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Error500
                | Self::Unavailable
                | Self::CutShort
                | Self::SaysMore
                | Self::Closed
                | Self::Noise
        )
    }

    /// Whether it is a refusal: what was asked for has not been done.
    pub(super) fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Unauthorized | Self::ClaimsChallenge | Self::Forbidden
        )
    }
}

/// How Graph and the proxy are set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) graph: Backend,
    pub(super) conditional: Conditional,
    pub(super) one_by_one: bool,
    pub(super) tag_per_size: bool,
    pub(super) own_photo_quirk: bool,
    pub(super) tiny_memory: bool,
    pub(super) few_proofs: bool,
    /// Graph's answers in a batch come in any order.
    pub(super) any_order: bool,
    /// "No photo" in a batch has no body.
    pub(super) bare_parts: bool,
}

/// Which generation of Graph's backend answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Backend {
    Newer,
    Older,
    Documented,
}

/// What a conditional request with the right tag gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditional {
    NotModified,
    SameTag,
    NewTag,
    NoTag,
}

/// A whole story.
#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) scene: Scene,
    pub(super) steps: Vec<Step>,
}
