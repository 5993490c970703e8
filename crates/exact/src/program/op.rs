//! The operations: what each is called, how many operands it takes, and what it needs.
//!
//! An operation is *primitive*, defined by the scalar code in [`crate::spec`], or *fused*, defined by its expansion into
//! primitives in `expand.rs`. A backend may run a fused operation in one pass, but must give the bits of its expansion.

use serde::{Deserialize, Serialize};

use crate::shape::{DType, Shape};

/// A function of one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the function it is named after")]
pub enum UnaryFn {
    Neg,
    Abs,
    Sqrt,
    /// `1 / sqrt(x)`, correctly rounded.
    Rsqrt,
    /// `1 / x`.
    Recip,
    Exp,
    Log,
    Tanh,
    Sin,
    Cos,
    Sigmoid,
    /// `x * sigmoid(x)`.
    Silu,
    /// The tanh form.
    Gelu,
    Relu,
}

/// A function of two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the function it is named after")]
pub enum BinaryFn {
    Add,
    Sub,
    Mul,
    Div,
    /// NaN if either is; `+0` is above `-0`.
    Max,
    /// NaN if either is; `-0` is below `+0`.
    Min,
    /// The derivative of `silu` at the first times the second.
    SiluGrad,
    /// The derivative of `gelu` at the first times the second.
    GeluGrad,
    /// The second where the first is above 0, else `+0`.
    ReluGrad,
}

/// A comparison; its result is 1 or 0. Any comparison with NaN is 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the relation it is named after")]
pub enum CompareFn {
    Lt,
    Le,
    Eq,
}

/// Integer arithmetic; a result that does not fit 32 bits is an error, never a wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the function it is named after")]
pub enum IntFn {
    Add,
    Sub,
    Mul,
    Max,
    Min,
    /// 1 where the first is less than the second, else 0.
    Lt,
    /// 1 where they are equal, else 0.
    Eq,
}

/// How an axis is folded into one element.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReduceFn {
    /// 64 lanes, then a halving tree.
    Sum,
    /// The greatest element; NaN if any is.
    Max,
}

/// One operation and its attributes, which the line above each explains.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the attributes are explained with their operation")]
pub enum Op {
    // Made from nothing.
    /// One number everywhere, given by its bits.
    Full { dtype: DType, shape: Shape, bits: u32 },
    /// The index along an axis.
    Iota { shape: Shape, axis: u8 },
    /// Philox4x32-10 words: `seeds[R, 4]` = (seed low, seed high, stream, position) to `[R, words]`.
    Philox { words: u32 },
    /// Random bits to a number strictly between 0 and 1.
    Unit,

    // Element by element.
    /// The same elements, in storage of their own.
    Copy,
    /// A function of one number.
    Unary(UnaryFn),
    /// A function of two numbers, with broadcasting.
    Binary(BinaryFn),
    /// A relation of two numbers, with broadcasting.
    Compare(CompareFn),
    /// Integer arithmetic, with broadcasting.
    Int(IntFn),
    /// `a * b + c`, rounded once.
    Fma,
    /// The second where the first (0 or not) says so, else the third, with broadcasting.
    Select,
    /// An integer as the nearest number.
    ToFloat,

    // Moved about.
    /// The same elements under another shape.
    Reshape { shape: Shape },
    /// Axes in another order: axis `i` of the result is axis `order[i]` of the operand.
    Permute { order: Vec<u8> },
    /// Stretched to a larger shape.
    Broadcast { shape: Shape },
    /// A piece of one axis.
    Slice { axis: u8, start: u32, len: u32 },
    /// Zeros before and after along one axis.
    Pad { axis: u8, before: u32, after: u32 },
    /// One after another along an axis.
    Concat { axis: u8 },
    /// Backwards along an axis.
    Flip { axis: u8 },
    /// Rows of a table `[V, ...]` by id.
    Gather,
    /// Rows added into `rows` zero rows by id, in the order they come.
    ScatterAdd { rows: u32 },
    /// One element of each row by its index along the last axis.
    Pick,
    /// One element into each row of `n` zeros.
    Place { n: u32 },
    /// `cache[B, T, ..]` with `new[B, t, ..]` written from row `start[B]` on.
    WriteRows,
    /// The patches of `x[N, D, H, W, C]` as rows, zeros outside.
    Im2col { kernel: [u32; 3], pad: [u32; 3] },

    // Contracted.
    /// Matrix product over the last two axes; either operand may be transposed.
    Matmul { ta: bool, tb: bool },
    /// Matrix product in which each row of the result uses only a range of K: `(a, b, lo, hi)`.
    RaggedMatmul { ta: bool, tb: bool },
    /// An axis folded into one element.
    Reduce { with: ReduceFn, axis: u8 },
    /// The products of two tensors folded along an axis.
    Dot { axis: u8 },
    /// The index of the greatest element of each row; the lowest such index.
    ArgMax,
    /// Which elements of each row top-k and top-p keep: `(x[R, V], k[R], p[R])` to 0 or 1.
    Keep,

    // Fused: each defined by its expansion.
    /// `(x, w)` to `(y, inv)`, over the last axis.
    RmsNorm { eps: f32 },
    /// `(x, w, inv, dy)` to `dx`.
    RmsNormGrad,
    /// `(x, inv, dy)` to `dw`.
    RmsNormWeightGrad,
    /// Over the last axis.
    Softmax,
    /// `(logits, ids)` to `(logp, max, sum)`.
    TokenLogprob,
    /// `(logits, ids, max, sum, g)` to `dlogits`.
    TokenLogprobGrad,
    /// `silu(gate) * up`.
    Swiglu,
    /// `(gate, up, dy)` to `(dgate, dup)`.
    SwigluGrad,
    /// `(x[B, T, H, D], cos, sin)`: pairs `(d, d + D/2)` turned by the tables `[T, D/2]` or `[B, T, D/2]`.
    Rope { inverse: bool },
    /// `(q, k, v, start)` to `(o, max, r)`; see `docs/spec.md`.
    Attention { scale: f32, causal: bool },
    /// `(q, k, v, start, o, max, r, do)` to `(dq, dk, dv)`, the last two per query head.
    AttentionGrad { scale: f32, causal: bool },
    /// `(x[N, D, H, W, Ci], w[kd, kh, kw, Ci, Co])`, stride 1.
    Conv3d { pad: [u32; 3] },
    /// `(x, dy)` to `dw`.
    Conv3dWeightGrad { pad: [u32; 3], kernel: [u32; 3] },
    /// `(p, g, m, v, lr, gscale, c1, c2)` to `(p, m, v)`.
    AdamW { b1: f32, b2: f32, eps: f32, decay: f32 },
    /// `(logits[R, V], seeds[R, 4], temperature[R], top_k[R], top_p[R])` to ids `[R]`.
    Sample,

    // Weights kept in few bits.
    /// `(words[W, N], scale[G, N], shift[G, N])` to `[K, N]`: the numbers of `bits` bits in each word, times scale, plus shift.
    Unpack { bits: u8 },
    /// `(x[M, K], words, scale, shift)`: the product with what `Unpack` gives. Fused.
    PackedMatmul { bits: u8 },
}

impl Op {
    /// The name people read in listings and errors.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Full { .. } => "full",
            Op::Iota { .. } => "iota",
            Op::Philox { .. } => "philox",
            Op::Unit => "unit",
            Op::Copy => "copy",
            Op::Unary(f) => f.name(),
            Op::Binary(f) => f.name(),
            Op::Compare(f) => match f {
                CompareFn::Lt => "lt",
                CompareFn::Le => "le",
                CompareFn::Eq => "eq",
            },
            Op::Int(f) => f.name(),
            Op::Fma => "fma",
            Op::Select => "select",
            Op::ToFloat => "to_float",
            Op::Reshape { .. } => "reshape",
            Op::Permute { .. } => "permute",
            Op::Broadcast { .. } => "broadcast",
            Op::Slice { .. } => "slice",
            Op::Pad { .. } => "pad",
            Op::Concat { .. } => "concat",
            Op::Flip { .. } => "flip",
            Op::Gather => "gather",
            Op::ScatterAdd { .. } => "scatter_add",
            Op::Pick => "pick",
            Op::Place { .. } => "place",
            Op::WriteRows => "write_rows",
            Op::Im2col { .. } => "im2col",
            Op::Matmul { .. } => "matmul",
            Op::RaggedMatmul { .. } => "ragged_matmul",
            Op::Reduce { with: ReduceFn::Sum, .. } => "sum",
            Op::Reduce { with: ReduceFn::Max, .. } => "reduce_max",
            Op::Dot { .. } => "dot",
            Op::ArgMax => "argmax",
            Op::Keep => "keep",
            Op::RmsNorm { .. } => "rms_norm",
            Op::RmsNormGrad => "rms_norm_grad",
            Op::RmsNormWeightGrad => "rms_norm_weight_grad",
            Op::Softmax => "softmax",
            Op::TokenLogprob => "token_logprob",
            Op::TokenLogprobGrad => "token_logprob_grad",
            Op::Swiglu => "swiglu",
            Op::SwigluGrad => "swiglu_grad",
            Op::Rope { .. } => "rope",
            Op::Attention { .. } => "attention",
            Op::AttentionGrad { .. } => "attention_grad",
            Op::Conv3d { .. } => "conv3d",
            Op::Conv3dWeightGrad { .. } => "conv3d_weight_grad",
            Op::AdamW { .. } => "adamw",
            Op::Sample => "sample",
            Op::Unpack { .. } => "unpack",
            Op::PackedMatmul { .. } => "packed_matmul",
        }
    }

    /// Whether the operation is defined by an expansion into primitives rather than by scalar code.
    pub fn is_fused(&self) -> bool {
        matches!(
            self,
            Op::RmsNorm { .. }
                | Op::RmsNormGrad
                | Op::RmsNormWeightGrad
                | Op::Softmax
                | Op::TokenLogprob
                | Op::TokenLogprobGrad
                | Op::Swiglu
                | Op::SwigluGrad
                | Op::Rope { .. }
                | Op::Attention { .. }
                | Op::AttentionGrad { .. }
                | Op::Conv3d { .. }
                | Op::Conv3dWeightGrad { .. }
                | Op::AdamW { .. }
                | Op::Sample
                | Op::PackedMatmul { .. }
        )
    }
}

impl UnaryFn {
    /// Every function, for tests and tables.
    pub const ALL: [UnaryFn; 14] = {
        use UnaryFn::{Abs, Cos, Exp, Gelu, Log, Neg, Recip, Relu, Rsqrt, Sigmoid, Silu, Sin, Sqrt, Tanh};
        [Neg, Abs, Sqrt, Rsqrt, Recip, Exp, Log, Tanh, Sin, Cos, Sigmoid, Silu, Gelu, Relu]
    };

    /// The name people read.
    pub fn name(self) -> &'static str {
        match self {
            UnaryFn::Neg => "neg",
            UnaryFn::Abs => "abs",
            UnaryFn::Sqrt => "sqrt",
            UnaryFn::Rsqrt => "rsqrt",
            UnaryFn::Recip => "recip",
            UnaryFn::Exp => "exp",
            UnaryFn::Log => "log",
            UnaryFn::Tanh => "tanh",
            UnaryFn::Sin => "sin",
            UnaryFn::Cos => "cos",
            UnaryFn::Sigmoid => "sigmoid",
            UnaryFn::Silu => "silu",
            UnaryFn::Gelu => "gelu",
            UnaryFn::Relu => "relu",
        }
    }
}

impl BinaryFn {
    /// Every function, for tests and tables.
    pub const ALL: [BinaryFn; 9] = {
        use BinaryFn::{Add, Div, GeluGrad, Max, Min, Mul, ReluGrad, SiluGrad, Sub};
        [Add, Sub, Mul, Div, Max, Min, SiluGrad, GeluGrad, ReluGrad]
    };

    /// The name people read.
    pub fn name(self) -> &'static str {
        match self {
            BinaryFn::Add => "add",
            BinaryFn::Sub => "sub",
            BinaryFn::Mul => "mul",
            BinaryFn::Div => "div",
            BinaryFn::Max => "max",
            BinaryFn::Min => "min",
            BinaryFn::SiluGrad => "silu_grad",
            BinaryFn::GeluGrad => "gelu_grad",
            BinaryFn::ReluGrad => "relu_grad",
        }
    }
}

impl IntFn {
    /// The name people read.
    pub fn name(self) -> &'static str {
        match self {
            IntFn::Add => "int_add",
            IntFn::Sub => "int_sub",
            IntFn::Mul => "int_mul",
            IntFn::Max => "int_max",
            IntFn::Min => "int_min",
            IntFn::Lt => "int_lt",
            IntFn::Eq => "int_eq",
        }
    }
}
