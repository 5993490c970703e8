//! The machine: a node's part in the rounds of its swarm.

mod choose;
mod hear;
mod prompts;
mod rounds;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use gym::Ladder;

use self::choose::audit;
use crate::charter::Charter;
use crate::data::{DataManager, Draw};
use crate::event::{Effect, Event};
use crate::game::{GameManager, game};
use crate::id::{NodeId, Seed};
use crate::lot::Voices;
use crate::memory::{Early, KeptRound, Memory};
use crate::reward::RewardManager;
use crate::round::{Doing, Round};
use crate::standing::Standing;
use crate::tongue::Tongue;
use crate::wire::Group;
use crate::{Error, World};

/// What a swarm is made of: its charter, and the parts that it names.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What was agreed on.
    pub charter: Charter,
    /// How the model is asked and understood.
    pub tongue: Tongue,
    /// Who is asked what.
    pub data: Arc<dyn DataManager>,
    /// What answers are worth.
    pub rewards: Arc<dyn RewardManager>,
    /// What happens in a round.
    pub game: Arc<dyn GameManager>,
}

impl Parts {
    /// The parts that a charter names. Each can be replaced by one's own.
    pub fn new(charter: Charter, tongue: Tongue) -> Result<Parts, Error> {
        charter.check()?;
        let draw = Arc::new(Draw::new(&charter, &tongue)?);
        Ok(Parts { game: game(&charter).into(), data: draw.clone(), rewards: draw, charter, tongue })
    }
}

/// A node's part in the rounds of its swarm, without input or output: it is told what happens, and says what is to be done.
///
/// It waits for nobody. A stage ends when its time is over, or, where everyone speaks, as soon as all have who did in the last round. Who is later is used as
/// it comes, for as long as the next round lasts.
#[derive(Debug)]
pub struct Flock {
    parts: Arc<Parts>,
    swarm: [u8; 32],
    me: NodeId,
    secret: Seed,
    now: u64,
    standings: BTreeMap<NodeId, Standing>,
    suspects: BTreeSet<NodeId>,
    ladders: Vec<Option<Ladder>>,
    learned: Option<u64>,
    round: Option<Round>,
    last: Option<Round>,
    early: VecDeque<Early>,
    next: Option<(u64, Seed, u64)>,
    effects: Vec<Effect>,
}

impl Flock {
    /// A node that remembers this; [`Memory::new`] if it remembers nothing.
    pub fn new(parts: Arc<Parts>, memory: Memory) -> Result<Flock, Error> {
        let swarm = parts.charter.id();
        if memory.swarm != swarm {
            let why = "it is of another swarm: give this one a folder of its own".to_owned();
            return Err(Error::Kept { what: "memory", why });
        }
        let ladders = if memory.ladders.is_empty() { parts.data.ladders() } else { memory.ladders };
        let mut flock = Flock {
            parts,
            ladders,
            swarm,
            me: memory.me,
            secret: memory.secret,
            now: memory.now,
            standings: memory.standings,
            suspects: memory.suspects,
            learned: memory.learned,
            round: None,
            last: None,
            early: memory.early.into(),
            next: memory.next,
            effects: Vec::new(),
        };
        for kept in memory.rounds {
            let facts = &kept.facts;
            let mut round = Round::new(facts.number, facts.seed, facts.opened_at, facts.voices);
            round.facts = kept.facts;
            // In the order of stages: what is shown was said before.
            for (stage, node, root, group) in kept.said {
                let known = flock.known(&round, stage, node, root, group).map_err(|_| {
                    let why = "it has answers that break the rules: begin anew".to_owned();
                    Error::Kept { what: "memory", why }
                })?;
                round.world.add(stage, node, known);
            }
            flock.last = flock.round.replace(round);
        }
        Ok(flock)
    }

    /// What happens at a time in milliseconds, by any clock that does not stop; gives what is to be done about it.
    pub fn step(&mut self, at: u64, event: Event) -> Vec<Effect> {
        self.now = self.now.max(at);
        match event {
            Event::Opened { round, seed } => self.opened(round, seed),
            Event::Heard { ticket, from, bytes } => self.heard(Early { ticket, from, bytes }),
            Event::Tick => {}
            Event::Answered { round, stage, root, answers } => self.answered(round, stage, root, answers),
            Event::Learned { round, root } => self.has_learned(round, root),
            Event::Audited { round, peer, finding } => self.audited(round, peer, finding),
        }
        self.go_on();
        std::mem::take(&mut self.effects)
    }

    /// When it wants a [`Event::Tick`], if nothing else happens before.
    pub fn wakes_at(&self) -> Option<u64> {
        let round = self.round.as_ref()?;
        (round.facts.doing == Doing::Waiting).then(|| self.stage_ends(round))
    }

    /// All that it must remember to go on from here.
    pub fn memory(&self) -> Memory {
        let kept = |round: &Round| KeptRound {
            facts: round.facts.clone(),
            said: round
                .world
                .all()
                .map(|(stage, node, _, known)| (stage, node, known.root, known.group.clone()))
                .collect(),
        };
        Memory {
            swarm: self.swarm,
            me: self.me,
            secret: self.secret,
            now: self.now,
            standings: self.standings.clone(),
            suspects: self.suspects.clone(),
            ladders: self.ladders.clone(),
            learned: self.learned,
            rounds: self.last.iter().chain(&self.round).map(kept).collect(),
            early: self.early.iter().cloned().collect(),
            next: self.next,
        }
    }

    /// What it has asked for and not been told the end of: for whoever takes it up from its memory.
    pub fn outstanding(&self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(round) = &self.round {
            let number = round.facts.number;
            match &round.facts.doing {
                Doing::Answering(asked) => {
                    let asks = asked.iter().filter_map(|asked| self.ask(round, asked)).collect();
                    effects.push(Effect::Answer { round: number, stage: round.facts.stage, asks });
                }
                Doing::Waiting => effects.extend(self.messages(round).map(Effect::Publish)),
                Doing::Learning(chosen) => {
                    effects.push(Effect::Learn { round: number, lessons: self.lessons(round, chosen) });
                }
                Doing::Resting => {}
            }
        }
        for round in self.last.iter().chain(&self.round) {
            effects.extend(round.facts.audits.iter().filter_map(|peer| audit(round, *peer)));
        }
        effects
    }

    /// Whose flock it is.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// The round it is in.
    pub fn round(&self) -> Option<u64> {
        self.round.as_ref().map(|round| round.facts.number)
    }

    /// Whether everyone speaks in the round it is in, and whether it does so itself: in a large swarm, those who do are drawn by lot.
    pub fn speaks(&self) -> Option<(bool, bool)> {
        self.round.as_ref().map(|round| (round.facts.voices == Voices::ALL, round.speaks(&self.me)))
    }

    /// What has been said in this round and the last, as far as it was heard.
    pub fn worlds(&self) -> impl Iterator<Item = &World> {
        self.round.iter().chain(&self.last).map(|round| &round.world)
    }

    /// What it thinks of its peers.
    pub fn standings(&self) -> &BTreeMap<NodeId, Standing> {
        &self.standings
    }

    /// Whom a newcomer should ask for a checkpoint, best first: those whose answers of late were worth most, with the roots of their models.
    pub fn teachers(&self) -> Vec<(NodeId, [u8; 32], f32)> {
        let mut found: BTreeMap<NodeId, ([u8; 32], f32)> = BTreeMap::new();
        for round in self.last.iter().chain(&self.round) {
            let mut sums: BTreeMap<NodeId, ([u8; 32], f32, f32)> = BTreeMap::new();
            for (node, _, known) in
                round.world.stage(0).filter(|(node, ..)| *node != self.me && self.hears(*node))
            {
                let (_, sum, count) = sums.entry(node).or_insert((known.root, 0.0, 0.0));
                *sum += known.reward();
                *count += 1.0;
            }
            found.extend(sums.into_iter().map(|(node, (root, sum, count))| (node, (root, sum / count))));
        }
        let mut teachers: Vec<_> =
            found.into_iter().map(|(node, (root, reward))| (node, root, reward)).collect();
        teachers.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
        teachers
    }

    /// Its parts.
    pub fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }
}

/// What a node commits to, from all the groups it made in a round, in their order.
pub fn commitment<'a>(groups: impl IntoIterator<Item = &'a Group>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("starling swarm commitment v1");
    for group in groups {
        hasher.update(&group.digest());
    }
    *hasher.finalize().as_bytes()
}
