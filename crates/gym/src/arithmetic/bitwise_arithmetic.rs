//! `bitwise_arithmetic`: hexadecimal numbers, added, multiplied and shifted.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, within};
use crate::python;
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Expressions of hexadecimal numbers: `(0x3a24 - (0x1741 >> 0x3))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BitwiseArithmetic {
    /// How deep brackets lie in each other.
    pub difficulty: u32,
}

impl Default for BitwiseArithmetic {
    fn default() -> BitwiseArithmetic {
        BitwiseArithmetic { difficulty: 2 }
    }
}

/// How deep brackets may lie in each other in a problem that is to be scored.
const MAX_DEPTH: usize = 32;
/// The longest problem that is worked out. The deepest that are made have some 30,000 characters.
const MAX_PROBLEM_BYTES: usize = 1 << 17;
/// The furthest a number is shifted.
const MAX_SHIFT: u32 = 4096;
/// The largest value a problem may come to on the way.
const MAX_BITS: u64 = 1 << 17;

impl Family for BitwiseArithmetic {
    const NAME: &'static str = "bitwise_arithmetic";

    fn levels() -> Vec<BitwiseArithmetic> {
        [1, 2].map(|difficulty| BitwiseArithmetic { difficulty }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        within("difficulty", self.difficulty, 1..=10)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let problem = expression(dice, self.difficulty);
        let value = value(&problem).unwrap_or_default();
        Problem {
            question: format!(
                "Work out this expression of whole numbers of any size. Answer with a hexadecimal number, with a minus before it \
                 if it is negative, as in -0x3.\n{problem}"
            ),
            compact: format!("bw:{}=", problem.replace("<<", "l").replace(">>", "r").replace(' ', "")),
            answer: hexadecimal(&value),
            data: json!({ "problem": problem }),
        }
    }

    /// The number counts, in any base that its prefix says.
    fn score(task: &Task, answer: &str) -> f64 {
        let right = task.data.get("problem").and_then(Value::as_str).and_then(value);
        let right = right.is_some_and(|right| python::int_of_any_base(answer) == Some(right));
        f64::from(u8::from(right))
    }
}

/// Numbers of two bytes with an operation between any two, brackets around each.
fn expression(dice: &mut Dice, depth: u32) -> String {
    if depth == 0 || dice.chance(0.01) {
        return format!("{:#x}", dice.between(0x100, 0xffff));
    }
    let sign = dice.one(["+", "-", "*", "<<", ">>"]);
    let left = expression(dice, depth - 1);
    let right = match sign {
        "<<" | ">>" => format!("{:#x}", dice.between(0, 3)),
        _ => expression(dice, depth - 1),
    };
    format!("({left} {sign} {right})")
}

fn hexadecimal(n: &BigInt) -> String {
    let sign = if n.sign() == num_bigint::Sign::Minus { "-" } else { "" };
    format!("{sign}0x{:x}", n.magnitude())
}

/// What such an expression comes to; nothing if it is another or too large.
fn value(problem: &str) -> Option<BigInt> {
    if problem.len() > MAX_PROBLEM_BYTES {
        return None;
    }
    let mut rest = problem;
    let value = part(&mut rest, 0)?;
    rest.trim().is_empty().then_some(value)
}

fn part(rest: &mut &str, depth: usize) -> Option<BigInt> {
    *rest = rest.trim_start();
    let Some(inside) = rest.strip_prefix('(') else {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        *rest = after;
        return python::int_of_any_base(number);
    };
    if depth == MAX_DEPTH {
        return None;
    }
    *rest = inside;
    let left = part(rest, depth + 1)?;
    *rest = rest.trim_start();
    let sign = ["+", "-", "*", "<<", ">>"].into_iter().find(|sign| rest.starts_with(sign))?;
    *rest = &rest[sign.len()..];
    let right = part(rest, depth + 1)?;
    *rest = rest.trim_start().strip_prefix(')')?;
    let shift = || u32::try_from(&right).ok().filter(|shift| *shift <= MAX_SHIFT);
    let value = match sign {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "<<" => left << shift()?,
        _ => left >> shift()?,
    };
    (value.bits() <= MAX_BITS).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<BitwiseArithmetic>(|task| format!("{}0", task.answer.replace("0x0", "0x1")));
        trial::refuses::<BitwiseArithmetic>(&[r#"{"difficulty":0}"#, r#"{"difficulty":11}"#]);
    }

    #[test]
    fn expressions_are_worked_out_with_any_number_of_bits() {
        for (problem, expected) in [
            ("((0x3a24 - 0x24b8) + (0x1741 >> 0x3))", "0x1854"),
            ("(0x100 - 0x101)", "-0x1"),
            ("((0x100 - 0x103) >> 0x1)", "-0x2"),
            ("(0x100 << 0x3)", "0x800"),
            ("0xff", "0xff"),
        ] {
            assert_eq!(hexadecimal(&value(problem).unwrap()), expected);
        }
        let deepest = BitwiseArithmetic { difficulty: 10 }.problem(&mut Dice::new("test", 1, 0));
        trial::scores::<BitwiseArithmetic>("", deepest.data, &[(&deepest.answer, 1.0)]);
        for strange in
            ["", "(1", "(1 + 2", "(1 / 2)", "(1 << 5000)", "(1 << (0 - 1))", "x", "1 2", &"(".repeat(9_000)]
        {
            assert_eq!(value(strange), None, "{strange:.20}");
        }
    }

    #[test]
    fn answers_count_in_any_base() {
        let cases = [
            ("0x10", 1.0),
            (" 0X1_0\n", 1.0),
            ("16", 1.0),
            ("0b10000", 1.0),
            ("10", 0.0),
            ("016", 0.0),
            ("-0x10", 0.0),
        ];
        trial::scores::<BitwiseArithmetic>("0x10", json!({ "problem": "(0x8 * 0x2)" }), &cases);
        trial::scores::<BitwiseArithmetic>("0x10", json!({ "problem": 7 }), &[("0x10", 0.0)]);
        trial::scores::<BitwiseArithmetic>("0x10", Value::Null, &[("0x10", 0.0)]);
    }
}
