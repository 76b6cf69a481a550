//! Settings of this room.

use std::time::Duration;

/// What a caller's `Cache-Control` and `Pragma` do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallerDirectives {
    /// Nothing: the stock .NET Graph SDK sends `no-store, no-cache` with every request.
    #[default]
    Ignore,
    /// What RFC 9111 §5.2.1 says.
    Honour,
}

/// What rules freshness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpstreamDirectives {
    /// The operator's lifetimes. `no-store` and `Vary` are obeyed all the same.
    #[default]
    Operator,
    /// What the answer says, wherever it says something.
    Honour,
}

/// What the process needs besides what is held, at most: itself, answers on their way, and what
/// has been let go and is not given back yet (docs/figures.md, "Memory").
const BESIDES: u64 = 20 << 20;

/// What may be held, so that a process that may take `memory` in all keeps to it. Of very little
/// half is for what is held, and the process takes more than was said.
pub fn room_in(memory: u64) -> u64 {
    memory - BESIDES.min(memory / 2)
}

/// Settings of this room.
#[derive(Debug, Clone)]
pub struct Config {
    /// Freshness lifetime of pictures, metadata and lists.
    pub photo_ttl: Duration,
    /// Freshness lifetime of "no photo".
    pub absent_ttl: Duration,
    /// How long past its lifetime an answer may be shown while it is revalidated.
    pub stale_while_revalidate: Duration,
    /// How long past its lifetime an answer may be shown when Graph cannot be had.
    pub stale_if_error: Duration,
    /// Bound on what is held, in bytes, overhead included ([`room_in`]).
    pub memory: u64,
    /// The largest picture that is stored, in bytes; a larger one streams through.
    pub max_photo: usize,
    /// What a caller's directives do.
    pub caller_directives: CallerDirectives,
    /// What rules freshness.
    pub upstream_directives: UpstreamDirectives,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_have_room_in_any_memory_and_the_process_has_its_own() {
        const MIB: u64 = 1 << 20;
        for (memory, room) in [
            (0, 0),
            (MIB, MIB / 2),
            (8 * MIB, 4 * MIB),
            (16 * MIB, 8 * MIB),
            (32 * MIB, 16 * MIB),
            (40 * MIB, 20 * MIB),
            (64 * MIB, 44 * MIB),
            (256 * MIB, 236 * MIB),
            (1 << 40, (1 << 40) - 20 * MIB),
        ] {
            assert_eq!(room_in(memory), room, "{memory}");
        }
    }
}
