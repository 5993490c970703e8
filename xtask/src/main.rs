//! `cargo xtask`: the one entry for everything a developer does in this repository.
//!
//! Each command is a short list of *steps*; a step is one program run with a headline before it and its time
//! after it. `cargo xtask --help` is the manual.

#[cfg(test)]
mod arrows;
mod bench;
mod conformance;
mod contracts;
mod dashboard;
mod node;
mod python;
mod step;
mod suite;

use std::process::ExitCode;

const HELP: &str = "\
The one entry for everything a developer does here.

Usage: cargo xtask <command>

Checks
  test                  every check CI makes, in CI's order, ending with the tests; run it before you push
  lint                  the quick ones: rustfmt, clippy, rustdoc, licences
  deny                  licences, sources and bans of the dependencies (deny.toml), by cargo-deny, which the
                        first run installs into target/tools

What is generated
  vectors               write the conformance vectors of `exact` anew from the scalar spec
  vectors --check       prove that the committed vectors are what the spec gives
  contracts             compile the contracts; write their artifacts, addresses and gas snapshot anew
  contracts --check     prove that the committed artifacts are what the sources give
  dashboard             write the API's document, the page's types and the page anew
  dashboard --check     prove that the committed page is what its sources give; its unit tests
  dashboard --test      every page in Chromium, light, dark and on a phone, on a swarm that runs; the API by schemathesis

Other people's software against ours (downloads it into target/ the first time)
  conformance [NAME]    without a name: every suite
      torch             values and gradients of the differentiable operations against PyTorch
      transformers      models, tokenizers and chat templates against `transformers`, both ways
      gguf              a real model from a GGUF file: its numbers, tokens and answers
      gym               scores of the environments against the package reasoning-gym
      chain             viem, ethers and web3.py on the embedded chain and on Anvil
      keys              keystores there and back with eth_account, the library behind web3.py
      slither           static analysis of the contracts: no high or medium finding left unexplained
      mutants           takes the contracts' rules out one by one: a test has to fail each time
  bench NAME [OPTIONS]  ours and its peers in turn, in one run: medians and ratios (above 1: ours is better)
      exact             gemm, math, train, conv and trace, one after the other
      gemm              matrix products against the gemm crate and PyTorch
      math              exp, log, tanh, sin, cos, rsqrt, silu against std and PyTorch
      train             one training step of a small decoder against PyTorch
      conv              a 3D convolutional network against PyTorch
      trace             hashing every operation's output against plain execution
      lm                speak, check, gguf, learn, grpo and wren, one after the other: a quarter of an hour
      speak             tokens drawn for 64 prompts against a PyTorch loop with a cache and transformers' generate
      check             the check of an answer against its generation
      gguf              a real model, its matrices packed, against llama.cpp from the same file
      learn             one supervised step of lm's learner against PyTorch
      grpo              a round of GRPO, sampling, scoring and learning, against a PyTorch loop
      wren              what practice makes of the shipped model: three tasks (or wren-reverse, wren-add,
                        wren-express), three seeds each, and a control with shuffled rewards
      blob              1 GiB between two processes against iroh-blobs and plain TCP
      chain             the embedded chain against Anvil: transfers, receipts, starting again
      net               gossip among 50 nodes, a swarm of 200 with comings and goings, joining
      swarm             eight wrens together and alone, five seeds, with intervals and a plot in target/bench/swarm.svg
      assist            what the building assistant saves players it never met, and gets wrong, with ablations
      build             the cold release build of the workspace, in seconds
    --json              one JSON object per figure and line, nothing else on stdout
    --no-torch          leave PyTorch out: nothing is downloaded, the Rust peers stay
    --quick             few rounds and small shapes: is it alive, not how fast is it

Exit status: 0 when all went well, 1 when a check failed, 2 when the command line was wrong.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        [] | ["help" | "-h" | "--help", ..] | [_, "-h" | "--help"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ["test"] => suite::test(),
        ["lint"] => suite::lint(),
        ["deny"] => suite::deny(),
        ["vectors"] => suite::vectors(false),
        ["vectors", "--check"] => suite::vectors(true),
        ["contracts"] => contracts::write(),
        ["contracts", "--check"] => contracts::check(),
        ["dashboard"] => dashboard::write(),
        ["dashboard", "--check"] => dashboard::check(),
        ["dashboard", "--test"] => dashboard::browse(),
        ["conformance", names @ ..] => conformance::conformance(names),
        ["bench", name, options @ ..] if !name.starts_with('-') => bench::bench(name, options),
        other => {
            eprintln!(
                "cargo xtask: no such command: `{}`. `cargo xtask --help` lists them.",
                other.join(" ")
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\ncargo xtask {}: {why}", args.join(" "));
            ExitCode::FAILURE
        }
    }
}
