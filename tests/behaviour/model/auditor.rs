//! What Graph itself says when it is asked without the proxy.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use http::Request;
use http_body_util::{BodyExt as _, Full};

use super::ledger::Picture;
use super::stage::Stage;
use super::step::{Backend, Subject};

/// The tags of uploads, which depend on nothing that differs from story to story but this key.
type TagKey = (Backend, String, u64, u32);
static TAGS: LazyLock<Mutex<HashMap<TagKey, String>>> = LazyLock::new(Mutex::default);

impl Stage {
    /// Asks Graph itself for the tags of new uploads.
    pub(super) async fn learn_tags(&self) {
        let subjects: Vec<(Subject, Picture, String)> = {
            let ledger = self.ledger();
            let all = ledger.ids.iter();
            all.filter_map(|(subject, id)| Some((*subject, ledger.picture(*subject)?, id.clone())))
                .collect()
        };
        for (subject, picture, id) in subjects {
            let key = (
                self.scene.graph,
                format!("{id}{}", self.scene.tag_per_size),
                picture.upload,
                picture.side,
            );
            let known = TAGS.lock().unwrap().get(&key).cloned();
            let tag = match known {
                Some(tag) => Some(tag),
                None => self.ask_directly(subject, &id).await,
            };
            if let Some(tag) = tag {
                self.tags
                    .lock()
                    .unwrap()
                    .saw(&tag, subject, picture.upload, None);
                TAGS.lock().unwrap().insert(key, tag);
            }
        }
    }

    async fn ask_directly(&self, subject: Subject, id: &str) -> Option<String> {
        let (path, token) = match subject {
            Subject::Person(_) => (format!("/users/{id}"), &self.auditor),
            Subject::Group(_) => (format!("/groups/{id}"), &self.auditor),
            Subject::Contact(whose, _) => {
                let whose = self.id(Subject::Person(whose));
                (
                    format!("/users/{whose}/contacts/{id}"),
                    &self.contacts_auditor,
                )
            }
            Subject::Stranger => return None,
        };
        let request = Request::get(format!("{}/v1.0{path}/photo", self.graph.base_url()))
            .header("authorization", format!("Bearer {token}"))
            .body(Full::default())
            .unwrap();
        let reply = self.direct.request(request).await.unwrap();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&body).ok()?;
        Some(json.get("@odata.mediaEtag")?.as_str()?.to_owned())
    }

    /// The picture that Graph has of an owner now, whatever it answers to anybody.
    pub(super) fn picture_at_graph(&self, id: &str) -> Option<Picture> {
        let mark = self.graph.photo_of(id)?;
        Some(Picture {
            upload: mark.upload,
            side: mark.side,
        })
    }
}
