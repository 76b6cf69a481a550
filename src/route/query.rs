//! What, besides the path, shapes an answer: `$select`, `Accept`, and fields we do not answer for.
//!
//! A picture has no variants: Graph answers it with an image whatever `Accept` says, and no
//! query option is documented for it. A JSON answer varies by `$select` and by the level of
//! annotations in `Accept` (`OData` JSON Format 4.0 §3.1). All else that could change an answer
//! makes a request pass through.

use http::{HeaderMap, HeaderValue, header};

use super::key;

/// The level of `odata.metadata` asked for in `Accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetadataLevel {
    /// Not said: Graph answers `minimal`.
    #[default]
    Unsaid,
    /// `odata.metadata=none`
    None,
    /// `odata.metadata=minimal`
    Minimal,
    /// `odata.metadata=full`
    Full,
}

/// The variant of a JSON answer; the default for pictures, whatever `Accept` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Variant {
    /// The properties named by `$select` (`id`, `width`, `height`), as a set; `None` without it.
    pub select: Option<Select>,
    /// The level of annotations.
    pub metadata: MetadataLevel,
}

/// The properties of `profilePhoto` that a `$select` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Select {
    /// `id`
    pub id: bool,
    /// `width`
    pub width: bool,
    /// `height`
    pub height: bool,
}

impl Variant {
    /// Reads the query and `Accept` of a request for JSON; `None` where either asks for
    /// something this product does not know the answer to.
    pub(super) fn read(query: Option<&str>, headers: &HeaderMap) -> Option<Self> {
        let select = match query {
            None | Some("") => None,
            Some(query) => Some(Select::read(query)?),
        };
        if headers.contains_key(header::ACCEPT_CHARSET) {
            return None;
        }
        let metadata = level(headers.get_all(header::ACCEPT).iter())?;
        Some(Self { select, metadata })
    }
}

impl Select {
    /// Reads a query that is one `$select` and nothing else.
    ///
    /// The option's name ignores case, the properties' names do not; their order, repeats and
    /// the spaces around them mean nothing (`OData` 4.0 URL conventions §5.1.2).
    fn read(query: &str) -> Option<Self> {
        let (option, names) = query.split_once('=')?;
        if !option.eq_ignore_ascii_case("$select") && !option.eq_ignore_ascii_case("%24select") {
            return None;
        }
        let names = names.replace('+', " ");
        let mut select = Self::default();
        // A second option would show as `&` in a name, a doubly encoded one as `%`.
        for name in key::decode(&names)?.split(',') {
            match name.trim_matches(' ') {
                "id" => select.id = true,
                "width" => select.width = true,
                "height" => select.height = true,
                _ => return None,
            }
        }
        Some(select)
    }
}

/// The level that every JSON range of an `Accept` agrees on; `None` where no range takes JSON,
/// the ranges disagree, or one of them says what we do not know.
fn level<'a>(accept: impl Iterator<Item = &'a HeaderValue>) -> Option<MetadataLevel> {
    let mut said = false;
    let mut agreed: Option<MetadataLevel> = None;
    for value in accept {
        let value = value.to_str().ok().filter(|text| !text.contains('"'))?;
        for range in value.split(',') {
            said = true;
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let name = name.trim_matches([' ', '\t']);
            if !["application/json", "*/*", "application/*"]
                .iter()
                .any(|json| name.eq_ignore_ascii_case(json))
            {
                // Another type is offered; harmless as long as JSON is welcome too, which is
                // all that Graph has to give here. Not a type at all is not ours to read.
                name.split_once('/')?;
                continue;
            }
            let level = level_of(parameters)?;
            if *agreed.get_or_insert(level) != level {
                return None;
            }
        }
    }
    match agreed {
        None if !said => Some(MetadataLevel::Unsaid),
        agreed => agreed,
    }
}

/// The level that one JSON range asks for, by its parameters.
fn level_of(parameters: &str) -> Option<MetadataLevel> {
    let mut level: Option<MetadataLevel> = None;
    if parameters.is_empty() {
        return Some(MetadataLevel::Unsaid);
    }
    for parameter in parameters.split(';') {
        let (name, value) = parameter.split_once('=')?;
        let (name, value) = (
            name.trim_matches([' ', '\t']),
            value.trim_matches([' ', '\t']),
        );
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let says = |known: &str| value.eq_ignore_ascii_case(known);
        if is("odata.metadata") && level.is_none() {
            level = Some(match () {
                () if says("none") => MetadataLevel::None,
                () if says("minimal") => MetadataLevel::Minimal,
                () if says("full") => MetadataLevel::Full,
                () => return None,
            });
        } else if is("q") {
            // `q=0` refuses the range; other weights do not matter with JSON alone on offer.
            let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
            let zero = whole == "0" && digits.bytes().all(|digit| digit == b'0');
            if zero || !matches!(whole, "0" | "1") || digits.bytes().any(|d| !d.is_ascii_digit()) {
                return None;
            }
        } else if !(is("odata.streaming")
            || is("IEEE754Compatible") && says("false")
            || is("charset") && says("utf-8"))
        {
            return None;
        }
    }
    Some(level.unwrap_or_default())
}

/// What the fields of a request do to its meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// One of them names another method than the request line.
    pub(super) other_method: bool,
    /// One of them could change what Graph answers.
    pub(super) other_answer: bool,
}

impl Fields {
    /// Looks at every field once.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "x-http-method" | "x-http-method-override" | "x-method-override" => {
                    fields.other_method = true;
                }
                // `Prefer` can rename ids (`IdType`); the other two can rename the path.
                "prefer" | "x-original-url" | "x-rewrite-url" => fields.other_answer = true,
                "odata-version"
                | "odata-maxversion"
                | "dataserviceversion"
                | "maxdataserviceversion" => fields.other_answer |= value.as_bytes() != b"4.0",
                _ => {}
            }
        }
        fields
    }
}
