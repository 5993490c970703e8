//! Arithmetic as people write it, read and worked out exactly.

use crate::python;
use num_bigint::BigInt;
use num_rational::BigRational;

/// How deep brackets and signs may lie in each other.
const MAX_DEPTH: usize = 200;
/// The largest value on the way to the result, above and below the line.
const MAX_BITS: u64 = 2048;
/// The largest exponent.
const MAX_EXPONENT: i64 = 512;

/// What an expression comes to: numbers, `+ - * / // % **` and brackets, as Python orders them.
///
/// Nothing for anything else, and where it divides by zero or grows beyond all measure. It is worked out while it is read: a long
/// expression takes no more memory than a short one.
pub(crate) fn value(text: &str) -> Option<BigRational> {
    let mut reader = Reader { rest: python::strip(text), open: 0 };
    let value = reader.sum(0)?;
    reader.rest.is_empty().then_some(value)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Plus,
    Minus,
    Times,
    Over,
    Floor,
    Modulo,
    Power,
}

impl Operation {
    fn of(self, a: &BigRational, b: &BigRational) -> Option<BigRational> {
        let divides = || (*b.numer() != BigInt::ZERO).then_some(b);
        let value = match self {
            Operation::Plus => a + b,
            Operation::Minus => a - b,
            Operation::Times => a * b,
            Operation::Over => a / divides()?,
            Operation::Floor => (a / divides()?).floor(),
            Operation::Modulo => a - (a / divides()?).floor() * b,
            Operation::Power => power(a, b)?,
        };
        (value.numer().bits().max(value.denom().bits()) <= MAX_BITS).then_some(value)
    }
}

/// Powers with whole exponents that are not too large.
fn power(base: &BigRational, exponent: &BigRational) -> Option<BigRational> {
    let exponent = if exponent.is_integer() { i64::try_from(exponent.numer()).ok()? } else { return None };
    let bits = base.numer().bits().max(base.denom().bits());
    let small = exponent.abs() <= MAX_EXPONENT && bits * exponent.unsigned_abs() <= 2 * MAX_BITS;
    if !small || (exponent < 0 && *base.numer() == BigInt::ZERO) {
        return None;
    }
    Some(base.pow(exponent as i32))
}

struct Reader<'a> {
    rest: &'a str,
    /// Open brackets: within them a line may end.
    open: usize,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        let line_end = self.open > 0;
        self.rest = self.rest.trim_start_matches(|c| {
            matches!(c, ' ' | '\t' | '\u{c}') || (line_end && matches!(c, '\n' | '\r'))
        });
    }

    fn take(&mut self, sign: &str) -> bool {
        self.blanks();
        let taken = self.rest.strip_prefix(sign);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn sum(&mut self, depth: usize) -> Option<BigRational> {
        let mut value = self.product(depth)?;
        loop {
            let operation = if self.take("+") {
                Operation::Plus
            } else if self.take("-") {
                Operation::Minus
            } else {
                return Some(value);
            };
            value = operation.of(&value, &self.product(depth)?)?;
        }
    }

    fn product(&mut self, depth: usize) -> Option<BigRational> {
        let mut value = self.signed(depth)?;
        loop {
            let operation = if self.take("//") {
                Operation::Floor
            } else if self.take("/") {
                Operation::Over
            } else if self.take("%") {
                Operation::Modulo
            } else if self.take("*") {
                Operation::Times
            } else {
                return Some(value);
            };
            value = operation.of(&value, &self.signed(depth)?)?;
        }
    }

    fn signed(&mut self, depth: usize) -> Option<BigRational> {
        if depth > MAX_DEPTH {
            return None;
        }
        if self.take("-") {
            return Some(-self.signed(depth + 1)?);
        }
        if self.take("+") {
            return self.signed(depth + 1);
        }
        let value = self.atom(depth)?;
        // A power binds more tightly than a sign before it, and less than one behind it.
        if self.take("**") { Operation::Power.of(&value, &self.signed(depth + 1)?) } else { Some(value) }
    }

    fn atom(&mut self, depth: usize) -> Option<BigRational> {
        if self.take("(") {
            self.open += 1;
            let value = self.sum(depth + 1)?;
            let closed = self.take(")");
            self.open -= 1;
            return closed.then_some(value);
        }
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        number(word)
    }
}

/// A number as source code has it: whole in any base, or with a point.
fn number(word: &str) -> Option<BigRational> {
    if !word.is_ascii() || word.len() > MAX_BITS as usize {
        return None;
    }
    if let Some(whole) = python::int_of_any_base(word) {
        return Some(BigRational::from_integer(whole));
    }
    let (whole, part) = word.split_once('.')?;
    let digits = format!("{whole}{part}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(BigRational::new(digits.parse().ok()?, BigInt::from(10).pow(part.len() as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        value(text).map(|value| value.to_string())
    }

    #[test]
    fn expressions_come_to_exact_values() {
        for (text, expected) in [
            ("15 - 4 + 95 + 36 - 32 + 29", "139"),
            ("2 + 3 * 4", "14"),
            ("(2 + 3) * 4", "20"),
            ("7 / 2 / 7", "1/2"),
            ("1/3*3", "1"),
            ("-2**2", "-4"),
            ("2**-1", "1/2"),
            ("2**3**2", "512"),
            ("--5 - -(3)", "8"),
            ("7 // 2 + -7 // 2", "-1"),
            ("-7 % 3", "2"),
            ("1.5 * 4", "6"),
            ("0x10", "16"),
            (" (1 +\n2) \n", "3"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn anything_else_comes_to_nothing() {
        for text in [
            "", "1 +", "+", "1 2", "(1", "1)", "x", "1/0", "0**-1", "2**0.5", "9**9**9", "sqrt(4)", "3!",
            "2(3)", "1 = 1", "007", "1\n+2", "1..2", "()", "**2", "1 +* 2", "१+1",
        ] {
            assert_eq!(shown(text), None, "{text:?}");
        }
        for (open, close) in [("(", ")"), ("-", ""), ("2**", "")] {
            assert_eq!(shown(&format!("{}1{}", open.repeat(100_000), close.repeat(100_000))), None);
        }
        assert_eq!(shown(&format!("1{}", "+1".repeat(100_000))).as_deref(), Some("100001"));
        assert_eq!(shown(&format!("9{}", "*9".repeat(100_000))), None);
    }
}
