//! Many nodes in one process: the same machine as on the internet, on links and a clock that are made up, all from one seed.
//!
//! Links lose, delay, double and reorder messages; nodes are slow, or are killed and come back from their logs; liars change what they
//! say. The nodes' models are real, or [`Parrot`]s: tables that learn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gym::Dice;

use crate::beacon::Beacon;
use crate::event::{Ask, Claim, Effect, Entry, Event, Finding, Lesson};
use crate::flock::{Flock, Parts};
use crate::id::{NodeId, Seed};
use crate::log::Recorder;
use crate::memory::Memory;
use crate::tongue::Tongue;
use crate::trainer::{Auditor, Learned, Pupil, Trainer};
use crate::wire::{Message, Said};
use crate::{Error, weight_bytes};

/// A trainer that can be put away, taken up again, and asked about others of its kind.
pub trait Body: Trainer {
    /// All that it is, as bytes.
    fn freeze(&self) -> Result<Vec<u8>, Error>;

    /// Becomes what another was.
    fn thaw(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// Whether one with these weights would have given these answers.
    fn audit(&mut self, weights: &[u8], root: [u8; 32], claims: &[Claim]) -> Result<Finding, Error>;

    /// What others are given who ask for its weights.
    fn weights(&self) -> Result<Vec<u8>, Error>;
}

/// How bad the links are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Links {
    /// The share of messages that is lost.
    pub loss: f64,
    /// The share that arrives twice.
    pub double: f64,
    /// The least and the greatest delay. Messages overtake each other by chance.
    pub delay_ms: [u64; 2],
}

impl Links {
    /// Links as on a desk.
    pub const GOOD: Links = Links { loss: 0.0, double: 0.0, delay_ms: [1, 2] };
    /// Links as bad as a swarm has to bear.
    pub const BAD: Links = Links { loss: 0.2, double: 0.1, delay_ms: [200, 400] };
}

/// What a liar does to each message before it goes out.
pub type Lie = Box<dyn FnMut(&mut Message, &mut Dice)>;

/// How a node is.
pub struct Nature {
    /// How long its model takes to answer, and to learn.
    pub takes_ms: [u64; 2],
    /// What it does to its messages; nothing if it is honest.
    pub lie: Option<Lie>,
    /// Whether it hears others.
    pub deaf: bool,
}

impl Default for Nature {
    fn default() -> Nature {
        Nature { takes_ms: [20, 20], lie: None, deaf: false }
    }
}

struct Node<B> {
    id: NodeId,
    nature: Nature,
    body: B,
    /// Nothing while it is dead.
    recorder: Option<Recorder>,
    /// What its disk holds: its log, its model, and the round that this has learned last.
    log: Vec<u8>,
    frozen: Vec<u8>,
    learned: Option<u64>,
    /// How often it has been killed: what was under way before belongs to nobody.
    life: u32,
}

enum Happening {
    Open,
    Arrives { to: usize, from: NodeId, bytes: Vec<u8> },
    Tick { to: usize, life: u32 },
    Done { to: usize, life: u32, event: Event },
    Rises { who: usize },
}

/// A message that a rule refused, or an entry of another kind, as one of the nodes saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Who saw it.
    pub by: NodeId,
    /// In which round it was then.
    pub round: u64,
    /// What it saw.
    pub entry: Entry,
}

/// Many nodes in one process.
pub struct Sim<B: Body> {
    parts: Arc<Parts>,
    beacon: Beacon,
    links: Links,
    dice: Dice,
    now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    nodes: Vec<Node<B>>,
    /// Weights that were answered with, for auditors to fetch.
    shelf: BTreeMap<[u8; 32], Vec<u8>>,
    /// How many rounds' weights are kept: auditors come soon.
    shelved: Vec<[u8; 32]>,
    rounds: u64,
    kill: bool,
    /// What the nodes saw.
    pub seen: Vec<Seen>,
    /// What nodes think of each other, as they said after each round.
    pub scores: Vec<(NodeId, u64, BTreeMap<NodeId, u8>)>,
}

impl<B: Body> Sim<B> {
    /// These nodes, on such links.
    pub fn new(parts: Arc<Parts>, nodes: Vec<(B, Nature)>, links: Links, seed: u64) -> Result<Sim<B>, Error> {
        let beacon = Beacon::new(parts.charter.id(), parts.charter.round.period_ms);
        let mut sim = Sim {
            beacon,
            links,
            dice: Dice::new("sim", seed, 0),
            now: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            nodes: Vec::new(),
            shelf: BTreeMap::new(),
            shelved: Vec::new(),
            rounds: 0,
            kill: false,
            seen: Vec::new(),
            scores: Vec::new(),
            parts,
        };
        for (i, (body, nature)) in nodes.into_iter().enumerate() {
            let id = Sim::<B>::id(i);
            let secret = Seed([i as u8; 32]);
            let (recorder, log) =
                Recorder::begin(sim.parts.clone(), Memory::new(sim.parts.charter.id(), id, secret))?;
            let frozen = body.freeze()?;
            sim.nodes.push(Node {
                id,
                nature,
                body,
                recorder: Some(recorder),
                log,
                frozen,
                learned: None,
                life: 0,
            });
        }
        sim.put(0, Happening::Open);
        Ok(sim)
    }

    /// The name of the node of this number.
    pub fn id(number: usize) -> NodeId {
        NodeId::of(&(number as u64).to_le_bytes())
    }

    /// From now on one node, by lot, is killed in every round, and rises half a period later.
    pub fn kill_one_every_round(&mut self) {
        self.kill = true;
    }

    /// Runs so many rounds more, to the end of the last one.
    pub fn run(&mut self, rounds: u64) -> Result<(), Error> {
        self.rounds += rounds;
        let end = self.beacon.begins_at(self.rounds);
        while let Some(first) = self.queue.first_entry() {
            let (at, _) = *first.key();
            if at >= end {
                break;
            }
            let happening = first.remove();
            self.now = at;
            self.happens(happening)?;
        }
        self.now = end;
        Ok(())
    }

    /// A node's flock; nothing while it is dead.
    pub fn flock(&self, number: usize) -> Option<&Flock> {
        self.nodes[number].recorder.as_ref().map(Recorder::flock)
    }

    /// A node's model.
    pub fn body(&mut self, number: usize) -> &mut B {
        &mut self.nodes[number].body
    }

    /// A node's log.
    pub fn log(&self, number: usize) -> &[u8] {
        &self.nodes[number].log
    }

    /// The mean worth of what a node answered in the first stage of each round that it took part in.
    pub fn rewards(&self, number: usize) -> BTreeMap<u64, f32> {
        let said = |seen: &Seen| match seen.entry {
            Entry::Said { round, stage: 0, reward, .. } if seen.by == Sim::<B>::id(number) => {
                Some((round, reward))
            }
            _ => None,
        };
        self.seen.iter().filter_map(said).collect()
    }

    fn put(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), happening);
    }

    fn happens(&mut self, happening: Happening) -> Result<(), Error> {
        match happening {
            Happening::Open => {
                let round = self.beacon.round(self.now);
                for to in 0..self.nodes.len() {
                    self.tell(to, Event::Opened { round, seed: self.beacon.seed(round) })?;
                }
                if self.kill {
                    let who = self.dice.below(self.nodes.len() as u64) as usize;
                    let when = self.dice.below(self.parts.charter.round.period_ms);
                    self.put(self.now + when, Happening::Rises { who });
                }
                self.put(self.beacon.begins_at(round + 1), Happening::Open);
            }
            Happening::Arrives { to, from, bytes } => {
                if !self.nodes[to].nature.deaf {
                    self.sequence += 1;
                    let ticket = self.sequence;
                    self.tell(to, Event::Heard { ticket, from, bytes })?;
                }
            }
            Happening::Tick { to, life } if self.nodes[to].life == life => self.tell(to, Event::Tick)?,
            Happening::Done { to, life, event } if self.nodes[to].life == life => self.tell(to, event)?,
            Happening::Tick { .. } | Happening::Done { .. } => {}
            Happening::Rises { who } if self.nodes[who].recorder.is_some() => {
                self.kill_now(who);
                let half = self.parts.charter.round.period_ms / 2;
                self.put(self.now + half, Happening::Rises { who });
            }
            Happening::Rises { who } => self.raise(who)?,
        }
        Ok(())
    }

    /// Kills a node as `kill -9` does: what it had half written to its log is there in part.
    pub fn kill_now(&mut self, who: usize) {
        let torn = self.dice.below(40) as usize;
        let node = &mut self.nodes[who];
        node.recorder = None;
        node.life += 1;
        node.log.extend((0..torn).map(|i| i as u8));
    }

    /// Brings a node back from what its disk holds.
    pub fn raise(&mut self, who: usize) -> Result<(), Error> {
        let node = &mut self.nodes[who];
        let Some((recorder, outstanding, whole)) = Recorder::resume(self.parts.clone(), &node.log)? else {
            return Ok(());
        };
        node.log.truncate(whole);
        node.recorder = Some(recorder);
        node.body.thaw(&node.frozen)?;
        for effect in outstanding {
            match effect {
                // The model was saved after it, and the log had no time to say so.
                Effect::Learn { round, .. } if self.nodes[who].learned == Some(round) => {
                    let root = self.nodes[who].body.root()?;
                    self.tell(who, Event::Learned { round, root })?;
                }
                other => self.act(who, other)?,
            }
        }
        let round = self.beacon.round(self.now);
        self.tell(who, Event::Opened { round, seed: self.beacon.seed(round) })
    }

    fn tell(&mut self, to: usize, event: Event) -> Result<(), Error> {
        let node = &mut self.nodes[to];
        let Some(recorder) = &mut node.recorder else { return Ok(()) };
        let (bytes, effects) = recorder.step(self.now, event);
        node.log.extend(bytes);
        let (wakes, life) = (recorder.flock().wakes_at(), node.life);
        for effect in effects {
            self.act(to, effect)?;
        }
        if let Some(at) = wakes.filter(|at| *at > self.now) {
            self.put(at, Happening::Tick { to, life });
        }
        Ok(())
    }

    fn act(&mut self, who: usize, effect: Effect) -> Result<(), Error> {
        let now = self.now;
        let node = &mut self.nodes[who];
        let (id, life) = (node.id, node.life);
        let later = |event| Happening::Done { to: who, life, event };
        match effect {
            Effect::Publish(bytes) => self.publish(who, bytes),
            Effect::Answer { round, stage, asks } => {
                let root = node.body.root()?;
                let answers = node.body.answer(&asks)?;
                let at = now + node.nature.takes_ms[0];
                if !self.shelf.contains_key(&root) {
                    let weights = self.nodes[who].body.weights()?;
                    self.shelf.insert(root, weights);
                    self.shelved.push(root);
                    if self.shelved.len() > 4 * self.nodes.len() {
                        self.shelf.remove(&self.shelved.remove(0));
                    }
                }
                self.put(at, later(Event::Answered { round, stage, root, answers }));
            }
            Effect::Learn { round, lessons } => {
                node.body.learn(&lessons)?;
                node.frozen = node.body.freeze()?;
                node.learned = Some(round);
                let root = node.body.root()?;
                let at = now + node.nature.takes_ms[1];
                self.put(at, later(Event::Learned { round, root }));
            }
            Effect::Audit { round, peer, root, claims } => {
                let finding = match self.shelf.get(&root) {
                    Some(weights) => node.body.audit(weights, root, &claims)?,
                    None => Finding::Withheld,
                };
                self.put(now + 100, later(Event::Audited { round, peer, finding }));
            }
            Effect::Scores { round, of } => self.scores.push((id, round, of)),
            Effect::Log(entry) => {
                let round = node.recorder.as_ref().and_then(|r| r.flock().round()).unwrap_or_default();
                self.seen.push(Seen { by: id, round, entry });
            }
            // Here everyone sends to everyone, and there is no chain.
            Effect::Judge { .. } | Effect::Commit { .. } | Effect::Done { .. } => {}
        }
        Ok(())
    }

    fn publish(&mut self, who: usize, mut bytes: Vec<u8>) {
        let node = &mut self.nodes[who];
        let from = node.id;
        if let Some(lie) = &mut node.nature.lie
            && let Some(mut message) = Message::decode(&bytes)
        {
            lie(&mut message, &mut self.dice);
            bytes = message.encode();
        }
        for to in (0..self.nodes.len()).filter(|to| *to != who) {
            let copies = 1 + u64::from(self.dice.chance(self.links.double));
            for _ in 0..copies {
                if self.dice.chance(self.links.loss) {
                    continue;
                }
                let [least, most] = self.links.delay_ms;
                let at = self.now + least + self.dice.below(most - least + 1);
                self.put(at, Happening::Arrives { to, from, bytes: bytes.clone() });
            }
        }
    }
}

/// A [`Pupil`] with what it takes to put it away: its weights. What it knows of how to move them is lost with it.
pub struct Bird {
    /// The pupil.
    pub pupil: Pupil,
    tongue: Tongue,
    limits: exact::Limits,
    /// Made for the first audit.
    auditor: Option<Auditor>,
}

impl Bird {
    /// A pupil that speaks this tongue.
    pub fn new(pupil: Pupil, tongue: Tongue, limits: exact::Limits) -> Bird {
        Bird { pupil, tongue, limits, auditor: None }
    }
}

impl Trainer for Bird {
    fn root(&mut self) -> Result<[u8; 32], Error> {
        self.pupil.root()
    }

    fn answer(&mut self, asks: &[Ask]) -> Result<Vec<Vec<Said>>, Error> {
        self.pupil.answer(asks)
    }

    fn learn(&mut self, lessons: &[Lesson]) -> Result<Learned, Error> {
        self.pupil.learn(lessons)
    }
}

impl Body for Bird {
    fn freeze(&self) -> Result<Vec<u8>, Error> {
        weight_bytes(self.pupil.model())
    }

    fn thaw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.pupil.set_weights(bytes)
    }

    fn audit(&mut self, bytes: &[u8], root: [u8; 32], claims: &[Claim]) -> Result<Finding, Error> {
        let auditor = match &mut self.auditor {
            Some(auditor) => auditor,
            none => none.insert(Auditor::new(self.pupil.model(), &self.tongue, self.limits)?),
        };
        auditor.audit(bytes, root, claims)
    }

    fn weights(&self) -> Result<Vec<u8>, Error> {
        weight_bytes(self.pupil.model())
    }
}

/// The smallest thing that learns: for each token it has last heard, or said, how much it likes each next one. So it cannot look
/// back, but it learns what follows what, by the same rewards as a model, within some rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Parrot {
    vocabulary: usize,
    likes: Vec<f32>,
    ends: Vec<u32>,
    limit: usize,
    rate: f32,
}

impl Parrot {
    /// A parrot that likes every token as much as any other.
    pub fn new(tongue: &Tongue, rate: f32) -> Parrot {
        let vocabulary = tongue.vocabulary();
        Parrot {
            vocabulary,
            likes: vec![0.0; 2 * vocabulary * vocabulary],
            ends: tongue.ends().to_vec(),
            limit: tongue.answer_tokens(),
            rate,
        }
    }

    /// The likes after a token that was heard, or said.
    fn row(&self, last: u32, said: bool) -> std::ops::Range<usize> {
        let first = (last as usize + usize::from(said) * self.vocabulary) * self.vocabulary;
        first..first + self.vocabulary
    }

    /// Likes a token better than the others after hearing this one.
    pub fn favour(&mut self, after: u32, token: u32, by: f32) {
        if let Some(like) = self.likes.get_mut(after as usize * self.vocabulary + token as usize) {
            *like += by;
        }
    }

    /// The log-probability of each next token.
    fn logps(&self, last: u32, said: bool) -> Vec<f32> {
        let row = &self.likes[self.row(last, said)];
        let most = row.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = row.iter().map(|like| (like - most).exp()).sum();
        row.iter().map(|like| (like - most - sum.ln()).min(0.0)).collect()
    }

    fn say(&self, prompt: &[u32], seed: u64) -> Said {
        let mut dice = Dice::new("parrot", seed, 0);
        let mut last = prompt.last().copied().unwrap_or_default();
        let mut said = Said::default();
        while said.tokens.len() < self.limit {
            let logps = self.logps(last, !said.tokens.is_empty());
            let odds: Vec<f64> = logps.iter().map(|logp| f64::from(logp.exp())).collect();
            last = dice.weighted(&odds) as u32;
            said.tokens.push(last);
            said.logps.push(logps[last as usize]);
            if self.ends.contains(&last) {
                break;
            }
        }
        said
    }

    fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        self.likes.iter().for_each(|like| _ = hasher.update(&like.to_le_bytes()));
        *hasher.finalize().as_bytes()
    }
}

impl Trainer for Parrot {
    fn root(&mut self) -> Result<[u8; 32], Error> {
        Ok(self.hash())
    }

    fn answer(&mut self, asks: &[Ask]) -> Result<Vec<Vec<Said>>, Error> {
        let say = |ask: &Ask| {
            (0..ask.samples).map(|i| self.say(&ask.prompt, ask.seed.wrapping_add(i.into()))).collect()
        };
        Ok(asks.iter().map(say).collect())
    }

    fn learn(&mut self, lessons: &[Lesson]) -> Result<Learned, Error> {
        let mut change = vec![0.0; self.likes.len()];
        for lesson in lessons {
            let Some(above) = lm::advantages(&lesson.rewards) else { continue };
            for (said, above) in lesson.claim.answers.iter().zip(above) {
                let mut last = lesson.claim.prompt.last().copied().unwrap_or_default();
                for (at, (token, drawn)) in said.tokens.iter().zip(&said.logps).enumerate() {
                    let logps = self.logps(last, at > 0);
                    // As much as this parrot would say it, next to whose answer it is.
                    let weight = (logps[*token as usize] - drawn).exp().min(2.0);
                    let row = &mut change[self.row(last, at > 0)];
                    for (i, (change, logp)) in row.iter_mut().zip(&logps).enumerate() {
                        let is = f32::from(u8::from(i == *token as usize));
                        *change += self.rate * weight * above * (is - logp.exp());
                    }
                    last = *token;
                }
            }
        }
        self.likes.iter_mut().zip(change).for_each(|(like, change)| *like += change);
        Ok(Learned { groups: lessons.len(), ..Learned::default() })
    }
}

impl Body for Parrot {
    fn freeze(&self) -> Result<Vec<u8>, Error> {
        Ok(self.likes.iter().flat_map(|like| like.to_le_bytes()).collect())
    }

    fn thaw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.likes = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Ok(())
    }

    fn audit(&mut self, weights: &[u8], root: [u8; 32], claims: &[Claim]) -> Result<Finding, Error> {
        let mut other = self.clone();
        other.thaw(weights)?;
        for (claim, number) in (0..).zip(claims).map(|(number, claim)| (claim, number)) {
            for (answer, said) in (0u16..).zip(&claim.answers) {
                let right = other.say(&claim.prompt, claim.seed.wrapping_add(answer.into()));
                let same = right.tokens == said.tokens
                    && right.logps.iter().map(|l| l.to_bits()).eq(said.logps.iter().map(|l| l.to_bits()));
                if !same || other.hash() != root {
                    return Ok(Finding::Lie { claim: number, answer });
                }
            }
        }
        Ok(Finding::Holds)
    }

    fn weights(&self) -> Result<Vec<u8>, Error> {
        self.freeze()
    }
}

/// Rules that were broken, as honest nodes saw it: by whom.
pub fn broken(seen: &[Seen]) -> BTreeMap<NodeId, BTreeSet<crate::Rule>> {
    let mut broken: BTreeMap<NodeId, BTreeSet<crate::Rule>> = BTreeMap::new();
    for seen in seen {
        if let Entry::Refused { from, rule } = &seen.entry {
            broken.entry(*from).or_default().insert(*rule);
        }
    }
    broken
}
