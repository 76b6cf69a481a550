//! Refusals, and names that change hands.

use std::time::Duration;

use crate::cache::alias::Aliases;
use crate::cache::doubt::Doubts;
use crate::clock::Time;
use crate::identity::{Partition, Space, Subject};
use crate::route::{Guid, ObjectId};

#[test]
fn a_refusal_by_one_name_counts_by_the_other_whoever_is_given_a_name_since() {
    const TENANT: Guid = Guid([1; 16]);
    let (here, own) = (Space::Tenant(TENANT), Partition::Tenant(TENANT));
    let at = |seconds| Time::default().plus(Duration::from_secs(seconds));
    let name = |name| ObjectId::of_user(name);
    let id = |of| Subject::User(ObjectId::Guid(Guid([of; 16])));
    // By a token from before a change of name; by another's, once the name is hers.
    for (told, other, whose) in [(50, "maiden@example.com", 7), (101, "ada@example.com", 8)] {
        let (aliases, doubts) = (Aliases::new(Duration::from_secs(200)), Doubts::default());
        let ada = name("ada@example.com");
        aliases.learn(here, Guid([7; 16]), &ada, at(100), at(100));
        doubts.refused(own, &Subject::User(ada), here, &aliases, at(100));
        aliases.learn(here, Guid([whose; 16]), &name(other), at(told), at(101));
        // While the pairs are believed, and when the first one is no more.
        for now in [101, 300].map(at) {
            let names = aliases.names(&id(7), here, now);
            assert!(
                doubts.is_refused(own, &names, here, &aliases, now),
                "{other} {now:?}"
            );
        }
        assert!(!doubts.is_refused(
            own,
            &[id(9), Subject::User(name("eve@example.com"))],
            here,
            &aliases,
            at(101)
        ));
    }
}
