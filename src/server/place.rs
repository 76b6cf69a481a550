//! A place among the connections: one of all, and one of its peer's share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

/// How many connections each address has, where that is limited.
#[derive(Debug, Clone)]
pub(super) struct Peers {
    most: Option<usize>,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Peers {
    pub(super) fn new(most: Option<usize>) -> Self {
        Self {
            most,
            counts: Arc::default(),
        }
    }

    /// Counts one connection in; `false` where the address has its share.
    fn admit(&self, peer: IpAddr) -> bool {
        let Some(most) = self.most else { return true };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer).or_insert(0);
        if *count >= most {
            return false;
        }
        *count += 1;
        true
    }

    fn leave(&self, peer: IpAddr) {
        if self.most.is_none() {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&peer);
            }
        }
    }
}

/// What a connection takes up, given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    peers: Peers,
    peer: Option<IpAddr>,
    gauge: Arc<AtomicUsize>,
}

impl Place {
    /// `None` where the peer has its share of connections already.
    pub(super) fn take(
        permit: Option<OwnedSemaphorePermit>,
        peer: Option<IpAddr>,
        peers: &Peers,
        gauge: &Arc<AtomicUsize>,
    ) -> Option<Self> {
        if peer.is_some_and(|peer| !peers.admit(peer)) {
            return None;
        }
        gauge.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            _permit: permit,
            peers: peers.clone(),
            peer,
            gauge: Arc::clone(gauge),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(peer) = self.peer {
            self.peers.leave(peer);
        }
        self.gauge.fetch_sub(1, Ordering::Relaxed);
    }
}
