//! Entity tags compared weakly (RFC 9110 §8.8.3.2). Pure.
//!
//! Graph's newer backend marks its tags weak and the older does not, a batch and metadata may
//! repeat them without the mark; so everywhere here a tag is its opaque part, quotes included.

/// A tag without its weakness.
pub fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// Whether two tags are one, whether or not either is marked weak.
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    opaque(one) == opaque(other)
}
