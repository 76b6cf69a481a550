//! One download of a picture at a time: other principals who want it wait for its end and are
//! given its bytes on Graph's word to themselves.
//!
//! That word need not wait too. While the download is on its way each of them asks for the
//! picture's metadata with its own token, and when both have come the tag decides, by the rule
//! of [`verify`](super::verify): under the picture's own tag it is Graph's word that this
//! caller may have it. Under another tag, after a write or a refusal in between, or where that
//! has not spared a question before, the picture itself is asked for.
//!
//! "No photo" is told the same way, where one such answer may speak for another: to this caller
//! Graph has said it of the metadata, to the other of the picture.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use super::Rooms;
use super::question::{Before, Flown};
use super::told::Posed;
use super::verify::names_tag_of;
use super::wanted::Wanted;
use crate::cache::{Born, CurrentKey, Held, Kind, admission};
use crate::clock::Time;
use crate::render::{Answer, Forward};
use crate::upstream::{Flights, Landing, Lead, Seat, Trial};

/// How long a question waits for another principal's download of the same picture.
const PATIENCE: Duration = Duration::from_secs(2);

/// All downloads on their way.
pub(super) type Downloads = Flights<CurrentKey, Download, Came>;
/// The duty to say what came of one.
pub(super) type Turn = Lead<CurrentKey, Download, Came>;

/// A download on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Download {
    born: Born,
    /// Whether Graph has accepted the token it is asked with. With any other it may well end
    /// without a picture, and then what was asked meanwhile was asked in vain.
    accepted: bool,
}

/// What came of a download, where Graph has let somebody have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// The picture.
    Picture,
    /// That there is none.
    NoPhoto,
}

/// How a question stands once nobody else downloads what it is about.
pub(super) enum Ready {
    /// It is to be put, with what is known; whoever downloads has a duty.
    Ask(Before, Option<Turn>),
    /// The caller has its answer.
    Told(Box<Flown>),
}

/// What Graph has said of the metadata to a caller who waits for the picture.
struct Said<'a> {
    metadata: Held,
    born: Born,
    asked: Time,
    trial: Trial<'a>,
}

/// How a wait ended.
enum Waited<'a> {
    /// The download has, or has taken too long; and what was said meanwhile.
    Landed(Result<Landing<Came>, Elapsed>, Option<Said<'a>>),
    /// Graph does not accept the token, whatever is asked with it.
    Refused(Box<Flown>),
}

impl Came {
    /// What came of a question that Graph has granted.
    pub(super) fn of(granted: &Flown) -> Self {
        match &granted.outcome.answer {
            Answer::Held(held) if held.response.kind == Kind::Absent => Self::NoPhoto,
            _ => Self::Picture,
        }
    }
}

impl Rooms {
    /// What is known of the picture; where nothing is and another principal is downloading it,
    /// once that has ended. Where it ends without a picture or "no photo" the next one takes
    /// its turn, and dropping the turn lets the one after that go.
    pub(super) async fn ready(&self, wanted: &Wanted, why: Forward) -> Ready {
        let deadline = Instant::now() + PATIENCE;
        let mut asks = true;
        let mut said = None;
        loop {
            let ended = self.questions.downloads.ended();
            let known = self.known(wanted);
            let (None, Some(current)) = (&known, &wanted.place.current) else {
                return Ready::ask(known, false);
            };
            let download = Download {
                born: self.cache.doubts.born(),
                accepted: wanted.facts.caller.proof().is_some(),
            };
            let is_promising = Cell::new(false);
            // One that began before a write brings nothing that may still be used.
            let usable = |other: &Download| {
                is_promising.set(other.accepted);
                self.cache
                    .believes(&wanted.place, other.born, self.clock.now())
            };
            let wait = match self
                .questions
                .downloads
                .join(current.clone(), download, usable)
            {
                Seat::Leader(turn) => {
                    // Another may have ended since it was looked for.
                    if ended != self.questions.downloads.ended() && self.known(wanted).is_some() {
                        continue;
                    }
                    return Ready::Ask(Before::default(), Some(turn));
                }
                Seat::Waiter(wait) => wait,
                Seat::Full => return Ready::ask(None, false),
            };
            let landed = tokio::time::timeout_at(deadline, wait.landed());
            let landing = if std::mem::take(&mut asks) && is_promising.get() {
                // Boxed, as all is that few questions come to: the others need no room for it.
                match Box::pin(self.verify_meanwhile(wanted, why, landed)).await {
                    Waited::Landed(landing, word) => {
                        said = word;
                        landing
                    }
                    Waited::Refused(flown) => return Ready::Told(flown),
                }
            } else {
                landed.await
            };
            match landing {
                Ok(Landing::Alone) => {}
                Ok(Landing::Shared(came)) => return self.compare(wanted, why, said, came),
                Err(_) => return Ready::ask(self.known(wanted), false),
            }
        }
    }

    /// Waits for a download to land, and asks for the metadata meanwhile where there is room on
    /// the way before it has, and a question is likely to be spared by it.
    async fn verify_meanwhile(
        &self,
        wanted: &Wanted,
        why: Forward,
        landed: impl Future<Output = Result<Landing<Came>, Elapsed>>,
    ) -> Waited<'_> {
        let (kind, now) = (wanted.facts.owner.kind(), self.clock.now());
        let habits = &self.questions.habits;
        let may = self.questions.verify_by_metadata && habits.may_ask_meanwhile(kind, now);
        let metadata = wanted.as_metadata(self).filter(|_| may);
        let Some(metadata) = metadata.filter(|_| !self.was_refused(wanted, now)) else {
            return Waited::Landed(landed.await, None);
        };
        let mut landed = pin!(landed);
        let pass = tokio::select! {
            biased;
            landing = &mut landed => return Waited::Landed(landing, None),
            pass = self.enter(&metadata) => pass,
        };
        let trial = habits.asks_meanwhile(kind, self.clock.now());
        let (Ok(pass), Some(trial)) = (pass, trial) else {
            return Waited::Landed(landed.await, None);
        };
        let (born, asked) = (self.cache.doubts.born(), self.clock.now());
        let flown = self
            .exchange(&metadata, why, Before::default(), &pass)
            .await;
        // Those behind need not wait for somebody else's download.
        drop(pass);
        let said = match &flown.outcome.answer {
            Answer::Held(metadata) if flown.accepted => Some(Said {
                metadata: metadata.clone(),
                born,
                asked,
                trial,
            }),
            Answer::Relayed(answer) if answer.status() == StatusCode::UNAUTHORIZED => {
                return Waited::Refused(Box::new(flown));
            }
            _ => None,
        };
        Waited::Landed(landed.await, said)
    }

    /// A download has landed: what was said of the metadata meanwhile decides whether this
    /// caller may have what came.
    fn compare(&self, wanted: &Wanted, why: Forward, said: Option<Said<'_>>, came: Came) -> Ready {
        let (known, now) = (self.known(wanted), self.clock.now());
        // A word from before a write or a refusal says nothing after it.
        let said = said.filter(|said| {
            self.cache.believes(&wanted.place, said.born, now) && !self.was_refused(wanted, now)
        });
        let Some(Said {
            metadata,
            born,
            asked,
            trial,
        }) = said
        else {
            return Ready::ask(known, false);
        };
        let posed = Posed {
            wanted,
            why,
            born,
            asked,
        };
        let stands = |held: &Held| {
            let status = metadata.response.status;
            self.stands(posed, held, &HeaderMap::new(), status, now)
        };
        let told = match &known {
            Some(picture) if names_tag_of(&metadata, picture) => {
                self.questions.habits.tags_agreed(wanted.facts.owner.kind());
                trial.spared();
                stands(picture)
            }
            None if came == Came::NoPhoto && self.is_no_photo(&metadata) => stands(&metadata),
            // What came was for nobody else, or has gone already.
            None if came == Came::Picture => None,
            _ => {
                trial.cost(now);
                return Ready::ask(known, true);
            }
        };
        match told {
            Some(flown) => Ready::Told(Box::new(flown)),
            None => Ready::ask(known, false),
        }
    }

    /// Whether an answer to the metadata question says that there is no photo, in words that
    /// Graph has for the picture too.
    fn is_no_photo(&self, metadata: &Held) -> bool {
        self.questions.infer_absent
            && metadata.response.status == StatusCode::NOT_FOUND
            && admission::says_no_photo(&metadata.bytes)
    }
}

impl Ready {
    fn ask(held: Option<Held>, in_vain: bool) -> Self {
        Self::Ask(Before { held, in_vain }, None)
    }
}
