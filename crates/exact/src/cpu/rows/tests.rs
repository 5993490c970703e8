//! Each kernel against the lines of its definition, one operation at a time.

use super::*;
use crate::Level;
use crate::cpu::map::tests::{bits, values};
use crate::program::op::{BinaryFn, UnaryFn};
use crate::spec::math::{self, Hard};

/// The primitives, as stored.
fn un(f: UnaryFn, x: f32) -> f32 {
    math::unary::<Hard>(f, x)
}
fn bin(f: BinaryFn, a: f32, b: f32) -> f32 {
    math::binary::<Hard>(f, a, b)
}
fn mul(a: f32, b: f32) -> f32 {
    bin(BinaryFn::Mul, a, b)
}
fn add(a: f32, b: f32) -> f32 {
    bin(BinaryFn::Add, a, b)
}
fn sub(a: f32, b: f32) -> f32 {
    bin(BinaryFn::Sub, a, b)
}
fn div(a: f32, b: f32) -> f32 {
    bin(BinaryFn::Div, a, b)
}
fn fma(a: f32, b: f32, c: f32) -> f32 {
    canon(Hard::fma(a, b, c))
}
fn fold(n: usize, step: impl Fn(f32, usize) -> f32) -> f32 {
    let mut lanes = [0.0; 64];
    (0..n).for_each(|k| lanes[k % 64] = step(lanes[k % 64], k));
    canon(tree(lanes))
}
fn dot(x: &[f32], y: &[f32]) -> f32 {
    fold(x.len(), |acc, k| Hard::fma(x[k], y[k], acc))
}
fn sum(x: &[f32]) -> f32 {
    fold(x.len(), |acc, k| acc + x[k])
}

/// Rows that stay finite for even seeds, and rows of everything for odd ones.
fn data(n: usize, seed: u64) -> Vec<f32> {
    if seed % 2 == 1 {
        return values(n, seed);
    }
    (0..n).map(|i| ((i * 13) as f32 * 0.7 + seed as f32).sin() * 3.0).collect()
}

/// The shapes and seeds that every test runs over.
fn cases() -> impl Iterator<Item = (usize, usize, u64, Level)> {
    let shapes = [(0, 3), (1, 1), (3, 7), (2, 63), (3, 64), (2, 65), (66, 16), (5, 200), (2, 700)];
    let seeds = [2, 3];
    Level::available().flat_map(move |level| {
        shapes
            .into_iter()
            .flat_map(move |(rows, n)| seeds.into_iter().map(move |seed| (rows, n, seed, level)))
    })
}

#[test]
fn rms_norm_and_its_gradients() {
    for (rows, n, seed, level) in cases() {
        let (x, w, dy) = (data(rows * n, seed), data(n, seed + 2), data(rows * n, seed + 4));
        let eps = 1e-6;
        let (mut y, mut inv, mut dx, mut dw) = (vec![], vec![], vec![], vec![]);
        for (x, dy) in x.chunks(n).zip(dy.chunks(n)) {
            let r = un(UnaryFn::Rsqrt, add(div(dot(x, x), n as f32), eps));
            inv.push(r);
            y.extend((0..n).map(|j| mul(mul(x[j], r), w[j])));
            let gw: Vec<f32> = (0..n).map(|j| mul(dy[j], w[j])).collect();
            let k = div(mul(mul(mul(dot(&gw, x), r), r), r), n as f32);
            dx.extend((0..n).map(|j| sub(mul(gw[j], r), mul(x[j], k))));
        }
        for j in 0..n {
            let column: Vec<f32> = (0..rows).map(|i| mul(dy[i * n + j], mul(x[i * n + j], inv[i]))).collect();
            dw.push(sum(&column));
        }
        let (mut got_y, mut got_inv) = (x.clone(), vec![0.0; rows]);
        let (mut got_dx, mut got_dw) = (dy.clone(), vec![0.0; n]);
        // SAFETY: the arrays have these sizes; y and dx are computed in place.
        unsafe {
            for part in [0..rows / 2, rows / 2..rows] {
                let (y, inv) = (got_y.as_mut_ptr(), got_inv.as_mut_ptr());
                rms_norm(level, part.clone(), n, eps, y, w.as_ptr(), y, inv);
                let dx = got_dx.as_mut_ptr();
                rms_norm_grad(level, part, n, x.as_ptr(), w.as_ptr(), inv, dx, dx);
            }
            for part in [0..n / 3, n / 3..n] {
                let (inv, dy, dw) = (got_inv.as_ptr(), dy.as_ptr(), got_dw.as_mut_ptr());
                rms_norm_weight_grad(level, part, rows, n, x.as_ptr(), inv, dy, dw);
            }
        }
        let what = format!("[{rows}, {n}], seed {seed}, level {level}");
        assert_eq!(bits(&got_y), bits(&y), "y {what}");
        assert_eq!(bits(&got_inv), bits(&inv), "inv {what}");
        assert_eq!(bits(&got_dx), bits(&dx), "dx {what}");
        assert_eq!(bits(&got_dw), bits(&dw), "dw {what}");
    }
}

#[test]
fn softmax_and_token_logprob() {
    for (rows, n, seed, level) in cases() {
        let (x, g) = (data(rows * n, seed), data(rows, seed + 2));
        let ids: Vec<u32> = (0..rows).map(|r| (r * 31 % n) as u32).collect();
        let (mut y, mut logp, mut max, mut total, mut dx) = (vec![], vec![], vec![], vec![], vec![]);
        for (r, x) in x.chunks(n).enumerate() {
            let m = x.iter().copied().reduce(|a, b| bin(BinaryFn::Max, a, b)).unwrap();
            let e: Vec<f32> = x.iter().map(|&x| un(UnaryFn::Exp, sub(x, m))).collect();
            let z = sum(&e);
            let scale = un(UnaryFn::Recip, z);
            y.extend(e.iter().map(|&e| mul(e, scale)));
            logp.push(sub(sub(x[ids[r] as usize], m), un(UnaryFn::Log, z)));
            max.push(m);
            total.push(z);
            for (j, &e) in e.iter().enumerate() {
                let t = mul(mul(e, scale), un(UnaryFn::Neg, g[r]));
                dx.push(if j == ids[r] as usize { add(t, g[r]) } else { t });
            }
        }
        let what = format!("[{rows}, {n}], seed {seed}, level {level}");
        for in_place in [false, true] {
            let (mut got, mut got_dx) = (x.clone(), x.clone());
            let mut per_row = [vec![0.0; rows], vec![0.0; rows], vec![0.0; rows]];
            let [a, b, c] = &mut per_row;
            // SAFETY: the arrays have these sizes.
            unsafe {
                for part in [0..rows / 2, rows / 2..rows] {
                    let from = if in_place { got.as_ptr() } else { x.as_ptr() };
                    softmax(level, part.clone(), n, from, got.as_mut_ptr());
                    let (a, b, c) = (a.as_mut_ptr(), b.as_mut_ptr(), c.as_mut_ptr());
                    token_logprob(level, part.clone(), n, x.as_ptr(), ids.as_ptr(), a, b, c);
                    let tokens = Tokens { ids: ids.as_ptr(), max: b, sum: c, g: g.as_ptr() };
                    let from = if in_place { got_dx.as_ptr() } else { x.as_ptr() };
                    token_logprob_grad(level, part, n, from, tokens, got_dx.as_mut_ptr());
                }
            }
            assert_eq!(bits(&got), bits(&y), "softmax {what}");
            assert_eq!(per_row.each_ref().map(|x| bits(x)), [&logp, &max, &total].map(|x| bits(x)), "{what}");
            assert_eq!(bits(&got_dx), bits(&dx), "dx {what}");
        }
    }
}

#[test]
fn swiglu_and_its_gradient() {
    for (rows, n, seed, level) in cases() {
        let len = rows * n;
        let [gate, up, dy] = [0, 2, 4].map(|more| data(len, seed + more));
        let y: Vec<f32> = (0..len).map(|i| mul(un(UnaryFn::Silu, gate[i]), up[i])).collect();
        let dgate: Vec<f32> = (0..len).map(|i| bin(BinaryFn::SiluGrad, gate[i], mul(dy[i], up[i]))).collect();
        let dup: Vec<f32> = (0..len).map(|i| mul(dy[i], un(UnaryFn::Silu, gate[i]))).collect();
        let (mut a, mut b, mut c) = (vec![0.0; len], gate.clone(), up.clone());
        // SAFETY: all have `len` elements; the gradients are computed in place.
        unsafe {
            swiglu(level, len, gate.as_ptr(), up.as_ptr(), a.as_mut_ptr());
            let (b, c) = (b.as_mut_ptr(), c.as_mut_ptr());
            swiglu_grad(level, len, b, c, dy.as_ptr(), b, c);
        }
        let what = format!("{len}, seed {seed}, level {level}");
        assert_eq!(bits(&a), bits(&y), "y {what}");
        assert_eq!(bits(&b), bits(&dgate), "dgate {what}");
        assert_eq!(bits(&c), bits(&dup), "dup {what}");
    }
}

#[test]
fn rope_turns_both_ways() {
    for level in Level::available() {
        for (half, seed) in [(0, 2), (1, 2), (3, 3), (5, 2), (16, 3), (32, 2), (39, 3)] {
            for inverse in [false, true] {
                let (batch, time, heads) = (2, 5, 3);
                let x = data(batch * time * heads * 2 * half, seed);
                for table_rows in [time, batch * time] {
                    let (cos, sin) = (data(table_rows * half, seed + 2), data(table_rows * half, seed + 4));
                    let mut expected = x.clone();
                    for (v, y) in expected.chunks_mut((2 * half).max(1)).enumerate() {
                        let table = v / heads % table_rows * half;
                        for d in 0..half {
                            let (x1, x2, c) = (y[d], y[d + half], cos[table + d]);
                            let s = if inverse { un(UnaryFn::Neg, sin[table + d]) } else { sin[table + d] };
                            y[d] = fma(x1, c, un(UnaryFn::Neg, mul(x2, s)));
                            y[d + half] = fma(x2, c, mul(x1, s));
                        }
                    }
                    let rotation = Rotation { heads, half, table_rows, inverse };
                    let (mut apart, mut within) = (vec![0.0; x.len()], x.clone());
                    for rows in [0..4, 4..batch * time] {
                        let (cos, sin) = (cos.as_ptr(), sin.as_ptr());
                        // SAFETY: the arrays have these sizes.
                        unsafe {
                            rope(level, rows.clone(), &rotation, x.as_ptr(), cos, sin, apart.as_mut_ptr());
                            rope(level, rows, &rotation, within.as_ptr(), cos, sin, within.as_mut_ptr());
                        }
                    }
                    assert_eq!(bits(&apart), bits(&expected), "half {half}, level {level}");
                    assert_eq!(bits(&within), bits(&expected), "half {half} in place, level {level}");
                }
            }
        }
    }
}

#[test]
fn adamw_steps() {
    for (rows, n, seed, level) in cases() {
        let len = rows * n;
        let [p, g, m, v] = [0, 2, 4, 6].map(|more| data(len, seed + more));
        let v: Vec<f32> = v.iter().map(|v| v.abs()).collect();
        let adam = Adam { b1: 0.9, b2: 0.95, eps: 1e-8, decay: 0.1, lr: 3e-4, gscale: 0.7, c1: 1.5, c2: 2.5 };
        let (mut p1, mut m1, mut v1) = (vec![], vec![], vec![]);
        for i in 0..len {
            let gg = mul(g[i], adam.gscale);
            let mm = fma(adam.b1, m[i], mul(1.0 - adam.b1, gg));
            let vv = fma(adam.b2, v[i], mul(1.0 - adam.b2, mul(gg, gg)));
            let u = div(mul(mm, adam.c1), add(un(UnaryFn::Sqrt, mul(vv, adam.c2)), adam.eps));
            let u = add(u, mul(adam.decay, p[i]));
            p1.push(sub(p[i], mul(adam.lr, u)));
            m1.push(mm);
            v1.push(vv);
        }
        let (mut a, mut b, mut c) = (p.clone(), m.clone(), v.clone());
        let from = [a.as_ptr(), g.as_ptr(), b.as_ptr(), c.as_ptr()];
        // SAFETY: all have `len` elements.
        unsafe { adamw(level, len, &adam, from, [a.as_mut_ptr(), b.as_mut_ptr(), c.as_mut_ptr()]) };
        let what = format!("{len}, seed {seed}, level {level}");
        assert_eq!(bits(&a), bits(&p1), "p {what}");
        assert_eq!(bits(&b), bits(&m1), "m {what}");
        assert_eq!(bits(&c), bits(&v1), "v {what}");
    }
}
