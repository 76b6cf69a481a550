//! How much is too much: requests at once, requests in a window, and throttling on command.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use http::header;

use super::answer::Answer;
use super::errors;
use super::settings::{RetryAfter, Settings};
use crate::clock::Time;

/// The wait a concurrency refusal asks for.
const MOMENT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Ban {
    application: Option<String>,
    until: Time,
    form: RetryAfter,
}

/// What each application is using up.
#[derive(Debug, Default)]
pub(super) struct Limits {
    at_once: Mutex<HashMap<String, usize>>,
    window: Mutex<HashMap<(String, String), VecDeque<Time>>>,
    bans: Mutex<Vec<Ban>>,
}

/// One request in flight, counted for as long as it lives.
#[derive(Debug)]
pub(super) struct InFlight {
    limits: Arc<Limits>,
    application: String,
    /// How many there were with this one.
    pub(super) at_once: usize,
}

impl Limits {
    /// Counts one more request of that application.
    pub(super) fn enter(self: &Arc<Self>, application: &str) -> InFlight {
        let mut counts = self.at_once.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(application.to_owned()).or_default();
        *count += 1;
        InFlight {
            limits: Arc::clone(self),
            application: application.to_owned(),
            at_once: *count,
        }
    }

    /// Throttles one application, or everyone, until then.
    pub(super) fn ban(&self, application: Option<&str>, until: Time, form: RetryAfter) {
        self.bans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Ban {
                application: application.map(str::to_owned),
                until,
                form,
            });
    }

    /// Ends all throttling on command.
    pub(super) fn pardon(&self) {
        self.bans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The 429 that a ban gives this application now.
    pub(super) fn banned(&self, application: &str, now: Time) -> Option<Answer> {
        let mut bans = self.bans.lock().unwrap_or_else(PoisonError::into_inner);
        bans.retain(|ban| now < ban.until);
        let ban = bans
            .iter()
            .filter(|ban| {
                ban.application
                    .as_deref()
                    .is_none_or(|one| one == application)
            })
            .max_by_key(|ban| ban.until)?;
        Some(wait(
            errors::throttled(),
            ban.form,
            now.until(ban.until),
            now,
        ))
    }

    /// The 429 that a photo request meets when there are too many, at once or in the window.
    ///
    /// Requests that are refused count too.
    pub(super) fn refuse(
        &self,
        application: &str,
        owner: &str,
        at_once: usize,
        settings: &Settings,
        now: Time,
    ) -> Option<Answer> {
        let form = settings.retry_after;
        if settings.concurrency.is_some_and(|most| at_once > most) {
            return Some(wait(errors::too_many_at_once(), form, MOMENT, now));
        }
        let (most, length) = settings.quota?;
        let mut windows = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = windows
            .entry((application.to_owned(), owner.to_ascii_lowercase()))
            .or_default();
        while calls.front().is_some_and(|call| now.since(*call) >= length) {
            calls.pop_front();
        }
        let oldest = calls.front().copied().unwrap_or(now);
        // One more than the limit is enough to know that it is passed.
        if calls.len() <= most {
            calls.push_back(now);
        }
        (calls.len() > most).then(|| {
            wait(
                errors::throttled(),
                form,
                now.until(oldest.plus(length)),
                now,
            )
        })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut counts = self
            .limits
            .at_once
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.application) {
            *count = count.saturating_sub(1);
        }
    }
}

/// Says how long to wait.
fn wait(answer: Answer, form: RetryAfter, left: Duration, now: Time) -> Answer {
    let text = match form {
        RetryAfter::Absent => return answer,
        RetryAfter::Seconds => whole_seconds(left).to_string(),
        RetryAfter::Fraction => format!("{:.3}", left.as_secs_f64()),
        RetryAfter::Date => {
            let then = now.plus(Duration::from_secs(whole_seconds(left)));
            httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(then.unix_seconds()))
        }
    };
    answer.with(header::RETRY_AFTER, &text)
}

fn whole_seconds(left: Duration) -> u64 {
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_ban_ends_with_its_time_and_says_what_is_left() {
        let (limits, clock) = (Limits::default(), Clock::by_hand());
        let until = clock.now().plus(Duration::from_secs(20));
        limits.ban(Some("a"), until, RetryAfter::Fraction);
        clock.advance(Duration::from_millis(500));
        let refused = limits.banned("a", clock.now()).unwrap();
        assert_eq!(refused.headers[header::RETRY_AFTER], "19.500");
        assert!(limits.banned("b", clock.now()).is_none());
        clock.advance(Duration::from_secs(20));
        assert!(limits.banned("a", clock.now()).is_none());
    }

    #[test]
    fn a_window_of_requests_slides() {
        let (limits, clock) = (Limits::default(), Clock::by_hand());
        let settings = Settings {
            quota: Some((2, Duration::from_secs(10))),
            ..Settings::default()
        };
        let ask = || limits.refuse("a", "o", 1, &settings, clock.now());
        assert!(ask().is_none());
        clock.advance(Duration::from_secs(4));
        assert!(ask().is_none());
        assert_eq!(ask().unwrap().headers[header::RETRY_AFTER], "6");
        clock.advance(Duration::from_secs(10));
        assert!(ask().is_none());
    }
}
