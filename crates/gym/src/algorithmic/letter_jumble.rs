//! `letter_jumble`: words whose letters were swapped.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::{python, words};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Texts whose words are to be put right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LetterJumble {
    /// The fewest letters of a word.
    pub min_word_len: u32,
    /// The most letters of a word.
    pub max_word_len: u32,
    /// The fewest words.
    pub min_words: u32,
    /// The most words.
    pub max_words: u32,
    /// The least number of swaps, as a share of a word's letters.
    pub min_corruption_level: f64,
    /// The largest number of swaps, as a share of a word's letters.
    pub max_corruption_level: f64,
    /// Whether the words follow each other in the story.
    pub consecutive_words: bool,
}

impl Default for LetterJumble {
    fn default() -> LetterJumble {
        LetterJumble {
            min_word_len: 1,
            max_word_len: 64,
            min_words: 3,
            max_words: 20,
            min_corruption_level: 0.1,
            max_corruption_level: 0.9,
            consecutive_words: true,
        }
    }
}

impl LetterJumble {
    fn words(&self) -> Vec<&'static str> {
        let fits = |w: &&str| {
            (self.min_word_len..=self.max_word_len).contains(&(w.len() as u32))
                && w.bytes().all(|b| b.is_ascii_alphabetic())
        };
        words::in_order().iter().copied().filter(fits).collect()
    }
}

impl Family for LetterJumble {
    const NAME: &'static str = "letter_jumble";

    fn levels() -> Vec<LetterJumble> {
        let all = LetterJumble::default();
        vec![
            LetterJumble { min_words: 1, max_words: 1, min_word_len: 3, max_word_len: 4, ..all.clone() },
            LetterJumble { min_words: 1, max_words: 5, max_word_len: 8, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_word_len", self.min_word_len), ("max_word_len", self.max_word_len), 1..=64)?;
        span(("min_words", self.min_words), ("max_words", self.max_words), 1..=1000)?;
        let (least, most) = (self.min_corruption_level, self.max_corruption_level);
        span(("min_corruption_level", least), ("max_corruption_level", most), 0.0..=1.0)?;
        words::enough(self.words().len(), self.max_words)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let all = self.words();
        let count = dice.size(self.min_words, self.max_words);
        let (least, most) = (self.min_corruption_level, self.max_corruption_level);
        let corruption = least + dice.unit() * (most - least);
        let words: Vec<&str> = if self.consecutive_words {
            let start = dice.below((all.len() - count) as u64 + 1) as usize;
            all[start..start + count].to_vec()
        } else {
            dice.sample(all.len(), count).into_iter().map(|i| all[i]).collect()
        };
        let scrambled: Vec<String> = words.iter().map(|word| scrambled(dice, word, corruption)).collect();
        Problem {
            question: format!(
                "In every word of this text some letters may have changed places: {}\nPut them right, and answer with the text.",
                scrambled.join(" ")
            ),
            compact: format!("lj:{}=", scrambled.join(",").to_ascii_lowercase()),
            answer: words.join(" "),
            data: json!({
                "num_words": count,
                "corruption_level": corruption,
                "scrambled_words": scrambled,
                "original_words": words,
            }),
        }
    }

    /// The share of words that are right and stand where they should; capitals do not matter.
    fn score(task: &Task, answer: &str) -> f64 {
        let (right, given) =
            (python::strip(&task.answer).to_lowercase(), python::strip(answer).to_lowercase());
        if right == given {
            return 1.0;
        }
        let total = python::words(&right).count();
        let hits = python::words(&right).zip(python::words(&given)).filter(|(a, b)| a == b).count();
        if total == 0 { 0.0 } else { hits as f64 / total as f64 }
    }

    fn shorten(answer: &str) -> String {
        answer.to_ascii_lowercase().replace(' ', ",")
    }

    fn expand(short: &str) -> String {
        short.replace(',', " ")
    }
}

/// A word after so many swaps of two of its letters, but at least one.
fn scrambled(dice: &mut Dice, word: &str, corruption: f64) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    if letters.len() > 1 {
        for _ in 0..((letters.len() as f64 * corruption) as usize).max(1) {
            let places = dice.sample(letters.len(), 2);
            letters.swap(places[0], places[1]);
        }
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<LetterJumble>(|task| format!("x{}", task.answer));
        trial::refuses::<LetterJumble>(&[
            r#"{"min_words":0}"#,
            r#"{"min_corruption_level":0.95}"#,
            r#"{"min_word_len":20,"max_words":999}"#,
        ]);
        crate::configured("letter_jumble", r#"{"consecutive_words":false}"#).unwrap().task(0, 0);
    }

    #[test]
    fn words_count_where_they_stand() {
        trial::scores::<LetterJumble>(
            "We shall be able",
            json!({}),
            &[
                ("We shall be able", 1.0),
                (" we SHALL be able\n", 1.0),
                ("we  shall\nbe able", 1.0),
                ("we shall be", 0.75),
                ("shall we be able", 0.5),
                ("We shall be able to", 1.0),
                ("able", 0.0),
                ("", 0.0),
            ],
        );
        assert_eq!(scrambled(&mut Dice::new("test", 0, 0), "ab", 0.1), "ba");
    }
}
