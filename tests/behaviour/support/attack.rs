//! What an attacker and a careful caller need besides the plain words of the harness.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::time::Duration;

use bytes::Bytes;
use graph_photo_proxy::demo::{Person, TokenSpec};
use http::Method;
use http_body_util::Full;

use super::{Reply, World};

/// `/v1.0/users/{id}/photo/$value`
pub(crate) fn photo(person: &Person) -> String {
    format!("/v1.0/users/{}/photo/$value", person.id)
}

/// The same by the user principal name.
pub(crate) fn photo_by_name(person: &Person) -> String {
    format!("/v1.0/users/{}/photo/$value", segment(&person.upn))
}

/// A name as a path segment.
pub(crate) fn segment(name: &str) -> String {
    name.replace('#', "%23")
}

/// A token with the same claims that nobody issued.
pub(crate) fn forged(token: &str) -> String {
    let (claims, signature) = token.rsplit_once('.').unwrap();
    let forged: String = signature
        .chars()
        .map(|c| if c == 'A' { 'B' } else { 'A' })
        .collect();
    assert_ne!(signature, forged);
    format!("{claims}.{forged}")
}

/// Waits for something that needs no moving of the clock.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "never came: {what}");
}

impl World {
    /// Another token of the n-th member with the same claims, as after a refresh.
    pub(crate) fn fresh_token(&self, n: usize) -> String {
        self.token(n)
    }

    /// A token of the n-th member with these permissions.
    pub(crate) fn token_with(&self, n: usize, permissions: &str) -> String {
        let spec = TokenSpec::of(&self.person(n)).with(permissions);
        self.graph.issue(&spec)
    }

    /// GET with these fields besides.
    pub(crate) async fn get_with(&self, path: &str, token: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, path, token, fields).await
    }

    /// A request without a body, with these fields besides.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        fields: &[(&str, &str)],
    ) -> Reply {
        let mut request = self.proxy.request(method, path, token);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        self.proxy
            .send(request.body(Full::<Bytes>::default()).unwrap())
            .await
    }

    /// Asks, and sees that the answer is from memory.
    pub(crate) async fn hit(&self, path: &str, token: &str) -> Reply {
        let before = self.graph.count();
        let reply = self.get(path, token).await;
        assert!(reply.is_hit(), "no hit on {path}\n{reply:?}");
        assert_eq!(self.graph.count(), before, "a hit asked Graph");
        reply
    }

    /// Asks, and sees that Graph was asked.
    pub(crate) async fn asks(&self, path: &str, token: &str) -> Reply {
        let before = self.graph.count();
        let reply = self.get(path, token).await;
        assert!(!reply.is_hit(), "a hit on {path}\n{reply:?}");
        assert!(
            self.graph.count() > before,
            "Graph was not asked\n{reply:?}"
        );
        reply
    }
}

impl World {
    /// What Graph itself answers, past the proxy.
    pub(crate) async fn graph_says(&self, path: &str, token: &str) -> Reply {
        let request = http::Request::get(format!("{}{path}", self.graph.base_url()))
            .header("authorization", format!("Bearer {token}"));
        self.proxy
            .send(request.body(Full::<Bytes>::default()).unwrap())
            .await
    }
}
