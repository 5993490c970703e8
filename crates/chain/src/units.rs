//! What must not be mixed up: addresses, hashes, two kinds of money, and time.

use std::fmt;
use std::str::FromStr;

use alloy::primitives as p;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// An account on a chain: a wallet or a contract.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub [u8; 20]);

/// Thirty-two bytes that name something: a block, a transaction, a root, a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

/// The network's own money, counted in its smallest part, of which a credit has 10¹⁸.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credits(#[serde(with = "as_text")] pub u128);

/// The chain's money, which pays for transactions, counted in its smallest part, of which an ether has 10¹⁸.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wei(#[serde(with = "as_text")] pub u128);

/// A moment as chains tell it: seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Address {
    /// Nobody: what contracts give for "none".
    pub const ZERO: Self = Self([0; 20]);

    pub(crate) fn alloy(self) -> p::Address {
        p::Address::from(self.0)
    }
}

impl Hash {
    /// What contracts give for "none".
    pub const ZERO: Self = Self([0; 32]);

    /// The Keccak-256 hash of some bytes, which is what contracts compute.
    pub fn of(bytes: &[u8]) -> Self {
        Self(p::keccak256(bytes).0)
    }

    pub(crate) fn alloy(self) -> p::B256 {
        p::B256::from(self.0)
    }
}

impl From<p::Address> for Address {
    fn from(address: p::Address) -> Self {
        Self(address.0.0)
    }
}

impl From<p::B256> for Hash {
    fn from(hash: p::B256) -> Self {
        Self(hash.0)
    }
}

impl Credits {
    /// So many whole credits.
    pub const fn whole(credits: u64) -> Self {
        Self(credits as u128 * WHOLE)
    }

    pub(crate) fn alloy(self) -> p::U256 {
        p::U256::from(self.0)
    }
}

impl Wei {
    /// A billionth of an ether, in which gas prices are told.
    pub const GWEI: Self = Self(1_000_000_000);

    /// So many whole ether.
    pub const fn ether(ether: u64) -> Self {
        Self(ether as u128 * WHOLE)
    }
}

const WHOLE: u128 = 1_000_000_000_000_000_000;
const DECIMALS: usize = 18;

/// Money as people write it: `12.5`, no more digits than it has.
fn decimal(amount: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let part = format!("{:0DECIMALS$}", amount % WHOLE);
    match part.trim_end_matches('0') {
        "" => write!(f, "{}", amount / WHOLE),
        part => write!(f, "{}.{part}", amount / WHOLE),
    }
}

/// The inverse of [`decimal`].
fn from_decimal(text: &str) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || part.len() > DECIMALS || !digits(whole) || !digits(part) {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u128 = format!("{part:0<DECIMALS$}").parse().ok()?;
    whole.checked_mul(WHOLE)?.checked_add(part)
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal(self.0, f)
    }
}

impl fmt::Display for Wei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal(self.0, f)
    }
}

impl fmt::Debug for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} credits")
    }
}

impl fmt::Debug for Wei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ether")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

impl FromStr for Credits {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        from_decimal(text).map(Self).ok_or_else(|| Error::NotAnAmount { text: text.to_owned() })
    }
}

impl FromStr for Wei {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        from_decimal(text).map(Self).ok_or_else(|| Error::NotAnAmount { text: text.to_owned() })
    }
}

/// With the capitals of EIP-55, which catch a mistyped letter.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.alloy().to_checksum(None))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.alloy())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = Error;

    /// An address in one case is taken as it is; one in both must have the capitals of EIP-55.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::NotAnAddress { text: text.chars().take(80).collect() };
        let digits = text.strip_prefix("0x").ok_or_else(wrong)?;
        let address: p::Address = text.parse().map_err(|_| wrong())?;
        let mixed = digits.bytes().any(|b| b.is_ascii_lowercase() && b.is_ascii_alphabetic())
            && digits.bytes().any(|b| b.is_ascii_uppercase());
        if mixed && address.to_checksum(None) != text {
            return Err(wrong());
        }
        Ok(address.into())
    }
}

impl FromStr for Hash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::NotAHash { text: text.chars().take(80).collect() };
        text.strip_prefix("0x").and_then(|_| text.parse::<p::B256>().ok()).map(Into::into).ok_or_else(wrong)
    }
}

/// As text for people and JSON, as bytes in binary files.
macro_rules! text_or_bytes {
    ($type:ty, $length:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; $length]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

text_or_bytes!(Address, 20);
text_or_bytes!(Hash, 32);

/// Amounts are text in JSON, whose numbers are too small for them.
mod as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(amount: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(amount)
        } else {
            amount.serialize(serializer)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            u128::deserialize(deserializer)
        }
    }
}

/// A number of a contract that must fit ours: one that does not is no number we ever wrote.
pub(crate) fn narrow(number: p::U256) -> u128 {
    u128::try_from(number).unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_reads_as_people_write_it() {
        for (text, amount) in [
            ("0", 0),
            ("1", WHOLE),
            ("12.5", 25 * WHOLE / 2),
            ("0.000000000000000001", 1),
            (".5", WHOLE / 2),
            ("3.", 3 * WHOLE),
        ] {
            assert_eq!(text.parse::<Credits>().unwrap(), Credits(amount), "{text}");
        }
        assert_eq!(Credits(25 * WHOLE / 2).to_string(), "12.5");
        assert_eq!(Wei(1).to_string(), "0.000000000000000001");
        for text in ["", ".", "-1", "1e3", "0.0000000000000000001", "1,5", "999999999999999999999999"] {
            assert!(text.parse::<Wei>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mistyped_address_is_caught() {
        let right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(right.parse::<Address>().unwrap().to_string(), right);
        assert!(right.to_lowercase().parse::<Address>().is_ok());
        assert!("0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse::<Address>().is_err());
        assert!(right[2..].parse::<Address>().is_err());
    }

    proptest! {
        #[test]
        fn amounts_and_names_come_back_from_text_and_bytes(amount: u128, name: [u8; 32], who: [u8; 20]) {
            prop_assert_eq!(Credits(amount).to_string().parse::<Credits>().unwrap(), Credits(amount));
            prop_assert_eq!(Hash(name).to_string().parse::<Hash>().unwrap(), Hash(name));
            prop_assert_eq!(Address(who).to_string().parse::<Address>().unwrap(), Address(who));
            let all = (Credits(amount), Hash(name), Address(who));
            let json = serde_json::to_string(&all).unwrap();
            prop_assert_eq!(serde_json::from_str::<(Credits, Hash, Address)>(&json).unwrap(), all);
            let bytes = postcard::to_stdvec(&all).unwrap();
            prop_assert_eq!(postcard::from_bytes::<(Credits, Hash, Address)>(&bytes).unwrap(), all);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            let _ = (text.parse::<Credits>(), text.parse::<Hash>(), text.parse::<Address>());
        }
    }
}
