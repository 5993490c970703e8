//! What the chain knows of the swarm and its nodes: read when somebody looks, and no more than once a second.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use chain::{AgentId, Chain, Manifest, Patience, SwarmId};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::state::State;
use crate::error::Result;
use crate::invite::Place;

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(1);
/// Transactions that are shown, and blocks that are read for them at a time.
const LIMIT_SENT: usize = 100;
const LIMIT_BLOCKS: u64 = 40;
/// Nodes whose accounts are looked at.
const LIMIT_ACCOUNTS: usize = 72;

/// What the chain knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Money {
    /// The chain's name; empty if the swarm is on none, or none is known yet.
    pub chain: String,
    /// Its number.
    pub id: u64,
    /// Where it answers.
    pub rpc: String,
    /// Its newest block.
    pub height: u64,
    /// What is the matter with it, and what helps.
    pub trouble: Option<String>,
    /// The swarm's number there.
    pub swarm: u64,
    /// What there is left to earn, in credits.
    pub pool: String,
    /// What a round pays all its nodes together.
    pub reward: String,
    /// What each has to have at stake.
    pub bond: String,
    /// Rounds that were opened.
    pub rounds: u64,
    /// Our contracts.
    pub contracts: Vec<Contract>,
    /// The nodes that tell of themselves here.
    pub accounts: Vec<Account>,
    /// The last that was sent to our contracts, the newest first.
    pub sent: Vec<Sent>,
}

/// A contract of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Contract {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: String,
}

/// A node on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Account {
    /// What the node is called here.
    pub node: String,
    /// Its wallet.
    pub wallet: String,
    /// The chain's own money, which transactions are paid with.
    pub balance: String,
    /// Credits that it can spend.
    pub credits: String,
    /// Its number as an agent, if it is registered.
    pub agent: Option<u64>,
    /// What it has at stake, in credits.
    pub staked: String,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sent {
    /// By which the chain knows it.
    pub hash: String,
    /// Its block.
    pub block: u64,
    /// When that was made, in seconds since 1970.
    pub at: u64,
    /// The wallet that sent it.
    pub from: String,
    /// The contract of ours that it went to.
    pub contract: String,
    /// The function that it called.
    pub function: String,
    /// What it was given.
    pub arguments: String,
}

/// Reads the chain for whoever looks.
#[derive(Debug, Default)]
pub(crate) struct Treasury {
    place: std::sync::Mutex<Option<Place>>,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    place: Option<Place>,
    chain: Option<Chain>,
    money: Money,
    read: Option<Instant>,
    /// The newest first.
    sent: VecDeque<Sent>,
    /// The newest block that was read for them.
    seen: Option<u64>,
}

impl Treasury {
    /// Where the swarm is.
    pub(crate) fn look_at(&self, place: Option<Place>) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// What the chain knows now. If it does not answer, what it knew before, and what is the matter.
    pub(crate) async fn money(&self, accounts: Vec<Account>) -> Money {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut ledger = self.ledger.lock().await;
        if ledger.place != place {
            *ledger = Ledger { place, ..Ledger::default() };
        }
        if ledger.read.is_none_or(|at| at.elapsed() >= FRESH) {
            ledger.money.trouble = ledger.look(accounts).await.err().map(|why| why.to_string());
            ledger.read = Some(Instant::now());
        }
        ledger.money.clone()
    }
}

/// Who the nodes are on the chain, as far as they have told.
pub(crate) fn accounts(state: &State) -> Vec<Account> {
    let of = |node: &super::state::Node| Account {
        node: node.name.clone(),
        wallet: node.wallet.clone(),
        balance: String::new(),
        credits: String::new(),
        agent: node.status.agent.as_ref().map(|(_, agent)| *agent),
        staked: String::new(),
    };
    state.nodes.iter().filter(|node| node.runs).take(LIMIT_ACCOUNTS).map(of).collect()
}

impl Ledger {
    async fn look(&mut self, mut accounts: Vec<Account>) -> Result<()> {
        let Some(place) = self.place.clone() else { return Ok(()) };
        let chain = if let Some(chain) = &self.chain {
            chain.clone()
        } else {
            let manifest = place.contracts.as_deref().map(Manifest::read).transpose()?;
            let patience = Patience::default();
            let chain = Chain::connect_with(&place.rpc, Some(place.chain), manifest, patience).await?;
            self.chain = Some(chain.clone());
            chain
        };
        let (height, _) = chain.head().await?;
        let swarm = chain.swarm(SwarmId(place.swarm)).await?;
        let judge = chain.swarms()?;
        for account in &mut accounts {
            // A node that has not told its wallet has none to look at yet.
            let Ok(wallet) = account.wallet.parse() else { continue };
            account.balance = chain.balance(wallet).await?.to_string();
            account.credits = chain.credits(wallet).await?.to_string();
            if let Some(agent) = account.agent {
                account.staked = chain.bond(AgentId(agent), judge).await?.staked.to_string();
            }
        }
        self.read_sent(&chain, height).await?;
        let contracts = chain.manifest().contracts.iter();
        self.money = Money {
            chain: chain.title().to_owned(),
            id: chain.id(),
            rpc: place.rpc,
            height,
            trouble: None,
            swarm: place.swarm,
            pool: swarm.pool.to_string(),
            reward: swarm.rules.reward.to_string(),
            bond: swarm.rules.bond.to_string(),
            rounds: swarm.rounds,
            contracts: contracts
                .map(|(name, address)| Contract { name: name.clone(), address: address.to_string() })
                .collect(),
            accounts,
            sent: self.sent.iter().cloned().collect(),
        };
        Ok(())
    }

    /// Reads the blocks that came since the last time, of a long absence only the newest.
    async fn read_sent(&mut self, chain: &Chain, height: u64) -> Result<()> {
        let oldest = (height + 1).saturating_sub(LIMIT_BLOCKS);
        let from = self.seen.map_or(oldest, |seen| (seen + 1).max(oldest));
        for block in from..=height {
            for sent in chain.sent(block).await? {
                let Some(call) = sent.call else { continue };
                self.sent.push_front(Sent {
                    hash: sent.hash.to_string(),
                    block,
                    at: sent.at.0,
                    from: sent.from.to_string(),
                    contract: call.contract.to_owned(),
                    function: call.function,
                    arguments: call.arguments,
                });
            }
            self.sent.truncate(LIMIT_SENT);
            self.seen = Some(block);
        }
        Ok(())
    }
}
