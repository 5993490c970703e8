//! What is learned from, and what is kept back for examinations.

use crate::dice::Dice;
use crate::environment::{Environment, Task};

/// One of so many tasks is held out.
const ONE_OF: u8 = 8;

/// How often a task of the wanted part is looked for. Where all tasks of a level are of one part, there is none to find.
const ATTEMPTS: u64 = 512;

/// Whether a task is kept back: one of eight is, by the hash of what it asks.
///
/// The hash is of the compact question, which has the data of the natural one and no choice of words: no other level, seed or machine
/// can make a lesson of what another has in an examination.
pub fn held_out(task: &Task) -> bool {
    let text = if task.compact.is_empty() { &task.question } else { &task.compact };
    let mut hash = blake3::Hasher::new_derive_key("starling gym split 1");
    hash.update(text.as_bytes());
    hash.finalize().as_bytes()[0].is_multiple_of(ONE_OF)
}

/// Which tasks are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Those to learn from.
    Training,
    /// Those kept back.
    HeldOut,
}

impl Part {
    /// Whether a task is of this part.
    pub fn has(self, task: &Task) -> bool {
        held_out(task) == (self == Part::HeldOut)
    }

    /// A task of this part, from a seed. [`Task::seed`] is what the environment made it from, often another one.
    ///
    /// There is none if the level has so few tasks that all are of the other part.
    pub fn task(self, environment: &dyn Environment, seed: u64, level: u8) -> Option<Task> {
        let mut dice = Dice::new("split", seed, u64::from(level));
        let seeds = std::iter::once(seed).chain(std::iter::repeat_with(|| dice.bits()));
        seeds.take(ATTEMPTS as usize).map(|seed| environment.task(seed, level)).find(|task| self.has(task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment;
    use std::collections::HashSet;

    #[test]
    fn the_parts_share_no_question() {
        let env = environment("chain_sum").unwrap();
        let of = |part: Part| -> HashSet<String> {
            (0..400)
                .map(|seed| part.task(env, seed, 0).unwrap())
                .inspect(|t| assert!(part.has(t)))
                .map(|t| t.compact)
                .collect()
        };
        let (lessons, examination) = (of(Part::Training), of(Part::HeldOut));
        assert!(lessons.len() > 200 && examination.len() > 150);
        assert!(lessons.is_disjoint(&examination));
    }

    #[test]
    fn one_of_eight_is_held_out_and_can_be_made_again() {
        let env = environment("spell_backward").unwrap();
        let held = (0..4_000).filter(|seed| held_out(&env.task(*seed, 1))).count();
        assert!((350..650).contains(&held), "{held}");
        let task = Part::HeldOut.task(env, 5, 1).unwrap();
        assert_eq!(env.task(task.seed, task.level), task);
    }
}
