//! The scalar definition of every operation: what a right answer is.
//!
//! Every primitive is here as plain loops over one element at a time; a fused operation is its expansion. Nothing here is
//! fast. Kernels are right if they give these bits.

mod contract;
pub(crate) mod math;
mod moved;
pub(crate) mod philox;
mod sampling;

use crate::error::Error;
use crate::expand::expand;
use crate::program::Builder;
use crate::program::op::{IntFn, Op, ReduceFn};
use crate::shape::{DType, Shape, Type};
use math::Soft;

/// A tensor with its own elements, each as its 32 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) ty: Type,
    pub(crate) bits: Vec<u32>,
}

impl Tensor {
    pub(crate) fn new(ty: Type, bits: Vec<u32>) -> Tensor {
        debug_assert_eq!(ty.shape.elements(), bits.len());
        Tensor { ty, bits }
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.ty.shape
    }

    fn f(&self, i: usize) -> f32 {
        f32::from_bits(self.bits[i])
    }
}

/// A number as it is stored: any NaN is the one NaN.
fn stored(x: f32) -> u32 {
    math::canon(x).to_bits()
}

/// Where an operation stands in its program, for errors.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) op: &'a Op,
    pub(crate) index: usize,
}

impl At<'_> {
    pub(crate) fn index_error(&self, what: &'static str, index: u64, position: usize, limit: u64) -> Error {
        Error::Index { op: self.op.name(), at: self.index, what, index, position, limit }
    }
}

/// The results of an operation whose operands have been type-checked (`types` are its results') and whose ids have been
/// through [`check_ids`].
pub(crate) fn evaluate(at: At<'_>, x: &[&Tensor], types: &[Type]) -> Result<Vec<Tensor>, Error> {
    if at.op.is_fused() {
        return fused(at, x, types);
    }
    let shape = types[0].shape;
    let n = shape.elements();
    let bits: Vec<u32> = match at.op {
        Op::Full { bits, .. } => vec![*bits; n],
        Op::Iota { axis, .. } => {
            let (_, length, inner) = shape.around(usize::from(*axis));
            (0..n).map(|i| (i / inner % length) as u32).collect()
        }
        Op::Philox { words } => sampling::philox_words(x[0], *words as usize),
        Op::Unit => x[0].bits.iter().map(|b| philox::unit(*b).to_bits()).collect(),
        Op::Copy | Op::Reshape { .. } => x[0].bits.clone(),
        Op::Unary(f) => (0..n).map(|i| stored(math::unary::<Soft>(*f, x[0].f(i)))).collect(),
        Op::Binary(f) => {
            let [a, b] = [stretched(x[0], &shape), stretched(x[1], &shape)];
            (0..n).map(|i| stored(math::binary::<Soft>(*f, a.f(i), b.f(i)))).collect()
        }
        Op::Compare(f) => {
            let [a, b] = [stretched(x[0], &shape), stretched(x[1], &shape)];
            (0..n).map(|i| math::compare(*f, a.f(i), b.f(i))).collect()
        }
        Op::Int(f) => {
            let [a, b] = [stretched(x[0], &shape), stretched(x[1], &shape)];
            let overflow = |position| Error::IntegerOverflow { op: at.op.name(), at: at.index, position };
            let result = |i: usize| int(*f, a.bits[i], b.bits[i]).ok_or_else(|| overflow(i));
            (0..n).map(result).collect::<Result<_, _>>()?
        }
        Op::Fma => {
            use math::Fma;
            let [a, b, c] = [0, 1, 2].map(|i| stretched(x[i], &shape));
            (0..n).map(|i| stored(Soft::fma(a.f(i), b.f(i), c.f(i)))).collect()
        }
        Op::Select => {
            let [mask, a, b] = [0, 1, 2].map(|i| stretched(x[i], &shape));
            (0..n).map(|i| if mask.bits[i] == 0 { b.bits[i] } else { a.bits[i] }).collect()
        }
        Op::ToFloat => x[0].bits.iter().map(|b| (*b as f32).to_bits()).collect(),
        Op::Broadcast { .. } => stretched(x[0], &shape).bits,
        Op::Permute { order } => moved::permute(x[0], order, &shape),
        Op::Slice { axis, start, .. } => moved::slice(x[0], *axis, *start as usize, &shape),
        Op::Pad { axis, before, .. } => moved::pad(x[0], *axis, *before as usize, &shape),
        Op::Concat { axis } => moved::concat(x, *axis, &shape),
        Op::Flip { axis } => moved::flip(x[0], *axis),
        Op::Gather => moved::gather(x[0], x[1]),
        Op::ScatterAdd { .. } => moved::scatter_add(x[0], x[1], &shape),
        Op::Pick => moved::pick(x[0], x[1]),
        Op::Place { n } => moved::place(x[0], x[1], *n as usize),
        Op::WriteRows => moved::write_rows(x[0], x[1], x[2]),
        Op::Im2col { kernel, pad } => moved::im2col(x[0], *kernel, *pad, &shape),
        Op::Matmul { ta, tb } => contract::matmul(x[0], *ta, x[1], *tb, &shape, |_, k| 0..k),
        Op::RaggedMatmul { ta, tb } => {
            let (lo, hi) = (&x[2].bits, &x[3].bits);
            let range = |row: usize, _| lo[row] as usize..hi[row] as usize;
            contract::matmul(x[0], *ta, x[1], *tb, &shape, range)
        }
        Op::Reduce { with: ReduceFn::Sum, axis } => {
            contract::fold(x[0], usize::from(*axis), |lane, i| lane + x[0].f(i))
        }
        Op::Reduce { with: ReduceFn::Max, axis } => contract::greatest(x[0], usize::from(*axis)),
        Op::Dot { axis } => {
            use math::Fma;
            contract::fold(x[0], usize::from(*axis), |lane, i| Soft::fma(x[0].f(i), x[1].f(i), lane))
        }
        Op::ArgMax => contract::argmax(x[0]),
        Op::Keep => sampling::keep(x[0], x[1], x[2]),
        Op::Unpack { bits } => {
            let per = 32 / u32::from(*bits);
            let (columns, words_per_group) = (shape.dim(1), x[0].shape().dim(0) / x[1].shape().dim(0));
            let element = |i: usize| {
                use math::Fma;
                let (row, column) = (i / columns / per as usize, i % columns);
                let place = (i / columns) as u32 % per * u32::from(*bits);
                let q = x[0].bits[row * columns + column] >> place & ((1 << *bits) - 1);
                let group = row / words_per_group * columns + column;
                stored(Soft::fma(q as f32, x[1].f(group), x[2].f(group)))
            };
            (0..n).map(element).collect()
        }
        _ => Vec::new(),
    };
    Ok(vec![Tensor::new(types[0], bits)])
}

/// A fused operation: its expansion, evaluated primitive by primitive.
fn fused(at: At<'_>, x: &[&Tensor], types: &[Type]) -> Result<Vec<Tensor>, Error> {
    let mut builder = Builder::new();
    let operands = x
        .iter()
        .enumerate()
        .map(|(i, t)| builder.push_leaf(&i.to_string(), false, t.ty))
        .collect::<Result<Vec<_>, _>>()?;
    let results = expand(at.op, &mut builder, &operands)?.unwrap_or_default();
    for (i, result) in results.iter().enumerate() {
        builder.output_value(&format!("result {i}"), *result)?;
    }
    let program = builder.finish()?;
    let mut values: Vec<Option<Tensor>> = x.iter().map(|t| Some((*t).clone())).collect();
    values.resize(program.types.len(), None);
    for operation in &program.operations {
        let operands: Vec<&Tensor> =
            operation.operands.iter().filter_map(|v| values[*v as usize].as_ref()).collect();
        let types: Vec<Type> = operation.results().map(|v| program.ty(v)).collect();
        let inner = At { op: &operation.op, index: at.index };
        check_ids(inner, operands.as_slice())?;
        let results = evaluate(inner, &operands, &types)?;
        for (value, result) in operation.results().zip(results) {
            values[value as usize] = Some(result);
        }
    }
    let take = |(_, v): &(String, u32)| values[*v as usize].take();
    let outputs: Vec<Tensor> = program.outputs.iter().filter_map(take).collect();
    debug_assert!(outputs.iter().map(|t| t.ty).eq(types.iter().copied()));
    Ok(outputs)
}

/// Words that [`evaluate`] takes at the most, beside the operands and results themselves.
pub(crate) fn words_needed(op: &Op, operands: &[Type], results: &[Type]) -> usize {
    let total = |types: &[Type]| types.iter().map(|t| t.shape.elements()).sum::<usize>();
    // Copies of operands and results, and every operand stretched.
    let mut words = total(operands) + (1 + operands.len()) * total(results);
    if op.is_fused() {
        let mut builder = Builder::new();
        let leaf = |(i, ty): (usize, &Type)| builder.push_leaf(&i.to_string(), false, *ty);
        let leaves: Result<Vec<_>, _> = operands.iter().enumerate().map(leaf).collect();
        match leaves.and_then(|leaves| expand(op, &mut builder, &leaves)) {
            // Every value of the expansion is kept until it is done, and one operation at a time stretches its operands.
            Ok(_) => words += 5 * builder.total_elements(),
            // It will be refused for the same reason when it runs.
            Err(_) => words = usize::MAX / 8,
        }
    }
    words
}

/// Every element of `x` as it is read over `full`.
fn stretched(x: &Tensor, full: &Shape) -> Tensor {
    let strides = x.shape().strides_over(full);
    let own = full.strides();
    let at = |i: usize| -> usize {
        (0..full.rank()).map(|axis| i / own[axis].max(1) % full.dim(axis).max(1) * strides[axis]).sum()
    };
    let bits = (0..full.elements()).map(|i| x.bits[at(i)]).collect();
    Tensor::new(Type { shape: *full, ..x.ty }, bits)
}

/// Integer arithmetic; `None` where the result does not fit.
pub(crate) fn int(f: IntFn, a: u32, b: u32) -> Option<u32> {
    match f {
        IntFn::Add => a.checked_add(b),
        IntFn::Sub => a.checked_sub(b),
        IntFn::Mul => a.checked_mul(b),
        IntFn::Max => Some(a.max(b)),
        IntFn::Min => Some(a.min(b)),
        IntFn::Lt => Some(u32::from(a < b)),
        IntFn::Eq => Some(u32::from(a == b)),
    }
}

/// Operands as both backends see them before they run an operation: types and integer elements.
pub(crate) trait Operands {
    fn shape(&self, i: usize) -> &Shape;
    /// The elements of an operand that is `u32`.
    fn ints(&self, i: usize) -> &[u32];
}

impl Operands for [&Tensor] {
    fn shape(&self, i: usize) -> &Shape {
        self[i].shape()
    }
    fn ints(&self, i: usize) -> &[u32] {
        debug_assert_eq!(self[i].ty.dtype, DType::U32);
        &self[i].bits
    }
}

/// Whether every id, bound and start of an operation is in range; to be asked before it runs.
pub(crate) fn check_ids<O: Operands + ?Sized>(at: At<'_>, x: &O) -> Result<(), Error> {
    let below = |what, ids: &[u32], limit: usize| match ids.iter().position(|&id| id as usize >= limit) {
        Some(i) => Err(at.index_error(what, u64::from(ids[i]), i, limit as u64)),
        None => Ok(()),
    };
    let at_most = |what, ids: &[u32], limit: usize| match ids.iter().position(|&id| id as usize > limit) {
        Some(i) => Err(at.index_error(what, u64::from(ids[i]), i, limit as u64)),
        None => Ok(()),
    };
    match at.op {
        Op::Gather => below("id", x.ints(1), x.shape(0).dim(0)),
        Op::ScatterAdd { rows } => below("id", x.ints(0), *rows as usize),
        Op::Pick | Op::TokenLogprob | Op::TokenLogprobGrad => below("id", x.ints(1), x.shape(0).last()),
        Op::Place { n } => below("id", x.ints(0), *n as usize),
        Op::WriteRows => at_most("start", x.ints(2), x.shape(0).dim(1) - x.shape(1).dim(1)),
        Op::RaggedMatmul { ta, .. } => {
            let a = x.shape(0);
            let k = if *ta { a.dim(a.rank() - 2) } else { a.dim(a.rank() - 1) };
            at_most("upper bound", x.ints(3), k)?;
            let (lo, hi) = (x.ints(2), x.ints(3));
            match (0..lo.len()).find(|&i| lo[i] > hi[i]) {
                Some(i) => Err(at.index_error("lower bound", u64::from(lo[i]), i, u64::from(hi[i]))),
                None => Ok(()),
            }
        }
        Op::Attention { causal, .. } | Op::AttentionGrad { causal, .. } => {
            let (start, queries, keys) = (x.ints(3), x.shape(0).dim(1), x.shape(1).dim(1));
            if !causal {
                if let Some(i) = start.iter().position(|&s| s == 0) {
                    return Err(at.index_error("number of keys", 0, i, keys as u64));
                }
                return at_most("number of keys", start, keys);
            }
            match keys.checked_sub(queries) {
                Some(limit) => at_most("start", start, limit),
                None if start.is_empty() => Ok(()),
                None => Err(at.index_error("number of queries", queries as u64, 0, keys as u64)),
            }
        }
        _ => Ok(()),
    }
}
