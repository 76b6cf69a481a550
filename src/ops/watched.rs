//! What the operator's listener looks at: the rooms, the listeners, the settings as they hold.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::history::History;
use super::{Canary, Stage};
use crate::clock::Time;
use crate::config::Effective;
use crate::identity::Sharing;
use crate::proxy::Rooms;
use crate::server::Certificate;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The rooms behind the listeners.
    pub(super) rooms: Arc<Rooms>,
    outside: Arc<Outside>,
}

/// What is not the rooms' own.
#[derive(Debug)]
struct Outside {
    connections: Arc<AtomicUsize>,
    most_connections: usize,
    began: Time,
    certificates: Vec<Served>,
    effective: Mutex<Vec<Effective>>,
    history: Mutex<History>,
}

/// A certificate in use, and the setting of the listener that shows it.
pub type Served = (&'static str, Arc<Certificate>);

/// Why the proxy is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReady {
    /// The listeners take nobody up yet.
    Starting,
    /// The drain has begun.
    Leaving,
    /// The canary saw one caller's photo given to another.
    Canary,
}

impl NotReady {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Leaving => "draining",
            Self::Canary => "canary",
        }
    }
}

impl Watched {
    /// Begins to watch.
    pub fn new(
        rooms: Arc<Rooms>,
        connections: Arc<AtomicUsize>,
        most_connections: usize,
        certificates: Vec<Served>,
        effective: Vec<Effective>,
    ) -> Self {
        let began = rooms.clock.now();
        let outside = Outside {
            connections,
            most_connections,
            began,
            certificates,
            effective: Mutex::new(effective),
            history: Mutex::default(),
        };
        Self {
            rooms,
            outside: Arc::new(outside),
        }
    }

    /// What the operator's pages show: `/metrics`, `/figures` with its history, `/config`.
    pub fn pages(&self) -> [String; 3] {
        [
            super::metrics::text(self).unwrap_or_default(),
            super::report::with_history(self).to_string(),
            super::report::settings(self).to_string(),
        ]
    }

    /// What keeps it from being ready. Never depends on Graph: a cluster that takes every
    /// replica out because Graph is slow makes an outage of it.
    ///
    /// # Errors
    ///
    /// The first reason.
    pub fn readiness(&self) -> Result<(), NotReady> {
        match (self.rooms.ops.stage(), self.rooms.ops.canary()) {
            (_, Canary::Dead) => Err(NotReady::Canary),
            (Stage::Starting, _) => Err(NotReady::Starting),
            (Stage::Leaving, _) => Err(NotReady::Leaving),
            (Stage::Serving, _) => Ok(()),
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.readiness().is_ok()
    }

    pub(super) fn connections(&self) -> usize {
        self.outside.connections.load(Ordering::Relaxed)
    }

    pub(super) fn most_connections(&self) -> usize {
        self.outside.most_connections
    }

    /// The certificates that are served, each with its listener and its last second since 1970.
    pub(super) fn certificates(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = self.outside.certificates.iter();
        all.filter_map(|(listener, certificate)| Some((*listener, certificate.ends()?)))
    }

    pub(super) fn uptime(&self) -> Duration {
        self.rooms.clock.now().since(self.outside.began)
    }

    pub(super) fn sharing(&self) -> &'static str {
        match self.rooms.identity.sharing() {
            Sharing::Token => "token",
            Sharing::Verified => "verified",
            Sharing::Tenant => "tenant",
        }
    }

    /// The settings as they hold, without secrets.
    pub(super) fn effective(&self) -> MutexGuard<'_, Vec<Effective>> {
        let effective = self.outside.effective.lock();
        effective.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        let history = self.outside.history.lock();
        history.unwrap_or_else(PoisonError::into_inner)
    }
}
