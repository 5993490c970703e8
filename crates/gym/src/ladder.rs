//! Difficulty that follows the learner.

use crate::environment::{Environment, Score};
use serde::{Deserialize, Serialize};

/// Moves up a level when the learner does well on the one it is at, and down when it does badly.
///
/// Scores are looked at a window at a time: each move starts a new one, so that a level is judged by its own scores only. It can be saved
/// and loaded, and goes on where it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    level: u8,
    levels: u8,
    window: u32,
    up_from: f64,
    down_to: f64,
    told: u32,
    sum: f64,
}

impl Ladder {
    /// A ladder of an environment's levels, on the lowest: up from a mean score of 0.8 over 64 scores, down at 0.2.
    pub fn new(environment: &dyn Environment) -> Ladder {
        let levels = environment.levels().max(1);
        Ladder { level: 0, levels, window: 64, up_from: 0.8, down_to: 0.2, told: 0, sum: 0.0 }
    }

    /// The same with other bounds: how many scores are looked at, and the means to go up from and down at.
    pub fn judged_by(mut self, window: u32, up_from: f64, down_to: f64) -> Ladder {
        self.window = window.max(1);
        (self.up_from, self.down_to) = (up_from, down_to);
        self
    }

    /// The same, begun at a level.
    pub fn at(mut self, level: u8) -> Ladder {
        self.move_to(level.min(self.levels.saturating_sub(1)));
        self
    }

    /// The level to take tasks from.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Takes note of a score on the present level; says whether that moved it. Scores of other levels are for the caller to leave out.
    pub fn tell(&mut self, score: Score) -> bool {
        self.told = self.told.saturating_add(1);
        self.sum += score.value();
        if self.told < self.window {
            return false;
        }
        let mean = self.sum / f64::from(self.told);
        let before = self.level;
        if mean >= self.up_from {
            self.move_to(before.saturating_add(1).min(self.levels.saturating_sub(1)));
        } else if mean <= self.down_to {
            self.move_to(before.saturating_sub(1));
        } else {
            self.move_to(before);
        }
        self.level != before
    }

    fn move_to(&mut self, level: u8) {
        (self.level, self.told, self.sum) = (level, 0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment;

    #[test]
    fn it_climbs_with_a_learner_and_comes_down_again() {
        let env = environment("chain_sum").unwrap();
        let mut ladder = Ladder::new(env).judged_by(4, 0.75, 0.25);
        let tell =
            |ladder: &mut Ladder, score: f64| (0..4).map(|_| ladder.tell(Score::new(score))).last().unwrap();
        assert!(tell(&mut ladder, 1.0) && ladder.level() == 1);
        assert!(!tell(&mut ladder, 0.5) && ladder.level() == 1);
        assert!(tell(&mut ladder, 0.75) && ladder.level() == 2);
        for _ in 0..9 {
            tell(&mut ladder, 1.0);
        }
        assert_eq!(ladder.level(), env.levels() - 1);
        for _ in 0..9 {
            tell(&mut ladder, 0.0);
        }
        assert_eq!(ladder.level(), 0);
    }

    #[test]
    fn it_goes_on_where_it_was_saved() {
        let env = environment("chain_sum").unwrap();
        let mut ladder = Ladder::new(env).at(200);
        assert_eq!(ladder.level(), env.levels() - 1);
        ladder.tell(Score::new(0.3));
        let saved = serde_json::to_string(&ladder).unwrap();
        assert_eq!(serde_json::from_str::<Ladder>(&saved).unwrap(), ladder);
    }
}
