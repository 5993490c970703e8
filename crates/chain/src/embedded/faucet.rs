//! The account that gives new ones something to begin with.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use alloy::consensus::{SignableTransaction as _, TxEip1559, TxEnvelope, transaction::Recovered};
use alloy::primitives::{Address, B256, TxKind, U256, keccak256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;

use super::error::EmbeddedError;
use super::execute::next_base_fee;
use super::rpc::Rpc;
use super::sequencer::Refusal;

const KEY_FILE: &str = "faucet.key";

/// The account and its key.
#[derive(Debug)]
pub(crate) struct Faucet {
    key: PrivateKeySigner,
    /// One payment at a time, so that each takes the nonce after the last one's.
    turn: tokio::sync::Mutex<()>,
}

impl Faucet {
    /// The faucet of a chain in memory.
    pub(crate) fn known() -> Option<Faucet> {
        Some(Faucet::new(PrivateKeySigner::from_bytes(&keccak256("the faucet of a chain in memory")).ok()?))
    }

    /// The faucet whose key is in this folder; a new one if the folder holds no chain yet, none if the key is lost.
    pub(crate) fn in_folder(folder: &Path, begun: bool) -> Result<Option<Faucet>, EmbeddedError> {
        let path = folder.join(KEY_FILE);
        let failed = |source| EmbeddedError::Folder { path: path.clone(), source };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let key = text.trim().parse::<PrivateKeySigner>();
                let not_a_key =
                    |_| EmbeddedError::Damaged { what: format!("{} holds no key", path.display()) };
                Ok(Some(Faucet::new(key.map_err(not_a_key)?)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if begun {
                    return Ok(None);
                }
                let key = PrivateKeySigner::random();
                let mut options = std::fs::OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let mut file = options.open(&path).map_err(failed)?;
                writeln!(file, "{}", key.to_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
                Ok(Some(Faucet::new(key)))
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn new(key: PrivateKeySigner) -> Faucet {
        Faucet { key, turn: tokio::sync::Mutex::default() }
    }

    /// Its address.
    pub(crate) fn address(&self) -> Address {
        self.key.address()
    }

    /// Sends an account some wei.
    pub(crate) async fn pay(&self, rpc: &Rpc, to: Address, wei: u128) -> Result<B256, EmbeddedError> {
        let _turn = self.turn.lock().await;
        let shared = rpc.shared();
        let view = shared.view();
        let tip = view.tip();
        let fee = u128::from(next_base_fee(&tip.block.header));
        let state = tip.world.info(&self.address()).nonce;
        let transaction = TxEip1559 {
            chain_id: shared.chain_id,
            nonce: shared.pool().next_nonce(&self.address(), state),
            // A contract may want more than a transfer to receive money.
            gas_limit: 100_000,
            max_fee_per_gas: 2 * fee + 1,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(to),
            value: U256::from(wei),
            ..TxEip1559::default()
        };
        let failed = |why: String| EmbeddedError::Faucet { why };
        let signature =
            self.key.sign_hash_sync(&transaction.signature_hash()).map_err(|why| failed(why.to_string()))?;
        let signed = TxEnvelope::from(transaction.into_signed(signature));
        let sent = rpc.submit(Recovered::new_unchecked(signed, self.address())).await;
        sent.map_err(|why| match why {
            Refusal::Stopped(why) => EmbeddedError::Stopped { why },
            Refusal::Rejected(why) => failed(why.to_string()),
        })
    }
}

/// What the faucet gives to strangers who ask by `starling_fund`: it must end somewhere, whoever asks how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Giving {
    /// What an address is given, once.
    pub each: u128,
    /// What all together are given, until the chain is started again.
    pub all: u128,
}

/// Who was given something.
#[derive(Debug)]
pub(crate) struct Given {
    giving: Giving,
    to: Mutex<BTreeSet<Address>>,
}

impl Given {
    pub(crate) fn new(giving: Giving) -> Given {
        Given { giving, to: Mutex::default() }
    }

    /// What an address is to be given now; or why nothing. Of two who ask for one address at once, one is told so.
    pub(crate) fn take(&self, who: Address) -> Result<u128, &'static str> {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let Giving { each, all } = self.giving;
        let given = each.saturating_mul(to.len() as u128);
        if to.contains(&who) {
            return Err("this address was given what it may have");
        }
        if each == 0 || given.saturating_add(each) > all {
            return Err("all was given that may be: ask the chain's owner");
        }
        to.insert(who);
        Ok(each)
    }

    /// It was not given after all.
    pub(crate) fn put_back(&self, who: &Address) {
        self.to.lock().unwrap_or_else(PoisonError::into_inner).remove(who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_ends_somewhere() {
        let given = Given::new(Giving { each: 10, all: 25 });
        let who = Address::repeat_byte;
        assert_eq!(given.take(who(1)), Ok(10));
        assert!(given.take(who(1)).unwrap_err().contains("was given"));
        assert_eq!(given.take(who(2)), Ok(10));
        assert!(given.take(who(3)).unwrap_err().contains("owner"), "five are left, and that is too little");
        given.put_back(&who(2));
        assert_eq!(given.take(who(3)), Ok(10));
        assert!(Given::new(Giving { each: 0, all: 25 }).take(who(1)).is_err());
    }
}
