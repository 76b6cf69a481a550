//! HTTP/2 frames as bytes (RFC 9113 §4), for callers that do not play by the rules.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::net::SocketAddr;

use super::wire::{Wire, soon};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const PRIORITY: u8 = 0x2;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PUSH_PROMISE: u8 = 0x5;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// `GET http://h/x` (RFC 7541 by the static table, without indexing).
pub(crate) const GET: &[u8] = b"\x82\x86\x04\x02/x\x41\x01h";
/// `POST http://h/x`.
pub(crate) const POST: &[u8] = b"\x83\x86\x04\x02/x\x41\x01h";

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length.get(1..).unwrap().to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What came: its kind, flags, stream and payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a GOAWAY or `RST_STREAM`.
    pub(crate) fn error(&self) -> Option<u32> {
        let code = match self.kind {
            GOAWAY => self.payload.get(4..8)?,
            RST_STREAM => self.payload.get(..4)?,
            _ => return None,
        };
        Some(u32::from_be_bytes(code.try_into().ok()?))
    }
}

/// Prior knowledge: the preface and settings have been exchanged.
pub(crate) async fn connect(address: SocketAddr) -> Wire {
    let mut wire = Wire::to(address).await;
    wire.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
        .await;
    let first = soon(read(&mut wire)).await.unwrap();
    assert_eq!(first.kind, SETTINGS);
    wire.send(frame(SETTINGS, ACK, 0, &[])).await;
    wire
}

/// The next frame; `None` when the connection has ended.
pub(crate) async fn read(wire: &mut Wire) -> Option<Frame> {
    let head = wire.exactly(9).await?;
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
    };
    let length = number(head.get(..3)?);
    let payload = wire.exactly(usize::try_from(length).unwrap()).await?;
    Some(Frame {
        kind: *head.get(3)?,
        flags: *head.get(4)?,
        stream: number(head.get(5..9)?) & 0x7FFF_FFFF,
        payload,
    })
}
