//! Single operations with operands: every operation there is, fused or not, with random attributes, shapes and elements.

use exact::{BinaryFn, CompareFn, DType, IntFn, Op, ReduceFn, Shape, Type, UnaryFn};

use super::choices::Stream;
use super::values::{Kind, floats, ints};

/// One operation and what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) op: Op,
    pub(crate) operands: Vec<Type>,
    pub(crate) data: Vec<Vec<u32>>,
}

/// How large the tensors are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Size {
    /// A handful of elements: for vectors that are committed.
    Tiny,
    /// A few hundred: the scalar device is done at once.
    Small,
    /// Axes beyond one block of 512 or one piece of a thread.
    Large,
}

/// The names of all kinds of operations; a case is made for each by its index.
pub(crate) const KINDS: [&str; 50] = [
    "full",
    "iota",
    "philox",
    "unit",
    "copy",
    "unary",
    "binary",
    "compare",
    "int",
    "fma",
    "select",
    "to_float",
    "reshape",
    "permute",
    "broadcast",
    "slice",
    "pad",
    "concat",
    "flip",
    "gather",
    "scatter_add",
    "pick",
    "place",
    "write_rows",
    "im2col",
    "matmul",
    "ragged_matmul",
    "sum",
    "reduce_max",
    "dot",
    "argmax",
    "keep",
    "rms_norm",
    "rms_norm_grad",
    "rms_norm_weight_grad",
    "softmax",
    "token_logprob",
    "token_logprob_grad",
    "swiglu",
    "swiglu_grad",
    "rope",
    "attention",
    "attention_grad",
    "conv3d",
    "conv3d_weight_grad",
    "adamw",
    "sample",
    "nested_axes",
    "unpack",
    "packed_matmul",
];

/// A random case of one kind.
pub(crate) fn case(kind: &str, size: Size, seed: u64) -> Case {
    let mut s = Stream(seed);
    let fill = s.pick(&[Kind::Tame, Kind::Tame, Kind::Plain, Kind::Spiked, Kind::Wild, Kind::Corners]);
    Maker { s, size, fill, operands: Vec::new(), data: Vec::new() }.make(kind)
}

struct Maker {
    s: Stream,
    size: Size,
    fill: Kind,
    operands: Vec<Type>,
    data: Vec<Vec<u32>>,
}

const SHORT: [usize; 12] = [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 0, 1];
const LONG: [usize; 12] = [0, 1, 31, 63, 64, 65, 127, 130, 255, 257, 33, 100];
const HUGE: [usize; 8] = [511, 512, 513, 1025, 1500, 2048, 700, 3000];

impl Maker {
    /// The length of an axis that is worked along.
    fn long(&mut self) -> usize {
        match self.size {
            Size::Tiny => self.s.pick(&[1, 2, 3, 4, 5, 6, 7]),
            Size::Small => self.s.pick(&LONG),
            Size::Large => self.s.pick(&HUGE),
        }
    }

    /// The length of any other axis.
    fn short(&mut self) -> usize {
        match self.size {
            Size::Tiny => self.s.pick(&[1, 2, 3]),
            Size::Small => self.s.pick(&SHORT),
            Size::Large => self.s.pick(&[1, 2, 3, 5, 9, 17, 40]),
        }
    }

    /// As `short`, but never empty.
    fn some(&mut self) -> usize {
        self.short().max(1)
    }

    /// Up to `most` axes, within a bound on the elements.
    fn dims(&mut self, least: usize, most: usize) -> Vec<usize> {
        let rank = least + self.s.below(most - least + 1);
        let mut dims: Vec<usize> = (0..rank)
            .map(|_| {
                if self.s.one_in(if self.size == Size::Large { 2 } else { 5 }) {
                    self.long()
                } else {
                    self.short()
                }
            })
            .collect();
        self.bounded(&mut dims);
        dims
    }

    /// Axes at random are shortened until there are not too many elements.
    fn bounded(&mut self, dims: &mut [usize]) {
        let bound = match self.size {
            Size::Tiny => 12,
            Size::Small => 1_500,
            Size::Large => 20_000,
        };
        while dims.iter().map(|d| (*d).max(1)).product::<usize>() > bound && dims.iter().any(|d| *d > 1) {
            let i = self.s.below(dims.len());
            dims[i] = dims[i].min(1);
        }
    }

    /// As `dims`, the last axis being `n`.
    fn ending(&mut self, most: usize, n: usize) -> Vec<usize> {
        let mut dims = self.dims(1, most);
        dims.pop();
        if dims.iter().product::<usize>() * n > 20_000 {
            dims.fill(2);
        }
        dims.push(n);
        dims
    }

    fn push(&mut self, dtype: DType, dims: &[usize], data: Vec<u32>) {
        self.operands.push(Type { dtype, shape: Shape::new(dims).unwrap() });
        self.data.push(data);
    }

    fn f(&mut self, dims: &[usize]) {
        let seed = self.s.number();
        let data = floats(self.fill, seed, dims.iter().product());
        self.push(DType::F32, dims, data);
    }

    /// Integers from low to high, both included.
    fn u(&mut self, dims: &[usize], low: usize, high: usize) {
        let seed = self.s.number();
        let data = ints(low as u32, high as u32, seed, dims.iter().product());
        self.push(DType::U32, dims, data);
    }

    /// Floats near what is usual, for operands such as temperatures.
    fn f_of(&mut self, dims: &[usize], options: &[f32]) {
        let n = dims.iter().product();
        let data = (0..n).map(|_| self.s.pick(options).to_bits()).collect();
        self.push(DType::F32, dims, data);
    }

    fn either(&mut self, dims: &[usize]) {
        if self.s.one_in(3) { self.u(dims, 0, u32::MAX as usize) } else { self.f(dims) }
    }

    /// `dims`, or something that stretches to it.
    fn stretchable(&mut self, dims: &[usize]) -> Vec<usize> {
        let mut dims = dims.to_vec();
        if self.s.one_in(2) {
            return dims;
        }
        for _ in 0..self.s.below(dims.len() + 1) {
            if self.s.one_in(2) {
                dims.remove(0);
            }
        }
        for dim in &mut dims {
            if self.s.one_in(2) {
                *dim = 1;
            }
        }
        dims
    }

    /// Operands that stretch to one shape, one of them whole.
    fn stretched(&mut self, masks: usize, floats: usize) {
        let dims = self.dims(0, 6);
        let whole = self.s.below(masks + floats);
        for i in 0..masks + floats {
            let own = if i == whole { dims.clone() } else { self.stretchable(&dims) };
            if i < masks {
                self.u(&own, 0, 1);
            } else {
                self.f(&own);
            }
        }
    }

    fn axis(&mut self, dims: &[usize]) -> u8 {
        self.s.below(dims.len()) as u8
    }

    fn shape(dims: &[usize]) -> Shape {
        Shape::new(dims).unwrap()
    }

    /// Shapes of `a` and `b` for a product, and of its rows.
    fn product(&mut self) -> (bool, bool, Vec<usize>, usize) {
        let (ta, tb) = (self.s.one_in(2), self.s.one_in(2));
        let batch: Vec<usize> = (0..self.s.below(3)).map(|_| self.s.pick(&[1, 2, 3])).collect();
        let k = if self.size == Size::Small && self.s.one_in(4) { self.short() } else { self.long() };
        let [m, n] = match self.size {
            // Square, so that one value can be both.
            Size::Small if k < 20 && self.s.one_in(2) => [k, k],
            Size::Tiny => [self.s.pick(&[1, 2, 3]), self.s.pick(&[1, 2, 3])],
            Size::Small => [self.s.pick(&SHORT), self.s.pick(&[0, 1, 2, 3, 7, 8, 16, 17, 31, 33])],
            Size::Large => [self.s.pick(&[1, 2, 3, 5, 13]), self.s.pick(&[1, 7, 16, 17, 33, 65])],
        };
        let with = |first: usize, second: usize| [&batch[..], &[first, second]].concat();
        let a = if ta { with(k, m) } else { with(m, k) };
        let b = if tb { with(n, k) } else { with(k, n) };
        self.f(&a);
        self.f(&b);
        (ta, tb, [&batch[..], &[m]].concat(), k)
    }

    /// q, k, v and start; gives batch, queries, query heads.
    fn attention(&mut self, causal: bool) -> [usize; 3] {
        let (batch, group, dim) = (self.s.pick(&[1, 2, 3]), self.s.pick(&[1, 2, 3]), self.some());
        let (heads, queries) = (self.s.pick(&[1, 2]), self.short());
        let beyond = self.s.below(4) + if self.size == Size::Large { 500 } else { 0 };
        let keys = (queries + beyond).max(1);
        self.f(&[batch, queries, heads * group, dim]);
        self.f(&[batch, keys, heads, dim]);
        self.f(&[batch, keys, heads, dim]);
        let (low, high) = if causal { (0, keys - queries) } else { (1, keys) };
        self.u(&[batch], low, high);
        [batch, queries, heads * group]
    }

    fn conv_input(&mut self) -> ([usize; 5], [u32; 3], [u32; 3]) {
        let most = if self.size == Size::Large { 9 } else { 4 };
        let mut x = [self.s.below(3), 0, 0, 0, self.s.pick(&[1, 2, 3, 5])];
        let (mut kernel, mut pad) = ([1; 3], [0; 3]);
        for axis in 0..3 {
            x[axis + 1] = self.s.below(most) + usize::from(!self.s.one_in(8));
            pad[axis] = self.s.pick(&[0, 1, 1, 2]);
            let reach = x[axis + 1] as u32 + 2 * pad[axis];
            if reach == 0 {
                pad[axis] = 1;
            }
            kernel[axis] = 1 + self.s.below((x[axis + 1] as u32 + 2 * pad[axis]).min(3) as usize) as u32;
        }
        (x, kernel, pad)
    }

    fn positions(x: [usize; 5], kernel: [u32; 3], pad: [u32; 3]) -> [usize; 3] {
        std::array::from_fn(|a| x[a + 1] + 2 * pad[a] as usize - kernel[a] as usize + 1)
    }

    fn eps(&mut self) -> f32 {
        self.s.pick(&[1e-5, 1e-6, 0.0, 1.0, -0.5])
    }

    fn make(mut self, kind: &str) -> Case {
        let op = self.op(kind);
        Case { op, operands: self.operands, data: self.data }
    }

    fn op(&mut self, kind: &str) -> Op {
        match kind {
            "full" => {
                let shape = Self::shape(&self.dims(0, 6));
                if self.s.one_in(2) {
                    Op::Full { dtype: DType::U32, shape, bits: self.s.number() as u32 }
                } else {
                    let seed = self.s.number();
                    Op::Full { dtype: DType::F32, shape, bits: floats(self.fill, seed, 1)[0] }
                }
            }
            "iota" => {
                let dims = self.dims(1, 6);
                Op::Iota { axis: self.axis(&dims), shape: Self::shape(&dims) }
            }
            "philox" => {
                let rows = self.short();
                self.u(&[rows, 4], 0, u32::MAX as usize);
                Op::Philox { words: self.long() as u32 }
            }
            "unit" | "to_float" => {
                let dims = self.dims(0, 6);
                self.u(&dims, 0, u32::MAX as usize);
                if kind == "unit" { Op::Unit } else { Op::ToFloat }
            }
            "copy" => {
                let dims = self.dims(0, 6);
                self.either(&dims);
                Op::Copy
            }
            "unary" => {
                let dims = self.dims(0, 6);
                self.f(&dims);
                Op::Unary(self.s.pick(&UnaryFn::ALL))
            }
            "binary" => {
                self.stretched(0, 2);
                Op::Binary(self.s.pick(&BinaryFn::ALL))
            }
            "compare" => {
                self.stretched(0, 2);
                Op::Compare(self.s.pick(&[CompareFn::Lt, CompareFn::Le, CompareFn::Eq]))
            }
            "int" => {
                use IntFn::{Add, Eq, Lt, Max, Min, Mul, Sub};
                let f = self.s.pick(&[Add, Sub, Mul, Max, Min, Lt, Eq]);
                let dims = self.dims(0, 6);
                let other = self.stretchable(&dims);
                // In range, but for one case in eight.
                let wide = u32::MAX as usize;
                let ((l, h), (m, n)) = match f {
                    _ if self.s.one_in(8) => ((0, wide), (0, wide)),
                    Add => ((0, wide / 2), (0, wide / 2)),
                    Sub => ((1000, wide), (0, 1000)),
                    Mul => ((0, 65535), (0, 65537)),
                    Lt | Eq => ((0, 3), (0, 3)),
                    Max | Min => ((0, wide), (0, wide)),
                };
                self.u(&dims, l, h);
                self.u(&other, m, n);
                Op::Int(f)
            }
            "fma" => {
                self.stretched(0, 3);
                Op::Fma
            }
            "select" => {
                self.stretched(1, 2);
                Op::Select
            }
            "dot" => {
                let dims = self.dims(1, 5);
                self.f(&dims);
                self.f(&dims);
                Op::Dot { axis: self.axis(&dims) }
            }
            "sum" => {
                let dims = self.dims(1, 6);
                self.f(&dims);
                Op::Reduce { with: ReduceFn::Sum, axis: self.axis(&dims) }
            }
            "reduce_max" => {
                let mut dims = self.dims(1, 6);
                let axis = self.axis(&dims);
                dims[usize::from(axis)] = dims[usize::from(axis)].max(1);
                self.f(&dims);
                Op::Reduce { with: ReduceFn::Max, axis }
            }
            // A fold of a middle axis, long on every side.
            "nested_axes" => {
                let (outer, inner) = (self.some(), self.some());
                let n = self.long().max(1);
                self.f(&[outer, n, inner]);
                Op::Reduce { with: self.s.pick(&[ReduceFn::Sum, ReduceFn::Max]), axis: 1 }
            }
            "im2col" => {
                let (x, kernel, pad) = self.conv_input();
                self.f(&x);
                Op::Im2col { kernel, pad }
            }
            "matmul" => {
                let (ta, tb, ..) = self.product();
                Op::Matmul { ta, tb }
            }
            "ragged_matmul" => {
                let (ta, tb, rows, k) = self.product();
                let n: usize = rows.iter().product();
                let (mut lo, mut hi) = (Vec::new(), Vec::new());
                for _ in 0..n {
                    let (a, b) = (self.s.below(k + 1) as u32, self.s.below(k + 1) as u32);
                    lo.push(a.min(b));
                    hi.push(a.max(b));
                }
                self.push(DType::U32, &rows, lo);
                self.push(DType::U32, &rows, hi);
                Op::RaggedMatmul { ta, tb }
            }
            "argmax" => {
                let n = self.long().max(1);
                let dims = self.ending(4, n);
                self.f(&dims);
                Op::ArgMax
            }
            "keep" | "sample" => {
                let (rows, n) = (self.short(), self.long().max(1));
                self.f(&[rows, n]);
                if kind == "sample" {
                    self.u(&[rows, 4], 0, u32::MAX as usize);
                    self.f_of(&[rows], &[0.0, 1.0, 0.7, -1.0, 1e-30, f32::NAN, f32::INFINITY, 3.0]);
                }
                self.u(&[rows], 0, n + 1);
                self.f_of(&[rows], &[1.0, 0.9, 0.5, 0.0, 2.0, -1.0, f32::NAN, 1e-9, 0.999_999_94]);
                if kind == "sample" { Op::Sample } else { Op::Keep }
            }
            "unpack" | "packed_matmul" => {
                let bits = self.s.pick(&[4, 8]);
                let per = 32 / usize::from(bits);
                let groups = self.s.pick(&[1, 2, 3]);
                let most = if self.size == Size::Large { 1200 } else { 40 };
                let rows = groups * self.s.below(most / per / groups + 2);
                let n = match self.size {
                    Size::Tiny => self.some(),
                    Size::Small => self.s.pick(&[0, 1, 7, 16, 33]),
                    Size::Large => self.s.pick(&[1, 31, 65, 200]),
                };
                if kind == "packed_matmul" {
                    let m = if self.size == Size::Tiny { self.some() } else { self.s.pick(&SHORT) };
                    self.f(&[m, rows * per]);
                }
                self.u(&[rows, n], 0, u32::MAX as usize);
                self.f(&[groups, n]);
                self.f(&[groups, n]);
                if kind == "unpack" { Op::Unpack { bits } } else { Op::PackedMatmul { bits } }
            }
            "rms_norm" | "rms_norm_grad" | "rms_norm_weight_grad" | "softmax" => self.row_op(kind),
            "token_logprob" | "token_logprob_grad" => {
                let n = self.long().max(1);
                let dims = self.ending(3, n);
                let ids = &dims[..dims.len() - 1];
                self.f(&dims);
                self.u(ids, 0, n - 1);
                if kind == "token_logprob" {
                    return Op::TokenLogprob;
                }
                (0..3).for_each(|_| self.f(ids));
                Op::TokenLogprobGrad
            }
            "swiglu" | "swiglu_grad" => {
                let dims = self.dims(0, 4);
                self.f(&dims);
                self.f(&dims);
                if kind == "swiglu" {
                    return Op::Swiglu;
                }
                self.f(&dims);
                Op::SwigluGrad
            }
            "rope" => {
                let (batch, t, heads, half) = (self.some(), self.short(), self.some().min(4), self.some());
                self.f(&[batch, t, heads, 2 * half]);
                let table = if self.s.one_in(2) { vec![t, half] } else { vec![batch, t, half] };
                self.f(&table);
                self.f(&table);
                Op::Rope { inverse: self.s.one_in(2) }
            }
            "attention" | "attention_grad" => {
                let (causal, scale) = (!self.s.one_in(3), self.s.pick(&[0.25, 1.0, -0.5, 0.17]));
                let [batch, queries, heads] = self.attention(causal);
                if kind == "attention" {
                    return Op::Attention { scale, causal };
                }
                let q = self.operands[0].shape.to_vec();
                self.f(&q);
                self.f(&[batch, heads, queries]);
                self.f(&[batch, heads, queries]);
                self.f(&q);
                Op::AttentionGrad { scale, causal }
            }
            "conv3d" | "conv3d_weight_grad" => {
                let (x, kernel, pad) = self.conv_input();
                let channels = self.s.pick(&[1, 2, 3, 17]);
                self.f(&x);
                if kind == "conv3d" {
                    let [d, h, w] = kernel.map(|k| k as usize);
                    self.f(&[d, h, w, x[4], channels]);
                    return Op::Conv3d { pad };
                }
                let [d, h, w] = Self::positions(x, kernel, pad);
                self.f(&[x[0], d, h, w, channels]);
                Op::Conv3dWeightGrad { pad, kernel }
            }
            "adamw" => {
                let dims = self.dims(0, 4);
                (0..4).for_each(|_| self.f(&dims));
                (0..4).for_each(|_| self.f(&[]));
                let betas = [0.9, 0.999, 0.0, 1.0, 0.95];
                let (b1, b2) = (self.s.pick(&betas), self.s.pick(&betas));
                Op::AdamW { b1, b2, eps: self.s.pick(&[1e-8, 0.0]), decay: self.s.pick(&[0.01, 0.0]) }
            }
            _ => self.moving(kind),
        }
    }

    fn row_op(&mut self, kind: &str) -> Op {
        let n = if kind == "softmax" { self.long().max(1) } else { self.long() };
        let dims = self.ending(4, n);
        let rows = dims[..dims.len() - 1].to_vec();
        self.f(&dims);
        match kind {
            "rms_norm" => {
                self.f(&[n]);
                Op::RmsNorm { eps: self.eps() }
            }
            "rms_norm_grad" => {
                self.f(&[n]);
                self.f(&rows);
                self.f(&dims);
                Op::RmsNormGrad
            }
            "rms_norm_weight_grad" => {
                self.f(&rows);
                self.f(&dims);
                Op::RmsNormWeightGrad
            }
            _ => Op::Softmax,
        }
    }

    fn moving(&mut self, kind: &str) -> Op {
        match kind {
            "reshape" => {
                let dims = self.dims(0, 6);
                self.either(&dims);
                let n: usize = dims.iter().product();
                let even = n.is_multiple_of(2);
                let to = if self.s.one_in(2) || !even { vec![n, 1] } else { vec![1, n / 2, 2] };
                Op::Reshape { shape: Self::shape(&to) }
            }
            "permute" => {
                let dims = self.dims(0, 6);
                self.either(&dims);
                let mut order: Vec<u8> = (0..dims.len() as u8).collect();
                (1..order.len()).rev().for_each(|i| order.swap(i, self.s.below(i + 1)));
                Op::Permute { order }
            }
            "broadcast" => {
                let dims = self.dims(0, 6);
                let own = self.stretchable(&dims);
                self.either(&own);
                Op::Broadcast { shape: Self::shape(&dims) }
            }
            "slice" => {
                let dims = self.dims(1, 6);
                self.either(&dims);
                let axis = self.axis(&dims);
                let n = dims[usize::from(axis)];
                let start = self.s.below(n + 1);
                Op::Slice { axis, start: start as u32, len: self.s.below(n - start + 1) as u32 }
            }
            "pad" => {
                let dims = self.dims(1, 6);
                self.either(&dims);
                let axis = self.axis(&dims);
                Op::Pad { axis, before: self.s.below(4) as u32, after: self.s.below(4) as u32 }
            }
            "concat" => {
                let dims = self.dims(1, 5);
                let axis = self.axis(&dims);
                let parts = 1 + self.s.below(4);
                let whole_numbers = self.s.one_in(3);
                for _ in 0..parts {
                    let mut own = dims.clone();
                    own[usize::from(axis)] = self.short();
                    if whole_numbers { self.u(&own, 0, 9) } else { self.f(&own) }
                }
                Op::Concat { axis }
            }
            "flip" => {
                let dims = self.dims(1, 6);
                self.either(&dims);
                Op::Flip { axis: self.axis(&dims) }
            }
            "gather" => {
                let mut table = self.dims(1, 3);
                table[0] = table[0].max(1);
                let ids = self.dims(0, 2);
                let ids: Vec<usize> = ids.into_iter().map(|d| d.min(20)).collect();
                self.f(&table);
                self.u(&ids, 0, table[0] - 1);
                Op::Gather
            }
            "scatter_add" => {
                let ids = self.dims(0, 2);
                let row = self.dims(0, 2);
                let ids: Vec<usize> = ids.into_iter().map(|d| d.min(20)).collect();
                let row: Vec<usize> = row.into_iter().map(|d| d.min(40)).collect();
                let rows = self.some();
                self.u(&ids, 0, rows - 1);
                self.f(&[ids, row].concat());
                Op::ScatterAdd { rows: rows as u32 }
            }
            "pick" => {
                let mut dims = self.dims(1, 4);
                let last = dims.len() - 1;
                dims[last] = dims[last].max(1);
                self.f(&dims);
                self.u(&dims[..last], 0, dims[last] - 1);
                Op::Pick
            }
            "place" => {
                let dims = self.dims(0, 3);
                let n = self.some();
                self.u(&dims, 0, n - 1);
                self.f(&dims);
                Op::Place { n: n as u32 }
            }
            "write_rows" => {
                let mut dims = self.dims(2, 4);
                dims[1] = self.short();
                let written = self.s.below(dims[1] + 1);
                self.f(&dims);
                let mut new = dims.clone();
                new[1] = written;
                self.f(&new);
                self.u(&dims[..1], 0, dims[1] - written);
                Op::WriteRows
            }
            other => panic!("{other}: no such kind of operation"),
        }
    }
}
