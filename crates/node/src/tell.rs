//! What a node can tell of itself besides what it is told: what it read, whom it is connected to, what it takes of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use net::Handle;
use swarm::{Flock, Known, NodeId};

use crate::report::{Answer, Link, Machine, Practice, Progress, Report, Sample};

/// Samples of one round, those that are its own, and the answers of each.
const LIMIT_SAMPLES: usize = 8;
const LIMIT_OWN: usize = 4;
const LIMIT_ANSWERS: usize = 8;
/// The longest text in a sample.
const LIMIT_TEXT: usize = 600;
/// Links that are told of.
const LIMIT_LINKS: usize = 64;
/// From one report of what the process takes to the next, and the least between two of its links.
const VITALS: Duration = Duration::from_secs(5);
const LINKS: Duration = Duration::from_secs(2);
/// Broken rules that are told of between two reports of what the process takes.
const LIMIT_REFUSALS: u32 = 8;
/// Files of a home that are counted.
const LIMIT_FILES: usize = 10_000;
/// Clock ticks in a second, as `/proc` counts them on every Linux.
const TICKS: f64 = 100.0;

/// What a node's own answers of a round were worth, by environment.
pub(crate) fn practised(flock: &Flock, round: u64) -> Vec<Practice> {
    let mut found: Vec<Practice> = Vec::new();
    for (_, known) in said(flock, round).filter(|((stage, node), _)| *stage == 0 && *node == flock.me()) {
        let name = environment(flock, known);
        let at = found.iter().position(|p| p.name == name).unwrap_or_else(|| {
            found.push(Practice { name, reward: 0.0, answers: 0 });
            found.len() - 1
        });
        let practised = &mut found[at];
        practised.reward += known.rewards.iter().map(|r| f64::from(*r)).sum::<f64>();
        practised.answers += known.rewards.len();
    }
    for practised in &mut found {
        practised.reward /= practised.answers.max(1) as f64;
    }
    found
}

/// Some answers of a round: the node's own, then one group of each of some others, then what was said in later stages.
pub(crate) fn samples(flock: &Flock, round: u64, name: impl Fn(NodeId) -> String) -> Vec<Sample> {
    let me = flock.me();
    let sample = |stage: u8, node: NodeId, known: &Known| {
        let task = &known.assigned.task;
        let answers = known.texts.iter().zip(&known.rewards).take(LIMIT_ANSWERS);
        Sample {
            peer: (node != me).then(|| name(node)),
            stage,
            environment: environment(flock, known),
            question: short(if task.question.is_empty() { &task.compact } else { &task.question }),
            right: short(&task.answer),
            answers: answers
                .map(|(text, reward)| Answer { text: text.as_deref().map(short), reward: f64::from(*reward) })
                .collect(),
        }
    };
    let (mut own, mut others, mut later) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen: Vec<NodeId> = Vec::new();
    for ((stage, node), known) in said(flock, round) {
        if stage > 0 {
            later.push(sample(stage, node, known));
        } else if node == me {
            own.push(sample(stage, node, known));
        } else if !seen.contains(&node) {
            seen.push(node);
            others.push(sample(stage, node, known));
        }
        if later.len() >= LIMIT_SAMPLES {
            break;
        }
    }
    own.truncate(LIMIT_OWN);
    own.extend(others.into_iter().take(LIMIT_SAMPLES / 4));
    own.extend(later);
    own.truncate(LIMIT_SAMPLES);
    own
}

fn said(flock: &Flock, round: u64) -> impl Iterator<Item = ((u8, NodeId), &Known)> {
    let world = flock.worlds().find(move |world| world.round == round);
    world.into_iter().flat_map(swarm::World::all).map(|(stage, node, _, known)| ((stage, node), known))
}

fn environment(flock: &Flock, known: &Known) -> String {
    let practised = flock.parts().charter.environments.get(usize::from(known.assigned.environment));
    practised.map_or_else(String::new, |practised| practised.name.clone())
}

fn short(text: &str) -> String {
    let mut short: String = text.chars().take(LIMIT_TEXT).collect();
    if text.chars().nth(LIMIT_TEXT).is_some() {
        short.push('…');
    }
    short
}

/// What a step of learning told, in a report's words.
pub(crate) fn progress(of: lm::Progress) -> Progress {
    Progress {
        loss: f64::from(of.loss),
        entropy: f64::from(of.surprise),
        ratio: f64::from(of.ratio),
        clipped: f64::from(of.clipped),
        norm: f64::from(of.norm),
    }
}

/// What this machine is.
pub(crate) fn machine(threads: usize, model_bytes: u64) -> Machine {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let line = |text: &str, name: &str| {
        let found = text.lines().find(|line| line.starts_with(name));
        found.and_then(|line| line.split_once(':')).map(|(_, rest)| rest.trim().to_owned())
    };
    let kib = line(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let kib: u64 = kib.trim_end_matches(" kB").trim().parse().unwrap_or(0);
    Machine {
        processor: line(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        threads,
        memory_bytes: kib << 10,
        model_bytes,
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
    }
}

/// What the process takes, where the system says so.
pub(crate) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0);
    kib << 10
}

/// Seconds of processor time that the process has had.
fn processor_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name before may have spaces and brackets in it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let [user, system]: [f64; 2] = [fields.next()?.parse().ok()?, fields.next()?.parse().ok()?];
    Some((user + system) / TICKS)
}

/// Bytes of the files in a folder and those below.
fn bytes_in(folder: &Path) -> u64 {
    let (mut bytes, mut files, mut folders) = (0, 0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += about.len();
            }
            files += 1;
            if files > LIMIT_FILES {
                return bytes;
            }
        }
    }
    bytes
}

/// Looks now and then at what nobody tells: connections, and what the process takes.
#[derive(Debug)]
pub(crate) struct Watch {
    home: PathBuf,
    links: Vec<Link>,
    linked: Option<Instant>,
    looked: Option<(Instant, Option<f64>)>,
    refusals: u32,
}

impl Watch {
    pub(crate) fn new(home: &Path) -> Watch {
        Watch { home: home.to_owned(), links: Vec::new(), linked: None, looked: None, refusals: 0 }
    }

    /// Whether a broken rule is told of: the first few are.
    pub(crate) fn may_tell_of_refusal(&mut self) -> bool {
        self.refusals += 1;
        self.refusals <= LIMIT_REFUSALS
    }

    /// What there is to tell now.
    pub(crate) fn look(&mut self, handle: &Handle, alone: bool) -> Vec<Report> {
        let mut told = Vec::new();
        if !alone && self.linked.is_none_or(|at| at.elapsed() >= LINKS) {
            self.linked = Some(Instant::now());
            let links = links(handle);
            if links != self.links {
                self.links.clone_from(&links);
                told.push(Report::Linked { links });
            }
        }
        if self.looked.is_none_or(|(at, _)| at.elapsed() >= VITALS) {
            let spent = processor_seconds();
            let processor = self.looked.and_then(|(at, before)| {
                let seconds = at.elapsed().as_secs_f64();
                Some((spent? - before?) / seconds)
            });
            self.looked = Some((Instant::now(), spent));
            self.refusals = 0;
            told.push(Report::Vitals {
                processor,
                resident_bytes: resident_bytes(),
                disk_bytes: bytes_in(&self.home),
                messages: handle.received().messages,
            });
        }
        told
    }
}

/// The connections, in the order of names, so that the same are told the same. Latencies to a tenth of a millisecond.
fn links(handle: &Handle) -> Vec<Link> {
    let mut links: Vec<Link> = handle
        .links()
        .into_iter()
        .map(|(peer, took)| Link {
            peer: peer.to_string(),
            latency_ms: took.map(|took| (took.as_secs_f64() * 1e4).round() / 10.0),
        })
        .collect();
    links.sort_by(|a, b| a.peer.cmp(&b.peer));
    links.truncate(LIMIT_LINKS);
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_of_the_system_makes_sense() {
        let machine = machine(2, 7);
        assert!(machine.cores > 0 && machine.model_bytes == 7 && machine.system.contains(' '));
        if cfg!(target_os = "linux") {
            assert!(resident_bytes() > 1 << 20 && machine.memory_bytes > resident_bytes());
            assert!(processor_seconds().is_some_and(|seconds| seconds < 1e6));
        }
    }

    #[test]
    fn a_folder_is_as_large_as_its_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), [0; 700]).unwrap();
        fs::write(folder.path().join("c"), [0; 70]).unwrap();
        assert_eq!(bytes_in(folder.path()), 770);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(short("so"), "so");
        assert_eq!(short(&"ü".repeat(1000)).chars().count(), LIMIT_TEXT + 1);
    }
}
