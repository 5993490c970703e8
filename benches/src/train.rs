//! One training step: forward, cross-entropy, backward, clipping by the global norm, AdamW.

use crate::decoder::{Size, Step};
use crate::numbers::agree;
use crate::race::{Contender, race};
use crate::report::Unit;
use crate::{Bench, Result, clock, heap, peak};
use serde_json::json;

pub(crate) fn bench(bench: &mut Bench) -> Result {
    let size = if bench.quick { Size { layers: 1, batch: 4, ..Size::SMALL } } else { Size::SMALL };
    let Size { layers, d, d_ff, vocab, batch, length, .. } = size;
    let what = format!(
        "one training step; {layers} layers, d {d}, d_ff {d_ff}, vocabulary {vocab}, {batch} x {length} tokens"
    );
    bench.report.open("train", &what);
    for threads in [1, 2] {
        compare(bench, &size, threads)?;
    }
    Ok(())
}

fn compare(bench: &mut Bench, size: &Size, threads: usize) -> Result {
    let figure = format!("step {threads}T");
    let mut jobs = Vec::new();
    for torch in &bench.torch {
        jobs.push((torch.prepare("train", threads, size.request())?, " eager"));
        // The compiled model needs a C++ compiler at run time; with the honest rival's products it is the strongest peer.
        if torch.forced && !bench.quick {
            let mut request = size.request();
            request["compiled"] = json!(true);
            match torch.prepare("train", threads, request) {
                Ok(job) => jobs.push((job, " compiled")),
                Err(why) => eprintln!("torch.compile takes no part: {why}"),
            }
        }
    }

    let mut step = Step::new(size, threads)?;
    let mut seen = Vec::new();
    for _ in 0..4 {
        step.run()?;
        seen.extend(step.seen()?);
    }
    let (allocations, done) = heap::allocations(|| step.run());
    done?;
    if allocations > 0 {
        eprintln!("The step allocated memory {allocations} times: it should not at all.");
    }
    for (job, _) in &jobs {
        agree(&figure, &seen, "PyTorch", &job.result, 1e-3)?;
    }

    let mut contenders = vec![Contender::new("ours", |reps| clock::per_call(threads, reps, || step.run()))];
    contenders.extend(jobs.iter().map(|(job, apart)| job.contender(apart)));
    let seconds = race(bench, &mut contenders)?;
    let ms = |seconds: f64| 1e3 * seconds;
    for (contender, peer) in contenders.iter().zip(&seconds).skip(1) {
        bench.report.figure(&figure, Unit::Cost("ms"), ms(seconds[0]), &contender.name, ms(*peer));
    }
    let least = size.products() / peak::flops(bench, threads)?;
    bench.report.figure(&figure, Unit::Cost("ms"), ms(seconds[0]), "its products at the fma peak", ms(least));
    Ok(())
}
