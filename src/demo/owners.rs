//! Whose photo a path names, and whether this caller may know of them.

use super::answer::Answer;
use super::errors;
use super::permissions::Kind;
use super::service::{Ask, Core};
use super::target::{Owner, Version};
use super::tenant::Account;
use super::tokens::Caller;

/// Somebody who may have a photo.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) first: Option<u32>,
    pub(super) kind: Kind,
    pub(super) set: &'static str,
    /// Whether the caller said `/me`.
    pub(super) me: bool,
}

/// What Graph counts requests by besides the application: the mailbox, group or team.
pub(super) fn budget<'a>(owner: &'a Owner, caller: &'a Caller) -> &'a str {
    match owner {
        Owner::Me | Owner::Contact { mailbox: None, .. } => {
            caller.person.as_deref().unwrap_or_default()
        }
        Owner::User(id)
        | Owner::Group(id)
        | Owner::Team(id)
        | Owner::Template(id)
        | Owner::Contact {
            mailbox: Some(id), ..
        } => id,
    }
}

/// Who is meant; the refusal when it is nobody, or nobody this caller may know of.
pub(super) fn find(
    core: &Core,
    ask: &Ask<'_>,
    caller: &Caller,
    owner: &Owner,
) -> Result<Found, Box<Answer>> {
    let found = |id: &str, first, kind, set, me| Found {
        id: id.to_owned(),
        first,
        kind,
        set,
        me,
    };
    let own = || {
        caller
            .person
            .as_deref()
            .ok_or_else(|| Box::new(errors::me_needs_a_person()))
    };
    match owner {
        Owner::Me => {
            let id = own()?;
            let person = core.tenant.person(id).filter(|_| caller.at_home);
            let person = person.ok_or_else(|| Box::new(errors::no_such_owner(id)))?;
            Ok(found(&person.id, person.photo, Kind::Own, "users", true))
        }
        Owner::User(key) => {
            let person = core.tenant.person(key).filter(|_| caller.at_home);
            let mine = person.is_some_and(|person| Some(&person.id) == caller.person.as_ref());
            if caller.account == Account::Personal && !mine {
                if ask.settings.own_photo_quirk && ask.version == Version::Beta {
                    return find(core, ask, caller, &Owner::Me);
                }
                return Err(Box::new(errors::invalid_user(key)));
            }
            let person = person.ok_or_else(|| Box::new(errors::no_such_owner(key)))?;
            let kind = if mine { Kind::Own } else { Kind::User };
            Ok(found(&person.id, person.photo, kind, "users", false))
        }
        Owner::Group(id) | Owner::Team(id) => {
            let team = matches!(owner, Owner::Team(_));
            let group = core
                .tenant
                .group(id)
                .filter(|group| caller.at_home && (group.team || !team))
                .ok_or_else(|| Box::new(errors::no_such_owner(id)))?;
            let (kind, set) = if team {
                (Kind::Team, "teams")
            } else {
                (Kind::Group, "groups")
            };
            Ok(found(&group.id, group.photo, kind, set, false))
        }
        Owner::Contact { mailbox, id } => {
            let key = match mailbox {
                Some(key) => key,
                None => own()?,
            };
            let holder = core.tenant.person(key).filter(|_| caller.at_home);
            let holder = holder.ok_or_else(|| Box::new(errors::no_such_owner(key)))?;
            let contact = core
                .tenant
                .contacts_of(holder)
                .find(|contact| contact.id == *id);
            let kind = if Some(&holder.id) == caller.person.as_ref() {
                Kind::OwnContact
            } else {
                Kind::Contact
            };
            match contact {
                Some(contact) => Ok(found(&contact.id, contact.photo, kind, "contacts", false)),
                // Who may not look is told no, whether or not there is anything to see.
                None if kind == Kind::Contact && caller.person.is_some() => {
                    Err(Box::new(errors::denied()))
                }
                None => Err(Box::new(errors::no_such_owner(id))),
            }
        }
        Owner::Template(id) => {
            let known = core.tenant.templates.iter().any(|known| known == id);
            if !known || ask.version != Version::Beta {
                return Err(Box::new(errors::no_such_owner(id)));
            }
            let set = "teamTemplateDefinition";
            Ok(found(id, Some(240), Kind::Template, set, false))
        }
    }
}
