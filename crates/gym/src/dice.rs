//! Chance that is a function of a key: the same throws on every machine, in any order of machines.

/// Throws that follow from a key and a counter, and from nothing else.
#[derive(Clone, Debug)]
pub struct Dice {
    key: [u64; 2],
    thrown: u64,
}

impl Dice {
    /// The dice for a purpose, a seed and a number. Different ones have nothing to do with each other.
    pub fn new(purpose: &str, seed: u64, number: u64) -> Dice {
        let mut hash = blake3::Hasher::new_derive_key("starling gym dice 1");
        hash.update(&seed.to_le_bytes()).update(&number.to_le_bytes()).update(purpose.as_bytes());
        let digest = hash.finalize();
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest.as_bytes()[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        Dice { key: [word(0), word(8)], thrown: 0 }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let counter = self.thrown.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.thrown += 1;
        // The counter is mixed between two keys, so that no two pairs of keys are shifts of one sequence.
        mix(mix(counter.wrapping_add(self.key[0])) ^ self.key[1])
    }

    /// A number below `end`, each as likely as any other. Nothing is below zero or one but zero.
    pub fn below(&mut self, end: u64) -> u64 {
        if end < 2 {
            return 0;
        }
        // The upper half of a product is uniform once the few lowest products are thrown again.
        let unfair = end.wrapping_neg() % end;
        loop {
            let product = u128::from(self.bits()) * u128::from(end);
            if product as u64 >= unfair {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number from `low` to `high`, both included; `low` if they are the wrong way round.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        if high <= low {
            return low;
        }
        let span = high.wrapping_sub(low) as u64;
        let step = if span == u64::MAX { self.bits() } else { self.below(span + 1) };
        low.wrapping_add(step as i64)
    }

    /// As [`Dice::between`], for sizes.
    pub fn size(&mut self, low: u32, high: u32) -> usize {
        self.between(i64::from(low), i64::from(high)) as usize
    }

    /// A number from 0 to 1, 1 excluded.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of several; `None` of none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }

    /// One of several, at hand: of a list that is written down and never empty.
    pub fn one<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        const { assert!(N > 0) };
        of[self.below(N as u64) as usize]
    }

    /// The place of one of these weights, by their share of the sum; zero if all are nothing.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let sum: f64 = weights.iter().sum();
        let mut left = self.unit() * sum;
        for (i, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return i;
            }
        }
        // Rounding may leave a crumb: it belongs to the last that weighs anything.
        weights.iter().rposition(|w| *w > 0.0).unwrap_or(0)
    }

    /// Puts a list in an order, each as likely as any other.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i as u64 + 1) as usize);
        }
    }

    /// `count` different numbers below `end`, in any order; all of them if there are fewer.
    pub fn sample(&mut self, end: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..end).collect();
        let count = count.min(end);
        for i in 0..count {
            all.swap(i, i + self.below((end - i) as u64) as usize);
        }
        all.truncate(count);
        all
    }
}

/// A bijection of 64 bits that leaves no pattern (the finaliser of `SplitMix64`).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_follow_from_the_key_and_are_the_same_forever() {
        let throws = |purpose, seed, number| {
            let mut dice = Dice::new(purpose, seed, number);
            [dice.bits(), dice.bits()]
        };
        assert_eq!(throws("a", 1, 2), throws("a", 1, 2));
        for other in [throws("b", 1, 2), throws("a", 2, 2), throws("a", 1, 3)] {
            assert_ne!(throws("a", 1, 2), other);
        }
        // Peers of other versions must make the same tasks: these numbers may never change.
        assert_eq!(throws("chain_sum", 7, 0), PINNED);
    }
    const PINNED: [u64; 2] = [17549700042131526641, 15497253739312320771];

    #[test]
    fn all_numbers_below_the_end_come_about_equally_often() {
        let mut dice = Dice::new("test", 0, 0);
        let mut counts = [0; 7];
        for _ in 0..7_000 {
            counts[dice.below(7) as usize] += 1;
        }
        assert!(counts.iter().all(|c| (850..1150).contains(c)), "{counts:?}");
        assert_eq!((dice.below(0), dice.below(1), dice.between(3, 3), dice.between(5, -5)), (0, 0, 3, 5));
        let (low, high) = (i64::MIN, i64::MAX);
        assert!((0..100).map(|_| dice.between(low, high)).any(|n| n < 0));
    }

    #[test]
    fn samples_are_of_different_numbers_and_weights_are_kept() {
        let mut dice = Dice::new("test", 1, 0);
        for _ in 0..100 {
            let mut sample = dice.sample(9, 5);
            sample.sort_unstable();
            sample.dedup();
            assert_eq!(sample.len(), 5);
        }
        assert_eq!(dice.sample(3, 9).len(), 3);
        let mut counts = [0; 3];
        for _ in 0..4_000 {
            counts[dice.weighted(&[1.0, 0.0, 3.0])] += 1;
        }
        assert!(counts[1] == 0 && (850..1150).contains(&counts[0]), "{counts:?}");
    }
}
