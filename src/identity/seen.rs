//! Which credential a token has, remembered for tokens seen lately, so that they need not be
//! hashed in full again; and where its proof is.
//!
//! What the credential counts for is not remembered. The proof is judged by the time of each
//! request, and looked up anew once a second and whenever any proof was made or ended since
//! ([`Stamp`]); what stands here keeps none alive.
//!
//! No token is kept. One is recognised by all its bytes under a polynomial hash over GF(2^128)
//! with a key of the process (GHASH, NIST SP 800-38D §6.4, masked by one block of AES): whatever
//! two tokens of at most 64 KiB an attacker picks, the chance that they look alike is below
//! 2^-115. That bound needs neither luck nor a strong cipher, but that nobody learns a hash: it
//! stays in this file, and where it stands in the table goes by another keyed hash of it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use super::credential::Credential;
use super::proof::{Proof, Stamp};

/// How many slots there are at first, a power of two; one takes 8 bytes.
const FEWEST_SLOTS: usize = 1_024;
/// How many neighbouring slots a token may stand in.
const WAYS: usize = 4;

/// All bytes of a token, under the key of the process.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Print([u8; 16]);

/// One token: its print, its credential, and the proof that was found under it.
pub(super) struct Seen {
    print: Print,
    pub(super) credential: Credential,
    proof: Weak<Proof>,
    /// As of when that was the proof.
    looked_up: AtomicU64,
}

impl Seen {
    /// The proof, where it was looked up under this very stamp.
    pub(super) fn proof(&self, stamp: Stamp) -> Option<Arc<Proof>> {
        let is_current = self.looked_up.load(Ordering::Acquire) == stamp.0;
        is_current.then(|| self.proof.upgrade()).flatten()
    }

    /// This proof was found under the token's credential, after the stamp was taken; says
    /// whether it is the one that stands here.
    pub(super) fn found(&self, proof: &Arc<Proof>, stamp: Stamp) -> bool {
        let same = std::ptr::eq(self.proof.as_ptr(), Arc::as_ptr(proof));
        if same {
            self.looked_up.store(stamp.0, Ordering::Release);
        }
        same
    }
}

/// The tokens seen lately.
pub(super) struct SeenTokens {
    key: LessSafeKey,
    places: RandomState,
    most: usize,
    count: AtomicUsize,
    slots: ArcSwap<Slots>,
}

type Slots = Box<[ArcSwapOption<Seen>]>;

impl SeenTokens {
    /// Knows none yet, and remembers about `most`.
    ///
    /// # Panics
    ///
    /// When the system has no randomness: a guessable key would make tokens look alike.
    pub(super) fn new(most: u64) -> Self {
        let mut key = [0; 32];
        rand::fill(&mut key).expect("the system gives randomness, or nothing can be kept apart");
        let key = UnboundKey::new(&AES_256_GCM, &key).expect("a key of AES-256 has 32 bytes");
        let most = usize::try_from(most).unwrap_or(usize::MAX / 16);
        Self {
            key: LessSafeKey::new(key),
            places: RandomState::new(),
            most: most.saturating_mul(2).next_power_of_two().max(FEWEST_SLOTS),
            count: AtomicUsize::new(0),
            slots: ArcSwap::from_pointee(empty(FEWEST_SLOTS)),
        }
    }

    /// What is remembered of a token; says nothing of one that was not.
    pub(super) fn find(&self, token: &[u8]) -> Option<Guard<Option<Arc<Seen>>>> {
        let print = self.print(token)?;
        let slots = self.slots.load();
        self.ways(&slots, print)
            .map(ArcSwapOption::load)
            .find(|seen| seen.as_ref().is_some_and(|seen| seen.print == print))
    }

    /// Remembers a well-formed token whose credential is this one, and the proof that was found
    /// under it after the stamp was taken.
    pub(super) fn remember(
        &self,
        token: &[u8],
        credential: Credential,
        proof: &Arc<Proof>,
        stamp: Stamp,
    ) {
        let Some(print) = self.print(token) else {
            return;
        };
        self.make_room();
        let seen = Arc::new(Seen {
            print,
            credential,
            proof: Arc::downgrade(proof),
            looked_up: AtomicU64::new(stamp.0),
        });
        let slots = self.slots.load();
        let own = |slot: &&ArcSwapOption<Seen>| {
            let seen = slot.load();
            seen.as_ref().is_some_and(|seen| seen.print == print)
        };
        if let Some(own) = self.ways(&slots, print).find(own) {
            return own.store(Some(seen));
        }
        let free = self.ways(&slots, print).find(|slot| slot.load().is_none());
        if let Some(free) = free {
            free.store(Some(seen));
            self.count.fetch_add(1, Ordering::Relaxed);
        } else if let Some(taken) = self.ways(&slots, print).next() {
            taken.store(Some(seen));
        }
    }

    /// Forgets all, where that is most of what there is room for and `in_use` is much less.
    pub(super) fn maintain(&self, in_use: u64) {
        let count = self.count.load(Ordering::Relaxed);
        let in_use = usize::try_from(in_use).unwrap_or(usize::MAX);
        if count > in_use.saturating_mul(2).saturating_add(FEWEST_SLOTS) {
            self.slots.store(Arc::new(empty(FEWEST_SLOTS)));
            self.count.store(0, Ordering::Relaxed);
        }
    }

    /// Twice the slots, where half are taken and more are allowed. A token that is lost to a
    /// race is hashed in full once more.
    fn make_room(&self) {
        let slots = self.slots.load();
        let taken = self.count.load(Ordering::Relaxed);
        if taken < slots.len() / 2 || slots.len() >= self.most {
            return;
        }
        let larger = empty(slots.len() * 2);
        let mut kept = 0;
        for seen in slots.iter().filter_map(ArcSwapOption::load_full) {
            let free = self
                .ways(&larger, seen.print)
                .find(|slot| slot.load().is_none());
            if let Some(free) = free {
                free.store(Some(seen));
                kept += 1;
            }
        }
        self.slots.store(Arc::new(larger));
        self.count.store(kept, Ordering::Relaxed);
    }

    /// The slots that a token may stand in.
    fn ways<'a>(
        &self,
        slots: &'a Slots,
        print: Print,
    ) -> impl Iterator<Item = &'a ArcSwapOption<Seen>> + use<'a> {
        let last = slots.len() - 1;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only the low bits count, and all of them are as good"
        )]
        let first = self.places.hash_one(print.0) as usize;
        (0..WAYS).filter_map(move |way| slots.get(first.wrapping_add(way) & last))
    }

    /// One nonce for all: what it would give away, were a tag to leave this file, is the key.
    fn print(&self, token: &[u8]) -> Option<Print> {
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let aad = Aad::from(token);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, aad, &mut [])
            .ok()?;
        tag.as_ref().try_into().ok().map(Print)
    }
}

fn empty(count: usize) -> Slots {
    (0..count).map(|_| ArcSwapOption::empty()).collect()
}

impl std::fmt::Debug for SeenTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeenTokens(_)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::identity::credential::{Bearer, Hasher};

    const STAMP: Stamp = Stamp(1);

    fn credential(hasher: &Hasher, token: &str) -> Credential {
        hasher.credential(Bearer::read(token.as_bytes()).unwrap())
    }

    struct World {
        seen: SeenTokens,
        hasher: Hasher,
        proof: Arc<Proof>,
    }

    impl World {
        fn new(most: u64) -> Self {
            let hasher = Hasher::random();
            Self {
                seen: SeenTokens::new(most),
                proof: Arc::new(Proof::for_tests(&hasher, Clock::by_hand().now())),
                hasher,
            }
        }

        fn remember(&self, token: &str) {
            let credential = credential(&self.hasher, token);
            self.seen
                .remember(token.as_bytes(), credential, &self.proof, STAMP);
        }

        fn credential(&self, token: impl AsRef<[u8]>) -> Option<Credential> {
            let seen = self.seen.find(token.as_ref())?;
            seen.as_ref().map(|seen| seen.credential)
        }
    }

    #[test]
    fn a_token_that_differs_in_any_byte_or_in_length_is_not_taken_for_a_remembered_one() {
        let world = World::new(100);
        let token = "aZ3-_.".repeat(300);
        world.remember(&token);
        let own = credential(&world.hasher, &token);
        assert_eq!(world.credential(&token), Some(own));
        for at in 0..token.len() {
            for bit in [1, 0x20] {
                let mut other = token.clone().into_bytes();
                other[at] ^= bit;
                assert_eq!(world.credential(&other), None, "byte {at}");
            }
        }
        let (first, rest) = token.as_bytes().split_first().unwrap();
        let (last, start) = token.as_bytes().split_last().unwrap();
        for other in [rest, start, &[*first], &[*last], &[]] {
            assert_eq!(world.credential(other), None);
        }
        // A zero at the end is what the hash pads with.
        for more in ["=", "\0", "\0\0\0\0\0\0\0\0"] {
            assert_eq!(world.credential(token.clone() + more), None);
        }
    }

    #[test]
    fn each_of_many_tokens_keeps_its_own_credential_while_the_table_grows() {
        let world = World::new(20_000);
        let token = |nth: usize| format!("token-{nth:08}");
        for nth in 0..20_000 {
            world.remember(&token(nth));
        }
        let mut known = 0;
        for nth in 0..20_000 {
            if let Some(found) = world.credential(token(nth)) {
                assert_eq!(found, credential(&world.hasher, &token(nth)));
                known += 1;
            }
        }
        assert!(known > 18_000, "{known}");
        assert!(world.seen.slots.load().len() <= 65_536);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_with_the_proofs() {
        let world = World::new(10);
        for nth in 0..10_000 {
            world.remember(&format!("token-{nth}"));
        }
        assert_eq!(world.seen.slots.load().len(), FEWEST_SLOTS);
        assert!(world.seen.count.load(Ordering::Relaxed) <= FEWEST_SLOTS);
        let world = World::new(100_000);
        for nth in 0..5_000 {
            world.remember(&format!("token-{nth}"));
        }
        world.remember("token");
        world.seen.maintain(5_000);
        assert!(world.credential("token").is_some());
        world.seen.maintain(10);
        assert!(world.credential("token").is_none());
    }

    #[test]
    fn a_proof_is_taken_only_under_the_stamp_it_was_looked_up_under_and_while_it_is_held() {
        let World {
            seen,
            hasher,
            proof,
        } = World::new(10);
        seen.remember(b"token", credential(&hasher, "token"), &proof, STAMP);
        let found = |stamp| {
            let seen = seen.find(b"token").unwrap();
            seen.as_ref().unwrap().proof(stamp)
        };
        assert!(found(STAMP).is_some_and(|found| Arc::ptr_eq(&found, &proof)));
        assert!(found(Stamp(2)).is_none());
        // Another proof under the same credential is another one.
        let other = Arc::new(Proof::for_tests(&hasher, Clock::by_hand().now()));
        let remembered = seen.find(b"token").unwrap();
        assert!(!remembered.as_ref().unwrap().found(&other, Stamp(2)));
        assert!(found(Stamp(2)).is_none());
        assert!(remembered.as_ref().unwrap().found(&proof, Stamp(2)));
        assert!(found(Stamp(2)).is_some());
        drop(proof);
        assert!(found(Stamp(2)).is_none());
    }
}
