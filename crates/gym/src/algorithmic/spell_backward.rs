//! `spell_backward`: a word, to be written from its end.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::words;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Words to be spelled backward: `sun` is `nus`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpellBackward {
    /// The fewest letters of a word.
    pub min_word_len: u32,
    /// The most letters of a word.
    pub max_word_len: u32,
}

impl Default for SpellBackward {
    fn default() -> SpellBackward {
        SpellBackward { min_word_len: 3, max_word_len: 10 }
    }
}

impl Family for SpellBackward {
    const NAME: &'static str = "spell_backward";

    fn levels() -> Vec<SpellBackward> {
        [6, 8, 10].map(|max_word_len| SpellBackward { max_word_len, ..SpellBackward::default() }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_word_len", self.min_word_len), ("max_word_len", self.max_word_len), 1..=64)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let word = words::any(dice, self.min_word_len as usize, self.max_word_len as usize);
        Problem {
            question: format!("Write this word backward, last letter first: {word}"),
            compact: format!("r:{word}="),
            answer: word.chars().rev().collect(),
            data: json!({ "word": word, "word_len": word.len() }),
        }
    }

    /// The share of letters that stand where they should. All of them with more behind is no right answer: 0.8.
    fn score(task: &Task, answer: &str) -> f64 {
        let (right, answer) = (task.answer.to_lowercase(), answer.to_lowercase());
        if right == answer {
            return 1.0;
        }
        // Added up letter by letter: whether the sum of all is exactly one, as the package asks, depends on rounding.
        let share = 1.0 / right.chars().count() as f64;
        let mut sum = 0.0;
        for (a, b) in right.chars().zip(answer.chars()) {
            if a == b {
                sum += share;
            }
        }
        // Where rounding would make the sum more than one, it stays below: something stands behind that should not.
        if sum == 1.0 { sum - 0.2 } else { sum.min(1.0 - f64::EPSILON) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<SpellBackward>(|task| format!("{}s", task.answer));
        trial::refuses::<SpellBackward>(&[
            r#"{"min_word_len":0}"#,
            r#"{"min_word_len":11}"#,
            r#"{"max_word_len":65}"#,
        ]);
    }

    #[test]
    fn letters_count_where_they_stand() {
        trial::scores::<SpellBackward>(
            "anut",
            json!({}),
            &[
                ("anut", 1.0),
                ("ANUT", 1.0),
                ("anu", 0.75),
                ("xnut", 0.75),
                ("anuts", 0.8),
                (" anut", 0.0),
                ("tuna", 0.0),
            ],
        );
        // Six sixths are a little less than one when they are added up, and nine ninths a little more.
        for right in ["yadnus", "detisoped"] {
            let task = crate::configured("spell_backward", "{}").unwrap();
            let asked = Task { answer: right.to_owned(), ..task.task(0, 0) };
            let score = task.score(&asked, &format!("{right}!"));
            assert!(score.value() > 0.999 && !score.is_full());
        }
    }
}
