//! Several reads and writes sent as one batch, and its answer taken apart by id.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::asking::{Change, Question, fields, method, upload, written};
use super::oracle::{Asked, Got};
use super::stage::Stage;
use super::step::{Batch, Part, Read, Write};
use crate::support::Reply;

/// A part that is under way.
pub(super) enum UnderWay {
    Question(Question),
    Change(Change),
}

impl Stage {
    pub(super) fn batch_request(&self, batch: &Batch) -> Request<Full<Bytes>> {
        let parts = batch.parts.iter().enumerate();
        let requests: Vec<Value> = parts
            .map(|(place, (id, part))| match part {
                Part::Read(read) => self.read_part(place, id, read),
                Part::Write(write) => self.write_part(place, id, write),
            })
            .collect();
        let path = if batch.beta {
            "/beta/$batch"
        } else {
            "/v1.0/$batch"
        };
        let (request, _) = self.request(Method::POST, path, batch.caller);
        request
            .header("content-type", "application/json")
            .body(Full::new(json!({"requests": requests}).to_string().into()))
            .unwrap()
    }

    fn read_part(&self, place: usize, id: &str, read: &Read) -> Value {
        let mut fields: HashMap<&str, String> = fields(read)
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        fields.extend(self.tag(read).map(|tag| ("if-none-match", tag)));
        json!({"id": id, "method": "GET", "url": self.url(place, read), "headers": fields})
    }

    fn write_part(&self, place: usize, id: &str, write: &Write) -> Value {
        let url = self.url(place, &written(write));
        let method = method(write).to_string();
        match write.side {
            None => json!({"id": id, "method": method, "url": url}),
            Some(_) => json!({"id": id, "method": method, "url": url,
                "headers": {"Content-Type": "image/jpeg"},
                "body": STANDARD.encode(upload(write))}),
        }
    }

    /// Below the version, with a slash or without.
    fn url(&self, place: usize, read: &Read) -> String {
        let path = self.path(read);
        let below = path.splitn(3, '/').nth(2).unwrap();
        let slash = if place.is_multiple_of(2) { "/" } else { "" };
        format!("{slash}{below}")
    }

    pub(super) async fn batch(
        &self,
        parts: Vec<(&'static str, UnderWay)>,
        request: Request<Full<Bytes>>,
        spoilt: bool,
    ) -> Result<Vec<Asked>, String> {
        let reply = self.proxy.try_sending(request).await;
        let ended = self.ledger().moment();
        let reply = match reply {
            Err(_) if spoilt => None,
            Err(error) => return Err(format!("a batch got no whole answer: {error}")),
            Ok(reply) => {
                super::count("batch: ", &reply);
                Some(reply)
            }
        };
        let whole = reply
            .as_ref()
            .filter(|reply| reply.status == StatusCode::OK);
        let answers = whole.and_then(answers);
        if let Some(answers) = &answers {
            let asked = parts.iter().all(|(id, _)| answers.contains_key(*id));
            if !asked || answers.len() != parts.len() {
                return Err(format!(
                    "a batch got other parts than were asked for\n{reply:?}"
                ));
            }
        } else if !spoilt && whole.is_some() {
            return Err(format!("a batch got no batch\n{reply:?}"));
        }
        let whole = reply.map_or(StatusCode::BAD_GATEWAY, |reply| reply.status);
        let told = parts.into_iter().map(|(id, part)| {
            let answer = answers.as_ref().and_then(|answers| answers.get(id));
            match (part, answer) {
                (UnderWay::Question(question), Some(answer)) => {
                    self.understand(question, Ok(answer), ended)
                }
                (UnderWay::Question(question), None) => Ok(of_the_whole(&question, whole, ended)),
                (UnderWay::Change(change), answer) => {
                    let status = answer.map_or(whole, |answer| answer.status);
                    self.settle(change, Ok(&status))
                }
            }
        });
        told.collect()
    }
}

/// What the refusal or failure of a whole batch says of one of its reads.
fn of_the_whole(question: &Question, whole: StatusCode, ended: usize) -> Asked {
    Asked {
        read: question.read,
        credential: question.credential,
        began: question.began,
        ended,
        // That nobody may ask so says nothing of the owners.
        got: Got::Status(match whole {
            StatusCode::FORBIDDEN => 502,
            other => other.as_u16(),
        }),
        spoilt: question.spoilt,
        judged: !question.spoilt,
    }
}

/// The parts of a batch's answer by id, each as if it had come alone; none of two of one id.
fn answers(reply: &Reply) -> Option<HashMap<String, Reply>> {
    let json: Value = serde_json::from_slice(&reply.body).ok()?;
    let mut answers = HashMap::new();
    for part in json.get("responses")?.as_array()? {
        let id = part.get("id")?.as_str()?.to_owned();
        if answers.insert(id, alone(part)?).is_some() {
            return None;
        }
    }
    Some(answers)
}

fn alone(part: &Value) -> Option<Reply> {
    let status = StatusCode::from_u16(part.get("status")?.as_u64()?.try_into().ok()?).ok()?;
    let fields = part.get("headers").and_then(Value::as_object);
    let headers: HeaderMap = fields
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
        })
        .collect();
    let body = match part.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        // A picture; anything else that is text has been spoilt.
        Some(Value::String(text)) => STANDARD.decode(text).ok()?.into(),
        Some(json) => json.to_string().into(),
    };
    Some(Reply {
        status,
        headers,
        body,
    })
}
