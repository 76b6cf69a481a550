//! Verification without the bytes: the small metadata request in the picture's stead, and what
//! metadata and picture tell each other.
//!
//! Graph: "Get profilePhoto" has one table of permissions for the metadata and the picture of
//! an owner, and `@odata.mediaEtag` names the upload that `$value` would give. So the metadata
//! Graph gives to a caller's own token, of the same owner by the same path and of the same
//! size, under the tag of the picture we hold, is Graph's word that this caller may have it.
//! Nothing else is: not metadata that is held, nor another size's, nor an empty tag.
//!
//! Contacts, teams and templates have no sizes, personal accounts no metadata; they are asked
//! for the picture itself.

use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode, Uri};

use super::Rooms;
use super::question::{Before, Flown};
use super::told::Posed;
use super::wanted::Wanted;
use crate::cache::{Born, Held, Kind, Lookup, etag};
use crate::clock::Time;
use crate::identity::Space;
use crate::render::{Answer, CacheStatus, Detail, Forward, Outcome};
use crate::route::{self, OwnerKind, PhotoRequest, Recognition, Variant, View};
use crate::upstream::{Pass, Way};

/// What came of verifying a picture by its metadata.
pub(super) enum Verified {
    /// It was not tried.
    NotTried,
    /// It told nothing: the picture itself must be asked for.
    InVain,
    /// The caller has its answer.
    Told(Box<Flown>),
}

impl Rooms {
    /// Verifies a picture by its metadata, where Graph is known to ignore conditions and has not
    /// refused this caller the picture itself.
    pub(super) async fn verify(
        &self,
        wanted: &Wanted,
        why: Forward,
        before: &Held,
        pass: &Pass,
    ) -> Verified {
        let (kind, now) = (wanted.facts.owner.kind(), self.clock.now());
        if !self.questions.verify_by_metadata || before.response.upstream_etag().is_none() {
            return Verified::NotTried;
        }
        if self.was_refused(wanted, now) || self.questions.habits.way(kind, now) != Way::Metadata {
            return Verified::NotTried;
        }
        let Some(metadata) = wanted.as_metadata(self) else {
            return Verified::NotTried;
        };
        let (born, asked) = (self.cache.doubts.born(), self.clock.now());
        let flown = self.exchange(&metadata, why, Before::default(), pass).await;
        let now = self.clock.now();
        match &flown.outcome.answer {
            // Only what has just come counts: what is held is nobody's word today.
            Answer::Held(held) if flown.accepted => {
                if self.was_refused(wanted, now) {
                    return Verified::InVain;
                }
                if !names_tag_of(held, before) {
                    return Verified::InVain;
                }
                self.questions.habits.tags_agreed(kind);
                let posed = Posed {
                    wanted,
                    why,
                    born,
                    asked,
                };
                let stands = self.stands(posed, before, &HeaderMap::new(), StatusCode::OK, now);
                stands.map_or(Verified::InVain, |flown| Verified::Told(Box::new(flown)))
            }
            Answer::Relayed(answer) if is_final(answer.status()) => {
                Verified::Told(Box::new(self.or_held(wanted, flown, now)))
            }
            Answer::Problem(_) => Verified::Told(Box::new(self.or_held(wanted, flown, now))),
            Answer::Held(_) | Answer::Relayed(_) => Verified::InVain,
        }
    }

    /// A failure to verify, or the picture where it may be shown in spite of it.
    fn or_held(&self, wanted: &Wanted, flown: Flown, now: Time) -> Flown {
        let detail = match &flown.outcome.answer {
            Answer::Relayed(answer) if answer.status() == StatusCode::TOO_MANY_REQUESTS => {
                Detail::Throttled
            }
            Answer::Relayed(answer) if !answer.status().is_server_error() => return flown,
            _ => Detail::Error,
        };
        match self.fallback(wanted, now) {
            Some(held) => Flown {
                outcome: Outcome {
                    answer: Answer::Held(held),
                    status: CacheStatus::hit().because(detail),
                },
                ..flown
            },
            None => flown,
        }
    }

    /// A picture has come. If it was asked for with the tag of one that is held and is that very
    /// one, the condition was ignored.
    pub(super) fn learn_habit(&self, wanted: &Wanted, known: &Before, came: &Held, now: Time) {
        let kind = wanted.facts.owner.kind();
        let Some(before) = &known.held else {
            return;
        };
        let Some(tag) = before.response.upstream_etag() else {
            return;
        };
        let habits = &self.questions.habits;
        let same_tag = came
            .response
            .upstream_etag()
            .is_some_and(|came| etag::is_same(came.as_bytes(), tag.as_bytes()));
        if !same_tag && *came.bytes != *before.bytes {
            return;
        }
        if known.in_vain {
            habits.metadata_told_nothing(kind, now);
        }
        habits.condition_ignored(kind, now);
    }

    /// Metadata has come: the caller may have the picture under the same tag, and one under
    /// another tag is not shown again before Graph has been asked.
    pub(super) fn metadata_tells(
        &self,
        wanted: &Wanted,
        metadata: &Held,
        born: Born,
        asked: Time,
        now: Time,
    ) {
        let facts = &wanted.facts;
        let whole = facts.photo.variant.select.is_none();
        if !self.questions.infer_etag || facts.photo.view != View::Metadata || !whole {
            return;
        }
        let kind = facts.owner.kind();
        let Some(named) = media_etag(metadata) else {
            return;
        };
        let picture = wanted.other_view(self, View::Media, now);
        if self.was_refused(&picture, now) {
            return;
        }
        let Some(held) = self.known(&picture) else {
            return;
        };
        let Some(tag) = held.response.upstream_etag() else {
            return;
        };
        if etag::is_same(&named, tag.as_bytes()) {
            self.questions.habits.tags_agreed(kind);
            self.cache
                .freshen(&picture.place, &held, &HeaderMap::new(), asked, born, now);
        } else if self.questions.habits.tags_agree(kind) {
            let place = picture.facts.by_either_name(&picture.place);
            self.cache.outdate(&place, &held);
        }
    }

    /// A picture has come, or been found unchanged: metadata under the same tag is as good as
    /// new, metadata under another tag is of another picture.
    pub(super) fn picture_tells(
        &self,
        wanted: &Wanted,
        picture: &Held,
        born: Born,
        asked: Time,
        now: Time,
    ) {
        let facts = &wanted.facts;
        if !self.questions.infer_etag || picture.response.kind != Kind::Media {
            return;
        }
        let Some(tag) = picture.response.upstream_etag() else {
            return;
        };
        let metadata = wanted.other_view(self, View::Metadata, now);
        let Some(held) = self.held_by(&metadata) else {
            return;
        };
        let Some(named) = media_etag(&held) else {
            return;
        };
        if etag::is_same(&named, tag.as_bytes()) {
            self.questions.habits.tags_agreed(facts.owner.kind());
            self.cache
                .freshen(&metadata.place, &held, &HeaderMap::new(), asked, born, now);
        } else if self.questions.habits.tags_agree(facts.owner.kind()) {
            self.cache.outdate(&metadata.place, &held);
        }
    }

    /// Whether Graph's last word to this caller about the picture was a refusal: metadata never
    /// stands against that.
    pub(super) fn was_refused(&self, wanted: &Wanted, now: Time) -> bool {
        let names = self.names(wanted, now);
        self.is_refused(wanted.facts.own, &names, wanted.facts.space, now)
    }

    /// What this caller has been given before, whether or not it may be served now.
    fn held_by(&self, wanted: &Wanted) -> Option<Held> {
        let now = self.clock.now();
        wanted.facts.readable().find_map(|key| {
            match self.cache.lookup(key, wanted.facts.own, now) {
                Lookup::Fresh(held) | Lookup::Stale(held) | Lookup::Expired(held) => Some(held),
                // In doubt: only the thing itself will do.
                Lookup::Doubted(_) | Lookup::Miss => None,
            }
        })
    }
}

impl Wanted {
    /// The metadata of the same picture, asked for by the same path.
    pub(super) fn as_metadata(&self, rooms: &Rooms) -> Option<Wanted> {
        let photo = &self.facts.photo;
        let has_metadata = matches!(photo.owner.kind(), OwnerKind::User | OwnerKind::Group)
            && self.facts.space != Space::Alone(self.facts.caller.credential);
        if photo.view != View::Media || !has_metadata {
            return None;
        }
        let target = metadata_target(&self.target, photo)?;
        let mut metadata = self.other_view(rooms, View::Metadata, rooms.clock.now());
        metadata.target = target;
        Some(metadata)
    }
}

/// The target of a picture's metadata: the same without `/$value`. Read back, so that it can be
/// nothing but the metadata of that owner and size.
fn metadata_target(media: &PathAndQuery, photo: &PhotoRequest) -> Option<PathAndQuery> {
    let (path, _) = media.path().rsplit_once('/')?;
    let uri = Uri::try_from(path).ok()?;
    let expected = PhotoRequest {
        view: View::Metadata,
        variant: Variant::default(),
        head: false,
        ..photo.clone()
    };
    match route::recognise(&http::Method::GET, &uri, &HeaderMap::new(), false) {
        Recognition::Read(read) if read == expected => uri.path_and_query().cloned(),
        _ => None,
    }
}

/// Whether metadata names the tag that this picture has.
pub(super) fn names_tag_of(metadata: &Held, picture: &Held) -> bool {
    let (named, tag) = (media_etag(metadata), picture.response.upstream_etag());
    named
        .zip(tag)
        .is_some_and(|(named, tag)| etag::is_same(&named, tag.as_bytes()))
}

/// The tag that metadata names, where it names one.
fn media_etag(metadata: &Held) -> Option<Vec<u8>> {
    if metadata.response.kind != Kind::Json || metadata.response.status != StatusCode::OK {
        return None;
    }
    let json: serde_json::Value = serde_json::from_slice(&metadata.bytes).ok()?;
    let tag = json.get("@odata.mediaEtag")?.as_str()?;
    Some(tag.as_bytes().to_vec()).filter(|tag| etag::opaque(tag).len() > 2)
}

/// Whether an answer to the metadata request is one for the picture too, so that asking for the
/// picture would only be told the same.
fn is_final(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{ApiVersion, PhotoOwner, PhotoSize};

    fn read(path: &'static str) -> (PathAndQuery, PhotoRequest) {
        let uri = Uri::from_static(path);
        match route::recognise(&http::Method::GET, &uri, &HeaderMap::new(), false) {
            Recognition::Read(photo) => (uri.path_and_query().unwrap().clone(), photo),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_metadata_of_a_picture_is_asked_for_by_the_pictures_own_path() {
        for (media, metadata) in [
            ("/v1.0/me/photo/$value", "/v1.0/me/photo"),
            (
                "/v1.0/users/a@b.example/photo/%24value",
                "/v1.0/users/a@b.example/photo",
            ),
            (
                "/beta/users/x/photos/48X48/$value?",
                "/beta/users/x/photos/48X48",
            ),
            (
                "/v1.0/users('x')/photos('48x48')/$value",
                "/v1.0/users('x')/photos('48x48')",
            ),
        ] {
            let (target, photo) = read(media);
            let found = metadata_target(&target, &photo).unwrap();
            assert_eq!(found.as_str(), metadata);
        }
    }

    #[test]
    fn no_target_is_made_for_another_owner_or_size() {
        let (target, photo) = read("/v1.0/users/x/photos/48x48/$value");
        let other_size = PhotoRequest {
            size: PhotoSize::Largest,
            ..photo.clone()
        };
        let other_owner = PhotoRequest {
            owner: PhotoOwner::Me,
            ..photo.clone()
        };
        let other_version = PhotoRequest {
            version: ApiVersion::Beta,
            ..photo
        };
        for other in [other_size, other_owner, other_version] {
            assert_eq!(metadata_target(&target, &other), None);
        }
    }
}
