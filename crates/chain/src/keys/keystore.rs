//! Web3 secret storage, version 3: one secp256k1 key in a JSON file, sealed by a passphrase.
//!
//! The format is Ethereum's own, so that a key made here opens in geth or a browser's wallet, and theirs open here. A file is
//! foreign bytes: what it asks for in memory and work is checked before any is spent.

use aes::cipher::{KeyIvInit, StreamCipher};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeyError;
use super::scrypt::scrypt;
use crate::Address;

/// The secret number behind a key pair; gone from memory when dropped.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// How hard guessing a passphrase is made: scrypt with 2ˣ blocks of 1 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// 128 MiB and about half a second a guess.
    Strong,
    /// For a key whose passphrase is empty: there is nothing to guess.
    None,
}

/// A file is at most so long: ours have 500 bytes.
const LIMIT_BYTES: usize = 64 << 10;
/// A file may ask for so much memory: geth's ask for 256 MiB.
const LIMIT_MEMORY: u64 = 1 << 30;
/// And for so many steps of scrypt's mixing or of PBKDF2: geth's ask for 262 144.
const LIMIT_WORK: u64 = 1 << 23;

#[derive(Serialize, Deserialize)]
struct File {
    version: u64,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    ciphertext: String,
    cipherparams: CipherParams,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

/// Those of scrypt or of PBKDF2; which of them must be there depends on `kdf`.
#[derive(Serialize, Deserialize, Default)]
struct KdfParams {
    dklen: u64,
    salt: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prf: Option<String>,
}

/// Seals a secret: the text of a keystore file.
pub(super) fn seal(
    secret: &Secret,
    address: Address,
    passphrase: &str,
    cost: Cost,
) -> Result<String, KeyError> {
    let log_n: u8 = match cost {
        Cost::Strong => 17,
        Cost::None => 1,
    };
    let (salt, iv, id) = (random::<32>()?, random::<16>()?, random::<16>()?);
    let kdfparams = KdfParams {
        dklen: 32,
        salt: hex(&salt),
        n: Some(1 << log_n),
        r: Some(8),
        p: Some(1),
        ..KdfParams::default()
    };
    let key = derive("scrypt", &kdfparams, passphrase)?;
    let mut ciphertext = **secret;
    cipher(&key, &iv)?.apply_keystream(&mut ciphertext);
    let file = File {
        version: 3,
        id: uuid(id),
        address: Some(hex(&address.0)),
        crypto: Crypto {
            cipher: "aes-128-ctr".to_owned(),
            mac: hex(&mac(&key, &ciphertext)),
            ciphertext: hex(&ciphertext),
            cipherparams: CipherParams { iv: hex(&iv) },
            kdf: "scrypt".to_owned(),
            kdfparams,
        },
    };
    serde_json::to_string_pretty(&file).map_err(|e| KeyError::NotAKeystore { why: e.to_string() })
}

/// Opens what [`seal`], geth, or any other wallet sealed.
pub(super) fn open(text: &[u8], passphrase: &str) -> Result<Secret, KeyError> {
    let bad = |why: &str| KeyError::NotAKeystore { why: why.to_owned() };
    if text.len() > LIMIT_BYTES {
        return Err(bad("it is longer than any keystore"));
    }
    let file: File = serde_json::from_slice(text).map_err(|e| bad(&e.to_string()))?;
    if file.version != 3 {
        return Err(bad("its version is not 3"));
    }
    let crypto = &file.crypto;
    if crypto.cipher != "aes-128-ctr" {
        return Err(bad("its cipher is not aes-128-ctr"));
    }
    let mut secret: Secret =
        Zeroizing::new(bytes(&crypto.ciphertext).ok_or_else(|| bad("its key is not 32 bytes"))?);
    let iv: [u8; 16] = bytes(&crypto.cipherparams.iv).ok_or_else(|| bad("its iv is not 16 bytes"))?;
    let told: [u8; 32] = bytes(&crypto.mac).ok_or_else(|| bad("its mac is not 32 bytes"))?;
    let key = derive(&crypto.kdf, &crypto.kdfparams, passphrase)?;
    // The file's owner compares; there is nobody to time it.
    if mac(&key, secret.as_slice()) != told {
        return Err(KeyError::WrongPassphrase);
    }
    cipher(&key, &iv)?.apply_keystream(secret.as_mut_slice());
    Ok(secret)
}

/// Whether the file was sealed with an empty passphrase by us: its key derivation costs nothing.
pub(super) fn needs_no_passphrase(text: &[u8]) -> bool {
    text.len() <= LIMIT_BYTES
        && serde_json::from_slice::<File>(text).is_ok_and(|file| file.crypto.kdfparams.n == Some(2))
}

/// The address a file says that it holds.
pub(super) fn address(text: &[u8]) -> Option<Address> {
    if text.len() > LIMIT_BYTES {
        return None;
    }
    bytes(&serde_json::from_slice::<File>(text).ok()?.address?).map(Address)
}

/// Thirty-two bytes from a passphrase, as slowly as the file says.
fn derive(kdf: &str, params: &KdfParams, passphrase: &str) -> Result<Secret, KeyError> {
    let bad = |why: &str| KeyError::NotAKeystore { why: why.to_owned() };
    let salt = unhex(&params.salt).ok_or_else(|| bad("its salt is not hexadecimal"))?;
    if params.dklen != 32 {
        return Err(bad("its derived key is not 32 bytes"));
    }
    let mut key = Zeroizing::new([0; 32]);
    match kdf {
        "scrypt" => {
            let (Some(n), Some(r), Some(p)) = (params.n, params.r, params.p) else {
                return Err(bad("its scrypt lacks n, r or p"));
            };
            let memory = n.checked_mul(r).and_then(|b| b.checked_mul(128));
            let work = n.checked_mul(r).and_then(|b| b.checked_mul(p));
            if !n.is_power_of_two() || n < 2 || r == 0 || p == 0 {
                return Err(bad("its scrypt has impossible parameters"));
            }
            if memory.is_none_or(|m| m > LIMIT_MEMORY) || work.is_none_or(|w| w > LIMIT_WORK) {
                return Err(KeyError::TooCostly);
            }
            scrypt(passphrase.as_bytes(), &salt, n as usize, r as usize, p as usize, &mut key)?;
        }
        "pbkdf2" => {
            let (Some(c), Some("hmac-sha256")) = (params.c, params.prf.as_deref()) else {
                return Err(bad("its pbkdf2 lacks c, or is not hmac-sha256"));
            };
            if c == 0 || c > LIMIT_WORK {
                return Err(KeyError::TooCostly);
            }
            pbkdf2::pbkdf2_hmac::<sha2::Sha256>(passphrase.as_bytes(), &salt, c as u32, key.as_mut_slice());
        }
        _ => return Err(bad("its key derivation is neither scrypt nor pbkdf2")),
    }
    Ok(key)
}

fn cipher(key: &Secret, iv: &[u8; 16]) -> Result<ctr::Ctr128BE<aes::Aes128>, KeyError> {
    ctr::Ctr128BE::new_from_slices(&key[..16], iv)
        .map_err(|_| KeyError::NotAKeystore { why: "its cipher has an impossible key".to_owned() })
}

fn mac(key: &Secret, ciphertext: &[u8]) -> [u8; 32] {
    crate::Hash::of(&[&key[16..], ciphertext].concat()).0
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
    Ok(bytes)
}

/// A random (version 4) UUID.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    alloy::hex::encode(bytes)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    alloy::hex::decode(text).ok()
}

/// Exactly `N` bytes, with or without `0x`.
pub(super) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The two examples of the format's own definition; both hold the same key under the same passphrase.
    const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt","kdfparams":{"dklen":32,
        "n":262144,"p":8,"r":1,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
        "mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,
        "dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
        "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

    #[test]
    fn other_wallets_keys_open() {
        for (name, text) in [("scrypt", SCRYPT), ("pbkdf2", PBKDF2)] {
            let secret = open(text.as_bytes(), "testpassword").unwrap();
            assert_eq!(
                hex(secret.as_slice()),
                "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d",
                "{name}"
            );
        }
    }

    #[test]
    fn ours_open_with_their_passphrase_only() {
        let secret = Zeroizing::new([7; 32]);
        for cost in [Cost::Strong, Cost::None] {
            let text = seal(&secret, Address([1; 20]), "a bird", cost).unwrap();
            assert_eq!(open(text.as_bytes(), "a bird").unwrap(), secret);
            assert!(matches!(open(text.as_bytes(), "a cat"), Err(KeyError::WrongPassphrase)));
        }
    }

    #[test]
    fn a_file_cannot_ask_for_the_machine() {
        for (from, to) in [
            (r#""n":262144"#, r#""n":1099511627776"#),
            (r#""n":262144"#, r#""n":9223372036854775808"#),
            (r#""p":8"#, r#""p":4294967295"#),
            (r#""r":1"#, r#""r":18446744073709551615"#),
            (r#""n":262144"#, r#""n":0"#),
            (r#""n":262144"#, r#""n":3"#),
            (r#""dklen":32"#, r#""dklen":4294967296"#),
        ] {
            assert!(SCRYPT.contains(from));
            let error = open(SCRYPT.replace(from, to).as_bytes(), "testpassword").unwrap_err();
            assert!(matches!(error, KeyError::TooCostly | KeyError::NotAKeystore { .. }), "{to}: {error}");
        }
        let endless = PBKDF2.replace(r#""c":262144"#, r#""c":1099511627776"#);
        assert!(matches!(open(endless.as_bytes(), "testpassword"), Err(KeyError::TooCostly)));
        assert!(open(&vec![b' '; LIMIT_BYTES + 1], "").is_err());
    }

    proptest! {
        /// Any bytes at all, and any bytes put somewhere into a real file.
        #[test]
        fn foreign_bytes_are_refused_and_nothing_else(noise in proptest::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index) {
            prop_assert!(open(&noise, "").is_err());
            let mut text = seal(&Zeroizing::new([9; 32]), Address::ZERO, "", Cost::None).unwrap().into_bytes();
            let at = at.index(text.len());
            let end = (at + noise.len()).min(text.len());
            text.splice(at..end, noise);
            let _ = open(&text, "");
        }
    }
}
