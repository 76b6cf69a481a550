//! What goes wrong on command: scripted faults, and the gate that holds answers back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// One thing to go wrong with one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Graph's error with this status.
    Status(u16),
    /// Graph's error with this status and this `Retry-After`, whatever it says.
    RetryAfter(u16, String),
    /// 401 with a claims challenge.
    ClaimsChallenge,
    /// A redirect to somewhere.
    Redirect(String),
    /// 304 to a caller that asked for no such thing.
    NotModified,
    /// Connection open, and never an answer.
    StallHead,
    /// So many bytes of body, and never the rest.
    StallBody(usize),
    /// So many bytes of body, and the connection breaks.
    CutBody(usize),
    /// `Content-Length` says this many more bytes than come.
    DeclareMore(u64),
    /// `Content-Length` says this many fewer bytes than come (HTTP/1.1 only).
    DeclareLess(u64),
    /// The right length and type, the wrong bytes.
    Corrupt,
    /// No bytes at all, with 200.
    Empty,
    /// A sign-in page of some network in between: 200 and `text/html`.
    CaptiveGateway,
    /// The right bytes under another content type.
    ContentType(String),
    /// So many bytes under the right content type.
    Oversize(u64),
    /// A gzip body that nobody asked for.
    Gzip,
    /// These fields besides the usual ones; repeats are kept.
    Headers(Vec<(&'static str, String)>),
    /// These fields in the place of the usual ones; an empty value takes the field away.
    Replace(Vec<(&'static str, String)>),
    /// The connection closes without an answer.
    Close,
    /// Noise instead of HTTP, then the connection closes.
    Garbage,
    /// What was asked for is done first; then that goes wrong with the answer.
    After(Box<Self>),
}

impl Fault {
    /// Whether what was asked for is done all the same, and what goes wrong then.
    pub(super) fn in_order(self) -> (bool, Self) {
        match self {
            Self::After(fault) => (true, fault.in_order().1),
            fault => (false, fault),
        }
    }
}

#[derive(Debug)]
struct Rule {
    path: Option<String>,
    left: usize,
    fault: Fault,
}

#[derive(Debug)]
struct Gate {
    path: Option<String>,
    /// Whether writes pass it.
    reads_only: bool,
    state: watch::Sender<GateState>,
}

#[derive(Debug, Clone, Copy, Default)]
struct GateState {
    waiting: usize,
    /// How many may pass; all when open.
    passes: usize,
    open: bool,
}

/// What is scripted.
#[derive(Debug, Default)]
pub(super) struct Script {
    rules: Mutex<VecDeque<Rule>>,
    gates: Mutex<Vec<Arc<Gate>>>,
}

impl Script {
    /// Adds a fault for the next `times` answers, of that path or of any.
    pub(super) fn add(&self, path: Option<&str>, times: usize, fault: Fault) {
        self.rules().push_back(Rule {
            path: path.map(str::to_ascii_lowercase),
            left: times,
            fault,
        });
    }

    /// Takes every scripted fault back.
    pub(super) fn clear(&self) {
        self.rules().clear();
    }

    /// The fault this request meets, if any; one that was meant once is used up.
    pub(super) fn take(&self, path: &str) -> Option<Fault> {
        let path = path.to_ascii_lowercase();
        let mut rules = self.rules();
        let at = rules
            .iter()
            .position(|rule| covers(rule.path.as_deref(), &path))?;
        let rule = rules.get_mut(at)?;
        let fault = rule.fault.clone();
        rule.left = rule.left.saturating_sub(1);
        if rule.left == 0 {
            rules.remove(at);
        }
        Some(fault)
    }

    /// Shuts a gate before the answers of that path, or of all.
    pub(super) fn hold(self: &Arc<Self>, path: Option<&str>, reads_only: bool) -> Hold {
        let gate = Arc::new(Gate {
            path: path.map(str::to_ascii_lowercase),
            reads_only,
            state: watch::Sender::new(GateState::default()),
        });
        self.gates().push(Arc::clone(&gate));
        Hold {
            gate,
            script: Arc::clone(self),
        }
    }

    /// Waits at every gate that covers the path. Dropping the future leaves the gate.
    pub(super) async fn wait(&self, path: &str, reads: bool) {
        let path = path.to_ascii_lowercase();
        let gates: Vec<_> = self
            .gates()
            .iter()
            .filter(|gate| covers(gate.path.as_deref(), &path) && (reads || !gate.reads_only))
            .cloned()
            .collect();
        for gate in gates {
            let waiter = Waiter::new(&gate.state);
            let mut state = gate.state.subscribe();
            loop {
                if waiter.pass() {
                    break;
                }
                // The sender lives in `gate`, so this cannot fail while we wait.
                if state.changed().await.is_err() {
                    break;
                }
            }
        }
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, VecDeque<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gates(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Gate>>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No path covers everything; otherwise the beginning must be the same, in any case.
fn covers(rule: Option<&str>, path: &str) -> bool {
    rule.is_none_or(|rule| path.starts_with(rule))
}

/// One request at a gate; counted for as long as it lives.
struct Waiter<'a>(&'a watch::Sender<GateState>);

impl<'a> Waiter<'a> {
    fn new(state: &'a watch::Sender<GateState>) -> Self {
        state.send_modify(|state| state.waiting += 1);
        Self(state)
    }

    fn pass(&self) -> bool {
        let mut passed = false;
        self.0.send_if_modified(|state| {
            passed = state.open || state.passes > 0;
            if passed && !state.open {
                state.passes -= 1;
            }
            false
        });
        passed
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.waiting -= 1);
    }
}

/// A shut gate: answers are made, and wait behind it. Dropping it opens it.
///
/// What an answer says is settled before it waits: a write that comes meanwhile does not
/// change it.
#[derive(Debug)]
pub struct Hold {
    gate: Arc<Gate>,
    script: Arc<Script>,
}

impl Hold {
    /// Waits until at least so many answers are held. Dropping the future changes nothing.
    pub async fn waiting(&self, count: usize) {
        let mut state = self.gate.state.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = state.wait_for(|state| state.waiting >= count).await;
    }

    /// Waits until at most so many answers are held.
    pub async fn waiting_at_most(&self, count: usize) {
        let mut state = self.gate.state.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = state.wait_for(|state| state.waiting <= count).await;
    }

    /// How many answers are held now.
    pub fn held(&self) -> usize {
        self.gate.state.borrow().waiting
    }

    /// Lets one answer pass, now or when it comes.
    pub fn release_one(&self) {
        self.gate.state.send_modify(|state| state.passes += 1);
    }

    /// Opens the gate for good.
    pub fn release(self) {}
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.gate.state.send_modify(|state| state.open = true);
        self.script
            .gates()
            .retain(|gate| !Arc::ptr_eq(gate, &self.gate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_the_paths_it_is_meant_for_as_often_as_it_is_meant() {
        let script = Script::default();
        script.add(Some("/v1.0/users/A"), 2, Fault::Close);
        script.add(None, 1, Fault::Garbage);
        assert_eq!(script.take("/v1.0/me"), Some(Fault::Garbage));
        assert_eq!(script.take("/v1.0/me"), None);
        assert_eq!(script.take("/V1.0/users/a/photo"), Some(Fault::Close));
        assert_eq!(script.take("/v1.0/users/a"), Some(Fault::Close));
        assert_eq!(script.take("/v1.0/users/a"), None);
    }

    #[tokio::test]
    async fn a_gate_counts_who_waits_and_lets_them_pass() {
        let script = Arc::new(Script::default());
        let hold = script.hold(None, false);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let script = Arc::clone(&script);
                tokio::spawn(async move { script.wait("/x", false).await })
            })
            .collect();
        hold.waiting(3).await;
        hold.release_one();
        hold.waiting_at_most(2).await;
        assert_eq!(hold.held(), 2);
        hold.release();
        for waiter in waiters {
            waiter.await.unwrap();
        }
        script.wait("/x", true).await;
    }

    #[tokio::test]
    async fn a_gate_for_reads_lets_writes_pass() {
        let script = Arc::new(Script::default());
        let hold = script.hold(None, true);
        script.wait("/x", false).await;
        let reading = {
            let script = Arc::clone(&script);
            tokio::spawn(async move { script.wait("/x", true).await })
        };
        hold.waiting(1).await;
        hold.release();
        reading.await.unwrap();
    }
}
