//! Transactions that wait for a block.
//!
//! Each sender has a queue by nonce. What follows on from the sender's nonce without a gap may go into the next block, the best
//! payers first; what comes after a gap waits. All is bounded: bytes and count per transaction, sender and pool.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use alloy::consensus::{Transaction as _, TxEnvelope, transaction::Recovered};
use alloy::eips::eip2718::Decodable2718 as _;
use alloy::primitives::{Address, B256, U256};
use revm::context_interface::cfg::GasParams;
use revm::primitives::eip3860::MAX_INITCODE_SIZE;

use super::execute::{RULES, TRANSACTION_GAS_CAP, to_run};
use super::sender::sender;
use super::world::World;

/// The most that may wait.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Bytes of one transaction.
    pub transaction_bytes: usize,
    /// Transactions of one sender.
    pub per_sender: usize,
    /// Transactions of all senders.
    pub total: usize,
}

impl Default for PoolLimits {
    /// 128 KiB each, 1024 of one sender, 16384 in all.
    fn default() -> PoolLimits {
        PoolLimits { transaction_bytes: 128 << 10, per_sender: 1024, total: 16384 }
    }
}

/// Why a transaction was not taken. The words are those that clients know from other nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejected {
    #[error("failed to decode signed transaction: {0}")]
    Undecodable(String),
    #[error("transaction type not supported: blobs have no place on this chain")]
    Blobs,
    #[error("oversized data: transaction size {size}, limit {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("invalid sender: the signature is not that of any account")]
    Signature,
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    NotProtected,
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId { have: u64, want: u64 },
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas {tip}, maxFeePerGas {fee}"
    )]
    TipAboveFee { tip: u128, fee: u128 },
    #[error("intrinsic gas too low: gas {have}, minimum needed {need}")]
    IntrinsicGas { have: u64, need: u64 },
    #[error("exceeds block gas limit: gas {have}, limit {limit}")]
    BlockGasLimit { have: u64, limit: u64 },
    #[error("transaction gas limit too high: gas {have}, cap {cap} (EIP-7825)")]
    GasCap { have: u64, cap: u64 },
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitCode { size: usize, limit: usize },
    #[error("set code transaction must have at least one authorization and a destination")]
    Authorizations,
    #[error("nonce has max value")]
    NonceMax,
    #[error("nonce too low: next nonce {next}, tx nonce {have}")]
    NonceTooLow { next: u64, have: u64 },
    #[error("insufficient funds for gas * price + value: have {have} want {want}")]
    Funds { have: U256, want: U256 },
    #[error("already known")]
    Known,
    #[error("replacement transaction underpriced: fee and tip must rise by {PRICE_BUMP_PERCENT} percent")]
    Underpriced,
    #[error(
        "account limit exceeded: {limit} transactions of this sender wait; send more when some are in blocks"
    )]
    SenderFull { limit: usize },
    #[error("txpool is full: raise the fee, or send again when blocks have made room")]
    PoolFull,
}

/// By how much a replacement must pay more.
const PRICE_BUMP_PERCENT: u128 = 10;

/// Decodes a transaction and checks all of it that needs no state.
pub(crate) fn decode(
    raw: &[u8],
    chain_id: u64,
    block_gas_limit: u64,
    limits: &PoolLimits,
) -> Result<Recovered<TxEnvelope>, Rejected> {
    if raw.len() > limits.transaction_bytes {
        return Err(Rejected::TooLarge { size: raw.len(), limit: limits.transaction_bytes });
    }
    if raw.first() == Some(&3) {
        return Err(Rejected::Blobs);
    }
    let mut rest = raw;
    let transaction =
        TxEnvelope::decode_2718(&mut rest).map_err(|why| Rejected::Undecodable(why.to_string()))?;
    if !rest.is_empty() {
        return Err(Rejected::Undecodable(format!("{} bytes follow it", rest.len())));
    }
    match transaction.chain_id() {
        None => return Err(Rejected::NotProtected),
        Some(have) if have != chain_id => return Err(Rejected::ChainId { have, want: chain_id }),
        Some(_) => {}
    }
    let (fee, have) = (transaction.max_fee_per_gas(), transaction.gas_limit());
    if let Some(tip) = transaction.max_priority_fee_per_gas()
        && tip > fee
    {
        return Err(Rejected::TipAboveFee { tip, fee });
    }
    if have > block_gas_limit {
        return Err(Rejected::BlockGasLimit { have, limit: block_gas_limit });
    }
    if have > TRANSACTION_GAS_CAP {
        return Err(Rejected::GasCap { have, cap: TRANSACTION_GAS_CAP });
    }
    if transaction.is_create() && transaction.input().len() > MAX_INITCODE_SIZE {
        return Err(Rejected::InitCode { size: transaction.input().len(), limit: MAX_INITCODE_SIZE });
    }
    if transaction.nonce() == u64::MAX {
        return Err(Rejected::NonceMax);
    }
    if transaction.is_eip7702() && transaction.authorization_list().unwrap_or_default().is_empty() {
        return Err(Rejected::Authorizations);
    }
    // Last, since it costs most. It refuses signatures with a high s, of which each transaction would have two.
    let from = sender(&transaction).ok_or(Rejected::Signature)?;
    let transaction = Recovered::new_unchecked(transaction, from);
    let gas = GasParams::new_spec(RULES).initial_tx_gas_for_tx(to_run(&transaction), None);
    let need = gas.initial_total_gas().max(gas.floor_gas());
    if need > have {
        return Err(Rejected::IntrinsicGas { have, need });
    }
    Ok(transaction)
}

/// A transaction that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) transaction: Recovered<TxEnvelope>,
    /// Where it came in the order of arrival, and its name in the store.
    pub(crate) ticket: u64,
}

impl Waiting {
    fn hash(&self) -> B256 {
        *self.transaction.tx_hash()
    }
}

/// The most that a transaction can cost its sender.
fn cost(transaction: &TxEnvelope) -> U256 {
    let gas = U256::from(transaction.max_fee_per_gas()).saturating_mul(U256::from(transaction.gas_limit()));
    gas.saturating_add(transaction.value())
}

fn tip(transaction: &TxEnvelope) -> u128 {
    transaction.max_priority_fee_per_gas().unwrap_or_else(|| transaction.max_fee_per_gas())
}

/// All that waits.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    senders: HashMap<Address, BTreeMap<u64, Waiting>>,
    places: HashMap<B256, (Address, u64)>,
    tickets: u64,
    limits: PoolLimits,
}

/// What taking a transaction in has done.
#[derive(Debug, PartialEq)]
pub(crate) struct Taken {
    pub(crate) ticket: u64,
    /// Tickets of those that had to leave for it.
    pub(crate) left: Vec<u64>,
}

impl Pool {
    /// An empty pool.
    pub(crate) fn new(limits: PoolLimits) -> Pool {
        Pool { limits, ..Pool::default() }
    }

    /// Takes a transaction in, if its sender can pay for it and there is room.
    pub(crate) fn add(
        &mut self,
        transaction: Recovered<TxEnvelope>,
        world: &World,
    ) -> Result<Taken, Rejected> {
        let (from, nonce) = (transaction.signer(), transaction.nonce());
        if self.places.contains_key(transaction.tx_hash()) {
            return Err(Rejected::Known);
        }
        let info = world.info(&from);
        if nonce < info.nonce {
            return Err(Rejected::NonceTooLow { next: info.nonce, have: nonce });
        }
        let queue = self.senders.get(&from);
        let replaced = queue.and_then(|queue| queue.get(&nonce));
        if let Some(old) = replaced {
            let rises = |new: u128, old: u128| {
                new >= old.saturating_add(old.div_ceil(100 / PRICE_BUMP_PERCENT).max(1))
            };
            let (new, old) = (transaction.inner(), old.transaction.inner());
            if !rises(new.max_fee_per_gas(), old.max_fee_per_gas()) || !rises(tip(new), tip(old)) {
                return Err(Rejected::Underpriced);
            }
        } else if queue.is_some_and(|queue| queue.len() >= self.limits.per_sender) {
            return Err(Rejected::SenderFull { limit: self.limits.per_sender });
        }
        // The sender must be able to pay for all of theirs that wait.
        let others = queue.into_iter().flatten().filter(|(at, _)| **at != nonce);
        let want = others.fold(cost(transaction.inner()), |sum, (_, waiting)| {
            sum.saturating_add(cost(waiting.transaction.inner()))
        });
        if want > info.balance {
            return Err(Rejected::Funds { have: info.balance, want });
        }
        let mut left = Vec::new();
        if let Some(old) = replaced {
            left.push(old.ticket);
            let hash = old.hash();
            self.places.remove(&hash);
        } else if self.places.len() >= self.limits.total {
            left.push(self.evict(&transaction)?);
        }
        let ticket = self.tickets;
        self.tickets += 1;
        self.put(Waiting { transaction, ticket });
        Ok(Taken { ticket, left })
    }

    /// Puts one back that was in the pool before: from the store, or from a block that is no more.
    pub(crate) fn put(&mut self, waiting: Waiting) {
        let (from, nonce) = (waiting.transaction.signer(), waiting.transaction.nonce());
        self.tickets = self.tickets.max(waiting.ticket + 1);
        self.places.insert(waiting.hash(), (from, nonce));
        if let Some(old) = self.senders.entry(from).or_default().insert(nonce, waiting) {
            let hash = old.hash();
            // A replacement of another hash; what is put in twice stays.
            if self.get(&hash).is_none() {
                self.places.remove(&hash);
            }
        }
    }

    /// The next ticket for one that is put back from a block.
    pub(crate) fn next_ticket(&self) -> u64 {
        self.tickets
    }

    /// Makes room for one that pays more than the worst: the cheapest among those that are last of their sender.
    fn evict(&mut self, newcomer: &Recovered<TxEnvelope>) -> Result<u64, Rejected> {
        let lasts = self.senders.values().filter_map(|queue| queue.last_key_value());
        let worst = lasts.map(|(_, waiting)| waiting).min_by_key(|w| {
            (w.transaction.max_fee_per_gas(), tip(w.transaction.inner()), u64::MAX - w.ticket)
        });
        match worst {
            // A sender's own later transactions are no reason to lose an earlier one.
            Some(worst)
                if worst.transaction.signer() != newcomer.signer()
                    && worst.transaction.max_fee_per_gas() < newcomer.max_fee_per_gas() =>
            {
                let (ticket, hash) = (worst.ticket, worst.hash());
                self.remove(&hash);
                Ok(ticket)
            }
            _ => Err(Rejected::PoolFull),
        }
    }

    /// Takes one out.
    pub(crate) fn remove(&mut self, hash: &B256) -> Option<Waiting> {
        let (from, nonce) = self.places.remove(hash)?;
        let queue = self.senders.get_mut(&from)?;
        let waiting = queue.remove(&nonce);
        if queue.is_empty() {
            self.senders.remove(&from);
        }
        waiting
    }

    /// One that waits.
    pub(crate) fn get(&self, hash: &B256) -> Option<&Waiting> {
        let (from, nonce) = self.places.get(hash)?;
        self.senders.get(from)?.get(nonce).filter(|waiting| waiting.hash() == *hash)
    }

    /// The first nonce that neither the state nor the queue without gaps has used.
    pub(crate) fn next_nonce(&self, address: &Address, state: u64) -> u64 {
        let Some(queue) = self.senders.get(address) else { return state };
        let mut next = state;
        while queue.contains_key(&next) {
            next += 1;
        }
        next
    }

    /// The tickets of what can never be in a block again, because its nonce is used.
    pub(crate) fn outdated<'a>(
        &self,
        touched: impl IntoIterator<Item = &'a Address>,
        world: &World,
    ) -> Vec<u64> {
        let queues = touched.into_iter().filter_map(|address| Some((address, self.senders.get(address)?)));
        queues
            .flat_map(|(address, queue)| queue.range(..world.info(address).nonce))
            .map(|(_, waiting)| waiting.ticket)
            .collect()
    }

    /// Takes out what can never be in a block again.
    pub(crate) fn settle<'a>(&mut self, touched: impl IntoIterator<Item = &'a Address>, world: &World) {
        for address in touched {
            let Some(queue) = self.senders.get_mut(address) else { continue };
            let waits = queue.split_off(&world.info(address).nonce);
            for settled in std::mem::replace(queue, waits).values() {
                self.places.remove(&settled.hash());
            }
            if queue.is_empty() {
                self.senders.remove(address);
            }
        }
    }

    /// What may go into a block with this base fee: the best payers first, each sender's in order.
    pub(crate) fn ready(&self, world: &World, base_fee: u64) -> Vec<Waiting> {
        let mut heads = BinaryHeap::new();
        let offer = |heads: &mut BinaryHeap<_>, from: &Address, nonce: u64| {
            let waiting = self.senders.get(from).and_then(|queue| queue.get(&nonce));
            if let Some(waiting) = waiting
                && let Some(tip) = waiting.transaction.effective_tip_per_gas(base_fee)
            {
                // The highest tip first, then the earliest.
                heads.push((tip, Reverse(waiting.ticket), *from, nonce));
            }
        };
        for from in self.senders.keys() {
            offer(&mut heads, from, world.info(from).nonce);
        }
        let mut ready = Vec::new();
        while let Some((_, _, from, nonce)) = heads.pop() {
            ready.extend(self.senders.get(&from).and_then(|queue| queue.get(&nonce)).cloned());
            offer(&mut heads, &from, nonce + 1);
        }
        ready
    }
}
