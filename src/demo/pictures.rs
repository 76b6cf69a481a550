//! Which upload is everyone's picture now, and when a write begins to show.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::clock::Time;

/// One uploaded picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picture {
    /// Counts an owner's uploads, from 1.
    pub(super) upload: u64,
    /// Its side in pixels.
    pub(super) side: u32,
}

#[derive(Debug, Clone, Copy)]
struct Shelf {
    now: Option<Picture>,
    before: Option<Picture>,
    shows_from: Time,
    uploads: u64,
}

/// Everyone's picture; an owner that nobody wrote to still has the one it began with.
#[derive(Debug, Default)]
pub(super) struct Pictures(Mutex<HashMap<String, Shelf>>);

impl Pictures {
    /// What a reader sees.
    pub(super) fn get(&self, owner: &str, first: Option<u32>, now: Time) -> Option<Picture> {
        let shelves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match shelves.get(owner) {
            Some(held) if now < held.shows_from => held.before,
            Some(held) => held.now,
            None => first.map(begin),
        }
    }

    /// Puts a new picture, or none, in the place of the old one; the upload's number.
    pub(super) fn put(
        &self,
        owner: &str,
        first: Option<u32>,
        side: Option<u32>,
        now: Time,
        shows_from: Time,
    ) -> u64 {
        let before = self.get(owner, first, now);
        let mut shelves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let uploads = shelves
            .get(owner)
            .map_or(u64::from(first.is_some()), |held| held.uploads)
            + u64::from(side.is_some());
        let held = Shelf {
            now: side.map(|side| Picture {
                upload: uploads,
                side,
            }),
            before,
            shows_from,
            uploads,
        };
        shelves.insert(owner.to_owned(), held);
        uploads
    }
}

const fn begin(side: u32) -> Picture {
    Picture { upload: 1, side }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_write_shows_when_its_time_has_come() {
        let (pictures, now) = (Pictures::default(), Clock::by_hand().now());
        let later = now.plus(Duration::from_secs(5));
        assert_eq!(pictures.put("a", Some(240), Some(648), now, later), 2);
        assert_eq!(pictures.get("a", Some(240), now), Some(begin(240)));
        assert_eq!(pictures.get("a", Some(240), later).unwrap().upload, 2);
        pictures.put("a", Some(240), None, later, later);
        assert_eq!(pictures.get("a", Some(240), later), None);
        assert_eq!(pictures.put("a", Some(240), Some(96), later, later), 3);
    }
}
