//! The wiring.

use std::future::Future;

use crate::config::Config;

/// Why the proxy could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {}

/// The proxy, bound to its addresses and not yet serving.
#[derive(Debug)]
pub struct App {
    addresses: Vec<(&'static str, String)>,
}

impl App {
    /// Binds every listener. Dropping the future binds nothing.
    ///
    /// # Errors
    /// When a listener cannot be bound.
    #[expect(clippy::unused_async, reason = "binding awaits")]
    pub async fn bind(config: Config) -> Result<Self, Error> {
        drop(config);
        Ok(Self {
            addresses: Vec::new(),
        })
    }

    /// What is bound: the setting's name and the address as it is printed.
    pub fn addresses(&self) -> &[(&'static str, String)] {
        &self.addresses
    }

    /// Serves until `shutdown` is done, then drains. Dropping the future ends every connection.
    ///
    /// # Errors
    /// When a listener fails for good.
    pub async fn run(self, shutdown: impl Future) -> Result<(), Error> {
        shutdown.await;
        Ok(())
    }
}
