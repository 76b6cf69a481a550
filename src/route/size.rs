//! The size a path names.

/// A photo size as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhotoSize {
    /// No size: `/photo`, the largest there is.
    Largest,
    /// `{width}x{height}` in pixels, each 1 to 9999, as in `/photos/48x48` or `/photos/48X48`.
    Sized {
        /// Pixels across.
        width: u16,
        /// Pixels down.
        height: u16,
    },
}
