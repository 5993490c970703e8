//! What happens on the chain, told once and in order, and taken back when the chain takes it back.

use std::collections::VecDeque;

use alloy::sol_types::SolEventInterface;
use serde::{Deserialize, Serialize};

use crate::agent::Peer;
use crate::bindings::agents::Agents::AgentsEvents;
use crate::bindings::bonds::Bonds::BondsEvents;
use crate::bindings::jobs::Jobs::JobsEvents;
use crate::bindings::reputation::Reputation::ReputationEvents;
use crate::bindings::swarms::Swarms::SwarmsEvents;
use crate::bindings::validation::Validation::ValidationEvents;
use crate::client::Log;
use crate::round::counted;
use crate::units::narrow;
use crate::{Address, AgentId, Chain, Credits, Error, Hash, JobId, RoundId, Scores, SwarmId};

/// Something that one of our contracts told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the nouns that their types name")]
pub enum Event {
    /// An agent was registered.
    Registered { agent: AgentId, owner: Address, uri: String },
    /// An agent speaks with this key from now on.
    PeerBound { agent: AgentId, peer: Peer },
    /// An agent no longer speaks with a key.
    PeerUnbound { agent: AgentId, peer_x: Hash, retired: bool },
    /// Somebody staked for an agent.
    Staked { agent: AgentId, judge: Address, amount: Credits },
    /// A stake was asked back.
    Unbonding { agent: AgentId, judge: Address, amount: Credits },
    /// A stake left.
    Withdrawn { agent: AgentId, judge: Address, amount: Credits },
    /// A judge took a stake.
    Slashed { agent: AgentId, judge: Address, to: Address, amount: Credits },
    /// A swarm was made.
    SwarmCreated { swarm: SwarmId, creator: Address, spec: Hash, uri: String },
    /// A swarm's pool grew.
    ToppedUp { swarm: SwarmId, from: Address, amount: Credits },
    /// A round began.
    RoundOpened { round: RoundId, reward: Credits },
    /// A node took a seat.
    Committed { round: RoundId, agent: AgentId, seat: u16, commitment: Hash },
    /// A node showed what it had committed to.
    Revealed { round: RoundId, agent: AgentId, root: Hash },
    /// A node gave its opinions.
    Scored { round: RoundId, agent: AgentId, scores: Scores },
    /// A result was posted.
    Posted { round: RoundId, agent: AgentId, result: Scores },
    /// A posted result was shown to be wrong.
    Overturned { round: RoundId, challenger: Address, seat: u16, posted: u8, right: u8 },
    /// A node was struck from a round.
    Struck { round: RoundId, agent: AgentId, slashed: Credits },
    /// What nobody earned went back to the pool.
    RoundSettled { round: RoundId, returned: Credits },
    /// A node took its share.
    Claimed { round: RoundId, agent: AgentId, to: Address, amount: Credits },
    /// A job was made.
    JobCreated { job: JobId, client: Address, evaluator: Address },
    /// A compute job is open, its price in escrow.
    JobPosted { job: JobId, program: Hash, inputs: Hash, description: String },
    /// Somebody took a job, or was named for it.
    JobTaken { job: JobId, provider: Address },
    /// Work was handed in.
    JobSubmitted { job: JobId, provider: Address, work: Hash },
    /// Work was accepted.
    JobCompleted { job: JobId, evaluator: Address },
    /// Work was turned down.
    JobRejected { job: JobId, by: Address },
    /// A job's time was over.
    JobExpired { job: JobId },
    /// A provider was paid.
    JobPaid { job: JobId, provider: Address, amount: Credits },
    /// Somebody said what they think of an agent.
    FeedbackGiven { agent: AgentId, by: Address, value: i128, decimals: u8, tag: String },
    /// A validator was asked.
    ValidationAsked { agent: AgentId, validator: Address, request: Hash, uri: String },
    /// A validator answered.
    Validated { agent: AgentId, validator: Address, request: Hash, response: u8, tag: String },
}

/// What a follower tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This happened.
    Happened {
        /// In which block.
        block: u64,
        /// By which transaction.
        transaction: Hash,
        /// What.
        event: Event,
    },
    /// Everything told of this block and later ones is taken back: the chain has others there now.
    Undone {
        /// The first of these blocks.
        from: u64,
    },
}

/// How far a follower has come: what it needs to go on after a restart, and to notice what was undone meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Where it began, until that is longer ago than is remembered.
    begin: Option<u64>,
    /// The next block to read.
    next: u64,
    /// Blocks that were read, the newest last.
    known: VecDeque<(u64, Hash)>,
}

/// Tells what happens on a chain.
#[derive(Clone, Debug)]
pub struct Follower {
    chain: Chain,
    cursor: Cursor,
    contracts: Vec<Address>,
}

/// Blocks that are remembered: a reorganisation goes back no further than to one of them.
const LIMIT_KNOWN: usize = 128;
/// Blocks asked for at a time: public nodes refuse more.
const LIMIT_RANGE: u64 = 1000;

impl Cursor {
    /// Begins with a block.
    pub fn from_block(number: u64) -> Self {
        Self { begin: Some(number), next: number, known: VecDeque::new() }
    }

    /// The next block to read.
    pub fn next_block(&self) -> u64 {
        self.next
    }
}

impl Follower {
    /// Goes on from a cursor.
    pub fn new(chain: &Chain, cursor: Cursor) -> Self {
        let contracts = chain.manifest().contracts.values().copied().collect();
        Self { chain: chain.clone(), cursor, contracts }
    }

    /// How far it has come, to be kept together with what was made of its steps.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Reads on, up to a thousand blocks; nothing if nothing is new. An error leaves the cursor where it was.
    pub async fn poll(&mut self) -> Result<Vec<Step>, Error> {
        let head: u64 = self.chain.latest().await?.number.to();
        let mut cursor = self.cursor.clone();
        let mut steps = Vec::new();
        let tip = cursor.next.checked_sub(1);
        if let Some(from) = self.rewind(&mut cursor, head).await? {
            // Of blocks from there on something may have been told.
            if tip.is_some_and(|tip| tip >= from) {
                steps.push(Step::Undone { from });
            }
        }
        if cursor.next <= head {
            let to = head.min(cursor.next + LIMIT_RANGE - 1);
            // The last block before and after: if it is the same, the logs between are of one chain.
            let last = self.block(to).await?;
            let logs = self.chain.logs(cursor.next, to, &self.contracts).await?;
            let mut placed = Vec::with_capacity(logs.len());
            for log in &logs {
                placed.push((self.place(log, cursor.next, to)?, log));
            }
            if self.block(to).await? != last {
                return Err(Error::Contradiction { why: format!("block {to} changed while it was read") });
            }
            placed.sort_by_key(|((block, index), _)| (*block, *index));
            for ((block, _), log) in placed {
                let hash = log.block_hash.map_or(Hash::ZERO, Into::into);
                if block == to && hash != last {
                    return Err(Error::Contradiction { why: format!("events of another block {to}") });
                }
                cursor.remember(block, hash);
                if let Some(event) = event_of(log)? {
                    let transaction = log.transaction_hash.map_or(Hash::ZERO, Into::into);
                    steps.push(Step::Happened { block, transaction, event });
                }
            }
            cursor.remember(to, last);
            cursor.next = to + 1;
        }
        self.cursor = cursor;
        Ok(steps)
    }

    /// Forgets the blocks that are no longer the chain's; gives the first one that may have changed.
    async fn rewind(&self, cursor: &mut Cursor, head: u64) -> Result<Option<u64>, Error> {
        let mut undone = None;
        while let Some((number, hash)) = cursor.known.back().copied() {
            let there = if number <= head { self.chain.block(number).await? } else { None };
            if there.is_some_and(|b| Hash::from(b.hash) == hash) {
                if undone.is_some() {
                    // Blocks between this one and the next that was remembered may have changed as well.
                    cursor.next = number + 1;
                    return Ok(Some(number + 1));
                }
                return Ok(None);
            }
            cursor.known.pop_back();
            undone = Some(number);
        }
        match (undone, cursor.begin) {
            (None, _) => Ok(None),
            // None of what is remembered holds, and neither may anything else.
            (Some(_), Some(begin)) => {
                cursor.next = begin;
                Ok(Some(begin))
            }
            (Some(from), None) => Err(Error::DeepReorganisation { blocks: LIMIT_KNOWN, from }),
        }
    }

    async fn block(&self, number: u64) -> Result<Hash, Error> {
        let block = self.chain.block(number).await?;
        block.map(|b| b.hash.into()).ok_or_else(|| Error::Contradiction {
            why: format!("it told of block {number}, and now has none"),
        })
    }

    /// The block and place of an event, which must be one that was asked for.
    fn place(&self, log: &Log, from: u64, to: u64) -> Result<(u64, u64), Error> {
        let strange = || Error::Contradiction { why: "it gave events that were not asked for".to_owned() };
        let block: u64 = log.block_number.ok_or_else(strange)?.to();
        if block < from || block > to || !self.contracts.contains(&log.address.into()) || log.topics.len() > 4
        {
            return Err(strange());
        }
        Ok((block, log.index.map_or(0, |i| i.to())))
    }
}

impl Cursor {
    fn remember(&mut self, number: u64, hash: Hash) {
        if self.known.back().is_none_or(|(last, _)| *last < number) {
            self.known.push_back((number, hash));
        }
        while self.known.len() > LIMIT_KNOWN {
            self.known.pop_front();
            self.begin = None;
        }
    }
}

/// An event in our nouns; nothing for those that nobody above needs.
fn event_of(log: &Log) -> Result<Option<Event>, Error> {
    let Some(data) = log.event() else { return Ok(None) };
    let (topics, data) = (data.topics(), &data.data);
    let swarm = |id| counted(id).map(SwarmId);
    let round = |of, number| Ok::<_, Error>(swarm(of)?.round(counted(number)?));
    let seat = |n| counted(n).and_then(|n| u16::try_from(n).map_err(|_| Error::Foreign { what: "a seat" }));
    let agent = AgentId::from_chain;
    let job = |id| counted(id).map(JobId);
    let credits = |amount| Credits(narrow(amount));
    let scores = |bytes: &alloy::primitives::Bytes| Scores(bytes.to_vec());
    if let Ok(event) = SwarmsEvents::decode_raw_log(topics, data) {
        return Ok(Some(match event {
            SwarmsEvents::Created(e) => Event::SwarmCreated {
                swarm: swarm(e.swarmId)?,
                creator: e.creator.into(),
                spec: e.spec.into(),
                uri: e.uri,
            },
            SwarmsEvents::ToppedUp(e) => {
                Event::ToppedUp { swarm: swarm(e.swarmId)?, from: e.from.into(), amount: credits(e.amount) }
            }
            SwarmsEvents::Opened(e) => {
                Event::RoundOpened { round: round(e.swarmId, e.round)?, reward: credits(e.reward) }
            }
            SwarmsEvents::Committed(e) => Event::Committed {
                round: round(e.swarmId, e.round)?,
                agent: agent(e.agentId)?,
                seat: seat(e.seat)?,
                commitment: e.commitment.into(),
            },
            SwarmsEvents::Revealed(e) => Event::Revealed {
                round: round(e.swarmId, e.round)?,
                agent: agent(e.agentId)?,
                root: e.root.into(),
            },
            SwarmsEvents::Scored(e) => Event::Scored {
                round: round(e.swarmId, e.round)?,
                agent: agent(e.agentId)?,
                scores: scores(&e.scores),
            },
            SwarmsEvents::Posted(e) => Event::Posted {
                round: round(e.swarmId, e.round)?,
                agent: agent(e.agentId)?,
                result: scores(&e.scores),
            },
            SwarmsEvents::Overturned(e) => Event::Overturned {
                round: round(e.swarmId, e.round)?,
                challenger: e.challenger.into(),
                seat: seat(e.seat)?,
                posted: e.posted,
                right: e.right,
            },
            SwarmsEvents::Struck(e) => Event::Struck {
                round: round(e.swarmId, e.round)?,
                agent: agent(e.agentId)?,
                slashed: credits(e.slashed),
            },
            SwarmsEvents::Settled(e) => {
                Event::RoundSettled { round: round(e.swarmId, e.round)?, returned: credits(e.returned) }
            }
            SwarmsEvents::Claimed(e) => Event::Claimed {
                round: round(e.swarmId, e.round)?,
                agent: agent(e.agentId)?,
                to: e.to.into(),
                amount: credits(e.amount),
            },
        }));
    }
    if let Ok(event) = AgentsEvents::decode_raw_log(topics, data) {
        return Ok(match event {
            AgentsEvents::Registered(e) => {
                Some(Event::Registered { agent: agent(e.agentId)?, owner: e.owner.into(), uri: e.agentURI })
            }
            AgentsEvents::PeerBound(e) => match Peer::from_chain(&e.publicKey)? {
                Some(peer) => Some(Event::PeerBound { agent: agent(e.agentId)?, peer }),
                None => None,
            },
            AgentsEvents::PeerUnbound(e) => Some(Event::PeerUnbound {
                agent: agent(e.agentId)?,
                peer_x: e.peerX.into(),
                retired: e.retired,
            }),
            _ => None,
        });
    }
    if let Ok(event) = BondsEvents::decode_raw_log(topics, data) {
        return Ok(match event {
            BondsEvents::Staked(e) => Some(Event::Staked {
                agent: agent(e.agentId)?,
                judge: e.judge.into(),
                amount: credits(e.amount),
            }),
            BondsEvents::Unbonding(e) => Some(Event::Unbonding {
                agent: agent(e.agentId)?,
                judge: e.judge.into(),
                amount: credits(e.amount),
            }),
            BondsEvents::Withdrawn(e) => Some(Event::Withdrawn {
                agent: agent(e.agentId)?,
                judge: e.judge.into(),
                amount: credits(e.amount),
            }),
            BondsEvents::Slashed(e) => Some(Event::Slashed {
                agent: agent(e.agentId)?,
                judge: e.judge.into(),
                to: e.to.into(),
                amount: credits(e.amount),
            }),
            _ => None,
        });
    }
    if let Ok(event) = JobsEvents::decode_raw_log(topics, data) {
        return Ok(match event {
            JobsEvents::JobCreated(e) => Some(Event::JobCreated {
                job: job(e.jobId)?,
                client: e.client.into(),
                evaluator: e.evaluator.into(),
            }),
            JobsEvents::JobPosted(e) => Some(Event::JobPosted {
                job: job(e.jobId)?,
                program: e.program.into(),
                inputs: e.inputs.into(),
                description: e.description,
            }),
            JobsEvents::ProviderSet(e) => {
                Some(Event::JobTaken { job: job(e.jobId)?, provider: e.provider.into() })
            }
            JobsEvents::JobSubmitted(e) => Some(Event::JobSubmitted {
                job: job(e.jobId)?,
                provider: e.provider.into(),
                work: e.deliverable.into(),
            }),
            JobsEvents::JobCompleted(e) => {
                Some(Event::JobCompleted { job: job(e.jobId)?, evaluator: e.evaluator.into() })
            }
            JobsEvents::JobRejected(e) => {
                Some(Event::JobRejected { job: job(e.jobId)?, by: e.rejector.into() })
            }
            JobsEvents::JobExpired(e) => Some(Event::JobExpired { job: job(e.jobId)? }),
            JobsEvents::PaymentReleased(e) => Some(Event::JobPaid {
                job: job(e.jobId)?,
                provider: e.provider.into(),
                amount: credits(e.amount),
            }),
            _ => None,
        });
    }
    if let Ok(ReputationEvents::NewFeedback(e)) = ReputationEvents::decode_raw_log(topics, data) {
        return Ok(Some(Event::FeedbackGiven {
            agent: agent(e.agentId)?,
            by: e.clientAddress.into(),
            value: e.value,
            decimals: e.valueDecimals,
            tag: e.tag1,
        }));
    }
    Ok(match ValidationEvents::decode_raw_log(topics, data) {
        Ok(ValidationEvents::ValidationRequest(e)) => Some(Event::ValidationAsked {
            agent: agent(e.agentId)?,
            validator: e.validatorAddress.into(),
            request: e.requestHash.into(),
            uri: e.requestURI,
        }),
        Ok(ValidationEvents::ValidationResponse(e)) => Some(Event::Validated {
            agent: agent(e.agentId)?,
            validator: e.validatorAddress.into(),
            request: e.requestHash.into(),
            response: e.response,
            tag: e.tag,
        }),
        Err(_) => None,
    })
}
