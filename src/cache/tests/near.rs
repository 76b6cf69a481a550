//! The short way leads to what the store holds, and to nothing else.

use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use proptest::prelude::*;

use super::super::keep::Answered;
use super::super::{Cache, Key, Lookup, Place};
use super::memory::place;
use super::*;
use crate::identity::Partition;

/// Keeps a picture that says which of all it is.
fn keep(cache: &Cache, person: u16, upload: u16, now: Time) {
    keep_at(cache, &place(person), upload, now);
}

fn keep_at(cache: &Cache, place: &Place, upload: u16, now: Time) {
    let fields = fields(&[
        ("content-type", "image/jpeg"),
        ("etag", &format!("\"{upload}\"")),
    ]);
    let answered = Answered {
        status: StatusCode::OK,
        fields: &fields,
        bytes: Bytes::from(picture(upload)),
        asked: now,
        born: cache.doubts.born(),
    };
    let kept = cache.keep(place, Kind::Media, answered, None, now);
    assert_eq!(kept.not_stored, None);
}

fn picture(upload: u16) -> Vec<u8> {
    [b"\xff\xd8\xff", &upload.to_be_bytes()[..], b"\xff\xd9"].concat()
}

/// Which upload is found.
fn found(cache: &Cache, person: u16, now: Time) -> Option<u16> {
    let place = place(person);
    match cache.lookup(place.keys.first()?, place.own, now) {
        Lookup::Fresh(held) => {
            let upload = [*held.bytes.get(3)?, *held.bytes.get(4)?];
            assert_eq!(**held.bytes, picture(u16::from_be_bytes(upload)));
            Some(u16::from_be_bytes(upload))
        }
        Lookup::Stale(_) | Lookup::Expired(_) | Lookup::Doubted(_) | Lookup::Miss => None,
    }
}

fn end(cache: &Cache, person: u16) {
    let place = place(person);
    let slots = &cache.slots;
    for key in &place.keys {
        slots.invalidate(&super::super::slots::RefKey::Response(key));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Keep(u16),
    Find(u16),
    End(u16),
    Clear,
    Maintain,
    Later(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let person = || 0..4_u16;
    prop::collection::vec(
        prop_oneof![
            4 => person().prop_map(Step::Keep),
            8 => person().prop_map(Step::Find),
            2 => person().prop_map(Step::End),
            1 => Just(Step::Clear),
            1 => Just(Step::Maintain),
            2 => (0..20_u64).prop_map(Step::Later),
        ],
        1..60,
    )
}

proptest! {
    /// Against a map: the last upload that was kept and not ended, whichever way it is found.
    #[test]
    fn what_is_found_is_what_was_kept_last(steps in steps()) {
        let cache = Cache::new(Config {
            photo_ttl: Duration::from_hours(24),
            ..config()
        });
        let mut known = [None; 4];
        let (mut now, mut upload) = (NOW, 0);
        for step in steps {
            match step {
                Step::Keep(person) => {
                    upload += 1;
                    keep(&cache, person, upload, now);
                    known[usize::from(person)] = Some(upload);
                }
                Step::Find(person) => {
                    prop_assert_eq!(found(&cache, person, now), known[usize::from(person)]);
                }
                Step::End(person) => {
                    end(&cache, person);
                    known[usize::from(person)] = None;
                }
                Step::Clear => {
                    cache.clear();
                    known = [None; 4];
                }
                Step::Maintain => cache.maintain(now),
                Step::Later(minutes) => now = now.plus(Duration::from_mins(minutes)),
            }
        }
    }
}

/// One replaces and ends, the others look: nobody finds what was replaced or ended before it
/// looked.
#[test]
fn nobody_finds_what_was_replaced_before_it_looked() {
    const UPLOADS: u16 = 20_000;
    let cache = Cache::new(config());
    let (kept, ended) = (AtomicU16::new(0), AtomicU16::new(0));
    keep(&cache, 0, 0, NOW);
    thread::scope(|scope| {
        for looker in 0..2_u64 {
            let (cache, kept, ended) = (&cache, &kept, &ended);
            scope.spawn(move || {
                let mut at = looker;
                while kept.load(Ordering::SeqCst) < UPLOADS {
                    // Past the moment at which the store is asked again, now and then.
                    at += 1;
                    let now = NOW.plus(Duration::from_secs(at % 1_200));
                    let least = kept.load(Ordering::SeqCst);
                    let gone = ended.load(Ordering::SeqCst);
                    if let Some(upload) = found(cache, 0, now) {
                        assert!(upload >= least && upload >= gone, "{upload} after {least}");
                    }
                }
            });
        }
        for upload in 1..=UPLOADS {
            if upload % 3 == 0 {
                end(&cache, 0);
                ended.store(upload, Ordering::SeqCst);
            }
            keep(&cache, 0, upload, NOW);
            kept.store(upload, Ordering::SeqCst);
        }
    });
    assert_eq!(found(&cache, 0, NOW), Some(UPLOADS));
}

#[test]
fn what_memory_had_no_room_for_is_found_on_no_way() {
    let cache = Cache::new(Config {
        memory: 1 << 16,
        ..config()
    });
    for person in 0..500 {
        keep(&cache, person, person, NOW);
        found(&cache, person, NOW);
    }
    cache.maintain(NOW);
    let left = (0..500)
        .filter(|person| found(&cache, *person, NOW).is_some())
        .count();
    let (entries, _) = cache.held();
    assert!(left > 0 && left as u64 <= entries, "{left} of {entries}");
}

/// A store with room for some forty pictures.
fn small() -> Cache {
    Cache::new(Config {
        memory: 1 << 17,
        ..config()
    })
}

#[test]
fn what_is_asked_for_all_the_time_outlives_what_is_asked_for_once() {
    let cache = small();
    keep(&cache, 0, 7, NOW);
    // All in one moment: only what goes from the store tells of time.
    for person in 1..500 {
        assert_eq!(found(&cache, 0, NOW), Some(7), "before {person}");
        keep(&cache, person, 1, NOW);
        found(&cache, person, NOW);
        cache.maintain(NOW);
    }
    assert_eq!(found(&cache, 1, NOW), None, "there was room for all");
}

#[test]
fn each_key_of_an_answer_is_known_to_be_asked_for() {
    let cache = small();
    let (both, other) = (place(0), Partition::Tenant(Guid([9; 16])));
    let shared = Key {
        partition: other,
        ..both.keys[0].clone()
    };
    let both = Place {
        keys: vec![both.keys[0].clone(), shared],
        ..both
    };
    keep_at(&cache, &both, 7, NOW);
    let mut now = NOW;
    for person in 1..200 {
        // The first key is always asked for first.
        for key in &both.keys {
            let lookup = cache.lookup(key, key.partition, now);
            assert!(matches!(lookup, Lookup::Fresh(_)), "before {person}");
        }
        keep(&cache, person, 1, now);
        cache.maintain(now);
        now = now.plus(Duration::from_secs(8));
    }
}
