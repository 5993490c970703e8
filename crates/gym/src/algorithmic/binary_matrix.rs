//! `binary_matrix`: how far each cell is from the nearest zero.

use super::matrix::{self, Matrix};
use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span, within};
use crate::python::Literal;
use crate::short;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::VecDeque;

/// Square matrices of zeros and ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BinaryMatrix {
    /// The fewest rows.
    pub min_n: u32,
    /// The most rows.
    pub max_n: u32,
    /// How often a cell is a zero. One is a zero in any case.
    pub p_zero: f64,
}

impl Default for BinaryMatrix {
    fn default() -> BinaryMatrix {
        BinaryMatrix { min_n: 3, max_n: 10, p_zero: 0.25 }
    }
}

impl Family for BinaryMatrix {
    const NAME: &'static str = "binary_matrix";

    fn levels() -> Vec<BinaryMatrix> {
        [3, 5, 10].map(|max_n| BinaryMatrix { max_n, ..BinaryMatrix::default() }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_n", self.min_n), ("max_n", self.max_n), 1..=100)?;
        within("p_zero", self.p_zero, f64::MIN_POSITIVE..=1.0)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let n = dice.size(self.min_n, self.max_n);
        let mut cells: Vec<u32> = (0..n * n).map(|i| u32::from(i > 0 && !dice.chance(self.p_zero))).collect();
        dice.shuffle(&mut cells);
        let matrix: Matrix = cells.chunks(n).map(<[u32]>::to_vec).collect();
        let distances = distances(&matrix);
        let text = matrix::written(&matrix);
        Problem {
            question: format!(
                "For each cell of this matrix, how many steps is it to the nearest 0, going up, down, left and right? Answer with a matrix \
                 of the same form.\n{text}"
            ),
            compact: format!("bm:{}=", short::matrix(&text)),
            answer: matrix::written(&distances),
            data: json!({ "matrix": matrix, "solution": distances, "n": n }),
        }
    }

    /// A tenth for the right rows as a list of lists.
    fn score(task: &Task, answer: &str) -> f64 {
        if answer == task.answer {
            return 1.0;
        }
        let rows = || {
            let rows = Literal::read(answer)?.parts()?;
            Some(rows.into_iter().map(matrix::shown_list).collect::<Option<Vec<_>>>()?.join("\n"))
        };
        if rows().is_some_and(|text| text == task.answer) { 0.1 } else { 0.0 }
    }

    fn shorten(answer: &str) -> String {
        short::matrix(answer)
    }

    fn expand(short: &str) -> String {
        short::unshortened_matrix(short)
    }
}

/// Of each cell, by going out from all zeros at once.
fn distances(matrix: &[Vec<u32>]) -> Matrix {
    let mut known: Vec<Vec<Option<u32>>> =
        matrix.iter().map(|row| row.iter().map(|cell| (*cell == 0).then_some(0)).collect()).collect();
    let mut reached: VecDeque<(usize, usize, u32)> = VecDeque::new();
    for (r, row) in matrix.iter().enumerate() {
        reached.extend(row.iter().enumerate().filter(|(_, cell)| **cell == 0).map(|(c, _)| (r, c, 0)));
    }
    while let Some((r, c, far)) = reached.pop_front() {
        for (r, c) in [(r.wrapping_sub(1), c), (r + 1, c), (r, c.wrapping_sub(1)), (r, c + 1)] {
            if let Some(cell @ None) = known.get_mut(r).and_then(|row| row.get_mut(c)) {
                *cell = Some(far + 1);
                reached.push_back((r, c, far + 1));
            }
        }
    }
    known.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<BinaryMatrix>(|task| task.answer.replace('0', "1"));
        trial::refuses::<BinaryMatrix>(&[r#"{"min_n":0}"#, r#"{"max_n":101}"#, r#"{"p_zero":0}"#]);
        let matrix = vec![vec![1, 1, 1], vec![1, 1, 0], vec![1, 1, 1]];
        assert_eq!(matrix::written(&distances(&matrix)), "3 2 1\n2 1 0\n3 2 1");
    }

    #[test]
    fn lists_of_lists_are_worth_a_tenth() {
        trial::scores::<BinaryMatrix>(
            "1 0\n2 1",
            json!({}),
            &[
                ("1 0\n2 1", 1.0),
                ("[[1, 0], [2, 1]]", 0.1),
                ("[1,0],[2,1]", 0.1),
                ("['10', '21']", 0.1),
                ("1 0\n2 1\n", 0.0),
                ("[1, 0, 2, 1]", 0.0),
                ("", 0.0),
            ],
        );
    }
}
