//! The first word about a token: a page asks for its faces at once, and one answer of Graph
//! decides what the token may have of those that are held.
//!
//! Without this each face of a page would go to Graph until the first answer has come. So those
//! that are held for whom the token says it is wait for it, and are then judged as if they had
//! come after it. Nothing is handed from one to the other: what the token says of itself decides
//! who waits, and never what anybody is given.
//!
//! A face that must be asked for anyway brings the first word as well as any, so the others wait
//! for that one where it comes first, and in a batch it is asked first.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::Rooms;
use super::standing::Standing;
use super::wanted::{Facts, Wanted};
use crate::cache::Lookup;
use crate::clock::Time;
use crate::identity::Credential;
use crate::render::Forward;
use crate::upstream::{Landing, Lead, Seat};

/// How long a caller waits for the first word about its own token before it asks for itself.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often: once for the token, and once more where what came first says nothing about one
/// addressed by the other kind of name.
pub(super) const ROUNDS: u32 = 2;

/// The duty to say when the first word has come.
pub(super) type Turn = Lead<Credential, (), ()>;

/// Graph has said its word, whatever it was.
pub(super) fn said(turn: Option<Turn>) {
    if let Some(turn) = turn {
        turn.land(Landing::Shared(()));
    }
}

impl Rooms {
    /// What is to be done about a photo request for which Graph must be asked, once the first
    /// word about its token has come where that may spare Graph the question.
    pub(super) async fn after_first_word(
        self: &Arc<Self>,
        facts: Arc<Facts>,
        standing: Standing,
        headers: &HeaderMap,
        now: Time,
    ) -> (Arc<Facts>, Standing, Option<Turn>) {
        let (mut facts, mut standing, mut now) = (facts, standing, now);
        for _ in 0..ROUNDS {
            let Standing::Ask(why) = standing else {
                return (facts, standing, None);
            };
            let token = facts.caller.credential;
            if !self.is_promised(&facts, now) {
                let turn = self.leads_first_word(&facts);
                return (facts, standing, turn);
            }
            let wait = match self.questions.first_words.join(token, (), |()| true) {
                Seat::Leader(turn) => return (facts, standing, Some(turn)),
                Seat::Waiter(wait) => wait,
                Seat::Full => return (facts, standing, None),
            };
            if tokio::time::timeout(PATIENCE, wait.landed()).await.is_err() {
                return (facts, standing, None);
            }
            now = self.clock.now();
            (facts, standing) = self.anew(facts, why, headers);
        }
        (facts, standing, None)
    }

    /// The duty to say when the first word has come, where this question brings it and no other
    /// does already. It is asked for whoever leads, and waits for nobody.
    pub(super) fn leads_first_word(&self, facts: &Facts) -> Option<Turn> {
        if !self.brings_word(facts) {
            return None;
        }
        let token = facts.caller.credential;
        match self.questions.first_words.join(token, (), |()| true) {
            Seat::Leader(turn) => Some(turn),
            Seat::Waiter(_) | Seat::Full => None,
        }
    }

    /// Asks Graph for one photo, or waits for the question that brings the first word already.
    pub(super) async fn have_first_word(self: &Arc<Self>, wanted: Wanted) {
        let token = wanted.facts.caller.credential;
        match self.questions.first_words.join(token, (), |()| true) {
            Seat::Leader(turn) => {
                // What the answer means is noted; the batch reads it from there.
                self.ask(Arc::new(wanted), Forward::Miss).await;
                said(Some(turn));
            }
            Seat::Waiter(wait) => {
                // Too late is as good as none.
                let _ = tokio::time::timeout(PATIENCE, wait.landed()).await;
            }
            Seat::Full => {}
        }
    }

    /// Whether an answer to this question says something of the token that may let it have what
    /// is held of others.
    pub(super) fn brings_word(&self, facts: &Facts) -> bool {
        self.heeds_first_word(facts) && !facts.may_become_readable(self).is_empty()
    }

    /// Whether the question is one whose answer, or the wait for it, may serve others.
    fn heeds_first_word(&self, facts: &Facts) -> bool {
        let demand = facts.demand;
        let asks = !facts.photo.head && !demand.no_store && !demand.only_if_cached;
        self.questions.first_word && asks
    }

    /// Whether Graph's word about the token may let this caller have what is held: for the one
    /// the token says it is, or for the tenant it names. A hint, and no more.
    pub(super) fn is_promised(&self, facts: &Facts, now: Time) -> bool {
        let demand = facts.demand;
        if !self.heeds_first_word(facts) {
            return false;
        }
        facts.may_become_readable(self).iter().any(|key| {
            match self.cache.lookup(key, facts.own, now) {
                Lookup::Fresh(held) | Lookup::Stale(held) => demand.takes(&held.response, now),
                Lookup::Expired(_) | Lookup::Doubted(_) | Lookup::Miss => false,
            }
        })
    }
}
