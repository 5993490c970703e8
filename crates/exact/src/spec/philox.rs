//! Random numbers: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, 2011), a function of a counter and a key.

/// Ten rounds of Philox4x32.
pub(crate) fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut a, mut b, mut c, mut d], [mut k, mut l]) = (counter, key);
    for _ in 0..10 {
        let p = u64::from(a) * 0xd251_1f53;
        let q = u64::from(c) * 0xcd9e_8d57;
        [a, b, c, d] = [(q >> 32) as u32 ^ b ^ k, q as u32, (p >> 32) as u32 ^ d ^ l, p as u32];
        k = k.wrapping_add(0x9e37_79b9);
        l = l.wrapping_add(0xbb67_ae85);
    }
    [a, b, c, d]
}

/// A number strictly between 0 and 1: the middle of one of 2^23 equal intervals, chosen by the high bits.
///
/// `((bits >> 9) + 1/2) 2^-23`. One bit more would not fit: the middle of the last interval would round to 1.
#[inline(always)]
pub(crate) fn unit(bits: u32) -> f32 {
    (bits >> 8 | 1) as f32 * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that come with Random123.
    #[test]
    fn known_answers() {
        let check = |counter, key, expected| assert_eq!(philox(counter, key), expected);
        check([0; 4], [0; 2], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        check([u32::MAX; 4], [u32::MAX; 2], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        check(
            [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
            [0xa4093822, 0x299f31d0],
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
        );
    }

    #[test]
    fn unit_is_exact_and_inside() {
        for bits in [0, 1, 255, 256, 511, 512, 0x7fff_ffff, 0x8000_0000, u32::MAX - 512, u32::MAX] {
            let exact = (f64::from(bits >> 9) + 0.5) / 8_388_608.0;
            assert_eq!(f64::from(unit(bits)), exact);
            assert!(exact > 0.0 && exact < 1.0);
        }
    }
}
