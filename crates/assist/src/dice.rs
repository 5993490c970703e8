//! Chance from a key: the same throws on every machine.

/// A stream of numbers that follow from a key alone.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

/// What the counter moves by: odd, with its bits well spread.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// The stream of this key: a seed, and which of its streams.
    pub(crate) fn new(seed: u64, stream: u64) -> Dice {
        let mut dice = Dice { state: seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(29) };
        dice.state = dice.next() ^ stream;
        dice
    }

    /// 64 bits: a counter, mixed until every bit of it sways every bit of the result.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// A number from `lo` to `hi`, both included.
    pub(crate) fn range(&mut self, lo: i32, hi: i32) -> i32 {
        lo + self.below((hi - lo + 1).max(1) as usize) as i32
    }

    /// Whether something of this many chances in a hundred happens.
    pub(crate) fn percent(&mut self, chances: u32) -> bool {
        self.below(100) < chances as usize
    }

    /// One of several.
    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// The same things in another order.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for i in (1..all.len()).rev() {
            all.swap(i, self.below(i + 1));
        }
    }

    /// A number from -1 to 1.
    pub(crate) fn unit(&mut self) -> f32 {
        let bits = (self.next() >> 40) as i32 - (1 << 23);
        bits as f32 / (1 << 23) as f32
    }
}
