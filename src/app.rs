//! The wiring: the only place that names every room's constructor.
//!
//! [`App::bind`] takes the addresses and makes the rooms, [`App::run`] serves until it is told
//! to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;

use crate::cache::{Authority, Cache};
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::Identity;
use crate::ops::Ops;
use crate::proxy::{Proxy, Questions, Rooms};
use crate::render::RequestIds;
use crate::server::{self, Listeners};
use crate::upstream::{Gate, SetupError, Upstream};

/// How often what has ended is dropped from memory: moka does so only when it is called.
const MAINTENANCE: Duration = Duration::from_secs(5);

/// Why the proxy could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client of Graph could not be set up.
    #[error("the way to graph could not be set up")]
    Upstream(#[from] SetupError),
    /// A listener could not be bound.
    #[error("a listener could not be bound")]
    Server(#[from] server::Error),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}

/// The proxy, bound to its addresses and not yet serving.
#[derive(Debug)]
pub struct App {
    proxy: Proxy,
    listeners: Listeners,
    addresses: Vec<(&'static str, String)>,
}

impl App {
    /// Binds every listener. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When a listener cannot be bound, or the way to Graph cannot be set up.
    pub fn bind(config: Config) -> Result<Self, Error> {
        Self::bind_with(config, Clock::system())
    }

    /// The same, with a clock of the caller's choice.
    ///
    /// # Errors
    ///
    /// As [`App::bind`].
    pub fn bind_with(config: Config, clock: Clock) -> Result<Self, Error> {
        let listeners = server::bind(&config.server)?;
        let addresses = listeners
            .addresses()
            .iter()
            .map(|address| match address {
                server::Address::Tls(_) => ("tls_listen", address.to_string()),
                _ => ("listen", address.to_string()),
            })
            .collect();
        let authority = Authority::of(&config.upstream.base.to_string());
        let gate = Gate::new(config.upstream.concurrency, config.upstream.queue);
        let mut process = [0; 8];
        rand::fill(&mut process).map_err(|_| Error::Randomness)?;
        let proxy = Proxy::new(Rooms {
            clock,
            identity: Identity::new(&config.identity),
            cache: Cache::new(config.cache),
            upstream: Upstream::new(&config.upstream)?,
            questions: Questions::new(authority, gate, config.proxy.waiting_callers),
            ops: Ops::default(),
            ids: RequestIds::new(u64::from_be_bytes(process)),
        });
        Ok(Self {
            proxy,
            listeners,
            addresses,
        })
    }

    /// What is bound: the setting's name and the address as it is printed.
    pub fn addresses(&self) -> &[(&'static str, String)] {
        &self.addresses
    }

    /// The rooms behind the listeners.
    pub fn rooms(&self) -> &Arc<Rooms> {
        self.proxy.rooms()
    }

    /// Serves until `shutdown` is done, then drains. Dropping the future ends every connection.
    ///
    /// # Errors
    ///
    /// When a listener fails for good.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let maintenance = tokio::spawn(maintain(Arc::clone(self.proxy.rooms())));
        let drained = server::serve(self.listeners, self.proxy, shutdown).await;
        maintenance.abort();
        if !drained.is_complete() {
            tracing::warn!(
                cut = drained.cut,
                "connections were cut at the end of the drain"
            );
        }
        Ok(())
    }
}

/// Drops what has ended, on a timer.
async fn maintain(rooms: Arc<Rooms>) {
    let mut timer = tokio::time::interval(MAINTENANCE);
    loop {
        timer.tick().await;
        rooms.maintain();
    }
}
