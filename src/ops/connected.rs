//! Who is connected to the admin listener: so many at most, and the newest is always let in.
//!
//! Its port may be open to a whole cluster, and a connection shows no token before its first
//! request. Strangers who take every place and say nothing, or never read, would else keep a probe
//! waiting until the pod is taken for dead. So where no place is left, the address that has most of
//! them gives its oldest.

use std::collections::VecDeque;
use std::net::IpAddr;

use tokio::task::AbortHandle;

/// Connections held at once: enough for every tab and scraper of an operator.
const MOST: usize = 64;

/// The connections, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Connected(VecDeque<(IpAddr, AbortHandle)>);

impl Connected {
    /// Takes one in, and ends another where there is no place left.
    pub(super) fn enter(&mut self, peer: IpAddr, connection: AbortHandle) {
        self.0.retain(|(_, connection)| !connection.is_finished());
        if self.0.len() >= MOST
            && let Some((_, surplus)) = self.0.remove(self.surplus())
        {
            surplus.abort();
        }
        self.0.push_back((peer, connection));
    }

    /// Where the oldest of the address with most is.
    fn surplus(&self) -> usize {
        let of = |peer: &IpAddr| self.0.iter().filter(|(other, _)| other == peer).count();
        let counted = self.0.iter().map(|(peer, _)| of(peer)).enumerate();
        // Of equals the last one met counts: the oldest, from behind.
        counted
            .rev()
            .max_by_key(|(_, many)| *many)
            .map_or(0, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::{JoinHandle, yield_now};

    use super::*;

    struct Place {
        connected: Connected,
        tasks: Vec<(u8, JoinHandle<()>)>,
    }

    impl Place {
        fn enter(&mut self, peer: u8) {
            let task = tokio::spawn(pending());
            let address = IpAddr::from([10, 0, 0, peer]);
            self.connected.enter(address, task.abort_handle());
            self.tasks.push((peer, task));
        }

        /// The places in the order of entering that have been taken away.
        async fn ended(&self) -> Vec<usize> {
            // Until each has been looked at.
            for _ in &self.tasks {
                yield_now().await;
            }
            let all = self.tasks.iter().enumerate();
            all.filter(|(_, (_, task))| task.is_finished())
                .map(|(at, _)| at)
                .collect()
        }
    }

    #[tokio::test]
    async fn where_no_place_is_left_the_address_with_most_gives_its_oldest() {
        let mut place = Place {
            connected: Connected::default(),
            tasks: Vec::new(),
        };
        place.enter(1); // an operator, before anybody else
        for _ in 1..MOST {
            place.enter(2);
        }
        assert!(place.ended().await.is_empty());
        place.enter(3); // a probe
        assert_eq!(place.ended().await, [1]);
        for _ in 0..MOST {
            place.enter(2); // a stranger who goes on takes from himself
        }
        let ended = place.ended().await;
        assert_eq!(
            ended,
            (1..=MOST + 2).filter(|at| *at != MOST).collect::<Vec<_>>()
        );
    }

    #[tokio::test]
    async fn whoever_has_left_makes_room_for_the_next() {
        let mut place = Place {
            connected: Connected::default(),
            tasks: Vec::new(),
        };
        for _ in 0..MOST {
            place.enter(1);
        }
        place.tasks[MOST - 1].1.abort();
        assert_eq!(place.ended().await, [MOST - 1]);
        place.enter(2);
        assert_eq!(place.ended().await, [MOST - 1], "nobody had to go");
    }
}
