//! The tasks of a round: which node is asked what, worked out by everyone from the round's seed.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use gym::{Environment, Ladder, Mixture, Part, Task};

use crate::charter::{Charter, Practised};
use crate::id::{NodeId, Seed};
use crate::native::{environment, native, task_of};
use crate::tongue::{Question, Tongue};
use crate::{Error, RewardManager};

/// Whose tasks of which round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The round.
    pub round: u64,
    /// Its seed.
    pub seed: Seed,
    /// The node, or nobody if all are asked the same.
    pub node: Option<NodeId>,
}

/// A task that somebody is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Assigned {
    /// Its environment, by its place in the charter.
    pub environment: u16,
    /// The task.
    pub task: Task,
}

/// `GenRL`'s name for who says what a round's tasks are.
///
/// All but [`DataManager::ladders`] are pure functions: others ask it for *your* tasks, to see that you answered those.
pub trait DataManager: fmt::Debug + Send + Sync {
    /// From which environment the task of this number is, and what it is made from.
    fn draw(&self, place: &Place, number: u16) -> (u16, u64);

    /// The task of an environment that is made from this, at a level.
    fn task(&self, environment: u16, seed: u64, level: u8) -> Assigned;

    /// The levels that a node may be at in an environment.
    fn levels(&self, environment: u16) -> RangeInclusive<u8>;

    /// For each environment what a newcomer's level follows, or nothing where all are at the same.
    fn ladders(&self) -> Vec<Option<Ladder>>;

    /// Tasks that are never drawn in a round: for examinations.
    fn exam(&self, count: usize) -> Vec<Assigned>;
}

/// Tasks drawn by weight from the charter's environments; those that are kept back for exams are never drawn.
///
/// It scores answers too: an answer is worth what its environment says, and one that was cut off is worth nothing.
#[derive(Clone, Debug)]
pub struct Draw {
    mixture: Mixture,
    practised: Vec<Practised>,
    compact: bool,
}

/// Tasks of each level of each environment that are looked at before a swarm begins, to see that the model can be asked.
const TRIED: u64 = 32;

impl Draw {
    /// The charter's environments, each tried: an error if there is no such one, or the model cannot be asked its questions.
    pub fn new(charter: &Charter, tongue: &Tongue) -> Result<Draw, Error> {
        let mut parts: Vec<(Arc<dyn Environment>, f64)> = Vec::new();
        for (i, Practised { name, weight, level, .. }) in charter.environments.iter().enumerate() {
            let wrong =
                |part: &str, why: String| Error::Field { field: format!("environments[{i}].{part}"), why };
            let environment = environment(name)
                .ok_or_else(|| wrong("name", format!("is {name:?}: there is no such environment")))?;
            let last = environment.levels().saturating_sub(1);
            if *level > last {
                return Err(wrong("level", format!("is {level}: {name} has levels 0 to {last}")));
            }
            parts.push((Arc::new(environment), *weight));
        }
        let mixture = Mixture::new(parts)
            .map_err(|e| Error::Field { field: "environments".to_owned(), why: e.to_string() })?;
        let practised = charter.environments.clone();
        let draw = Draw { mixture, practised, compact: tongue.is_compact() };
        for (at, Practised { name, .. }) in (0u16..).zip(&draw.practised) {
            for level in draw.levels(at) {
                for number in 0..TRIED {
                    let seed = Seed([0; 32]).number("trial", &[&number.to_le_bytes()]);
                    let task = draw.task(at, seed, level).task;
                    let short = draw.mixture.parts()[usize::from(at)].shorten(&task.answer);
                    tongue.must_fit(name, &Question::of(&task), &short)?;
                }
            }
        }
        Ok(draw)
    }
}

impl DataManager for Draw {
    fn draw(&self, place: &Place, number: u16) -> (u16, u64) {
        let node = place.node.map_or([0; 32], |node| node.0);
        let drawn = self
            .mixture
            .draw(place.seed.number("tasks", &[&place.round.to_le_bytes(), &node]), number.into());
        (drawn.place as u16, drawn.seed)
    }

    fn task(&self, environment: u16, seed: u64, level: u8) -> Assigned {
        let part = &*self.mixture.parts()[usize::from(environment).min(self.practised.len() - 1)];
        // wren's own tasks know their exam. Where everything is kept back, there is nothing else to learn from.
        let task = match native(part.name()) {
            Some(_) => part.task(seed, level),
            None => Part::Training.task(part, seed, level).unwrap_or_else(|| part.task(seed, level)),
        };
        Assigned { environment, task }
    }

    fn levels(&self, environment: u16) -> RangeInclusive<u8> {
        let at = usize::from(environment).min(self.practised.len() - 1);
        let Practised { level, climb, .. } = self.practised[at];
        let last = self.mixture.parts()[at].levels().saturating_sub(1);
        level..=(if climb { last } else { level })
    }

    fn ladders(&self) -> Vec<Option<Ladder>> {
        let ladder = |(part, practised): (&Arc<dyn Environment>, &Practised)| {
            practised.climb.then(|| Ladder::new(&**part).at(practised.level))
        };
        self.mixture.parts().iter().zip(&self.practised).map(ladder).collect()
    }

    /// Of all environments in turn, at the levels that newcomers are at.
    fn exam(&self, count: usize) -> Vec<Assigned> {
        let of = |(number, at): (usize, usize)| {
            let Practised { level, .. } = self.practised[at];
            let number = (number / self.practised.len()) as u64;
            let environment = &*self.mixture.parts()[at];
            let task = if let Some(task) = native(environment.name()) {
                task_of(task, lm::wren::Part::Exam, 0, number)
            } else {
                let seed = Seed([1; 32]).number("exam", &[&number.to_le_bytes()]);
                Part::HeldOut.task(environment, seed, level).unwrap_or_else(|| environment.task(seed, level))
            };
            Assigned { environment: at as u16, task }
        };
        (0..count).zip((0..self.practised.len()).cycle()).map(of).collect()
    }
}

impl RewardManager for Draw {
    fn score(&self, assigned: &Assigned, answer: &str) -> f32 {
        let Some(environment) = self.mixture.parts().get(usize::from(assigned.environment)) else {
            return 0.0;
        };
        let long;
        let answer = if self.compact {
            long = environment.expand(answer);
            &long
        } else {
            answer
        };
        environment.score(&assigned.task, answer).value() as f32
    }
}

impl Question {
    /// A task's question.
    pub fn of(task: &Task) -> Question {
        Question { natural: task.question.clone(), compact: task.compact.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charter(names: &[(&str, f64)]) -> Charter {
        let practised = |(name, weight): &(&str, f64)| Practised { weight: *weight, ..Practised::new(name) };
        Charter { environments: names.iter().map(practised).collect(), ..Charter::new() }
    }

    fn assign(draw: &Draw, place: &Place, number: u16) -> Assigned {
        let (environment, seed) = draw.draw(place, number);
        draw.task(environment, seed, 0)
    }

    #[test]
    fn everyone_knows_what_everyone_is_due() {
        let tongue = Tongue::wren(52, 12);
        let draw = Draw::new(&charter(&[("reverse", 3.0), ("add", 1.0)]), &tongue).unwrap();
        let place =
            |round, seed, node| Place { round, seed: Seed([seed; 32]), node: Some(NodeId([node; 32])) };
        let mine = assign(&draw, &place(1, 2, 3), 4);
        assert_eq!(assign(&draw, &place(1, 2, 3), 4), mine);
        for other in [place(2, 2, 3), place(1, 3, 3), place(1, 2, 4)].map(|p| assign(&draw, &p, 4)) {
            assert_ne!(other.task.seed, mine.task.seed);
        }
        assert_ne!(assign(&draw, &place(1, 2, 3), 5).task.seed, mine.task.seed);
        let adds = (0..400).filter(|n| draw.draw(&place(1, 2, 3), *n).0 == 1).count();
        assert!((60..140).contains(&adds), "{adds} of 400 at a weight of one in four");
    }

    #[test]
    fn the_exam_is_never_drawn() {
        let tongue = Tongue::wren(52, 12);
        let draw = Draw::new(&charter(&[("reverse", 1.0), ("add", 1.0)]), &tongue).unwrap();
        let exam: Vec<String> = draw.exam(200).into_iter().map(|a| a.task.compact).collect();
        for node in 0..20 {
            let place = Place { round: 0, seed: Seed([9; 32]), node: Some(NodeId([node; 32])) };
            assert!((0..50).all(|n| !exam.contains(&assign(&draw, &place, n).task.compact)));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_said_before_it_begins() {
        let tongue = Tongue::wren(52, 12);
        let why = |charter: &Charter, tongue: &Tongue| Draw::new(charter, tongue).unwrap_err().to_string();
        assert!(why(&charter(&[("chess", 1.0)]), &tongue).contains("environments[0].name is \"chess\""));
        let mut high = charter(&[("add", 1.0)]);
        high.environments[0].level = 3;
        assert!(why(&high, &tongue).contains("environments[0].level is 3: add has levels 0 to 0"));
        assert!(
            why(&charter(&[("express", 1.0)]), &Tongue::wren(8, 12))
                .contains("a task of express: a question")
        );
        assert!(why(&charter(&[("express", 1.0)]), &Tongue::wren(52, 6)).contains("a right answer of"));
    }

    #[test]
    fn answers_are_scored_by_their_environment() {
        let draw = Draw::new(&charter(&[("reverse", 1.0)]), &Tongue::wren(52, 12)).unwrap();
        let assigned = draw.exam(1).remove(0);
        assert_eq!(draw.score(&assigned, &assigned.task.answer), 1.0);
        assert_eq!(draw.score(&assigned, "?"), 0.0);
        assert_eq!(draw.score(&Assigned { environment: 7, ..assigned.clone() }, &assigned.task.answer), 0.0);
    }

    #[test]
    fn who_climbs_may_be_anywhere_above() {
        let mut charter = charter(&[("spell_backward", 1.0)]);
        let tongue = Tongue::characters(lm::Alphabet::new("abcdefghijklmnopqrstuvwxyz =:"), 60, 60);
        let draw = |charter: &Charter| Draw::new(charter, &tongue).unwrap();
        assert_eq!(draw(&charter).levels(0), 0..=0);
        assert_eq!(draw(&charter).ladders(), [None]);
        charter.environments[0].climb = true;
        let last = gym::environment("spell_backward").unwrap().levels() - 1;
        assert_eq!(draw(&charter).levels(0), 0..=last);
        assert_eq!(draw(&charter).ladders()[0].as_ref().unwrap().level(), 0);
    }
}
