//! Claims that work was done as agreed, and disputes over them.
//!
//! What a move means is not known here: moves are bytes, which the contract judges and the chain keeps for all to read.

use alloy::primitives::{Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::bindings::disputes::Disputes;
use crate::round::counted;
use crate::{Account, Address, AgentId, Chain, Credits, Error, Hash, Time};

/// A claim's number on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClaimId(pub u64);

/// A dispute's number on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DisputeId(pub u64);

/// What is claimed: the work and its result, by their hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkClaim {
    /// Whom the work is for.
    pub job: Hash,
    /// The root over the steps that were to be made.
    pub schedule: Hash,
    /// The states before the first.
    pub start: Hash,
    /// How many steps.
    pub steps: u64,
    /// The root over the states after each.
    pub run: Hash,
}

/// What a claim stakes, and how long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// What the claimant loses if it is wrong.
    pub bond: Credits,
    /// What a challenger loses if it is.
    pub challenge_bond: Credits,
    /// How long the claim can be contested.
    pub window_s: u32,
    /// How long each side may think, all its moves together.
    pub time_s: u32,
}

/// How far a claim has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimStatus {
    /// It can be contested, or is.
    Open,
    /// A dispute has shown that it is wrong.
    Convicted,
    /// Nobody has shown that, and nobody can any more.
    Stands,
}

/// How a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contest {
    /// Over which claim.
    pub claim: ClaimId,
    /// Who contests it.
    pub challenger: AgentId,
    /// Whether the claimant has to move.
    pub defenders: bool,
    /// Until when.
    pub deadline: Time,
    /// Whether it is decided.
    pub over: bool,
    /// Whether the claim was found wrong in it.
    pub convicted: bool,
}

impl Chain {
    /// The judge of claims: the disputes' contract itself.
    pub fn disputes(&self) -> Result<Address, Error> {
        self.manifest().address("Disputes")
    }

    /// How a dispute stands.
    pub async fn contest(&self, id: DisputeId) -> Result<Contest, Error> {
        let call = Disputes::disputeOfCall { disputeId: U256::from(id.0) };
        let view = self.call(self.disputes()?, call).await?;
        Ok(Contest {
            claim: ClaimId(counted(view.claimId)?),
            challenger: AgentId(counted(view.challenger)?),
            defenders: view.defenders,
            deadline: Time(view.deadline),
            over: view.over,
            convicted: view.convicted,
        })
    }

    /// How far a claim has come.
    pub async fn claim_status(&self, id: ClaimId) -> Result<ClaimStatus, Error> {
        let call = Disputes::claimOfCall { claimId: U256::from(id.0) };
        match self.call(self.disputes()?, call).await?.status {
            1 => Ok(ClaimStatus::Open),
            2 => Ok(ClaimStatus::Convicted),
            3 => Ok(ClaimStatus::Stands),
            _ => Err(Error::Foreign { what: "a claim" }),
        }
    }
}

impl Account {
    /// Claims the result of work for an agent, which has the bond at stake with the [judge](Chain::disputes).
    pub async fn claim_work(
        &self,
        agent: AgentId,
        claim: &WorkClaim,
        conditions: &Conditions,
    ) -> Result<ClaimId, Error> {
        let call = Disputes::claimCall {
            agentId: agent.alloy(),
            terms: Disputes::Terms {
                job: claim.job.alloy(),
                schedule: claim.schedule.alloy(),
                start: claim.start.alloy(),
                steps: claim.steps,
            },
            run: claim.run.alloy(),
            conditions: Disputes::Conditions {
                bond: conditions.bond.0,
                challengeBond: conditions.challenge_bond.0,
                window: conditions.window_s,
                time: conditions.time_s,
            },
            request: Hash::default().alloy(),
        };
        let receipt = self.act_on("Disputes", call).await?;
        let claimed: Disputes::Claimed = self.caused("Disputes", &receipt).await?;
        counted(claimed.claimId).map(ClaimId)
    }

    /// Contests a claim for an agent, which has the challenge's bond at stake with the judge.
    pub async fn contest(&self, claim: ClaimId, agent: AgentId) -> Result<DisputeId, Error> {
        let call = Disputes::contestCall { claimId: U256::from(claim.0), challenger: agent.alloy() };
        let receipt = self.act_on("Disputes", call).await?;
        let contested: Disputes::Contested = self.caused("Disputes", &receipt).await?;
        counted(contested.disputeId).map(DisputeId)
    }

    /// Makes moves in a dispute. `number` tells them from moves before them that are the same bytes.
    pub async fn play(&self, dispute: DisputeId, number: u32, moves: &[Vec<u8>]) -> Result<(), Error> {
        let moves = moves.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect();
        let call = Disputes::playCall { disputeId: U256::from(dispute.0), moves };
        self.labelled(format!("move {number}")).act_on("Disputes", call).await.map(drop)
    }

    /// Ends a dispute in which the side that has to move has let its time pass.
    pub async fn expire(&self, dispute: DisputeId) -> Result<(), Error> {
        let call = Disputes::expireCall { disputeId: U256::from(dispute.0) };
        self.act_on("Disputes", call).await.map(drop)
    }

    /// Says that a claim stood.
    pub async fn finish_claim(&self, claim: ClaimId) -> Result<(), Error> {
        let call = Disputes::finishCall { claimId: U256::from(claim.0) };
        self.act_on("Disputes", call).await.map(drop)
    }
}
