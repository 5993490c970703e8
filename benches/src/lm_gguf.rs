//! A real model from a GGUF file, its matrices packed: one answer, token by token, next to llama.cpp and to the same model in 32 bits.

use std::path::PathBuf;

use exact::{Device, Limits};
use lm::{Files, Message, Model, Request, Sampling, Speaker, Until};
use serde_json::json;

use crate::race::{Contender, race};
use crate::report::Unit;
use crate::torch::Torch;
use crate::{Bench, Result, clock};

/// Tokens of an answer.
const NEW: usize = 64;
/// Bytes of the text that ours and llama.cpp's must begin with; it rounds activations to 8 bits, so that sooner or later they part.
const COMMON: usize = 12;

pub(crate) fn bench(bench: &mut Bench) -> Result {
    let Some(path) = std::env::var_os("BENCH_GGUF").map(PathBuf::from) else {
        return Err("BENCH_GGUF names no file: `cargo xtask bench gguf` fetches one".into());
    };
    let new = if bench.quick { 8 } else { NEW };
    bench
        .report
        .open("gguf", &format!("{new} tokens answered to one prompt, prompt read; {}", path.display()));
    let llama = Torch::llama();
    let files = Files::open(&path)?;
    let language = files.language()?;
    let prompt = language.prompt(&[Message::new("user", "Why is the sky blue?")])?;
    let request =
        Request { prompt: prompt.clone(), seed: 0, sampling: Sampling::GREEDY, until: Until::new(new, &[]) };
    for threads in [1, 2] {
        let (device, limits) = (Device::cpu(threads), Limits::default());
        let speaker = |model: &Model| Speaker::new(model, 1, prompt.len() + new, limits);
        let [mut packed, mut whole] = [
            speaker(&files.load_packed(&device, limits, &mut |_, _| {})?)?,
            speaker(&files.load(&device, limits, &mut |_, _| {})?)?,
        ];
        let figure = format!("tokens answered {threads}T");
        let asked = [request.clone()];
        let said = packed.answer(&asked)?;
        if said != whole.answer(&asked)? {
            return Err("packed and not, the model says different things".into());
        }
        let jobs = match &llama {
            Some(llama) => {
                let fields = json!({ "model": path, "prompt": prompt, "new": new });
                vec![llama.prepare("answer", threads, fields)?]
            }
            None => Vec::new(),
        };
        for job in &jobs {
            let text = language.tokenizer.decode_all(&said[0].answer)?;
            let same = text.bytes().zip(&job.result).take_while(|(a, b)| f32::from(*a) == **b).count();
            eprintln!("  the first {same} of {} bytes are llama.cpp's too", text.len());
            if same < COMMON {
                return Err("llama.cpp answers otherwise from the beginning".into());
            }
        }
        // A page of the prompt that is there from before is read anew: the cache of a seat remembers it, so it is asked something else between.
        let other = [Request { prompt: vec![prompt[0]], until: Until::new(1, &[]), ..request.clone() }];
        let mut contenders = vec![
            Contender::new("ours", |reps| {
                clock::per_call(threads, reps, || {
                    packed.answer(&other)?;
                    Ok(packed.answer(&asked).map(drop)?)
                })
            }),
            Contender::new("ours in 32 bits", |reps| {
                clock::per_call(threads, reps, || {
                    whole.answer(&other)?;
                    Ok(whole.answer(&asked).map(drop)?)
                })
            }),
        ];
        contenders.extend(jobs.iter().map(|job| job.contender("")));
        let seconds = race(bench, &mut contenders)?;
        let rate = |seconds: f64| new as f64 / seconds;
        for (contender, peer) in contenders.iter().zip(&seconds).skip(1) {
            bench.report.figure(&figure, Unit::Rate("tok/s"), rate(seconds[0]), &contender.name, rate(*peer));
        }
    }
    Ok(())
}
