//! Repeatable chance: everything the simulator invents follows from a seed.

/// A small generator (`SplitMix64`): fast, seedable, and of no use for secrets.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for the same seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice that always fall the same way for the same text and number.
    pub(super) fn of(text: &str, number: u64) -> Self {
        Self(digest(text) ^ mix(number))
    }

    /// The next number.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`; zero when the bound is zero.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        match self.next().checked_rem(bound) {
            Some(number) => number,
            None => 0,
        }
    }

    /// True about `percent` times in a hundred.
    pub(super) const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number from 0 up to, but not, 1.
    pub(super) fn unit(&mut self) -> f32 {
        let few = u16::try_from(self.next() >> 48).unwrap_or(0);
        f32::from(few) / 65_536.0
    }

    /// A number between two.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// One of `choices`, or the fallback when there are none.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T], otherwise: T) -> T {
        let at = self.below(choices.len() as u64);
        usize::try_from(at)
            .ok()
            .and_then(|at| choices.get(at).copied())
            .unwrap_or(otherwise)
    }

    /// Puts things in any order.
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for left in (1..things.len()).rev() {
            let other = self.below(left as u64 + 1);
            things.swap(left, usize::try_from(other).unwrap_or(left));
        }
    }

    /// A GUID in its usual spelling.
    pub(super) fn guid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0xfff,
            low & 0xffff_ffff_ffff,
        )
    }

    /// As many hexadecimal digits as asked, lower case.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits.next_multiple_of(16));
        while text.len() < digits {
            let number = self.next();
            text.extend((0..16).rev().filter_map(|digit| {
                let digit = u32::try_from((number >> (digit * 4)) & 0xf).ok()?;
                char::from_digit(digit, 16)
            }));
        }
        text.truncate(digits);
        text
    }
}

/// Spreads every bit of a number over all of it.
pub(super) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number that stands for a text (FNV-1a, then mixed).
pub(super) fn digest(text: &str) -> u64 {
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(sum)
}
