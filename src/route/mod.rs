//! What is asked for: is it a photo, whose, which size, which view. Pure.
//!
//! First room of the walk: given a request's head, says [`Recognition`].
//!
//! The parser is strict and alone in deciding: whatever is odd is not a photo read and passes
//! through uncached. Recognising a *write* is lenient on purpose: a write that is missed would
//! leave an old photo standing, a write that is imagined costs one more question to Graph.
//!
//! Read [`owner`] for the words, then `path` with `key` and [`size`], then [`query`], and last
//! `write`.

mod key;
mod name;
pub mod owner;
mod path;
pub mod query;
pub mod size;
mod write;

#[cfg(test)]
mod tests;

use http::{HeaderMap, Method, Uri};

pub use owner::{Guid, Mailbox, ObjectId, OwnerKind, PhotoOwner, TeamPlace};
use path::Aspect;
use query::Fields;
pub use query::{MetadataLevel, Select, Variant};
pub use size::PhotoSize;

/// The version segment of a Graph URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiVersion {
    /// `/v1.0`
    V1,
    /// `/beta`
    Beta,
}

/// Which representation of the photo is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// The picture: `…/photo/$value`, `…/photos/{size}/$value`.
    Media,
    /// Its `profilePhoto` JSON: `…/photo`, `…/photos/{size}`.
    Metadata,
    /// All sizes: `…/photos`.
    List,
}

/// A read (GET or HEAD) of a photo, in the one form the cache may answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PhotoRequest {
    /// `v1.0` or `beta`.
    pub version: ApiVersion,
    /// Whose photo, as addressed.
    pub owner: PhotoOwner,
    /// Picture, metadata or list.
    pub view: View,
    /// The size asked for; [`PhotoSize::Largest`] on `/photo` and on lists.
    pub size: PhotoSize,
    /// What else shapes a JSON answer; always the default for [`View::Media`].
    pub variant: Variant,
    /// HEAD rather than GET.
    pub head: bool,
}

/// A request that may change a photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoWrite {
    /// Whose photo, where the path says so plainly; `None` when it is a photo path that cannot
    /// be read with certainty, so that every photo must be doubted.
    pub owner: Option<PhotoOwner>,
}

/// What a request turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognition {
    /// A photo read the cache may answer.
    Read(PhotoRequest),
    /// A photo write: passes through, and what is held of that owner ends with its success.
    Write(PhotoWrite),
    /// Several requests in one (`POST …/$batch`): its parts are for the batch room to read.
    /// `None` when its path, query or fields leave doubt about what Graph makes of it.
    Batch(Option<ApiVersion>),
    /// Anything else: passes through untouched.
    Other,
}

/// Says what a request is. Never fails and never panics, whatever the bytes.
///
/// `has_body` is whether the request carries a body (a GET with one is not a photo read). Only
/// the path and query of `target` are looked at.
pub fn recognise(
    method: &Method,
    target: &Uri,
    headers: &HeaderMap,
    has_body: bool,
) -> Recognition {
    if method == Method::OPTIONS {
        return Recognition::Other;
    }
    let fields = Fields::read(headers);
    if method == Method::POST && path::may_be_batch(target.path()) {
        let plain = target.query().is_none() && !fields.other_method && !fields.other_answer;
        return Recognition::Batch(path::batch(target.path()).filter(|_| plain));
    }
    if fields.other_method || !(method == Method::GET || method == Method::HEAD) {
        return write::read(method, target.path()).map_or(Recognition::Other, Recognition::Write);
    }
    if fields.other_answer || has_body {
        return Recognition::Other;
    }
    read(method == Method::HEAD, target, headers).map_or(Recognition::Other, Recognition::Read)
}

/// The photo read a plain GET or HEAD is, if it is one.
fn read(head: bool, target: &Uri, headers: &HeaderMap) -> Option<PhotoRequest> {
    let place = path::read(target.path())?;
    let Aspect::Photo(view, size) = place.aspect else {
        return None;
    };
    let variant = match (view, target.query()) {
        (View::Media, None | Some("")) => Variant::default(),
        (View::Media, Some(_)) => return None,
        (View::Metadata | View::List, query) => Variant::read(query, headers)?,
    };
    Some(PhotoRequest {
        version: place.version,
        owner: place.owner,
        view,
        size,
        variant,
        head,
    })
}
