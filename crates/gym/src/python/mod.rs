//! How Python reads text, where scores of the public package hang on it.
//!
//! Its scorers strip, split and parse with Python's own functions. To give the same scores, ours must take the same
//! answers for the same numbers, words and lists: `" ١٢ "` is twelve, `"1_000"` a thousand, `"0x1F"` needs base 0.
//! Nothing here evaluates anything.

mod literal;
mod number;
mod text;

pub(crate) use literal::Literal;
pub(crate) use number::{Decimal, float, int, int_of_any_base};
pub(crate) use text::{digit, is_space, length, lines, strip, title, words};
