//! What happened to a photo request, in the words of RFC 9211; feeds header, metric and log.

use std::fmt::Write as _;

use http::{HeaderValue, Response, StatusCode};

use super::{Body, Problem};
use crate::cache::{Held, NotStored};

/// Why a request went to Graph (RFC 9211 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forward {
    /// What is held may not be used for such a request at all.
    Bypass,
    /// The method's meaning requires it.
    Method,
    /// Nothing is held that this caller may have; for a credential yet to be proven that is
    /// everything, so that the field tells it nothing of others.
    Miss,
    /// Another variant of the same JSON is held for this caller.
    VaryMiss,
    /// What is held is fresh, and the caller's own `Cache-Control` refuses it.
    Request,
    /// What is held is stale, or in doubt.
    Stale,
    /// It did not: neither memory nor Graph was let answer. The field has no `fwd` then.
    Unasked,
}

impl Forward {
    /// The token of the `fwd` parameter, and the name in metrics and log.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::Miss => "miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Unasked => "unasked",
        }
    }
}

/// What else is worth saying (RFC 9211 §2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Detail {
    /// No bearer token, or not exactly one well-formed one.
    NoCredential,
    /// Stale, and being revalidated behind this answer.
    Revalidating,
    /// Stale, because Graph could not be had.
    Error,
    /// Held, while Graph says wait.
    Throttled,
    /// Stale, because too many wait already.
    Overloaded,
    /// The caller said `no-store`, so the answer is not stored.
    NoStoreAsked,
    /// The caller said `only-if-cached`, and nothing suits.
    OnlyIfCached,
    /// Not stored, and why.
    NotStored(NotStored),
}

impl Detail {
    /// The token of the `detail` parameter.
    pub const fn token(self) -> &'static str {
        match self {
            Self::NoCredential => "no-credential",
            Self::Revalidating => "revalidating",
            Self::Error => "stale-if-error",
            Self::Throttled => "throttled",
            Self::Overloaded => "overloaded",
            Self::NoStoreAsked => "request-no-store",
            Self::OnlyIfCached => "only-if-cached",
            Self::NotStored(reason) => reason.detail(),
        }
    }
}

/// How a photo request was handled (RFC 9211 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStatus {
    /// Why it went to Graph; `None` for a hit.
    pub forward: Option<Forward>,
    /// What Graph answered.
    pub forward_status: Option<StatusCode>,
    /// Whether Graph's answer was stored.
    pub stored: bool,
    /// Whether it shared somebody else's question.
    pub collapsed: bool,
    /// What else is worth saying.
    pub detail: Option<Detail>,
}

impl CacheStatus {
    /// Answered from memory.
    pub const fn hit() -> Self {
        Self {
            forward: None,
            forward_status: None,
            stored: false,
            collapsed: false,
            detail: None,
        }
    }

    /// Went to Graph.
    pub const fn forwarded(why: Forward) -> Self {
        Self {
            forward: Some(why),
            forward_status: None,
            stored: false,
            collapsed: false,
            detail: None,
        }
    }

    /// Whether it was answered from memory without asking Graph.
    pub const fn is_hit(&self) -> bool {
        self.forward.is_none()
    }

    /// With something else worth saying.
    #[must_use]
    pub const fn because(mut self, detail: Detail) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The `Cache-Status` member, with what is left of the lifetime in whole seconds, negative
    /// once it is over; and the key, printable ASCII without quotes, where it is to be named.
    pub fn field(&self, ttl: Option<i64>, key: Option<&str>) -> HeaderValue {
        let mut text = String::from("graph-photo-proxy");
        match self.forward {
            None => text.push_str("; hit"),
            Some(Forward::Unasked) => {}
            Some(why) => {
                let _ = write!(text, "; fwd={}", why.token());
            }
        }
        if let Some(status) = self.forward_status {
            let _ = write!(text, "; fwd-status={}", status.as_u16());
        }
        if self.stored {
            text.push_str("; stored");
        }
        if self.collapsed {
            text.push_str("; collapsed");
        }
        if let Some(ttl) = ttl {
            let _ = write!(text, "; ttl={ttl}");
        }
        if let Some(key) = key {
            let _ = write!(text, "; key=\"{key}\"");
        }
        if let Some(detail) = self.detail {
            let _ = write!(text, "; detail={}", detail.token());
        }
        // Tokens and numbers are a field value, always.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("graph-photo-proxy"))
    }
}

/// What a caller is answered with, and how it came about.
#[derive(Debug)]
pub struct Outcome {
    /// The answer.
    pub answer: Answer,
    /// How it came about.
    pub status: CacheStatus,
}

/// What a caller is answered with.
#[derive(Debug)]
pub enum Answer {
    /// An answer that is held, or just came and could be.
    Held(Held),
    /// Graph's own answer, handed on.
    Relayed(Response<Body>),
    /// An error of ours.
    Problem(Problem),
}
