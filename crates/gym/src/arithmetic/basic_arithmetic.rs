//! `basic_arithmetic`: expressions of the four operations, with brackets.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use crate::short;
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Expressions to be worked out: `-5 * (6 + 2)`. Every division comes out even.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasicArithmetic {
    /// The fewest numbers.
    pub min_terms: u32,
    /// The most numbers.
    pub max_terms: u32,
    /// The fewest digits of a number.
    pub min_digits: u32,
    /// The most digits of a number.
    pub max_digits: u32,
    /// The operations that may come up.
    pub operators: Vec<Operator>,
    /// Whether there may be brackets.
    pub allow_parentheses: bool,
    /// Whether a minus may stand before a number or brackets.
    pub allow_negation: bool,
    /// How the question is put.
    pub format_style: FormatStyle,
    /// Where blanks stand.
    pub whitespace: Whitespace,
}

/// An operation on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// The sum.
    #[serde(rename = "+")]
    Plus,
    /// The difference.
    #[serde(rename = "-")]
    Minus,
    /// The product.
    #[serde(rename = "*")]
    Times,
    /// The quotient.
    #[serde(rename = "/")]
    Over,
}

impl Operator {
    /// All four.
    pub const ALL: [Operator; 4] = [Operator::Plus, Operator::Minus, Operator::Times, Operator::Over];

    /// Its sign.
    pub fn sign(self) -> char {
        match self {
            Operator::Plus => '+',
            Operator::Minus => '-',
            Operator::Times => '*',
            Operator::Over => '/',
        }
    }
}

/// How a question is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatStyle {
    /// Always in the same words.
    Simple,
    /// In one of several ways.
    Natural,
}

/// Where blanks stand in an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whitespace {
    /// Nowhere.
    NoSpace,
    /// One between any two parts.
    Single,
    /// Here and there.
    Random,
}

impl Default for BasicArithmetic {
    fn default() -> BasicArithmetic {
        BasicArithmetic {
            min_terms: 2,
            max_terms: 6,
            min_digits: 1,
            max_digits: 4,
            operators: Operator::ALL.into(),
            allow_parentheses: true,
            allow_negation: true,
            format_style: FormatStyle::Simple,
            whitespace: Whitespace::Single,
        }
    }
}

/// A part of an expression, with its value.
struct Part {
    tokens: Vec<String>,
    value: BigInt,
}

impl Part {
    fn then(&mut self, sign: char, right: Vec<String>) {
        self.tokens.push(sign.to_string());
        self.tokens.extend(right);
    }
}

impl BasicArithmetic {
    /// Several products, added and taken away.
    fn sum(&self, dice: &mut Dice, terms: usize, digits: u32) -> Part {
        let mut sum: Option<(Part, Operator)> = None;
        let mut left = terms;
        loop {
            let (product, used, next) = self.product(dice, left, digits);
            left -= used;
            let mut so_far = match sum {
                None => product,
                Some((mut part, operator)) => {
                    match operator {
                        Operator::Minus => part.value -= &product.value,
                        _ => part.value += &product.value,
                    }
                    part.then(operator.sign(), product.tokens);
                    part
                }
            };
            match next {
                Some(operator) if left > 0 => sum = Some((so_far, operator)),
                _ => {
                    so_far.tokens.shrink_to_fit();
                    return so_far;
                }
            }
        }
    }

    /// Several numbers or brackets, multiplied and divided; how many numbers that took, and what comes next.
    fn product(&self, dice: &mut Dice, terms: usize, digits: u32) -> (Part, usize, Option<Operator>) {
        let (mut part, mut used) = self.atom(dice, terms, digits);
        while used < terms {
            let operator = dice.pick(&self.operators).copied().unwrap_or(Operator::Plus);
            match operator {
                Operator::Plus | Operator::Minus => return (part, used, Some(operator)),
                Operator::Times => {
                    let (factor, more) = self.atom(dice, terms - used, digits);
                    part.value *= &factor.value;
                    part.then('*', factor.tokens);
                    used += more;
                }
                Operator::Over => {
                    let divisor = divisor(dice, &part.value, digits);
                    part.value /= divisor;
                    part.then('/', vec![divisor.to_string()]);
                    used += 1;
                }
            }
        }
        (part, used, None)
    }

    /// A number or a sum in brackets, and how many numbers that took.
    fn atom(&self, dice: &mut Dice, terms: usize, digits: u32) -> (Part, usize) {
        let brackets = self.allow_parentheses && terms > 1 && dice.chance(0.3);
        let (mut part, used) = if brackets {
            let inside = dice.between(2, terms as i64) as usize;
            let mut part = self.sum(dice, inside, digits);
            part.tokens.insert(0, "(".to_owned());
            part.tokens.push(")".to_owned());
            (part, inside)
        } else {
            let number = dice.between(0, 10i64.pow(digits) - 1);
            (Part { tokens: vec![number.to_string()], value: number.into() }, 1)
        };
        if self.allow_negation && dice.chance(0.25) {
            part.value = -part.value;
            part.tokens[0].insert(0, '-');
        }
        (part, used)
    }

    fn spaced(&self, dice: &mut Dice, tokens: &[String]) -> String {
        match self.whitespace {
            Whitespace::NoSpace => tokens.concat(),
            Whitespace::Single => tokens.join(" "),
            Whitespace::Random => {
                let gap = |dice: &mut Dice| if dice.chance(0.15) { " " } else { "" };
                let text: String = tokens.iter().flat_map(|token| [gap(dice), token]).collect();
                text.trim().to_owned()
            }
        }
    }
}

/// A number of at most so many digits that divides another without a rest.
fn divisor(dice: &mut Dice, of: &BigInt, digits: u32) -> i64 {
    let most = 10i64.pow(digits.min(4)) - 1;
    if *of == BigInt::ZERO {
        return dice.between(1, most);
    }
    let even: Vec<i64> = (1..=most).filter(|d| of % d == BigInt::ZERO).collect();
    dice.pick(&even).copied().unwrap_or(1)
}

impl Family for BasicArithmetic {
    const NAME: &'static str = "basic_arithmetic";

    fn levels() -> Vec<BasicArithmetic> {
        let all = BasicArithmetic::default();
        let three = vec![Operator::Plus, Operator::Minus, Operator::Times];
        vec![
            BasicArithmetic { max_terms: 3, max_digits: 1, operators: three, ..all.clone() },
            BasicArithmetic { max_terms: 4, max_digits: 2, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_terms", self.min_terms), ("max_terms", self.max_terms), 1..=32)?;
        span(("min_digits", self.min_digits), ("max_digits", self.max_digits), 1..=12)?;
        if self.operators.is_empty() || self.operators.len() > 64 {
            let value = format!("{} operators", self.operators.len());
            return Err(Unfit::Choice { parameter: "operators", value, wanted: "1 to 64 of + - * /" });
        }
        Ok(())
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let terms = dice.size(self.min_terms, self.max_terms);
        let digits = dice.size(self.min_digits, self.max_digits);
        let Part { tokens, value } = self.sum(dice, terms, digits as u32);
        let expression = self.spaced(dice, &tokens);
        let question = match self.format_style {
            FormatStyle::Simple => format!("Work out {expression}."),
            FormatStyle::Natural => {
                let [before, after] =
                    dice.one([["How much is ", "?"], ["Find the value of ", "."], ["Please work out ", "."]]);
                format!("{before}{expression}{after}")
            }
        };
        Problem {
            question,
            compact: format!("b:{}=", tokens.concat().replace('/', ":")),
            answer: value.to_string(),
            data: json!({ "expression": expression, "num_terms": terms, "num_digits": digits }),
        }
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
    use crate::environment::Environment;
    use crate::expression;
    use crate::family::{Levels, trial};

    #[test]
    fn tasks_hold() {
        trial::hold::<BasicArithmetic>(|task| format!("{}0", task.answer));
        trial::refuses::<BasicArithmetic>(&[
            r#"{"min_terms":0}"#,
            r#"{"operators":[]}"#,
            r#"{"operators":["^"]}"#,
        ]);
    }

    #[test]
    fn answers_are_the_expressions_values() {
        for (style, space) in [("simple", "no_space"), ("natural", "single"), ("natural", "random")] {
            let parameters =
                format!(r#"{{"format_style":"{style}","whitespace":"{space}","allow_negation":false}}"#);
            let environment = Levels::<BasicArithmetic>::of(&parameters).unwrap();
            for seed in 0..100 {
                let task = environment.task(seed, 0);
                let value = expression::value(task.data["expression"].as_str().unwrap());
                assert_eq!(value.unwrap().to_string(), task.answer, "{task:?}");
            }
        }
    }

    #[test]
    fn there_are_no_more_numbers_than_asked_for() {
        for seed in 0..200 {
            let task = Levels::<BasicArithmetic>::built_in().task(seed, 2);
            let expression = task.data["expression"].as_str().unwrap();
            let numbers = expression.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).count();
            assert_eq!(numbers as u64, task.data["num_terms"].as_u64().unwrap(), "{expression}");
        }
    }
}
