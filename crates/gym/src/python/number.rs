//! Numbers: `int()`, `float()` and `Decimal()` of a text.

use super::text::{digit, strip};
use num_bigint::BigInt;

/// The most digits Python takes for an integer, unless its base is a power of two.
const MAX_DIGITS: usize = 4300;

/// The most bits of an integer in a base that is a power of two. Python has no such limit; no task's answer comes near.
const MAX_BITS: usize = 1 << 17;

/// `int(text)`.
pub(crate) fn int(text: &str) -> Option<BigInt> {
    let (negative, digits) = signed(text)?;
    whole(&digits, 10).map(|n| if negative { -n } else { n })
}

/// `int(text, 0)`: the base is said by a prefix, and ten without one.
pub(crate) fn int_of_any_base(text: &str) -> Option<BigInt> {
    let (negative, digits) = signed(text)?;
    let lower = digits.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)];
    let prefixed = prefixed.iter().find_map(|(prefix, base)| Some((lower.strip_prefix(prefix)?, *base)));
    let n = if let Some((rest, base)) = prefixed {
        // An underscore may stand between prefix and digits.
        whole(rest.strip_prefix('_').unwrap_or(rest), base)?
    } else {
        let n = whole(&lower, 10)?;
        // Zero may be written with many zeros, no other number may begin with one.
        if lower.starts_with('0') && n != BigInt::ZERO {
            return None;
        }
        n
    };
    Some(if negative { -n } else { n })
}

/// The sign and what follows it, blanks gone and digits in ASCII.
fn signed(text: &str) -> Option<(bool, String)> {
    let plain = in_ascii(bare(text))?;
    match plain.strip_prefix('-') {
        Some(rest) => Some((true, rest.to_owned())),
        None => Some((false, plain.strip_prefix('+').unwrap_or(&plain).to_owned())),
    }
}

/// A number without the blanks around it. In text that is all ASCII, Python takes only C's blanks for such.
fn bare(text: &str) -> &str {
    if text.is_ascii() { text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']) } else { strip(text) }
}

/// The same text with digits of all scripts as ASCII has them; nothing if other characters remain.
fn in_ascii(text: &str) -> Option<String> {
    text.chars()
        .map(|c| if c.is_ascii() { Some(c) } else { digit(c).map(|d| char::from(b'0' + d)) })
        .collect()
}

/// Digits of a base, with single underscores between them.
fn whole(text: &str, base: u32) -> Option<BigInt> {
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| *b != b'_')
        .map(|b| char::from(b).to_digit(base).map(|d| d as u8))
        .collect::<Option<_>>()?;
    let bound = if base == 10 { MAX_DIGITS } else { MAX_BITS / base.ilog2() as usize };
    if digits.is_empty() || digits.len() > bound {
        return None;
    }
    BigInt::from_radix_be(num_bigint::Sign::Plus, &digits, base)
}

/// `float(text)`.
pub(crate) fn float(text: &str) -> Option<f64> {
    let plain = in_ascii(bare(text))?;
    let mut before = ' ';
    for (i, c) in plain.char_indices() {
        let after = plain[i + c.len_utf8()..].chars().next();
        if c == '_' && !(before.is_ascii_digit() && after.is_some_and(|c| c.is_ascii_digit())) {
            return None;
        }
        before = c;
    }
    plain.replace('_', "").parse().ok()
}

/// A finite decimal number of any length: `Decimal(text)`.
#[derive(Clone, Debug)]
pub(crate) struct Decimal {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    /// Reads what Python reads; nothing for infinities and for what is no number, which equal no reference.
    pub(crate) fn read(text: &str) -> Option<Decimal> {
        let plain = in_ascii(&strip(text).replace('_', ""))?;
        let (negative, rest) = match plain.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, power(exponent)?),
            None => (rest, 0),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{part}");
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let kept = all.trim_end_matches('0');
        let exponent =
            exponent.checked_add((all.len() - kept.len()) as i64)?.checked_sub(part.len() as i64)?;
        let digits = kept.trim_start_matches('0').to_owned();
        Some(Decimal { negative, digits, exponent })
    }
}

/// An exponent that Python's decimals can have.
fn power(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let power: i64 = text.parse().ok()?;
    (power.abs() < 1_000_000_000_000_000_000).then_some(power)
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Decimal) -> bool {
        let zero = self.digits.is_empty() && other.digits.is_empty();
        zero || (self.negative, &self.digits, self.exponent)
            == (other.negative, &other.digits, other.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_python_reads_them() {
        for (text, value) in [("12", 12), (" +1_000\n", 1000), ("-0012", -12), ("١٢", 12), ("-0", 0)] {
            assert_eq!(int(text), Some(BigInt::from(value)), "{text:?}");
        }
        assert_eq!(int("\u{1c}٣"), Some(BigInt::from(3)));
        for text in ["", "-", "\u{1c}3", "_1", "1_", "1__0", "1.0", "0x1", "1 2", "+-1", "½", "- 1"] {
            assert_eq!(int(text), None, "{text:?}");
        }
        assert!(int(&"9".repeat(4300)).is_some() && int(&"9".repeat(4301)).is_none());
    }

    #[test]
    fn integers_of_any_base_need_their_prefix() {
        for (text, value) in [
            ("0x1F", 31),
            ("-0X_1f", -31),
            ("0b101", 5),
            ("0o17", 15),
            ("17", 17),
            ("00", 0),
            ("0_0", 0),
            ("0x٣", 3),
        ] {
            assert_eq!(int_of_any_base(text), Some(BigInt::from(value)), "{text:?}");
        }
        for text in ["1f", "017", "0x", "0x_", "0x__1", "0b2", "x1", "0x 1", ""] {
            assert_eq!(int_of_any_base(text), None, "{text:?}");
        }
    }

    #[test]
    fn floats_are_read_as_python_reads_them() {
        for (text, value) in
            [(" 1.5 ", 1.5), ("1_0.5", 10.5), (".5", 0.5), ("5.", 5.0), ("1e-2", 0.01), ("٣", 3.0)]
        {
            assert_eq!(float(text), Some(value), "{text:?}");
        }
        assert_eq!(float("-Infinity"), Some(f64::NEG_INFINITY));
        for text in ["", ".", "_1", "1_.5", "1._5", "1 2", "0x1", "e5", "1,5"] {
            assert_eq!(float(text), None, "{text:?}");
        }
    }

    #[test]
    fn decimals_are_the_same_however_they_are_written() {
        let same = |a, b| match (Decimal::read(a), Decimal::read(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        };
        for (a, b) in [
            ("1000", "1e3"),
            ("1000.0", "+01000"),
            ("-0", "0.00"),
            ("1.50", "15e-1"),
            ("_1_", "1"),
            (".5", "0.5"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [("1", "-1"), ("1", "10"), ("1", "1.0000000000000000000000000001"), ("1e5", "1e6")] {
            assert!(!same(a, b), "{a} {b}");
        }
        for text in
            ["", ".", "e5", "1e", "1e+", "1e5.0", "NaN", "Infinity", "1 2", "1e9999999999999999999", "--1"]
        {
            assert!(Decimal::read(text).is_none(), "{text:?}");
        }
    }
}
