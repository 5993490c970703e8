//! Reverse-mode differentiation, as a transformation that makes a program longer.

use super::ValueId;
use super::build::{Builder, From, Var};
use super::op::{BinaryFn, CompareFn, Op, ReduceFn, UnaryFn};
use crate::Error;
use crate::shape::DType;

impl Builder {
    /// The gradients of the scalar `loss` by each of `wrt`, as further operations of the same program.
    ///
    /// A value that the loss does not depend on has a gradient of zeros. Nothing flows through [`Builder::copy`] or through
    /// integers. Where a function has a corner, the gradient is that of one side: 0 for `abs` and `relu` at 0; `max` and `min` of equal numbers pass it to the
    /// first; the greatest along an axis shares it equally between ties.
    pub fn gradients(&mut self, loss: Var<f32>, wrt: &[Var<f32>]) -> Result<Vec<Var<f32>>, Error> {
        if loss.shape().elements() != 1 {
            return Err(Error::Operands {
                op: "gradients",
                why: "the loss must be a single number".to_owned(),
                operands: format!("f32{}", loss.shape()),
            });
        }
        let mut tape = Tape::new(self, wrt);
        tape.adjoints[loss.id as usize] = Some(self.full(&loss.shape().to_vec(), 1.0)?);
        for node in (0..tape.nodes).rev() {
            self.step_back(&mut tape, node)?;
        }
        wrt.iter()
            .map(|v| match tape.adjoints[v.id as usize] {
                Some(g) => Ok(g),
                None => self.full(&v.shape().to_vec(), 0.0),
            })
            .collect()
    }

    /// Carries the gradients of one operation's results to its operands.
    fn step_back(&mut self, tape: &mut Tape, node: usize) -> Result<(), Error> {
        let node = &self.nodes[node];
        let (first, results) = (node.first, node.results);
        if !(first..first + results).any(|v| tape.adjoints[v as usize].is_some()) {
            return Ok(());
        }
        let (op, operands) = (node.op.clone(), node.operands.clone());
        if !operands.iter().any(|v| tape.needs[*v as usize]) {
            return Ok(());
        }
        // Saved statistics (inverse norms, maxima) are there for the backward pass alone.
        let main = tape.adjoints[first as usize];
        let others = (first + 1..first + results).any(|v| tape.adjoints[v as usize].is_some());
        let (Some(g), false) = (main, others) else { return Err(Error::NoGradient { op: op.name() }) };
        let mut back = Back { b: self, tape, operands: &operands, first };
        back.through(&op, g)
    }
}

/// What is known while walking back.
struct Tape {
    nodes: usize,
    /// Whether a value depends on what is differentiated by.
    needs: Vec<bool>,
    adjoints: Vec<Option<Var<f32>>>,
}

impl Tape {
    fn new(b: &Builder, wrt: &[Var<f32>]) -> Tape {
        let mut needs = vec![false; b.values.len()];
        for v in wrt {
            needs[v.id as usize] = true;
        }
        for (id, value) in b.values.iter().enumerate() {
            if let From::Node(node) = value.from {
                let node = &b.nodes[node];
                // An integer does not move with what it was made from.
                let passes = value.ty.dtype == DType::F32 && !matches!(node.op, Op::Copy);
                needs[id] |= passes && node.operands.iter().any(|v| needs[*v as usize]);
            }
        }
        Tape { nodes: b.nodes.len(), adjoints: vec![None; needs.len()], needs }
    }
}

/// One operation on the way back: `g` is the gradient of its first result.
struct Back<'a> {
    b: &'a mut Builder,
    tape: &'a mut Tape,
    operands: &'a [ValueId],
    first: ValueId,
}

impl Back<'_> {
    fn x(&self, i: usize) -> Var<f32> {
        self.b.var(self.operands[i])
    }

    fn ids(&self, i: usize) -> Var<u32> {
        self.b.var(self.operands[i])
    }

    fn y(&self, i: u32) -> Var<f32> {
        self.b.var(self.first + i)
    }

    fn wants(&self, i: usize) -> bool {
        self.tape.needs[self.operands[i] as usize]
    }

    /// Adds to an operand's gradient.
    fn give(&mut self, i: usize, g: Var<f32>) -> Result<(), Error> {
        let id = self.operands[i] as usize;
        if self.tape.needs[id] {
            self.tape.adjoints[id] = Some(match self.tape.adjoints[id] {
                Some(sum) => self.b.add(sum, g)?,
                None => g,
            });
        }
        Ok(())
    }

    /// Adds to the gradient of an operand that was stretched: sums over the axes it was stretched along.
    fn give_unstretched(&mut self, i: usize, g: Var<f32>) -> Result<(), Error> {
        let shape = self.x(i).shape();
        let mut g = g;
        let extra = g.shape().rank() - shape.rank();
        if extra > 0 {
            // The stretched leading axes are one axis to the sum, so that they are one tree.
            let dims = g.shape().to_vec();
            let mut merged = vec![dims[..extra].iter().product()];
            merged.extend(&dims[extra..]);
            g = self.b.reshape(g, &merged)?;
            g = self.b.sum(g, 0)?;
        }
        for axis in 0..shape.rank() {
            if shape.dim(axis) == 1 && g.dim(axis) != 1 {
                g = self.b.sum(g, axis)?;
                let mut dims = g.shape().to_vec();
                dims.insert(axis, 1);
                g = self.b.reshape(g, &dims)?;
            }
        }
        self.give(i, g)
    }

    /// `g` stretched back along an axis that was folded away.
    fn unfold(&mut self, g: Var<f32>, x: Var<f32>, axis: u8) -> Result<Var<f32>, Error> {
        let mut dims = g.shape().to_vec();
        dims.insert(usize::from(axis), 1);
        let g = self.b.reshape(g, &dims)?;
        self.b.broadcast(g, &x.shape().to_vec())
    }

    fn zeros_like(&mut self) -> Result<Var<f32>, Error> {
        self.b.scalar(0.0)
    }

    #[allow(clippy::match_same_arms, reason = "one arm per family reads better")]
    fn through(&mut self, op: &Op, g: Var<f32>) -> Result<(), Error> {
        match op {
            Op::Unary(f) => self.unary(*f, g),
            Op::Binary(f) => self.binary(*f, g),
            Op::Fma => {
                let (a, b) = (self.x(0), self.x(1));
                let (ga, gb) = (self.b.mul(g, b)?, self.b.mul(g, a)?);
                self.give_unstretched(0, ga)?;
                self.give_unstretched(1, gb)?;
                self.give_unstretched(2, g)
            }
            Op::Select => {
                let (mask, zero) = (self.ids(0), self.zeros_like()?);
                let (ga, gb) = (self.b.select(mask, g, zero)?, self.b.select(mask, zero, g)?);
                self.give_unstretched(1, ga)?;
                self.give_unstretched(2, gb)
            }
            Op::Reshape { .. } => {
                let back = self.b.reshape(g, &self.x(0).shape().to_vec())?;
                self.give(0, back)
            }
            Op::Permute { order } => {
                let mut inverse = vec![0; order.len()];
                for (to, from) in order.iter().enumerate() {
                    inverse[usize::from(*from)] = to;
                }
                let back = self.b.permute(g, &inverse)?;
                self.give(0, back)
            }
            Op::Broadcast { .. } => self.give_unstretched(0, g),
            Op::Slice { axis, start, len } => {
                let axis = usize::from(*axis);
                let after = self.x(0).dim(axis) - (*start + *len) as usize;
                let back = self.b.pad(g, axis, *start as usize, after)?;
                self.give(0, back)
            }
            Op::Pad { axis, before, .. } => {
                let axis = usize::from(*axis);
                let back = self.b.slice(g, axis, *before as usize, self.x(0).dim(axis))?;
                self.give(0, back)
            }
            Op::Concat { axis } => {
                let axis = usize::from(*axis);
                let mut start = 0;
                for i in 0..self.operands.len() {
                    let len = self.x(i).dim(axis);
                    if self.wants(i) {
                        let part = self.b.slice(g, axis, start, len)?;
                        self.give(i, part)?;
                    }
                    start += len;
                }
                Ok(())
            }
            Op::Flip { axis } => {
                let back = self.b.flip(g, usize::from(*axis))?;
                self.give(0, back)
            }
            Op::Gather => {
                let back = self.b.scatter_add(self.ids(1), g, self.x(0).dim(0))?;
                self.give(0, back)
            }
            Op::ScatterAdd { .. } => {
                let back = self.b.gather(g, self.ids(0))?;
                self.give(1, back)
            }
            Op::Pick => {
                let back = self.b.place(self.ids(1), g, self.x(0).shape().last())?;
                self.give(0, back)
            }
            Op::Place { .. } => {
                let back = self.b.pick(g, self.ids(0))?;
                self.give(1, back)
            }
            Op::Matmul { ta, tb } => self.matmul(*ta, *tb, g),
            Op::Reduce { with: ReduceFn::Sum, axis } => {
                let back = self.unfold(g, self.x(0), *axis)?;
                self.give(0, back)
            }
            Op::Reduce { with: ReduceFn::Max, axis } => {
                let (x, y) = (self.x(0), self.y(0));
                let y = self.unfold(y, x, *axis)?;
                let tied = self.b.compare(CompareFn::Eq, x, y)?;
                let tied = self.b.to_float(tied)?;
                let count = self.b.sum(tied, usize::from(*axis))?;
                let share = self.b.div(g, count)?;
                let share = self.unfold(share, x, *axis)?;
                let back = self.b.mul(tied, share)?;
                self.give(0, back)
            }
            Op::Dot { axis } => {
                let (a, b) = (self.x(0), self.x(1));
                let g = self.unfold(g, a, *axis)?;
                let (ga, gb) = (self.b.mul(g, b)?, self.b.mul(g, a)?);
                self.give(0, ga)?;
                self.give(1, gb)
            }
            Op::RmsNorm { .. } => {
                let (x, w, inv) = (self.x(0), self.x(1), self.y(1));
                if self.wants(0) {
                    let dx = self.b.push1(Op::RmsNormGrad, &[x.id, w.id, inv.id, g.id])?;
                    self.give(0, dx)?;
                }
                if self.wants(1) {
                    let dw = self.b.push1(Op::RmsNormWeightGrad, &[x.id, inv.id, g.id])?;
                    self.give(1, dw)?;
                }
                Ok(())
            }
            Op::Softmax => {
                // y (g - sum(g y))
                let y = self.y(0);
                let axis = y.shape().rank() - 1;
                let dot = self.b.dot(g, y, axis)?;
                let dot = self.unfold(dot, y, axis as u8)?;
                let centred = self.b.sub(g, dot)?;
                let back = self.b.mul(y, centred)?;
                self.give(0, back)
            }
            Op::TokenLogprob => {
                let (x, ids, m, z) = (self.x(0), self.ids(1), self.y(1), self.y(2));
                let back = self.b.push1(Op::TokenLogprobGrad, &[x.id, ids.id, m.id, z.id, g.id])?;
                self.give(0, back)
            }
            Op::Swiglu => {
                let [dgate, dup] =
                    self.b.push_n(Op::SwigluGrad, &[self.operands[0], self.operands[1], g.id])?;
                self.give(0, dgate)?;
                self.give(1, dup)
            }
            Op::Rope { inverse } => {
                if self.wants(1) || self.wants(2) {
                    return Err(Error::NoGradient { op: "rope (by its tables)" });
                }
                let op = Op::Rope { inverse: !inverse };
                let back = self.b.push1(op, &[g.id, self.operands[1], self.operands[2]])?;
                self.give(0, back)
            }
            Op::PackedMatmul { bits } => {
                if self.wants(2) || self.wants(3) {
                    return Err(Error::NoGradient { op: "packed_matmul (by its scales)" });
                }
                let (words, scale, shift) = (self.ids(1), self.x(2), self.x(3));
                let w = self.b.unpack(*bits, words, scale, shift)?;
                let back = self.b.matmul_t(g, false, w, true)?;
                self.give(0, back)
            }
            Op::Attention { scale, causal } => self.attention(*scale, *causal, g),
            Op::Conv3d { pad } => self.conv3d(*pad, g),
            _ => Err(Error::NoGradient { op: op.name() }),
        }
    }

    fn unary(&mut self, f: UnaryFn, g: Var<f32>) -> Result<(), Error> {
        let (x, y) = (self.x(0), self.y(0));
        let b = &mut *self.b;
        let back = match f {
            UnaryFn::Neg => b.unary(UnaryFn::Neg, g)?,
            UnaryFn::Abs => {
                let (zero, minus) = (b.scalar(0.0)?, b.unary(UnaryFn::Neg, g)?);
                let (up, down) = (b.compare(CompareFn::Lt, zero, x)?, b.compare(CompareFn::Lt, x, zero)?);
                let falling = b.select(down, minus, zero)?;
                b.select(up, g, falling)?
            }
            UnaryFn::Sqrt => {
                // g / (2 y)
                let twice = b.scale(y, 2.0)?;
                b.div(g, twice)?
            }
            UnaryFn::Rsqrt => {
                // -g y^3 / 2
                let (square, half) = (b.mul(y, y)?, b.scale(y, -0.5)?);
                let slope = b.mul(square, half)?;
                b.mul(g, slope)?
            }
            UnaryFn::Recip => {
                let square = b.mul(y, y)?;
                let slope = b.unary(UnaryFn::Neg, square)?;
                b.mul(g, slope)?
            }
            UnaryFn::Exp => b.mul(g, y)?,
            UnaryFn::Log => b.div(g, x)?,
            UnaryFn::Tanh => {
                // g (1 - y^2)
                let (minus, one) = (b.unary(UnaryFn::Neg, y)?, b.scalar(1.0)?);
                let slope = b.fma(minus, y, one)?;
                b.mul(g, slope)?
            }
            UnaryFn::Sin => {
                let slope = b.unary(UnaryFn::Cos, x)?;
                b.mul(g, slope)?
            }
            UnaryFn::Cos => {
                let sin = b.unary(UnaryFn::Sin, x)?;
                let slope = b.unary(UnaryFn::Neg, sin)?;
                b.mul(g, slope)?
            }
            UnaryFn::Sigmoid => {
                // g y (1 - y)
                let one = b.scalar(1.0)?;
                let rest = b.sub(one, y)?;
                let slope = b.mul(y, rest)?;
                b.mul(g, slope)?
            }
            UnaryFn::Silu => b.binary(BinaryFn::SiluGrad, x, g)?,
            UnaryFn::Gelu => b.binary(BinaryFn::GeluGrad, x, g)?,
            UnaryFn::Relu => b.binary(BinaryFn::ReluGrad, x, g)?,
        };
        self.give(0, back)
    }

    fn binary(&mut self, f: BinaryFn, g: Var<f32>) -> Result<(), Error> {
        let (a, c) = (self.x(0), self.x(1));
        match f {
            BinaryFn::Add => {
                self.give_unstretched(0, g)?;
                self.give_unstretched(1, g)
            }
            BinaryFn::Sub => {
                self.give_unstretched(0, g)?;
                if self.wants(1) {
                    let minus = self.b.unary(UnaryFn::Neg, g)?;
                    self.give_unstretched(1, minus)?;
                }
                Ok(())
            }
            BinaryFn::Mul => {
                if self.wants(0) {
                    let ga = self.b.mul(g, c)?;
                    self.give_unstretched(0, ga)?;
                }
                if self.wants(1) {
                    let gc = self.b.mul(g, a)?;
                    self.give_unstretched(1, gc)?;
                }
                Ok(())
            }
            BinaryFn::Div => {
                let ga = self.b.div(g, c)?;
                self.give_unstretched(0, ga)?;
                if self.wants(1) {
                    // -g (a/c) / c
                    let down = self.b.mul(ga, self.y(0))?;
                    let down = self.b.unary(UnaryFn::Neg, down)?;
                    self.give_unstretched(1, down)?;
                }
                Ok(())
            }
            BinaryFn::Max | BinaryFn::Min => {
                let second = match f {
                    BinaryFn::Max => self.b.compare(CompareFn::Lt, a, c)?,
                    _ => self.b.compare(CompareFn::Lt, c, a)?,
                };
                let zero = self.b.scalar(0.0)?;
                let (ga, gc) = (self.b.select(second, zero, g)?, self.b.select(second, g, zero)?);
                self.give_unstretched(0, ga)?;
                self.give_unstretched(1, gc)
            }
            BinaryFn::ReluGrad => {
                // Linear in its second operand, and flat in its first.
                let gc = self.b.binary(BinaryFn::ReluGrad, a, g)?;
                self.give_unstretched(1, gc)
            }
            BinaryFn::SiluGrad | BinaryFn::GeluGrad => Err(Error::NoGradient { op: f.name() }),
        }
    }

    /// C = A B: dA = dC B^T and dB = A^T dC, with the transposes where the operands have theirs.
    fn matmul(&mut self, ta: bool, tb: bool, g: Var<f32>) -> Result<(), Error> {
        let (a, b) = (self.x(0), self.x(1));
        if self.wants(0) {
            let ga = if ta { self.b.matmul_t(b, tb, g, true)? } else { self.b.matmul_t(g, false, b, !tb)? };
            self.give(0, ga)?;
        }
        if self.wants(1) {
            let gb = if tb { self.b.matmul_t(g, true, a, ta)? } else { self.b.matmul_t(a, !ta, g, false)? };
            self.give(1, gb)?;
        }
        Ok(())
    }

    fn attention(&mut self, scale: f32, causal: bool, g: Var<f32>) -> Result<(), Error> {
        let (q, k) = (self.x(0), self.x(1));
        let saved = [self.y(0).id, self.y(1).id, self.y(2).id, g.id];
        let operands: Vec<ValueId> = self.operands.iter().copied().chain(saved).collect();
        let [dq, dk, dv] = self.b.push_n(Op::AttentionGrad { scale, causal }, &operands)?;
        self.give(0, dq)?;
        // Query heads that share a key head add up.
        let [batch, keys, heads, dim] = [k.dim(0), k.dim(1), k.dim(2), k.dim(3)];
        let group = q.dim(2) / heads;
        for (i, per_head) in [(1, dk), (2, dv)] {
            if self.wants(i) {
                let mut shared = per_head;
                if group > 1 {
                    let grouped = self.b.reshape(per_head, &[batch, keys, heads, group, dim])?;
                    shared = self.b.sum(grouped, 3)?;
                }
                self.give(i, shared)?;
            }
        }
        Ok(())
    }

    /// dx is the convolution of dy with the kernel turned round and its channels exchanged.
    fn conv3d(&mut self, pad: [u32; 3], g: Var<f32>) -> Result<(), Error> {
        let (x, w) = (self.x(0), self.x(1));
        let kernel = [w.dim(0), w.dim(1), w.dim(2)];
        if self.wants(0) && x.shape().elements() == 0 {
            // The padding alone may be an image; turned round, the convolution would have none.
            let none = self.b.full(&x.shape().to_vec(), 0.0)?;
            self.give(0, none)?;
        } else if self.wants(0) {
            let mut turned = w;
            for axis in 0..3 {
                turned = self.b.flip(turned, axis)?;
            }
            let turned = self.b.permute(turned, &[0, 1, 2, 4, 3])?;
            // Padding beyond the kernel's reach would need the gradient cropped instead.
            let mut g = g;
            let mut rest = [0; 3];
            for axis in 0..3 {
                let (reach, pad) = (kernel[axis] - 1, pad[axis] as usize);
                rest[axis] = reach.saturating_sub(pad);
                let crop = pad.saturating_sub(reach);
                if crop > 0 {
                    g = self.b.slice(g, axis + 1, crop, g.dim(axis + 1) - 2 * crop)?;
                }
            }
            let dx = self.b.conv3d(g, turned, rest)?;
            self.give(0, dx)?;
        }
        if self.wants(1) {
            let op = Op::Conv3dWeightGrad { pad, kernel: kernel.map(|k| k as u32) };
            let dw = self.b.push1(op, &[x.id, g.id])?;
            self.give(1, dw)?;
        }
        Ok(())
    }
}
