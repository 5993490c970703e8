//! The benches: ours and its peers in turn, in one run, on the same numbers.
//!
//! `cargo xtask bench NAME` sets up the peers and comes here. Each bench makes its contenders do the same work, checks
//! that they got the same result, lets them [`race`](race::race) in turns and reports medians and their ratio.

mod clock;
mod cold_build;
mod conv;
mod decoder;
mod gemm;
mod heap;
mod math;
mod net;
mod numbers;
mod others;
mod peak;
mod race;
mod report;
mod torch;
mod trace;
mod train;

use report::Report;
use std::process::ExitCode;
use torch::Torch;

/// Errors end the run and are shown to the person who started it.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What every bench is given.
struct Bench {
    report: Report,
    /// PyTorch as it comes and with AVX-512 forced, as far as they can be had.
    torch: Vec<Torch>,
    /// Is it alive, rather than how fast is it.
    quick: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (options, names): (Vec<&str>, Vec<&str>) =
        args.iter().map(String::as_str).partition(|a| a.starts_with("--"));
    match run(&names, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench {}: {why}", args.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn run(names: &[&str], options: &[&str]) -> Result {
    if let Some(unknown) = options.iter().find(|o| !["--json", "--quick"].contains(o)) {
        return Err(format!("no such option: {unknown}; there are --json, --no-torch and --quick").into());
    }
    let names = match names {
        ["exact"] => &["gemm", "math", "train", "conv", "trace"],
        names => names,
    };
    let torch =
        if names == ["build"] || names == ["trace"] || names == ["net"] { Vec::new() } else { torch::all() };
    let mut bench = Bench {
        report: Report::new(options.contains(&"--json")),
        torch,
        quick: options.contains(&"--quick"),
    };
    let watch = others::Watch::new(&bench.torch);
    for name in names {
        match *name {
            "gemm" => gemm::bench(&mut bench)?,
            "math" => math::bench(&mut bench)?,
            "train" => train::bench(&mut bench)?,
            "conv" => conv::bench(&mut bench)?,
            "trace" => trace::bench(&mut bench)?,
            "net" => net::bench(&mut bench)?,
            "build" => cold_build::bench(&mut bench)?,
            other => return Err(format!("no such bench: {other}; `cargo xtask --help` lists them").into()),
        }
    }
    watch.warn(&bench.torch);
    Ok(())
}
