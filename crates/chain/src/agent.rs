//! Agents: who is who. A node, a service or an AI is an agent, and a node's agent has its peer key.

use std::fmt;

use alloy::primitives::{Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::bindings::agents::Agents;
use crate::bindings::reputation::Reputation;
use crate::bindings::validation::Validation;
use crate::units::narrow;
use crate::{Account, Address, Chain, Error, Hash, PeerKey};

/// An agent's number on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AgentId(pub u64);

/// A peer's public key, compressed, as peers send it to each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub [u8; 33]);

/// What the chain knows of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its number.
    pub id: AgentId,
    /// Who owns it, and acts for it.
    pub owner: Address,
    /// Where it is paid.
    pub payee: Address,
    /// The key it speaks with among peers, if it is a node.
    pub peer: Option<Peer>,
    /// Where its registration file is; what is there is its own word.
    pub uri: String,
}

/// A word about an agent: a number with decimals, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The number, counted in its last decimal.
    pub value: i128,
    /// How many decimals it has, at most 18.
    pub decimals: u8,
    /// What it is about.
    pub tags: [String; 2],
    /// Where more is said, or nothing.
    pub uri: String,
    /// The hash of what is said there.
    pub hash: Hash,
}

/// What a validator said of a piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who was asked.
    pub validator: Address,
    /// Whose work it is.
    pub agent: AgentId,
    /// From 0, wrong, to 100, right; zero also before there is an answer, which then has no tag.
    pub response: u8,
    /// What kind of check it was.
    pub tag: String,
}

impl AgentId {
    pub(crate) fn alloy(self) -> U256 {
        U256::from(self.0)
    }

    pub(crate) fn from_chain(id: U256) -> Result<Self, Error> {
        u64::try_from(id).map(Self).map_err(|_| Error::Foreign { what: "an agent's number" })
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent {}", self.0)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&alloy::hex::encode(self.0))
    }
}

impl Peer {
    pub(crate) fn from_chain(bytes: &Bytes) -> Result<Option<Self>, Error> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let key = bytes.as_ref().try_into().map_err(|_| Error::Foreign { what: "a peer's key" })?;
        Ok(Some(Self(key)))
    }
}

impl Chain {
    /// What is known of an agent, if there is one of that number.
    pub async fn agent(&self, id: AgentId) -> Result<Option<Agent>, Error> {
        let agents = self.manifest().address("Agents")?;
        let owner = match self.call(agents, Agents::ownerOfCall { tokenId: id.alloy() }).await {
            Ok(owner) => owner,
            Err(Error::WouldFail { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        let payee = self.call(agents, Agents::payeeCall { agentId: id.alloy() }).await?;
        let peer = self.call(agents, Agents::peerOfCall { agentId: id.alloy() }).await?;
        let uri = self.call(agents, Agents::tokenURICall { tokenId: id.alloy() }).await?;
        Ok(Some(Agent { id, owner: owner.into(), payee: payee.into(), peer: Peer::from_chain(&peer)?, uri }))
    }

    /// The agent that speaks with a key.
    pub async fn agent_of(&self, peer: Peer) -> Result<Option<AgentId>, Error> {
        let agents = self.manifest().address("Agents")?;
        let call = Agents::agentOfPeerCall { publicKey: Bytes::copy_from_slice(&peer.0) };
        let id = AgentId::from_chain(self.call(agents, call).await?)?;
        Ok((id.0 != 0).then_some(id))
    }

    /// What a validator said in answer to a request.
    pub async fn verdict(&self, request: Hash) -> Result<Verdict, Error> {
        let validation = self.manifest().address("Validation")?;
        let call = Validation::getValidationStatusCall { requestHash: request.alloy() };
        let status = self.call(validation, call).await?;
        Ok(Verdict {
            validator: status.validatorAddress.into(),
            agent: AgentId::from_chain(status.agentId)?,
            response: status.response,
            tag: status.tag,
        })
    }

    /// How many credits a client has paid an agent for completed jobs.
    pub async fn paid(&self, client: Address, agent: AgentId) -> Result<crate::Credits, Error> {
        let jobs = self.manifest().address("Jobs")?;
        let call = crate::bindings::jobs::Jobs::paidCall { client: client.alloy(), agentId: agent.alloy() };
        Ok(crate::Credits(narrow(self.call(jobs, call).await?)))
    }
}

impl Account {
    /// Registers this node: an agent of this wallet that speaks with the peer key. Doing it again is harmless.
    pub async fn register(&self, peer: &PeerKey, uri: &str) -> Result<AgentId, Error> {
        if let Some(id) = self.own(peer).await? {
            return Ok(id);
        }
        let [x, y] = halves(peer);
        let call =
            Agents::registerNodeCall { x, y, signature: self.consent(peer).await?, agentURI: uri.to_owned() };
        self.act_on("Agents", call).await?;
        self.own(peer).await?.ok_or(Error::Foreign { what: "the registry of agents" })
    }

    /// Gives an agent of this wallet a new peer key; the old one is retired for good. Doing it again is harmless.
    pub async fn rotate(&self, agent: AgentId, peer: &PeerKey) -> Result<(), Error> {
        if self.own(peer).await? == Some(agent) {
            return Ok(());
        }
        let [x, y] = halves(peer);
        let call = Agents::setPeerCall { agentId: agent.alloy(), x, y, signature: self.consent(peer).await? };
        self.act_on("Agents", call).await.map(drop)
    }

    /// Says where an agent's registration file is.
    pub async fn describe(&self, agent: AgentId, uri: &str) -> Result<(), Error> {
        let call = Agents::setAgentURICall { agentId: agent.alloy(), newURI: uri.to_owned() };
        self.act_on("Agents", call).await.map(drop)
    }

    /// Says what one thinks of an agent. Whether it counts depends on whether one has paid it.
    pub async fn give_feedback(&self, agent: AgentId, feedback: &Feedback) -> Result<(), Error> {
        let call = Reputation::giveFeedbackCall {
            agentId: agent.alloy(),
            value: feedback.value,
            valueDecimals: feedback.decimals,
            tag1: feedback.tags[0].clone(),
            tag2: feedback.tags[1].clone(),
            endpoint: String::new(),
            feedbackURI: feedback.uri.clone(),
            feedbackHash: feedback.hash.alloy(),
        };
        self.act_on("Reputation", call).await.map(drop)
    }

    /// Asks a validator to check a piece of an agent's work, which the request's hash names.
    pub async fn ask_validation(
        &self,
        agent: AgentId,
        validator: Address,
        uri: &str,
        request: Hash,
    ) -> Result<(), Error> {
        let call = Validation::validationRequestCall {
            validatorAddress: validator.alloy(),
            agentId: agent.alloy(),
            requestURI: uri.to_owned(),
            requestHash: request.alloy(),
        };
        self.act_on("Validation", call).await.map(drop)
    }

    /// Answers a request that this account was asked: from 0, wrong, to 100, right.
    pub async fn validate(&self, request: Hash, response: u8, tag: &str) -> Result<(), Error> {
        let call = Validation::validationResponseCall {
            requestHash: request.alloy(),
            response,
            responseURI: String::new(),
            responseHash: Hash::ZERO.alloy(),
            tag: tag.to_owned(),
        };
        self.act_on("Validation", call).await.map(drop)
    }

    /// The agent of this wallet that speaks with a key.
    async fn own(&self, peer: &PeerKey) -> Result<Option<AgentId>, Error> {
        let Some(id) = self.chain().agent_of(Peer(peer.public())).await? else { return Ok(None) };
        let agent = self.chain().agent(id).await?;
        Ok(agent.filter(|a| a.owner == self.address()).map(|a| a.id))
    }

    /// The peer key's signature that it speaks for an agent of this wallet, which the contract checks.
    async fn consent(&self, peer: &PeerKey) -> Result<Bytes, Error> {
        let agents = self.chain().manifest().address("Agents")?;
        let digest =
            self.chain().call(agents, Agents::peerDigestCall { owner: self.address().alloy() }).await?;
        Ok(Bytes::copy_from_slice(&peer.sign(digest.into())?.0))
    }
}

fn halves(peer: &PeerKey) -> [alloy::primitives::B256; 2] {
    let point = peer.coordinates();
    [0, 32].map(|at| alloy::primitives::B256::from_slice(&point[at..at + 32]))
}
