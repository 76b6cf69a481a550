//! Each step of a story as a sentence, because a failing story is read by a person.

use std::fmt;

use super::step::{
    Act, Batch, Caller, Change, Condition, Held, Meanwhile, Owner, Part, Read, Step, Subject,
    Trouble, Who, Write,
};

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alice => "Alice",
            Self::Bob => "Bob",
            Self::Carol => "Carol (no photo at first)",
            Self::Gus => "Gus the guest",
            Self::Pat => "Pat of no tenant",
            Self::Quinn => "Quinn of no tenant",
        })
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alice => "Alice",
            Self::AliceAgain => "Alice (next hour's token)",
            Self::AliceBriefly => "Alice (a token for four minutes)",
            Self::AliceNarrow => "Alice (User.Read only)",
            Self::Bob => "Bob",
            Self::BobElsewhere => "Bob (another application)",
            Self::Carol => "Carol",
            Self::Gus => "Gus the guest",
            Self::GusDisguised => "Gus the guest (a token that does not tell)",
            Self::App => "an application that may read users",
            Self::TeamApp => "an application that may read teams",
            Self::AliceOfElsewhere => "another tenant's person of Alice's id and Bob's name",
            Self::Pat => "Pat of no tenant",
            Self::Quinn => "Quinn of no tenant",
            Self::Forged => "a forger with Alice's claims",
            Self::Misaddressed => "Alice (a token for another service)",
            Self::Nobody => "somebody without a token",
            Self::BobThenAlice => "somebody with Bob's token and then Alice's",
            Self::AliceSpaced => "Alice (two spaces before her token)",
        })
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(who) => write!(f, "{who:?}"),
            Self::Group(group) => write!(f, "group {group}"),
            Self::Contact(who, number) => write!(f, "contact {number} of {who:?}"),
            Self::Stranger => f.write_str("a stranger"),
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Me => f.write_str("/me"),
            Self::Person(who, name) => write!(f, "{who:?} by {name:?}"),
            Self::Group(group) => write!(f, "group {group}"),
            Self::Team(group, place) => write!(f, "team {group} by {place:?}"),
            Self::Contact(who, number, path, folder) => {
                write!(f, "contact {number} of {who:?}")?;
                match path {
                    None => f.write_str(" by /me")?,
                    Some(name) => write!(f, " by {name:?}")?,
                }
                f.write_str(if *folder { " through its folder" } else { "" })
            }
            Self::Stranger => f.write_str("a stranger"),
        }
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = if self.head { "HEADs" } else { "GETs" };
        write!(f, "{:?} {method} {:?}", self.caller, self.view)?;
        match self.size {
            Some(size) => write!(f, " ({size}x{size})")?,
            None => f.write_str(" (largest)")?,
        }
        write!(f, " of {:?}", self.owner)?;
        f.write_str(if self.beta { " (beta)" } else { "" })?;
        match self.condition {
            Condition::None => Ok(()),
            condition => write!(f, " with {condition:?}"),
        }
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.side {
            Some(side) => format!("PUTs {side} pixels"),
            None => "DELETEs".to_owned(),
        };
        let version = if self.beta { " (beta)" } else { "" };
        write!(f, "{:?} {what} at {:?}{version}", self.caller, self.owner)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.beta { " (beta)" } else { "" };
        write!(f, "{:?} asks in one batch{version} for ", self.caller)?;
        let parts = self.parts.iter().map(|(id, part)| (id, part));
        f.debug_map().entries(parts).finish()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(read) => write!(f, "{read:?}"),
            Self::Write(write) => write!(f, "{write:?}"),
        }
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoke(caller) => write!(f, "the token of {caller:?} is revoked"),
            Self::Renew(caller) => write!(f, "{caller:?} signs in again"),
            Self::Forbid(who, subject) => write!(f, "Graph forbids {who:?} to see {subject:?}"),
            Self::Forgive => f.write_str("Graph forbids nothing any more"),
            Self::Upload(subject, side) => {
                write!(
                    f,
                    "{subject:?} gets a photo of {side} pixels at Graph itself"
                )
            }
            Self::Remove(subject) => write!(f, "{subject:?} loses the photo at Graph itself"),
            Self::Later(seconds) => write!(f, "{seconds} s pass"),
            Self::Housekeeping => f.write_str("the proxy does its housekeeping"),
            Self::Throttle(seconds) => write!(f, "Graph throttles everybody for {seconds} s"),
        }
    }
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(read) => write!(f, "{read:?}"),
            Self::Write(write) => write!(f, "{write:?}"),
            Self::Batch(batch) => write!(f, "{batch:?}"),
            Self::Change(change) => write!(f, "{change:?}"),
        }
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(act, turns) => write!(f, "{act:?}, then {turns} turns"),
            Self::LetOneGo(turns) => write!(f, "Graph lets one answer go, then {turns} turns"),
            Self::Leave(place) => write!(f, "caller {place} leaves"),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(act) => write!(f, "{act:?}"),
            Self::Together(held, acts) => {
                f.write_str(together(*held))?;
                f.debug_list().entries(acts).finish()
            }
            Self::Spoilt(trouble, held, acts) => {
                write!(f, "{trouble:?}, {}", together(*held))?;
                f.debug_list().entries(acts).finish()
            }
        }
    }
}

fn together(held: Held) -> &'static str {
    match held {
        Held::Nothing => "at once, ",
        Held::Everything => "at once, Graph holding its answers back, ",
        Held::Batches => "at once, Graph holding the answers to batches back, ",
        Held::LikeThis(_) => "at once, Graph holding the answers to the first back, ",
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = if self.by_path {
            "the first one's answer"
        } else {
            "one answer"
        };
        write!(f, "with {which} spoilt by {:?}", self.spoil)?;
        f.write_str(if self.done_first && !self.spoil.is_refusal() {
            " after it was done"
        } else {
            ""
        })
    }
}
