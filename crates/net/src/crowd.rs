//! Whom to let go when there are many more peers than wanted.
//!
//! A walk through the swarm's table meets dozens of peers, and each connection costs memory at both ends. Those that nobody has a use
//! for are let go, beginning with the newest that chose us: whoever wants to surround a node by calling it again and again drives
//! out nobody that was there before.

use libp2p::PeerId;
use std::cmp::Reverse;
use std::time::{Duration, Instant};

/// More than so many times the wanted peers are a crowd, also for who wants few.
const CROWD: usize = 3;
const FEW: usize = 16;
/// Whoever came only just now may be about to be of use.
const SETTLED: Duration = Duration::from_secs(10);

/// A connected peer, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest {
    pub(crate) peer: PeerId,
    /// We called it.
    pub(crate) chosen: bool,
    pub(crate) since: Instant,
    /// It has streams open, passes messages on to us, or one of us relays for the other.
    pub(crate) used: bool,
}

/// The most peers that are no crowd yet.
pub(crate) fn most(wanted: usize) -> usize {
    wanted.max(FEW).saturating_mul(CROWD)
}

/// Those to let go, so that no more than `most` are left.
pub(crate) fn let_go(guests: impl Iterator<Item = Guest>, most: usize, now: Instant) -> Vec<PeerId> {
    let (mut idle, mut count) = (Vec::new(), 0);
    for guest in guests {
        count += 1;
        if !guest.used && now.saturating_duration_since(guest.since) >= SETTLED {
            idle.push(guest);
        }
    }
    let excess = usize::saturating_sub(count, most);
    idle.sort_unstable_by_key(|guest| (guest.chosen, Reverse(guest.since)));
    idle.into_iter().take(excess).map(|guest| guest.peer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_nobody_uses_go_first_and_no_more_than_needed() {
        let start = Instant::now();
        let now = start + Duration::from_mins(5);
        let guest = |seconds, chosen, used| {
            let since = start + Duration::from_secs(seconds);
            Guest { peer: PeerId::random(), chosen, since, used }
        };
        let (old, new, used) = (guest(1, false, false), guest(200, false, false), guest(100, false, true));
        let (chosen, newer) = (guest(150, true, false), guest(299, false, false));
        let gone = |most, guests: &[Guest]| let_go(guests.iter().copied(), most, now);
        let five = [old, new, used, chosen, newer];
        assert!(gone(5, &five).is_empty());
        assert_eq!(gone(3, &five), [new.peer, old.peer], "not who is used or came just now");
        let chosen_ones = [chosen, guest(2, true, false), used, guest(3, true, true)];
        assert_eq!(gone(3, &chosen_ones), [chosen.peer], "of those we called, the newest");
        assert_eq!(gone(3, &[used; 5]), []);
        assert_eq!((most(0), most(16), most(20)), (48, 48, 60));
    }
}
