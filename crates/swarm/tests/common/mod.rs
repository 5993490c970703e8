//! A small world for tests: what letter comes after this one?

#![allow(dead_code, clippy::unwrap_used, reason = "a test may fail, and no test uses everything")]

use std::ops::RangeInclusive;
use std::sync::Arc;

use swarm::sim::{Body, Links, Nature, Parrot, Sim};
use swarm::{
    Assigned, Charter, DataManager, Debate, Effect, Event, Flock, GameManager, Memory, Message, NodeId,
    Parts, Place, Play, RewardManager, Rounds, Seed, Share, Tongue, Trainer, Verdict,
};

/// The letters, and what comes after the last.
const LETTERS: &str = "abcdef";

/// Which letter comes after this one? Half for its being said first, all for nothing else being said.
#[derive(Debug)]
pub(crate) struct Letters;

impl DataManager for Letters {
    fn draw(&self, place: &Place, number: u16) -> (u16, u64) {
        let node = place.node.map_or([0; 32], |node| node.0);
        (0, place.seed.number("letter", &[&node, &number.to_le_bytes()]) % LETTERS.len() as u64)
    }

    fn task(&self, environment: u16, seed: u64, level: u8) -> Assigned {
        let letter = |at: u64| char::from(LETTERS.as_bytes()[at as usize % LETTERS.len()]).to_string();
        let compact = letter(seed);
        let question = format!("What comes after {compact}?");
        let task = gym::Task {
            seed,
            level,
            question,
            compact,
            answer: letter(seed + 1),
            data: serde_json::Value::Null,
        };
        Assigned { environment, task }
    }

    fn levels(&self, _: u16) -> RangeInclusive<u8> {
        0..=0
    }

    fn ladders(&self) -> Vec<Option<gym::Ladder>> {
        Vec::new()
    }

    fn exam(&self, count: usize) -> Vec<Assigned> {
        (0..count as u64).map(|seed| self.task(0, seed, 0)).collect()
    }
}

impl RewardManager for Letters {
    fn score(&self, assigned: &Assigned, answer: &str) -> f32 {
        match answer.strip_prefix(&assigned.task.answer) {
            Some("") => 1.0,
            Some(_) => 0.5,
            None => 0.0,
        }
    }
}

/// A charter for letters.
pub(crate) fn charter(game: Play) -> Charter {
    let mut charter = Charter { game, ..Charter::new() };
    charter.round = Rounds { period_ms: 4_000, stage_ms: 1_000, ..Rounds::default() };
    charter.answers.tokens = 4;
    charter.answers.prompt = 32;
    charter
}

/// The parts of a swarm that learns letters.
pub(crate) fn parts(charter: Charter) -> Arc<Parts> {
    let alphabet = lm::Alphabet::new("abcdef,");
    let tongue = Tongue::characters(alphabet, charter.answers.prompt, charter.answers.tokens);
    let game: Arc<dyn GameManager> = match charter.game {
        Play::Share { own, .. } => Arc::new(Share::new(own)),
        Play::Debate { tasks, critiques, candidates, .. } => {
            Arc::new(Debate::new(tasks, critiques, candidates))
        }
    };
    Arc::new(Parts { charter, tongue, data: Arc::new(Letters), rewards: Arc::new(Letters), game })
}

/// Sharing, as most tests have it.
pub(crate) fn share() -> Arc<Parts> {
    parts(charter(Play::Share { own: 4, foreign: 8 }))
}

/// So many parrots, all of this nature.
pub(crate) fn parrots(parts: &Parts, count: usize) -> Vec<(Parrot, Nature)> {
    (0..count).map(|_| (Parrot::new(&parts.tongue, 0.2), Nature::default())).collect()
}

/// The simulator with so many parrots on good links.
pub(crate) fn sim(parts: &Arc<Parts>, count: usize, seed: u64) -> Sim<Parrot> {
    Sim::new(parts.clone(), parrots(parts, count), Links::GOOD, seed).unwrap()
}

/// The mean of what these nodes' answers were worth in these rounds.
pub(crate) fn mean<B: Body>(
    sim: &Sim<B>,
    nodes: impl IntoIterator<Item = usize>,
    rounds: std::ops::Range<u64>,
) -> f32 {
    let all: Vec<f32> = nodes
        .into_iter()
        .flat_map(|node| {
            sim.rewards(node).into_iter().filter(|(round, _)| rounds.contains(round)).map(|(_, r)| r)
        })
        .collect();
    all.iter().sum::<f32>() / all.len() as f32
}

/// A node that is driven by hand, with the time in its pocket.
pub(crate) struct Hand {
    pub(crate) flock: Flock,
    pub(crate) body: Parrot,
    pub(crate) now: u64,
    ticket: u64,
}

impl Hand {
    pub(crate) fn new(parts: &Arc<Parts>, number: usize) -> Hand {
        let id = Sim::<Parrot>::id(number);
        let memory = Memory::new(parts.charter.id(), id, Seed([number as u8; 32]));
        let mut body = Parrot::new(&parts.tongue, 0.2);
        // So that no two have the same root.
        body.favour(0, number as u32 % 5, 0.01 * (1 + number) as f32);
        Hand { flock: Flock::new(parts.clone(), memory).unwrap(), body, now: 0, ticket: 0 }
    }

    /// Opens a round, and answers what is asked; gives the messages that go out.
    pub(crate) fn open(&mut self, round: u64) -> Vec<Message> {
        let effects = self.step(Event::Opened { round, seed: Seed([round as u8; 32]) });
        self.act(effects)
    }

    /// Answers what is asked as long as something is; gives the messages that go out.
    pub(crate) fn act(&mut self, effects: Vec<Effect>) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut effects: std::collections::VecDeque<Effect> = effects.into();
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Publish(bytes) => messages.push(Message::decode(&bytes).unwrap()),
                Effect::Answer { round, stage, asks } => {
                    let root = self.body.root().unwrap();
                    let answers = self.body.answer(&asks).unwrap();
                    effects.extend(self.step(Event::Answered { round, stage, root, answers }));
                }
                // It has learned something, or not: here it is about what is heard.
                Effect::Learn { round, .. } => {
                    let root = self.body.root().unwrap();
                    effects.extend(self.step(Event::Learned { round, root }));
                }
                _ => {}
            }
        }
        messages
    }

    pub(crate) fn step(&mut self, event: Event) -> Vec<Effect> {
        self.now += 1;
        self.flock.step(self.now, event)
    }

    /// Hears bytes; gives the verdict, if there is one yet, and the rule that was broken.
    pub(crate) fn hear_bytes(
        &mut self,
        from: NodeId,
        bytes: Vec<u8>,
    ) -> (Option<Verdict>, Option<swarm::Rule>) {
        self.ticket += 1;
        let effects = self.step(Event::Heard { ticket: self.ticket, from, bytes });
        let verdict = effects.iter().find_map(|effect| match effect {
            Effect::Judge { ticket, verdict, .. } if *ticket == self.ticket => Some(*verdict),
            _ => None,
        });
        let rule = effects.iter().find_map(|effect| match effect {
            Effect::Log(swarm::Entry::Refused { rule, .. }) => Some(*rule),
            _ => None,
        });
        (verdict, rule)
    }

    pub(crate) fn hear(&mut self, from: NodeId, message: &Message) -> (Option<Verdict>, Option<swarm::Rule>) {
        self.hear_bytes(from, message.encode())
    }
}
