//! Whether a caller asked for the coding a body has (RFC 9110 §12.5.3). Pure.

use http::{HeaderMap, HeaderValue, header};

/// Whether every coding of an answer is one that the caller named, or `*`, and did not refuse.
///
/// Naming none is asking for none, though RFC 9110 would let us send any.
pub fn is_asked_for(answer: &HeaderMap, accepted: &[HeaderValue]) -> bool {
    answer
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(members)
        .filter(|coding| !coding.eq_ignore_ascii_case(b"identity"))
        .all(|coding| accepts(accepted, coding))
}

fn accepts(accepted: &[HeaderValue], coding: &[u8]) -> bool {
    let mut any = false;
    for member in accepted.iter().flat_map(members) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(is_zero);
        if name.eq_ignore_ascii_case(coding) {
            return !refused;
        }
        any |= name == b"*" && !refused;
    }
    any
}

/// Whether a parameter is `q=0`, with however many zeros.
fn is_zero(parameter: &[u8]) -> bool {
    let weight = parameter
        .strip_prefix(b"q=")
        .or_else(|| parameter.strip_prefix(b"Q="));
    weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
}

fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_counts_as_asked_for_only_when_it_is_named() {
        for (coding, accepted, asked) in [
            ("gzip", "gzip", true),
            ("gzip", "br, GZIP;q=0.5", true),
            ("gzip", "*", true),
            ("gzip, br", "gzip, br", true),
            ("identity", "", true),
            ("gzip", "", false),
            ("gzip", "identity", false),
            ("gzip", "br", false),
            ("gzip", "gzip;q=0", false),
            ("gzip", "gzip; q=0.000, *", false),
            ("gzip", "*;q=0", false),
            ("gzip, br", "gzip", false),
            ("gzip", "xgzip", false),
        ] {
            let mut answer = HeaderMap::new();
            answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            let accepted = [HeaderValue::from_static(accepted)];
            assert_eq!(
                is_asked_for(&answer, &accepted),
                asked,
                "{coding} {accepted:?}"
            );
        }
    }
}
