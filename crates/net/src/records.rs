//! Who has what: the records that this node keeps for the swarm, and how many.
//!
//! A record says that a peer has what a key names. Only the peer itself can make it, over a connection that proves who it
//! is. Values are not kept for anyone: what peers have to say is in gossip and blobs.

use crate::config::Limits;
use libp2p::PeerId;
use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// Providers of one key that are kept: any of them will do.
const PER_KEY: usize = 32;
/// Addresses that are kept of a provider.
const ADDRESSES: usize = 8;
/// Longer addresses are not kept.
const ADDRESS_BYTES: usize = 256;
/// Our keys are hashes.
const KEY_BYTES: usize = 32;

/// The records of this node, bounded in every way.
pub(crate) struct Records {
    me: PeerId,
    most: usize,
    per_peer: usize,
    /// Ordered, so that what is walked does not depend on chance.
    keys: BTreeMap<Vec<u8>, Vec<ProviderRecord>>,
    count: usize,
    of_peer: HashMap<PeerId, usize>,
}

impl Records {
    pub(crate) fn new(me: PeerId, limits: &Limits) -> Records {
        Records {
            me,
            most: limits.provider_records,
            per_peer: limits.provider_records_per_peer,
            keys: BTreeMap::new(),
            count: 0,
            of_peer: HashMap::new(),
        }
    }

    /// Forgets what is over.
    pub(crate) fn expire(&mut self, now: Instant) {
        let Records { keys, count, of_peer, me, .. } = self;
        keys.retain(|_, records| {
            records.retain(|record| {
                let keep = record.provider == *me || !record.is_expired(now);
                if !keep {
                    *count -= 1;
                    one_less(of_peer, &record.provider);
                }
                keep
            });
            !records.is_empty()
        });
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.count
    }
}

fn one_less(of_peer: &mut HashMap<PeerId, usize>, peer: &PeerId) {
    if let Some(count) = of_peer.get_mut(peer) {
        *count -= 1;
        if *count == 0 {
            of_peer.remove(peer);
        }
    }
}

impl RecordStore for Records {
    type RecordsIter<'a> = std::iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::vec::IntoIter<Cow<'a, ProviderRecord>>;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }

    fn put(&mut self, _: Record) -> Result<()> {
        Err(Error::MaxRecords)
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        std::iter::empty()
    }

    fn add_provider(&mut self, mut record: ProviderRecord) -> Result<()> {
        let key = record.key.as_ref();
        if key.len() != KEY_BYTES {
            return Err(Error::ValueTooLarge);
        }
        record.addresses.retain(|address| address.len() <= ADDRESS_BYTES);
        record.addresses.truncate(ADDRESSES);
        let own = record.provider == self.me;
        if let Some(known) = self.keys.get_mut(key)
            && let Some(old) = known.iter_mut().find(|r| r.provider == record.provider)
        {
            *old = record;
            return Ok(());
        }
        if !own && self.of_peer.get(&record.provider).is_some_and(|count| *count >= self.per_peer) {
            return Err(Error::MaxProvidedKeys);
        }
        let full_key = self.keys.get(key).is_some_and(|known| known.len() >= PER_KEY);
        if !own && (self.count >= self.most || full_key) {
            self.expire(Instant::now());
            let full_key = self.keys.get(record.key.as_ref()).is_some_and(|known| known.len() >= PER_KEY);
            if self.count >= self.most || full_key {
                return Err(Error::MaxProvidedKeys);
            }
        }
        // Our own are bounded by the same number, and do not have to make room for others'.
        if own && self.of_peer.get(&self.me).is_some_and(|count| *count >= self.most) {
            return Err(Error::MaxProvidedKeys);
        }
        *self.of_peer.entry(record.provider).or_insert(0) += 1;
        self.count += 1;
        self.keys.entry(record.key.to_vec()).or_default().push(record);
        Ok(())
    }

    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        self.keys.get(key.as_ref()).cloned().unwrap_or_default()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        let own = self.keys.values().flatten().filter(|record| record.provider == self.me);
        own.map(Cow::Borrowed).collect::<Vec<_>>().into_iter()
    }

    fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
        let Some(known) = self.keys.get_mut(key.as_ref()) else { return };
        let before = known.len();
        known.retain(|record| record.provider != *provider);
        if known.len() < before {
            self.count -= 1;
            one_less(&mut self.of_peer, provider);
        }
        if self.keys.get(key.as_ref()).is_some_and(Vec::is_empty) {
            self.keys.remove(key.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn limits(most: usize, per_peer: usize) -> Limits {
        Limits { provider_records: most, provider_records_per_peer: per_peer, ..Limits::default() }
    }

    fn key(n: u8) -> RecordKey {
        RecordKey::new(&[n; KEY_BYTES])
    }

    fn record(n: u8, provider: PeerId) -> ProviderRecord {
        ProviderRecord::new(key(n), provider, Vec::new())
    }

    #[test]
    fn a_flood_fills_its_own_share_only() {
        let (me, flood, honest) = (PeerId::random(), PeerId::random(), PeerId::random());
        let mut records = Records::new(me, &limits(100, 10));
        let kept = (0..=255).filter(|n| records.add_provider(record(*n, flood)).is_ok()).count();
        assert_eq!((kept, records.len()), (10, 10));
        records.add_provider(record(200, honest)).unwrap();
        // Said again is no more.
        records.add_provider(record(0, flood)).unwrap();
        assert_eq!(records.len(), 11);
        // Many peers together fill the store, and ours still has its place.
        for n in 0..=255 {
            let _ = records.add_provider(record(n, PeerId::random()));
        }
        assert_eq!(records.len(), 100);
        records.add_provider(record(7, me)).unwrap();
        assert_eq!(records.provided().count(), 1);
        assert!(records.add_provider(ProviderRecord::new(vec![1, 2], honest, Vec::new())).is_err());
        assert!(records.put(Record::new(key(1), vec![1])).is_err());
    }

    #[test]
    fn what_is_over_makes_room() {
        let mut records = Records::new(PeerId::random(), &limits(2, 2));
        let now = Instant::now();
        let until = |n, end| ProviderRecord { expires: Some(end), ..record(n, PeerId::random()) };
        records.add_provider(until(1, now)).unwrap();
        records.add_provider(until(2, now + Duration::from_secs(1000))).unwrap();
        records.add_provider(until(3, now + Duration::from_secs(1000))).unwrap();
        assert!(records.providers(&key(1)).is_empty());
        assert!(records.add_provider(until(4, now + Duration::from_secs(1000))).is_err());
    }

    proptest! {
        #[test]
        fn the_counts_are_what_is_there(steps in prop::collection::vec((0u8..6, 0usize..4, any::<bool>()), 0..200)) {
            let peers: Vec<PeerId> = (0..4).map(|_| PeerId::random()).collect();
            let mut records = Records::new(peers[0], &limits(8, 3));
            for (n, peer, add) in steps {
                if add {
                    let _ = records.add_provider(record(n, peers[peer]));
                } else {
                    records.remove_provider(&key(n), &peers[peer]);
                }
                let there: usize = records.keys.values().map(Vec::len).sum();
                prop_assert_eq!(there, records.count);
                prop_assert_eq!(records.of_peer.values().sum::<usize>(), there);
                prop_assert!(records.keys.values().all(|k| !k.is_empty()));
            }
        }
    }
}
