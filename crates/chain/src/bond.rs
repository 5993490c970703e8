//! Bonds: what agents stand to lose, each placed with the one contract that may slash it.

use serde::{Deserialize, Serialize};

use crate::bindings::bonds::Bonds;
use crate::units::narrow;
use crate::{Account, Address, AgentId, Chain, Credits, Error, Time};

/// What an agent has at stake with a judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bond {
    /// Counts for those who rely on it.
    pub staked: Credits,
    /// Asked back: counts no more, and can still be slashed.
    pub unbonding: Credits,
    /// When what is unbonding may leave.
    pub release_at: Time,
    /// Until when the judge keeps everything here.
    pub held_until: Time,
}

impl Chain {
    /// What an agent has at stake with a judge.
    pub async fn bond(&self, agent: AgentId, judge: Address) -> Result<Bond, Error> {
        let bonds = self.manifest().address("Bonds")?;
        let call = Bonds::bondOfCall { agentId: agent.alloy(), judge: judge.alloy() };
        let bond = self.call(bonds, call).await?;
        Ok(Bond {
            staked: Credits(bond.staked),
            unbonding: Credits(bond.unbonding),
            release_at: Time(bond.releaseAt),
            held_until: Time(bond.heldUntil),
        })
    }

    /// The judge of those who take part in swarms: the swarms' contract itself.
    pub fn swarms(&self) -> Result<Address, Error> {
        self.manifest().address("Swarms")
    }

    /// What slashing has earned somebody, to be collected.
    pub async fn owed(&self, who: Address) -> Result<Credits, Error> {
        let bonds = self.manifest().address("Bonds")?;
        Ok(Credits(narrow(self.call(bonds, Bonds::owedCall { who: who.alloy() }).await?)))
    }
}

impl Account {
    /// Stakes credits for an agent, for a judge to slash.
    pub async fn stake(&self, agent: AgentId, judge: Address, amount: Credits) -> Result<(), Error> {
        self.allow("Bonds", amount).await?;
        let call = Bonds::stakeCall { agentId: agent.alloy(), judge: judge.alloy(), amount: amount.0 };
        self.act_on("Bonds", call).await.map(drop)
    }

    /// Asks a stake back; it can still be slashed until it may leave.
    pub async fn unbond(&self, agent: AgentId, judge: Address, amount: Credits) -> Result<(), Error> {
        let call = Bonds::unbondCall { agentId: agent.alloy(), judge: judge.alloy(), amount: amount.0 };
        self.act_on("Bonds", call).await.map(drop)
    }

    /// Takes out what was asked back and may leave.
    pub async fn withdraw_bond(&self, agent: AgentId, judge: Address) -> Result<(), Error> {
        // Labelled by when it may leave: the next one is another.
        let bond = self.chain().bond(agent, judge).await?;
        let call = Bonds::withdrawCall { agentId: agent.alloy(), judge: judge.alloy() };
        self.labelled(format!("released {}", bond.release_at.0)).act_on("Bonds", call).await.map(drop)
    }

    /// Takes what slashing has earned this account.
    pub async fn collect(&self) -> Result<(), Error> {
        self.act_on("Bonds", Bonds::collectCall {}).await.map(drop)
    }
}
