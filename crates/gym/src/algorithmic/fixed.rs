//! Decimal numbers with a fixed number of places, without a float anywhere.

use crate::dice::Dice;
use crate::family::{Unfit, span, within};
use std::cmp::Ordering;

/// A number as units of its last place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    units: i64,
    places: u32,
}

/// The most places behind the point.
const MAX_PLACES: u32 = 6;
/// The largest value.
const MAX_VALUE: f64 = 1e9;

impl Fixed {
    /// A number between two others, of some number of places: each number that can be written so is as likely as the next.
    pub(crate) fn draw(dice: &mut Dice, (low, high): (f64, f64), places: u32) -> Fixed {
        let scale = 10f64.powi(places as i32);
        let (first, last) = ((low * scale).ceil() as i64, (high * scale).floor() as i64);
        Fixed { units: dice.between(first, last.max(first)), places }
    }

    /// A number between two others, with its own number of places.
    pub(crate) fn draw_between(dice: &mut Dice, low: Fixed, high: Fixed, places: u32) -> Fixed {
        let (first, last) = (low.scaled(places), high.scaled(places));
        Fixed { units: dice.between(first.min(last), first.max(last)), places }
    }

    /// Units of another last place; what lies below it is dropped.
    fn scaled(self, places: u32) -> i64 {
        if places >= self.places {
            self.units * 10i64.pow(places - self.places)
        } else {
            self.units / 10i64.pow(self.places - places)
        }
    }

    /// With all its places: `-51.00`, `7`.
    pub(crate) fn written(self) -> String {
        let sign = if self.units < 0 { "-" } else { "" };
        let scale = 10u64.pow(self.places);
        let (whole, part) = (self.units.unsigned_abs() / scale, self.units.unsigned_abs() % scale);
        match self.places {
            0 => format!("{sign}{whole}"),
            places => format!("{sign}{whole}.{part:0width$}", width = places as usize),
        }
    }

    /// With the places it needs, and one at least: `-51.0`, `7.25`.
    pub(crate) fn as_float(self) -> String {
        let mut text = self.written();
        if self.places == 0 {
            text.push_str(".0");
        }
        while text.ends_with('0') && !text.ends_with(".0") {
            text.pop();
        }
        text
    }

    /// Which of two is more.
    pub(crate) fn order(&self, other: &Fixed) -> Ordering {
        self.scaled(MAX_PLACES).cmp(&other.scaled(MAX_PLACES))
    }
}

/// The checks that the families of such numbers share.
pub(crate) fn check(
    numbers: (u32, u32),
    decimals: (u32, u32),
    (min_value, max_value): (f64, f64),
) -> Result<(), Unfit> {
    span(("min_numbers", numbers.0), ("max_numbers", numbers.1), 1..=1000)?;
    span(("min_decimals", decimals.0), ("max_decimals", decimals.1), 0..=MAX_PLACES)?;
    within("min_value", min_value, -MAX_VALUE..=MAX_VALUE)?;
    // So that there is a whole number between them.
    within("max_value", max_value, min_value + 1.0..=MAX_VALUE)
}

/// A list as Python shows one of strings.
pub(crate) fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// Such a list with commas for points and colons between.
pub(crate) fn shorten(list: &str) -> String {
    list.trim_matches(['[', ']']).replace(['\'', ' '], "").replace(',', ":").replace('.', ",")
}

/// The list of [`shorten`].
pub(crate) fn expand(short: &str) -> String {
    if short.is_empty() {
        return "[]".to_owned();
    }
    list(&short.split(':').map(|number| number.replace(',', ".")).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_and_without_their_zeros() {
        for (units, places, all, needed) in [
            (-5100, 2, "-51.00", "-51.0"),
            (7, 0, "7", "7.0"),
            (725, 2, "7.25", "7.25"),
            (-50, 3, "-0.050", "-0.05"),
            (0, 1, "0.0", "0.0"),
        ] {
            let number = Fixed { units, places };
            assert_eq!((number.written().as_str(), number.as_float().as_str()), (all, needed));
        }
    }

    #[test]
    fn numbers_lie_where_they_are_drawn() {
        let mut dice = Dice::new("test", 0, 0);
        for places in 0..=MAX_PLACES {
            let (low, high) = (Fixed { units: -3, places: 0 }, Fixed { units: 45, places: 1 });
            for _ in 0..50 {
                let number = Fixed::draw(&mut dice, (-3.0, 4.5), places);
                assert!(number.order(&low).is_ge() && number.order(&high).is_le(), "{number:?}");
            }
        }
        assert!(
            check((1, 2), (0, 0), (0.5, 1.0)).is_err() && check((1, 2), (0, 0), (f64::NAN, 1.0)).is_err()
        );
    }

    #[test]
    fn lists_come_back_from_their_short_form() {
        for text in ["['-95.0', '47.29']", "['7']", "[]"] {
            assert_eq!(expand(&shorten(text)), text);
        }
        assert_eq!(shorten("['-95.0', '47.29']"), "-95,0:47,29");
    }
}
