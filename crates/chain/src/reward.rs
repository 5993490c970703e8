//! Rewards: what scores come to, and how each node takes its share.

use std::collections::BTreeMap;

use alloy::primitives::{U256, keccak256};
use serde::{Deserialize, Serialize};

use crate::bindings::swarms::Swarms;
use crate::{Account, AgentId, Error, Hash, RoundId};

/// One score for each seat of a round, in their order: 0 to 254, or [no opinion](Scores::NO_OPINION).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scores(pub Vec<u8>);

/// A node's share of a round that is final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reward {
    /// Which round.
    pub round: RoundId,
    /// The node's seat in it.
    pub seat: u16,
    /// The result that was posted and stands.
    pub result: Scores,
}

impl Scores {
    /// A score that says nothing.
    pub const NO_OPINION: u8 = 255;
    /// The best score.
    pub const FULL: u8 = 254;

    /// The result of a round: for each seat the median of the others' opinions, the lower one of an even number, and
    /// zero for those who were absent or of whom fewer than half a [quorum](crate::Rules::quorum) have an opinion.
    ///
    /// `given` has what each seat gave; `present` tells who revealed.
    pub fn medians(
        seats: u16,
        quorum: u16,
        given: &BTreeMap<u16, Self>,
        present: impl Fn(u16) -> bool,
    ) -> Self {
        let fewest = usize::from(quorum).div_ceil(2).max(1);
        let median = |seat: u16| {
            let others = given.iter().filter(|(by, _)| **by != seat);
            let mut opinions: Vec<u8> =
                others.filter_map(|(_, scores)| scores.of(seat)).filter(|s| *s != Self::NO_OPINION).collect();
            opinions.sort_unstable();
            if opinions.len() < fewest { 0 } else { opinions[(opinions.len() - 1) / 2] }
        };
        Self((1..=seats).map(|seat| if present(seat) { median(seat) } else { 0 }).collect())
    }

    /// The score of a seat, from 1.
    pub fn of(&self, seat: u16) -> Option<u8> {
        self.0.get(usize::from(seat).checked_sub(1)?).copied()
    }

    /// The root that the contract keeps of a result.
    pub fn root(&self) -> Hash {
        let mut level = self.leaves();
        while level.len() > 1 {
            level = above(&level);
        }
        level.first().copied().unwrap_or_default()
    }

    /// What shows that a seat's score is in a result.
    pub fn proof(&self, seat: u16) -> Vec<Hash> {
        let mut level = self.leaves();
        let Some(mut at) = usize::from(seat).checked_sub(1).filter(|at| *at < level.len()) else {
            return Vec::new();
        };
        let mut proof = Vec::new();
        while level.len() > 1 {
            proof.extend(level.get(at ^ 1));
            level = above(&level);
            at /= 2;
        }
        proof
    }

    /// Each is hashed twice, so that no inner node passes for one.
    fn leaves(&self) -> Vec<Hash> {
        let word = |n: usize| U256::from(n).to_be_bytes::<32>();
        let leaf = |(i, score): (usize, &u8)| {
            let inner = keccak256([word(i + 1), word(usize::from(*score))].concat());
            Hash::of(inner.as_slice())
        };
        self.0.iter().enumerate().map(leaf).collect()
    }
}

/// Neighbours in pairs, the smaller first; one left over goes up as it is.
fn above(level: &[Hash]) -> Vec<Hash> {
    let join = |pair: &[Hash]| match *pair {
        [a, b] => Hash::of(&[a.min(b).0, a.max(b).0].concat()),
        _ => pair[0],
    };
    level.chunks(2).map(join).collect()
}

impl Account {
    /// Claims an agent's shares of any number of final rounds. Its payee is paid; what was claimed before is passed over.
    pub async fn claim(&self, agent: AgentId, rewards: &[Reward]) -> Result<(), Error> {
        let share = |reward: &Reward| {
            Ok(Swarms::Share {
                swarmId: reward.round.swarm.alloy(),
                round: U256::from(reward.round.number),
                score: reward.result.of(reward.seat).ok_or(Error::Foreign { what: "a round's result" })?,
                proof: reward.result.proof(reward.seat).iter().map(|h| h.alloy()).collect(),
            })
        };
        let shares = rewards.iter().map(share).collect::<Result<Vec<_>, Error>>()?;
        self.act_on("Swarms", Swarms::claimCall { agentId: agent.alloy(), shares }).await.map(drop)
    }

    /// Returns to a swarm's pool what nobody earned in a round that is over. Anyone may.
    pub async fn settle(&self, round: RoundId) -> Result<(), Error> {
        let call = Swarms::settleCall { swarmId: round.swarm.alloy(), round: U256::from(round.number) };
        self.act_on("Swarms", call).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_result_is_the_median_of_the_others() {
        let given = BTreeMap::from([
            (1, Scores(vec![254, 10, 255, 9])),
            (2, Scores(vec![100, 254, 255, 9])),
            (3, Scores(vec![200, 30, 254, 9])),
        ]);
        // Seat 1: of 100 and 200 the lower; seat 2: of 10 and 30; nobody has an opinion on 3; 4 is absent.
        let medians = |quorum| Scores::medians(4, quorum, &given, |seat| seat != 4);
        for quorum in [0, 2, 3, 4] {
            assert_eq!(medians(quorum), Scores(vec![100, 10, 0, 0]), "a quorum of {quorum}");
        }
        assert_eq!(medians(5), Scores(vec![0; 4]), "two opinions are not half of five");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        /// As the contract's library for proofs checks them.
        #[test]
        fn every_seat_has_its_proof(scores in proptest::collection::vec(0..=254_u8, 1..100)) {
            let scores = Scores(scores);
            let (root, leaves) = (scores.root(), scores.leaves());
            for seat in 1..=scores.0.len() as u16 {
                let mut hash = leaves[usize::from(seat) - 1];
                for other in scores.proof(seat) {
                    hash = above(&[hash, other])[0];
                }
                prop_assert_eq!(hash, root);
            }
            prop_assert!(scores.proof(0).is_empty() && scores.of(0).is_none());
        }
    }
}
