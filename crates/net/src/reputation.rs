//! What peers did wrong, and when it is enough.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Points at which a peer is put out.
const ENOUGH: f64 = 100.0;
/// How fast points are forgiven.
const FORGIVEN_PER_SECOND: f64 = 0.2;
/// Peers whose points are kept.
const KEPT: usize = 8_192;

/// Something a peer should not have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offence {
    /// It passed on what the application rejected, or what has a wrong signature.
    Invalid,
    /// It sent bytes that do not decode.
    Malformed,
    /// It announced or sent more bytes than allowed.
    TooLarge,
    /// It sends faster than allowed.
    TooFast,
    /// It passed on a message that was old before it came.
    Replay,
    /// It opened more streams, or asked more at once, than allowed.
    TooMany,
    /// It fills the swarm's table with records.
    Records,
    /// It let us wait for what it had begun.
    Slow,
    /// It never said that it belongs to the swarm.
    Silent,
    /// It sent a blob's bytes that are not the blob's.
    WrongBytes,
}

impl Offence {
    /// Hundred are enough.
    fn points(self) -> f64 {
        match self {
            Offence::WrongBytes => 100.0,
            Offence::Malformed | Offence::TooLarge | Offence::Invalid => 34.0,
            Offence::Silent => 25.0,
            Offence::Replay | Offence::TooMany => 10.0,
            Offence::Slow => 5.0,
            Offence::TooFast | Offence::Records => 2.0,
        }
    }

    /// What is said of whoever was put out for it.
    pub fn in_words(self) -> &'static str {
        match self {
            Offence::Invalid => "passed on messages that are wrong",
            Offence::Malformed => "sent bytes that do not decode",
            Offence::TooLarge => "sent more bytes than allowed",
            Offence::TooFast => "sent faster than allowed",
            Offence::Replay => "passed on old messages",
            Offence::TooMany => "opened more streams than allowed",
            Offence::Records => "filled the swarm's table with records",
            Offence::Slow => "let us wait for what it had begun",
            Offence::Silent => "did not say that it belongs to the swarm",
            Offence::WrongBytes => "sent bytes that are not the blob's",
        }
    }
}

/// The points of each peer.
#[derive(Debug, Default)]
pub(crate) struct Reputation(HashMap<libp2p::PeerId, (f64, Option<Instant>)>);

impl Reputation {
    /// Adds an offence; true if that is enough.
    pub(crate) fn add(&mut self, peer: libp2p::PeerId, offence: Offence, now: Instant) -> bool {
        if self.0.len() >= KEPT && !self.0.contains_key(&peer) {
            self.0.retain(|_, (points, at)| left(*points, *at, now) > 1.0);
            if self.0.len() >= KEPT {
                // So many offenders at once: each is put out at its first offence.
                return true;
            }
        }
        let entry = self.0.entry(peer).or_insert((0.0, None));
        let points = left(entry.0, entry.1, now) + offence.points();
        *entry = (points, Some(now));
        if points >= ENOUGH {
            self.0.remove(&peer);
        }
        points >= ENOUGH
    }
}

fn left(points: f64, at: Option<Instant>, now: Instant) -> f64 {
    let passed = at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
    (points - passed.as_secs_f64() * FORGIVEN_PER_SECOND).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offences_add_up_and_are_forgiven() {
        let mut reputation = Reputation::default();
        let (peer, now) = (libp2p::PeerId::random(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut add = |offence, seconds| reputation.add(peer, offence, at(seconds));
        assert!(!add(Offence::Malformed, 0) && !add(Offence::Malformed, 0) && add(Offence::Malformed, 0));
        assert!(!add(Offence::Malformed, 0) && !add(Offence::Malformed, 0));
        assert!(!add(Offence::Malformed, 600), "the first two are forgiven");
        assert!(add(Offence::WrongBytes, 10_000), "one is enough");
    }

    #[test]
    fn a_crowd_of_offenders_takes_no_more_memory() {
        let mut reputation = Reputation::default();
        let now = Instant::now();
        let out = (0..KEPT * 2)
            .filter(|_| reputation.add(libp2p::PeerId::random(), Offence::Malformed, now))
            .count();
        assert_eq!((reputation.0.len(), out), (KEPT, KEPT));
    }
}
