//! What recognition must say, as tables and as properties.

mod negotiation;
mod passes;
mod properties;
mod reads;
mod writes;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::{ApiVersion, Guid, Mailbox, ObjectId, PhotoOwner, PhotoRequest, PhotoSize};
use super::{Recognition, TeamPlace, Variant, View, recognise};

/// The routes of Graph's public metadata and documentation, one a line.
const ROUTES: &str = include_str!("../../../tests/data/graph-photo-routes.v1.0.tsv");

const USER: &str = "11111111-2222-4333-8444-555555555555";
const GROUP: &str = "22222222-3333-4444-8555-666666666666";
const TEAM: &str = "33333333-4444-4555-8666-777777777777";
const CONTACT: &str = "AAMkAGExample_Contact-0001AAA=";
const FOLDER: &str = "AAMkAGExample_Folder-0001AAA=";
const INNER_FOLDER: &str = "AAMkAGExample_Folder-0002AAA=";

fn uri(target: &str) -> Uri {
    target
        .parse()
        .unwrap_or_else(|_| panic!("not a request target: {target}"))
}

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

/// A GET without fields or body.
fn get(target: &str) -> Recognition {
    get_with(target, &[])
}

fn get_with(target: &str, fields: &[(&str, &str)]) -> Recognition {
    recognise(&Method::GET, &uri(target), &headers(fields), false)
}

/// The photo read that a GET is.
#[track_caller]
fn read(target: &str) -> PhotoRequest {
    match get(target) {
        Recognition::Read(request) => request,
        other => panic!("{target} is {other:?}"),
    }
}

fn guid(text: &str) -> ObjectId {
    ObjectId::Guid(Guid::parse(text).unwrap())
}

fn upn(text: &str) -> ObjectId {
    ObjectId::Upn(text.into())
}

fn media(owner: PhotoOwner) -> PhotoRequest {
    PhotoRequest {
        version: ApiVersion::V1,
        owner,
        view: View::Media,
        size: PhotoSize::Largest,
        variant: Variant::default(),
        head: false,
    }
}

const SIZE_48: PhotoSize = PhotoSize::Sized {
    width: 48,
    height: 48,
};
