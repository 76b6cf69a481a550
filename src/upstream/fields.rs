//! The header fields that end at a hop (RFC 9110 §7.6.1), and nothing else.
//!
//! Both functions build a new map in the order of the old one: removing from a header map
//! moves its last field into the gap. Values are never read as text, so any byte passes.
//!
//! No `Via` is added, though RFC 9110 §7.6.3 asks gateways for one: the promise is that Graph
//! cannot tell a caller behind the proxy from one in front of it.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Fields that are about one connection, whether `Connection` names them or not.
/// `Trailer` is not among them: it announces what is handed on.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The fields of a request as they go to Graph.
///
/// `host` takes the place of the caller's `Host` (none: it is left out). `crumbs` says that
/// the caller spoke HTTP/2, whose several `cookie` fields are one (RFC 9113 §8.2.3).
pub(super) fn of_request(
    caller: &HeaderMap,
    host: Option<&HeaderValue>,
    crumbs: bool,
) -> HeaderMap {
    let named = named_by_connection(caller);
    let mut fields = HeaderMap::with_capacity(caller.keys_len() + 2);
    if let Some(host) = host.filter(|_| !caller.contains_key(header::HOST)) {
        fields.append(header::HOST, host.clone());
    }
    for name in caller.keys() {
        if name == header::HOST {
            fields.extend(host.map(|host| (header::HOST, host.clone())));
        } else if name == header::TE && offers_trailers(caller) {
            // RFC 9110 §10.1.4. Not named in `Connection`: HTTP/2 forbids that field, and
            // which version is spoken is not yet known.
            fields.append(header::TE, HeaderValue::from_static("trailers"));
        } else if HOP_BY_HOP.contains(name) || named.contains(name) {
            // Ends here.
        } else if crumbs && name == header::COOKIE {
            fields.extend(joined(caller).map(|cookie| (header::COOKIE, cookie)));
        } else {
            copy(name, caller, &mut fields);
        }
    }
    fields
}

/// The fields of an answer as they go to the caller.
pub(super) fn of_answer(graph: HeaderMap) -> HeaderMap {
    let repeats_length = graph.get_all(header::CONTENT_LENGTH).iter().count() > 1;
    if !repeats_length && !HOP_BY_HOP.iter().any(|name| graph.contains_key(name)) {
        return graph;
    }
    let named = named_by_connection(&graph);
    let mut fields = HeaderMap::with_capacity(graph.keys_len());
    for name in graph.keys() {
        if !HOP_BY_HOP.contains(name) && !named.contains(name) {
            copy(name, &graph, &mut fields);
        }
    }
    fields
}

/// Whether an answer is coded for transfer in a way nobody asked for; its body would be
/// unreadable once the field that says so is gone.
pub(super) fn has_odd_transfer_coding(graph: &HeaderMap) -> bool {
    tokens(graph, &header::TRANSFER_ENCODING).any(|coding| {
        !coding.eq_ignore_ascii_case(b"chunked") && !coding.eq_ignore_ascii_case(b"identity")
    })
}

/// Whether the caller waits to be told to send its body (RFC 9110 §10.1.1).
pub(super) fn expects_continue(caller: &HeaderMap) -> bool {
    tokens(caller, &header::EXPECT).any(|token| token.eq_ignore_ascii_case(b"100-continue"))
}

fn copy(name: &HeaderName, from: &HeaderMap, to: &mut HeaderMap) {
    // Lengths that differ have been refused; equal ones are one (RFC 9112 §6.3).
    let most = if name == header::CONTENT_LENGTH {
        1
    } else {
        usize::MAX
    };
    for value in from.get_all(name).iter().take(most) {
        to.append(name.clone(), value.clone());
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers, &header::CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect()
}

fn offers_trailers(caller: &HeaderMap) -> bool {
    tokens(caller, &header::TE).any(|token| token.eq_ignore_ascii_case(b"trailers"))
}

fn joined(caller: &HeaderMap) -> Option<HeaderValue> {
    let crumbs: Vec<&[u8]> = caller
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let mut cookie = HeaderValue::from_bytes(&crumbs.join(b"; ".as_slice())).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

/// The comma-separated members of a field, all its lines together.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}
