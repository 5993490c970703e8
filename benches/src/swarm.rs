//! Together or alone: the table of the SAPO paper (arXiv 2509.08721), with flocks of `wren`.
//!
//! Eight learners, each with a budget of eight groups of answers in a round: of its own making, or some of them made by others. Alone (8/0), it
//! answers eight tasks and learns from what these teach, which is little as long as it seldom succeeds. Together, it answers fewer tasks and may
//! choose among all the others' groups those that teach. It never answers or learns more than alone.
//!
//! Everything runs in one process, by the same machine as in a node (`swarm::sim`); the clock is made up, the learning is real.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use exact::{Device, Limits};
use gym::Dice;
use lm::wren::{Task, WarmStart};
use lm::{Model, Sampling};
use swarm::sim::{Bird, Links, Nature, Sim};
use swarm::{Charter, Parts, Play, Practised, Pupil, Tongue};

use crate::report::Unit;
use crate::{Bench, Result};

/// Groups of one's own, and of others. The first is what the others are compared with.
const ARMS: [(u16, u16); 4] = [(8, 0), (6, 2), (4, 4), (2, 6)];
/// What the paper says each arm's reward came to, over 2,000 rounds of larger models, one run each.
const PAPER: [f64; 4] = [1.0, 1.52, 1.94, 1.68];

/// How large a run is.
struct Size {
    nodes: usize,
    rounds: u64,
    seeds: u64,
    questions: usize,
}

/// What is held fixed: a `wren` that was taught so little that it answers one question in 25 rightly, so that most groups teach nothing.
struct Setting {
    task: Task,
    /// Lessons of `wren`'s warm start, out of the 210 of the model that ships.
    lessons: u64,
    samples: u16,
    rate: f32,
    updates: u16,
}

const SETTING: Setting = Setting { task: Task::Reverse, lessons: 150, samples: 8, rate: 1.5e-4, updates: 1 };

/// What came of one flock.
struct Run {
    arm: usize,
    seed: u64,
    /// The nodes' mean reward in each round.
    rewards: Vec<f64>,
    /// Their mean accuracy in the end, on questions that no round shows.
    accuracy: f64,
}

pub(crate) fn bench(bench: &mut Bench) -> Result {
    let size = if bench.quick {
        Size { nodes: 3, rounds: 3, seeds: 1, questions: 16 }
    } else {
        Size { nodes: 8, rounds: 150, seeds: 5, questions: 256 }
    };
    let Setting { task, lessons, samples, rate, updates } = SETTING;
    bench.report.open(
        "swarm",
        &format!(
            "{} wrens at {} after {lessons} lessons, {} rounds, {} seeds; groups of one's own / of others; {samples} answers each, rate {rate:e}, {updates} updates",
            size.nodes,
            task.name(),
            size.rounds,
            size.seeds
        ),
    );
    let limits = Limits::default();
    let base =
        WarmStart { steps: lessons, ..WarmStart::wren() }.run(&Device::cpu(2), limits, |_, _, _| Ok(()))?;
    let start = f64::from(task.exam(&base, size.questions, Sampling::PLAIN, limits)?);
    let runs = all(&base, &size)?;

    for (arm, (own, foreign)) in ARMS.iter().enumerate() {
        let totals = |arm: usize| -> Vec<f64> {
            runs.iter().filter(|run| run.arm == arm).map(|run| run.rewards.iter().sum()).collect()
        };
        let (ours, alone) = (totals(arm), totals(0));
        let [low, high] = interval(&ours, &alone);
        let accuracy = mean(runs.iter().filter(|run| run.arm == arm).map(|run| run.accuracy));
        let figure = format!("{own}/{foreign}, cumulative reward");
        bench.report.figure(&figure, Unit::Rate(""), mean(ours), "8/0", mean(alone));
        let figure = format!("{own}/{foreign}, gain: {low:.2} to {high:.2}");
        bench.report.figure(
            &figure,
            Unit::Rate("x"),
            mean(totals(arm)) / mean(totals(0)),
            "the paper",
            PAPER[arm],
        );
        bench.report.figure(
            &format!("{own}/{foreign}, accuracy in the end"),
            Unit::Rate(""),
            accuracy,
            "before",
            start,
        );
    }
    let path = plot(&runs, &size)?;
    eprintln!("  intervals hold 95 % of 10000 resamples of the seeds; the curves are in {}", path.display());
    Ok(())
}

/// All arms with all seeds, as many at a time as there are cores.
fn all(base: &Model, size: &Size) -> Result<Vec<Run>> {
    let jobs: Vec<(u64, usize)> =
        (0..size.seeds).flat_map(|seed| (0..ARMS.len()).map(move |arm| (seed, arm))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let weights = swarm::weight_bytes(base)?;
    let cores = std::thread::available_parallelism()?.get();
    let work = || -> std::result::Result<(), String> {
        while let Some((seed, arm)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let run = run(&weights, base.config(), size, *arm, *seed).map_err(|e| e.to_string())?;
            eprintln!(
                "  {}/{} seed {seed}: {:.2} in all, accuracy {:.3}",
                ARMS[*arm].0,
                ARMS[*arm].1,
                run.rewards.iter().sum::<f64>(),
                run.accuracy
            );
            done.lock().map_err(|e| e.to_string())?.push(run);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|t| t.join().map_err(|_| "a flock came to grief".to_owned())?)
    })?;
    let mut runs: Vec<Run> = done.into_inner()?;
    runs.sort_by_key(|run| (run.seed, run.arm));
    Ok(runs)
}

fn run(weights: &[u8], config: &lm::Config, size: &Size, arm: usize, seed: u64) -> Result<Run> {
    let Setting { task, samples, rate, updates, .. } = SETTING;
    let (own, foreign) = ARMS[arm];
    let mut charter = Charter {
        // Rounds' seeds follow from the charter's hash: each seed is another swarm, and all arms of one seed see different tasks.
        name: format!("bench {seed}"),
        game: Play::Share { own, foreign },
        environments: vec![Practised::new(task.name())],
        ..Charter::new()
    };
    (charter.answers.samples, charter.answers.prompt, charter.answers.tokens) =
        (samples, task.question_tokens() as u16, task.answer_tokens() as u16);
    (charter.learning.rate, charter.learning.updates, charter.learning.rise) = (rate, updates, 5);
    // Checks cost the same in every arm, and are no part of the question.
    charter.round.audits = 0;
    let (device, limits) = (Device::cpu(1), Limits::default());
    let tongue = Tongue::wren(charter.answers.prompt, charter.answers.tokens);
    let parts = Arc::new(Parts::new(charter, tongue.clone())?);
    let mut flock = Vec::new();
    for _ in 0..size.nodes {
        let model = Model::new(config.clone(), 0, &device, limits)?;
        let mut pupil = Pupil::new(model, &parts.charter, &tongue, limits)?;
        pupil.set_weights(weights)?;
        flock.push((Bird::new(pupil, tongue.clone(), limits), Nature::default()));
    }
    let mut sim = Sim::new(parts, flock, Links::GOOD, seed)?;
    sim.run(size.rounds)?;
    let mut rewards = vec![0.0; size.rounds as usize];
    let mut accuracy = 0.0;
    for node in 0..size.nodes {
        for (round, reward) in sim.rewards(node) {
            rewards[round as usize] += f64::from(reward) / size.nodes as f64;
        }
        let model = sim.body(node).pupil.model();
        accuracy += f64::from(task.exam(model, size.questions, Sampling::PLAIN, limits)?) / size.nodes as f64;
    }
    Ok(Run { arm, seed, rewards, accuracy })
}

fn mean(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.into_iter().fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
    sum / f64::max(count, 1.0)
}

/// Where the ratio of two means lies, by resampling the seeds of each: 95 % of 10,000 resamples.
fn interval(ours: &[f64], alone: &[f64]) -> [f64; 2] {
    let mut dice = Dice::new("bootstrap", 1, 0);
    let mut ratios: Vec<f64> = (0..10_000)
        .map(|_| {
            let mut again =
                |of: &[f64]| mean((0..of.len()).map(|_| of[dice.below(of.len() as u64) as usize]));
            again(ours) / again(alone)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    [ratios[250], ratios[9_749]]
}

/// The curves of all arms as an SVG: the mean over the seeds, in a band from the lowest to the highest.
fn plot(runs: &[Run], size: &Size) -> Result<PathBuf> {
    const COLOURS: [&str; 4] = ["#777777", "#2b83ba", "#1a9641", "#d7641c"];
    let (width, height, left, bottom) = (640.0, 360.0, 48.0, 36.0);
    let smooth = |run: &Run| -> Vec<f64> {
        let from = |i: usize| i.saturating_sub(4);
        (0..run.rewards.len()).map(|i| mean(run.rewards[from(i)..=i].iter().copied())).collect()
    };
    let curves: Vec<(usize, Vec<f64>)> = runs.iter().map(|run| (run.arm, smooth(run))).collect();
    let top = curves.iter().flat_map(|(_, curve)| curve).fold(0.1, |top: f64, x| top.max(*x));
    let x = |round: usize| left + (width - left - 90.0) * round as f64 / (size.rounds.max(2) - 1) as f64;
    let y = |reward: f64| height - bottom - (height - bottom - 16.0) * reward / top;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for tick in 0..=4 {
        let reward = top * f64::from(tick) / 4.0;
        writeln!(
            svg,
            "<path d=\"M{left} {y:.1}H{:.1}\" stroke=\"#dddddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{reward:.2}</text>",
            width - 90.0,
            left - 6.0,
            y(reward) + 4.0,
            y = y(reward),
        )?;
    }
    let caption = "round; mean reward of the nodes over five rounds, mean and range of the seeds";
    writeln!(svg, "<text x=\"{left}\" y=\"{:.1}\">{caption}</text>", height - 10.0)?;
    for (arm, (own, foreign)) in ARMS.iter().enumerate() {
        let of_arm: Vec<&Vec<f64>> =
            curves.iter().filter(|(of, _)| *of == arm).map(|(_, curve)| curve).collect();
        let at = |round: usize| of_arm.iter().map(move |curve| curve[round]);
        let rounds = size.rounds as usize;
        let point = |round: usize, reward: f64| format!("{:.1} {:.1}", x(round), y(reward));
        let upper = (0..rounds).map(|r| point(r, at(r).fold(f64::MIN, f64::max)));
        let lower = (0..rounds).rev().map(|r| point(r, at(r).fold(f64::MAX, f64::min)));
        let band: Vec<String> = upper.chain(lower).collect();
        let line: Vec<String> = (0..rounds).map(|r| point(r, mean(at(r)))).collect();
        let colour = COLOURS[arm];
        writeln!(svg, "<path d=\"M{}Z\" fill=\"{colour}\" opacity=\"0.15\"/>", band.join("L"))?;
        writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join("L")
        )?;
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{own}/{foreign}</text>",
            width - 80.0,
            24.0 + 18.0 * arm as f64
        )?;
    }
    svg.push_str("</svg>\n");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("swarm.svg");
    std::fs::write(&path, svg)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_what_it_should() {
        let [low, high] = interval(&[2.0, 2.0, 2.0], &[1.0, 1.0, 1.0]);
        assert_eq!([low, high], [2.0, 2.0]);
        let [low, high] = interval(&[2.0, 3.0, 4.0, 2.5, 3.5], &[1.0, 1.1, 0.9, 1.0, 1.0]);
        assert!(low > 2.0 && low < 3.0 && high > 3.0 && high < 4.0, "{low} {high}");
    }
}
