//! The canary must fall silent before healthy rooms and cry before broken ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::app;
use crate::config::Config;

/// The proxy of these settings before that fake.
fn proxy(settings: &[(&str, &str)], fake: &Fake) -> Proxy {
    let base = fake.base().to_string();
    let mut all = vec![
        ("listen", "127.0.0.1:0"),
        ("admin", "off"),
        ("upstream", base.as_str()),
    ];
    all.extend_from_slice(settings);
    app::App::bind(Config::with(all).unwrap())
        .unwrap()
        .proxy()
        .clone()
}

/// A cache in front of the proxy that forgets a part of the key, as home-made ones do.
#[derive(Clone)]
struct Forgetful {
    proxy: Proxy,
    key: fn(&Request<Empty<Bytes>>) -> String,
    held: Arc<Mutex<HashMap<String, Bytes>>>,
}

impl Singer for Forgetful {
    async fn answer(&self, request: Request<Empty<Bytes>>) -> Response<Body> {
        let key = (self.key)(&request);
        if let Some(bytes) = self.held.lock().unwrap().get(&key) {
            return Response::new(Body::whole(bytes.clone()));
        }
        let answer = Proxy::answer(&self.proxy, request).await;
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        if head.status == StatusCode::OK {
            self.held.lock().unwrap().insert(key, bytes.clone());
        }
        Response::from_parts(head, Body::whole(bytes))
    }
}

async fn cries_before(key: fn(&Request<Empty<Bytes>>) -> String) -> bool {
    let fake = Fake::start().await.unwrap();
    let forgetful = Forgetful {
        proxy: proxy(&[], &fake),
        key,
        held: Arc::default(),
    };
    matches!(check(&forgetful).await, Err(Alarm::CrossHit { .. }))
}

/// What a token claims, believed unproven.
fn claims(request: &Request<Empty<Bytes>>) -> String {
    let token = request.headers()["authorization"].to_str().unwrap();
    token.split('.').nth(1).unwrap_or(token).to_owned()
}

#[tokio::test]
async fn the_canary_is_silent_before_healthy_rooms_under_every_policy() {
    for sharing in ["token", "verified", "tenant"] {
        let fake = Fake::start().await.unwrap();
        let proxy = proxy(&[("sharing", sharing)], &fake);
        assert!(check(&proxy).await.is_ok(), "{sharing}");
        assert!(
            proxy.rooms().cache.held().0 > 0,
            "nothing was stored under {sharing}"
        );
    }
}

#[tokio::test]
async fn the_canary_cries_before_a_key_without_the_caller() {
    assert!(cries_before(|request| request.uri().path().to_owned()).await);
}

#[tokio::test]
async fn the_canary_cries_before_claims_that_are_believed_unproven() {
    assert!(cries_before(|request| format!("{} {}", request.uri().path(), claims(request))).await);
}

#[tokio::test]
async fn the_canary_cries_before_a_key_without_the_owner() {
    assert!(
        cries_before(|request| {
            let token = request.headers()["authorization"].to_str().unwrap();
            format!("{token} {}", request.uri().path().ends_with("$value"))
        })
        .await
    );
}

#[tokio::test]
async fn after_a_cross_hit_nothing_is_served_from_memory() {
    let fake = Fake::start().await.unwrap();
    let proxy = proxy(&[], &fake);
    let callers = callers();
    let ask = || ask(TARGETS[0], &callers[0].token).unwrap();
    for _ in 0..2 {
        Proxy::answer(&proxy, ask()).await;
    }
    let hit = Proxy::answer(&proxy, ask()).await;
    assert!(
        hit.headers()["cache-status"]
            .to_str()
            .unwrap()
            .contains("; hit")
    );
    proxy.rooms().trust.lose();
    let passed = Proxy::answer(&proxy, ask()).await;
    assert_eq!(passed.status(), StatusCode::OK);
    assert!(!passed.headers().contains_key("cache-status"));
}
