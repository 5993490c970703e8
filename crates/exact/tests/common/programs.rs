//! Whole programs at random: every operation a builder has, gradients of what it made, states that move.

use exact::{
    AdamState, AdamW, BinaryFn, Builder, CompareFn, DType, Error, IntFn, Program, RopeTables, Shape, Type,
    UnaryFn, Var,
};

use super::choices::Choices;
use super::play::Feed;
use super::values::{Kind, floats, ints};

/// A program with something to run it on.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) program: Program,
    pub(crate) feeds: Vec<Feed>,
}

/// How often each program runs, its inputs new every time.
const RUNS: usize = 3;
/// The most elements of any value.
const BOUND: usize = 2_048;
const LENGTHS: [usize; 18] = [2, 1, 3, 4, 5, 7, 8, 1, 13, 16, 17, 2, 31, 33, 64, 65, 129, 0];

/// The program that these decisions lead to.
pub(crate) fn program(decisions: &[u32]) -> Made {
    let mut made = Maker {
        c: Choices::new(decisions),
        b: Builder::new(),
        floats: Vec::new(),
        ints: Vec::new(),
        states: Vec::new(),
        counters: Vec::new(),
        feeds: Vec::new(),
    };
    while !made.c.used_up() {
        // What does not fit adds nothing.
        let _ = made.operation();
    }
    made.finish()
}

struct Maker<'a> {
    c: Choices<'a>,
    b: Builder,
    floats: Vec<Var<f32>>,
    /// Integers, each with the greatest it can be.
    ints: Vec<(Var<u32>, u32)>,
    states: Vec<Var<f32>>,
    counters: Vec<Var<u32>>,
    feeds: Vec<Feed>,
}

type Done = Result<(), Error>;

/// No fitting operand: the operation is left out.
fn unfit<T>() -> Result<T, Error> {
    Err(Error::Decode { why: "left out".to_owned() })
}

fn count(dims: &[usize]) -> usize {
    dims.iter().product()
}

impl Maker<'_> {
    fn length(&mut self) -> usize {
        self.c.pick(&LENGTHS)
    }

    fn dims(&mut self, least: usize, most: usize) -> Vec<usize> {
        let rank = least + self.c.below(most - least + 1);
        let mut dims: Vec<usize> = Vec::new();
        for _ in 0..rank {
            let length = self.length();
            dims.push(if count(&dims).max(1) * length > BOUND { 1 } else { length });
        }
        dims
    }

    fn keep(&mut self, x: Var<f32>) {
        if x.shape().elements() <= 8 * BOUND {
            self.floats.push(x);
        }
    }

    fn name(&mut self) -> String {
        format!("leaf{}", self.feeds.len())
    }

    /// A leaf of its own with these axes.
    fn leaf(&mut self, dims: &[usize]) -> Result<Var<f32>, Error> {
        let (name, state) = (self.name(), self.c.one_in(3));
        let kind = match self.c.below(8) {
            0..=3 => Kind::Tame,
            4 => Kind::Plain,
            5 => Kind::Spiked,
            6 => Kind::Wild,
            _ => Kind::Corners,
        };
        let seed = u64::from(self.c.number());
        let x = if state { self.b.state(&name, dims)? } else { self.b.input(&name, dims)? };
        let runs = (0..if state { 1 } else { RUNS as u64 })
            .map(|run| floats(kind, seed << 2 | run, x.shape().elements()))
            .collect();
        self.feeds.push(Feed { name, ty: Type { dtype: DType::F32, shape: x.shape() }, state, runs });
        self.keep(x);
        if state && self.floats.last().is_some_and(|last| last.shape() == x.shape()) {
            self.states.push(x);
        }
        Ok(x)
    }

    /// Integers from low to high; rarely, one beyond, so that errors are compared as well.
    fn int_leaf(&mut self, dims: &[usize], low: u32, high: u32) -> Result<Var<u32>, Error> {
        let name = self.name();
        let seed = u64::from(self.c.number());
        let beyond = self.c.one_in(150);
        let x = self.b.input(&name, dims)?;
        let mut runs: Vec<Vec<u32>> =
            (0..RUNS as u64).map(|run| ints(low, high, seed << 2 | run, x.shape().elements())).collect();
        if beyond && let Some(last) = runs[RUNS - 1].last_mut() {
            *last = high.saturating_add(1);
        }
        self.feeds.push(Feed { name, ty: Type { dtype: DType::U32, shape: x.shape() }, state: false, runs });
        Ok(x)
    }

    fn any(&mut self) -> Result<Var<f32>, Error> {
        if self.floats.is_empty() || self.c.one_in(8) {
            let dims = self.dims(0, 6);
            return self.leaf(&dims);
        }
        // One of the last few rather than one from long ago.
        let back = if self.c.one_in(3) { self.floats.len() } else { self.floats.len().min(6) };
        let i = self.floats.len() - 1 - self.c.below(back);
        Ok(self.floats[i])
    }

    fn which(&mut self, fits: impl Fn(&Shape) -> bool) -> Option<Var<f32>> {
        let fitting: Vec<Var<f32>> = self.floats.iter().copied().filter(|x| fits(&x.shape())).collect();
        if fitting.is_empty() || self.c.one_in(4) { None } else { Some(self.c.pick(&fitting)) }
    }

    /// A value with these axes: one that has them, one bent into them, or a new leaf.
    fn like(&mut self, dims: &[usize]) -> Result<Var<f32>, Error> {
        if let Some(x) = self.which(|s| s.iter().eq(dims.iter().copied())) {
            return Ok(x);
        }
        if count(dims) > 4 * BOUND {
            return unfit();
        }
        if self.c.one_in(2) {
            return self.leaf(dims);
        }
        let n = count(dims);
        if let Some(x) = self.which(|s| s.elements() == n) {
            return self.b.reshape(x, dims);
        }
        let Some(x) = self.which(|s| s.elements() > 0) else { return self.leaf(dims) };
        let has = x.shape().elements();
        let flat = self.b.reshape(x, &[has])?;
        let flat = if has >= n {
            self.b.slice(flat, 0, has - n, n)?
        } else if self.c.one_in(2) {
            let missing = n - has;
            self.b.pad(flat, 0, missing / 2, missing - missing / 2)?
        } else {
            let parts = vec![flat; n.div_ceil(has)];
            let long = self.b.concat(&parts, 0)?;
            self.b.slice(long, 0, 0, n)?
        };
        self.b.reshape(flat, dims)
    }

    /// A value that stretches to these axes.
    fn stretchable(&mut self, dims: &[usize]) -> Result<Var<f32>, Error> {
        let mut dims = dims.to_vec();
        if self.c.one_in(2) {
            let gone = self.c.below(dims.len() + 1);
            dims.drain(..gone);
            for dim in &mut dims {
                if self.c.one_in(3) {
                    *dim = 1;
                }
            }
        }
        self.like(&dims)
    }

    /// Integers below `limit` with these axes.
    fn ids(&mut self, dims: &[usize], limit: usize) -> Result<Var<u32>, Error> {
        if limit == 0 {
            return unfit();
        }
        let fitting: Vec<Var<u32>> = self
            .ints
            .iter()
            .filter(|(x, most)| (*most as usize) < limit && x.shape().iter().eq(dims.iter().copied()))
            .map(|(x, _)| *x)
            .collect();
        if !fitting.is_empty() && !self.c.one_in(3) {
            return Ok(self.c.pick(&fitting));
        }
        self.int_leaf(dims, 0, limit as u32 - 1)
    }

    fn any_int(&mut self) -> Result<(Var<u32>, u32), Error> {
        if self.ints.is_empty() || self.c.one_in(6) {
            let (dims, high) = (self.dims(0, 4), self.c.pick(&[5, 1, 100, 70_000, u32::MAX]));
            let x = self.int_leaf(&dims, 0, high)?;
            self.ints.push((x, high));
        }
        let i = self.ints.len() - 1 - self.c.below(self.ints.len().min(8));
        Ok(self.ints[i])
    }

    fn operation(&mut self) -> Done {
        match self.c.below(56) {
            0..=2 => {
                let x = self.any()?;
                let f = self.c.pick(&UnaryFn::ALL);
                let y = self.b.unary(f, x)?;
                self.keep(y);
            }
            3..=6 => {
                let (a, f) = (self.any()?, self.c.pick(&BinaryFn::ALL));
                let b = self.stretchable(&a.shape().to_vec())?;
                let (a, b) = if self.c.one_in(2) { (b, a) } else { (a, b) };
                let y = self.b.binary(f, a, b)?;
                self.keep(y);
            }
            7 => {
                let a = self.any()?;
                let b = self.stretchable(&a.shape().to_vec())?;
                let f = self.c.pick(&[CompareFn::Lt, CompareFn::Le, CompareFn::Eq]);
                let y = self.b.compare(f, a, b)?;
                self.ints.push((y, 1));
            }
            8 | 9 => self.int()?,
            10 => {
                let x = self.any()?;
                let dims = x.shape().to_vec();
                let (a, b) = (self.stretchable(&dims)?, self.stretchable(&dims)?);
                let mut three = [x, a, b];
                three.rotate_left(self.c.below(3));
                let y = self.b.fma(three[0], three[1], three[2])?;
                self.keep(y);
            }
            11 => {
                let (mask, _) = self.any_int()?;
                let dims = mask.shape().to_vec();
                let (a, b) = (self.stretchable(&dims)?, self.stretchable(&dims)?);
                let y = self.b.select(mask, a, b)?;
                self.keep(y);
            }
            12 => {
                let (x, _) = self.any_int()?;
                let y = if self.c.one_in(2) { self.b.unit(x)? } else { self.b.to_float(x)? };
                self.keep(y);
            }
            13 => self.source()?,
            14..=21 => self.moved()?,
            22..=25 => self.by_ids()?,
            26..=30 => self.product()?,
            31 | 32 => {
                let x = self.any()?;
                let axis = self.c.below(x.shape().rank());
                let y = if self.c.one_in(3) { self.b.reduce_max(x, axis)? } else { self.b.sum(x, axis)? };
                self.keep(y);
            }
            33 => {
                let a = self.any()?;
                let b = self.like(&a.shape().to_vec())?;
                let axis = self.c.below(a.shape().rank());
                let y = self.b.dot(a, b, axis)?;
                self.keep(y);
            }
            34 => {
                let x = self.any()?;
                let y = self.b.argmax(x)?;
                self.ints.push((y, x.shape().last().max(1) as u32 - 1));
            }
            35 | 36 => {
                let x = self.any()?;
                let w = self.like(&[x.shape().last()])?;
                let eps = self.c.pick(&[1e-5, 1e-6, 0.0]);
                let (y, inv) = self.b.rms_norm(x, w, eps)?;
                self.keep(y);
                if self.c.one_in(8) {
                    self.keep(inv);
                }
            }
            37 => {
                let x = self.any()?;
                let y = self.b.softmax(x)?;
                self.keep(y);
            }
            38 | 39 => {
                let x = self.any()?;
                let rank = x.shape().rank();
                let ids = self.ids(&x.shape().to_vec()[..rank.saturating_sub(1)], x.shape().last())?;
                let y = self.b.token_logprob(x, ids)?;
                self.keep(y);
            }
            40 => {
                let gate = self.any()?;
                let up = self.like(&gate.shape().to_vec())?;
                let y = self.b.swiglu(gate, up)?;
                self.keep(y);
            }
            41 | 42 => self.rope()?,
            43..=45 => self.attention()?,
            46 | 47 => self.convolution()?,
            48 => self.adamw()?,
            49 => self.sample()?,
            50 => self.clip()?,
            51 => self.packed()?,
            _ => self.gradients()?,
        }
        Ok(())
    }

    fn int(&mut self) -> Done {
        use IntFn::{Add, Eq, Lt, Max, Min, Mul, Sub};
        let (a, most) = self.any_int()?;
        let f = self.c.pick(&[Min, Max, Add, Mul, Lt, Eq, Sub]);
        let (b, other) = if self.c.one_in(2) {
            let n = self.c.pick(&[1, 0, 2, 3, 1000]);
            (self.b.scalar(n)?, n)
        } else {
            let dims = a.shape().to_vec();
            let high = self.c.pick(&[1, 3, 65_535]);
            (self.ids(&dims, high as usize + 1)?, high)
        };
        // A difference that may be negative is let through now and then: the error must be the same everywhere.
        let bound = match f {
            Add => u64::from(most) + u64::from(other),
            Mul => u64::from(most) * u64::from(other),
            Max => u64::from(most.max(other)),
            Min => u64::from(most.min(other)),
            Lt | Eq => 1,
            Sub => u64::from(most),
        };
        let risky = bound > u64::from(u32::MAX) || (f == Sub && other > 0);
        if risky && !self.c.one_in(12) {
            return unfit();
        }
        let y = self.b.int(f, a, b)?;
        self.ints.push((y, u32::try_from(bound).unwrap_or(u32::MAX)));
        Ok(())
    }

    fn source(&mut self) -> Done {
        match self.c.below(4) {
            0 => {
                let dims = self.dims(0, 3);
                let value = f32::from_bits(self.c.number());
                let y = self.b.full(&dims, value)?;
                self.keep(y);
            }
            1 => {
                let dims = self.dims(1, 5);
                let axis = self.c.below(dims.len());
                let y = self.b.iota(&dims, axis)?;
                self.ints.push((y, dims[axis].max(1) as u32 - 1));
            }
            2 => {
                let rows = self.c.pick(&[1, 2, 3, 5]);
                let seeds = self.int_leaf(&[rows, 4], 0, u32::MAX)?;
                let words = self.length();
                let y = self.b.philox(seeds, words)?;
                self.ints.push((y, u32::MAX));
            }
            _ => {
                let name = self.name();
                let dims = self.dims(0, 2);
                let x = self.b.state::<u32>(&name, &dims)?;
                let ty = Type { dtype: DType::U32, shape: x.shape() };
                let runs = vec![ints(0, 5, u64::from(self.c.number()), x.shape().elements())];
                self.feeds.push(Feed { name, ty, state: true, runs });
                self.ints.push((x, 5));
                self.counters.push(x);
            }
        }
        Ok(())
    }

    fn moved(&mut self) -> Done {
        let x = self.any()?;
        let dims = x.shape().to_vec();
        let rank = dims.len();
        let axis = self.c.below(rank);
        let y = match self.c.below(10) {
            0 => {
                // Two axes as one, or one as two.
                let mut to = dims.clone();
                if rank >= 2 && self.c.one_in(2) {
                    let at = self.c.below(rank - 1);
                    to[at] *= to.remove(at + 1);
                } else {
                    to.insert(self.c.below(rank + 1), 1);
                }
                self.b.reshape(x, &to)?
            }
            1 => {
                let mut order: Vec<usize> = (0..rank).collect();
                for i in (1..rank).rev() {
                    order.swap(i, self.c.below(i + 1));
                }
                self.b.permute(x, &order)?
            }
            2 => self.b.transpose(x)?,
            3 => {
                let mut to = dims.clone();
                for dim in &mut to {
                    if *dim == 1 {
                        *dim = self.c.pick(&[1, 2, 3, 7]);
                    }
                }
                if rank < 6 && self.c.one_in(2) {
                    to.insert(0, self.c.pick(&[2, 1, 3]));
                }
                self.b.broadcast(x, &to)?
            }
            4 if rank > 0 => {
                let start = self.c.below(dims[axis] + 1);
                let len = self.c.below(dims[axis] - start + 1);
                self.b.slice(x, axis, start, len)?
            }
            5 => {
                let (before, after) = (self.c.below(3), self.c.below(4));
                self.b.pad(x, axis, before, after)?
            }
            6 if rank > 0 => {
                let mut other = dims.clone();
                other[axis] = self.c.pick(&[1, 0, 2, 5]);
                let other = self.like(&other)?;
                let parts = if self.c.one_in(2) { vec![x, other] } else { vec![other, x, x] };
                self.b.concat(&parts, axis)?
            }
            7 => self.b.flip(x, axis)?,
            8 => {
                let (ints, most) = self.any_int()?;
                let order: Vec<usize> = (0..ints.shape().rank()).rev().collect();
                let y = self.b.permute(ints, &order)?;
                self.ints.push((y, most));
                return Ok(());
            }
            _ => self.b.copy(x)?,
        };
        self.keep(y);
        Ok(())
    }

    fn by_ids(&mut self) -> Done {
        let x = self.any()?;
        let dims = x.shape().to_vec();
        let rank = dims.len();
        if rank == 0 {
            return unfit();
        }
        let y = match self.c.below(5) {
            0 => {
                let ids = self.dims(0, 2);
                if count(&ids) * count(&dims[1..]) > 4 * BOUND {
                    return unfit();
                }
                let ids = self.ids(&ids, dims[0])?;
                self.b.gather(x, ids)?
            }
            1 => {
                let leading = self.c.below(rank.min(2) + 1);
                let rows = self.c.pick(&[3, 1, 2, 17]);
                let ids = self.ids(&dims[..leading], rows)?;
                self.b.scatter_add(ids, x, rows)?
            }
            2 => {
                let ids = self.ids(&dims[..rank - 1], dims[rank - 1])?;
                self.b.pick(x, ids)?
            }
            3 => {
                let n = self.c.pick(&[3, 1, 2, 9]);
                let ids = self.ids(&dims, n)?;
                self.b.place(ids, x, n)?
            }
            _ if rank >= 2 => {
                let mut new = dims.clone();
                new[1] = self.c.below(dims[1] + 1);
                let start = self.ids(&dims[..1], dims[1] - new[1] + 1)?;
                let new = self.like(&new)?;
                self.b.write_rows(x, new, start)?
            }
            _ => return unfit(),
        };
        self.keep(y);
        Ok(())
    }

    fn product(&mut self) -> Done {
        let (ta, tb) = (self.c.one_in(2), self.c.one_in(2));
        let a = if let Some(a) = self.which(|s| s.rank() >= 2) {
            a
        } else {
            let k = self.c.pick(&[3, 1, 2, 7, 16, 65, 511, 512, 513, 1025, 0]);
            let m = self.c.pick(&[2, 1, 3, 5]);
            let batch = self.c.pick(&[0, 0, 1, 2]);
            let mut dims = vec![2; batch];
            dims.extend(if ta { [k, m] } else { [m, k] });
            self.leaf(&dims)?
        };
        let dims = a.shape().to_vec();
        let rank = dims.len();
        let (m, k) = if ta { (dims[rank - 1], dims[rank - 2]) } else { (dims[rank - 2], dims[rank - 1]) };
        let n = self.c.pick(&[2, 1, 3, 8, 17, 33, 0]);
        if count(&dims[..rank - 2]) * m * n * k > 100_000 {
            return unfit();
        }
        let mut other = dims[..rank - 2].to_vec();
        other.extend(if tb { [n, k] } else { [k, n] });
        let b = self.like(&other)?;
        let y = match self.c.below(4) {
            0 => {
                let rows = [&dims[..rank - 2], &[m]].concat();
                let lo = self.ids(&rows, k / 2 + 1)?;
                let hi = self.int_leaf(&rows, (k / 2) as u32, k as u32)?;
                self.b.ragged_matmul(a, ta, b, tb, lo, hi)?
            }
            1 if !ta => {
                let w = self.like(&[k, n])?;
                self.b.linear(a, w)?
            }
            _ => self.b.matmul_t(a, ta, b, tb)?,
        };
        self.keep(y);
        Ok(())
    }

    fn rope(&mut self) -> Done {
        let x = if let Some(x) = self.which(|s| s.rank() == 4 && s.dim(3).is_multiple_of(2)) {
            x
        } else {
            let dims = [
                self.c.pick(&[1, 2]),
                self.c.pick(&[3, 1, 5]),
                self.c.pick(&[1, 2]),
                self.c.pick(&[4, 2, 16]),
            ];
            self.like(&dims)?
        };
        let [batch, t, half] = [x.dim(0), x.dim(1), x.dim(3) / 2];
        let positions = if self.c.one_in(2) { vec![t] } else { vec![batch, t] };
        let tables = if self.c.one_in(3) {
            let dims = [&positions[..], &[half]].concat();
            RopeTables { cos: self.like(&dims)?, sin: self.like(&dims)? }
        } else {
            let high = self.c.pick(&[10_usize, 100_000]);
            let at = self.ids(&positions, high)?;
            self.b.rope_tables(at, 2 * half, 10_000.0)?
        };
        let y = self.b.rope(x, &tables)?;
        self.keep(y);
        Ok(())
    }

    fn packed(&mut self) -> Done {
        let bits = self.c.pick(&[4, 8]);
        let per = 32 / usize::from(bits);
        let fits = |s: &Shape| s.rank() == 2 && s.last().is_multiple_of(per);
        let x = if let Some(x) = self.which(fits) {
            x
        } else {
            let dims = [self.c.pick(&[1, 3, 9]), per * self.c.pick(&[1, 2, 4, 66])];
            self.like(&dims)?
        };
        let (rows, n) = (x.dim(1) / per, self.c.pick(&[1, 5, 16, 33]));
        let groups = if rows.is_multiple_of(2) { self.c.pick(&[1, 2]) } else { 1 };
        let words = self.int_leaf(&[rows, n], 0, u32::MAX)?;
        let (scale, shift) = (self.like(&[groups, n])?, self.like(&[groups, n])?);
        let y = if self.c.one_in(3) {
            self.b.unpack(bits, words, scale, shift)?
        } else {
            self.b.packed_matmul(x, bits, words, scale, shift)?
        };
        self.keep(y);
        Ok(())
    }

    fn attention(&mut self) -> Done {
        let (causal, scale) = (!self.c.one_in(3), self.c.pick(&[0.5, 0.17, 1.0]));
        let (heads, group) = (self.c.pick(&[1, 2]), self.c.pick(&[1, 2, 3]));
        let q = if let Some(q) =
            self.which(|s| s.rank() == 4 && s.dim(2).is_multiple_of(heads) && s.dim(3) > 0)
        {
            q
        } else {
            let dims = [
                self.c.pick(&[1, 2]),
                self.c.pick(&[3, 1, 5, 9]),
                heads * group,
                self.c.pick(&[4, 1, 5, 16]),
            ];
            self.like(&dims)?
        };
        let keys = (q.dim(1) + self.c.pick(&[0, 1, 3, 60, 520])).max(1);
        if count(&[q.dim(0), q.dim(1), q.dim(2), keys, q.dim(3)]) > 60_000 {
            return unfit();
        }
        let dims = [q.dim(0), keys, heads, q.dim(3)];
        let (k, v) = (self.like(&dims)?, self.like(&dims)?);
        let start = if causal {
            self.ids(&dims[..1], keys - q.dim(1) + 1)?
        } else {
            self.int_leaf(&dims[..1], 1, keys as u32)?
        };
        let y = self.b.attention(q, k, v, start, scale, causal)?;
        self.keep(y);
        Ok(())
    }

    fn convolution(&mut self) -> Done {
        let x = if let Some(x) = self.which(|s| s.rank() == 5 && s.elements() < 400) {
            x
        } else {
            let mut side = || self.c.pick(&[3, 1, 2, 4, 5]);
            let dims = [side().min(2), side(), side(), side(), side()];
            self.like(&dims)?
        };
        let kernel: [usize; 3] = std::array::from_fn(|_| self.c.pick(&[1, 2, 3]));
        let pad: [usize; 3] = std::array::from_fn(|_| self.c.pick(&[1, 0, 2, 3]));
        let y = if self.c.one_in(4) {
            self.b.im2col(x, kernel, pad)?
        } else {
            let channels = self.c.pick(&[2, 1, 3, 17]);
            let w = self.like(&[kernel[0], kernel[1], kernel[2], x.dim(4), channels])?;
            self.b.conv3d(x, w, pad)?
        };
        self.keep(y);
        Ok(())
    }

    fn adamw(&mut self) -> Done {
        let p = match self.c.below(3) {
            0 if !self.states.is_empty() => {
                let states = self.states.clone();
                self.c.pick(&states)
            }
            _ => self.any()?,
        };
        let dims = p.shape().to_vec();
        let (g, m, v) = (self.like(&dims)?, self.like(&dims)?, self.like(&dims)?);
        let [lr, gscale, c1, c2] = [self.like(&[])?, self.like(&[])?, self.like(&[])?, self.like(&[])?];
        let (b1, b2) = (self.c.pick(&[0.9, 0.0]), self.c.pick(&[0.999, 0.95]));
        let with = AdamW { lr, gscale, c1, c2, b1, b2, eps: 1e-8, decay: self.c.pick(&[0.01, 0.0]) };
        let (p, state) = self.b.adamw(p, g, AdamState { m, v }, &with)?;
        for x in [p, state.m, state.v] {
            self.keep(x);
        }
        Ok(())
    }

    fn sample(&mut self) -> Done {
        let logits = if let Some(x) = self.which(|s| s.rank() == 2 && s.dim(1) > 0) {
            x
        } else {
            let dims = [self.c.pick(&[2, 1, 5]), self.c.pick(&[7, 1, 64, 130])];
            self.like(&dims)?
        };
        let (rows, n) = (logits.dim(0), logits.dim(1));
        let top_k = self.ids(&[rows], n + 2)?;
        let top_p = self.like(&[rows])?;
        if self.c.one_in(3) {
            let kept = self.b.keep(logits, top_k, top_p)?;
            self.ints.push((kept, 1));
        } else {
            let seeds = self.int_leaf(&[rows, 4], 0, u32::MAX)?;
            let temperature = self.like(&[rows])?;
            let y = self.b.sample(logits, seeds, temperature, top_k, top_p)?;
            self.ints.push((y, n as u32 - 1));
        }
        Ok(())
    }

    fn clip(&mut self) -> Done {
        let (x, y) = (self.any()?, self.any()?);
        let (scale, norm) = self.b.clip_scale(&[x, y], 1.0)?;
        self.keep(scale);
        self.keep(norm);
        let y = if self.c.one_in(2) { self.b.mean_all(x)? } else { self.b.mul(x, scale)? };
        self.keep(y);
        Ok(())
    }

    /// The gradients of a sum of some values by some values.
    fn gradients(&mut self) -> Done {
        let mut loss = self.b.scalar(0.0)?;
        for _ in 0..=self.c.below(3) {
            let x = self.any()?;
            let part = if self.c.one_in(2) { self.b.sum_all(x)? } else { self.b.mean_all(x)? };
            loss = self.b.add(loss, part)?;
        }
        let mut by = Vec::new();
        for _ in 0..=self.c.below(4) {
            by.push(self.c.pick(&self.floats));
        }
        for g in self.b.gradients(loss, &by)? {
            self.keep(g);
        }
        Ok(())
    }

    fn finish(mut self) -> Made {
        for state in self.states.clone() {
            let dims = state.shape();
            let fitting: Vec<Var<f32>> = self.floats.iter().copied().filter(|x| x.shape() == dims).collect();
            if !self.c.one_in(4) {
                // The last of them: it has most before it that may still read the old value.
                let back = self.c.below(3).min(fitting.len() - 1);
                self.b.assign(state, fitting[fitting.len() - 1 - back]).unwrap();
            }
        }
        for state in self.counters.clone() {
            let dims = state.shape();
            let fits = |(x, most): &&(Var<u32>, u32)| x.shape() == dims && *most <= 5;
            if let Some((value, _)) = self.ints.iter().rfind(fits) {
                self.b.assign(state, *value).unwrap();
            }
        }
        // Not all: what nobody asks for is left out, and what few ask for is freed early.
        for (i, x) in self.floats.clone().into_iter().enumerate() {
            if self.c.one_in(3) || i + 1 == self.floats.len() {
                self.b.output(&format!("float{i}"), x).unwrap();
            }
        }
        for (i, (x, _)) in self.ints.clone().into_iter().enumerate() {
            if self.c.one_in(3) || i + 1 == self.ints.len() {
                self.b.output(&format!("int{i}"), x).unwrap();
            }
        }
        Made { program: self.b.finish().unwrap(), feeds: self.feeds }
    }
}
