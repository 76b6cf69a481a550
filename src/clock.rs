//! The only reader of system time, and a hand-moved clock for tests.
//!
//! Rooms 1 to 5 never ask what time it is: the narrator reads the clock once a request and
//! hands [`Time`] in. Durations are measured on the monotonic part; only what Graph dates in
//! wall time (a token's `exp`, an HTTP date) is compared with the wall part.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Since the clock was made; never goes back.
    monotonic: Duration,
    /// Since 1970-01-01T00:00:00Z, as the system says.
    unix: Duration,
}

impl Time {
    /// A reading made of its two parts, for tables of cases.
    pub const fn new(monotonic: Duration, unix: Duration) -> Self {
        Self { monotonic, unix }
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Time) -> Duration {
        self.monotonic.saturating_sub(earlier.monotonic)
    }

    /// How long it is until `later`; zero when it has passed.
    pub fn until(self, later: Time) -> Duration {
        later.since(self)
    }

    /// This reading moved ahead on both parts.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Time {
        Time {
            monotonic: self.monotonic.saturating_add(duration),
            unix: self.unix.saturating_add(duration),
        }
    }

    /// This reading moved back on both parts, not below zero.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Time {
        Time {
            monotonic: self.monotonic.saturating_sub(duration),
            unix: self.unix.saturating_sub(duration),
        }
    }

    /// Whole seconds since 1970, for comparison with a token's `exp`.
    pub fn unix_seconds(self) -> u64 {
        self.unix.as_secs()
    }

    /// Nanoseconds since 1970, for traces.
    pub fn unix_nanoseconds(self) -> u128 {
        self.unix.as_nanos()
    }

    /// The wall part as Graph writes dates in error bodies: `2026-01-01T00:00:00`, UTC without a
    /// zone.
    pub fn utc(self) -> String {
        let (days, seconds) = (self.unix_seconds() / 86_400, self.unix_seconds() % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }

    /// The wall part, for HTTP dates.
    pub fn wall(self) -> SystemTime {
        UNIX_EPOCH.checked_add(self.unix).unwrap_or(UNIX_EPOCH)
    }
}

/// Days since 1970-01-01 as year, month and day of the Gregorian calendar, counted in years
/// that begin in March, so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Seconds since 1970 of a date and time of day in UTC; `None` where there is no such moment, or
/// it lies before 1970.
pub fn unix_seconds_of(date: [u64; 3], time: [u64; 3]) -> Option<u64> {
    let ([year, month, day], [hour, minute, second]) = (date, time);
    if !(1970..=9999).contains(&year)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    // The inverse of `civil`, which also says whether there is such a day.
    let (year_of_march, month_index) = match month {
        3..=12 => (year, month - 3),
        1 | 2 => (year - 1, month + 9),
        _ => return None,
    };
    let (era, year_of_era) = (year_of_march / 400, year_of_march % 400);
    let day_of_year = (153 * month_index + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    (civil(days) == (year, month, day))
        .then_some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Where [`Time`] comes from: the system, or a test's hand.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System {
        start: Instant,
    },
    ByHand {
        nanoseconds: Arc<AtomicU64>,
        unix_start: Duration,
    },
}

impl Clock {
    /// The system's clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the reader of system time"
    )]
    pub fn system() -> Self {
        Self(Source::System {
            start: Instant::now(),
        })
    }

    /// A clock that stands still at 2026-01-01T00:00:00Z until [`Clock::advance`] moves it.
    pub fn by_hand() -> Self {
        Self(Source::ByHand {
            nanoseconds: Arc::new(AtomicU64::new(0)),
            unix_start: Duration::from_secs(1_767_225_600),
        })
    }

    /// Reads the clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the reader of system time"
    )]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System { start } => Time {
                monotonic: start.elapsed(),
                unix: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
            },
            Source::ByHand {
                nanoseconds,
                unix_start,
            } => {
                let moved = Duration::from_nanos(nanoseconds.load(Ordering::Acquire));
                Time {
                    monotonic: moved,
                    unix: unix_start.saturating_add(moved),
                }
            }
        }
    }

    /// A later reading than `began`, of the monotonic part alone: half the work.
    pub fn later(&self, began: Time) -> Time {
        match &self.0 {
            Source::System { start } => began.plus(start.elapsed().saturating_sub(began.monotonic)),
            Source::ByHand { .. } => self.now(),
        }
    }

    /// Moves a clock made [`by_hand`](Clock::by_hand) ahead; the system's clock ignores it.
    pub fn advance(&self, by: Duration) {
        if let Source::ByHand { nanoseconds, .. } = &self.0 {
            let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            nanoseconds.fetch_add(by, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_by_hand_moves_only_when_told() {
        let clock = Clock::by_hand();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().since(before), Duration::from_secs(90));
        assert_eq!(clock.now().unix_seconds() - before.unix_seconds(), 90);
    }

    #[test]
    fn a_time_that_lies_ahead_is_zero_ago() {
        let now = Clock::by_hand().now();
        assert_eq!(now.since(now.plus(Duration::from_secs(5))), Duration::ZERO);
        assert_eq!(
            now.until(now.plus(Duration::from_secs(5))),
            Duration::from_secs(5)
        );
    }

    #[test]
    fn dates_are_written_as_graph_writes_them() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_615_829_637, "2021-03-15T17:33:57"),
            (1_767_225_599, "2025-12-31T23:59:59"),
        ] {
            let now = Time::new(Duration::ZERO, Duration::from_secs(seconds));
            assert_eq!(now.utc(), date);
        }
    }

    #[test]
    fn a_date_is_a_moment_or_there_is_no_such_day() {
        for day in (0..2_932_896).step_by(13) {
            let (year, month, date) = civil(day);
            let said = unix_seconds_of([year, month, date], [23, 59, 59]);
            assert_eq!(said, Some(day * 86_400 + 86_399), "{year}-{month}-{date}");
        }
        for (date, time) in [
            ([2026, 2, 29], [0, 0, 0]),
            ([2026, 4, 31], [0, 0, 0]),
            ([2026, 13, 1], [0, 0, 0]),
            ([2026, 0, 1], [0, 0, 0]),
            ([2026, 1, 0], [0, 0, 0]),
            ([2026, 1, u64::MAX / 2], [0, 0, 0]),
            ([1969, 12, 31], [0, 0, 0]),
            ([2026, 1, 1], [24, 0, 0]),
            ([2026, 1, 1], [0, 60, 0]),
            ([2026, 1, 1], [0, 0, 60]),
        ] {
            assert_eq!(unix_seconds_of(date, time), None, "{date:?} {time:?}");
        }
    }
}
