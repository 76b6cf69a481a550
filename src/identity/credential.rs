//! One bearer token, known only by a keyed hash of its whole value.

use std::fmt;
use std::hash::{self, Hash};

use aws_lc_rs::{hmac, rand};
use http::{HeaderMap, header};

/// The longest token looked at, in bytes; Graph's own run to a few KiB, and the listener's
/// header limit stands before this one.
const LONGEST_TOKEN: usize = 64 * 1024;

/// Why a request has no credential this product may act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCredential {
    /// No `Authorization` field.
    Missing,
    /// More than one, another scheme than `Bearer`, or not a token (RFC 6750 §2.1).
    Odd,
}

/// The token of a request, borrowed from its header section.
#[derive(Clone, Copy)]
pub struct Bearer<'a>(&'a [u8]);

impl<'a> Bearer<'a> {
    /// Takes the token out of a header section that carries exactly one, spelled as RFC 6750
    /// §2.1 has it: `Bearer`, one space, `b64token`.
    ///
    /// # Errors
    ///
    /// Anything else is [`NoCredential`]: what Graph makes of it is Graph's to say.
    pub fn of(headers: &'a HeaderMap) -> Result<Self, NoCredential> {
        Self::read(Self::unread(headers)?)
    }

    /// What stands where the one token should; whether it is one is for [`Bearer::read`] to say.
    pub(super) fn unread(headers: &'a HeaderMap) -> Result<&'a [u8], NoCredential> {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let field = fields.next().ok_or(NoCredential::Missing)?;
        if fields.next().is_some() {
            return Err(NoCredential::Odd);
        }
        let (scheme, token) = field
            .as_bytes()
            .split_at_checked(7)
            .ok_or(NoCredential::Odd)?;
        let is_bearer = scheme.eq_ignore_ascii_case(b"Bearer ") && token.len() <= LONGEST_TOKEN;
        is_bearer.then_some(token).ok_or(NoCredential::Odd)
    }

    /// Takes it for a token where it is one.
    pub(super) fn read(token: &'a [u8]) -> Result<Self, NoCredential> {
        is_b64token(token)
            .then_some(Self(token))
            .ok_or(NoCredential::Odd)
    }

    /// The token's bytes; all of them are visible ASCII.
    pub(super) fn token(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(_)")
    }
}

/// `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
fn is_b64token(token: &[u8]) -> bool {
    let body = token
        .iter()
        .rposition(|&byte| byte != b'=')
        .map_or(0, |last| last + 1);
    body > 0 && token.get(..body).is_some_and(is_b64)
}

/// Letters, digits and six marks; `-`, `.`, `/` and the digits stand in a row.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without an early end the loop runs in wide steps"
)]
fn is_b64(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, &byte| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let row = byte.wrapping_sub(b'-') <= b'9' - b'-';
        all & (letter | row | (byte == b'+') | (byte == b'_') | (byte == b'~'))
    })
}

/// The keyed hash of one token: HMAC-SHA-256 cut to 128 bits, so that finding two tokens with
/// one value takes 2^64 tries with a key nobody outside the process knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credential([u8; 16]);

impl Hash for Credential {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl Credential {
    /// Reads what [`Credential::hex`] gives.
    pub fn parse(hex: &str) -> Option<Self> {
        let digits = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u128::from_str_radix(hex, 16).ok().filter(|_| digits)?;
        Some(Self(value.to_be_bytes()))
    }

    /// The hash as 32 digits, for an operator to name a token by: made with a key that nobody
    /// outside the process knows, so it leads back to no token.
    pub fn hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// The hash itself, to be hashed again.
    pub(super) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(_)")
    }
}

/// Hashes tokens and principals with a key that lives and dies with the process.
pub struct Hasher(hmac::Key);

impl Hasher {
    /// A hasher with a fresh random key.
    ///
    /// # Panics
    ///
    /// When the system has no randomness: a guessable key would make every partition guessable.
    pub fn random() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
            .expect("the system gives randomness, or nothing can be kept apart");
        Self(key)
    }

    /// The credential of a token.
    pub fn credential(&self, bearer: Bearer<'_>) -> Credential {
        Credential(self.digest(bearer.0))
    }

    /// The keyed hash of parts; each part's length goes in before it, so that no two lists of
    /// parts look alike.
    pub(super) fn parts(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        cut(context.sign().as_ref())
    }

    fn digest(&self, bytes: &[u8]) -> [u8; 16] {
        cut(hmac::sign(&self.0, bytes).as_ref())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(_)")
    }
}

/// The first 128 bits of a tag.
fn cut(tag: &[u8]) -> [u8; 16] {
    let mut cut = [0; 16];
    for (to, from) in cut.iter_mut().zip(tag) {
        *to = *from;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_one_plain_bearer_token_is_a_credential() {
        for good in [
            "Bearer abc",
            "bearer a.b.c",
            "BEARER a-b_c~d+e/f==",
            "Bearer EwAoA8l6",
        ] {
            assert!(Bearer::of(&headers(&[good])).is_ok(), "{good}");
        }
        for odd in [
            "Bearer",
            "Bearer ",
            "Bearer  abc",
            "Bearer abc ",
            "Bearer\tabc",
            "Bearer a b",
            "Bearer a,b",
            "Bearer =",
            "Bearer a=b",
            "Basic abc",
            "Bearerabc",
            "Bearer abc, Bearer d",
            "Token abc",
            "PoP abc",
            "Bearer \"abc\"",
            "",
        ] {
            assert_eq!(
                Bearer::of(&headers(&[odd])).unwrap_err(),
                NoCredential::Odd,
                "{odd:?}"
            );
        }
        assert_eq!(
            Bearer::of(&headers(&[])).unwrap_err(),
            NoCredential::Missing
        );
        assert_eq!(
            Bearer::of(&headers(&["Bearer a", "Bearer a"])).unwrap_err(),
            NoCredential::Odd
        );
    }

    #[test]
    fn every_byte_is_one_of_a_token_or_none() {
        for byte in 0..=u8::MAX {
            let good = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_b64token(&[b'a', byte, b'a']), good, "{byte:#x}");
        }
    }

    #[test]
    fn two_tokens_never_share_a_credential_and_one_always_does() {
        let hasher = Hasher::random();
        let credential = |token: &str| hasher.credential(Bearer(token.as_bytes()));
        assert_eq!(credential("a.b.c"), credential("a.b.c"));
        assert_ne!(credential("a.b.c"), credential("a.b.d"));
        assert_ne!(
            credential("a.b.c"),
            Hasher::random().credential(Bearer(b"a.b.c"))
        );
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        let hasher = Hasher::random();
        assert_ne!(hasher.parts(&[b"ab", b"c"]), hasher.parts(&[b"a", b"bc"]));
        assert_ne!(hasher.parts(&[b"ab", b""]), hasher.parts(&[b"ab"]));
    }

    #[test]
    fn nothing_of_a_token_shows_in_debug() {
        let found = headers(&["Bearer secret"]);
        let bearer = Bearer::of(&found).unwrap();
        let shown = format!("{bearer:?} {:?}", Hasher::random().credential(bearer));
        assert_eq!(shown, "Bearer(_) Credential(_)");
    }
}
