//! `POST /purge`: ends what is held of an owner, of a tenant, or of everyone.

use std::time::Duration;

use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::admin::{Answer, json_page, problem};
use super::watched::Watched;
use crate::cache::Purged;
use crate::route::Guid;

/// The largest body.
const LARGEST: usize = 16 * 1024;
/// To the end of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Exactly one of the three.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    owner: Option<String>,
    tenant: Option<String>,
    everything: Option<bool>,
}

/// What to end.
enum What {
    Owner(String),
    Tenant(Guid),
    Everything,
}

impl Order {
    fn what(self) -> Option<What> {
        match (self.owner, self.tenant, self.everything) {
            (Some(owner), None, None) if !owner.is_empty() => Some(What::Owner(owner)),
            (None, Some(tenant), None) => Guid::parse(&tenant).map(What::Tenant),
            (None, None, Some(true)) => Some(What::Everything),
            _ => None,
        }
    }
}

/// Whether the body is said to be JSON, with parameters or without. No form can send this type, and
/// no script of another origin without leave (Fetch, CORS-safelisted request-header).
fn is_json(fields: &HeaderMap) -> bool {
    let mut kinds = fields.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return false;
    };
    let essence = kind.as_bytes().split(|byte| *byte == b';').next();
    essence.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/json"))
}

/// Purges, or says what is wrong with the order.
pub(super) async fn answer(watched: &Watched, request: Request<Incoming>) -> Answer {
    if !is_json(request.headers()) {
        return problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type must be application/json",
        );
    }
    let body = Limited::new(request.into_body(), LARGEST).collect();
    let Ok(Ok(body)) = tokio::time::timeout(PATIENCE, body).await else {
        return problem(
            StatusCode::BAD_REQUEST,
            "the body broke off or is too large",
        );
    };
    let order = serde_json::from_slice::<Order>(&body.to_bytes()).ok();
    let Some(what) = order.and_then(Order::what) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "one of {\"owner\":\"id or name\"}, {\"tenant\":\"GUID\"}, {\"everything\":true}",
        );
    };
    let rooms = std::sync::Arc::clone(&watched.rooms);
    let name = match &what {
        What::Owner(_) => "owner",
        What::Tenant(_) => "tenant",
        What::Everything => "everything",
    };
    // It walks through everything held: not on a thread that answers callers.
    let purge = move || match what {
        What::Owner(owner) => rooms
            .cache
            .purge_owner(&owner, rooms.clock.now(), &rooms.clock),
        What::Tenant(tenant) => rooms.cache.purge_tenant(tenant, &rooms.clock),
        What::Everything => rooms.cache.purge_everything(),
    };
    let Ok(Purged { entries, bytes }) = tokio::task::spawn_blocking(purge).await else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "the purge broke off");
    };
    tracing::info!(what = name, entries, bytes, "purged");
    json_page(
        StatusCode::OK,
        &json!({ "purged": name, "entries": entries, "bytes": bytes }),
    )
}
