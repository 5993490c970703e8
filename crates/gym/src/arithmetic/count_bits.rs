//! `count_bits`: how many ones a number has in binary.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Numbers whose ones are to be counted: 5 is `101` and has two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CountBits {
    /// The least number.
    pub min_n: u64,
    /// The largest number.
    pub max_n: u64,
}

impl Default for CountBits {
    fn default() -> CountBits {
        CountBits { min_n: 1, max_n: (1 << 31) - 1 }
    }
}

impl Family for CountBits {
    const NAME: &'static str = "count_bits";

    fn levels() -> Vec<CountBits> {
        [255, 65_535, (1 << 31) - 1].map(|max_n| CountBits { max_n, ..CountBits::default() }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_n", self.min_n), ("max_n", self.max_n), 1..=i64::MAX as u64)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let number = dice.between(self.min_n as i64, self.max_n as i64);
        let binary = format!("{number:b}");
        let ones = number.count_ones();
        Problem {
            question: format!("Written in binary, how many ones does the number {number} have?"),
            compact: format!("cb:{number}="),
            answer: ones.to_string(),
            data: json!({ "number": number, "solution": ones, "binary": binary, "n": number }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<CountBits>(|task| (task.answer.parse::<u32>().unwrap() + 1).to_string());
        trial::refuses::<CountBits>(&[
            r#"{"min_n":0}"#,
            r#"{"min_n":9,"max_n":8}"#,
            r#"{"max_n":18446744073709551615}"#,
        ]);
        trial::scores::<CountBits>("18", json!({}), &[("18", 1.0), ("18 ones", 2.0 / 7.0), ("17", 0.0)]);
    }
}
