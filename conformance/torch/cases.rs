//! Runs every differentiable operation of `exact` forwards and backwards on small random inputs, and writes inputs, results
//! and gradients as one JSON object per line: `compare.py` beside this file has PyTorch work out the same.
//!
//! The gradients are those of the sum of each result times a random tensor of its shape (the cotangent).

use exact::{AdamState, AdamW, BinaryFn, Builder, Device, Limits, RopeTables, Session, UnaryFn, Var};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result {
    let folder = std::env::args_os().nth(1).ok_or("usage: torch-cases FOLDER")?;
    let out = BufWriter::new(File::create(Path::new(&folder).join("cases.jsonl"))?);
    let mut cases = Cases { out, device: Device::cpu(2), random: 1 };
    elementwise(&mut cases)?;
    moved(&mut cases)?;
    contracted(&mut cases)?;
    fused(&mut cases)?;
    attention(&mut cases)?;
    convolution(&mut cases)?;
    learning(&mut cases)?;
    Ok(cases.out.flush()?)
}

/// Writes cases, with random numbers for their inputs.
struct Cases {
    out: BufWriter<File>,
    device: Device,
    random: u64,
}

/// The operands of a case: tensors of numbers in a range, and tensors of integers.
struct Given<'a> {
    floats: &'a [(&'a [usize], f32, f32)],
    ints: &'a [(&'a [usize], Vec<u32>)],
}

/// A case's operands in its program.
struct Operands {
    f: Vec<Var<f32>>,
    i: Vec<Var<u32>>,
}

impl Cases {
    /// Numbers between `low` and `high`.
    fn numbers(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        let mut number = || {
            // Knuth's linear congruence; its high bits are random enough for this.
            self.random = self.random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            low + (high - low) * ((self.random >> 40) as f32 / (1u32 << 24) as f32)
        };
        (0..count).map(|_| number()).collect()
    }

    /// Integers below a limit.
    fn ids(&mut self, count: usize, below: u32) -> Vec<u32> {
        let ids = self.numbers(count, 0.0, below as f32).into_iter();
        ids.map(|x| (x as u32).min(below - 1)).collect()
    }

    /// Runs what `build` makes of the operands, and writes results and gradients.
    fn case(
        &mut self,
        op: &str,
        attributes: &Value,
        given: &Given<'_>,
        build: impl FnOnce(&mut Builder, &Operands) -> Result<Vec<Var<f32>>>,
    ) -> Result {
        self.run(op, attributes, given, true, build)
    }

    fn run(
        &mut self,
        op: &str,
        attributes: &Value,
        given: &Given<'_>,
        differentiate: bool,
        build: impl FnOnce(&mut Builder, &Operands) -> Result<Vec<Var<f32>>>,
    ) -> Result {
        let mut b = Builder::new();
        let mut operands = Operands { f: Vec::new(), i: Vec::new() };
        let (mut floats, mut ints, mut cotangents) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (dims, low, high)) in given.floats.iter().enumerate() {
            operands.f.push(b.input(&format!("f{i}"), dims)?);
            floats.push(self.numbers(dims.iter().product(), *low, *high));
        }
        for (i, (dims, values)) in given.ints.iter().enumerate() {
            operands.i.push(b.input(&format!("i{i}"), dims)?);
            ints.push(values.clone());
        }
        let results = build(&mut b, &operands)?;
        let mut losses = Vec::new();
        for (i, y) in results.iter().enumerate() {
            b.output(&format!("y{i}"), *y)?;
            if differentiate {
                let c = b.input::<f32>(&format!("c{i}"), &y.shape().to_vec())?;
                cotangents.push(self.numbers(y.shape().elements(), -1.0, 1.0));
                let weighed = b.mul(*y, c)?;
                losses.push(b.sum_all(weighed)?);
            }
        }
        let mut gradients = Vec::new();
        if let Some((first, rest)) = losses.split_first() {
            let mut loss = *first;
            for further in rest {
                loss = b.add(loss, *further)?;
            }
            gradients = b.gradients(loss, &operands.f)?;
        }
        for (i, g) in gradients.iter().enumerate() {
            b.output(&format!("d{i}"), *g)?;
        }

        let mut session = Session::new(&b.finish()?, &self.device, Limits::default())?;
        for (kind, tensors) in [("f", &floats), ("c", &cotangents)] {
            for (i, values) in tensors.iter().enumerate() {
                session.write(&format!("{kind}{i}"), values)?;
            }
        }
        for (i, values) in ints.iter().enumerate() {
            session.write(&format!("i{i}"), values)?;
        }
        session.run()?;
        let read = |kind: &str, vars: &[Var<f32>]| -> Result<Vec<Value>> {
            let tensor = |(i, var): (usize, &Var<f32>)| -> Result<Value> {
                Ok(
                    json!({ "shape": var.shape().to_vec(), "data": session.read::<f32>(&format!("{kind}{i}"))? }),
                )
            };
            vars.iter().enumerate().map(tensor).collect()
        };
        let tensors = |dims: Vec<&[usize]>, data: Vec<Value>| -> Vec<Value> {
            dims.iter().zip(data).map(|(shape, data)| json!({ "shape": shape, "data": data })).collect()
        };
        let line = json!({
            "op": op,
            "attributes": attributes,
            "floats": tensors(given.floats.iter().map(|f| f.0).collect(), floats.iter().map(|d| json!(d)).collect()),
            "ints": tensors(given.ints.iter().map(|i| i.0).collect(), ints.iter().map(|d| json!(d)).collect()),
            "cotangents": cotangents,
            "results": read("y", &results)?,
            "gradients": read("d", &gradients)?,
        });
        Ok(writeln!(self.out, "{line}")?)
    }
}

fn elementwise(cases: &mut Cases) -> Result {
    for f in UnaryFn::ALL {
        let (low, high) = match f {
            UnaryFn::Sqrt | UnaryFn::Rsqrt | UnaryFn::Log | UnaryFn::Recip => (0.05, 4.0),
            _ => (-6.0, 6.0),
        };
        for dims in [&[257][..], &[3, 5, 7]] {
            let given = Given { floats: &[(dims, low, high)], ints: &[] };
            cases.case(f.name(), &json!({}), &given, |b, x| Ok(vec![b.unary(f, x.f[0])?]))?;
        }
    }
    for f in BinaryFn::ALL {
        // These two are derivatives themselves, and are compared as the gradients of silu and gelu.
        if matches!(f, BinaryFn::SiluGrad | BinaryFn::GeluGrad) {
            continue;
        }
        let low = if f == BinaryFn::Div { 0.5 } else { -2.0 };
        for [a, c] in [
            [&[5, 7][..], &[5, 7][..]],
            [&[5, 7], &[7]],
            [&[5, 1], &[1, 7]],
            [&[], &[3, 2]],
            [&[2, 3, 4], &[3, 1]],
        ] {
            let given = Given { floats: &[(a, -2.0, 2.0), (c, low, 2.0)], ints: &[] };
            cases.case(f.name(), &json!({}), &given, |b, x| Ok(vec![b.binary(f, x.f[0], x.f[1])?]))?;
        }
    }
    for [a, c, d] in [[&[5, 7][..], &[5, 7][..], &[5, 7][..]], [&[5, 1], &[7], &[5, 7]]] {
        let given = Given { floats: &[(a, -2.0, 2.0), (c, -2.0, 2.0), (d, -2.0, 2.0)], ints: &[] };
        cases.case("fma", &json!({}), &given, |b, x| Ok(vec![b.fma(x.f[0], x.f[1], x.f[2])?]))?;
    }
    for [m, a, c] in [[&[5, 7][..], &[5, 7][..], &[5, 7][..]], [&[7], &[5, 1], &[5, 7]]] {
        let mask = cases.ids(m.iter().product(), 2);
        let given = Given { floats: &[(a, -2.0, 2.0), (c, -2.0, 2.0)], ints: &[(m, mask)] };
        cases.case("select", &json!({}), &given, |b, x| Ok(vec![b.select(x.i[0], x.f[0], x.f[1])?]))?;
    }
    Ok(())
}

fn moved(cases: &mut Cases) -> Result {
    let cube = Given { floats: &[(&[2, 3, 4], -2.0, 2.0)], ints: &[] };
    cases
        .case("reshape", &json!({ "shape": [6, 4] }), &cube, |b, x| Ok(vec![b.reshape(x.f[0], &[6, 4])?]))?;
    cases.case("permute", &json!({ "order": [2, 0, 1] }), &cube, |b, x| {
        Ok(vec![b.permute(x.f[0], &[2, 0, 1])?])
    })?;
    cases.case("broadcast", &json!({ "shape": [5, 2, 3, 4] }), &cube, |b, x| {
        Ok(vec![b.broadcast(x.f[0], &[5, 2, 3, 4])?])
    })?;
    for axis in 0..3 {
        cases.case("slice", &json!({ "axis": axis, "start": 1, "len": 1 }), &cube, |b, x| {
            Ok(vec![b.slice(x.f[0], axis, 1, 1)?])
        })?;
        cases.case("pad", &json!({ "axis": axis, "before": 2, "after": 1 }), &cube, |b, x| {
            Ok(vec![b.pad(x.f[0], axis, 2, 1)?])
        })?;
        cases.case("flip", &json!({ "axis": axis }), &cube, |b, x| Ok(vec![b.flip(x.f[0], axis)?]))?;
    }
    let parts =
        Given { floats: &[(&[2, 3], -2.0, 2.0), (&[2, 1], -2.0, 2.0), (&[2, 4], -2.0, 2.0)], ints: &[] };
    cases.case("concat", &json!({ "axis": 1 }), &parts, |b, x| Ok(vec![b.concat(&x.f, 1)?]))?;

    let ids = cases.ids(12, 7);
    let table = Given { floats: &[(&[7, 5], -2.0, 2.0)], ints: &[(&[3, 4], ids.clone())] };
    cases.case("gather", &json!({}), &table, |b, x| Ok(vec![b.gather(x.f[0], x.i[0])?]))?;
    let rows = Given { floats: &[(&[12, 5], -2.0, 2.0)], ints: &[(&[12], ids)] };
    cases.case("scatter_add", &json!({ "rows": 7 }), &rows, |b, x| {
        Ok(vec![b.scatter_add(x.i[0], x.f[0], 7)?])
    })?;
    let ids = cases.ids(6, 9);
    let picked = Given { floats: &[(&[6, 9], -2.0, 2.0)], ints: &[(&[6], ids.clone())] };
    cases.case("pick", &json!({}), &picked, |b, x| Ok(vec![b.pick(x.f[0], x.i[0])?]))?;
    let placed = Given { floats: &[(&[6], -2.0, 2.0)], ints: &[(&[6], ids)] };
    cases.case("place", &json!({ "n": 9 }), &placed, |b, x| Ok(vec![b.place(x.i[0], x.f[0], 9)?]))
}

fn contracted(cases: &mut Cases) -> Result {
    for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
        for [batch, m, n, k] in [[0, 5, 7, 3], [0, 33, 65, 1100], [0, 1, 40, 512], [3, 17, 9, 20]] {
            let dims = |r: usize, c: usize, t: bool| {
                let both = if t { [c, r] } else { [r, c] };
                if batch == 0 { both.to_vec() } else { [batch, both[0], both[1]].to_vec() }
            };
            let (a, c) = (dims(m, k, ta), dims(k, n, tb));
            let given = Given { floats: &[(&a, -1.0, 1.0), (&c, -1.0, 1.0)], ints: &[] };
            cases.case("matmul", &json!({ "ta": ta, "tb": tb }), &given, |b, x| {
                Ok(vec![b.matmul_t(x.f[0], ta, x.f[1], tb)?])
            })?;
        }
    }
    for dims in [&[130][..], &[5, 70], &[3, 70, 4]] {
        for axis in 0..dims.len() {
            let attributes = json!({ "axis": axis });
            let one = Given { floats: &[(dims, -2.0, 2.0)], ints: &[] };
            cases.case("sum", &attributes, &one, |b, x| Ok(vec![b.sum(x.f[0], axis)?]))?;
            cases.case("reduce_max", &attributes, &one, |b, x| Ok(vec![b.reduce_max(x.f[0], axis)?]))?;
            let two = Given { floats: &[(dims, -2.0, 2.0), (dims, -2.0, 2.0)], ints: &[] };
            cases.case("dot", &attributes, &two, |b, x| Ok(vec![b.dot(x.f[0], x.f[1], axis)?]))?;
        }
    }
    Ok(())
}

fn fused(cases: &mut Cases) -> Result {
    for dims in [[3, 8], [5, 67], [70, 256]] {
        let width = [dims[1]];
        let given = Given { floats: &[(&dims, -3.0, 3.0), (&width, 0.5, 1.5)], ints: &[] };
        cases.case("rms_norm", &json!({ "eps": 1e-5 }), &given, |b, x| {
            Ok(vec![b.rms_norm(x.f[0], x.f[1], 1e-5)?.0])
        })?;
        let one = Given { floats: &[(&dims, -3.0, 3.0)], ints: &[] };
        cases.case("softmax", &json!({}), &one, |b, x| Ok(vec![b.softmax(x.f[0])?]))?;
        let ids = cases.ids(dims[0], dims[1] as u32);
        let given = Given { floats: &[(&dims, -3.0, 3.0)], ints: &[(&[dims[0]], ids)] };
        cases.case("token_logprob", &json!({}), &given, |b, x| Ok(vec![b.token_logprob(x.f[0], x.i[0])?]))?;
        let two = Given { floats: &[(&dims, -3.0, 3.0), (&dims, -3.0, 3.0)], ints: &[] };
        cases.case("swiglu", &json!({}), &two, |b, x| Ok(vec![b.swiglu(x.f[0], x.f[1])?]))?;
    }
    for (positions, dims) in
        [(vec![0, 1, 2, 3, 4], [2, 5, 3, 8]), (vec![7, 8, 9, 100, 1000, 4095], [1, 6, 2, 32])]
    {
        let at = [positions.len()];
        let given = Given { floats: &[(&dims, -2.0, 2.0)], ints: &[(&at, positions)] };
        cases.case("rope", &json!({ "theta": 10000.0 }), &given, |b, x| {
            let tables: RopeTables = b.rope_tables(x.i[0], dims[3], 10000.0)?;
            Ok(vec![b.rope(x.f[0], &tables)?])
        })?;
    }
    Ok(())
}

fn attention(cases: &mut Cases) -> Result {
    // Batch, queries, keys, query heads, key heads, width, and where each batch starts.
    let shapes = [
        ([2, 7, 7, 4, 4, 8], vec![0, 0]),
        ([2, 5, 9, 6, 2, 16], vec![4, 1]),
        ([1, 1, 700, 4, 1, 33], vec![650]),
        ([1, 130, 130, 2, 2, 32], vec![0]),
    ];
    for ([batch, queries, keys, heads, shared, dim], start) in shapes {
        for causal in [true, false] {
            let (q, kv) = ([batch, queries, heads, dim], [batch, keys, shared, dim]);
            // Not causal, `start` is how many keys are seen: at least one.
            let start = start.iter().map(|s| if causal { *s } else { (*s).max(keys as u32 / 2) }).collect();
            let scale = (dim as f32).sqrt().recip();
            let given = Given {
                floats: &[(&q, -2.0, 2.0), (&kv, -2.0, 2.0), (&kv, -2.0, 2.0)],
                ints: &[(&[batch], start)],
            };
            cases.case("attention", &json!({ "scale": scale, "causal": causal }), &given, |b, x| {
                Ok(vec![b.attention(x.f[0], x.f[1], x.f[2], x.i[0], scale, causal)?])
            })?;
        }
    }
    Ok(())
}

fn convolution(cases: &mut Cases) -> Result {
    let shapes = [
        ([1, 5, 4, 6, 3], [3, 3, 3, 3, 2], [1, 1, 1]),
        ([2, 4, 4, 4, 2], [2, 3, 1, 2, 5], [0, 1, 0]),
        ([1, 3, 3, 3, 1], [1, 1, 1, 1, 4], [0, 0, 0]),
        // Padding beyond the kernel's reach.
        ([1, 3, 4, 3, 2], [2, 1, 2, 2, 3], [2, 1, 3]),
        ([1, 11, 10, 10, 24], [3, 3, 3, 24, 24], [1, 1, 1]),
    ];
    for (x, w, pad) in shapes {
        let given = Given { floats: &[(&x, -1.0, 1.0), (&w, -1.0, 1.0)], ints: &[] };
        cases.case("conv3d", &json!({ "pad": pad }), &given, |b, x| {
            Ok(vec![b.conv3d(x.f[0], x.f[1], pad)?])
        })?;
    }
    Ok(())
}

/// What comes after the gradients: their joint norm, clipping, and five steps of AdamW.
fn learning(cases: &mut Cases) -> Result {
    let clip = [(&[30, 7][..], -1.0, 1.0), (&[130], -1.0, 1.0), (&[], -1.0, 1.0)];
    for limit in [0.5, 1e3] {
        let given = Given { floats: &clip, ints: &[] };
        cases.run("clip", &json!({ "limit": limit }), &given, false, |b, x| {
            let (factor, norm) = b.clip_scale(&x.f, limit)?;
            let clipped =
                x.f.iter().map(|g| b.mul(*g, factor)).collect::<std::result::Result<Vec<_>, _>>()?;
            Ok([vec![norm], clipped].concat())
        })?;
    }
    let shape: &[usize] = &[9, 13];
    let floats = [(shape, -1.0, 1.0); 6];
    let (b1, b2, lr, decay, eps) = (0.9f32, 0.95f32, 1e-2f32, 0.1f32, 1e-8f32);
    let attributes = json!({ "lr": lr, "b1": b1, "b2": b2, "decay": decay, "eps": eps });
    cases.run("adamw", &attributes, &Given { floats: &floats, ints: &[] }, false, |b, x| {
        let mut p = x.f[0];
        let mut state = AdamState { m: b.full(shape, 0.0)?, v: b.full(shape, 0.0)? };
        let (lr, gscale) = (b.scalar(lr)?, b.scalar(1.0)?);
        let mut seen = Vec::new();
        for (step, g) in (1..).zip(&x.f[1..]) {
            let correction = |beta: f32| (1.0 / (1.0 - f64::from(beta).powi(step))) as f32;
            let (c1, c2) = (b.scalar(correction(b1))?, b.scalar(correction(b2))?);
            (p, state) = b.adamw(p, *g, state, &AdamW { lr, gscale, c1, c2, b1, b2, eps, decay })?;
            seen.push(p);
        }
        Ok(seen)
    })
}
