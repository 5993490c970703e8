//! The benches: ours and its peers in turn, in one run, on the same numbers.
//!
//! `cargo xtask bench NAME` sets up the peers and comes here. Each bench makes its contenders do the same work, checks
//! that they got the same result, lets them [`race`](race::race) in turns and reports medians and their ratio.

mod blob;
mod chain;
mod clock;
mod cold_build;
mod conv;
mod decoder;
mod gemm;
mod genrl;
mod heap;
mod lm_gguf;
mod lm_learn;
mod lm_model;
mod lm_speak;
mod math;
mod net;
mod numbers;
mod others;
mod peak;
mod race;
mod report;
mod swarm;
mod torch;
mod trace;
mod train;
mod voices;

use lm::wren::Task;
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
    if let [name, folder] = &args[..]
        && name == chain::SERVER
    {
        return match chain::serve(folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("{name}: {why}");
                ExitCode::FAILURE
            }
        };
    }
    let (options, names): (Vec<&str>, Vec<&str>) =
        args.iter().map(String::as_str).partition(|a| a.starts_with("--"));
    let done = match names.as_slice() {
        // We are one of the processes of a bench.
        ["child", job @ ..] => blob::child(job),
        names => run(names, &options),
    };
    match done {
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
        ["exact"] => &["gemm", "math", "train", "conv", "trace"][..],
        ["lm"] => &["speak", "check", "gguf", "learn", "grpo", "wren"],
        names => names,
    };
    let mut bench = Bench {
        report: Report::new(options.contains(&"--json")),
        // None where none was set up: `cargo xtask bench` does it for those that have a use for it.
        torch: torch::all(),
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
            "blob" => blob::bench(&mut bench)?,
            "chain" => chain::bench(&mut bench)?,
            "speak" => lm_speak::bench(&mut bench)?,
            "check" => lm_speak::check(&mut bench)?,
            "gguf" => lm_gguf::bench(&mut bench)?,
            "learn" => lm_learn::learn(&mut bench)?,
            "grpo" => lm_learn::grpo(&mut bench)?,
            "wren" => lm_learn::practise(&mut bench, &Task::ALL)?,
            "wren-reverse" => lm_learn::practise(&mut bench, &[Task::Reverse])?,
            "wren-add" => lm_learn::practise(&mut bench, &[Task::Add])?,
            "wren-express" => lm_learn::practise(&mut bench, &[Task::Express])?,
            "net" | "net-gossip" | "net-churn" | "net-join" => net::bench(&mut bench, name)?,
            "swarm" => swarm::bench(&mut bench)?,
            "voices" => voices::bench(&mut bench)?,
            "genrl" => genrl::bench(&mut bench)?,
            "build" => cold_build::bench(&mut bench)?,
            other => return Err(format!("no such bench: {other}; `cargo xtask --help` lists them").into()),
        }
    }
    watch.warn(&bench.torch);
    Ok(())
}
