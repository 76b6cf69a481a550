//! The front checks: what a request must be before anyone looks at what it asks for.
//!
//! Applies to HTTP/1 and HTTP/2 alike; what hyper and the guard have settled (framing, bytes,
//! sizes) is not looked at again. Allocates nothing on the way in.
//!
//! - Exactly one valid `Host`, and the same as an absolute-form target's or `:authority`'s
//!   (RFC 9112 §3.2, RFC 9113 §8.3.1). HTTP/1.0 without `Host` is refused too: Graph speaks
//!   HTTP/1.1, and who is asked may not be a guess.
//! - CONNECT and TRACE are refused. `Upgrade` is hop-by-hop and a server may ignore it
//!   (RFC 9110 §7.8): it is removed, and the request is answered in the version it came in.
//! - `*` names no resource that could be forwarded; nor does authority-form.
//! - `Connection` may not name a field the answer depends on (RFC 9110 §7.6.1): a proxy that
//!   obeys would drop the token and ask as someone else.
//!
//! What passes has its secrets marked, so that no `Debug` shows them, and the crumbs of an
//! HTTP/2 cookie joined (RFC 9113 §8.2.3).

use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, Entry, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE,
};
use http::{Method, Request, Version};
use hyper::upgrade::OnUpgrade;

use super::scan::{MAX_FIELDS, MAX_TARGET};
use crate::render::Problem;

/// Fields that decide what a request means to Graph. Beside these: `If-…`, `Content-…`,
/// `Accept…`.
const END_TO_END: [&str; 11] = [
    "authorization",
    "host",
    "cookie",
    "range",
    "transfer-encoding",
    "client-request-id",
    "prefer",
    "consistencylevel",
    "origin",
    "expect",
    "cache-control",
];
const END_TO_END_PREFIXES: [&str; 3] = ["if-", "content-", "accept"];

/// Judges a request and takes off what ends here.
///
/// # Errors
///
/// The refusal to answer with; the request must not be forwarded.
pub(super) fn check<B>(request: &mut Request<B>) -> Result<(), Problem> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Problem::MethodRefused);
    }
    check_size(request)?;
    check_authority(request)?;
    check_target(request)?;
    check_connection(request.headers())?;
    if request.headers_mut().remove(UPGRADE).is_some() {
        request.extensions_mut().remove::<OnUpgrade>();
    }
    if request.version() == Version::HTTP_2 {
        join_crumbs(request.headers_mut());
    }
    hide(request.headers_mut(), AUTHORIZATION);
    hide(request.headers_mut(), COOKIE);
    Ok(())
}

/// Makes one `Cookie` of several; the order is kept.
fn join_crumbs(fields: &mut HeaderMap) {
    let mut crumbs = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    if let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) {
        let mut joined = first.to_vec();
        for crumb in std::iter::once(second).chain(crumbs) {
            joined.extend_from_slice(b"; ");
            joined.extend_from_slice(crumb);
        }
        if let Ok(cookie) = HeaderValue::from_bytes(&joined) {
            fields.insert(COOKIE, cookie);
        }
    }
}

/// Marks every value of a field as a secret.
fn hide(fields: &mut HeaderMap, name: HeaderName) {
    let Some(value) = fields.get_mut(&name) else {
        return;
    };
    value.set_sensitive(true);
    // `entry` may grow the map, so it is only for the rare field that is there twice.
    if fields.get_all(&name).iter().nth(1).is_some()
        && let Entry::Occupied(mut entry) = fields.entry(name)
    {
        entry.iter_mut().for_each(|value| value.set_sensitive(true));
    }
}

fn check_size<B>(request: &Request<B>) -> Result<(), Problem> {
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > MAX_TARGET) {
        return Err(Problem::TargetTooLong);
    }
    // Crumbs of one cookie are fields of their own in HTTP/2 (RFC 9113 §8.2.3); they count.
    if request.headers().len() > MAX_FIELDS {
        return Err(Problem::HeadTooLarge);
    }
    Ok(())
}

fn check_authority<B>(request: &Request<B>) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Problem::BadHost);
    }
    let authority = request.uri().authority();
    let authority = authority.map(|authority| authority.as_str().as_bytes());
    let named = match (host, authority) {
        (Some(host), None) => host,
        (None, Some(authority)) if request.version() == Version::HTTP_2 => authority,
        (Some(host), Some(authority)) if host.eq_ignore_ascii_case(authority) => host,
        (Some(_), Some(_)) => return Err(Problem::BadTarget),
        (None, _) => return Err(Problem::BadHost),
    };
    if is_host(named) {
        Ok(())
    } else {
        Err(Problem::BadHost)
    }
}

/// Origin-form, or absolute-form in http or https (RFC 9112 §3.2).
fn check_target<B>(request: &Request<B>) -> Result<(), Problem> {
    let uri = request.uri();
    let scheme = uri.scheme_str();
    let is_form = scheme.is_some() || uri.authority().is_none();
    let is_web = scheme.is_none_or(|scheme| matches!(scheme, "http" | "https"));
    if is_form && is_web && uri.path().starts_with('/') {
        Ok(())
    } else {
        Err(Problem::BadTarget)
    }
}

fn check_connection(fields: &HeaderMap) -> Result<(), Problem> {
    for value in fields.get_all(CONNECTION) {
        for option in value.as_bytes().split(|byte| *byte == b',') {
            if is_end_to_end(option.trim_ascii()) {
                return Err(Problem::BadHeader);
            }
        }
    }
    Ok(())
}

fn is_end_to_end(name: &[u8]) -> bool {
    let begins_with = |prefix: &&str| {
        let start = name.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    END_TO_END_PREFIXES.iter().any(begins_with)
        || END_TO_END
            .iter()
            .any(|field| name.eq_ignore_ascii_case(field.as_bytes()))
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2), and not empty.
fn is_host(value: &[u8]) -> bool {
    let (host, port) = if value.first() == Some(&b'[') {
        let Some(end) = value.iter().position(|byte| *byte == b']') else {
            return false;
        };
        let (literal, port) = value.split_at(end + 1);
        let inside = literal.get(1..end).unwrap_or_default();
        let is_literal = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        if inside.is_empty() || !inside.iter().all(is_literal) {
            return false;
        }
        (literal, port)
    } else {
        let end = value.iter().position(|byte| *byte == b':');
        let (name, port) = value.split_at(end.unwrap_or(value.len()));
        if !name.iter().all(|byte| is_name_byte(*byte)) {
            return false;
        }
        (name, port)
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    !host.is_empty() && is_port
}

/// `unreserved / "%" / sub-delims` (RFC 3986 §3.2.2), without the ones no host name has had
/// a use for and that have split headers: quote, parentheses, comma, semicolon.
const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'*' | b'+' | b'='
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for good in [
            "localhost",
            "proxy.example:8080",
            "10.0.0.1:80",
            "[::1]:443",
            "[2001:db8::1]",
            "a_b",
            "x:",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a@b", "a/b", "a,b", "a:b", "a:1:2", "[::1", "[]", "[::1]x",
            "a:123456", "a?b", "a#b", "é",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn the_connection_field_may_name_hop_by_hop_fields_only() {
        for bad in [
            "authorization",
            "close, Host",
            "IF-NONE-MATCH",
            "keep-alive,content-length",
            "accept",
            "Client-Request-Id",
            "range",
        ] {
            let mut fields = HeaderMap::new();
            fields.append(CONNECTION, HeaderValue::from_static("close"));
            fields.append(CONNECTION, HeaderValue::from_static(bad));
            assert_eq!(check_connection(&fields), Err(Problem::BadHeader), "{bad}");
        }
        for good in [
            "close",
            "keep-alive, TE",
            "Upgrade, HTTP2-Settings",
            "x-mine",
            "",
        ] {
            let mut fields = HeaderMap::new();
            fields.append(CONNECTION, HeaderValue::from_static(good));
            assert_eq!(check_connection(&fields), Ok(()), "{good}");
        }
    }

    #[test]
    fn crumbs_of_a_cookie_are_joined_over_http_2_only() {
        for (version, cookies) in [(Version::HTTP_2, 1), (Version::HTTP_11, 3)] {
            let mut request = Request::get("http://h/").version(version).header(HOST, "h");
            for crumb in ["a=1", "b=2", "c=3"] {
                request = request.header(COOKIE, crumb);
            }
            let mut request = request.body(()).unwrap();
            assert_eq!(check(&mut request), Ok(()));
            let fields = request.headers();
            assert_eq!(fields.get_all(COOKIE).iter().count(), cookies);
            assert_eq!(fields[COOKIE] == "a=1; b=2; c=3", cookies == 1);
        }
    }

    #[test]
    fn secrets_do_not_show_when_a_request_is_printed() {
        let mut request = Request::get("/")
            .header(HOST, "h")
            .header(AUTHORIZATION, "Bearer hidden")
            .header(COOKIE, "hidden=1")
            .header(COOKIE, "hidden=2")
            .body(())
            .unwrap();
        assert_eq!(check(&mut request), Ok(()));
        assert!(!format!("{request:?}").contains("hidden"));
    }
}
