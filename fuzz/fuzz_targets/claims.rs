//! Reading a token never fails, and what it claims grants nothing before Graph has spoken.
//!
//! Input: as an `Authorization` field, and again as the claims of a well-formed token.

#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph_photo_proxy::clock::Clock;
use graph_photo_proxy::config::Config;
use graph_photo_proxy::identity::{Caller, Identity, Partition, Subject};
use graph_photo_proxy::route::{Guid, ObjectId, PhotoOwner};
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;

static IDENTITY: LazyLock<(Identity, Clock)> = LazyLock::new(|| {
    let config = Config::with([("sharing", "tenant")]).expect("the settings are right");
    (Identity::new(&config.identity), Clock::by_hand())
});

fuzz_target!(|data: &[u8]| {
    let raw = HeaderValue::from_bytes(data).ok();
    let claims = URL_SAFE_NO_PAD.encode(data);
    let jwt = HeaderValue::try_from(format!("Bearer e30.{claims}.c2ln")).ok();
    for field in [raw, jwt].into_iter().flatten() {
        let Some(caller) = caller(&field) else {
            continue;
        };
        nothing_is_granted(&caller);
        let again = self::caller(&field).expect("what was read once is read again");
        assert_eq!(again.credential, caller.credential);
        assert_eq!(again.principal.id(), caller.principal.id());
        let other = HeaderValue::try_from(format!(
            "{}x",
            field
                .to_str()
                .expect("a token is visible ASCII")
                .trim_end_matches('=')
        ));
        if let Some(other) = other.ok().and_then(|other| self::caller(&other)) {
            assert_ne!(other.credential, caller.credential, "two tokens are one");
        }
    }
});

fn caller(field: &HeaderValue) -> Option<Caller> {
    let (identity, clock) = &*IDENTITY;
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, field.clone());
    let caller = identity.caller(&headers, clock.now()).ok()?;
    headers.append(header::AUTHORIZATION, field.clone());
    assert!(
        identity.caller(&headers, clock.now()).is_err(),
        "two fields"
    );
    Some(caller)
}

fn nothing_is_granted(caller: &Caller) {
    let (identity, clock) = &*IDENTITY;
    assert!(caller.proof.is_none());
    let shown = format!("{caller:?}");
    assert!(shown.len() < 1_000, "a token shows in Debug");
    let anybody = PhotoOwner::User(ObjectId::Guid(Guid([7; 16])));
    for owner in [PhotoOwner::Me, anybody] {
        let subject = Subject::of(&owner, &caller.principal);
        let shared = identity.shared_partition(caller, &owner, &[subject], clock.now());
        assert!(shared.is_none());
    }
    assert!(matches!(
        identity.own_partition(caller),
        Partition::Principal(_)
    ));
}
