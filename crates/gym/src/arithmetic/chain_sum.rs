//! `chain_sum`: numbers to be added and taken away, one after the other.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::{reference, short};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Sums and differences of whole numbers: `4 + 30 - 7`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainSum {
    /// The fewest numbers.
    pub min_terms: u32,
    /// The most numbers.
    pub max_terms: u32,
    /// The fewest digits of a number.
    pub min_digits: u32,
    /// The most digits of a number.
    pub max_digits: u32,
    /// Whether numbers may be negative.
    pub allow_negation: bool,
}

impl Default for ChainSum {
    fn default() -> ChainSum {
        ChainSum { min_terms: 2, max_terms: 6, min_digits: 1, max_digits: 4, allow_negation: false }
    }
}

impl Family for ChainSum {
    const NAME: &'static str = "chain_sum";

    fn levels() -> Vec<ChainSum> {
        let all = ChainSum::default();
        vec![
            ChainSum { max_terms: 4, max_digits: 2, ..all.clone() },
            ChainSum { max_terms: 5, max_digits: 3, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_terms", self.min_terms), ("max_terms", self.max_terms), 1..=64)?;
        span(("min_digits", self.min_digits), ("max_digits", self.max_digits), 1..=18)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let terms = dice.size(self.min_terms, self.max_terms);
        let digits = dice.size(self.min_digits, self.max_digits);
        let mut sum = 0i128;
        let mut parts = Vec::new();
        for i in 0..terms {
            let number = whole_number(dice, digits as u32, self.allow_negation);
            let add = i == 0 || dice.chance(0.5);
            sum += i128::from(if add { number } else { -number });
            if i > 0 {
                parts.push(if add { "+".to_owned() } else { "-".to_owned() });
            }
            parts.push(number.to_string());
        }
        let expression = parts.join(" ");
        Problem {
            question: format!("What is {expression}? Answer with the number alone."),
            compact: format!("a:{}=", parts.concat()),
            answer: sum.to_string(),
            data: json!({ "num_terms": terms, "num_digits": digits, "expression": expression }),
        }
    }

    fn score(task: &Task, answer: &str) -> f64 {
        reference::score_number(&task.answer, answer)
    }

    fn shorten(answer: &str) -> String {
        short::reversed(answer)
    }

    fn expand(short: &str) -> String {
        short::reversed(short)
    }
}

/// A number of so many digits; of one digit, zero as well. If it may be negative, it may also have fewer.
pub(crate) fn whole_number(dice: &mut Dice, digits: u32, negative: bool) -> i64 {
    let most = 10i64.pow(digits) - 1;
    let least = match (negative, digits) {
        (true, _) => -most,
        (false, 1) => 0,
        (false, _) => 10i64.pow(digits - 1),
    };
    dice.between(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<ChainSum>(|task| (task.answer.parse::<i128>().unwrap() + 1).to_string());
        trial::refuses::<ChainSum>(&[r#"{"min_terms":0}"#, r#"{"max_digits":19}"#, r#"{"min_terms":7}"#]);
    }

    #[test]
    fn a_sum_is_a_number_however_it_is_written() {
        trial::scores::<ChainSum>(
            "1005",
            json!({}),
            &[
                ("1005", 1.0),
                (" 1,005.0 ", 1.0),
                ("+1.005e3", 1.0),
                ("The sum is 1005", 4.0 / 15.0),
                ("1006", 0.0),
                ("5001", 0.0),
            ],
        );
    }
}
