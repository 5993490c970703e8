//! The product with a matrix that is kept in 4 or 8 bits a number.
//!
//! What comes from memory are the packed words: for few rows, a fraction of the time. They are unpacked in registers, or for many
//! rows a block at a time into scratch that the tiles of any other product then read; either way the bits are those of
//! unpacking the matrix whole.

use super::few::{self, Few, Scales, Words};
use super::serial::{add_row, split};
use super::tile::{self, Mode, Tile};
use super::{BLOCK, Cx};
use crate::cpu::lanes::kernel;
use crate::cpu::{Level, Shared};
use crate::device::View;
use crate::spec::math::canon;

/// Floats of C that a product of few rows works on at a time: they stay in the first-level cache.
const SUMS: usize = 4096;

/// A matrix `[k, n]` of packed numbers.
#[derive(Clone, Copy)]
pub(crate) struct Packed {
    bits: u8,
    k: usize,
    n: usize,
    /// Words of a column that share a scale.
    group: usize,
    words: Shared<u32>,
    scale: Shared<f32>,
    shift: Shared<f32>,
}

/// The other operand and the result: `a[m, k]` and `c[m, n]`, and the columns of C that are wanted.
#[derive(Clone, Copy)]
struct Rows {
    m: usize,
    a: *const f32,
    c: *mut f32,
    from: usize,
    to: usize,
}

/// Scratch floats that each worker needs for a product with `m` rows.
pub(crate) fn scratch_floats(level: Level, m: usize) -> usize {
    if m <= few::kernels(level).len() { SUMS } else { BLOCK * tile::kernels(level).columns() }
}

kernel! {
    /// `to[p, j] = q scale[j] + shift[j]` for the `per` numbers q of each word of one row of `n` words, in rows `ld` apart.
    ///
    /// Safety: all is there, `to` apart from the rest.
    unsafe fn unpack_row<F>(
        bits: u32,
        n: usize,
        words: *const u32,
        scale: *const f32,
        shift: *const f32,
        to: *mut f32,
        ld: usize,
    ) {
        for p in 0..32 / bits {
            let (place, mask) = (p * bits, (1u32 << bits) - 1);
            // SAFETY: the caller's promise.
            unsafe {
                let to = to.add(p as usize * ld);
                for j in 0..n {
                    let q = (*words.add(j) >> place & mask) as i32 as f32;
                    *to.add(j) = canon(F::fma(q, *scale.add(j), *shift.add(j)));
                }
            }
        }
    }
}

impl Packed {
    /// The matrix that views of its words, scales and shifts describe.
    pub(crate) fn new(bits: u8, x: &[View]) -> Packed {
        let (rows, groups) = (x[0].dim(0), x[1].dim(0));
        Packed {
            bits,
            k: rows * (32 / usize::from(bits)),
            n: x[0].dim(1),
            group: rows / groups.max(1),
            words: Shared(x[0].ptr),
            scale: Shared(x[1].f32()),
            shift: Shared(x[2].f32()),
        }
    }

    /// Numbers to a word.
    fn per(&self) -> usize {
        32 / usize::from(self.bits)
    }

    /// The words of a row of words from column `j` on, and their scales.
    unsafe fn row(&self, row: usize, j: usize) -> (*const u32, Scales) {
        let scales = row / self.group * self.n + j;
        // SAFETY: the caller keeps to the matrix.
        unsafe {
            let (scale, shift) = (self.scale.at(scales), self.shift.at(scales));
            (self.words.at(row * self.n + j), Scales { scale, shift })
        }
    }

    /// The whole matrix.
    ///
    /// # Safety
    /// `y` must hold it, apart from the operands; the machine must have the level of `cx`.
    pub(crate) unsafe fn unpack(&self, cx: &Cx, y: *mut f32) {
        let (rows, y) = (self.k / self.per(), Shared(y));
        let tasks = (self.k * self.n).div_ceil(32 << 10).min(rows);
        cx.pool.run(tasks, &|task, _| {
            for row in split(rows, tasks, task)..split(rows, tasks, task + 1) {
                // SAFETY: each task writes rows of its own.
                unsafe {
                    let (words, Scales { scale, shift }) = self.row(row, 0);
                    let to = y.at(row * self.per() * self.n);
                    unpack_row(cx.level, self.bits.into(), self.n, words, scale, shift, to, self.n);
                }
            }
        });
    }

    /// `c = a w` for `a[m, k]`.
    ///
    /// # Safety
    /// `a` and `c` must be there, `c` apart from everything else; scratch as [`scratch_floats`] says.
    pub(crate) unsafe fn matmul(&self, cx: &Cx, m: usize, a: *const f32, c: *mut f32) {
        if m == 0 || self.n == 0 {
            return;
        }
        if self.k == 0 {
            // SAFETY: C holds so many floats. There are no scales to read.
            return unsafe { c.write_bytes(0, m * self.n) };
        }
        let few = few::kernels(cx.level).get(m - 1);
        let width = few.map_or(tile::kernels(cx.level).columns(), Few::columns);
        let panels = self.n.div_ceil(width);
        // A few for each thread, so that they end together.
        let tasks = if cx.pool.threads() == 1 { 1 } else { panels.min(4 * cx.pool.threads()) };
        let (a, c) = (Shared(a.cast_mut()), Shared(c));
        cx.pool.run(tasks, &|task, worker| {
            let [from, to] = [task, task + 1].map(|task| (split(panels, tasks, task) * width).min(self.n));
            // SAFETY: each task writes columns of its own and has its worker's scratch; the rest is the caller's promise.
            unsafe {
                let rows = Rows { m, a: a.at(0), c: c.at(0), from, to };
                match few {
                    Some(few) => self.few_rows(few, rows, cx.scratch(worker)),
                    None => self.many_rows(cx.level, rows, cx.scratch(worker)),
                }
            }
        });
    }

    /// Unpacks a block of some columns once for all rows.
    unsafe fn many_rows(&self, level: Level, rows: Rows, scratch: *mut f32) {
        let kernels = tile::kernels(level);
        let (ld, per) = (kernels.columns(), self.per());
        let unpack = few::unpacking(level, self.bits);
        for j in (rows.from..rows.to).step_by(ld) {
            let columns = ld.min(rows.to - j);
            for k0 in (0..self.k).step_by(BLOCK) {
                let depth = (self.k - k0).min(BLOCK);
                // SAFETY: a block of columns fits the scratch; the tiles keep to A, C and the block.
                unsafe {
                    let (mut row, end) = (k0 / per, (k0 + depth) / per);
                    while row < end {
                        let count = (end - row).min(self.group - row % self.group);
                        let (words, scales) = self.row(row, j);
                        let words = Words { rows: count, columns, at: words.cast(), ld: self.n };
                        unpack(words, scales, scratch.add((row * per - k0) * ld));
                        row += count;
                    }
                    for i in (0..rows.m).step_by(kernels.rows) {
                        let (tile, last) = kernels.tile(false, kernels.rows.min(rows.m - i), columns);
                        tile(Tile {
                            k: depth,
                            a: rows.a.add(i * self.k + k0),
                            lda: self.k,
                            b: scratch,
                            ldb: ld,
                            c: rows.c.add(i * self.n + j),
                            ldc: self.n,
                            last,
                            mode: if k0 == 0 { Mode::Store } else { Mode::Add },
                        });
                    }
                }
            }
        }
    }

    /// Goes along the columns with a few rows of words at a time: the words come in a few streams, C stays in the cache.
    unsafe fn few_rows(&self, few: &Few, rows: Rows, scratch: *mut f32) {
        let Rows { m, a, c, .. } = rows;
        let (n, per) = (self.n, self.per());
        let chunk = (SUMS / m / few.columns()).max(1) * few.columns();
        // If the words come from afar, in few enough streams to be fetched ahead; if they are near, more of them, so that C is
        // taken up less often.
        let most = if self.k / per * n < 0x4_0000 { BLOCK } else { 8 };
        for j0 in (rows.from..rows.to).step_by(chunk) {
            let j1 = rows.to.min(j0 + chunk);
            for k0 in (0..self.k).step_by(BLOCK) {
                // SAFETY: the tiles keep to the matrices, and to the `m` rows of a chunk that the scratch holds.
                unsafe {
                    // The first block is summed up in C itself, a further one apart and then added.
                    let (sum, ld) = if k0 == 0 { (c.add(j0), n) } else { (scratch, chunk) };
                    let (mut row, end) = (k0 / per, self.k.min(k0 + BLOCK) / per);
                    while row < end {
                        let count = (end - row).min(self.group - row % self.group).min(most);
                        let mut j = j0;
                        while j < j1 {
                            let (tile, taken, last) = few.tile(self.bits, j1 - j);
                            let (words, scales) = self.row(row, j);
                            let of = Tile {
                                k: count,
                                a: a.add(row * per),
                                lda: self.k,
                                b: words.cast(),
                                ldb: n,
                                c: sum.add(j - j0),
                                ldc: ld,
                                last,
                                mode: if row * per == k0 { Mode::Store } else { Mode::Chain },
                            };
                            tile(of, scales);
                            j += taken;
                        }
                        row += count;
                    }
                    if k0 > 0 {
                        for i in 0..m {
                            add_row(c.add(i * n + j0), scratch.add(i * chunk), j1 - j0);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Builder, Device, Level, Limits, Session};

    /// The product by one device, as bits; its values are any bits that `of` makes of their numbers.
    fn product(device: &Device, [m, n, k, group]: [usize; 4], bits: u8, of: fn(u32) -> f32) -> Vec<u32> {
        let per = 32 / usize::from(bits);
        let mut b = Builder::new();
        let a = b.input::<f32>("a", &[m, k]).unwrap();
        let words = b.input::<u32>("words", &[k / per, n]).unwrap();
        let [scale, shift] =
            ["scale", "shift"].map(|name| b.input::<f32>(name, &[k / per / group, n]).unwrap());
        let c = b.packed_matmul(a, bits, words, scale, shift).unwrap();
        b.output("c", c).unwrap();
        let mut session = Session::new(&b.finish().unwrap(), device, Limits::default()).unwrap();
        let random = |i: usize| (i as u32).wrapping_mul(2_654_435_761).rotate_left(9);
        session.write("words", &(0..k / per * n).map(random).collect::<Vec<_>>()).unwrap();
        for (name, len, seed) in
            [("a", m * k, 7), ("scale", k / per / group * n, 11), ("shift", k / per / group * n, 13)]
        {
            session.write(name, &(0..len).map(|i| of(random(i + seed))).collect::<Vec<_>>()).unwrap();
        }
        session.run().unwrap();
        session.read::<f32>("c").unwrap().iter().map(|c| c.to_bits()).collect()
    }

    #[test]
    fn every_number_of_rows_and_columns_is_that_of_the_spec() {
        let ordinary = |x: u32| (x >> 8) as f32 * 1e-7 - 0.8;
        // Now and then a NaN of some kind, or inf.
        let special =
            |x: u32| f32::from_bits(if x.is_multiple_of(61) { x | 0x7f80_0000 } else { x & 0xbfff_ffff });
        for bits in [4, 8] {
            let per = 32 / usize::from(bits);
            for (n, rows, group) in [(1, 6, 3), (33, 4, 1), (40, 140, 70), (210, 10, 2)] {
                for m in (1..=9).chain([20]) {
                    for of in [ordinary, special] {
                        let size = [m, n, rows * per, group];
                        let want = product(&Device::scalar(), size, bits, of);
                        for level in Level::available() {
                            for threads in [1, 2] {
                                let device = Device::cpu_at(level, threads);
                                let what =
                                    format!("{size:?}, {bits} bits at level {level} on {threads} threads");
                                assert!(product(&device, size, bits, of) == want, "{what}");
                            }
                        }
                    }
                }
            }
        }
    }
}
