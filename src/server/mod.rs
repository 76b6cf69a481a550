//! The listeners: accept, front checks, limits, timeouts, draining. The only user of HTTP in.

mod config;

pub use config::{Config, Listen, Tls};

use crate::render::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use std::future::Future;

/// What the listeners put behind every connection.
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers one request that has passed the front checks.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}
