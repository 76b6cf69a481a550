//! A photo request written out as one name: what `Cache-Status` calls its key.
//!
//! Says what the caller itself has said, folded as the parser folds it, and nothing else: no
//! name learnt from others, no partition. Printable ASCII without quotes, spaces or backslashes.

use std::fmt::Write as _;

use super::{
    ApiVersion, Guid, Mailbox, MetadataLevel, ObjectId, PhotoOwner, PhotoRequest, PhotoSize,
    TeamPlace, View,
};

impl PhotoRequest {
    /// The request as one name: `/v1.0/users/megan@contoso.com/photos/48x48/$value`.
    pub fn name(&self) -> String {
        let mut name = String::from(match self.version {
            ApiVersion::V1 => "/v1.0",
            ApiVersion::Beta => "/beta",
        });
        owner(&mut name, &self.owner);
        match (self.view, self.size) {
            (View::List, _) => name.push_str("/photos"),
            (_, PhotoSize::Largest) => name.push_str("/photo"),
            (_, PhotoSize::Sized { width, height }) => {
                let _ = write!(name, "/photos/{width}x{height}");
            }
        }
        if self.view == View::Media {
            name.push_str("/$value");
        }
        if let Some(select) = self.variant.select {
            name.push_str("?$select=");
            let parts = [
                (select.id, "id"),
                (select.width, "width"),
                (select.height, "height"),
            ];
            let named = parts.iter().filter(|(named, _)| *named);
            let named: Vec<&str> = named.map(|(_, part)| *part).collect();
            name.push_str(&named.join(","));
        }
        name.push_str(match self.variant.metadata {
            MetadataLevel::Unsaid => "",
            MetadataLevel::None => ";odata.metadata=none",
            MetadataLevel::Minimal => ";odata.metadata=minimal",
            MetadataLevel::Full => ";odata.metadata=full",
        });
        name
    }
}

fn owner(name: &mut String, whose: &PhotoOwner) {
    match whose {
        PhotoOwner::Me => name.push_str("/me"),
        PhotoOwner::User(id) => object(name, "/users/", id),
        PhotoOwner::Group(id) => object(name, "/groups/", id),
        PhotoOwner::Team { id, place } => match place {
            TeamPlace::Teams => object(name, "/teams/", id),
            TeamPlace::Team => object(name, "/team/", id),
            TeamPlace::GroupTeam => {
                object(name, "/groups/", id);
                name.push_str("/team");
            }
            TeamPlace::JoinedTeams(whose) => {
                mailbox(name, whose);
                object(name, "/joinedTeams/", id);
            }
        },
        PhotoOwner::Contact {
            mailbox: whose,
            folders,
            id,
        } => {
            mailbox(name, whose);
            for folder in folders {
                letters(name, "/contactFolders/", folder);
            }
            letters(name, "/contacts/", id);
        }
        PhotoOwner::TeamTemplate {
            template,
            definition,
        } => {
            if let Some(template) = template {
                letters(name, "/teamwork/teamTemplates/", template);
                letters(name, "/definitions/", definition);
            } else {
                letters(name, "/teamTemplateDefinition/", definition);
            }
            name.push_str("/teamDefinition");
        }
    }
}

fn mailbox(name: &mut String, whose: &Mailbox) {
    match whose {
        Mailbox::Me => name.push_str("/me"),
        Mailbox::User(id) => object(name, "/users/", id),
    }
}

fn object(name: &mut String, before: &str, id: &ObjectId) {
    match id {
        ObjectId::Guid(Guid(bytes)) => {
            name.push_str(before);
            for (at, byte) in bytes.iter().enumerate() {
                let dash = if matches!(at, 4 | 6 | 8 | 10) {
                    "-"
                } else {
                    ""
                };
                let _ = write!(name, "{dash}{byte:02x}");
            }
        }
        ObjectId::Upn(text) | ObjectId::Other(text) => letters(name, before, text),
    }
}

/// Text with everything percent-encoded that is not plain (RFC 3986 §2.3, and `@`).
fn letters(name: &mut String, before: &str, text: &str) {
    name.push_str(before);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@') {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
}
