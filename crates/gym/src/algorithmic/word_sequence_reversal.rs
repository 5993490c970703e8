//! `word_sequence_reversal`: a list of words, to be written from its end.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use crate::{short, words};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Lists of words to be reversed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WordSequenceReversal {
    /// The fewest words.
    pub min_words: u32,
    /// The most words.
    pub max_words: u32,
}

impl Default for WordSequenceReversal {
    fn default() -> WordSequenceReversal {
        WordSequenceReversal { min_words: 3, max_words: 8 }
    }
}

impl Family for WordSequenceReversal {
    const NAME: &'static str = "word_sequence_reversal";

    fn levels() -> Vec<WordSequenceReversal> {
        [(2, 4), (3, 6), (3, 8)]
            .map(|(min_words, max_words)| WordSequenceReversal { min_words, max_words })
            .into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_words", self.min_words), ("max_words", self.max_words), 1..=1000)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let all = words::in_order();
        let count = dice.size(self.min_words, self.max_words);
        let mut words: Vec<&str> = dice.sample(all.len(), count).into_iter().map(|i| all[i]).collect();
        let (question, compact) = (words.join(", "), short::marked(&words.join(",")));
        let data = json!({ "num_words": count, "words": words });
        words.reverse();
        Problem {
            question: format!(
                "Write these words in reverse order, the last first, with a comma and a blank between any two: {question}"
            ),
            compact: format!("wr:{compact}="),
            answer: words.join(", "),
            data,
        }
    }

    fn shorten(answer: &str) -> String {
        short::listed(answer)
    }

    fn expand(short: &str) -> String {
        short::unlisted(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<WordSequenceReversal>(|task| format!("{}, more", task.answer));
        trial::refuses::<WordSequenceReversal>(&[
            r#"{"min_words":0}"#,
            r#"{"max_words":1001}"#,
            r#"{"min_words":9}"#,
        ]);
        let cases = [("b, a", 1.0), ("b,a", 0.0), ("so: b, a", 0.5)];
        trial::scores::<WordSequenceReversal>("b, a", json!({}), &cases);
    }
}
