//! The freshness sum, case by case (RFC 9111 §4.2, §5.2.2, §5.3).

use super::*;

const LONGEST: u64 = 1 << 31;

fn of(lines: &[(&'static str, &str)]) -> Freshness {
    Freshness::of(&config(), Kind::Media, &fields(lines), NOW, 0.0)
}

#[test]
fn an_explicit_lifetime_rules_where_the_operator_lets_it() {
    let cc = |value| vec![("cache-control", value)];
    let dated = |expires, date| vec![("expires", expires), ("date", date)];
    let hour_later = "Thu, 01 Jan 2026 01:00:00 GMT";
    for (lines, seconds) in [
        (vec![], 3_600),
        (cc("private"), 3_600),
        (cc("max-age=5"), 5),
        (cc("MAX-AGE=5"), 5),
        (cc("private , Max-Age=5 , x=y"), 5),
        (cc("max-age=\"5\""), 5),
        (cc("max-age=007"), 7),
        (cc("max-age=0"), 0),
        // There, and not to be read: stale, never absent.
        (cc("max-age=-1"), 0),
        (cc("max-age"), 0),
        (cc("max-age="), 0),
        (cc("max-age=soon"), 0),
        (cc("max-age=1.5"), 0),
        (cc("max-age=5 6"), 0),
        (cc("max-age='5'"), 0),
        (cc("max-age=5;x"), 0),
        // Beyond 31, 32 and 64 bits.
        (cc("max-age=2147483647"), LONGEST - 1),
        (cc("max-age=2147483648"), LONGEST),
        (cc("max-age=4294967296"), LONGEST),
        (cc("max-age=99999999999999999999999999"), LONGEST),
        // Of several the shortest; one that cannot be read before all.
        (cc("max-age=9, max-age=5"), 5),
        (cc("max-age=9, max-age=x"), 0),
        (
            vec![
                ("cache-control", "max-age=9"),
                ("cache-control", "max-age=5"),
            ],
            5,
        ),
        // Text in quoted strings is no directive.
        (cc("x=\"max-age=5\""), 3_600),
        (cc("x=\"a, max-age=5, b\""), 3_600),
        (cc("x=\"\\\", max-age=5, \""), 3_600),
        (cc("x=\"a\", max-age=5"), 5),
        (cc("xmax-age=5, max-agex=6"), 3_600),
        (cc("s-maxage=5"), 3_600),
        // Expires, minus the answer's own date.
        (dated(hour_later, DATE), 3_600),
        (dated("Thu, 01 Jan 2026 00:00:07 GMT", DATE), 7),
        (
            dated(
                "Thu, 01 Jan 2015 00:00:07 GMT",
                "Thu, 01 Jan 2015 00:00:00 GMT",
            ),
            7,
        ),
        (
            dated(
                "Thursday, 01-Jan-26 00:00:07 GMT",
                "Thu Jan  1 00:00:00 2026",
            ),
            7,
        ),
        (dated(DATE, DATE), 0),
        (dated(DATE, hour_later), 0),
        (dated("0", DATE), 0),
        (dated("-1", DATE), 0),
        (dated("", DATE), 0),
        (dated("Thu, 01 Jan 2026 01:00:00", DATE), 0),
        (dated("Fri, 31 Dec 9999 23:59:59 GMT", DATE), LONGEST),
        (dated("Fri, 31 Dec 99999 23:59:59 GMT", DATE), 0),
        (dated("Thu, 01 Jan 1960 00:00:00 GMT", DATE), 0),
        // No date, or none that can be read: that of its arrival.
        (vec![("expires", "Thu, 01 Jan 2026 00:00:07 GMT")], 7),
        (dated("Thu, 01 Jan 2026 00:00:07 GMT", "yesterday"), 7),
        (
            vec![("expires", hour_later), ("expires", "0"), ("date", DATE)],
            0,
        ),
        // max-age goes before Expires, also where it says nothing useful.
        (
            vec![
                ("cache-control", "max-age=5"),
                ("expires", hour_later),
                ("date", DATE),
            ],
            5,
        ),
        (
            vec![
                ("cache-control", "max-age=x"),
                ("expires", hour_later),
                ("date", DATE),
            ],
            0,
        ),
        (cc("no-cache"), 0),
        (cc("no-cache, max-age=9"), 0),
        (cc("No-Cache=\"etag\", max-age=9"), 0),
        (vec![("pragma", "no-cache")], 3_600),
    ] {
        assert_eq!(of(&lines).lifetime.as_secs(), seconds, "{lines:?}");
    }
}

#[test]
fn under_the_operators_word_an_answer_says_nothing_about_its_freshness() {
    let config = Config {
        upstream_directives: UpstreamDirectives::Operator,
        ..config()
    };
    for said in [
        "max-age=5",
        "no-cache",
        "must-revalidate",
        "stale-if-error=0",
    ] {
        let lines = fields(&[("cache-control", said), ("expires", "0")]);
        let freshness = Freshness::of(&config, Kind::Media, &lines, NOW, 0.0);
        assert_eq!(freshness.lifetime, config.photo_ttl, "{said}");
        assert_eq!(freshness.stale_if_error, config.stale_if_error, "{said}");
        assert!(!freshness.must_revalidate, "{said}");
        let absent = Freshness::of(&config, Kind::Absent, &lines, NOW, 0.0);
        assert_eq!(absent.lifetime, config.absent_ttl, "{said}");
    }
}

#[test]
fn lifetimes_of_the_operator_are_spread_by_a_tenth_and_those_of_the_answer_are_not() {
    for (jitter, seconds) in [(-1.0, 3_240), (0.0, 3_600), (1.0, 3_960), (9.0, 3_960)] {
        let spread = Freshness::of(&config(), Kind::Media, &HeaderMap::new(), NOW, jitter);
        assert_eq!(spread.lifetime.as_secs(), seconds);
        let said = fields(&[("cache-control", "max-age=1000")]);
        let exact = Freshness::of(&config(), Kind::Media, &said, NOW, jitter);
        assert_eq!(exact.lifetime.as_secs(), 1_000);
    }
}

#[test]
fn the_age_an_answer_arrives_with_counts_and_one_that_is_no_number_does_not() {
    for (age, seconds) in [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("7, 9", 7),
        ("2147483648", LONGEST),
        ("99999999999999999999", LONGEST),
        ("-7", 0),
        ("7.5", 0),
        ("\"7\"", 0),
        ("seven", 0),
        ("", 0),
        (", 9", 0),
    ] {
        let lines = [("age", age), ("cache-control", "max-age=10")];
        assert_eq!(of(&lines).initial_age.as_secs(), seconds, "{age:?}");
        let stored = stored(&config(), &lines);
        assert_eq!(stored.is_fresh(NOW), seconds < 10, "{age:?}");
        let later = NOW.plus(Duration::from_secs(3));
        assert_eq!(stored.age(later).as_secs(), seconds + 3, "{age:?}");
        assert_eq!(stored.is_fresh(later), seconds + 3 < 10, "{age:?}");
    }
    let two = of(&[("age", "7"), ("age", "9")]);
    assert_eq!(two.initial_age.as_secs(), 7);
}

#[test]
fn an_answer_says_how_long_past_its_lifetime_it_may_be_shown() {
    for (said, revalidating, failing, must) in [
        ("max-age=1", 60, 120, false),
        ("stale-while-revalidate=9, stale-if-error=8", 9, 8, false),
        ("Stale-If-Error=\"8\"", 60, 8, false),
        ("stale-while-revalidate=x, stale-if-error", 0, 0, false),
        ("stale-if-error=-1", 60, 0, false),
        ("stale-if-error=8, stale-if-error=3", 60, 3, false),
        ("must-revalidate", 0, 0, true),
        ("must-revalidate, stale-if-error=9", 0, 0, true),
        ("no-cache, stale-while-revalidate=9", 0, 0, true),
        ("proxy-revalidate", 60, 120, false),
    ] {
        let freshness = of(&[("cache-control", said)]);
        assert_eq!(
            freshness.stale_while_revalidate.as_secs(),
            revalidating,
            "{said}"
        );
        assert_eq!(freshness.stale_if_error.as_secs(), failing, "{said}");
        assert_eq!(freshness.must_revalidate, must, "{said}");
    }
}

#[test]
fn what_must_be_revalidated_is_held_as_long_as_any_other_for_its_validator() {
    for (said, seconds) in [
        ("max-age=5", 125),
        ("max-age=5, must-revalidate", 125),
        ("no-cache", 120),
        ("max-age=5, stale-if-error=1000", 1_005),
    ] {
        assert_eq!(
            of(&[("cache-control", said)]).hold.as_secs(),
            seconds,
            "{said}"
        );
    }
    let huge = of(&[(
        "cache-control",
        "max-age=99999999999, stale-if-error=99999999999",
    )]);
    assert_eq!(huge.hold.as_secs(), 2 * LONGEST);
}

#[test]
fn no_text_makes_the_sum_overflow() {
    for text in [
        "4294967295",
        "18446744073709551615",
        "340282366920938463463374607431768211456",
    ] {
        let said = format!("max-age={text}, stale-if-error={text}, stale-while-revalidate={text}");
        let stored = stored(&config(), &[("cache-control", &said), ("age", text)]);
        let end = NOW.plus(Duration::from_secs(u64::MAX / 4));
        assert!(!stored.is_fresh(NOW), "as old as it may become: {text}");
        assert_eq!(stored.remaining(end), Duration::ZERO);
        assert!(stored.staleness(end) > Duration::ZERO);
    }
}
