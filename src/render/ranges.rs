//! Which bytes of a stored body a caller asked for (RFC 9110 §14). Pure.
//!
//! One range of a whole stored body is answered with 206, one that lies outside with 416.
//! Several ranges, another unit and what cannot be read are answered with the whole body, as
//! RFC 9110 §14.2 allows. Positions are 64 bits wide and larger ones are all alike: beyond the
//! end of any body.

use std::cmp::Ordering;

use http::{HeaderMap, HeaderValue, header};

use crate::cache::freshness::http_date;

/// What to send of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranged {
    /// All of it: no range is asked for, or none that is answered.
    Whole,
    /// The bytes from `first` to `last`, both included; `first <= last`, and `last` is within.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// None of it: the range lies outside.
    Outside,
}

/// The stored answer that a range is to be of.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// Its length.
    pub length: u64,
    /// Its tag.
    pub etag: Option<&'a HeaderValue>,
    /// When it was last changed.
    pub last_modified: Option<&'a HeaderValue>,
    /// When it was sent.
    pub date: Option<&'a HeaderValue>,
}

/// What to send to a GET with these fields.
pub fn judge(request: &HeaderMap, of: Of<'_>) -> Ranged {
    let mut ranges = request.get_all(header::RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        return Ranged::Whole;
    };
    if !is_still(request, of) {
        return Ranged::Whole;
    }
    single(range.as_bytes()).map_or(Ranged::Whole, |spec| spec.within(of.length))
}

/// Whether `If-Range`, where it is there, names what is stored (RFC 9110 §13.1.5).
///
/// Compared strongly: a weak tag never matches, and a date only where nothing can have changed
/// unseen within its second (§8.8.2.2).
fn is_still(request: &HeaderMap, of: Of<'_>) -> bool {
    let mut conditions = request.get_all(header::IF_RANGE).iter();
    let Some(condition) = conditions.next() else {
        return true;
    };
    if conditions.next().is_some() {
        return false;
    }
    if condition.as_bytes().contains(&b'"') {
        return condition.as_bytes().first() == Some(&b'"') && of.etag == Some(condition);
    }
    let (Some(modified), Some(date)) = (
        of.last_modified.and_then(http_date),
        of.date.and_then(http_date),
    ) else {
        return false;
    };
    http_date(condition) == Some(modified)
        && date
            .duration_since(modified)
            .is_ok_and(|apart| apart.as_secs() >= 1)
}

/// One range as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    From { first: u64, last: Option<u64> },
    Suffix(u64),
}

impl Spec {
    fn within(self, length: u64) -> Ranged {
        let Some(end) = length.checked_sub(1) else {
            return Ranged::Outside;
        };
        match self {
            Self::From { first, .. } if first > end => Ranged::Outside,
            Self::From { first, last } => Ranged::Part {
                first,
                last: last.map_or(end, |last| last.min(end)),
            },
            Self::Suffix(0) => Ranged::Outside,
            Self::Suffix(count) => Ranged::Part {
                first: length.saturating_sub(count),
                last: end,
            },
        }
    }
}

/// The range of a `Range` field that names exactly one, in bytes.
fn single(field: &[u8]) -> Option<Spec> {
    let equals = field.iter().position(|byte| *byte == b'=')?;
    let (unit, set) = field.split_at(equals);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    // Empty members of a list count for nothing (RFC 9110 §5.6.1.2).
    let mut members = set
        .get(1..)?
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty());
    let (member, None) = (members.next()?, members.next()) else {
        return None;
    };
    let dash = member.iter().position(|byte| *byte == b'-')?;
    let (first, last) = member.split_at(dash);
    let last = last.get(1..)?;
    match (first.is_empty(), last.is_empty()) {
        (true, true) => None,
        (true, false) => Some(Spec::Suffix(number(last)?)),
        (false, true) => Some(Spec::From {
            first: number(first)?,
            last: None,
        }),
        (false, false) => {
            let (low, high) = (number(first)?, number(last)?);
            (compare(first, last) != Ordering::Greater).then_some(Spec::From {
                first: low,
                last: Some(high),
            })
        }
    }
}

/// Digits as a number; one too large counts as the largest.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        digit.is_ascii_digit().then(|| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

/// Compares two numbers by their digits, however many.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| digits.iter().position(|digit| *digit != b'0');
    let strip = |digits| {
        significant(digits)
            .and_then(|at| digits.get(at..))
            .unwrap_or_default()
    };
    let (one, other): (&[u8], &[u8]) = (strip(one), strip(other));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(length: u64) -> Of<'static> {
        Of {
            length,
            etag: None,
            last_modified: None,
            date: None,
        }
    }

    fn asked(range: &str) -> HeaderMap {
        let mut request = HeaderMap::new();
        request.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        request
    }

    #[test]
    fn one_range_is_cut_out_and_everything_odd_is_answered_whole() {
        let part = |first, last| Ranged::Part { first, last };
        for (range, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-9", part(0, 9)),
            ("bytes=2-", part(2, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-10", part(0, 9)),
            ("bytes=-11", part(0, 9)),
            ("bytes=9-99", part(9, 9)),
            ("BYTES=0-1", part(0, 1)),
            ("bytes=0-1,", part(0, 1)),
            ("bytes=, 0-1 ,,", part(0, 1)),
            (
                "bytes=00000000000000000000000-0000000000000000000001",
                part(0, 1),
            ),
            ("bytes=0-99999999999999999999", part(0, 9)),
            ("bytes=-99999999999999999999", part(0, 9)),
            ("bytes=10-", Ranged::Outside),
            ("bytes=10-12", Ranged::Outside),
            ("bytes=-0", Ranged::Outside),
            ("bytes=18446744073709551616-", Ranged::Outside),
            (
                "bytes=99999999999999999998-99999999999999999999",
                Ranged::Outside,
            ),
            (
                "bytes=99999999999999999999-99999999999999999998",
                Ranged::Whole,
            ),
            ("bytes=0-1,3-4", Ranged::Whole),
            ("bytes=0-1, -1", Ranged::Whole),
            ("bytes=5-2", Ranged::Whole),
            ("bytes=-", Ranged::Whole),
            ("bytes=", Ranged::Whole),
            ("bytes", Ranged::Whole),
            ("bytes 0-1", Ranged::Whole),
            ("bytes=a-b", Ranged::Whole),
            ("bytes=1-b", Ranged::Whole),
            ("bytes=--1", Ranged::Whole),
            ("bytes=+1-2", Ranged::Whole),
            ("bytes=0x1-2", Ranged::Whole),
            ("bytes=1 - 2", Ranged::Whole),
            ("lines=0-1", Ranged::Whole),
            ("", Ranged::Whole),
        ] {
            assert_eq!(judge(&asked(range), of(10)), expected, "{range}");
        }
        assert_eq!(judge(&asked("bytes=0-"), of(0)), Ranged::Outside);
        assert_eq!(judge(&HeaderMap::new(), of(10)), Ranged::Whole);
    }

    #[test]
    fn two_range_fields_are_answered_whole() {
        let mut request = asked("bytes=0-1");
        request.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(judge(&request, of(10)), Ranged::Whole);
    }

    #[test]
    fn a_range_of_something_else_is_answered_whole() {
        let strong = HeaderValue::from_static("\"a\"");
        let weak = HeaderValue::from_static("W/\"a\"");
        let old = HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT");
        let new = HeaderValue::from_static("Thu, 01 Jan 2026 00:00:01 GMT");
        let stored = |etag, last_modified, date| Of {
            etag,
            last_modified,
            date,
            ..of(10)
        };
        for (condition, of, is_part) in [
            ("\"a\"", stored(Some(&strong), None, None), true),
            ("\"b\"", stored(Some(&strong), None, None), false),
            ("W/\"a\"", stored(Some(&strong), None, None), false),
            ("W/\"a\"", stored(Some(&weak), None, None), false),
            ("\"a\"", stored(Some(&weak), None, None), false),
            ("\"a\"", stored(None, None, None), false),
            ("\"a\", \"b\"", stored(Some(&strong), None, None), false),
            ("*", stored(Some(&strong), None, None), false),
            ("", stored(Some(&strong), None, None), false),
            (
                "Thu, 01 Jan 2026 00:00:00 GMT",
                stored(None, Some(&old), Some(&new)),
                true,
            ),
            // Changed in the very second it was sent: a second change would not show.
            (
                "Thu, 01 Jan 2026 00:00:00 GMT",
                stored(None, Some(&old), Some(&old)),
                false,
            ),
            (
                "Thu, 01 Jan 2026 00:00:01 GMT",
                stored(None, Some(&old), Some(&new)),
                false,
            ),
            (
                "Thu, 01 Jan 2026 00:00:00 GMT",
                stored(Some(&strong), None, Some(&new)),
                false,
            ),
            ("yesterday", stored(None, Some(&old), Some(&new)), false),
        ] {
            let mut request = asked("bytes=0-1");
            request.insert(header::IF_RANGE, HeaderValue::from_str(condition).unwrap());
            let is = judge(&request, of) != Ranged::Whole;
            assert_eq!(is, is_part, "{condition}");
            request.append(header::IF_RANGE, HeaderValue::from_static("\"a\""));
            assert_eq!(judge(&request, of), Ranged::Whole, "{condition}, twice");
        }
    }

    /// The naive reading: strings and 128 bits.
    fn naive(range: &str, length: u128) -> Ranged {
        let Some(set) = range.strip_prefix("bytes=") else {
            return Ranged::Whole;
        };
        let Some((first, last)) = set.split_once('-') else {
            return Ranged::Whole;
        };
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u128>().ok().filter(|_| digits)
        };
        let (first, last) = match (number(first), number(last)) {
            (Some(first), Some(last)) if first > last => return Ranged::Whole,
            (Some(first), Some(last)) => (first, last),
            (Some(first), None) if last.is_empty() => (first, u128::MAX),
            (None, Some(count)) if first.is_empty() => {
                if count == 0 {
                    return Ranged::Outside;
                }
                (length.saturating_sub(count), u128::MAX)
            }
            _ => return Ranged::Whole,
        };
        if first >= length {
            return Ranged::Outside;
        }
        Ranged::Part {
            first: u64::try_from(first).unwrap(),
            last: u64::try_from(last.min(length - 1)).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn ranges_are_read_as_a_naive_reader_reads_them(
            range in "bytes=(0{0,3}[0-9]{0,3}|[0-9]{17,22})?-(0{0,3}[0-9]{0,3}|[0-9]{17,22})?",
            length in 0_u64..1_200,
        ) {
            prop_assert_eq!(judge(&asked(&range), of(length)), naive(&range, length.into()));
        }

        #[test]
        fn no_text_reads_beyond_the_body(range in "[ -~]{0,40}", length in any::<u64>()) {
            if let Ranged::Part { first, last } = judge(&asked(&range), of(length)) {
                prop_assert!(first <= last && last < length);
            }
        }

        #[test]
        fn nearly_a_range_reads_within_the_body(
            range in "(bytes|Bytes)=[0-9,\\- ]{0,30}",
            length in any::<u64>(),
        ) {
            if let Ranged::Part { first, last } = judge(&asked(&range), of(length)) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}
