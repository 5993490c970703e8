//! `shortest_path`: the shortest way through a grid.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span, within};
use crate::python;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Grids with a start, an end, and walls between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShortestPath {
    /// The fewest rows.
    pub min_rows: u32,
    /// The most rows.
    pub max_rows: u32,
    /// The fewest columns.
    pub min_cols: u32,
    /// The most columns.
    pub max_cols: u32,
    /// How often a cell is a wall.
    pub p_blocked: f64,
}

impl Default for ShortestPath {
    fn default() -> ShortestPath {
        ShortestPath { min_rows: 5, max_rows: 8, min_cols: 5, max_cols: 8, p_blocked: 0.4 }
    }
}

/// The directions, with what they add to row and column.
const WAYS: [(&str, isize, isize); 4] = [("right", 0, 1), ("down", 1, 0), ("left", 0, -1), ("up", -1, 0)];

/// The answer where there is no way.
const NONE: &str = "infeasible";

impl Family for ShortestPath {
    const NAME: &'static str = "shortest_path";

    fn levels() -> Vec<ShortestPath> {
        let square = |least, most| ShortestPath {
            min_rows: least,
            max_rows: most,
            min_cols: least,
            max_cols: most,
            ..ShortestPath::default()
        };
        vec![square(3, 4), square(4, 6), square(5, 8)]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_rows", self.min_rows), ("max_rows", self.max_rows), 1..=100)?;
        span(("min_cols", self.min_cols), ("max_cols", self.max_cols), 1..=100)?;
        if self.min_rows * self.min_cols < 2 {
            let wanted = "a size at which start and end find room";
            return Err(Unfit::Choice { parameter: "min_cols", value: self.min_cols.to_string(), wanted });
        }
        within("p_blocked", self.p_blocked, 0.0..=1.0)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let rows = dice.size(self.min_rows, self.max_rows);
        let columns = dice.size(self.min_cols, self.max_cols);
        let mut cells: Vec<&str> =
            (0..rows * columns).map(|_| if dice.chance(self.p_blocked) { "X" } else { "O" }).collect();
        let ends = dice.sample(rows * columns, 2);
        (cells[ends[0]], cells[ends[1]]) = ("*", "#");
        let grid: Vec<&[&str]> = cells.chunks(columns).collect();
        let path = shortest(&grid);
        let answer = path.as_ref().map_or_else(|| NONE.to_owned(), |path| path.join(" "));
        let shown: Vec<String> = grid.iter().map(|row| row.join(" ")).collect();
        let short: Vec<String> =
            grid.iter().map(|row| row.concat().to_ascii_lowercase().replace('#', "+")).collect();
        Problem {
            question: format!(
                "In this grid, * is the start, # is the end, O is free and X is a wall:\n{}\nWhat is the shortest way from * to #, by \
                 steps up, down, left and right that never enter a wall? Answer with the steps, as in: up up right. If there is no way, \
                 answer: infeasible",
                shown.join("\n")
            ),
            compact: format!("so:{}=", short.join(",")),
            answer,
            data: json!({ "matrix": grid, "solution": path.unwrap_or_default() }),
        }
    }

    /// Half for a way that is longer than it need be.
    fn score(task: &Task, answer: &str) -> f64 {
        let (right, given) = (python::strip(&task.answer), python::strip(answer));
        if answer.is_empty() {
            return 0.0;
        }
        if given == right {
            return 1.0;
        }
        let Some(grid) = read(task.data.get("matrix")) else { return 0.0 };
        let steps: Vec<&str> = python::words(given).collect();
        if !arrives(&grid, &steps) {
            0.0
        } else if steps.len() == python::words(right).count() {
            1.0
        } else {
            0.5
        }
    }

    fn shorten(answer: &str) -> String {
        if answer == NONE {
            "no".to_owned()
        } else {
            answer.split(' ').filter_map(|word| word.chars().next()).collect()
        }
    }

    fn expand(short: &str) -> String {
        if short == "no" {
            return NONE.to_owned();
        }
        let word =
            |c: char| WAYS.iter().find(|(name, ..)| name.starts_with(c)).map_or("?", |(name, ..)| *name);
        short.chars().map(word).collect::<Vec<_>>().join(" ")
    }
}

/// The cell so far from another, if it is in the grid.
fn beyond<T: Copy>(
    grid: &[impl AsRef<[T]>],
    (r, c): (usize, usize),
    down: isize,
    right: isize,
) -> Option<((usize, usize), T)> {
    let (r, c) = (r.checked_add_signed(down)?, c.checked_add_signed(right)?);
    Some(((r, c), *grid.get(r)?.as_ref().get(c)?))
}

/// Where the first such cell is.
fn place(grid: &[impl AsRef<[&'static str]>], of: &str) -> Option<(usize, usize)> {
    let rows = grid.iter().enumerate();
    rows.flat_map(|(r, row)| row.as_ref().iter().enumerate().map(move |(c, cell)| (r, c, *cell)))
        .find(|(_, _, cell)| *cell == of)
        .map(|(r, c, _)| (r, c))
}

/// A shortest way, if there is one.
fn shortest(grid: &[&[&'static str]]) -> Option<Vec<&'static str>> {
    let start = place(grid, "*")?;
    // From where, and how, each cell was reached first.
    let mut reached = vec![vec![None; grid.first()?.len()]; grid.len()];
    let mut next = VecDeque::from([start]);
    while let Some(from) = next.pop_front() {
        for (name, down, right) in WAYS {
            let Some((to, cell)) = beyond(grid, from, down, right) else { continue };
            if cell == "X" || to == start || reached[to.0][to.1].is_some() {
                continue;
            }
            reached[to.0][to.1] = Some((from, name));
            if cell == "#" {
                let mut path = Vec::new();
                let mut at = to;
                while let Some((from, name)) = reached[at.0][at.1] {
                    path.push(name);
                    at = from;
                }
                path.reverse();
                return Some(path);
            }
            next.push_back(to);
        }
    }
    None
}

/// Whether steps lead from the start to the end, through no wall and not out of the grid.
fn arrives(grid: &[Vec<&'static str>], steps: &[&str]) -> bool {
    let Some(mut at) = place(grid, "*") else { return false };
    for step in steps {
        let way = WAYS.iter().find(|(name, ..)| name == step);
        match way.and_then(|(_, down, right)| beyond(grid, at, *down, *right)) {
            Some((to, cell)) if cell != "X" => at = to,
            _ => return false,
        }
    }
    place(grid, "#") == Some(at)
}

/// The grid of a task.
fn read(matrix: Option<&Value>) -> Option<Vec<Vec<&'static str>>> {
    let cell = |cell: &Value| ["*", "#", "O", "X"].into_iter().find(|known| cell.as_str() == Some(known));
    let row = |row: &Value| row.as_array()?.iter().map(cell).collect();
    matrix?.as_array()?.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<ShortestPath>(|task| format!("{} up", task.answer));
        trial::refuses::<ShortestPath>(&[
            r#"{"min_rows":0}"#,
            r#"{"max_cols":101}"#,
            r#"{"p_blocked":1.1}"#,
            r#"{"min_rows":1,"min_cols":1}"#,
        ]);
    }

    #[test]
    fn any_shortest_way_is_right_and_a_longer_one_half() {
        let data = json!({ "matrix": [["*", "O", "X"], ["O", "O", "#"]] });
        trial::scores::<ShortestPath>(
            "right down right",
            data,
            &[
                ("right down right", 1.0),
                (" down  right\nright ", 1.0),
                ("down up right down right", 0.5),
                ("down right right left right", 0.5),
                ("right right down", 0.0),
                ("down down", 0.0),
                ("down right", 0.0),
                ("Down right right", 0.0),
                ("up", 0.0),
                ("infeasible", 0.0),
                (" ", 0.0),
                ("", 0.0),
            ],
        );
        let walled = json!({ "matrix": [["*", "X", "#"]] });
        trial::scores::<ShortestPath>("infeasible", walled, &[("infeasible\n", 1.0), ("right right", 0.0)]);
        for strange in [json!({}), json!({ "matrix": [[1]] }), json!({ "matrix": [["*"], []] }), Value::Null]
        {
            trial::scores::<ShortestPath>("up", strange, &[("up", 1.0), ("down", 0.0)]);
        }
    }
}
