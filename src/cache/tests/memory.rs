//! What is held is what is counted, and what has ended is gone.

use super::super::keep::Answered;
use super::super::{Authority, Cache, CurrentKey, Key, Place};
use super::*;
use crate::identity::Partition;
use crate::route::{ApiVersion, PhotoOwner, PhotoSize, Variant, View};

/// Where the photo of the person of that number belongs.
pub(super) fn place(number: u16) -> Place {
    let [high, low] = number.to_be_bytes();
    let (tenant, mut person) = (Guid([2; 16]), [0; 16]);
    person[0] = high;
    person[1] = low;
    let (id, authority) = (
        ObjectId::Guid(Guid(person)),
        Authority::of("https://graph.test"),
    );
    let (space, own) = (Space::Tenant(tenant), Partition::Tenant(tenant));
    Place {
        keys: vec![Key {
            partition: own,
            owner: PhotoOwner::User(id.clone()),
            view: View::Media,
            size: PhotoSize::Largest,
            variant: Variant::default(),
            version: ApiVersion::V1,
            authority,
        }],
        current: Some(CurrentKey {
            space,
            subject: Subject::User(id.clone()),
            size: PhotoSize::Largest,
            version: ApiVersion::V1,
            authority,
        }),
        own,
        subject: Subject::User(id),
        space,
        view: View::Media,
    }
}

fn keep(cache: &Cache, number: u16, fields: &HeaderMap) {
    let answered = Answered {
        status: StatusCode::OK,
        fields,
        bytes: Bytes::from_static(b"\xff\xd8\xff a face \xff\xd9"),
        asked: NOW,
        born: Born::default(),
    };
    let kept = cache.keep(&place(number), Kind::Media, answered, None, NOW);
    assert_eq!(kept.not_stored, None);
}

#[test]
fn a_stored_field_does_not_keep_the_buffer_it_was_read_into() {
    // As a connection yields it: a slice of all that was read at once.
    let read = Bytes::from(b"image/jpeg".repeat(6_000));
    let value = HeaderValue::from_maybe_shared(read.slice(..10)).unwrap();
    let mut fields = HeaderMap::new();
    fields.insert("content-type", value.clone());
    fields.insert("etag", value);
    assert!(!read.is_unique());
    let cache = Cache::new(config());
    keep(&cache, 1, &fields);
    drop(fields);
    assert!(read.is_unique(), "what is held holds the buffer too");
}

#[test]
fn what_is_cleared_is_gone_at_once_however_much_it_was() {
    let cache = Cache::new(Config {
        memory: 1 << 30,
        ..config()
    });
    let fields = fields(&[("content-type", "image/jpeg"), ("etag", "\"1\"")]);
    for number in 0..3_000 {
        keep(&cache, number, &fields);
    }
    cache.maintain(NOW);
    assert_eq!(cache.held().0, 9_000);
    cache.clear();
    assert_eq!(cache.held(), (0, 0));
}
