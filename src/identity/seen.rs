//! Which credential a token has, remembered for tokens seen lately, so that they need not be
//! hashed in full again; and where its proof is.
//!
//! What the credential counts for is not remembered. The proof is judged by the time of each
//! request, and looked up anew whenever one may have been made or ended under this credential
//! since ([`Stamp`]); what stands here keeps none alive.
//!
//! No token is kept. One is recognised by all its bytes under a polynomial hash over GF(2^128)
//! with a key of the process (GHASH, NIST SP 800-38D §6.4, masked by one block of AES): whatever
//! two tokens of at most 64 KiB an attacker picks, the chance that they look alike is below
//! 2^-115. That bound needs neither luck nor a strong cipher, but that nobody learns a hash: it
//! stays in this file, and where it stands in the table goes by another keyed hash of it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use super::credential::Credential;
use super::proof::{Proof, Stamp};

/// Tables, each with a lock: two requests seldom want the same one, and the others go on while one
/// grows.
const SHARDS: usize = 64;
/// How many slots a table has at first, a power of two.
const FEWEST_SLOTS: usize = 16;
/// How many neighbouring slots a token may stand in.
const WAYS: usize = 4;

/// All bytes of a token, under the key of the process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Print([u8; 16]);

/// One token: its print, its credential, and the proof that was found under it. All of it in the
/// table, and in one line of memory: among many tokens each line is a way there and back.
#[repr(align(64))]
struct Seen {
    print: Print,
    credential: Credential,
    proof: Weak<Proof>,
    /// As of when that was the proof.
    looked_up: AtomicU64,
}

/// Some of the tokens seen lately.
struct Shard {
    slots: Box<[Option<Seen>]>,
    count: usize,
}

/// The tokens seen lately.
pub(super) struct SeenTokens {
    key: LessSafeKey,
    places: RandomState,
    /// How many slots a table may have.
    most: usize,
    shards: [RwLock<Shard>; SHARDS],
}

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
        let most = most.saturating_mul(2).div_ceil(SHARDS).next_power_of_two();
        Self {
            key: LessSafeKey::new(key),
            places: RandomState::new(),
            most: most.max(FEWEST_SLOTS),
            shards: std::array::from_fn(|_| RwLock::new(Shard::of(FEWEST_SLOTS))),
        }
    }

    /// The credential of a remembered token, and its proof, where that was looked up under the
    /// stamp that this credential has now.
    pub(super) fn find(
        &self,
        print: Print,
        stamp: impl FnOnce(&Credential) -> Stamp,
    ) -> Option<(Credential, Option<Arc<Proof>>)> {
        let place = self.place(print);
        let shard = self.read(place);
        let seen = shard.find(place, print)?;
        // Read after what stands here: a proof that was the one under this stamp still is.
        let is_current = seen.looked_up.load(Ordering::Acquire) == stamp(&seen.credential).0;
        let proof = is_current.then(|| seen.proof.upgrade()).flatten();
        Some((seen.credential, proof))
    }

    /// Remembers a well-formed token whose credential is this one, and the proof that was found
    /// under it after the stamp was taken.
    pub(super) fn remember(
        &self,
        print: Print,
        credential: Credential,
        proof: &Arc<Proof>,
        stamp: Stamp,
    ) {
        let place = self.place(print);
        if let Some(seen) = self.read(place).find(place, print)
            && std::ptr::eq(seen.proof.as_ptr(), Arc::as_ptr(proof))
        {
            return seen.looked_up.store(stamp.0, Ordering::Release);
        }
        let seen = Seen {
            print,
            credential,
            proof: Arc::downgrade(proof),
            looked_up: AtomicU64::new(stamp.0),
        };
        let mut shard = self.write(place);
        if shard.count >= shard.slots.len() / 2 && shard.slots.len() < self.most {
            let larger = shard.slots.len() * 2;
            shard.grow(larger, |seen| self.place(seen.print));
        }
        shard.put(place, seen);
    }

    /// Forgets all, where that is most of what there is room for and `in_use` is much less.
    pub(super) fn maintain(&self, in_use: u64) {
        let count: usize = (0..SHARDS as u64).map(|at| self.read(at).count).sum();
        let in_use = usize::try_from(in_use).unwrap_or(usize::MAX);
        let few = in_use
            .saturating_mul(2)
            .saturating_add(SHARDS * FEWEST_SLOTS);
        if count > few {
            for at in 0..SHARDS as u64 {
                *self.write(at) = Shard::of(FEWEST_SLOTS);
            }
        }
    }

    /// Where a token stands: which table in the lowest bits, which slot in those above.
    fn place(&self, print: Print) -> u64 {
        self.places.hash_one(print.0)
    }

    fn shard(&self, place: u64) -> &RwLock<Shard> {
        let [first, ..] = &self.shards;
        let at = usize::try_from(place % SHARDS as u64).unwrap_or_default();
        self.shards.get(at).unwrap_or(first)
    }

    fn read(&self, place: u64) -> RwLockReadGuard<'_, Shard> {
        let shard = self.shard(place).read();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, place: u64) -> RwLockWriteGuard<'_, Shard> {
        let shard = self.shard(place).write();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    /// One nonce for all: what it would give away, were a tag to leave this file, is the key.
    pub(super) fn print(&self, token: &[u8]) -> Option<Print> {
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let aad = Aad::from(token);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, aad, &mut [])
            .ok()?;
        tag.as_ref().try_into().ok().map(Print)
    }
}

impl Shard {
    fn of(slots: usize) -> Self {
        Self {
            slots: (0..slots).map(|_| None).collect(),
            count: 0,
        }
    }

    /// The slots that a token may stand in.
    fn ways(&self, place: u64) -> impl Iterator<Item = usize> + use<> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only the low bits count, and all of them are as good"
        )]
        let (first, last) = ((place / SHARDS as u64) as usize, self.slots.len() - 1);
        (0..WAYS).map(move |way| first.wrapping_add(way) & last)
    }

    fn find(&self, place: u64, print: Print) -> Option<&Seen> {
        self.ways(place)
            .filter_map(|way| self.slots.get(way)?.as_ref())
            .find(|seen| seen.print == print)
    }

    /// Puts it where the same token stands, or where none does, or over another.
    fn put(&mut self, place: u64, seen: Seen) {
        let is = |way: usize, what: &dyn Fn(Option<&Seen>) -> bool| {
            self.slots.get(way).is_some_and(|slot| what(slot.as_ref()))
        };
        let own = |way: &usize| is(*way, &|there| there.is_some_and(|t| t.print == seen.print));
        let free = |way: &usize| is(*way, &|there| there.is_none());
        let mut ways = self.ways(place);
        let at = self.ways(place).find(own);
        let at = at.or_else(|| self.ways(place).find(free)).or(ways.next());
        if let Some(slot) = at.and_then(|at| self.slots.get_mut(at)) {
            self.count += usize::from(slot.is_none());
            *slot = Some(seen);
        }
    }

    fn grow(&mut self, slots: usize, place: impl Fn(&Seen) -> u64) {
        let before = std::mem::replace(self, Self::of(slots));
        for seen in before.slots.into_iter().flatten() {
            self.put(place(&seen), seen);
        }
    }
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
            let print = self.seen.print(token.as_bytes()).unwrap();
            self.seen.remember(print, credential, &self.proof, STAMP);
        }

        fn credential(&self, token: impl AsRef<[u8]>) -> Option<Credential> {
            let print = self.seen.print(token.as_ref())?;
            let (credential, _) = self.seen.find(print, |_| STAMP)?;
            Some(credential)
        }

        /// How many tokens are remembered, and in how many slots.
        fn size(&self) -> (usize, usize) {
            let shards = (0..SHARDS as u64).map(|at| self.seen.read(at));
            let sizes = shards.map(|shard| (shard.count, shard.slots.len()));
            sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
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
        assert!(world.size().1 <= 65_536);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_with_the_proofs() {
        let world = World::new(10);
        for nth in 0..10_000 {
            world.remember(&format!("token-{nth}"));
        }
        let (count, slots) = world.size();
        assert!(count <= slots && slots == SHARDS * FEWEST_SLOTS);
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
        let (print, own) = (seen.print(b"token").unwrap(), credential(&hasher, "token"));
        let found = |stamp| seen.find(print, |_| stamp).unwrap().1;
        seen.remember(print, own, &proof, STAMP);
        assert!(found(STAMP).is_some_and(|found| Arc::ptr_eq(&found, &proof)));
        assert!(found(Stamp(2)).is_none());
        // The same proof, found again.
        seen.remember(print, own, &proof, Stamp(2));
        assert!(found(STAMP).is_none());
        assert!(found(Stamp(2)).is_some_and(|found| Arc::ptr_eq(&found, &proof)));
        // Another proof under the same credential is another one.
        let other = Arc::new(Proof::for_tests(&hasher, Clock::by_hand().now()));
        seen.remember(print, own, &other, Stamp(3));
        assert!(found(Stamp(2)).is_none());
        assert!(found(Stamp(3)).is_some_and(|found| Arc::ptr_eq(&found, &other)));
        drop(other);
        assert!(found(Stamp(3)).is_none());
    }

    #[test]
    fn what_is_known_of_a_token_lies_in_one_line_of_memory() {
        assert_eq!(size_of::<Option<Seen>>(), 64);
    }
}
