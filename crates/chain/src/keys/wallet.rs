//! What signs: the wallet, which may live elsewhere, and the peer key, which the network needs in hand.

use std::fmt;
use std::sync::Arc;

use alloy::consensus::SignableTransaction;
use alloy::network::TxSigner;
use alloy::primitives::Signature as Pair;
use alloy::signers::local::PrivateKeySigner;
use alloy::signers::{Signer, SignerSync};
use zeroize::Zeroizing;

use super::KeyError;
use crate::{Address, Hash};

/// A signature as contracts take it: r, s, and 27 or 28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub [u8; 65]);

/// Whoever can sign hashes, messages and transactions: any signer of alloy's.
trait Signs: Signer + TxSigner<Pair> + Send + Sync {}

impl<T: Signer + TxSigner<Pair> + Send + Sync> Signs for T {}

/// The key that owns and pays: in this process, in a hardware wallet, or far away.
#[derive(Clone)]
pub struct Wallet {
    signer: Arc<dyn Signs>,
    protected: bool,
}

impl Wallet {
    /// A wallet whose key is in this process.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, KeyError> {
        let signer = PrivateKeySigner::from_slice(secret).map_err(|_| KeyError::NotAKey)?;
        Ok(Self::foreign(signer))
    }

    /// A wallet behind any signer of alloy's: a Ledger, a Trezor, a key service. This is the one place where alloy shows.
    pub fn foreign(signer: impl Signer + TxSigner<Pair> + Send + Sync + 'static) -> Self {
        Self { signer: Arc::new(signer), protected: true }
    }

    /// Whose money it is.
    pub fn address(&self) -> Address {
        Signer::address(&*self.signer).into()
    }

    /// Signs a hash as it is, such as that of EIP-712 typed data. Hardware wallets refuse this.
    pub async fn sign_hash(&self, hash: Hash) -> Result<Signature, KeyError> {
        self.signer.sign_hash(&hash.alloy()).await.map(into_bytes).map_err(|e| refused(&e))
    }

    /// Signs a message as wallets show it to people (EIP-191).
    pub async fn sign_message(&self, message: &[u8]) -> Result<Signature, KeyError> {
        self.signer.sign_message(message).await.map(into_bytes).map_err(|e| refused(&e))
    }

    pub(crate) async fn sign_transaction(
        &self,
        transaction: &mut dyn SignableTransaction<Pair>,
    ) -> Result<Pair, KeyError> {
        self.signer.sign_transaction(transaction).await.map_err(|e| refused(&e))
    }

    /// Whether the key lies behind a passphrase or a device.
    pub fn is_protected(&self) -> bool {
        self.protected
    }

    pub(super) fn protected(self, protected: bool) -> Self {
        Self { protected, ..self }
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wallet").field(&self.address()).finish()
    }
}

fn refused(error: &alloy::signers::Error) -> KeyError {
    KeyError::Signer { why: error.to_string() }
}

fn into_bytes(signature: Pair) -> Signature {
    Signature(signature.as_bytes())
}

/// The key the network knows a node by.
#[derive(Clone)]
pub struct PeerKey(PrivateKeySigner);

impl PeerKey {
    /// The key with this secret number.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, KeyError> {
        PrivateKeySigner::from_slice(secret).map(Self).map_err(|_| KeyError::NotAKey)
    }

    /// The key in a keystore's text, of any wallet's making.
    pub fn from_keystore(text: &[u8], passphrase: &str) -> Result<Self, KeyError> {
        Self::from_secret(&*super::keystore::open(text, passphrase)?)
    }

    /// The secret number, which is what the network's layer makes its own key of.
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().0)
    }

    /// The public key, compressed: the form peers send each other.
    pub fn public(&self) -> [u8; 33] {
        let point = self.0.credential().verifying_key().to_encoded_point(true);
        point.as_bytes().try_into().unwrap_or([0; 33])
    }

    /// The two coordinates of the public key: the form contracts take.
    pub fn coordinates(&self) -> [u8; 64] {
        self.0.public_key().0
    }

    /// The address that a contract recovers from its signatures.
    pub fn address(&self) -> Address {
        self.0.address().into()
    }

    /// Signs a hash as it is.
    pub fn sign(&self, hash: Hash) -> Result<Signature, KeyError> {
        self.0.sign_hash_sync(&hash.alloy()).map(into_bytes).map_err(|e| refused(&e))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerKey").field(&self.address()).finish()
    }
}
