//! Debate: answer, criticise, vote.

use std::collections::BTreeSet;

use super::{Asked, GameManager, Stage};
use crate::data::{Assigned, Place};
use crate::id::{NodeId, Seed};
use crate::reward::RewardManager;
use crate::tongue::Question;
use crate::wire::Reference;
use crate::world::{Known, World};

/// All answer the same tasks, criticise each other's answers, and vote.
///
/// A node's first answer to a task is its *position*. A critique is shown somebody's position and says `ok`, or another answer, with or without a
/// `no,` before it; so a model that has never heard of critiques makes one by answering again. A vote is shown positions and what critiques
/// put in their place, and says one of them, or its letter.
///
/// It pays to be right; to say so of a right answer, and to find a wrong one wrong, twice as much if what is said instead is
/// right; and to vote for a right answer. Who is not there loses nothing but what it could have earned.
#[derive(Clone, Debug)]
pub struct Debate {
    stages: [Stage; 3],
    critiques: u16,
    candidates: u16,
}

const ANSWER: u8 = 0;
const CRITIQUE: u8 = 1;
const VOTE: u8 = 2;
/// How a critique agrees.
const AGREED: &str = "ok";

impl Debate {
    /// With so many tasks, so many critiques of each by each node, and votes between so many answers.
    pub fn new(tasks: u16, critiques: u16, candidates: u16) -> Debate {
        let stage = |name, due| Stage { name, due };
        Debate {
            stages: [
                stage("answer", tasks),
                stage("critique", tasks.saturating_mul(critiques)),
                stage("vote", tasks),
            ],
            critiques: critiques.max(1),
            candidates,
        }
    }

    /// Positions of others, each task's in an order that is this node's own.
    fn criticised(&self, world: &World, node: NodeId) -> Vec<Asked> {
        let mut asks = Vec::new();
        for task in 0..self.stages[0].due {
            let others = world.stage(ANSWER).filter(|(other, number, _)| *other != node && *number == task);
            let mut positions: Vec<_> = others
                .filter(|(_, _, known)| position(known).is_some())
                .map(|(other, number, _)| Reference { node: other, stage: ANSWER, number, sample: 0 })
                .map(|reference| (order(world, "critique", node, &reference), reference))
                .collect();
            positions.sort_unstable();
            let chosen = positions.into_iter().take(self.critiques.into()).zip(0..);
            asks.extend(chosen.map(|((_, reference), i)| (task * self.critiques + i, vec![reference])));
        }
        asks
    }

    /// What there is to choose between: positions, and what critiques put in their place, each text once.
    fn candidates(&self, world: &World, node: NodeId) -> Vec<Asked> {
        let mut asks = Vec::new();
        for task in 0..self.stages[0].due {
            let all = world
                .stage(ANSWER)
                .map(|said| (ANSWER, said))
                .chain(world.stage(CRITIQUE).map(|said| (CRITIQUE, said)));
            let mut found: Vec<(u64, Reference, String)> = all
                .filter(|(stage, (_, number, _))| self.task(*stage, *number) == task)
                .filter_map(|(stage, (other, number, known))| {
                    let reference = Reference { node: other, stage, number, sample: 0 };
                    let text = self.shown(stage, position(known)?)?;
                    Some((order(world, "vote", node, &reference), reference, text))
                })
                .collect();
            found.sort_unstable();
            let mut texts = BTreeSet::new();
            found.retain(|(_, _, text)| texts.insert(text.clone()));
            let shown: Vec<Reference> =
                found.into_iter().take(self.candidates.into()).map(|(_, r, _)| r).collect();
            // With one there is nothing to choose.
            if shown.len() >= 2 {
                asks.push((task, shown));
            }
        }
        asks
    }
}

/// The text of a node's first answer.
fn position(known: &Known) -> Option<&str> {
    known.texts.first()?.as_deref()
}

/// Where an answer stands in a node's order of those it may be shown.
fn order(world: &World, purpose: &str, node: NodeId, reference: &Reference) -> u64 {
    let parts: [&[u8]; 4] = [&node.0, &reference.node.0, &[reference.stage], &reference.number.to_le_bytes()];
    world.seed.number(purpose, &parts)
}

/// What a critique says instead of what it criticises.
fn correction(text: &str) -> Option<&str> {
    let text = text.trim();
    if text.eq_ignore_ascii_case(AGREED) {
        return None;
    }
    // Only with something after it: else every word that begins with these letters would lose them.
    let rest = text.get(..2).filter(|no| no.eq_ignore_ascii_case("no")).map_or(text, |_| {
        let rest = &text[2..];
        rest.strip_prefix([',', ':', '.', ' ']).unwrap_or(text)
    });
    let rest = rest.trim();
    (!rest.is_empty()).then_some(rest)
}

/// Which candidate a vote is for: by what it says, or by its letter.
fn chosen<'a>(shown: &'a [String], text: &str) -> Option<&'a String> {
    let text = text.trim();
    shown.iter().find(|candidate| candidate.trim() == text).or_else(|| {
        let [letter @ b'A'..=b'Z'] = text.trim_end_matches('.').as_bytes() else { return None };
        shown.get(usize::from(letter - b'A'))
    })
}

impl GameManager for Debate {
    fn stages(&self) -> &[Stage] {
        &self.stages
    }

    fn place(&self, round: u64, seed: Seed, _: NodeId) -> Place {
        Place { round, seed, node: None }
    }

    fn task(&self, stage: u8, number: u16) -> u16 {
        if stage == CRITIQUE { number / self.critiques } else { number }
    }

    fn asks(&self, stage: u8, world: &World, node: NodeId) -> Vec<Asked> {
        match stage {
            ANSWER => (0..self.stages[0].due).map(|number| (number, Vec::new())).collect(),
            CRITIQUE => self.criticised(world, node),
            _ => self.candidates(world, node),
        }
    }

    fn may_show(&self, stage: u8, node: NodeId, (number, shown): &Asked) -> bool {
        let task = self.task(stage, *number);
        let about = |r: &Reference| r.sample == 0 && r.stage < stage && self.task(r.stage, r.number) == task;
        let several = shown.iter().collect::<BTreeSet<_>>().len() == shown.len();
        several
            && shown.iter().all(about)
            && match stage {
                ANSWER => shown.is_empty(),
                CRITIQUE => shown.len() == 1 && shown[0].node != node,
                _ => (2..=usize::from(self.candidates)).contains(&shown.len()),
            }
    }

    fn shown(&self, stage: u8, text: &str) -> Option<String> {
        let text = if stage == CRITIQUE { correction(text)? } else { text };
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    fn question(&self, stage: u8, assigned: &Assigned, shown: &[String]) -> Question {
        let plain = Question::of(&assigned.task);
        match (stage, shown) {
            (CRITIQUE, [position]) => Question {
                natural: format!(
                    "{}\n\nSomebody answered: {position}\n\nIf that is right, answer with {AGREED} and nothing else. If it is wrong, write `no, ` and then the right answer.",
                    plain.natural
                ),
                compact: format!("{position},{}", plain.compact),
            },
            (VOTE, candidates) => {
                let lettered = ('A'..='Z').zip(candidates).map(|(letter, text)| format!("{letter}. {text}"));
                Question {
                    natural: format!(
                        "{}\n\nThese answers were given:\n{}\n\nWhich one is right? Answer with its letter and nothing else.",
                        plain.natural,
                        lettered.collect::<Vec<_>>().join("\n")
                    ),
                    compact: format!("{},{}", candidates.join(","), plain.compact),
                }
            }
            _ => plain,
        }
    }

    fn reward(
        &self,
        stage: u8,
        assigned: &Assigned,
        shown: &[String],
        text: &str,
        rewards: &dyn RewardManager,
    ) -> f32 {
        match (stage, shown) {
            (CRITIQUE, [position]) => {
                let right = rewards.score(assigned, position) == 1.0;
                let instead = correction(text).filter(|other| *other != position.trim());
                match (right, instead) {
                    (true, None) => 1.0,
                    (false, Some(other)) => 0.5 + 0.5 * rewards.score(assigned, other),
                    (true, Some(_)) | (false, None) => 0.0,
                }
            }
            (VOTE, candidates) => {
                chosen(candidates, text).map_or(0.0, |choice| rewards.score(assigned, choice))
            }
            _ => rewards.score(assigned, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only `42` is right.
    #[derive(Debug)]
    struct Only;

    impl RewardManager for Only {
        fn score(&self, _: &Assigned, answer: &str) -> f32 {
            f32::from(u8::from(answer == "42"))
        }
    }

    fn reward(stage: u8, shown: &[&str], text: &str) -> f32 {
        let task = gym::Task {
            seed: 0,
            level: 0,
            question: String::new(),
            compact: String::new(),
            answer: "42".to_owned(),
            data: serde_json::Value::Null,
        };
        let shown: Vec<String> = shown.iter().map(|s| (*s).to_owned()).collect();
        Debate::new(1, 1, 3).reward(stage, &Assigned { environment: 0, task }, &shown, text, &Only)
    }

    #[test]
    fn what_pays() {
        for (stage, shown, text, worth) in [
            (ANSWER, &[][..], "42", 1.0),
            (ANSWER, &[], "41", 0.0),
            // Of a right answer.
            (CRITIQUE, &["42"], "ok", 1.0),
            (CRITIQUE, &["42"], " OK ", 1.0),
            (CRITIQUE, &["42"], "42", 1.0),
            (CRITIQUE, &["42"], "no, 41", 0.0),
            (CRITIQUE, &["42"], "41", 0.0),
            // Of a wrong one.
            (CRITIQUE, &["41"], "ok", 0.0),
            (CRITIQUE, &["41"], "41", 0.0),
            (CRITIQUE, &["41"], "no, 40", 0.5),
            (CRITIQUE, &["41"], "no, 42", 1.0),
            (CRITIQUE, &["41"], "42", 1.0),
            (CRITIQUE, &["41"], "", 0.0),
            (VOTE, &["41", "42"], "42", 1.0),
            (VOTE, &["41", "42"], "B", 1.0),
            (VOTE, &["41", "42"], "A.", 0.0),
            (VOTE, &["41", "42"], "C", 0.0),
            (VOTE, &["41", "43"], "42", 0.0),
        ] {
            assert_eq!(reward(stage, shown, text), worth, "stage {stage}, {shown:?}: {text:?}");
        }
    }

    #[test]
    fn words_keep_their_letters() {
        for (text, says) in [
            ("nota", Some("nota")),
            ("no,ta", Some("ta")),
            ("no", Some("no")),
            ("ok", None),
            ("  ", None),
            ("ñ", Some("ñ")),
        ] {
            assert_eq!(correction(text), says);
        }
    }
}
