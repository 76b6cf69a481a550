//! What the operator sees: figures, logs, the admin listener. Off the data path.

mod config;
pub mod telemetry;

pub use config::{Config, LogFormat, Secret};

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

use crate::render::Outcome;
use crate::route::PhotoRequest;

/// The figures.
#[derive(Debug, Default)]
pub struct Ops {
    photos: AtomicU64,
    hits: AtomicU64,
    asked: AtomicU64,
    passed: AtomicU64,
    cross_identity_hits: AtomicU64,
}

impl Ops {
    /// A photo request has been answered.
    pub fn photo(&self, photo: &PhotoRequest, outcome: &Outcome) {
        self.photos.fetch_add(1, Ordering::Relaxed);
        if outcome.status.forward.is_none() {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
        tracing::debug!(view = ?photo.view, size = ?photo.size, status = ?outcome.status, "photo");
    }

    /// Graph has answered a photo question.
    pub fn asked(&self, status: StatusCode, conditional: bool) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(status = status.as_u16(), conditional, "asked graph");
    }

    /// The canary has seen one caller's photo given to another.
    pub fn cross_identity_hit(&self) {
        self.cross_identity_hits.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has passed through.
    pub fn passed_through(&self, status: StatusCode) {
        self.passed.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(status = status.as_u16(), "passed through");
    }
}
