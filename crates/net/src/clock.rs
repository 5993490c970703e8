//! Is this machine's clock right? Others' messages tell.

use crate::id::PeerId;
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// Peers whose clocks are kept in mind: the last ones heard.
const PEERS: usize = 32;
/// Fewer cannot outvote us.
const ENOUGH: usize = 3;
/// A difference that breaks nothing yet, and is worth saying.
const WORTH_SAYING_MS: i64 = 10_000;

/// How the clocks of neighbours differ from ours, by what they wrote themselves.
#[derive(Debug, Default)]
pub(crate) struct Clocks(VecDeque<(PeerId, i64)>);

impl Clocks {
    /// A peer wrote at `sent`, by its clock, what we got at `now`, by ours.
    pub(crate) fn heard(&mut self, peer: PeerId, sent: SystemTime, now: SystemTime) {
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let ahead = match sent.duration_since(now) {
            Ok(ahead) => ms(ahead),
            Err(behind) => -ms(behind.duration()),
        };
        self.0.retain(|(known, _)| *known != peer);
        if self.0.len() >= PEERS {
            self.0.pop_front();
        }
        self.0.push_back((peer, ahead));
    }

    /// What is wrong with our clock, if most others agree that something is.
    pub(crate) fn complaint(&self) -> Option<String> {
        if self.0.len() < ENOUGH {
            return None;
        }
        let mut all: Vec<i64> = self.0.iter().map(|(_, ahead)| *ahead).collect();
        all.sort_unstable();
        let median = all[all.len() / 2];
        let seconds = median.unsigned_abs() / 1000;
        let side = if median > 0 { "behind" } else { "ahead of" };
        (median.saturating_abs() > WORTH_SAYING_MS).then(|| {
            format!(
                "this machine's clock is {seconds} s {side} its peers', so they take its messages for old or early: \
                 switch on time synchronisation (`timedatectl set-ntp true` on Linux)"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(offsets: &[i64]) -> Option<String> {
        let mut clocks = Clocks::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (i, offset) in offsets.iter().enumerate() {
            let peer = PeerId::from_secret(&[i as u8 + 1; 32]).unwrap();
            clocks.heard(peer, now.checked_add(Duration::from_secs(1_000)).unwrap(), now);
            let shift = Duration::from_secs(offset.unsigned_abs());
            clocks.heard(peer, if *offset > 0 { now + shift } else { now - shift }, now);
        }
        clocks.complaint()
    }

    #[test]
    fn most_clocks_decide() {
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[100, 100]), None, "two cannot outvote us");
        assert_eq!(said(&[0, 1, 100]), None);
        assert!(said(&[100, 90, 0]).unwrap().contains("90 s behind"));
        assert!(said(&[-100, -90, 0, -95]).unwrap().contains("ahead of"));
    }
}
