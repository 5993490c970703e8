//! What a node wants to happen on a chain waits here until it has, once.
//!
//! A node may have no funds, no connection and no luck: its [intents](Intent) are on disk, and each [tick](Outbox::tick) brings them as far as they
//! can go. Putting the same intent in twice is harmless, several nodes may share a wallet, prices rise when blocks are
//! full, and a block that vanishes only means that its transactions are sent again. How is told in `machine`, which has
//! neither clock nor network and is tested against every trouble that can be thought of.

mod intent;
mod machine;
#[cfg(test)]
mod model;
mod store;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Bytes, TxKind, U256};

pub use intent::{Attempt, Fees, Intent, IntentId, Need, Receipt, State};
pub use machine::Policy;
pub(crate) use machine::{Estimate, Refusal, View};

use crate::{Address, Chain, Error, KeyError, Time, Wallet, Wei};
use machine::{Effect, Event, Machine};
use store::{About, Store};

/// Why the outbox could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file cannot be opened.
    #[error("the outbox {} cannot be opened: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the store said.
        why: String,
    },
    /// Another process has it.
    #[error("another process has the outbox {}: one node at a time, each in a folder of its own", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// It belongs to another wallet or chain.
    #[error(
        "the outbox {} is that of wallet {wallet} on chain {chain}: use another folder for another wallet or chain",
        path.display()
    )]
    Other {
        /// Which file.
        path: PathBuf,
        /// The chain it is for.
        chain: u64,
        /// The wallet it is for.
        wallet: Address,
    },
    /// It holds what this program did not write.
    #[error("the outbox {} is damaged or from a newer Starling: move it away to start with an empty one", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// The disk is full, or worse.
    #[error("the outbox could not be written, so nothing is sent until the node starts again: {why}")]
    Write {
        /// What the store said.
        why: String,
    },
    /// A call longer than any block takes.
    #[error("the call is longer than any block takes: split it")]
    TooLong,
    /// Thousands of intents wait.
    #[error(
        "4096 intents wait already: fund the wallet, or mend the chain's address, before asking for more"
    )]
    Full,
}

/// The intents of one wallet on one chain; clones are the same outbox.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

struct Shared {
    chain: Chain,
    wallet: Wallet,
    mark: u32,
    state: Mutex<Kept>,
    /// One tick at a time: it is a conversation with the chain.
    ticking: tokio::sync::Mutex<()>,
}

struct Kept {
    machine: Machine,
    store: Store,
    /// What the disk said when it last failed us: memory then knows more than the file, and nothing may be sent.
    broken: Option<String>,
}

impl Outbox {
    /// Opens or makes an outbox in a file. Without a file it is gone with the process.
    pub fn open(path: Option<&Path>, chain: &Chain, wallet: &Wallet) -> Result<Self, Error> {
        let about = About::new(chain.id(), wallet.address());
        let (store, records, about) = match path {
            Some(path) => Store::open(path, about)?,
            None => Store::in_memory(about)?,
        };
        let state = Mutex::new(Kept { machine: Machine::new(chain.policy(), records), store, broken: None });
        let ticking = tokio::sync::Mutex::new(());
        let (chain, wallet, mark) = (chain.clone(), wallet.clone(), about.mark);
        Ok(Self { shared: Arc::new(Shared { chain, wallet, mark, state, ticking }) })
    }

    /// Takes an intent. When this returns, it is on disk; it happens when [`Outbox::tick`] is called often enough.
    pub fn put(&self, intent: Intent) -> Result<IntentId, Error> {
        let id = intent.id();
        let mut kept = self.kept();
        if kept.machine.record(id).is_none() && kept.machine.is_full() {
            return Err(OutboxError::Full.into());
        }
        let effects = kept.machine.step(Event::Put(intent));
        kept.save(&effects)?;
        Ok(id)
    }

    /// How far an intent has come, if it is known.
    pub fn state(&self, id: IntentId) -> Option<State> {
        self.kept().machine.record(id).map(|r| r.state.clone())
    }

    /// Everything that is not over, in no order.
    pub fn open_intents(&self) -> Vec<(Intent, State)> {
        let kept = self.kept();
        let open = kept.machine.records().filter(|r| !r.state.is_over() && !r.intent.is_filler());
        open.map(|r| (r.intent.clone(), r.state.clone())).collect()
    }

    /// What the wallet lacks, as of the last tick.
    pub fn need(&self) -> Option<Need> {
        self.kept().machine.need()
    }

    /// Looks at the chain once and brings every intent as far as it can go. An error means that the chain could not be
    /// asked; nothing is lost by it.
    pub async fn tick(&self) -> Result<(), Error> {
        let _one = self.shared.ticking.lock().await;
        let chain = &self.shared.chain;
        let view = chain.view(self.shared.wallet.address()).await?;
        if let Some(why) = &self.kept().broken {
            return Err(OutboxError::Write { why: why.clone() }.into());
        }
        let mut events = VecDeque::from([Event::Saw(view)]);
        while let Some(event) = events.pop_front() {
            let effects = {
                let mut kept = self.kept();
                let effects = kept.machine.step(event);
                kept.save(&effects)?;
                effects
            };
            for effect in effects {
                events.extend(self.perform(effect).await?);
            }
        }
        Ok(())
    }

    /// Ticks until an intent is in a block.
    ///
    /// An error does not take the intent back: it stays here, and happens when it can.
    pub async fn settle(&self, id: IntentId) -> Result<Receipt, Error> {
        loop {
            self.tick().await?;
            match self.state(id).ok_or(Error::NoSuchIntent)? {
                State::Included { receipt, .. } | State::Final { receipt } if receipt.success => {
                    return Ok(receipt);
                }
                State::Final { receipt } => return Err(Error::Reverted { transaction: receipt.hash }),
                State::Refused { why } => return Err(Error::WouldFail { why }),
                State::Waiting | State::Placed { .. } | State::Included { .. } => {}
            }
            if let Some(need) = self.need() {
                return Err(self.shared.chain.needs(need, self.shared.wallet.address()));
            }
            tokio::time::sleep(self.shared.chain.poll()).await;
        }
    }

    /// Ticks for ever, telling `trouble` what goes wrong: a node runs this beside its work.
    pub async fn run(&self, mut trouble: impl FnMut(&Error)) {
        let mut pause = self.shared.chain.poll();
        loop {
            match self.tick().await {
                Ok(()) => pause = self.shared.chain.poll(),
                Err(error) => {
                    trouble(&error);
                    pause = (pause * 2).min(Duration::from_mins(1));
                }
            }
            if let Some(need) = self.need() {
                trouble(&self.shared.chain.needs(need, self.shared.wallet.address()));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Does what the machine asks and brings back what came of it; nothing if that could not be known.
    async fn perform(&self, effect: Effect) -> Result<Option<Event>, Error> {
        let Shared { chain, wallet, .. } = &*self.shared;
        let record = |id| self.kept().machine.record(id).cloned();
        Ok(match effect {
            Effect::Save(_) | Effect::Forget(_) => None,
            Effect::Estimate(id) => match record(id) {
                Some(r) => Some(Event::Estimated(id, chain.estimate(wallet.address(), &r.intent).await?)),
                None => None,
            },
            Effect::Sign { id, nonce, gas, fees } => match record(id) {
                Some(r) => Some(Event::Signed(id, self.sign(&r.intent, nonce, gas, fees).await?)),
                None => None,
            },
            Effect::Send(id) => match record(id).map(|r| r.state) {
                Some(State::Placed { attempts, .. }) => match attempts.last() {
                    Some(attempt) => Some(Event::Sent(id, chain.send(attempt).await?)),
                    None => None,
                },
                _ => None,
            },
            Effect::Look(id) => match record(id).map(|r| r.state) {
                Some(State::Placed { attempts, .. } | State::Included { attempts, .. }) => {
                    let mut found = None;
                    // The dearest is the likeliest.
                    for attempt in attempts.iter().rev() {
                        found = chain.receipt(attempt.hash).await?;
                        if found.is_some() {
                            break;
                        }
                    }
                    Some(Event::Looked(id, found))
                }
                _ => None,
            },
        })
    }

    async fn sign(&self, intent: &Intent, nonce: u64, gas: u64, fees: Fees) -> Result<Attempt, KeyError> {
        let Shared { chain, wallet, mark, .. } = &*self.shared;
        // Less than a gwei's thousandth tells this outbox's transactions from another's of the same wallet: if both pay the
        // same to the same with the same nonce, each would otherwise take the other's for its own.
        let fees = Fees { tip: Wei(fees.tip.0.saturating_add(u128::from(*mark))).min(fees.max), ..fees };
        let to = if intent.is_filler() { wallet.address() } else { intent.to };
        let mut transaction = TxEip1559 {
            chain_id: chain.id(),
            nonce,
            gas_limit: gas,
            max_fee_per_gas: fees.max.0,
            max_priority_fee_per_gas: fees.tip.0,
            to: TxKind::Call(to.alloy()),
            value: U256::from(intent.value.0),
            input: Bytes::from(intent.data.clone()),
            ..TxEip1559::default()
        };
        let signature = wallet.sign_transaction(&mut transaction).await?;
        let signed = transaction.into_signed(signature);
        let hash = (*signed.hash()).into();
        Ok(Attempt { hash, nonce, fees, raw: signed.encoded_2718(), at: now() })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked held no half-made change: the machine's steps do not panic.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Writes down what changed, before anything of it is acted on.
    fn save(&mut self, effects: &[Effect]) -> Result<(), Error> {
        let changed: Vec<IntentId> = effects
            .iter()
            .filter_map(|e| match e {
                Effect::Save(id) | Effect::Forget(id) => Some(*id),
                _ => None,
            })
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        if let Some(why) = &self.broken {
            return Err(OutboxError::Write { why: why.clone() }.into());
        }
        let written = self.store.write(changed.into_iter().map(|id| (id, self.machine.record(id))));
        if let Err(error) = &written {
            self.broken = Some(error.to_string());
        }
        Ok(written?)
    }
}

/// Our own clock, for patience: chains stand still when nobody uses them.
pub(crate) fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time(since.map_or(0, |d| d.as_secs()))
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { chain, wallet, .. } = &*self.shared;
        f.debug_struct("Outbox").field("chain", &chain.id()).field("wallet", wallet).finish_non_exhaustive()
    }
}
