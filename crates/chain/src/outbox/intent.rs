//! What is to happen on a chain, once, and how far it has come.

use serde::{Deserialize, Serialize};

use crate::{Address, Hash, Time, Wei};

/// The name of an intent: what is to happen, and which time of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IntentId(pub Hash);

/// A call that is to be made on a chain, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The contract, or whom to pay.
    pub to: Address,
    /// What is called, and with what, as the contract reads it.
    pub data: Vec<u8>,
    /// What is paid along with it.
    pub value: Wei,
    /// Which time of several this is. The same call with the same word is the same intent, however often it is asked for.
    pub label: String,
    /// What must have happened before.
    pub after: Option<IntentId>,
}

/// What a transaction offers for a unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fees {
    /// At most.
    pub max: Wei,
    /// On top of what the block asks.
    pub tip: Wei,
}

/// A transaction that was signed for an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its name.
    pub hash: Hash,
    /// Its nonce.
    pub nonce: u64,
    /// What it offers.
    pub fees: Fees,
    /// Itself, as nodes take it.
    pub raw: Vec<u8>,
    /// When it was signed.
    pub at: Time,
}

/// Where a transaction stands on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The transaction.
    pub hash: Hash,
    /// The number of its block.
    pub block: u64,
    /// The name of its block.
    pub block_hash: Hash,
    /// Whether it did what it was to do; otherwise it cost gas and changed nothing.
    pub success: bool,
}

/// How far an intent has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// For its turn, for funds, or for what it comes after.
    Waiting,
    /// It has a nonce, and transactions that may have been sent.
    Placed {
        /// The nonce of all of them.
        nonce: u64,
        /// The most gas it may take.
        gas: u64,
        /// What was signed, the dearest last.
        attempts: Vec<Attempt>,
    },
    /// One of its transactions is in a block that may still vanish.
    Included {
        /// The nonce of all of them.
        nonce: u64,
        /// The most gas it may take.
        gas: u64,
        /// What was signed, the dearest last.
        attempts: Vec<Attempt>,
        /// Where it is.
        receipt: Receipt,
    },
    /// One of its transactions is in a block that will not vanish.
    Final {
        /// Where it is.
        receipt: Receipt,
    },
    /// It would have failed, so that nothing was sent. Putting it in again tries again.
    Refused {
        /// The contract's reason.
        why: String,
    },
}

/// What a wallet lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// What it must have for all that waits to go on.
    pub wanted: Wei,
    /// What it has.
    pub balance: Wei,
}

impl Intent {
    /// What filling a gap takes: that of a plain transfer.
    pub(super) const FILLER_GAS: u64 = 21_000;
    const FILLER: &str = "\u{0}filler";

    /// A call of a contract, or with no data a payment.
    pub fn new(to: Address, data: Vec<u8>) -> Self {
        Self { to, data, value: Wei(0), label: String::new(), after: None }
    }

    /// The same, paying so much along with it.
    pub fn paying(self, value: Wei) -> Self {
        Self { value, ..self }
    }

    /// The same call another time: each word names another intent.
    pub fn labelled(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// The same, not before another has succeeded.
    pub fn after(self, before: IntentId) -> Self {
        Self { after: Some(before), ..self }
    }

    /// The name of the intent.
    pub fn id(&self) -> IntentId {
        let mut bytes = b"starling intent".to_vec();
        bytes.extend(self.to.0);
        bytes.extend(self.value.0.to_be_bytes());
        bytes.extend((self.data.len() as u64).to_be_bytes());
        bytes.extend(&self.data);
        bytes.extend(self.label.as_bytes());
        IntentId(Hash::of(&bytes))
    }

    /// Something empty that spends a nonce; the outbox sends it to its own wallet.
    pub(super) fn filler(nonce: u64) -> Self {
        Self::new(Address::ZERO, Vec::new()).labelled(format!("{} {nonce}", Self::FILLER))
    }

    pub(super) fn is_filler(&self) -> bool {
        self.label.starts_with(Self::FILLER)
    }
}

impl Fees {
    pub(super) fn cost(self, gas: u64) -> u128 {
        self.max.0.saturating_mul(u128::from(gas))
    }

    /// An eighth more than before, which nodes ask of a replacement, or what the market asks if that is more.
    pub(super) fn raised(self, market: Self) -> Self {
        let more = |old: Wei| old.0.saturating_add(old.0 / 8).saturating_add(1);
        let max = Wei(more(self.max).max(market.max.0));
        Self { max, tip: Wei(more(self.tip).max(market.tip.0)).min(max) }
    }
}

impl State {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Final { .. } | Self::Refused { .. })
    }

    pub(super) fn nonce(&self) -> Option<u64> {
        match self {
            Self::Placed { nonce, .. } | Self::Included { nonce, .. } => Some(*nonce),
            _ => None,
        }
    }
}
