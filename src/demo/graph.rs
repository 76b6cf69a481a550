//! A running simulator, and everything a test can tell it.

use std::borrow::Borrow;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::faces::Mark;
use super::faults::{Fault, Hold};
use super::record::Seen;
use super::service::{self, Core};
use super::settings::{RetryAfter, Settings};
use super::tenant::Tenant;
use super::tokens::TokenSpec;
use super::wire::{Instead, Wire};

/// A simulated Microsoft Graph, listening. Dropping it ends it and every connection.
#[derive(Debug)]
pub struct Graph {
    core: Arc<Core>,
    address: SocketAddr,
    secure: bool,
    task: AbortHandle,
}

impl Graph {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If the address cannot be bound; [`Graph::bind`] returns that instead.
    #[expect(
        clippy::panic,
        reason = "a test that has no Graph cannot go on, and the message says why"
    )]
    pub fn start(settings: Settings) -> Self {
        match Self::bind(settings) {
            Ok(graph) => graph,
            Err(error) => panic!("the simulated Graph cannot listen: {error}"),
        }
    }

    /// Starts one, within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(settings.listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let tls = settings.tls.clone().map(TlsAcceptor::from);
        let secure = tls.is_some();
        let core = Arc::new(Core::new(settings));
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&core))).abort_handle();
        Ok(Self {
            core,
            address,
            secure,
            task,
        })
    }

    /// What the page of faces shares with it.
    pub(super) fn core(&self) -> Arc<Core> {
        Arc::clone(&self.core)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL, without a slash at its end.
    pub fn base_url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Who lives there.
    pub fn tenant(&self) -> &Tenant {
        &self.core.tenant
    }

    /// Changes how it behaves from now on; the tenant and the listener stay as they are.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(
            &mut self
                .core
                .settings
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// Tokens.
impl Graph {
    /// Issues a token; it is good from now until it expires or is revoked.
    pub fn issue(&self, spec: impl Borrow<TokenSpec>) -> String {
        let now = self.core.settings().clock.now();
        self.core
            .tokens
            .issue(spec.borrow(), &self.core.tenant, now)
    }

    /// Makes a token bad from now on.
    pub fn revoke(&self, token: &str) {
        self.core.tokens.revoke(token);
    }

    /// Every token issued so far, good or not.
    pub fn issued(&self) -> Vec<String> {
        self.core.tokens.all()
    }

    /// The number by which [`Seen::token`] names this token.
    pub fn token_number(&self, token: &str) -> Option<u64> {
        self.core.tokens.number(token)
    }

    /// From now on 403 to that person (or application) for that owner's photo, whatever the
    /// token allows.
    pub fn forbid(&self, who: &str, owner: &str) {
        let pair = (who.to_owned(), owner.to_owned());
        self.core
            .forbidden
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(pair);
    }

    /// Takes every [`Graph::forbid`] back.
    pub fn forgive(&self) {
        self.core
            .forbidden
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// What it saw.
impl Graph {
    /// Every request so far, preflights and parts of batches among them.
    pub fn seen(&self) -> Vec<Seen> {
        self.core.record.seen()
    }

    /// How many requests, preflights left out; a batch is one.
    pub fn count(&self) -> u64 {
        self.core.record.calls.load(Ordering::Relaxed)
    }

    /// How many requests were about photos, parts of batches among them.
    pub fn photo_calls(&self) -> u64 {
        self.core.record.photo_calls.load(Ordering::Relaxed)
    }

    /// How many times a photo's bytes were the answer, even if they were then spoilt.
    pub fn downloads(&self) -> u64 {
        self.core.record.downloads.load(Ordering::Relaxed)
    }

    /// How many requests were refused with 429.
    pub fn throttled(&self) -> u64 {
        self.core.record.throttled.load(Ordering::Relaxed)
    }

    /// Bytes of request bodies received so far, those still coming included.
    pub fn bytes_received(&self) -> u64 {
        self.core.record.received.load(Ordering::Relaxed)
    }

    /// Bytes written to connections since the start, heads and TLS plaintext included.
    pub fn bytes_sent(&self) -> u64 {
        self.core.sent.load(Ordering::Relaxed)
    }

    /// Forgets what it saw and begins to count anew.
    pub fn clear_seen(&self) {
        self.core.record.clear();
    }
}

/// What changes at Graph behind everybody's back.
impl Graph {
    /// Gives an owner (by id) a new picture of 648 pixels; the upload's number.
    pub fn upload(&self, owner: &str) -> u64 {
        self.replace(owner, Some(648))
    }

    /// Gives an owner a new picture of that side.
    pub fn upload_sized(&self, owner: &str, side: u32) -> u64 {
        self.replace(owner, Some(side))
    }

    /// Takes an owner's picture away.
    pub fn remove_photo(&self, owner: &str) {
        self.replace(owner, None);
    }

    fn replace(&self, owner: &str, side: Option<u32>) -> u64 {
        let settings = self.core.settings();
        let now = settings.clock.now();
        let first = self.first_side(owner);
        let shows_from = now.plus(settings.visibility_delay);
        self.core.pictures.put(owner, first, side, now, shows_from)
    }

    /// The side of the picture an owner began with.
    fn first_side(&self, owner: &str) -> Option<u32> {
        let tenant = &self.core.tenant;
        let people = tenant.people.iter().map(|one| (&one.id, one.photo));
        let groups = tenant.groups.iter().map(|one| (&one.id, one.photo));
        let contacts = tenant.contacts.iter().map(|one| (&one.id, one.photo));
        people
            .chain(groups)
            .chain(contacts)
            .find(|(id, _)| *id == owner)
            .and_then(|(_, first)| first)
    }

    /// The picture an owner (by id) has now, whoever may see it.
    pub fn photo_of(&self, owner: &str) -> Option<Mark> {
        let now = self.core.settings().clock.now();
        let first = self.first_side(owner);
        let picture = self.core.pictures.get(owner, first, now)?;
        Some(Mark {
            owner: owner.to_owned(),
            upload: picture.upload,
            side: picture.side,
        })
    }
}

/// What goes wrong on command.
impl Graph {
    /// Spoils the next answer, whatever it is to.
    pub fn next(&self, fault: Fault) {
        self.core.script.add(None, 1, fault);
    }

    /// Spoils the next so many answers.
    pub fn next_n(&self, times: usize, fault: Fault) {
        self.core.script.add(None, times, fault);
    }

    /// Spoils every answer to paths that begin so, in any case.
    pub fn on(&self, path: &str, fault: Fault) {
        self.core.script.add(Some(path), usize::MAX, fault);
    }

    /// Spoils the next answer to a path that begins so.
    pub fn once(&self, path: &str, fault: Fault) {
        self.core.script.add(Some(path), 1, fault);
    }

    /// Takes every scripted fault back.
    pub fn clear_faults(&self) {
        self.core.script.clear();
    }

    /// Answers 429 to everyone for that long, and says so in that form.
    pub fn throttle_for(&self, time: Duration, form: RetryAfter) {
        let until = self.core.settings().clock.now().plus(time);
        self.core.limits.ban(None, until, form);
    }

    /// Answers 429 to one application for that long.
    pub fn throttle_app_for(&self, application: &str, time: Duration, form: RetryAfter) {
        let until = self.core.settings().clock.now().plus(time);
        self.core.limits.ban(Some(application), until, form);
    }

    /// Ends what [`Graph::throttle_for`] began.
    pub fn end_throttling(&self) {
        self.core.limits.pardon();
    }

    /// Holds every answer back from now on.
    pub fn hold(&self) -> Hold {
        self.core.script.hold(None, false)
    }

    /// Holds the answers to paths that begin so.
    pub fn hold_on(&self, path: &str) -> Hold {
        self.core.script.hold(Some(path), false)
    }

    /// Holds the answers to every GET and HEAD back; writes are answered.
    pub fn hold_reads(&self) -> Hold {
        self.core.script.hold(None, true)
    }

    /// Sends a piece to every open `/v1.0/events`; how many streams got it.
    pub fn send_event(&self, piece: impl Into<Bytes>) -> usize {
        self.core.events.send(&piece.into())
    }

    /// Ends every open `/v1.0/events`.
    pub fn end_events(&self) {
        self.core.events.end();
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts until aborted; the connections end with it.
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, core: Arc<Core>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (tls, core) = (tls.clone(), Arc::clone(&core));
        connections.spawn(connect(stream, tls, core));
    }
}

async fn connect(stream: TcpStream, tls: Option<TlsAcceptor>, core: Arc<Core>) {
    // A delay here would show in every figure; a refusal to set it changes nothing else.
    let _ = stream.set_nodelay(true);
    match tls {
        None => converse(stream, core).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                converse(stream, core).await;
            }
        }
    }
}

async fn converse<S>(stream: S, core: Arc<Core>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let instead = Instead::default();
    let wire = Wire::new(stream, instead.clone(), Arc::clone(&core.sent));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(256 << 10);
    let service =
        service_fn(move |request| service::serve(Arc::clone(&core), instead.clone(), request));
    // How a connection ends is the caller's affair: tests look at the other side.
    let _ = builder.serve_connection(TokioIo::new(wire), service).await;
}
