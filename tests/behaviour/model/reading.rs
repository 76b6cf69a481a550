//! A reply in the model's words: whose picture it is, to the last byte.

use std::collections::HashMap;

use http::StatusCode;

use super::ledger::{Ledger, Picture};
use super::oracle::{Content, Got};
use super::step::{Condition, Read, Subject, View};
use crate::support::Reply;

/// Which uploads a tag was seen with.
#[derive(Debug, Default)]
pub(super) struct Tags {
    uploads: HashMap<String, Vec<(Subject, u64)>>,
    last: Vec<(Subject, Option<u32>, String)>,
}

impl Tags {
    /// A tag was seen with an upload; at a side when it was seen on a picture.
    pub(super) fn saw(&mut self, tag: &str, subject: Subject, upload: u64, side: Option<u32>) {
        let uploads = self.uploads.entry(bare(tag)).or_default();
        if !uploads.contains(&(subject, upload)) {
            uploads.push((subject, upload));
        }
        if side.is_some() {
            self.last.retain(|(_, _, known)| known != tag);
            self.last.push((subject, side, tag.to_owned()));
        }
    }

    fn of(&self, tag: &str) -> Option<Content> {
        self.uploads.get(&bare(tag)).cloned().map(Content::Upload)
    }

    pub(super) fn last_of(&self, subject: Subject, side: Option<u32>) -> Option<String> {
        let mut all = self.last.iter().rev();
        all.find(|(whose, at, _)| *whose == subject && (side.is_none() || *at == side))
            .map(|(_, _, tag)| tag.clone())
    }

    pub(super) fn last_of_another(&self, subject: Subject) -> Option<String> {
        let mut all = self.last.iter().rev();
        all.find(|(whose, _, _)| *whose != subject)
            .map(|(_, _, tag)| tag.clone())
    }
}

/// A tag without its weakness.
fn bare(tag: &str) -> String {
    tag.trim_start_matches("W/").to_owned()
}

/// Whether a fault of the simulator shows in this reply, so that nothing follows from it.
pub(super) fn is_spoilt(reply: &Reply, head: bool) -> bool {
    let status = reply.status.as_u16();
    let odd = reply.status == StatusCode::OK
        && (reply.field("content-type").starts_with("text/")
            || !reply.field("content-encoding").is_empty()
            || reply.body.is_empty());
    head || odd || status >= 500 || matches!(status, 302 | 401 | 403 | 429)
}

/// Reads a reply.
///
/// # Errors
///
/// When it shows a single byte that is not of one picture of the simulator's, or is no answer
/// to what was asked.
pub(super) fn read(
    read: &Read,
    reply: &Reply,
    sent_tag: Option<&str>,
    ledger: &Ledger,
    tags: &mut Tags,
) -> Result<Got, String> {
    let content = match reply.status.as_u16() {
        200 if read.head => of_head(read, reply, tags),
        200 if read.view == View::Media => picture(reply, ledger, tags)?,
        200 => json(read, reply, tags)?,
        206 if read.view == View::Media => part(read, reply)?,
        206 => Content::Either,
        304 => unchanged(read, reply, sent_tag, tags)?,
        404 => Content::Nothing,
        other => return Ok(Got::Status(other)),
    };
    Ok(Got::Content(content))
}

fn picture(reply: &Reply, ledger: &Ledger, tags: &mut Tags) -> Result<Content, String> {
    let mark = reply.mark().ok_or("a picture without a mark")?;
    let subject = ledger
        .ids
        .iter()
        .find(|(_, id)| **id == mark.owner)
        .map(|(subject, _)| *subject)
        .ok_or("somebody's picture whom nobody asked for")?;
    let picture = Picture {
        upload: mark.upload,
        side: mark.side,
    };
    if ledger.face(subject, picture) != reply.body {
        return Err("a picture with foreign bytes".to_owned());
    }
    let tag = reply.field("etag");
    if !tag.is_empty() {
        tags.saw(tag, subject, mark.upload, Some(mark.side));
    }
    Ok(Content::Exactly(subject, picture))
}

fn of_head(read: &Read, reply: &Reply, tags: &Tags) -> Content {
    if read.view != View::Media {
        return Content::Either;
    }
    match reply.field("content-length").parse() {
        Ok(length) => Content::Length(length),
        Err(_) => tags.of(reply.field("etag")).unwrap_or(Content::Some),
    }
}

fn part(read: &Read, reply: &Reply) -> Result<Content, String> {
    if !matches!(read.condition, Condition::FirstBytes | Condition::LastBytes) {
        return Err("a part that nobody asked for".to_owned());
    }
    let range = reply.field("content-range").strip_prefix("bytes ");
    let read = || {
        let (place, total) = range?.split_once('/')?;
        let (from, to) = place.split_once('-')?;
        let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
        let length = to.checked_sub(from)?.checked_add(1)?;
        (length == reply.body.len()).then_some(Content::Part(
            from,
            reply.body.to_vec(),
            total.parse().ok()?,
        ))
    };
    read().ok_or_else(|| "a part that does not say which".to_owned())
}

fn unchanged(
    read: &Read,
    reply: &Reply,
    sent_tag: Option<&str>,
    tags: &Tags,
) -> Result<Content, String> {
    let Some(sent) = sent_tag else {
        return Err("304 to a request without a condition".to_owned());
    };
    if !reply.body.is_empty() {
        return Err("304 with a body".to_owned());
    }
    if read.condition == Condition::AnyTag {
        let unknown = match read.view {
            View::Media => Content::Some,
            _ => Content::Either,
        };
        return Ok(tags.of(reply.field("etag")).unwrap_or(unknown));
    }
    tags.of(sent)
        .ok_or_else(|| "304 to a tag nobody gave".to_owned())
}

fn json(read: &Read, reply: &Reply, tags: &Tags) -> Result<Content, String> {
    let json = reply.json();
    let annotated = json
        .as_object()
        .is_some_and(|members| members.keys().any(|name| name.starts_with("@odata")));
    if annotated == (read.view == View::Bare) {
        return Err("annotations that were not asked for, or none".to_owned());
    }
    if (json.get("@odata.type").is_some()) != (read.view == View::Full) {
        return Err("another level of metadata than was asked for".to_owned());
    }
    if let Some(context) = json.get("@odata.context").and_then(|text| text.as_str()) {
        let version = if read.beta { "/beta/" } else { "/v1.0/" };
        if !context.contains(version) {
            return Err("an answer of the other version".to_owned());
        }
    }
    let item = match read.view {
        View::List => {
            let value = json.get("value").and_then(|value| value.as_array());
            let value = value.ok_or("a list without a value")?;
            match value.last() {
                Some(largest) => largest,
                None => return Ok(Content::Nothing),
            }
        }
        _ => &json,
    };
    let width = item.get("width").and_then(serde_json::Value::as_u64);
    if width.is_some() == (read.view == View::Selected) {
        return Err("other members than were asked for".to_owned());
    }
    if width == Some(1) || item.get("id").is_some_and(|id| id == "1x1" || id == "1X1") {
        return Ok(Content::Nothing);
    }
    let tag = item.get("@odata.mediaEtag").and_then(|tag| tag.as_str());
    if let Some(known) = tag.and_then(|tag| tags.of(tag)) {
        return Ok(known);
    }
    Ok(match width.and_then(|width| u32::try_from(width).ok()) {
        Some(side) => Content::Side(side),
        None => Content::Some,
    })
}
