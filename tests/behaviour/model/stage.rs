//! Where a story is played: the simulated Graph, the real proxy before it, and a caller for
//! every part, all on sockets.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::demo::{Fault, Graph, RetryAfter};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::task::JoinHandle;

use super::asking::{self, Question, written};
use super::batching::UnderWay;
use super::law;
use super::ledger::{Ledger, Picture, Policy};
use super::oracle::Asked;
use super::reading::Tags;
use super::scenery::fault;
use super::step::{
    Act, Batch, Caller, Change, Held, Meanwhile, Part, Scene, Step, Story, Subject, Trouble, Write,
};
use crate::support::Proxy;

/// Plays a story from beginning to end.
pub(super) async fn play(policy: Policy, story: &Story) -> Result<(), String> {
    let stage = Arc::new(Stage::set(policy, story.scene));
    for (number, step) in story.steps.iter().enumerate() {
        stage.learn_tags().await;
        stage
            .step(step)
            .await
            .map_err(|why| format!("step {number}, {step:?}: {why}"))?;
    }
    Ok(())
}

pub(super) struct Stage {
    pub(super) scene: Scene,
    pub(super) graph: Graph,
    pub(super) proxy: Proxy,
    pub(super) clock: Clock,
    pub(super) direct: Client<HttpConnector, Full<Bytes>>,
    pub(super) auditor: String,
    pub(super) contacts_auditor: String,
    pub(super) ledger: Mutex<Ledger>,
    /// The token each caller holds now, and how many before.
    pub(super) tokens: Mutex<HashMap<Caller, (String, usize)>>,
    pub(super) tags: Mutex<Tags>,
}

/// A request that is under way.
enum Under {
    Way(JoinHandle<Result<Vec<Asked>, String>>),
    /// The same, and its caller may leave: nothing of what Graph does is then unknown.
    Reading(JoinHandle<Result<Vec<Asked>, String>>),
    Left,
}

impl Stage {
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, HashMap<Caller, (String, usize)>> {
        self.tokens.lock().unwrap()
    }

    async fn step(self: &Arc<Self>, step: &Step) -> Result<(), String> {
        match step {
            Step::One(act) => {
                let all = vec![Meanwhile::Begin(act.clone(), 0)];
                self.together(Held::Nothing, &all, false).await
            }
            Step::Together(held, acts) => self.together(*held, acts, false).await,
            Step::Spoilt(trouble, held, acts) => {
                self.trouble(*trouble, acts);
                let done = self.together(*held, acts, true).await;
                self.graph.clear_faults();
                done
            }
        }
    }

    fn trouble(&self, trouble: Trouble, acts: &[Meanwhile]) {
        let (mut fault, wait) = fault(trouble.spoil);
        if trouble.done_first && !trouble.spoil.is_refusal() {
            fault = Fault::After(Box::new(fault));
        }
        let first = acts.iter().find_map(|act| match act {
            Meanwhile::Begin(Act::Read(read), _) => Some(*read),
            Meanwhile::Begin(Act::Write(write), _) => Some(written(write)),
            Meanwhile::Begin(Act::Batch(batch), _) => match batch.parts.first()?.1 {
                Part::Read(read) => Some(read),
                Part::Write(write) => Some(written(&write)),
            },
            _ => None,
        });
        match first.filter(|_| trouble.by_path) {
            Some(read) => self.graph.once(&self.path(&read), fault),
            None => self.graph.next(fault),
        }
        if let Some(wait) = wait {
            self.ledger().throttle(wait);
        }
        if trouble.spoil.is_failure() {
            self.ledger().fail();
        }
    }

    async fn together(
        self: &Arc<Self>,
        held: Held,
        acts: &[Meanwhile],
        spoilt: bool,
    ) -> Result<(), String> {
        let hold = match held {
            Held::Nothing => None,
            Held::Everything => Some(self.graph.hold()),
            Held::LikeThis(read) => Some(self.graph.hold_on(&self.path(&read))),
            Held::Batches => Some(self.graph.hold_on("/v1.0/$batch")),
        };
        let began = self.ledger().now();
        let mut under = Vec::new();
        let mut writing = HashSet::new();
        for act in acts {
            let turns = match act {
                Meanwhile::Begin(act, turns) => {
                    under.extend(self.begin(act, spoilt, &mut writing));
                    *turns
                }
                Meanwhile::LetOneGo(turns) => {
                    if let Some(hold) = &hold {
                        hold.release_one();
                    }
                    *turns
                }
                Meanwhile::Leave(place) => {
                    if let Some(one) = under.get_mut(*place)
                        && let Under::Reading(task) = &*one
                    {
                        task.abort();
                        *one = Under::Left;
                    }
                    0
                }
            };
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        }
        drop(hold);
        let mut asked = Vec::new();
        for one in under {
            match one {
                Under::Way(task) | Under::Reading(task) => {
                    asked.extend(task.await.map_err(panicked)??);
                }
                Under::Left => {}
            }
        }
        if held != Held::Nothing {
            self.ledger().throttle_if_since(began);
        }
        asked.sort_by_key(|asked| asked.ended);
        for asked in asked {
            let mut ledger = self.ledger();
            if asked.judged {
                ledger
                    .judge(&asked)
                    .map_err(|why| format!("{:?} got {why}", asked.read))?;
            }
            ledger.remember(&asked);
        }
        Ok(())
    }

    fn begin(
        self: &Arc<Self>,
        act: &Act,
        spoilt: bool,
        writing: &mut HashSet<Subject>,
    ) -> Option<Under> {
        // Two things are never quite at one time. All of these in a story are no second.
        self.clock.advance(Duration::from_millis(1));
        let stage = Arc::clone(self);
        match act {
            Act::Change(change) => {
                self.change(*change, writing);
                None
            }
            Act::Read(read) => {
                let (request, sent, credential) = self.read_request(read);
                let question = Question {
                    read: *read,
                    sent,
                    credential,
                    began: self.ledger().moment(),
                    spoilt,
                };
                Some(Under::Reading(tokio::spawn(async move {
                    Ok(vec![stage.read(question, request).await?])
                })))
            }
            Act::Write(write) => {
                let request = self.write_request(write);
                let change = self.begin_write(*write, spoilt, writing)?;
                Some(Under::Way(tokio::spawn(async move {
                    Ok(vec![stage.write(change, request).await?])
                })))
            }
            Act::Batch(batch) => self.begin_batch(batch, spoilt, writing),
        }
    }

    /// A write begins, unless there is one of the same owner already.
    fn begin_write(
        &self,
        write: Write,
        spoilt: bool,
        writing: &mut HashSet<Subject>,
    ) -> Option<asking::Change> {
        let subject = law::subject(write.owner, write.caller)?;
        if subject == Subject::Stranger || !writing.insert(subject) {
            return None;
        }
        let (_, credential) = self.token(write.caller);
        let mut ledger = self.ledger();
        let picture = write.side.map(|side| Picture {
            upload: ledger.uploads(subject) + 1,
            side,
        });
        Some(asking::Change {
            write,
            subject,
            picture,
            credential,
            began: ledger.write_begins(subject, picture),
            spoilt,
        })
    }

    fn begin_batch(
        self: &Arc<Self>,
        batch: &Batch,
        spoilt: bool,
        writing: &mut HashSet<Subject>,
    ) -> Option<Under> {
        let (_, credential) = self.token(batch.caller);
        let began = self.ledger().moment();
        let mut batch = batch.clone();
        let mut under_way = Vec::new();
        let mut writes = false;
        batch.parts.retain(|(id, part)| {
            let part = match part {
                Part::Read(read) => Some(UnderWay::Question(Question {
                    read: *read,
                    sent: self.tag(read),
                    credential,
                    began,
                    spoilt,
                })),
                Part::Write(write) => self
                    .begin_write(*write, spoilt, writing)
                    .map(UnderWay::Change),
            };
            writes |= matches!(part, Some(UnderWay::Change(_)));
            let kept = part.is_some();
            under_way.extend(part.map(|part| (*id, part)));
            kept
        });
        if under_way.is_empty() {
            return None;
        }
        let (stage, request) = (Arc::clone(self), self.batch_request(&batch));
        let task = tokio::spawn(async move { stage.batch(under_way, request, spoilt).await });
        Some(if writes {
            Under::Way(task)
        } else {
            Under::Reading(task)
        })
    }

    fn change(&self, change: Change, writing: &HashSet<Subject>) {
        match change {
            Change::Revoke(caller) => {
                let (token, credential) = self.token(caller);
                if let (Some(token), Some(credential)) = (token, credential) {
                    self.graph.revoke(&token);
                    self.ledger().revoke(credential);
                }
            }
            Change::Renew(caller) => {
                let times = self.tokens().get(&caller).map(|(_, times)| times + 1);
                if let Some(times) = times {
                    self.sign_in(caller, times);
                }
            }
            Change::Forbid(who, subject) => {
                let (person, owner) = (self.id(Subject::Person(who)), self.id(subject));
                self.graph.forbid(&person, &owner);
                self.ledger().forbid(who, subject);
            }
            Change::Forgive => {
                self.graph.forgive();
                self.ledger().forgive();
            }
            Change::Upload(subject, side) if !writing.contains(&subject) => {
                let upload = self.graph.upload_sized(&self.id(subject), side);
                self.ledger().show(subject, Some(Picture { upload, side }));
            }
            Change::Remove(subject) if !writing.contains(&subject) => {
                self.graph.remove_photo(&self.id(subject));
                self.ledger().show(subject, None);
            }
            Change::Upload(..) | Change::Remove(_) => {}
            Change::Later(seconds) => {
                self.clock.advance(Duration::from_secs(seconds));
                self.ledger().later(seconds);
            }
            Change::Housekeeping => self.proxy.rooms.maintain(),
            Change::Throttle(seconds) => {
                self.graph
                    .throttle_for(Duration::from_secs(seconds), RetryAfter::Seconds);
                self.ledger().throttle(seconds);
            }
        }
    }
}

fn panicked(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| "a check failed".to_owned()),
        Err(error) => error.to_string(),
    }
}
