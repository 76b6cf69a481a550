//! Whose calls Graph counts together.

use super::standing::short;
use crate::identity::{Caller, Credential};
use crate::route::{Guid, OwnerKind};

/// One of Graph's budgets (Graph: throttling limits): an application in a tenant; teams have
/// limits of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Budget {
    whose: Whose,
    teams: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Whose {
    Application { tenant: Guid, client: Box<str> },
    Alone(Credential),
}

impl Budget {
    /// The budget a caller's question about an owner of `kind` draws on. Claims are believed
    /// here: they choose a queue to wait in, and open no photo.
    pub fn of(caller: &Caller, kind: OwnerKind) -> Self {
        Self::named(caller, kind == OwnerKind::Team)
    }

    /// The budget that any other call to this path draws on.
    pub fn of_path(caller: &Caller, path: &str) -> Self {
        Self::named(caller, is_about_teams(path))
    }

    /// Its name where people read it: tenant and application by a short digest.
    pub fn label(&self) -> String {
        let whose = match &self.whose {
            Whose::Application { tenant, client } => {
                let (tenant, application) = (short(&tenant.0), short(client.as_bytes()));
                format!("tenant {tenant} app {application}")
            }
            Whose::Alone(_) => "one unreadable token".to_owned(),
        };
        let teams = if self.teams { " teams" } else { "" };
        format!("{whose}{teams}")
    }

    fn named(caller: &Caller, teams: bool) -> Self {
        let whose = match (caller.principal().tenant(), caller.principal().client()) {
            (Some(tenant), Some(client)) => Whose::Application {
                tenant,
                client: client.into(),
            },
            _ => Whose::Alone(caller.credential),
        };
        Self { whose, teams }
    }
}

/// Whether a path leads to Teams, whose limits are its own: `/v1.0/teams/…`, `/v1.0/team/…`,
/// `/v1.0/groups/{id}/team…`, `/v1.0/…/joinedTeams…`, `/v1.0/chats…`, `/v1.0/teamwork…`.
fn is_about_teams(path: &str) -> bool {
    const SEGMENTS: [&str; 5] = ["teams", "team", "joinedteams", "chats", "teamwork"];
    path.split('/').skip(2).any(|segment| {
        SEGMENTS
            .iter()
            .any(|teams| segment.eq_ignore_ascii_case(teams))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teams_are_known_by_their_path() {
        for (path, teams) in [
            ("/v1.0/teams/x/channels", true),
            ("/beta/me/joinedTeams", true),
            ("/v1.0/groups/x/team/photo", true),
            ("/v1.0/chats", true),
            ("/v1.0/users/teams@lanternfield.example", false),
            ("/v1.0/me/messages", false),
            ("/teams", false),
            ("", false),
        ] {
            assert_eq!(is_about_teams(path), teams, "{path}");
        }
    }
}
