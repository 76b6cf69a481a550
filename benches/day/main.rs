//! Calls to Graph per 1,000 avatar views, on a day of 300 viewers: through the proxy under each
//! sharing policy, through nginx keyed by `Authorization`, and through nothing.
//!
//! `cargo bench --bench day` plays the day and prints the tables of `docs/figures.md`. Graph is
//! the simulated one on loopback, with its documented limits; time is moved by hand. What is said
//! of nginx is computed from the same trace: it has no clock that could be moved.
//!
//! Read `trace` first, then `floor`, then `replay`.

mod causes;
mod evict;
mod floor;
mod replay;
mod storm;
mod trace;

use std::error::Error;
use std::io::{Write as _, stdout};

use floor::{Floor, Names, Rule};
use graph_photo_proxy::clock::Clock;
use replay::{Between, Day, People};
use trace::Trace;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const SEED: u64 = 4;
const VIEWS: usize = 60_000;
const PEOPLE: usize = 2_000;
const POLICIES: [(&str, Between, Rule, Names); 4] = [
    ("token", Between::Proxy("token"), Rule::Token, Names::AsTold),
    (
        "verified",
        Between::Proxy("verified"),
        Rule::Verified,
        Names::AsTold,
    ),
    (
        "tenant",
        Between::Proxy("tenant"),
        Rule::Tenant,
        Names::AsTold,
    ),
    ("names", Between::WithNames, Rule::Tenant, Names::Listed),
];

#[tokio::main(worker_threads = 2)]
async fn main() -> Outcome<()> {
    let people = People::of(&replay::graph(PEOPLE, &Clock::by_hand())?);
    let trace = Trace::new(SEED, VIEWS, people.all.len());
    let photos = people.photos.iter().filter(|has| **has).count();
    writeln!(
        stdout(),
        "{} views, {} pages, {} people ({photos} with a photo), {} tokens, {} photo changes\n",
        trace.views(),
        trace.pages.len(),
        people.all.len(),
        trace.tokens,
        trace.uploads.len(),
    )?;
    let only = only();
    let wanted = |table: &str| only.as_deref().is_none_or(|only| only == table);
    let policy = only
        .as_deref()
        .filter(|only| POLICIES.iter().any(|(name, ..)| name == only));
    if only.is_none() || policy.is_some() {
        calls(&trace, &people, policy).await?;
    }
    if wanted("waits") {
        waits(&people).await?;
    }
    if wanted("storms") {
        storms().await?;
    }
    if wanted("evictions") {
        evictions(&trace, &people)?;
    }
    if only.as_deref() == Some("trace") {
        let photos = people.photos.iter().map(|has| if *has { '1' } else { '0' });
        writeln!(stdout(), "photos {}", photos.collect::<String>())?;
        write!(stdout(), "{trace}")?;
    }
    Ok(())
}

/// What alone is asked for: `-- tenant` prints the first table for that policy alone, `-- waits`
/// or `-- storms` the table of that name, `-- trace` the day itself, for others to play.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is no part of the program"
)]
fn only() -> Option<String> {
    std::env::args().skip(1).find(|arg| !arg.starts_with('-'))
}

/// The headline; of one policy alone without what it is compared with.
async fn calls(trace: &Trace, people: &People, only: Option<&str>) -> Outcome<()> {
    writeln!(
        stdout(),
        "| | calls per 1,000 views | floor | over it | requests per 1,000 | MB from Graph | downloads | from memory | 429 seen | faces missing | though held | staleness, median / 99 % / most |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    )?;
    if only.is_none() {
        uncached(trace, people).await?;
    }
    for (policy, between, rule, names) in POLICIES {
        if only.is_some_and(|only| only != policy) {
            continue;
        }
        let floor = Floor::of(trace, rule, &people.photos, names);
        let together = Floor::of(trace, rule, &people.photos, Names::Together);
        let apart = Floor::of(trace, rule, &people.photos, Names::Apart);
        let day = replay::play(trace, PEOPLE, between, &[]).await?;
        row(policy, &day, share(floor.calls, day.views) * 1_000.0)?;
        writeln!(
            std::io::stderr(),
            "{policy}: {:.0} with a person's names together, {:.0} with them apart; {} proofs, {} missing, {}",
            share(together.calls, day.views) * 1_000.0,
            share(apart.calls, day.views) * 1_000.0,
            floor.proofs,
            floor.missing,
            spread(floor.staleness)
        )?;
        // What the causes compare with is a cache that shares everything.
        if rule == Rule::Tenant {
            write!(std::io::stderr(), "{}", day.causes)?;
        }
    }
    writeln!(stdout())?;
    Ok(())
}

/// The rows of what the proxy is compared with.
async fn uncached(trace: &Trace, people: &People) -> Outcome<()> {
    let none = replay::play(trace, PEOPLE, Between::Nothing, &[]).await?;
    row("no cache", &none, 1_000.0)?;
    let nginx = Floor::of(trace, Rule::Nginx, &people.photos, Names::Apart);
    let per_view = share(nginx.calls, none.views);
    let per_call = none.bytes / none.calls.max(1);
    writeln!(
        stdout(),
        "| nginx, key with the token (computed) | {:.0} | – | – | – | {:.0} | – | {:.0} % | – | {} | – | {} |",
        per_view * 1_000.0,
        megabytes(nginx.calls * per_call),
        (1.0 - per_view) * 100.0,
        nginx.missing,
        spread(nginx.staleness),
    )?;
    Ok(())
}

fn row(name: &str, day: &Day, floor: f64) -> Outcome<()> {
    if day.wrong > 0 {
        return Err(format!("{} pictures of somebody else", day.wrong).into());
    }
    let calls = share(day.calls, day.views) * 1_000.0;
    writeln!(
        stdout(),
        "| {name} | {calls:.0} | {floor:.0} | {:+.1} % | {:.0} | {:.0} | {} | {:.0} % | {} | {} | {} | {} |",
        (calls / floor - 1.0) * 100.0,
        share(day.requests, day.views) * 1_000.0,
        megabytes(day.bytes),
        day.downloads,
        (1.0 - calls / 1_000.0) * 100.0,
        day.throttled,
        day.missing,
        day.missing_though_held,
        spread(day.staleness.clone()),
    )?;
    Ok(())
}

/// A shorter day with twelve minutes of trouble: four on which Graph says wait, four on which it
/// answers 503, four on which it does not answer.
async fn waits(people: &People) -> Outcome<()> {
    let trace = Trace::new(SEED + 1, VIEWS / 3, people.all.len());
    let times: Vec<u64> = (1..=12).map(|n| n * 2_400).collect();
    writeln!(
        stdout(),
        "| twelve minutes of trouble | photo calls inside a wait | 429 seen | faces missing | though held |\n|---|---|---|---|---|"
    )?;
    for (name, between) in [
        ("no cache", Between::Nothing),
        ("token", Between::Proxy("token")),
        ("verified", Between::Proxy("verified")),
        ("tenant", Between::Proxy("tenant")),
    ] {
        let day = replay::play(&trace, PEOPLE, between, &times).await?;
        writeln!(
            stdout(),
            "| {name} | {} | {} | {} | {} |",
            day.in_wait,
            day.throttled,
            day.missing,
            day.missing_though_held
        )?;
    }
    writeln!(stdout())?;
    Ok(())
}

/// Everybody at once.
async fn storms() -> Outcome<()> {
    writeln!(
        stdout(),
        "| 1,000 callers, one cold photo, Graph takes 50 ms | answered | calls | downloads | p50 | p99 |\n|---|---|---|---|---|---|"
    )?;
    for (name, sharing, principals) in [
        ("`tenant`, 1,000 people", "tenant", 1_000),
        ("`verified`, 10 people", "verified", 10),
        ("`verified`, 1 person", "verified", 1),
    ] {
        let storm = storm::storm(sharing, principals).await?;
        writeln!(
            stdout(),
            "| {name} | {} | {} | {} | {:.0} ms | {:.0} ms |",
            storm.answered,
            storm.calls,
            storm.downloads,
            storm.half.as_secs_f64() * 1_000.0,
            storm.most.as_secs_f64() * 1_000.0
        )?;
    }
    writeln!(stdout())?;
    Ok(())
}

/// LRU or `TinyLFU`.
fn evictions(trace: &Trace, people: &People) -> Outcome<()> {
    writeln!(
        stdout(),
        "| a quarter of the working set | LRU | TinyLFU |\n|---|---|---|"
    )?;
    for (name, by_viewer) in [
        ("an entry per photo", false),
        ("an entry per viewer and photo", true),
    ] {
        let shares = evict::compare(trace, &people.photos, by_viewer);
        writeln!(
            stdout(),
            "| {name} | {:.1} % | {:.1} % |",
            shares.lru * 100.0,
            shares.tiny_lfu * 100.0
        )?;
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a day's counts are far below 2^52"
)]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn megabytes(bytes: u64) -> f64 {
    share(bytes, 1_000_000)
}

/// Of those seen: the median, the 99th percentile and the most, in minutes.
fn spread(mut all: Vec<u64>) -> String {
    all.sort_unstable();
    let at = |part: usize| {
        let index = (all.len() * part / 100).min(all.len().saturating_sub(1));
        all.get(index).map_or(0, |seconds| seconds / 60)
    };
    format!("{} / {} / {} min", at(50), at(99), at(100))
}
