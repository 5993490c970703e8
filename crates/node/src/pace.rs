//! When another round may be opened: as soon as all who spoke in the last one are ready, and without them once they have had their time. Where
//! those who speak are drawn by lot, others do each time, and about as many are waited for.
//!
//! Nothing depends on it but the pace. Who says to be ready and is not falls behind alone; who never says so costs the others no more than a period.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use net::{Message, PeerId};

/// Peers that are waited for; more are not, they go along.
const LIMIT_PEERS: usize = 256;
/// Rounds whose readiness is known: this one and the last.
const LIMIT_ROUNDS: usize = 2;

/// Who is ready for which round's end.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The longest that one is waited for.
    period: Duration,
    ready: BTreeMap<u64, BTreeSet<PeerId>>,
    /// Whether those who speak are drawn by lot.
    by_lot: bool,
    /// When the newest round was opened.
    opened: Instant,
    /// Since when this node is ready.
    since: Option<Instant>,
    /// When it was last said that it is time.
    said: Option<Instant>,
}

/// The least time from saying so to saying it again, should nobody have heard.
const AGAIN: Duration = Duration::from_secs(2);

impl Pace {
    pub(crate) fn new(period: Duration) -> Pace {
        Pace {
            period,
            ready: BTreeMap::new(),
            by_lot: false,
            opened: Instant::now(),
            since: None,
            said: None,
        }
    }

    /// Whether those who speak are drawn by lot.
    pub(crate) fn draws(&mut self, by_lot: bool) {
        self.by_lot = by_lot;
    }

    /// A round was opened.
    pub(crate) fn opened(&mut self) {
        (self.opened, self.since, self.said) = (Instant::now(), None, None);
    }

    /// This node has done all it has to do in a round; `spoke` is who it is, if it was its turn to speak.
    pub(crate) fn ready(&mut self, spoke: Option<PeerId>, round: u64) {
        self.since = Some(Instant::now());
        if let Some(me) = spoke {
            self.note(me, round);
        }
    }

    /// Another says so.
    pub(crate) fn heard(&mut self, message: &mut Message, newest: u64) {
        let Ok(round) = <[u8; 8]>::try_from(message.data.as_slice()).map(u64::from_le_bytes) else {
            message.reject();
            return;
        };
        // One that is a little ahead or behind is no liar.
        if round.abs_diff(newest) <= 2 {
            message.accept();
            self.note(message.author, round);
        } else {
            message.ignore();
        }
    }

    fn note(&mut self, who: PeerId, round: u64) {
        let known = self.ready.entry(round).or_default();
        if known.len() < LIMIT_PEERS {
            known.insert(who);
        }
        while self.ready.len() > LIMIT_ROUNDS {
            self.ready.pop_first();
        }
    }

    /// Whether the round after the newest may be opened; it says so once, and again after a while.
    pub(crate) fn is_time(&mut self, newest: u64) -> bool {
        let due = self.said.is_none_or(|said| said.elapsed() > AGAIN) && self.may_open(newest);
        if due {
            self.said = Some(Instant::now());
        }
        due
    }

    fn may_open(&self, newest: u64) -> bool {
        if let Some(since) = self.since {
            let none = BTreeSet::new();
            let before = newest.checked_sub(1).and_then(|round| self.ready.get(&round)).unwrap_or(&none);
            let now = self.ready.get(&newest).unwrap_or(&none);
            let all = if self.by_lot { now.len() * 4 >= before.len() * 3 } else { before.is_subset(now) };
            return all || since.elapsed() > self.period;
        }
        // A round that this node came too late for; or none at all, and nobody to wait for.
        self.opened.elapsed() > if newest == 0 { self.period / 5 } else { 2 * self.period }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> PeerId {
        PeerId::from_secret(&[number; 32]).unwrap()
    }

    #[test]
    fn all_who_were_there_are_waited_for_and_no_longer_than_a_period() {
        let mut pace = Pace::new(Duration::from_hours(1));
        assert!(!pace.may_open(1), "it has just begun");
        pace.note(peer(2), 1);
        pace.opened();
        pace.ready(Some(peer(1)), 2);
        assert!(!pace.may_open(2), "the other was there and is not ready");
        pace.note(peer(2), 2);
        assert!(pace.is_time(2) && !pace.is_time(2), "once is enough");
        let mut hasty = Pace::new(Duration::ZERO);
        hasty.note(peer(2), 1);
        hasty.ready(Some(peer(1)), 2);
        assert!(hasty.may_open(2), "it has had its time");
    }

    #[test]
    fn where_lots_are_drawn_others_are_as_good() {
        let mut pace = Pace::new(Duration::from_hours(1));
        pace.draws(true);
        (0..4).for_each(|number| pace.note(peer(10 + number), 1));
        pace.opened();
        pace.ready(None, 2);
        (0..2).for_each(|number| pace.note(peer(20 + number), 2));
        assert!(!pace.may_open(2), "two of about four are ready");
        pace.note(peer(30), 2);
        assert!(pace.may_open(2));
        pace.draws(false);
        assert!(!pace.may_open(2), "where all speak, the same are waited for");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut pace = Pace::new(Duration::from_secs(1));
        for round in 0..100 {
            pace.note(peer(1), round);
        }
        assert_eq!(pace.ready.len(), LIMIT_ROUNDS);
    }
}
