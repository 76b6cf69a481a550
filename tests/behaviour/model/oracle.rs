//! What Graph would allow, and for how long the proxy may go on believing it: the simple model.
//!
//! A [`Ledger`] writes down what is true from which moment to which. A moment is a number that
//! every beginning, every change and every reply takes; a request that began at `b` and was
//! answered at `e` may have been decided at any moment between. Nothing here looks at what the
//! proxy does, keys, proofs or flights: only at what was true and how old a truth may get.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use graph_photo_proxy::demo::faces;

use super::step::{Caller, Name, Owner, Place, Read, Scene, Subject, View, Who};

/// How long the proxy may believe what, as set up for these stories.
pub(super) const PHOTO_TTL: u64 = 600;
pub(super) const ABSENT_TTL: u64 = 180;
pub(super) const PROOF_TTL: u64 = 300;
pub(super) const REVALIDATE: u64 = 300;
pub(super) const IF_ERROR: u64 = 1_800;
/// How long Graph throttles at most.
pub(super) const LONGEST_THROTTLE: u64 = 20;

/// A number that everything that happens takes.
pub(super) type Moment = usize;

/// Who may be given a stored photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Token,
    Verified,
    Tenant,
}

/// One uploaded picture of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) upload: u64,
    pub(super) side: u32,
}

/// A token: whose, and how often they signed in before.
pub(super) type Credential = (Caller, usize);

/// What Graph answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This picture, at the side asked for.
    Shows(Subject, Picture),
    /// No photo, or nobody of that name.
    Nothing,
    /// An error with this status.
    Status(u16),
}

/// What a reply shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Exactly(Subject, Picture),
    /// A picture with a tag that these uploads have.
    Upload(Vec<(Subject, u64)>),
    /// A picture of that many bytes.
    Length(usize),
    /// A picture of that side.
    Side(u32),
    /// A picture with these bytes at that place, of so many.
    Part(usize, Vec<u8>, usize),
    /// Some picture.
    Some,
    Nothing,
    /// Some picture, or that there is none.
    Either,
}

/// A reply in the model's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Got {
    Content(Content),
    Status(u16),
}

/// A read and its reply.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) read: Read,
    pub(super) credential: Option<Credential>,
    pub(super) began: Moment,
    pub(super) ended: Moment,
    pub(super) got: Got,
    /// Whether Graph has failed on purpose meanwhile.
    pub(super) spoilt: bool,
    /// Whether anything follows from the reply.
    pub(super) judged: bool,
}

/// What a token lets its bearer see, by Microsoft's tables.
struct Facts {
    person: Option<Who>,
    /// Of the tenant whose people these are.
    home: bool,
    personal: bool,
    guest: bool,
    users: bool,
    groups: bool,
    teams: bool,
    contacts: bool,
    /// Tokens of one number are one principal.
    principal: usize,
    /// Whether the token reads like a member's or an application's.
    trusted: bool,
}

fn facts(caller: Caller) -> Facts {
    let nobody = Facts {
        person: None,
        home: true,
        personal: false,
        guest: false,
        users: false,
        groups: false,
        teams: false,
        contacts: false,
        principal: 0,
        trusted: true,
    };
    let everything = |who, principal| Facts {
        person: Some(who),
        users: true,
        groups: true,
        teams: true,
        contacts: true,
        principal,
        ..nobody
    };
    match caller {
        Caller::Alice | Caller::AliceAgain | Caller::AliceBriefly | Caller::AliceSpaced => {
            everything(Who::Alice, 1)
        }
        Caller::Forged | Caller::Misaddressed | Caller::Nobody => everything(Who::Alice, 2),
        Caller::AliceNarrow => Facts {
            person: Some(Who::Alice),
            principal: 3,
            ..nobody
        },
        Caller::Bob | Caller::BobThenAlice => everything(Who::Bob, 4),
        Caller::BobElsewhere => everything(Who::Bob, 5),
        Caller::Carol => Facts {
            person: Some(Who::Carol),
            users: true,
            principal: 6,
            ..nobody
        },
        Caller::Gus | Caller::GusDisguised => Facts {
            person: Some(Who::Gus),
            guest: true,
            users: true,
            principal: if caller == Caller::Gus { 7 } else { 8 },
            trusted: caller == Caller::GusDisguised,
            ..nobody
        },
        Caller::App => Facts {
            users: true,
            principal: 9,
            ..nobody
        },
        Caller::TeamApp => Facts {
            teams: true,
            principal: 10,
            ..nobody
        },
        Caller::AliceOfElsewhere => Facts {
            home: false,
            ..everything(Who::Alice, 11)
        },
        Caller::Pat | Caller::Quinn => Facts {
            person: Some(if caller == Caller::Pat {
                Who::Pat
            } else {
                Who::Quinn
            }),
            personal: true,
            principal: if caller == Caller::Pat { 12 } else { 13 },
            trusted: false,
            ..nobody
        },
    }
}

/// Whom a path means for this caller.
pub(super) fn subject(owner: Owner, caller: Caller) -> Option<Subject> {
    match owner {
        Owner::Me => facts(caller).person.map(Subject::Person),
        Owner::Person(who, _) => Some(Subject::Person(who)),
        Owner::Group(group) | Owner::Team(group, _) => Some(Subject::Group(group)),
        Owner::Contact(who, number, _, _) => Some(Subject::Contact(who, number)),
        Owner::Stranger => Some(Subject::Stranger),
    }
}

#[derive(Debug)]
struct Shown {
    picture: Option<Picture>,
    from: Moment,
    to: Moment,
}

#[derive(Debug)]
struct Issued {
    from: Moment,
    to: Moment,
    /// In seconds of the clock.
    expires: u64,
}

#[derive(Debug)]
struct Forbidden {
    who: Who,
    subject: Subject,
    from: Moment,
    to: Moment,
}

/// Everything that was true, and when.
#[derive(Debug)]
pub(super) struct Ledger {
    policy: Policy,
    scene: Scene,
    /// The clock at each moment, in seconds: before and after.
    times: Vec<(u64, u64)>,
    shown: HashMap<Subject, Vec<Shown>>,
    issued: HashMap<Credential, Issued>,
    forbidden: Vec<Forbidden>,
    /// Writes through the proxy, by when they were answered.
    written: Vec<(Subject, Moment)>,
    /// 401: whom, begun when, answered when.
    unauthorized: Vec<(Credential, Moment, Moment)>,
    /// 403: whom, by which name, begun when, answered when.
    refused: Vec<(Credential, Owner, Moment, Moment)>,
    /// When Graph failed.
    failures: Vec<u64>,
    /// Until when Graph, or the proxy on its behalf, may say 429.
    throttled_until: u64,
    /// The ids by which Graph knows them.
    pub(super) ids: HashMap<Subject, String>,
}

impl Ledger {
    pub(super) fn new(policy: Policy, scene: Scene, ids: HashMap<Subject, String>) -> Self {
        Self {
            policy,
            scene,
            times: vec![(0, 0)],
            shown: HashMap::new(),
            issued: HashMap::new(),
            forbidden: Vec::new(),
            written: Vec::new(),
            unauthorized: Vec::new(),
            refused: Vec::new(),
            failures: Vec::new(),
            throttled_until: 0,
            ids,
        }
    }

    /// The next moment.
    pub(super) fn moment(&mut self) -> Moment {
        let now = self.now();
        self.times.push((now, now));
        self.times.len() - 1
    }

    /// The clock.
    pub(super) fn now(&self) -> u64 {
        self.times.last().map_or(0, |(_, after)| *after)
    }

    pub(super) fn later(&mut self, seconds: u64) {
        let now = self.now();
        self.times.push((now, now + seconds));
    }

    pub(super) fn throttle(&mut self, seconds: u64) {
        // Where Graph names no wait the proxy guesses up to a minute.
        self.throttled_until = self.throttled_until.max(self.now() + seconds + 61);
    }

    pub(super) fn fail(&mut self) {
        let now = self.now();
        self.failures.push(now);
    }

    /// Whether Graph has failed so often in a row that the proxy may ask it less.
    fn is_down(&self) -> bool {
        self.failures.windows(3).any(|three| {
            three
                .last()
                .zip(three.first())
                .is_some_and(|(b, a)| b - a <= 60)
        })
    }

    /// A 429 that was held back counts from when it is let go.
    pub(super) fn throttle_if_since(&mut self, began: u64) {
        if began < self.throttled_until {
            self.throttle(LONGEST_THROTTLE);
        }
    }

    pub(super) fn issue(&mut self, credential: Credential, lifetime: Duration) {
        let at = self.moment();
        let issued = Issued {
            from: at,
            to: usize::MAX,
            expires: self.now() + lifetime.as_secs(),
        };
        self.issued.insert(credential, issued);
    }

    pub(super) fn revoke(&mut self, credential: Credential) {
        let at = self.moment();
        if let Some(issued) = self.issued.get_mut(&credential) {
            issued.to = issued.to.min(at);
        }
    }

    pub(super) fn forbid(&mut self, who: Who, subject: Subject) {
        let from = self.moment();
        self.forbidden.push(Forbidden {
            who,
            subject,
            from,
            to: usize::MAX,
        });
    }

    pub(super) fn forgive(&mut self) {
        let at = self.moment();
        for forbidden in &mut self.forbidden {
            forbidden.to = forbidden.to.min(at);
        }
    }

    /// How many uploads there were of a subject.
    pub(super) fn uploads(&self, subject: Subject) -> u64 {
        let shown = self.shown.get(&subject);
        let uploads = shown
            .into_iter()
            .flatten()
            .filter_map(|shown| shown.picture);
        uploads.map(|picture| picture.upload).max().unwrap_or(0)
    }

    /// The picture of a subject now.
    pub(super) fn picture(&self, subject: Subject) -> Option<Picture> {
        self.shown.get(&subject)?.last()?.picture
    }

    /// From this moment on a subject has this picture, or none.
    pub(super) fn show(&mut self, subject: Subject, picture: Option<Picture>) {
        let at = self.moment();
        let shown = self.shown.entry(subject).or_default();
        if let Some(before) = shown.last_mut() {
            before.to = before.to.min(at);
        }
        shown.push(Shown {
            picture,
            from: at,
            to: usize::MAX,
        });
    }

    /// A write begins: from now on the new picture may be seen as well as the old.
    pub(super) fn write_begins(&mut self, subject: Subject, picture: Option<Picture>) -> Moment {
        let at = self.moment();
        self.shown.entry(subject).or_default().push(Shown {
            picture,
            from: at,
            to: usize::MAX,
        });
        at
    }

    /// The write that began last is answered at `at`.
    pub(super) fn write_ends(&mut self, subject: Subject, at: Moment, done: bool) {
        let shown = self.shown.entry(subject).or_default();
        if done {
            let last = shown.len() - 1;
            for before in shown.iter_mut().take(last) {
                before.to = before.to.min(at);
            }
            self.written.push((subject, at));
        } else {
            shown.pop();
        }
    }

    fn is_good(&self, credential: Credential, at: Moment) -> bool {
        self.issued.get(&credential).is_some_and(|issued| {
            issued.from <= at && at <= issued.to && self.times[at].0 < issued.expires
        })
    }

    fn is_bad(&self, credential: Option<Credential>, at: Moment) -> bool {
        let issued = credential.and_then(|credential| self.issued.get(&credential));
        issued.is_none_or(|issued| at >= issued.to || self.times[at].1 >= issued.expires)
    }

    /// Whether Graph's word to one token is its word to the other.
    fn is_one(&self, one: Credential, other: Credential) -> bool {
        let (facts, others) = (facts(one.0), facts(other.0));
        let alone = self.policy == Policy::Token || facts.personal;
        one == other || !alone && facts.principal == others.principal
    }

    /// What Graph may say to a caller whose token it accepts.
    fn verdicts(&self, caller: Caller, read: &Read, at: Moment) -> Vec<Verdict> {
        let facts = facts(caller);
        let nothing = vec![Verdict::Nothing];
        let (subject, allowed) = match read.owner {
            Owner::Me if facts.person.is_none() => return vec![Verdict::Status(400)],
            _ if !facts.home => return nothing,
            Owner::Me => (facts.person.map(Subject::Person), true),
            Owner::Person(who, _) => {
                let own = facts.person == Some(who);
                if facts.personal && !own {
                    if !(self.scene.own_photo_quirk && read.beta) {
                        return nothing;
                    }
                    (facts.person.map(Subject::Person), true)
                } else {
                    (
                        Some(Subject::Person(who)),
                        own || (facts.users && !facts.guest),
                    )
                }
            }
            Owner::Stranger if facts.personal && self.scene.own_photo_quirk && read.beta => {
                (facts.person.map(Subject::Person), true)
            }
            Owner::Stranger => return nothing,
            Owner::Group(group) => (
                Some(Subject::Group(group)),
                facts.groups && facts.person.is_some(),
            ),
            Owner::Team(group, _) => (Some(Subject::Group(group)), facts.teams),
            Owner::Contact(_, _, None, _) if facts.person.is_none() => {
                return vec![Verdict::Status(400)];
            }
            Owner::Contact(whose, number, path, _) => {
                let own = facts.person == Some(whose);
                if path.is_none() && !own {
                    return nothing;
                }
                (Some(Subject::Contact(whose, number)), facts.contacts && own)
            }
        };
        let Some(subject) = subject else {
            return nothing;
        };
        let unsized_only = matches!(read.owner, Owner::Team(..) | Owner::Contact(..));
        if unsized_only && (read.size.is_some() || read.view == View::List) {
            return vec![Verdict::Status(400)];
        }
        let forbids = self.forbidden.iter().filter(|forbidden| {
            facts.person == Some(forbidden.who) && forbidden.subject == subject
        });
        let (mut surely, mut perhaps) = (false, false);
        for forbidden in forbids {
            surely |= forbidden.from < at && at < forbidden.to;
            perhaps |= forbidden.from <= at && at <= forbidden.to;
        }
        let mut verdicts = Vec::new();
        if !allowed || perhaps {
            verdicts.push(Verdict::Status(403));
        }
        if allowed && !surely {
            verdicts.extend(self.sized(&facts, subject, read, at));
        }
        verdicts
    }

    fn sized(&self, facts: &Facts, subject: Subject, read: &Read, at: Moment) -> Vec<Verdict> {
        if facts.personal && read.view != View::Media {
            return vec![Verdict::Nothing];
        }
        let shown = self.shown.get(&subject).into_iter().flatten();
        let there = shown.filter(|shown| shown.from <= at && at <= shown.to);
        there
            .map(|shown| match (shown.picture, read.size) {
                (Some(picture), Some(side)) if side <= picture.side => {
                    Verdict::Shows(subject, Picture { side, ..picture })
                }
                (Some(picture), None) => Verdict::Shows(subject, picture),
                _ => Verdict::Nothing,
            })
            .collect()
    }

    fn fits(&self, verdict: Verdict, content: &Content) -> bool {
        let Verdict::Shows(subject, picture) = verdict else {
            return verdict == Verdict::Nothing
                && matches!(content, Content::Nothing | Content::Either);
        };
        match content {
            Content::Exactly(whose, which) => *whose == subject && *which == picture,
            Content::Side(side) => *side == picture.side,
            Content::Some | Content::Either => true,
            Content::Nothing => false,
            Content::Upload(tagged) => tagged.contains(&(subject, picture.upload)),
            Content::Length(length) => self.face(subject, picture).len() == *length,
            Content::Part(from, bytes, total) => {
                let face = self.face(subject, picture);
                face.len() == *total && face.get(*from..from + bytes.len()) == Some(bytes)
            }
        }
    }

    /// The bytes of a picture.
    pub(super) fn face(&self, subject: Subject, picture: Picture) -> Bytes {
        let id = self.ids.get(&subject).map_or("", String::as_str);
        faces::jpeg(id, picture.upload, picture.side)
    }

    /// Whether the `tenant` policy's tables cover this owner for a caller.
    fn covers(caller: Caller, owner: Owner) -> bool {
        let facts = facts(caller);
        facts.home
            && facts.trusted
            && match owner {
                Owner::Me => true,
                Owner::Person(who, _) => facts.users || facts.person == Some(who),
                Owner::Stranger => facts.users,
                Owner::Group(_) => facts.groups && facts.person.is_some(),
                Owner::Team(_, place) => facts.teams && matches!(place, Place::Teams | Place::Team),
                Owner::Contact(..) => false,
            }
    }

    /// Whether Graph has let this token see another owner of that kind by then.
    fn has_witnessed(&self, credential: Credential, owner: Owner, by: Moment) -> bool {
        use Who::{Alice, Bob, Carol, Gus};
        let others: Vec<Owner> = match owner {
            Owner::Group(one) => [0, 1, 2, 3]
                .into_iter()
                .filter(|other| *other != one)
                .map(Owner::Group)
                .collect(),
            Owner::Team(one, place) => [0, 1]
                .into_iter()
                .filter(|other| *other != one)
                .map(|other| Owner::Team(other, place))
                .collect(),
            _ => [Alice, Bob, Carol, Gus]
                .into_iter()
                .filter(|other| subject(owner, credential.0) != Some(Subject::Person(*other)))
                // Their own is given to everybody, so it tells nothing of others.
                .filter(|other| facts(credential.0).person != Some(*other))
                .map(|other| Owner::Person(other, Name::Id))
                .collect(),
        };
        let read = |owner| Read {
            caller: credential.0,
            owner,
            view: View::Media,
            size: None,
            beta: false,
            head: false,
            condition: super::step::Condition::None,
        };
        (0..=by).any(|at| {
            self.is_good(credential, at)
                && others.iter().any(|other| {
                    let verdicts = self.verdicts(credential.0, &read(*other), at);
                    verdicts
                        .iter()
                        .any(|verdict| !matches!(verdict, Verdict::Status(_)))
                })
        })
    }

    /// Whether a reply is one that the proxy may give.
    pub(super) fn judge(&self, asked: &Asked) -> Result<(), String> {
        match &asked.got {
            Got::Content(content) => self.judge_content(asked, content),
            Got::Status(status) => self.judge_status(asked, *status),
        }
    }

    fn judge_status(&self, asked: &Asked, status: u16) -> Result<(), String> {
        let Asked {
            read,
            credential,
            began,
            ended,
            ..
        } = asked;
        let mut meanwhile = *began..=*ended;
        let fits = match status {
            500.. if self.is_down() => true,
            401 => meanwhile.any(|at| self.is_bad(*credential, at)),
            429 => self.times[*began].0 < self.throttled_until,
            // Graph's word can come too late: the token ended or was refused meanwhile.
            502 => {
                meanwhile.any(|at| self.is_bad(*credential, at))
                    || self
                        .unauthorized
                        .iter()
                        .any(|(who, _, at)| Some(*who) == *credential && at >= began)
            }
            _ => meanwhile.any(|at| {
                let verdicts = self.verdicts(read.caller, read, at);
                verdicts.contains(&Verdict::Status(status))
            }),
        };
        fits.then_some(())
            .ok_or_else(|| format!("{status}, which neither Graph nor its failure accounts for"))
    }

    fn judge_content(&self, asked: &Asked, content: &Content) -> Result<(), String> {
        let Asked {
            read, began, ended, ..
        } = asked;
        let credential = asked
            .credential
            .ok_or("an answer to somebody without a token")?;
        let issued = self
            .issued
            .get(&credential)
            .ok_or("an answer to a token that Graph never accepted")?;
        let now = self.times[*began].0;
        if issued.expires <= now {
            return Err("an answer to a token that had ended".to_owned());
        }
        let relayed = is_odd(read.caller);
        let first = if relayed { *began } else { 0 };
        let since_401 = latest(
            self.unauthorized
                .iter()
                .filter(|(who, _, at)| *who == credential && at < began)
                .map(|(_, from, _)| *from),
        );
        let proven = (first.max(since_401)..=*ended)
            .any(|at| self.is_good(credential, at) && self.times[at].1 + PROOF_TTL > now);
        if !proven {
            return Err("an answer to a token that Graph no longer accepts".to_owned());
        }
        let name = named(read.owner, read.caller);
        let since_403 = latest(
            self.refused
                .iter()
                .filter(|(who, owner, _, at)| {
                    self.is_one(*who, credential) && *owner == name && at < began
                })
                .map(|(_, _, from, _)| *from),
        );
        let forgiven = (since_403..=*ended).any(|at| {
            let verdicts = self.verdicts(read.caller, read, at);
            verdicts.iter().any(|one| *one != Verdict::Status(403))
        });
        if !forgiven {
            return Err("an answer that Graph has refused to this caller".to_owned());
        }
        let since_write = latest(
            self.written
                .iter()
                .filter(|(whose, at)| {
                    subject(read.owner, read.caller) == Some(*whose) && at < began
                })
                .map(|(_, at)| *at),
        );
        let bound = self.oldest(asked, content);
        // At the moment of its answer a write's owner is still shown either way.
        let shown = (first.max(since_write + 1)..=*ended)
            .filter(|at| self.times[*at].1 + bound >= now)
            .any(|at| self.was_shown(credential, read, content, at, *ended));
        if shown {
            return Ok(());
        }
        let written = match since_write {
            0 => "",
            _ => " since it was written",
        };
        Err(format!(
            "an answer that Graph has not given to this caller{written} within {bound} s"
        ))
    }

    /// Whether this was true at that moment, and Graph has, or may have, shown it to somebody
    /// whose answer the caller may be given.
    fn was_shown(
        &self,
        credential: Credential,
        read: &Read,
        content: &Content,
        at: Moment,
        ended: Moment,
    ) -> bool {
        let fits = |caller, read: &Read| {
            let verdicts = self.verdicts(caller, read, at);
            verdicts.iter().any(|verdict| self.fits(*verdict, content))
        };
        let own = |one: &Credential| self.is_one(*one, credential) && self.is_good(*one, at);
        if self.issued.keys().any(own) && fits(read.caller, read) {
            return true;
        }
        if self.policy != Policy::Tenant || !Self::covers(read.caller, read.owner) {
            return false;
        }
        let by_id = Read {
            owner: match subject(read.owner, read.caller) {
                Some(Subject::Person(who)) => Owner::Person(who, Name::Id),
                _ => read.owner,
            },
            ..*read
        };
        self.issued.keys().any(|giver| {
            Self::covers(giver.0, by_id.owner) && self.is_good(*giver, at) && fits(giver.0, &by_id)
        }) && self.has_witnessed(credential, read.owner, ended)
    }

    /// How old a truth may be that is still told, in seconds.
    fn oldest(&self, asked: &Asked, content: &Content) -> u64 {
        let fresh = match content {
            Content::Nothing => ABSENT_TTL,
            _ => PHOTO_TTL,
        };
        let unwell =
            asked.spoilt || self.is_down() || self.times[asked.began].0 < self.throttled_until;
        fresh + fresh / 10 + if unwell { IF_ERROR } else { REVALIDATE }
    }

    /// Writes down what a reply tells of later ones: a 401 or a 403 ends something.
    pub(super) fn remember(&mut self, asked: &Asked) {
        let Asked {
            read, began, ended, ..
        } = asked;
        match (&asked.got, asked.credential) {
            // Whom Graph took that for is its own affair.
            _ if is_odd(read.caller) => {}
            (Got::Status(401), Some(credential)) => {
                self.unauthorized.push((credential, *began, *ended));
            }
            (Got::Status(403), Some(credential)) => {
                let name = named(read.owner, read.caller);
                self.refused.push((credential, name, *began, *ended));
            }
            _ => {}
        }
    }
}

/// Whether the caller shows its token in a way that only Graph may make sense of.
fn is_odd(caller: Caller) -> bool {
    matches!(caller, Caller::BobThenAlice | Caller::AliceSpaced)
}

fn latest(moments: impl Iterator<Item = Moment>) -> Moment {
    moments.max().unwrap_or(0)
}

/// The owner by a name that is always known to mean the same.
fn named(owner: Owner, caller: Caller) -> Owner {
    match owner {
        Owner::Me => facts(caller)
            .person
            .map_or(Owner::Me, |who| Owner::Person(who, Name::Id)),
        Owner::Person(who, Name::IdInCapitals) => Owner::Person(who, Name::Id),
        Owner::Person(who, Name::UpnInCapitals) => Owner::Person(who, Name::Upn),
        other => other,
    }
}
