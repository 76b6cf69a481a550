//! The browser's question before a question (Fetch standard §4.8, CORS-preflight fetch).
//!
//! A page of another origin that sends a token costs an OPTIONS before the GET, and Graph is far.
//! Where the operator has named the page's origin, the proxy says itself that photos may be
//! read so; everything else is Graph's to answer. No photo, token or proof is touched: a
//! preflight carries no credentials, and what it allows is judged like any other request.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, Uri};

use crate::render::Body;
use crate::route::{self, Recognition};

/// How long a browser may remember the answer, in seconds; Chromium remembers no longer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
/// What the answer depends on.
const VARY: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");
/// The longest list of field names that is repeated.
const LONGEST: usize = 1024;

/// Who answers preflights of photo reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preflight {
    /// Graph.
    Pass,
    /// The proxy, for pages of these origins, as browsers write them; `*` is all.
    Answer(Vec<String>),
}

impl Preflight {
    /// The answer to a preflight, where it is the proxy's to give.
    pub(super) fn answer(
        &self,
        method: &Method,
        target: &Uri,
        fields: &HeaderMap,
        has_body: bool,
    ) -> Option<Response<Body>> {
        let Self::Answer(origins) = self else {
            return None;
        };
        if method != Method::OPTIONS || has_body {
            return None;
        }
        let origin = one(fields, &header::ORIGIN)?;
        let known = |named: &String| named == "*" || named.as_bytes() == origin.as_bytes();
        let wanted = one(fields, &header::ACCESS_CONTROL_REQUEST_METHOD)?;
        let wanted = Method::from_bytes(wanted.as_bytes()).ok()?;
        let reads = wanted == Method::GET || wanted == Method::HEAD;
        let recognised = route::recognise(&wanted, target, &HeaderMap::new(), false);
        if !reads || !matches!(recognised, Recognition::Read(_)) || !origins.iter().any(known) {
            return None;
        }
        let names = if fields.contains_key(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            Some(names(one(
                fields,
                &header::ACCESS_CONTROL_REQUEST_HEADERS,
            )?)?)
        } else {
            None
        };
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let said = answer.headers_mut();
        said.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        said.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if let Some(names) = names {
            said.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        said.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        said.insert(header::VARY, VARY);
        Some(answer)
    }
}

/// A field that stands there exactly once.
fn one<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut all = fields.get_all(name).iter();
    all.next().filter(|_| all.next().is_none())
}

/// A list of field names as a browser writes it (Fetch standard: sorted, in small letters).
fn names(list: &HeaderValue) -> Option<&HeaderValue> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_, ".contains(byte);
    (list.len() <= LONGEST && list.as_bytes().iter().all(plain)).then_some(list)
}
