//! `word_sorting`: words to be put in the order of their characters' codes.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::{python, short, words};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Words to be sorted, up or down: all capitals come before all small letters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WordSorting {
    /// The fewest words.
    pub min_words: u32,
    /// The most words.
    pub max_words: u32,
    /// The fewest letters of a word.
    pub min_word_length: u32,
    /// The most letters of a word.
    pub max_word_length: u32,
    /// What is done to the words first.
    pub transformation: TextTransformation,
}

/// What is done to a word's letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextTransformation {
    /// All are made small.
    Lowercase,
    /// All are made capitals.
    Uppercase,
    /// They stay.
    Original,
    /// Each is made small or a capital.
    Randomcase,
}

impl TextTransformation {
    fn of(self, word: &str, dice: &mut Dice) -> String {
        match self {
            TextTransformation::Lowercase => word.to_ascii_lowercase(),
            TextTransformation::Uppercase => word.to_ascii_uppercase(),
            TextTransformation::Original => word.to_owned(),
            TextTransformation::Randomcase => word
                .chars()
                .map(|c| if dice.chance(0.5) { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                .collect(),
        }
    }
}

impl Default for WordSorting {
    fn default() -> WordSorting {
        WordSorting {
            min_words: 3,
            max_words: 10,
            min_word_length: 3,
            max_word_length: 12,
            transformation: TextTransformation::Original,
        }
    }
}

impl WordSorting {
    /// The story's words of the right lengths, each once.
    fn words(&self) -> Vec<&'static str> {
        let fits = |w: &&str| (self.min_word_length..=self.max_word_length).contains(&(w.len() as u32));
        words::distinct().iter().copied().filter(fits).collect()
    }
}

impl Family for WordSorting {
    const NAME: &'static str = "word_sorting";

    fn levels() -> Vec<WordSorting> {
        let all = WordSorting::default();
        vec![
            WordSorting { min_words: 2, max_words: 4, max_word_length: 4, ..all.clone() },
            WordSorting { min_words: 3, max_words: 6, max_word_length: 7, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_words", self.min_words), ("max_words", self.max_words), 1..=1000)?;
        let lengths = (("min_word_length", self.min_word_length), ("max_word_length", self.max_word_length));
        span(lengths.0, lengths.1, 1..=64)?;
        words::enough(self.words().len(), self.max_words)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let all = self.words();
        let count = dice.size(self.min_words, self.max_words);
        let original: Vec<&str> = dice.sample(all.len(), count).into_iter().map(|i| all[i]).collect();
        let given: Vec<String> = original.iter().map(|word| self.transformation.of(word, dice)).collect();
        let up = dice.chance(0.5);
        let mut sorted = given.clone();
        sorted.sort_unstable();
        if !up {
            sorted.reverse();
        }
        let (direction, sign) = if up { ("ascending", '+') } else { ("descending", '-') };
        Problem {
            question: format!(
                "Sort these words by the ASCII codes of their characters, in {direction} order: {}\nAnswer with the words, a comma and \
                 a blank between any two.",
                given.join(", ")
            ),
            compact: format!("ws{sign}:{}=", short::marked(&given.join(","))),
            answer: sorted.join(", "),
            data: json!({
                "original_words": original,
                "sorted_words": sorted,
                "transformed_words": given,
                "direction": direction,
                "num_words": count,
                "word_length": original.iter().map(|w| w.len()).max(),
            }),
        }
    }

    /// The share of words that stand where they should; a fifth at least for the right words in a wrong order.
    fn score(task: &Task, answer: &str) -> f64 {
        let Some(right) = task.data.get("sorted_words").and_then(Value::as_array) else { return 0.0 };
        let right: Vec<&str> = right.iter().filter_map(Value::as_str).collect();
        if answer.is_empty() || right.is_empty() {
            return 0.0;
        }
        let mut given: Vec<&str> = answer.split(',').map(python::strip).collect();
        let places = right.iter().zip(&given).filter(|(a, b)| a == b).count();
        let share = places as f64 / right.len() as f64;
        let mut sorted = right;
        sorted.sort_unstable();
        given.sort_unstable();
        if given == sorted { share.max(0.2) } else { share }
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
        trial::hold::<WordSorting>(|task| format!("zz, {}", task.answer));
        trial::refuses::<WordSorting>(&[
            r#"{"min_words":0}"#,
            r#"{"min_word_length":13}"#,
            r#"{"min_word_length":14,"max_word_length":15,"max_words":500}"#,
            r#"{"transformation":"upside_down"}"#,
        ]);
    }

    #[test]
    fn words_count_where_they_stand() {
        let data = json!({ "sorted_words": ["DIRECT", "dreaming", "exclaims", "given"] });
        trial::scores::<WordSorting>(
            "DIRECT, dreaming, exclaims, given",
            data,
            &[
                ("DIRECT, dreaming, exclaims, given", 1.0),
                ("DIRECT ,dreaming,\nexclaims,  given ", 1.0),
                ("DIRECT, dreaming, given, exclaims", 0.5),
                ("dreaming, DIRECT, given, exclaims", 0.2),
                ("direct, dreaming", 0.25),
                ("DIRECT, dreaming, exclaims, given, more", 1.0),
                ("", 0.0),
                (",", 0.0),
            ],
        );
        trial::scores::<WordSorting>("a", json!({}), &[("a", 0.0)]);
    }
}
