//! Who is who at the simulated Graph, by which names, and which token each holds.

use std::collections::HashMap;
use std::time::Duration;

use graph_photo_proxy::demo::{Graph, Person, TokenSpec};
use serde_json::json;

use super::ledger::{Credential, Picture};
use super::stage::Stage;
use super::step::{Caller, Name, Subject, Who};

const LIFETIME: Duration = Duration::from_secs(3_900);

const MEMBER: &str = "b79fbf4d-3ef9-4689-8143-76b194e85509";

const ELSEWHERE: &str = "5d3b2f14-90a7-4f43-8f59-0d7c7c1c9a11";

impl Stage {
    /// Gives everybody their first photo and token.
    pub(super) fn cast(&self) {
        let first: Vec<(Subject, String)> = self
            .ledger()
            .ids
            .iter()
            .map(|(subject, id)| (*subject, id.clone()))
            .collect();
        for (subject, id) in first {
            if subject == Subject::Person(Who::Carol) {
                self.ledger().show(subject, None);
                continue;
            }
            let upload = self.graph.upload_sized(&id, 96);
            self.ledger()
                .show(subject, Some(Picture { upload, side: 96 }));
        }
        for caller in [
            Caller::Alice,
            Caller::AliceAgain,
            Caller::AliceBriefly,
            Caller::AliceNarrow,
            Caller::Bob,
            Caller::BobElsewhere,
            Caller::Carol,
            Caller::Gus,
            Caller::GusDisguised,
            Caller::App,
            Caller::TeamApp,
            Caller::AliceOfElsewhere,
            Caller::Pat,
            Caller::Quinn,
            Caller::Misaddressed,
        ] {
            self.sign_in(caller, 0);
        }
    }

    pub(super) fn sign_in(&self, caller: Caller, times: usize) {
        let person = |who| person(&self.graph, who);
        let alice = "User.ReadWrite.All Group.ReadWrite.All TeamSettings.ReadWrite.All \
                     Contacts.ReadWrite";
        let bob = "User.ReadBasic.All User.ReadWrite Group.Read.All Team.ReadBasic.All \
                   Contacts.Read";
        let lifetime = match caller {
            Caller::AliceBriefly => Duration::from_secs(240),
            _ => LIFETIME,
        };
        let spec = match caller {
            Caller::Alice | Caller::AliceAgain | Caller::AliceBriefly => {
                TokenSpec::of(&person(Who::Alice)).with(alice)
            }
            Caller::AliceNarrow => TokenSpec::of(&person(Who::Alice))
                .with("User.Read")
                .from_app("0ce3f5a1-5d6e-4b59-9b0e-1c0a6fd3b001"),
            Caller::Bob => TokenSpec::of(&person(Who::Bob)).with(bob),
            Caller::BobElsewhere => TokenSpec::of(&person(Who::Bob))
                .with(bob)
                .from_app("0ce3f5a1-5d6e-4b59-9b0e-1c0a6fd3b002"),
            Caller::Carol => TokenSpec::of(&person(Who::Carol)).with("User.Read.All"),
            Caller::Gus => TokenSpec::of(&person(Who::Gus)),
            Caller::GusDisguised => TokenSpec::of(&person(Who::Gus))
                .claim("wids", json!([MEMBER]))
                .claim("acct", json!(0))
                .claim("idp", json!(null)),
            Caller::App => TokenSpec::application(),
            Caller::TeamApp => TokenSpec::application()
                .with("Team.ReadBasic.All")
                .from_app("0ce3f5a1-5d6e-4b59-9b0e-1c0a6fd3b003"),
            Caller::AliceOfElsewhere => TokenSpec::of(&person(Who::Alice))
                .with(alice)
                .in_tenant(ELSEWHERE)
                .claim("upn", json!(person(Who::Bob).upn)),
            Caller::Pat => TokenSpec::of(&person(Who::Pat)),
            Caller::Quinn => TokenSpec::of(&person(Who::Quinn)),
            Caller::Misaddressed => TokenSpec::of(&person(Who::Alice))
                .with(alice)
                .for_audience("https://elsewhere.example"),
            Caller::Forged | Caller::Nobody | Caller::BobThenAlice | Caller::AliceSpaced => return,
        };
        let token = self.graph.issue(spec.lasting(lifetime));
        if caller == Caller::Alice {
            let forged = forge(&token);
            self.tokens().insert(Caller::Forged, (forged, times));
        }
        self.tokens().insert(caller, (token, times));
        if caller != Caller::Misaddressed {
            self.ledger().issue((caller, times), lifetime);
        }
    }

    /// The token a caller shows now.
    pub(super) fn token(&self, caller: Caller) -> (Option<String>, Option<Credential>) {
        let holder = match caller {
            Caller::BobThenAlice => Caller::Bob,
            Caller::AliceSpaced => Caller::Alice,
            other => other,
        };
        match self.tokens().get(&holder) {
            Some((token, times)) => (Some(token.clone()), Some((holder, *times))),
            None => (None, None),
        }
    }

    pub(super) fn name(&self, who: Who, name: Name) -> String {
        let person = person(&self.graph, who);
        match name {
            Name::Id => person.id,
            Name::IdInCapitals => person.id.to_ascii_uppercase(),
            Name::Upn => person.upn.replace('#', "%23"),
            Name::UpnInCapitals => person.upn.to_ascii_uppercase().replace('#', "%23"),
            Name::UpnTwice => person.upn.replace('#', "%2523"),
        }
    }

    pub(super) fn id(&self, subject: Subject) -> String {
        match subject {
            Subject::Stranger => "77777777-1111-2222-3333-444444444444".to_owned(),
            known => self.ledger().ids.get(&known).unwrap().clone(),
        }
    }
}

pub(super) fn person(graph: &Graph, who: Who) -> Person {
    let tenant = graph.tenant();
    let found = match who {
        Who::Alice => tenant.members().next(),
        Who::Bob => tenant.members().nth(1),
        Who::Carol => tenant.members().nth(2),
        Who::Gus => tenant.guests().next(),
        Who::Pat => tenant.personal().next(),
        Who::Quinn => tenant.personal().nth(1),
    };
    found.unwrap().clone()
}

pub(super) fn ids(graph: &Graph) -> HashMap<Subject, String> {
    let mut ids = HashMap::new();
    for who in [
        Who::Alice,
        Who::Bob,
        Who::Carol,
        Who::Gus,
        Who::Pat,
        Who::Quinn,
    ] {
        ids.insert(Subject::Person(who), person(graph, who).id);
    }
    for (number, group) in graph.tenant().groups.iter().enumerate() {
        ids.insert(Subject::Group(number), group.id.clone());
    }
    for whose in [Who::Alice, Who::Bob] {
        let person = person(graph, whose);
        for (number, contact) in graph.tenant().contacts_of(&person).enumerate() {
            ids.insert(Subject::Contact(whose, number), contact.id.clone());
        }
    }
    ids
}

/// The same claims under another signature.
fn forge(token: &str) -> String {
    let last = if token.ends_with('A') { 'B' } else { 'A' };
    let mut forged = token.to_owned();
    forged.pop();
    forged.push(last);
    forged
}
