//! Settings of the narrator.

/// Settings of the narrator.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many callers may wait for somebody else's question in all.
    pub waiting_callers: usize,
}
