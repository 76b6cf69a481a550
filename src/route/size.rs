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

impl PhotoSize {
    /// Reads `48x48` or `48X48`: both spellings are answered alike (Graph: profilePhoto, whose
    /// own examples use either). Any other text is no size we know.
    pub fn parse(text: &str) -> Option<Self> {
        let (width, height) = text.split_once(['x', 'X'])?;
        Some(Self::Sized {
            width: pixels(width)?,
            height: pixels(height)?,
        })
    }
}

/// A number from 1 to 9999 in its only spelling, so that `048` is never taken for `48`.
fn pixels(text: &str) -> Option<u16> {
    let digits = text.as_bytes();
    if !(1..=4).contains(&digits.len()) || digits.first() == Some(&b'0') {
        return None;
    }
    digits.iter().try_fold(0u16, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u16::from(digit - b'0'))
    })
}
