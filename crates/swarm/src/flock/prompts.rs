//! Prompts and groups: whose they are, and what is to be known of them.

use gym::Ladder;

use super::Flock;
use crate::data::Assigned;
use crate::event::Ask;
use crate::game::Asked;
use crate::id::NodeId;
use crate::round::Round;
use crate::rules::{Due, Rule};
use crate::wire::{Group, Reference};
use crate::world::Known;

impl Flock {
    /// From which environment a node's task is, and what it is made from.
    pub(super) fn drawn_task(&self, round: &Round, stage: u8, number: u16, node: NodeId) -> (u16, u64) {
        let place = self.parts.game.place(round.facts.number, round.facts.seed, node);
        self.parts.data.draw(&place, self.parts.game.task(stage, number))
    }

    /// The level that this node is at.
    pub(super) fn level(&self, environment: u16) -> u8 {
        let ladder = self.ladders.get(usize::from(environment)).and_then(Option::as_ref);
        ladder.map_or_else(|| *self.parts.data.levels(environment).start(), Ladder::level)
    }

    /// Where a node's answers to a prompt get their random numbers: nowhere that it could choose.
    pub(super) fn seed(round: &Round, stage: u8, number: u16, node: NodeId) -> u64 {
        let parts: [&[u8]; 4] = [&round.facts.number.to_le_bytes(), &node.0, &[stage], &number.to_le_bytes()];
        round.facts.seed.number("sampling", &parts)
    }

    /// The answers that a prompt shows, and the prompt; or the rule that it breaks.
    fn prompt(
        &self,
        round: &Round,
        stage: u8,
        assigned: &Assigned,
        shown: &[Reference],
    ) -> Result<(Vec<String>, Vec<u32>), Rule> {
        let mut texts = Vec::new();
        for reference in shown {
            if round.world.get(reference.stage, reference.node, reference.number).is_none() {
                return Err(Rule::Unheard);
            }
            let text =
                round.world.text(reference).and_then(|text| self.parts.game.shown(reference.stage, text));
            texts.push(text.ok_or(Rule::Shown)?);
        }
        let question = self.parts.game.question(stage, assigned, &texts);
        // Nobody is asked what does not fit.
        let prompt = self.parts.tongue.prompt(&question).map_err(|_| Rule::Shown)?;
        Ok((texts, prompt))
    }

    pub(super) fn ask(&self, round: &Round, (number, shown): &Asked) -> Option<Ask> {
        let stage = round.facts.stage;
        let (environment, seed) = self.drawn_task(round, stage, *number, self.me);
        let assigned = self.parts.data.task(environment, seed, self.level(environment));
        let (_, prompt) = self.prompt(round, stage, &assigned, shown).ok()?;
        let seed = Flock::seed(round, stage, *number, self.me);
        Some(Ask { prompt, seed, samples: self.parts.charter.answers.samples })
    }

    /// What is to be known of a group, or the rule that it breaks.
    pub(super) fn known(
        &self,
        round: &Round,
        stage: u8,
        node: NodeId,
        root: [u8; 32],
        group: Group,
    ) -> Result<Known, Rule> {
        let due = self.parts.game.stages().get(usize::from(stage)).ok_or(Rule::Stage)?.due;
        if group.number >= due {
            return Err(Rule::Number);
        }
        let asked = (group.number, group.shown);
        if !self.parts.game.may_show(stage, node, &asked) {
            return Err(Rule::Shown);
        }
        let group = Group { shown: asked.1, ..group };
        let (environment, seed) = self.drawn_task(round, stage, group.number, node);
        let due = Due {
            environment,
            levels: self.parts.data.levels(environment),
            seed: Flock::seed(round, stage, group.number, node),
            samples: self.parts.charter.answers.samples.into(),
            tongue: &self.parts.tongue,
        };
        if let Some(rule) = due.broken(&group) {
            return Err(rule);
        }
        let assigned = self.parts.data.task(environment, seed, group.level);
        let (shown, prompt) = self.prompt(round, stage, &assigned, &group.shown)?;
        let texts: Vec<Option<String>> =
            group.answers.iter().map(|said| self.parts.tongue.text(&said.tokens)).collect();
        let worth = |text: &Option<String>| {
            let worth = text.as_ref().map_or(0.0, |text| {
                self.parts.game.reward(stage, &assigned, &shown, text, &*self.parts.rewards)
            });
            // A reward of one's own making may give anything.
            if worth.is_nan() { 0.0 } else { worth.clamp(0.0, 1.0) }
        };
        let rewards = texts.iter().map(worth).collect();
        Ok(Known { group, root, assigned, prompt, texts, rewards })
    }
}
