//! Kernels for the machine at hand: the same bits as the spec, at its full speed.
//!
//! [`run`] gives each operation to its kernel and its threads; the kernels themselves know nothing of programs.

pub(crate) mod attention;
pub(crate) mod conv;
mod elementwise;
mod folds;
mod fused;
pub(crate) mod gemm;
pub(crate) mod lanes;
mod level;
pub(crate) mod map;
mod moved;
pub(crate) mod narrow;
mod pool;
pub(crate) mod reduce;
pub(crate) mod rows;
mod sampling;

use crate::Error;
use crate::device::{View, run_scalar};
use crate::program::op::Op;
use crate::shape::Type;
use crate::spec::At;
use conv::Conv3d;
use gemm::packed::Packed;
use gemm::{Cx, Mat};

pub use level::Level;
pub use pool::Pool;

/// A pointer that tasks on several threads write through, each to places of its own.
pub(crate) struct Shared<T>(pub(crate) *mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: a pointer; who writes through it answers for the memory.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The place `offset` elements on. (A method, so that closures capture the whole, not the bare pointer.)
    #[inline]
    pub(crate) unsafe fn at(self, offset: usize) -> *mut T {
        // SAFETY: the caller keeps to the buffer.
        unsafe { self.0.add(offset) }
    }
}

impl View {
    pub(crate) fn f32(&self) -> *mut f32 {
        self.ptr.cast()
    }

    pub(crate) fn dim(&self, axis: usize) -> usize {
        self.ty.shape.dim(axis)
    }
}

/// The dimensions of a matrix product over the last two axes.
struct Product {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
}

impl Product {
    fn new(a: &Type, ta: bool, out: &Type) -> Product {
        let rank = out.shape.rank();
        let batch = out.shape.iter().take(rank - 2).product();
        let k = a.shape.dim(if ta { rank - 2 } else { rank - 1 });
        Product { batch, m: out.shape.dim(rank - 2), n: out.shape.dim(rank - 1), k }
    }
}

/// Words of scratch for one operation: for every worker its own part.
pub(crate) fn scratch_words(
    level: Level,
    pool: &Pool,
    op: &Op,
    operands: &[Type],
    results: &[Type],
) -> usize {
    let each = scratch_per_worker(level, pool.threads(), op, operands, results);
    each.next_multiple_of(16) * pool.threads()
}

fn scratch_per_worker(level: Level, threads: usize, op: &Op, operands: &[Type], results: &[Type]) -> usize {
    match op {
        Op::Matmul { ta, .. } => {
            let p = Product::new(&operands[0], *ta, &results[0]);
            gemm::scratch_floats(level, p.m, p.n, p.k)
        }
        Op::PackedMatmul { .. } => gemm::packed::scratch_floats(level, results[0].shape.dim(0)),
        Op::Attention { scale, causal } => {
            fused::attention(*scale, *causal, &operands[0], &operands[1]).scratch_floats(level)
        }
        Op::AttentionGrad { scale, causal } => {
            fused::attention(*scale, *causal, &operands[0], &operands[1]).grad_scratch_floats(level)
        }
        Op::Conv3d { pad } => {
            let w = operands[1].shape;
            let kernel = [w.dim(0) as u32, w.dim(1) as u32, w.dim(2) as u32];
            conv3d(&operands[0], kernel, *pad, w.dim(4)).scratch_floats(threads)
        }
        Op::Conv3dWeightGrad { pad, kernel } => {
            conv3d(&operands[0], *kernel, *pad, results[0].shape.dim(4)).grad_scratch_floats()
        }
        Op::Keep | Op::Sample => sampling::scratch_floats(operands[0].shape.last()),
        _ => 0,
    }
}

/// Runs one operation.
///
/// # Safety
/// The machine must have the level. Operands must be initialised, typed as the operation wants and their ids checked; results
/// may overlap operands only where `plan` lets them; `scratch` must have the words of [`scratch_words`].
pub(crate) unsafe fn run(
    level: Level,
    pool: &Pool,
    at: At<'_>,
    x: &[View],
    y: &[View],
    scratch: *mut f32,
) -> Result<(), Error> {
    let types: [Type; 8] = std::array::from_fn(|i| x.get(i).map_or(y[0].ty, |v| v.ty));
    let results: [Type; 3] = std::array::from_fn(|i| y.get(i).map_or(y[0].ty, |v| v.ty));
    let each =
        scratch_per_worker(level, pool.threads(), at.op, &types[..x.len().min(8)], &results[..y.len()]);
    let cx = Cx { level, pool, scratch, scratch_stride: each.next_multiple_of(16) };
    // SAFETY: every kernel below reads its operands and writes its results within their types, as the caller vouches.
    unsafe {
        match at.op {
            Op::Full { .. }
            | Op::Iota { .. }
            | Op::Philox { .. }
            | Op::Unit
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Compare(_)
            | Op::Int(_)
            | Op::Fma
            | Op::Select
            | Op::ToFloat => elementwise::run(&cx, at, x, y[0]),
            Op::Copy
            | Op::Permute { .. }
            | Op::Broadcast { .. }
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::Concat { .. }
            | Op::Flip { .. }
            | Op::Gather
            | Op::ScatterAdd { .. }
            | Op::Pick
            | Op::Place { .. }
            | Op::WriteRows => {
                moved::run(pool, at.op, x, y[0]);
                Ok(())
            }
            Op::Reduce { .. } | Op::Dot { .. } | Op::ArgMax => {
                folds::run(&cx, at.op, x, y[0]);
                Ok(())
            }
            Op::Matmul { ta, tb } => {
                matmul(&cx, *ta, *tb, x, y[0]);
                Ok(())
            }
            Op::Unpack { bits } => {
                Packed::new(*bits, x).unpack(&cx, y[0].f32());
                Ok(())
            }
            Op::PackedMatmul { bits } => {
                Packed::new(*bits, &x[1..]).matmul(&cx, x[0].dim(0), x[0].f32(), y[0].f32());
                Ok(())
            }
            Op::RmsNorm { .. }
            | Op::RmsNormGrad
            | Op::RmsNormWeightGrad
            | Op::Softmax
            | Op::TokenLogprob
            | Op::TokenLogprobGrad
            | Op::Swiglu
            | Op::SwigluGrad
            | Op::Rope { .. }
            | Op::AdamW { .. }
            | Op::Attention { .. }
            | Op::AttentionGrad { .. } => {
                fused::run(&cx, at.op, x, y);
                Ok(())
            }
            Op::Conv3d { pad } => {
                let kernel = [0, 1, 2].map(|axis| x[1].dim(axis) as u32);
                let conv = conv3d(&x[0].ty, kernel, *pad, x[1].dim(4));
                conv.forward(&cx, x[0].f32(), x[1].f32(), y[0].f32());
                Ok(())
            }
            Op::Conv3dWeightGrad { pad, kernel } => {
                let conv = conv3d(&x[0].ty, *kernel, *pad, y[0].dim(4));
                conv.weight_grad(&cx, x[0].f32(), x[1].f32(), y[0].f32());
                Ok(())
            }
            Op::Keep => {
                sampling::keep(&cx, x, y[0]);
                Ok(())
            }
            Op::Sample => {
                sampling::sample(&cx, x, y[0]);
                Ok(())
            }
            _ => run_scalar(at, x, y),
        }
    }
}

unsafe fn matmul(cx: &Cx, ta: bool, tb: bool, x: &[View], y: View) {
    let Product { batch, m, n, k } = Product::new(&x[0].ty, ta, &y.ty);
    let mat = |view: View, transposed: bool, rows: usize, columns: usize| {
        let ptr = view.f32().cast_const();
        if transposed { Mat { ptr, rs: 1, cs: rows } } else { Mat { ptr, rs: columns, cs: 1 } }
    };
    let (a, b) = (mat(x[0], ta, m, k), mat(x[1], tb, k, n));
    // SAFETY: the caller's views have these dimensions; the planner never lays a product over its operands.
    unsafe { gemm::matmul(cx, batch, m, n, k, a, m * k, b, k * n, y.f32(), n, m * n) };
}

/// The sizes of a convolution of `x` to `co` channels.
fn conv3d(x: &Type, kernel: [u32; 3], pad: [u32; 3], co: usize) -> Conv3d {
    let size = [x.shape.dim(1), x.shape.dim(2), x.shape.dim(3)];
    let [kernel, pad] = [kernel, pad].map(|v| v.map(|n| n as usize));
    Conv3d { n: x.shape.dim(0), size, ci: x.shape.dim(4), co, kernel, pad }
}
