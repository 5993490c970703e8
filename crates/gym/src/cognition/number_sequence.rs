//! `number_sequence`: numbers that follow a rule, and the one that comes next.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span, within};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Sequences to be continued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NumberSequence {
    /// The fewest numbers that are shown.
    pub min_terms: u32,
    /// The most numbers that are shown.
    pub max_terms: u32,
    /// The least number that may come up.
    pub min_value: i64,
    /// The largest number that may come up.
    pub max_value: i64,
    /// How many operations a rule may have, less one.
    pub max_complexity: u32,
}

impl Default for NumberSequence {
    fn default() -> NumberSequence {
        NumberSequence { min_terms: 4, max_terms: 8, min_value: -100, max_value: 100, max_complexity: 3 }
    }
}

/// A step from one number to the next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Add(i64),
    Multiply(i64),
    Square,
    Double,
    Halve,
    /// The number before is added.
    Previous,
}

impl Step {
    fn draw(dice: &mut Dice) -> Step {
        let parameter = dice.between(1, 10) * dice.one([1, -1]);
        match dice.below(6) {
            0 => Step::Add(parameter),
            1 => Step::Multiply(parameter),
            2 => Step::Square,
            3 => Step::Double,
            4 => Step::Halve,
            _ => Step::Previous,
        }
    }

    fn apply(self, number: i64, before: Option<i64>) -> Option<i64> {
        match self {
            Step::Add(n) => number.checked_add(n),
            Step::Multiply(n) => number.checked_mul(n),
            Step::Square => number.checked_mul(number),
            Step::Double => number.checked_mul(2),
            Step::Halve => Some(number.div_euclid(2)),
            Step::Previous => number.checked_add(before.unwrap_or(0)),
        }
    }

    fn words(self) -> String {
        match self {
            Step::Add(n) => format!("add {n}"),
            Step::Multiply(n) => format!("multiply by {n}"),
            Step::Square => "square".to_owned(),
            Step::Double => "double".to_owned(),
            Step::Halve => "halve".to_owned(),
            Step::Previous => "add previous".to_owned(),
        }
    }
}

/// How often a rule is looked for before a plain one is taken.
const ATTEMPTS: usize = 100;

impl NumberSequence {
    /// The first numbers of a rule, if they are worth asking for.
    fn sequence(&self, rule: &[Step], first: i64, length: usize, complexity: u32) -> Option<Vec<i64>> {
        let mut numbers = vec![first];
        while numbers.len() < length {
            let before = numbers.len().checked_sub(2).map(|i| numbers[i]);
            let next = rule.iter().try_fold(*numbers.last()?, |number, step| step.apply(number, before))?;
            numbers.push(next);
        }
        let within = numbers.iter().all(|n| (self.min_value..=self.max_value).contains(n));
        let constant = numbers.iter().all(|n| *n == first);
        let even = numbers.windows(3).all(|w| w[2] - w[1] == w[1] - w[0]);
        (within && !constant && (complexity == 1 || !even)).then_some(numbers)
    }
}

impl Family for NumberSequence {
    const NAME: &'static str = "number_sequence";

    fn levels() -> Vec<NumberSequence> {
        [1, 2, 3].map(|max_complexity| NumberSequence { max_complexity, ..NumberSequence::default() }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_terms", self.min_terms), ("max_terms", self.max_terms), 4..=32)?;
        // Room for the plain rule: steps of two from the least value.
        within("min_value", self.min_value, -1_000_000_000..=1_000_000_000)?;
        within("max_value", self.max_value, self.min_value + 100..=2_000_000_000)?;
        within("max_complexity", self.max_complexity, 1..=16)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let complexity = dice.size(1, self.max_complexity) as u32;
        let length = dice.size(self.min_terms, self.max_terms) + 1;
        let attempt = |dice: &mut Dice| {
            let steps = dice.size(1, complexity + 1);
            let rule: Vec<Step> = (0..steps).map(|_| Step::draw(dice)).collect();
            let first = dice.between(self.min_value.max(-10), self.max_value.min(10));
            let numbers = self.sequence(&rule, first, length, complexity)?;
            Some((rule, numbers))
        };
        let found = (0..ATTEMPTS).find_map(|_| attempt(dice));
        let (rule, numbers) = found.unwrap_or_else(|| {
            let first = dice.between(self.min_value, self.max_value - 2 * length as i64);
            (vec![Step::Add(2)], (0..length as i64).map(|i| first + 2 * i).collect())
        });
        let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let (shown, next) = texts.split_at(length - 1);
        Problem {
            question: format!("Which number comes next? {}, ?", shown.join(", ")),
            compact: format!("sq:{}=", shown.join(",")),
            answer: next.concat(),
            data: json!({
                "rule": rule.iter().map(|step| step.words()).collect::<Vec<_>>().join(" then "),
                "complexity": complexity,
                "sequence": numbers,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::family::{Levels, trial};

    #[test]
    fn tasks_hold() {
        trial::hold::<NumberSequence>(|task| (task.answer.parse::<i64>().unwrap() + 1).to_string());
        trial::refuses::<NumberSequence>(&[
            r#"{"min_terms":3}"#,
            r#"{"max_complexity":0}"#,
            r#"{"min_value":0,"max_value":99}"#,
        ]);
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let narrow = r#"{"min_value":1000,"max_value":1100,"min_terms":32,"max_terms":32}"#;
        for parameters in ["{}", narrow] {
            let environment = Levels::<NumberSequence>::of(parameters).unwrap();
            for seed in 0..100 {
                let task = environment.task(seed, 0);
                let numbers: Vec<i64> = serde_json::from_value(task.data["sequence"].clone()).unwrap();
                let bounds = if parameters == "{}" { -100..=100 } else { 1000..=1100 };
                assert!(numbers.iter().all(|n| bounds.contains(n)), "{numbers:?}");
                assert_eq!(numbers.last().unwrap().to_string(), task.answer);
            }
        }
    }

    #[test]
    fn rules_apply_in_order() {
        let rule = [Step::Double, Step::Add(1), Step::Previous];
        let wide = NumberSequence { max_value: 1000, ..NumberSequence::default() };
        assert_eq!(wide.sequence(&rule, 1, 4, 3).unwrap(), [1, 3, 8, 20]);
        assert_eq!(wide.sequence(&[Step::Halve], -7, 5, 1).unwrap(), [-7, -4, -2, -1, -1]);
        assert_eq!(wide.sequence(&[Step::Square], 9, 30, 1), None);
    }
}
