//! Scrypt (RFC 7914), which turns a passphrase into a key slowly and in much memory.
//!
//! Written out here because other people's wallets ask for what the RFC forbids and libraries therefore refuse: 2¹⁸ blocks with r = 1,
//! as in the keystore format's own example and in everything `eth_account` writes.

use sha2::Sha256;
use zeroize::Zeroize;

use super::KeyError;

/// Thirty-two bytes. Whoever calls has checked that `n` is a power of two and that `128 n r` bytes are to be had.
pub(super) fn scrypt(
    passphrase: &[u8],
    salt: &[u8],
    n: usize,
    r: usize,
    p: usize,
    key: &mut [u8; 32],
) -> Result<(), KeyError> {
    let words = 32 * r;
    let mut memory = Vec::new();
    memory.try_reserve_exact(n * words).map_err(|_| KeyError::TooCostly)?;
    memory.resize(n * words, 0_u32);
    let mut blocks = vec![0_u8; p * words * 4];
    pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, salt, 1, &mut blocks);
    let (mut block, mut mixed) = (vec![0_u32; words], vec![0_u32; words]);
    for bytes in blocks.chunks_exact_mut(words * 4) {
        for (word, bytes) in block.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        for kept in memory.chunks_exact_mut(words) {
            kept.copy_from_slice(&block);
            mix(&block, &mut mixed);
            std::mem::swap(&mut block, &mut mixed);
        }
        for _ in 0..n {
            let at = block[words - 16] as usize & (n - 1);
            for (word, kept) in block.iter_mut().zip(&memory[at * words..]) {
                *word ^= kept;
            }
            mix(&block, &mut mixed);
            std::mem::swap(&mut block, &mut mixed);
        }
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(&block) {
            *bytes = word.to_le_bytes();
        }
    }
    pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, &blocks, 1, key);
    // The passphrase cannot be had from these, the key could.
    blocks.zeroize();
    Ok(())
}

/// `scryptBlockMix`: each chunk of 16 words is added to what came before and stirred; even ones go to the first half.
fn mix(block: &[u32], mixed: &mut [u32]) {
    let half = block.len() / 2;
    let mut x = [0_u32; 16];
    x.copy_from_slice(&block[block.len() - 16..]);
    for (i, chunk) in block.chunks_exact(16).enumerate() {
        for (x, word) in x.iter_mut().zip(chunk) {
            *x ^= word;
        }
        salsa20_8(&mut x);
        let to = i / 2 * 16 + if i % 2 == 0 { 0 } else { half };
        mixed[to..to + 16].copy_from_slice(&x);
    }
}

/// The Salsa20/8 core: four double rounds over columns and rows, added to where they began.
fn salsa20_8(x: &mut [u32; 16]) {
    const QUARTERS: [[usize; 4]; 8] = [
        [0, 4, 8, 12],
        [5, 9, 13, 1],
        [10, 14, 2, 6],
        [15, 3, 7, 11],
        [0, 1, 2, 3],
        [5, 6, 7, 4],
        [10, 11, 8, 9],
        [15, 12, 13, 14],
    ];
    let begin = *x;
    for _ in 0..4 {
        for [a, b, c, d] in QUARTERS {
            x[b] ^= x[a].wrapping_add(x[d]).rotate_left(7);
            x[c] ^= x[b].wrapping_add(x[a]).rotate_left(9);
            x[d] ^= x[c].wrapping_add(x[b]).rotate_left(13);
            x[a] ^= x[d].wrapping_add(x[c]).rotate_left(18);
        }
    }
    for (x, begin) in x.iter_mut().zip(begin) {
        *x = x.wrapping_add(begin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first halves of RFC 7914's examples.
    #[test]
    fn the_standards_examples() {
        for (passphrase, salt, n, r, p, wanted) in [
            ("", "", 16, 1, 1, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"),
            (
                "password",
                "NaCl",
                1024,
                8,
                16,
                "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162",
            ),
            (
                "pleaseletmein",
                "SodiumChloride",
                16384,
                8,
                1,
                "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2",
            ),
        ] {
            let mut key = [0; 32];
            scrypt(passphrase.as_bytes(), salt.as_bytes(), n, r, p, &mut key).unwrap();
            assert_eq!(alloy::hex::encode(key), wanted);
        }
    }
}
