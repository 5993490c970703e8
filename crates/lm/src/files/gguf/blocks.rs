//! How GGUF packs numbers: blocks of 32 or 256 that share a scale, and what each number of a block is.

use crate::files::number::{from_bf16, from_f16};
use crate::weights::Bits;

/// How the numbers of a tensor are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(non_camel_case_types, reason = "these are their names")]
pub enum Packing {
    /// 32 bits each.
    F32,
    /// 16 bits each, half precision.
    F16,
    /// 16 bits each, the upper half of 32.
    BF16,
    /// 4 bits and a scale for 32: `d (q - 8)`.
    Q4_0,
    /// 4 bits, a scale and a least number for 32: `d q + m`.
    Q4_1,
    /// 5 bits and a scale for 32.
    Q5_0,
    /// 5 bits, a scale and a least number for 32.
    Q5_1,
    /// 8 bits and a scale for 32: `d q`.
    Q8_0,
    /// 4 bits; scales and least numbers of 6 bits for 32, whose scales are for 256.
    Q4_K,
    /// 5 bits, the rest as [`Packing::Q4_K`].
    Q5_K,
    /// 6 bits; scales of 8 bits for 16, whose scale is for 256.
    Q6_K,
}

impl Packing {
    /// All of them.
    pub const ALL: [Packing; 11] = [
        Packing::F32,
        Packing::F16,
        Packing::BF16,
        Packing::Q4_0,
        Packing::Q4_1,
        Packing::Q5_0,
        Packing::Q5_1,
        Packing::Q8_0,
        Packing::Q4_K,
        Packing::Q5_K,
        Packing::Q6_K,
    ];

    /// The packing of this number in a file.
    pub fn of_code(code: u32) -> Option<Packing> {
        Packing::ALL.into_iter().find(|packing| packing.code() == code)
    }

    /// Its number in a file.
    pub fn code(self) -> u32 {
        match self {
            Packing::F32 => 0,
            Packing::F16 => 1,
            Packing::Q4_0 => 2,
            Packing::Q4_1 => 3,
            Packing::Q5_0 => 6,
            Packing::Q5_1 => 7,
            Packing::Q8_0 => 8,
            Packing::Q4_K => 12,
            Packing::Q5_K => 13,
            Packing::Q6_K => 14,
            Packing::BF16 => 30,
        }
    }

    /// Numbers in a block.
    pub fn numbers(self) -> usize {
        match self {
            Packing::F32 | Packing::F16 | Packing::BF16 => 1,
            Packing::Q4_K | Packing::Q5_K | Packing::Q6_K => 256,
            _ => 32,
        }
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        match self {
            Packing::F32 => 4,
            Packing::F16 | Packing::BF16 => 2,
            Packing::Q4_0 => 2 + 16,
            Packing::Q4_1 => 4 + 16,
            Packing::Q5_0 => 2 + 4 + 16,
            Packing::Q5_1 => 4 + 4 + 16,
            Packing::Q8_0 => 2 + 32,
            Packing::Q4_K => 4 + 12 + 128,
            Packing::Q5_K => 4 + 12 + 32 + 128,
            Packing::Q6_K => 128 + 64 + 16 + 2,
        }
    }

    /// How blocks of this kind are kept as whole numbers with a scale and a shift for each group; nothing for numbers that are not in blocks.
    pub(crate) fn kept(self) -> Option<Bits> {
        let (bits, group) = match self {
            Packing::F32 | Packing::F16 | Packing::BF16 => return None,
            Packing::Q4_0 | Packing::Q4_1 | Packing::Q4_K => (4, 32),
            Packing::Q5_0 | Packing::Q5_1 | Packing::Q8_0 | Packing::Q5_K => (8, 32),
            Packing::Q6_K => (8, 16),
        };
        Some(Bits { bits, group })
    }

    /// Whole blocks as words of whole numbers `q`, the lowest first, and for each group the scale and the shift of `q scale + shift`, which
    /// rounded once is the number that [`Packing::unpack`] gives (the negative zero, of which there is none, aside). Nothing for
    /// numbers that are not in blocks.
    pub(crate) fn words(
        self,
        blocks: &[u8],
        words: &mut Vec<u32>,
        scale: &mut Vec<f32>,
        shift: &mut Vec<f32>,
    ) {
        let Some(how) = self.kept() else { return };
        let mut numbers = Vec::with_capacity(self.numbers());
        for b in blocks.chunks_exact(self.bytes()) {
            numbers.clear();
            let mut group = |s: f32, m: f32| {
                scale.push(s);
                // A shift of the negative zero could make a number of it.
                shift.push(m + 0.0);
            };
            match self {
                Packing::F32 | Packing::F16 | Packing::BF16 => {}
                Packing::Q4_0 => {
                    group(half(b), -8.0 * half(b));
                    numbers.extend(nibbles(&b[2..]));
                }
                Packing::Q4_1 => {
                    group(half(b), half(&b[2..]));
                    numbers.extend(nibbles(&b[4..]));
                }
                Packing::Q5_0 => {
                    group(half(b), -16.0 * half(b));
                    numbers.extend(fives(&b[2..]));
                }
                Packing::Q5_1 => {
                    group(half(b), half(&b[2..]));
                    numbers.extend(fives(&b[4..]));
                }
                Packing::Q8_0 => {
                    group(half(b), -128.0 * half(b));
                    // From -128..128 to 0..256.
                    numbers.extend(b[2..].iter().map(|q| q ^ 0x80));
                }
                Packing::Q4_K => k_groups(b, None, &b[16..], |s, m, q| {
                    group(s, -m);
                    numbers.extend(q);
                }),
                Packing::Q5_K => k_groups(b, Some(&b[16..48]), &b[48..], |s, m, q| {
                    group(s, -m);
                    numbers.extend(q);
                }),
                Packing::Q6_K => q6_groups(b, |s, q| {
                    group(s, -32.0 * s);
                    numbers.extend(q);
                }),
            }
            let word = |some: &[u8]| {
                let place = |(i, q): (usize, &u8)| u32::from(*q) << (i * usize::from(how.bits));
                some.iter().enumerate().map(place).sum::<u32>()
            };
            words.extend(numbers.chunks_exact(how.per()).map(word));
        }
    }

    /// The numbers of whole blocks, added to `out`. What is left of `blocks` after the last whole block is not looked at.
    pub fn unpack(self, blocks: &[u8], out: &mut Vec<f32>) {
        let blocks = blocks.chunks_exact(self.bytes());
        match self {
            Packing::F32 => out.extend(blocks.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            Packing::F16 => out.extend(blocks.map(half)),
            Packing::BF16 => out.extend(blocks.map(|b| from_bf16(u16::from_le_bytes([b[0], b[1]])))),
            Packing::Q4_0 => blocks.for_each(|b| {
                let d = half(b);
                out.extend(nibbles(&b[2..]).map(|q| d * (f32::from(q) - 8.0)));
            }),
            Packing::Q4_1 => blocks.for_each(|b| {
                let (d, m) = (half(b), half(&b[2..]));
                out.extend(nibbles(&b[4..]).map(|q| d * f32::from(q) + m));
            }),
            Packing::Q5_0 => blocks.for_each(|b| {
                let d = half(b);
                out.extend(fives(&b[2..]).map(|q| d * (f32::from(q) - 16.0)));
            }),
            Packing::Q5_1 => blocks.for_each(|b| {
                let (d, m) = (half(b), half(&b[2..]));
                out.extend(fives(&b[4..]).map(|q| d * f32::from(q) + m));
            }),
            Packing::Q8_0 => blocks.for_each(|b| {
                let d = half(b);
                out.extend(b[2..].iter().map(|q| d * f32::from(*q as i8)));
            }),
            Packing::Q4_K => blocks.for_each(|b| {
                k_groups(b, None, &b[16..], |s, m, q| out.extend(q.map(|q| s * f32::from(q) - m)));
            }),
            Packing::Q5_K => blocks.for_each(|b| {
                k_groups(b, Some(&b[16..48]), &b[48..], |s, m, q| {
                    out.extend(q.map(|q| s * f32::from(q) - m));
                });
            }),
            Packing::Q6_K => blocks.for_each(|b| {
                q6_groups(b, |s, q| out.extend(q.map(|q| s * (f32::from(q) - 32.0))));
            }),
        }
    }
}

/// The half-precision number that begins here.
fn half(bytes: &[u8]) -> f32 {
    from_f16(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// 32 numbers of 4 bits: the lower halves of 16 bytes, then the upper.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let bytes = &bytes[..16];
    bytes.iter().map(|b| b & 15).chain(bytes.iter().map(|b| b >> 4))
}

/// 32 numbers of 5 bits: their upper bits in four bytes, then the rest as above.
fn fives(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let high = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    (0..).zip(nibbles(&bytes[4..])).map(move |(i, q)| q | ((high >> i & 1) as u8) << 4)
}

/// A block of 256 in eight groups, each with its scale and its least number in 6 bits: shows scale, least number and whole numbers of each.
fn k_groups(block: &[u8], high: Option<&[u8]>, low: &[u8], mut each: impl FnMut(f32, f32, [u8; 32])) {
    let (d, least) = (half(block), half(&block[2..]));
    let packed = &block[4..16];
    for group in 0..8 {
        let (scale, m) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            let upper = packed[group + 4];
            (upper & 15 | packed[group - 4] >> 6 << 4, upper >> 4 | packed[group] >> 6 << 4)
        };
        // Two groups share 32 bytes: one has the lower halves, one the upper.
        let bytes = &low[group / 2 * 32..][..32];
        let number = |i: usize| {
            let q = if group % 2 == 0 { bytes[i] & 15 } else { bytes[i] >> 4 };
            high.map_or(q, |high| q | (high[i] >> group & 1) << 4)
        };
        each(d * f32::from(scale), least * f32::from(m), std::array::from_fn(number));
    }
}

/// A block of 256 in two halves, each of four times 32 numbers of 6 bits, with a scale for every 16: shows scale and whole numbers of each
/// of these.
fn q6_groups(block: &[u8], mut each: impl FnMut(f32, [u8; 16])) {
    let d = half(&block[208..]);
    for side in 0..2 {
        let (low, high) = (&block[64 * side..][..64], &block[128 + 32 * side..][..32]);
        let scales = &block[192 + 8 * side..][..8];
        for (group, scale) in scales.iter().enumerate() {
            let quarter = group / 2;
            let number = |i: usize| {
                let i = i + 16 * (group % 2);
                let byte = low[i + 32 * (quarter % 2)];
                let lower = if quarter < 2 { byte & 15 } else { byte >> 4 };
                lower | (high[i] >> (2 * quarter) & 3) << 4
            };
            each(d * f32::from(*scale as i8), std::array::from_fn(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One half, as bytes.
    const HALF: [u8; 2] = [0x00, 0x38];
    /// One, as bytes.
    const ONE: [u8; 2] = [0x00, 0x3c];

    fn unpack(packing: Packing, parts: &[&[u8]]) -> Vec<f32> {
        let block = parts.concat();
        assert_eq!(block.len(), packing.bytes());
        let mut out = Vec::new();
        packing.unpack(&block, &mut out);
        assert_eq!(out.len(), packing.numbers());
        out
    }

    #[test]
    fn blocks_are_what_their_names_say() {
        let q = unpack(Packing::Q4_0, &[&HALF, &[0x80; 16]]);
        assert_eq!((q[0], q[15], q[16], q[31]), (-4.0, -4.0, 0.0, 0.0));
        let q = unpack(Packing::Q4_1, &[&HALF, &ONE, &[0x2f; 16]]);
        assert_eq!((q[0], q[31]), (8.5, 2.0));
        let q = unpack(Packing::Q5_0, &[&ONE, &[1, 0, 0, 0x80], &[0x10; 16]]);
        assert_eq!((q[0], q[1], q[16], q[31]), (0.0, -16.0, -15.0, 1.0));
        let q = unpack(Packing::Q5_1, &[&ONE, &HALF, &[0, 0, 1, 0], &[0x30; 16]]);
        assert_eq!((q[0], q[16], q[17]), (0.5, 19.5, 3.5));
        let q = unpack(Packing::Q8_0, &[&HALF, &[0xff; 32]]);
        assert_eq!(q, vec![-0.5; 32]);
        // Group 0: scale 2, least 1; group 5: scale 0x13, least 0x21.
        let scales = [2, 0x40, 0, 0, 1, 0x80, 0, 0, 0, 0x13, 0, 0];
        let q = unpack(Packing::Q4_K, &[&ONE, &HALF, &scales, &[0x53; 128]]);
        assert_eq!((q[0], q[31], q[32]), (5.5, 5.5, 0.0));
        assert_eq!(q[5 * 32], 5.0 * 19.0 - 0.5 * 33.0);
        let q = unpack(Packing::Q5_K, &[&ONE, &HALF, &scales, &[0x21; 32], &[0x53; 128]]);
        assert_eq!((q[0], q[5 * 32]), (2.0 * 19.0 - 0.5, 21.0 * 19.0 - 16.5));
        let scales: Vec<u8> = (1..=16).collect();
        let q = unpack(Packing::Q6_K, &[&[0x21; 128], &[0b11_10_01_00; 64], &scales, &HALF]);
        assert_eq!((q[0], q[16], q[32], q[64], q[96]), (-15.5, -31.0, -22.5, 5.0, 63.0));
        assert_eq!(q[128], 9.0 * 0.5 * -31.0);
    }

    #[test]
    fn words_stand_for_the_numbers_of_their_blocks() {
        // Every byte as it comes, but for the exponents of halves, which are kept from infinity.
        let byte = |i: usize| (i * 167 + i * i * 31 + 7) as u8;
        for packing in Packing::ALL {
            let Some(how) = packing.kept() else { continue };
            let mut blocks: Vec<u8> = (0..64 * packing.bytes()).map(byte).collect();
            for block in blocks.chunks_exact_mut(packing.bytes()) {
                for at in if packing == Packing::Q6_K { [209, 209] } else { [1, 3] } {
                    block[at] &= 0xbf;
                }
            }
            let (mut numbers, mut words) = (Vec::new(), Vec::new());
            let (mut scale, mut shift) = (Vec::new(), Vec::new());
            packing.unpack(&blocks, &mut numbers);
            packing.words(&blocks, &mut words, &mut scale, &mut shift);
            assert_eq!((words.len(), scale.len()), (numbers.len() / how.per(), numbers.len() / how.group));
            for (i, number) in numbers.iter().enumerate() {
                let word = words[i / how.per()] >> (i % how.per() * usize::from(how.bits));
                let q = word & ((1 << how.bits) - 1);
                let stands_for = (q as f32).mul_add(scale[i / how.group], shift[i / how.group]);
                assert_eq!(stands_for.to_bits(), (number + 0.0).to_bits(), "{packing:?} {i}");
            }
        }
    }
}
