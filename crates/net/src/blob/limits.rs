//! How much a node gives, to one peer and to all together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::file::BATCH;
use super::tree::GROUP;
use crate::PeerId;
use crate::memory::{Pool, Share};

/// What a node gives at most.
#[derive(Clone, Copy, Debug)]
pub struct Uploads {
    /// Streams that are served at once.
    pub streams: usize,
    /// Of these, streams of one peer.
    pub streams_per_peer: usize,
    /// Bytes per second to all peers together.
    pub bytes_per_second: Option<u64>,
    /// Bytes per second to one peer.
    pub bytes_per_second_per_peer: Option<u64>,
    /// The TCP port of direct connections for bulk, 0 for any. Without one, blobs go over ordinary streams only, both ways.
    pub lane_port: Option<u16>,
}

/// As many bytes as the line carries, over no more streams than a laptop bears.
impl Default for Uploads {
    fn default() -> Uploads {
        Uploads {
            streams: 128,
            streams_per_peer: 16,
            bytes_per_second: None,
            bytes_per_second_per_peer: None,
            lane_port: Some(0),
        }
    }
}

/// Peers whose rate is remembered after their last stream has ended.
const REMEMBERED: usize = 1024;

/// What a stream that is served may hold: a batch that is sent, one that is read meanwhile, and what a lane holds.
const HELD: usize = 3 * (BATCH * GROUP) as usize;

/// Counts what is given.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: Uploads,
    pool: Pool,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    streams: usize,
    /// What all together are given per second: the owner may change it at any time.
    rate: Option<u64>,
    total: Bucket,
    peers: HashMap<PeerId, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    streams: usize,
    bucket: Bucket,
}

/// When what was taken so far will have been paid for.
#[derive(Debug, Default)]
struct Bucket(Option<Instant>);

impl Bucket {
    /// Takes bytes at a rate, and says when they may go.
    fn take(&mut self, bytes: u64, rate: Option<u64>, now: Instant) -> Instant {
        let Some(rate) = rate else { return now };
        let at = self.0.map_or(now, |at| at.max(now));
        self.0 = Some(at + Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64));
        at
    }

    fn is_paid(&self, now: Instant) -> bool {
        self.0.is_none_or(|at| at <= now)
    }
}

/// One of the streams that may be served, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    peer: PeerId,
    _memory: Share,
}

impl Gate {
    pub(crate) fn new(limits: Uploads, pool: Pool) -> Arc<Gate> {
        let counts = Counts { rate: limits.bytes_per_second, ..Counts::default() };
        Arc::new(Gate { limits, pool, counts: Mutex::new(counts) })
    }

    /// Gives all peers together so many bytes per second from now on.
    pub(crate) fn set_rate(&self, rate: Option<u64>) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).rate = rate;
    }

    /// Lets a stream in, if there is room for it.
    pub(crate) fn enter(self: &Arc<Gate>, peer: PeerId) -> Option<Pass> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if counts.peers.len() >= REMEMBERED {
            counts.peers.retain(|_, peer| peer.streams > 0 || !peer.bucket.is_paid(now));
        }
        let known = counts.peers.get(&peer).map_or(0, |peer| peer.streams);
        let full = counts.peers.len() >= REMEMBERED + self.limits.streams;
        if counts.streams >= self.limits.streams || known >= self.limits.streams_per_peer || full {
            return None;
        }
        let share = self.pool.take(HELD)?;
        counts.streams += 1;
        counts.peers.entry(peer).or_default().streams += 1;
        Some(Pass { gate: self.clone(), peer, _memory: share })
    }
}

impl Pass {
    /// Waits until so many bytes may go.
    pub(crate) async fn pay(&self, bytes: u64) {
        let (now, limits) = (Instant::now(), &self.gate.limits);
        let at = {
            let mut counts = self.gate.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let all_rate = counts.rate;
            let all = counts.total.take(bytes, all_rate, now);
            let rate = limits.bytes_per_second_per_peer;
            let own = counts.peers.get_mut(&self.peer).map_or(now, |peer| peer.bucket.take(bytes, rate, now));
            all.max(own)
        };
        if at > now {
            tokio::time::sleep_until(at).await;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.streams -= 1;
        if let Some(peer) = counts.peers.get_mut(&self.peer) {
            peer.streams -= 1;
            if peer.streams == 0 && peer.bucket.is_paid(Instant::now()) {
                counts.peers.remove(&self.peer);
            }
        }
    }
}

/// How much may come in, of all that is fetched together.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// Bytes per second; 0 for as many as come.
    rate: AtomicU64,
    bucket: Mutex<Bucket>,
}

impl Intake {
    pub(crate) fn set_rate(&self, rate: Option<u64>) {
        self.rate.store(rate.map_or(0, |rate| rate.max(1)), Ordering::Relaxed);
    }

    fn rate(&self) -> Option<u64> {
        Some(self.rate.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// The most groups to read at once: no more than come in a second, so that whoever sends them does not take us for dead.
    pub(crate) fn groups(&self) -> u64 {
        self.rate().map_or(BATCH, |rate| (rate / GROUP).clamp(1, BATCH))
    }

    /// Waits until bytes that have come are paid for.
    pub(crate) async fn pay(&self, bytes: u64) {
        let Some(rate) = self.rate() else { return };
        let until = {
            let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            bucket.take(bytes, Some(rate), now);
            bucket.take(0, Some(rate), now)
        };
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> PeerId {
        PeerId::from_secret(&[n; 32]).unwrap()
    }

    #[test]
    fn streams_are_counted() {
        let limits = Uploads { streams: 3, streams_per_peer: 2, ..Uploads::default() };
        let gate = Gate::new(limits, Pool::default());
        let first = gate.enter(peer(1)).unwrap();
        let _second = gate.enter(peer(1)).unwrap();
        assert!(gate.enter(peer(1)).is_none(), "two for one peer");
        let _third = gate.enter(peer(2)).unwrap();
        assert!(gate.enter(peer(3)).is_none(), "three in all");
        drop(first);
        assert!(gate.enter(peer(3)).is_some());
        assert_eq!(gate.counts.lock().unwrap().peers.len(), 2, "who left without debt is forgotten");
    }

    #[test]
    fn streams_fit_into_the_nodes_memory() {
        let gate = Gate::new(Uploads::default(), Pool::new(HELD as u64 * 2));
        let both = (gate.enter(peer(1)).unwrap(), gate.enter(peer(2)).unwrap());
        assert!(gate.enter(peer(3)).is_none());
        drop(both);
        assert!(gate.enter(peer(3)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_paid_for_even_over_new_streams() {
        let limits = Uploads { bytes_per_second_per_peer: Some(1000), ..Uploads::default() };
        let gate = Gate::new(limits, Pool::default());
        let start = Instant::now();
        for _ in 0..11 {
            gate.enter(peer(1)).unwrap().pay(500).await;
        }
        assert_eq!(start.elapsed().as_secs(), 5);
        gate.enter(peer(2)).unwrap().pay(500).await;
        assert_eq!(start.elapsed().as_secs(), 5, "another peer does not wait for the first");
    }

    #[tokio::test(start_paused = true)]
    async fn all_peers_share_the_total() {
        let limits = Uploads { bytes_per_second: Some(1000), ..Uploads::default() };
        let gate = Gate::new(limits, Pool::default());
        let start = Instant::now();
        for n in 1..=11 {
            gate.enter(peer(n)).unwrap().pay(1000).await;
        }
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn the_owner_may_change_a_rate_at_any_time() {
        let gate = Gate::new(Uploads::default(), Pool::default());
        let start = Instant::now();
        gate.enter(peer(1)).unwrap().pay(1 << 30).await;
        assert_eq!(start.elapsed().as_secs(), 0, "as fast as the line");
        gate.set_rate(Some(1000));
        for _ in 0..3 {
            gate.enter(peer(1)).unwrap().pay(1000).await;
        }
        assert_eq!(start.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_is_paid_for_by_all_who_fetch() {
        let intake = Intake::default();
        let start = Instant::now();
        intake.pay(1 << 40).await;
        assert_eq!((start.elapsed().as_secs(), intake.groups()), (0, BATCH));
        intake.set_rate(Some(GROUP));
        assert_eq!(intake.groups(), 1);
        tokio::join!(intake.pay(2 * GROUP), intake.pay(3 * GROUP));
        assert_eq!(start.elapsed().as_secs(), 5);
        intake.set_rate(None);
        intake.pay(1 << 40).await;
        assert_eq!(start.elapsed().as_secs(), 5);
    }
}
