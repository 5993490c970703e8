//! `isomorphic_strings`: whether one word is another with its letters renamed.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span, within};
use crate::short;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// Pairs of strings of which one may come from the other by giving each letter another name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IsomorphicStrings {
    /// The fewest letters.
    pub min_string_length: u32,
    /// The most letters.
    pub max_string_length: u32,
    /// How often it is so.
    pub p_solvable: f64,
}

impl Default for IsomorphicStrings {
    fn default() -> IsomorphicStrings {
        IsomorphicStrings { min_string_length: 2, max_string_length: 10, p_solvable: 0.5 }
    }
}

impl Family for IsomorphicStrings {
    const NAME: &'static str = "isomorphic_strings";

    fn levels() -> Vec<IsomorphicStrings> {
        [5, 7, 10]
            .map(|max_string_length| IsomorphicStrings { max_string_length, ..IsomorphicStrings::default() })
            .into()
    }

    fn check(&self) -> Result<(), Unfit> {
        let (least, most) = (self.min_string_length, self.max_string_length);
        span(("min_string_length", least), ("max_string_length", most), 2..=2000)?;
        within("p_solvable", self.p_solvable, 0.0..=1.0)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let length = dice.size(self.min_string_length, self.max_string_length);
        let solvable = dice.chance(self.p_solvable);
        // Few letters in long strings, so that some come twice: else renaming is never put to the test.
        let letters = dice.sample(26, length.div_ceil(2).clamp(1, 20));
        let names = dice.sample(26, 26);
        let letter = |i: usize| char::from(b'a' + i as u8);
        let mut from: Vec<usize> = (0..length).filter_map(|_| dice.pick(&letters).copied()).collect();
        let mut to: Vec<usize> = from.iter().map(|i| names[*i]).collect();
        if !solvable {
            // One letter comes twice, with two names.
            let places = dice.sample(length, 2);
            let (a, b) = (places[0], places[1]);
            from[b] = from[a];
            to[b] = (to[a] + 1 + dice.below(25) as usize) % 26;
        }
        let (s, t): (String, String) =
            (from.into_iter().map(letter).collect(), to.into_iter().map(letter).collect());
        let answer = if isomorphic(&s, &t) { "True" } else { "False" };
        Problem {
            question: format!(
                "Can {s} be turned into {t} by giving each letter a new name? Equal letters get equal names, different letters \
                 different ones; a letter may keep its own. Answer with True or False."
            ),
            compact: format!("is:{s},{t}="),
            answer: answer.to_owned(),
            data: json!({
                "words": [s, t],
                "solution": answer == "True",
                "solvable": solvable,
                "string_length": length,
            }),
        }
    }

    fn shorten(answer: &str) -> String {
        short::truth(answer)
    }

    fn expand(short: &str) -> String {
        short::unshortened_truth(short)
    }
}

fn isomorphic(s: &str, t: &str) -> bool {
    let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
    s.len() == t.len()
        && s.chars()
            .zip(t.chars())
            .all(|(a, b)| *there.entry(a).or_insert(b) == b && *back.entry(b).or_insert(a) == a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::family::{Levels, trial};

    #[test]
    fn tasks_hold() {
        trial::hold::<IsomorphicStrings>(|task| {
            if task.answer == "True" { "False" } else { "True" }.to_owned()
        });
        trial::refuses::<IsomorphicStrings>(&[r#"{"min_string_length":1}"#, r#"{"p_solvable":-1}"#]);
    }

    #[test]
    fn strings_are_as_solvable_as_asked_for() {
        for (s, t, same) in
            [("egg", "add", true), ("foo", "bar", false), ("ab", "aa", false), ("paper", "title", true)]
        {
            assert_eq!(isomorphic(s, t), same, "{s} {t}");
        }
        for (probability, answer) in [(0, "False"), (1, "True")] {
            let environment =
                Levels::<IsomorphicStrings>::of(&format!(r#"{{"p_solvable":{probability}}}"#)).unwrap();
            assert!((0..200).all(|seed| environment.task(seed, 0).answer == answer));
        }
    }
}
