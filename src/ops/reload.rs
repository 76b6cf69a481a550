//! Other settings for a running proxy: what can change at once does, the rest waits for a start.

use std::time::Duration;

use tokio::signal::unix::Signal;

use super::Watched;
use crate::config::{Command, Config, Effective, Mistakes};

/// How often the settings are read again without being told to: a cluster swaps a symbolic
/// link, which file watches miss, and reading one small file costs nothing.
const REREAD: Duration = Duration::from_secs(3);

/// The settings that a running proxy takes over. Lifetimes count for answers stored or
/// freshened from then on; the policy counts for everything held, and what callers may ask for
/// with every request, at once.
const LIVE: [&str; 9] = [
    "sharing",
    "photo_ttl",
    "absent_ttl",
    "proof_ttl",
    "stale_while_revalidate",
    "stale_if_error",
    "max_photo",
    "caller_directives",
    "upstream_directives",
];

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reloaded {
    /// Settings that hold from here on.
    pub taken: Vec<&'static str>,
    /// Settings that have changed and wait for the next start.
    pub waiting: Vec<&'static str>,
}

/// Gives a running proxy other settings.
#[derive(Debug, Clone)]
pub struct Reloader(Watched);

impl Reloader {
    /// For the proxy that is watched so.
    pub fn new(watched: Watched) -> Self {
        Self(watched)
    }

    /// What is watched.
    pub fn watched(&self) -> &Watched {
        &self.0
    }

    /// Takes over what can change live, and says what changed.
    pub fn reload(&self, config: &Config) -> Reloaded {
        let mut effective = self.0.effective();
        let mut reloaded = Reloaded::default();
        for entry in &config.effective {
            let Some(before) = effective.iter_mut().find(|known| known.key == entry.key) else {
                continue;
            };
            if before.value == entry.value {
                continue;
            }
            if LIVE.contains(&entry.key) {
                *before = Effective::clone(entry);
                reloaded.taken.push(entry.key);
            } else {
                reloaded.waiting.push(entry.key);
            }
        }
        drop(effective);
        if !reloaded.taken.is_empty() {
            let rooms = &self.0.rooms;
            let own_moved = rooms
                .identity
                .reload(config.identity.sharing, config.identity.proof_ttl);
            if own_moved {
                rooms.cache.doubts.everything();
            }
            rooms.cache.reload(config.cache.clone());
        }
        reloaded
    }
}

/// Reads the settings again at every `hangup`, and every few seconds, and takes them over.
/// Never ends; dropping the future leaves the settings as they are.
///
/// Settings that cannot be read change nothing, and are told once.
pub async fn follow(
    reloader: Reloader,
    mut hangup: Signal,
    read: impl Fn() -> Result<Command, Mistakes>,
) {
    let mut timer = tokio::time::interval(REREAD);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told: Option<String> = None;
    let mut seen: Vec<Effective> = Vec::new();
    loop {
        let asked = tokio::select! {
            Some(()) = hangup.recv() => true,
            _ = timer.tick() => false,
        };
        let said = match read() {
            Ok(Command::Serve(config) | Command::Demo(config)) => {
                // A file that is being written reads as a shorter one, and what is not there
                // yet as its default: only what is read twice alike is meant.
                let settled = asked || seen == config.effective;
                seen.clone_from(&config.effective);
                if !settled {
                    continue;
                }
                let changed = reloader.reload(&config);
                if !changed.taken.is_empty() {
                    tracing::info!(taken = ?changed.taken, "other settings hold from here on");
                    for sentence in config.policy() {
                        tracing::info!("{sentence}");
                    }
                }
                (!changed.waiting.is_empty()).then(|| {
                    format!(
                        "settings that wait for the next start: {:?}",
                        changed.waiting
                    )
                })
            }
            Ok(_) => None,
            Err(mistakes) => {
                let mistakes = mistakes.to_string().replace('\n', "; ");
                Some(format!("the settings stay as they were: {mistakes}"))
            }
        };
        match &said {
            Some(words) if asked || said != told => tracing::warn!("{words}"),
            None if asked => tracing::info!("the settings have been read again"),
            _ => {}
        }
        told = said;
    }
}
