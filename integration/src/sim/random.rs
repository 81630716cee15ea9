//! Randomness that a seed decides: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of numbers. Clones draw from the same stream; [`Random::fork`] makes one that is independent, so that what
/// one part of a history draws doesn't change what another gets.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    state: Arc<AtomicU64>,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Random {
        Random { seed, state: Arc::new(AtomicU64::new(seed)) }
    }

    /// A stream of its own for a part of the history; depends on the seed and the name alone, not on what was drawn.
    pub fn fork(&self, name: &str) -> Random {
        // FNV-1a, then one step of the generator so that near names are far apart.
        let hash = name.bytes().fold(self.seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let stream = Random::new(hash);
        Random::new(stream.next())
    }

    /// The next 64 bits.
    pub fn next(&self) -> u64 {
        let mut z = self.state.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 on, below `end`; 0 when there is none.
    pub fn below(&self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    /// True in `percent` of 100 cases.
    pub fn percent(&self, percent: u32) -> bool {
        self.next() % 100 < u64::from(percent)
    }

    /// One of `items`; `None` when there is none.
    pub fn pick<'a, T>(&self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

impl aws_api::Random for Random {
    fn next_u64(&self) -> u64 {
        self.next()
    }
}

impl external_ips::clock::Random for Random {
    fn next_u64(&self) -> u64 {
        self.next()
    }
}
