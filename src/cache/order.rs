//! In which order what is held was last used, and until when each is held.
//!
//! A ring of places, each by its number, in blocks that never move: what is first has not been
//! used for longest. Which entry has which place is the table's to know.

/// Places in a block.
const BLOCK: usize = 1 << 10;
/// Where the ring begins and ends: a place that nobody has.
const ENDS: u32 = 0;
/// A place that nobody has, and that is free.
const NEVER: u32 = u32::MAX;

/// The order of all that is held.
#[derive(Debug)]
pub(super) struct Order {
    blocks: Vec<Vec<Node>>,
    /// The first free place, from which `after` leads to the next; none where it is [`ENDS`].
    free: u32,
    /// Places that are taken.
    held: usize,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    /// By which the table finds whose place it is.
    hash: u64,
    before: u32,
    after: u32,
    /// In seconds of the clock.
    until: u32,
}

/// A place and the hash of who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u32,
    pub(super) hash: u64,
}

impl Default for Order {
    fn default() -> Self {
        let mut block = Vec::with_capacity(BLOCK);
        block.push(Node {
            hash: 0,
            before: ENDS,
            after: ENDS,
            until: NEVER,
        });
        Self {
            blocks: vec![block],
            free: ENDS,
            held: 0,
        }
    }
}

impl Order {
    /// A place behind all others. `None` where there are no more numbers.
    pub(super) fn take(&mut self, hash: u64, until: u32) -> Option<u32> {
        let at = if self.free == ENDS {
            self.new_place()?
        } else {
            let at = self.free;
            self.free = self.node(at)?.after;
            at
        };
        let node = self.node_mut(at)?;
        (node.hash, node.until) = (hash, until.min(NEVER - 1));
        self.held += 1;
        self.enqueue(at);
        Some(at)
    }

    /// This was used just now.
    pub(super) fn renew(&mut self, at: u32) {
        self.unlink(at);
        self.enqueue(at);
    }

    /// Nobody has this place any more.
    pub(super) fn leave(&mut self, at: u32) {
        self.unlink(at);
        let free = self.free;
        if let Some(node) = self.node_mut(at) {
            (node.after, node.until) = (free, NEVER);
            self.free = at;
        }
        self.held = self.held.saturating_sub(1);
        if self.held == 0 {
            *self = Self::default();
        }
    }

    /// What has not been used for longest.
    pub(super) fn first(&self) -> Option<Place> {
        let at = self.node(ENDS)?.after;
        let hash = self.node(at)?.hash;
        (at != ENDS).then_some(Place { at, hash })
    }

    /// How many there are to look through with [`Order::ended`].
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Those of a block whose time is over.
    pub(super) fn ended(&self, block: usize, now: u32) -> Vec<Place> {
        let nodes = self.blocks.get(block).map(Vec::as_slice);
        let first = block * BLOCK;
        let mut ended = Vec::new();
        for (nth, node) in nodes.unwrap_or_default().iter().enumerate() {
            if node.until <= now {
                // Only so many have been given out as have a number.
                let at = u32::try_from(first + nth).unwrap_or(ENDS);
                ended.push(Place {
                    at,
                    hash: node.hash,
                });
            }
        }
        ended
    }

    /// Whether this place is its that has this hash, and its time is over.
    pub(super) fn has_ended(&self, place: Place, now: u32) -> bool {
        let node = self.node(place.at);
        node.is_some_and(|node| node.hash == place.hash && node.until <= now)
    }

    fn new_place(&mut self) -> Option<u32> {
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let before = (self.blocks.len() - 1) * BLOCK;
        let block = self.blocks.last_mut()?;
        let at = u32::try_from(before + block.len()).ok()?;
        block.push(Node {
            hash: 0,
            before: at,
            after: at,
            until: NEVER,
        });
        Some(at)
    }

    /// Puts it behind the last.
    fn enqueue(&mut self, at: u32) {
        let Some(last) = self.node(ENDS).map(|ends| ends.before) else {
            return;
        };
        self.link(last, at);
        self.link(at, ENDS);
    }

    fn unlink(&mut self, at: u32) {
        if let Some(node) = self.node(at) {
            self.link(node.before, node.after);
        }
    }

    fn link(&mut self, before: u32, after: u32) {
        if let Some(node) = self.node_mut(before) {
            node.after = after;
        }
        if let Some(node) = self.node_mut(after) {
            node.before = before;
        }
    }

    fn node(&self, at: u32) -> Option<Node> {
        let at = usize::try_from(at).ok()?;
        self.blocks.get(at / BLOCK)?.get(at % BLOCK).copied()
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut Node> {
        let at = usize::try_from(at).ok()?;
        self.blocks.get_mut(at / BLOCK)?.get_mut(at % BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list: the first is the one that was used longest ago, whatever came and went.
        #[test]
        fn the_first_is_what_was_used_longest_ago(steps in prop::collection::vec((0..4_u8, any::<usize>()), 0..400)) {
            let mut order = Order::default();
            let mut model: Vec<(u32, u64, u32)> = Vec::new();
            for (count, (what, which)) in steps.into_iter().enumerate() {
                let hash = count as u64;
                let until = u32::try_from(which % 100).unwrap();
                let nth = which.checked_rem(model.len());
                match (what, nth) {
                    (0 | 1, _) | (_, None) => {
                        let at = order.take(hash, until).unwrap();
                        prop_assert!(model.iter().all(|(taken, ..)| *taken != at));
                        model.push((at, hash, until));
                    }
                    (2, Some(nth)) => {
                        let used = model.remove(nth);
                        order.renew(used.0);
                        model.push(used);
                    }
                    (_, Some(nth)) => {
                        let (at, ..) = model.remove(nth);
                        order.leave(at);
                    }
                }
                let first = model.first().map(|(at, hash, _)| Place { at: *at, hash: *hash });
                prop_assert_eq!(order.first(), first);
                let mut ended: Vec<u32> = (0..order.blocks())
                    .flat_map(|block| order.ended(block, 50))
                    .map(|place| place.at)
                    .collect();
                ended.sort_unstable();
                let mut over: Vec<u32> =
                    model.iter().filter(|(.., until)| *until <= 50).map(|(at, ..)| *at).collect();
                over.sort_unstable();
                prop_assert_eq!(ended, over);
            }
        }
    }

    #[test]
    fn places_are_given_out_again() {
        let mut order = Order::default();
        let mut places: Vec<u32> = (0..3_000)
            .map(|hash| order.take(hash, 1).unwrap())
            .collect();
        let kept = places.remove(0);
        for at in places {
            order.leave(at);
        }
        for hash in 0..2_999 {
            assert!(order.take(hash, 1).unwrap() <= 3_000);
        }
        assert_eq!(order.first().map(|first| first.at), Some(kept));
    }
}
