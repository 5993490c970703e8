//! `letter_counting`: how often a letter stands in a text.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use crate::words;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// Texts in which a letter is to be counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LetterCounting {
    /// The fewest words of the text.
    pub min_words: u32,
    /// The most words of the text.
    pub max_words: u32,
}

impl Default for LetterCounting {
    fn default() -> LetterCounting {
        LetterCounting { min_words: 5, max_words: 15 }
    }
}

impl Family for LetterCounting {
    const NAME: &'static str = "letter_counting";

    fn levels() -> Vec<LetterCounting> {
        [(1, 2), (3, 6), (5, 15)].map(|(min_words, max_words)| LetterCounting { min_words, max_words }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_words", self.min_words), ("max_words", self.max_words), 1..=1000)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let count = dice.size(self.min_words, self.max_words);
        let all = words::in_order();
        let start = dice.below((all.len() - count) as u64 + 1) as usize;
        let text = &all[start..start + count];
        let lower = text.join(",").to_ascii_lowercase();
        let letters: Vec<char> =
            lower.chars().filter(|c| *c != ',').collect::<BTreeSet<_>>().into_iter().collect();
        let letter = dice.pick(&letters).copied().unwrap_or('a');
        Problem {
            question: format!(
                "How many times does \"{letter}\" occur in this text, as a small or a capital letter? {}",
                text.join(" ")
            ),
            compact: format!("lc:{letter},{lower}="),
            answer: lower.chars().filter(|c| *c == letter).count().to_string(),
            data: json!({ "span_length": count, "target_letter": letter.to_string(), "span": text }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<LetterCounting>(|task| (task.answer.parse::<u32>().unwrap() + 1).to_string());
        trial::refuses::<LetterCounting>(&[
            r#"{"min_words":0}"#,
            r#"{"max_words":1001}"#,
            r#"{"min_words":16}"#,
        ]);
        trial::scores::<LetterCounting>("6", json!({}), &[("6", 1.0), ("six: 6", 1.0 / 6.0), ("5", 0.0)]);
    }
}
