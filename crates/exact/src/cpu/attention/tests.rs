use super::*;
use crate::Pool;
use crate::cpu::gemm::BLOCK;
use crate::cpu::gemm::tests::{Random, Scratch};
use crate::spec::math::{self, Fma, Soft, canon};

/// A product's sum over `lo..hi`: chains in blocks at multiples of 512, those that the range meets.
fn chain(lo: usize, hi: usize, a: impl Fn(usize) -> f32, b: impl Fn(usize) -> f32) -> f32 {
    let mut total = None;
    for k0 in (0..hi).step_by(BLOCK).filter(|k0| k0 + BLOCK > lo && lo < hi) {
        let sum = (lo.max(k0)..hi.min(k0 + BLOCK)).fold(0.0, |s, p| Soft::fma(a(p), b(p), s));
        total = Some(total.map_or(sum, |t| canon(t + sum)));
    }
    canon(total.unwrap_or(0.0))
}

fn tree(mut lanes: [f32; 64]) -> f32 {
    for half in [32, 16, 8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    canon(lanes[0])
}

/// Forward and backward as written down at the head of the modules, one scalar at a time.
struct Naive {
    o: Vec<f32>,
    m: Vec<f32>,
    r: Vec<f32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

fn naive(x: &Attention, q: &[f32], k: &[f32], v: &[f32], start: &[u32], go: &[f32]) -> Naive {
    let Attention { batch, queries, keys, heads, kv_heads, dim, scale, causal } = *x;
    assert_eq!(start.len(), batch);
    let mut out = Naive {
        o: vec![0.0; q.len()],
        m: vec![0.0; batch * heads * queries],
        r: vec![0.0; batch * heads * queries],
        dq: vec![0.0; q.len()],
        dk: vec![0.0; batch * keys * heads * dim],
        dv: vec![0.0; batch * keys * heads * dim],
    };
    for (b, &start) in start.iter().enumerate() {
        for h in 0..heads {
            let at_q = |i: usize, d: usize| ((b * queries + i) * heads + h) * dim + d;
            let at_k = |j: usize, d: usize| ((b * keys + j) * kv_heads + h / (heads / kv_heads)) * dim + d;
            let at_dk = |j: usize, d: usize| ((b * keys + j) * heads + h) * dim + d;
            let stat = |i: usize| (b * heads + h) * queries + i;
            let n = |i: usize| start as usize + if causal { i + 1 } else { 0 };
            let qs = |i: usize, d: usize| canon(q[at_q(i, d)] * scale);
            let (mut e, mut ds) = (vec![0.0; queries * keys], vec![0.0; queries * keys]);
            let mut g = vec![0.0; queries * dim];
            for i in 0..queries {
                let s: Vec<f32> = (0..n(i)).map(|j| chain(0, dim, |d| qs(i, d), |d| k[at_k(j, d)])).collect();
                let m = s.iter().copied().reduce(math::max).unwrap();
                let mut lanes = [0.0; 64];
                for (j, s) in s.iter().enumerate() {
                    e[i * keys + j] = canon(math::exp::<Soft>(s - m));
                    lanes[j % 64] += e[i * keys + j];
                }
                let r = canon(1.0 / tree(lanes));
                (out.m[stat(i)], out.r[stat(i)]) = (m, r);
                let mut lanes = [0.0; 64];
                for d in 0..dim {
                    let u = chain(0, n(i), |j| e[i * keys + j], |j| v[at_k(j, d)]);
                    out.o[at_q(i, d)] = canon(u * r);
                    g[i * dim + d] = canon(go[at_q(i, d)] * r);
                    lanes[d % 64] = Soft::fma(g[i * dim + d], out.o[at_q(i, d)], lanes[d % 64]);
                }
                let delta = tree(lanes);
                for j in 0..n(i) {
                    let dp = chain(0, dim, |d| g[i * dim + d], |d| v[at_k(j, d)]);
                    ds[i * keys + j] = canon(e[i * keys + j] * canon(dp - delta));
                }
                for d in 0..dim {
                    let sum = chain(0, n(i), |j| ds[i * keys + j], |j| k[at_k(j, d)]);
                    out.dq[at_q(i, d)] = canon(sum * scale);
                }
            }
            for j in 0..keys {
                let lo = (0..queries).find(|&i| j < n(i)).unwrap_or(queries);
                for d in 0..dim {
                    out.dv[at_dk(j, d)] = chain(lo, queries, |i| e[i * keys + j], |i| g[i * dim + d]);
                    out.dk[at_dk(j, d)] = chain(lo, queries, |i| ds[i * keys + j], |i| qs(i, d));
                }
            }
        }
    }
    out
}

fn same(what: &str, got: &[f32], want: &[f32]) {
    for (i, (a, b)) in got.iter().zip(want).enumerate() {
        assert!(
            a.to_bits() == b.to_bits(),
            "{what}[{i}]: {a} {:08x}, not {b} {:08x}",
            a.to_bits(),
            b.to_bits()
        );
    }
    assert_eq!(got.len(), want.len());
}

fn check(x: Attention, start: &[u32], specials: bool) {
    let mut random = Random::new((x.queries * 31 + x.keys * 7 + x.dim) as u64);
    let q = random.floats(x.batch * x.queries * x.heads * x.dim, false);
    let mut k = random.floats(x.batch * x.keys * x.kv_heads * x.dim, false);
    let mut v = random.floats(k.len(), false);
    let mut go = random.floats(q.len(), false);
    if specials {
        v = random.floats(k.len(), true);
        go = random.floats(q.len(), true);
        // Keys behind the last visible one, and the last visible one of some.
        for b in 0..x.batch {
            let end = start[b] as usize + if x.causal { x.queries } else { 0 };
            for (j, bad) in [(end, f32::NAN), (end + 1, f32::INFINITY), (end.saturating_sub(2), -1.0e38)] {
                let row = x.kv_heads * x.dim;
                if j < x.keys {
                    k[(b * x.keys + j) * row..][..row].fill(canon(bad));
                    v[(b * x.keys + j) * row..][..row].fill(canon(bad));
                }
            }
        }
    }
    let want = naive(&x, &q, &k, &v, start, &go);
    for level in Level::available() {
        for threads in [1, 2, 3] {
            let pool = Pool::new(threads);
            let what = format!("{level} {threads} {x:?}");
            let fresh = |n: usize| vec![55.0_f32; n];
            let (mut o, mut m, mut r) = (fresh(q.len()), fresh(want.m.len()), fresh(want.r.len()));
            let mut scratch = Scratch::new(x.scratch_floats(level), threads);
            let cx = scratch.cx(level, &pool);
            let (qp, kp, vp, sp) = (q.as_ptr(), k.as_ptr(), v.as_ptr(), start.as_ptr());
            // SAFETY: the vectors have these sizes.
            unsafe { x.forward(&cx, qp, kp, vp, sp, o.as_mut_ptr(), m.as_mut_ptr(), r.as_mut_ptr()) };
            scratch.check();
            same(&format!("m {what}"), &m, &want.m);
            same(&format!("r {what}"), &r, &want.r);
            same(&format!("o {what}"), &o, &want.o);

            let (mut dq, mut dk, mut dv) = (fresh(q.len()), fresh(want.dk.len()), fresh(want.dv.len()));
            let mut scratch = Scratch::new(x.grad_scratch_floats(level), threads);
            let cx = scratch.cx(level, &pool);
            let (op, mp, rp) = (o.as_ptr(), m.as_ptr(), r.as_ptr());
            let [dqp, dkp, dvp] = [dq.as_mut_ptr(), dk.as_mut_ptr(), dv.as_mut_ptr()];
            // SAFETY: the vectors have these sizes.
            unsafe { x.backward(&cx, qp, kp, vp, sp, op, mp, rp, go.as_ptr(), dqp, dkp, dvp) };
            scratch.check();
            same(&format!("dq {what}"), &dq, &want.dq);
            same(&format!("dv {what}"), &dv, &want.dv);
            same(&format!("dk {what}"), &dk, &want.dk);
        }
    }
}

fn sizes(
    batch: usize,
    queries: usize,
    keys: usize,
    heads: [usize; 2],
    dim: usize,
    causal: bool,
) -> Attention {
    Attention { batch, queries, keys, heads: heads[0], kv_heads: heads[1], dim, scale: 0.37, causal }
}

#[test]
fn causal() {
    check(sizes(1, 1, 1, [1, 1], 1, true), &[0], false);
    check(sizes(2, 5, 9, [2, 1], 7, true), &[0, 4], false);
    check(sizes(1, 31, 31, [4, 2], 16, true), &[0], false);
    check(sizes(1, 45, 130, [2, 2], 33, true), &[77], false);
    check(sizes(2, 130, 150, [1, 1], 40, true), &[20, 3], true);
}

#[test]
fn full() {
    check(sizes(2, 6, 9, [2, 1], 5, false), &[9, 1], false);
    check(sizes(2, 33, 70, [3, 1], 32, false), &[64, 17], true);
    check(sizes(1, 140, 65, [1, 1], 20, false), &[65], false);
}

#[test]
fn one_query() {
    check(sizes(2, 1, 100, [6, 2], 24, true), &[99, 40], false);
    check(sizes(2, 1, 600, [4, 1], 8, true), &[599, 512], true);
    check(sizes(1, 1, 530, [2, 2], 64, false), &[513], false);
}

#[test]
fn many_keys_and_queries() {
    check(sizes(1, 30, 1060, [1, 1], 8, true), &[1005], false);
    check(sizes(1, 20, 540, [1, 1], 8, true), &[500], true);
    check(sizes(1, 1100, 1110, [1, 1], 3, true), &[5], false);
    check(sizes(1, 600, 20, [1, 1], 4, false), &[18], true);
}

#[test]
fn wide_heads() {
    check(sizes(1, 3, 4, [1, 1], 515, true), &[1], false);
    check(sizes(1, 3, 4, [1, 1], 1030, false), &[3], false);
}
