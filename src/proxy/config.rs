//! The narrator's part of the settings.

/// The narrator's part of the settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Callers that may wait for Graph at once.
    pub waiting_callers: usize,
    /// Whether `Cache-Status` names the key.
    pub cache_status_key: bool,
    /// Whether "no photo" of one size is taken for the other sizes too.
    pub infer_absent: bool,
    /// Whether a photo that is asked for often is refreshed shortly before it expires.
    pub refresh_ahead: bool,
}
