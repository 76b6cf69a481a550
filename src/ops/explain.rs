//! `GET /explain?target`: what would happen to a photo request, in words.

use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::admin::{Answer, json_page, problem};
use super::report;
use super::watched::Watched;
use crate::identity::{Caller, Credential, Permissions};
use crate::proxy::{Explanation, Look, Reading, Whom};
use crate::route::PhotoRequest;
use crate::upstream::gate::Breaking;

/// Answers, or says what is missing.
pub(super) fn answer(watched: &Watched, request: &Request<Incoming>) -> Answer {
    let target = request
        .uri()
        .query()
        .and_then(|query| query.parse::<Uri>().ok());
    let Some(target) = target.filter(|target| target.path().starts_with('/')) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "after the question mark: the path to explain, as a caller would send it",
        );
    };
    let given = |name| request.headers().get(name);
    let mut fields = HeaderMap::new();
    let whom = match (given("explain-credential"), given("explain-authorization")) {
        (Some(hash), None) => {
            let Some(credential) = hash.to_str().ok().and_then(Credential::parse) else {
                return problem(StatusCode::BAD_REQUEST, "Explain-Credential is 32 digits");
            };
            Whom::Known(credential)
        }
        (None, bearer) => {
            if let Some(bearer) = bearer {
                let mut bearer: HeaderValue = bearer.clone();
                bearer.set_sensitive(true);
                fields.insert(header::AUTHORIZATION, bearer);
            }
            Whom::Bearer(&fields)
        }
        (Some(_), Some(_)) => {
            return problem(StatusCode::BAD_REQUEST, "one of the two, not both");
        }
    };
    let now = watched.rooms.clock.now();
    json_page(
        StatusCode::OK,
        &words(&watched.rooms.explain(&target, whom, now)),
    )
}

fn words(explanation: &Explanation) -> Value {
    match explanation {
        Explanation::Passes => json!({
            "photo": null,
            "verdict": "passes through untouched: it is not a photo read",
        }),
        Explanation::NoCredential(photo) => json!({
            "photo": asked(photo),
            "verdict": "goes to Graph past the store: it carries no readable bearer token",
        }),
        Explanation::UnknownCredential(photo) => json!({
            "photo": asked(photo),
            "verdict": "no token of that hash is remembered: it would have to be proven first",
        }),
        Explanation::Photo(reading) => json!({
            "photo": asked(&reading.photo),
            "caller": caller(&reading.caller),
            "proof_left_seconds": reading.proof_left.map(|left| left.as_secs()),
            "looks": reading.looks.iter().map(look).collect::<Vec<_>>(),
            "gate_closed_seconds": reading.closed_for.map(|wait| wait.as_secs_f64()),
            "breaker": reading.broken.map(|(cause, breaking)| report::breaker(cause, breaking)),
            "cache_status": reading.status.field(None, None).to_str().unwrap_or_default(),
            "verdict": verdict(reading),
        }),
    }
}

fn verdict(reading: &Reading) -> String {
    let why = match (reading.status.forward, reading.status.detail) {
        (None, None) => return "answered from memory".to_owned(),
        (None, Some(_)) => return "answered from memory, and renewed behind".to_owned(),
        (Some(why), _) => why.token(),
    };
    let Some(wait) = reading.closed_for else {
        return format!("Graph is asked first ({why})");
    };
    let seconds = wait.as_secs_f64().ceil();
    match reading.broken {
        Some((cause, Breaking::Open(_))) => {
            let reason = cause.reason();
            format!("Graph would be asked first ({why}), but not for {seconds} s: {reason}")
        }
        _ => format!("Graph would be asked first ({why}), but has said to wait for {seconds} s"),
    }
}

fn asked(photo: &PhotoRequest) -> Value {
    json!({
        "kind": format!("{:?}", photo.owner.kind()),
        "view": format!("{:?}", photo.view),
        "size": format!("{:?}", photo.size),
        "version": format!("{:?}", photo.version),
    })
}

fn caller(caller: &Caller) -> Value {
    let principal = caller.principal();
    let way = match principal.permissions() {
        Permissions::Delegated(_) => "delegated",
        Permissions::Application(_) => "application",
        Permissions::Unknown => "unreadable",
    };
    json!({
        "credential": caller.credential.hex(),
        "way": way,
        "guest": principal.is_guest(),
        "proven": caller.proof().is_some(),
    })
}

fn look(look: &Look) -> Value {
    json!({
        "partition": look.partition,
        "found": look.found,
        "left_seconds": look.left.map(|left| left.as_secs()),
        "age_seconds": look.age.map(|age| age.as_secs()),
    })
}
