//! Numbers of every kind, with weight on those at which arithmetic goes wrong.

/// Where arithmetic has corners. Both signs of each are tried.
const CORNERS: [u32; 36] = [
    0,
    1, // the smallest subnormal
    2,
    0x0040_0000, // a subnormal of one bit
    0x007f_ffff, // the greatest subnormal
    0x0080_0000, // the smallest normal number
    0x0080_0001,
    0x0c00_0000, // 2^-103
    0x1f80_0000, // 2^-64: its square is a subnormal's neighbour
    0x2000_0000,
    0x3300_0000, // 2^-25
    0x3380_0000, // 2^-24: a tie when added to 1
    0x3380_0001,
    0x3f20_0000, // 0.625, where tanh changes its way
    0x3f2a_aaab, // 2/3, where log does
    0x3f7f_ffff,
    0x3f80_0000, // 1
    0x3f80_0001,
    0x3fc9_0fdb, // pi/2
    0x4049_0fdb, // pi
    0x4118_0000, // 9.5, where tanh has become 1
    0x42ae_ac50, // 87.3: e^-x becomes subnormal
    0x42b1_7218, // 88.72: e^x overflows hereabouts
    0x42b1_999a, // 88.8, where exp's argument ends
    0x42cf_f1b5, // 103.97: e^-x becomes 0
    0x4316_0000, // 150, where the gates' ends
    0x47c3_5000, // 100000, where sin changes its way
    0x4b00_0000, // 2^23
    0x4b80_0000, // 2^24
    0x5f80_0000, // 2^64: its square overflows
    0x7f00_0000, // 2^127
    0x7f7f_ffff, // the greatest number
    0x7f80_0000, // inf
    0x7fc0_0000, // NaN
    0x7f80_0001, // NaNs that are never stored: whatever comes out is the one above
    0x7fff_ffff,
];

/// An endless stream of random numbers from one seed (`splitmix64`, by Steele, Lea and Flood).
pub(crate) struct Stream(pub(crate) u64);

impl Stream {
    pub(crate) fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 16) as u32
    }

    pub(crate) fn below(&mut self, n: u32) -> u32 {
        self.bits() % n.max(1)
    }

    /// A number of any kind.
    pub(crate) fn number(&mut self) -> u32 {
        let sign = self.bits() & 0x8000_0000;
        let magnitude = match self.below(8) {
            0 => self.corner(),
            // Near a corner.
            1 => self.corner().wrapping_add(self.below(7)).wrapping_sub(3) & 0x7fff_ffff,
            2 => self.bits() & 0x007f_ffff >> self.below(24), // a subnormal
            3 => (self.below(1 << 12) as f32 / 64.0).to_bits(), // few bits: ties, and exact results
            4 | 5 => (0x3f80_0000 + self.below(0x1000_0000)).wrapping_sub(0x0800_0000), // near 1
            _ => self.bits() & 0x7fff_ffff,
        };
        sign | magnitude
    }

    fn corner(&mut self) -> u32 {
        CORNERS[self.below(CORNERS.len() as u32) as usize]
    }

    /// The same number, or one a few units away.
    fn near(&mut self, x: u32) -> u32 {
        x.wrapping_add(self.below(5)).wrapping_sub(2)
    }

    /// Two terms: unrelated; all but cancelling; half a unit of one added to it, or nearly so; some way apart.
    pub(crate) fn terms(&mut self) -> [u32; 2] {
        let a = self.number();
        let b = match self.below(4) {
            0 => self.near(a ^ 0x8000_0000),
            1 => self.half_a_unit(a),
            2 => self.apart(a),
            _ => self.number(),
        };
        if self.below(2) == 0 { [a, b] } else { [b, a] }
    }

    /// Two factors: unrelated; whose product lies about where subnormals begin and end, or where numbers end.
    pub(crate) fn factors(&mut self) -> [u32; 2] {
        let a = self.number();
        let b = match self.below(4) {
            0 => self.with_exponent_to(a, &[-26, -25, -24, -23, -22, -1, 0, 1]),
            1 => self.with_exponent_to(a, &[252, 253, 254, 255, 256, 257]),
            _ => self.number(),
        };
        [a, b]
    }

    /// A dividend and a divisor: unrelated; with an exact quotient or next to one; at either end of the range.
    pub(crate) fn fraction(&mut self) -> [u32; 2] {
        let b = self.number();
        let a = match self.below(4) {
            0 => {
                let q = self.number() & 0xffff_f000;
                let exact = (f32::from_bits(b & 0xffff_f000) * f32::from_bits(q)).to_bits();
                return [self.near(exact), b & 0xffff_f000];
            }
            1 => {
                // The dividend's exponent is the quotient's and the divisor's.
                let quotient =
                    [-26, -25, -24, -23, -22, -1, 0, 1, 252, 253, 254, 255][self.below(12) as usize];
                let exponent = (quotient + (b >> 23 & 0xff) as i32 - 127).clamp(0, 254) as u32;
                self.bits() & 0x807f_ffff | exponent << 23
            }
            _ => self.number(),
        };
        [a, b]
    }

    /// Two factors and a term: the term unrelated; all but cancelling the product; half a unit of it, or the product half a unit
    /// of the term; some way apart; one factor zero and the term great.
    pub(crate) fn product_and_term(&mut self) -> [u32; 3] {
        let [a, b] = self.factors();
        // Of few bits every other time: then the product is a number, and half a unit just that, not nearly.
        let [a, b] = if self.below(2) == 0 { [a, b] } else { [a & 0xffff_f000, b & 0xffff_f000] };
        let product = (f32::from_bits(a) * f32::from_bits(b)).to_bits();
        match self.below(8) {
            0 | 1 => [a, b, self.near(product ^ 0x8000_0000)],
            2 => [a, b, self.half_a_unit(product)],
            3 | 4 => [a, b, self.apart(product)],
            5 => {
                // A term 24 places above the product, which is half a unit of it if it is a power of two.
                let exponent = ((product >> 23 & 0xff) + 24).min(254);
                let c = self.bits() & 0x807f_ffff | exponent << 23;
                if self.below(2) == 0 { [a & 0xff80_0000, b & 0xff80_0000, c] } else { [a, b, c] }
            }
            6 => [a & 0x8000_0000, b, self.number()],
            _ => [a, b, self.number()],
        }
    }

    /// A number just half a unit of x in its last place, or a little more or less.
    fn half_a_unit(&mut self, x: u32) -> u32 {
        let exponent = (x >> 23 & 0xff).saturating_sub(24);
        let half = x & 0x8000_0000 ^ self.bits() & 0x8000_0000 | exponent << 23;
        half.wrapping_add(self.below(3)).wrapping_sub(1)
    }

    /// A number some binary places from x, up or down.
    fn apart(&mut self, x: u32) -> u32 {
        let gap = self.below(160) as i32 - 80;
        let exponent = ((x >> 23 & 0xff) as i32 + gap).clamp(0, 254) as u32;
        self.bits() & 0x807f_ffff | exponent << 23
    }

    /// A number whose product with x has one of these biased exponents, or nearly.
    fn with_exponent_to(&mut self, x: u32, exponents: &[i32]) -> u32 {
        let wanted = exponents[self.below(exponents.len() as u32) as usize];
        let exponent = (wanted + 127 - (x >> 23 & 0xff) as i32).clamp(0, 254) as u32;
        self.bits() & 0x807f_ffff | exponent << 23
    }
}
