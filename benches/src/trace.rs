//! What it costs to hash every operation's output of a training step.

use crate::decoder::{Size, Step};
use crate::race::{Contender, race};
use crate::report::Unit;
use crate::{Bench, Result, clock};
use std::hint::black_box;

pub(crate) fn bench(bench: &mut Bench) -> Result {
    let size = if bench.quick { Size { layers: 1, batch: 4, ..Size::SMALL } } else { Size::SMALL };
    bench
        .report
        .open("trace", "the training step with every operation's output hashed, against the plain step");
    for threads in [1, 2] {
        let (mut plain, mut traced) = (Step::new(&size, threads)?, Step::new(&size, threads)?);
        let mut contenders = [
            Contender::new("traced", |reps| clock::per_call(threads, reps, || trace(&mut traced))),
            Contender::new("plain execution", |reps| clock::per_call(threads, reps, || plain.run())),
        ];
        let seconds = race(bench, &mut contenders)?;
        let [ours, peer] = [1e3 * seconds[0], 1e3 * seconds[1]];
        bench.report.figure(
            &format!("traced step {threads}T"),
            Unit::Cost("ms"),
            ours,
            "plain execution",
            peer,
        );
    }
    Ok(())
}

fn trace(step: &mut Step) -> Result {
    step.advance()?;
    step.session.trace(&mut |operation| {
        for result in 0..operation.types().len() {
            black_box(operation.hash(result));
        }
    })?;
    Ok(())
}
