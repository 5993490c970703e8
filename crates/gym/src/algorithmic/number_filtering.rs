//! `number_filtering`: of a list, the numbers on one side of another.

use super::fixed::{self, Fixed};
use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Lists of which some numbers are to be kept, or removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NumberFiltering {
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

impl Default for NumberFiltering {
    fn default() -> NumberFiltering {
        NumberFiltering {
            min_numbers: 3,
            max_numbers: 10,
            min_decimals: 0,
            max_decimals: 4,
            min_value: -100.0,
            max_value: 100.0,
        }
    }
}

impl Family for NumberFiltering {
    const NAME: &'static str = "number_filtering";

    fn levels() -> Vec<NumberFiltering> {
        let all = NumberFiltering::default();
        vec![
            NumberFiltering { max_numbers: 5, max_decimals: 0, ..all.clone() },
            NumberFiltering { max_numbers: 7, max_decimals: 2, ..all.clone() },
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
        let places = |dice: &mut Dice| dice.size(self.min_decimals, self.max_decimals) as u32;
        let mut numbers = Vec::new();
        for _ in 0..count {
            let places = places(dice);
            numbers.push(Fixed::draw(dice, (self.min_value, self.max_value), places));
        }
        let (mut least, mut most) = (numbers[0], numbers[0]);
        for number in &numbers {
            least = if number.order(&least).is_lt() { *number } else { least };
            most = if number.order(&most).is_gt() { *number } else { most };
        }
        let places = places(dice);
        let bound = Fixed::draw_between(dice, least, most, places);
        let (keep, larger) = (dice.chance(0.5), dice.chance(0.5));
        let beyond =
            |number: &Fixed| if larger { number.order(&bound).is_gt() } else { number.order(&bound).is_lt() };
        let texts = |numbers: Vec<&Fixed>| numbers.iter().map(|n| n.written()).collect::<Vec<_>>();
        let original = texts(numbers.iter().collect());
        let result = texts(numbers.iter().filter(|number| beyond(number) == keep).collect());
        let (do_what, keep) = if keep { ("Keep", "keep") } else { ("Remove", "remove") };
        let side = if larger { "larger" } else { "smaller" };
        let bound = bound.written();
        Problem {
            question: format!(
                "{do_what} the numbers that are {side} than {bound}: {}\nAnswer with what is left, as a list of the same form.",
                fixed::list(&original)
            ),
            compact: format!(
                "nf:{}{}:{}:{}=",
                &keep[..1],
                &side[..1],
                bound.replace('.', ","),
                fixed::shorten(&fixed::list(&original))
            ),
            answer: fixed::list(&result),
            data: json!({
                "original_numbers": original,
                "filter_value": bound,
                "operation": format!("{keep}_{side}"),
                "result": result,
                "numbers": count,
            }),
        }
    }

    fn shorten(answer: &str) -> String {
        fixed::shorten(answer)
    }

    fn expand(short: &str) -> String {
        fixed::expand(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::family::{Levels, trial};

    #[test]
    fn tasks_hold() {
        trial::hold::<NumberFiltering>(|task| task.answer.replace('[', "['1', "));
        trial::refuses::<NumberFiltering>(&[
            r#"{"max_numbers":1001}"#,
            r#"{"min_decimals":5}"#,
            r#"{"max_value":1e10}"#,
        ]);
    }

    #[test]
    fn what_is_left_is_on_the_right_side() {
        for seed in 0..200 {
            let task = Levels::<NumberFiltering>::built_in().task(seed, 2);
            let number = |text: &serde_json::Value| text.as_str().unwrap().parse::<f64>().unwrap();
            let bound = number(&task.data["filter_value"]);
            let stays = |n: f64| match task.data["operation"].as_str().unwrap() {
                "keep_larger" => n > bound,
                "keep_smaller" => n < bound,
                "remove_larger" => n <= bound,
                _ => n >= bound,
            };
            let all = task.data["original_numbers"].as_array().unwrap();
            let left: Vec<_> = all.iter().filter(|text| stays(number(text))).cloned().collect();
            assert_eq!(task.data["result"], serde_json::Value::from(left), "{task:?}");
        }
    }
}
