//! The reply: what a caller is sent for each outcome.
//!
//! Fifth room of the walk. Pure: given an [`Outcome`], the caller's header fields and `now`,
//! makes the response. The same enums feed the `Cache-Status` field, the metrics and the log.

pub mod body;
pub mod problem;

pub use body::Body;
pub use problem::Problem;

use http::{HeaderMap, HeaderValue};

use crate::clock::Time;

/// The caller's `client-request-id`, where it sent exactly one that can be echoed.
pub fn client_request_id(request: &HeaderMap) -> Option<HeaderValue> {
    let mut all = request.get_all("client-request-id").iter();
    let id = all.next()?;
    (all.next().is_none() && id.len() <= 128).then(|| id.clone())
}

/// `now` as Graph writes dates in error bodies: `2026-01-01T00:00:00`, UTC without a zone.
pub fn graph_date(now: Time) -> String {
    let (days, seconds) = (now.unix_seconds() / 86_400, now.unix_seconds() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Days since 1970-01-01 as year, month, day of the Gregorian calendar.
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
