//! Scores by comparison with the reference answer, as most families have them.

use crate::python::{Decimal, length};

/// 1 for the reference answer itself; for text that has it somewhere, its share of that text; else nothing.
pub fn score(reference: &str, answer: &str) -> f64 {
    if answer.is_empty() {
        0.0
    } else if answer == reference {
        1.0
    } else if answer.contains(reference) {
        length(reference) as f64 / length(answer) as f64
    } else {
        0.0
    }
}

/// 1 for the same number, however it is written (`+01,000.00` is `1000`); else as [`score`] without the commas.
pub(crate) fn score_number(reference: &str, answer: &str) -> f64 {
    if answer.is_empty() {
        return 0.0;
    }
    let (reference, answer) = (reference.replace(',', ""), answer.replace(',', ""));
    if same_number(&reference, &answer) {
        return 1.0;
    }
    if !answer.is_empty() && answer.contains(&reference) {
        length(&reference) as f64 / length(&answer) as f64
    } else {
        0.0
    }
}

/// Whether both are the same decimal number.
pub(crate) fn same_number(a: &str, b: &str) -> bool {
    match (Decimal::read(a), Decimal::read(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_counts_by_its_share_of_the_text() {
        for (reference, answer, expected) in [
            ("12", "12", 1.0),
            ("12", "x12x", 0.5),
            ("12", "1 2", 0.0),
            ("12", "", 0.0),
            ("1", "é1", 0.5),
            ("", "x", 0.0),
            ("", "", 0.0),
        ] {
            assert_eq!(score(reference, answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_number_counts_however_it_is_written() {
        for (reference, answer, expected) in [
            ("1000", "+01,000.00", 1.0),
            ("1000", "1e3", 1.0),
            ("-5", " -5.0 ", 1.0),
            ("1000", "1,000 apples", 4.0 / 11.0),
            ("7", "8", 0.0),
            ("7", ",", 0.0),
            ("7", "", 0.0),
        ] {
            assert_eq!(score_number(reference, answer), expected, "{answer:?}");
        }
    }
}
