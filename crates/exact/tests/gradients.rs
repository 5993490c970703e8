//! Gradients against central differences of the same function over f64, written down once more in `common/real.rs`.
//!
//! The loss is the sum of the result's elements times weights of order 1, at points of order 1. A step of h = 1e-5 then has an
//! error of about h^2 = 1e-10 by the third derivative and 1e-16 / h = 1e-11 by rounding, which is nothing beside what
//! 32 bits lose: each of up to a few hundred roundings on the way up to 2^-24 = 6e-8 of the largest term. Hence the
//! bound: 2e-5 of the largest gradient, or of 1.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashMap;

use common::models::{Sizes, decoder};
use common::play::{ROOMY, devices};
use common::real::{Real, evaluate};
use common::values::{Kind, floats};
use exact::{BinaryFn, Builder, CompareFn, DType, Error, RopeTables, Session, UnaryFn, Var};

const STEP: f64 = 1e-5;
const BOUND: f64 = 2e-5;

/// What an operation is tried on.
struct Trial {
    b: Builder,
    values: HashMap<String, Vec<f32>>,
    ints: HashMap<String, Vec<u32>>,
    by: Vec<Var<f32>>,
}

impl Trial {
    fn new() -> Trial {
        Trial { b: Builder::new(), values: HashMap::new(), ints: HashMap::new(), by: Vec::new() }
    }

    fn leaf(&mut self, dims: &[usize], values: Vec<f32>) -> Var<f32> {
        let name = format!("x{}", self.values.len());
        let x = self.b.input(&name, dims).unwrap();
        self.values.insert(name, values);
        x
    }

    /// A tensor to differentiate by, from -2 to 2, no element near 0.
    fn x(&mut self, dims: &[usize]) -> Var<f32> {
        let some = floats(Kind::Tame, self.values.len() as u64 + 77, dims.iter().product());
        let away = |bits: u32| {
            let x = f32::from_bits(bits);
            if x.abs() < 0.1 { x + 0.3 } else { x }
        };
        let x = self.leaf(dims, some.into_iter().map(away).collect());
        self.by.push(x);
        x
    }

    /// The same from 0.5 to 2.5.
    fn positive(&mut self, dims: &[usize]) -> Var<f32> {
        let some = floats(Kind::Tame, self.values.len() as u64 + 99, dims.iter().product());
        let x = self.leaf(dims, some.into_iter().map(|bits| f32::from_bits(bits) / 2.0 + 1.5).collect());
        self.by.push(x);
        x
    }

    fn ids(&mut self, dims: &[usize], ids: &[u32]) -> Var<u32> {
        let name = format!("ids{}", self.ints.len());
        let x = self.b.input(&name, dims).unwrap();
        self.ints.insert(name, ids.to_vec());
        x
    }
}

/// The sum of `y` times weights.
fn weighed(t: &mut Trial, y: Var<f32>) -> Var<f32> {
    let dims = y.shape().to_vec();
    let weights = floats(Kind::Tame, 1234, y.shape().elements()).into_iter().map(f32::from_bits).collect();
    let w = t.leaf(&dims, weights);
    let y = t.b.mul(y, w).unwrap();
    t.b.sum_all(y).unwrap()
}

type Made = Result<Var<f32>, Error>;

/// Compares every gradient of a function with its differences.
fn check(name: &str, make: impl Fn(&mut Trial) -> Made) {
    // The function alone, over real numbers.
    let mut t = Trial::new();
    let y = make(&mut t).unwrap();
    let loss = weighed(&mut t, y);
    t.b.output("loss", loss).unwrap();
    let forward = t.b.finish().unwrap();
    let mut leaves: HashMap<String, Real> = HashMap::new();
    for (leaf, ty) in forward.inputs() {
        let at: Vec<f64> = match ty.dtype {
            DType::F32 => t.values[leaf].iter().map(|x| f64::from(*x)).collect(),
            DType::U32 => t.ints[leaf].iter().map(|x| f64::from(*x)).collect(),
        };
        leaves.insert(leaf.to_owned(), Real::new(&ty.shape.to_vec(), at));
    }
    let names: Vec<String> = t.by.iter().enumerate().map(|(i, _)| format!("g{i}")).collect();

    // The function and its gradients, in 32 bits.
    let mut t = Trial::new();
    let y = make(&mut t).unwrap();
    let loss = weighed(&mut t, y);
    let by = t.by.clone();
    let gradients = t.b.gradients(loss, &by).unwrap_or_else(|e| panic!("{name}: {e}"));
    t.b.output("loss", loss).unwrap();
    for (g, out) in gradients.iter().zip(&names) {
        t.b.output(out, *g).unwrap();
    }
    let program = t.b.finish().unwrap();
    let (_, device) = &devices()[devices().len() - 1];
    let mut session = Session::new(&program, device, ROOMY).unwrap();
    for (leaf, values) in &t.values {
        session.write(leaf, values).unwrap();
    }
    for (leaf, ids) in &t.ints {
        session.write(leaf, ids).unwrap();
    }
    session.run().unwrap();

    let loss = |leaves: &HashMap<String, Real>| evaluate(&forward, leaves)["loss"].at[0];
    let right = loss(&leaves);
    let given = f64::from(session.read::<f32>("loss").unwrap()[0]);
    assert!((given - right).abs() <= 1e-4 * right.abs().max(1.0), "{name}: the loss is {right}, not {given}");
    // What is differentiated by are the first leaves.
    for (i, out) in names.iter().enumerate() {
        let leaf = format!("x{i}");
        let given = session.read::<f32>(out).unwrap();
        near(&format!("{name}, by operand {i}"), &given, &differences(&mut leaves, &leaf, &loss));
    }
}

/// The derivative of `loss` by each element of a leaf.
fn differences(
    leaves: &mut HashMap<String, Real>,
    leaf: &str,
    loss: &dyn Fn(&HashMap<String, Real>) -> f64,
) -> Vec<f64> {
    let n = leaves[leaf].at.len();
    let at = |leaves: &mut HashMap<String, Real>, i: usize, x: f64| {
        leaves.get_mut(leaf).unwrap().at[i] = x;
        loss(leaves)
    };
    (0..n)
        .map(|i| {
            let x = leaves[leaf].at[i];
            let (up, down) = (at(leaves, i, x + STEP), at(leaves, i, x - STEP));
            leaves.get_mut(leaf).unwrap().at[i] = x;
            (up - down) / (2.0 * STEP)
        })
        .collect()
}

fn near(name: &str, given: &[f32], right: &[f64]) {
    assert_eq!(given.len(), right.len(), "{name}");
    let largest = right.iter().fold(1.0, |m: f64, g| m.max(g.abs()));
    for (i, (g, r)) in given.iter().zip(right).enumerate() {
        let off = (f64::from(*g) - r).abs();
        assert!(off <= BOUND * largest, "{name}, element {i}: {g} is {r} (off by {off:e})");
    }
}

#[test]
fn functions_of_one_number() {
    for f in UnaryFn::ALL {
        check(f.name(), |t| {
            let x = match f {
                UnaryFn::Sqrt | UnaryFn::Rsqrt | UnaryFn::Log => t.positive(&[3, 7]),
                _ => t.x(&[3, 7]),
            };
            t.b.unary(f, x)
        });
    }
}

/// Every way to stretch: not at all, inner and outer axes, missing axes, both at once, from a single number, to nothing.
#[test]
fn functions_of_several_numbers_and_their_stretching() {
    let shapes: [(&[usize], &[usize]); 9] = [
        (&[3, 4], &[3, 4]),
        (&[3, 4], &[4]),
        (&[3, 1], &[1, 4]),
        (&[2, 1, 3], &[5, 1]),
        (&[], &[2, 3]),
        (&[1], &[2, 2, 3]),
        (&[1, 1], &[3]),
        (&[2, 3, 1, 2], &[3, 2, 1]),
        (&[1, 3], &[0, 3]),
    ];
    use BinaryFn::{Add, Div, Max, Min, Mul, ReluGrad, Sub};
    for (a, b) in shapes {
        for (a, b) in [(a, b), (b, a)] {
            for f in [Add, Sub, Mul, Div, Max, Min] {
                check(&format!("{} {a:?} {b:?}", f.name()), |t| {
                    let (a, b) = (t.x(a), t.positive(b));
                    t.b.binary(f, a, b)
                });
            }
            check(&format!("fma {a:?} {b:?}"), |t| {
                let (a, b, c) = (t.x(a), t.x(b), t.x(&[3]));
                // Where the three do not stretch together, two of them.
                t.b.fma(a, b, c).or_else(|_| t.b.fma(a, b, a))
            });
            check(&format!("select {a:?} {b:?}"), |t| {
                let (a, b) = (t.x(a), t.x(b));
                let mask = t.b.compare(CompareFn::Lt, a, b)?;
                let half = t.b.scale(a, 0.5)?;
                t.b.select(mask, half, b)
            });
        }
    }
    check("relu_grad", |t| {
        let (a, b) = (t.x(&[4, 3]), t.x(&[3]));
        t.b.binary(ReluGrad, a, b)
    });
    check("one value as both operands", |t| {
        let x = t.x(&[5]);
        let y = t.b.mul(x, x)?;
        let z = t.b.fma(y, x, x)?;
        t.b.div(z, y)
    });
}

#[test]
fn moving() {
    check("reshape", |t| {
        let x = t.x(&[2, 6]);
        t.b.reshape(x, &[3, 1, 4])
    });
    check("permute", |t| {
        let x = t.x(&[2, 3, 4]);
        t.b.permute(x, &[2, 0, 1])
    });
    for (from, to) in
        [(&[][..], &[2, 3][..]), (&[1, 3], &[4, 3]), (&[3, 1], &[2, 3, 5]), (&[2, 1, 1], &[2, 3, 4])]
    {
        check(&format!("broadcast {from:?} to {to:?}"), |t| {
            let x = t.x(from);
            t.b.broadcast(x, to)
        });
    }
    check("slice", |t| {
        let x = t.x(&[2, 5, 3]);
        t.b.slice(x, 1, 1, 3)
    });
    check("pad", |t| {
        let x = t.x(&[2, 3]);
        t.b.pad(x, 1, 2, 1)
    });
    check("concat", |t| {
        let (x, y) = (t.x(&[2, 3]), t.x(&[2, 1]));
        t.b.concat(&[x, y, x], 1)
    });
    check("flip", |t| {
        let x = t.x(&[2, 3, 2]);
        t.b.flip(x, 1)
    });
    check("gather", |t| {
        let x = t.x(&[4, 3]);
        let ids = t.ids(&[2, 3], &[3, 0, 0, 1, 3, 3]);
        t.b.gather(x, ids)
    });
    check("scatter_add", |t| {
        let x = t.x(&[2, 2, 3]);
        let ids = t.ids(&[2, 2], &[4, 0, 4, 1]);
        t.b.scatter_add(ids, x, 5)
    });
    check("pick", |t| {
        let x = t.x(&[2, 3, 4]);
        let ids = t.ids(&[2, 3], &[0, 3, 1, 2, 2, 0]);
        t.b.pick(x, ids)
    });
    check("place", |t| {
        let x = t.x(&[2, 3]);
        let ids = t.ids(&[2, 3], &[0, 3, 1, 2, 2, 0]);
        t.b.place(ids, x, 4)
    });
}

#[test]
fn products_and_folds() {
    for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
        check(&format!("matmul {ta} {tb}"), |t| {
            let a = t.x(if ta { &[2, 4, 3] } else { &[2, 3, 4] });
            let b = t.x(if tb { &[2, 5, 4] } else { &[2, 4, 5] });
            t.b.matmul_t(a, ta, b, tb)
        });
        check(&format!("matmul by itself {ta} {tb}"), |t| {
            let a = t.x(&[4, 4]);
            t.b.matmul_t(a, ta, a, tb)
        });
    }
    check("linear", |t| {
        let (x, w) = (t.x(&[2, 3, 4]), t.x(&[4, 5]));
        t.b.linear(x, w)
    });
    for axis in 0..3 {
        check(&format!("sum along {axis}"), |t| {
            let x = t.x(&[2, 3, 70]);
            t.b.sum(x, axis)
        });
        check(&format!("reduce_max along {axis}"), |t| {
            let x = t.x(&[2, 3, 4]);
            t.b.reduce_max(x, axis)
        });
        check(&format!("dot along {axis}"), |t| {
            let (x, y) = (t.x(&[2, 3, 4]), t.x(&[2, 3, 4]));
            t.b.dot(x, y, axis)
        });
    }
    check("dot of one with itself", |t| {
        let x = t.x(&[2, 5]);
        t.b.dot(x, x, 1)
    });
    check("mean", |t| {
        let x = t.x(&[3, 4]);
        t.b.mean_all(x)
    });
}

#[test]
fn fused() {
    for dims in [&[7][..], &[3, 5], &[2, 3, 66]] {
        check(&format!("rms_norm {dims:?}"), |t| {
            let (x, w) = (t.x(dims), t.x(&dims[dims.len() - 1..]));
            Ok(t.b.rms_norm(x, w, 1e-2)?.0)
        });
        check(&format!("softmax {dims:?}"), |t| {
            let x = t.x(dims);
            t.b.softmax(x)
        });
        check(&format!("token_logprob {dims:?}"), |t| {
            let x = t.x(dims);
            let n: usize = dims[..dims.len() - 1].iter().product();
            let ids: Vec<u32> = (0..n as u32).map(|i| i * 3 % 5).collect();
            let ids = t.ids(&dims[..dims.len() - 1], &ids);
            t.b.token_logprob(x, ids)
        });
    }
    check("swiglu", |t| {
        let (gate, up) = (t.x(&[3, 5]), t.x(&[3, 5]));
        t.b.swiglu(gate, up)
    });
    check("swiglu of one value", |t| {
        let x = t.x(&[7]);
        t.b.swiglu(x, x)
    });
    for batch in [false, true] {
        check(&format!("rope, tables by batch: {batch}"), |t| {
            let x = t.x(&[2, 3, 2, 6]);
            let table: &[usize] = if batch { &[2, 3, 3] } else { &[3, 3] };
            // As constants: by its tables it cannot be differentiated.
            let n = t.by.len();
            let (cos, sin) = (t.x(table), t.x(table));
            t.by.truncate(n);
            t.b.rope(x, &RopeTables { cos, sin })
        });
    }
}

#[test]
fn attention() {
    for (queries, keys, heads, shared) in [(3, 3, 2, 2), (3, 5, 4, 2), (1, 4, 3, 1), (2, 6, 6, 3)] {
        for causal in [false, true] {
            check(&format!("attention {queries} {keys} {heads} {shared} {causal}"), |t| {
                let q = t.x(&[2, queries, heads, 4]);
                let (k, v) = (t.x(&[2, keys, shared, 4]), t.x(&[2, keys, shared, 4]));
                let start = (keys - queries) as u32;
                let start = if causal { [start, start / 2] } else { [keys as u32, 1 + start] };
                let start = t.ids(&[2], &start);
                t.b.attention(q, k, v, start, 0.4, causal)
            });
        }
    }
    check("attention of one value to itself", |t| {
        let x = t.x(&[1, 4, 2, 4]);
        let start = t.ids(&[1], &[0]);
        t.b.attention(x, x, x, start, 0.4, true)
    });
}

/// Padding less than the kernel reaches, as much, and more; kernels of one and of several elements.
#[test]
fn convolution() {
    for (kernel, pad) in
        [([1, 1, 1], [0; 3]), ([2, 3, 1], [1, 1, 0]), ([3, 2, 2], [0, 1, 2]), ([1, 2, 3], [1, 3, 2])]
    {
        check(&format!("conv3d {kernel:?} {pad:?}"), |t| {
            let x = t.x(&[2, 3, 2, 4, 2]);
            let w = t.x(&[kernel[0], kernel[1], kernel[2], 2, 3]);
            t.b.conv3d(x, w, pad)
        });
    }
}

/// By what they are multiplied with; the packed weights stay what they are.
#[test]
fn packed_weights() {
    for (bits, words) in [(4, 3), (8, 6)] {
        check(&format!("packed_matmul {bits}"), |t| {
            let x = t.x(&[2, 24]);
            let some: Vec<u32> = (0..words * 5).map(|i: u32| (i + 1).wrapping_mul(2_654_435_761)).collect();
            let words = t.ids(&[words as usize, 5], &some);
            let (scale, shift) = (t.leaf(&[3, 5], vec![0.01; 15]), t.leaf(&[3, 5], vec![-0.5; 15]));
            t.b.packed_matmul(x, bits, words, scale, shift)
        });
    }
}

/// Padding is an image even where there is none.
#[test]
fn convolution_of_nothing() {
    for dims in [[1, 0, 2, 2, 2], [0, 2, 2, 2, 2], [1, 2, 2, 2, 0]] {
        check(&format!("conv3d of {dims:?}"), |t| {
            let (x, w) = (t.x(&dims), t.x(&[1, 2, 1, dims[4], 3]));
            t.b.conv3d(x, w, [1, 1, 1])
        });
    }
}

/// Clipping, and a function whose gradient passes through integers (which it does not).
#[test]
fn composites() {
    check("clip_scale", |t| {
        let (x, y) = (t.x(&[2, 3]), t.x(&[4]));
        let (scale, _) = t.b.clip_scale(&[x, y], 1.0)?;
        t.b.mul(x, scale)
    });
    check("a mask made from what it masks", |t| {
        let x = t.x(&[3, 4]);
        let zero = t.b.scalar(0.0)?;
        let mask = t.b.compare(CompareFn::Lt, zero, x)?;
        let mask = t.b.to_float(mask)?;
        let y = t.b.mul(x, mask)?;
        let (a, s) = (t.b.unary(UnaryFn::Sin, y)?, t.b.softmax(x)?);
        t.b.mul(a, s)
    });
    check("a branch that rejoins", |t| {
        let (x, w) = (t.x(&[3, 4]), t.x(&[4, 4]));
        let a = t.b.matmul(x, w)?;
        let b = t.b.unary(UnaryFn::Gelu, a)?;
        let c = t.b.add(b, x)?;
        let first = t.b.slice(w, 0, 0, 1)?;
        let first = t.b.reshape(first, &[4])?;
        let (d, _) = t.b.rms_norm(c, first, 1e-3)?;
        t.b.add(d, a)
    });
}

/// What a value does not depend on has a gradient of zeros; what stops a gradient stops it; what cannot be differentiated says so.
#[test]
fn where_gradients_end() {
    let mut b = Builder::new();
    let (x, y) = (b.input::<f32>("x", &[2]).unwrap(), b.input::<f32>("y", &[3]).unwrap());
    let held = b.copy(x).unwrap();
    let z = b.mul(x, held).unwrap();
    let loss = b.sum_all(z).unwrap();
    let g = b.gradients(loss, &[x, y, loss]).unwrap();
    for (name, g) in ["dx", "dy", "dloss"].iter().zip(g) {
        b.output(name, g).unwrap();
    }
    let inv = b.input::<f32>("w", &[2]).unwrap();
    let (_, inv) = b.rms_norm(x, inv, 1e-5).unwrap();
    let error = b.gradients(inv, &[x]).unwrap_err();
    assert_eq!(error, Error::NoGradient { op: "rms_norm" });
    let mut session = Session::new(&b.finish().unwrap(), &devices()[0].1, ROOMY).unwrap();
    session.write("x", &[3.0f32, -5.0]).unwrap();
    session.run().unwrap();
    assert_eq!(session.read::<f32>("dx").unwrap(), [3.0, -5.0]);
    assert_eq!(session.read::<f32>("dy").unwrap(), [0.0; 3]);
    assert_eq!(session.read::<f32>("dloss").unwrap(), [1.0]);
}

/// Corners: the documented side of each.
#[test]
fn corners_have_one_side() {
    let gradient = |f: fn(&mut Builder, Var<f32>, Var<f32>) -> Made, x: &[f32], y: &[f32]| {
        let mut b = Builder::new();
        let (a, c) = (b.input::<f32>("x", &[x.len()]).unwrap(), b.input::<f32>("y", &[y.len()]).unwrap());
        let z = f(&mut b, a, c).unwrap();
        let loss = b.sum_all(z).unwrap();
        let g = b.gradients(loss, &[a, c]).unwrap();
        b.output("dx", g[0]).unwrap();
        b.output("dy", g[1]).unwrap();
        let mut session = Session::new(&b.finish().unwrap(), &devices()[0].1, ROOMY).unwrap();
        session.write("x", x).unwrap();
        session.write("y", y).unwrap();
        session.run().unwrap();
        (session.read::<f32>("dx").unwrap(), session.read::<f32>("dy").unwrap())
    };
    let one = [0.0f32];
    assert_eq!(
        gradient(|b, x, _| b.unary(UnaryFn::Abs, x), &[0.0, -0.0, 2.0, -2.0], &one).0,
        [0.0, 0.0, 1.0, -1.0]
    );
    assert_eq!(
        gradient(|b, x, _| b.unary(UnaryFn::Relu, x), &[0.0, -0.0, 2.0, -2.0], &one).0,
        [0.0, 0.0, 1.0, 0.0]
    );
    let max = gradient(|b, x, y| b.binary(BinaryFn::Max, x, y), &[1.0, 1.0, 1.0], &[1.0, 2.0, 0.0]);
    assert_eq!(max, (vec![1.0, 0.0, 1.0], vec![0.0, 1.0, 0.0]));
    let min = gradient(|b, x, y| b.binary(BinaryFn::Min, x, y), &[1.0, 1.0, 1.0], &[1.0, 2.0, 0.0]);
    assert_eq!(min, (vec![1.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]));
    assert_eq!(gradient(|b, x, _| b.reduce_max(x, 0), &[3.0, 1.0, 3.0, 2.0], &one).0, [0.5, 0.0, 0.5, 0.0]);
}

/// All parameters of a decoder of two layers.
#[test]
fn a_decoder() {
    let sizes = Sizes { layers: 2, batch: 2, t: 3, width: 8, heads: 2, inner: 6, vocabulary: 7 };
    let build = |gradients: bool| {
        let mut b = Builder::new();
        let (loss, parameters) = decoder(&mut b, &sizes).unwrap();
        if gradients {
            for (i, g) in b.gradients(loss, &parameters).unwrap().into_iter().enumerate() {
                b.output(&format!("g{i}"), g).unwrap();
            }
        }
        b.output("loss", loss).unwrap();
        b.finish().unwrap()
    };
    let (forward, program) = (build(false), build(true));
    let (_, device) = &devices()[devices().len() - 1];
    let mut session = Session::new(&program, device, ROOMY).unwrap();
    let mut leaves = HashMap::new();
    for (i, (name, ty)) in forward.inputs().chain(forward.states()).enumerate() {
        let n = ty.shape.elements();
        let real = if ty.dtype == DType::U32 {
            let ids: Vec<u32> = (0..n).map(|j| (j * 3 + i) as u32 % 7).collect();
            session.write(name, &ids).unwrap();
            ids.into_iter().map(f64::from).collect()
        } else {
            let values: Vec<f32> =
                floats(Kind::Tame, i as u64, n).into_iter().map(|b| f32::from_bits(b) / 4.0).collect();
            session.write(name, &values).unwrap();
            values.into_iter().map(f64::from).collect()
        };
        leaves.insert(name.to_owned(), Real::new(&ty.shape.to_vec(), real));
    }
    session.run().unwrap();
    let loss = |leaves: &HashMap<String, Real>| evaluate(&forward, leaves)["loss"].at[0];
    let given = f64::from(session.read::<f32>("loss").unwrap()[0]);
    assert!((given - loss(&leaves)).abs() < 1e-5, "{given} {}", loss(&leaves));
    for (i, (name, _)) in forward.states().enumerate() {
        let given = session.read::<f32>(&format!("g{i}")).unwrap();
        near(name, &given, &differences(&mut leaves, name, &loss));
    }
}
