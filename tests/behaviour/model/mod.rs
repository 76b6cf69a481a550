//! Promise 2, as a model: whatever happens in whatever order, nobody is shown what Graph would
//! not have shown them.
//!
//! Stories of random [`step`]s, one after another and at once with Graph holding its answers
//! back, are played on a [`stage`] with the real proxy on real sockets. Every reply is judged by
//! the [`oracle`], which knows only what was true at Graph, when, and how old the policy lets a
//! truth get. A story that fails is shrunk to a short one and printed as sentences.
//!
//! A long run by hand, so many stories under each policy, with what became of the requests:
//!
//! ```text
//! MODEL_STORIES=10000 cargo test --test behaviour model:: -- --nocapture
//! ```

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set has failed")]

mod asking;
mod auditor;
mod batching;
mod cast;
mod choices;
mod draw;
mod episodes;
mod law;
mod ledger;
mod oracle;
mod reading;
mod say;
mod scenery;
mod stage;
mod step;

use std::collections::BTreeMap;
use std::sync::Mutex;

use ledger::Policy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::support::Reply;

/// Episodes of a story at most.
const LONGEST: usize = 20;

/// How the replies came about, over all stories: to see that the stories are about something.
static COUNTS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

fn count(what: &str, reply: &Reply) {
    let how = reply
        .field("cache-status")
        .split(';')
        .nth(1)
        .unwrap_or("passed through")
        .trim();
    let collapsed = if reply.field("cache-status").contains("collapsed") {
        " collapsed"
    } else {
        ""
    };
    let line = format!("{what}{how}{collapsed} {}", reply.status.as_u16());
    *COUNTS.lock().unwrap().entry(line).or_default() += 1;
}

fn play(policy: Policy) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a long run by hand is asked for so"
    )]
    let stories = std::env::var("MODEL_STORIES")
        .ok()
        .and_then(|text| text.parse().ok());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: stories.unwrap_or(120),
        max_shrink_iters: 4_000,
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..Config::default()
    };
    // The suite plays the same stories each time; a long run by hand plays new ones.
    let mut runner = if stories.is_some() {
        TestRunner::new(config)
    } else {
        let same = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config, same)
    };
    let outcome = runner.run(&draw::story(LONGEST), |story| {
        let played = runtime.block_on(stage::play(policy, &story));
        played.map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {
            let counts = COUNTS.lock().unwrap();
            // Shown by `--nocapture`: the figures of a long run.
            std::io::Write::write_fmt(
                &mut std::io::stdout(),
                format_args!("{policy:?}: {counts:#?}\n"),
            )
            .unwrap();
        }
        Err(TestError::Fail(why, story)) => panic!("{why}\n\nunder {policy:?}: {story:#?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn under_token_nobody_is_shown_what_graph_would_not_have_shown_them() {
    play(Policy::Token);
}

#[test]
fn under_verified_nobody_is_shown_what_graph_would_not_have_shown_them() {
    play(Policy::Verified);
}

#[test]
fn under_tenant_nobody_is_shown_what_graph_would_not_have_shown_them() {
    play(Policy::Tenant);
}
