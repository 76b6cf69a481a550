//! When a certificate ends: the one field that TLS libraries read and do not tell.
//!
//! Walks the DER (X.690) of RFC 5280 §4.1 as far as `validity`; whether the certificate is any
//! good otherwise is for those who verify it.

use rustls_pki_types::CertificateDer;

use crate::clock::unix_seconds_of;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `version`, which stands there only where it is not 1.
const VERSION: u8 = 0xA0;

/// The certificate's last second, since 1970; `None` where it cannot be read.
pub(crate) fn ends(certificate: &CertificateDer<'_>) -> Option<u64> {
    let mut whole = Der(certificate.as_ref());
    let mut certificate = Der(whole.expect(SEQUENCE)?);
    let mut signed = Der(certificate.expect(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.expect(VERSION)?;
    }
    signed.expect(INTEGER)?; // serialNumber
    signed.expect(SEQUENCE)?; // signature
    signed.expect(SEQUENCE)?; // issuer
    let mut validity = Der(signed.expect(SEQUENCE)?);
    validity.next()?; // notBefore
    let (tag, text) = validity.next()?;
    moment(tag, text)
}

/// A time as RFC 5280 §4.1.2.5 writes it: to the second, in UTC, without a fraction.
fn moment(tag: u8, text: &[u8]) -> Option<u64> {
    let digits = text.strip_suffix(b"Z")?;
    let mut pairs = digits.chunks(2).map(|pair| match pair {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Some(u64::from((tens - b'0') * 10 + ones - b'0'))
        }
        _ => None,
    });
    let mut two = || pairs.next().flatten();
    let year = match tag {
        // RFC 5280 §4.1.2.5.1: 50 and above are of the century before.
        UTC_TIME => match two()? {
            year @ 50.. => 1900 + year,
            year => 2000 + year,
        },
        GENERALIZED_TIME => two()? * 100 + two()?,
        _ => return None,
    };
    let (date, time) = ([year, two()?, two()?], [two()?, two()?, two()?]);
    pairs.next().is_none().then_some(())?;
    unix_seconds_of(date, time)
}

/// What is left of a row of DER elements.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The contents of the next element, if it has that tag.
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, contents) = self.next()?;
        (found == tag).then_some(contents)
    }

    /// Tag and contents of the next element.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            short @ ..0x80 => (usize::from(*short), rest),
            // A length of more than three bytes is of no certificate.
            long => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7F))?;
                if !(1..=3).contains(&bytes.len()) {
                    return None;
                }
                let length = bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, contents))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(until: (i32, u8, u8)) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms_of_time() {
        for (until, seconds) in [
            ((2026, 11, 25), 1_795_564_800),
            ((2049, 12, 31), 2_524_521_600),
            ((2050, 1, 1), 2_524_608_000),
            ((2100, 3, 1), 4_107_542_400),
        ] {
            assert_eq!(ends(&certificate(until)), Some(seconds), "{until:?}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_not_guessed() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "691231235959Z", None),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "700101000000", None),
            (UTC_TIME, "700101000000+0000Z", None),
            (UTC_TIME, "7001010000000Z", None),
            (UTC_TIME, "70010100 000Z", None),
            (GENERALIZED_TIME, "19700101000000Z", Some(0)),
            (GENERALIZED_TIME, "19700101000000.0Z", None),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (INTEGER, "700101000000Z", None),
        ] {
            assert_eq!(moment(tag, text.as_bytes()), seconds, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_harms_nobody(at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
            let mut der = certificate((2027, 1, 1)).to_vec();
            let at = at.index(der.len());
            if cut {
                der.truncate(at);
            } else {
                der[at] = byte;
            }
            let _ = ends(&der.into());
        }
    }
}
