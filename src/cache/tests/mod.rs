//! Tables and properties of the pure parts of this room.

mod admission;
mod demand;
mod doubt;
mod freshness;
mod memory;
mod near;
mod oracle;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Born;
use super::config::{CallerDirectives, Config, UpstreamDirectives};
use super::fields::StoredFields;
use super::freshness::Freshness;
use super::stored::{Kind, StoredBody, StoredResponse};
use crate::clock::Time;
use crate::identity::{Space, Subject};
use crate::route::{Guid, ObjectId};

/// 2026-01-01T00:00:00Z.
const NOW: Time = Time::new(Duration::from_secs(1_000), Duration::from_hours(490_896));
const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

fn config() -> Config {
    Config {
        photo_ttl: Duration::from_hours(1),
        absent_ttl: Duration::from_mins(10),
        stale_while_revalidate: Duration::from_mins(1),
        stale_if_error: Duration::from_mins(2),
        memory: 1 << 20,
        max_photo: 1 << 20,
        caller_directives: CallerDirectives::Honour,
        upstream_directives: UpstreamDirectives::Honour,
    }
}

fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_static(name);
        fields.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    fields
}

/// An answer with these fields, received at [`NOW`].
fn stored(config: &Config, lines: &[(&'static str, &str)]) -> StoredResponse {
    let fields = fields(lines);
    let freshness = Freshness::of(config, Kind::Media, &fields, NOW, 0.0);
    StoredResponse {
        status: StatusCode::OK,
        kind: Kind::Media,
        fields: StoredFields::of(&fields),
        body: StoredBody::Inline(Bytes::new()),
        length: 0,
        asked: NOW,
        freshness,
        born: Born::default(),
        subject: Subject::User(ObjectId::Guid(Guid([1; 16]))),
        space: Space::Tenant(Guid([2; 16])),
        popularity: crate::cache::stored::Popularity::default(),
    }
}
