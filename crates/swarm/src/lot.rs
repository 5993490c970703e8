//! Who speaks in a round.
//!
//! In a small swarm everyone does. In a large one those who do are drawn by lot, so that a node hears about as many however many there are; the others
//! answer, listen and learn as always, and neither publish nor are paid that round. Lots follow from the round's seed, which nobody
//! chooses, so that everyone can see who was drawn. Nobody knows how many nodes there are, and nobody has to: from the lots of those who
//! spoke it is seen what share was drawn, and how many they were says of how many.

use serde::{Deserialize, Serialize};

use crate::id::{NodeId, Seed};

/// A node's lot in a round: any number, each as likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lot(u32);

impl Lot {
    pub(crate) fn of(node: &NodeId, round: Seed) -> Lot {
        Lot(round.number("speaks", &[&node.0]) as u32)
    }
}

/// The share of a swarm that speaks in a round: all lots up to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Voices(pub(crate) u32);

impl Voices {
    /// Everyone speaks.
    pub(crate) const ALL: Voices = Voices(u32::MAX);

    pub(crate) fn speaks(self, lot: Lot) -> bool {
        lot.0 <= self.0
    }

    /// Whether one could think so who has heard others than this node has.
    pub(crate) fn might_speak(self, lot: Lot) -> bool {
        lot.0 <= self.0.saturating_mul(2)
    }

    /// The share of the next round, in which about `wanted` are to speak, from the lots of those who did in this one.
    ///
    /// The median lot is half the share that was drawn, whatever a minority says. What chance makes of it is at most halved or doubled.
    pub(crate) fn next(self, mut spoke: Vec<Lot>, wanted: u16) -> Voices {
        spoke.sort_unstable();
        let Some(median) = spoke.get(spoke.len() / 2) else { return Voices(self.0.saturating_mul(2)) };
        let count = spoke.len() as u64;
        let mut drawn = u64::from(median.0).max(1) * 2;
        if self == Voices::ALL && Voices::may_be_all(&spoke, wanted) {
            if count <= u64::from(wanted) {
                return Voices::ALL;
            }
            drawn = u64::from(u32::MAX);
        }
        let next = (drawn * u64::from(wanted) / count).clamp(drawn / 2, 2 * drawn);
        Voices(next.min(u32::MAX.into()) as u32)
    }

    /// Whether these can be all there are. Few of many are drawn hardly ever, and of many the greatest lot is hardly ever small.
    fn may_be_all(sorted: &[Lot], wanted: u16) -> bool {
        sorted.len() < usize::from(wanted / 2) || sorted.last() > Some(&Lot(u32::MAX / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of a swarm, from one in which all speak; gives how many spoke in each.
    fn rounds(nodes: u64, wanted: u16, count: u8) -> Vec<usize> {
        let mut voices = Voices::ALL;
        let round = |number: u8| {
            let lots = (0..nodes).map(|node| Lot::of(&NodeId::of(&node.to_le_bytes()), Seed([number; 32])));
            let spoke: Vec<Lot> = lots.filter(|lot| voices.speaks(*lot)).collect();
            let many = spoke.len();
            voices = voices.next(spoke, wanted);
            many
        };
        (0..count).map(round).collect()
    }

    #[test]
    fn a_small_swarm_speaks_whole() {
        for nodes in [1, 2, 8, 16] {
            assert_eq!(rounds(nodes, 24, 40), vec![nodes as usize; 40], "{nodes}");
        }
    }

    #[test]
    fn of_many_about_as_many_speak_however_many_there_are() {
        for nodes in [100, 1_000, 10_000] {
            let spoke = rounds(nodes, 24, 60);
            let settled = &spoke[20..];
            let mean = settled.iter().sum::<usize>() as f64 / settled.len() as f64;
            assert!((16.0..36.0).contains(&mean), "{nodes}: {mean} {spoke:?}");
            assert!(settled.iter().all(|n| (4..=96).contains(n)), "{nodes}: {spoke:?}");
        }
    }

    #[test]
    fn a_newcomer_and_one_who_heard_nobody_find_back() {
        let voices = Voices(u32::MAX / 100);
        let spoke: Vec<Lot> = (1..=24).map(|i| Lot(u32::MAX / 2_400 * i)).collect();
        for other in [Voices::ALL, Voices(1), voices] {
            let found = other.next(spoke.clone(), 24);
            assert!(found.0 / (voices.0 / 10) >= 8 && found.0 / (voices.0 / 10) <= 12, "{found:?}");
        }
        assert!(voices.next(Vec::new(), 24).0 > voices.0);
    }

    #[test]
    fn a_minority_that_always_speaks_is_found_out_and_moves_little() {
        let voices = Voices(u32::MAX / 100);
        let mut spoke: Vec<Lot> = (1..=24).map(|i| Lot(u32::MAX / 2_400 * i)).collect();
        let bold = Lot(voices.0 * 2);
        assert!(
            voices.might_speak(bold) && !voices.speaks(bold) && !voices.might_speak(Lot(voices.0 * 2 + 1))
        );
        spoke.extend([bold; 8]);
        let moved = voices.next(spoke, 24);
        assert!(moved.0 < voices.0 * 3 / 2 && moved.0 > voices.0 / 2, "{moved:?}");
    }
}
