//! What one answer says about another, where that saves a call and cannot lie.
//!
//! *"No photo" of the largest size is "no photo" of every size.* Graph: `/photo` is the largest
//! there is, and smaller sizes are made of it; who has none has none of any size, and an owner
//! that is not there has no photos either. The answer that is given is Graph's own, to this
//! partition, of the same view, within its lifetime. A missing *size* says nothing about
//! another, a picture nothing about its metadata (which may be a 404 or the 1x1 shape), and
//! owners without sizes (contacts, teams) are left out: Graph answers their sizes with 400.
//!
//! *A list that names the sizes settles those it does not name* is not built: what would be
//! said of a missing size is Graph's to word, and we hold no such answer.
//!
//! What tags say is in [`verify`](super::verify).

use http::StatusCode;

use super::Rooms;
use super::wanted::Facts;
use crate::cache::{Held, Kind, Lookup};
use crate::clock::Time;
use crate::route::{OwnerKind, PhotoSize, View};

impl Rooms {
    /// "No photo" of the largest size, where a size is asked for that nothing is held of, or
    /// nothing but "no photo" that has grown old.
    pub(super) fn inferred_absent(&self, facts: &Facts, now: Time) -> Option<Held> {
        let has_sizes = matches!(facts.owner.kind(), OwnerKind::User | OwnerKind::Group);
        let sized = facts.photo.size != PhotoSize::Largest && facts.photo.view != View::List;
        if !self.questions.infer_absent || !sized || !has_sizes {
            return None;
        }
        facts.readable().find_map(|key| {
            let mut largest = key.clone();
            largest.size = PhotoSize::Largest;
            match self.cache.lookup(&largest, facts.own, now) {
                Lookup::Fresh(held) => Some(held),
                _ => None,
            }
            .filter(|held| {
                held.response.kind == Kind::Absent && held.response.status == StatusCode::NOT_FOUND
            })
        })
    }
}
