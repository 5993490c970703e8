//! Blocks, transactions and logs in the shapes that clients read.

use alloy::consensus::transaction::{Recovered, TransactionInfo};
use alloy::consensus::{ReceiptEnvelope, Transaction as _, TxEnvelope};
use alloy::primitives::{Log as Emitted, U256};
use alloy::rpc::types::{self, BlockTransactions, Log, Transaction, TransactionReceipt, Withdrawals};

use crate::embedded::block::Block;

/// A block's header.
pub(crate) fn header(block: &Block) -> types::Header {
    let size = Some(U256::from(block.size()));
    types::Header { hash: block.hash, inner: block.header.clone(), total_difficulty: None, size }
}

/// A block, with its transactions or only their hashes.
pub(crate) fn block(block: &Block, full: bool) -> types::Block {
    let transactions = if full {
        BlockTransactions::Full((0..block.transactions.len()).filter_map(|i| transaction(block, i)).collect())
    } else {
        BlockTransactions::Hashes(block.transactions.iter().map(|t| *t.transaction.tx_hash()).collect())
    };
    types::Block {
        header: header(block),
        uncles: Vec::new(),
        transactions,
        withdrawals: Some(Withdrawals::default()),
    }
}

/// A transaction of a block.
pub(crate) fn transaction(block: &Block, index: usize) -> Option<Transaction> {
    let included = block.transactions.get(index)?;
    let info = TransactionInfo {
        hash: None,
        index: Some(index as u64),
        block_hash: Some(block.hash),
        block_number: Some(block.number()),
        base_fee: block.header.base_fee_per_gas,
        block_timestamp: Some(block.header.timestamp),
    };
    Some(Transaction::from_transaction(included.recovered(), info))
}

/// A transaction that waits.
pub(crate) fn pending(transaction: &Recovered<TxEnvelope>) -> Transaction {
    Transaction::from_transaction(transaction.clone(), TransactionInfo::default())
}

/// A transaction's receipt.
pub(crate) fn receipt(block: &Block, index: usize) -> Option<TransactionReceipt<ReceiptEnvelope<Log>>> {
    let included = block.transactions.get(index)?;
    Some(TransactionReceipt {
        inner: included.receipt(logs(block, index, false)),
        transaction_hash: *included.transaction.tx_hash(),
        transaction_index: Some(index as u64),
        block_hash: Some(block.hash),
        block_number: Some(block.number()),
        gas_used: block.gas_used(index),
        effective_gas_price: included.gas_price(block.base_fee()),
        blob_gas_used: None,
        blob_gas_price: None,
        from: included.from,
        to: included.transaction.to(),
        contract_address: included.creates(),
    })
}

/// The logs of one transaction of a block.
pub(crate) fn logs(block: &Block, index: usize, removed: bool) -> Vec<Log> {
    let before: usize = block.transactions.iter().take(index).map(|t| t.logs.len()).sum();
    let Some(included) = block.transactions.get(index) else { return Vec::new() };
    let shape = |(i, inner): (usize, &Emitted)| Log {
        inner: inner.clone(),
        block_hash: Some(block.hash),
        block_number: Some(block.number()),
        block_timestamp: Some(block.header.timestamp),
        transaction_hash: Some(*included.transaction.tx_hash()),
        transaction_index: Some(index as u64),
        log_index: Some((before + i) as u64),
        removed,
    };
    included.logs.iter().enumerate().map(shape).collect()
}
