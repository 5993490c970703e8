//! `palindrome_generation`: letters to be put in an order that reads the same from both ends.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::python;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Letters to make palindromes of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PalindromeGeneration {
    /// The fewest letters.
    pub min_length: u32,
    /// The most letters.
    pub max_length: u32,
}

impl Default for PalindromeGeneration {
    fn default() -> PalindromeGeneration {
        PalindromeGeneration { min_length: 3, max_length: 10 }
    }
}

impl Family for PalindromeGeneration {
    const NAME: &'static str = "palindrome_generation";

    fn levels() -> Vec<PalindromeGeneration> {
        [6, 8, 10]
            .map(|max_length| PalindromeGeneration { max_length, ..PalindromeGeneration::default() })
            .into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_length", self.min_length), ("max_length", self.max_length), 1..=2000)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let length = dice.size(self.min_length, self.max_length);
        let half: Vec<char> =
            (0..length.div_ceil(2)).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
        let palindrome: Vec<char> = half.iter().chain(half.iter().rev().skip(length % 2)).copied().collect();
        let mut letters = palindrome.clone();
        dice.shuffle(&mut letters);
        let letters: Vec<String> = letters.iter().map(char::to_string).collect();
        let palindrome: String = palindrome.into_iter().collect();
        Problem {
            question: format!(
                "Put all of these letters in an order that reads the same forward and backward: {}\nAnswer with one such word.",
                letters.join(", ")
            ),
            compact: format!("pg:{}=", letters.concat()),
            data: json!({ "letters": letters, "generated_palindrome": palindrome, "length": length }),
            answer: palindrome,
        }
    }

    /// A twentieth for a palindrome of other letters, a fiftieth for any other text.
    fn score(task: &Task, answer: &str) -> f64 {
        let Some(letters) = task.data.get("letters").and_then(Value::as_array) else { return 0.0 };
        if answer.is_empty() {
            return 0.0;
        }
        let mut given: Vec<char> = python::strip(answer).to_lowercase().chars().collect();
        if !given.iter().eq(given.iter().rev()) {
            return 0.02;
        }
        let mut wanted: Vec<&str> = letters.iter().filter_map(Value::as_str).collect();
        wanted.sort_unstable();
        given.sort_unstable();
        let same = wanted.len() == given.len() && wanted.iter().zip(&given).all(|(a, b)| a.chars().eq([*b]));
        if same { 1.0 } else { 0.05 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<PalindromeGeneration>(|task| format!("{}{}", task.answer, task.answer));
        trial::refuses::<PalindromeGeneration>(&[
            r#"{"min_length":0}"#,
            r#"{"max_length":2001}"#,
            r#"{"min_length":11}"#,
        ]);
    }

    #[test]
    fn any_palindrome_of_the_letters_is_right() {
        trial::scores::<PalindromeGeneration>(
            "ahha",
            json!({ "letters": ["h", "a", "h", "a"] }),
            &[
                ("ahha", 1.0),
                ("haah", 1.0),
                (" HAAH\n", 1.0),
                ("hah", 0.05),
                ("x", 0.05),
                (" ", 0.05),
                ("haha", 0.02),
                ("a h h a!", 0.02),
                ("", 0.0),
            ],
        );
    }
}
