//! What may be stored, case by case.

use super::super::admission::{ACCOUNTED_FOR, NotStored, judge_body, judge_head, judge_update};
use super::*;
use crate::route::View;

const JPEG: (&str, &str) = ("content-type", "image/jpeg");

fn judge(status: u16, lines: &[(&'static str, &str)]) -> Result<Kind, NotStored> {
    let status = StatusCode::from_u16(status).unwrap();
    judge_head(View::Media, status, &fields(lines))
}

#[test]
fn only_200_and_404_are_stored_whatever_they_say() {
    let said = ("cache-control", "public, max-age=3600");
    for status in 100..=999 {
        let lines = match status {
            404 => vec![said],
            _ => vec![JPEG, said],
        };
        let expected = match status {
            200 => Ok(Kind::Media),
            404 => Ok(Kind::Absent),
            _ => Err(NotStored::Status),
        };
        assert_eq!(judge(status, &lines), expected, "{status}");
    }
}

#[test]
fn an_answer_that_varies_by_anything_outside_the_key_is_not_stored() {
    for (vary, stored) in [
        ("Accept-Encoding", true),
        ("accept-encoding, ACCEPT", true),
        ("Origin", true),
        ("Authorization", false),
        ("", true),
        (" , ,", true),
        ("*", false),
        ("Accept-Encoding, *", false),
        ("Cookie", false),
        ("User-Agent", false),
        ("accept, client-request-id", false),
        ("Accept-Language", false),
        ("X-Anything", false),
        ("Accept Encoding", false),
        ("\u{e9}", false),
        ("\"accept\"", false),
    ] {
        let judged = judge(200, &[JPEG, ("vary", vary)]);
        assert_eq!(judged.is_ok(), stored, "{vary}");
        assert!(stored || judged == Err(NotStored::Vary), "{vary}");
        assert_eq!(
            judge_update(&fields(&[("vary", vary)])).is_ok(),
            stored,
            "{vary}"
        );
    }
    let two = judge(200, &[JPEG, ("vary", "accept"), ("vary", "cookie")]);
    assert_eq!(two, Err(NotStored::Vary));
}

#[test]
fn what_is_accounted_for_is_written_as_fields_are_compared() {
    for name in ACCOUNTED_FOR {
        assert_eq!(name, HeaderName::from_static(name).as_str());
    }
}

#[test]
fn no_store_is_obeyed_in_every_spelling() {
    for said in [
        "no-store",
        "NO-STORE",
        "private,no-store",
        "no-store=\"x\"",
        "max-age=9, No-Store",
    ] {
        let lines = [JPEG, ("cache-control", said)];
        assert_eq!(judge(200, &lines), Err(NotStored::NoStore), "{said}");
        assert!(judge_update(&fields(&lines)).is_err(), "{said}");
    }
    for said in ["x=\"no-store\"", "no-storex", "x=\"a, no-store\""] {
        assert!(
            judge(200, &[JPEG, ("cache-control", said)]).is_ok(),
            "{said}"
        );
    }
    let second = [
        JPEG,
        ("cache-control", "private"),
        ("cache-control", "no-store"),
    ];
    assert_eq!(judge(200, &second), Err(NotStored::NoStore));
}

#[test]
fn a_body_that_is_coded_or_a_part_is_not_stored() {
    for (coding, stored) in [
        ("gzip", false),
        ("br", false),
        ("", false),
        ("identity", true),
        ("Identity", true),
    ] {
        let judged = judge(200, &[JPEG, ("content-encoding", coding)]);
        assert_eq!(judged.is_ok(), stored, "{coding}");
    }
    let part = [JPEG, ("content-range", "bytes 0-1/2")];
    assert_eq!(judge(200, &part), Err(NotStored::Encoding));
}

#[test]
fn a_picture_is_of_an_image_type_and_metadata_is_json() {
    for (view, kind, stored) in [
        (View::Media, "image/jpeg", true),
        (View::Media, "image/Jpeg", true),
        (View::Media, "IMAGE/png; x=y", true),
        (View::Media, "text/html", false),
        (View::Media, "application/json", false),
        (View::Media, "imagex/jpeg", false),
        (View::Media, "", false),
        (View::Metadata, "application/json", true),
        (
            View::Metadata,
            "application/json;odata.metadata=minimal",
            true,
        ),
        (View::Metadata, "text/html", false),
        (View::Metadata, "image/jpeg", false),
        (View::List, "application/jsonx", false),
    ] {
        let fields = fields(&[("content-type", kind)]);
        let judged = judge_head(view, StatusCode::OK, &fields);
        assert_eq!(judged.is_ok(), stored, "{view:?} {kind}");
    }
    let two = judge(200, &[JPEG, ("content-type", "text/html")]);
    assert_eq!(two, Err(NotStored::Type));
    assert_eq!(judge(200, &[]), Err(NotStored::Type));
    assert_eq!(
        judge(404, &[("content-type", "text/html")]),
        Err(NotStored::Type)
    );
}

#[test]
fn a_body_is_what_its_head_says() {
    for (view, body, judged) in [
        (
            View::Metadata,
            r#"{"id":"48x48","width":48,"height":48}"#,
            Ok(Kind::Json),
        ),
        (View::Metadata, r#"{"@odata.context":"x"}"#, Ok(Kind::Json)),
        (
            View::Metadata,
            r#"{"width":1,"height":1}"#,
            Ok(Kind::Absent),
        ),
        (View::Metadata, r#"{"width":1,"height":2}"#, Ok(Kind::Json)),
        (
            View::Metadata,
            r#"{"error":{"code":"x"}}"#,
            Err(NotStored::Body),
        ),
        (
            View::Metadata,
            r#"{"id":"1","error":{}}"#,
            Err(NotStored::Body),
        ),
        // A gateway that speaks JSON.
        (
            View::Metadata,
            r#"{"login":"required"}"#,
            Err(NotStored::Body),
        ),
        (View::Metadata, "{}", Err(NotStored::Body)),
        (View::Metadata, "[]", Err(NotStored::Body)),
        (View::Metadata, r#"{"id":"48x48""#, Err(NotStored::Body)),
        (View::Metadata, "", Err(NotStored::Body)),
        (View::Metadata, "<html>", Err(NotStored::Body)),
        (View::List, r#"{"value":[]}"#, Ok(Kind::Json)),
        (View::List, r#"{"value":{}}"#, Err(NotStored::Body)),
        (View::List, r#"{"id":"x"}"#, Err(NotStored::Body)),
    ] {
        assert_eq!(
            judge_body(Kind::Json, view, body.as_bytes()),
            judged,
            "{body}"
        );
    }
    assert_eq!(
        judge_body(Kind::Media, View::Media, b""),
        Err(NotStored::Body)
    );
    assert_eq!(judge_body(Kind::Media, View::Media, b"x"), Ok(Kind::Media));
}
