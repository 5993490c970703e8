//! `gcd`: the greatest number that divides several others.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Numbers whose greatest common divisor is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gcd {
    /// The fewest numbers.
    pub min_numbers: u32,
    /// The most numbers.
    pub max_numbers: u32,
    /// The least number.
    pub min_value: u64,
    /// The largest number.
    pub max_value: u64,
}

impl Default for Gcd {
    fn default() -> Gcd {
        Gcd { min_numbers: 2, max_numbers: 2, min_value: 1, max_value: 1000 }
    }
}

impl Family for Gcd {
    const NAME: &'static str = "gcd";

    fn levels() -> Vec<Gcd> {
        [50, 200, 1000].map(|max_value| Gcd { max_value, ..Gcd::default() }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_numbers", self.min_numbers), ("max_numbers", self.max_numbers), 2..=64)?;
        span(("min_value", self.min_value), ("max_value", self.max_value), 1..=i64::MAX as u64)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        // Numbers without a common divisor are common and dull: they get three chances to have one.
        let mut numbers = self.numbers(dice);
        for _ in 0..2 {
            if numbers.iter().copied().fold(0, divisor) == 1 {
                numbers = self.numbers(dice);
            }
        }
        let result = numbers.iter().copied().fold(0, divisor);
        let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
        Problem {
            question: format!(
                "What is the greatest common divisor of {}? Answer with the number alone.",
                texts.join(", ")
            ),
            compact: format!("gcd:{}=", texts.join(",")),
            answer: result.to_string(),
            data: json!({ "numbers": numbers, "result": result, "num_terms": numbers.len() }),
        }
    }
}

impl Gcd {
    fn numbers(&self, dice: &mut Dice) -> Vec<u64> {
        let count = dice.size(self.min_numbers, self.max_numbers);
        (0..count).map(|_| dice.between(self.min_value as i64, self.max_value as i64) as u64).collect()
    }
}

/// The greatest common divisor of two numbers.
pub(crate) fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<Gcd>(|task| format!("{}9", task.answer));
        trial::refuses::<Gcd>(&[r#"{"min_numbers":1}"#, r#"{"min_value":0}"#, r#"{"min_value":2000}"#]);
    }

    #[test]
    fn divisors_are_greatest() {
        for (a, b, greatest) in [(26, 760, 2), (12, 18, 6), (7, 1, 1), (0, 5, 5), (9, 9, 9)] {
            assert_eq!(divisor(a, b), greatest);
        }
    }
}
