//! Numbers that follow from a seed, the same on every machine: what virtual time chooses by, and what generated data and programs are made of.

/// SplitMix64 (Steele, Lea and Flood 2014): one 64-bit word of state.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next one.
    #[allow(clippy::should_implement_trait, reason = "it never ends, and nobody iterates over it")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A number from `least` to `most`; `least` if that is the larger one.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        self.within((least as u64, most as u64)) as usize
    }

    /// The same of a range of 64 bits, both ends included.
    pub fn within(&mut self, (least, most): (u64, u64)) -> u64 {
        least + self.next() % (most.saturating_sub(least) + 1)
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A number from -1 up to 1, with 24 random bits, so that every one is an f32.
    pub fn symmetric(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}
