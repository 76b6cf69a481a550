//! Why each call was made: the distance between a day and its floor, taken apart.
//!
//! Follows what Graph has answered, as a cache would that shares everything among all viewers
//! and knows both names of a person to be one; whatever such a cache would not have asked has
//! another cause than being asked for the first time.

use std::collections::HashMap;
use std::fmt;

use graph_photo_proxy::demo::Seen;

use super::floor::{ABSENT, PHOTO, PROOF};
use super::trace::{Page, What};

/// Why Graph was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Nothing fresh was held, by either name.
    Cold,
    /// The token was not proven.
    Proof,
    /// It was held by the person's other name alone.
    OtherName,
    /// The token had been given nothing yet by that kind of name.
    Witness,
    /// It was fresh, in the last fifth of its lifetime.
    EarlyPhoto,
    /// The proof was good, in the last fifth of its lifetime.
    EarlyProof,
    /// Which id a name has was asked for.
    Names,
    /// Graph did not answer it.
    Trouble,
    /// It was fresh, and of an upload that another has followed.
    Changed,
    /// None of these.
    Rest,
}

/// The calls of a day by cause.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    held: HashMap<(usize, What, bool), (u64, bool)>,
    proofs: HashMap<usize, u64>,
    /// When the token was last given somebody by that kind of name: the latest two.
    witnesses: HashMap<(usize, bool), Vec<(usize, u64)>>,
    /// When the photo of an owner last changed.
    changed: HashMap<usize, u64>,
    counts: HashMap<(Cause, bool), u64>,
}

impl Causes {
    /// Takes the calls of one page in.
    pub(crate) fn add(&mut self, page: &Page, seen: &[Seen], owners: &HashMap<String, usize>) {
        for call in seen {
            if call.photo {
                self.photo(page, call, owners);
            } else if call.path.ends_with("/users") {
                *self.counts.entry((Cause::Names, false)).or_default() += 1;
            }
        }
    }

    /// The photo of that owner has changed.
    pub(crate) fn changed(&mut self, owner: usize, at: u64) {
        self.changed.insert(owner, at);
    }

    /// Whether Graph has lately accepted the token of this page.
    pub(crate) fn is_proven(&self, page: &Page) -> bool {
        let asked = self.proofs.get(&page.token);
        asked.is_some_and(|asked| page.at - asked < PROOF)
    }

    fn photo(&mut self, page: &Page, call: &Seen, owners: &HashMap<String, usize>) {
        let mut parts = call.path.split('/').skip(1);
        let name = parts.nth(2).unwrap_or_default();
        let Some(&owner) = owners.get(name) else {
            return;
        };
        let by_name = name.contains('@');
        let what = match call.path.rsplit('/').next() {
            Some("$value") if call.path.contains("/photos/") => What::Small,
            Some("$value") => What::Large,
            _ => What::Metadata,
        };
        if !matches!(call.status, Some(200 | 304 | 404)) {
            *self
                .counts
                .entry((Cause::Trouble, call.batched))
                .or_default() += 1;
            return;
        }
        let cause = self.cause(page, owner, what, by_name);
        *self.counts.entry((cause, call.batched)).or_default() += 1;
        let (now, there) = (page.at, call.status != Some(404));
        self.held.insert((owner, what, by_name), (now, there));
        self.proofs.insert(page.token, now);
        let seen = self.witnesses.entry((page.token, by_name)).or_default();
        seen.retain(|(one, _)| *one != owner);
        seen.push((owner, now));
    }

    fn cause(&self, page: &Page, owner: usize, what: What, by_name: bool) -> Cause {
        let now = page.at;
        let age = |what, by_name| {
            let (asked, there) = self.held.get(&(owner, what, by_name)).copied()?;
            let lifetime = if there { PHOTO } else { ABSENT };
            (now - asked < lifetime).then_some(((now - asked) * 100 / lifetime, there))
        };
        let fresh = |by_name| {
            let absent = || age(What::Large, by_name).filter(|(_, there)| !there);
            age(what, by_name).or_else(|| (what == What::Small).then(absent).flatten())
        };
        let (mine, other) = (fresh(by_name), fresh(!by_name));
        if mine.is_none() && other.is_none() {
            return Cause::Cold;
        }
        let proof = self.proofs.get(&page.token).map(|asked| now - asked);
        let Some(proof) = proof.filter(|age| *age < PROOF) else {
            return Cause::Proof;
        };
        let Some((spent, _)) = mine else {
            return Cause::OtherName;
        };
        let witnessed = self.witnesses.get(&(page.token, by_name));
        let another = |(one, asked): &(usize, u64)| *one != owner && now - asked < PROOF;
        if !witnessed.is_some_and(|seen| seen.iter().any(another)) {
            return Cause::Witness;
        }
        let asked = self
            .held
            .get(&(owner, what, by_name))
            .map(|(asked, _)| asked);
        let has_changed = asked
            .zip(self.changed.get(&owner))
            .is_some_and(|(asked, at)| at >= asked);
        match (spent, proof * 100 / PROOF) {
            (80.., _) => Cause::EarlyPhoto,
            (_, 80..) => Cause::EarlyProof,
            _ if has_changed => Cause::Changed,
            _ => Cause::Rest,
        }
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<_> = self.counts.iter().collect();
        all.sort_unstable();
        for ((cause, batched), count) in all {
            let how = if *batched { ", in batches" } else { "" };
            writeln!(f, "  {count:>6} {cause:?}{how}")?;
        }
        Ok(())
    }
}
