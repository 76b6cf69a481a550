//! The strict reading of HTTP/1 says the same of the same bytes, however they are split; and a
//! head that may be answered past hyper is the request that hyper would see.
//!
//! Input: a byte that says where to cut, then the bytes of a connection.

#![no_main]

use graph_photo_proxy::server::fuzzing::{Verdict, is_read_as_by_hyper, scan};
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

    is_read_as_by_hyper(bytes);
    // Deeper: as a target, and as the fields of a head.
    let target = [b"GET ", bytes, b" HTTP/1.1\r\nHost: h\r\n\r\n"];
    is_read_as_by_hyper(&target.concat());
    let fields = [b"GET /p HTTP/1.1\r\n", bytes, b"\r\n\r\n"];
    is_read_as_by_hyper(&fields.concat());
});
