//! `string_insertion`: letters to be put in behind certain others.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::python::Literal;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Strings of A to E in which four letters that follow each other in the round are followed by one more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StringInsertion {
    /// The fewest letters.
    pub min_string_length: u32,
    /// The most letters.
    pub max_string_length: u32,
}

impl Default for StringInsertion {
    fn default() -> StringInsertion {
        StringInsertion { min_string_length: 5, max_string_length: 20 }
    }
}

/// What is looked for, and what is put in behind it: its first letter again.
const PATTERNS: [&str; 5] = ["ABCD", "BCDE", "CDEA", "DEAB", "EABC"];

impl Family for StringInsertion {
    const NAME: &'static str = "string_insertion";

    fn levels() -> Vec<StringInsertion> {
        [8, 12, 20]
            .map(|max_string_length| StringInsertion { max_string_length, ..StringInsertion::default() })
            .into()
    }

    fn check(&self) -> Result<(), Unfit> {
        let (least, most) = (self.min_string_length, self.max_string_length);
        span(("min_string_length", least), ("max_string_length", most), 5..=2000)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let length = dice.size(self.min_string_length, self.max_string_length);
        let mut letters: Vec<u8> = (0..length).map(|_| b'A' + dice.below(5) as u8).collect();
        // By chance alone there would mostly be nothing to put in.
        if dice.chance(0.5) {
            let at = dice.below(length as u64 - 3) as usize;
            letters[at..at + 4].copy_from_slice(dice.one(PATTERNS).as_bytes());
        }
        let string: String = letters.iter().map(|b| char::from(*b)).collect();
        let answer = inserted(&string);
        Problem {
            question: format!(
                "Go through {string} from left to right. Behind ABCD put in A, behind BCDE put in B, behind CDEA put in C, behind DEAB \
                 put in D, behind EABC put in E. Go on behind the letter that was put in: what was gone through is not looked at \
                 again. Answer with the string that results."
            ),
            compact: format!("si:{}=", string.to_ascii_lowercase()),
            data: json!({ "string": string, "solution": answer, "string_length": length }),
            answer,
        }
    }

    /// A tenth for the right letters as a list.
    fn score(task: &Task, answer: &str) -> f64 {
        if answer == task.answer {
            return 1.0;
        }
        let joined = || {
            let parts = Literal::read(answer)?.parts()?;
            let text =
                |part: &Literal| if let Literal::Text(text) = part { Some(text.clone()) } else { None };
            parts.iter().map(text).collect::<Option<String>>()
        };
        if joined().is_some_and(|text| text == task.answer) { 0.1 } else { 0.0 }
    }

    fn shorten(answer: &str) -> String {
        answer.to_ascii_lowercase()
    }

    fn expand(short: &str) -> String {
        short.to_ascii_uppercase()
    }
}

fn inserted(string: &str) -> String {
    let mut result = String::new();
    let mut rest = string;
    while let Some(first) = rest.chars().next() {
        let found = PATTERNS.iter().find(|pattern| rest.starts_with(**pattern));
        let passed = found.map_or(first.len_utf8(), |pattern| pattern.len());
        result.push_str(&rest[..passed]);
        if found.is_some() {
            result.push(first);
        }
        rest = &rest[passed..];
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<StringInsertion>(|task| format!("{}A", task.answer));
        trial::refuses::<StringInsertion>(&[r#"{"min_string_length":4}"#, r#"{"max_string_length":2001}"#]);
    }

    #[test]
    fn letters_are_put_in_from_left_to_right() {
        for (string, result) in
            [("ABCDE", "ABCDAE"), ("DDEABC", "DDEABDC"), ("AAAAA", "AAAAA"), ("ABCDABCD", "ABCDAABCDA")]
        {
            assert_eq!(inserted(string), result);
        }
    }

    #[test]
    fn a_list_is_worth_a_tenth() {
        trial::scores::<StringInsertion>(
            "ACB",
            json!({}),
            &[
                ("ACB", 1.0),
                ("['A', 'C', 'B']", 0.1),
                ("('AC', 'B')", 0.1),
                ("'ACB'", 0.1),
                ("acb", 0.0),
                (" ACB", 0.0),
                ("[A, C, B]", 0.0),
                ("['A'] + ['C', 'B']", 0.0),
                ("", 0.0),
            ],
        );
    }
}
