//! Tables of this room: who a token says it is, what it covers, and how long it is believed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::route::{Guid, Mailbox, ObjectId, OwnerKind, TeamPlace};

const TENANT: &str = "1717622f-1d94-40d4-9d74-f907ad6677b4";
const USER: &str = "ddfcd489-628b-4d04-b48b-20075df800e5";
const OTHER: &str = "172b0cce-e65d-44ce-9a49-91d9f2e8491e";
const MEMBER: &str = "b79fbf4d-3ef9-4689-8143-76b194e85509";

fn room(sharing: Sharing) -> Identity {
    Identity::new(&Config {
        sharing,
        proof_ttl: Duration::from_secs(900),
        proofs: 100,
        member_roles: vec![MEMBER.to_owned()],
        extra_permissions: ExtraPermissions {
            groups: vec!["Directory.Read.All".to_owned()],
            ..ExtraPermissions::default()
        },
    })
}

fn bearer(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    headers.insert(header::AUTHORIZATION, value);
    headers
}

fn token(claims: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

/// The claims of a member with these changes; `null` takes one out.
#[expect(
    clippy::needless_pass_by_value,
    reason = "callers write the changes in place"
)]
fn claims(changes: Value) -> String {
    let mut claims = json!({
        "tid": TENANT, "oid": USER, "appid": "app", "scp": "User.ReadBasic.All",
        "wids": [MEMBER], "exp": 2_000_000_000, "upn": "ada@example.com",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims.to_string()
}

fn caller(identity: &Identity, claims: &str) -> Caller {
    let now = Clock::by_hand().now();
    identity.caller(&bearer(&token(claims)), now).unwrap()
}

#[test]
fn whoever_cannot_be_told_from_a_guest_is_one() {
    let identity = room(Sharing::Tenant);
    for (changes, guest) in [
        (json!({}), false),
        (json!({"acct": 0}), false),
        (json!({"acct": "0"}), false),
        (json!({"wids": [MEMBER.to_uppercase()]}), false),
        (json!({"idp": "https://a", "iss": "https://a"}), false),
        (json!({"acct": 1}), true),
        (json!({"acct": "1"}), true),
        (json!({"acct": true}), true),
        (json!({"wids": null}), true),
        (json!({"wids": []}), true),
        (
            json!({"wids": [MEMBER, "10dae51f-b6af-4016-8d66-8c2a99b929b3"]}),
            true,
        ),
        (
            json!({"wids": [MEMBER, "2AF84B1E-32C8-42B7-82BC-DAA82404023B"]}),
            true,
        ),
        (json!({"idp": "https://a", "iss": "https://b"}), true),
        (json!({"idp": "https://a"}), true),
        (json!({"tid": "9188040d-6c67-4c5b-b112-36a304b66dad"}), true),
        (
            json!({"scp": null, "roles": ["User.Read.All"], "wids": null}),
            false,
        ),
    ] {
        let found = caller(&identity, &claims(changes.clone()))
            .principal()
            .is_guest();
        assert_eq!(found, guest, "{changes}");
    }
}

#[test]
fn a_token_that_is_not_plainly_readable_is_its_own_principal() {
    let identity = room(Sharing::Verified);
    let plain = claims(json!({}));
    let double = plain.replacen('{', &format!("{{\"oid\":\"{OTHER}\","), 1);
    let mut odd: Vec<String> = [
        json!({"tid": null}),
        json!({"oid": null}),
        json!({"appid": null}),
        json!({"tid": "common"}),
        json!({"oid": 7}),
        json!({"exp": "soon"}),
        json!({"wids": "x"}),
        json!({"roles": "User.Read.All"}),
        json!({"scp": null, "idtyp": "user"}),
        json!({"idtyp": "app"}),
    ]
    .into_iter()
    .map(|changes| token(&claims(changes)))
    .collect();
    let text = URL_SAFE_NO_PAD.encode(&plain);
    odd.push(token(&double));
    odd.push(format!("e30.{text}"));
    odd.push(format!("e30.{text}.a.b"));
    odd.push("EwB4A8l6".to_owned());
    let now = Clock::by_hand().now();
    for odd in odd {
        let one = identity.caller(&bearer(&odd), now).unwrap();
        assert_eq!(one.principal().tenant(), None, "{odd}");
        assert_eq!(one.principal().user(), None);
        assert!(one.principal().is_guest());
        let again = identity.caller(&bearer(&odd), now).unwrap();
        assert_eq!(one.principal().id(), again.principal().id());
        let other = identity.caller(&bearer(&format!("{odd}x")), now).unwrap();
        assert_ne!(one.principal().id(), other.principal().id());
    }
}

#[test]
fn two_tokens_are_one_principals_only_when_everything_that_counts_is_the_same() {
    let identity = room(Sharing::Verified);
    let id = |changes| caller(&identity, &claims(changes)).principal().id();
    let one = id(json!({}));
    for same in [
        json!({"exp": 1_999_999_999}),
        json!({"iat": 5}),
        json!({"scp": " User.ReadBasic.All  User.ReadBasic.All"}),
        // App roles of a user grant nothing in Graph.
        json!({"roles": ["Something"]}),
        json!({"name": "Ada"}),
    ] {
        assert_eq!(id(same.clone()), one, "{same}");
    }
    for other in [
        json!({"tid": OTHER}),
        json!({"oid": OTHER}),
        json!({"appid": "other"}),
        json!({"scp": "User.Read"}),
        json!({"scp": "User.ReadBasic.All User.Read"}),
        json!({"scp": null, "roles": ["User.ReadBasic.All"]}),
        json!({"wids": [MEMBER, OTHER]}),
        json!({"acct": 1}),
    ] {
        assert_ne!(id(other.clone()), one, "{other}");
    }
    // A permission cannot pass for a directory role.
    let a = id(json!({"scp": format!("A {MEMBER}"), "wids": []}));
    let b = id(json!({"scp": "A", "wids": [MEMBER]}));
    assert_ne!(a, b);
}

fn user(id: &str) -> PhotoOwner {
    PhotoOwner::User(ObjectId::of_user(id))
}

#[test]
fn the_tables_cover_what_is_documented_and_nothing_else() {
    let identity = room(Sharing::Tenant);
    let group = PhotoOwner::Group(ObjectId::of_object(OTHER));
    let team = |place| PhotoOwner::Team {
        id: ObjectId::of_object(OTHER),
        place,
    };
    let delegated = |scp: &str| json!({"scp": scp});
    let application = |role: &str| json!({"scp": null, "roles": [role], "wids": null});
    let contact = PhotoOwner::Contact {
        mailbox: Mailbox::Me,
        folders: Box::default(),
        id: "c".into(),
    };
    for (claimed, owner, covered) in [
        (delegated("User.ReadBasic.All"), user(OTHER), true),
        (delegated("User.Read.All"), user(OTHER), true),
        (delegated("User.ReadWrite.All"), user(OTHER), true),
        (delegated("User.Read"), user(OTHER), false),
        (delegated("User.Read"), user(USER), true),
        (delegated("User.Read"), user("ADA@example.com"), true),
        (delegated("User.Read"), user("eve@example.com"), false),
        (delegated("User.ReadWrite"), user(USER), true),
        (delegated("user.readbasic.all"), user(OTHER), false),
        (delegated("ProfilePhoto.Read.All"), user(OTHER), false),
        (delegated("Directory.Read.All"), user(OTHER), false),
        (application("User.Read.All"), user(OTHER), true),
        (application("User.ReadWrite.All"), user(OTHER), true),
        (application("User.ReadBasic.All"), user(OTHER), false),
        (application("User.Read"), user(USER), false),
        (delegated("Group.Read.All"), group.clone(), true),
        (delegated("Group.ReadWrite.All"), group.clone(), true),
        // Added in the settings: for people, never for applications.
        (delegated("Directory.Read.All"), group.clone(), true),
        (application("Group.Read.All"), group.clone(), false),
        (application("Directory.Read.All"), group.clone(), false),
        (delegated("User.Read.All"), group, false),
        (
            delegated("Team.ReadBasic.All"),
            team(TeamPlace::Teams),
            true,
        ),
        (
            application("TeamSettings.Read.All"),
            team(TeamPlace::Team),
            true,
        ),
        (delegated("Group.Read.All"), team(TeamPlace::Teams), false),
        (
            delegated("Team.ReadBasic.All"),
            team(TeamPlace::GroupTeam),
            false,
        ),
        (
            delegated("Team.ReadBasic.All"),
            team(TeamPlace::JoinedTeams(Mailbox::Me)),
            false,
        ),
        (
            delegated("Contacts.Read Contacts.ReadWrite"),
            contact.clone(),
            false,
        ),
        (application("Contacts.Read"), contact, false),
        (delegated("User.ReadBasic.All"), PhotoOwner::Me, false),
    ] {
        let caller = caller(&identity, &claims(claimed.clone()));
        let subject = Subject::of(&owner, caller.principal());
        let found = identity.contributes_to(&caller, &owner, &subject).is_some();
        assert_eq!(found, covered, "{claimed} {owner:?}");
        // Covered is not given: nothing is proven.
        assert_eq!(
            identity.shared_partition(&caller, &owner, &[subject], Clock::by_hand().now()),
            None
        );
    }
}

#[test]
fn a_refusal_wins_over_every_question_asked_before_it() {
    let identity = room(Sharing::Verified);
    let clock = Clock::by_hand();
    let one = caller(&identity, &claims(json!({})));
    let asked = clock.now();
    clock.advance(Duration::from_secs(1));
    identity.refused(&one.credential, clock.now());
    // However many others are refused meanwhile.
    for n in 0..25_000 {
        let other = caller(
            &identity,
            &claims(json!({"uti": n, "appid": n.to_string()})),
        );
        identity.refused(&other.credential, clock.now());
    }
    assert!(identity.accepted(&one, asked, clock.now()).is_none());
    clock.advance(Duration::from_secs(1));
    assert!(identity.accepted(&one, clock.now(), clock.now()).is_some());
    assert!(identity.still_proven(&one, clock.now()));
}

/// As a connection asks again: the token was seen before.
fn proof_of(identity: &Identity, headers: &HeaderMap, now: Time) -> Option<Arc<Proof>> {
    let caller = identity.caller(headers, now).unwrap();
    caller.proof().cloned()
}

#[test]
fn a_token_seen_lately_is_refused_the_moment_graph_refuses_it_and_no_other_with_it() {
    let identity = room(Sharing::Verified);
    let clock = Clock::by_hand();
    let now = clock.now();
    let tokens: Vec<HeaderMap> = (0..50)
        .map(|n| bearer(&token(&claims(json!({"uti": n})))))
        .collect();
    let proofs: Vec<Arc<Proof>> = tokens
        .iter()
        .map(|token| {
            let one = identity.caller(token, now).unwrap();
            let proof = identity.accepted(&one, now, now).unwrap();
            for _ in 0..3 {
                let again = proof_of(&identity, token, now).unwrap();
                assert!(Arc::ptr_eq(&again, &proof));
            }
            proof
        })
        .collect();
    // The proofs are still in somebody's hand: that alone makes nobody a caller.
    for (nth, token) in tokens.iter().enumerate() {
        let one = identity.caller(token, now).unwrap();
        identity.refused(&one.credential, now);
        assert!(proof_of(&identity, token, now).is_none());
        for (other, proof) in tokens.iter().zip(&proofs).skip(nth + 1) {
            let held = proof_of(&identity, other, now).unwrap();
            assert!(Arc::ptr_eq(&held, proof));
        }
    }
}

#[test]
fn a_token_seen_lately_is_judged_by_its_newest_proof() {
    let identity = room(Sharing::Tenant);
    let clock = Clock::by_hand();
    let token = bearer(&token(&claims(json!({}))));
    let one = identity.caller(&token, clock.now()).unwrap();
    let first = identity.accepted(&one, clock.now(), clock.now()).unwrap();
    let seen = proof_of(&identity, &token, clock.now()).unwrap();
    assert!(Arc::ptr_eq(&seen, &first));
    clock.advance(Duration::from_secs(1));
    let second = identity.accepted(&one, clock.now(), clock.now()).unwrap();
    let seen = proof_of(&identity, &token, clock.now()).unwrap();
    assert!(Arc::ptr_eq(&seen, &second) && !Arc::ptr_eq(&seen, &first));
    // What Graph refuses then is refused to whoever has it, by whichever way.
    let owner = user(OTHER);
    let names = [Subject::of(&owner, one.principal())];
    identity.witnessed(&one, &second, &owner, &names, clock.now());
    let another = user(MEMBER);
    let others = [Subject::of(&another, one.principal())];
    let caller = identity.caller(&token, clock.now()).unwrap();
    assert!(identity.tenant_would_cover(&caller, &another, &others, clock.now()));
    identity.denied(&caller.credential, OwnerKind::User, clock.now());
    let covers = || {
        let caller = identity.caller(&token, clock.now()).unwrap();
        identity.tenant_would_cover(&caller, &another, &others, clock.now())
    };
    assert!(!covers());
    // Nor does what was on its way meanwhile count, with whichever proof it comes.
    let refused = clock.now();
    clock.advance(Duration::from_secs(1));
    let third = identity.accepted(&one, clock.now(), clock.now()).unwrap();
    identity.witnessed(&one, &third, &owner, &names, refused);
    assert!(!covers());
    identity.witnessed(&one, &third, &owner, &names, clock.now());
    assert!(covers());
}

#[test]
fn a_shorter_life_of_proofs_counts_for_tokens_seen_lately() {
    let identity = room(Sharing::Verified);
    let clock = Clock::by_hand();
    let token = bearer(&token(&claims(json!({}))));
    let one = identity.caller(&token, clock.now()).unwrap();
    let _held = identity.accepted(&one, clock.now(), clock.now()).unwrap();
    clock.advance(Duration::from_secs(60));
    assert!(proof_of(&identity, &token, clock.now()).is_some());
    assert!(!identity.reload(Sharing::Verified, Duration::from_secs(60)));
    assert!(proof_of(&identity, &token, clock.now()).is_none());
}

/// Many tokens, so that they share counters and slots; one accepts and refuses each of them in
/// turn, the others ask with all of them. Nobody who asks once a token is refused, and before it
/// is accepted anew, is taken for proven.
#[test]
fn nobody_is_proven_between_a_refusal_and_the_next_acceptance() {
    const TOKENS: usize = 64;
    const TURNS: u64 = 300;
    let identity = room(Sharing::Verified);
    let clock = Clock::by_hand();
    let tokens: Vec<HeaderMap> = (0..TOKENS)
        .map(|n| bearer(&token(&claims(json!({"uti": n})))))
        .collect();
    // Odd while the token is refused.
    let turns: Vec<AtomicU64> = (0..TOKENS).map(|_| AtomicU64::new(1)).collect();
    std::thread::scope(|scope| {
        for looker in 0..2 {
            let (identity, clock, tokens, turns) = (&identity, &clock, &tokens, &turns);
            scope.spawn(move || {
                let mut at = looker;
                while turns[TOKENS - 1].load(Ordering::SeqCst) < 2 * TURNS {
                    at = (at + 1) % TOKENS;
                    let before = turns[at].load(Ordering::SeqCst);
                    let proof = proof_of(identity, &tokens[at], clock.now());
                    let after = turns[at].load(Ordering::SeqCst);
                    let was_refused = before == after && before % 2 == 1;
                    assert!(!was_refused || proof.is_none(), "token {at}, turn {before}");
                }
            });
        }
        for _ in 0..TURNS {
            for (token, turn) in tokens.iter().zip(&turns) {
                clock.advance(Duration::from_millis(1));
                let now = clock.now();
                let one = identity.caller(token, now).unwrap();
                turn.fetch_add(1, Ordering::SeqCst);
                assert!(identity.accepted(&one, now, now).is_some());
                assert!(proof_of(&identity, token, now).is_some());
                identity.refused(&one.credential, now);
                turn.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
}

#[test]
fn an_owner_by_another_form_of_name_is_not_surely_another_owner() {
    let identity = room(Sharing::Tenant);
    let clock = Clock::by_hand();
    let one = caller(&identity, &claims(json!({})));
    let proof = identity.accepted(&one, clock.now(), clock.now()).unwrap();
    let proven = caller(&identity, &claims(json!({})));
    let guid = Subject::User(ObjectId::Guid(Guid::parse(OTHER).unwrap()));
    let name = Subject::User(ObjectId::of_user("eve@example.com"));
    let far = Subject::User(ObjectId::of_user("43a63cc5-582b-4d81-a79d-1591f91d5558"));
    let seen = |subject: &Subject| {
        let names = std::slice::from_ref(subject);
        identity.witnessed(&one, &proof, &user(OTHER), names, clock.now());
    };
    seen(&guid);
    let covers =
        |names: &[Subject]| identity.tenant_would_cover(&proven, &user(OTHER), names, clock.now());
    assert!(!covers(std::slice::from_ref(&guid)));
    assert!(!covers(std::slice::from_ref(&name)));
    assert!(!covers(&[name.clone(), guid.clone()]));
    assert!(covers(&[name.clone(), far.clone()]));
    assert!(covers(std::slice::from_ref(&far)));
    // Two ids are two owners', and one name is one's at most.
    seen(&far);
    assert!(covers(std::slice::from_ref(&name)));
    assert!(covers(std::slice::from_ref(&guid)));
    assert!(covers(&[name.clone(), guid.clone()]));
    clock.advance(Duration::from_secs(900));
    assert!(!covers(std::slice::from_ref(&name)));
    assert!(!proof.witnessed_another(OwnerKind::User, &[far], clock.now()));
}

#[test]
fn two_principal_names_may_be_one_owners_and_are_no_word_about_an_id() {
    let identity = room(Sharing::Tenant);
    let clock = Clock::by_hand();
    let one = caller(&identity, &claims(json!({})));
    let proof = identity.accepted(&one, clock.now(), clock.now()).unwrap();
    let proven = caller(&identity, &claims(json!({})));
    for name in ["eve@example.com", "eve.new@example.com"] {
        let name = Subject::User(ObjectId::of_user(name));
        let names = std::slice::from_ref(&name);
        identity.witnessed(&one, &proof, &user(OTHER), names, clock.now());
    }
    let guid = Subject::User(ObjectId::Guid(Guid::parse(OTHER).unwrap()));
    let covers = identity.tenant_would_cover(&proven, &user(OTHER), &[guid], clock.now());
    assert!(!covers, "she may have been renamed in between");
}

#[test]
fn a_name_that_may_be_ones_own_is_no_word_about_others() {
    let identity = room(Sharing::Tenant);
    let clock = Clock::by_hand();
    // A token that does not tell its user's principal name.
    let one = caller(&identity, &claims(json!({"upn": null})));
    let proof = identity.accepted(&one, clock.now(), clock.now()).unwrap();
    let proven = caller(&identity, &claims(json!({"upn": null})));
    let name = |name| Subject::User(ObjectId::of_user(name));
    let guid = Subject::User(ObjectId::Guid(Guid::parse(OTHER).unwrap()));
    let (own, far) = (name("me@example.com"), name("far@example.com"));
    let see =
        |names: &[Subject]| identity.witnessed(&one, &proof, &user(OTHER), names, clock.now());
    let covers = |asked: &Subject| {
        let names = std::slice::from_ref(asked);
        identity.tenant_would_cover(&proven, &user(OTHER), names, clock.now())
    };
    see(std::slice::from_ref(&own));
    assert!(!covers(&far));
    // Unless Graph has told whose name it is.
    see(&[own.clone(), guid.clone()]);
    let other = name("43a63cc5-582b-4d81-a79d-1591f91d5558");
    assert!(covers(&other));
    assert!(!covers(&guid));
}
