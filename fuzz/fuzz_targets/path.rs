//! Reading a path never fails, and no odd spelling becomes another owner's photo.
//!
//! Input: a byte that picks the method, then the path and query.

#![no_main]

use graph_photo_proxy::route::{PhotoOwner, PhotoRequest, Recognition, recognise};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Uri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((pick, target)) = data.split_first() else {
        return;
    };
    let text = std::str::from_utf8(target).ok();
    let Some(target) = text.and_then(|text| text.parse::<Uri>().ok()) else {
        return;
    };
    // A fragment is cut off here; the listener refuses it before.
    let Some(text) = target.path_and_query().map(PathAndQuery::as_str) else {
        return;
    };
    let method = match pick % 8 {
        0..4 => Method::GET,
        4 => Method::HEAD,
        5 => Method::PUT,
        6 => Method::PATCH,
        _ => Method::DELETE,
    };
    let Some(recognition) = read(&method, text) else {
        return;
    };
    let Recognition::Read(photo) = recognition else {
        return;
    };
    it_is_a_photo_however_it_is_read(text);
    the_other_method_reads_the_same(text, &photo);
    another_spelling_is_the_same_photo(text, &photo);
    a_write_there_is_not_missed(text, &photo);
});

fn read(method: &Method, text: &str) -> Option<Recognition> {
    let target: Uri = text.parse().ok()?;
    Some(recognise(method, &target, &HeaderMap::new(), false))
}

/// A slow reader that decodes first, twice: it must see a photo, and nothing it could walk by.
fn it_is_a_photo_however_it_is_read(text: &str) {
    let path = text.split('?').next().unwrap_or_default();
    let once = decoded(path);
    let twice = decoded(&once);
    for reading in [path, &once, &twice] {
        let lowered = reading.to_ascii_lowercase();
        assert!(lowered.contains("/photo"), "no photo in {reading:?}");
        assert!(!reading.contains("//"), "an empty segment in {reading:?}");
        assert!(
            !reading.contains(['\\', ';', '\0', '\r', '\n']),
            "{reading:?}"
        );
        assert!(
            !reading.split('/').any(|part| part == "." || part == ".."),
            "a dot segment in {reading:?}"
        );
    }
    assert_eq!(
        path.matches('/').count(),
        twice.matches('/').count(),
        "a hidden slash in {path:?}"
    );
}

fn the_other_method_reads_the_same(text: &str, photo: &PhotoRequest) {
    for method in [Method::GET, Method::HEAD] {
        let head = method == Method::HEAD;
        let other = PhotoRequest {
            head,
            ..photo.clone()
        };
        assert_eq!(
            read(&method, text),
            Some(Recognition::Read(other)),
            "{text:?}"
        );
    }
}

/// `@` may be encoded, and escapes may be in either case.
fn another_spelling_is_the_same_photo(text: &str, photo: &PhotoRequest) {
    let (path, query) = text
        .split_once('?')
        .map_or((text, None), |(p, q)| (p, Some(q)));
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    let mut raised = String::new();
    let mut left = 0;
    for letter in path.chars() {
        left = if letter == '%' { 3_usize } else { left };
        raised.push(if left > 0 {
            letter.to_ascii_uppercase()
        } else {
            letter
        });
        left = left.saturating_sub(1);
    }
    // Twice encoded, the second pair is letters of the key and not an escape.
    if path.contains("%25") {
        return;
    }
    for spelling in [path.replace('@', "%40"), raised] {
        let spelt = format!("{spelling}{query}");
        let Some(Recognition::Read(other)) = read(&Method::GET, &spelt) else {
            panic!("{text:?} is a photo, and {spelt:?} is not");
        };
        assert_eq!(other.owner, photo.owner, "{text:?} and {spelt:?}");
        assert_eq!((other.view, other.size), (photo.view, photo.size));
    }
}

fn a_write_there_is_not_missed(text: &str, photo: &PhotoRequest) {
    let Some(Recognition::Write(write)) = read(&Method::PUT, text) else {
        panic!("a write to {text:?} is missed");
    };
    let owner = write.owner.as_ref().map(PhotoOwner::subject);
    assert_eq!(owner, Some(photo.owner.subject()), "{text:?}");
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let text = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        let code = text.get(at + 1..at + 3).filter(|_| text[at] == b'%');
        let code = code.filter(|code| code.iter().all(u8::is_ascii_hexdigit));
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(text[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
