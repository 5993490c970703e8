//! `lcm`: the least number that several others divide.

use super::gcd::divisor;
use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use num_bigint::BigUint;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Numbers whose least common multiple is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lcm {
    /// The fewest numbers.
    pub min_numbers: u32,
    /// The most numbers.
    pub max_numbers: u32,
    /// The least number.
    pub min_value: u64,
    /// The largest number.
    pub max_value: u64,
}

impl Default for Lcm {
    fn default() -> Lcm {
        Lcm { min_numbers: 2, max_numbers: 2, min_value: 1, max_value: 100 }
    }
}

impl Family for Lcm {
    const NAME: &'static str = "lcm";

    fn levels() -> Vec<Lcm> {
        [20, 50, 100].map(|max_value| Lcm { max_value, ..Lcm::default() }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_numbers", self.min_numbers), ("max_numbers", self.max_numbers), 2..=64)?;
        span(("min_value", self.min_value), ("max_value", self.max_value), 1..=i64::MAX as u64)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        // Numbers whose multiple is only their product get three chances to be others.
        let mut numbers = self.numbers(dice);
        for _ in 0..2 {
            if multiple(&numbers) == numbers.iter().copied().map(BigUint::from).product() {
                numbers = self.numbers(dice);
            }
        }
        let result = multiple(&numbers).to_string();
        let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
        Problem {
            question: format!("What is the least common multiple of {}?", texts.join(", ")),
            compact: format!("lcm:{}=", texts.join(",")),
            data: json!({ "numbers": numbers, "result": result }),
            answer: result,
        }
    }
}

impl Lcm {
    fn numbers(&self, dice: &mut Dice) -> Vec<u64> {
        let count = dice.size(self.min_numbers, self.max_numbers);
        (0..count).map(|_| dice.between(self.min_value as i64, self.max_value as i64) as u64).collect()
    }
}

/// The least common multiple of numbers that are not zero.
fn multiple(numbers: &[u64]) -> BigUint {
    numbers.iter().fold(BigUint::from(1u64), |so_far, n| {
        let rest = (&so_far % n).to_u64_digits().first().copied().unwrap_or(0);
        so_far * (n / divisor(*n, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<Lcm>(|task| format!("{}0", task.answer));
        trial::refuses::<Lcm>(&[r#"{"max_numbers":65}"#, r#"{"min_value":0}"#, r#"{"min_value":101}"#]);
    }

    #[test]
    fn multiples_are_least() {
        for (numbers, least) in [(&[95, 14][..], 1330u64), (&[4, 6, 10], 60), (&[7, 7], 7), (&[1, 1], 1)] {
            assert_eq!(multiple(numbers), BigUint::from(least));
        }
        let large = [u64::MAX, u64::MAX - 1, u64::MAX - 2];
        assert!(large.iter().all(|n| multiple(&large) % n == BigUint::ZERO));
    }
}
