//! Promise 7: no line of the log holds a token, a name or an address of a person.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that cannot be set up has failed"
)]

use std::fmt::Write as _;

use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::demo::{Fault, Graph, Settings, TokenSpec};

use crate::support::World;
use crate::support::binary::Binary;
use crate::support::raw::exchange;
use crate::support::wire::soon;

/// Sends a request, and reads all that comes.
async fn send(binary: &Binary, line: &str, token: &str, more: &str) -> String {
    let mut request = format!("{line} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n");
    if !token.is_empty() {
        let _ = write!(request, "Authorization: Bearer {token}\r\n");
    }
    let _ = write!(request, "{more}");
    if !more.contains("\r\n\r\n") {
        request.push_str("\r\n");
    }
    soon(exchange(binary.address, request.as_bytes())).await
}

/// Everything the proxy does, for these people, with these tokens.
async fn everything(binary: &Binary, graph: &Graph, tokens: &[String], odd: &[String]) {
    let tenant = graph.tenant();
    let mut paths: Vec<String> = vec![
        "/v1.0/me/photo/$value".into(),
        "/v1.0/me/photos/48x48/$value".into(),
        "/v1.0/me".into(),
        "/beta/me/photo".into(),
        "/v1.0/me/people?$search=\"x\"".into(),
    ];
    for person in tenant.members().take(6) {
        paths.push(format!("/v1.0/users/{}/photo/$value", person.id));
        paths.push(format!("/v1.0/users/{}/photo/$value", person.upn));
        paths.push(format!("/v1.0/users/{}/photo", person.upn));
        paths.push(format!("/v1.0/users/{}/photos", person.id));
        paths.push(format!("/v1.0/users/{}", person.upn));
        paths.push(format!(
            "/v1.0/users/{}/photo/$value?odd={}",
            person.id, person.upn
        ));
        paths.push(format!(
            "/v1.0/users/{}/photo/$value/<{}>",
            person.id, person.upn
        ));
    }
    for group in tenant.groups.iter().take(3) {
        paths.push(format!("/v1.0/groups/{}/photo/$value", group.id));
        paths.push(format!("/v1.0/teams/{}/photo/$value", group.id));
    }
    for contact in tenant.contacts.iter().take(3) {
        paths.push(format!("/v1.0/me/contacts/{}/photo/$value", contact.id));
    }
    for token in tokens.iter().chain(odd) {
        for path in &paths {
            send(binary, &format!("GET {path}"), token, "").await;
        }
        send(binary, &format!("HEAD {}", paths[0]), token, "").await;
        let jpeg = "Content-Type: image/jpeg\r\nContent-Length: 4\r\n\r\n\u{7f}abc";
        send(binary, "PUT /v1.0/me/photo/$value", token, jpeg).await;
        send(binary, "DELETE /v1.0/me/photo/$value", token, "").await;
        // Refusals quote nothing of what they refuse.
        send(binary, &format!("GET {}#x", paths[5]), token, "").await;
        send(
            binary,
            &format!("GET {}", paths[6]),
            token,
            "Connection: authorization\r\n",
        )
        .await;
        send(binary, &format!("GET http://{token}@h/"), token, "").await;
    }
    let token = &tokens[0];
    for fault in [
        Fault::Close,
        Fault::Garbage,
        Fault::StallHead,
        Fault::CutBody(10),
        Fault::Status(503),
        Fault::Status(429),
        Fault::ClaimsChallenge,
        Fault::CaptiveGateway,
        Fault::Redirect(format!("https://elsewhere.test/?token={token}")),
        Fault::Headers(vec![
            ("content-length", "x".into()),
            ("x-token", token.clone()),
        ]),
    ] {
        for path in [&paths[5], &paths[2], &paths[8]] {
            if fault == Fault::StallHead && path == &paths[2] {
                continue; // What is no photo may take its time.
            }
            graph.on(path, fault.clone());
            send(binary, &format!("GET {path}"), token, "").await;
            graph.clear_faults();
        }
    }
    let batch = format!(
        "{{\"requests\":[{{\"id\":\"1\",\"method\":\"GET\",\"url\":\"/users/{}/photo/$value\"}}]}}",
        tenant.people[0].upn
    );
    let head = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{batch}",
        batch.len()
    );
    send(binary, "POST /v1.0/$batch", token, &head).await;
}

/// Worlds in which a secret is said aloud. Each of these tests must fail, and does so when
/// [`a_test_in_which_a_secret_is_said_aloud_fails`] runs them in a process of their own.
mod planted {
    use super::*;

    async fn said_aloud(secret: impl FnOnce(&World) -> String) {
        let world = World::start().await;
        let token = world.token(0);
        assert_eq!(world.get("/v1.0/me/photo/$value", &token).await.status, 200);
        tracing::debug!(target: "graph_photo_proxy::planted", secret = secret(&world));
    }

    #[tokio::test]
    #[ignore = "must fail"]
    async fn a_token() {
        said_aloud(|world| world.token(1)).await;
    }

    #[tokio::test]
    #[ignore = "must fail"]
    async fn the_end_of_a_token() {
        said_aloud(|world| world.token(1).rsplit('.').next().unwrap().to_owned()).await;
    }

    #[tokio::test]
    #[ignore = "must fail"]
    async fn a_name_in_capitals() {
        said_aloud(|world| world.person(3).upn.to_uppercase()).await;
    }

    #[tokio::test]
    #[ignore = "must fail"]
    async fn the_id_of_a_contact() {
        said_aloud(|world| world.graph.tenant().contacts[0].id.clone()).await;
    }

    #[tokio::test]
    #[ignore = "must fail"]
    async fn the_id_of_somebody_who_is_no_one_here() {
        said_aloud(|_| "00000000-1111-4222-8333-444444444444".to_owned()).await;
    }
}

#[test]
fn a_test_in_which_a_secret_is_said_aloud_fails() {
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "logs::planted::", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.contains("0 passed; 5 failed"), "{said}");
    assert_eq!(said.matches("said aloud").count(), 5, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_at_any_level_holds_a_token_a_name_or_an_id_of_a_person() {
    for (level, format) in [("trace", "text"), ("debug", "json")] {
        let graph = Graph::start(Settings {
            clock: Clock::system(),
            people: 40,
            ..Settings::default()
        });
        let tenant = graph.tenant();
        let mut tokens: Vec<String> = tenant
            .members()
            .take(3)
            .map(|person| graph.issue(TokenSpec::of(person)))
            .collect();
        tokens.push(graph.issue(TokenSpec::application()));
        let revoked = graph.issue(TokenSpec::of(tenant.members().next().unwrap()));
        graph.revoke(&revoked);
        let odd = vec![
            revoked,
            "opaque-but-still-secret-0123456789".to_owned(),
            String::new(),
        ];
        let settings = [
            ("log", level),
            ("log_format", format),
            ("upstream_timeout", "300ms"),
        ];
        let binary = Binary::start(&graph.base_url(), &settings);
        everything(&binary, &graph, &tokens, &odd).await;
        // Graph goes away: what cannot be reached is named to nobody either.
        let (people, groups, contacts) = (
            tenant.people.clone(),
            tenant.groups.clone(),
            tenant.contacts.clone(),
        );
        drop(graph);
        send(&binary, "GET /v1.0/me/photo", &tokens[0], "").await;
        binary.terminate();
        let (_, log) = binary.ended().await;

        assert!(
            log.lines().count() > 100,
            "a silent log proves nothing: {log}"
        );
        let log = log.to_lowercase();
        let mut secrets: Vec<String> = Vec::new();
        for token in tokens.iter().chain(&odd).filter(|token| !token.is_empty()) {
            secrets.push(token.clone());
            secrets.extend(
                token
                    .split('.')
                    .filter(|part| part.len() > 20)
                    .map(str::to_owned),
            );
        }
        for person in &people {
            secrets.extend([person.id.clone(), person.upn.clone(), person.name.clone()]);
            secrets.extend(
                person
                    .upn
                    .split_once('@')
                    .map(|(local, _)| local.to_owned()),
            );
        }
        secrets.extend(groups.into_iter().map(|group| group.id));
        secrets.extend(contacts.into_iter().map(|contact| contact.id));
        for secret in secrets {
            let line = log
                .lines()
                .find(|line| line.contains(&secret.to_lowercase()));
            assert_eq!(line, None, "{secret}");
        }
    }
}
