//! `simple_equations`: a linear equation with one unknown.

use crate::arithmetic::Operator;
use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cmp::Ordering;

/// Equations to be solved: `32*u + 4 = 3044`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimpleEquations {
    /// The fewest terms on the left.
    pub min_terms: u32,
    /// The most terms on the left.
    pub max_terms: u32,
    /// The least number, and the least solution.
    pub min_value: u64,
    /// The largest number, and the largest solution.
    pub max_value: u64,
    /// What may stand between terms; the quotient may not.
    pub operators: Vec<Operator>,
    /// How often each does.
    pub operators_weights: Vec<f64>,
}

impl Default for SimpleEquations {
    fn default() -> SimpleEquations {
        SimpleEquations {
            min_terms: 2,
            max_terms: 4,
            min_value: 1,
            max_value: 100,
            operators: vec![Operator::Plus, Operator::Minus, Operator::Times],
            operators_weights: vec![0.4, 0.4, 0.2],
        }
    }
}

/// So many times the unknown, and so much.
#[derive(Default)]
struct Linear {
    slope: BigInt,
    rest: BigInt,
}

impl Linear {
    /// In the usual order: the unknown first, unless a minus would come first.
    fn written(&self, unknown: char) -> String {
        let one = BigInt::from(1);
        let term =
            |times: &BigInt| if *times == one { unknown.to_string() } else { format!("{times}*{unknown}") };
        if self.slope > BigInt::ZERO {
            let term = term(&self.slope);
            match self.rest.cmp(&BigInt::ZERO) {
                Ordering::Greater => format!("{term} + {}", self.rest),
                Ordering::Less => format!("{term} - {}", self.rest.magnitude()),
                Ordering::Equal => term,
            }
        } else {
            let term = term(&-&self.slope);
            if self.rest == BigInt::ZERO { format!("-{term}") } else { format!("{} - {term}", self.rest) }
        }
    }

    fn at(&self, value: u64) -> BigInt {
        &self.slope * value + &self.rest
    }
}

impl SimpleEquations {
    /// Terms one after the other, each applied to all before it.
    fn left(&self, dice: &mut Dice) -> Linear {
        let terms = dice.size(self.min_terms, self.max_terms);
        let place = dice.below(terms as u64) as usize;
        let scaled = self.operators.contains(&Operator::Times);
        let mut left = Linear::default();
        for i in 0..terms {
            let number = BigInt::from(dice.between(self.min_value as i64, self.max_value as i64));
            let operator =
                if i == 0 { Operator::Plus } else { self.operators[dice.weighted(&self.operators_weights)] };
            if i == place {
                let times = if scaled { number } else { BigInt::from(1) };
                match operator {
                    Operator::Plus => left.slope += times,
                    Operator::Minus => left.slope -= times,
                    Operator::Times | Operator::Over => {
                        left.slope = times * &left.rest;
                        left.rest = BigInt::ZERO;
                    }
                }
            } else {
                match operator {
                    Operator::Plus => left.rest += number,
                    Operator::Minus => left.rest -= number,
                    Operator::Times | Operator::Over => {
                        left.slope *= &number;
                        left.rest *= number;
                    }
                }
            }
        }
        left
    }
}

impl Family for SimpleEquations {
    const NAME: &'static str = "simple_equations";

    fn levels() -> Vec<SimpleEquations> {
        let all = SimpleEquations::default();
        vec![
            SimpleEquations { max_terms: 2, max_value: 20, ..all.clone() },
            SimpleEquations { max_terms: 3, max_value: 50, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_terms", self.min_terms), ("max_terms", self.max_terms), 1..=64)?;
        span(("min_value", self.min_value), ("max_value", self.max_value), 1..=1_000_000_000_000)?;
        if self.operators.is_empty() || self.operators.len() > 64 || self.operators.contains(&Operator::Over)
        {
            let value = self.operators.iter().take(64).map(|o| o.sign()).collect();
            return Err(Unfit::Choice { parameter: "operators", value, wanted: "1 to 64 of + - *" });
        }
        let weights = &self.operators_weights;
        let sum: f64 = weights.iter().sum();
        let shares = weights.iter().all(|w| *w >= 0.0) && (sum - 1.0).abs() <= 0.05;
        if weights.len() != self.operators.len() || !shares {
            let value = format!("{} weights with sum {sum}", weights.len());
            let wanted = "as many weights as there are operators, with sum 1";
            return Err(Unfit::Choice { parameter: "operators_weights", value, wanted });
        }
        Ok(())
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let unknown = char::from(b'a' + dice.below(26) as u8);
        let mut left = self.left(dice);
        // Nothing times the unknown would leave it open.
        while left.slope == BigInt::ZERO {
            left = self.left(dice);
        }
        let solution = dice.between(self.min_value as i64, self.max_value as i64) as u64;
        let equation = format!("{} = {}", left.written(unknown), left.at(solution));
        Problem {
            question: format!("Solve {equation} for {unknown}. Answer with the number alone."),
            compact: format!("se:{}=", equation.replace(' ', "")),
            answer: solution.to_string(),
            data: json!({ "equation": equation, "variable": unknown.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::expression;
    use crate::family::{Levels, trial};

    #[test]
    fn tasks_hold() {
        trial::hold::<SimpleEquations>(|task| format!("{}1", task.answer));
        trial::refuses::<SimpleEquations>(&[
            r#"{"operators":["/"],"operators_weights":[1]}"#,
            r#"{"operators":["+"]}"#,
            r#"{"operators_weights":[0.5,0.5,0.5]}"#,
            r#"{"operators_weights":[-1,1,1]}"#,
        ]);
        let plain = Levels::<SimpleEquations>::of(r#"{"operators":["+","-"],"operators_weights":[0.5,0.5]}"#)
            .unwrap();
        assert!((0..50).all(|seed| !plain.task(seed, 0).question.contains('*')));
    }

    #[test]
    fn the_answer_solves_the_equation() {
        for seed in 0..300 {
            let task = Levels::<SimpleEquations>::built_in().task(seed, 2);
            let equation = task.data["equation"].as_str().unwrap();
            let solved = equation.replace(task.data["variable"].as_str().unwrap(), &task.answer);
            let (left, right) = solved.split_once(" = ").unwrap();
            assert_eq!(expression::value(left).unwrap().to_string(), right, "{equation}");
        }
    }

    #[test]
    fn equations_are_written_as_usual() {
        for (slope, rest, text) in [
            (32, 4, "32*u + 4"),
            (1, -4, "u - 4"),
            (-3, 4, "4 - 3*u"),
            (-1, 0, "-u"),
            (-2, -5, "-5 - 2*u"),
            (7, 0, "7*u"),
        ] {
            assert_eq!(Linear { slope: slope.into(), rest: rest.into() }.written('u'), text);
        }
    }
}
