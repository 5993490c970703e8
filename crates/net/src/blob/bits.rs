//! Which of a blob's groups, or parts, there are.

use std::ops::Range;

/// A set of small numbers below a bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: u64,
    count: u64,
}

impl Bits {
    pub(crate) fn none(len: u64) -> Bits {
        Bits { words: vec![0; len.div_ceil(64) as usize], len, count: 0 }
    }

    /// From bytes, the lowest bit of the first byte first. Bits at or above the bound are not read.
    pub(crate) fn from_bytes(len: u64, bytes: &[u8]) -> Bits {
        let mut bits = Bits::none(len);
        for (at, byte) in bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
            for bit in 0..8 {
                if byte >> bit & 1 == 1 {
                    bits.set(at as u64 * 8 + bit);
                }
            }
        }
        bits
    }

    /// How many bytes [`to_bytes`](Self::to_bytes) makes for a bound of `len`.
    pub(crate) fn bytes_for(len: u64) -> u64 {
        len.div_ceil(8)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        (0..Bits::bytes_for(self.len)).map(|at| self.byte(at)).collect()
    }

    /// The byte that holds the bits `at * 8..`.
    pub(crate) fn byte(&self, at: u64) -> u8 {
        (self.words[(at / 8) as usize] >> (at % 8 * 8)) as u8
    }

    pub(crate) fn get(&self, at: u64) -> bool {
        at < self.len && self.words[(at / 64) as usize] >> (at % 64) & 1 == 1
    }

    pub(crate) fn set(&mut self, at: u64) {
        if at < self.len && !self.get(at) {
            self.words[(at / 64) as usize] |= 1 << (at % 64);
            self.count += 1;
        }
    }

    /// How many are in the set.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// The first of `range` that is not in the set.
    pub(crate) fn first_gap(&self, range: Range<u64>) -> Option<u64> {
        let end = range.end.min(self.len);
        let mut at = range.start;
        while at < end {
            let gaps = !self.words[(at / 64) as usize] >> (at % 64);
            if gaps != 0 {
                let gap = at + gaps.trailing_zeros() as u64;
                return (gap < end).then_some(gap);
            }
            at = (at / 64 + 1) * 64;
        }
        None
    }

    /// The last of `range` that is not in the set.
    pub(crate) fn last_gap(&self, range: Range<u64>) -> Option<u64> {
        (range.start..range.end.min(self.len)).rev().find(|at| !self.get(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(len in 1u64..300, put in prop::collection::vec(0u64..300, 0..200)) {
            let mut bits = Bits::none(len);
            let mut set = BTreeSet::new();
            for at in put {
                bits.set(at);
                if at < len { set.insert(at); }
            }
            prop_assert_eq!(bits.count(), set.len() as u64);
            prop_assert_eq!(bits.is_full(), set.len() as u64 == len);
            for from in 0..len {
                let to = (from * 7 + 13) % (len + 1);
                prop_assert_eq!(bits.first_gap(from..to), (from..to).find(|at| !set.contains(at)));
                prop_assert_eq!(bits.last_gap(from..to), (from..to).rev().find(|at| !set.contains(at)));
            }
            prop_assert_eq!(Bits::from_bytes(len, &bits.to_bytes()), bits);
        }

        #[test]
        fn any_bytes_are_bits(len in 0u64..300, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Bits::from_bytes(len, &bytes).count() <= len);
        }
    }
}
