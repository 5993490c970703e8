//! Convolution of three-dimensional images, stride 1, and the gradient of its weights.
//!
//! By definition it is a matrix product: row `(n, z, y, x)` of the patches holds the inputs under the kernel at that place, +0
//! outside the image, in the order `(kz, ky, kx, ci)`; times the weights as a matrix. The patches are never made. The image is
//! copied into a frame of zeros, where the rows of the patch matrix lie in runs of `kw * ci` floats, and the tiles walk
//! over those; the gradient walks over the same frame by columns.

use super::Shared;
use super::gemm::tile::{Kernels, Mode, Tile, Walk, kernels};
use super::gemm::{BLOCK, Cx};
use crate::spec::math::canon;

/// Floats of the frame that a worker of the forward direction fills at a time, unless one plane's windows are more.
const FRAME: usize = 128 * 1024;

/// The sizes of one convolution: `x: [n, d, h, w, ci]`, weights `[kd, kh, kw, ci, co]`, `y: [n, d', h', w', co]` with
/// `d' = d + 2 pad - kd + 1`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv3d {
    pub(crate) n: usize,
    /// Depth, height and width of the image.
    pub(crate) size: [usize; 3],
    pub(crate) ci: usize,
    pub(crate) co: usize,
    pub(crate) kernel: [usize; 3],
    pub(crate) pad: [usize; 3],
}

impl Conv3d {
    /// Depth, height and width of the output. Kernels are no larger than the padded image.
    pub(crate) fn out(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.size[axis] + 2 * self.pad[axis] + 1 - self.kernel[axis])
    }

    /// Height and width of the frame.
    fn frame(&self) -> [usize; 2] {
        [self.size[1] + 2 * self.pad[1], self.size[2] + 2 * self.pad[2]]
    }

    /// Floats in one row and one plane of the frame.
    fn strides(&self) -> [usize; 2] {
        let [h, w] = self.frame();
        [w * self.ci, h * w * self.ci]
    }

    /// Rows of the weights as a matrix.
    fn depth(&self) -> usize {
        self.kernel.iter().product::<usize>() * self.ci
    }

    fn positions(&self) -> usize {
        self.out().iter().product()
    }

    /// Output planes that one task of the forward direction makes.
    fn planes(&self, threads: usize) -> usize {
        let fit = (FRAME / self.strides()[1].max(1)).saturating_sub(self.kernel[0] - 1).max(1);
        let share = if threads == 1 { self.out()[0] } else { (self.n * self.out()[0]).div_ceil(4 * threads) };
        share.min(fit).min(self.out()[0]).max(1)
    }

    /// The floats of scratch that each worker needs for [`Conv3d::forward`].
    pub(crate) fn scratch_floats(&self, threads: usize) -> usize {
        ((self.planes(threads) + self.kernel[0] - 1) * self.strides()[1]).next_multiple_of(16)
    }

    /// The floats of scratch that each worker needs for [`Conv3d::weight_grad`].
    pub(crate) fn grad_scratch_floats(&self) -> usize {
        let frame = (self.size[0] + 2 * self.pad[0]) * self.strides()[1];
        (frame + self.depth() * self.co).next_multiple_of(16)
    }

    /// Copies planes `z..z + planes` of the frame of image `n`.
    unsafe fn fill(&self, x: *const f32, n: usize, z: usize, planes: usize, to: *mut f32) {
        let [d, h, w] = self.size;
        let [row, plane] = self.strides();
        let [before, above, left] = self.pad;
        // SAFETY: the caller's image and scratch hold what is described.
        unsafe {
            std::slice::from_raw_parts_mut(to, planes * plane).fill(0.0);
            for p in 0..planes {
                if z + p < before || z + p >= before + d {
                    continue;
                }
                for y in 0..h {
                    let from = x.add(((n * d + z + p - before) * h + y) * w * self.ci);
                    let to = to.add(p * plane + (y + above) * row + left * self.ci);
                    std::ptr::copy_nonoverlapping(from, to, w * self.ci);
                }
            }
        }
    }

    /// Computes `y`.
    ///
    /// # Safety
    /// The tensors must be there, `y` apart from everything else; `cx` must name a level of this machine and
    /// [`Conv3d::scratch_floats`] for each worker of its pool.
    pub(crate) unsafe fn forward(&self, cx: &Cx, x: *const f32, weights: *const f32, y: *mut f32) {
        let [d, h, w] = self.out();
        if self.positions() == 0 || self.co == 0 {
            return;
        }
        let planes = self.planes(cx.pool.threads());
        let chunks = d.div_ceil(planes);
        let (x, weights, y) = (Shared(x.cast_mut()), Shared(weights.cast_mut()), Shared(y));
        let kernels = kernels(cx.level);
        cx.pool.run(self.n * chunks, &|task, worker| {
            let (n, z) = (task / chunks, task % chunks * planes);
            let count = planes.min(d - z);
            // SAFETY: each task writes its own planes; the rest is the caller's promise.
            unsafe {
                let frame = cx.scratch(worker);
                self.fill(x.at(0), n, z, count + self.kernel[0] - 1, frame);
                let y = y.at((n * d + z) * h * w * self.co);
                self.planes_forward(kernels, count, frame, weights.at(0), y);
            }
        });
    }

    unsafe fn planes_forward(
        &self,
        kernels: &Kernels,
        planes: usize,
        frame: *const f32,
        weights: *const f32,
        out: *mut f32,
    ) {
        let Self { ci, co, kernel: [_, kh, kw], .. } = *self;
        let [_, h, w] = self.out();
        let [row, plane] = self.strides();
        let depth = self.depth();
        let bands = w.div_ceil(kernels.rows);
        for j in (0..co).step_by(kernels.columns()) {
            let columns = kernels.columns().min(co - j);
            for (z, y) in (0..planes).flat_map(|z| (0..h).map(move |y| (z, y))) {
                for band in 0..bands {
                    let x = w * band / bands;
                    let rows = w * (band + 1) / bands - x;
                    let (tile, last) = kernels.walked(false, rows, columns);
                    for k in (0..depth.max(1)).step_by(BLOCK) {
                        // SAFETY: the caller's promise.
                        unsafe {
                            let part = Tile {
                                k: (depth - k).min(BLOCK),
                                a: frame.add(z * plane + y * row + x * ci),
                                lda: ci,
                                b: weights.add(k * co + j),
                                ldb: co,
                                c: out.add(((z * h + y) * w + x) * co + j),
                                ldc: co,
                                last,
                                mode: if k == 0 { Mode::Store } else { Mode::Add },
                            };
                            tile(
                                part,
                                Walk { from: k, run: (kw * ci).max(1), step: 1, runs: kh, row, plane },
                            );
                        }
                    }
                }
            }
        }
    }

    /// Computes the gradient of the weights, `dw: [kd, kh, kw, ci, co]`: the product of the turned patches and `dy`.
    ///
    /// # Safety
    /// As for [`Conv3d::forward`], with [`Conv3d::grad_scratch_floats`].
    pub(crate) unsafe fn weight_grad(&self, cx: &Cx, x: *const f32, dy: *const f32, dw: *mut f32) {
        let (x, dy, dw) = (Shared(x.cast_mut()), Shared(dy.cast_mut()), Shared(dw));
        let [kd, kh, _] = self.kernel;
        let kernels = kernels(cx.level);
        // Each task frames every image anew, so there are no more of them than threads.
        let tasks = cx.pool.threads().min(kd * kh);
        cx.pool.run(tasks, &|task, worker| {
            let runs = kd * kh * task / tasks..kd * kh * (task + 1) / tasks;
            // SAFETY: each task writes its own rows of dw; the rest is the caller's promise.
            unsafe { self.runs_grad(kernels, runs, cx.scratch(worker), x.at(0), dy.at(0), dw.at(0)) }
        });
    }

    /// The gradient of the weights of some `(kz, ky)`.
    unsafe fn runs_grad(
        &self,
        kernels: &Kernels,
        runs: std::ops::Range<usize>,
        frame: *mut f32,
        x: *const f32,
        dy: *const f32,
        dw: *mut f32,
    ) {
        let Self { ci, co, size, pad, kernel: [_, kh, kw], .. } = *self;
        let length = kw * ci;
        let positions = self.positions();
        let total = self.n * positions;
        let rows = runs.start * length..runs.end * length;
        // SAFETY: the caller's promise; the scratch is counted in `grad_scratch_floats`.
        unsafe {
            let planes = size[0] + 2 * pad[0];
            let part = frame.add(planes * self.strides()[1]);
            if total == 0 {
                std::slice::from_raw_parts_mut(dw.add(rows.start * co), rows.len() * co).fill(0.0);
            }
            for n in 0..self.n {
                let (first, end) = (n * positions, (n + 1) * positions);
                if first < end {
                    self.fill(x, n, 0, planes, frame);
                }
                let mut p = first;
                while p < end {
                    let block = p / BLOCK * BLOCK;
                    let stop = end.min(block + BLOCK);
                    let whole = p == block && (stop == block + BLOCK || stop == total);
                    // A block's sum that goes on in the next image is held apart, but for the first block's.
                    let (to, mode) = match (p == block, block == 0) {
                        (true, true) => (dw, Mode::Store),
                        (false, true) => (dw, Mode::Chain),
                        (true, false) if whole => (dw, Mode::Add),
                        (true, false) => (part, Mode::Store),
                        (false, false) => (part, Mode::Chain),
                    };
                    for run in runs.clone() {
                        let corner = run / kh * self.strides()[1] + run % kh * self.strides()[0];
                        let patch = (p - first)..(stop - first);
                        let to = to.add(run * length * co);
                        self.run_grad(kernels, patch, frame.add(corner), dy.add(p * co), to, mode);
                    }
                    if block > 0 && !whole && (stop == block + BLOCK || stop == total) {
                        for at in rows.start * co..rows.end * co {
                            *dw.add(at) = canon(*dw.add(at) + *part.add(at));
                        }
                    }
                    p = stop;
                }
            }
        }
    }

    /// What the output positions `patch` of an image contribute to the weights of one `(kz, ky)`.
    unsafe fn run_grad(
        &self,
        kernels: &Kernels,
        patch: std::ops::Range<usize>,
        frame: *const f32,
        dy: *const f32,
        dw: *mut f32,
        mode: Mode,
    ) {
        let Self { ci, co, kernel: [.., kw], .. } = *self;
        let [_, h, w] = self.out();
        let [row, plane] = self.strides();
        let length = kw * ci;
        let bands = length.div_ceil(kernels.rows);
        for j in (0..co).step_by(kernels.columns()) {
            let columns = kernels.columns().min(co - j);
            for band in 0..bands {
                let i = length * band / bands;
                let rows = length * (band + 1) / bands - i;
                let (tile, last) = kernels.walked(true, rows, columns);
                // SAFETY: the caller's promise.
                unsafe {
                    let part = Tile {
                        k: patch.len(),
                        a: frame.add(i),
                        lda: 1,
                        b: dy.add(j),
                        ldb: co,
                        c: dw.add(i * co + j),
                        ldc: co,
                        last,
                        mode,
                    };
                    tile(part, Walk { from: patch.start, run: w, step: ci, runs: h, row, plane });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::gemm::tests::{Random, Scratch, naive};
    use crate::{Level, Pool};

    fn check(x: Conv3d, specials: bool) {
        let mut random = Random::new((x.depth() + x.positions()) as u64);
        let [d, h, w] = x.out();
        let image = random.floats(x.n * x.size.iter().product::<usize>() * x.ci, specials);
        let weights = random.floats(x.depth() * x.co, specials);
        let (positions, depth) = (x.n * x.positions(), x.depth());
        let dy = random.floats(positions * x.co, specials);
        let patch = |p: usize, k: usize| {
            let [_, kh, kw] = x.kernel;
            let at = [p / (h * w) % d, p / w % h, p % w];
            let under = [k / x.ci / kw / kh, k / x.ci / kw % kh, k / x.ci % kw];
            let mut place = p / (h * w * d);
            for axis in 0..3 {
                match (at[axis] + under[axis]).checked_sub(x.pad[axis]) {
                    Some(i) if i < x.size[axis] => place = place * x.size[axis] + i,
                    _ => return 0.0,
                }
            }
            image[place * x.ci + k % x.ci]
        };
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let want = naive(positions, x.co, depth, patch, |k, j| weights[k * x.co + j]);
        let want_grad = naive(depth, x.co, positions, |k, p| patch(p, k), |p, j| dy[p * x.co + j]);
        for level in Level::available() {
            for threads in [1, 2, 3] {
                let pool = Pool::new(threads);
                let mut y = vec![9.0; want.len()];
                let mut scratch = Scratch::new(x.scratch_floats(threads), threads);
                let cx = scratch.cx(level, &pool);
                // SAFETY: the vectors have these sizes.
                unsafe { x.forward(&cx, image.as_ptr(), weights.as_ptr(), y.as_mut_ptr()) };
                scratch.check();
                assert_eq!(bits(&y), bits(&want), "{level} {threads} {x:?}");

                let mut dw = vec![9.0; want_grad.len()];
                let mut scratch = Scratch::new(x.grad_scratch_floats(), threads);
                let cx = scratch.cx(level, &pool);
                // SAFETY: the vectors have these sizes.
                unsafe { x.weight_grad(&cx, image.as_ptr(), dy.as_ptr(), dw.as_mut_ptr()) };
                scratch.check();
                assert_eq!(bits(&dw), bits(&want_grad), "grad {level} {threads} {x:?}");
            }
        }
    }

    fn conv(n: usize, size: [usize; 3], ci: usize, co: usize, kernel: [usize; 3], pad: [usize; 3]) -> Conv3d {
        Conv3d { n, size, ci, co, kernel, pad }
    }

    #[test]
    fn small_convolutions() {
        check(conv(1, [1, 1, 1], 1, 1, [1, 1, 1], [0, 0, 0]), false);
        check(conv(2, [3, 4, 5], 3, 7, [2, 3, 1], [0, 1, 2]), true);
        check(conv(1, [2, 2, 2], 2, 40, [3, 3, 3], [1, 1, 1]), true);
        check(conv(1, [5, 4, 33], 4, 3, [1, 2, 4], [0, 0, 0]), false);
        check(conv(1, [1, 1, 2], 3, 2, [3, 5, 3], [2, 2, 1]), true);
    }

    #[test]
    fn nothing() {
        check(conv(0, [2, 3, 4], 2, 3, [2, 2, 2], [1, 1, 1]), false);
        check(conv(1, [2, 3, 4], 0, 3, [2, 2, 2], [1, 1, 1]), false);
        check(conv(1, [2, 3, 4], 2, 0, [2, 2, 2], [1, 1, 1]), false);
        check(conv(2, [2, 3, 4], 2, 2, [5, 2, 2], [1, 1, 1]), false);
    }

    /// More than 512 taps, and more than 512 positions: blocks that start and end inside runs and images.
    #[test]
    fn several_blocks() {
        check(conv(1, [4, 5, 6], 24, 24, [3, 3, 3], [1, 1, 1]), false);
        check(conv(1, [11, 10, 10], 5, 6, [3, 3, 3], [1, 1, 1]), true);
        check(conv(5, [4, 6, 10], 2, 3, [3, 1, 3], [1, 0, 1]), false);
        check(conv(3, [5, 7, 15], 1, 9, [2, 2, 2], [0, 1, 0]), true);
    }
}
