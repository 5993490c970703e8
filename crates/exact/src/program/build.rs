//! The builder: one method per operation, each checked as it is called.

use std::collections::{BTreeMap, HashSet};
use std::marker::PhantomData;

use super::code::MAX_ENCODED_BYTES;
use super::infer::infer;
use super::op::{BinaryFn, CompareFn, IntFn, Op, ReduceFn, UnaryFn};
use super::{Leaf, MAX_NAME_BYTES, MAX_OPERATIONS, Operation, Program, ValueId};
use crate::Error;
use crate::shape::{DType, Shape, Type};

/// A Rust type that tensors are made of: `f32` or `u32`.
pub trait Element: Copy + Default + PartialEq + std::fmt::Debug + private::Sealed + 'static {
    /// The element type's name in programs.
    const DTYPE: DType;
    #[doc(hidden)]
    fn to_bits(self) -> u32;
    #[doc(hidden)]
    fn from_bits(bits: u32) -> Self;
}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for u32 {}
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
    fn to_bits(self) -> u32 {
        if self.is_nan() { crate::CANONICAL_NAN } else { f32::to_bits(self) }
    }
    fn from_bits(bits: u32) -> f32 {
        f32::from_bits(bits)
    }
}

impl Element for u32 {
    const DTYPE: DType = DType::U32;
    fn to_bits(self) -> u32 {
        self
    }
    fn from_bits(bits: u32) -> u32 {
        bits
    }
}

/// A value of a program under construction, with its element type in its Rust type.
#[derive(Debug)]
pub struct Var<T> {
    pub(crate) id: ValueId,
    shape: Shape,
    element: PhantomData<fn() -> T>,
}

impl<T> Clone for Var<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Var<T> {}

impl<T> Var<T> {
    /// The value's shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The length of one axis; panics if there is no such axis.
    pub fn dim(&self, axis: usize) -> usize {
        self.shape.dim(axis)
    }
}

/// The tables of a rotary embedding, for [`Builder::rope`].
#[derive(Debug, Clone, Copy)]
pub struct RopeTables {
    /// Cosines, `[T, D/2]` or `[B, T, D/2]`.
    pub cos: Var<f32>,
    /// Sines, of the same shape.
    pub sin: Var<f32>,
}

/// What AdamW keeps for one parameter, for [`Builder::adamw`].
#[derive(Debug, Clone, Copy)]
pub struct AdamState {
    /// The running mean of gradients.
    pub m: Var<f32>,
    /// The running mean of their squares.
    pub v: Var<f32>,
}

/// What one AdamW step is told, for [`Builder::adamw`].
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    /// The learning rate, a scalar.
    pub lr: Var<f32>,
    /// What every gradient is multiplied by first (clipping), a scalar.
    pub gscale: Var<f32>,
    /// `1 / (1 - b1^t)`, a scalar.
    pub c1: Var<f32>,
    /// `1 / (1 - b2^t)`, a scalar.
    pub c2: Var<f32>,
    /// Decay of the running mean.
    pub b1: f32,
    /// Decay of the running mean of squares.
    pub b2: f32,
    /// Added to the root before dividing.
    pub eps: f32,
    /// Decoupled weight decay.
    pub decay: f32,
}

/// Builds a [`Program`], one checked operation at a time.
///
/// Values are [`Var`]s: small handles that know their shape. A method that is given operands that do not fit returns an
/// error that names the operation and both shapes, and adds nothing.
#[derive(Debug, Default)]
pub struct Builder {
    pub(super) leaves: Vec<(Leaf, Source)>,
    pub(super) nodes: Vec<Node>,
    pub(super) values: Vec<Value>,
    outputs: Vec<(String, ValueId)>,
    /// What each state becomes, by state.
    assigned: BTreeMap<ValueId, ValueId>,
    names: HashSet<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Input,
    State,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) op: Op,
    pub(super) operands: Vec<ValueId>,
    pub(super) first: ValueId,
    pub(super) results: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) ty: Type,
    pub(super) from: From,
    /// The value that this one is another shape of; itself if it is none.
    root: ValueId,
}

/// Where a value comes from: a leaf or an operation, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Leaf(usize),
    Node(usize),
}

impl Builder {
    /// An empty program.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// A tensor given anew for every run.
    pub fn input<T: Element>(&mut self, name: &str, dims: &[usize]) -> Result<Var<T>, Error> {
        self.leaf(name, Source::Input, dims)
    }

    /// A tensor that stays in the session between runs, such as a weight.
    pub fn state<T: Element>(&mut self, name: &str, dims: &[usize]) -> Result<Var<T>, Error> {
        self.leaf(name, Source::State, dims)
    }

    /// What a state becomes when the run is over.
    pub fn assign<T: Element>(&mut self, state: Var<T>, value: Var<T>) -> Result<(), Error> {
        self.assign_value(state.id, value.id)
    }

    /// A tensor that is given back after every run.
    pub fn output<T: Element>(&mut self, name: &str, value: Var<T>) -> Result<(), Error> {
        self.output_value(name, value.id)
    }

    pub(super) fn assign_value(&mut self, state: ValueId, value: ValueId) -> Result<(), Error> {
        let (target, given) = (self.value("assign", state)?, self.value("assign", value)?);
        let leaf = match target.from {
            From::Leaf(leaf) if self.leaves[leaf].1 == Source::State => leaf,
            _ => return Err(self.misuse("assign", "only a state can be assigned", &[state])),
        };
        if self.assigned.contains_key(&state) {
            return Err(Error::AssignedTwice { name: self.leaves[leaf].0.name.clone() });
        }
        if target.ty != given.ty {
            return Err(self.misuse("assign", "the types differ", &[state, value]));
        }
        let value = self.owned(value)?;
        self.assigned.insert(state, value);
        Ok(())
    }

    pub(crate) fn output_value(&mut self, name: &str, value: ValueId) -> Result<(), Error> {
        self.value("output", value)?;
        self.name(name)?;
        let value = self.owned(value)?;
        self.outputs.push((name.to_owned(), value));
        Ok(())
    }

    /// The finished program: only what outputs and states need, in the order it was built.
    ///
    /// It is refused if its encoding would be longer than [`MAX_ENCODED_BYTES`]: whatever can be
    /// built can be shipped.
    pub fn finish(self) -> Result<Program, Error> {
        let mut needed = vec![false; self.nodes.len()];
        let mut wanted: Vec<ValueId> =
            self.outputs.iter().map(|(_, v)| *v).chain(self.assigned.values().copied()).collect();
        while let Some(value) = wanted.pop() {
            if let From::Node(node) = self.values[value as usize].from
                && !std::mem::replace(&mut needed[node], true)
            {
                wanted.extend(&self.nodes[node].operands);
            }
        }

        // Inputs first, then states; then every kept operation's results in order.
        let mut renamed = vec![u32::MAX; self.values.len()];
        let mut leaves = Vec::with_capacity(self.leaves.len());
        let mut types = Vec::new();
        let mut inputs = 0;
        for kind in [Source::Input, Source::State] {
            for (value, v) in self.values.iter().enumerate() {
                let From::Leaf(leaf) = v.from else { continue };
                let (leaf, source) = &self.leaves[leaf];
                if *source == kind {
                    renamed[value] = types.len() as u32;
                    types.push(leaf.ty);
                    leaves.push(leaf.clone());
                }
            }
            if kind == Source::Input {
                inputs = leaves.len();
            }
        }
        let mut operations = Vec::new();
        for (node, _) in self.nodes.into_iter().zip(needed).filter(|(_, needed)| *needed) {
            let first = types.len() as u32;
            for i in 0..node.results {
                let value = (node.first + i) as usize;
                renamed[value] = types.len() as u32;
                types.push(self.values[value].ty);
            }
            let operands = node.operands.iter().map(|v| renamed[*v as usize]).collect();
            operations.push(Operation { op: node.op, operands, first, results: node.results });
        }
        let outputs = self.outputs.into_iter().map(|(name, v)| (name, renamed[v as usize])).collect();
        let mut assigned = vec![None; leaves.len() - inputs];
        for (state, value) in self.assigned {
            assigned[renamed[state as usize] as usize - inputs] = Some(renamed[value as usize]);
        }
        let program = Program { leaves, inputs, operations, types, outputs, assigned };
        let count = program.encode().len();
        if count > MAX_ENCODED_BYTES {
            return Err(Error::ProgramTooLong { what: "bytes", count, limit: MAX_ENCODED_BYTES });
        }
        Ok(program)
    }

    // Made from nothing.

    /// One number everywhere.
    pub fn full<T: Element>(&mut self, dims: &[usize], value: T) -> Result<Var<T>, Error> {
        let op = Op::Full { dtype: T::DTYPE, shape: Shape::new(dims)?, bits: value.to_bits() };
        self.push1(op, &[])
    }

    /// A single number.
    pub fn scalar<T: Element>(&mut self, value: T) -> Result<Var<T>, Error> {
        self.full(&[], value)
    }

    /// The index along `axis`.
    pub fn iota(&mut self, dims: &[usize], axis: usize) -> Result<Var<u32>, Error> {
        self.push1(Op::Iota { shape: Shape::new(dims)?, axis: narrow(axis) }, &[])
    }

    /// Philox4x32-10 words for each row of `seeds[R, 4]` = (seed low, seed high, stream, position).
    pub fn philox(&mut self, seeds: Var<u32>, words: usize) -> Result<Var<u32>, Error> {
        let words = u32::try_from(words).map_err(|_| Error::too_large(&[words]))?;
        self.push1(Op::Philox { words }, &[seeds.id])
    }

    /// Random bits to numbers strictly between 0 and 1.
    pub fn unit(&mut self, bits: Var<u32>) -> Result<Var<f32>, Error> {
        self.push1(Op::Unit, &[bits.id])
    }

    // Element by element.

    /// The same elements in storage of their own; gradients do not pass.
    pub fn copy<T: Element>(&mut self, x: Var<T>) -> Result<Var<T>, Error> {
        self.push1(Op::Copy, &[x.id])
    }

    /// A function of one number.
    pub fn unary(&mut self, f: UnaryFn, x: Var<f32>) -> Result<Var<f32>, Error> {
        self.push1(Op::Unary(f), &[x.id])
    }

    /// A function of two numbers, with broadcasting.
    pub fn binary(&mut self, f: BinaryFn, a: Var<f32>, b: Var<f32>) -> Result<Var<f32>, Error> {
        self.push1(Op::Binary(f), &[a.id, b.id])
    }

    /// A relation of two numbers, with broadcasting: 1 where it holds.
    pub fn compare(&mut self, f: CompareFn, a: Var<f32>, b: Var<f32>) -> Result<Var<u32>, Error> {
        self.push1(Op::Compare(f), &[a.id, b.id])
    }

    /// Integer arithmetic, with broadcasting; a result that does not fit is an error when it runs.
    pub fn int(&mut self, f: IntFn, a: Var<u32>, b: Var<u32>) -> Result<Var<u32>, Error> {
        self.push1(Op::Int(f), &[a.id, b.id])
    }

    /// `a + b`, with broadcasting.
    pub fn add(&mut self, a: Var<f32>, b: Var<f32>) -> Result<Var<f32>, Error> {
        self.binary(BinaryFn::Add, a, b)
    }

    /// `a - b`, with broadcasting.
    pub fn sub(&mut self, a: Var<f32>, b: Var<f32>) -> Result<Var<f32>, Error> {
        self.binary(BinaryFn::Sub, a, b)
    }

    /// `a * b`, with broadcasting.
    pub fn mul(&mut self, a: Var<f32>, b: Var<f32>) -> Result<Var<f32>, Error> {
        self.binary(BinaryFn::Mul, a, b)
    }

    /// `a / b`, with broadcasting.
    pub fn div(&mut self, a: Var<f32>, b: Var<f32>) -> Result<Var<f32>, Error> {
        self.binary(BinaryFn::Div, a, b)
    }

    /// `x * factor` for a number known now.
    pub fn scale(&mut self, x: Var<f32>, factor: f32) -> Result<Var<f32>, Error> {
        let factor = self.scalar(factor)?;
        self.mul(x, factor)
    }

    /// `a * b + c`, rounded once, with broadcasting.
    pub fn fma(&mut self, a: Var<f32>, b: Var<f32>, c: Var<f32>) -> Result<Var<f32>, Error> {
        self.push1(Op::Fma, &[a.id, b.id, c.id])
    }

    /// `a` where the mask is not 0, else `b`, with broadcasting.
    pub fn select(&mut self, mask: Var<u32>, a: Var<f32>, b: Var<f32>) -> Result<Var<f32>, Error> {
        self.push1(Op::Select, &[mask.id, a.id, b.id])
    }

    /// Integers as the nearest numbers.
    pub fn to_float(&mut self, x: Var<u32>) -> Result<Var<f32>, Error> {
        self.push1(Op::ToFloat, &[x.id])
    }

    // Moved about.

    /// The same elements under another shape.
    pub fn reshape<T: Element>(&mut self, x: Var<T>, dims: &[usize]) -> Result<Var<T>, Error> {
        let shape = Shape::new(dims)?;
        if shape == x.shape {
            return Ok(x);
        }
        self.push1(Op::Reshape { shape }, &[x.id])
    }

    /// Axes in another order: axis `i` of the result is axis `order[i]` of `x`.
    pub fn permute<T: Element>(&mut self, x: Var<T>, order: &[usize]) -> Result<Var<T>, Error> {
        let order = order.iter().map(|&a| narrow(a)).collect();
        self.push1(Op::Permute { order }, &[x.id])
    }

    /// The last two axes exchanged.
    pub fn transpose<T: Element>(&mut self, x: Var<T>) -> Result<Var<T>, Error> {
        let mut order: Vec<usize> = (0..x.shape.rank()).collect();
        let n = order.len();
        if n >= 2 {
            order.swap(n - 1, n - 2);
        }
        self.permute(x, &order)
    }

    /// Stretched to a larger shape.
    pub fn broadcast<T: Element>(&mut self, x: Var<T>, dims: &[usize]) -> Result<Var<T>, Error> {
        let shape = Shape::new(dims)?;
        if shape == x.shape {
            return Ok(x);
        }
        self.push1(Op::Broadcast { shape }, &[x.id])
    }

    /// `len` elements of one axis, from `start` on.
    pub fn slice<T: Element>(
        &mut self,
        x: Var<T>,
        axis: usize,
        start: usize,
        len: usize,
    ) -> Result<Var<T>, Error> {
        let axis = narrow(axis);
        let narrow = |n: usize| u32::try_from(n).map_err(|_| Error::too_large(&[n]));
        self.push1(Op::Slice { axis, start: narrow(start)?, len: narrow(len)? }, &[x.id])
    }

    /// Zeros before and after along one axis.
    pub fn pad<T: Element>(
        &mut self,
        x: Var<T>,
        axis: usize,
        before: usize,
        after: usize,
    ) -> Result<Var<T>, Error> {
        let axis = narrow(axis);
        let narrow = |n: usize| u32::try_from(n).map_err(|_| Error::too_large(&[n]));
        self.push1(Op::Pad { axis, before: narrow(before)?, after: narrow(after)? }, &[x.id])
    }

    /// Tensors one after another along an axis.
    pub fn concat<T: Element>(&mut self, parts: &[Var<T>], axis: usize) -> Result<Var<T>, Error> {
        let ids: Vec<ValueId> = parts.iter().map(|p| p.id).collect();
        self.push1(Op::Concat { axis: narrow(axis) }, &ids)
    }

    /// Backwards along an axis.
    pub fn flip<T: Element>(&mut self, x: Var<T>, axis: usize) -> Result<Var<T>, Error> {
        self.push1(Op::Flip { axis: narrow(axis) }, &[x.id])
    }

    /// Rows of a table `[V, ..]` by id.
    pub fn gather(&mut self, table: Var<f32>, ids: Var<u32>) -> Result<Var<f32>, Error> {
        self.push1(Op::Gather, &[table.id, ids.id])
    }

    /// Rows of `source` added into `rows` zero rows by id, in the order they come.
    pub fn scatter_add(&mut self, ids: Var<u32>, source: Var<f32>, rows: usize) -> Result<Var<f32>, Error> {
        let rows = u32::try_from(rows).map_err(|_| Error::too_large(&[rows]))?;
        self.push1(Op::ScatterAdd { rows }, &[ids.id, source.id])
    }

    /// One element of each row by its index along the last axis.
    pub fn pick(&mut self, x: Var<f32>, ids: Var<u32>) -> Result<Var<f32>, Error> {
        self.push1(Op::Pick, &[x.id, ids.id])
    }

    /// One element into each row of `n` zeros.
    pub fn place(&mut self, ids: Var<u32>, source: Var<f32>, n: usize) -> Result<Var<f32>, Error> {
        let n = u32::try_from(n).map_err(|_| Error::too_large(&[n]))?;
        self.push1(Op::Place { n }, &[ids.id, source.id])
    }

    /// `cache[B, T, ..]` with `new[B, t, ..]` written from row `start[b]` on.
    pub fn write_rows(&mut self, cache: Var<f32>, new: Var<f32>, start: Var<u32>) -> Result<Var<f32>, Error> {
        self.push1(Op::WriteRows, &[cache.id, new.id, start.id])
    }

    /// The matrix `[K, N]` that is kept in few bits: element `(k, n)` is `q * scale + shift`, rounded once, where q is the number
    /// of `bits` bits (4 or 8) in `words[k / per, n]`, `per = 32 / bits` to a word, the lowest first, and the scale and
    /// shift are those of the k's group `[k / (K / G), n]`.
    pub fn unpack(
        &mut self,
        bits: u8,
        words: Var<u32>,
        scale: Var<f32>,
        shift: Var<f32>,
    ) -> Result<Var<f32>, Error> {
        self.push1(Op::Unpack { bits }, &[words.id, scale.id, shift.id])
    }

    /// `x[M, K]` times the matrix that [`Builder::unpack`] would give, which is never made whole.
    pub fn packed_matmul(
        &mut self,
        x: Var<f32>,
        bits: u8,
        words: Var<u32>,
        scale: Var<f32>,
        shift: Var<f32>,
    ) -> Result<Var<f32>, Error> {
        self.push1(Op::PackedMatmul { bits }, &[x.id, words.id, scale.id, shift.id])
    }

    /// The patches of `x[N, D, H, W, C]` as rows `[N*D'*H'*W', kd*kh*kw*C]`, zeros outside.
    pub fn im2col(&mut self, x: Var<f32>, kernel: [usize; 3], pad: [usize; 3]) -> Result<Var<f32>, Error> {
        self.push1(Op::Im2col { kernel: narrow3(kernel)?, pad: narrow3(pad)? }, &[x.id])
    }

    // Contracted.

    /// `a b`: matrix product over the last two axes.
    pub fn matmul(&mut self, a: Var<f32>, b: Var<f32>) -> Result<Var<f32>, Error> {
        self.matmul_t(a, false, b, false)
    }

    /// Matrix product with either operand transposed: `ta` reads `a` as `[.., K, M]`, `tb` reads `b` as `[.., N, K]`.
    pub fn matmul_t(&mut self, a: Var<f32>, ta: bool, b: Var<f32>, tb: bool) -> Result<Var<f32>, Error> {
        self.push1(Op::Matmul { ta, tb }, &[a.id, b.id])
    }

    /// Matrix product in which row `i` uses only `lo[i]..hi[i]` of K.
    pub fn ragged_matmul(
        &mut self,
        a: Var<f32>,
        ta: bool,
        b: Var<f32>,
        tb: bool,
        lo: Var<u32>,
        hi: Var<u32>,
    ) -> Result<Var<f32>, Error> {
        self.push1(Op::RaggedMatmul { ta, tb }, &[a.id, b.id, lo.id, hi.id])
    }

    /// `x w` for `x[.., K]` and a weight `w[K, N]`, whatever the axes before K.
    pub fn linear(&mut self, x: Var<f32>, w: Var<f32>) -> Result<Var<f32>, Error> {
        if x.shape.rank() == 0 || w.shape.rank() != 2 {
            return Err(self.misuse("linear", "needs x[.., K] and w[K, N]", &[x.id, w.id]));
        }
        let flat = self.reshape(x, &[x.shape.rows(), x.shape.last()])?;
        let y = self.matmul(flat, w)?;
        let mut dims = x.shape.to_vec();
        if let Some(last) = dims.last_mut() {
            *last = w.dim(1);
        }
        self.reshape(y, &dims)
    }

    /// The sum along an axis.
    pub fn sum(&mut self, x: Var<f32>, axis: usize) -> Result<Var<f32>, Error> {
        self.push1(Op::Reduce { with: ReduceFn::Sum, axis: narrow(axis) }, &[x.id])
    }

    /// The sum of all elements, as a scalar.
    pub fn sum_all(&mut self, x: Var<f32>) -> Result<Var<f32>, Error> {
        let flat = self.reshape(x, &[x.shape.elements()])?;
        self.sum(flat, 0)
    }

    /// The mean of all elements, as a scalar.
    pub fn mean_all(&mut self, x: Var<f32>) -> Result<Var<f32>, Error> {
        let sum = self.sum_all(x)?;
        let count = self.scalar(x.shape.elements() as f32)?;
        self.div(sum, count)
    }

    /// The greatest element along an axis.
    pub fn reduce_max(&mut self, x: Var<f32>, axis: usize) -> Result<Var<f32>, Error> {
        self.push1(Op::Reduce { with: ReduceFn::Max, axis: narrow(axis) }, &[x.id])
    }

    /// The sum of products along an axis.
    pub fn dot(&mut self, a: Var<f32>, b: Var<f32>, axis: usize) -> Result<Var<f32>, Error> {
        self.push1(Op::Dot { axis: narrow(axis) }, &[a.id, b.id])
    }

    /// The index of the greatest element of each row; the lowest such index.
    pub fn argmax(&mut self, x: Var<f32>) -> Result<Var<u32>, Error> {
        self.push1(Op::ArgMax, &[x.id])
    }

    /// Which elements of each row of `x[R, V]` top-k (`k[R]`, 0 for all) and top-p (`p[R]`) keep.
    pub fn keep(&mut self, x: Var<f32>, k: Var<u32>, p: Var<f32>) -> Result<Var<u32>, Error> {
        self.push1(Op::Keep, &[x.id, k.id, p.id])
    }

    // Fused.

    /// `x / rms(x) * w` over the last axis; also the reciprocal root mean square of each row.
    pub fn rms_norm(&mut self, x: Var<f32>, w: Var<f32>, eps: f32) -> Result<(Var<f32>, Var<f32>), Error> {
        let [y, inv] = self.push_n(Op::RmsNorm { eps }, &[x.id, w.id])?;
        Ok((y, inv))
    }

    /// The softmax over the last axis.
    pub fn softmax(&mut self, x: Var<f32>) -> Result<Var<f32>, Error> {
        self.push1(Op::Softmax, &[x.id])
    }

    /// The log-probability of one token for each row of logits; minus its sum is the cross-entropy.
    pub fn token_logprob(&mut self, logits: Var<f32>, ids: Var<u32>) -> Result<Var<f32>, Error> {
        let [logp, _, _] = self.push_n::<f32, 3>(Op::TokenLogprob, &[logits.id, ids.id])?;
        Ok(logp)
    }

    /// `silu(gate) * up`.
    pub fn swiglu(&mut self, gate: Var<f32>, up: Var<f32>) -> Result<Var<f32>, Error> {
        self.push1(Op::Swiglu, &[gate.id, up.id])
    }

    /// Sines and cosines of `positions[..]` times the frequencies of a rotary embedding of `dim` and `theta`.
    pub fn rope_tables(&mut self, positions: Var<u32>, dim: usize, theta: f32) -> Result<RopeTables, Error> {
        // theta^(-2i/dim) = exp(-(2i/dim) ln theta), all of it inside the program so that no machine's libm has a say.
        let half = dim / 2;
        let i = self.iota(&[half], 0)?;
        let i = self.to_float(i)?;
        let two = self.scale(i, 2.0)?;
        let dim = self.scalar(dim as f32)?;
        let share = self.div(two, dim)?;
        let theta = self.scalar(theta)?;
        let log = self.unary(UnaryFn::Log, theta)?;
        let power = self.mul(share, log)?;
        let power = self.unary(UnaryFn::Neg, power)?;
        let frequency = self.unary(UnaryFn::Exp, power)?;
        let at = self.to_float(positions)?;
        let column: Vec<usize> = positions.shape.iter().chain([1]).collect();
        let at = self.reshape(at, &column)?;
        let angle = self.mul(at, frequency)?;
        let cos = self.unary(UnaryFn::Cos, angle)?;
        let sin = self.unary(UnaryFn::Sin, angle)?;
        Ok(RopeTables { cos, sin })
    }

    /// Pairs `(d, d + D/2)` of `x[B, T, H, D]` turned by the tables.
    pub fn rope(&mut self, x: Var<f32>, tables: &RopeTables) -> Result<Var<f32>, Error> {
        self.push1(Op::Rope { inverse: false }, &[x.id, tables.cos.id, tables.sin.id])
    }

    /// Scaled dot-product attention of `q[B, Tq, Hq, D]` over `k` and `v[B, Tk, Hkv, D]`.
    ///
    /// `start[B]`, if causal, is the number of keys before the first query (query `i` sees `start + i + 1` keys); otherwise it
    /// is the number of keys every query sees.
    pub fn attention(
        &mut self,
        q: Var<f32>,
        k: Var<f32>,
        v: Var<f32>,
        start: Var<u32>,
        scale: f32,
        causal: bool,
    ) -> Result<Var<f32>, Error> {
        let op = Op::Attention { scale, causal };
        let [o, _, _] = self.push_n::<f32, 3>(op, &[q.id, k.id, v.id, start.id])?;
        Ok(o)
    }

    /// Convolution of `x[N, D, H, W, Ci]` with `w[kd, kh, kw, Ci, Co]`, stride 1, zeros outside.
    pub fn conv3d(&mut self, x: Var<f32>, w: Var<f32>, pad: [usize; 3]) -> Result<Var<f32>, Error> {
        self.push1(Op::Conv3d { pad: narrow3(pad)? }, &[x.id, w.id])
    }

    /// What every gradient must be multiplied by so that their joint norm is at most `limit`; and that norm.
    pub fn clip_scale(&mut self, gradients: &[Var<f32>], limit: f32) -> Result<(Var<f32>, Var<f32>), Error> {
        let mut squares = Vec::with_capacity(gradients.len());
        for g in gradients {
            let flat = self.reshape(*g, &[g.shape.elements()])?;
            let square = self.dot(flat, flat, 0)?;
            squares.push(self.reshape(square, &[1])?);
        }
        let all = self.concat(&squares, 0)?;
        let total = self.sum(all, 0)?;
        let norm = self.unary(UnaryFn::Sqrt, total)?;
        let tiny = self.scalar(1e-6)?;
        let safe = self.add(norm, tiny)?;
        let limit = self.scalar(limit)?;
        let ratio = self.div(limit, safe)?;
        let one = self.scalar(1.0)?;
        Ok((self.binary(BinaryFn::Min, ratio, one)?, norm))
    }

    /// One AdamW step; gives the new parameter and the new running means.
    pub fn adamw(
        &mut self,
        p: Var<f32>,
        g: Var<f32>,
        state: AdamState,
        with: &AdamW,
    ) -> Result<(Var<f32>, AdamState), Error> {
        let op = Op::AdamW { b1: with.b1, b2: with.b2, eps: with.eps, decay: with.decay };
        let operands = [p, g, state.m, state.v, with.lr, with.gscale, with.c1, with.c2].map(|v| v.id);
        let [p, m, v] = self.push_n(op, &operands)?;
        Ok((p, AdamState { m, v }))
    }

    /// One token for each row of logits: temperature (0 for the greatest), top-k (0 for all), top-p, by the row's seeds.
    pub fn sample(
        &mut self,
        logits: Var<f32>,
        seeds: Var<u32>,
        temperature: Var<f32>,
        top_k: Var<u32>,
        top_p: Var<f32>,
    ) -> Result<Var<u32>, Error> {
        self.push1(Op::Sample, &[logits.id, seeds.id, temperature.id, top_k.id, top_p.id])
    }

    // How operations get in.

    /// Adds any operation; the typed methods above all come here.
    pub(crate) fn push(&mut self, op: Op, operands: &[ValueId]) -> Result<std::ops::Range<ValueId>, Error> {
        if self.nodes.len() >= MAX_OPERATIONS {
            let count = self.nodes.len() + 1;
            return Err(Error::ProgramTooLong { what: "operations", count, limit: MAX_OPERATIONS });
        }
        let mut types = Vec::with_capacity(operands.len());
        for operand in operands {
            types.push(self.value(op.name(), *operand)?.ty);
        }
        let results = infer(&op, &types)?;
        let first = self.values.len() as u32;
        let from = From::Node(self.nodes.len());
        let root = match op {
            Op::Reshape { .. } => Some(self.values[operands[0] as usize].root),
            _ => None,
        };
        let value = |(id, ty): (ValueId, &Type)| Value { ty: *ty, from, root: root.unwrap_or(id) };
        self.values.extend((first..).zip(&results).map(value));
        let results = results.len() as u32;
        self.nodes.push(Node { op, operands: operands.to_vec(), first, results });
        Ok(first..first + results)
    }

    pub(crate) fn push1<T: Element>(&mut self, op: Op, operands: &[ValueId]) -> Result<Var<T>, Error> {
        let results = self.push(op, operands)?;
        Ok(self.var(results.start))
    }

    pub(crate) fn push_n<T: Element, const N: usize>(
        &mut self,
        op: Op,
        operands: &[ValueId],
    ) -> Result<[Var<T>; N], Error> {
        let results = self.push(op, operands)?;
        Ok(std::array::from_fn(|i| self.var(results.start + i as u32)))
    }

    /// A typed handle for a value this builder made.
    pub(crate) fn var<T: Element>(&self, id: ValueId) -> Var<T> {
        let ty = self.values[id as usize].ty;
        debug_assert_eq!(ty.dtype, T::DTYPE);
        Var { id, shape: ty.shape, element: PhantomData }
    }

    fn leaf<T: Element>(&mut self, name: &str, source: Source, dims: &[usize]) -> Result<Var<T>, Error> {
        let ty = Type { dtype: T::DTYPE, shape: Shape::new(dims)? };
        let id = self.push_leaf(name, source == Source::State, ty)?;
        Ok(self.var(id))
    }

    pub(crate) fn push_leaf(&mut self, name: &str, state: bool, ty: Type) -> Result<ValueId, Error> {
        self.name(name)?;
        let source = if state { Source::State } else { Source::Input };
        let from = From::Leaf(self.leaves.len());
        self.leaves.push((Leaf { name: name.to_owned(), ty }, source));
        let id = self.values.len() as ValueId;
        self.values.push(Value { ty, from, root: id });
        Ok(id)
    }

    /// The elements of all values together.
    pub(crate) fn total_elements(&self) -> usize {
        self.values.iter().map(|v| v.ty.shape.elements()).sum()
    }

    fn name(&mut self, name: &str) -> Result<(), Error> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            let name = name.chars().take(64).collect();
            return Err(Error::BadName { name, limit: MAX_NAME_BYTES });
        }
        if !self.names.insert(name.to_owned()) {
            return Err(Error::DuplicateName { name: name.to_owned() });
        }
        Ok(())
    }

    fn value(&self, op: &'static str, id: ValueId) -> Result<Value, Error> {
        self.values.get(id as usize).copied().ok_or(Error::UnknownValue { op, value: id })
    }

    /// A value whose storage no leaf owns, so that a run can give it back or keep it whatever becomes of the leaf.
    fn owned(&mut self, value: ValueId) -> Result<ValueId, Error> {
        let root = self.values[value as usize].root;
        match self.values[root as usize].from {
            From::Leaf(_) => Ok(self.push(Op::Copy, &[value])?.start),
            From::Node(_) => Ok(value),
        }
    }

    fn misuse(&self, op: &'static str, why: &str, operands: &[ValueId]) -> Error {
        let ty = |v: &ValueId| self.values.get(*v as usize).map_or("unknown".into(), |v| v.ty.to_string());
        let operands = operands.iter().map(ty).collect::<Vec<_>>().join(", ");
        Error::Operands { op, why: why.to_owned(), operands }
    }
}

/// An axis as it is stored; one that is out of range stays out of range.
fn narrow(axis: usize) -> u8 {
    u8::try_from(axis).unwrap_or(u8::MAX)
}

fn narrow3(v: [usize; 3]) -> Result<[u32; 3], Error> {
    let narrow = |n: usize| u32::try_from(n).map_err(|_| Error::too_large(&v));
    Ok([narrow(v[0])?, narrow(v[1])?, narrow(v[2])?])
}
