//! Accounts, blocks, transactions and fees.

use alloy::consensus::Transaction as _;
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::rpc::types::{EIP1186AccountProofResponse, EIP1186StorageProof, FeeHistory, TransactionReceipt};
use alloy::serde::JsonStorageKey;

use super::error::RpcError;
use super::request::Params;
use super::{Answer, Rpc, result, shapes};
use crate::embedded::block::Block;
use crate::embedded::execute::{next_base_fee, next_header};
use crate::embedded::world::slot_key;

/// The tip that is enough while blocks have room, in wei.
const LOW_TIP: u128 = 1_000_000;
/// Blocks and slots that one call may ask about.
const MOST_BLOCKS: u64 = 1024;
const MOST_SLOTS: usize = 1024;
const MOST_PERCENTILES: usize = 100;

type Parameters<'a, 'b> = &'a mut Params<'b>;

fn newest() -> BlockId {
    BlockId::Number(BlockNumberOrTag::Latest)
}

impl Rpc {
    pub(super) fn balance(&self, p: Parameters<'_, '_>) -> Answer {
        let (address, at): (Address, Option<_>) = (p.next()?, p.optional()?);
        result(self.head(at.unwrap_or_else(newest))?.world.info(&address).balance)
    }

    pub(super) fn transaction_count(&self, p: Parameters<'_, '_>) -> Answer {
        let (address, at): (Address, Option<BlockId>) = (p.next()?, p.optional()?);
        let at = at.unwrap_or_else(newest);
        let mut nonce = self.head(at)?.world.info(&address).nonce;
        if at == BlockId::Number(BlockNumberOrTag::Pending) {
            nonce = self.shared.pool().next_nonce(&address, nonce);
        }
        result(U64::from(nonce))
    }

    pub(super) fn code(&self, p: Parameters<'_, '_>) -> Answer {
        let (address, at): (Address, Option<_>) = (p.next()?, p.optional()?);
        let head = self.head(at.unwrap_or_else(newest))?;
        result(head.world.code(&head.world.info(&address).code_hash).original_bytes())
    }

    pub(super) fn storage_at(&self, p: Parameters<'_, '_>) -> Answer {
        let (address, slot, at): (Address, JsonStorageKey, Option<_>) = (p.next()?, p.next()?, p.optional()?);
        let head = self.head(at.unwrap_or_else(newest))?;
        result(B256::from(head.world.slot(&address, slot.as_b256().into())))
    }

    pub(super) fn proof(&self, p: Parameters<'_, '_>) -> Answer {
        let (address, slots, at): (Address, Vec<JsonStorageKey>, Option<_>) =
            (p.next()?, p.next()?, p.optional()?);
        if slots.len() > MOST_SLOTS {
            return Err(RpcError::limit(format!("too many slots: at most {MOST_SLOTS}")));
        }
        let head = self.head(at.unwrap_or_else(newest))?;
        let account = head.world.account(&address).cloned().unwrap_or_default();
        let prove = |key: JsonStorageKey| {
            let slot: U256 = key.as_b256().into();
            let proof = account.storage.prove(&slot_key(slot));
            EIP1186StorageProof { key, value: head.world.slot(&address, slot), proof }
        };
        result(EIP1186AccountProofResponse {
            address,
            balance: account.info.balance,
            code_hash: account.info.code_hash,
            nonce: account.info.nonce,
            storage_hash: account.storage.root(),
            account_proof: head.world.prove(&address),
            storage_proof: slots.into_iter().map(prove).collect(),
        })
    }

    pub(super) fn block_by_number(&self, p: Parameters<'_, '_>) -> Answer {
        let (tag, full): (BlockNumberOrTag, Option<bool>) = (p.next()?, p.optional()?);
        if tag == BlockNumberOrTag::Pending {
            return self.pending_block();
        }
        self.shape_block(tag.into(), full)
    }

    pub(super) fn block_by_hash(&self, p: Parameters<'_, '_>) -> Answer {
        let (hash, full): (B256, Option<bool>) = (p.next()?, p.optional()?);
        self.shape_block(hash.into(), full)
    }

    fn shape_block(&self, id: BlockId, full: Option<bool>) -> Answer {
        result(self.block(id)?.map(|block| shapes::block(&block, full.unwrap_or_default())))
    }

    /// The next block as it would be if nothing came: nobody knows its hash, and what will be in it is not run yet.
    fn pending_block(&self) -> Answer {
        let view = self.shared.view();
        let next = next_header(&view.tip().block, self.shared.clock.now());
        let mut block = serde_json::to_value(shapes::block(&Block::seal(next, Vec::new()), false))
            .map_err(|why| RpcError::failed(why.to_string()))?;
        for unknown in ["hash", "nonce", "miner"] {
            block[unknown] = serde_json::Value::Null;
        }
        result(block)
    }

    pub(super) fn block_receipts(&self, p: Parameters<'_, '_>) -> Answer {
        let Some(block) = self.block(p.next()?)? else { return nothing() };
        let receipts = (0..block.transactions.len()).filter_map(|index| shapes::receipt(&block, index));
        result(receipts.collect::<Vec<_>>())
    }

    pub(super) fn count_by_number(&self, p: Parameters<'_, '_>) -> Answer {
        let tag: BlockNumberOrTag = p.next()?;
        result(self.block(tag.into())?.map(|block| U64::from(block.transactions.len())))
    }

    pub(super) fn count_by_hash(&self, p: Parameters<'_, '_>) -> Answer {
        let hash: B256 = p.next()?;
        result(self.block(hash.into())?.map(|block| U64::from(block.transactions.len())))
    }

    /// There are no uncles; there may be no such block either.
    pub(super) fn uncle_count(&self, method: &str, p: Parameters<'_, '_>) -> Answer {
        let id: BlockId = match method {
            "eth_getUncleCountByBlockHash" => p.next::<B256>()?.into(),
            _ => p.next::<BlockNumberOrTag>()?.into(),
        };
        result(self.block(id)?.map(|_| "0x0"))
    }

    pub(super) fn transaction(&self, p: Parameters<'_, '_>) -> Answer {
        let hash: B256 = p.next()?;
        // The pool first: a transaction leaves it only when its block can be seen.
        let waiting = self.shared.pool().get(&hash).map(|waiting| shapes::pending(&waiting.transaction));
        match self.place(&hash)? {
            Some((block, index)) => result(shapes::transaction(&block, index)),
            None => result(waiting),
        }
    }

    pub(super) fn raw_transaction(&self, p: Parameters<'_, '_>) -> Answer {
        let hash: B256 = p.next()?;
        let raw = |bytes: Vec<u8>| result(Bytes::from(bytes));
        let waiting = self.shared.pool().get(&hash).map(|waiting| waiting.transaction.encoded_2718());
        if let Some(waiting) = waiting {
            return raw(waiting);
        }
        let Some((block, index)) = self.place(&hash)? else { return nothing() };
        block.transactions.get(index).map_or_else(nothing, |t| raw(t.transaction.encoded_2718()))
    }

    pub(super) fn transaction_by_number(&self, p: Parameters<'_, '_>) -> Answer {
        let (tag, index): (BlockNumberOrTag, U64) = (p.next()?, p.next()?);
        self.shape_transaction(tag.into(), index)
    }

    pub(super) fn transaction_by_block_hash(&self, p: Parameters<'_, '_>) -> Answer {
        let (hash, index): (B256, U64) = (p.next()?, p.next()?);
        self.shape_transaction(hash.into(), index)
    }

    fn shape_transaction(&self, id: BlockId, index: U64) -> Answer {
        let block = self.block(id)?;
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        result(block.and_then(|block| shapes::transaction(&block, index)))
    }

    pub(super) fn receipt(&self, p: Parameters<'_, '_>) -> Answer {
        result(self.receipt_of(&p.next()?)?)
    }

    pub(super) fn receipt_of(&self, hash: &B256) -> Result<Option<TransactionReceipt>, RpcError> {
        Ok(self.place(hash)?.and_then(|(block, index)| shapes::receipt(&block, index)))
    }

    /// The block that a transaction is in, and its place there.
    fn place(&self, hash: &B256) -> Result<Option<(std::sync::Arc<Block>, usize)>, RpcError> {
        let Some((number, index)) = self.shared.store.place(hash)? else { return Ok(None) };
        let block = self.shared.block(number)?;
        let is_it = |block: &std::sync::Arc<Block>| {
            block.transactions.get(index).is_some_and(|t| t.transaction.tx_hash() == hash)
        };
        Ok(block.filter(is_it).map(|block| (block, index)))
    }

    pub(super) fn gas_price(&self) -> Answer {
        let base_fee = next_base_fee(&self.shared.view().tip().block.header);
        result(U256::from(u128::from(base_fee) + self.good_tip()))
    }

    pub(super) fn tip(&self) -> Answer {
        result(U256::from(self.good_tip()))
    }

    /// A tip that gets a transaction into the next block: next to nothing, unless the newest block was nearly full; then
    /// what the middle one in it paid.
    fn good_tip(&self) -> u128 {
        let block = self.shared.view().tip().block.clone();
        if block.header.gas_used < block.header.gas_limit / 10 * 9 {
            return LOW_TIP;
        }
        let mut tips: Vec<_> = block.transactions.iter().map(|t| tip_of(&block, &t.transaction)).collect();
        tips.sort_unstable();
        tips.get(tips.len() / 2).copied().unwrap_or_default().max(LOW_TIP)
    }

    pub(super) fn fee_history(&self, p: Parameters<'_, '_>) -> Answer {
        let (count, to): (U64, BlockNumberOrTag) = (p.next()?, p.next()?);
        let percentiles: Option<Vec<f64>> = p.optional()?;
        let asked = percentiles.as_deref().unwrap_or_default();
        if asked.len() > MOST_PERCENTILES {
            return Err(RpcError::limit(format!("over the limit of {MOST_PERCENTILES} reward percentiles")));
        }
        if !asked.is_sorted() || asked.iter().any(|p| !(0.0..=100.0).contains(p)) {
            return Err(RpcError::params("invalid reward percentile: they must rise from 0 to 100"));
        }
        let to = self.number(to);
        if to > self.shared.view().tip().block.number() {
            return Err(RpcError::failed("request beyond head block"));
        }
        let count = count.saturating_to::<u64>().min(MOST_BLOCKS).min(to + 1);
        let mut history = FeeHistory { oldest_block: to + 1 - count, ..FeeHistory::default() };
        let mut reward = Vec::new();
        for number in to + 1 - count..=to {
            let Some(block) = self.shared.block(number)? else {
                return Err(RpcError::failed("the chain changed meanwhile; ask again"));
            };
            history.base_fee_per_gas.push(block.base_fee().into());
            history.gas_used_ratio.push(block.header.gas_used as f64 / block.header.gas_limit as f64);
            history.blob_gas_used_ratio.push(0.0);
            history.base_fee_per_blob_gas.push(1);
            reward.push(rewards(&block, asked));
            if number == to {
                history.base_fee_per_gas.push(next_base_fee(&block.header).into());
                history.base_fee_per_blob_gas.push(1);
            }
        }
        history.reward = percentiles.is_some().then_some(reward);
        result(history)
    }
}

/// What is answered about something that is not there.
fn nothing() -> Answer {
    result(())
}

fn tip_of(block: &Block, transaction: &alloy::consensus::TxEnvelope) -> u128 {
    transaction.effective_tip_per_gas(block.base_fee()).unwrap_or_default()
}

/// The tips at these percentiles of the block's gas.
fn rewards(block: &Block, percentiles: &[f64]) -> Vec<u128> {
    let mut tips: Vec<(u128, u64)> = (block.transactions.iter().enumerate())
        .map(|(index, t)| (tip_of(block, &t.transaction), block.gas_used(index)))
        .collect();
    tips.sort_unstable();
    let mut rest = tips.into_iter();
    let mut now = rest.next().unwrap_or_default();
    let mut gas = now.1;
    let at = |percentile: &f64| {
        let wanted = block.header.gas_used as f64 * percentile / 100.0;
        while (gas as f64) < wanted
            && let Some(next) = rest.next()
        {
            now = next;
            gas += next.1;
        }
        now.0
    };
    percentiles.iter().map(at).collect()
}
