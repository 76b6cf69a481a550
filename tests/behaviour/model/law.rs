//! What Graph would say to whom, by Microsoft's tables and what is true at a moment.

use bytes::Bytes;
use graph_photo_proxy::demo::faces;

use super::ledger::{Credential, Ledger, Moment, Picture};
use super::oracle::Content;
use super::step::{Caller, Condition, Name, Owner, Place, Read, Subject, View, Who};

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

/// What a token lets its bearer see, by Microsoft's tables.
pub(super) struct Facts {
    pub(super) person: Option<Who>,
    /// Of the tenant whose people these are.
    pub(super) home: bool,
    pub(super) personal: bool,
    pub(super) guest: bool,
    pub(super) users: bool,
    pub(super) groups: bool,
    pub(super) teams: bool,
    pub(super) contacts: bool,
    /// Tokens of one number are one principal.
    pub(super) principal: usize,
    /// Whether the token reads like a member's or an application's.
    pub(super) trusted: bool,
}

pub(super) fn facts(caller: Caller) -> Facts {
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

impl Ledger {
    /// What Graph may say to a caller whose token it accepts.
    pub(super) fn verdicts(&self, caller: Caller, read: &Read, at: Moment) -> Vec<Verdict> {
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

    pub(super) fn fits(&self, verdict: Verdict, content: &Content) -> bool {
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
    pub(super) fn covers(caller: Caller, owner: Owner) -> bool {
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
    pub(super) fn has_witnessed(&self, credential: Credential, owner: Owner, by: Moment) -> bool {
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
            condition: Condition::None,
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
}
