//! `number_sorting`: numbers to be put in order.

use super::fixed::{self, Fixed};
use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit};
use crate::python;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Numbers to be sorted, up or down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NumberSorting {
    /// The fewest numbers.
    pub min_numbers: u32,
    /// The most numbers.
    pub max_numbers: u32,
    /// The fewest digits behind the point.
    pub min_decimals: u32,
    /// The most digits behind the point.
    pub max_decimals: u32,
    /// The least number.
    pub min_value: f64,
    /// The largest number.
    pub max_value: f64,
}

impl Default for NumberSorting {
    fn default() -> NumberSorting {
        NumberSorting {
            min_numbers: 3,
            max_numbers: 10,
            min_decimals: 0,
            max_decimals: 2,
            min_value: -100.0,
            max_value: 100.0,
        }
    }
}

impl Family for NumberSorting {
    const NAME: &'static str = "number_sorting";

    fn levels() -> Vec<NumberSorting> {
        let all = NumberSorting::default();
        vec![
            NumberSorting { max_numbers: 6, max_decimals: 0, ..all.clone() },
            NumberSorting { max_numbers: 8, max_decimals: 1, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        let (numbers, decimals) =
            ((self.min_numbers, self.max_numbers), (self.min_decimals, self.max_decimals));
        fixed::check(numbers, decimals, (self.min_value, self.max_value))
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let count = dice.size(self.min_numbers, self.max_numbers);
        let mut numbers = Vec::new();
        for _ in 0..count {
            let places = dice.size(self.min_decimals, self.max_decimals) as u32;
            numbers.push(Fixed::draw(dice, (self.min_value, self.max_value), places));
        }
        let texts = |numbers: &[Fixed]| numbers.iter().map(|n| n.as_float()).collect::<Vec<_>>();
        let original = texts(&numbers);
        let up = dice.chance(0.5);
        numbers.sort_by(Fixed::order);
        if !up {
            numbers.reverse();
        }
        let sorted = texts(&numbers);
        let (direction, how, sign) = if up {
            ("ascending", "the smallest first", '+')
        } else {
            ("descending", "the largest first", '-')
        };
        Problem {
            question: format!(
                "Put these numbers in order, {how}: {}\nAnswer with a list of strings, as in ['-7.0', '12.5'].",
                original.join(", ")
            ),
            compact: format!("ns{sign}:{}=", fixed::shorten(&fixed::list(&original))),
            answer: fixed::list(&sorted),
            data: json!({
                "original_numbers": original,
                "direction": direction,
                "sorted_numbers": sorted,
                "numbers": count,
            }),
        }
    }

    /// Right if it is a list of the right numbers, however they are written. The package lets each be off by one, and what is no number pass.
    fn score(task: &Task, answer: &str) -> f64 {
        let right = read(&task.answer).is_some_and(|right| read(answer).is_some_and(|given| given == right));
        f64::from(u8::from(right))
    }

    fn shorten(answer: &str) -> String {
        fixed::shorten(answer)
    }

    fn expand(short: &str) -> String {
        fixed::expand(short)
    }
}

/// The numbers of a list in JSON, or in JSON with single quotes.
fn read(answer: &str) -> Option<Vec<f64>> {
    let list: Vec<Value> = serde_json::from_str(&answer.replace('\'', "\"")).ok()?;
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => python::float(text),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    list.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<NumberSorting>(|task| task.answer.replace("['", "['1"));
        trial::refuses::<NumberSorting>(&[
            r#"{"min_numbers":0}"#,
            r#"{"max_decimals":7}"#,
            r#"{"min_value":100}"#,
        ]);
    }

    #[test]
    fn the_right_numbers_in_the_right_order_count() {
        let data = json!({ "direction": "ascending" });
        trial::scores::<NumberSorting>(
            "['-95.0', '47.29', '48.0']",
            data,
            &[
                ("['-95.0', '47.29', '48.0']", 1.0),
                ("[\"-95\", \"47.290\", \" 48 \"]", 1.0),
                (" [-95, 47.29, 4.8e1]\n", 1.0),
                ("['-95.0', '48.0', '47.29']", 0.0),
                ("['-95.9', '47.2', '48.5']", 0.0),
                ("['nan', 'nan', 'nan']", 0.0),
                ("[-95, 47.29]", 0.0),
                ("-95, 47.29, 48", 0.0),
                ("[[-95], 47.29, 48]", 0.0),
                (&"[".repeat(100_000), 0.0),
                ("", 0.0),
            ],
        );
    }
}
