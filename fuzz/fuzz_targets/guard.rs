//! The strict reading of HTTP/1 says the same of the same bytes, however they are split.
//!
//! Input: a byte that says where to cut, then the bytes of a connection.

#![no_main]

use graph_photo_proxy::server::fuzzing::{Verdict, scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first() else {
        return;
    };
    let whole = scan(&[bytes]);
    let at = usize::from(*cut).min(bytes.len());
    let (first, rest) = bytes.split_at(at);
    assert_eq!(scan(&[first, rest]), whole, "cut at {at}");
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(scan(&single), whole, "byte by byte");
    let Verdict { passed, .. } = whole;
    assert!(passed <= bytes.len());
});
