//! One string into one value: durations, sizes, addresses, URLs. Pure; `None` is "not one".

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use rustls_pki_types::ServerName;

/// `500ms`, `2s`, `15m`, `1h`, `1d`: a whole number and one unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// `256MiB`, `4KiB`, plain bytes: a whole number and perhaps a binary unit.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let bytes = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(bytes)
}

/// A whole number: digits only, no sign.
pub(super) fn count(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    unit.is_empty().then_some(number)
}

/// `true` or `false`.
pub(super) fn switch(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// `HOST:PORT`, where `HOST` is an IP address or `localhost`. Asks no name server.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = u16::try_from(count(port)?).ok()?;
        return Some((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().ok()
}

/// Scheme and authority of Graph, made plain: no path, no query, no user, host in small
/// letters; `http` only to a loopback address.
pub(super) fn upstream(text: &str) -> Option<Uri> {
    let uri = bare(text)?;
    let host = uri.host()?;
    let secure = uri.scheme() == Some(&Scheme::HTTPS);
    let userless = !uri.authority()?.as_str().contains('@');
    (userless && (secure || is_loopback(host))).then_some(uri)
}

/// Scheme and authority of the proxy itself: no path, no query, no user.
pub(super) fn public(text: &str) -> Option<Uri> {
    let uri = bare(text)?;
    let http = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
    (http && !uri.authority()?.as_str().contains('@')).then_some(uri)
}

/// An egress proxy: `http` and an authority, perhaps with user and password.
pub(super) fn egress(text: &str) -> Option<Uri> {
    let uri = bare(text)?;
    (uri.scheme() == Some(&Scheme::HTTP)).then_some(uri)
}

/// Whether a URL's host is this machine for certain: `localhost`, `127.0.0.0/8` or `[::1]`.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host
        .strip_prefix('[')
        .map_or(host, |host| host.trim_end_matches(']'));
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// A host's name or an IP address, in small letters.
pub(super) fn host(text: &str) -> Option<String> {
    let name = ServerName::try_from(text).ok()?;
    let plain = name.to_str().to_ascii_lowercase();
    // A dot at the end is right in DNS and stands in no certificate (RFC 5280 §4.2.1.6).
    (!plain.ends_with('.')).then_some(plain)
}

/// An origin as browsers write it (RFC 6454 §6.2): scheme and host in small letters, no default
/// port, nothing after it. `*` is any.
pub(super) fn origin(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.to_owned());
    }
    let uri = bare(text)?;
    let authority = uri.authority()?;
    let (scheme, default) = match uri.scheme_str()? {
        "https" => ("https", 443),
        "http" => ("http", 80),
        _ => return None,
    };
    if authority.as_str().contains(['@', '*']) || text.ends_with('/') {
        return None;
    }
    Some(match authority.port_u16().filter(|port| *port != default) {
        Some(port) => format!("{scheme}://{}:{port}", authority.host()),
        None => format!("{scheme}://{}", authority.host()),
    })
}

/// A GUID in small letters.
pub(super) fn guid(text: &str) -> Option<String> {
    let dashed = text.char_indices().all(|(at, letter)| match at {
        8 | 13 | 18 | 23 => letter == '-',
        _ => letter.is_ascii_hexdigit(),
    });
    (dashed && text.len() == 36).then(|| text.to_ascii_lowercase())
}

/// A permission's name, such as `User.Read.All`: letters, digits, dots, hyphens, underscores.
pub(super) fn permission(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let named =
        text.bytes().all(plain) && text.starts_with(|first: char| first.is_ascii_alphabetic());
    named.then(|| text.to_owned())
}

/// A collector of traces, without a path.
pub(super) fn collector(text: &str) -> Option<Uri> {
    let plain = |uri: &Uri| uri.scheme_str() == Some("http") && !text.contains('@');
    bare(text).filter(plain)
}

/// A URL with the user and password before its last `@` made unreadable.
pub(super) fn without_password(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, after)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://{HIDDEN_USER}{after}"),
            None => format!("{HIDDEN_USER}{after}"),
        },
        None => text.to_owned(),
    }
}

/// What stands in place of a user and a password.
pub(super) const HIDDEN_USER: &str = "…@";

/// A URL of scheme, authority and at most a `/`.
fn bare(text: &str) -> Option<Uri> {
    if text.contains('#') {
        return None; // `Uri` drops a fragment without a word
    }
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme()?, uri.authority()?);
    let host = authority.host();
    let port = authority
        .as_str()
        .rsplit_once('@')
        .map_or(authority.as_str(), |(_, rest)| rest);
    let port = port.strip_prefix(host)?;
    let port_is_one = match port.strip_prefix(':') {
        Some(port) => count(port).is_some_and(|port| (1..=65_535).contains(&port)),
        None => port.is_empty(),
    };
    if host.is_empty() || !port_is_one || uri.path() != "/" || uri.query().is_some() {
        return None;
    }
    let user = authority.as_str().strip_suffix(port)?.strip_suffix(host)?;
    let plain = format!("{user}{}{port}", host.to_ascii_lowercase());
    let authority: Authority = plain.parse().ok()?;
    Uri::builder()
        .scheme(scheme.clone())
        .authority(authority)
        .path_and_query("/")
        .build()
        .ok()
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_one_unit() {
        for (text, milliseconds) in [
            ("500ms", Some(500)),
            ("2s", Some(2_000)),
            ("15m", Some(900_000)),
            ("1h", Some(3_600_000)),
            ("1d", Some(86_400_000)),
            ("0s", Some(0)),
            ("18446744073709551615ms", Some(u64::MAX)),
            ("18446744073709551616ms", None),
            ("18446744073709551615s", None),
            ("213503982335d", None),
            ("15", None),
            ("", None),
            ("m", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5s", None),
            ("1 s", None),
            ("1S", None),
            ("1h30m", None),
            ("١s", None),
        ] {
            assert_eq!(
                duration(text),
                milliseconds.map(Duration::from_millis),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_size_is_a_whole_number_and_perhaps_a_binary_unit() {
        for (text, bytes) in [
            ("256MiB", Some(256 << 20)),
            ("4KiB", Some(4096)),
            ("1GiB", Some(1 << 30)),
            ("1TiB", Some(1 << 40)),
            ("512B", Some(512)),
            ("512", Some(512)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("16777216TiB", None),
            ("16777215TiB", Some(u64::MAX - (1 << 40) + 1)),
            ("1MB", None),
            ("1mib", None),
            ("MiB", None),
            ("-1", None),
            ("1.5GiB", None),
            ("", None),
        ] {
            assert_eq!(size(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn graph_is_reached_over_https_or_on_this_machine() {
        for (text, uri) in [
            (
                "https://graph.microsoft.com",
                Some("https://graph.microsoft.com/"),
            ),
            (
                "https://Graph.Microsoft.com/",
                Some("https://graph.microsoft.com/"),
            ),
            (
                "https://graph.example:8443",
                Some("https://graph.example:8443/"),
            ),
            ("http://127.0.0.1:3000", Some("http://127.0.0.1:3000/")),
            ("http://127.9.9.9", Some("http://127.9.9.9/")),
            ("http://[::1]:3000/", Some("http://[::1]:3000/")),
            ("http://localhost:3000", Some("http://localhost:3000/")),
            ("http://graph.microsoft.com", None),
            ("http://127.0.0.1.example", None),
            ("http://localhost.example", None),
            ("http://127.1:3000", None),
            ("http://0.0.0.0:3000", None),
            ("http://[::ffff:127.0.0.1]:3000", None),
            ("http://127.0.0.1@graph.example", None),
            ("https://user@graph.microsoft.com", None),
            ("https://graph.microsoft.com/v1.0", None),
            ("https://graph.microsoft.com?x", None),
            ("https://graph.microsoft.com#x", None),
            ("https://graph.microsoft.com:0", None),
            ("https://graph.microsoft.com:", None),
            ("https://graph.microsoft.com:99999", None),
            ("https://", None),
            ("graph.microsoft.com", None),
            ("ftp://graph.microsoft.com", None),
            ("", None),
        ] {
            assert_eq!(
                upstream(text).map(|uri| uri.to_string()).as_deref(),
                uri,
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_egress_proxy_may_ask_for_a_user_and_a_password() {
        let uri = egress("http://me:p%40ss@Proxy.example:3128").unwrap();
        assert_eq!(
            uri.authority().unwrap().as_str(),
            "me:p%40ss@proxy.example:3128"
        );
        assert_eq!(egress("https://proxy.example:3128"), None);
        assert_eq!(egress("socks5://proxy.example"), None);
        assert_eq!(
            without_password("http://me:p@ss@proxy:1"),
            "http://…@proxy:1"
        );
        assert_eq!(without_password("me:p@ss@proxy:1"), "…@proxy:1");
    }

    #[test]
    fn an_address_is_an_ip_or_localhost_and_a_port() {
        for (text, shown) in [
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("localhost:8080", Some("127.0.0.1:8080")),
            ("[::]:80", Some("[::]:80")),
            ("localhost", None),
            ("localhost:", None),
            ("localhost:65536", None),
            ("example.com:80", None),
            (":8080", None),
            ("8080", None),
        ] {
            assert_eq!(
                address(text).map(|a| a.to_string()).as_deref(),
                shown,
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_wildcard_is_no_permission_and_a_name_is_no_role() {
        assert_eq!(permission("*"), None);
        assert_eq!(permission(""), None);
        assert_eq!(
            permission("Directory.Read.All").as_deref(),
            Some("Directory.Read.All")
        );
        assert_eq!(guid("Member"), None);
        assert_eq!(
            guid("B79FBF4D-3EF9-4689-8143-76B194E85509").as_deref(),
            Some("b79fbf4d-3ef9-4689-8143-76b194e85509")
        );
    }
}
