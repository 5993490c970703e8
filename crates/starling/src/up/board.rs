//! What is shown of a colony: a line for each round, and at the end what was learned.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use chain::Credits;
use node::{Colony, News, Report};
use serde_json::{Value, json};

/// What is known of each node, and of the rounds they are in.
pub(crate) struct Board {
    begin: Instant,
    birds: Vec<Bird>,
    /// Rounds that were not shown yet: what each node made of it.
    rounds: BTreeMap<u64, BTreeMap<usize, Part>>,
    /// The newest round that was shown.
    shown: u64,
}

#[derive(Default)]
struct Bird {
    name: String,
    peer: String,
    /// Accuracy on questions that are never learned from, with the round after which it was so.
    exams: Vec<(u64, f64)>,
    /// All rewards of its own answers, and how many rounds.
    rewards: f64,
    rounds: u64,
    memory_bytes: u64,
    audits: [u64; 2],
    gone: bool,
    /// The last rewards, oldest first.
    recent: VecDeque<f64>,
    /// Tokens per second in the last round, and what the process takes.
    speed: f64,
    resident_bytes: u64,
    /// Whose answers it learned from in the last round, by peer, and how many.
    heard: Vec<(String, usize)>,
    /// Whether it rests.
    rests: bool,
}

impl Bird {
    fn sight(&self, heard: Vec<(usize, usize)>) -> Sight<'_> {
        Sight {
            name: &self.name,
            rewards: &self.recent,
            right: self.exams.last().map(|exam| exam.1),
            speed: self.speed,
            memory_bytes: self.resident_bytes,
            audits: self.audits,
            heard,
            rests: self.rests,
            gone: self.gone,
        }
    }
}

/// Rewards of a node that are remembered for its curve.
const RECENT: usize = 240;

/// A node as it is now, to be drawn.
#[derive(Clone, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) name: &'a str,
    pub(crate) rewards: &'a VecDeque<f64>,
    pub(crate) right: Option<f64>,
    pub(crate) speed: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) audits: [u64; 2],
    /// Whom it has heard in the last round, by their number on the board, and how many answers.
    pub(crate) heard: Vec<(usize, usize)>,
    pub(crate) rests: bool,
    pub(crate) gone: bool,
}

/// A node's part in a round.
#[derive(Clone, Default)]
struct Part {
    reward: f64,
    own: usize,
    heard: Vec<(String, usize)>,
    tokens_per_second: f64,
}

impl Board {
    pub(crate) fn new(names: Vec<String>, begin: Instant) -> Board {
        let birds = names.into_iter().map(|name| Bird { name, ..Bird::default() }).collect();
        Board { begin, birds, rounds: BTreeMap::new(), shown: 0 }
    }

    pub(crate) fn name(&self, i: usize) -> &str {
        &self.birds[i].name
    }

    /// The newest round of which something is known.
    pub(crate) fn round(&self) -> u64 {
        self.rounds.keys().next_back().copied().unwrap_or(0).max(self.shown)
    }

    /// How each node is.
    pub(crate) fn sights(&self) -> Vec<Sight<'_>> {
        let number = |peer: &str| self.birds.iter().position(|bird| bird.peer == peer);
        let heard = |bird: &Bird| {
            bird.heard.iter().filter_map(|(peer, count)| Some((number(peer)?, *count))).collect()
        };
        self.birds.iter().map(|bird| bird.sight(heard(bird))).collect()
    }

    /// Takes news in, and gives what people should read of it.
    pub(crate) fn take(&mut self, i: usize, news: &News) -> Vec<String> {
        let mut lines = Vec::new();
        match news {
            News::Report(report) => self.report(i, report, &mut lines),
            News::Words(words) if words.is_empty() => {}
            News::Words(words) => lines.push(format!("node {}: {words}", self.name(i))),
            News::Gone => {
                self.birds[i].gone = true;
                self.show_complete(&mut lines);
            }
        }
        lines
    }

    fn report(&mut self, i: usize, report: &Report, lines: &mut Vec<String>) {
        let clock = self.clock();
        // A peer by its name in the flock, if it is one of them.
        let of = match report {
            Report::Audited { peer, .. } => {
                let found = self.birds.iter().find(|b| b.peer == *peer);
                found.map_or_else(|| node::bird(peer), |b| format!("node {}", b.name))
            }
            _ => String::new(),
        };
        let bird = &mut self.birds[i];
        match report {
            Report::Started { peer, .. } => bird.peer.clone_from(peer),
            Report::Examined { round, right, asked } => {
                bird.exams.push((*round, *right));
                if *round == 0 {
                    lines.push(format!(
                        "node {:>5}   before: {:.1} % of {asked} questions it has never seen   {}",
                        bird.name,
                        100.0 * right,
                        clock
                    ));
                }
            }
            Report::Learned { round, reward, own, heard, tokens_per_second, resident_bytes, .. } => {
                bird.rewards += reward;
                bird.rounds += 1;
                bird.memory_bytes = bird.memory_bytes.max(*resident_bytes);
                bird.resident_bytes = *resident_bytes;
                bird.speed = *tokens_per_second;
                bird.heard.clone_from(heard);
                if bird.recent.len() == RECENT {
                    bird.recent.pop_front();
                }
                bird.recent.push_back(*reward);
                let part = Part {
                    reward: *reward,
                    own: *own,
                    heard: heard.clone(),
                    tokens_per_second: *tokens_per_second,
                };
                self.rounds.entry(*round).or_default().insert(i, part);
                self.show_complete(lines);
            }
            Report::Audited { holds, finding, .. } => {
                bird.audits[usize::from(!holds)] += 1;
                if !holds {
                    lines.push(format!("node {}: {of} was found out: {finding}", bird.name));
                }
            }
            Report::Rests { .. } | Report::Works => {
                bird.rests = matches!(report, Report::Rests { .. });
                lines.extend(report.sentence().map(|words| format!("node {}: {words}", bird.name)));
            }
            Report::Heard { .. } | Report::Trouble { .. } | Report::Well { .. } => {
                lines.extend(report.sentence().map(|words| format!("node {}: {words}", bird.name)));
            }
            _ => {}
        }
    }

    /// Shows each round of which all have told their part, or that a later one has overtaken by two.
    fn show_complete(&mut self, lines: &mut Vec<String>) {
        let newest = self.rounds.keys().next_back().copied().unwrap_or(0);
        while let Some(oldest) = self.rounds.first_entry() {
            let parts = oldest.get();
            let all = self.birds.iter().enumerate().all(|(i, bird)| bird.gone || parts.contains_key(&i));
            if !all && newest < oldest.key() + 2 {
                break;
            }
            let (round, parts) = oldest.remove_entry();
            if round > self.shown {
                self.shown = round;
                lines.push(self.line(round, &parts));
            }
        }
    }

    fn line(&self, round: u64, parts: &BTreeMap<usize, Part>) -> String {
        let alone = |i: usize| self.birds[i].name == "alone";
        let together: Vec<&Part> = parts.iter().filter(|(i, _)| !alone(**i)).map(|(_, part)| part).collect();
        let mean = together.iter().map(|p| p.reward).sum::<f64>() / together.len().max(1) as f64;
        let shared: usize = together.iter().flat_map(|p| &p.heard).map(|(_, count)| count).sum();
        let own: usize = together.iter().map(|p| p.own).sum();
        let speed: f64 = parts.values().map(|p| p.tokens_per_second).sum();
        let control = parts
            .iter()
            .find(|(i, _)| alone(**i))
            .map_or_else(String::new, |(_, part)| format!("   alone {:.3}", part.reward));
        format!(
            "round {round:4}   reward {mean:.3}{control}   {} nodes, {own} answers of their own, {shared} of each other's   {speed:.0} tokens/s   {}",
            together.len(),
            self.clock()
        )
    }

    pub(crate) fn clock(&self) -> String {
        format!("{:.0} s", self.begin.elapsed().as_secs_f64())
    }

    /// What was learned, for people.
    pub(crate) fn summary(&self, purses: &[Credits]) -> Vec<String> {
        let mut lines = vec![
            String::new(),
            format!(
                "{:>7}   {:>7}   {:>7}   {:>11}   {:>8}   {:>10}   {:>12}",
                "node", "before", "after", "mean reward", "memory", "checked", "earned"
            ),
        ];
        let percent =
            |exam: Option<&(u64, f64)>| exam.map_or("-".to_owned(), |(_, r)| format!("{:.1} %", 100.0 * r));
        for (i, bird) in self.birds.iter().enumerate() {
            lines.push(format!(
                "{:>7}   {:>7}   {:>7}   {:>11.3}   {:>4} MiB   {:>10}   {:>12}",
                bird.name,
                percent(bird.exams.first()),
                percent(bird.exams.last()),
                bird.rewards / bird.rounds.max(1) as f64,
                bird.memory_bytes >> 20,
                format!("{} of {}", bird.audits[0], bird.audits[0] + bird.audits[1]),
                purses.get(i).map_or_else(String::new, |c| brief(*c)),
            ));
        }
        if let Some((together, alone)) = self.together_and_alone() {
            lines.push(String::new());
            lines.push(format!(
                "Together they come to {:.1} % and alone to {:.1} %, of the median node's questions; mean reward {:.3} against {:.3}.",
                100.0 * together.0,
                100.0 * alone.0,
                together.1,
                alone.1
            ));
        }
        lines
    }

    /// Last accuracy and mean reward of the median node, and of the one that heard nobody.
    fn together_and_alone(&self) -> Option<((f64, f64), (f64, f64))> {
        let of = |bird: &Bird| Some((bird.exams.last()?.1, bird.rewards / bird.rounds.max(1) as f64));
        let alone = self.birds.iter().find(|b| b.name == "alone").and_then(of)?;
        let mut others: Vec<_> = self.birds.iter().filter(|b| b.name != "alone").filter_map(of).collect();
        others.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some((*others.get(others.len() / 2)?, alone))
    }

    /// What was learned, for programs.
    pub(crate) fn ended(&self, purses: &[Credits]) -> Value {
        let nodes: Vec<Value> = self
            .birds
            .iter()
            .enumerate()
            .map(|(i, bird)| {
                json!({
                    "node": bird.name,
                    "peer": bird.peer,
                    "before": bird.exams.first().map(|e| e.1),
                    "after": bird.exams.last().map(|e| e.1),
                    "rounds": bird.rounds,
                    "mean_reward": bird.rewards / bird.rounds.max(1) as f64,
                    "memory_bytes": bird.memory_bytes,
                    "audits_held": bird.audits[0],
                    "audits_failed": bird.audits[1],
                    "credits": purses.get(i).map(ToString::to_string),
                })
            })
            .collect();
        json!({"ended": {"nodes": nodes, "seconds": self.begin.elapsed().as_secs_f64()}})
    }
}

/// That it has begun, for programs.
pub(crate) fn begun(colony: &Colony, dashboard: Option<&str>) -> Value {
    json!({"begun": {
        "nodes": colony.names(),
        "rpc": colony.rpc(),
        "swarm": colony.swarm(),
        "invite": colony.invite().to_string(),
        "dashboard": dashboard,
    }})
}

/// With two decimals: nobody reads eighteen.
fn brief(credits: Credits) -> String {
    let text = credits.to_string();
    match text.split_once('.') {
        Some((whole, part)) => format!("{whole}.{part:.2}"),
        None => text,
    }
}
