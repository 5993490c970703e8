//! Rounds without a chain: a clock that everyone has.

use crate::id::Seed;

/// Rounds by the time of day: everyone who knows what time it is knows which round it is, and its seed.
///
/// Nobody opens such rounds and nobody is paid for them; and since everyone knows every seed beforehand, nobody is surprised by their tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    swarm: [u8; 32],
    period_ms: u64,
}

impl Beacon {
    /// The beacon of a swarm, by its id.
    pub fn new(swarm: [u8; 32], period_ms: u64) -> Beacon {
        Beacon { swarm, period_ms: period_ms.max(1) }
    }

    /// The round at a time, in milliseconds since 1970.
    pub fn round(&self, unix_ms: u64) -> u64 {
        unix_ms / self.period_ms
    }

    /// When a round begins.
    pub fn begins_at(&self, round: u64) -> u64 {
        round.saturating_mul(self.period_ms)
    }

    /// A round's seed.
    pub fn seed(&self, round: u64) -> Seed {
        let mut hasher = blake3::Hasher::new_derive_key("starling swarm beacon v1");
        hasher.update(&self.swarm).update(&round.to_le_bytes());
        Seed(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_says_it_all() {
        let beacon = Beacon::new([1; 32], 5_000);
        assert_eq!([0, 4_999, 5_000, 12_345].map(|t| beacon.round(t)), [0, 0, 1, 2]);
        assert_eq!(beacon.round(beacon.begins_at(77)), 77);
        assert_ne!(beacon.seed(1), beacon.seed(2));
        assert_ne!(beacon.seed(1), Beacon::new([2; 32], 5_000).seed(1));
        assert_eq!(Beacon::new([1; 32], 0).round(3), 3);
    }
}
