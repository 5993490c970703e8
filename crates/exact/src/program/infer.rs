//! What an operation makes of its operands' types, or why it cannot.
//!
//! Both the builder and the decoder go through [`infer`], so a program that exists is well typed.

use super::op::{Op, ReduceFn};
use crate::Error;
use crate::shape::{DType, Shape, Type};

use DType::{F32, U32};

/// The types of an operation's results.
pub(crate) fn infer(op: &Op, operands: &[Type]) -> Result<Vec<Type>, Error> {
    let cx = Operands { op, types: operands };
    cx.infer()
}

struct Operands<'a> {
    op: &'a Op,
    types: &'a [Type],
}

fn f32(shape: Shape) -> Vec<Type> {
    vec![Type { dtype: F32, shape }]
}

fn u32(shape: Shape) -> Vec<Type> {
    vec![Type { dtype: U32, shape }]
}

impl Operands<'_> {
    fn fail<T>(&self, why: impl Into<String>) -> Result<T, Error> {
        // A stranger's concat may have a hundred thousand.
        let mut operands: Vec<String> = self.types.iter().take(16).map(Type::to_string).collect();
        if self.types.len() > operands.len() {
            operands.push(format!("and {} more", self.types.len() - operands.len()));
        }
        let operands = operands.join(", ");
        Err(Error::Operands { op: self.op.name(), why: why.into(), operands })
    }

    fn require(&self, holds: bool, why: &str) -> Result<(), Error> {
        if holds { Ok(()) } else { self.fail(why) }
    }

    /// The operands' shapes, if there are exactly as many as `dtypes` and of those types.
    fn take<const N: usize>(&self, dtypes: [DType; N]) -> Result<[Shape; N], Error> {
        if self.types.len() != N {
            return self.fail(format!("takes {N} operands, got {}", self.types.len()));
        }
        let mut shapes = [Shape::SCALAR; N];
        for (i, (shape, dtype)) in shapes.iter_mut().zip(dtypes).enumerate() {
            if self.types[i].dtype != dtype {
                return self.fail(format!("operand {i} must be {dtype}"));
            }
            *shape = self.types[i].shape;
        }
        Ok(shapes)
    }

    /// The only operand, of either type.
    fn one(&self) -> Result<Type, Error> {
        match self.types {
            [only] => Ok(*only),
            _ => self.fail(format!("takes 1 operand, got {}", self.types.len())),
        }
    }

    fn axis(&self, shape: &Shape, axis: u8) -> Result<usize, Error> {
        let axis = usize::from(axis);
        if axis < shape.rank() { Ok(axis) } else { self.fail(format!("there is no axis {axis}")) }
    }

    fn broadcast(&self, a: &Shape, b: &Shape) -> Result<Shape, Error> {
        match a.broadcast(b) {
            Some(shape) => Ok(shape),
            None => {
                self.fail("the shapes do not broadcast: axes align from the right and must be equal or 1")
            }
        }
    }

    /// A row vector that goes with the last axis of `x`.
    fn row_vector(&self, x: &Shape, w: &Shape, what: &str) -> Result<(), Error> {
        self.require(x.rank() >= 1, "needs at least one axis")?;
        if w.rank() == 1 && w.dim(0) == x.last() {
            return Ok(());
        }
        self.fail(format!("{what} must be [{}], as long as the last axis", x.last()))
    }

    fn finite(&self, attributes: &[f32]) -> Result<(), Error> {
        self.require(attributes.iter().all(|a| a.is_finite()), "attributes must be finite numbers")
    }

    fn infer(&self) -> Result<Vec<Type>, Error> {
        match self.op {
            Op::Full { dtype, shape, bits } => {
                self.take([])?;
                let nan = *dtype == F32 && f32::from_bits(*bits).is_nan() && *bits != crate::CANONICAL_NAN;
                self.require(!nan, "NaN must be the canonical one")?;
                Ok(vec![Type { dtype: *dtype, shape: *shape }])
            }
            Op::Iota { shape, axis } => {
                self.take([])?;
                self.axis(shape, *axis)?;
                Ok(u32(*shape))
            }
            Op::Philox { words } => {
                let [seeds] = self.take([U32])?;
                self.require(seeds.rank() == 2 && seeds.dim(1) == 4, "seeds must be [rows, 4]")?;
                Ok(u32(Shape::new(&[seeds.dim(0), *words as usize])?))
            }
            Op::Unit | Op::ToFloat => Ok(f32(self.take([U32])?[0])),
            Op::Copy => Ok(vec![self.one()?]),
            Op::Unary(_) => Ok(f32(self.take([F32])?[0])),
            Op::Binary(_) => {
                let [a, b] = self.take([F32, F32])?;
                Ok(f32(self.broadcast(&a, &b)?))
            }
            Op::Compare(_) => {
                let [a, b] = self.take([F32, F32])?;
                Ok(u32(self.broadcast(&a, &b)?))
            }
            Op::Int(_) => {
                let [a, b] = self.take([U32, U32])?;
                Ok(u32(self.broadcast(&a, &b)?))
            }
            Op::Fma => {
                let [a, b, c] = self.take([F32, F32, F32])?;
                Ok(f32(self.broadcast(&self.broadcast(&a, &b)?, &c)?))
            }
            Op::Select => {
                let [mask, a, b] = self.take([U32, F32, F32])?;
                Ok(f32(self.broadcast(&self.broadcast(&mask, &a)?, &b)?))
            }
            Op::Reshape { .. }
            | Op::Permute { .. }
            | Op::Broadcast { .. }
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::Concat { .. }
            | Op::Flip { .. } => self.infer_moved(),
            Op::Gather => {
                let [table, ids] = self.take([F32, U32])?;
                self.require(table.rank() >= 1, "the table needs rows")?;
                let dims: Vec<usize> = ids.iter().chain(table.iter().skip(1)).collect();
                Ok(f32(Shape::new(&dims)?))
            }
            Op::ScatterAdd { rows } => {
                let [ids, source] = self.take([U32, F32])?;
                let leading = source.rank() >= ids.rank() && source.iter().take(ids.rank()).eq(ids.iter());
                self.require(leading, "the source's first axes must be those of the ids")?;
                let dims: Vec<usize> =
                    std::iter::once(*rows as usize).chain(source.iter().skip(ids.rank())).collect();
                Ok(f32(Shape::new(&dims)?))
            }
            Op::Pick => {
                let [x, ids] = self.take([F32, U32])?;
                self.require(x.rank() >= 1 && ids == x.without(x.rank() - 1), "needs one id per row")?;
                Ok(f32(ids))
            }
            Op::Place { n } => {
                let [ids, source] = self.take([U32, F32])?;
                self.require(ids == source, "needs one id per element")?;
                let dims: Vec<usize> = ids.iter().chain([*n as usize]).collect();
                Ok(f32(Shape::new(&dims)?))
            }
            Op::WriteRows => {
                let [cache, new, start] = self.take([F32, F32, U32])?;
                let fits = cache.rank() >= 2
                    && new.rank() == cache.rank()
                    && new.dim(0) == cache.dim(0)
                    && new.dim(1) <= cache.dim(1)
                    && new.iter().skip(2).eq(cache.iter().skip(2));
                self.require(fits, "the new rows [B, t, ..] must fit the cache [B, T, ..]")?;
                self.require(start.to_vec() == [cache.dim(0)], "start must be [B]")?;
                Ok(f32(cache))
            }
            Op::Im2col { kernel, pad } => {
                let [x] = self.take([F32])?;
                let out = self.conv_positions(&x, *kernel, *pad)?;
                let patch = kernel.iter().try_fold(x.dim(4) as u64, |p, &k| p.checked_mul(u64::from(k)));
                let patch = usize::try_from(patch.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
                Ok(f32(Shape::new(&[out.iter().product(), patch])?))
            }
            Op::Matmul { ta, tb } => {
                let [a, b] = self.take([F32, F32])?;
                Ok(f32(self.product(&a, &b, *ta, *tb)?))
            }
            Op::RaggedMatmul { ta, tb } => {
                let [a, b, lo, hi] = self.take([F32, F32, U32, U32])?;
                let out = self.product(&a, &b, *ta, *tb)?;
                let rows = out.without(out.rank() - 1);
                self.require(
                    lo == rows && hi == rows,
                    "lo and hi must give one bound per row of the result",
                )?;
                Ok(f32(out))
            }
            Op::Reduce { with, axis } => {
                let [x] = self.take([F32])?;
                let axis = self.axis(&x, *axis)?;
                let empty = *with == ReduceFn::Max && x.dim(axis) == 0;
                self.require(!empty, "the greatest of no elements is not defined")?;
                Ok(f32(x.without(axis)))
            }
            Op::Dot { axis } => {
                let [a, b] = self.take([F32, F32])?;
                self.require(a == b, "the shapes must be equal")?;
                Ok(f32(a.without(self.axis(&a, *axis)?)))
            }
            Op::ArgMax => {
                let [x] = self.take([F32])?;
                self.require(x.rank() >= 1 && x.last() > 0, "needs a last axis that is not empty")?;
                Ok(u32(x.without(x.rank() - 1)))
            }
            Op::Keep => {
                let [x, k, p] = self.take([F32, U32, F32])?;
                self.require(x.rank() == 2 && x.dim(1) > 0, "logits must be [rows, vocabulary]")?;
                self.require(k.to_vec() == [x.dim(0)] && p == k, "k and p must be [rows]")?;
                Ok(u32(x))
            }
            Op::Unpack { bits } => {
                let [words, scale, shift] = self.take([U32, F32, F32])?;
                Ok(f32(self.unpacked(*bits, &words, &scale, &shift)?))
            }
            _ => self.infer_fused(),
        }
    }

    /// The matrix `[K, N]` that words of packed numbers hold.
    fn unpacked(&self, bits: u8, words: &Shape, scale: &Shape, shift: &Shape) -> Result<Shape, Error> {
        self.require(bits == 4 || bits == 8, "a packed number has 4 or 8 bits")?;
        self.require(words.rank() == 2 && scale.rank() == 2, "words and scales must be matrices")?;
        self.require(
            scale == shift && scale.dim(1) == words.dim(1),
            "needs a scale and a shift per column and group",
        )?;
        let groups = scale.dim(0);
        self.require(
            groups > 0 && words.dim(0).is_multiple_of(groups),
            "the groups must share out the words of a column",
        )?;
        words.with(0, words.dim(0).saturating_mul(32 / usize::from(bits)))
    }

    fn infer_moved(&self) -> Result<Vec<Type>, Error> {
        match self.op {
            Op::Reshape { shape } => {
                let x = self.one()?;
                if shape.elements() != x.shape.elements() {
                    return self.fail(format!("cannot become {shape}: the number of elements differs"));
                }
                Ok(vec![Type { shape: *shape, ..x }])
            }
            Op::Permute { order } => {
                let x = self.one()?;
                let mut seen = [false; crate::shape::MAX_RANK];
                let valid = order.len() == x.shape.rank()
                    && order.iter().all(|&axis| {
                        usize::from(axis) < x.shape.rank()
                            && !std::mem::replace(&mut seen[usize::from(axis)], true)
                    });
                self.require(valid, "the order must name each axis once")?;
                let dims: Vec<usize> = order.iter().map(|&axis| x.shape.dim(usize::from(axis))).collect();
                Ok(vec![Type { shape: Shape::new(&dims)?, ..x }])
            }
            Op::Broadcast { shape } => {
                let x = self.one()?;
                if x.shape.broadcast(shape) != Some(*shape) {
                    return self.fail(format!("cannot stretch to {shape}"));
                }
                Ok(vec![Type { shape: *shape, ..x }])
            }
            Op::Slice { axis, start, len } => {
                let x = self.one()?;
                let axis = self.axis(&x.shape, *axis)?;
                let end = u64::from(*start) + u64::from(*len);
                self.require(end <= x.shape.dim(axis) as u64, "the piece reaches past the end of the axis")?;
                Ok(vec![Type { shape: x.shape.with(axis, *len as usize)?, ..x }])
            }
            Op::Pad { axis, before, after } => {
                let x = self.one()?;
                let axis = self.axis(&x.shape, *axis)?;
                let length = x.shape.dim(axis) + *before as usize + *after as usize;
                Ok(vec![Type { shape: x.shape.with(axis, length)?, ..x }])
            }
            Op::Flip { axis } => {
                let x = self.one()?;
                self.axis(&x.shape, *axis)?;
                Ok(vec![x])
            }
            Op::Concat { axis } => {
                let Some(first) = self.types.first() else {
                    return self.fail("needs at least one operand");
                };
                let axis = self.axis(&first.shape, *axis)?;
                let mut length = 0usize;
                for part in self.types {
                    let alike = part.dtype == first.dtype
                        && part.shape.rank() == first.shape.rank()
                        && (0..first.shape.rank())
                            .all(|a| a == axis || part.shape.dim(a) == first.shape.dim(a));
                    self.require(alike, "all parts must agree but for the joined axis")?;
                    length += part.shape.dim(axis);
                }
                Ok(vec![Type { shape: first.shape.with(axis, length)?, ..*first }])
            }
            _ => self.fail("is not a moving operation"),
        }
    }

    fn infer_fused(&self) -> Result<Vec<Type>, Error> {
        match self.op {
            Op::RmsNorm { eps } => {
                let [x, w] = self.take([F32, F32])?;
                self.finite(&[*eps])?;
                self.row_vector(&x, &w, "the weight")?;
                Ok([f32(x), f32(x.without(x.rank() - 1))].concat())
            }
            Op::RmsNormGrad => {
                let [x, w, inv, dy] = self.take([F32; 4])?;
                self.row_vector(&x, &w, "the weight")?;
                self.require(inv == x.without(x.rank() - 1) && dy == x, "inv or dy does not go with x")?;
                Ok(f32(x))
            }
            Op::RmsNormWeightGrad => {
                let [x, inv, dy] = self.take([F32; 3])?;
                self.require(x.rank() >= 1, "needs at least one axis")?;
                self.require(inv == x.without(x.rank() - 1) && dy == x, "inv or dy does not go with x")?;
                Ok(f32(Shape::new(&[x.last()])?))
            }
            Op::Softmax => {
                let [x] = self.take([F32])?;
                self.require(x.rank() >= 1 && x.last() > 0, "needs a last axis that is not empty")?;
                Ok(f32(x))
            }
            Op::TokenLogprob => {
                let [x, ids] = self.take([F32, U32])?;
                self.logits_and_ids(&x, &ids)?;
                Ok([f32(ids), f32(ids), f32(ids)].concat())
            }
            Op::TokenLogprobGrad => {
                let [x, ids, m, z, g] = self.take([F32, U32, F32, F32, F32])?;
                self.logits_and_ids(&x, &ids)?;
                self.require(m == ids && z == ids && g == ids, "needs max, sum and g for each id")?;
                Ok(f32(x))
            }
            Op::Swiglu => {
                let [gate, up] = self.take([F32, F32])?;
                self.require(gate == up, "the shapes must be equal")?;
                Ok(f32(gate))
            }
            Op::SwigluGrad => {
                let [gate, up, dy] = self.take([F32; 3])?;
                self.require(gate == up && up == dy, "the shapes must be equal")?;
                Ok([f32(gate), f32(gate)].concat())
            }
            Op::Rope { .. } => {
                let [x, cos, sin] = self.take([F32; 3])?;
                self.require(x.rank() == 4 && x.dim(3) % 2 == 0, "x must be [B, T, H, D] with D even")?;
                let half = x.dim(3) / 2;
                let tables = [vec![x.dim(1), half], vec![x.dim(0), x.dim(1), half]];
                self.require(tables.contains(&cos.to_vec()), "the tables must be [T, D/2] or [B, T, D/2]")?;
                self.require(cos == sin, "the tables must have one shape")?;
                Ok(f32(x))
            }
            Op::Attention { scale, .. } => {
                self.finite(&[*scale])?;
                let [q, k, v, start] = self.take([F32, F32, F32, U32])?;
                let rows = self.attention(&q, &k, &v, &start)?;
                Ok([f32(q), f32(rows), f32(rows)].concat())
            }
            Op::AttentionGrad { scale, .. } => {
                self.finite(&[*scale])?;
                let [q, k, v, start, o, m, r, g] = self.take([F32, F32, F32, U32, F32, F32, F32, F32])?;
                let rows = self.attention(&q, &k, &v, &start)?;
                self.require(
                    o == q && g == q && m == rows && r == rows,
                    "o, max, r or do does not go with q",
                )?;
                let per_head = k.with(2, q.dim(2))?;
                Ok([f32(q), f32(per_head), f32(per_head)].concat())
            }
            Op::Conv3d { pad } => {
                let [x, w] = self.take([F32, F32])?;
                self.require(w.rank() == 5, "the weight must be [kd, kh, kw, Ci, Co]")?;
                let kernel = [w.dim(0) as u32, w.dim(1) as u32, w.dim(2) as u32];
                let [n, d, h, wide] = self.conv_positions(&x, kernel, *pad)?;
                self.require(w.dim(3) == x.dim(4), "the weight's Ci must be the channels of x")?;
                Ok(f32(Shape::new(&[n, d, h, wide, w.dim(4)])?))
            }
            Op::Conv3dWeightGrad { pad, kernel } => {
                let [x, dy] = self.take([F32, F32])?;
                let out = self.conv_positions(&x, *kernel, *pad)?;
                self.require(dy.rank() == 5 && dy.iter().take(4).eq(out), "dy must be [N, D', H', W', Co]")?;
                let [kd, kh, kw] = kernel.map(|k| k as usize);
                Ok(f32(Shape::new(&[kd, kh, kw, x.dim(4), dy.dim(4)])?))
            }
            Op::AdamW { b1, b2, eps, decay } => {
                self.finite(&[*b1, *b2, *eps, *decay])?;
                let [p, g, m, v, lr, gscale, c1, c2] = self.take([F32; 8])?;
                self.require(p == g && g == m && m == v, "p, g, m and v must have one shape")?;
                let scalars = [lr, gscale, c1, c2].iter().all(|s| *s == Shape::SCALAR);
                self.require(scalars, "lr, gscale, c1 and c2 must be scalars")?;
                Ok([f32(p), f32(p), f32(p)].concat())
            }
            Op::Sample => {
                let [x, seeds, temperature, k, p] = self.take([F32, U32, F32, U32, F32])?;
                self.require(x.rank() == 2 && x.dim(1) > 0, "logits must be [rows, vocabulary]")?;
                let rows = Shape::new(&[x.dim(0)])?;
                self.require(seeds.to_vec() == [x.dim(0), 4], "seeds must be [rows, 4]")?;
                self.require(
                    temperature == rows && k == rows && p == rows,
                    "temperature, k and p must be [rows]",
                )?;
                Ok(u32(rows))
            }
            Op::PackedMatmul { bits } => {
                let [x, words, scale, shift] = self.take([F32, U32, F32, F32])?;
                let w = self.unpacked(*bits, &words, &scale, &shift)?;
                Ok(f32(self.product(&x, &w, false, false)?))
            }
            _ => self.fail("is not a fused operation"),
        }
    }

    fn logits_and_ids(&self, x: &Shape, ids: &Shape) -> Result<(), Error> {
        self.require(x.rank() >= 1 && x.last() > 0, "logits need a last axis that is not empty")?;
        self.require(*ids == x.without(x.rank() - 1), "needs one id per row of logits")
    }

    /// The result of a matrix product over the last two axes.
    fn product(&self, a: &Shape, b: &Shape, ta: bool, tb: bool) -> Result<Shape, Error> {
        self.require(a.rank() >= 2 && a.rank() == b.rank(), "needs two tensors of equal rank, 2 or more")?;
        let rank = a.rank();
        self.require(a.iter().take(rank - 2).eq(b.iter().take(rank - 2)), "the batch axes must be equal")?;
        let (m, k) = if ta { (a.dim(rank - 1), a.dim(rank - 2)) } else { (a.dim(rank - 2), a.dim(rank - 1)) };
        let (kb, n) =
            if tb { (b.dim(rank - 1), b.dim(rank - 2)) } else { (b.dim(rank - 2), b.dim(rank - 1)) };
        if k != kb {
            return self.fail(format!("the inner axes differ: {k} and {kb}"));
        }
        a.with(rank - 2, m)?.with(rank - 1, n)
    }

    /// The shape of attention's row statistics, if the operands go together.
    fn attention(&self, q: &Shape, k: &Shape, v: &Shape, start: &Shape) -> Result<Shape, Error> {
        self.require(q.rank() == 4 && k.rank() == 4, "q, k and v must be [B, T, H, D]")?;
        self.require(k == v, "k and v must have one shape")?;
        self.require(q.dim(0) == k.dim(0) && q.dim(3) == k.dim(3), "q and k must agree in B and D")?;
        let grouped = k.dim(2) > 0 && q.dim(2).is_multiple_of(k.dim(2));
        self.require(grouped, "the query heads must be a multiple of the key heads")?;
        self.require(k.dim(1) > 0 && q.dim(3) > 0, "needs at least one key and D of at least 1")?;
        self.require(start.to_vec() == [q.dim(0)], "start must be [B]")?;
        Shape::new(&[q.dim(0), q.dim(2), q.dim(1)])
    }

    /// `[N, D', H', W']` of a convolution over `x`.
    fn conv_positions(&self, x: &Shape, kernel: [u32; 3], pad: [u32; 3]) -> Result<[usize; 4], Error> {
        self.require(x.rank() == 5, "x must be [N, D, H, W, C]")?;
        let mut out = [x.dim(0), 0, 0, 0];
        for axis in 0..3 {
            let padded = x.dim(axis + 1) as u64 + 2 * u64::from(pad[axis]);
            let kernel = u64::from(kernel[axis]);
            self.require(kernel >= 1 && kernel <= padded, "the kernel is larger than the padded input")?;
            out[axis + 1] = (padded - kernel + 1) as usize;
        }
        // Also proves that the padded input itself is within the limits.
        let padded: Vec<usize> = (0..3).map(|a| x.dim(a + 1).saturating_add(2 * pad[a] as usize)).collect();
        Shape::new(&[x.dim(0), padded[0], padded[1], padded[2], x.dim(4)])?;
        Ok(out)
    }
}
