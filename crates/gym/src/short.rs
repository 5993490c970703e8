//! Short forms of answers: what models write who know only a few characters.
//!
//! Small models know lower-case letters, digits and `:=+-*(),`. Sums are short the wrong way round: their last digit, which is known first, comes first.

/// A text the wrong way round. Of a number: its last digit first.
pub(crate) fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// A decimal number with a comma for its point, the wrong way round.
pub(crate) fn reversed_decimal(number: &str) -> String {
    reversed(&number.replace('.', ","))
}

/// The number of [`reversed_decimal`].
pub(crate) fn decimal(short: &str) -> String {
    reversed(short).replace(',', ".")
}
