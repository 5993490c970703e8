//! `spiral_matrix`: the numbers of a matrix along a spiral.

use super::matrix::{self, Matrix};
use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::python::{self, Literal};
use crate::short;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Square matrices to be read along a spiral.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpiralMatrix {
    /// The fewest rows.
    pub min_n: u32,
    /// The most rows.
    pub max_n: u32,
}

impl Default for SpiralMatrix {
    fn default() -> SpiralMatrix {
        SpiralMatrix { min_n: 2, max_n: 10 }
    }
}

impl Family for SpiralMatrix {
    const NAME: &'static str = "spiral_matrix";

    fn levels() -> Vec<SpiralMatrix> {
        [3, 5, 10].map(|max_n| SpiralMatrix { max_n, ..SpiralMatrix::default() }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_n", self.min_n), ("max_n", self.max_n), 2..=100)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let n = dice.size(self.min_n, self.max_n);
        let matrix = matrix::digits(dice, n, n);
        let spiral = spiral(matrix.clone());
        let text = matrix::written(&matrix);
        Problem {
            question: format!(
                "Read this matrix along a spiral: along the first row from left to right, down the last column, back along the last row, \
                 up the first column, and on inward in the same way. Answer with the numbers, with blanks between them.\n{text}"
            ),
            compact: format!("sp:{}=", short::matrix(&text)),
            answer: matrix::line(&spiral),
            data: json!({ "matrix": matrix, "solution": spiral, "n": n }),
        }
    }

    /// A tenth for the right numbers as a list.
    fn score(task: &Task, answer: &str) -> f64 {
        if answer.is_empty() {
            return 0.0;
        }
        let (right, given) = (python::strip(&task.answer), python::strip(answer));
        if given == right {
            1.0
        } else if Literal::read(given).and_then(matrix::shown_list).is_some_and(|text| text == right) {
            0.1
        } else {
            0.0
        }
    }

    fn shorten(answer: &str) -> String {
        short::matrix(answer)
    }

    fn expand(short: &str) -> String {
        short::unshortened_matrix(short)
    }
}

/// The first row, and then the spiral of the rest, turned so that it begins with the row that comes next.
fn spiral(mut matrix: Matrix) -> Vec<u32> {
    let mut numbers = Vec::new();
    while !matrix.is_empty() {
        numbers.extend(matrix.remove(0));
        matrix = matrix::transposed(&matrix);
        matrix.reverse();
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<SpiralMatrix>(|task| format!("{} 1", task.answer));
        trial::refuses::<SpiralMatrix>(&[r#"{"min_n":1}"#, r#"{"max_n":101}"#, r#"{"min_n":11}"#]);
    }

    #[test]
    fn spirals_run_inward() {
        let rows = |text: &str| {
            text.split(' ').map(|row| row.chars().filter_map(|c| c.to_digit(10)).collect()).collect()
        };
        for (matrix, numbers) in [("12 34", "1 2 4 3"), ("123 456 789", "1 2 3 6 9 8 7 4 5"), ("7", "7")] {
            assert_eq!(matrix::line(&spiral(rows(matrix))), numbers);
        }
    }

    #[test]
    fn a_list_is_worth_a_tenth() {
        trial::scores::<SpiralMatrix>(
            "3 1 4",
            json!({}),
            &[
                (" 3 1 4\n", 1.0),
                ("[3, 1, 4]", 0.1),
                ("3, 1, 4", 0.1),
                ("'314'", 0.1),
                ("314", 0.0),
                ("3  1 4", 0.0),
                ("list([3, 1, 4])", 0.0),
                ("__import__('os').system('true')", 0.0),
                ("", 0.0),
            ],
        );
    }
}
