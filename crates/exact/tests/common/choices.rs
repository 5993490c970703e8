//! Decisions of a generator.

/// Decisions taken one by one from a list of numbers, which proptest makes and shrinks. Once the list is used up, every
/// further decision is for the first and simplest option, so a shorter list is a smaller case.
pub(crate) struct Choices<'a> {
    data: &'a [u32],
}

impl<'a> Choices<'a> {
    pub(crate) fn new(data: &'a [u32]) -> Choices<'a> {
        Choices { data }
    }

    pub(crate) fn used_up(&self) -> bool {
        self.data.is_empty()
    }

    pub(crate) fn number(&mut self) -> u32 {
        let Some((first, rest)) = self.data.split_first() else { return 0 };
        self.data = rest;
        *first
    }

    /// One of `0..n`; 0 if there is none.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.number() as usize % n.max(1)
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())]
    }
}

/// An endless stream of random numbers from one seed (by Steele, Lea and Flood's `splitmix64`).
pub(crate) struct Stream(pub(crate) u64);

impl Stream {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.number() >> 16) as usize % n.max(1)
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())]
    }

    /// From -1 to 1.
    pub(crate) fn even(&mut self) -> f32 {
        (self.number() >> 40) as f32 / 8_388_608.0 - 1.0
    }
}
