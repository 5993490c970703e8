//! Swarms and their rounds: open, commit, reveal, score, post, challenge; claiming is in [`crate::reward`].

use std::fmt;

use alloy::primitives::{Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::bindings::swarms::Swarms;
use crate::reward::Scores;
use crate::{Account, Address, AgentId, Chain, Credits, Error, Hash, Time};

/// A swarm's number on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SwarmId(pub u64);

/// A round of a swarm; rounds count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoundId {
    /// Whose round.
    pub swarm: SwarmId,
    /// Which one.
    pub number: u64,
}

/// What a swarm's creator fixes for good. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// When the first round may be opened.
    pub start: Time,
    /// The least time from the opening of a round to that of the next.
    pub period: u32,
    /// How long nodes may commit.
    pub commit_time: u32,
    /// How long they may reveal.
    pub reveal_time: u32,
    /// How long they may score.
    pub score_time: u32,
    /// How long a result may be posted after scoring, and how long a posted one may be challenged.
    pub challenge_time: u32,
    /// How many nodes a round takes: 2 to 256.
    pub seats: u16,
    /// How many nodes make a round worth its whole reward: 2 to `seats`. With fewer, each can earn what it could with this
    /// many, and a score takes the opinions of half as many others at least.
    pub quorum: u16,
    /// What a node must have at stake, with the swarms' contract as the judge.
    pub bond: Credits,
    /// What a round pays at most, as far as the pool goes.
    pub reward: Credits,
    /// A contract that may convict nodes until a round is final, or nobody.
    pub referee: Address,
    /// The hash of what the swarm does.
    pub spec: Hash,
}

/// What the chain knows of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swarm {
    /// Its number.
    pub id: SwarmId,
    /// What its creator fixed. `start` is gone once a round was opened.
    pub rules: Rules,
    /// What there is to earn.
    pub pool: Credits,
    /// How many rounds were opened.
    pub rounds: u64,
    /// When the next may be.
    pub next_at: Time,
}

/// Where a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It was never opened.
    None,
    /// Nodes take seats and commit.
    Commit,
    /// What they committed to comes out.
    Reveal,
    /// They score each other.
    Score,
    /// One of them posts the result.
    Post,
    /// Anyone may show that it is wrong.
    Challenge,
    /// It stands: rewards can be claimed.
    Final,
    /// Its time passed without a result.
    Lapsed,
}

/// What the chain knows of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Which one.
    pub id: RoundId,
    /// Where it is.
    pub phase: Phase,
    /// When it was opened.
    pub opened_at: Time,
    /// When committing, revealing and scoring end.
    pub commit_ends: Time,
    /// The end of revealing.
    pub reveal_ends: Time,
    /// The end of scoring.
    pub score_ends: Time,
    /// When it is final.
    pub final_at: Time,
    /// What it pays at most.
    pub reward: Credits,
    /// How many seats are taken.
    pub committed: u16,
    /// What its rules have as the quorum: [`Scores::medians`] needs it.
    pub quorum: u16,
    /// Who posted the result, if one stands.
    pub poster: Option<AgentId>,
    /// The root of the result.
    pub result: Hash,
}

impl SwarmId {
    pub(crate) fn alloy(self) -> U256 {
        U256::from(self.0)
    }

    /// One of its rounds.
    pub fn round(self, number: u64) -> RoundId {
        RoundId { swarm: self, number }
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {} of swarm {}", self.number, self.swarm.0)
    }
}

/// A number that contracts count from 1.
pub(crate) fn counted(number: U256) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::Foreign { what: "a number" })
}

impl Rules {
    fn alloy(&self) -> Result<Swarms::Rules, Error> {
        let too_large =
            || Error::WouldFail { why: "the bond or the reward is more than all credits".to_owned() };
        Ok(Swarms::Rules {
            start: self.start.0,
            period: self.period,
            commitTime: self.commit_time,
            revealTime: self.reveal_time,
            scoreTime: self.score_time,
            challengeTime: self.challenge_time,
            seats: self.seats,
            quorum: self.quorum,
            bond: self.bond.0.try_into().map_err(|_| too_large())?,
            reward: self.reward.0.try_into().map_err(|_| too_large())?,
            referee: self.referee.alloy(),
            spec: self.spec.alloy(),
        })
    }
}

impl Chain {
    /// What is known of a swarm.
    pub async fn swarm(&self, id: SwarmId) -> Result<Swarm, Error> {
        let s = self.call(self.swarms()?, Swarms::swarmOfCall { swarmId: id.alloy() }).await?;
        Ok(Swarm {
            id,
            rules: Rules {
                start: Time(s.nextAt),
                period: s.period,
                commit_time: s.commitTime,
                reveal_time: s.revealTime,
                score_time: s.scoreTime,
                challenge_time: s.challengeTime,
                seats: s.seats,
                quorum: s.quorum,
                bond: Credits(s.bond.to()),
                reward: Credits(s.reward.to()),
                referee: s.referee.into(),
                spec: s.spec.into(),
            },
            pool: Credits(s.pool),
            rounds: s.rounds.into(),
            next_at: Time(s.nextAt),
        })
    }

    /// What is known of a round.
    pub async fn round(&self, id: RoundId) -> Result<Round, Error> {
        let call = Swarms::roundOfCall { swarmId: id.swarm.alloy(), round: U256::from(id.number) };
        let r = self.call(self.swarms()?, call).await?;
        let phase = [
            Phase::None,
            Phase::Commit,
            Phase::Reveal,
            Phase::Score,
            Phase::Post,
            Phase::Challenge,
            Phase::Final,
            Phase::Lapsed,
        ];
        let poster = AgentId::from_chain(r.poster)?;
        Ok(Round {
            id,
            phase: *phase.get(r.phase as usize).ok_or(Error::Foreign { what: "a round's phase" })?,
            opened_at: Time(r.openedAt),
            commit_ends: Time(r.commitEnds),
            reveal_ends: Time(r.revealEnds),
            score_ends: Time(r.scoreEnds),
            final_at: Time(r.finalAt),
            reward: Credits(r.reward.to()),
            committed: r.committed,
            quorum: r.quorum,
            poster: (poster.0 != 0).then_some(poster),
            result: r.result.into(),
        })
    }

    /// The seat that an agent has in a round, from 1.
    pub async fn seat(&self, id: RoundId, agent: AgentId) -> Result<Option<u16>, Error> {
        let call = Swarms::entryOfCall {
            swarmId: id.swarm.alloy(),
            round: U256::from(id.number),
            agentId: agent.alloy(),
        };
        let entry = self.call(self.swarms()?, call).await?;
        Ok((entry.seat != 0).then_some(entry.seat))
    }
}

impl Account {
    /// Makes a swarm, whose rules nobody can change.
    pub async fn create_swarm(&self, rules: &Rules, uri: &str) -> Result<SwarmId, Error> {
        let call = Swarms::createCall { rules: rules.alloy()?, uri: uri.to_owned() };
        let receipt = self.act_on("Swarms", call).await?;
        let created: Swarms::Created = self.caused("Swarms", &receipt).await?;
        counted(created.swarmId).map(SwarmId)
    }

    /// Adds credits to a swarm's pool. They are the nodes' to earn and do not come back.
    pub async fn top_up(&self, swarm: SwarmId, amount: Credits) -> Result<(), Error> {
        self.allow("Swarms", amount).await?;
        let call = Swarms::topUpCall { swarmId: swarm.alloy(), amount: amount.0 };
        self.act_on("Swarms", call).await.map(drop)
    }

    /// Opens a swarm's next round, once its time has come; if somebody else was quicker, the round is theirs and the same.
    pub async fn open_round(&self, swarm: SwarmId) -> Result<RoundId, Error> {
        let next = swarm.round(self.chain().swarm(swarm).await?.rounds + 1);
        let labelled = self.labelled(format!("{next}"));
        match labelled.act_on("Swarms", Swarms::openCall { swarmId: swarm.alloy() }).await {
            Ok(receipt) => {
                let opened: Swarms::Opened = self.caused("Swarms", &receipt).await?;
                Ok(swarm.round(counted(opened.round)?))
            }
            Err(Error::WouldFail { .. } | Error::Reverted { .. })
                if self.chain().swarm(swarm).await?.rounds >= next.number =>
            {
                Ok(next)
            }
            Err(other) => Err(other),
        }
    }

    /// Takes a seat in a round and commits to the root of what the node made, without showing it.
    pub async fn commit(&self, round: RoundId, agent: AgentId, root: Hash, salt: Hash) -> Result<(), Error> {
        let call = Swarms::commitCall {
            swarmId: round.swarm.alloy(),
            round: U256::from(round.number),
            agentId: agent.alloy(),
            commitment: commitment(round, agent, root, salt).alloy(),
        };
        self.act_on("Swarms", call).await.map(drop)
    }

    /// Shows what the node committed to.
    pub async fn reveal(&self, round: RoundId, agent: AgentId, root: Hash, salt: Hash) -> Result<(), Error> {
        let call = Swarms::revealCall {
            swarmId: round.swarm.alloy(),
            round: U256::from(round.number),
            agentId: agent.alloy(),
            root: root.alloy(),
            salt: salt.alloy(),
        };
        self.act_on("Swarms", call).await.map(drop)
    }

    /// Gives a node's opinion of every seat.
    pub async fn score(&self, round: RoundId, agent: AgentId, scores: &Scores) -> Result<(), Error> {
        let call = Swarms::scoreCall {
            swarmId: round.swarm.alloy(),
            round: U256::from(round.number),
            agentId: agent.alloy(),
            scores: Bytes::copy_from_slice(&scores.0),
        };
        self.act_on("Swarms", call).await.map(drop)
    }

    /// Posts the result of a round: what [`Scores::medians`] gives. A wrong one costs the agent its bond.
    pub async fn post(&self, round: RoundId, agent: AgentId, result: &Scores) -> Result<(), Error> {
        let call = Swarms::postCall {
            swarmId: round.swarm.alloy(),
            round: U256::from(round.number),
            agentId: agent.alloy(),
            scores: Bytes::copy_from_slice(&result.0),
        };
        self.act_on("Swarms", call).await.map(drop)
    }

    /// Shows that a posted score is wrong, by everything that was given, in its order. The poster's bond is then this account's to [collect](Account::collect).
    pub async fn challenge(
        &self,
        round: RoundId,
        seat: u16,
        posted: &Scores,
        given: &[(u16, Scores)],
    ) -> Result<(), Error> {
        let proof = Swarms::Proof {
            swarmId: round.swarm.alloy(),
            round: U256::from(round.number),
            seat: U256::from(seat),
            posted: posted.of(seat).ok_or(Error::Foreign { what: "a posted result" })?,
            proof: posted.proof(seat).iter().map(|h| h.alloy()).collect(),
            scorers: given.iter().map(|(by, _)| U256::from(*by)).collect(),
            given: given.iter().map(|(_, scores)| Bytes::copy_from_slice(&scores.0)).collect(),
        };
        let call = Swarms::challengeCall { p: proof };
        self.act_on("Swarms", call).await.map(drop)
    }
}

/// What a node commits to: the hash of five words.
fn commitment(round: RoundId, agent: AgentId, root: Hash, salt: Hash) -> Hash {
    let number = |n: u64| U256::from(n).to_be_bytes::<32>();
    let words = [number(round.swarm.0), number(round.number), number(agent.0), root.0, salt.0];
    Hash::of(&words.concat())
}
