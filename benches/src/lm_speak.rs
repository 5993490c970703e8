//! Sampling: a batch of prompts, and so many tokens for each.

use crate::decoder::Size;
use crate::lm_model::{model, requests};
use crate::numbers::agree;
use crate::race::{Contender, race};
use crate::report::Unit;
use crate::{Bench, Result, clock, peak};
use exact::Limits;
use lm::{Checker, Finding, Sampling, Speaker};
use serde_json::json;

const PROMPT: usize = 16;
/// Tokens of each answer by which it is seen that all have the same model.
const SEEN: usize = 8;

pub(crate) fn bench(bench: &mut Bench) -> Result {
    let (batch, new) = if bench.quick { (8, 16) } else { (64, 64) };
    let size = Size { layers: if bench.quick { 1 } else { 6 }, batch, length: new, ..Size::SMALL };
    let Size { layers, d, d_ff, vocab, .. } = size;
    bench.report.open(
        "speak",
        &format!("{batch} prompts of {PROMPT} tokens, {new} tokens drawn for each; {layers} layers, d {d}, d_ff {d_ff}, vocabulary {vocab}"),
    );
    for threads in [1, 2] {
        compare(bench, &size, threads)?;
    }
    Ok(())
}

fn compare(bench: &mut Bench, size: &Size, threads: usize) -> Result {
    let &Size { batch, length: new, .. } = size;
    let figure = format!("tokens drawn {threads}T");
    let mut request = size.request();
    request["prompt"] = json!(PROMPT);
    request["seen"] = json!(SEEN);
    let mut jobs = Vec::new();
    for torch in &bench.torch {
        jobs.push((torch.prepare("speak", threads, request.clone())?, ", a loop with a cache"));
        match torch.prepare("generate", threads, request.clone()) {
            Ok(job) => jobs.push((job, ", transformers' generate")),
            Err(why) => eprintln!("transformers takes no part: {why}"),
        }
    }

    let model = model(size, PROMPT + new, threads)?;
    let mut speaker = Speaker::new(&model, batch, PROMPT + new, Limits::default())?;
    let likeliest = speaker.answer(&requests(size, batch, PROMPT, SEEN, Sampling::GREEDY))?;
    let seen: Vec<f32> = likeliest.iter().flat_map(|r| r.logps.clone()).collect();
    for (job, apart) in &jobs {
        agree(&figure, &seen, &format!("PyTorch{apart}"), &job.result, 1e-3)?;
    }

    let asked = requests(size, batch, PROMPT, new, Sampling::PLAIN);
    let mut contenders = vec![Contender::new("ours", |reps| {
        clock::per_call(threads, reps, || Ok(speaker.answer(&asked).map(drop)?))
    })];
    contenders.extend(jobs.iter().map(|(job, apart)| job.contender(apart)));
    let seconds = race(bench, &mut contenders)?;
    let rate = |seconds: f64| (batch * new) as f64 / seconds;
    for (contender, peer) in contenders.iter().zip(&seconds).skip(1) {
        bench.report.figure(&figure, Unit::Rate("tok/s"), rate(seconds[0]), &contender.name, rate(*peer));
    }
    let least = products(size) / peak::flops(bench, threads)?;
    let ours = rate(seconds[0]);
    bench.report.figure(&figure, Unit::Rate("tok/s"), ours, "its products at the fma peak", rate(least));
    Ok(())
}

/// The floating-point operations of the weights' matrix products: every token but each answer's last is gone on from.
fn products(size: &Size) -> f64 {
    let d = size.d as f64;
    let layers = size.layers as f64 * (4.0 * d * d + 3.0 * d * size.d_ff as f64);
    let tokens = (size.batch * (PROMPT + size.length - 1)) as f64;
    2.0 * (layers * tokens + d * size.vocab as f64 * size.tokens() as f64)
}

/// The check of an answer against its generation, alone and in a batch.
pub(crate) fn check(bench: &mut Bench) -> Result {
    let new = if bench.quick { 32 } else { 256 };
    let size = Size { layers: if bench.quick { 1 } else { 6 }, length: new, ..Size::SMALL };
    let Size { layers, d, d_ff, vocab, .. } = size;
    bench.report.open(
        "check",
        &format!("answers of {new} tokens checked, as their generation takes; {layers} layers, d {d}, d_ff {d_ff}, vocabulary {vocab}"),
    );
    for threads in [1, 2] {
        for batch in [1, 32] {
            let model = model(&size, PROMPT + new, threads)?;
            let mut speaker = Speaker::new(&model, batch, PROMPT + new, Limits::default())?;
            let mut checker = Checker::new(&model, batch.min(8), PROMPT + new, Limits::default())?;
            let asked = requests(&size, batch, PROMPT, new, Sampling::PLAIN);
            let rollouts = speaker.answer(&asked)?;
            if checker.check(&rollouts)?.iter().any(|f| *f != Finding::Holds) {
                return Err("an honest answer was found wrong".into());
            }
            let mut contenders = [
                Contender::new("ours", |reps| {
                    clock::per_call(threads, reps, || Ok(checker.check(&rollouts).map(drop)?))
                }),
                Contender::new("their generation", |reps| {
                    clock::per_call(threads, reps, || Ok(speaker.answer(&asked).map(drop)?))
                }),
            ];
            let seconds = race(bench, &mut contenders)?;
            let figure = format!("{batch} answers {threads}T");
            let [ours, peer] = [1e3 * seconds[0], 1e3 * seconds[1]];
            bench.report.figure(&figure, Unit::Cost("ms"), ours, "their generation", peer);
        }
    }
    Ok(())
}
