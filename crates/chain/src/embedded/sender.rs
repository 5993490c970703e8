//! Who signed a transaction: the point of a chain's work that costs most, so it is done by the fastest library there is.

use std::sync::LazyLock;

use alloy::consensus::TxEnvelope;
use alloy::primitives::{Address, B256, Signature, U256, keccak256, uint};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Secp256k1, VerifyOnly};

/// Half of the curve's order. Of two signatures that differ in the sign of s, the one above is refused (EIP-2): each transaction would
/// have two hashes otherwise.
const HALF_ORDER: U256 = uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);

/// The sender, or nobody if the signature is none.
pub(crate) fn sender(transaction: &TxEnvelope) -> Option<Address> {
    recover(transaction.signature(), transaction.signature_hash())
}

fn recover(signature: &Signature, hash: B256) -> Option<Address> {
    static CURVE: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);
    if signature.s() > HALF_ORDER {
        return None;
    }
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    bytes[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let side = if signature.v() { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(&bytes, side).ok()?;
    let key = CURVE.recover_ecdsa(Message::from_digest(hash.0), &signature).ok()?;
    Some(Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::signers::SignerSync as _;
    use alloy::signers::local::PrivateKeySigner;
    use proptest::prelude::*;

    const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

    /// What alloy says, by another library.
    fn told(signature: &Signature, hash: B256) -> Option<Address> {
        alloy::consensus::crypto::secp256k1::recover_signer(signature, hash).ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_is_who_signed(key in any::<[u8; 32]>(), hash in any::<[u8; 32]>()) {
            let Ok(key) = PrivateKeySigner::from_slice(&key) else { return Ok(()) };
            let signature = key.sign_hash_sync(&hash.into()).unwrap();
            prop_assert_eq!(recover(&signature, hash.into()), Some(key.address()));
            // The same with s turned over is refused.
            let turned = Signature::new(signature.r(), ORDER - signature.s(), !signature.v());
            prop_assert_eq!(recover(&turned, hash.into()), None);
            prop_assert_eq!(told(&turned, hash.into()), None);
        }

        #[test]
        fn any_numbers_are_taken_as_elsewhere(r in any::<[u8; 32]>(), s in any::<[u8; 32]>(), v: bool, hash in any::<[u8; 32]>()) {
            let low = U256::from_be_bytes(s) >> 1;
            for (r, s) in [(U256::from_be_bytes(r), low), (U256::ZERO, low), (U256::from_be_bytes(r), U256::ZERO), (ORDER, low), (U256::from(1), HALF_ORDER), (U256::MAX, HALF_ORDER)] {
                let signature = Signature::new(r, s, v);
                prop_assert_eq!(recover(&signature, hash.into()), told(&signature, hash.into()));
            }
        }
    }
}
