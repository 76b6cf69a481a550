//! Rewrites the links of Graph's JSON as it streams: no piece is held back but the first letters
//! of a value that may be one.
//!
//! Reads JSON (RFC 8259) as far as it must to know keys from values. A value is looked at only
//! where it is a string and its key is `@odata.nextLink` or `@odata.deltaLink`, alone or behind
//! a property's name (`OData` JSON Format 4.01 §4.5.5), at any depth; other strings are never
//! touched, whatever they hold. From the first byte that is no JSON on, everything is handed on
//! as it came, and so is what is nested deeper than any answer of Graph.

/// How deep objects and lists may be nested.
const DEEPEST: usize = 128;
/// How long a key may be, escapes and all, and still be looked at.
const LONGEST_KEY: usize = 256;

const LINKS: [&str; 2] = ["@odata.nextLink", "@odata.deltaLink"];

/// Puts one origin in the place of another.
#[derive(Debug)]
pub(super) struct Rewriter {
    from: Box<[u8]>,
    to: Box<[u8]>,
    expects: Expects,
    /// `true` for an object, `false` for a list.
    within: Vec<bool>,
    /// The letters of the key that is being read, as they stand, or `None` if it is too long.
    key: Option<Vec<u8>>,
    is_link: bool,
    /// Bytes of a value that may begin with the origin, and how many of its letters they are.
    held: Vec<u8>,
    matched: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    Word,
    InKey(Escape),
    InString(Escape),
    /// In a link, all of which so far is the origin.
    InLink(Escape),
    /// Nothing that could be understood: all that follows is handed on.
    Nothing,
}

/// How far an escape in a string has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    /// So many digits, and what they say.
    Digits(u8, u16),
}

/// What a byte of a string was.
enum Letter {
    /// Part of an escape that goes on.
    Part(Escape),
    /// A letter; `None` where it is beyond ASCII.
    Whole(Option<u8>),
    End,
    Bad,
}

impl Escape {
    fn take(self, byte: u8) -> Letter {
        match (self, byte) {
            (Self::None, b'"') => Letter::End,
            (Self::None, b'\\') => Letter::Part(Self::Begun),
            (Self::None, 0x00..=0x1F) => Letter::Bad,
            (Self::None, _) => Letter::Whole(byte.is_ascii().then_some(byte)),
            (Self::Begun, b'u') => Letter::Part(Self::Digits(0, 0)),
            (Self::Begun, b'"' | b'\\' | b'/') => Letter::Whole(Some(byte)),
            (Self::Begun, b'b' | b'f' | b'n' | b'r' | b't') => Letter::Whole(None),
            (Self::Begun, _) => Letter::Bad,
            (Self::Digits(count, so_far), _) => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    return Letter::Bad;
                };
                let said = so_far << 4 | u16::try_from(digit).unwrap_or_default();
                if count == 3 {
                    Letter::Whole(u8::try_from(said).ok().filter(u8::is_ascii))
                } else {
                    Letter::Part(Self::Digits(count + 1, said))
                }
            }
        }
    }
}

impl Rewriter {
    /// Both are origins: scheme, host and perhaps a port, without a slash at the end.
    pub(super) fn new(from: &str, to: &str) -> Self {
        Self {
            from: from.as_bytes().into(),
            to: to.as_bytes().into(),
            expects: Expects::Value,
            within: Vec::new(),
            key: None,
            is_link: false,
            held: Vec::new(),
            matched: 0,
        }
    }

    /// Takes the next piece; what can be handed on is put behind `out`.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for (at, byte) in piece.iter().enumerate() {
            if self.expects == Expects::Nothing {
                out.extend_from_slice(piece.get(at..).unwrap_or_default());
                return;
            }
            self.take(*byte, out);
        }
    }

    /// What is held back once nothing more comes.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    fn take(&mut self, byte: u8, out: &mut Vec<u8>) {
        if let Expects::InLink(escape) = self.expects {
            return self.in_link(escape, byte, out);
        }
        out.push(byte);
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.expects = match self.expects {
            Expects::InString(escape) => match escape.take(byte) {
                Letter::Part(escape) => Expects::InString(escape),
                Letter::Whole(_) => Expects::InString(Escape::None),
                Letter::End => Expects::CommaOrEnd,
                Letter::Bad => Expects::Nothing,
            },
            Expects::InKey(escape) => self.in_key(escape, byte),
            Expects::Word if byte.is_ascii_alphanumeric() || b"+-.".contains(&byte) => {
                Expects::Word
            }
            Expects::Word => self.after_value(byte, space),
            same if space => same,
            Expects::ValueOrEnd if byte == b']' => self.leave(false),
            Expects::Value | Expects::ValueOrEnd => self.value(byte),
            Expects::KeyOrEnd if byte == b'}' => self.leave(true),
            Expects::KeyOrEnd | Expects::Key if byte == b'"' => {
                self.key = Some(Vec::new());
                Expects::InKey(Escape::None)
            }
            Expects::Colon if byte == b':' => Expects::Value,
            Expects::CommaOrEnd => self.after_value(byte, space),
            _ => Expects::Nothing,
        };
    }

    fn value(&mut self, byte: u8) -> Expects {
        let is_link = std::mem::take(&mut self.is_link);
        match byte {
            b'"' if is_link => {
                self.matched = 0;
                Expects::InLink(Escape::None)
            }
            b'"' => Expects::InString(Escape::None),
            b'{' => self.enter(true),
            b'[' => self.enter(false),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Expects::Word,
            _ => Expects::Nothing,
        }
    }

    fn enter(&mut self, object: bool) -> Expects {
        if self.within.len() == DEEPEST {
            return Expects::Nothing;
        }
        self.within.push(object);
        if object {
            Expects::KeyOrEnd
        } else {
            Expects::ValueOrEnd
        }
    }

    fn leave(&mut self, object: bool) -> Expects {
        if self.within.pop() == Some(object) {
            Expects::CommaOrEnd
        } else {
            Expects::Nothing
        }
    }

    fn after_value(&mut self, byte: u8, space: bool) -> Expects {
        match (byte, self.within.last()) {
            (b',', Some(true)) => Expects::Key,
            (b',', Some(false)) => Expects::Value,
            (b'}', _) => self.leave(true),
            (b']', _) => self.leave(false),
            _ if space => Expects::CommaOrEnd,
            _ => Expects::Nothing,
        }
    }

    fn in_key(&mut self, escape: Escape, byte: u8) -> Expects {
        let letter = escape.take(byte);
        if matches!(letter, Letter::End) {
            self.is_link = self.key.take().is_some_and(|key| is_link(&key));
            return Expects::Colon;
        }
        self.key = self.key.take().filter(|key| key.len() < LONGEST_KEY);
        if let Some(key) = &mut self.key {
            key.push(byte);
        }
        match letter {
            Letter::Part(escape) => Expects::InKey(escape),
            Letter::Bad => Expects::Nothing,
            _ => Expects::InKey(Escape::None),
        }
    }

    /// A byte of a link whose letters so far are the origin's, or all of them.
    fn in_link(&mut self, escape: Escape, byte: u8, out: &mut Vec<u8>) {
        let whole = self.matched == self.from.len();
        let letter = escape.take(byte);
        if let Letter::Part(escape) = letter {
            self.held.push(byte);
            self.expects = Expects::InLink(escape);
            return;
        }
        let next = self.from.get(self.matched);
        if let (Letter::Whole(Some(letter)), Some(next)) = (&letter, next)
            && letter.eq_ignore_ascii_case(next)
        {
            self.held.push(byte);
            self.matched += 1;
            self.expects = Expects::InLink(Escape::None);
            return;
        }
        // Another host may begin with Graph's: the origin must end here.
        let ends = match letter {
            Letter::Whole(letter) => matches!(letter, Some(b'/' | b'?' | b'#')),
            Letter::End => true,
            Letter::Part(_) | Letter::Bad => false,
        };
        if whole && ends {
            out.extend_from_slice(&self.to);
            // What stands behind the origin's letters: an escape that says where it ends.
            let behind = match escape {
                Escape::None => 0,
                Escape::Begun => 1,
                Escape::Digits(count, _) => 2 + usize::from(count),
            };
            let kept = self.held.len() - behind.min(self.held.len());
            out.extend(self.held.drain(kept..));
            self.held.clear();
        } else {
            out.append(&mut self.held);
        }
        out.push(byte);
        self.expects = match letter {
            Letter::End => Expects::CommaOrEnd,
            Letter::Bad => Expects::Nothing,
            _ => Expects::InString(Escape::None),
        };
    }
}

/// Whether a key, as it stands between its quotes, names a link.
fn is_link(key: &[u8]) -> bool {
    let quoted = [b"\"", key, b"\""].concat();
    serde_json::from_slice::<String>(&quoted)
        .is_ok_and(|key| LINKS.iter().any(|link| key.ends_with(link)))
}
