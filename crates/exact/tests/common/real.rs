//! The operations over real numbers (as far as f64 has them), by the plainest formula there is for each: no blocks, no trees,
//! no order. What `exact` computes in 32 bits must be near this.

use std::collections::HashMap;

use exact::{BinaryFn, CompareFn, IntFn, Op, Program, ReduceFn, UnaryFn};

use super::wire::{MAGIC, Wire};

/// A tensor of real numbers; integers are numbers too.
#[derive(Clone, Debug)]
pub(crate) struct Real {
    pub(crate) dims: Vec<usize>,
    pub(crate) at: Vec<f64>,
}

impl Real {
    pub(crate) fn new(dims: &[usize], at: Vec<f64>) -> Real {
        assert_eq!(dims.iter().product::<usize>(), at.len());
        Real { dims: dims.to_vec(), at }
    }

    /// Made from the indices of each element.
    fn from(dims: &[usize], f: impl Fn(&[usize]) -> f64) -> Real {
        let mut at = Vec::new();
        each(dims, |i| at.push(f(i)));
        Real::new(dims, at)
    }

    fn get(&self, index: &[usize]) -> f64 {
        self.at[index.iter().zip(&self.dims).fold(0, |at, (i, d)| at * d + i)]
    }

    fn add(&mut self, index: &[usize], x: f64) {
        let at = index.iter().zip(&self.dims).fold(0, |at, (i, d)| at * d + i);
        self.at[at] += x;
    }

    /// As it is read over a shape it stretches to.
    fn over(&self, index: &[usize]) -> f64 {
        let own: Vec<usize> = index[index.len() - self.dims.len()..]
            .iter()
            .zip(&self.dims)
            .map(|(i, d)| if *d == 1 { 0 } else { *i })
            .collect();
        self.get(&own)
    }

    fn last(&self) -> usize {
        *self.dims.last().unwrap()
    }

    fn leading(&self) -> &[usize] {
        &self.dims[..self.dims.len() - 1]
    }

    /// The elements of the row with these leading indices.
    fn row(&self, leading: &[usize]) -> Vec<f64> {
        (0..self.last()).map(|i| self.get(&[leading, &[i]].concat())).collect()
    }
}

/// All indices of a shape, in order.
fn each(dims: &[usize], mut f: impl FnMut(&[usize])) {
    let n: usize = dims.iter().product();
    let mut index = vec![0; dims.len()];
    for _ in 0..n {
        f(&index);
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            if index[axis] < dims[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

fn stretched(x: &[&Real]) -> Vec<usize> {
    let rank = x.iter().map(|t| t.dims.len()).max().unwrap_or(0);
    (0..rank)
        .map(|axis| {
            let of = |t: &&Real| (axis + t.dims.len()).checked_sub(rank).map_or(1, |a| t.dims[a]);
            x.iter().map(of).find(|d| *d != 1).unwrap_or(1)
        })
        .collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn unary(f: UnaryFn, x: f64) -> f64 {
    match f {
        UnaryFn::Neg => -x,
        UnaryFn::Abs => x.abs(),
        UnaryFn::Sqrt => x.sqrt(),
        UnaryFn::Rsqrt => 1.0 / x.sqrt(),
        UnaryFn::Recip => 1.0 / x,
        UnaryFn::Exp => x.exp(),
        UnaryFn::Log => x.ln(),
        UnaryFn::Tanh => x.tanh(),
        UnaryFn::Sin => x.sin(),
        UnaryFn::Cos => x.cos(),
        UnaryFn::Sigmoid => sigmoid(x),
        UnaryFn::Silu => x * sigmoid(x),
        UnaryFn::Gelu => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
        UnaryFn::Relu => x.max(0.0),
    }
}

fn binary(f: BinaryFn, a: f64, b: f64) -> f64 {
    match f {
        BinaryFn::Add => a + b,
        BinaryFn::Sub => a - b,
        BinaryFn::Mul => a * b,
        BinaryFn::Div => a / b,
        BinaryFn::Max => a.max(b),
        BinaryFn::Min => a.min(b),
        BinaryFn::ReluGrad => {
            if a > 0.0 {
                b
            } else {
                0.0
            }
        }
        BinaryFn::SiluGrad => b * sigmoid(a) * (1.0 + a * (1.0 - sigmoid(a))),
        BinaryFn::GeluGrad => {
            let h = 1e-5;
            b * (unary(UnaryFn::Gelu, a + h) - unary(UnaryFn::Gelu, a - h)) / (2.0 * h)
        }
    }
}

fn int(f: IntFn, a: f64, b: f64) -> f64 {
    match f {
        IntFn::Add => a + b,
        IntFn::Sub => a - b,
        IntFn::Mul => a * b,
        IntFn::Max => a.max(b),
        IntFn::Min => a.min(b),
        IntFn::Lt => f64::from(a < b),
        IntFn::Eq => f64::from(a == b),
    }
}

/// The outputs of a program, by name, for leaves given by name.
pub(crate) fn evaluate(program: &Program, leaves: &HashMap<String, Real>) -> HashMap<String, Real> {
    let wire: Wire = postcard::from_bytes(&program.encode()[MAGIC.len()..]).unwrap();
    let mut values: Vec<Real> =
        wire.inputs.iter().chain(&wire.states).map(|(name, _)| leaves[name].clone()).collect();
    for (op, operands) in &wire.operations {
        let x: Vec<&Real> = operands.iter().map(|v| &values[*v as usize]).collect();
        let results = operation(op, &x);
        values.extend(results);
    }
    wire.outputs.iter().map(|(name, v)| (name.clone(), values[*v as usize].clone())).collect()
}

/// The results of one operation.
fn operation(op: &Op, x: &[&Real]) -> Vec<Real> {
    let one = match op {
        Op::Full { dtype, shape, bits } => {
            let value = match dtype {
                exact::DType::F32 => f64::from(f32::from_bits(*bits)),
                exact::DType::U32 => f64::from(*bits),
            };
            Real::from(&shape.to_vec(), |_| value)
        }
        Op::Iota { shape, axis } => Real::from(&shape.to_vec(), |i| i[usize::from(*axis)] as f64),
        Op::Copy | Op::ToFloat => x[0].clone(),
        Op::Unary(f) => Real::new(&x[0].dims, x[0].at.iter().map(|a| unary(*f, *a)).collect()),
        Op::Binary(f) => Real::from(&stretched(x), |i| binary(*f, x[0].over(i), x[1].over(i))),
        Op::Int(f) => Real::from(&stretched(x), |i| int(*f, x[0].over(i), x[1].over(i))),
        Op::Compare(f) => Real::from(&stretched(x), |i| {
            let (a, b) = (x[0].over(i), x[1].over(i));
            f64::from(match f {
                CompareFn::Lt => a < b,
                CompareFn::Le => a <= b,
                CompareFn::Eq => a == b,
            })
        }),
        Op::Fma => Real::from(&stretched(x), |i| x[0].over(i) * x[1].over(i) + x[2].over(i)),
        Op::Select => {
            Real::from(&stretched(x), |i| if x[0].over(i) == 0.0 { x[2].over(i) } else { x[1].over(i) })
        }
        Op::Reduce { with, axis } => {
            let axis = usize::from(*axis);
            let mut dims = x[0].dims.clone();
            let n = dims.remove(axis);
            Real::from(&dims, |i| {
                let along = (0..n).map(|k| x[0].get(&[&i[..axis], &[k], &i[axis..]].concat()));
                match with {
                    ReduceFn::Sum => along.sum(),
                    ReduceFn::Max => along.fold(f64::NEG_INFINITY, f64::max),
                }
            })
        }
        Op::Dot { axis } => {
            let axis = usize::from(*axis);
            let mut dims = x[0].dims.clone();
            let n = dims.remove(axis);
            Real::from(&dims, |i| {
                let at = |k: usize| [&i[..axis], &[k], &i[axis..]].concat();
                (0..n).map(|k| x[0].get(&at(k)) * x[1].get(&at(k))).sum()
            })
        }
        Op::Matmul { ta, tb } => {
            let rank = x[0].dims.len();
            let k = x[0].dims[if *ta { rank - 2 } else { rank - 1 }];
            let mut dims = x[0].dims.clone();
            dims[rank - 2] = x[0].dims[if *ta { rank - 1 } else { rank - 2 }];
            dims[rank - 1] = x[1].dims[if *tb { rank - 2 } else { rank - 1 }];
            let place = |batch: &[usize], row: usize, column: usize, turned: bool| {
                let pair = if turned { [column, row] } else { [row, column] };
                [batch, &pair].concat()
            };
            Real::from(&dims, |i| {
                let (batch, row, column) = (&i[..rank - 2], i[rank - 2], i[rank - 1]);
                let product =
                    |p| x[0].get(&place(batch, row, p, *ta)) * x[1].get(&place(batch, p, column, *tb));
                (0..k).map(product).sum()
            })
        }
        Op::Unpack { bits } => unpacked(*bits, x[0], x[1], x[2]),
        Op::PackedMatmul { bits } => {
            let w = unpacked(*bits, x[1], x[2], x[3]);
            Real::from(&[x[0].dims[0], w.dims[1]], |i| {
                (0..w.dims[0]).map(|k| x[0].get(&[i[0], k]) * w.get(&[k, i[1]])).sum()
            })
        }
        Op::RmsNorm { eps } => {
            let inverse = |leading: &[usize]| {
                let row = x[0].row(leading);
                1.0 / (row.iter().map(|a| a * a).sum::<f64>() / row.len() as f64 + f64::from(*eps)).sqrt()
            };
            let y = Real::from(&x[0].dims, |i| {
                let (last, leading) = i.split_last().unwrap();
                x[0].get(i) * inverse(leading) * x[1].at[*last]
            });
            return vec![y, Real::from(x[0].leading(), inverse)];
        }
        Op::Softmax => Real::from(&x[0].dims, |i| {
            let row = x[0].row(&i[..i.len() - 1]);
            x[0].get(i).exp() / row.iter().map(|a| a.exp()).sum::<f64>()
        }),
        Op::TokenLogprob => {
            let logp = Real::from(&x[1].dims, |i| {
                let row = x[0].row(i);
                row[x[1].get(i) as usize] - row.iter().map(|a| a.exp()).sum::<f64>().ln()
            });
            // The statistics are for the way back alone.
            return vec![logp.clone(), logp.clone(), logp];
        }
        Op::Swiglu => Real::from(&x[0].dims, |i| unary(UnaryFn::Silu, x[0].get(i)) * x[1].get(i)),
        Op::Rope { inverse } => {
            let half = x[0].last() / 2;
            let sign = if *inverse { -1.0 } else { 1.0 };
            Real::from(&x[0].dims, |i| {
                let [b, t, h, d] = i[..] else { unreachable!() };
                let j = d % half;
                let table = |of: &Real| if of.dims.len() == 2 { of.get(&[t, j]) } else { of.get(&[b, t, j]) };
                let (cos, sin) = (table(x[1]), sign * table(x[2]));
                let (first, second) = (x[0].get(&[b, t, h, j]), x[0].get(&[b, t, h, j + half]));
                if d < half { first * cos - second * sin } else { second * cos + first * sin }
            })
        }
        Op::Attention { scale, causal } => {
            let [q, k, v, start] = x[..] else { unreachable!() };
            let group = q.dims[2] / k.dims[2];
            let o = Real::from(&q.dims, |i| {
                let [b, t, h, d] = i[..] else { unreachable!() };
                let seen = start.at[b] as usize + if *causal { t + 1 } else { 0 };
                let score = |j: usize| {
                    let products =
                        (0..q.dims[3]).map(|c| q.get(&[b, t, h, c]) * k.get(&[b, j, h / group, c]));
                    (products.sum::<f64>() * f64::from(*scale)).exp()
                };
                let weights: Vec<f64> = (0..seen).map(score).collect();
                let sum: f64 = weights.iter().sum();
                (0..seen).map(|j| weights[j] / sum * v.get(&[b, j, h / group, d])).sum()
            });
            return vec![o.clone(), o.clone(), o];
        }
        Op::Conv3d { pad } => {
            let [x, w] = x[..] else { unreachable!() };
            let out = |a: usize| x.dims[a + 1] + 2 * pad[a] as usize + 1 - w.dims[a];
            Real::from(&[x.dims[0], out(0), out(1), out(2), w.dims[4]], |i| {
                let mut sum = 0.0;
                each(&w.dims[..4], |tap| {
                    let place: Option<Vec<usize>> = (0..3)
                        .map(|a| {
                            (i[a + 1] + tap[a]).checked_sub(pad[a] as usize).filter(|p| *p < x.dims[a + 1])
                        })
                        .collect();
                    if let Some(place) = place {
                        let weight = w.get(&[tap, &[i[4]]].concat());
                        sum += weight * x.get(&[&[i[0]], &place[..], &[tap[3]]].concat());
                    }
                });
                sum
            })
        }
        _ => moved(op, x),
    };
    vec![one]
}

fn moved(op: &Op, x: &[&Real]) -> Real {
    let replaced = |i: &[usize], axis: u8, with: usize| {
        let mut i = i.to_vec();
        i[usize::from(axis)] = with;
        i
    };
    match op {
        Op::Reshape { shape } => Real::new(&shape.to_vec(), x[0].at.clone()),
        Op::Broadcast { shape } => Real::from(&shape.to_vec(), |i| x[0].over(i)),
        Op::Permute { order } => {
            let dims: Vec<usize> = order.iter().map(|a| x[0].dims[usize::from(*a)]).collect();
            Real::from(&dims, |i| {
                let mut from = vec![0; i.len()];
                order.iter().zip(i).for_each(|(axis, i)| from[usize::from(*axis)] = *i);
                x[0].get(&from)
            })
        }
        Op::Slice { axis, start, len } => {
            let dims = replaced(&x[0].dims, *axis, *len as usize);
            Real::from(&dims, |i| x[0].get(&replaced(i, *axis, i[usize::from(*axis)] + *start as usize)))
        }
        Op::Pad { axis, before, after } => {
            let n = x[0].dims[usize::from(*axis)];
            let dims = replaced(&x[0].dims, *axis, n + (*before + *after) as usize);
            Real::from(&dims, |i| match i[usize::from(*axis)].checked_sub(*before as usize) {
                Some(at) if at < n => x[0].get(&replaced(i, *axis, at)),
                _ => 0.0,
            })
        }
        Op::Flip { axis } => {
            let n = x[0].dims[usize::from(*axis)];
            Real::from(&x[0].dims, |i| x[0].get(&replaced(i, *axis, n - 1 - i[usize::from(*axis)])))
        }
        Op::Concat { axis } => {
            let axis_at = usize::from(*axis);
            let n = x.iter().map(|t| t.dims[axis_at]).sum();
            Real::from(&replaced(&x[0].dims, *axis, n), |i| {
                let mut at = i[axis_at];
                for part in x {
                    if at < part.dims[axis_at] {
                        return part.get(&replaced(i, *axis, at));
                    }
                    at -= part.dims[axis_at];
                }
                unreachable!()
            })
        }
        Op::Gather => {
            let (table, ids) = (x[0], x[1]);
            let dims = [&ids.dims[..], &table.dims[1..]].concat();
            Real::from(&dims, |i| {
                let (id, rest) = i.split_at(ids.dims.len());
                table.get(&[&[ids.get(id) as usize], rest].concat())
            })
        }
        Op::ScatterAdd { rows } => {
            let (ids, source) = (x[0], x[1]);
            let dims = [&[*rows as usize], &source.dims[ids.dims.len()..]].concat();
            let mut sums = Real::from(&dims, |_| 0.0);
            each(&source.dims, |i| {
                let (id, rest) = i.split_at(ids.dims.len());
                sums.add(&[&[ids.get(id) as usize], rest].concat(), source.get(i));
            });
            sums
        }
        Op::Pick => Real::from(&x[1].dims, |i| x[0].get(&[i, &[x[1].get(i) as usize]].concat())),
        Op::Place { n } => Real::from(&[&x[0].dims[..], &[*n as usize]].concat(), |i| {
            let (last, leading) = i.split_last().unwrap();
            if x[0].get(leading) as usize == *last { x[1].get(leading) } else { 0.0 }
        }),
        other => panic!("{other:?} is not written down here"),
    }
}

/// The numbers in packed words, times their scales, plus their shifts.
fn unpacked(bits: u8, words: &Real, scale: &Real, shift: &Real) -> Real {
    let per = 32 / usize::from(bits);
    let rows = words.dims[0] * per;
    Real::from(&[rows, words.dims[1]], |i| {
        let word = words.get(&[i[0] / per, i[1]]) as u64;
        let q = word / (1 << (i[0] % per * usize::from(bits))) % (1 << bits);
        let group = [i[0] * scale.dims[0] / rows, i[1]];
        q as f64 * scale.get(&group) + shift.get(&group)
    })
}
