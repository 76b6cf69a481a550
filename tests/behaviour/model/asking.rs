//! How what a story asks for is sent through the proxy, and what comes back.

use bytes::Bytes;
use graph_photo_proxy::demo::faces;
use http::{Method, Request, StatusCode, request};
use http_body_util::Full;

use super::cast::person;
use super::law;
use super::ledger::{Credential, Moment, Picture};
use super::oracle::{Asked, Got};
use super::reading;
use super::stage::Stage;
use super::step::{Caller, Condition, Owner, Place, Read, Subject, View, Write};
use crate::support::{Broken, Reply};

/// A read that is under way.
pub(super) struct Question {
    pub(super) read: Read,
    /// The tag it was sent with.
    pub(super) sent: Option<String>,
    pub(super) credential: Option<Credential>,
    pub(super) began: Moment,
    /// Whether Graph fails on purpose meanwhile.
    pub(super) spoilt: bool,
}

/// A write that is under way.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) write: Write,
    pub(super) subject: Subject,
    /// What is shown once it is done.
    pub(super) picture: Option<Picture>,
    pub(super) credential: Option<Credential>,
    pub(super) began: Moment,
    /// Whether Graph fails on purpose meanwhile.
    pub(super) spoilt: bool,
}

impl Stage {
    pub(super) fn read_request(
        &self,
        read: &Read,
    ) -> (Request<Full<Bytes>>, Option<String>, Option<Credential>) {
        let method = if read.head { Method::HEAD } else { Method::GET };
        let (mut request, credential) = self.request(method, &self.path(read), read.caller);
        for (name, value) in fields(read) {
            request = request.header(name, value);
        }
        let sent = self.tag(read);
        if let Some(tag) = &sent {
            request = request.header("if-none-match", tag);
        }
        (request.body(Full::default()).unwrap(), sent, credential)
    }

    /// A request with the token that this caller shows now.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        caller: Caller,
    ) -> (request::Builder, Option<Credential>) {
        let (token, credential) = self.token(caller);
        let mut request = self.proxy.request(method, path, "");
        if let Some(token) = token {
            let space = match caller {
                Caller::AliceSpaced => "  ",
                _ => " ",
            };
            request = request.header("authorization", format!("Bearer{space}{token}"));
            if caller == Caller::BobThenAlice {
                let (alice, _) = self.token(Caller::Alice);
                request = request.header("authorization", format!("Bearer {}", alice.unwrap()));
            }
        }
        (request, credential)
    }

    /// The tag a read is sent with.
    pub(super) fn tag(&self, read: &Read) -> Option<String> {
        let subject = law::subject(read.owner, read.caller).unwrap_or(Subject::Stranger);
        let tags = self.tags.lock().unwrap();
        match read.condition {
            Condition::LastTag => tags.last_of(subject, read.size),
            Condition::ForeignTag => tags.last_of_another(subject),
            Condition::AnyTag => Some("*".to_owned()),
            _ => None,
        }
    }

    pub(super) async fn read(
        &self,
        question: Question,
        request: Request<Full<Bytes>>,
    ) -> Result<Asked, String> {
        let reply = self.proxy.try_sending(request).await;
        let ended = self.ledger().moment();
        if let Ok(reply) = &reply {
            super::count("", reply);
        }
        self.understand(question, reply.as_ref(), ended)
    }

    /// A reply, or a part of one, in the model's words.
    pub(super) fn understand(
        &self,
        question: Question,
        reply: Result<&Reply, &Broken>,
        ended: Moment,
    ) -> Result<Asked, String> {
        let Question {
            read,
            sent,
            credential,
            began,
            spoilt,
        } = question;
        let (judged, got) = match reply {
            Err(_) if spoilt => (false, Got::Status(502)),
            Err(error) => return Err(format!("{read:?} got no whole answer: {error}")),
            Ok(reply) if spoilt && reading::is_spoilt(reply, read.head) => {
                (false, Got::Status(reply.status.as_u16()))
            }
            Ok(reply) => {
                let mut tags = self.tags.lock().unwrap();
                let got = reading::read(&read, reply, sent.as_deref(), &self.ledger(), &mut tags)
                    .map_err(|why| format!("{read:?} got {why}\n{reply:?}"))?;
                (true, got)
            }
        };
        Ok(Asked {
            read,
            credential,
            began,
            ended,
            got,
            spoilt,
            judged,
        })
    }

    pub(super) fn write_request(&self, write: &Write) -> Request<Full<Bytes>> {
        let (request, _) = self.request(method(write), &self.path(&written(write)), write.caller);
        request
            .header("content-type", "image/jpeg")
            .body(Full::new(upload(write)))
            .unwrap()
    }

    pub(super) async fn write(
        &self,
        change: Change,
        request: Request<Full<Bytes>>,
    ) -> Result<Asked, String> {
        let reply = self.proxy.try_sending(request).await;
        let status = reply.map(|reply| reply.status);
        self.settle(change, status.map_err(|error| error.to_string()).as_ref())
    }

    /// What has become of a write whose answer is this status, or none.
    pub(super) fn settle(
        &self,
        change: Change,
        status: Result<&StatusCode, &String>,
    ) -> Result<Asked, String> {
        let Change {
            write,
            subject,
            picture,
            credential,
            began,
            spoilt,
        } = change;
        let mut ledger = self.ledger();
        let ended = ledger.moment();
        // Whatever the writer has heard: a refusal changes nothing, and anything else has been
        // done or not.
        let refused = status.is_ok_and(StatusCode::is_client_error);
        let id = ledger.ids.get(&subject).cloned().unwrap_or_default();
        let done = !refused && self.picture_at_graph(&id) == picture;
        ledger.write_ends(subject, ended, done);
        drop(ledger);
        let forever_bad = matches!(write.caller, Caller::Forged | Caller::AliceOfElsewhere);
        match status {
            _ if spoilt => {}
            Ok(status) if status.is_success() && (forever_bad || !done) => {
                return Err(format!("{write:?} got {status}"));
            }
            Ok(status) if status.is_server_error() => {
                return Err(format!("{write:?} got {status}"));
            }
            Err(error) => return Err(format!("{write:?} got no answer: {error}")),
            Ok(_) => {}
        }
        Ok(Asked {
            read: written(&write),
            credential,
            began,
            ended,
            // A write that is refused says nothing of reads.
            got: Got::Status(match status {
                Ok(&StatusCode::UNAUTHORIZED) => 401,
                _ => 204,
            }),
            spoilt,
            judged: false,
        })
    }

    pub(super) fn path(&self, read: &Read) -> String {
        let version = if read.beta { "/beta" } else { "/v1.0" };
        let user = |who, name| format!("users/{}", self.name(who, name));
        let owner = match read.owner {
            Owner::Me => "me".to_owned(),
            Owner::Person(who, name) => user(who, name),
            Owner::Group(group) => format!("groups/{}", self.id(Subject::Group(group))),
            Owner::Team(group, place) => {
                let id = self.id(Subject::Group(group));
                match place {
                    Place::Teams => format!("teams/{id}"),
                    Place::Team => format!("team/{id}"),
                    Place::GroupTeam => format!("groups/{id}/team"),
                    Place::Joined => format!("me/joinedTeams/{id}"),
                }
            }
            Owner::Contact(whose, number, path, folder) => {
                let mailbox = path.map_or("me".to_owned(), |name| user(whose, name));
                let person = person(&self.graph, whose);
                let contact = self
                    .graph
                    .tenant()
                    .contacts_of(&person)
                    .nth(number)
                    .unwrap();
                let folder = if folder {
                    format!("/contactFolders/{}", contact.folder)
                } else {
                    String::new()
                };
                format!("{mailbox}{folder}/contacts/{}", contact.id)
            }
            Owner::Stranger => format!("users/{}", self.id(Subject::Stranger)),
        };
        let photo = match read.size {
            Some(side) => format!("photos/{side}x{side}"),
            None => "photo".to_owned(),
        };
        let rest = match read.view {
            View::Media => format!("{photo}/$value"),
            View::Metadata | View::Bare | View::Full => photo,
            View::Selected => format!("{photo}?$select=id"),
            View::List => "photos".to_owned(),
        };
        format!("{version}/{owner}/{rest}")
    }
}

/// What a read says besides its path.
pub(super) fn fields(read: &Read) -> Vec<(&'static str, &'static str)> {
    let accept = match read.view {
        View::Bare => "application/json;odata.metadata=none",
        View::Full => "application/json;odata.metadata=full",
        _ => "*/*",
    };
    let mut fields = vec![("accept", accept)];
    fields.extend(match read.condition {
        Condition::FirstBytes => Some(("range", "bytes=0-99")),
        Condition::LastBytes => Some(("range", "bytes=-70")),
        Condition::NoStore => Some(("cache-control", "no-store, no-cache")),
        _ => None,
    });
    fields
}

/// The read of what a write changes.
pub(super) fn written(write: &Write) -> Read {
    Read {
        caller: write.caller,
        owner: write.owner,
        view: View::Media,
        size: None,
        beta: write.beta,
        head: false,
        condition: Condition::None,
    }
}

pub(super) fn method(write: &Write) -> Method {
    match write.side {
        Some(_) => Method::PUT,
        None => Method::DELETE,
    }
}

/// What a write sends.
pub(super) fn upload(write: &Write) -> Bytes {
    let side = write.side;
    side.map(|side| faces::jpeg("an upload", 1, side))
        .unwrap_or_default()
}
