//! Links to Graph in answers that pass through, made links to the proxy (`rewrite_links`).
//!
//! `@odata.nextLink`, `@odata.deltaLink`, `Location`, `Content-Location` and `Link` name Graph's
//! own host, so a client that follows them leaves the proxy. Where the operator has said what
//! the proxy's address is, Graph's origin in them becomes that address; nothing else changes.
//! The address is a setting and never the caller's `Host`: an answer kept by a cache further
//! on must not carry a name that some caller made up.
//!
//! A body is rewritten only if it is whole, of `application/json`, in UTF-8 and without a coding
//! (identity is asked for), and nobody has forbidden to transform it (RFC 9110 §7.7). Its length
//! is then not known beforehand, its digests are not true any more, and a strong tag becomes a
//! weak one (RFC 9110 §8.8.1): the bytes are not Graph's.

mod json;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::render::Body;
use crate::render::body::BodyError;
use json::Rewriter;

/// Fields that are one link.
const LINKS: [HeaderName; 2] = [header::LOCATION, header::CONTENT_LOCATION];
/// Fields about the very bytes of a body.
const OF_THE_BYTES: [&str; 6] = [
    "content-length",
    "content-digest",
    "repr-digest",
    "digest",
    "content-md5",
    "accept-ranges",
];

/// Which origin stands in the place of which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    from: Box<str>,
    to: Box<str>,
}

impl Links {
    /// From Graph's address to the proxy's.
    pub fn new(graph: &Uri, proxy: &Uri) -> Self {
        let origin = |uri: &Uri| uri.to_string().trim_end_matches('/').into();
        Self {
            from: origin(graph),
            to: origin(proxy),
        }
    }

    /// Asks for a body that can be read.
    pub(crate) fn ask(fields: &mut HeaderMap) {
        let identity = HeaderValue::from_static("identity");
        fields.insert(header::ACCEPT_ENCODING, identity);
    }

    /// The answer with its links changed.
    pub(crate) fn rewrite(&self, answer: Response<Body>) -> Response<Body> {
        let (mut head, body) = answer.into_parts();
        self.fields(&mut head.headers);
        if head.status == StatusCode::PARTIAL_CONTENT || !may_be_read(&head.headers) {
            return Response::from_parts(head, body);
        }
        for name in OF_THE_BYTES {
            head.headers.remove(name);
        }
        weaken(&mut head.headers);
        if body.is_end_stream() {
            return Response::from_parts(head, body);
        }
        let body = Body::stream(Rewriting {
            body,
            rewriter: Some(Rewriter::new(&self.from, &self.to)),
            trailers: None,
        });
        Response::from_parts(head, body)
    }

    fn fields(&self, fields: &mut HeaderMap) {
        for name in LINKS {
            if let header::Entry::Occupied(mut entry) = fields.entry(name) {
                for value in entry.iter_mut() {
                    if let Some(new) = self.link(value.as_bytes()) {
                        *value = HeaderValue::from_bytes(&new).unwrap_or_else(|_| value.clone());
                    }
                }
            }
        }
        if let header::Entry::Occupied(mut entry) = fields.entry(header::LINK) {
            for value in entry.iter_mut() {
                let new = self.targets(value.as_bytes());
                *value = HeaderValue::from_bytes(&new).unwrap_or_else(|_| value.clone());
            }
        }
    }

    /// A link of Graph's as one of ours.
    fn link(&self, link: &[u8]) -> Option<Vec<u8>> {
        let (start, rest) = link.split_at_checked(self.from.len())?;
        let ends = matches!(rest.first(), None | Some(b'/' | b'?' | b'#'));
        (ends && start.eq_ignore_ascii_case(self.from.as_bytes()))
            .then(|| [self.to.as_bytes(), rest].concat())
    }

    /// A `Link` field (RFC 8288 §3): its targets stand in angle brackets, outside quotes.
    fn targets(&self, value: &[u8]) -> Vec<u8> {
        let mut new = Vec::with_capacity(value.len());
        let (mut rest, mut quoted) = (value, false);
        while let Some((byte, behind)) = rest.split_first() {
            new.push(*byte);
            rest = behind;
            match byte {
                b'"' => quoted = !quoted,
                b'\\' if quoted => {
                    if let Some((next, behind)) = rest.split_first() {
                        new.push(*next);
                        rest = behind;
                    }
                }
                b'<' if !quoted => {
                    let end = rest.iter().position(|byte| *byte == b'>');
                    let (target, behind) = rest.split_at(end.unwrap_or(rest.len()));
                    let ours = self.link(target);
                    new.extend_from_slice(ours.as_deref().unwrap_or(target));
                    rest = behind;
                }
                _ => {}
            }
        }
        new
    }
}

/// Whether a body is one that links are read in.
fn may_be_read(fields: &HeaderMap) -> bool {
    let text = |name| fields.get(name).map(HeaderValue::as_bytes);
    let coded = fields.contains_key(header::CONTENT_ENCODING)
        && text(header::CONTENT_ENCODING) != Some(b"identity");
    let fixed = fields.get_all(header::CACHE_CONTROL).iter().any(|value| {
        let mut words = value.as_bytes().split(|byte| *byte == b',');
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
    });
    !coded && !fixed && text(header::CONTENT_TYPE).is_some_and(is_json)
}

/// `application/json`, and in UTF-8 as RFC 8259 §8.1 has it.
fn is_json(kind: &[u8]) -> bool {
    let mut parts = kind.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let json = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/json"));
    json && parts.all(|parameter| {
        let (name, value) = parameter.split_at(parameter.len().min(8));
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let value = value.strip_suffix(b"\"").unwrap_or(value);
        !name.eq_ignore_ascii_case(b"charset=") || value.eq_ignore_ascii_case(b"utf-8")
    })
}

/// Makes a strong tag a weak one.
fn weaken(fields: &mut HeaderMap) {
    if let Some(tag) = fields.get_mut(header::ETAG)
        && tag.as_bytes().starts_with(b"\"")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        *tag = weak;
    }
}

/// A body whose links change as it streams.
struct Rewriting {
    body: Body,
    /// `None` once the end has been handed on.
    rewriter: Option<Rewriter>,
    trailers: Option<HeaderMap>,
}

impl HttpBody for Rewriting {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            let Some(rewriter) = &mut this.rewriter else {
                return Poll::Ready(this.trailers.take().map(|all| Ok(Frame::trailers(all))));
            };
            let frame = match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => Some(frame),
                Poll::Ready(None) => None,
            };
            let mut out = Vec::new();
            match frame.map(Frame::into_data) {
                Some(Ok(piece)) => {
                    out.reserve(piece.len());
                    rewriter.push(&piece, &mut out);
                }
                other => {
                    rewriter.end(&mut out);
                    this.rewriter = None;
                    this.trailers = other.and_then(|frame| frame.err()?.into_trailers().ok());
                }
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rewriter.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
