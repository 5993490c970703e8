//! `countdown`: numbers, and an expression of them that comes to a target.

use crate::arithmetic::Operator;
use crate::dice::Dice;
use crate::environment::Task;
use crate::expression;
use crate::family::{Family, Problem, Unfit, span};
use crate::python;
use num_bigint::BigInt;
use num_rational::BigRational;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Numbers of which to make another, each used once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Countdown {
    /// The fewest numbers.
    pub min_numbers: u32,
    /// The most numbers.
    pub max_numbers: u32,
    /// The least number.
    pub min_value: u64,
    /// The largest number.
    pub max_value: u64,
    /// The least target.
    pub min_target: u64,
    /// The largest target.
    pub max_target: u64,
    /// What the solution that is known may be made with.
    pub operators: Vec<Operator>,
    /// Whether the numbers are shown in another order than they are used in.
    pub shuffle: bool,
}

impl Default for Countdown {
    fn default() -> Countdown {
        Countdown {
            min_numbers: 4,
            max_numbers: 6,
            min_value: 1,
            max_value: 100,
            min_target: 100,
            max_target: 999,
            operators: Operator::ALL.into(),
            shuffle: true,
        }
    }
}

/// How often an expression is drawn until its value is a target.
const ATTEMPTS: usize = 5_000;

/// An expression, its numbers and its value.
struct Found {
    text: String,
    numbers: Vec<u64>,
    value: i64,
}

impl Countdown {
    /// Numbers one after the other, each added to all before it, taken away, multiplied or divided by.
    fn draw(&self, dice: &mut Dice) -> Option<Found> {
        let count = dice.size(self.min_numbers, self.max_numbers);
        let mut numbers: Vec<u64> =
            (0..count).map(|_| dice.between(self.min_value as i64, self.max_value as i64) as u64).collect();
        let mut value = numbers[0] as i64;
        let mut text = numbers[0].to_string();
        // Whether what there is must be put in brackets before it is multiplied.
        let mut sum = false;
        for i in 1..count {
            let mut operator = dice.pick(&self.operators).copied().unwrap_or(Operator::Plus);
            if operator == Operator::Over {
                // The next number that divides without a rest, if there is one.
                match (i..count).find(|j| value % numbers[*j] as i64 == 0) {
                    Some(j) => numbers.swap(i, j),
                    None => operator = Operator::Minus,
                }
            }
            let number = numbers[i] as i64;
            value = match operator {
                Operator::Plus => value.checked_add(number)?,
                Operator::Minus => value.checked_sub(number)?,
                Operator::Times => value.checked_mul(number)?,
                Operator::Over => value / number,
            };
            let binds = matches!(operator, Operator::Times | Operator::Over);
            if binds && sum {
                text = format!("({text})");
            }
            text = format!("{text} {} {number}", operator.sign());
            sum = !binds;
        }
        Some(Found { text, numbers, value })
    }

    fn is_target(&self, value: i64) -> bool {
        u64::try_from(value).is_ok_and(|value| (self.min_target..=self.max_target).contains(&value))
    }
}

impl Family for Countdown {
    const NAME: &'static str = "countdown";

    fn levels() -> Vec<Countdown> {
        let all = Countdown::default();
        vec![
            Countdown {
                min_numbers: 2,
                max_numbers: 3,
                max_value: 20,
                min_target: 1,
                max_target: 50,
                ..all.clone()
            },
            Countdown {
                min_numbers: 3,
                max_numbers: 4,
                max_value: 50,
                min_target: 10,
                max_target: 200,
                ..all.clone()
            },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_numbers", self.min_numbers), ("max_numbers", self.max_numbers), 2..=32)?;
        span(("min_value", self.min_value), ("max_value", self.max_value), 1..=1_000_000)?;
        span(("min_target", self.min_target), ("max_target", self.max_target), 1..=1_000_000_000)?;
        if self.operators.is_empty() || self.operators.len() > 64 {
            let value = format!("{} operators", self.operators.len());
            return Err(Unfit::Choice { parameter: "operators", value, wanted: "1 to 64 of + - * /" });
        }
        // If targets can hardly be met, there is no telling when a task would be done.
        let mut dice = Dice::new("countdown check", 0, 0);
        let met =
            (0..ATTEMPTS).filter(|_| self.draw(&mut dice).is_some_and(|found| self.is_target(found.value)));
        if met.count() < 10 {
            let value = format!("{} to {}", self.min_target, self.max_target);
            let wanted = "a wider range: these numbers hardly ever come to such a target";
            return Err(Unfit::Choice { parameter: "max_target", value, wanted });
        }
        Ok(())
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        // One of 500 draws or more is a target, so this soon ends.
        let Found { text, mut numbers, value } = loop {
            match self.draw(dice) {
                Some(found) if self.is_target(found.value) => break found,
                _ => {}
            }
        };
        if self.shuffle {
            dice.shuffle(&mut numbers);
        }
        let shown: Vec<String> = numbers.iter().map(u64::to_string).collect();
        Problem {
            question: format!(
                "Write an expression that comes to {value} and uses each of these numbers exactly once: {}. It may add, subtract, multiply \
                 (*), divide (/) and have brackets. Answer with the expression alone, without an equals sign.",
                shown.join(", ")
            ),
            compact: format!("cd:{value}:{}=", shown.join(",")),
            data: json!({ "numbers": numbers, "target": value, "expression": text }),
            answer: text,
        }
    }

    /// A twentieth for an expression of other numbers or with another value, a hundredth for what is none.
    fn score(task: &Task, answer: &str) -> f64 {
        let Some(value) = expression::value(answer) else {
            return 0.01;
        };
        let numbers = |value: &Value| {
            value.as_array()?.iter().map(|n| Some(BigInt::from(n.as_u64()?))).collect::<Option<Vec<_>>>()
        };
        let Some(mut wanted) = task.data.get("numbers").and_then(numbers) else { return 0.01 };
        let Some(target) = task.data.get("target").and_then(Value::as_i64) else { return 0.01 };
        let Some(mut used) = used(answer) else { return 0.01 };
        wanted.sort_unstable();
        used.sort_unstable();
        let right = used == wanted && value == BigRational::from_integer(target.into());
        if right { 1.0 } else { 0.05 }
    }

    fn shorten(answer: &str) -> String {
        answer.replace(' ', "").replace('/', ":")
    }

    fn expand(short: &str) -> String {
        short.replace(':', "/")
    }
}

/// The words of an expression that are digits only.
fn used(answer: &str) -> Option<Vec<BigInt>> {
    let words = answer.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let numbers = words.filter(|word| !word.is_empty() && word.chars().all(|c| python::digit(c).is_some()));
    numbers.map(python::int).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<Countdown>(|task| format!("{} + 1", task.answer));
        trial::refuses::<Countdown>(&[
            r#"{"min_numbers":1}"#,
            r#"{"min_value":0}"#,
            r#"{"operators":[]}"#,
            r#"{"min_numbers":2,"max_numbers":2,"operators":["+"],"min_target":500}"#,
        ]);
        crate::configured("countdown", r#"{"shuffle":false,"operators":["*"],"max_value":10}"#)
            .unwrap()
            .task(0, 0);
    }

    #[test]
    fn any_expression_of_the_numbers_that_meets_the_target_is_right() {
        let data = json!({ "numbers": [36, 29, 95, 32, 4, 15], "target": 139 });
        let many = format!("{}1", "1*".repeat(300_000));
        trial::scores::<Countdown>(
            "15 - 4 + 95 + 36 - 32 + 29",
            data,
            &[
                ("15 - 4 + 95 + 36 - 32 + 29", 1.0),
                ("(95+36)+(29-32)+15-4", 1.0),
                ("-(4 - 15) + 95 + 36 - 32 + 29", 1.0),
                ("15 - 4 + 95 + 36 - 32 - 29", 0.05),
                ("139", 0.05),
                ("100 + 39", 0.05),
                ("15 - 4 + 95 + 36 - 32 + 29 = 139", 0.01),
                ("15 - 4 + 95 + 36 - 32 + 29 + 0", 0.05),
                ("fifteen", 0.01),
                ("__import__('os')", 0.01),
                (&many, 0.05),
                ("1/0", 0.01),
                ("", 0.01),
            ],
        );
        let odd = json!({ "numbers": [3, 7, 7], "target": 7 });
        trial::scores::<Countdown>("", odd, &[("7 / 3 * 3", 0.05), ("7 * 3 / 3", 0.05), ("7 + 7 * 3", 0.05)]);
        trial::scores::<Countdown>("", json!({ "numbers": [1, 3, 3], "target": 1 }), &[("1 / 3 * 3", 1.0)]);
    }
}
