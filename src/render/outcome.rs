//! What happened to a photo request, in the words of RFC 9211; feeds header, metric and log.

use http::{HeaderValue, Response, StatusCode};

use super::text::Text;
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
        let mut text = Text::new();
        self.write(&mut text, ttl, key);
        // Tokens and numbers are a field value, always.
        let [field] = text.values([0]);
        field.unwrap_or(HeaderValue::from_static("graph-photo-proxy"))
    }

    /// The same, behind what has been written already.
    pub(super) fn write(self, text: &mut Text, ttl: Option<i64>, key: Option<&str>) {
        text.push("graph-photo-proxy");
        match self.forward {
            None => text.push("; hit"),
            Some(Forward::Unasked) => {}
            Some(why) => {
                text.push("; fwd=");
                text.push(why.token());
            }
        }
        if let Some(status) = self.forward_status {
            text.push("; fwd-status=");
            text.number(u64::from(status.as_u16()));
        }
        if self.stored {
            text.push("; stored");
        }
        if self.collapsed {
            text.push("; collapsed");
        }
        if let Some(ttl) = ttl {
            text.push(if ttl < 0 { "; ttl=-" } else { "; ttl=" });
            text.number(ttl.unsigned_abs());
        }
        if let Some(key) = key {
            text.push("; key=\"");
            text.push(key);
            text.push("\"");
        }
        if let Some(detail) = self.detail {
            text.push("; detail=");
            text.push(detail.token());
        }
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
