//! What a batch is read as, as tables and as properties.

use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::lenient;
use super::request::Wish;
use super::{Answers, Batch};
use crate::cache::Kind;
use crate::cache::admission::NotStored;
use crate::route::{ApiVersion, ObjectId, PhotoOwner, View};

const ADA: &str = "11111111-2222-4333-8444-555555555555";

fn outer() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([(header::CONTENT_TYPE, json)])
}

/// What the one part of a batch is: `photo`, `write`, `other`, or `odd` for the whole.
fn wish(part: &str) -> &'static str {
    wishes(&format!("{{\"requests\":[{part}]}}"))
        .first()
        .copied()
        .unwrap_or("odd")
}

/// What each part is; nothing when the whole is odd.
fn wishes(body: &str) -> Vec<&'static str> {
    let batch = Batch::read(body.as_bytes(), ApiVersion::V1, &outer());
    let wish = |wish: &Wish| match wish {
        Wish::Photo(_) => "photo",
        Wish::Write(_) => "write",
        Wish::Left(_) | Wish::Other => "other",
    };
    batch.map_or_else(
        |_| Vec::new(),
        |batch| batch.parts.iter().map(|part| wish(&part.wish)).collect(),
    )
}

#[test]
fn a_plain_get_of_a_photo_is_one_in_every_spelling_clients_send() {
    for part in [
        r#"{"id":"1","method":"GET","url":"/me/photo/$value"}"#,
        r#"{"id":"1","method":"GET","url":"me/photo/$value"}"#,
        r#"{"id":"1","method":"GET","url":"\/me\/photo\/\u0024value"}"#,
        r#"{"id":"a b","method":"GET","url":"/users/ada%40contoso.example/photo/%24value"}"#,
        r#"{"id":"ada@contoso.example","method":"GET","url":"/users/ada@contoso.example/photos/48X48/$value"}"#,
        r#"{"id":"1","method":"GET","url":"/me/photo","headers":{"Accept":"application/json"}}"#,
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","headers":{"content-type":"img/jpg"}}"#,
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","headers":{},"dependsOn":[]}"#,
        r#"{"url":"/me/photo/$value","method":"GET","id":"1"}"#,
    ] {
        assert_eq!(wish(part), "photo", "{part}");
    }
}

/// Parts that are no photo read we may answer, and what they are.
const NOT_OURS: &[(&str, &str)] = &[
    (
        r#"{"id":"1","method":"get","url":"/me/photo/$value"}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"HEAD","url":"/me/photo/$value"}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","body":{}}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","headers":{"Authorization":"Bearer x"}}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","headers":{"If-None-Match":"\"x\""}}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","headers":{"Prefer":"x"}}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","headers":{"Range":"bytes=0-1"}}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","headers":{"X-Unknown":"x"}}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value?x=1"}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value#x"}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value "}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"//me/photo/$value"}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/../beta/me/photo/$value"}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"https://graph.microsoft.com/v1.0/me/photo/$value"}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/v1.0/me/photo/$value"}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","dependsOn":["2"]}"#,
        "other",
    ),
    (
        r#"{"id":"1","method":"PUT","url":"/me/photo/$value"}"#,
        "write",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","headers":{"X-HTTP-Method":"PUT"}}"#,
        "write",
    ),
    (
        r#"{"id":"1","method":"delete","url":"https://graph.microsoft.com/v1.0/me/photo/$value"}"#,
        "write",
    ),
    (r#"{"id":"1","method":"GET","url":"/$batch"}"#, "odd"),
    (r#"{"id":"1","method":"POST","url":"/%24batch"}"#, "odd"),
    (
        r#"{"id":"","method":"GET","url":"/me/photo/$value"}"#,
        "odd",
    ),
    (r#"{"id":1,"method":"GET","url":"/me/photo/$value"}"#, "odd"),
    (r#"{"method":"GET","url":"/me/photo/$value"}"#, "odd"),
    (r#"{"id":"1","url":"/me/photo/$value"}"#, "odd"),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","atomicityGroup":"g"}"#,
        "odd",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","URL":"/users/x/photo/$value"}"#,
        "odd",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","url":"/users/x/photo/$value"}"#,
        "odd",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","headers":{"a":1}}"#,
        "odd",
    ),
    (
        r#"{"id":"1","method":"GET","url":"/me/photo/$value","headers":{"accept":"a","Accept":"b"}}"#,
        "odd",
    ),
    (r#"["1","GET","/me/photo/$value",null,null,null]"#, "odd"),
];

#[test]
fn a_part_that_could_mean_anything_else_is_graphs() {
    for (part, said) in NOT_OURS {
        assert_eq!(wish(part), *said, "{part}");
    }
}

#[test]
fn a_batch_that_two_readers_could_read_in_two_ways_is_odd() {
    let photo = r#"{"id":"1","method":"GET","url":"/me/photo/$value"}"#;
    let other = r#"{"id":"a","method":"GET","url":"/me/photo/$value"}"#;
    let upper = r#"{"id":"A","method":"GET","url":"/users/x/photo/$value"}"#;
    let many = vec![photo; 21];
    for body in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"requests":[]}"#.to_owned(),
        format!("[[{photo}]]"),
        format!(r#"{{"Requests":[{photo}]}}"#),
        format!(r#"{{"requests":[{photo}],"requests":[{photo}]}}"#),
        format!(r#"{{"requests":[{photo}],"x":1}}"#),
        format!(r#"{{"requests":[{photo},]}}"#),
        format!(r#"{{"requests":[{photo}]}} x"#),
        format!(r#"{{/* */"requests":[{photo}]}}"#),
        format!("\u{feff}{{\"requests\":[{photo}]}}"),
        format!(r#"{{"requests":[{photo},{photo}]}}"#),
        format!(r#"{{"requests":[{other},{upper}]}}"#),
        format!(r#"{{"requests":[{}]}}"#, many.join(",")),
    ] {
        assert!(wishes(&body).is_empty(), "{body}");
    }
    let mut coded = outer();
    coded.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let mut wide = outer();
    let kind = HeaderValue::from_static("application/json; charset=utf-16");
    wide.insert(header::CONTENT_TYPE, kind);
    let body = format!(r#"{{"requests":[{photo}]}}"#);
    for outer in [coded, wide, HeaderMap::new()] {
        assert!(Batch::read(body.as_bytes(), ApiVersion::V1, &outer).is_err());
    }
}

#[test]
fn a_photo_that_another_part_waits_for_or_that_may_be_changing_is_graphs() {
    let parts = |parts: &[&str]| wishes(&format!("{{\"requests\":[{}]}}", parts.join(",")));
    let photo = r#"{"id":"a","method":"GET","url":"/me/photo/$value"}"#;
    let waits = r#"{"id":"b","method":"GET","url":"/me","dependsOn":["A"]}"#;
    let free = r#"{"id":"c","method":"GET","url":"/users/x/photo/$value"}"#;
    let write = r#"{"id":"d","method":"DELETE","url":"/groups/x/photo/$value"}"#;
    assert_eq!(parts(&[photo, waits, free]), ["other", "other", "photo"]);
    assert_eq!(parts(&[photo, write]), ["other", "write"]);
}

#[test]
fn an_outer_accept_that_would_change_json_keeps_it_out() {
    let body = br#"{"requests":[{"id":"1","method":"GET","url":"/me/photo"},{"id":"2","method":"GET","url":"/me/photo/$value"}]}"#;
    let mut full = outer();
    let accept = HeaderValue::from_static("application/json;odata.metadata=full");
    full.insert(header::ACCEPT, accept);
    let batch = Batch::read(body, ApiVersion::V1, &full).unwrap();
    assert!(matches!(batch.parts[0].wish, Wish::Left(_)));
    assert!(matches!(batch.parts[1].wish, Wish::Photo(_)));
}

#[test]
fn writes_are_found_in_batches_nothing_else_is_believed_of() {
    let found = |body: &str| lenient::writes(body.as_bytes(), ApiVersion::V1, &outer());
    let owners = |body: &str| {
        let found = found(body).unwrap();
        found
            .into_iter()
            .map(|(_, write)| write.owner)
            .collect::<Vec<_>>()
    };
    let me = Some(PhotoOwner::Me);
    assert_eq!(
        owners(r#"{"requests":[{"ID":"1","Method":"put","URL":"/me/photo/$value","x":1}]}"#),
        std::slice::from_ref(&me)
    );
    assert_eq!(
        owners(r#"{"requests":[{"method":"GET","url":"/me/photo/$value"}]}"#),
        []
    );
    assert_eq!(
        owners(r#"{"requests":[{"method":"GET","method":"PUT","url":"/me/x","url":"/me/photo"}]}"#),
        std::slice::from_ref(&me)
    );
    assert_eq!(
        owners(r#"{"REQUESTS":[{"method":1,"url":"/v1.0/me/photo"}]}"#)[..1],
        [me]
    );
    let guest = r#"{"requests":[{"method":"PUT","url":"users/a#EXT#@x.example/photo/$value"}]}"#;
    let guest = &owners(guest)[0];
    assert_eq!(
        guest,
        &Some(PhotoOwner::User(ObjectId::Upn("a#ext#@x.example".into())))
    );
    for unreadable in ["", "x", "{\"requests\":[1]}", "\u{feff}{}"] {
        assert!(found(unreadable).is_none(), "{unreadable}");
    }
    let mut coded = outer();
    coded.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert!(lenient::writes(b"{}", ApiVersion::V1, &coded).is_none());
}

#[test]
fn what_is_left_for_graph_is_each_part_as_it_came() {
    let body = r#"{"requests": [ {"id":"1","method":"GET","url":"/me/photo/$value"} ,  {"id":"2", "method":"GET","url":"\u002fme" } ]}"#;
    let batch = Batch::read(body.as_bytes(), ApiVersion::V1, &outer()).unwrap();
    assert_eq!(
        batch.without(|part| part.id == "1").unwrap(),
        r#"{"requests":[{"id":"2", "method":"GET","url":"\u002fme" }]}"#
    );
    assert_eq!(batch.without(|_| true), None);
    assert!(matches!(
        &batch.parts[0].wish,
        Wish::Photo(photo) if photo.photo.owner == PhotoOwner::Me && photo.target == "/v1.0/me/photo/$value"
    ));
}

/// What one part says of a picture.
fn said(part: &str) -> Result<(Kind, usize), NotStored> {
    let body = format!("{{\"responses\":[{part}]}}");
    let answers = Answers::read(body.as_bytes()).unwrap();
    let part = answers.responses[0].part.as_ref().ok_or(NotStored::Body)?;
    let (kind, bytes) = part.photo(View::Media, 64)?;
    Ok((kind, bytes.len()))
}

#[test]
fn a_part_is_judged_as_strictly_as_a_direct_answer() {
    let jpeg = |body: &str| {
        format!(
            r#"{{"id":"1","status":200,"headers":{{"Content-Type":"image/jpeg"}},"body":{body}}}"#
        )
    };
    assert_eq!(said(&jpeg(r#""AAEC""#)), Ok((Kind::Media, 3)));
    for broken in [
        r#""AAE""#,
        r#""AAEC\n""#,
        r#""AA_-""#,
        r#""""#,
        "null",
        "{}",
        r#""AAF=""#,
        r#""AAEC="="#,
    ] {
        let said = Answers::read(format!("{{\"responses\":[{}]}}", jpeg(broken)).as_bytes())
            .map(|_| said(&jpeg(broken)));
        assert!(
            !matches!(said, Some(Ok((_, length))) if length > 0),
            "{broken}: {said:?}"
        );
    }
    let long = format!("\"{}\"", "AAAA".repeat(30));
    assert_eq!(said(&jpeg(&long)), Err(NotStored::TooLarge));
    for (part, reason) in [
        (
            r#"{"id":"1","status":200,"headers":{"Content-Type":"text/html"},"body":"AAEC"}"#,
            NotStored::Type,
        ),
        (r#"{"id":"1","status":200,"body":"AAEC"}"#, NotStored::Type),
        (
            r#"{"id":"1","status":206,"headers":{"Content-Type":"image/jpeg"},"body":"AAEC"}"#,
            NotStored::Status,
        ),
        (
            r#"{"id":"1","status":200,"headers":{"Content-Type":"image/jpeg","Cache-Control":"no-store"},"body":"AAEC"}"#,
            NotStored::NoStore,
        ),
        (
            r#"{"id":"1","status":200,"status":404,"headers":{"Content-Type":"image/jpeg"},"body":"AAEC"}"#,
            NotStored::Body,
        ),
        (
            r#"{"id":"1","status":200,"headers":{"Content-Type":"image/jpeg"},"body":"AAEC","x":1}"#,
            NotStored::Body,
        ),
        (r#"{"id":"1","status":404,"body":null}"#, NotStored::Body),
        (
            r#"{"id":"1","status":404,"headers":{"Content-Type":"application/json"},"body":{"message":"no"}}"#,
            NotStored::Body,
        ),
        (
            r#"{"id":"1","status":404,"headers":{"Content-Type":"text/html"},"body":"AAEC"}"#,
            NotStored::Type,
        ),
    ] {
        assert_eq!(said(part), Err(reason), "{part}");
    }
    let absent = r#"{"id":"1","status":404,"headers":{"Content-Type":"application/json"},"body":{"error":{"code":"ImageNotFound"}}}"#;
    assert_eq!(said(absent), Ok((Kind::Absent, 34)));
}

#[test]
fn an_answer_with_a_part_nobody_asked_for_is_believed_in_nothing() {
    let answers = |parts: &str| format!("{{\"responses\":[{parts}]}}");
    let part = |id: &str| format!(r#"{{"id":"{id}","status":200}}"#);
    for (ids, believed) in [
        (vec!["1", "2"], true),
        (vec!["2", "1"], true),
        (vec!["1"], true),
        (vec!["1", "1"], false),
        (vec!["1", "3"], false),
        (vec!["1", "2 "], false),
    ] {
        let parts: Vec<String> = ids.iter().map(|id| part(id)).collect();
        let text = answers(&parts.join(","));
        let read = Answers::read(text.as_bytes()).unwrap();
        assert_eq!(read.by_id(&["1", "2"]).is_some(), believed, "{ids:?}");
    }
}

#[test]
fn ours_are_put_into_graphs_answer_and_graphs_text_stays() {
    let text = r#"{"@odata.x":1, "responses": [ {"id":"1", "status":204} ,{"id":"2","status":503}], "y":[]}"#;
    let answers = Answers::read(text.as_bytes()).unwrap();
    let ours = [("3", "OURS".to_owned()), ("2", "TWO".to_owned())].into();
    assert_eq!(
        answers.with(&["3", "2", "1", "missing"], &ours).unwrap(),
        r#"{"@odata.x":1, "responses": [OURS,TWO,{"id":"1", "status":204}], "y":[]}"#
    );
    assert_eq!(
        super::answer::opening(b" {\"responses\": [ {\"id\""),
        Some(16)
    );
    for other in [
        &b"{\"responses\":[]"[..],
        b"{\"responses\":[",
        b"{\"x\":1,\"responses\":[{",
        b"",
    ] {
        assert_eq!(super::answer::opening(other), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Batch::read(&bytes, ApiVersion::V1, &outer());
        let _ = lenient::writes(&bytes, ApiVersion::Beta, &outer());
        let _ = super::answer::opening(&bytes);
        if let Some(answers) = Answers::read(&bytes) {
            let _ = answers.with(&[], &[].into());
        }
    }

    #[test]
    fn a_damaged_batch_is_read_as_a_json_reader_reads_it_or_not_at_all(
        place in 0usize..400,
        byte in any::<u8>(),
    ) {
        let whole = format!(
            r#"{{"requests":[{{"id":"1","method":"GET","url":"/users/{ADA}/photo/$value","headers":{{"Accept":"*/*"}}}},{{"id":"2","method":"GET","url":"/me/photo"}}]}}"#
        );
        let mut bytes = whole.into_bytes();
        let at = place % bytes.len();
        bytes[at] = byte;
        if let Ok(batch) = Batch::read(&bytes, ApiVersion::V1, &outer()) {
            let json: Value = serde_json::from_slice(&bytes).unwrap();
            let raw = json["requests"].as_array().unwrap();
            prop_assert_eq!(raw.len(), batch.parts.len());
            for (raw, part) in raw.iter().zip(&batch.parts) {
                prop_assert_eq!(raw["id"].as_str(), Some(part.id.as_str()));
                if let Wish::Photo(photo) = &part.wish {
                    let url = raw["url"].as_str().unwrap().trim_start_matches('/');
                    prop_assert_eq!(photo.target.as_str(), format!("/v1.0/{url}"));
                    prop_assert_eq!(&raw["method"], &json!("GET"));
                }
            }
        }
    }

    #[test]
    fn what_is_put_together_is_json_in_the_order_of_the_requests(
        order in Just((0..12u8).collect::<Vec<_>>()).prop_shuffle(),
        graphs in Just((0..12u8).collect::<Vec<_>>()).prop_shuffle(),
        ours in prop::collection::hash_set(0..12u8, 0..12),
    ) {
        let name = |n: &u8| n.to_string();
        let part = |n: &u8| json!({"id": name(n), "status": 200, "body": "]}\"[{"}).to_string();
        let theirs: Vec<String> = graphs.iter().filter(|n| !ours.contains(n)).map(part).collect();
        let text = format!("{{\"responses\":[{}]}}", theirs.join(" , "));
        let order: Vec<String> = order.iter().map(name).collect();
        let order: Vec<&str> = order.iter().map(String::as_str).collect();
        let names: Vec<(String, String)> = ours.iter().map(|n| (name(n), part(n))).collect();
        let mine = names.iter().map(|(id, part)| (id.as_str(), part.clone())).collect();
        let answers = Answers::read(text.as_bytes()).unwrap();
        let joined = answers.with(&order, &mine).unwrap();
        let json: Value = serde_json::from_str(&joined).unwrap();
        let ids = json["responses"].as_array().unwrap().iter().map(|part| part["id"].as_str().unwrap());
        prop_assert_eq!(ids.collect::<Vec<_>>(), order);
    }
}
