//! A Graph that gives answers written out by the test, one after another.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Proxy;
use super::wire::RawGraph;
use graph_photo_proxy::clock::Clock;

/// A 200 with these fields and this body, its length told.
pub(crate) fn ok(fields: &str, body: &str) -> String {
    answer(200, fields, body)
}

/// A picture with these fields besides.
pub(crate) fn picture(fields: &str, body: &str) -> String {
    ok(&format!("Content-Type: image/jpeg\n{fields}"), body)
}

/// An answer; its fields are lines.
pub(crate) fn answer(status: u16, fields: &str, body: &str) -> String {
    let mut text = format!("HTTP/1.1 {status} Said\r\n");
    for field in fields.lines().filter(|field| !field.is_empty()) {
        let _ = write!(text, "{field}\r\n");
    }
    if status != 304 && status != 204 {
        let _ = write!(text, "Content-Length: {}\r\n", body.len());
    }
    text + "\r\n" + body
}

/// Such a Graph, and the proxy before it.
pub(crate) struct Scripted {
    pub(crate) graph: RawGraph,
    pub(crate) proxy: Proxy,
    pub(crate) clock: Clock,
}

impl Scripted {
    /// The n-th request gets the n-th answer, and all later ones the last.
    pub(crate) async fn new(settings: &[(&str, &str)], answers: Vec<String>) -> Self {
        let next = Arc::new(AtomicUsize::new(0));
        let answers = Arc::new(answers);
        let graph = RawGraph::serving(move |_, mut wire| {
            let (next, answers) = (Arc::clone(&next), Arc::clone(&answers));
            async move {
                while wire.request().await.is_some() {
                    let nth = next.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
                    if let Some(answer) = answers.get(nth) {
                        wire.send(answer).await;
                    }
                }
            }
        })
        .await;
        let clock = Clock::by_hand();
        let proxy = Proxy::start(settings, &graph.url(), clock.clone()).await;
        Self {
            graph,
            proxy,
            clock,
        }
    }

    /// How often it was asked.
    pub(crate) fn count(&self) -> usize {
        self.graph.seen().len()
    }
}
