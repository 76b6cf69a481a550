//! The values of a reply's fields, written one behind another into one allocation.

use bytes::Bytes;
use http::HeaderValue;

/// Room for what a hit says.
const ROOM: usize = 512;

/// Text that is cut into values once it is whole.
pub(super) struct Text(Vec<u8>);

impl Text {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(ROOM))
    }

    /// With room for so many bytes.
    pub(super) fn with_room(room: usize) -> Self {
        Self(Vec::with_capacity(room))
    }

    /// Where the next value begins.
    pub(super) fn here(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A field of a head, behind the line before it (RFC 9112 §5).
    pub(super) fn field(&mut self, name: &str, value: &[u8]) {
        self.push("\r\n");
        self.push(name);
        self.push(": ");
        self.bytes(value);
    }

    /// What has been written between two places, once more.
    pub(super) fn again(&mut self, from: usize, to: usize) {
        if from <= to && to <= self.0.len() {
            self.0.extend_from_within(from..to);
        }
    }

    /// In decimal digits.
    pub(super) fn number(&mut self, number: u64) {
        let mut digits = [b'0'; 20];
        let (mut left, mut first) = (number, digits.len());
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            // The remainder of a division by ten is a digit.
            *digit += u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
            first = at;
            if left == 0 {
                break;
            }
        }
        self.0
            .extend_from_slice(digits.get(first..).unwrap_or_default());
    }

    /// In hexadecimal digits, so many of them, 16 at most.
    pub(super) fn hex(&mut self, number: u64, digits: usize) {
        let mut all = [b'0'; 16];
        let mut left = number;
        for letter in all.iter_mut().rev().take(digits) {
            // Four bits are a digit.
            let digit = (left & 0xF).to_le_bytes()[0];
            *letter = digit + if digit < 10 { b'0' } else { b'a' - 10 };
            left >>= 4;
        }
        let first = all.len().saturating_sub(digits);
        self.0
            .extend_from_slice(all.get(first..).unwrap_or_default());
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn into_string(self) -> String {
        String::from_utf8(self.0).unwrap_or_default()
    }

    /// The values that begin at these places, each to the beginning of the next; `None` for one
    /// that is no field value.
    pub(super) fn values<const N: usize>(self, begin: [usize; N]) -> [Option<HeaderValue>; N] {
        let whole = Bytes::from(self.0);
        let last = [whole.len()];
        let ends = begin.iter().skip(1).chain(&last);
        let mut values = std::array::from_fn(|_| None);
        for ((value, begin), end) in values.iter_mut().zip(begin).zip(ends) {
            if begin <= *end && *end <= whole.len() {
                *value = HeaderValue::from_maybe_shared(whole.slice(begin..*end)).ok();
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_everybody_writes_them() {
        for number in [0, 7, 10, 99, 1_234_567_890, u64::MAX] {
            let mut text = Text::new();
            text.number(number);
            let at = text.here();
            text.hex(number, 16);
            let [decimal, hex] = text.values([0, at]).map(Option::unwrap);
            assert_eq!(decimal, number.to_string());
            assert_eq!(hex, format!("{number:016x}"));
        }
    }

    #[test]
    fn what_is_no_field_value_becomes_none() {
        let mut text = Text::new();
        text.push("good");
        let at = text.here();
        text.push("b\nd");
        let [good, bad] = text.values([0, at]);
        assert_eq!(good.unwrap(), "good");
        assert_eq!(bad, None);
    }
}
