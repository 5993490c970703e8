use super::*;
use crate::spec::math::{Fma, Soft, canon};

/// Random floats; with `specials`, some are zeros, subnormals, huge, infinite or NaN.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 24) as u32
    }

    pub(crate) fn float(&mut self, specials: bool) -> f32 {
        const SPECIALS: [f32; 12] = [
            0.0,
            -0.0,
            f32::MIN_POSITIVE,
            -1.0e-41,
            1.4e-45,
            f32::MAX,
            -f32::MAX,
            1.0e-30,
            f32::INFINITY,
            f32::NEG_INFINITY,
            crate::spec::math::NAN,
            3.0e19,
        ];
        if specials && self.bits().is_multiple_of(9) {
            // The last four are rare, lest all results be NaN.
            let range = if self.bits().is_multiple_of(32) { 12 } else { 8 };
            SPECIALS[self.bits() as usize % range]
        } else {
            self.bits() as i32 as f32 / 2_f32.powi(31)
        }
    }

    pub(crate) fn floats(&mut self, n: usize, specials: bool) -> Vec<f32> {
        (0..n).map(|_| self.float(specials)).collect()
    }
}

/// Scratch for each worker, with a guard after each part that nothing may touch.
pub(crate) struct Scratch(Vec<f32>, usize);

impl Scratch {
    const GUARD: f32 = 123.25;

    pub(crate) fn new(floats: usize, threads: usize) -> Self {
        Self(vec![Self::GUARD; (floats + 16) * threads], floats)
    }

    pub(crate) fn cx<'a>(&mut self, level: Level, pool: &'a Pool) -> Cx<'a> {
        Cx { level, pool, scratch: self.0.as_mut_ptr(), scratch_stride: self.1 + 16 }
    }

    pub(crate) fn check(&self) {
        for part in self.0.chunks(self.1 + 16) {
            assert!(part[self.1..].iter().all(|&x| x == Self::GUARD), "scratch overrun");
        }
    }
}

pub(crate) fn naive(
    m: usize,
    n: usize,
    k: usize,
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) -> Vec<f32> {
    let mut c = Vec::new();
    for i in 0..m {
        for j in 0..n {
            let block = |k0: usize| (k0..k.min(k0 + BLOCK)).fold(0.0, |s, p| Soft::fma(a(i, p), b(p, j), s));
            let first = block(0);
            c.push(canon((BLOCK..k).step_by(BLOCK).fold(first, |total, k0| total + block(k0))));
        }
    }
    c
}

fn check(batch: usize, m: usize, n: usize, k: usize, specials: bool) {
    let pools = [Pool::new(1), Pool::new(2)];
    let mut random = Random::new((m * 131 + n * 17 + k) as u64);
    for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
        let a = random.floats(batch * m * k, specials);
        let b = random.floats(batch * k * n, specials);
        let (ars, acs) = if ta { (1, m) } else { (k, 1) };
        let (brs, bcs) = if tb { (1, k) } else { (n, 1) };
        let mut want = Vec::new();
        for x in 0..batch {
            let at = |i, p| a[x * m * k + i * ars + p * acs];
            let bt = |p, j| b[x * k * n + p * brs + j * bcs];
            want.extend(naive(m, n, k, at, bt));
        }
        let ldc = n + 3;
        for level in Level::available() {
            for pool in &pools {
                let mut scratch = Scratch::new(scratch_floats(level, m, n, k), pool.threads());
                let mut c = vec![77.0_f32; batch * m * ldc];
                let am = Mat { ptr: a.as_ptr(), rs: ars, cs: acs };
                let bm = Mat { ptr: b.as_ptr(), rs: brs, cs: bcs };
                let cx = scratch.cx(level, pool);
                // SAFETY: the vectors have these sizes.
                unsafe { matmul(&cx, batch, m, n, k, am, m * k, bm, k * n, c.as_mut_ptr(), ldc, m * ldc) };
                scratch.check();
                for (row, want) in c.chunks(ldc).zip(want.chunks(n.max(1))) {
                    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    let what = format!("{level} {} {batch}x{m}x{n}x{k} {ta} {tb}", pool.threads());
                    assert_eq!(bits(&row[..n]), bits(want), "{what}");
                    assert_eq!(row[n..], [77.0; 3], "{what}");
                }
            }
        }
    }
}

#[test]
fn small_shapes() {
    for m in [0, 1, 2, 3, 5, 8, 9, 13, 14, 15, 29] {
        for n in [0, 1, 7, 8, 9, 16, 17, 31, 33, 50] {
            for k in [0, 1, 2, 17] {
                check(1, m, n, k, true);
            }
        }
    }
}

#[test]
fn primes_and_powers() {
    for (m, n, k) in [(61, 67, 71), (64, 64, 64), (113, 37, 16), (127, 131, 33), (257, 65, 31)] {
        check(1, m, n, k, false);
    }
}

#[test]
fn several_blocks_of_k() {
    for k in [511, 512, 513, 1023, 1024, 1025, 1537] {
        for (m, n) in [(1, 1), (1, 300), (3, 130), (8, 33), (15, 40)] {
            check(1, m, n, k, k % 2 == 1);
        }
    }
}

/// Several bands of A, several column blocks of B, strides of 4 KiB.
#[test]
fn packed() {
    check(1, 260, 150, 1024, true);
    check(1, 1024, 160, 40, false);
    check(1, 30, 1100, 70, false);
    check(1, 300, 1024, 5, false);
    check(1, 50, 100, 520, true);
}

/// B is larger than the second-level cache.
#[test]
fn few_rows_and_weights_from_afar() {
    check(1, 1, 1030, 1025, true);
    check(1, 3, 1300, 810, false);
}

#[test]
fn batches() {
    for batch in [0, 1, 2, 5, 40] {
        check(batch, 17, 19, 23, true);
        check(batch, 1, 64, 64, false);
    }
    check(3, 130, 70, 64, false);
}

#[test]
fn a_shared_matrix_has_stride_zero() {
    let mut random = Random::new(7);
    let (a, b) = (random.floats(4 * 6 * 5, false), random.floats(5 * 9, false));
    let pool = Pool::new(2);
    let mut scratch = Scratch::new(scratch_floats(Level::best(), 6, 9, 5), 2);
    let mut c = vec![0.0; 4 * 6 * 9];
    let am = Mat { ptr: a.as_ptr(), rs: 5, cs: 1 };
    let bm = Mat { ptr: b.as_ptr(), rs: 9, cs: 1 };
    // SAFETY: the vectors have these sizes.
    unsafe { matmul(&scratch.cx(Level::best(), &pool), 4, 6, 9, 5, am, 30, bm, 0, c.as_mut_ptr(), 9, 54) };
    assert_eq!(c, naive(24, 9, 5, |i, p| a[i * 5 + p], |p, j| b[p * 9 + j]));
}
