//! Says in the log that a certificate ends soon: at once, and then once a day.

use std::collections::HashMap;
use std::time::Duration;

use super::watched::Watched;

/// How long before its end a certificate is worth a warning: enough for people to act.
const SOON: u64 = 14 * DAY;
const DAY: u64 = 86_400;
/// How often certificates are looked at, so that a new one is not spoken of as the old.
const EVERY: Duration = if cfg!(test) {
    Duration::from_millis(20)
} else {
    Duration::from_secs(60)
};

/// Watches the certificates. Never ends; dropping the future leaves them unwatched.
pub async fn watch(watched: Watched) {
    let mut said = HashMap::new();
    let mut timer = tokio::time::interval(EVERY);
    loop {
        timer.tick().await;
        let now = watched.rooms.clock.now().unix_seconds();
        for (listener, ends) in watched.certificates() {
            let Some(state) = state(ends, now) else {
                said.remove(listener);
                continue;
            };
            if said.insert(listener, (ends, state)) == Some((ends, state)) {
                continue;
            }
            match state {
                State::Over => {
                    tracing::warn!(listener, "the TLS certificate has ended: callers refuse it");
                }
                State::Days(days) => {
                    tracing::warn!(listener, days, "the TLS certificate ends soon");
                }
            }
        }
    }
}

/// How near a certificate is to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many whole days are left.
    Days(u64),
    Over,
}

/// `None` while the end is far. The last second is still a good one (RFC 5280 §4.1.2.5).
fn state(ends: u64, now: u64) -> Option<State> {
    match ends.checked_sub(now) {
        None => Some(State::Over),
        Some(left) => (left < SOON).then_some(State::Days(left / DAY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_spoken_of_in_its_last_fortnight_once_a_day() {
        let ends = 1_800_000_000;
        for (before, expected) in [
            (SOON, None),
            (SOON - 1, Some(State::Days(13))),
            (13 * DAY, Some(State::Days(13))),
            (13 * DAY - 1, Some(State::Days(12))),
            (1, Some(State::Days(0))),
            (0, Some(State::Days(0))),
        ] {
            assert_eq!(state(ends, ends - before), expected, "{before}");
        }
        assert_eq!(state(ends, ends + 1), Some(State::Over));
    }
}
