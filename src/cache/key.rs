//! Under what an answer is held. Typed parts, compared one by one; never a joined string.

use std::hash::{Hash, Hasher};

use aws_lc_rs::digest;
use http::HeaderValue;

use crate::identity::{Partition, Space, Subject};
use crate::route::{ApiVersion, PhotoOwner, PhotoSize, Variant, View};

/// The upstream authority an answer came from, as a digest of its spelling, so that a key is
/// small and an answer of one cloud can never stand in for another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Authority([u8; 16]);

impl Authority {
    /// The authority spelled so (`https://graph.microsoft.com`).
    pub fn of(spelling: &str) -> Self {
        Self(digest_of(spelling.to_ascii_lowercase().as_bytes()))
    }
}

/// The cache key of one answer (RFC 9111 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Whose answer: the callers among whom it may be shared.
    pub partition: Partition,
    /// Whose photo. For pictures the owner's canonical name; for JSON, whose body repeats the
    /// name it was asked by, as addressed.
    pub owner: PhotoOwner,
    /// Picture, metadata or list.
    pub view: View,
    /// The size.
    pub size: PhotoSize,
    /// What else shapes a JSON answer.
    pub variant: Variant,
    /// `v1.0` or `beta`.
    pub version: ApiVersion,
    /// Where it came from.
    pub authority: Authority,
}

/// Of what tells most keys apart: hashing all of a key would take as long as finding it. Whether
/// two keys are one is for `Eq` to say, part by part.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let owner = match &self.owner {
            PhotoOwner::Me => None,
            PhotoOwner::User(id) | PhotoOwner::Group(id) | PhotoOwner::Team { id, .. } => {
                Some(id.bytes())
            }
            PhotoOwner::Contact { id, .. } => Some(id.as_bytes()),
            PhotoOwner::TeamTemplate { definition, .. } => Some(definition.as_bytes()),
        };
        let (width, height) = dimensions(self.size);
        let select = self.variant.select.map_or(0, |select| {
            1 | u64::from(select.id) << 1
                | u64::from(select.width) << 2
                | u64::from(select.height) << 3
        });
        let shape = u64::from(width)
            | u64::from(height) << 16
            | (self.view as u64) << 32
            | (self.version as u64) << 36
            | (self.owner.kind() as u64) << 40
            | (self.variant.metadata as u64) << 44
            | select << 48;
        write(
            [self.partition.bytes(), owner.unwrap_or_default()],
            shape,
            state,
        );
    }
}

/// Under what the latest picture of a subject is known to everybody who may ask Graph about it:
/// its validator can be tried with anybody's token, its bytes are given on Graph's word only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentKey {
    /// Whose names mean the same.
    pub space: Space,
    /// What it shows.
    pub subject: Subject,
    /// The size: validators are never shared across sizes.
    pub size: PhotoSize,
    /// `v1.0` or `beta`, which were once seen to read different stores.
    pub version: ApiVersion,
    /// Where it came from.
    pub authority: Authority,
}

/// As with [`Key`]: of what tells most apart.
impl Hash for CurrentKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (container, thing) = self.subject.bytes();
        let (width, height) = dimensions(self.size);
        let shape = u64::from(width) | u64::from(height) << 16 | (self.version as u64) << 32;
        write([self.space.bytes(), container, thing], shape, state);
    }
}

/// Hashes parts in one piece where they are as short as most are: a hasher does as much for each
/// piece as for some bytes.
fn write<const N: usize, H: Hasher>(parts: [&[u8]; N], shape: u64, state: &mut H) {
    let mut piece = [0; 64];
    let (mut room, mut length) = (piece.as_mut_slice(), 0);
    for part in parts.iter().chain(&[shape.to_ne_bytes().as_slice()]) {
        let Some((here, rest)) = room.split_at_mut_checked(part.len()) else {
            for part in parts {
                state.write(part);
            }
            return state.write_u64(shape);
        };
        here.copy_from_slice(part);
        (room, length) = (rest, length + part.len());
    }
    state.write(piece.get(..length).unwrap_or_default());
}

/// Width and height, both zero for the largest.
fn dimensions(size: PhotoSize) -> (u16, u16) {
    match size {
        PhotoSize::Largest => (0, 0),
        PhotoSize::Sized { width, height } => (width, height),
    }
}

/// Under what the bytes of a picture are held, once for all who may have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyKey {
    space: Space,
    subject: Subject,
    size: PhotoSize,
    authority: Authority,
    etag: Option<HeaderValue>,
    digest: [u8; 16],
}

/// The digest tells nearly all apart.
impl Hash for BodyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.digest);
    }
}

impl BodyKey {
    /// The key of `bytes`, received with `etag`. The digest is part of it so that two pictures
    /// under one tag, should Graph ever send them, are two pictures.
    pub fn new(current: &CurrentKey, etag: Option<&HeaderValue>, bytes: &[u8]) -> Self {
        Self {
            space: current.space,
            subject: current.subject.clone(),
            size: current.size,
            authority: current.authority,
            etag: etag.cloned(),
            digest: digest_of(bytes),
        }
    }

    /// Whose names mean the same.
    pub fn space(&self) -> Space {
        self.space
    }

    /// What it shows.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The digest of the bytes: SHA-256 cut to 128 bits.
    pub fn digest(&self) -> &[u8; 16] {
        &self.digest
    }
}

/// SHA-256 cut to 128 bits.
pub(super) fn digest_of(bytes: &[u8]) -> [u8; 16] {
    let mut cut = [0; 16];
    let whole = digest::digest(&digest::SHA256, bytes);
    for (to, from) in cut.iter_mut().zip(whole.as_ref()) {
        *to = *from;
    }
    cut
}
