//! The outbox's file: every intent, written down before anything is sent.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::OutboxError;
use super::intent::IntentId;
use super::machine::{MARKS, Record};
use crate::Address;

const INTENTS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("intents");
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
/// Changes when an older program could not read what is written.
const VERSION: u32 = 1;
/// The longest record: call data of a block's worth of gas is shorter.
const LIMIT_BYTES: usize = 4 << 20;

/// Whose outbox it is: a nonce means nothing on another chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) version: u32,
    pub(super) chain: u64,
    pub(super) wallet: Address,
    /// What tells this outbox's transactions from those of another one of the same wallet.
    pub(super) mark: u32,
}

pub(super) struct Store {
    file: Database,
}

/// What a file has, as it is written.
struct Had {
    about: Vec<u8>,
    records: Vec<Vec<u8>>,
}

impl About {
    pub(super) fn new(chain: u64, wallet: Address) -> Self {
        Self { version: VERSION, chain, wallet, mark: mark() }
    }
}

/// Random bits, fewer than [`MARKS`].
fn mark() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness, two nodes that race with the very same call count as one.
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes) % MARKS as u32
}

impl Store {
    /// Opens or makes the file. Only one process at a time can.
    pub(super) fn open(path: &Path, about: About) -> Result<(Self, Vec<Record>, About), OutboxError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| OutboxError::File { path: path.to_owned(), why: e.to_string() })?;
        }
        let file = Database::create(path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => OutboxError::InUse { path: path.to_owned() },
            other => OutboxError::File { path: path.to_owned(), why: other.to_string() },
        })?;
        Self::begin(file, about, path)
    }

    /// One that is gone with the process, for tests and networks that are too.
    pub(super) fn in_memory(about: About) -> Result<(Self, Vec<Record>, About), OutboxError> {
        let memory = redb::backends::InMemoryBackend::new();
        let path = Path::new("(memory)");
        let file = Database::builder()
            .create_with_backend(memory)
            .map_err(|e| OutboxError::File { path: path.to_owned(), why: e.to_string() })?;
        Self::begin(file, about, path)
    }

    fn begin(file: Database, about: About, path: &Path) -> Result<(Self, Vec<Record>, About), OutboxError> {
        let store = Self { file };
        let had = store.had().map_err(|e| OutboxError::File { path: path.to_owned(), why: e.to_string() })?;
        let damaged = || OutboxError::Damaged { path: path.to_owned() };
        let Some(Had { about: had, records }) = had else {
            store
                .put_about(about)
                .map_err(|e| OutboxError::File { path: path.to_owned(), why: e.to_string() })?;
            return Ok((store, Vec::new(), about));
        };
        let had: About = postcard::from_bytes(&had).map_err(|_| damaged())?;
        if (About { mark: about.mark, ..had }) != about {
            return Err(OutboxError::Other { path: path.to_owned(), chain: had.chain, wallet: had.wallet });
        }
        let records = records.iter().map(|bytes| decode(bytes)).collect::<Option<Vec<_>>>();
        Ok((store, records.ok_or_else(damaged)?, had))
    }

    fn had(&self) -> Result<Option<Had>, redb::Error> {
        let read = self.file.begin_read()?;
        let about = match read.open_table(ABOUT) {
            Ok(table) => table.get("about")?.map(|v| v.value().to_vec()),
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(other) => return Err(other.into()),
        };
        let Some(about) = about else { return Ok(None) };
        let mut records = Vec::new();
        for entry in read.open_table(INTENTS)?.iter()? {
            records.push(entry?.1.value().to_vec());
        }
        Ok(Some(Had { about, records }))
    }

    fn put_about(&self, about: About) -> Result<(), redb::Error> {
        let write = self.file.begin_write()?;
        let bytes = postcard::to_stdvec(&about).unwrap_or_default();
        write.open_table(ABOUT)?.insert("about", bytes.as_slice())?;
        write.open_table(INTENTS)?;
        write.commit()?;
        Ok(())
    }

    /// Writes and forgets, all or nothing; on return it is on disk.
    pub(super) fn write<'a>(
        &self,
        changes: impl IntoIterator<Item = (IntentId, Option<&'a Record>)>,
    ) -> Result<(), OutboxError> {
        let changes = changes
            .into_iter()
            .map(|(id, record)| {
                let bytes = record.map(postcard::to_stdvec).transpose().map_err(|_| OutboxError::TooLong)?;
                if bytes.as_ref().is_some_and(|b| b.len() > LIMIT_BYTES) {
                    return Err(OutboxError::TooLong);
                }
                Ok((id, bytes))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let written = || -> Result<(), redb::Error> {
            let write = self.file.begin_write()?;
            {
                let mut table = write.open_table(INTENTS)?;
                for (id, bytes) in &changes {
                    match bytes {
                        Some(bytes) => table.insert(id.0.0, bytes.as_slice())?,
                        None => table.remove(id.0.0)?,
                    };
                }
            }
            write.commit()?;
            Ok(())
        };
        written().map_err(|e| OutboxError::Write { why: e.to_string() })
    }
}

/// A record, if these bytes are one and nothing else.
fn decode(bytes: &[u8]) -> Option<Record> {
    if bytes.len() > LIMIT_BYTES {
        return None;
    }
    let (record, rest) = postcard::take_from_bytes::<Record>(bytes).ok()?;
    rest.is_empty().then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::{Intent, State};
    use proptest::prelude::*;

    fn record(byte: u8) -> Record {
        let intent = Intent::new(Address([byte; 20]), vec![byte; 3]);
        Record { intent, turn: u64::from(byte), state: State::Waiting, trouble: None }
    }

    #[test]
    fn what_was_written_is_there_again_and_for_nobody_else() {
        let folder = tempfile();
        let path = folder.join("outbox.redb");
        let about = About::new(7, Address([1; 20]));
        {
            let (store, records, first) = Store::open(&path, about).unwrap();
            assert!(records.is_empty());
            assert_eq!(first, about);
            let (one, two) = (record(1), record(2));
            store.write([(one.intent.id(), Some(&one)), (two.intent.id(), Some(&two))]).unwrap();
            store.write([(one.intent.id(), None)]).unwrap();
            assert!(matches!(Store::open(&path, about), Err(OutboxError::InUse { .. })));
        }
        assert!(matches!(
            Store::open(&path, About::new(8, Address([1; 20]))),
            Err(OutboxError::Other { chain: 7, .. })
        ));
        let (_, records, again) = Store::open(&path, About::new(7, Address([1; 20]))).unwrap();
        assert_eq!(again, about, "the mark stays");
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].intent, record(2).intent);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn another_file_is_refused() {
        let folder = tempfile();
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("outbox.redb");
        std::fs::write(&path, vec![7; 9000]).unwrap();
        assert!(Store::open(&path, About::new(1, Address::ZERO)).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_none(noise in proptest::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index) {
            let _ = decode(&noise);
            let mut bytes = postcard::to_stdvec(&record(9)).unwrap();
            let at = at.index(bytes.len());
            bytes.splice(at.., noise);
            let _ = decode(&bytes);
        }
    }

    fn tempfile() -> std::path::PathBuf {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::env::temp_dir().join(format!("starling-outbox-{}-{n}", std::process::id()))
    }
}
