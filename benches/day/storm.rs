//! A thousand callers at once for one photo that is not held, and Graph takes 50 ms.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use graph_photo_proxy::app::App;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::config::Config;
use graph_photo_proxy::demo::{Graph, Settings, TokenSpec};
use graph_photo_proxy::proxy::Proxy;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::Outcome;

const CALLERS: usize = 1_000;
const LATENCY: Duration = Duration::from_millis(50);

/// What came of it.
#[derive(Debug)]
pub(crate) struct Storm {
    pub(crate) calls: u64,
    pub(crate) downloads: u64,
    pub(crate) answered: usize,
    pub(crate) half: Duration,
    pub(crate) most: Duration,
}

/// So many people with tokens that Graph has accepted already, under this policy, not for the
/// first time.
pub(crate) async fn storm(sharing: &str, principals: usize) -> Outcome<Storm> {
    let clock = Clock::by_hand();
    let graph = elsewhere(Settings {
        clock: clock.clone(),
        people: 1_500,
        ..Settings::default()
    })?;
    let settings = [
        ("listen", "127.0.0.1:0"),
        ("admin", "off"),
        ("upstream", &graph.base_url()),
        ("sharing", sharing),
        ("upstream_concurrency", "64"),
    ];
    let app = App::bind_with(Config::with(settings)?, clock)?;
    let people: Vec<_> = graph.tenant().members().collect();
    let faces: Vec<_> = graph.tenant().with_photo().collect();
    let path = |n: usize| -> Outcome<String> {
        let person = faces.get(faces.len() - n).ok_or("no such person")?;
        Ok(format!("/v1.0/users/{}/photo/$value", person.id))
    };
    let mut tokens = Vec::new();
    for person in people.iter().take(principals) {
        tokens.push(graph.issue(TokenSpec::of(person)));
    }
    at_once(&app, &tokens, tokens.len(), &path(1)?).await?;
    graph.change(|settings| settings.latency = (LATENCY, LATENCY));
    // The first time only one tries whether a photo's metadata spares a question.
    at_once(&app, &tokens, tokens.len(), &path(3)?).await?;
    graph.clear_seen();
    let mut took = at_once(&app, &tokens, CALLERS, &path(2)?).await?;
    took.sort_unstable();
    let at = |part: usize| took.get((took.len() * part / 100).min(took.len() - 1));
    Ok(Storm {
        calls: graph.photo_calls(),
        downloads: graph.downloads(),
        answered: took.len(),
        half: at(50).copied().unwrap_or_default(),
        most: at(99).copied().unwrap_or_default(),
    })
}

/// So many callers with these tokens ask for one photo: how long each took who got it.
async fn at_once(
    app: &App,
    tokens: &[String],
    callers: usize,
    path: &str,
) -> Outcome<Vec<Duration>> {
    let mut asking = JoinSet::new();
    for token in tokens.iter().cycle().take(callers) {
        let proxy = app.proxy().clone();
        asking.spawn(timed(proxy, path.to_owned(), token.clone()));
    }
    let mut took = Vec::with_capacity(callers);
    while let Some(caller) = asking.join_next().await {
        took.extend(caller??);
    }
    Ok(took)
}

/// A Graph with a thread of its own, so that its 50 ms do not begin behind a thousand callers.
fn elsewhere(settings: Settings) -> Outcome<Graph> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        // Nobody takes it if the storm is over by then.
        let _ = tell.send(runtime.block_on(async { Graph::bind(settings) }));
        runtime.block_on(std::future::pending::<()>());
    });
    Ok(told.recv()??)
}

/// How long a photo took; none if none came.
#[expect(
    clippy::disallowed_methods,
    reason = "the time is what is measured, and Graph's 50 ms are real"
)]
async fn timed(proxy: Proxy, path: String, token: String) -> Outcome<Option<Duration>> {
    let request = Request::get(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::<Bytes>::default())?;
    let begun = Instant::now();
    let answer = proxy.answer(request).await;
    let ok = answer.status().is_success();
    answer.into_body().collect().await?;
    Ok(ok.then(|| begun.elapsed()))
}
