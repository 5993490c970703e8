//! `decimal_chain_sum`: numbers with decimal places, to be added and taken away.

use super::chain_sum::whole_number;
use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::{python, reference, short};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Sums and differences of decimal numbers: `4.23 + 3.9`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecimalChainSum {
    /// The fewest numbers.
    pub min_terms: u32,
    /// The most numbers.
    pub max_terms: u32,
    /// The fewest digits before the point.
    pub min_digits: u32,
    /// The most digits before the point.
    pub max_digits: u32,
    /// The fewest digits behind the point.
    pub min_decimal_places: u32,
    /// The most digits behind the point.
    pub max_decimal_places: u32,
    /// Whether numbers may be negative.
    pub allow_negation: bool,
}

impl Default for DecimalChainSum {
    fn default() -> DecimalChainSum {
        DecimalChainSum {
            min_terms: 2,
            max_terms: 6,
            min_digits: 1,
            max_digits: 4,
            min_decimal_places: 1,
            max_decimal_places: 4,
            allow_negation: false,
        }
    }
}

impl Family for DecimalChainSum {
    const NAME: &'static str = "decimal_chain_sum";

    fn levels() -> Vec<DecimalChainSum> {
        let all = DecimalChainSum::default();
        vec![
            DecimalChainSum { max_terms: 2, max_digits: 1, max_decimal_places: 1, ..all.clone() },
            DecimalChainSum { max_terms: 4, max_digits: 2, max_decimal_places: 2, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_terms", self.min_terms), ("max_terms", self.max_terms), 1..=64)?;
        span(("min_digits", self.min_digits), ("max_digits", self.max_digits), 1..=15)?;
        let (least, most) = (self.min_decimal_places, self.max_decimal_places);
        span(("min_decimal_places", least), ("max_decimal_places", most), 0..=12)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let terms = dice.size(self.min_terms, self.max_terms);
        let digits = dice.size(self.min_digits, self.max_digits);
        let mut sum = 0i128;
        let mut places_of_sum = 0;
        let mut parts = Vec::new();
        for i in 0..terms {
            let places = dice.size(self.min_decimal_places, self.max_decimal_places) as u32;
            let whole = i128::from(whole_number(dice, digits as u32, self.allow_negation));
            let fraction = i128::from(whole_number(dice, places.max(1), false));
            let number = whole * 10i128.pow(places) + if places == 0 { 0 } else { fraction };
            let add = i == 0 || dice.chance(0.5);
            if i > 0 {
                parts.push(if add { "+".to_owned() } else { "-".to_owned() });
            }
            parts.push(written(number, places));
            // Both to the finer of the two scales.
            let finer = places.max(places_of_sum);
            sum *= 10i128.pow(finer - places_of_sum);
            let step = number * 10i128.pow(finer - places);
            sum += if add { step } else { -step };
            places_of_sum = finer;
        }
        let expression = parts.join(" ");
        Problem {
            question: format!("What is {expression}? Answer with the number alone."),
            compact: format!("d:{}=", parts.concat().replace('.', ",")),
            answer: written(sum, places_of_sum),
            data: json!({ "num_terms": terms, "num_digits": digits, "expression": expression }),
        }
    }

    fn score(task: &Task, answer: &str) -> f64 {
        f64::from(u8::from(reference::same_number(&task.answer, python::strip(answer))))
    }

    fn shorten(answer: &str) -> String {
        short::reversed_decimal(answer)
    }

    fn expand(short: &str) -> String {
        short::decimal(short)
    }
}

/// A number of so many units of its last place.
fn written(units: i128, places: u32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let scale = 10u128.pow(places);
    let (whole, rest) = (units.unsigned_abs() / scale, units.unsigned_abs() % scale);
    if places == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest:0width$}", width = places as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<DecimalChainSum>(|task| format!("{}1", task.answer));
        trial::refuses::<DecimalChainSum>(&[r#"{"min_decimal_places":5}"#, r#"{"max_decimal_places":13}"#]);
    }

    #[test]
    fn numbers_have_their_places() {
        for (units, places, text) in
            [(819, 2, "8.19"), (-5, 1, "-0.5"), (30, 1, "3.0"), (7, 0, "7"), (-1, 3, "-0.001")]
        {
            assert_eq!(written(units, places), text);
        }
    }

    #[test]
    fn only_the_number_counts() {
        trial::scores::<DecimalChainSum>(
            "3.0",
            json!({}),
            &[("3.0", 1.0), (" 3\n", 1.0), ("+03.000", 1.0), ("3,0", 0.0), ("it is 3.0", 0.0), ("3.01", 0.0)],
        );
    }
}
