//! `base_conversion`: a number in one base, to be written in another.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Numbers to be carried from one base to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaseConversion {
    /// The least base.
    pub min_base: u32,
    /// The largest base.
    pub max_base: u32,
    /// The least number.
    pub min_value: u64,
    /// The largest number.
    pub max_value: u64,
}

impl Default for BaseConversion {
    fn default() -> BaseConversion {
        BaseConversion { min_base: 2, max_base: 16, min_value: 0, max_value: 1000 }
    }
}

impl Family for BaseConversion {
    const NAME: &'static str = "base_conversion";

    fn levels() -> Vec<BaseConversion> {
        [255, 500, 1000].map(|max_value| BaseConversion { max_value, ..BaseConversion::default() }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_base", self.min_base), ("max_base", self.max_base), 2..=36)?;
        span(("min_value", self.min_value), ("max_value", self.max_value), 0..=i64::MAX as u64)?;
        // From a base to itself there is nothing to convert.
        if self.min_base == self.max_base {
            let value = self.max_base.to_string();
            return Err(Unfit::Choice { parameter: "max_base", value, wanted: "a base above `min_base`" });
        }
        Ok(())
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let value = dice.between(self.min_value as i64, self.max_value as i64) as u64;
        let bases = dice.sample((self.max_base - self.min_base + 1) as usize, 2);
        let (from, to) = (self.min_base + bases[0] as u32, self.min_base + bases[1] as u32);
        let (given, answer) = (written(value, from), written(value, to));
        Problem {
            question: format!(
                "{given} is a number in base {from}. Write it in base {to}, with small letters for digits above 9."
            ),
            compact: format!("bc:{given},{from},{to}="),
            data: json!({
                "decimal_value": value,
                "source_base": from,
                "target_base": to,
                "source_repr": given,
                "target_repr": answer,
            }),
            answer,
        }
    }
}

/// A number in a base up to 36.
fn written(mut n: u64, base: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.extend(char::from_digit((n % u64::from(base)) as u32, base));
        n /= u64::from(base);
        if n == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<BaseConversion>(|task| format!("{}0", task.answer));
        trial::refuses::<BaseConversion>(&[
            r#"{"min_base":1}"#,
            r#"{"max_base":37}"#,
            r#"{"min_base":7,"max_base":7}"#,
        ]);
    }

    #[test]
    fn numbers_are_written_in_every_base() {
        for (n, base, text) in
            [(0, 2, "0"), (654, 2, "1010001110"), (255, 16, "ff"), (35, 36, "z"), (100, 7, "202")]
        {
            assert_eq!(written(n, base), text);
        }
        assert_eq!(written(u64::MAX, 16), "f".repeat(16));
    }
}
