//! Running transactions: one after the other into a block, or one alone to see what it would do.

use alloy::consensus::{Header, Transaction as _, TxEnvelope, Typed2718 as _, transaction::Recovered};
use alloy::eips::eip1559::BaseFeeParams;
use alloy::eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy::primitives::{Address, B64, B256, Bytes, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use revm::context::result::ExecutionResult;
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::either::Either;
use revm::database::CacheDB;
use revm::handler::{MainBuilder as _, MainContext as _, MainnetContext, MainnetEvm};
use revm::primitives::hardfork::SpecId;
use revm::{ExecuteCommitEvm as _, ExecuteEvm as _};

use super::block::{Block, Included};
use super::world::{Changes, Ground, World};

/// The rules of execution: those of Ethereum since December 2025.
pub(crate) const RULES: SpecId = SpecId::OSAKA;
/// The most gas that one transaction may have (EIP-7825).
pub(crate) const TRANSACTION_GAS_CAP: u64 = 1 << 24;
/// The smallest share of blob gas's price; there are no blobs, so it stays.
const BLOB_FRACTION: u64 = revm::primitives::eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE;

/// The virtual machine over a state, with room for changes to it.
pub(crate) type Machine = MainnetEvm<MainnetContext<CacheDB<Ground>>>;

/// A machine that keeps all rules.
pub(crate) fn machine(ground: Ground, block: BlockEnv, chain_id: u64) -> Machine {
    Context::mainnet()
        .with_db(CacheDB::new(ground))
        .with_block(block)
        .with_cfg(rules(chain_id))
        .build_mainnet()
}

/// The rules of this chain.
pub(crate) fn rules(chain_id: u64) -> CfgEnv {
    CfgEnv::new_with_spec(RULES).with_chain_id(chain_id)
}

/// What a contract sees of the block it runs in.
pub(crate) fn environment(header: &Header) -> BlockEnv {
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new(0, BLOB_FRACTION)),
        slot_num: 0,
    }
}

/// The base fee of the block after this one.
pub(crate) fn next_base_fee(parent: &Header) -> u64 {
    parent.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or_default()
}

/// The header that a block after `parent` begins with.
pub(crate) fn next_header(parent: &Block, timestamp: u64) -> Header {
    let number = parent.number() + 1;
    // No source of randomness that nobody controls is at hand: a single sequencer could choose. Contracts that need one
    // must bring it along.
    let mix_hash = keccak256([parent.hash.as_slice(), &number.to_be_bytes()].concat());
    Header {
        parent_hash: parent.hash,
        base_fee_per_gas: Some(next_base_fee(&parent.header)),
        mix_hash,
        number,
        timestamp: timestamp.max(parent.header.timestamp),
        ..blank_header(parent.header.gas_limit, parent.header.beneficiary)
    }
}

/// The fields that are the same in all blocks.
pub(crate) fn blank_header(gas_limit: u64, beneficiary: Address) -> Header {
    Header {
        beneficiary,
        gas_limit,
        difficulty: U256::ZERO,
        nonce: B64::ZERO,
        extra_data: Bytes::from_static(b"starling"),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

/// A transaction as the machine takes it.
pub(crate) fn to_run(transaction: &Recovered<TxEnvelope>) -> TxEnv {
    let authorizations = transaction.authorization_list().unwrap_or_default();
    TxEnv {
        tx_type: transaction.ty(),
        caller: transaction.signer(),
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: transaction.kind(),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: authorizations.iter().cloned().map(Either::Left).collect(),
    }
}

/// A block in the making.
pub(crate) struct Draft {
    machine: Machine,
    header: Header,
    transactions: Vec<Included>,
    changes: Changes,
    gas_used: u64,
}

/// What became of a transaction that was to go into a block.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It is in the block, and did what it wanted or failed.
    Included,
    /// The block has too little gas left for it.
    NoRoom,
    /// It may not be in this block at all.
    Refused,
}

impl Draft {
    /// An empty block on this ground.
    pub(crate) fn new(header: Header, ground: Ground, chain_id: u64) -> Draft {
        let machine = machine(ground, environment(&header), chain_id);
        Draft { machine, header, transactions: Vec::new(), changes: Changes::default(), gas_used: 0 }
    }

    /// Runs a transaction into the block, if it may be there and fits.
    pub(crate) fn include(&mut self, transaction: &Recovered<TxEnvelope>) -> Verdict {
        if transaction.gas_limit() > self.header.gas_limit - self.gas_used {
            return Verdict::NoRoom;
        }
        let Ok(done) = self.machine.transact(to_run(transaction)) else { return Verdict::Refused };
        self.gas_used += done.result.tx_gas_used();
        self.changes.absorb(&done.state);
        self.machine.commit(done.state);
        self.transactions.push(Included {
            transaction: transaction.inner().clone(),
            from: transaction.signer(),
            success: done.result.is_success(),
            cumulative_gas: self.gas_used,
            logs: match done.result {
                ExecutionResult::Success { logs, .. } => logs,
                ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => Vec::new(),
            },
        });
        Verdict::Included
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// The block, the state after it, what it changed, and what would take that back.
    pub(crate) fn seal(self, before: &World) -> Sealed {
        let mut world = before.clone();
        let undo = world.apply(&self.changes);
        let header = Header { state_root: world.root(), ..self.header };
        Sealed { block: Block::seal(header, self.transactions), world, changes: self.changes, undo }
    }
}

/// A finished block and the state that it leads to.
pub(crate) struct Sealed {
    pub(crate) block: Block,
    pub(crate) world: World,
    pub(crate) changes: Changes,
    pub(crate) undo: Changes,
}
