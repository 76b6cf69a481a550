//! Promise 5: what we hold is what Graph sent. Whatever is broken, mistyped, a part or too
//! large is never stored, and the next good answer heals it.

use std::time::Duration;

use graph_photo_proxy::demo::Fault;
use http::Method;
use http_body_util::Full;

use crate::support::scripted::{Scripted, answer, ok, picture};
use crate::support::{Reply, World};

const PATH: &str = "/v1.0/users/megan@contoso.com/photo/$value";
const METADATA: &str = "/v1.0/users/megan@contoso.com/photo";
const JSON: &str = "Content-Type: application/json";
const PHOTO: &str = r#"{"id":"48x48","width":48,"height":48}"#;

fn faults() -> Vec<Fault> {
    vec![
        Fault::Status(403),
        Fault::Status(500),
        Fault::Status(201),
        Fault::Status(202),
        Fault::Status(418),
        Fault::Redirect("https://login.example/".to_owned()),
        Fault::CutBody(100),
        Fault::DeclareMore(10),
        Fault::Empty,
        Fault::CaptiveGateway,
        Fault::ContentType("text/plain".to_owned()),
        Fault::ContentType("application/json".to_owned()),
        Fault::Oversize(30 << 20),
        Fault::Gzip,
        Fault::NotModified,
        Fault::Close,
        Fault::Garbage,
        Fault::Headers(vec![("content-range", "bytes 0-1/2".to_owned())]),
        Fault::Headers(vec![("vary", "*".to_owned())]),
        Fault::Headers(vec![("cache-control", "no-store".to_owned())]),
    ]
}

#[tokio::test]
async fn nothing_wrong_is_stored_and_the_next_good_answer_heals_it() {
    for fault in faults() {
        let world = World::start().await;
        let (token, person) = (world.token(0), world.person(1));
        let path = format!("/v1.0/users/{}/photo/$value", person.id);
        world.graph.next(fault.clone());
        // One that breaks off ends this caller's connection, or is told as a problem.
        let first = tokio::spawn(world.proxy.getting(&path, &token)).await.ok();
        if let Some(first) = first {
            let said = first.field("cache-status");
            assert!(!said.contains("stored"), "{fault:?} {first:?}");
            assert!(!said.contains("hit"), "{fault:?} {first:?}");
        }
        let healed = world.get(&path, &token).await;
        assert_eq!(healed.status, 200, "{fault:?} {healed:?}");
        let mark = healed
            .mark()
            .unwrap_or_else(|| panic!("{fault:?} {healed:?}"));
        assert_eq!(mark.upload, 1, "{fault:?}");
        let again = world.get(&path, &token).await;
        assert!(again.is_hit(), "{fault:?} {again:?}");
        assert_eq!(again.body, healed.body, "{fault:?}");
    }
}

/// Over HTTP/1.1 the length *is* the end (RFC 9112 §6.3): what is cut so cannot be seen, but
/// what follows may not be taken for the beginning of somebody else's answer.
#[tokio::test]
async fn bytes_beyond_a_told_length_never_reach_the_next_answer() {
    let smuggled = picture("ETag: \"evil\"", "somebody else");
    let mut answer = picture("ETag: \"a\"", "0123456789");
    answer.push_str(&smuggled);
    let good = picture("ETag: \"b\"", "mine");
    let to = Scripted::new(&[], vec![answer, good]).await;
    assert_eq!(to.proxy.get(PATH, "token").await.body, "0123456789");
    for n in 0..8 {
        let path = format!("/v1.0/users/person{n}@contoso.com/photo/$value");
        assert_eq!(to.proxy.get(&path, "token").await.body, "mine", "{n}");
    }
}

#[tokio::test]
async fn a_gateways_page_is_no_photo_and_no_word_on_a_token() {
    let page = ok("Content-Type: text/html", "<p>Sign in");
    let login = ok(JSON, r#"{"login":"required"}"#);
    let good = picture("ETag: \"a\"", "0123456789");
    let to = Scripted::new(&[], vec![page, login, good]).await;
    assert_eq!(to.proxy.get(PATH, "token").await.body, "<p>Sign in");
    let odd = to.proxy.get(METADATA, "token").await;
    assert!(odd.field("cache-status").contains("detail=body"), "{odd:?}");
    let healed = to.proxy.get(PATH, "token").await;
    assert!(
        healed.field("cache-status").contains("fwd=miss"),
        "{healed:?}"
    );
    assert_eq!(healed.body, "0123456789");
}

async fn accepting(to: &Scripted, path: &str, codings: &str) -> Reply {
    let mut request = to.proxy.request(Method::GET, path, "token");
    if !codings.is_empty() {
        request = request.header("accept-encoding", codings);
    }
    to.proxy.send(request.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn compressed_metadata_never_reaches_a_caller_that_did_not_ask() {
    let zipped = ok(&format!("{JSON}\nContent-Encoding: gzip"), "zipped");
    let to = Scripted::new(
        &[],
        vec![zipped.clone(), zipped.clone(), zipped, ok(JSON, PHOTO)],
    )
    .await;
    for refused in ["", "gzip;q=0"] {
        let reply = accepting(&to, METADATA, refused).await;
        assert_eq!(reply.status, 502, "{refused} {reply:?}");
        assert_eq!(reply.json()["error"]["code"], "BadGateway");
    }
    let asked = accepting(&to, METADATA, "br, gzip").await;
    assert_eq!(
        (asked.status.as_u16(), asked.field("content-encoding")),
        (200, "gzip")
    );
    let plain = accepting(&to, METADATA, "gzip").await;
    assert_eq!(plain.body, PHOTO, "{plain:?}");
    for codings in ["", "gzip", "br"] {
        let held = accepting(&to, METADATA, codings).await;
        assert!(held.is_hit(), "{held:?}");
        assert_eq!(
            (held.body.as_ref(), held.field("content-encoding")),
            (PHOTO.as_bytes(), "")
        );
    }
    let seen = to.graph.seen();
    assert!(
        seen.iter()
            .all(|asked| asked.values("accept-encoding") == ["identity"])
    );
}

#[tokio::test]
async fn a_304_to_a_question_that_named_nothing_is_asked_again_and_never_shown() {
    let good = picture("ETag: \"a\"", "0123456789");
    let to = Scripted::new(&[], vec![answer(304, "", ""), good]).await;
    let reply = to.proxy.get(PATH, "token").await;
    assert_eq!(
        (reply.status.as_u16(), reply.body.as_ref()),
        (200, &b"0123456789"[..])
    );
    let never = Scripted::new(&[], vec![answer(304, "ETag: \"x\"", "")]).await;
    let reply = never.proxy.get(PATH, "token").await;
    assert_eq!(reply.status, 502, "{reply:?}");
}

#[tokio::test]
async fn an_interim_answer_is_never_taken_for_the_photo() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nETag: \"early\"\r\n\r\n";
    let good = hints.to_owned() + &picture("ETag: \"a\"", "0123456789");
    let to = Scripted::new(&[], vec![good]).await;
    for _ in 0..2 {
        let reply = to.proxy.get(PATH, "token").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!((reply.field("etag"), reply.field("link")), ("\"a\"", ""));
    }
    assert_eq!(to.count(), 1);
}

#[tokio::test]
async fn what_connection_names_is_neither_stored_nor_forwarded() {
    let fields = "Connection: etag, X-Hop\nX-Hop: 1\nETag: \"a\"\nSet-Cookie: a=b";
    let to = Scripted::new(&[("photo_ttl", "1s")], vec![picture(fields, "0123456789")]).await;
    for _ in 0..3 {
        let reply = to.proxy.get(PATH, "token").await;
        for name in ["connection", "x-hop", "set-cookie"] {
            assert_eq!(reply.field(name), "", "{reply:?}");
        }
        // A tag for one hop is no validator; ours takes its place.
        assert!(reply.field("etag").starts_with("\"gpp-"), "{reply:?}");
        to.clock.advance(Duration::from_hours(2));
    }
    let seen = to.graph.seen();
    assert!(seen.len() > 1);
    assert!(
        seen.iter()
            .all(|asked| asked.values("if-none-match").is_empty())
    );
}
