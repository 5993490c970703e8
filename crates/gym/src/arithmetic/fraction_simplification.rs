//! `fraction_simplification`: fractions to be brought to lowest terms.

use super::gcd::divisor;
use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span, within};
use crate::python;
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Fractions to be simplified: `92/524` is `23/131`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FractionSimplification {
    /// The least numerator or denominator of a simplified fraction.
    pub min_value: u64,
    /// The largest numerator or denominator of a simplified fraction.
    pub max_value: u64,
    /// The least number both are multiplied with.
    pub min_factor: u64,
    /// The largest number both are multiplied with.
    pub max_factor: u64,
    /// The ways in which fractions may be written.
    pub styles: Vec<FractionStyle>,
}

/// A way to write fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FractionStyle {
    /// `1/2`
    Plain,
    /// `$1/2$`
    LatexInline,
    /// `$\frac{1}{2}$`
    LatexFrac,
    /// `$\dfrac{1}{2}$`
    LatexDfrac,
}

impl FractionStyle {
    /// All of them.
    pub const ALL: [FractionStyle; 4] = [
        FractionStyle::Plain,
        FractionStyle::LatexInline,
        FractionStyle::LatexFrac,
        FractionStyle::LatexDfrac,
    ];

    fn write(self, over: u64, under: u64) -> String {
        match self {
            FractionStyle::Plain => format!("{over}/{under}"),
            FractionStyle::LatexInline => format!("${over}/{under}$"),
            FractionStyle::LatexFrac => format!("$\\frac{{{over}}}{{{under}}}$"),
            FractionStyle::LatexDfrac => format!("$\\dfrac{{{over}}}{{{under}}}$"),
        }
    }
}

impl Default for FractionSimplification {
    fn default() -> FractionSimplification {
        FractionSimplification {
            min_value: 1,
            max_value: 1000,
            min_factor: 1,
            max_factor: 100,
            styles: FractionStyle::ALL.into(),
        }
    }
}

/// How often a fraction within the bounds is looked for.
const ATTEMPTS: usize = 100;

impl Family for FractionSimplification {
    const NAME: &'static str = "fraction_simplification";

    fn levels() -> Vec<FractionSimplification> {
        let all = FractionSimplification::default();
        vec![
            FractionSimplification { max_value: 20, max_factor: 5, ..all.clone() },
            FractionSimplification { max_value: 100, max_factor: 20, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        // Of one value alone there is no fraction in lowest terms, unless it is one.
        span(("min_value", self.min_value), ("max_value", self.max_value), 1..=1_000_000_000)?;
        within("max_value", self.max_value, self.min_value + 1..=1_000_000_000)?;
        span(("min_factor", self.min_factor), ("max_factor", self.max_factor), 1..=1_000_000_000)?;
        if self.styles.is_empty() || self.styles.len() > 64 {
            let value = format!("{} styles", self.styles.len());
            let wanted = "1 to 64 of plain, latex_inline, latex_frac, latex_dfrac";
            return Err(Unfit::Choice { parameter: "styles", value, wanted });
        }
        Ok(())
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let (over, under) = self.simple(dice);
        let factor = dice.between(self.min_factor as i64, self.max_factor as i64) as u64;
        let style = dice.pick(&self.styles).copied().unwrap_or(FractionStyle::Plain);
        let (wide_over, wide_under) = (over * factor, under * factor);
        Problem {
            question: format!(
                "Bring the fraction {} to lowest terms. Answer with the fraction alone.",
                style.write(wide_over, wide_under)
            ),
            compact: format!("fr:{wide_over},{wide_under}="),
            answer: style.write(over, under),
            data: json!({
                "numerator": wide_over,
                "denominator": wide_under,
                "simplified_numerator": over,
                "simplified_denominator": under,
                "reduction_factor": factor,
                "style": style,
                "factor": factor,
            }),
        }
    }

    /// A tenth if the numerator or the denominator is still as it was, a twentieth for another fraction, a hundredth for anything else.
    fn score(task: &Task, answer: &str) -> f64 {
        let Some((over, under)) = read(answer) else { return 0.01 };
        let is = |number: &BigInt, key: &str| {
            task.data.get(key).and_then(Value::as_i64).is_some_and(|n| *number == n.into())
        };
        if is(&over, "simplified_numerator") && is(&under, "simplified_denominator") {
            1.0
        } else if is(&over, "numerator") || is(&under, "denominator") {
            0.1
        } else {
            0.05
        }
    }

    fn shorten(answer: &str) -> String {
        read(answer).map_or_else(|| answer.to_owned(), |(over, under)| format!("{over},{under}"))
    }

    fn expand(short: &str) -> String {
        short.replacen(',', "/", 1)
    }
}

impl FractionSimplification {
    /// A fraction in lowest terms that is at most one, within the bounds if there is such a one at all easily found.
    fn simple(&self, dice: &mut Dice) -> (u64, u64) {
        let mut draw = || dice.between(self.min_value as i64, self.max_value as i64) as u64;
        for _ in 0..ATTEMPTS {
            let (a, b) = (draw(), draw());
            let common = divisor(a, b);
            let (low, high) = (a.min(b) / common, a.max(b) / common);
            if low >= self.min_value {
                return (low, high);
            }
        }
        // Neighbours have no common divisor.
        (self.min_value, self.min_value + 1)
    }
}

/// The numerator and denominator of an answer in any of the styles.
fn read(answer: &str) -> Option<(BigInt, BigInt)> {
    let text = python::strip(python::strip(answer).trim_matches('$'));
    if let Some(fraction) = read_latex(text) {
        return Some(fraction);
    }
    let (over, under) = text.split_once('/')?;
    Some((python::int(python::strip(over))?, python::int(python::strip(under))?))
}

/// `\frac{1}{2}` or `\dfrac{1}{2}`, with whatever behind it.
fn read_latex(text: &str) -> Option<(BigInt, BigInt)> {
    let rest = text.strip_prefix('\\')?;
    let name = ["frac", "dfrac"]
        .into_iter()
        .find(|n| rest.get(..n.len()).is_some_and(|r| r.eq_ignore_ascii_case(n)))?;
    let (over, rest) = braces(&rest[name.len()..])?;
    let (under, _) = braces(rest)?;
    Some((over, under))
}

/// Digits in braces, and what follows.
fn braces(text: &str) -> Option<(BigInt, &str)> {
    let blank = |text| str::trim_start_matches(text, python::is_space);
    let inside = blank(blank(text).strip_prefix('{')?);
    let end = inside.find(|c| python::digit(c).is_none()).filter(|end| *end > 0)?;
    let rest = blank(&inside[end..]).strip_prefix('}')?;
    Some((python::int(&inside[..end])?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<FractionSimplification>(|task| {
            format!(
                "{}/{}",
                task.data["simplified_numerator"],
                task.data["numerator"].as_u64().unwrap() + 1_000_000
            )
        });
        trial::refuses::<FractionSimplification>(&[
            r#"{"styles":[]}"#,
            r#"{"styles":["roman"]}"#,
            r#"{"min_value":0}"#,
        ]);
    }

    #[test]
    fn fractions_that_can_hardly_be_found_are_still_in_lowest_terms() {
        for (least, most) in [(1, 2), (2, 3), (7, 8), (6, 8)] {
            let family = FractionSimplification { min_value: least, max_value: most, ..Default::default() };
            let mut dice = Dice::new("test", 0, 0);
            let (over, under) = family.simple(&mut dice);
            assert_eq!(divisor(over, under), 1, "{over}/{under}");
        }
    }

    #[test]
    fn fractions_count_in_any_style_and_in_part() {
        let data = json!({ "numerator": 92, "denominator": 524, "simplified_numerator": 23, "simplified_denominator": 131 });
        trial::scores::<FractionSimplification>(
            "23/131",
            data,
            &[
                ("23/131", 1.0),
                (" $ 23 / 131 $ ", 1.0),
                ("$\\frac{23}{131}$", 1.0),
                ("\\DFRAC { 23 } { 131 } and so on", 1.0),
                ("92/524", 0.1),
                ("92/1", 0.1),
                ("46/262", 0.05),
                ("23/0", 0.05),
                ("23", 0.01),
                ("23/131/1", 0.01),
                ("\\frac{-23}{131}", 0.01),
                ("", 0.01),
            ],
        );
    }
}
