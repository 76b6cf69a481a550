//! One setting after the other out of what was said, by its kind in the table.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::mistake::{Mistake, Origin};
use super::raw::{RawConfig, RawValue, Said};
use super::{Effective, Kind, SETTINGS, Setting, parse};

/// Takes values out of what was said and notes every mistake on the way. A value that is
/// wrong is replaced by its default, so that the rest can still be looked at.
pub(super) struct Values<'a> {
    pub(super) raw: &'a RawConfig,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) effective: Vec<Effective>,
}

impl<'a> Values<'a> {
    pub(super) fn new(raw: &'a RawConfig, mistakes: Vec<Mistake>) -> Self {
        Self {
            raw,
            mistakes,
            effective: SETTINGS.iter().map(default).collect(),
        }
    }

    /// A setting that always has a value.
    pub(super) fn required<T>(&mut self, key: &str, read: impl Fn(&str) -> Option<T>) -> T {
        let said = self.optional(key, &read);
        said.unwrap_or_else(|| read(Values::default_text(key)).expect("a test reads every default"))
    }

    /// A setting that may have none.
    pub(super) fn optional<T>(&mut self, key: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let RawValue { said, origin } = self.raw.values.get(key)?;
        if let Said::One(text) = said
            && let Some(value) = read(text)
        {
            self.show(key, text, origin.clone());
            return Some(value);
        }
        self.expected(key);
        None
    }

    pub(super) fn list(&mut self, key: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let split = |text: &str| -> Vec<String> {
            let items = text.split(',').map(str::trim);
            items
                .filter(|item| !item.is_empty())
                .map(ToOwned::to_owned)
                .collect()
        };
        let raw = self.raw;
        let items = match raw.values.get(key).map(|value| &value.said) {
            None => split(Values::default_text(key)),
            Some(Said::One(text)) => split(text),
            Some(Said::Many(items)) => items.clone(),
            Some(Said::Odd(_)) => {
                self.expected(key);
                return Vec::new();
            }
        };
        let Some(values) = items
            .iter()
            .map(|item| read(item))
            .collect::<Option<Vec<_>>>()
        else {
            self.expected(key);
            return Vec::new();
        };
        if let Some(RawValue { origin, .. }) = raw.values.get(key) {
            self.note(key, Some(array(&values)), origin.clone());
        }
        values
    }

    /// The value that stands at the place of the chosen word in the table.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, values: &[T]) -> T {
        let Kind::Choice(words) = setting(key).kind else {
            unreachable!("{key} is a choice in the table");
        };
        self.required(key, |text| {
            let place = words.iter().position(|word| *word == text)?;
            values.get(place).copied()
        })
    }

    pub(super) fn time(&mut self, key: &str) -> Duration {
        let Kind::Time(least, most) = setting(key).kind else {
            unreachable!("{key} is a duration in the table");
        };
        let (least, most) = (parse::duration(least), parse::duration(most));
        self.required(key, |text| {
            parse::duration(text).filter(|time| least <= Some(*time) && Some(*time) <= most)
        })
    }

    /// A count, or a size in bytes.
    pub(super) fn number<T: TryFrom<u64>>(&mut self, key: &str) -> T {
        let kind = setting(key).kind;
        let read = |text: &str| match kind {
            Kind::Count(least, most) => parse::count(text).filter(|n| (least..=most).contains(n)),
            Kind::Size(least, most) => parse::size(text)
                .filter(|n| parse::size(least) <= Some(*n) && Some(*n) <= parse::size(most)),
            _ => unreachable!("{key} is a number in the table"),
        };
        self.required(key, |text| T::try_from(read(text)?).ok())
    }

    pub(super) fn switch(&mut self, key: &str) -> bool {
        self.required(key, parse::switch)
    }

    pub(super) fn file(&mut self, key: &str) -> Option<PathBuf> {
        self.optional(key, |text| (!text.is_empty()).then(|| PathBuf::from(text)))
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.raw.values.contains_key(key)
    }

    pub(super) fn text(&self, key: &str) -> String {
        match self.raw.values.get(key) {
            Some(RawValue {
                said: Said::One(text),
                ..
            }) => text.clone(),
            _ => Values::default_text(key).to_owned(),
        }
    }

    pub(super) fn default_text(key: &str) -> &'static str {
        setting(key).default
    }

    pub(super) fn expected(&mut self, key: &str) {
        let expectation = setting(key).kind.expectation();
        self.wrong(key, &format!("expected {expectation}"));
    }

    pub(super) fn wrong(&mut self, key: &str, what: &str) {
        let setting = setting(key);
        let raw = self.raw.values.get(key);
        let value = raw.map(|raw| match (&raw.said, setting.kind) {
            (_, Kind::Secret) => "(hidden)".to_owned(),
            (Said::One(text), Kind::Url(_)) => quoted(&parse::without_password(text)),
            (Said::One(text), _) => quoted(text),
            (Said::Many(items), _) => array(items),
            (Said::Odd(kind), _) => format!("a TOML {kind}"),
        });
        self.mistakes.push(Mistake {
            setting: key.to_owned(),
            value,
            origin: raw.map(|raw| raw.origin.clone()),
            expected: what.to_owned(),
        });
    }

    pub(super) fn show(&mut self, key: &str, text: &str, origin: Origin) {
        self.note(key, shown(setting(key), text), origin);
    }

    pub(super) fn note(&mut self, key: &str, value: Option<String>, origin: Origin) {
        if let Some(effective) = self.effective.iter_mut().find(|entry| entry.key == key) {
            let secret = matches!(setting(key).kind, Kind::Secret);
            effective.hidden = secret
                || value
                    .as_ref()
                    .is_some_and(|text| text.contains(parse::HIDDEN_USER));
            effective.value = value;
            effective.origin = origin;
        }
    }
}

/// The table's line of `key`.
pub(super) fn setting(key: &str) -> &'static Setting {
    SETTINGS
        .iter()
        .find(|setting| setting.key == key)
        .expect("every key asked for is in the table, which a test of the defaults shows")
}

fn default(setting: &Setting) -> Effective {
    Effective {
        key: setting.key,
        value: shown(setting, setting.default),
        origin: Origin::Default,
        hidden: false,
    }
}

/// A value as TOML; `None` is none. A secret is only said to be there.
fn shown(setting: &Setting, text: &str) -> Option<String> {
    match setting.kind {
        Kind::List(_) => Some(array(&Vec::from_iter((!text.is_empty()).then_some(text)))),
        _ if text.is_empty() => None,
        Kind::Secret => Some("(hidden)".to_owned()),
        Kind::Switch => Some(text.to_owned()),
        Kind::Count(..) => parse::count(text).map(|number| number.to_string()),
        Kind::Url(_) => Some(quoted(&parse::without_password(text))),
        _ => Some(quoted(text)),
    }
}

fn array(items: &[impl AsRef<str>]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}
