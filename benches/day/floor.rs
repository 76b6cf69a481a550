//! What must be asked of Graph, computed from the trace: a cache that knows everything at once,
//! asks one thing after another, and never asks twice while an answer and a proof are good.
//! nginx keyed by `Authorization` is the same sum with other rules.

use std::collections::HashMap;

use super::trace::{Face, Page, Trace, What};

/// Lifetimes in seconds: the defaults of the proxy.
pub(crate) const PHOTO: u64 = 3_600;
pub(crate) const ABSENT: u64 = 600;
pub(crate) const PROOF: u64 = 900;

/// Who shares an answer with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The key holds the token; batches are not cached; URLs are compared as they are.
    Nginx,
    Token,
    Verified,
    Tenant,
}

/// What is known of the two names of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Names {
    /// From the beginning that they are one person's. Nobody tells a cache that.
    #[default]
    Together,
    /// What Graph has told: metadata names the id of whom it was asked about by name, and a token
    /// both names of its user. A picture and "no photo" tell neither.
    AsTold,
    /// What the directory tells: every pair, but that metadata by one name is no answer to the
    /// other.
    Listed,
    /// Nothing.
    Apart,
}

/// What the sum comes to.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    names: Names,
    /// Whose names were last told to be one person's, and when.
    told: HashMap<usize, u64>,
    pub(crate) calls: u64,
    /// Of these, calls that prove a token and tell nothing new.
    pub(crate) proofs: u64,
    pub(crate) missing: u64,
    pub(crate) staleness: Vec<u64>,
}

/// Whose key: a token's, a viewer's, or everybody's; then the person, the view and, where the
/// two names of a person are told apart, which.
type Key = (usize, usize, What, bool);

/// Who has a photo, and since when the present one is there.
#[derive(Debug, Clone)]
pub(crate) struct Truth(pub(crate) Vec<Option<u64>>);

impl Floor {
    pub(crate) fn of(trace: &Trace, rule: Rule, photos: &[bool], names: Names) -> Self {
        let mut sum = Self {
            names,
            ..Self::default()
        };
        let start = photos.iter().map(|has| has.then_some(0));
        let mut truth = Truth(start.collect());
        let (mut held, mut proofs) = (HashMap::new(), HashMap::new());
        let mut uploads = trace.uploads.iter().peekable();
        for page in &trace.pages {
            while let Some((at, owner)) = uploads.next_if(|(at, _)| *at <= page.at) {
                if let Some(photo) = truth.0.get_mut(*owner) {
                    *photo = Some(*at);
                }
            }
            for face in &page.faces {
                sum.view(rule, page, face, &truth, &mut held, &mut proofs);
            }
        }
        sum
    }

    fn view(
        &mut self,
        rule: Rule,
        page: &Page,
        face: &Face,
        truth: &Truth,
        held: &mut HashMap<Key, (u64, Option<u64>)>,
        proofs: &mut HashMap<usize, u64>,
    ) {
        let (now, key) = (page.at, self.key(rule, page, face, face.what));
        let photo = truth.0.get(face.owner).copied().flatten();
        let fresh = |key: &Key| {
            let (asked, shown) = held.get(key).copied()?;
            let lifetime = if shown.is_some() { PHOTO } else { ABSENT };
            (now - asked < lifetime).then_some(shown)
        };
        let direct = !(rule == Rule::Nginx && page.batch);
        // What came by the one name before the pair was told is as good by the other.
        let named = (key.0, key.1, key.2, true);
        let paired =
            self.names == Names::AsTold && face.what != What::Metadata && self.is_told(face, now);
        let held_so = fresh(&key).or_else(|| fresh(&named).filter(|_| paired));
        let mut shown = held_so.filter(|_| direct);
        if rule != Rule::Nginx && shown.is_none() && face.what == What::Small {
            // "No photo" of the largest is "no photo".
            let largest = fresh(&self.key(rule, page, face, What::Large));
            shown = largest.filter(Option::is_none);
        }
        let proven = rule == Rule::Nginx
            || proofs
                .get(&page.token)
                .is_some_and(|asked| now - asked < PROOF);
        if let Some(shown) = shown
            && proven
        {
            self.missing += u64::from(photo.is_some() && shown.is_none());
            if shown.is_some() && face.what != What::Metadata {
                let behind = if shown == photo {
                    0
                } else {
                    now - photo.unwrap_or(now)
                };
                self.staleness.push(behind);
            }
            return;
        }
        self.calls += 1;
        self.proofs += u64::from(shown.is_some());
        proofs.insert(page.token, now);
        self.told.insert(page.viewer, now);
        if face.by_name && face.what == What::Metadata && photo.is_some() {
            self.told.insert(face.owner, now);
        }
        if photo.is_some() && face.what != What::Metadata {
            self.staleness.push(0);
        }
        if !direct {
            return;
        }
        held.insert(key, (now, photo));
        // The tag of the one speaks for the other, where it is the same.
        let other = match face.what {
            What::Small => return,
            What::Large => What::Metadata,
            What::Metadata => What::Large,
        };
        if rule != Rule::Nginx
            && photo.is_some()
            && let Some(other) = held.get_mut(&self.key(rule, page, face, other))
            && other.1 == photo
        {
            other.0 = now;
        }
    }

    /// Whether both names of this person are known to be one's.
    fn is_told(&self, face: &Face, now: u64) -> bool {
        let told = self.told.get(&face.owner);
        told.is_some_and(|told| now - told < PHOTO)
    }

    fn key(&self, rule: Rule, page: &Page, face: &Face, what: What) -> Key {
        let whose = match rule {
            Rule::Nginx | Rule::Token => page.token,
            Rule::Verified => page.viewer,
            Rule::Tenant => 0,
        };
        let told = self.is_told(face, page.at);
        let apart = match self.names {
            Names::Together => false,
            // Metadata may repeat the name it was asked by, so it is no answer to the other.
            Names::AsTold => what == What::Metadata || !told,
            Names::Listed => what == What::Metadata,
            Names::Apart => true,
        };
        (whose, face.owner, what, apart && face.by_name)
    }
}
