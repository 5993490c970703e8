//! `binary_alternation`: how many swaps make a row of zeros and ones alternate.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span, within};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Rows of zeros and ones that are to alternate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BinaryAlternation {
    /// The fewest digits.
    pub min_n: u32,
    /// The most digits.
    pub max_n: u32,
    /// How often it can be done at all.
    pub p_solvable: f64,
}

impl Default for BinaryAlternation {
    fn default() -> BinaryAlternation {
        BinaryAlternation { min_n: 10, max_n: 30, p_solvable: 0.8 }
    }
}

impl Family for BinaryAlternation {
    const NAME: &'static str = "binary_alternation";

    fn levels() -> Vec<BinaryAlternation> {
        [(4, 10), (8, 20), (10, 30)]
            .map(|(min_n, max_n)| BinaryAlternation { min_n, max_n, ..BinaryAlternation::default() })
            .into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_n", self.min_n), ("max_n", self.max_n), 1..=2000)?;
        within("p_solvable", self.p_solvable, 0.0..=1.0)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let n = dice.size(self.min_n, self.max_n);
        let solvable = dice.chance(self.p_solvable);
        // As many of one as of the other, and one more if that is needed; too many of one, and it cannot be done.
        let (mut more, less) = (n.div_ceil(2), n / 2);
        if !solvable {
            more += if more > less { 1 } else { 2 };
        }
        let (many, few) = dice.one([('1', '0'), ('0', '1')]);
        let mut digits: Vec<char> =
            std::iter::repeat_n(many, more).chain(std::iter::repeat_n(few, less)).collect();
        dice.shuffle(&mut digits);
        let string: String = digits.iter().collect();
        let swaps = swaps(&digits);
        Problem {
            question: format!(
                "Any two digits of {string} may be swapped. How many swaps does it take, at the least, until no two neighbours are \
                 equal? Answer with -1 if it cannot be done."
            ),
            compact: format!("ba:{string}="),
            answer: swaps.to_string(),
            data: json!({ "string": string, "solution": swaps, "solvable": solvable, "n": n }),
        }
    }
}

/// The fewest swaps, or -1.
fn swaps(digits: &[char]) -> i64 {
    // Every swap mends two digits that stand wrong.
    let wrong = |first: char| {
        digits.iter().enumerate().filter(|(i, c)| (**c == first) == (i % 2 == 1)).count() as i64
    };
    let ones = digits.iter().filter(|c| **c == '1').count() as i64;
    match 2 * ones - digits.len() as i64 {
        1 => wrong('1') / 2,
        0 => wrong('0').min(wrong('1')) / 2,
        -1 => wrong('0') / 2,
        _ => -1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<BinaryAlternation>(|task| (task.answer.parse::<i64>().unwrap() + 7).to_string());
        trial::refuses::<BinaryAlternation>(&[r#"{"min_n":0}"#, r#"{"p_solvable":1.5}"#, r#"{"min_n":31}"#]);
    }

    #[test]
    fn swaps_are_counted() {
        for (text, expected) in [
            ("0100", -1),
            ("0101", 0),
            ("1010", 0),
            ("0110", 1),
            ("111000", 1),
            ("110", 1),
            ("1", 0),
            ("11", -1),
            ("1001", 1),
        ] {
            assert_eq!(swaps(&text.chars().collect::<Vec<_>>()), expected, "{text}");
        }
    }
}
