//! What callers ask of stored answers, case by case (RFC 9111 §5.2.1, §5.4).

use super::super::demand::Demand;
use super::*;

fn asked(cache_control: &str) -> Demand {
    let fields = fields(&[("cache-control", cache_control)]);
    Demand::of(&fields, CallerDirectives::Honour)
}

fn after(seconds: u64) -> Time {
    NOW.plus(Duration::from_secs(seconds))
}

#[test]
fn a_caller_takes_what_its_directives_let_it_take() {
    // Fresh for 100 seconds.
    let answer = stored(&config(), &[("cache-control", "max-age=100")]);
    for (said, age, taken) in [
        ("", 0, true),
        ("", 150, true),
        ("x, y=z", 50, true),
        ("no-cache", 0, false),
        ("NO-CACHE", 50, false),
        ("x=\"no-cache\"", 50, true),
        ("max-age=50", 50, true),
        ("max-age=50", 51, false),
        ("max-age=200", 99, true),
        // Named an age: nothing stale, however young.
        ("max-age=200", 150, false),
        ("max-age=200, max-stale", 150, true),
        ("max-age=200, max-stale=49", 150, false),
        ("max-age=120, max-stale", 150, false),
        ("max-age=0", 0, false),
        ("max-age=x", 1, false),
        ("max-age=-1", 1, false),
        ("max-age=9999999999999999999999", 99, true),
        ("max-age=90, max-age=10", 50, false),
        ("min-fresh=50", 50, true),
        ("min-fresh=51", 50, false),
        ("min-fresh=0", 99, true),
        ("min-fresh=0", 150, false),
        ("min-fresh=x", 1, false),
        ("min-fresh=1, min-fresh=60", 50, false),
        ("min-fresh=99999999999999999999", 1, false),
        ("max-stale", 150, true),
        ("max-stale=50", 150, true),
        ("max-stale=49", 150, false),
        ("max-stale=99, max-stale=49", 150, false),
        ("max-stale=\"50\"", 150, true),
        ("max-stale, no-cache", 150, false),
        ("no-store", 50, true),
        ("only-if-cached", 50, true),
    ] {
        assert_eq!(
            asked(said).takes(&answer, after(age)),
            taken,
            "{said} at {age}"
        );
    }
}

#[test]
fn no_caller_takes_stale_what_graph_says_must_be_revalidated() {
    let answer = stored(
        &config(),
        &[("cache-control", "max-age=100, must-revalidate")],
    );
    assert!(asked("max-stale").takes(&answer, after(99)));
    assert!(!asked("max-stale").takes(&answer, after(100)));
    assert!(!asked("max-stale").takes_expired(&answer, after(150)));
}

#[test]
fn what_is_kept_for_graphs_failures_is_for_those_who_ask_for_stale_answers() {
    let answer = stored(&config(), &[("cache-control", "max-age=100")]);
    for (said, taken) in [
        ("", false),
        ("max-stale", true),
        ("max-stale=9", false),
        ("max-stale=x", false),
    ] {
        assert_eq!(
            asked(said).takes_expired(&answer, after(150)),
            taken,
            "{said}"
        );
    }
}

#[test]
fn pragma_counts_only_without_cache_control() {
    let answer = stored(&config(), &[("cache-control", "max-age=100")]);
    let honour = CallerDirectives::Honour;
    for (lines, taken) in [
        (vec![("pragma", "no-cache")], false),
        (vec![("pragma", "x, No-Cache")], false),
        (vec![("pragma", "x")], true),
        (
            vec![("pragma", "no-cache"), ("cache-control", "max-age=60")],
            true,
        ),
    ] {
        let demand = Demand::of(&fields(&lines), honour);
        assert_eq!(demand.takes(&answer, after(1)), taken, "{lines:?}");
    }
}

#[test]
fn by_default_nothing_a_caller_says_counts() {
    for said in [
        "no-store, no-cache",
        "max-age=0",
        "only-if-cached",
        "min-fresh=9999999",
    ] {
        let fields = fields(&[("cache-control", said), ("pragma", "no-cache")]);
        let demand = Demand::of(&fields, CallerDirectives::Ignore);
        assert_eq!(demand, Demand::default(), "{said}");
    }
}

#[test]
fn directives_that_are_not_about_age_are_read() {
    let demand = asked("No-Store, ONLY-IF-CACHED");
    assert!(demand.no_store && demand.only_if_cached);
    let demand = asked("x=\"no-store, only-if-cached\"");
    assert!(!demand.no_store && !demand.only_if_cached);
}
