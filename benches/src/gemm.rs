//! Matrix products against the `gemm` crate and PyTorch.

use crate::numbers::{agree, fill};
use crate::race::{Contender, race};
use crate::report::{Together, Unit};
use crate::{Bench, Result, clock};
use exact::{Builder, Device, Limits, Session};
use rayon::prelude::*;
use serde_json::json;

/// How the operands lie: as they are multiplied, or transposed.
#[derive(Clone, Copy)]
struct Layout {
    name: &'static str,
    ta: bool,
    tb: bool,
}

const NN: Layout = Layout { name: "NN", ta: false, tb: false };
const NT: Layout = Layout { name: "NT", ta: false, tb: true };
const TN: Layout = Layout { name: "TN", ta: true, tb: false };

/// `batch` products of `[m, k]` and `[k, n]`.
#[derive(Clone, Copy)]
struct Product {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
    layout: Layout,
}

/// Square ones, those of training, and those of attention (a batch of 16).
const SHAPES: [[usize; 4]; 8] = [
    [1, 256, 256, 256],
    [1, 1024, 1024, 1024],
    [1, 2048, 2048, 2048],
    [1, 512, 1024, 256],
    [1, 2048, 1536, 384],
    [1, 64, 384, 384],
    [16, 128, 128, 64],
    [16, 128, 64, 128],
];

/// Weights `[K, N]` of the products that make one token, for 1 to 8 tokens at once.
const DECODE: [[usize; 2]; 3] = [[896, 4864], [4864, 896], [896, 896]];

pub(crate) fn bench(bench: &mut Bench) -> Result {
    bench.report.open("gemm", "matrix products; the numbers are M x N x K");
    let shapes = if bench.quick { &SHAPES[3..] } else { &SHAPES[..] };
    for threads in [1, 2] {
        for layout in [NN, NT, TN] {
            let mut together = Together::default();
            for &[batch, m, n, k] in shapes {
                compare(bench, threads, Product { batch, m, n, k, layout }, &mut together)?;
            }
            together.report(&bench.report, &format!("{}, {threads}T", layout.name), Unit::Rate("GF/s"));
        }
    }
    bench.report.open("decode", "products of a few rows, as in generation; the numbers are M x N x K");
    for threads in [1, 2] {
        let mut together = Together::default();
        for m in if bench.quick { vec![1, 8] } else { vec![1, 2, 4, 8] } {
            for [k, n] in DECODE {
                compare(bench, threads, Product { batch: 1, m, n, k, layout: NN }, &mut together)?;
            }
        }
        together.report(&bench.report, &format!("decode, {threads}T"), Unit::Rate("GF/s"));
    }
    bench.report.open("packed", "the same with weights of 4 bits, next to our own with weights of 32");
    for threads in [1, 2] {
        for m in if bench.quick { vec![1] } else { vec![1, 8, 64] } {
            for [k, n] in DECODE {
                packed(bench, threads, m, n, k)?;
            }
        }
    }
    Ok(())
}

/// Races a product with packed weights and one with the same weights unpacked.
fn packed(bench: &mut Bench, threads: usize, m: usize, n: usize, k: usize) -> Result {
    const GROUP: usize = 32;
    let weights = |b: &mut Builder| -> Result<_> {
        let words = b.input::<u32>("words", &[k / 8, n])?;
        Ok((words, b.input::<f32>("scale", &[k / GROUP, n])?, b.input::<f32>("shift", &[k / GROUP, n])?))
    };
    let device = Device::cpu(threads);

    let mut b = Builder::new();
    let a = b.input::<f32>("a", &[m, k])?;
    let (words, scale, shift) = weights(&mut b)?;
    let c = b.packed_matmul(a, 4, words, scale, shift)?;
    b.output("c", c)?;
    let mut narrow = Session::new(&b.finish()?, &device, Limits::default())?;

    // Unpacked once, before the race, into a state that the wide product reads.
    let mut b = Builder::new();
    let (words, scale, shift) = weights(&mut b)?;
    let state = b.state::<f32>("w", &[k, n])?;
    let w = b.unpack(4, words, scale, shift)?;
    b.assign(state, w)?;
    let mut first = Session::new(&b.finish()?, &device, Limits::default())?;
    let mut b = Builder::new();
    let a = b.input::<f32>("a", &[m, k])?;
    let w = b.state::<f32>("w", &[k, n])?;
    let c = b.matmul(a, w)?;
    b.output("c", c)?;
    let mut wide = first.share(&b.finish()?, Limits::default())?;

    let words: Vec<u32> = (0..k / 8 * n).map(|i| (i as u32).wrapping_mul(2_654_435_761)).collect();
    let (a, scale, shift) = (fill(1, m * k, 1.0), fill(2, k / GROUP * n, 0.1), fill(3, k / GROUP * n, 0.5));
    wide.write("a", &a)?;
    narrow.write("a", &a)?;
    for session in [&mut first, &mut narrow] {
        session.write("words", &words)?;
        session.write("scale", &scale)?;
        session.write("shift", &shift)?;
        session.run()?;
    }
    wide.run()?;
    if wide.read::<f32>("c")? != narrow.read::<f32>("c")? {
        return Err("packed weights gave another product".into());
    }
    let mut contenders = vec![
        Contender::new("packed", |reps| clock::per_call(threads, reps, || Ok(narrow.run()?))),
        Contender::new("ours, 32 bits", |reps| clock::per_call(threads, reps, || Ok(wide.run()?))),
    ];
    let seconds = race(bench, &mut contenders)?;
    let rate = |seconds: f64| 2e-9 * (m * n * k) as f64 / seconds;
    let figure = format!("{m}x{n}x{k} {threads}T");
    bench.report.figure(&figure, Unit::Rate("GF/s"), rate(seconds[0]), "ours, 32 bits", rate(seconds[1]));
    Ok(())
}

/// Races one product and reports it.
fn compare(bench: &mut Bench, threads: usize, product: Product, together: &mut Together) -> Result {
    let Product { batch, m, n, k, layout } = product;
    let times = if batch == 1 { String::new() } else { format!("{batch} x ") };
    let figure = format!("{times}{m}x{n}x{k} {} {threads}T", layout.name);
    let (a, b) = (fill(1, batch * m * k, 1.0), fill(2, batch * k * n, 1.0));

    let mut ours = ours(&product, threads, &a, &b)?;
    let mut c = vec![0.0; batch * m * n];
    gemm_crate(&product, threads, &a, &b, &mut c);
    ours.run()?;
    let result = ours.read("c")?;
    agree(&figure, &result, "gemm", &c, 1e-5)?;
    let request = json!({ "batch": batch, "m": m, "n": n, "k": k, "layout": layout.name });
    let jobs = bench.torch.iter().map(|torch| torch.prepare("gemm", threads, request.clone()));
    let jobs = jobs.collect::<Result<Vec<_>>>()?;
    for job in &jobs {
        agree(&figure, &result, "PyTorch", &job.result, 1e-5)?;
    }

    let mut contenders = vec![
        Contender::new("ours", |reps| clock::per_call(threads, reps, || Ok(ours.run()?))),
        Contender::new("gemm 0.19", |reps| {
            clock::per_call(threads, reps, || {
                gemm_crate(&product, threads, &a, &b, &mut c);
                Ok(())
            })
        }),
    ];
    contenders.extend(jobs.iter().map(|job| job.contender("")));
    let seconds = race(bench, &mut contenders)?;
    let rate = |seconds: f64| 2e-9 * (batch * m * n * k) as f64 / seconds;
    let peers: Vec<(String, f64)> =
        contenders.iter().zip(&seconds).skip(1).map(|(c, s)| (c.name.clone(), rate(*s))).collect();
    for (name, peer) in &peers {
        bench.report.figure(&figure, Unit::Rate("GF/s"), rate(seconds[0]), name, *peer);
    }
    together.add(rate(seconds[0]), &peers);
    Ok(())
}

fn ours(product: &Product, threads: usize, a: &[f32], b: &[f32]) -> Result<Session> {
    let &Product { batch, m, n, k, layout } = product;
    let mut program = Builder::new();
    // As few axes as the work has, like the peers.
    let dims = |rows: usize, columns: usize, transposed: bool| {
        let [r, c] = if transposed { [columns, rows] } else { [rows, columns] };
        if batch == 1 { vec![r, c] } else { vec![batch, r, c] }
    };
    let left = program.input::<f32>("a", &dims(m, k, layout.ta))?;
    let right = program.input::<f32>("b", &dims(k, n, layout.tb))?;
    let c = program.matmul_t(left, layout.ta, right, layout.tb)?;
    program.output("c", c)?;
    let mut session = Session::new(&program.finish()?, &Device::cpu(threads), Limits::default())?;
    session.write("a", a)?;
    session.write("b", b)?;
    Ok(session)
}

fn gemm_crate(product: &Product, threads: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    let &Product { batch, m, n, k, layout } = product;
    let strides = |rows: usize, columns: usize, transposed: bool| {
        let [row, column] = if transposed { [1, rows] } else { [columns, 1] };
        (column as isize, row as isize)
    };
    let ((a_column, a_row), (b_column, b_row)) = (strides(m, k, layout.ta), strides(k, n, layout.tb));
    let one = |a: &[f32], b: &[f32], c: &mut [f32], parallelism: gemm::Parallelism| {
        assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
        let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        // SAFETY: the strides stay within the three slices, whose lengths were just asserted.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c,
                1,
                n as isize,
                false,
                a,
                a_column,
                a_row,
                b,
                b_column,
                b_row,
                0.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    };
    match (batch, threads) {
        (1, 1) => one(a, b, c, gemm::Parallelism::None),
        (1, _) => one(a, b, c, gemm::Parallelism::Rayon(threads)),
        (_, 1) => {
            let products = a.chunks(m * k).zip(b.chunks(k * n)).zip(c.chunks_mut(m * n));
            products.for_each(|((a, b), c)| one(a, b, c, gemm::Parallelism::None));
        }
        _ => {
            // As one would use it for a batch: the products side by side.
            let products = a.par_chunks(m * k).zip(b.par_chunks(k * n)).zip(c.par_chunks_mut(m * n));
            products.for_each(|((a, b), c)| one(a, b, c, gemm::Parallelism::None));
        }
    }
}
