//! Asking for a photo: a GET built from a list of allowed fields, never from the caller's head.
//!
//! Whatever is not on the list cannot shape an answer that others may be shown, nor poison it.

use std::fmt;

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response};
use hyper::body::Incoming;

use super::error::Error;
use super::fields;
use super::pool::Upstream;
use crate::render::Body;

/// The caller's fields that go along with a photo request, and why each may: none of them
/// changes what Graph answers.
pub(super) const CARRIED: [(&str, &str); 7] = [
    (
        "client-request-id",
        "lets caller and Graph's support name the request",
    ),
    ("return-client-request-id", "asks Graph to echo that name"),
    ("sdkversion", "Graph counts its SDKs by it"),
    (
        "traceparent",
        "continues the caller's trace (W3C Trace Context)",
    ),
    ("tracestate", "belongs to traceparent"),
    (
        "user-agent",
        "Graph's advice on throttling and support goes by it",
    ),
    (
        "x-ms-throttle-priority",
        "says how urgent the request is when Graph throttles",
    ),
];

/// The caller's fields that name the request in traces, and no others.
#[derive(Debug, Clone, Default)]
pub struct Trace(HeaderMap);

impl Trace {
    /// Picks them from the caller's header section.
    pub fn of(caller: &HeaderMap) -> Self {
        let mut carried = HeaderMap::new();
        // A walk: few callers send any of these, and a look-up hashes its name each time.
        for (name, value) in caller {
            if CARRIED.iter().any(|(carried, _)| name == carried) {
                carried.append(name, value.clone());
            }
        }
        Self(carried)
    }

    /// The fields, for a span that goes between.
    pub fn fields(&mut self) -> &mut HeaderMap {
        &mut self.0
    }
}

/// One photo request to Graph.
#[derive(Clone)]
pub struct Ask {
    /// The raw path and query, as the caller wrote them.
    pub target: PathAndQuery,
    /// The caller's own credential.
    pub authorization: HeaderValue,
    /// What the caller accepts; decides the shape of JSON answers.
    pub accept: Option<HeaderValue>,
    /// The stored entity tag, exactly as Graph gave it.
    pub if_none_match: Option<HeaderValue>,
    /// The stored `Last-Modified`, where there is no tag.
    pub if_modified_since: Option<HeaderValue>,
    /// What names the request in traces.
    pub trace: Trace,
}

impl fmt::Debug for Ask {
    /// Shows neither whose photo it is nor who asks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("conditional", &self.if_none_match.is_some())
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// Asks Graph for a photo, and waits for the head of the answer, whatever its status.
    ///
    /// The same GET goes out once more if the kept connection it was sent on had been closed.
    /// Dropping the future ends the exchange.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when the first byte takes longer than the configured time, all
    /// attempts together; [`Error::Connect`] and [`Error::Broken`] as ever.
    pub async fn ask(&self, ask: Ask) -> Result<Response<Incoming>, Error> {
        let repeat = ask.clone();
        let exchange = self.exchange_photo(self.request(ask), || self.request(repeat));
        let answer = tokio::time::timeout(self.first_byte_timeout(), exchange)
            .await
            .map_err(|_| Error::TimedOut)??;
        if answer.status().is_informational() || fields::has_odd_transfer_coding(answer.headers()) {
            return Err(Error::broken("an answer to something else"));
        }
        Ok(answer)
    }

    fn request(&self, ask: Ask) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.target(Some(ask.target));
        let mut authorization = ask.authorization;
        authorization.set_sensitive(true);
        let mut fields = HeaderMap::with_capacity(16);
        fields.extend(self.host().map(|host| (header::HOST, host.clone())));
        fields.insert(header::AUTHORIZATION, authorization);
        // Stored bytes must suit every caller. Without the field any coding would be fine
        // (RFC 9110 §12.5.3); `identity` is what urllib sends to Graph with every request.
        let identity = HeaderValue::from_static("identity");
        fields.insert(header::ACCEPT_ENCODING, identity);
        fields.extend(ask.accept.map(|value| (header::ACCEPT, value)));
        fields.extend(
            ask.if_none_match
                .map(|value| (header::IF_NONE_MATCH, value)),
        );
        let since = ask.if_modified_since;
        fields.extend(since.map(|value| (header::IF_MODIFIED_SINCE, value)));
        fields.extend(ask.trace.0);
        *request.headers_mut() = fields;
        request
    }
}
