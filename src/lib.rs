//! A caching reverse proxy for Microsoft Graph profile photos.
//!
//! The rooms below stand in the order a request meets them. Start with [`proxy`]: it tells
//! the whole story of one request, top to bottom, and calls each room once.

#![forbid(unsafe_code)]

// The wiring: the only place that names every room's constructor.
pub mod app;

// The listeners: accept, front checks, limits, timeouts, draining.
pub mod server;

// The narrator: one request from recognition to reply.
pub mod proxy;

// Beside the narrator: several requests in one, taken apart and put together.
pub mod batch;

// Beside the narrator: links to Graph in what passes through, made links to the proxy.
pub mod links;

// 1. What is asked for: is it a photo, whose, which size, which view.
pub mod route;

// 2. Who asks, what Graph has said about them, and who may share an answer.
pub mod identity;

// 3. What is held, and whether it may still be served.
pub mod cache;

// 4. Asking Graph, once.
pub mod upstream;

// 5. The reply.
pub mod render;

// A standing check that no caller is given another's photo.
pub mod canary;

// Who goes first on a thread.
mod precedence;

// What the operator sees.
pub mod ops;

// Settings: flags, environment, file, defaults.
pub mod config;

// The only reader of system time.
pub mod clock;

// A certificate for development, and the CA that has signed it.
#[cfg(feature = "tls-dev")]
pub mod development;

// A simulated Microsoft Graph and a page of faces, for looking and for tests.
#[cfg(feature = "demo")]
pub mod demo;
