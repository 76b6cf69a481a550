//! What the simulator saw, so that a test can count calls and read them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, Method};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Counts requests, from 1.
    pub number: u64,
    /// The method.
    pub method: Method,
    /// The raw path.
    pub path: String,
    /// The raw query, without its `?`.
    pub query: Option<String>,
    /// The header section.
    pub headers: HeaderMap,
    /// Bytes of body received so far.
    pub body: u64,
    /// The number of the token, if it is one that was issued here.
    pub token: Option<u64>,
    /// Whether a photo, its metadata or a list of photos was asked for.
    pub photo: bool,
    /// Whether it is a part of a batch.
    pub batched: bool,
    /// The status of the answer, once its head is ready; none if none was ever sent.
    pub status: Option<u16>,
}

impl Seen {
    /// Path and query as received.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The first value of a header field, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Every request so far, and the sums.
#[derive(Debug, Default)]
pub(super) struct Record {
    seen: Mutex<Vec<Seen>>,
    next: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) calls: AtomicU64,
    pub(super) photo_calls: AtomicU64,
    pub(super) downloads: AtomicU64,
    pub(super) throttled: AtomicU64,
}

/// How many requests are kept; beyond it the older half is dropped and only counted.
const KEPT: usize = 200_000;

impl Record {
    /// Writes a request down; its number.
    pub(super) fn arrive(&self, mut seen: Seen) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        seen.number = number;
        if seen.method != Method::OPTIONS {
            self.calls
                .fetch_add(u64::from(!seen.batched), Ordering::Relaxed);
            self.photo_calls
                .fetch_add(u64::from(seen.photo), Ordering::Relaxed);
        }
        let mut all = self.all();
        if all.len() >= KEPT {
            all.drain(..KEPT / 2);
        }
        all.push(seen);
        number
    }

    /// Adds what became known later.
    pub(super) fn update(&self, number: u64, change: impl FnOnce(&mut Seen)) {
        let mut all = self.all();
        if let Some(seen) = all.iter_mut().rev().find(|seen| seen.number == number) {
            change(seen);
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.all().clone()
    }

    /// Forgets requests and sums; numbers go on.
    pub(super) fn clear(&self) {
        self.all().clear();
        for sum in [
            &self.received,
            &self.calls,
            &self.photo_calls,
            &self.downloads,
            &self.throttled,
        ] {
            sum.store(0, Ordering::Relaxed);
        }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
