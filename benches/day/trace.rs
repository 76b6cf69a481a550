//! The day: who opens which page when, and who changes a photo. Follows from a seed alone.

use std::collections::HashSet;
use std::fmt;

/// How long the day is, in seconds.
pub(crate) const DAY: u64 = 9 * 3_600;
/// Faces on a page.
pub(crate) const FACES: usize = 25;
/// People who look.
pub(crate) const VIEWERS: usize = 300;
/// How long a viewer keeps a token, in seconds.
pub(crate) const TOKEN: u64 = 3_600;

/// What is asked for of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// `photos/48x48/$value`
    Small,
    /// `photo/$value`
    Large,
    /// `photo`
    Metadata,
}

/// One face on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Face {
    pub(crate) owner: usize,
    /// By the user principal name instead of the id.
    pub(crate) by_name: bool,
    pub(crate) what: What,
}

/// One page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) at: u64,
    pub(crate) viewer: usize,
    /// Numbers the tokens of the day.
    pub(crate) token: usize,
    /// By `$batch`, not one by one.
    pub(crate) batch: bool,
    pub(crate) faces: Vec<Face>,
}

/// The whole day, in order.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) pages: Vec<Page>,
    /// When, and whose photo changes.
    pub(crate) uploads: Vec<(u64, usize)>,
    /// How many tokens are used.
    pub(crate) tokens: usize,
}

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Trace {
    /// So many views of so many people; three pages a sitting, a few minutes apart.
    pub(crate) fn new(seed: u64, views: usize, people: usize) -> Self {
        let mut dice = Dice(seed);
        let popularity = Zipf::new(people, &mut dice);
        let mut opened = Vec::new();
        while opened.len() < views / FACES {
            let viewer = opened.len() / 3 % VIEWERS;
            let mut at = dice.below(DAY);
            for _ in 0..3 {
                opened.push((at, viewer));
                at = (at + 60 + dice.below(240)).min(DAY - 1);
            }
        }
        opened.sort_unstable();
        let (mut held, mut tokens) = (vec![None; VIEWERS], 0);
        let mut pages = Vec::with_capacity(opened.len());
        for (at, viewer) in opened {
            let token = match held.get(viewer).copied().flatten() {
                Some((issued, token)) if at - issued < TOKEN => token,
                _ => {
                    tokens += 1;
                    if let Some(held) = held.get_mut(viewer) {
                        *held = Some((at, tokens - 1));
                    }
                    tokens - 1
                }
            };
            let what = match dice.below(10) {
                0 => What::Metadata,
                1 | 2 => What::Large,
                _ => What::Small,
            };
            let batch = dice.chance(20);
            let faces = popularity.page(&mut dice);
            let faces = faces.into_iter().map(|owner| Face {
                owner,
                by_name: dice.chance(30),
                what,
            });
            let faces = faces.collect();
            pages.push(Page {
                at,
                viewer,
                token,
                batch,
                faces,
            });
        }
        // One person in ten changes the photo in the course of the day.
        let mut uploads: Vec<(u64, usize)> = (0..people / 10)
            .map(|_| (dice.below(DAY), popularity.one(&mut dice)))
            .collect();
        uploads.sort_unstable();
        Self {
            pages,
            uploads,
            tokens,
        }
    }

    pub(crate) fn views(&self) -> usize {
        self.pages.iter().map(|page| page.faces.len()).sum()
    }
}

impl fmt::Display for Trace {
    /// A line per page: when, by which token, one by one or by batch, then what of whom.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for page in &self.pages {
            let how = if page.batch { "batch" } else { "single" };
            write!(f, "{} {} {how}", page.at, page.token)?;
            for Face {
                owner,
                by_name,
                what,
            } in &page.faces
            {
                let name = if *by_name { "name" } else { "id" };
                write!(f, " {what:?}/{name}/{owner}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The n-th most popular is asked for 1/n as often as the first.
struct Zipf {
    sums: Vec<f64>,
    ranks: Vec<usize>,
}

impl Zipf {
    fn new(people: usize, dice: &mut Dice) -> Self {
        let mut sum = 0.0;
        let weights = (1..=u32::try_from(people).unwrap_or(u32::MAX)).map(|n| 1.0 / f64::from(n));
        let sums = weights.map(|weight| {
            sum += weight;
            sum
        });
        let sums = sums.collect();
        let mut ranks: Vec<usize> = (0..people).collect();
        for at in (1..people).rev() {
            let other = usize::try_from(dice.below(at as u64 + 1)).unwrap_or(0);
            ranks.swap(at, other);
        }
        Self { sums, ranks }
    }

    fn one(&self, dice: &mut Dice) -> usize {
        let all = self.sums.last().copied().unwrap_or(1.0);
        let part = f64::from(u32::try_from(dice.next() >> 32).unwrap_or(0)) / 4_294_967_296.0;
        let rank = self.sums.partition_point(|sum| *sum < part * all);
        self.ranks.get(rank).copied().unwrap_or(0)
    }

    /// A page shows nobody twice.
    fn page(&self, dice: &mut Dice) -> Vec<usize> {
        let (mut page, mut seen) = (Vec::with_capacity(FACES), HashSet::new());
        while page.len() < FACES {
            let one = self.one(dice);
            if seen.insert(one) {
                page.push(one);
            }
        }
        page
    }
}
