//! Token buckets: so much per second on average, a little more after a pause.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

/// Buckets kept at once; strangers beyond that share one.
const MOST: usize = 16_384;

/// One bucket. Its rate and size are given each time, since all of a kind share them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Option<Instant>,
}

impl Bucket {
    pub(crate) fn full(burst: f64) -> Bucket {
        Bucket { tokens: burst, at: None }
    }

    /// Takes `cost` if it is there.
    pub(crate) fn take(&mut self, cost: f64, rate: f64, burst: f64, now: Instant) -> bool {
        let passed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.tokens = (self.tokens + passed * rate).min(burst);
        let enough = self.tokens >= cost;
        if enough {
            self.tokens -= cost;
        }
        enough
    }

    fn is_full(&self, rate: f64, burst: f64, now: Instant) -> bool {
        let passed = self.at.map_or(f64::INFINITY, |at| now.saturating_duration_since(at).as_secs_f64());
        self.tokens + passed * rate >= burst
    }
}

/// A bucket for each key, as many as memory allows.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: f64,
    burst: f64,
    each: HashMap<K, Bucket>,
    rest: Bucket,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    pub(crate) fn new(rate: f64, burst: f64) -> Buckets<K> {
        Buckets { rate, burst, each: HashMap::new(), rest: Bucket::full(burst) }
    }

    /// Takes `cost` from the bucket of `key` if it is there.
    pub(crate) fn take(&mut self, key: &K, cost: f64, now: Instant) -> bool {
        let (rate, burst) = (self.rate, self.burst);
        if let Some(bucket) = self.each.get_mut(key) {
            return bucket.take(cost, rate, burst, now);
        }
        if self.each.len() >= MOST {
            // A full bucket says no more than none.
            self.each.retain(|_, bucket| !bucket.is_full(rate, burst, now));
        }
        if self.each.len() >= MOST {
            return self.rest.take(cost, rate, burst, now);
        }
        let bucket = self.each.entry(key.clone()).or_insert_with(|| Bucket::full(burst));
        bucket.take(cost, rate, burst, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_fills_at_its_rate() {
        let mut buckets = Buckets::new(10.0, 3.0);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!([0, 0, 0, 0].map(|ms| buckets.take(&'a', 1.0, at(ms))), [true, true, true, false]);
        assert!(buckets.take(&'b', 1.0, at(0)), "another's bucket");
        assert_eq!(
            [100, 100, 150, 200].map(|ms| buckets.take(&'a', 1.0, at(ms))),
            [true, false, false, true]
        );
        assert_eq!([9000; 4].map(|ms| buckets.take(&'a', 1.0, at(ms))), [true, true, true, false]);
    }

    #[test]
    fn a_flood_of_keys_is_bounded_and_bounds_itself() {
        let mut buckets = Buckets::new(0.001, 1.0);
        let now = Instant::now();
        let taken = (0..MOST * 2).filter(|key| buckets.take(key, 1.0, now)).count();
        assert_eq!((buckets.each.len(), taken), (MOST, MOST + 1));
        // An hour later the old buckets are full again and make room.
        assert!(buckets.take(&(MOST * 3), 1.0, now + Duration::from_hours(1)));
        assert!(buckets.each.len() < 2);
    }
}
