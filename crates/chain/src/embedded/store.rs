//! Where the chain lies on disk: one file, one durable transaction for each step of the sequencer.

use std::path::Path;
use std::sync::Arc;

use alloy::consensus::{TxEnvelope, transaction::Recovered};
use alloy::eips::eip2718::{Decodable2718 as _, Encodable2718 as _};
use alloy::primitives::{Address, B256, Bloom, Bytes, U256};
use alloy_rlp::{Decodable as _, RlpDecodable, RlpEncodable};
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use revm::bytecode::Bytecode;

use super::block::Block;
use super::error::EmbeddedError;
use super::pool::Waiting;
use super::world::{Change, Changes, Info};

type Result<T> = std::result::Result<T, EmbeddedError>;

/// The chain's id and the version of this layout.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
/// Where to look for logs: the blooms of the blocks that have any.
const BLOOMS: TableDefinition<'_, u64, &[u8; 256]> = TableDefinition::new("blooms");
const NUMBERS: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("numbers");
const TRANSACTIONS: TableDefinition<'_, &[u8; 32], (u64, u64)> = TableDefinition::new("transactions");
const ACCOUNTS: TableDefinition<'_, &[u8; 20], &[u8]> = TableDefinition::new("accounts");
/// The account's address, then the slot.
const SLOTS: TableDefinition<'_, &[u8; 52], &[u8; 32]> = TableDefinition::new("slots");
const CODES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("codes");
/// What takes a block's changes back, for the newest blocks.
const UNDO: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("undo");
/// Sender and bytes of what waits, in order of arrival.
const POOL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("pool");

const LAYOUT: u64 = 1;

/// The file.
#[derive(Debug)]
pub(crate) struct Store {
    file: Database,
}

/// What one step of the sequencer writes, all or nothing.
#[derive(Default)]
pub(crate) struct Step<'a> {
    /// Only with the first block.
    pub(crate) chain_id: Option<u64>,
    /// Blocks that are no more, the newest first, and what takes each back.
    pub(crate) dropped: Vec<(&'a Block, &'a Changes)>,
    /// A new block, its changes, and what takes them back.
    pub(crate) sealed: Option<(&'a Block, &'a Changes, &'a Changes)>,
    /// From here on no undo is kept.
    pub(crate) forget: Option<u64>,
    /// What waits now, in addition.
    pub(crate) waiting: Vec<&'a Waiting>,
    /// Tickets of what waits no more.
    pub(crate) left: Vec<u64>,
}

impl Step<'_> {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.sealed.is_none() && self.waiting.is_empty() && self.left.is_empty()
    }
}

/// The state as it was stored.
pub(crate) struct Stored {
    pub(crate) accounts: Vec<(Address, Info)>,
    pub(crate) slots: Vec<(Address, U256, U256)>,
    pub(crate) codes: Vec<(B256, Bytecode)>,
    pub(crate) waiting: Vec<Waiting>,
}

impl Store {
    /// Opens the file, or makes it; without a path, all is in memory.
    pub(crate) fn open(path: Option<&Path>) -> Result<Store> {
        let file = match path {
            None => Database::builder().create_with_backend(InMemoryBackend::new())?,
            Some(path) => Database::create(path).map_err(|error| match error {
                redb::DatabaseError::DatabaseAlreadyOpen => EmbeddedError::Busy { path: path.to_owned() },
                other => other.into(),
            })?,
        };
        Ok(Store { file })
    }

    /// The id of the chain in the file, if there is one.
    pub(crate) fn chain_id(&self) -> Result<Option<u64>> {
        let read = self.file.begin_read()?;
        let meta = match read.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            meta => meta?,
        };
        let number = |name| Ok::<_, EmbeddedError>(meta.get(name)?.map(|v| v.value()));
        match number("layout")? {
            Some(LAYOUT) => number("chain id"),
            other => Err(damaged(format!("its layout is {other:?}, and this program knows {LAYOUT}"))),
        }
    }

    /// Writes a step; when this returns, it is on the disk.
    pub(crate) fn commit(&self, step: &Step<'_>) -> Result<()> {
        let mut write = self.file.begin_write()?;
        // Opening after a crash must not have to walk over the whole file.
        write.set_quick_repair(true);
        if let Some(chain_id) = step.chain_id {
            let mut meta = write.open_table(META)?;
            meta.insert("layout", LAYOUT)?;
            meta.insert("chain id", chain_id)?;
        }
        {
            let mut blocks = write.open_table(BLOCKS)?;
            let mut blooms = write.open_table(BLOOMS)?;
            let mut numbers = write.open_table(NUMBERS)?;
            let mut transactions = write.open_table(TRANSACTIONS)?;
            let mut undos = write.open_table(UNDO)?;
            let mut state = StateTables {
                accounts: write.open_table(ACCOUNTS)?,
                slots: write.open_table(SLOTS)?,
                codes: write.open_table(CODES)?,
            };
            for (block, undo) in &step.dropped {
                blocks.remove(block.number())?;
                blooms.remove(block.number())?;
                undos.remove(block.number())?;
                numbers.remove(&block.hash.0)?;
                for included in &block.transactions {
                    transactions.remove(&included.transaction.tx_hash().0)?;
                }
                state.apply(undo)?;
            }
            if let Some((block, changes, undo)) = &step.sealed {
                let number = block.number();
                blocks.insert(number, block.encode().as_slice())?;
                numbers.insert(&block.hash.0, number)?;
                if !block.header.logs_bloom.is_zero() {
                    blooms.insert(number, &block.header.logs_bloom.0.0)?;
                }
                for (index, included) in block.transactions.iter().enumerate() {
                    transactions.insert(&included.transaction.tx_hash().0, (number, index as u64))?;
                }
                undos.insert(number, encode_undo(undo).as_slice())?;
                state.apply(changes)?;
            }
            if let Some(from) = step.forget {
                undos.remove(from)?;
            }
            let mut pool = write.open_table(POOL)?;
            for ticket in &step.left {
                pool.remove(ticket)?;
            }
            for Waiting { transaction, ticket } in &step.waiting {
                let mut bytes = transaction.signer().to_vec();
                transaction.inner().encode_2718(&mut bytes);
                pool.insert(ticket, bytes.as_slice())?;
            }
        }
        write.commit()?;
        Ok(())
    }

    /// All of the state, and what waits.
    pub(crate) fn load(&self) -> Result<Stored> {
        let read = self.file.begin_read()?;
        let mut stored =
            Stored { accounts: Vec::new(), slots: Vec::new(), codes: Vec::new(), waiting: Vec::new() };
        for entry in read.open_table(ACCOUNTS)?.iter()? {
            let (address, info) = entry?;
            let info =
                Info::decode(&mut info.value()).map_err(|why| damaged(format!("an account: {why}")))?;
            stored.accounts.push((Address::from(address.value()), info));
        }
        for entry in read.open_table(SLOTS)?.iter()? {
            let (key, value) = entry?;
            let (address, slot) = key.value().split_at(20);
            let (slot, value) = (U256::from_be_slice(slot), U256::from_be_bytes(*value.value()));
            stored.slots.push((Address::from_slice(address), slot, value));
        }
        for entry in read.open_table(CODES)?.iter()? {
            let (hash, code) = entry?;
            let code = Bytecode::new_raw_checked(Bytes::copy_from_slice(code.value()))
                .map_err(|why| damaged(format!("a contract's code: {why}")))?;
            stored.codes.push((B256::from(hash.value()), code));
        }
        for entry in read.open_table(POOL)?.iter()? {
            let (ticket, bytes) = entry?;
            let waiting = bytes.value().split_at_checked(20).and_then(|(from, mut raw)| {
                let transaction = TxEnvelope::decode_2718(&mut raw).ok()?;
                let transaction = Recovered::new_unchecked(transaction, Address::from_slice(from));
                Some(Waiting { transaction, ticket: ticket.value() })
            });
            stored.waiting.push(waiting.ok_or_else(|| damaged("a transaction that waits".to_owned()))?);
        }
        Ok(stored)
    }

    /// The number of the newest block.
    pub(crate) fn newest(&self) -> Result<u64> {
        let newest = self.file.begin_read()?.open_table(BLOCKS)?.last()?.map(|(number, _)| number.value());
        newest.ok_or_else(|| damaged("there is no block".to_owned()))
    }

    /// A block by its number.
    pub(crate) fn block(&self, number: u64) -> Result<Option<Arc<Block>>> {
        let bytes = self.file.begin_read()?.open_table(BLOCKS)?.get(number)?;
        let block = bytes.map(|bytes| Block::decode(bytes.value())).transpose();
        Ok(block.map_err(|why| damaged(format!("block {number}: {why}")))?.map(Arc::new))
    }

    /// A block's hash.
    pub(crate) fn hash(&self, number: u64) -> Result<Option<B256>> {
        let bytes = self.file.begin_read()?.open_table(BLOCKS)?.get(number)?;
        let hash = bytes.map(|bytes| Block::decode_hash(bytes.value())).transpose();
        hash.map_err(|why| damaged(format!("block {number}: {why}")))
    }

    /// What takes a block back, if it is still kept.
    pub(crate) fn undo(&self, number: u64) -> Result<Option<Changes>> {
        let bytes = self.file.begin_read()?.open_table(UNDO)?.get(number)?;
        let undo = bytes.map(|bytes| decode_undo(bytes.value())).transpose();
        undo.map_err(|why| damaged(format!("what takes block {number} back: {why}")))
    }

    /// The number of the block with this hash.
    pub(crate) fn number(&self, hash: &B256) -> Result<Option<u64>> {
        Ok(self.file.begin_read()?.open_table(NUMBERS)?.get(&hash.0)?.map(|number| number.value()))
    }

    /// The block that a transaction is in, and its place there.
    pub(crate) fn place(&self, hash: &B256) -> Result<Option<(u64, usize)>> {
        let place =
            self.file.begin_read()?.open_table(TRANSACTIONS)?.get(&hash.0)?.map(|place| place.value());
        Ok(place.map(|(number, index)| (number, index as usize)))
    }

    /// The blocks between two whose bloom passes.
    pub(crate) fn search(&self, from: u64, to: u64, passes: impl Fn(Bloom) -> bool) -> Result<Vec<u64>> {
        let mut found = Vec::new();
        for entry in self.file.begin_read()?.open_table(BLOOMS)?.range(from..=to)? {
            let (number, bloom) = entry?;
            if passes(Bloom::from(bloom.value())) {
                found.push(number.value());
            }
        }
        Ok(found)
    }
}

struct StateTables<'a> {
    accounts: redb::Table<'a, &'static [u8; 20], &'static [u8]>,
    slots: redb::Table<'a, &'static [u8; 52], &'static [u8; 32]>,
    codes: redb::Table<'a, &'static [u8; 32], &'static [u8]>,
}

impl StateTables<'_> {
    fn apply(&mut self, changes: &Changes) -> Result<()> {
        for (address, Change { info, slots }) in &changes.accounts {
            match info {
                None => _ = self.accounts.remove(&address.0.0)?,
                Some(info) => _ = self.accounts.insert(&address.0.0, alloy_rlp::encode(info).as_slice())?,
            }
            for (slot, value) in slots {
                let mut key = [0; 52];
                key[..20].copy_from_slice(address.as_slice());
                key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
                if value.is_zero() {
                    self.slots.remove(&key)?;
                } else {
                    self.slots.insert(&key, &value.to_be_bytes::<32>())?;
                }
            }
        }
        for (hash, code) in &changes.codes {
            self.codes.insert(&hash.0, code.original_bytes().as_ref())?;
        }
        Ok(())
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct StoredChange {
    address: Address,
    /// Nothing or one.
    info: Vec<Info>,
    slots: Vec<StoredSlot>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct StoredSlot {
    slot: U256,
    value: U256,
}

fn encode_undo(undo: &Changes) -> Vec<u8> {
    let changes = undo.accounts.iter().map(|(address, Change { info, slots })| StoredChange {
        address: *address,
        info: info.iter().copied().collect(),
        slots: slots.iter().map(|(slot, value)| StoredSlot { slot: *slot, value: *value }).collect(),
    });
    alloy_rlp::encode(changes.collect::<Vec<_>>())
}

fn decode_undo(mut bytes: &[u8]) -> std::result::Result<Changes, alloy_rlp::Error> {
    let stored = Vec::<StoredChange>::decode(&mut bytes)?;
    let accounts = stored.into_iter().map(|StoredChange { address, info, slots }| {
        let slots = slots.into_iter().map(|s| (s.slot, s.value)).collect();
        (address, Change { info: info.into_iter().next(), slots })
    });
    Ok(Changes { accounts: accounts.collect(), ..Changes::default() })
}

fn damaged(what: String) -> EmbeddedError {
    EmbeddedError::Damaged { what }
}
