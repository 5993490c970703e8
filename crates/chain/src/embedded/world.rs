//! The state: accounts, what they store, their code; at one block, and what a block changes in it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::{Encodable, RlpDecodable, RlpEncodable};
use alloy_trie::TrieAccount;
use revm::bytecode::Bytecode;
use revm::database_interface::DatabaseRef;
use revm::state::{AccountInfo, EvmState};

use super::trie::{Trie, Value};

/// What an account is, without what it stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct Info {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code_hash: B256,
}

impl Default for Info {
    fn default() -> Info {
        Info { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY }
    }
}

/// An account as it hangs in the trie.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) info: Info,
    pub(crate) storage: Trie<U256>,
}

impl Value for Account {
    fn encode(&self, out: &mut Vec<u8>) {
        let Info { nonce, balance, code_hash } = self.info;
        TrieAccount { nonce, balance, storage_root: self.storage.root(), code_hash }.encode(out);
    }
}

impl Value for U256 {
    fn encode(&self, out: &mut Vec<u8>) {
        Encodable::encode(self, out);
    }
}

/// The state at one block. A clone is cheap, and keeps what it was when the original changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    accounts: Trie<Account>,
    /// Named by their hashes, so all states may share one collection.
    codes: Arc<RwLock<HashMap<B256, Bytecode>>>,
}

impl World {
    /// An account, if there is one.
    pub(crate) fn account(&self, address: &Address) -> Option<&Account> {
        self.accounts.get(&keccak256(address))
    }

    /// What an account is; one that does not exist is empty.
    pub(crate) fn info(&self, address: &Address) -> Info {
        self.account(address).map(|account| account.info).unwrap_or_default()
    }

    /// What an account keeps in a slot.
    pub(crate) fn slot(&self, address: &Address, slot: U256) -> U256 {
        let account = self.account(address);
        account.and_then(|a| a.storage.get(&slot_key(slot))).copied().unwrap_or_default()
    }

    /// The code of this hash.
    pub(crate) fn code(&self, hash: &B256) -> Bytecode {
        self.codes.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned().unwrap_or_default()
    }

    /// Remembers a code.
    pub(crate) fn add_code(&self, hash: B256, code: Bytecode) {
        self.codes.write().unwrap_or_else(PoisonError::into_inner).insert(hash, code);
    }

    /// Puts an account in as it was stored.
    pub(crate) fn put(&mut self, address: &Address, account: Account) {
        self.accounts.insert(keccak256(address), account);
    }

    /// The root that commits to all of it.
    pub(crate) fn root(&self) -> B256 {
        self.accounts.root()
    }

    /// The nodes that prove an account.
    pub(crate) fn prove(&self, address: &Address) -> Vec<Bytes> {
        self.accounts.prove(&keccak256(address))
    }

    /// Applies changes, and gives those that take them back.
    pub(crate) fn apply(&mut self, changes: &Changes) -> Changes {
        let mut undo = Changes::default();
        for (hash, code) in &changes.codes {
            self.add_code(*hash, code.clone());
        }
        for (address, change) in &changes.accounts {
            let key = keccak256(address);
            let mut account = self.accounts.get(&key).cloned();
            let was = account.as_ref().map(|account| account.info);
            let slots = change.slots.keys().map(|slot| (*slot, self.slot(address, *slot)));
            undo.accounts.insert(*address, Change { info: was, slots: slots.collect() });
            match change.info {
                None => self.accounts.remove(&key),
                Some(info) => {
                    let mut account = account.take().unwrap_or_default();
                    account.info = info;
                    for (slot, value) in &change.slots {
                        let key = slot_key(*slot);
                        if value.is_zero() {
                            account.storage.remove(&key);
                        } else {
                            account.storage.insert(key, *value);
                        }
                    }
                    self.accounts.insert(key, account);
                }
            }
        }
        undo
    }
}

/// Where a slot hangs in the storage trie.
pub(crate) fn slot_key(slot: U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

/// What a block does to the state: the new values of all that it touched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) accounts: BTreeMap<Address, Change>,
    pub(crate) codes: HashMap<B256, Bytecode>,
}

/// An account's new values; without `info` it is gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) info: Option<Info>,
    /// Zero takes a slot out. Slots are taken out one by one even when the account goes: since only an account made in the
    /// same transaction can be destroyed (EIP-6780), one that goes stores nothing.
    pub(crate) slots: BTreeMap<U256, U256>,
}

impl Changes {
    /// Adds what a transaction did, over what earlier ones of the block did.
    pub(crate) fn absorb(&mut self, state: &EvmState) {
        for (address, account) in state {
            if !account.is_touched() {
                continue;
            }
            let change = self.accounts.entry(*address).or_default();
            if account.is_selfdestructed() || account.is_empty() {
                change.info = None;
                change.slots.values_mut().for_each(|value| *value = U256::ZERO);
                continue;
            }
            let AccountInfo { nonce, balance, code_hash, code, .. } = &account.info;
            change.info = Some(Info { nonce: *nonce, balance: *balance, code_hash: *code_hash });
            change
                .slots
                .extend(account.changed_storage_slots().map(|(slot, value)| (*slot, value.present_value)));
            if let Some(code) = code
                && !code.is_empty()
            {
                self.codes.entry(*code_hash).or_insert_with(|| code.clone());
            }
        }
    }
}

/// A state as the virtual machine reads it.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) world: World,
    /// The hashes of the newest blocks, for the opcode that asks for them, and the number of the first.
    pub(crate) hashes: Arc<[B256]>,
    pub(crate) first: u64,
}

impl DatabaseRef for Ground {
    type Error = std::convert::Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        Ok(self.world.account(&address).map(|account| {
            let Info { nonce, balance, code_hash } = account.info;
            AccountInfo { nonce, balance, code_hash, code: None, ..AccountInfo::default() }
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Self::Error> {
        Ok(self.world.code(&hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        Ok(self.world.slot(&address, slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        Ok(at.and_then(|at| self.hashes.get(at)).copied().unwrap_or_default())
    }
}
