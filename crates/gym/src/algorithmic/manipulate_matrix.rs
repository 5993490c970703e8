//! `manipulate_matrix`: a matrix that is turned, mirrored, cut and changed.

use super::matrix::{self, Matrix};
use crate::dice::Dice;
use crate::environment::Task;
use crate::exp::exp;
use crate::family::{Family, Problem, Unfit, span, within};
use crate::{python, short};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Matrices to which several things are done, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ManipulateMatrix {
    /// The fewest rows.
    pub min_rows: u32,
    /// The fewest columns.
    pub min_cols: u32,
    /// The most rows.
    pub max_rows: u32,
    /// The most columns.
    pub max_cols: u32,
    /// The fewest things done.
    pub min_transforms: u32,
    /// The most things done.
    pub max_transforms: u32,
    /// How likely it is turned; weights count by their exponentials.
    pub w_rotate: f64,
    /// How likely it is mirrored along the horizontal.
    pub w_hmirror: f64,
    /// How likely it is mirrored along the vertical.
    pub w_vmirror: f64,
    /// How likely it is mirrored along the diagonal.
    pub w_dmirror: f64,
    /// How likely it is mirrored along the other diagonal.
    pub w_cmirror: f64,
    /// How likely a number becomes another.
    pub w_map: f64,
    /// How likely it is cropped.
    pub w_crop: f64,
    /// How likely rows are removed.
    pub w_remove_every_nth_row: f64,
    /// How likely columns are removed.
    pub w_remove_every_nth_col: f64,
    /// How likely multiples of a number become zero.
    pub w_zero_divisible: f64,
}

impl Default for ManipulateMatrix {
    fn default() -> ManipulateMatrix {
        ManipulateMatrix {
            min_rows: 2,
            min_cols: 2,
            max_rows: 10,
            max_cols: 10,
            min_transforms: 1,
            max_transforms: 10,
            w_rotate: 1.0,
            w_hmirror: 1.0,
            w_vmirror: 1.0,
            w_dmirror: 1.0,
            w_cmirror: 1.0,
            w_map: 1.0,
            w_crop: 1.0,
            w_remove_every_nth_row: 1.0,
            w_remove_every_nth_col: 1.0,
            w_zero_divisible: 1.0,
        }
    }
}

/// What was done, under the package's name, in words and in few characters; and what that made of the matrix.
struct Done {
    name: &'static str,
    words: String,
    short: String,
    matrix: Matrix,
}

impl ManipulateMatrix {
    fn weights(&self) -> [(&'static str, f64); 10] {
        [
            ("w_rotate", self.w_rotate),
            ("w_hmirror", self.w_hmirror),
            ("w_vmirror", self.w_vmirror),
            ("w_dmirror", self.w_dmirror),
            ("w_cmirror", self.w_cmirror),
            ("w_map", self.w_map),
            ("w_crop", self.w_crop),
            ("w_remove_every_nth_row", self.w_remove_every_nth_row),
            ("w_remove_every_nth_col", self.w_remove_every_nth_col),
            ("w_zero_divisible", self.w_zero_divisible),
        ]
    }
}

impl Family for ManipulateMatrix {
    const NAME: &'static str = "manipulate_matrix";

    fn levels() -> Vec<ManipulateMatrix> {
        let all = ManipulateMatrix::default();
        vec![
            ManipulateMatrix { max_rows: 3, max_cols: 3, max_transforms: 1, ..all.clone() },
            ManipulateMatrix { max_rows: 5, max_cols: 5, max_transforms: 3, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_rows", self.min_rows), ("max_rows", self.max_rows), 2..=64)?;
        span(("min_cols", self.min_cols), ("max_cols", self.max_cols), 2..=64)?;
        span(("min_transforms", self.min_transforms), ("max_transforms", self.max_transforms), 1..=100)?;
        for (name, weight) in self.weights() {
            within(name, weight, -100.0..=100.0)?;
        }
        Ok(())
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let rows = dice.size(self.min_rows, self.max_rows);
        let columns = dice.size(self.min_cols, self.max_cols);
        let matrix = matrix::digits(dice, rows, columns);
        let weights = self.weights().map(|(_, weight)| weight);
        let most = weights.iter().copied().fold(f64::MIN, f64::max);
        let weights = weights.map(|weight| exp(weight - most));
        let count = dice.size(self.min_transforms, self.max_transforms);
        let mut now = matrix.clone();
        let (mut names, mut words, mut shorts) = (Vec::new(), Vec::new(), Vec::new());
        while names.len() < count {
            // There may be no row or column left to remove: then something else is done, and in the end it is turned.
            let done =
                (0..100).find_map(|_| transform(dice, &now, &weights)).unwrap_or_else(|| turn(dice, &now));
            now = done.matrix;
            names.push(json!({ "transform": done.name, "instruction": format!("- {}", done.words) }));
            words.push(format!("- {}", done.words));
            shorts.push(done.short);
        }
        let text = matrix::written(&matrix);
        Problem {
            question: format!(
                "Here is a matrix:\n{text}\nDo this to it, one after the other:\n{}\nAnswer in the same form.",
                words.join("\n")
            ),
            compact: format!("mm:{}:{}=", shorts.join(","), short::matrix(&text)),
            answer: matrix::written(&now),
            data: json!({
                "matrix": matrix,
                "solution": now,
                "operations": names,
                "rows": rows,
                "cols": columns,
                "num_transforms": count,
            }),
        }
    }

    /// Blanks at the ends of lines do not matter.
    fn score(task: &Task, answer: &str) -> f64 {
        let (right, given) = (python::strip(&task.answer), python::strip(answer));
        if answer.is_empty() {
            return 0.0;
        }
        if given == right {
            return 1.0;
        }
        let lines = given.split('\n').map(|line| python::words(line).collect::<Vec<_>>().join(" "));
        let even = lines.collect::<Vec<_>>().join("\n");
        let even = python::strip(&even);
        if even == right {
            1.0
        } else if even.contains(right) && !even.is_empty() {
            python::length(right) as f64 / python::length(even) as f64
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

fn turn(dice: &mut Dice, matrix: &[Vec<u32>]) -> Done {
    let quarters = 1 + dice.below(4);
    let degrees = quarters * 90;
    Done {
        name: "rotate",
        words: format!("Turn it clockwise by {degrees} degrees"),
        short: format!("r{degrees}"),
        matrix: (0..quarters).fold(matrix.to_vec(), |matrix, _| matrix::turned(&matrix)),
    }
}

/// One of the ten things, by their weights; nothing if it cannot be done.
fn transform(dice: &mut Dice, now: &[Vec<u32>], weights: &[f64]) -> Option<Done> {
    let (rows, columns) = (now.len(), now.first().map_or(0, Vec::len));
    let each = |change: &dyn Fn(u32) -> u32| -> Matrix {
        now.iter().map(|row| row.iter().map(|cell| change(*cell)).collect()).collect()
    };
    let mirrored = || -> Matrix { now.iter().map(|row| row.iter().rev().copied().collect()).collect() };
    let upside_down = || now.iter().rev().cloned().collect::<Matrix>();
    let done = |name, words: String, short: String, matrix| Some(Done { name, words, short, matrix });
    match dice.weighted(weights) {
        0 => Some(turn(dice, now)),
        1 => done(
            "hmirror",
            "Mirror it along the horizontal: the first row becomes the last".into(),
            "h".into(),
            upside_down(),
        ),
        2 => done(
            "vmirror",
            "Mirror it along the vertical: the first column becomes the last".into(),
            "v".into(),
            mirrored(),
        ),
        3 => {
            let words = "Mirror it along the diagonal from the upper left".into();
            done("dmirror", words, "d".into(), matrix::transposed(now))
        }
        4 => {
            let words = "Mirror it along the diagonal from the upper right".into();
            done("cmirror", words, "c".into(), matrix::turned(&mirrored()))
        }
        5 => {
            let pair = dice.sample(10, 2);
            let (from, to) = (pair[0] as u32, pair[1] as u32);
            let matrix = each(&|cell| if cell == from { to } else { cell });
            done("map", format!("Replace every {from} by {to}"), format!("m{from}-{to}"), matrix)
        }
        6 => {
            let (top, left) = (dice.size(1, rows as u32), dice.size(1, columns as u32));
            let (bottom, right) =
                (dice.size(top as u32, rows as u32), dice.size(left as u32, columns as u32));
            let words =
                format!("Keep only rows {top} to {bottom} and columns {left} to {right}, counted from 1");
            let matrix = now[top - 1..bottom].iter().map(|row| row[left - 1..right].to_vec()).collect();
            done("crop", words, format!("k{top}-{bottom}-{left}-{right}"), matrix)
        }
        7 => {
            let n = if rows > 1 { dice.size(2, rows as u32) } else { return None };
            let matrix = every_other(now, n);
            done(
                "remove_every_nth_row",
                format!("Remove every row whose number, counted from 1, {n} divides"),
                format!("x{n}"),
                matrix,
            )
        }
        8 => {
            let n = if columns > 1 { dice.size(2, columns as u32) } else { return None };
            let matrix = now.iter().map(|row| every_other(row, n)).collect();
            let words = format!("Remove every column whose number, counted from 1, {n} divides");
            done("remove_every_nth_col", words, format!("y{n}"), matrix)
        }
        _ => {
            let k = 1 + dice.below(9) as u32;
            let matrix = each(&|cell| if cell % k == 0 { 0 } else { cell });
            done(
                "zero_divisible",
                format!("Replace every number that {k} divides by 0"),
                format!("z{k}"),
                matrix,
            )
        }
    }
}

/// All but every so many-th.
fn every_other<T: Clone>(list: &[T], n: usize) -> Vec<T> {
    list.iter()
        .enumerate()
        .filter(|(i, _)| !(i + 1).is_multiple_of(n))
        .map(|(_, item)| item.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<ManipulateMatrix>(|task| format!("{}\n1", task.answer));
        trial::refuses::<ManipulateMatrix>(&[r#"{"min_rows":1}"#, r#"{"max_cols":65}"#, r#"{"w_map":1000}"#]);
        // Even when nothing but removing is likely, it goes on when there is nothing left to remove.
        let removing = r#"{"w_remove_every_nth_row":100,"min_transforms":50,"max_transforms":50}"#;
        crate::configured("manipulate_matrix", removing).unwrap().task(0, 0);
    }

    #[test]
    fn every_transform_does_what_it_says() {
        let now = vec![vec![1, 2, 3], vec![4, 5, 6]];
        let mut seen = std::collections::BTreeSet::new();
        for place in 0..10 {
            let mut weights = [0.0; 10];
            weights[place] = 1.0;
            let mut dice = Dice::new("test", place as u64, 0);
            let done = transform(&mut dice, &now, &weights).unwrap();
            seen.insert(done.name);
            let expected = match done.short.as_str() {
                "h" => "4 5 6\n1 2 3",
                "v" => "3 2 1\n6 5 4",
                "d" => "1 4\n2 5\n3 6",
                "c" => "6 3\n5 2\n4 1",
                "r90" => "4 1\n5 2\n6 3",
                "r180" => "6 5 4\n3 2 1",
                "r270" => "3 6\n2 5\n1 4",
                "x2" => "1 2 3",
                "y2" => "1 3\n4 6",
                "y3" => "1 2\n4 5",
                _ => continue,
            };
            assert_eq!(matrix::written(&done.matrix), expected, "{}", done.words);
        }
        assert_eq!(seen.len(), 10);
    }

    #[test]
    fn blanks_do_not_matter_and_more_text_counts_by_its_share() {
        trial::scores::<ManipulateMatrix>(
            "1 2\n3 4",
            json!({}),
            &[
                ("1 2\n3 4", 1.0),
                (" 1  2 \n 3 4\t\n", 1.0),
                ("so\n1 2\n3 4", 0.7),
                ("1 2 3 4", 0.0),
                ("1 2\n\n3 4", 0.0),
                ("  ", 0.0),
                ("", 0.0),
            ],
        );
    }
}
