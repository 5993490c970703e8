//! `rotate_matrix`: a square matrix, to be turned.

use super::matrix;
use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use crate::short;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Square matrices to be turned clockwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RotateMatrix {
    /// The fewest rows.
    pub min_n: u32,
    /// The most rows.
    pub max_n: u32,
    /// The fewest quarter turns.
    pub min_rotations: u32,
    /// The most quarter turns.
    pub max_rotations: u32,
}

impl Default for RotateMatrix {
    fn default() -> RotateMatrix {
        RotateMatrix { min_n: 2, max_n: 10, min_rotations: 0, max_rotations: 10 }
    }
}

impl Family for RotateMatrix {
    const NAME: &'static str = "rotate_matrix";

    fn levels() -> Vec<RotateMatrix> {
        [3, 5, 10].map(|max_n| RotateMatrix { max_n, ..RotateMatrix::default() }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_n", self.min_n), ("max_n", self.max_n), 2..=100)?;
        span(("min_rotations", self.min_rotations), ("max_rotations", self.max_rotations), 0..=1000)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let n = dice.size(self.min_n, self.max_n);
        let matrix = matrix::digits(dice, n, n);
        let turns = dice.size(self.min_rotations, self.max_rotations);
        let turned = (0..turns % 4).fold(matrix.clone(), |matrix, _| matrix::turned(&matrix));
        let degrees = turns * 90;
        let text = matrix::written(&matrix);
        Problem {
            question: format!(
                "Turn this matrix clockwise by {degrees} degrees. Answer in the same form.\n{text}"
            ),
            compact: format!("rm:{degrees}:{}=", short::matrix(&text)),
            answer: matrix::written(&turned),
            data: json!({ "matrix": matrix, "num_rotations": turns, "solution": turned, "n": n }),
        }
    }

    fn shorten(answer: &str) -> String {
        short::matrix(answer)
    }

    fn expand(short: &str) -> String {
        short::unshortened_matrix(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<RotateMatrix>(|task| task.answer.replace('\n', " "));
        trial::refuses::<RotateMatrix>(&[r#"{"min_n":1}"#, r#"{"max_n":101}"#, r#"{"min_rotations":11}"#]);
        let cases = [("3 1\n4 2", 1.0), ("It is\n3 1\n4 2", 7.0 / 13.0), ("3 1 4 2", 0.0)];
        trial::scores::<RotateMatrix>("3 1\n4 2", json!({}), &cases);
    }
}
