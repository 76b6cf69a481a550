//! What Graph would allow, and for how long the proxy may go on believing it: the simple model.
//!
//! The [`Ledger`] knows what was true when, [`law`] what Graph makes of it. Nothing here looks
//! at what the proxy does, keys, proofs or flights: only at what was true and how old a truth
//! may get.
//!
//! [`law`]: super::law

use super::law::{Verdict, facts, subject};
use super::ledger::{Credential, Ledger, Moment, Picture, Policy};
use super::step::{Caller, Name, Owner, Read, Subject};

/// How long the proxy may believe what, as set up for these stories.
pub(super) const PHOTO_TTL: u64 = 600;
pub(super) const ABSENT_TTL: u64 = 180;
pub(super) const PROOF_TTL: u64 = 300;
pub(super) const REVALIDATE: u64 = 300;
pub(super) const IF_ERROR: u64 = 1_800;
/// How long Graph throttles at most.
pub(super) const LONGEST_THROTTLE: u64 = 20;

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

impl Ledger {
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
}

/// Whether the caller shows its token in a way that only Graph may make sense of.
pub(super) fn is_odd(caller: Caller) -> bool {
    matches!(caller, Caller::BobThenAlice | Caller::AliceSpaced)
}

fn latest(moments: impl Iterator<Item = Moment>) -> Moment {
    moments.max().unwrap_or(0)
}

/// The owner by a name that is always known to mean the same.
pub(super) fn named(owner: Owner, caller: Caller) -> Owner {
    match owner {
        Owner::Me => facts(caller)
            .person
            .map_or(Owner::Me, |who| Owner::Person(who, Name::Id)),
        Owner::Person(who, Name::IdInCapitals) => Owner::Person(who, Name::Id),
        Owner::Person(who, Name::UpnInCapitals) => Owner::Person(who, Name::Upn),
        other => other,
    }
}
