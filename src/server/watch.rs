//! Drives a connection, and ends it when it stands still or when the process leaves.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use super::Config;
use super::activity::Activity;
use super::connection::Shared;

/// Polls a connection to its end, asking it to wind down when it must. `settle` comes after each
/// turn of it.
pub(super) async fn drive<C, W, U>(
    mut connection: Pin<&mut C>,
    wind_down: W,
    mut settle: U,
    shared: &Shared,
    activity: &Activity,
) where
    C: Future<Output = hyper::Result<()>>,
    W: Fn(Pin<&mut C>),
    U: FnMut(&mut Context<'_>) -> Poll<io::Result<()>>,
{
    let start = Instant::now() + shared.config.idle_timeout;
    let start = activity
        .due(&shared.config)
        .map_or(start, |due| due.min(start));
    let mut watch = Watch {
        sleep: pin!(sleep_until(start)),
        armed: start,
        last_call: false,
    };
    let mut leave = pin!(shared.leave.notified());
    let mut is_registered = false;
    let mut is_asked = false;
    poll_fn(|context| {
        if !is_registered {
            // Once is enough: a task's waker stays the same, and the flag tells the rest.
            is_registered = true;
            let _ = leave.as_mut().poll(context);
        }
        loop {
            let ended = connection.as_mut().poll(context).is_ready();
            let settled = settle(context);
            if ended || matches!(settled, Poll::Ready(Err(_))) {
                return Poll::Ready(());
            }
            // A head half here is a request already; it gets its answer first. So does one that hyper
            // does not know of.
            let is_busy = || activity.is_head_arriving() || activity.is_beside();
            let must_leave = !is_asked && shared.is_leaving() && !is_busy();
            if must_leave {
                is_asked = true;
            } else {
                match watch.poll(context, &shared.config, activity) {
                    Verdict::Go => return Poll::Pending,
                    Verdict::Cut => return Poll::Ready(()),
                    Verdict::WindDown => {}
                }
            }
            wind_down(connection.as_mut());
        }
    })
    .await;
}

/// The one timer of a connection. It is set at most an idle timeout ahead and looks again
/// when it fires, so that a busy connection does not touch it; only a head that begins to
/// arrive can call for an earlier time.
struct Watch<'a> {
    sleep: Pin<&'a mut Sleep>,
    armed: Instant,
    /// It has been asked to wind down for standing still; the next time it is cut.
    last_call: bool,
}

enum Verdict {
    Go,
    WindDown,
    Cut,
}

impl Watch<'_> {
    fn arm(&mut self, at: Instant) {
        self.armed = at;
        self.sleep.as_mut().reset(at);
    }

    fn poll(&mut self, context: &mut Context<'_>, config: &Config, activity: &Activity) -> Verdict {
        if let Some(at) = activity.head_due(config)
            && at < self.armed
        {
            self.arm(at);
        }
        while self.sleep.as_mut().poll(context).is_ready() {
            if self.last_call {
                return Verdict::Cut;
            }
            let now = Instant::now();
            match activity.due(config) {
                Some(at) if at > now => self.arm(at.min(now + config.idle_timeout)),
                Some(_) if !activity.is_idle() => return Verdict::Cut,
                Some(_) => {
                    self.last_call = true;
                    self.arm(now + config.header_timeout);
                    return Verdict::WindDown;
                }
                None => self.arm(now + config.idle_timeout),
            }
        }
        Verdict::Go
    }
}
