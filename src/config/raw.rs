//! What was said, before anyone asks whether it makes sense: strings with their origin.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Origin, nearest};
use super::values::quoted;
use super::{Kind, SETTINGS, Setting};

/// What our environment variables begin with.
pub(super) const PREFIX: &str = "GRAPH_PHOTO_PROXY_";

/// Everything that was said. Not `Debug`, like its parts: some of it is secret.
#[derive(Default)]
pub(super) struct RawConfig {
    /// What to do.
    pub(super) verb: Verb,
    /// The settings that somebody set, each by the one who goes first.
    pub(super) values: BTreeMap<&'static str, RawValue>,
    /// `HTTPS_PROXY`, under the name it was found by.
    pub(super) https_proxy: Option<(String, String)>,
    /// `NO_PROXY`
    pub(super) no_proxy: Option<String>,
    /// Where programs keep what should outlast them (XDG Base Directory Specification):
    /// `XDG_STATE_HOME`, or `.local/state` in `HOME`.
    pub(super) state_home: Option<PathBuf>,
    /// `NOTIFY_SOCKET`, to the byte: it is a path.
    pub(super) notify_socket: Option<OsString>,
    /// `LISTEN_FDNAMES`
    pub(super) socket_names: String,
}

/// The command word.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    #[default]
    Serve,
    Check,
    Health,
    Demo,
    Help,
    Version,
}

/// One setting's value.
pub(super) struct RawValue {
    pub(super) said: Said,
    pub(super) origin: Origin,
}

/// How a value was written.
pub(super) enum Said {
    /// As one string; what a number or a switch looks like as a string.
    One(String),
    /// As an array of strings.
    Many(Vec<String>),
    /// As something that no setting is, named by its TOML type.
    Odd(&'static str),
}

/// Reads all sources. Never fails: mistakes are returned beside what could be read.
pub(super) fn read(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    file: impl FnOnce(&Path) -> io::Result<String>,
) -> (RawConfig, Vec<Mistake>) {
    let mut reading = Reading::default();
    reading.arguments(args);
    reading.environment(environment);
    if let Some((path, origin)) = reading.file.take() {
        match file(&path) {
            Ok(text) => reading.file(&path, &text),
            Err(error) => reading.mistakes.push(Mistake {
                setting: "config".to_owned(),
                value: Some(quoted(&path.to_string_lossy())),
                origin: Some(origin),
                expected: format!("the file cannot be read: {error}"),
            }),
        }
    }
    (reading.raw, reading.mistakes)
}

#[derive(Default)]
struct Reading {
    raw: RawConfig,
    file: Option<(PathBuf, Origin)>,
    mistakes: Vec<Mistake>,
}

impl Reading {
    fn arguments(&mut self, args: impl IntoIterator<Item = OsString>) {
        use lexopt::Arg;
        let mut parser = lexopt::Parser::from_args(args);
        let mut verb_said = false;
        loop {
            match parser.next() {
                Ok(None) => break,
                Ok(Some(Arg::Short('h'))) => self.raw.verb = Verb::Help,
                Ok(Some(Arg::Short('V'))) => self.verb(Verb::Version),
                Ok(Some(Arg::Long(name))) => {
                    let name = name.to_owned();
                    self.flag(&name, &mut parser);
                }
                Ok(Some(Arg::Short(letter))) => {
                    parser.optional_value();
                    self.wrong(format!("-{letter}"), None, "no such flag; see --help");
                }
                Ok(Some(Arg::Value(word))) => {
                    let word = word.to_string_lossy().into_owned();
                    if verb_said {
                        self.wrong(word, None, "one command only");
                    } else {
                        self.word(word);
                    }
                    verb_said = true;
                }
                // Only a value given to a flag that takes none; flags here all take theirs.
                Err(_) => self.wrong(
                    "arguments".to_owned(),
                    None,
                    "a value that belongs to no flag",
                ),
            }
        }
    }

    fn word(&mut self, word: String) {
        match word.as_str() {
            "serve" => {}
            "check" => self.verb(Verb::Check),
            "health" => self.verb(Verb::Health),
            "demo" if cfg!(feature = "demo") => self.verb(Verb::Demo),
            "demo" => self.wrong(word, None, "this binary was built without the demo"),
            "help" => self.verb(Verb::Help),
            "version" => self.verb(Verb::Version),
            _ => {
                let near = nearest(&word, ["check", "demo", "health", "help", "version"]);
                let expected = suggestion("no such command", near.map(ToOwned::to_owned));
                self.wrong(word, None, &expected);
            }
        }
    }

    /// Help goes before everything else, the version before all but help.
    fn verb(&mut self, verb: Verb) {
        if self.raw.verb != Verb::Help && (self.raw.verb != Verb::Version || verb == Verb::Help) {
            self.raw.verb = verb;
        }
    }

    fn flag(&mut self, name: &str, parser: &mut lexopt::Parser) {
        match name {
            "help" => return self.raw.verb = Verb::Help,
            "version" => return self.verb(Verb::Version),
            _ => {}
        }
        let value = parser.optional_value().or_else(|| {
            let mut rest = parser.try_raw_args()?;
            rest.next_if(|next| !next.as_encoded_bytes().starts_with(b"--"))
        });
        let key = name.replace('-', "_");
        let flag = format!("--{}", key.replace('_', "-"));
        let origin = Origin::Flag(flag.clone());
        if key == "config" {
            return match value {
                Some(_) if self.file.is_some() => {
                    self.wrong("config".to_owned(), Some(origin), "given more than once");
                }
                Some(path) if !path.is_empty() => self.file = Some((path.into(), origin)),
                _ => self.wrong(
                    "config".to_owned(),
                    Some(origin),
                    "expected the path of a file",
                ),
            };
        }
        let Some(setting) = known(&key) else {
            // What follows is taken for its value and dropped: it may be a secret.
            let near = nearest(&key, keys().chain(["config", "help", "version"]));
            let near = near.map(|near| format!("--{}", near.replace('_', "-")));
            return self.wrong(flag, None, &suggestion("no such flag", near));
        };
        let value = match (value, setting.kind) {
            (Some(value), _) => value,
            (None, Kind::Switch) => OsString::from("true"),
            (None, kind) => {
                let expected = format!("needs a value: expected {}", kind.expectation());
                return self.wrong(setting.key.to_owned(), Some(origin), &expected);
            }
        };
        let Ok(value) = value.into_string() else {
            return self.wrong(setting.key.to_owned(), Some(origin), "expected UTF-8");
        };
        match self.raw.values.get_mut(setting.key) {
            None => self.set(setting, Said::One(value), origin),
            Some(RawValue {
                said: Said::One(before),
                ..
            }) if matches!(setting.kind, Kind::List(_)) => {
                before.push(',');
                before.push_str(&value);
            }
            Some(_) => self.wrong(setting.key.to_owned(), Some(origin), "given more than once"),
        }
    }

    fn environment(&mut self, environment: impl IntoIterator<Item = (OsString, OsString)>) {
        // An empty variable is one that is not set, as where `${NAME:-}` makes it.
        let mut set: Vec<(String, OsString)> = environment
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
            .collect();
        set.sort();
        for (name, value) in set {
            let text = || value.to_string_lossy().into_owned();
            // The small spelling sorts after the large one and goes before it, as with curl.
            match name.as_str() {
                "HTTPS_PROXY" | "https_proxy" => self.raw.https_proxy = Some((name, text())),
                "NO_PROXY" | "no_proxy" => self.raw.no_proxy = Some(text()),
                // In the order of the alphabet, so that what is more telling comes last.
                "HOME" => self.raw.state_home = Some(PathBuf::from(value).join(".local/state")),
                "XDG_STATE_HOME" if Path::new(&value).is_absolute() => {
                    self.raw.state_home = Some(value.into());
                }
                "NOTIFY_SOCKET" => self.raw.notify_socket = Some(value),
                "LISTEN_FDNAMES" => self.raw.socket_names = text(),
                _ if name.starts_with(PREFIX) => self.variable(name, value),
                _ => {}
            }
        }
    }

    fn variable(&mut self, name: String, value: OsString) {
        let rest = name.strip_prefix(PREFIX).unwrap_or_default();
        let origin = Origin::Environment(name.clone());
        if rest == "CONFIG" {
            if self.file.is_none() {
                self.file = Some((value.into(), origin));
            }
            return;
        }
        let key = rest.to_ascii_lowercase();
        if let Some(setting) = known(&key).filter(|setting| setting.variable() == name) {
            match value.into_string() {
                Ok(text) => self.set(setting, Said::One(text), origin),
                Err(_) => self.wrong(key, Some(origin), "expected UTF-8"),
            }
        } else if !made_by_kubernetes(rest, &value.to_string_lossy()) {
            let near = nearest(&key, keys().chain(["config"]));
            let near = near.map(|near| format!("{PREFIX}{}", near.to_ascii_uppercase()));
            let expected = suggestion("no such environment variable", near);
            self.wrong(name, None, &expected);
        }
    }

    fn file(&mut self, path: &Path, text: &str) {
        let origin = |at: usize| Origin::File {
            path: path.to_owned(),
            line: text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1,
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        // A line that cannot be read may hold a secret anywhere, even where a key should be:
        // then only keys we know are spoken of, and the text itself is never quoted.
        let whole = errors.is_empty();
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            self.wrong(
                "config".to_owned(),
                Some(origin(at)),
                &format!("not TOML: {}", error.message()),
            );
        }
        let mut entries: Vec<_> = table.into_inner().into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let origin = origin(key.span().start);
            match known(key.get_ref()) {
                Some(setting) => self.set(setting, said(value), origin),
                None if !whole => {}
                None => {
                    let what = match value.get_ref() {
                        DeValue::Table(_) => "no such setting: settings stand in no table",
                        _ => "no such setting",
                    };
                    let near = nearest(key.get_ref(), keys()).map(ToOwned::to_owned);
                    self.wrong(
                        key.get_ref().to_string(),
                        Some(origin),
                        &suggestion(what, near),
                    );
                }
            }
        }
    }

    /// Whoever speaks first is heard: sources are read in the order of precedence.
    fn set(&mut self, setting: &Setting, said: Said, origin: Origin) {
        self.raw
            .values
            .entry(setting.key)
            .or_insert(RawValue { said, origin });
    }

    fn wrong(&mut self, setting: String, origin: Option<Origin>, expected: &str) {
        self.mistakes.push(Mistake {
            setting,
            value: None,
            origin,
            expected: expected.to_owned(),
        });
    }
}

fn said(value: Spanned<DeValue<'_>>) -> Said {
    match value.into_inner() {
        DeValue::String(text) => Said::One(text.into_owned()),
        DeValue::Integer(number) => Said::One(number.to_string()),
        DeValue::Boolean(yes) => Said::One(yes.to_string()),
        DeValue::Array(items) => items
            .into_iter()
            .map(|item| item.get_ref().as_str().map(ToOwned::to_owned))
            .collect::<Option<_>>()
            .map_or(Said::Odd("array"), Said::Many),
        other => Said::Odd(other.type_str()),
    }
}

fn known(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

fn keys() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.key)
}

fn suggestion(what: &str, near: Option<String>) -> String {
    match near {
        Some(near) => format!("{what}; did you mean {near}?"),
        None => format!("{what}; see --help"),
    }
}

/// Whether Kubernetes makes this variable in every pod beside a service that is called
/// `graph-photo-proxy` or `graph-photo-proxy-…` (Kubernetes: "Service", environment variables).
fn made_by_kubernetes(rest: &str, value: &str) -> bool {
    let parts: Vec<&str> = rest.split('_').collect();
    let ends = |tail: &[&str]| parts.ends_with(tail);
    let port_number = |part: &&str| part.parse::<u16>().is_ok();
    let protocol = |part: &&str| matches!(*part, "TCP" | "UDP" | "SCTP");
    let service = parts.windows(2).any(|pair| pair == ["SERVICE", "PORT"]);
    let port = parts.windows(3).any(|window| match window {
        [word, number, kind] => *word == "PORT" && port_number(number) && protocol(kind),
        _ => false,
    });
    service || port || ends(&["SERVICE", "HOST"]) || (ends(&["PORT"]) && value.contains("://"))
}
