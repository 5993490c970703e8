//! What we read of a node's answers. Rollups add fields and kinds of transactions of their own, which we do not look at.

use alloy::primitives::{Address, B256, Bytes, LogData, U64, U256};
use serde::Deserialize;

/// A block's head.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Block {
    pub(crate) number: U64,
    pub(crate) hash: B256,
    pub(crate) timestamp: U64,
    #[serde(default)]
    pub(crate) base_fee_per_gas: Option<U256>,
}

/// What became of a transaction.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FoundReceipt {
    pub(super) transaction_hash: B256,
    pub(super) block_number: Option<U64>,
    pub(super) block_hash: Option<B256>,
    pub(super) status: U64,
    #[serde(default)]
    pub(super) logs: Vec<Log>,
}

/// An event of a contract.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
    pub(crate) block_number: Option<U64>,
    pub(crate) block_hash: Option<B256>,
    #[serde(default)]
    pub(crate) transaction_hash: Option<B256>,
    #[serde(default, rename = "logIndex")]
    pub(crate) index: Option<U64>,
}

impl Log {
    /// Topics and data, as bindings read them; an event has four topics at most.
    pub(crate) fn event(&self) -> Option<LogData> {
        LogData::new(self.topics.clone(), self.data.clone())
    }
}
