//! The figures as JSON, for the dashboard and for scripts.

use serde_json::{Value, json};

use super::figures::{FAILURES, Figures, Histogram, INSTEAD, NOT_STORED, SOURCES, WAYS};
use super::watched::Watched;
use super::{Canary, system};
use crate::clock::Time;
use crate::upstream::gate::{Breaking, Cause, Standing};

/// Everything the dashboard shows, as it is now.
pub(super) fn figures(watched: &Watched) -> Value {
    let rooms = &watched.rooms;
    let (figures, now) = (rooms.ops.figures(), rooms.clock.now());
    let (entries, held) = rooms.cache.held();
    let canary = match rooms.ops.canary() {
        Canary::Silent => "silent",
        Canary::Well => "well",
        Canary::Dead => "dead",
    };
    let standings = rooms.questions.gate().standings(now);
    let budgets: Vec<Value> = standings
        .iter()
        .map(|standing| {
            json!({
                "label": standing.label,
                "in_flight": standing.in_flight,
                "queued": standing.queued,
                "closed_seconds": standing.closed_for.as_secs_f64(),
            })
        })
        .collect();
    let breakers = breakers(watched, &standings, now);
    let (closures, closed) = rooms.questions.gate().closed();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "unix": now.unix_seconds(),
        "uptime_seconds": watched.uptime().as_secs(),
        "ready": watched.is_ready(),
        "not_ready": watched.readiness().err().map(super::watched::NotReady::word),
        "canary": canary,
        "cross_identity_hits": figures.cross_identity.get(),
        "sharing": watched.sharing(),
        "requests": figures.requests.sum(),
        "ways": named(WAYS.iter().map(|(name, way)| (*name, figures.requests.of_way(*way)))),
        "answers": named(SOURCES.iter().zip(&figures.answers).map(|(name, of)| (*name, of.sum()))),
        "statuses": statuses(figures),
        "collapsed": figures.collapsed.get(),
        "stale": named(INSTEAD.iter().enumerate().map(|(slot, of)| (of.token(), figures.instead.get(slot)))),
        "not_stored": named(NOT_STORED.iter().enumerate().map(|(slot, of)| (of.detail(), figures.not_stored.get(slot)))),
        "calls": figures.calls(),
        "saved": figures.saved(),
        "would_share": figures.would_share.get(),
        "verifications": figures.conditional.get(),
        "unchanged": figures.asked.within(304, 304),
        "throttled": figures.asked.within(429, 429),
        "failures": named(FAILURES.iter().enumerate().map(|(slot, name)| (*name, figures.failures.get(slot)))),
        "errors": errors(figures),
        "passed_through": figures.passed.sum(),
        "hit": histogram(&figures.hit),
        "graph": histogram(&figures.graph),
        "budgets": budgets,
        "breakers": breakers,
        "closures": closures,
        "closed_seconds": closed.as_secs_f64(),
        "waiting_callers": rooms.questions.waiting(),
        "connections": watched.connections(),
        "most_connections": watched.most_connections(),
        "entries": entries,
        "held_bytes": held,
        "bound_bytes": rooms.cache.bound(),
        "resident_bytes": system::resident(),
        "removals": named(rooms.cache.removals().causes().into_iter()),
        "certificates": named(watched.certificates()),
        "proofs": rooms.identity.proofs_held(),
    })
}

/// The same with the last half hour.
pub(super) fn with_history(watched: &Watched) -> Value {
    let mut figures = figures(watched);
    if let Some(figures) = figures.as_object_mut() {
        figures.insert("history".to_owned(), watched.history().json());
    }
    figures
}

/// The settings as they hold, each with its origin, without secrets.
pub(super) fn settings(watched: &Watched) -> Value {
    let effective = watched.effective();
    let settings = effective.iter().map(|entry| {
        let setting = json!({
            "value": entry.value,
            "origin": entry.origin.to_string(),
            "hidden": entry.hidden,
        });
        (entry.key.to_owned(), setting)
    });
    settings.collect::<serde_json::Map<_, _>>().into()
}

/// The breaker of connections, and those of answers that are not closed.
fn breakers(watched: &Watched, standings: &[Standing], now: Time) -> Vec<Value> {
    let gate = watched.rooms.questions.gate();
    let mut breakers = vec![breaker(Cause::Connections, gate.reach(now))];
    for standing in standings {
        for (kind, breaking) in &standing.breakers {
            if *breaking == Breaking::Closed {
                continue;
            }
            let mut one = breaker(Cause::Answers, *breaking);
            if let Some(one) = one.as_object_mut() {
                one.insert("budget".to_owned(), standing.label.as_str().into());
                one.insert("kind".to_owned(), format!("{kind:?}").into());
            }
            breakers.push(one);
        }
    }
    breakers
}

/// How a breaker stands, and why it has opened.
pub(super) fn breaker(cause: Cause, breaking: Breaking) -> Value {
    json!({
        "of": cause.word(),
        "state": breaking.word(),
        "seconds": breaking.left().as_secs_f64(),
        "reason": (breaking != Breaking::Closed).then_some(cause.reason()),
    })
}

/// Photo requests whose caller got a 5xx, whoever made it.
pub(super) fn errors(figures: &Figures) -> u64 {
    figures
        .answers
        .iter()
        .map(|answers| answers.within(500, 599))
        .sum()
}

fn named<'a>(pairs: impl Iterator<Item = (&'a str, u64)>) -> Value {
    pairs
        .map(|(name, count)| (name.to_owned(), Value::from(count)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Answers by status, whoever made them.
fn statuses(figures: &Figures) -> Value {
    let mut all = std::collections::BTreeMap::new();
    for answers in &figures.answers {
        for (status, count) in answers.seen() {
            *all.entry(status.to_string()).or_insert(0) += count;
        }
    }
    json!(all)
}

fn histogram(histogram: &Histogram) -> Value {
    let mut buckets = histogram.buckets();
    let beyond = buckets.pop().map_or(0, |(_, count)| count);
    json!({
        "count": histogram.count(),
        "sum": histogram.sum(),
        "buckets": buckets,
        "beyond": beyond,
    })
}
