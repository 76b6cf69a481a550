//! The JSON about photos: one profilePhoto, or the list of them.

use http::{HeaderMap, header};

use super::answer::Answer;
use super::owners::Found;
use super::photos;
use super::pictures::Picture;
use super::service::Ask;
use super::settings::{Absent, Generation, Settings};
use super::target::{SIDES, Size};

/// The metadata of one photo; the largest, or the size asked for.
pub(super) fn metadata(
    ask: &Ask<'_>,
    found: &Found,
    picture: Option<Picture>,
    wanted: &Size,
) -> Answer {
    let settings = ask.settings;
    let entity = match photos::sized(picture, wanted) {
        Some((picture, side)) => Entity {
            id: match (settings.generation, wanted) {
                (Generation::Newer, Size::Largest) => "default".to_owned(),
                (Generation::Newer, _) => format!("{side}x{side}"),
                (Generation::Documented, _) if found.set == "users" => format!("{side}x{side}"),
                _ => format!("{side}X{side}"),
            },
            kind: "image/jpeg",
            tag: media_etag(settings, &photos::tag(settings, found, picture, side)),
            side,
        },
        None if settings.absent == Absent::NotFound => {
            return photos::missing(settings, wanted, false);
        }
        None => Entity {
            id: match found.set {
                "users" => "1x1".to_owned(),
                _ => "1X1".to_owned(),
            },
            kind: "image/gif",
            tag: String::new(),
            side: 1,
        },
    };
    let last = match wanted {
        Size::Largest => "/photo/$entity".to_owned(),
        _ => "/photos/$entity".to_owned(),
    };
    Answer::json(entity.write(ask, found, &last))
}

fn media_etag(settings: &Settings, tag: &str) -> String {
    if settings.weak_media_etag {
        return tag.to_owned();
    }
    tag.trim_start_matches("W/").to_owned()
}

/// One profilePhoto as JSON shows it.
struct Entity {
    id: String,
    kind: &'static str,
    tag: String,
    side: u32,
}

impl Entity {
    /// The members in the order of the backend's generation, those selected and no others.
    fn members(&self, ask: &Ask<'_>, found: &Found) -> Vec<(&'static str, String)> {
        let root = format!("{}/{}", ask.settings.service_root, ask.version.name());
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let side = || self.side.to_string();
        let annotations = [
            ("@odata.mediaContentType", quoted(self.kind)),
            ("@odata.mediaEtag", quoted(&self.tag)),
        ];
        let id = ("id", quoted(&self.id));
        let link = match found.set {
            "users" => format!("{root}/users('{}@{}')/photo", found.id, ask.tenant),
            set => format!("{root}/{set}('{}')/photo", found.id),
        };
        let mut members = Vec::with_capacity(8);
        if ask.level != Level::None {
            if ask.settings.generation == Generation::Documented || ask.level == Level::Full {
                members.push(("@odata.id", quoted(&link)));
            }
            if ask.level == Level::Full {
                members.push(("@odata.type", quoted("#microsoft.graph.profilePhoto")));
                members.push(("@odata.mediaReadLink", quoted(&format!("{link}/$value"))));
            }
            members.extend(annotations);
        }
        match ask.settings.generation {
            Generation::Newer => {
                members.extend([("height", side()), id, ("width", side())]);
            }
            Generation::Older => members.extend([id, ("height", side()), ("width", side())]),
            Generation::Documented => {
                members.extend([id, ("width", side()), ("height", side())]);
            }
        }
        if let Some(selected) = ask.selected() {
            members.retain(|(name, _)| {
                name.starts_with('@') || selected.iter().any(|one| one.eq_ignore_ascii_case(name))
            });
        }
        members
    }

    fn write(&self, ask: &Ask<'_>, found: &Found, last: &str) -> String {
        let mut members = self.members(ask, found);
        if ask.level != Level::None {
            let context = context(ask, found, last);
            members.insert(0, ("@odata.context", context));
        }
        object(&members)
    }
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn context(ask: &Ask<'_>, found: &Found, last: &str) -> String {
    let settings = ask.settings;
    let names_me = settings.context_names_me || settings.generation == Generation::Documented;
    let whose = if found.me && names_me {
        "Me".to_owned()
    } else {
        format!("{}('{}')", found.set, found.id)
    };
    let root = &settings.service_root;
    let version = ask.version.name();
    serde_json::Value::from(format!("{root}/{version}/$metadata#{whose}{last}")).to_string()
}

/// The list of sizes an owner's photo has.
pub(super) fn list(ask: &Ask<'_>, found: &Found, picture: Option<Picture>) -> Answer {
    let settings = ask.settings;
    let Some(picture) = picture else {
        return match settings.generation {
            Generation::Documented => Answer::json(object(&[
                ("@odata.context", context(ask, found, "/photos")),
                ("value", "[]".to_owned()),
            ])),
            _ => photos::missing(settings, &Size::Largest, false),
        };
    };
    let photos: Vec<String> = SIDES
        .into_iter()
        .filter(|side| *side <= picture.side)
        .map(|side| {
            let entity = Entity {
                id: match settings.generation {
                    Generation::Older => format!("{side}X{side}"),
                    _ => format!("{side}x{side}"),
                },
                kind: "image/jpeg",
                tag: media_etag(settings, &photos::tag(settings, found, picture, side)),
                side,
            };
            object(&entity.members(ask, found))
        })
        .collect();
    let value = format!("[{}]", photos.join(","));
    let mut members = vec![("value", value)];
    if ask.level != Level::None {
        members.insert(0, ("@odata.context", context(ask, found, "/photos")));
    }
    Answer::json(object(&members))
}

/// How much `@odata` a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    None,
    Minimal,
    Full,
}

impl Level {
    /// Reads `Accept`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        match accept.split("odata.metadata=").nth(1) {
            Some(level) if level.starts_with("none") => Self::None,
            Some(level) if level.starts_with("full") => Self::Full,
            _ => Self::Minimal,
        }
    }
}
