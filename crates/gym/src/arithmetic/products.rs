//! `products`: numbers to be multiplied.

use super::chain_sum::whole_number;
use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::{reference, short};
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Products of whole numbers: `31 * 7`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Products {
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

impl Default for Products {
    fn default() -> Products {
        Products { min_terms: 2, max_terms: 2, min_digits: 1, max_digits: 5, allow_negation: false }
    }
}

impl Family for Products {
    const NAME: &'static str = "products";

    fn levels() -> Vec<Products> {
        let all = Products::default();
        vec![Products { max_digits: 2, ..all.clone() }, Products { max_digits: 3, ..all.clone() }, all]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_terms", self.min_terms), ("max_terms", self.max_terms), 1..=32)?;
        span(("min_digits", self.min_digits), ("max_digits", self.max_digits), 1..=18)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let terms = dice.size(self.min_terms, self.max_terms);
        let digits = dice.size(self.min_digits, self.max_digits);
        let numbers: Vec<i64> =
            (0..terms).map(|_| whole_number(dice, digits as u32, self.allow_negation)).collect();
        let product: BigInt = numbers.iter().map(|n| BigInt::from(*n)).product();
        let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let expression = texts.join(" * ");
        Problem {
            question: format!("Multiply: {expression}. Answer with the product alone."),
            compact: format!("p:{}=", texts.join("*")),
            answer: product.to_string(),
            data: json!({ "expression": expression, "num_terms": terms, "num_digits": digits }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<Products>(|task| (task.answer.parse::<i128>().unwrap() - 1).to_string());
        trial::refuses::<Products>(&[r#"{"min_digits":0}"#, r#"{"max_terms":33}"#, r#"{"min_digits":6}"#]);
    }

    #[test]
    fn products_of_many_long_numbers_are_exact() {
        let wide =
            Products { min_terms: 12, max_terms: 12, min_digits: 10, max_digits: 10, allow_negation: true };
        let problem = wide.problem(&mut Dice::new("test", 3, 0));
        assert!(problem.answer.len() > 90, "{}", problem.answer);
        trial::scores::<Products>(&problem.answer, json!({}), &[(&problem.answer, 1.0)]);
        trial::scores::<Products>(
            "12",
            json!({}),
            &[("12.", 1.0), ("1,2", 1.0), ("12!", 2.0 / 3.0), ("13", 0.0)],
        );
    }
}
