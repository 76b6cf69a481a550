//! The outer answer of a batch, and what its `Cache-Status` says of the photos inside.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::reply::{RequestIds, allow_other_origins, client_request_id};
use super::{Body, Forward};

/// What became of the photos of one batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchStatus {
    /// How many there were.
    pub photos: usize,
    /// How many of them were answered from memory.
    pub held: usize,
    /// How many of Graph's answers were stored.
    pub stored: usize,
    /// What Graph answered to the rest; `None` when nothing was left to ask.
    pub forward_status: Option<StatusCode>,
}

impl BatchStatus {
    /// The `Cache-Status` member (RFC 9211 §2): a hit when Graph was not asked at all.
    pub fn field(&self) -> HeaderValue {
        let mut text = String::from("graph-photo-proxy; ");
        match self.forward_status {
            None => text.push_str("hit"),
            Some(status) => {
                let why = Forward::Miss.token();
                let _ = write!(text, "fwd={why}; fwd-status={}", status.as_u16());
            }
        }
        if self.stored > 0 {
            text.push_str("; stored");
        }
        let _ = write!(text, "; detail=\"{} of {} held\"", self.held, self.photos);
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("graph-photo-proxy"))
    }

    /// The answer to a batch of which nothing was left to ask Graph.
    pub fn reply(&self, json: String, request: &HeaderMap, ids: &RequestIds) -> Response<Body> {
        let length = HeaderValue::from(json.len());
        let mut reply = Response::new(Body::whole(Bytes::from(json)));
        let fields = reply.headers_mut();
        let id = HeaderValue::try_from(ids.next()).ok();
        let client_id = client_request_id(request).or_else(|| id.clone());
        let json = HeaderValue::from_static("application/json");
        let private = HeaderValue::from_static("private, no-store");
        fields.insert(header::CONTENT_TYPE, json);
        fields.insert(header::CONTENT_LENGTH, length);
        fields.insert(header::CACHE_CONTROL, private);
        fields.extend(id.map(|id| (HeaderName::from_static("request-id"), id)));
        fields.extend(client_id.map(|id| (HeaderName::from_static("client-request-id"), id)));
        self.mark(fields, request);
        reply
    }

    /// Says in the fields of an answer of Graph what became of the photos inside.
    pub fn mark(&self, fields: &mut HeaderMap, request: &HeaderMap) {
        fields.insert(HeaderName::from_static("cache-status"), self.field());
        allow_other_origins(request, fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_hit_only_when_graph_was_not_asked() {
        let mut status = BatchStatus {
            photos: 20,
            held: 20,
            ..BatchStatus::default()
        };
        assert_eq!(
            status.field(),
            "graph-photo-proxy; hit; detail=\"20 of 20 held\""
        );
        status.held = 12;
        status.stored = 8;
        status.forward_status = Some(StatusCode::OK);
        assert_eq!(
            status.field(),
            "graph-photo-proxy; fwd=miss; fwd-status=200; stored; detail=\"12 of 20 held\""
        );
    }
}
