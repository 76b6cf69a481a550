//! Field names as the caller spelled them, for requests that are handed on.
//!
//! hyper hands names on in the caller's spelling when it has noted them, and notes them for a
//! whole connection or not at all; for an answer from memory that is an eighth of the work, for
//! nothing. So the guard notes the names as it checks them, and only for a request that goes on
//! hyper is shown them again: by reading a head of those names and no values, in memory, once.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;

use super::scan::MAX_FIELDS;

/// The names of the heads that have passed and have not been taken up: one a line, an empty
/// line behind each head.
#[derive(Debug, Default)]
pub(super) struct Spellings(Mutex<Vec<u8>>);

impl Spellings {
    /// Heads have passed.
    pub(super) fn note(&self, heads: &[u8]) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend_from_slice(heads);
    }

    /// The next request is answered here: its names are not needed.
    pub(super) fn skip(&self) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = end_of_head(&noted);
        noted.drain(..end);
    }

    /// The next request may be handed on: it takes its names along as they were spelled.
    pub(super) fn lend<B>(&self, request: &mut Request<B>) {
        let names = {
            let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let end = end_of_head(&noted);
            noted.drain(..end).collect::<Bytes>()
        };
        // Without a capital there is nothing to tell: hyper writes small letters by itself.
        if names.iter().any(u8::is_ascii_uppercase) {
            request.extensions_mut().insert(Spelled(names));
        }
    }
}

/// The names of a request's fields as its caller spelled them.
#[derive(Debug, Clone)]
pub(crate) struct Spelled(Bytes);

impl Spelled {
    /// Gives the names to hyper, for a request that is handed on. A question about a photo is
    /// none: it is made anew.
    pub(crate) fn restore(extensions: &mut Extensions) {
        let spelled = extensions.remove::<Self>();
        if let Some(mut noted) = spelled.and_then(|Self(names)| noted_by_hyper(&names)) {
            noted.remove::<OnUpgrade>();
            extensions.extend(noted);
        }
    }
}

/// How many bytes the first head's names take, the empty line behind them included.
fn end_of_head(noted: &[u8]) -> usize {
    if noted.first() == Some(&b'\n') {
        return 1;
    }
    // Some fifty bytes: a search made for long text takes longer to set out for than to walk.
    let ends = noted.windows(2).position(|pair| pair == b"\n\n");
    ends.map_or(noted.len(), |at| at + 2)
}

/// What hyper notes of a head with these names.
fn noted_by_hyper(names: &[u8]) -> Option<Extensions> {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    let names = names.split(|byte| *byte == b'\n');
    for name in names.filter(|name| !name.is_empty()) {
        head.extend_from_slice(name);
        // The two that say where the body ends must make sense; what others say does not matter.
        head.extend_from_slice(match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => b": 0\r\n",
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => b": chunked\r\n",
            _ => b": -\r\n",
        });
    }
    head.extend_from_slice(b"\r\n");
    let (noted, mut context) = (Mutex::new(None), Context::from_waker(Waker::noop()));
    {
        let answer = service_fn(|request: Request<Incoming>| {
            let extensions = request.into_parts().0.extensions;
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(extensions);
            std::future::ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
        });
        let reading = http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(MAX_FIELDS)
            .serve_connection(Head(head), answer);
        let _ = pin!(reading).poll(&mut context);
    }
    noted.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A head to be read once, from a caller who says no more; what is written to it is dropped.
struct Head(Vec<u8>);

impl Read for Head {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let count = room.remaining().min(self.0.len());
        for byte in self.0.drain(..count) {
            room.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Head {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether something was noted for a request, and how many heads are left.
    fn restored(spellings: &Spellings) -> (bool, usize) {
        let mut request = Request::new(());
        spellings.lend(&mut request);
        Spelled::restore(request.extensions_mut());
        let left = spellings.0.lock().unwrap().len();
        (!request.extensions().is_empty(), left)
    }

    #[test]
    fn each_request_takes_its_own_names_and_no_others() {
        let spellings = Spellings::default();
        spellings.note(b"Host\nX-One\n\nhost\n\n\nHOST\nContent-Length\nTransfer-Encoding\n\n");
        assert_eq!(restored(&spellings), (true, 46));
        assert_eq!(restored(&spellings), (false, 40));
        assert_eq!(restored(&spellings), (false, 39));
        spellings.skip();
        assert_eq!(restored(&spellings), (false, 0));
    }

    #[test]
    fn names_that_frame_a_body_or_ask_for_an_upgrade_are_read_like_any_other() {
        for names in [
            &b"Host\nContent-Length\n\n"[..],
            b"Host\nTransfer-Encoding\nTrailer\n\n",
            b"Host\nConnection\nUpgrade\nExpect\nHTTP2-Settings\n\n",
            &b"Name\n".repeat(MAX_FIELDS),
        ] {
            let noted = noted_by_hyper(names);
            assert!(noted.is_some_and(|noted| !noted.is_empty()));
        }
    }
}
