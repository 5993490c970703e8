//! `starling up` next to `GenRL`: two nodes that exchange answers, with the same model and as many questions, samples and tokens in a round.
//!
//! Ours does more in a round: every answer is signed and checked, one node audits the other's weights bit by bit, and a chain of our own
//! opens the round and pays for it. Its processes are all counted: two nodes, the chain, and what starts them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use swarm::{Charter, Play, Practised};

use crate::report::Unit;
use crate::{Bench, Result};

const NODES: usize = 2;
const QUESTIONS: u16 = 2;
const SAMPLES: u16 = 2;
const TOKENS: u16 = 24;
/// Rounds at the beginning that are not timed: peers find each other, caches are filled.
const WARM_UP: usize = 2;
/// Who says nothing for so long is stuck.
const PATIENCE: Duration = Duration::from_mins(3);

/// What came of one run.
struct Run {
    rounds_per_minute: f64,
    /// Of all processes together, at the most, divided by the nodes.
    bytes_per_node: f64,
    /// Questions of the other node that a node learned from, per round.
    heard: f64,
}

pub(crate) fn bench(bench: &mut Bench) -> Result {
    let wanted = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .ok_or_else(|| format!("{name} must be set: `cargo xtask bench genrl` does it"))
    };
    let (python, starling) = (wanted("BENCH_GENRL_PYTHON")?, wanted("BENCH_STARLING")?);
    let folder = std::env::temp_dir().join(format!("bench-genrl-{}", std::process::id()));
    let figures = compare(bench, &python, &starling, &folder);
    fs::remove_dir_all(&folder)?;
    figures
}

fn compare(bench: &mut Bench, python: &Path, starling: &Path, folder: &Path) -> Result {
    let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/genrl_peer.py");
    let model = folder.join("model");
    fs::create_dir_all(folder)?;
    let made = Command::new(python)
        .arg(&peer)
        .arg("model")
        .arg(&model)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if !made.success() {
        return Err("the model could not be made".into());
    }
    bench.report.open(
        "genrl",
        &format!("{NODES} nodes, {QUESTIONS} questions, {SAMPLES} samples of {TOKENS} tokens in a round, 0.17 M parameters"),
    );
    let (repeats, rounds) = if bench.quick { (1, [6, 4]) } else { (3, [60, 10]) };
    let mut runs: [Vec<Run>; 3] = Default::default();
    for repeat in 0..repeats {
        runs[0].push(ours(starling, &model, &folder.join(format!("ours-{repeat}")), rounds[0])?);
        for (run, sleeps) in [(1, true), (2, false)] {
            let name = format!("peers-{run}-{repeat}");
            runs[run].push(genrl(python, &peer, &model, &folder.join(name), rounds[1], sleeps)?);
        }
    }
    let median = |run: usize, of: fn(&Run) -> f64| {
        let mut numbers: Vec<f64> = runs[run].iter().map(of).collect();
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    };
    let names = ["", "GenRL", "GenRL without its sleep"];
    for (run, name) in names.iter().enumerate().skip(1) {
        let [speed, peer] = [0, run].map(|run| median(run, |r| r.rounds_per_minute));
        bench.report.figure("rounds", Unit::Rate("/min"), speed, name, peer);
    }
    let [memory, peer] = [0, 1].map(|run| median(run, |r| r.bytes_per_node / 1e6));
    bench.report.figure("memory per node", Unit::Cost("MB"), memory, names[1], peer);
    let [heard, peer] = [0, 1].map(|run| median(run, |r| r.heard));
    bench.report.figure("foreign questions learned from", Unit::Rate("/round"), heard, names[1], peer);
    let environment = python.parent().and_then(Path::parent).ok_or("GenRL's Python has no environment")?;
    let [installed, peer] = [on_disk(starling)? / 1e6, on_disk(environment)? / 1e6];
    bench.report.figure("installed", Unit::Cost("MB"), installed, names[1], peer);
    Ok(())
}

/// A colony of two, from a charter that says what `GenRL` is told.
fn ours(starling: &Path, model: &Path, home: &Path, rounds: usize) -> Result<Run> {
    let mut charter = Charter {
        name: "bench genrl".to_owned(),
        model: model.display().to_string(),
        game: Play::Share { own: QUESTIONS, foreign: QUESTIONS },
        environments: vec![Practised { level: 1, ..Practised::new("letter_counting") }],
        ..Charter::new()
    };
    (charter.answers.samples, charter.answers.tokens, charter.answers.prompt) = (SAMPLES, TOKENS, 160);
    fs::create_dir_all(home)?;
    let file = home.join("swarm.toml");
    fs::write(&file, charter.to_toml())?;
    let mut up = Command::new(starling);
    up.args(["up", "--no-control", "--json", "--nodes", &NODES.to_string()])
        .args(["--rounds", &rounds.to_string()])
        .arg("--swarm")
        .arg(&file)
        .arg("--home")
        .arg(home.join("home"));
    watch(vec![up], rounds, |line| {
        let report = &line["report"];
        (report["what"] == "learned").then(|| {
            let node = line["node"].as_str().unwrap_or_default().to_owned();
            let answers = report["heard"].as_array().into_iter().flatten();
            let answers: u64 = answers.filter_map(|heard| heard[1].as_u64()).sum();
            (node, answers as f64 / f64::from(SAMPLES))
        })
    })
}

fn genrl(
    python: &Path,
    script: &Path,
    model: &Path,
    folder: &Path,
    rounds: usize,
    sleeps: bool,
) -> Result<Run> {
    fs::create_dir_all(folder)?;
    let nodes = (0..NODES).map(|number| {
        let size = json!({
            "first": number == 0, "rounds": rounds, "questions": QUESTIONS, "samples": SAMPLES, "tokens": TOKENS, "sleep": sleeps,
        });
        let mut node = Command::new(python);
        node.arg(script).arg("node").arg(model).arg(folder.join("peers")).arg(size.to_string()).current_dir(folder);
        node
    });
    watch(nodes.collect(), rounds, |line| Some((line["process"].to_string(), line["heard"].as_f64()?)))
}

/// Runs these programs until every node has told of all its rounds. `read` makes of a line which node it is of, and how many foreign
/// questions it learned from, if a round has ended.
fn watch(
    programs: Vec<Command>,
    rounds: usize,
    read: impl Fn(&Value) -> Option<(String, f64)>,
) -> Result<Run> {
    let (lines, told) = mpsc::channel();
    let mut family = Family(Vec::new());
    for mut program in programs {
        let mut child = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        family.0.push(child);
        let lines = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                let _ = lines.send((Instant::now(), line));
            }
        });
    }
    drop(lines);
    let mut nodes: BTreeMap<String, Vec<Instant>> = BTreeMap::new();
    let (mut bytes, mut heard, mut ended) = (0.0_f64, 0.0, 0.0);
    while nodes.len() < NODES || nodes.values().any(|ends| ends.len() < rounds) {
        let (at, line) = told.recv_timeout(PATIENCE).map_err(|_| "a node ended, or is stuck")?;
        let Some((node, questions)) = serde_json::from_str(&line).ok().and_then(|line| read(&line)) else {
            continue;
        };
        nodes.entry(node).or_default().push(at);
        (heard, ended) = (heard + questions, ended + 1.0);
        bytes = bytes.max(family.bytes());
    }
    let speed = nodes.values().map(|ends| {
        let timed = &ends[WARM_UP..];
        let took = timed[timed.len() - 1].duration_since(timed[0]).as_secs_f64();
        60.0 * (timed.len() - 1) as f64 / took / NODES as f64
    });
    Ok(Run { rounds_per_minute: speed.sum(), bytes_per_node: bytes / NODES as f64, heard: heard / ended })
}

/// Processes, which end with this.
struct Family(Vec<Child>);

impl Family {
    /// What they and all their descendants take; what several share is counted once.
    fn bytes(&self) -> f64 {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(number) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            // The name, in brackets, may hold anything.
            let parent =
                stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
            children.entry(parent.unwrap_or_default()).or_default().push(number);
        }
        let mut found: Vec<u32> = self.0.iter().map(Child::id).collect();
        let mut at = 0;
        while let Some(number) = found.get(at) {
            found.extend(children.get(number).into_iter().flatten());
            at += 1;
        }
        found.into_iter().map(share_of_memory).sum()
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It is asked first, so that it can end its own children.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(40) && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn share_of_memory(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib: f64 =
        line.and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0.0);
    kib * 1024.0
}

/// What a file or a folder takes, links not followed.
fn on_disk(path: &Path) -> Result<f64> {
    let about = fs::symlink_metadata(path)?;
    if !about.is_dir() {
        return Ok(about.len() as f64);
    }
    fs::read_dir(path)?.try_fold(0.0, |sum, entry| Ok(sum + on_disk(&entry?.path())?))
}
