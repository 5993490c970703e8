//! Learning with `lm`: a supervised step and a whole round of GRPO next to PyTorch, and what `wren` learns in how long.

use std::time::Instant;

use exact::{Device, Limits};
use lm::wren::{self, Task};
use lm::{
    Batch, Drill, Group, Learner, Likelihoods, Objective, Optimiser, Practice, Rollout, Sampling, Speaker,
};
use serde_json::json;

use crate::decoder::Size;
use crate::lm_model::{model, requests};
use crate::numbers::{agree, ids};
use crate::race::{Contender, race};
use crate::report::Unit;
use crate::{Bench, Result, clock};

/// One supervised step through `lm`: what a node does, the checks of its batch included.
pub(crate) fn learn(bench: &mut Bench) -> Result {
    let size = if bench.quick { Size { layers: 1, batch: 4, ..Size::SMALL } } else { Size::SMALL };
    let Size { layers, d, d_ff, vocab, batch, length, .. } = size;
    let what = format!(
        "one step of lm::Learner; {layers} layers, d {d}, d_ff {d_ff}, vocabulary {vocab}, {batch} x {length} tokens"
    );
    bench.report.open("learn", &what);
    for threads in [1, 2] {
        let figure = format!("step {threads}T");
        let mut jobs = Vec::new();
        for torch in &bench.torch {
            jobs.push(torch.prepare("train", threads, size.request())?);
        }
        let model = model(&size, length, threads)?;
        // The peer decays vectors too.
        let decayed = Group { part: "norm".to_owned(), rate: 1.0, decay: 0.1 };
        let optimiser = Optimiser { decay: 0.1, groups: vec![decayed], ..Optimiser::default() };
        let limits = Limits::default();
        let mut learner = Learner::new(&model, Objective::Imitate, &optimiser, batch, length, limits)?;
        let n = size.tokens();
        let lesson = Batch {
            ids: ids(2, n, vocab as u32),
            targets: ids(3, n, vocab as u32),
            weights: vec![1.0 / n as f32; n],
            ..Batch::default()
        };
        let mut seen = Vec::new();
        for _ in 0..4 {
            let progress = learner.learn(&lesson, 1e-3, 0.0)?;
            seen.extend([progress.loss, progress.norm]);
        }
        for job in &jobs {
            agree(&figure, &seen, "PyTorch", &job.result, 1e-3)?;
        }
        let mut step = || -> Result { Ok(learner.learn(&lesson, 1e-3, 0.0).map(drop)?) };
        let mut contenders = vec![Contender::new("ours", |reps| clock::per_call(threads, reps, &mut step))];
        contenders.extend(jobs.iter().map(|job| job.contender(" eager")));
        report(bench, &figure, &mut contenders)?;
    }
    Ok(())
}

/// Races, and reports milliseconds against every peer.
fn report(bench: &Bench, figure: &str, contenders: &mut [Contender<'_>]) -> Result {
    let seconds = race(bench, contenders)?;
    for (contender, peer) in contenders.iter().zip(&seconds).skip(1) {
        bench.report.figure(figure, Unit::Cost("ms"), 1e3 * seconds[0], &contender.name, 1e3 * peer);
    }
    Ok(())
}

/// A whole round of GRPO: sample, score, learn.
///
/// Both sides answer each prompt as often, with as many tokens, and learn from all answers: the rewards are such that every prompt
/// teaches. That they do the same work is checked by what can be compared: the likeliest answers, and loss and norm of a step.
pub(crate) fn grpo(bench: &mut Bench) -> Result {
    const QUESTION: usize = 11;
    const ANSWER: usize = 9;
    let (prompts, samples) = if bench.quick { (4, 4) } else { (48, 8) };
    let rows = prompts * samples;
    let shape = wren::config();
    let vocab = shape.vocabulary;
    let size = Size {
        layers: shape.layers,
        d: shape.width,
        heads: shape.heads,
        d_ff: shape.hidden,
        vocab,
        batch: prompts,
        length: QUESTION,
    };
    let what = format!(
        "a round of GRPO: {prompts} prompts x {samples} answers of {ANSWER} tokens, sampled, scored, learned; wren's shape"
    );
    bench.report.open("grpo", &what);
    for threads in [1, 2] {
        let figure = format!("round {threads}T");
        let mut request = size.request();
        for (name, number) in
            [("prompts", prompts), ("samples", samples), ("question", QUESTION), ("answer", ANSWER)]
        {
            request[name] = json!(number);
        }
        let mut jobs = Vec::new();
        for torch in &bench.torch {
            jobs.push(torch.prepare("grpo", threads, request.clone())?);
        }
        let limits = Limits::default();
        let model = model(&size, QUESTION + ANSWER, threads)?;
        let first = requests(&size, prompts, QUESTION, ANSWER, Sampling::GREEDY);
        let mut speaker = Speaker::new(&model, prompts, QUESTION + ANSWER, limits)?;
        let greedy = speaker.answer(&first)?;
        let mut seen: Vec<f32> = greedy.iter().flat_map(|r| &r.answer).map(|t| *t as f32).collect();
        let tokens = QUESTION + ANSWER - 1;
        let graded: Vec<_> = greedy.iter().enumerate().map(|(i, r)| (r, (i % 2) as f32 - 0.5)).collect();
        let mut lesson = Batch::improve(&graded, prompts, tokens)?;
        lesson.logps = Likelihoods::new(&model, prompts, tokens, limits)?.of(&lesson)?;
        let copy = model.copy_to(&Device::cpu(threads), limits)?;
        let mut learner =
            Learner::new(&copy, Objective::IMPROVE, &Optimiser::default(), prompts, tokens, limits)?;
        seen.push(learner.learn(&lesson, 3e-4, 0.0)?.norm);
        for job in &jobs {
            agree(&figure, &seen, "PyTorch", &job.result, 1e-3)?;
        }

        // An end that this model has not: all answers are as long.
        let drill = Drill { prompts, samples, ..Drill::new(QUESTION, ANSWER, vocab as u32) };
        let asked: Vec<Vec<u32>> = first.into_iter().map(|request| request.prompt).collect();
        let mut practice = Practice::new(&model, drill, limits)?;
        let mut seed = 0;
        let mut round = || -> Result {
            seed += rows as u64;
            let mut turn = 0;
            practice.round(&asked, seed, |_, _| {
                turn += 1;
                (turn % 2) as f32
            })?;
            Ok(())
        };
        let mut contenders = vec![Contender::new("ours", |reps| clock::per_call(threads, reps, &mut round))];
        contenders.extend(jobs.iter().map(|job| job.contender(" loop")));
        report(bench, &figure, &mut contenders)?;
    }
    Ok(())
}

/// What a task's practice is to reach: sampled accuracy on questions that no lesson shows.
fn bar(task: Task) -> f64 {
    match task {
        Task::Reverse => 0.56,
        Task::Add => 0.50,
        Task::Express => 0.61,
    }
}

/// What `wren` learns by practice, and that it learns nothing from rewards that are not its own.
///
/// Without a task's name after it (`wren-add`), all three: some minutes.
pub(crate) fn practise(bench: &mut Bench, tasks: &[Task]) -> Result {
    bench
        .report
        .open("wren", "practice with GRPO on two threads; accuracy of sampled answers to held-out questions");
    let (seeds, questions): (&[u64], _) = if bench.quick { (&[1], 64) } else { (&[1, 2, 3], 512) };
    for task in tasks {
        let (mut ends, mut walls) = (Vec::new(), Vec::new());
        for seed in seeds {
            let run = run(*task, *seed, false, bench.quick, questions)?;
            eprintln!(
                "  {} seed {seed}: {:.3} -> {:.3} in {:.1} s",
                task.name(),
                run.before,
                run.after,
                run.wall
            );
            ends.push(run.after);
            walls.push(run.wall);
        }
        let control = run(*task, 1, true, bench.quick, questions)?;
        let name = task.name();
        let (end, wall) = (middle(&mut ends), middle(&mut walls));
        bench.report.figure(&format!("{name}, median accuracy"), Unit::Rate(""), end, "the bar", bar(*task));
        bench.report.figure(&format!("{name}, median wall time"), Unit::Cost("s"), wall, "the bar", 60.0);
        let (before, after) = (control.before, control.after);
        bench.report.figure(&format!("{name}, shuffled rewards"), Unit::Rate(""), after, "before", before);
    }
    Ok(())
}

struct Run {
    before: f64,
    after: f64,
    wall: f64,
}

fn run(task: Task, seed: u64, shuffled: bool, quick: bool, questions: usize) -> Result<Run> {
    let limits = Limits::default();
    let model = wren::load(&Device::cpu(2), limits)?;
    let before = task.exam(&model, questions, Sampling::PLAIN, limits)?;
    let alphabet = wren::alphabet();
    let begin = Instant::now();
    let drill = task.drill();
    let (count, samples) = (drill.prompts, drill.samples);
    let mut practice = Practice::new(&model, drill, limits)?;
    let rounds = if quick { 2 } else { task.rounds() };
    for round in 0..rounds {
        let texts = task.questions(seed, round, count);
        let prompts =
            texts.iter().map(|text| alphabet.encode(text)).collect::<std::result::Result<Vec<_>, _>>()?;
        let first = (seed << 40) + round * (count * samples) as u64;
        let rollouts = practice.answer(&prompts, first)?;
        let score = |(i, rollout): (usize, &Rollout)| task.reward(&alphabet, &texts[i / samples], rollout);
        let mut rewards: Vec<f32> = rollouts.iter().enumerate().map(score).collect();
        if shuffled {
            shuffle(&mut rewards, round as u32);
        }
        practice.reinforce(rollouts, rewards)?;
    }
    let wall = begin.elapsed().as_secs_f64();
    let after = task.exam(&model, questions, Sampling::PLAIN, limits)?;
    Ok(Run { before: f64::from(before), after: f64::from(after), wall })
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// As many successes, and nothing to do with the answers.
fn shuffle(rewards: &mut [f32], seed: u32) {
    let count = rewards.len();
    for (i, with) in (0..count).rev().zip(ids(seed + 1, count, 1 << 20)) {
        rewards.swap(i, with as usize % (i + 1));
    }
}
