//! What is wrong with a setting, said so that it can be put right.

use std::fmt;
use std::path::PathBuf;

/// Who said what a setting is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// A flag, as it is spelt in `--help`.
    Flag(String),
    /// An environment variable.
    Environment(String),
    /// The file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Another setting, from which this one follows.
    Setting(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Setting(key) => write!(f, "from {key}"),
        }
    }
}

/// One mistake: which setting, its value, where it was said, what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The setting, or what was written in place of one.
    pub setting: String,
    /// The value, unless it is or may be a secret.
    pub value: Option<String>,
    /// Where it was said; `None` where it was said nowhere and should have been.
    pub origin: Option<Origin>,
    /// What is wrong or was expected.
    pub expected: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.setting)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.expected)
    }
}

/// Every mistake in the settings; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub(super) Vec<Mistake>);

impl Mistakes {
    /// Each of them, in the order they were met.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for mistake in &self.0 {
            write!(f, "{between}{mistake}")?;
            between = "\n";
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// The name among `known` that `written` was probably meant to be.
pub(super) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = written.to_ascii_lowercase().replace('-', "_");
    let far = (written.len() / 3).clamp(2, 4);
    known
        .into_iter()
        .map(|name| (distance(&written, name), name))
        .filter(|(distance, name)| *distance <= far && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many characters have to be put in, taken out or changed to make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    // Names of strangers: no more than this is looked at, so that the cost has a bound.
    const LONGEST: usize = 64;
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(LONGEST).enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for ((to, above), diagonal) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            left = (diagonal + usize::from(from != *to))
                .min(above + 1)
                .min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
