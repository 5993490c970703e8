//! Functions of one number over a million of them, on one thread.

use crate::numbers::{agree, fill};
use crate::race::{Contender, race};
use crate::report::Unit;
use crate::{Bench, Result, clock};
use exact::{Builder, Device, Limits, Session, UnaryFn};
use serde_json::json;

const COUNT: usize = 1 << 20;

/// A function as everyone has it: ours and PyTorch's go by its name.
struct Function {
    name: &'static str,
    ours: UnaryFn,
    std: fn(f32) -> f32,
    /// Whether it wants numbers above 0.
    positive: bool,
}

#[rustfmt::skip]
const FUNCTIONS: [Function; 7] = [
    Function { name: "exp", ours: UnaryFn::Exp, std: f32::exp, positive: false },
    Function { name: "log", ours: UnaryFn::Log, std: f32::ln, positive: true },
    Function { name: "tanh", ours: UnaryFn::Tanh, std: f32::tanh, positive: false },
    Function { name: "sin", ours: UnaryFn::Sin, std: f32::sin, positive: false },
    Function { name: "cos", ours: UnaryFn::Cos, std: f32::cos, positive: false },
    Function { name: "rsqrt", ours: UnaryFn::Rsqrt, std: |x| 1.0 / x.sqrt(), positive: true },
    Function { name: "silu", ours: UnaryFn::Silu, std: |x| x / (1.0 + (-x).exp()), positive: false },
];

pub(crate) fn bench(bench: &mut Bench) -> Result {
    bench.report.open("math", "nanoseconds per element, 1M elements, one thread");
    for function in &FUNCTIONS {
        compare(bench, function)?;
    }
    Ok(())
}

fn compare(bench: &mut Bench, function: &Function) -> Result {
    let mut x = fill(1, COUNT, 8.0);
    if function.positive {
        for x in &mut x {
            *x = x.abs() + 0.015625;
        }
    }
    let mut program = Builder::new();
    let input = program.input::<f32>("x", &[COUNT])?;
    let y = program.unary(function.ours, input)?;
    program.output("y", y)?;
    let mut session = Session::new(&program.finish()?, &Device::cpu(1), Limits::default())?;
    session.write("x", &x)?;
    session.run()?;
    let result = session.read::<f32>("y")?;

    let mut y = vec![0.0; COUNT];
    let mut std_loop = || {
        // Called through a pointer that the compiler does not know, as a loop over any function is.
        let f = std::hint::black_box(function.std);
        for (y, x) in y.iter_mut().zip(&x) {
            *y = f(*x);
        }
    };
    std_loop();
    let jobs =
        bench.torch.iter().map(|t| t.prepare("math", 1, json!({ "function": function.name, "n": COUNT })));
    let jobs = jobs.collect::<Result<Vec<_>>>()?;
    for job in &jobs {
        agree(function.name, &result, "PyTorch", &job.result, 1e-6)?;
    }

    let mut contenders = vec![
        Contender::new("ours", |reps| clock::per_call(1, reps, || Ok(session.run()?))),
        Contender::new("std", |reps| {
            clock::per_call(1, reps, || {
                std_loop();
                Ok(())
            })
        }),
    ];
    // Most of these are MKL's in PyTorch, so that forcing it counts here too.
    contenders.extend(jobs.iter().map(|job| job.contender("")));
    let seconds = race(bench, &mut contenders)?;
    let each = |seconds: f64| 1e9 * seconds / COUNT as f64;
    for (contender, peer) in contenders.iter().zip(&seconds).skip(1) {
        bench.report.figure(function.name, Unit::Cost("ns"), each(seconds[0]), &contender.name, each(*peer));
    }
    Ok(())
}
