//! Rounds, from their opening to their end.

use std::collections::{BTreeMap, BTreeSet};

use gym::Score;

use super::choose::audit;
use super::{Flock, commitment};
use crate::event::{Effect, Entry};
use crate::id::{NodeId, Seed};
use crate::lot::Voices;
use crate::memory::Early;
use crate::round::{Doing, Round};
use crate::standing::Standing;
use crate::wire::{Drawn, Group, Message, Said, pack};

impl Flock {
    pub(super) fn opened(&mut self, number: u64, seed: Seed) {
        let newest = self.next.map(|(next, ..)| next).or(self.round());
        // A chain may take a round's opening back, and open it again with another seed.
        let again = self.round.as_ref().is_some_and(|r| r.facts.number == number && r.facts.seed != seed);
        if newest.is_some_and(|newest| number < newest || number == newest && !again) {
            return;
        }
        self.next = Some((number, seed, self.now));
        if self
            .round
            .as_ref()
            .is_some_and(|r| matches!(r.facts.doing, Doing::Answering(_) | Doing::Learning(_)))
        {
            self.log(Entry::Behind { round: number });
        }
    }

    /// Does what there is no reason to wait with any longer.
    pub(super) fn go_on(&mut self) {
        loop {
            let Some(round) = &self.round else {
                if !self.enter() {
                    return;
                }
                continue;
            };
            let moved = match round.facts.doing {
                Doing::Answering(_) | Doing::Learning(_) => false,
                Doing::Resting => self.enter(),
                Doing::Waiting => {
                    let over = self.next.is_some();
                    let ended = over || self.now >= self.stage_ends(round) || self.all_spoke(round);
                    if ended && !over && usize::from(round.facts.stage) + 1 < self.parts.game.stages().len() {
                        self.begin_stage(round.facts.stage + 1);
                    } else if ended {
                        self.learn();
                    }
                    ended
                }
            };
            if !moved {
                return;
            }
        }
    }

    /// Enters the round that was opened last, if there is one that was not entered.
    fn enter(&mut self) -> bool {
        let Some((number, seed, opened_at)) = self.next.take() else { return false };
        let mut voices = Voices::ALL;
        if let Some(done) = self.round.take() {
            if done.facts.number == number {
                voices = done.facts.voices;
            } else {
                voices = done.next_voices(self.me, self.parts.charter.round.voices);
                self.close(&done);
                self.last = Some(done);
            }
        }
        self.round = Some(Round::new(number, seed, opened_at, voices));
        self.log(Entry::Entered { round: number });
        self.begin_stage(0);
        let early: Vec<Early> = self.early.drain(..).collect();
        for message in early {
            self.heard(message);
        }
        true
    }

    pub(super) fn stage_ends(&self, round: &Round) -> u64 {
        round
            .facts
            .opened_at
            .saturating_add((u64::from(round.facts.stage) + 1) * self.parts.charter.round.stage_ms)
    }

    /// Whether everyone has spoken in this stage who did so in the last round, and is still heard. Where not all speak, others do each time.
    fn all_spoke(&self, round: &Round) -> bool {
        let Some(last) =
            self.last.as_ref().filter(|last| [last, round].iter().all(|r| r.facts.voices == Voices::ALL))
        else {
            return false;
        };
        let stage = round.facts.stage;
        let now: BTreeSet<NodeId> = round.complete(stage).collect();
        let mut expected = last.complete(stage).filter(|node| self.hears(*node)).peekable();
        expected.peek().is_some() && expected.all(|node| now.contains(&node))
    }

    fn begin_stage(&mut self, stage: u8) {
        let Some(mut round) = self.round.take() else { return };
        round.facts.stage = stage;
        let asked = self.parts.game.asks(stage, &round.world, self.me);
        let mut kept = Vec::new();
        let mut asks = Vec::new();
        for asked in asked {
            if let Some(ask) = self.ask(&round, &asked) {
                asks.push(ask);
                kept.push(asked);
            }
        }
        let idle = asks.is_empty();
        if !idle {
            self.effects.push(Effect::Answer { round: round.facts.number, stage, asks });
        }
        round.facts.doing = Doing::Answering(kept);
        let (number, root) = (round.facts.number, round.facts.root);
        self.round = Some(round);
        if idle {
            // The others need not wait for somebody who has nothing to say.
            self.answered(number, stage, root.unwrap_or_default(), Vec::new());
        }
    }

    pub(super) fn answered(&mut self, number: u64, stage: u8, root: [u8; 32], answers: Vec<Vec<Said>>) {
        let Some(mut round) = self.round.take() else { return };
        let asked = match &mut round.facts.doing {
            Doing::Answering(asked) if round.facts.number == number && round.facts.stage == stage => {
                std::mem::take(asked)
            }
            _ => return self.round = Some(round),
        };
        if !answers.is_empty() {
            round.facts.root = Some(root);
        }
        let (mut groups, mut sum) = (0, 0.0);
        let mut told: Vec<(u16, Vec<f32>)> = Vec::new();
        for ((number, shown), answers) in asked.into_iter().zip(answers) {
            let (environment, _) = self.drawn_task(&round, stage, number, self.me);
            let group = Group {
                number,
                environment,
                level: self.level(environment),
                shown,
                seed: Flock::seed(&round, stage, number, self.me),
                sampling: Drawn::PLAIN,
                answers,
            };
            // What the model could not do right is not said: it would cost its standing.
            let Ok(known) = self.known(&round, stage, self.me, root, group) else { continue };
            groups += 1;
            sum += known.reward();
            if stage == 0 {
                told.push((environment, known.rewards.clone()));
            }
            round.world.add(stage, self.me, known);
        }
        for (environment, rewards) in told {
            if let Some(Some(ladder)) = self.ladders.get_mut(usize::from(environment)) {
                for reward in rewards {
                    ladder.tell(Score::new(f64::from(reward)));
                }
            }
        }
        self.log(Entry::Said { round: number, stage, groups, reward: sum / f32::from(groups.max(1)) });
        round.facts.doing = Doing::Waiting;
        let messages: Vec<Vec<u8>> = self.messages(&round).collect();
        self.effects.extend(messages.into_iter().map(Effect::Publish));
        self.round = Some(round);
    }

    /// What this node has to say in the stage it is in; nothing, if it was not drawn to speak.
    pub(super) fn messages(&self, round: &Round) -> impl Iterator<Item = Vec<u8>> + use<> {
        let stage = round.facts.stage;
        let mine = round.world.stage(stage).filter(|(node, ..)| *node == self.me);
        let speaks = round.speaks(&self.me);
        let groups: Vec<Group> = mine.map(|(_, _, known)| known.group.clone()).collect();
        let head = Message {
            swarm: self.swarm,
            round: round.facts.number,
            stage,
            part: 0,
            parts: 1,
            root: round.facts.root.unwrap_or_default(),
            groups: Vec::new(),
        };
        let messages = if speaks { pack(&head, groups) } else { Vec::new() };
        messages.into_iter().map(|message| message.encode())
    }

    fn learn(&mut self) {
        let Some(mut round) = self.round.take() else { return };
        let number = round.facts.number;
        let mine: Vec<&Group> = round
            .world
            .all()
            .filter(|(_, node, ..)| *node == self.me)
            .map(|(.., known)| &known.group)
            .collect();
        if !mine.is_empty() && round.speaks(&self.me) {
            self.effects.push(Effect::Commit { round: number, root: commitment(mine) });
        }
        for peer in self.drawn(&round) {
            if let Some(audit) = audit(&round, peer) {
                round.facts.audits.insert(peer);
                self.effects.push(audit);
            }
        }
        let chosen = self.chosen(&round);
        round.facts.fresh.clear();
        if let Some(last) = &mut self.last {
            last.facts.fresh.clear();
        }
        let lessons = self.lessons(&round, &chosen);
        let mut groups: BTreeMap<NodeId, u16> = BTreeMap::new();
        for lesson in &lessons {
            *groups.entry(lesson.node).or_default() += 1;
        }
        self.log(Entry::Learning { round: number, groups });
        let root = round.facts.root;
        round.facts.doing = Doing::Learning(chosen);
        self.round = Some(round);
        if lessons.is_empty() {
            self.has_learned(number, root.unwrap_or_default());
        } else {
            self.effects.push(Effect::Learn { round: number, lessons });
        }
    }

    pub(super) fn has_learned(&mut self, number: u64, root: [u8; 32]) {
        let Some(round) = &mut self.round else { return };
        if round.facts.number != number || !matches!(round.facts.doing, Doing::Learning(_)) {
            return;
        }
        round.facts.doing = Doing::Resting;
        self.learned = Some(number);
        self.log(Entry::Learned { round: number, root });
        self.effects.push(Effect::Done { round: number });
    }

    /// The end of a round: opinions, and time that heals.
    fn close(&mut self, round: &Round) {
        // Who is alone in its world makes it up; if many are there, it is this node that is behind, or on another fork of the chain.
        let apart = &round.facts.apart;
        let here = 1 + round.facts.peers.values().filter(|peer| !peer.parts.is_empty()).count();
        if 2 * apart.len() <= here {
            for (peer, rule) in apart {
                self.broke(*peer, *rule);
            }
        }
        let mut of: BTreeMap<NodeId, u8> = BTreeMap::new();
        let mut sums: BTreeMap<NodeId, (f32, f32)> = BTreeMap::new();
        for (node, _, known) in round.world.stage(0).filter(|(node, ..)| *node != self.me) {
            let (sum, count) = sums.entry(node).or_default();
            *sum += known.reward();
            *count += 1.0;
        }
        let due = f32::from(self.parts.game.stages().first().map_or(1, |stage| stage.due.max(1)));
        for (node, (sum, count)) in sums {
            let standing = self.standings.get(&node).map_or(Standing::STRANGER, Standing::points);
            let trust = f32::from(standing.min(Standing::STRANGER)) / f32::from(Standing::STRANGER);
            // Half for the work, half for what it was worth.
            of.insert(node, (254.0 * trust * (0.5 * (count + sum) / due).min(1.0)) as u8);
        }
        for liar in &round.facts.liars {
            of.insert(*liar, 0);
        }
        if !of.is_empty() {
            self.effects.push(Effect::Scores { round: round.facts.number, of });
        }
        let mut again = Vec::new();
        for (peer, standing) in &mut self.standings {
            let heard = standing.is_heard();
            standing.recover();
            if !heard && standing.is_heard() {
                again.push(*peer);
            }
        }
        for peer in again {
            self.log(Entry::HeardAgain { peer });
        }
    }

    pub(crate) fn log(&mut self, entry: Entry) {
        self.effects.push(Effect::Log(entry));
    }
}
