//! The facts of one photo request, gathered once from the rooms' answers.

use std::sync::Arc;

use http::{HeaderValue, Request, header};

use super::{Rooms, target};
use crate::cache::{CurrentKey, Demand, Key, Lookup, Place};
use crate::clock::Time;
use crate::identity::{Caller, Partition, Principal, Sharing, Space, Subject};
use crate::route::{
    Mailbox, MetadataLevel, ObjectId, PhotoOwner, PhotoRequest, TeamPlace, Variant, View,
};
use crate::upstream::{Budget, Trace};

/// What is asked, who asks, and where the answer is looked for.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) photo: PhotoRequest,
    pub(super) caller: Caller,
    /// Whose photo, by its canonical name where the view allows it.
    pub(super) owner: PhotoOwner,
    pub(super) subject: Subject,
    pub(super) space: Space,
    pub(super) own: Partition,
    /// What the caller asks of a stored answer.
    pub(super) demand: Demand,
    own_key: Key,
    /// The tenant's key, where policy and Graph let this caller read it.
    shared_key: Option<Key>,
    /// The same by the name it was asked by, where the canonical one is another: what came
    /// before the two were known to be one is held there, and was Graph's answer to that name.
    addressed: Vec<Key>,
    /// How many questions had ended before anything was looked for.
    pub(super) ended: u64,
}

impl Facts {
    pub(super) fn gather(
        rooms: &Rooms,
        photo: PhotoRequest,
        caller: Caller,
        demand: Demand,
        now: Time,
    ) -> Self {
        let ended = rooms.questions.ended();
        let principal = caller.principal();
        let addressed = Subject::of(&photo.owner, principal);
        let space = addressed.space(principal, caller.credential);
        // JSON repeats the name it was asked by, so only pictures go by the canonical name.
        let owner = match photo.view {
            View::Media => canonical(rooms, &photo.owner, principal, space, now),
            View::Metadata | View::List => photo.owner.clone(),
        };
        let subject = Subject::of(&owner, principal);
        let own = rooms.identity.own_partition(&caller);
        let own_key = key(rooms, &photo, &owner, own);
        let shared = (rooms.identity.sharing() == Sharing::Tenant)
            .then(|| rooms.cache.aliases.names(&subject, space, now))
            .filter(|names| !rooms.is_refused(own, names, space, now))
            .and_then(|names| {
                rooms
                    .identity
                    .shared_partition(&caller, &owner, &names, now)
            });
        let shared_key = shared.map(|shared| key(rooms, &photo, &owner, shared));
        let addressed = if owner == photo.owner || photo.owner == PhotoOwner::Me {
            Vec::new()
        } else {
            let keys = shared_key.iter().chain([&own_key]);
            let by_name = |key: &Key| Key {
                owner: photo.owner.clone(),
                ..key.clone()
            };
            keys.map(by_name).collect()
        };
        Self {
            photo,
            caller,
            owner,
            subject,
            space,
            own,
            demand,
            own_key,
            shared_key,
            addressed,
            ended,
        }
    }

    /// Whether the same JSON is held for this caller at another level of annotations.
    pub(super) fn other_variant_is_held(&self, rooms: &Rooms, now: Time) -> bool {
        let levels = [
            MetadataLevel::Unsaid,
            MetadataLevel::None,
            MetadataLevel::Minimal,
            MetadataLevel::Full,
        ];
        let other = levels.into_iter().filter(|metadata| {
            self.photo.view != View::Media && *metadata != self.photo.variant.metadata
        });
        other.into_iter().any(|metadata| {
            self.readable().any(|key| {
                let variant = Variant {
                    metadata,
                    ..key.variant
                };
                let key = Key {
                    variant,
                    ..key.clone()
                };
                !matches!(rooms.cache.lookup(&key, self.own, now), Lookup::Miss)
            })
        })
    }

    /// The keys this caller may be answered from, once proven: the wider first.
    pub(super) fn readable(&self) -> impl Iterator<Item = &Key> {
        let canonical = self.shared_key.iter().chain([&self.own_key]);
        canonical.chain(&self.addressed)
    }

    /// Whether a key goes by the name that was asked by, where the canonical one is another.
    pub(super) fn is_addressed(&self, key: &Key) -> bool {
        key.owner != self.owner
    }

    /// The same place with those keys too: to end what is held in it by either name.
    pub(super) fn by_either_name(&self, place: &Place) -> Place {
        let mut place = place.clone();
        place.keys.extend(self.addressed.iter().cloned());
        place
    }

    /// The keys that Graph's word about the caller may open to it, if the token says the truth.
    pub(super) fn may_become_readable(&self, rooms: &Rooms) -> Vec<Key> {
        let unproven = self.caller.proof().is_none();
        let own = unproven.then(|| self.own_key.clone());
        let shared = match &self.shared_key {
            Some(_) => None,
            None => rooms
                .identity
                .contributes_to(&self.caller, &self.owner, &self.subject),
        };
        let shared = shared.map(|shared| key(rooms, &self.photo, &self.owner, shared));
        own.into_iter().chain(shared).collect()
    }

    /// Whether what this caller may have, of this owner or others, may depend on Graph's word that is
    /// being asked for.
    pub(super) fn hangs_on_word(&self, rooms: &Rooms) -> bool {
        self.caller.proof().is_none() || !self.may_become_readable(rooms).is_empty()
    }

    /// The key under which one question serves all who may share its answer.
    pub(super) fn widest(&self) -> &Key {
        self.shared_key.as_ref().unwrap_or(&self.own_key)
    }
}

/// The facts of a request that Graph must be asked about, owned, for a task of its own.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) facts: Arc<Facts>,
    pub(super) place: Place,
    pub(super) target: http::uri::PathAndQuery,
    pub(super) authorization: HeaderValue,
    /// The codings the caller named.
    pub(super) codings: Vec<HeaderValue>,
    pub(super) trace: Trace,
    pub(super) budget: Budget,
    /// Whether it is asked to renew this very token's proof.
    pub(super) renews: bool,
    /// Whether whoever asks polls the question for as long as it is there, and does nothing else.
    pub(super) attended: bool,
    /// Whether whoever asks is answered before what the answer tells is learnt.
    pub(super) answers_first: bool,
}

impl Wanted {
    pub(super) fn of<B>(rooms: &Rooms, facts: impl Into<Arc<Facts>>, request: &Request<B>) -> Self {
        let facts = facts.into();
        let place = facts.place(rooms);
        let authorization = request.headers().get(header::AUTHORIZATION).cloned();
        let codings = request.headers().get_all(header::ACCEPT_ENCODING);
        Self {
            place,
            target: target(request),
            // A caller has exactly one: that is how it became one.
            authorization: authorization.unwrap_or_else(|| HeaderValue::from_static("")),
            codings: codings.iter().cloned().collect(),
            trace: Trace::of(request.headers()),
            budget: Budget::of(&facts.caller, facts.owner.kind()),
            renews: false,
            attended: false,
            answers_first: false,
            facts,
        }
    }

    /// The picture or the metadata of the same owner and size, as this caller would ask for it.
    /// The target is not changed.
    pub(super) fn other_view(&self, rooms: &Rooms, view: View, now: Time) -> Self {
        let photo = PhotoRequest {
            view,
            variant: Variant::default(),
            head: false,
            ..self.facts.photo.clone()
        };
        let facts = Facts::gather(
            rooms,
            photo,
            self.facts.caller.clone(),
            Demand::default(),
            now,
        );
        Self {
            place: facts.place(rooms),
            target: self.target.clone(),
            authorization: self.authorization.clone(),
            codings: self.codings.clone(),
            trace: self.trace.clone(),
            budget: self.budget.clone(),
            renews: self.renews,
            attended: false,
            answers_first: false,
            facts: facts.into(),
        }
    }
}

impl Facts {
    /// Where an answer is kept.
    fn place(&self, rooms: &Rooms) -> Place {
        let Facts {
            photo,
            caller,
            owner,
            subject,
            space,
            own,
            own_key,
            shared_key,
            demand: _,
            addressed: _,
            ended: _,
        } = self;
        // A caller who reads the tenant's partition keeps its answers there; any other keeps
        // its own, and contributes where its permissions cover the kind.
        let keys = shared_key.clone().map_or_else(
            || {
                let contributed = rooms.identity.contributes_to(caller, owner, subject);
                let contributed = contributed.map(|shared| key(rooms, photo, owner, shared));
                [own_key.clone()].into_iter().chain(contributed).collect()
            },
            |shared| vec![shared],
        );
        let current = (photo.view == View::Media).then(|| CurrentKey {
            space: *space,
            subject: subject.clone(),
            size: photo.size,
            version: photo.version,
            authority: rooms.questions.authority(),
        });
        Place {
            keys,
            current,
            own: *own,
            subject: subject.clone(),
            space: *space,
            view: photo.view,
        }
    }
}

fn key(rooms: &Rooms, photo: &PhotoRequest, owner: &PhotoOwner, partition: Partition) -> Key {
    Key {
        partition,
        owner: owner.clone(),
        view: photo.view,
        size: photo.size,
        variant: photo.variant,
        version: photo.version,
        authority: rooms.questions.authority(),
    }
}

/// The owner by its GUID, where that is known: `/me` from the token's claims (which count only
/// once Graph has accepted the token), a principal name from what Graph has told.
fn canonical(
    rooms: &Rooms,
    owner: &PhotoOwner,
    principal: &Principal,
    space: Space,
    now: Time,
) -> PhotoOwner {
    let user = |id: &ObjectId| match id {
        ObjectId::Upn(upn) if rooms.questions.infer_names => rooms
            .cache
            .aliases
            .guid_of(space, upn, now)
            .map_or_else(|| id.clone(), ObjectId::Guid),
        _ => id.clone(),
    };
    let mailbox = |mailbox: &Mailbox| match (mailbox, principal.user()) {
        (Mailbox::Me, Some(me)) => Mailbox::User(ObjectId::Guid(me)),
        (mailbox, _) => mailbox.clone(),
    };
    match owner {
        PhotoOwner::Me => principal
            .user()
            .map_or(PhotoOwner::Me, |me| PhotoOwner::User(ObjectId::Guid(me))),
        PhotoOwner::User(id) => PhotoOwner::User(user(id)),
        PhotoOwner::Team {
            id,
            place: TeamPlace::JoinedTeams(whose),
        } => PhotoOwner::Team {
            id: id.clone(),
            place: TeamPlace::JoinedTeams(mailbox(whose)),
        },
        PhotoOwner::Contact {
            mailbox: whose,
            folders,
            id,
        } => PhotoOwner::Contact {
            mailbox: mailbox(whose),
            folders: folders.clone(),
            id: id.clone(),
        },
        PhotoOwner::Group(_) | PhotoOwner::Team { .. } | PhotoOwner::TeamTemplate { .. } => {
            owner.clone()
        }
    }
}
