//! Randomness that a failure can name.

use std::hash::{BuildHasher, RandomState};

/// A small generator (SplitMix64, Steele, Lea and Flood 2014): the same seed, the same numbers.
#[derive(Clone, Debug)]
pub struct Seeded {
    seed: u64,
    state: u64,
}

impl Seeded {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// A generator with a seed of its own, different in every run.
    pub fn fresh() -> Self {
        Self::new(RandomState::new().hash_one("statehold"))
    }

    /// What a failure must print.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
