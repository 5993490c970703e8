//! `ab`: tokens that pass through each other, or cancel out.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, within};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Programs of the system `A::B`, to be run to their end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ab {
    /// How many tokens a program has.
    pub length: u32,
}

impl Default for Ab {
    fn default() -> Ab {
        Ab { length: 10 }
    }
}

/// The tokens, and their letters in short forms.
const TOKENS: [(&str, char); 4] = [("A#", 'a'), ("B#", 'b'), ("#A", 'c'), ("#B", 'd')];

impl Family for Ab {
    const NAME: &'static str = "ab";

    fn levels() -> Vec<Ab> {
        [4, 7, 10].map(|length| Ab { length }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        within("length", self.length, 1..=200)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let program: Vec<&str> = (0..self.length).map(|_| dice.one(TOKENS).0).collect();
        let (before, after) = (program.join(" "), run(program).join(" "));
        Problem {
            question: format!(
                "A program is a row of the tokens A#, #A, B# and #B. Wherever the # of two neighbours face each other, they are \
                 rewritten:\nA# #A vanish.\nB# #B vanish.\nA# #B become #B A#.\nB# #A become #A B#.\nWhat is left of this program when \
                 nothing can be rewritten any more?\n{before}"
            ),
            compact: format!("ab:{}=", Self::shorten(&before)),
            answer: after,
            data: json!({ "length": self.length }),
        }
    }

    fn score(task: &Task, answer: &str) -> f64 {
        f64::from(u8::from(answer == task.answer))
    }

    fn shorten(answer: &str) -> String {
        let letter = |word: &str| TOKENS.iter().find(|(token, _)| *token == word).map(|(_, letter)| *letter);
        answer.split(' ').filter_map(letter).collect()
    }

    fn expand(short: &str) -> String {
        let token = |c: char| TOKENS.iter().find(|(_, letter)| *letter == c).map_or("?", |(token, _)| *token);
        short.chars().map(token).collect::<Vec<_>>().join(" ")
    }
}

/// Rewrites the first pair that faces each other, again and again. Every step takes a pair away or brings a token nearer to its side.
fn run(mut program: Vec<&'static str>) -> Vec<&'static str> {
    let mut at = 0;
    while at + 1 < program.len() {
        match (program[at], program[at + 1]) {
            ("A#", "#A") | ("B#", "#B") => {
                program.drain(at..at + 2);
            }
            ("A#", "#B") | ("B#", "#A") => program.swap(at, at + 1),
            _ => {
                at += 1;
                continue;
            }
        }
        // Only the neighbour on the left can have come to face a new one.
        at = at.saturating_sub(1);
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<Ab>(|task| format!("{} A#", task.answer).trim().to_owned());
        trial::refuses::<Ab>(&[r#"{"length":0}"#, r#"{"length":201}"#]);
        crate::configured("ab", r#"{"length":200}"#).unwrap().task(0, 0);
    }

    #[test]
    fn programs_run_to_their_end() {
        for (before, after) in
            [("A# #A", ""), ("A# #B", "#B A#"), ("B# A# #B #A B#", "B#"), ("#A B#", "#A B#")]
        {
            assert_eq!(
                run(before
                    .split(' ')
                    .map(|t| TOKENS.iter().find(|(token, _)| *token == t).unwrap().0)
                    .collect())
                .join(" "),
                after
            );
        }
        let cases = [("#B A#", 1.0), (" #B A#", 0.0), ("#B", 0.0), ("", 0.0)];
        trial::scores::<Ab>("#B A#", json!({}), &cases);
        trial::scores::<Ab>("", json!({}), &[("", 1.0), ("A#", 0.0)]);
    }
}
