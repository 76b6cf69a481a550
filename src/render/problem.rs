//! Every error of ours as Graph would have shaped it, with `Proxy-Status` (RFC 9209).
//!
//! The only place that maps a cause to a status. The caller's message says nothing about
//! hosts, tokens or other people.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::Body;
use crate::clock::Time;

/// Why we, and not Graph, answer with an error. The variants are named by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The request's `Host` is missing, repeated or not a host (RFC 9112 §3.2): 400.
    BadHost,
    /// The request target is not one we forward (absolute-form elsewhere, authority-form, `*`): 400.
    BadTarget,
    /// A header field that would change what the message means to Graph (`Connection:
    /// authorization`, two lengths): 400.
    BadHeader,
    /// CONNECT, TRACE or an upgrade: 501.
    MethodRefused,
    /// The head is larger than the limits: 431.
    HeadTooLarge,
    /// The target is longer than the limit: 414.
    TargetTooLong,
    /// The caller stopped in the middle of its body: 408.
    StalledRequest,
    /// No connection to Graph could be made: 502.
    Unreachable,
    /// Graph's answer broke off or was not HTTP: 502.
    BrokenAnswer,
    /// Graph did not answer in time: 504.
    TimedOut,
    /// Graph said wait, and the wait is not over: 429 with the true remaining wait.
    Throttled {
        /// What is left of the wait.
        wait: Duration,
    },
    /// Graph has failed too often in a row, and is not asked until a pause is over: 503.
    Down {
        /// What is left of the pause.
        wait: Duration,
    },
    /// Too many callers wait already: 503.
    Overloaded,
    /// The caller asked for a stored answer only, and there is none: 504 (RFC 9111 §5.2.1.7).
    OnlyIfCached,
    /// The caller asked for bytes beyond the end: 416 (RFC 9110 §15.5.17).
    RangeNotSatisfiable {
        /// How many bytes there are.
        length: u64,
    },
}

impl Problem {
    /// The status, Graph's `code`, the caller's message, and the RFC 9209 error type.
    const fn parts(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::BadHost => (
                StatusCode::BAD_REQUEST,
                "BadRequest",
                "The request must carry exactly one valid Host.",
                "http_request_error",
            ),
            Self::BadTarget => (
                StatusCode::BAD_REQUEST,
                "BadRequest",
                "The request target cannot be forwarded.",
                "http_request_error",
            ),
            Self::BadHeader => (
                StatusCode::BAD_REQUEST,
                "BadRequest",
                "A header field of the request cannot be forwarded.",
                "http_request_error",
            ),
            Self::MethodRefused => (
                StatusCode::NOT_IMPLEMENTED,
                "NotImplemented",
                "The method or protocol upgrade is not supported.",
                "http_request_denied",
            ),
            Self::HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "RequestHeaderFieldsTooLarge",
                "The header section of the request is too large.",
                "http_request_error",
            ),
            Self::TargetTooLong => (
                StatusCode::URI_TOO_LONG,
                "UriTooLong",
                "The request target is too long.",
                "http_request_error",
            ),
            Self::StalledRequest => (
                StatusCode::REQUEST_TIMEOUT,
                "RequestTimeout",
                "The body of the request did not arrive in time.",
                "http_request_error",
            ),
            Self::Unreachable => (
                StatusCode::BAD_GATEWAY,
                "BadGateway",
                "Microsoft Graph could not be reached.",
                "destination_unavailable",
            ),
            Self::BrokenAnswer => (
                StatusCode::BAD_GATEWAY,
                "BadGateway",
                "The answer from Microsoft Graph was incomplete.",
                "http_response_incomplete",
            ),
            Self::TimedOut => (
                StatusCode::GATEWAY_TIMEOUT,
                "GatewayTimeout",
                "Microsoft Graph did not answer in time.",
                "http_response_timeout",
            ),
            Self::Throttled { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                "Microsoft Graph asked to wait before the next request.",
                "http_request_denied",
            ),
            Self::Down { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "Microsoft Graph does not answer at the moment.",
                "destination_unavailable",
            ),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "Too many requests are waiting.",
                "connection_limit_reached",
            ),
            Self::OnlyIfCached => (
                StatusCode::GATEWAY_TIMEOUT,
                "GatewayTimeout",
                "No stored answer may be given.",
                "proxy_internal_response",
            ),
            // The code by which Graph says so of a file (Graph: error responses).
            Self::RangeNotSatisfiable { .. } => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "invalidRange",
                "The specified byte range is invalid or unavailable.",
                "http_request_error",
            ),
        }
    }

    /// The status this cause is answered with.
    pub const fn status(self) -> StatusCode {
        self.parts().0
    }

    /// The RFC 9209 §2.3 error type.
    pub const fn proxy_error(self) -> &'static str {
        self.parts().3
    }

    /// How long the caller should wait, where we know.
    pub const fn wait(self) -> Option<Duration> {
        match self {
            Self::Throttled { wait } | Self::Down { wait } => Some(wait),
            Self::Overloaded => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The Graph-shaped error, as it stands inside a batch.
    pub fn json(self, request_id: &str, now: Time) -> String {
        let (_, code, message, _) = self.parts();
        envelope(code, message, request_id, request_id, now)
    }

    /// The Graph-shaped reply. `request` is the caller's header section, for
    /// `client-request-id`; `request_id` is a fresh one of ours.
    pub fn reply(self, request: &HeaderMap, request_id: &str, now: Time) -> Response<Body> {
        let (status, code, message, _) = self.parts();
        let client_id = super::reply::client_request_id(request);
        let client_id = client_id
            .as_ref()
            .and_then(|id| id.to_str().ok())
            .unwrap_or(request_id);
        let error = envelope(code, message, request_id, client_id, now);
        let mut reply = Response::new(Body::whole(Bytes::from(error)));
        *reply.status_mut() = status;
        let fields = reply.headers_mut();
        fields.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let text = |text: &str| HeaderValue::from_str(text).ok();
        fields.extend(text(request_id).map(|id| (HeaderName::from_static("request-id"), id)));
        fields.extend(text(client_id).map(|id| (HeaderName::from_static("client-request-id"), id)));
        let proxy_status = format!("graph-photo-proxy; error={}", self.proxy_error());
        fields.extend(
            text(&proxy_status).map(|value| (HeaderName::from_static("proxy-status"), value)),
        );
        if let Some(wait) = self.wait() {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if let Self::RangeNotSatisfiable { length } = self {
            fields.extend(
                text(&format!("bytes */{length}")).map(|range| (header::CONTENT_RANGE, range)),
            );
        }
        reply
    }
}

/// Graph's error envelope.
fn envelope(code: &str, message: &str, request_id: &str, client_id: &str, now: Time) -> String {
    let error = serde_json::json!({"error": {
        "code": code,
        "message": message,
        "innerError": {
            "date": now.utc(),
            "request-id": request_id,
            "client-request-id": client_id,
        },
    }});
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_rounded_up() {
        for (milliseconds, seconds) in [(1, "1"), (1_000, "1"), (2_128, "3"), (0, "1")] {
            let problem = Problem::Throttled {
                wait: Duration::from_millis(milliseconds),
            };
            let now = Time::new(Duration::ZERO, Duration::ZERO);
            let reply = problem.reply(&HeaderMap::new(), "id", now);
            assert_eq!(reply.headers()[header::RETRY_AFTER], seconds);
            assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
        }
    }
}
