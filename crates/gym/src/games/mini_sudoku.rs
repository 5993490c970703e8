//! `mini_sudoku`: a sudoku of four by four.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::python::{self, length};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Sudokus of four by four, each with one solution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MiniSudoku {
    /// The fewest empty cells; now and then there are fewer, where any more would leave two solutions.
    pub min_empty: u32,
    /// The most empty cells.
    pub max_empty: u32,
}

impl Default for MiniSudoku {
    fn default() -> MiniSudoku {
        MiniSudoku { min_empty: 8, max_empty: 12 }
    }
}

/// Rows of numbers; zero is empty.
type Board = [[u8; 4]; 4];

/// The longest reference that is compared with.
const MAX_SIDE: usize = 64;

impl Family for MiniSudoku {
    const NAME: &'static str = "mini_sudoku";

    fn levels() -> Vec<MiniSudoku> {
        [(1, 5), (4, 8), (8, 12)].map(|(min_empty, max_empty)| MiniSudoku { min_empty, max_empty }).into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_empty", self.min_empty), ("max_empty", self.max_empty), 0..=12)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let mut solution = Board::default();
        fill(dice, &mut solution);
        let wanted = dice.size(self.min_empty, self.max_empty);
        let mut puzzle = solution;
        let mut empty = 0;
        for cell in dice.sample(16, 16) {
            if empty == wanted {
                break;
            }
            let number = std::mem::take(&mut puzzle[cell / 4][cell % 4]);
            if solutions(&mut puzzle.clone()) > 1 {
                puzzle[cell / 4][cell % 4] = number;
            } else {
                empty += 1;
            }
        }
        let text = written(&puzzle);
        Problem {
            question: format!(
                "Fill in the blanks so that every row, every column and every quarter of two by two has each of 1, 2, 3 and 4 once:\n{text}\n\
                 Answer with the four rows, in the same form."
            ),
            compact: format!("su:{}=", text.replace(' ', "").replace('_', "-").replace('\n', ",")),
            answer: written(&solution),
            data: json!({ "puzzle": puzzle, "solution": solution, "num_empty": empty }),
        }
    }

    /// Nine tenths of the share of right cells, unless all is right and written as asked for; and less for text that goes on and on.
    fn score(task: &Task, answer: &str) -> f64 {
        let Some(solution) = read(task.data.get("solution")) else { return 0.0 };
        if answer.is_empty() {
            return 0.0;
        }
        let lines = |text: &str| {
            text.split('\n').map(|l| l.trim_end_matches(python::is_space).to_owned()).collect::<Vec<_>>()
        };
        let mut worth =
            if lines(answer) == lines(&task.answer) { 1.0 } else { 0.9 * share(&solution, answer) };
        let (right, given) = (length(&task.answer), length(answer));
        if given > right {
            worth *= right as f64 / given as f64;
        }
        worth
    }

    fn shorten(answer: &str) -> String {
        answer.replace(' ', "").replace('\n', ",")
    }

    fn expand(short: &str) -> String {
        let row = |row: &str| row.chars().map(|c| c.to_string()).collect::<Vec<_>>().join(" ");
        short.split(',').map(row).collect::<Vec<_>>().join("\n")
    }
}

/// The share of cells that are right, line by line; lines without as many digits as a row has do not count.
fn share(solution: &[Vec<u64>], answer: &str) -> f64 {
    let side = solution[0].len();
    let digits = |line: &str| -> Vec<u64> {
        line.chars().filter_map(|c| c.to_digit(10)).filter(|d| *d > 0).map(u64::from).collect()
    };
    let rows = answer.split('\n').map(digits).filter(|row| row.len() == side);
    let right: usize =
        solution.iter().zip(rows).map(|(a, b)| a.iter().zip(&b).filter(|(a, b)| a == b).count()).sum();
    right as f64 / (side * side) as f64
}

/// The solution of a task.
fn read(solution: Option<&Value>) -> Option<Vec<Vec<u64>>> {
    let rows = solution?.as_array()?;
    let row = |row: &Value| row.as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>();
    let rows: Vec<Vec<u64>> = rows.iter().take(MAX_SIDE).map(row).collect::<Option<_>>()?;
    rows.first().is_some_and(|first| !first.is_empty()).then_some(rows)
}

fn written(board: &Board) -> String {
    let cell = |n: &u8| if *n == 0 { "_".to_owned() } else { n.to_string() };
    board.map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).join("\n")
}

/// Where the first empty cell is, and which numbers may stand there.
fn open(board: &Board) -> Option<(usize, usize, Vec<u8>)> {
    let at = (0..16).find(|cell| board[cell / 4][cell % 4] == 0)?;
    let (r, c) = (at / 4, at % 4);
    let seen = |n: u8| {
        (0..4)
            .any(|i| n == board[r][i] || n == board[i][c] || n == board[r / 2 * 2 + i / 2][c / 2 * 2 + i % 2])
    };
    Some((r, c, (1..=4).filter(|n| !seen(*n)).collect()))
}

/// Fills the empty cells by chance; says whether that could be done.
fn fill(dice: &mut Dice, board: &mut Board) -> bool {
    let Some((r, c, mut numbers)) = open(board) else { return true };
    dice.shuffle(&mut numbers);
    for number in numbers {
        board[r][c] = number;
        if fill(dice, board) {
            return true;
        }
    }
    board[r][c] = 0;
    false
}

/// How many solutions there are; two stands for any more.
fn solutions(board: &mut Board) -> u32 {
    let Some((r, c, numbers)) = open(board) else { return 1 };
    let mut count = 0;
    for number in numbers {
        board[r][c] = number;
        count += solutions(board);
        if count > 1 {
            break;
        }
    }
    board[r][c] = 0;
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::family::{Levels, trial};

    #[test]
    fn tasks_hold() {
        trial::hold::<MiniSudoku>(|task| task.answer.replace('1', "2"));
        trial::refuses::<MiniSudoku>(&[r#"{"max_empty":13}"#, r#"{"min_empty":12,"max_empty":8}"#]);
    }

    #[test]
    fn every_puzzle_has_one_solution() {
        for seed in 0..100 {
            let task = Levels::<MiniSudoku>::built_in().task(seed, (seed % 3) as u8);
            let mut board: Board = serde_json::from_value(task.data["puzzle"].clone()).unwrap();
            assert_eq!(solutions(&mut board), 1, "{task:?}");
            let solved: Board = serde_json::from_value(task.data["solution"].clone()).unwrap();
            assert_eq!(solutions(&mut solved.clone()), 1);
            for i in 0..4 {
                let mut column = solved.map(|row| row[i]);
                column.sort_unstable();
                assert_eq!(column, [1, 2, 3, 4]);
            }
        }
    }

    #[test]
    fn cells_count_and_form_does() {
        let right = "4 2 1 3\n1 3 4 2\n2 1 3 4\n3 4 2 1";
        let data = json!({ "solution": [[4, 2, 1, 3], [1, 3, 4, 2], [2, 1, 3, 4], [3, 4, 2, 1]] });
        trial::scores::<MiniSudoku>(
            right,
            data,
            &[
                (right, 1.0),
                ("4 2 1 3 \n1 3 4 2\n2 1 3 4\n3 4 2 1", 31.0 / 32.0),
                ("4213\n1342\n2134\n3421", 0.9),
                ("4 2 1 3\n1 3 4 2\n2 1 3 4\n3 4 2 2", 0.9 * 15.0 / 16.0),
                ("4213\nno\n1342", 0.45),
                ("4 2 1", 0.0),
                ("", 0.0),
            ],
        );
        for strange in [
            json!({}),
            json!({ "solution": [] }),
            json!({ "solution": [[]] }),
            json!({ "solution": [[1], []] }),
        ] {
            trial::scores::<MiniSudoku>("9", strange, &[("8", 0.0)]);
        }
    }
}
