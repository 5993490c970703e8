//! `prime_factorization`: the primes whose product a number is.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::python;
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Numbers to be taken apart: 12 is `2 × 2 × 3`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrimeFactorization {
    /// The least number.
    pub min_value: u64,
    /// The largest number.
    pub max_value: u64,
}

impl Default for PrimeFactorization {
    fn default() -> PrimeFactorization {
        PrimeFactorization { min_value: 2, max_value: 1000 }
    }
}

/// What any answer is worth.
const TRIED: f64 = 0.01;

impl Family for PrimeFactorization {
    const NAME: &'static str = "prime_factorization";

    fn levels() -> Vec<PrimeFactorization> {
        [100, 300, 1000]
            .map(|max_value| PrimeFactorization { max_value, ..PrimeFactorization::default() })
            .into()
    }

    fn check(&self) -> Result<(), Unfit> {
        // Trial division of larger ones would take long.
        span(("min_value", self.min_value), ("max_value", self.max_value), 2..=1_000_000_000_000)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let number = dice.between(self.min_value as i64, self.max_value as i64) as u64;
        let factors = factors(number);
        let texts: Vec<String> = factors.iter().map(u64::to_string).collect();
        Problem {
            question: format!(
                "Which primes is {number} the product of? Write them with × between them, as in 2 × 2 × 3 for 12."
            ),
            compact: format!("pf:{number}="),
            answer: texts.join(" × "),
            data: json!({ "number": number, "factors": factors }),
        }
    }

    /// Half for factors that give the number but are not all prime; a hundredth for anything else.
    fn score(task: &Task, answer: &str) -> f64 {
        let (Some(right), Some(given)) = (read(&task.answer), read(answer)) else { return TRIED };
        if right == given {
            1.0
        } else if product(&right, None).is_some_and(|n| product(&given, Some(&n)) == Some(n)) {
            0.5
        } else {
            TRIED
        }
    }

    fn shorten(answer: &str) -> String {
        answer.replace(" × ", "*")
    }

    fn expand(short: &str) -> String {
        short.replace('*', " × ")
    }
}

/// The primes of a number, in order.
fn factors(mut n: u64) -> Vec<u64> {
    let mut factors = Vec::new();
    let mut d = 2;
    while d * d <= n {
        while n.is_multiple_of(d) {
            factors.push(d);
            n /= d;
        }
        d += 1;
    }
    if n > 1 {
        factors.push(n);
    }
    factors
}

/// The numbers between the signs, in order; nothing if one is none.
fn read(answer: &str) -> Option<Vec<BigInt>> {
    let parts = answer.split('×').map(python::strip).filter(|part| !part.is_empty());
    let mut numbers: Vec<BigInt> = parts.map(python::int).collect::<Option<_>>()?;
    numbers.sort();
    Some(numbers)
}

/// The product, unless it goes beyond a bound: of numbers other than zero it never comes back.
fn product(numbers: &[BigInt], bound: Option<&BigInt>) -> Option<BigInt> {
    let mut product = BigInt::from(1);
    for number in numbers {
        product *= number;
        if product == BigInt::ZERO {
            break;
        }
        if bound.is_some_and(|bound| product.magnitude() > bound.magnitude()) {
            return (numbers.contains(&BigInt::ZERO)).then_some(BigInt::ZERO);
        }
    }
    Some(product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<PrimeFactorization>(|task| format!("1 × {}", task.answer));
        trial::refuses::<PrimeFactorization>(&[r#"{"min_value":1}"#, r#"{"max_value":1000000000001}"#]);
        assert_eq!(factors(656), [2, 2, 2, 2, 41]);
        assert_eq!((factors(2), factors(997), factors(49)), (vec![2], vec![997], vec![7, 7]));
    }

    #[test]
    fn factors_count_in_any_order_and_half_if_they_are_not_prime() {
        let huge = "9".repeat(4_000);
        let many = format!("{huge} × ").repeat(200);
        trial::scores::<PrimeFactorization>(
            "2 × 2 × 3",
            json!({}),
            &[
                ("2 × 2 × 3", 1.0),
                ("3×2×2", 1.0),
                ("× 3 × 2 × 2 ×", 1.0),
                ("4 × 3", 0.5),
                ("-2 × -2 × 3", 0.5),
                ("12", 0.5),
                ("\u{1c}12", 0.5),
                ("2 × 2", 0.01),
                ("2 * 2 * 3", 0.01),
                ("0 × 12", 0.01),
                ("", 0.01),
                (&many, 0.01),
            ],
        );
    }
}
