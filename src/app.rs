//! The wiring: the only place that names every room's constructor.
//!
//! [`App::bind`] takes the addresses and makes the rooms, [`App::run`] serves until it is told
//! to stop.

#[cfg(feature = "tls-dev")]
use std::error::Error as _;
use std::future::Future;
#[cfg(feature = "demo")]
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::task::{JoinHandle, JoinSet};

use crate::cache::{Authority, Cache};
use crate::canary::{self, Alarm, Fake, Trust};
use crate::clock::Clock;
use crate::config::Config;
#[cfg(feature = "demo")]
use crate::demo::{self, Graph, Page};
#[cfg(feature = "tls-dev")]
use crate::development;
use crate::identity::Identity;
use crate::links::Links;
use crate::ops::admin::Admin;
#[cfg(feature = "otlp")]
use crate::ops::otlp;
use crate::ops::{self, Ops, Reloader, Served, Watched, notify, system};
use crate::proxy::{Proxy, Questions, Rooms};
use crate::render::RequestIds;
use crate::server::{self, Inherited, Listeners};
#[cfg(feature = "demo")]
use crate::server::{Certificate, TlsFiles};
use crate::upstream::{Gate, Limits, SetupError, Upstream};

/// How often what has ended is dropped from memory: moka does so only when it is called.
const MAINTENANCE: Duration = Duration::from_secs(5);

/// How often it is asked whether the development certificate nears its end.
#[cfg(feature = "tls-dev")]
const RENEWAL: Duration = if cfg!(test) {
    Duration::from_millis(20)
} else {
    Duration::from_secs(3_600)
};

/// Descriptors besides callers' connections: the way to Graph, the operator, the runtime.
const OTHER_DESCRIPTORS: u64 = 256;

/// Why the proxy could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client of Graph could not be set up.
    #[error("the way to graph could not be set up")]
    Upstream(#[from] SetupError),
    /// A listener could not be bound.
    #[error("a listener could not be bound")]
    Server(#[from] server::Error),
    /// The demo's simulated Graph or its page could not be bound.
    #[cfg(feature = "demo")]
    #[error("the demo could not be bound to {address}")]
    Demo {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The operator's listener could not be bound.
    #[error("the operator's listener could not be bound")]
    Admin(#[source] server::Error),
    /// The development certificate could not be made.
    #[cfg(feature = "tls-dev")]
    #[error(transparent)]
    Development(#[from] development::Error),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}

/// The proxy, bound to its addresses and not yet serving.
#[derive(Debug)]
pub struct App {
    proxy: Proxy,
    listeners: Listeners,
    admin: Option<Admin>,
    watched: Watched,
    addresses: Vec<(&'static str, String)>,
    config: Config,
    #[cfg(feature = "tls-dev")]
    development: Option<development::Prepared>,
    #[cfg(feature = "demo")]
    demo: Option<(Graph, Page)>,
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

    /// The same, where sockets that were handed over take the place of addresses.
    ///
    /// # Errors
    ///
    /// As [`App::bind`], and when the settings have no use for one of the sockets.
    pub fn bind_or_inherit(config: Config, inherited: Inherited) -> Result<Self, Error> {
        Self::make(config, Clock::system(), inherited)
    }

    /// The same, with a clock of the caller's choice.
    ///
    /// # Errors
    ///
    /// As [`App::bind`].
    pub fn bind_with(config: Config, clock: Clock) -> Result<Self, Error> {
        Self::make(config, clock, Inherited::default())
    }

    fn make(config: Config, clock: Clock, mut inherited: Inherited) -> Result<Self, Error> {
        enough_descriptors(&config);
        // Before the listener reads it.
        #[cfg(feature = "tls-dev")]
        let development = prepare_development(&config, &clock)?;
        let listeners = server::bind_or_inherit(&config.server, &mut inherited)?;
        let mut addresses: Vec<_> = listeners
            .addresses()
            .iter()
            .map(|address| match address {
                server::Address::Tls(_) => ("tls_listen", address.to_string()),
                _ => ("listen", address.to_string()),
            })
            .collect();
        let admin = match config.ops.admin {
            None => None,
            Some(address) => Some(bind_admin(&config, address, &mut inherited)?),
        };
        inherited.all_taken()?;
        addresses.extend(admin.as_ref().map(|admin| ("admin", admin.to_string())));
        #[cfg(feature = "tls-dev")]
        addresses.extend(
            development
                .as_ref()
                .map(|prepared| ("tls_ca", prepared.authority.display().to_string())),
        );
        let proxy = Proxy::new(rooms(&config, clock)?);
        let watched = Watched::new(
            Arc::clone(proxy.rooms()),
            listeners.connections(),
            config.server.max_connections,
            served(&listeners, admin.as_ref()),
            config.effective.clone(),
        );
        Ok(Self {
            proxy,
            listeners,
            admin,
            watched,
            addresses,
            config,
            #[cfg(feature = "tls-dev")]
            development,
            #[cfg(feature = "demo")]
            demo: None,
        })
    }

    /// Binds the proxy before a simulated Graph, and a page of faces that are fetched through
    /// it; over TLS, page and photos, where there is a TLS listener. Whatever upstream the
    /// settings name is left alone.
    ///
    /// # Errors
    ///
    /// As [`App::bind`], and when the demo's own listeners cannot be bound.
    #[cfg(feature = "demo")]
    pub fn bind_demo(mut config: Config) -> Result<Self, Error> {
        let failed = |address| move |source| Error::Demo { address, source };
        let settings = demo::Settings::demo();
        let graph = Graph::bind(settings.clone()).map_err(failed(settings.listen))?;
        config.upstream.base = graph.base_url().parse().map_err(|_| SetupError::Base)?;
        config.upstream.proxy = None;
        let (listen, tls) = (config.demo_listen, config.server.tls.clone());
        let mut app = Self::bind(config)?;
        // Looked at by browsers, which have no certificate of their own.
        let tls = tls.map(|tls| TlsFiles {
            client_ca: None,
            ..tls.files
        });
        let tls = tls.map(|files| Certificate::load(&files, server::EITHER));
        let tls = tls.transpose().map_err(server::Error::from)?;
        let wanted = tls.as_ref().map_or("listen", |_| "tls_listen");
        let proxy = app.addresses.iter().find(|(name, _)| *name == wanted);
        let proxy = proxy.map_or_else(String::new, |(_, address)| address.clone());
        let page = Page::start(&graph, proxy, listen, tls.map(|tls| tls.acceptor()))
            .map_err(failed(listen))?;
        app.addresses.push(("graph", graph.base_url()));
        app.addresses.push(("demo", page.url()));
        app.demo = Some((graph, page));
        Ok(app)
    }

    /// What is bound: the setting's name and the address as it is printed.
    pub fn addresses(&self) -> &[(&'static str, String)] {
        &self.addresses
    }

    /// What gives the running proxy other settings.
    pub fn reloader(&self) -> Reloader {
        Reloader::new(self.watched.clone())
    }

    /// What answers behind the listeners.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
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
        let rooms = Arc::clone(self.proxy.rooms());
        // They end with this future, and not before the drain has: until then the operator's
        // listener says that it goes on.
        let mut tasks = JoinSet::new();
        tasks.spawn(ops::watch_certificates(self.watched.clone()));
        if let Some(admin) = self.admin {
            tasks.spawn(admin.serve(self.watched));
        }
        // Before the first request: a proxy that mixes callers up must not serve from memory.
        check(&rooms, &self.config).await;
        tasks.spawn(maintain(Arc::clone(&rooms)));
        #[cfg(feature = "tls-dev")]
        tasks.spawn(renew_development(
            Arc::clone(&rooms),
            self.config.development.clone().zip(self.development),
        ));
        #[cfg(feature = "otlp")]
        if let Some(collector) = self.config.ops.otlp_endpoint.clone() {
            let rooms = Arc::clone(&rooms);
            tasks.spawn(async move { otlp::export(collector, rooms.ops.spans()).await });
        }
        let (ops, manager) = (Arc::clone(&rooms), self.config.ops.notify_socket.clone());
        tasks.spawn(keep_checking(rooms, self.config));
        let leaving = {
            let (rooms, manager) = (Arc::clone(self.proxy.rooms()), manager.clone());
            async move {
                shutdown.await;
                rooms.ops.leave();
                notify::tell(manager.as_deref(), notify::State::Stopping);
                tracing::info!("told to stop: answers in flight are finished");
            }
        };
        self.proxy.rooms().ops.serve();
        notify::tell(manager.as_deref(), notify::State::Ready);
        let drained = server::serve(self.listeners, self.proxy, leaving).await;
        ops.ops.spans().flush().await;
        drop(tasks);
        if !drained.is_complete() {
            tracing::warn!(
                cut = drained.cut,
                "connections were cut at the end of the drain"
            );
        }
        Ok(())
    }
}

/// The operator's listener, on a socket that was handed over or at its address.
fn bind_admin(
    config: &Config,
    address: SocketAddr,
    inherited: &mut Inherited,
) -> Result<Admin, Error> {
    let handed = inherited.tcp("admin")?;
    let token = config.ops.admin_token.clone();
    Admin::bind(address, token, config.ops.admin_tls.as_ref(), handed).map_err(Error::Admin)
}

/// The certificates of the listeners, each by the setting that opens its listener.
fn served(listeners: &Listeners, admin: Option<&Admin>) -> Vec<Served> {
    let callers = listeners.certificate().map(|it| ("tls_listen", it));
    let operators = admin.and_then(Admin::certificate).map(|it| ("admin", it));
    let all = callers.into_iter().chain(operators);
    all.map(|(listener, it)| (listener, Arc::clone(it)))
        .collect()
}

/// Says so where the system allows fewer open files than the settings allow connections: then
/// callers wait in the backlog long before `max_connections`, and calls to Graph fail.
fn enough_descriptors(config: &Config) {
    let wanted = config.server.max_connections as u64 + OTHER_DESCRIPTORS;
    if let Some(limit) = system::descriptor_limit().filter(|limit| *limit < wanted) {
        tracing::warn!(
            limit,
            wanted,
            "the limit on open files is below max_connections: raise it (LimitNOFILE=, ulimit -n) or lower the setting"
        );
    }
}

/// Makes the development certificate where one is wanted, and says how to trust it.
#[cfg(feature = "tls-dev")]
fn prepare_development(
    config: &Config,
    clock: &Clock,
) -> Result<Option<development::Prepared>, development::Error> {
    let Some(wanted) = &config.development else {
        return Ok(None);
    };
    let prepared = development::prepare(wanted, clock.now())?;
    tracing::info!("{}", prepared.advice());
    Ok(Some(prepared))
}

/// Makes the development certificate anew before it ends; the listener reads its file again by
/// itself.
#[cfg(feature = "tls-dev")]
async fn renew_development(
    rooms: Arc<Rooms>,
    prepared: Option<(server::Development, development::Prepared)>,
) {
    let Some((wanted, mut prepared)) = prepared else {
        return;
    };
    let mut timer = tokio::time::interval(RENEWAL);
    loop {
        timer.tick().await;
        let now = rooms.clock.now();
        if !prepared.wants_renewal(now) {
            continue;
        }
        let again = wanted.clone();
        let again = tokio::task::spawn_blocking(move || development::prepare(&again, now)).await;
        match again {
            Ok(Ok(again)) => {
                tracing::info!("{}", again.advice());
                prepared = again;
            }
            Ok(Err(error)) => {
                let source = error.source().map(ToString::to_string);
                tracing::warn!(%error, source, "the development certificate was not renewed");
            }
            Err(_) => return,
        }
    }
}

/// Drops what has ended, on a timer.
async fn maintain(rooms: Arc<Rooms>) {
    let mut timer = tokio::time::interval(MAINTENANCE);
    let mut sweeping = None::<JoinHandle<()>>;
    loop {
        timer.tick().await;
        // A walk through much takes longer than until the next time, and holds up nothing else.
        if sweeping.as_ref().is_none_or(JoinHandle::is_finished) && rooms.cache.wants_walk() {
            let rooms = Arc::clone(&rooms);
            sweeping = Some(tokio::task::spawn_blocking(move || {
                rooms.cache.sweep_doubted(rooms.clock.now(), &rooms.clock);
            }));
        }
        rooms.tidy();
    }
}

/// The rooms of these settings.
fn rooms(config: &Config, clock: Clock) -> Result<Rooms, Error> {
    let authority = Authority::of(&config.upstream.base.to_string());
    let gate = Gate::new(Limits {
        concurrency: config.upstream.concurrency,
        queue: config.upstream.queue,
        patience: config.upstream.first_byte_timeout,
        longest_wait: config.upstream.throttle_cap,
        longest_body: config.upstream.photo_timeout,
    });
    let mut process = [0; 8];
    rand::fill(&mut process).map_err(|_| Error::Randomness)?;
    Ok(Rooms {
        clock,
        identity: Identity::new(&config.identity),
        cache: Cache::new(config.cache.clone()),
        upstream: Upstream::new(&config.upstream)?,
        questions: Questions::new(authority, gate, &config.proxy),
        trust: Trust::default(),
        ops: Ops::new(&config.ops),
        ids: RequestIds::new(u64::from_be_bytes(process)),
        cache_status_key: config.proxy.cache_status_key,
        preflight: config.proxy.preflight.clone(),
        links: config
            .proxy
            .public
            .as_ref()
            .map(|public| Links::new(&config.upstream.base, public)),
    })
}

/// Lets the canary try rooms made as the serving ones were, and turns the cache off when it
/// raises an alarm.
async fn check(serving: &Rooms, config: &Config) {
    match try_rooms(config).await {
        Ok(()) => serving.ops.canary_sang(),
        Err(alarm @ Alarm::CrossHit { .. }) => {
            serving.ops.cross_identity_hit();
            serving.trust.lose();
            serving.cache.clear();
            tracing::error!(%alarm, "the canary saw a cross hit: nothing is served from memory any more");
        }
        Err(alarm @ Alarm::NotMade(_)) => tracing::warn!(%alarm, "the canary did not sing"),
    }
}

async fn try_rooms(config: &Config) -> Result<(), Alarm> {
    let fake = Fake::start().await?;
    let mut config = config.clone();
    config.upstream.base = fake.base();
    config.upstream.proxy = None;
    config.upstream.ca_file = None;
    config.ops.otlp_endpoint = None;
    let rooms = rooms(&config, Clock::system()).map_err(|_| Alarm::NotMade("no rooms"))?;
    canary::check(&Proxy::new(rooms)).await
}

async fn keep_checking(serving: Arc<Rooms>, config: Config) {
    let mut timer = tokio::time::interval(canary::INTERVAL);
    timer.tick().await; // The first is over at once, and made already.
    loop {
        timer.tick().await;
        check(&serving, &config).await;
    }
}
