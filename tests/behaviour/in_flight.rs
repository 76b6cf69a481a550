//! A write shows at once even while Graph still owes the answers to everything that was asked
//! before it: by every name, for every size, view, version and partition.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use http::Method;
use tokio::task::JoinHandle;

use crate::support::{Reply, World};
use crate::writes::{Reads, contact_world, guest_world, team_world, user_world, write};

/// Whom the tests are about: the writer, every name, and who reads where.
type Owner = fn(&World) -> (String, Vec<String>, Reads);

/// A user, changed by each kind of name and read by the user and by an application.
fn user(world: &World) -> (String, Vec<String>, Reads) {
    let (writer, mut names, mut reads) = user_world(world);
    let plain = |text: &String| {
        text.chars()
            .all(|letter| !"ABCDEFGHIJKLMNOPQRSTUVW(".contains(letter))
    };
    names.retain(plain);
    reads.remove(1);
    for (_, places) in &mut reads {
        places.retain(plain);
    }
    (writer, names, reads)
}

/// Asks everything at once and waits until Graph has been asked, or another's question is
/// waited for; nothing may be answered before that.
async fn ask_all(world: &World, reads: &Reads, before: usize, held: impl Fn() -> usize) -> Asked {
    let mut asked = Vec::new();
    for (token, places) in reads {
        for place in places {
            let asking = tokio::spawn(world.proxy.getting(place, token));
            asked.push((token.clone(), place.clone(), asking));
        }
    }
    while held() + world.proxy.rooms.questions.waiting() < before + asked.len() {
        let early = asked.iter().find(|(_, _, asking)| asking.is_finished());
        assert!(early.is_none(), "answered without Graph: {early:?}");
        tokio::task::yield_now().await;
    }
    asked
}

type Asked = Vec<(String, String, JoinHandle<Reply>)>;

/// Every write by every name, each while every read is under way; how many reads there were
/// after a write's answer, and the stale ones among them.
async fn stale_reads(sharing: &str, owner: Owner) -> (usize, Vec<String>) {
    let settings = [("sharing", sharing), ("upstream_concurrency", "1000")];
    let world = World::with(&settings, |_| {}).await;
    let (writer, names, reads) = owner(&world);
    let (mut count, mut stale) = (0, Vec::new());
    // Names are learnt, and proofs made.
    for (token, places) in &reads {
        for place in places {
            world.get(place, token).await;
        }
    }
    for name in &names {
        world.proxy.rooms.cache.clear();
        let hold = world.graph.hold_reads();
        let before = ask_all(&world, &reads, 0, || hold.held()).await;
        write(&world, name, &writer, &Method::PUT).await;
        let after = ask_all(&world, &reads, before.len(), || hold.held()).await;
        hold.release();
        for (_, _, asking) in before {
            asking.await.unwrap();
        }
        let mut truths: HashMap<String, Reply> = HashMap::new();
        for (token, place, asking) in after {
            let truth = match truths.entry(place.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(world.graph_says(&place, &token).await),
            };
            let at_once = asking.await.unwrap();
            let later = world.get(&place, &token).await;
            for (when, reply) in [("at once", at_once), ("later", later)] {
                count += 1;
                assert_eq!(reply.status, truth.status, "{place}\n{reply:?}");
                if reply.body != truth.body && reply.status == 200 {
                    stale.push(format!("{sharing}: {place} {when} after a PUT by {name}"));
                }
            }
        }
    }
    (count, stale)
}

#[tokio::test]
async fn no_read_is_stale_after_a_writes_answer_over_all_names_places_partitions_and_flights() {
    let cases: [(&str, Owner); 6] = [
        ("token", user),
        ("verified", user),
        ("tenant", user),
        ("tenant", guest_world),
        ("tenant", team_world),
        ("tenant", contact_world),
    ];
    let mut total = 0;
    for (sharing, owner) in cases {
        let (count, stale) = stale_reads(sharing, owner).await;
        assert!(stale.is_empty(), "of {count}: {stale:#?}");
        total += count;
    }
    assert!(total > 2_000, "{total}");
}
