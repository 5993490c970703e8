//! Where the chain lies on disk: tables in one file, and beside it the newest steps (`redo.rs`), which the tables may not have yet.
//!
//! A step is a list of writes to tables. It is on the disk when the list is in the redo file; the tables follow in memory, where
//! readers see them at once, and are written through when that file is full. Opened after a crash, the tables are made to follow.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::consensus::{TxEnvelope, transaction::Recovered};
use alloy::eips::eip2718::{Decodable2718 as _, Encodable2718 as _};
use alloy::primitives::{Address, B256, Bloom, Bytes, U256};
use alloy_rlp::{Decodable as _, RlpDecodable, RlpEncodable};
use redb::backends::InMemoryBackend;
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use revm::bytecode::Bytecode;

use super::block::Block;
use super::error::EmbeddedError;
use super::pool::Waiting;
use super::redo::Redo;
use super::world::{Change, Changes, Info};

type Result<T> = std::result::Result<T, EmbeddedError>;

/// The chain's id, the version of this layout, and the number of the newest step that the tables have.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const LAYOUT: u64 = 2;
/// How many bytes of steps lie beside the tables at most: so much has to be done again after a crash.
const REDO_BYTES: usize = 4 << 20;

/// The other tables. Numbers in keys are big-endian, so that they lie in their order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum In {
    Blocks,
    /// Where to look for logs: the blooms of the blocks that have any.
    Blooms,
    /// Blocks' numbers by their hashes.
    Numbers,
    /// By its hash, a transaction's block and its place there.
    Transactions,
    Accounts,
    /// By the account's address, then the slot.
    Slots,
    Codes,
    /// What takes a block's changes back, for the newest blocks.
    Undo,
    /// Sender and bytes of what waits, in order of arrival.
    Pool,
}

impl In {
    const ALL: [In; 9] = [
        In::Blocks,
        In::Blooms,
        In::Numbers,
        In::Transactions,
        In::Accounts,
        In::Slots,
        In::Codes,
        In::Undo,
        In::Pool,
    ];

    fn table(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(match self {
            In::Blocks => "blocks",
            In::Blooms => "blooms",
            In::Numbers => "numbers",
            In::Transactions => "transactions",
            In::Accounts => "accounts",
            In::Slots => "slots",
            In::Codes => "codes",
            In::Undo => "undo",
            In::Pool => "pool",
        })
    }
}

/// The files.
#[derive(Debug)]
pub(crate) struct Store {
    file: Database,
    writer: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    /// The number of the newest step.
    last: u64,
    /// Nothing for a chain in memory.
    redo: Option<Redo>,
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

    fn writes(&self) -> Writes {
        let mut to = Writes::default();
        for (block, undo) in &self.dropped {
            let number = block.number().to_be_bytes();
            to.remove(In::Blocks, &number);
            to.remove(In::Blooms, &number);
            to.remove(In::Undo, &number);
            to.remove(In::Numbers, block.hash.as_slice());
            for included in &block.transactions {
                to.remove(In::Transactions, included.transaction.tx_hash().as_slice());
            }
            to.state(undo);
        }
        if let Some((block, changes, undo)) = &self.sealed {
            let number = block.number().to_be_bytes();
            to.insert(In::Blocks, &number, &block.encode());
            to.insert(In::Numbers, block.hash.as_slice(), &number);
            if !block.header.logs_bloom.is_zero() {
                to.insert(In::Blooms, &number, block.header.logs_bloom.as_slice());
            }
            for (index, included) in block.transactions.iter().enumerate() {
                let place = [number, (index as u64).to_be_bytes()].concat();
                to.insert(In::Transactions, included.transaction.tx_hash().as_slice(), &place);
            }
            to.insert(In::Undo, &number, &encode_undo(undo));
            to.state(changes);
        }
        if let Some(from) = self.forget {
            to.remove(In::Undo, &from.to_be_bytes());
        }
        for ticket in &self.left {
            to.remove(In::Pool, &ticket.to_be_bytes());
        }
        for Waiting { transaction, ticket } in &self.waiting {
            let mut bytes = transaction.signer().to_vec();
            transaction.inner().encode_2718(&mut bytes);
            to.insert(In::Pool, &ticket.to_be_bytes(), &bytes);
        }
        to
    }
}

/// What is done to tables, one write after the other, as bytes: the table, the key's length and the key, then the value's length
/// and the value, or that there is none any more.
#[derive(Default)]
struct Writes(Vec<u8>);

/// What stands for the length of a value that is taken out.
const NONE: u32 = u32::MAX;

impl Writes {
    fn insert(&mut self, table: In, key: &[u8], value: &[u8]) {
        self.write(table, key, value.len() as u32);
        self.0.extend(value);
    }

    fn remove(&mut self, table: In, key: &[u8]) {
        self.write(table, key, NONE);
    }

    fn write(&mut self, table: In, key: &[u8], length: u32) {
        self.0.extend([table as u8, key.len() as u8]);
        self.0.extend(key);
        self.0.extend(length.to_le_bytes());
    }

    fn state(&mut self, changes: &Changes) {
        for (address, Change { info, slots }) in &changes.accounts {
            match info {
                None => self.remove(In::Accounts, address.as_slice()),
                Some(info) => self.insert(In::Accounts, address.as_slice(), &alloy_rlp::encode(info)),
            }
            for (slot, value) in slots {
                let key = [address.as_slice(), &slot.to_be_bytes::<32>()].concat();
                if value.is_zero() {
                    self.remove(In::Slots, &key);
                } else {
                    self.insert(In::Slots, &key, &value.to_be_bytes::<32>());
                }
            }
        }
        for (hash, code) in &changes.codes {
            self.insert(In::Codes, hash.as_slice(), &code.original_bytes());
        }
    }
}

/// One of the writes at the beginning of some bytes: table, key, value; and what follows it.
type Write<'a> = (In, &'a [u8], Option<&'a [u8]>);

fn first_write(bytes: &[u8]) -> Option<(Write<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(2)?;
    let table = *In::ALL.get(usize::from(head[0]))?;
    let (key, rest) = rest.split_at_checked(usize::from(head[1]))?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    match u32::from_le_bytes(*length) {
        NONE => Some(((table, key, None), rest)),
        length => {
            let (value, rest) = rest.split_at_checked(length as usize)?;
            Some(((table, key, Some(value)), rest))
        }
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
    /// Opens the files in a folder, or makes them; without a folder, all is in memory.
    pub(crate) fn open(folder: Option<&Path>) -> Result<Store> {
        Store::with_room(folder, REDO_BYTES)
    }

    fn with_room(folder: Option<&Path>, room: usize) -> Result<Store> {
        let Some(folder) = folder else {
            let file = Database::builder().create_with_backend(InMemoryBackend::new())?;
            return Ok(Store { file, writer: Mutex::new(Writer { last: 0, redo: None }) });
        };
        let path = folder.join("chain.redb");
        let file = Database::create(&path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => EmbeddedError::Busy { path },
            other => other.into(),
        })?;
        let store = Store { file, writer: Mutex::new(Writer { last: 0, redo: None }) };
        let last = store.meta("step")?.unwrap_or_default();
        let path = folder.join("chain.redo");
        let (redo, steps) =
            Redo::open(&path, room).map_err(|source| EmbeddedError::Folder { path, source })?;
        let last = store.follow(last, &steps)?;
        *store.writer() = Writer { last, redo: Some(redo) };
        Ok(store)
    }

    /// Does the steps again that the tables do not have; gives the number of the newest that they have then.
    fn follow(&self, had: u64, steps: &[(u64, Vec<u8>)]) -> Result<u64> {
        let mut last = had;
        for (number, writes) in steps.iter().filter(|(number, _)| *number > had) {
            if *number != last + 1 {
                let what = format!("its tables end with step {last}, and the next that is known is {number}");
                return Err(damaged(what));
            }
            self.apply(*number, None, writes, Durability::None)?;
            last = *number;
        }
        if last > had {
            // The steps are written over from now on.
            let mut write = self.file.begin_write()?;
            write.set_quick_repair(true);
            write.commit()?;
        }
        Ok(last)
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the chain in the files, if there is one.
    pub(crate) fn chain_id(&self) -> Result<Option<u64>> {
        self.meta("chain id")
    }

    fn meta(&self, name: &str) -> Result<Option<u64>> {
        let read = self.file.begin_read()?;
        let meta = match read.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            meta => meta?,
        };
        let number = |name| Ok::<_, EmbeddedError>(meta.get(name)?.map(|v| v.value()));
        match number("layout")? {
            Some(LAYOUT) => number(name),
            other => Err(damaged(format!("its layout is {other:?}, and this program knows {LAYOUT}"))),
        }
    }

    /// Writes a step; when this returns, it is on the disk.
    pub(crate) fn commit(&self, step: &Step<'_>) -> Result<()> {
        let Writes(writes) = step.writes();
        let mut writer = self.writer();
        let number = writer.last + 1;
        match &mut writer.redo {
            Some(redo) if step.chain_id.is_none() && redo.fits(&writes) => {
                redo.append(number, &writes).map_err(redb::Error::from)?;
                self.apply(number, None, &writes, Durability::None)?;
            }
            redo => {
                self.apply(number, step.chain_id, &writes, Durability::Immediate)?;
                if let Some(redo) = redo {
                    redo.rewind();
                }
            }
        }
        writer.last = number;
        Ok(())
    }

    /// Has the tables follow a step, on the disk with all before it or in memory alone.
    fn apply(&self, number: u64, chain_id: Option<u64>, writes: &[u8], durability: Durability) -> Result<()> {
        let mut write = self.file.begin_write()?;
        write.set_durability(durability)?;
        // Opening after a crash must not have to walk over the whole file.
        write.set_quick_repair(matches!(durability, Durability::Immediate));
        {
            let mut meta = write.open_table(META)?;
            if let Some(chain_id) = chain_id {
                meta.insert("layout", LAYOUT)?;
                meta.insert("chain id", chain_id)?;
            }
            meta.insert("step", number)?;
            let mut tables = Vec::with_capacity(In::ALL.len());
            for table in In::ALL {
                tables.push(write.open_table(table.table())?);
            }
            let mut rest = writes;
            while !rest.is_empty() {
                let ((table, key, value), next) =
                    first_write(rest).ok_or_else(|| damaged(format!("step {number}")))?;
                let table = &mut tables[table as usize];
                match value {
                    Some(value) => _ = table.insert(key, value)?,
                    None => _ = table.remove(key)?,
                }
                rest = next;
            }
        }
        write.commit()?;
        Ok(())
    }

    fn read(&self, table: In) -> Result<ReadOnlyTable<&'static [u8], &'static [u8]>> {
        Ok(self.file.begin_read()?.open_table(table.table())?)
    }

    /// All of the state, and what waits.
    pub(crate) fn load(&self) -> Result<Stored> {
        let mut stored =
            Stored { accounts: Vec::new(), slots: Vec::new(), codes: Vec::new(), waiting: Vec::new() };
        for entry in self.read(In::Accounts)?.iter()? {
            let (address, info) = entry?;
            let address = Address::try_from(address.value()).map_err(|_| damaged("an address".to_owned()))?;
            let info =
                Info::decode(&mut info.value()).map_err(|why| damaged(format!("an account: {why}")))?;
            stored.accounts.push((address, info));
        }
        for entry in self.read(In::Slots)?.iter()? {
            let (key, value) = entry?;
            let slot = key.value().split_at_checked(20).and_then(|(address, slot)| {
                let word = |bytes: &[u8]| Some(U256::from_be_bytes(<[u8; 32]>::try_from(bytes).ok()?));
                Some((Address::from_slice(address), word(slot)?, word(value.value())?))
            });
            stored.slots.push(slot.ok_or_else(|| damaged("a slot".to_owned()))?);
        }
        for entry in self.read(In::Codes)?.iter()? {
            let (hash, code) = entry?;
            let hash = B256::try_from(hash.value()).map_err(|_| damaged("a code's hash".to_owned()))?;
            let code = Bytecode::new_raw_checked(Bytes::copy_from_slice(code.value()))
                .map_err(|why| damaged(format!("a contract's code: {why}")))?;
            stored.codes.push((hash, code));
        }
        for entry in self.read(In::Pool)?.iter()? {
            let (ticket, bytes) = entry?;
            let waiting = bytes.value().split_at_checked(20).and_then(|(from, mut raw)| {
                let transaction = TxEnvelope::decode_2718(&mut raw).ok()?;
                let transaction = Recovered::new_unchecked(transaction, Address::from_slice(from));
                Some(Waiting { transaction, ticket: number(ticket.value())? })
            });
            stored.waiting.push(waiting.ok_or_else(|| damaged("a transaction that waits".to_owned()))?);
        }
        Ok(stored)
    }

    /// The number of the newest block.
    pub(crate) fn newest(&self) -> Result<u64> {
        let blocks = self.read(In::Blocks)?;
        let newest = blocks.last()?.and_then(|(key, _)| number(key.value()));
        newest.ok_or_else(|| damaged("there is no block".to_owned()))
    }

    /// A block by its number.
    pub(crate) fn block(&self, number: u64) -> Result<Option<Arc<Block>>> {
        let bytes = self.read(In::Blocks)?.get(&number.to_be_bytes()[..])?;
        let block = bytes.map(|bytes| Block::decode(bytes.value())).transpose();
        Ok(block.map_err(|why| damaged(format!("block {number}: {why}")))?.map(Arc::new))
    }

    /// A block's hash.
    pub(crate) fn hash(&self, number: u64) -> Result<Option<B256>> {
        let bytes = self.read(In::Blocks)?.get(&number.to_be_bytes()[..])?;
        let hash = bytes.map(|bytes| Block::decode_hash(bytes.value())).transpose();
        hash.map_err(|why| damaged(format!("block {number}: {why}")))
    }

    /// What takes a block back, if it is still kept.
    pub(crate) fn undo(&self, number: u64) -> Result<Option<Changes>> {
        let bytes = self.read(In::Undo)?.get(&number.to_be_bytes()[..])?;
        let undo = bytes.map(|bytes| decode_undo(bytes.value())).transpose();
        undo.map_err(|why| damaged(format!("what takes block {number} back: {why}")))
    }

    /// The number of the block with this hash.
    pub(crate) fn number(&self, hash: &B256) -> Result<Option<u64>> {
        let found = self.read(In::Numbers)?.get(hash.as_slice())?;
        let known =
            |bytes: &[u8]| number(bytes).ok_or_else(|| damaged(format!("the number of block {hash}")));
        found.map(|bytes| known(bytes.value())).transpose()
    }

    /// The block that a transaction is in, and its place there.
    pub(crate) fn place(&self, hash: &B256) -> Result<Option<(u64, usize)>> {
        let found = self.read(In::Transactions)?.get(hash.as_slice())?;
        let known = |bytes: &[u8]| {
            let (block, index) = bytes.split_at_checked(8)?;
            Some((number(block)?, number(index)? as usize))
        };
        let known =
            |bytes: &[u8]| known(bytes).ok_or_else(|| damaged(format!("the place of transaction {hash}")));
        found.map(|bytes| known(bytes.value())).transpose()
    }

    /// The blocks between two whose bloom passes.
    pub(crate) fn search(&self, from: u64, to: u64, passes: impl Fn(Bloom) -> bool) -> Result<Vec<u64>> {
        let mut found = Vec::new();
        let (first, last) = (from.to_be_bytes(), to.to_be_bytes());
        for entry in self.read(In::Blooms)?.range(&first[..]..=&last[..])? {
            let (key, bloom) = entry?;
            let known = number(key.value()).zip(Bloom::try_from(bloom.value()).ok());
            let (number, bloom) = known.ok_or_else(|| damaged("a bloom".to_owned()))?;
            if passes(bloom) {
                found.push(number);
            }
        }
        Ok(found)
    }
}

/// A number in a key or a value.
fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Folder {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let (id, n) = (std::process::id(), COUNT.fetch_add(1, Relaxed));
            let path = std::env::temp_dir().join(format!("starling-store-{id}-{n}"));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn copy(&self, name: &str, to: &Folder) {
            std::fs::copy(self.0.join(name), to.0.join(name)).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A transaction in the pool stands for any write.
    fn step<'a>(waiting: &'a [Waiting], left: &[u64]) -> Step<'a> {
        Step { waiting: waiting.iter().collect(), left: left.to_vec(), ..Step::default() }
    }

    fn waiting(ticket: u64) -> Waiting {
        use alloy::consensus::{SignableTransaction as _, TxEip1559};
        let transaction = TxEip1559 { nonce: ticket, ..TxEip1559::default() };
        let signed = transaction.into_signed(alloy::primitives::Signature::test_signature());
        let from = Address::left_padding_from(&ticket.to_be_bytes());
        Waiting { transaction: Recovered::new_unchecked(signed.into(), from), ticket }
    }

    fn tickets(store: &Store) -> Vec<u64> {
        store.load().unwrap().waiting.iter().map(|w| w.ticket).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// The power fails: of the tables there is what was written through last, and of the redo file all that was acknowledged.
        /// If the last entry is torn, its step was not acknowledged; that one is gone, and no other.
        #[test]
        fn what_was_acknowledged_is_there_after_the_power_failed(
            steps in proptest::collection::vec((1_u64..4, 0_usize..3), 1..40),
            room in 200_usize..2000,
            torn in any::<prop::sample::Index>(),
        ) {
            let (folder, after, less) = (Folder::new(), Folder::new(), Folder::new());
            let store = Store::with_room(Some(&folder.0), room).unwrap();
            store.commit(&Step { chain_id: Some(7), ..Step::default() }).unwrap();
            folder.copy("chain.redb", &after);
            let at = || store.writer().redo.as_ref().unwrap().at;
            let (mut model, mut before, mut next) = (BTreeSet::new(), BTreeSet::new(), 0);
            let mut entry = 0..0;
            for (more, fewer) in steps {
                let new: Vec<Waiting> = (next..next + more).map(waiting).collect();
                let left: Vec<u64> = model.iter().copied().take(fewer).collect();
                before.clone_from(&model);
                model.retain(|ticket| !left.contains(ticket));
                model.extend(next..next + more);
                next += more;
                let start = at();
                store.commit(&step(&new, &left)).unwrap();
                entry = start..at();
                if entry.end == 0 {
                    folder.copy("chain.redb", &after);
                }
            }
            folder.copy("chain.redo", &after);
            if entry.end > 0 {
                after.copy("chain.redb", &less);
                let mut bytes = std::fs::read(after.0.join("chain.redo")).unwrap();
                bytes[entry.start + torn.index(entry.len())] ^= 1;
                std::fs::write(less.0.join("chain.redo"), bytes).unwrap();
                let opened = Store::with_room(Some(&less.0), room).unwrap();
                prop_assert_eq!(tickets(&opened), before.iter().copied().collect::<Vec<_>>());
            }
            let opened = Store::with_room(Some(&after.0), room).unwrap();
            prop_assert_eq!(opened.chain_id().unwrap(), Some(7));
            prop_assert_eq!(tickets(&opened), model.iter().copied().collect::<Vec<_>>());
            // It goes on from there, and is there again.
            opened.commit(&step(&[waiting(next)], &[])).unwrap();
            model.insert(next);
            drop(opened);
            let opened = Store::with_room(Some(&after.0), room).unwrap();
            prop_assert_eq!(tickets(&opened), model.iter().copied().collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_writes_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut rest = &bytes[..];
            while let Some((_, next)) = first_write(rest) {
                prop_assert!(next.len() < rest.len());
                rest = next;
            }
        }
    }
}
