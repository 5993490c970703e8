//! Numbers of every kind.

use super::choices::Stream;

/// Numbers where arithmetic has corners.
pub(crate) const SPECIALS: [u32; 40] = [
    0x0000_0000, // +0
    0x8000_0000, // -0
    0x3f80_0000, // 1
    0xbf80_0000, // -1
    0x7f80_0000, // inf
    0xff80_0000, // -inf
    0x7fc0_0000, // NaN
    0x0000_0001, // the smallest subnormal
    0x8000_0001,
    0x0040_0000, // a subnormal
    0x807f_ffff, // the greatest subnormal, negative
    0x0080_0000, // the smallest normal number
    0x8080_0000,
    0x0080_0001,
    0x7f7f_ffff, // the greatest number
    0xff7f_ffff,
    0x7f00_0000, // 2^127
    0x1f80_0000, // 2^-64: its square is a subnormal's neighbour
    0x2000_0000, // 2^-63
    0x9fc0_0000,
    0x5f80_0000, // 2^64: its square overflows
    0xdf80_0001,
    0x3f80_0001, // 1 + 2^-23
    0x3f7f_ffff, // 1 - 2^-24
    0xbf80_0001,
    0x3300_0000, // 2^-25: half of half an ulp of 1
    0x3380_0000, // 2^-24: a tie when added to 1
    0x3380_0001,
    0x4b00_0000, // 2^23
    0x4b00_0001,
    0x4b80_0000, // 2^24
    0xcb80_0001,
    0x42b1_7218, // 88.72..: e^x overflows hereabouts
    0x42b1_7217,
    0xc2ae_ac50, // -87.3..: e^x becomes subnormal
    0xc2cf_f1b5, // -103.97: e^x becomes 0
    0x47c3_5000, // 100000, where sin changes its way
    0x47c3_5001,
    0x4049_0fdb, // pi
    0x7149_f2ca, // 1e30
];

/// What a tensor is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Between -2 and 2, few bits, so that much is exact and ties are frequent.
    Plain,
    /// Between -2 and 2.
    Tame,
    /// Of every magnitude, with corner cases among them.
    Wild,
    /// Corner cases alone.
    Corners,
    /// Mostly tame, one corner case in 32.
    Spiked,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] = [Kind::Tame, Kind::Plain, Kind::Spiked, Kind::Wild, Kind::Corners];
}

/// `n` numbers by their bits.
pub(crate) fn floats(kind: Kind, seed: u64, n: usize) -> Vec<u32> {
    let mut s = Stream(seed);
    let mut one = || -> u32 {
        match kind {
            Kind::Plain => ((s.below(17) as f32 - 8.0) / 4.0).to_bits(),
            Kind::Tame => (s.even() * 2.0).to_bits(),
            Kind::Corners => s.pick(&SPECIALS),
            Kind::Spiked if s.one_in(32) => s.pick(&SPECIALS),
            Kind::Spiked => (s.even() * 4.0).to_bits(),
            Kind::Wild if s.one_in(8) => s.pick(&SPECIALS),
            Kind::Wild if s.one_in(2) => canonical(s.number() as u32),
            Kind::Wild => (s.even() * s.pick(&[1e-3, 1.0, 30.0, 1e4, 1e-38, 1e18])).to_bits(),
        }
    };
    (0..n).map(|_| one()).collect()
}

/// `n` integers from `low` to `high`, both included, the ends often.
pub(crate) fn ints(low: u32, high: u32, seed: u64, n: usize) -> Vec<u32> {
    let mut s = Stream(seed);
    let span = u64::from(high - low) + 1;
    let mut one = || match s.below(8) {
        0 => low,
        1 => high,
        _ => low + (s.number() % span) as u32,
    };
    (0..n).map(|_| one()).collect()
}

pub(crate) fn canonical(bits: u32) -> u32 {
    if f32::from_bits(bits).is_nan() { 0x7fc0_0000 } else { bits }
}
