//! How the nodes are: what all they told comes to. Every list in it is bounded, whatever is told and for however long.

use std::collections::BTreeMap;

use chain::Credits;
use serde::{Deserialize, Serialize};

use super::feed::Told;
use crate::report::{Link, Machine, Progress, Report, Sample};
use crate::status::Status;

/// Nodes that are known. `starling up` starts at most 65.
const LIMIT_NODES: usize = 128;
/// Points of a curve. When there are more, neighbours in its older half become one.
const LIMIT_POINTS: usize = 512;
/// The last examinations, audits, deeds and peers that are listed.
const LIMIT_EXAMS: usize = 256;
const LIMIT_AUDITS: usize = 64;
const LIMIT_DEEDS: usize = 48;
const LIMIT_PEERS: usize = 128;
/// What was said while it began.
const LIMIT_WORDS: usize = 32;

/// How the nodes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct State {
    /// When the events began to be counted. Numbers of events mean nothing next to another such time.
    pub feed: u64,
    /// The number of the newest event that is in here.
    pub last: u64,
    /// When that was told, in milliseconds since 1970.
    pub at_ms: u64,
    /// What takes part, in the program's words: its version.
    pub version: String,
    /// The swarm's name; empty until it is known.
    pub swarm: String,
    /// How others join; empty until it is known.
    pub invite: String,
    /// What is being done to begin.
    pub words: Vec<String>,
    /// The nodes that tell of themselves here.
    pub nodes: Vec<Node>,
}

/// How a node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Node {
    /// What it is called here.
    pub name: String,
    /// Whether it hears nobody and tells nobody.
    pub alone: bool,
    /// Whether its process runs.
    pub runs: bool,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: u64,
    /// What `starling status` shows of it.
    pub status: Status,
    /// Its wallet.
    pub wallet: String,
    /// The root of its model.
    pub model: String,
    /// How the swarm works together.
    pub game: String,
    /// What is learned.
    pub environments: Vec<String>,
    /// What it runs on.
    pub machine: Machine,
    /// The newest round that was opened, and when.
    pub opened: Option<Opened>,
    /// Whom it is connected to.
    pub links: Vec<Link>,
    /// What it takes of the machine.
    pub vitals: Option<Vitals>,
    /// What came of its rounds.
    pub curve: Vec<Point>,
    /// Its examinations, on questions that are never learned from.
    pub exams: Vec<Exam>,
    /// Answers of others that it learned from in its last round, by peer.
    pub heard: BTreeMap<String, usize>,
    /// All that it has checked, by peer.
    pub checked: BTreeMap<String, Checked>,
    /// The last it has checked, the newest at the end.
    pub audits: Vec<Audit>,
    /// What it said last, and what others did.
    pub samples: Option<Samples>,
    /// What it was paid since events are counted.
    pub paid: Paid,
    /// The last it did on the chain, the newest at the end.
    pub deeds: Vec<Deed>,
}

/// A round that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Opened {
    /// Which.
    pub round: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What came of a round, or of several that were put together: then means over them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Point {
    /// The last of these rounds.
    pub round: u64,
    /// How many they are.
    pub rounds: u64,
    /// When it was told.
    pub at_ms: u64,
    /// The mean reward of its own answers.
    pub reward: f64,
    /// Its own answers.
    pub own: f64,
    /// Answers of others that it learned from.
    pub heard: f64,
    /// Tokens it spoke per second.
    pub tokens_per_second: f64,
    /// The mean length of its own answers.
    pub answer_tokens: f64,
    /// What it took to answer, in milliseconds.
    pub answer_ms: f64,
    /// What it took to learn.
    pub learn_ms: f64,
    /// Memory.
    pub resident_bytes: f64,
    /// What learning told, if there was something to learn in all of these rounds.
    pub progress: Option<Progress>,
    /// The mean reward by environment, in the order of the node's; nothing for one that was not practised.
    pub environments: Vec<Option<f64>>,
}

/// An examination.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exam {
    /// After which round; 0 before the first.
    pub round: u64,
    /// The share of right answers.
    pub right: f64,
    /// How many were asked.
    pub asked: usize,
}

/// How often a peer was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Checked {
    /// And every bit held.
    pub held: u64,
    /// And it did not.
    pub failed: u64,
    /// Answers that were checked.
    pub answers: u64,
}

/// A check of another's answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Audit {
    /// When it came to its end.
    pub at_ms: u64,
    /// Of which round.
    pub round: u64,
    /// Whose answers.
    pub peer: String,
    /// Whether every bit held.
    pub holds: bool,
    /// What was found.
    pub finding: String,
    /// How many answers.
    pub answers: usize,
    /// How long it took, without fetching the weights.
    pub took_ms: u64,
}

/// Answers to be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Samples {
    /// Of which round.
    pub round: u64,
    /// The answers.
    pub samples: Vec<Sample>,
}

/// What a node takes of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Vitals {
    /// When.
    pub at_ms: u64,
    /// Of one processor's time.
    pub processor: Option<f64>,
    /// Memory.
    pub resident_bytes: u64,
    /// What is in its home.
    pub disk_bytes: u64,
    /// New messages that came by gossip so far.
    pub messages: u64,
}

/// What a node was paid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Paid {
    /// In credits.
    pub credits: String,
    /// For so many rounds.
    pub rounds: u64,
}

/// Something that a node did on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Deed {
    /// When.
    pub at_ms: u64,
    /// For which round.
    pub round: u64,
    /// What.
    pub deed: String,
}

impl State {
    /// Of which nothing is known.
    pub(crate) fn new(feed: u64) -> State {
        State {
            feed,
            last: 0,
            at_ms: feed,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            swarm: String::new(),
            invite: String::new(),
            words: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// The node of a name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// A new run begins: whoever ran before does not any more.
    pub(crate) fn begin(&mut self) {
        version(&mut self.version);
        self.words.clear();
        for node in &mut self.nodes {
            node.runs = false;
        }
    }

    /// Takes in what was told.
    pub(crate) fn take(&mut self, told: &Told) {
        self.last = told.id;
        self.at_ms = told.at_ms;
        if told.node.is_empty() {
            if let Report::Said { words } = &told.report {
                keep_last(&mut self.words, words.clone(), LIMIT_WORDS);
            }
            return;
        }
        let at = self.nodes.iter().position(|node| node.name == told.node);
        let at = match at {
            Some(at) => at,
            None if self.nodes.len() < LIMIT_NODES => {
                self.nodes.push(Node { name: told.node.clone(), ..Node::default() });
                self.nodes.len() - 1
            }
            None => return,
        };
        if let Report::Started { swarm, .. } = &told.report {
            self.swarm.clone_from(swarm);
        }
        self.nodes[at].take(told.at_ms, &told.report);
    }
}

fn version(of: &mut String) {
    env!("CARGO_PKG_VERSION").clone_into(of);
}

impl Node {
    fn take(&mut self, at_ms: u64, report: &Report) {
        self.status.take(report);
        self.status.at = at_ms / 1000;
        match report {
            Report::Started { alone, wallet, model, machine, game, environments, .. } => {
                (self.alone, self.runs, self.started_ms) = (*alone, true, at_ms);
                (self.status.complaints, self.status.ended) = (Vec::new(), false);
                self.wallet.clone_from(wallet);
                self.model.clone_from(model);
                self.machine.clone_from(machine);
                self.game.clone_from(game);
                self.environments.clone_from(environments);
                (self.links, self.vitals) = (Vec::new(), None);
            }
            Report::Linked { links } => self.links.clone_from(links),
            Report::Vitals { processor, resident_bytes, disk_bytes, messages } => {
                self.vitals = Some(Vitals {
                    at_ms,
                    processor: *processor,
                    resident_bytes: *resident_bytes,
                    disk_bytes: *disk_bytes,
                    messages: *messages,
                });
            }
            Report::Opened { round } => self.opened = Some(Opened { round: *round, at_ms }),
            Report::Learned { heard, model, .. } => {
                self.heard = heard.iter().take(LIMIT_PEERS).cloned().collect();
                self.model.clone_from(model);
                if let Some(point) = Point::of(at_ms, report, &self.environments) {
                    self.curve.push(point);
                    thin(&mut self.curve);
                }
            }
            Report::Examined { round, right, asked } => {
                let exam = Exam { round: *round, right: *right, asked: *asked };
                self.exams.retain(|exam| exam.round != *round);
                keep_last(&mut self.exams, exam, LIMIT_EXAMS);
            }
            Report::Audited { round, peer, holds, finding, answers, took_ms } => {
                if self.checked.len() < LIMIT_PEERS || self.checked.contains_key(peer) {
                    let checked = self.checked.entry(peer.clone()).or_default();
                    *(if *holds { &mut checked.held } else { &mut checked.failed }) += 1;
                    checked.answers += *answers as u64;
                }
                let audit = Audit {
                    at_ms,
                    round: *round,
                    peer: peer.clone(),
                    holds: *holds,
                    finding: finding.clone(),
                    answers: *answers,
                    took_ms: *took_ms,
                };
                keep_last(&mut self.audits, audit, LIMIT_AUDITS);
            }
            Report::Samples { round, samples } => {
                self.samples = Some(Samples { round: *round, samples: samples.clone() });
            }
            Report::Did { round, deed } => {
                let deed = Deed { at_ms, round: *round, deed: deed.clone() };
                keep_last(&mut self.deeds, deed, LIMIT_DEEDS);
            }
            Report::Paid { credits, .. } => {
                let had: Credits = self.paid.credits.parse().unwrap_or_default();
                let more: Credits = credits.parse().unwrap_or_default();
                self.paid = Paid {
                    credits: Credits(had.0.saturating_add(more.0)).to_string(),
                    rounds: self.paid.rounds + 1,
                };
            }
            Report::Ended { .. } | Report::Gone => self.runs = false,
            _ => {}
        }
    }
}

impl Point {
    fn of(at_ms: u64, report: &Report, names: &[String]) -> Option<Point> {
        let Report::Learned {
            round,
            reward,
            own,
            heard,
            tokens_per_second,
            answer_ms,
            learn_ms,
            resident_bytes,
            environments,
            answer_tokens,
            progress,
            ..
        } = report
        else {
            return None;
        };
        let of = |name: &String| environments.iter().find(|practice| practice.name == *name);
        Some(Point {
            round: *round,
            rounds: 1,
            at_ms,
            reward: brief(*reward),
            own: *own as f64,
            heard: heard.iter().map(|(_, count)| *count).sum::<usize>() as f64,
            tokens_per_second: brief(*tokens_per_second),
            answer_tokens: brief(*answer_tokens),
            answer_ms: *answer_ms as f64,
            learn_ms: *learn_ms as f64,
            resident_bytes: *resident_bytes as f64,
            progress: progress.map(|p| p.map(brief)),
            environments: names.iter().map(|name| of(name).map(|p| brief(p.reward))).collect(),
        })
    }

    /// Two neighbours as one.
    fn with(&self, next: &Point) -> Point {
        let rounds = self.rounds + next.rounds;
        let share = next.rounds as f64 / rounds as f64;
        let mean = |a: f64, b: f64| brief(a + share * (b - a));
        let either = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(mean(a, b)),
            (a, b) => a.or(b),
        };
        let environments = self.environments.iter().zip(&next.environments);
        Point {
            round: next.round,
            rounds,
            at_ms: next.at_ms,
            reward: mean(self.reward, next.reward),
            own: mean(self.own, next.own),
            heard: mean(self.heard, next.heard),
            tokens_per_second: mean(self.tokens_per_second, next.tokens_per_second),
            answer_tokens: mean(self.answer_tokens, next.answer_tokens),
            answer_ms: mean(self.answer_ms, next.answer_ms),
            learn_ms: mean(self.learn_ms, next.learn_ms),
            resident_bytes: mean(self.resident_bytes, next.resident_bytes),
            progress: match (self.progress, next.progress) {
                (Some(a), Some(b)) => Some(a.zip(b, mean)),
                (a, b) => a.or(b),
            },
            environments: environments.map(|(a, b)| either(*a, *b)).collect(),
        }
    }
}

impl Progress {
    fn map(self, with: impl Fn(f64) -> f64) -> Progress {
        self.zip(self, |a, _| with(a))
    }

    fn zip(self, other: Progress, with: impl Fn(f64, f64) -> f64) -> Progress {
        Progress {
            loss: with(self.loss, other.loss),
            entropy: with(self.entropy, other.entropy),
            ratio: with(self.ratio, other.ratio),
            clipped: with(self.clipped, other.clipped),
            norm: with(self.norm, other.norm),
        }
    }
}

/// Six decimals: nobody sees more in a plot, and what is sent is half as long.
fn brief(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// Makes room in a curve that has become too long: neighbours in its older half become one, so that the newest rounds stay one by one.
fn thin(curve: &mut Vec<Point>) {
    if curve.len() <= LIMIT_POINTS {
        return;
    }
    let newer = curve.split_off(LIMIT_POINTS / 2);
    let older = std::mem::take(curve);
    for pair in older.chunks(2) {
        curve.push(match pair {
            [a, b] => a.with(b),
            _ => pair[0].clone(),
        });
    }
    curve.extend(newer);
}

fn keep_last<T>(list: &mut Vec<T>, new: T, limit: usize) {
    list.push(new);
    let many = list.len().saturating_sub(limit);
    list.drain(..many);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Practice;

    pub(crate) fn learned(round: u64, reward: f64) -> Report {
        Report::Learned {
            round,
            reward,
            own: 10,
            heard: vec![("a".to_owned(), 3), ("b".to_owned(), 4)],
            tokens_per_second: 100.0,
            answer_ms: 5,
            learn_ms: 6,
            model: format!("{round:064x}"),
            resident_bytes: 1 << 20,
            environments: vec![Practice { name: "add".to_owned(), reward, answers: 10 }],
            answer_tokens: 2.5,
            progress: Some(Progress { loss: -0.1, ..Progress::default() }),
        }
    }

    fn state(reports: impl IntoIterator<Item = Report>) -> State {
        let mut state = State::new(0);
        for (report, id) in reports.into_iter().zip(1..) {
            state.take(&Told { id, at_ms: 1000 * id, node: "1".to_owned(), report });
        }
        state
    }

    #[test]
    fn a_long_curve_keeps_its_shape_and_its_newest_rounds() {
        let rounds = 20_000;
        let state = state((1..=rounds).map(|round| learned(round, round as f64)));
        let curve = &state.nodes[0].curve;
        assert!(curve.len() <= LIMIT_POINTS, "{}", curve.len());
        assert_eq!(curve.iter().map(|p| p.rounds).sum::<u64>(), rounds, "no round is lost");
        let sum: f64 = curve.iter().map(|p| p.reward * p.rounds as f64).sum();
        let right = (rounds * (rounds + 1) / 2) as f64;
        assert!((sum / right - 1.0).abs() < 1e-9, "{sum} and not {right}");
        assert!(curve.is_sorted_by(|a, b| a.round < b.round && a.reward < b.reward));
        assert!(curve[curve.len() - 100..].iter().all(|p| p.rounds == 1));
    }

    #[test]
    fn what_is_kept_of_a_node_is_bounded() {
        let audited = |n: u64| Report::Audited {
            round: n,
            peer: format!("peer {n}"),
            holds: !n.is_multiple_of(10),
            finding: "every bit holds".to_owned(),
            answers: 3,
            took_ms: 1,
        };
        let did = |n: u64| Report::Did { round: n, deed: "committed".to_owned() };
        let examined = |n: u64| Report::Examined { round: n, right: 0.5, asked: 2 };
        let reports = (0..1000).flat_map(|n| [audited(n), did(n), examined(n)]);
        let node = &state(reports).nodes[0];
        assert_eq!((node.audits.len(), node.deeds.len()), (LIMIT_AUDITS, LIMIT_DEEDS));
        assert_eq!((node.exams.len(), node.checked.len()), (LIMIT_EXAMS, LIMIT_PEERS));
        assert_eq!(node.checked["peer 10"], Checked { held: 0, failed: 1, answers: 3 });
        let crowd = (0..1000).map(|n| Told { id: n, at_ms: n, node: n.to_string(), report: did(n) });
        let mut many = State::new(0);
        crowd.for_each(|told| many.take(&told));
        assert_eq!(many.nodes.len(), LIMIT_NODES);
    }

    #[test]
    fn what_was_paid_adds_up() {
        let paid = |credits: &str| Report::Paid { round: 1, credits: credits.to_owned() };
        let state = state([paid("0.1"), paid("2.25"), paid("no number")]);
        assert_eq!(state.nodes[0].paid, Paid { credits: "2.35".to_owned(), rounds: 3 });
    }

    #[test]
    fn who_starts_again_runs_and_has_no_old_complaints() {
        let trouble = Report::Trouble { part: "chain".to_owned(), why: "it is away".to_owned() };
        let mut state = state([learned(3, 0.5), trouble, Report::Gone]);
        assert!(!state.nodes[0].runs && state.nodes[0].status.complaints.len() == 1);
        let report = serde_json::from_str(
            r#"{"what":"started","peer":"p","process":1,"wallet":"w","swarm":"s","model":"m","resumed":3,"resident_bytes":0}"#,
        );
        state.take(&Told { id: 9, at_ms: 9, node: "1".to_owned(), report: report.unwrap() });
        let node = state.node("1").unwrap();
        assert!(node.runs && node.status.complaints.is_empty() && node.curve.len() == 1);
        assert_eq!(state.swarm, "s");
    }
}
