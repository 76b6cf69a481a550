//! What was true, and from when to when: everything a story did.
//!
//! A moment is a number that every beginning, every change and every reply takes; a request that
//! began at `b` and was answered at `e` may have been decided at any moment between.

use std::collections::HashMap;
use std::time::Duration;

use super::law::facts;
use super::oracle::LONGEST_THROTTLE;
use super::oracle::{Asked, Got, is_odd, named};
use super::step::{Caller, Owner, Scene, Subject, Who};

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

#[derive(Debug)]
pub(super) struct Shown {
    pub(super) picture: Option<Picture>,
    pub(super) from: Moment,
    pub(super) to: Moment,
}

#[derive(Debug)]
pub(super) struct Issued {
    pub(super) from: Moment,
    pub(super) to: Moment,
    /// In seconds of the clock.
    pub(super) expires: u64,
}

#[derive(Debug)]
pub(super) struct Forbidden {
    pub(super) who: Who,
    pub(super) subject: Subject,
    pub(super) from: Moment,
    pub(super) to: Moment,
}

/// Everything that was true, and when.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) policy: Policy,
    pub(super) scene: Scene,
    /// The clock at each moment, in seconds: before and after.
    pub(super) times: Vec<(u64, u64)>,
    pub(super) shown: HashMap<Subject, Vec<Shown>>,
    pub(super) issued: HashMap<Credential, Issued>,
    pub(super) forbidden: Vec<Forbidden>,
    /// Writes through the proxy, by when they were answered.
    pub(super) written: Vec<(Subject, Moment)>,
    /// 401: whom, begun when, answered when.
    pub(super) unauthorized: Vec<(Credential, Moment, Moment)>,
    /// 403: whom, by which name, begun when, answered when.
    pub(super) refused: Vec<(Credential, Owner, Moment, Moment)>,
    /// When Graph failed.
    pub(super) failures: Vec<u64>,
    /// Until when Graph, or the proxy on its behalf, may say 429.
    pub(super) throttled_until: u64,
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
    pub(super) fn is_down(&self) -> bool {
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

    pub(super) fn is_good(&self, credential: Credential, at: Moment) -> bool {
        self.issued.get(&credential).is_some_and(|issued| {
            issued.from <= at && at <= issued.to && self.times[at].0 < issued.expires
        })
    }

    pub(super) fn is_bad(&self, credential: Option<Credential>, at: Moment) -> bool {
        let issued = credential.and_then(|credential| self.issued.get(&credential));
        issued.is_none_or(|issued| at >= issued.to || self.times[at].1 >= issued.expires)
    }

    /// Whether Graph's word to one token is its word to the other.
    pub(super) fn is_one(&self, one: Credential, other: Credential) -> bool {
        let (facts, others) = (facts(one.0), facts(other.0));
        let alone = self.policy == Policy::Token || facts.personal;
        one == other || !alone && facts.principal == others.principal
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
