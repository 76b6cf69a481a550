//! The narrator's part of the settings.

use http::Uri;

use super::Preflight;

/// The narrator's part of the settings.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the operator's, independent of the others"
)]
#[derive(Debug, Clone)]
pub struct Config {
    /// Callers that may wait for Graph at once.
    pub waiting_callers: usize,
    /// Whether `Cache-Status` names the key.
    pub cache_status_key: bool,
    /// Who answers preflights of photo reads.
    pub preflight: Preflight,
    /// The proxy's own address, where links to Graph are to lead there.
    pub public: Option<Uri>,
    /// Whether "no photo" of the largest size is taken for the other sizes too, and of the
    /// metadata for the picture that somebody else has not found either.
    pub infer_absent: bool,
    /// Whether a picture's tag and the tag in its metadata speak for each other.
    pub infer_etag: bool,
    /// Whether a picture may be verified by its metadata instead of by itself.
    pub verify_by_metadata: bool,
    /// Whether a picture held by an object id answers for the principal name of the same person.
    pub infer_names: bool,
    /// Whether held faces wait for Graph's first word about a token.
    pub first_word: bool,
    /// Whether a photo that is asked for often is refreshed shortly before it expires.
    pub refresh_ahead: bool,
    /// Whether Graph is asked for the ids and names of a whole directory (`sharing = "tenant"`).
    pub ask_names: bool,
}
