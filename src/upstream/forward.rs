//! Pass-through: what is not a photo read reaches Graph, and comes back, byte for byte.
//!
//! Touched are only the fields of one hop, `Host`, and a cookie that HTTP/2 had crumbled.
//! Bodies are handed on piece by piece in both directions, trailers included, and a side that
//! reads slowly slows the other down. There is no time limit on the whole: a stream may be as
//! long and as slow as its ends like. Only a caller who stops in the middle of its body is
//! given up (`arrival`).
//!
//! hyper does not let us hand on: a raw quote in a query, angle brackets and a grave accent in a
//! target (the listener percent-encodes them over HTTP/1.1; over HTTP/2 such a request is reset), interim answers other than 100 (103 is lost), trailers that
//! no `Trailer` field announced and the spelling of trailer names (over HTTP/1.1), and the
//! order of lines with *different* names when one of the names repeats (RFC 9110 §5.3 gives
//! that no meaning). Nor do a reason phrase beyond ASCII (it is left out), the `Content-Length`
//! of a 304 to a caller over HTTP/1.1, and trailers to a caller that sent no `TE: trailers`.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as HttpBody;

use super::arrival::Arriving;
use super::error::Error;
use super::pool::Upstream;
use super::{expect, fields};
use crate::render::Body;
use crate::render::body::BodyError;
use crate::server::Spelled;

impl Upstream {
    /// Hands one request on to Graph and its answer back.
    ///
    /// Dropping the future, or the answer's body, ends the exchange with Graph; so does a
    /// request body that fails.
    ///
    /// # Errors
    ///
    /// [`Error`], where there is no answer. One that breaks off later shows in its body.
    pub async fn forward<B>(&self, request: Request<B>) -> Result<Response<Body>, Error>
    where
        B: HttpBody<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BodyError>,
    {
        if request.method() == Method::CONNECT {
            return Err(Error::broken("a tunnel is not forwarded"));
        }
        let (head, body) = self.outbound(request).into_parts();
        if body.is_end_stream() {
            let request = Request::from_parts(head, Body::empty());
            return inbound(self.exchange_passing(request).await?);
        }
        let (body, verdict) = Arriving::new(body, self.body_timeout());
        let blame = |error| match error {
            Error::Broken(_) if verdict.is_stalled() => Error::CallerStalled,
            error => error,
        };
        if fields::expects_continue(&head.headers) {
            let (request, hold) = expect::hold(Request::from_parts(head, body));
            let answer = self.exchange_passing(request).await.map_err(blame)?;
            hold.answered();
            return Ok(inbound(answer)?.map(|body| hold.until_end_of(body)));
        }
        let request = Request::from_parts(head, Body::stream(body));
        inbound(self.exchange_passing(request).await.map_err(blame)?)
    }

    /// The request as Graph is to see it.
    fn outbound<B: HttpBody>(&self, request: Request<B>) -> Request<B> {
        let (mut head, body) = request.into_parts();
        let crumbs = head.version == Version::HTTP_2;
        head.headers = fields::of_request(&head.headers, self.host(), crumbs);
        if head.version == Version::HTTP_10 {
            // A 1.0 caller does not know of it (RFC 9110 §10.1.1).
            head.headers.remove(header::EXPECT);
        }
        let sized = head.headers.contains_key(header::CONTENT_LENGTH);
        if !body.is_end_stream() && !sized && body.size_hint().exact().is_none() {
            // Our client would send a GET without its body if this did not say there is one.
            // Over HTTP/2 it leaves the field out again.
            let chunked = HeaderValue::from_static("chunked");
            head.headers.insert(header::TRANSFER_ENCODING, chunked);
        }
        head.uri = self.target(head.uri.into_parts().path_and_query);
        // How the caller talks to us says nothing about how we talk to Graph.
        head.version = Version::HTTP_11;
        head.extensions.remove::<hyper::upgrade::OnUpgrade>();
        Spelled::restore(&mut head.extensions);
        Request::from_parts(head, body)
    }
}

/// The answer as the caller is to see it: without the fields of one hop.
///
/// # Errors
///
/// [`Error::Broken`] for an upgrade or a transfer coding nobody asked for.
pub fn inbound<B>(answer: Response<B>) -> Result<Response<Body>, Error>
where
    B: HttpBody<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BodyError>,
{
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::broken("an upgrade nobody asked for"));
    }
    if fields::has_odd_transfer_coding(answer.headers()) {
        return Err(Error::broken("a transfer coding nobody asked for"));
    }
    let (mut head, body) = answer.into_parts();
    head.headers = fields::of_answer(head.headers);
    head.version = Version::HTTP_11;
    let body = if body.is_end_stream() {
        Body::empty()
    } else {
        Body::stream(body)
    };
    Ok(Response::from_parts(head, body))
}
