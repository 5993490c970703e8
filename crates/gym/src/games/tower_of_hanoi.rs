//! `tower_of_hanoi`: disks to be carried from one peg to another, never a larger one on a smaller.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::python;
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Towers to be moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TowerOfHanoi {
    /// The fewest disks.
    pub min_disks: u32,
    /// The most disks.
    pub max_disks: u32,
    /// The fewest pegs.
    pub min_pegs: u32,
    /// The most pegs.
    pub max_pegs: u32,
    /// Whether the question shows the pegs as they stand.
    pub visualize: bool,
}

impl Default for TowerOfHanoi {
    fn default() -> TowerOfHanoi {
        TowerOfHanoi { min_disks: 3, max_disks: 7, min_pegs: 3, max_pegs: 4, visualize: false }
    }
}

/// The most disks of a tower: its moves are still an answer of half a megabyte.
const MAX_DISKS: u32 = 14;
const MAX_PEGS: u32 = 10;

/// A disk, from where and to where.
type Move = (usize, usize, usize);

impl Family for TowerOfHanoi {
    const NAME: &'static str = "tower_of_hanoi";

    fn levels() -> Vec<TowerOfHanoi> {
        let all = TowerOfHanoi::default();
        vec![
            TowerOfHanoi { min_disks: 2, max_disks: 3, max_pegs: 3, ..all.clone() },
            TowerOfHanoi { max_disks: 5, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_disks", self.min_disks), ("max_disks", self.max_disks), 1..=MAX_DISKS)?;
        span(("min_pegs", self.min_pegs), ("max_pegs", self.max_pegs), 3..=MAX_PEGS)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let disks = dice.size(self.min_disks, self.max_disks);
        let pegs = dice.size(self.min_pegs, self.max_pegs);
        let ends = dice.sample(pegs, 2);
        let (start, target) = (ends[0] + 1, ends[1] + 1);
        let spare: Vec<usize> = (1..=pegs).filter(|peg| *peg != start && *peg != target).collect();
        let mut moves = Vec::new();
        carry(&mut moves, disks, 0, start, target, &spare);
        let lines: Vec<String> = moves
            .iter()
            .map(|(disk, from, to)| format!("Move disk {disk} from Peg {from} to Peg {to}"))
            .collect();
        let shown = if self.visualize { drawn(disks, pegs, start) } else { String::new() };
        Problem {
            question: format!(
                "{disks} disks lie on Peg {start} of {pegs} pegs, the largest below, the smallest above; disk 1 is the smallest. Move them all to \
                 Peg {target}: one at a time, always the uppermost of its peg, and never onto a smaller one.{shown}\nAnswer with one move a \
                 line, as in: Move disk 1 from Peg {start} to Peg {target}"
            ),
            compact: format!("th:{disks},{pegs},{start}-{target}="),
            answer: lines.join("\n"),
            data: json!({
                "num_disks": disks,
                "num_pegs": pegs,
                "start_peg": start,
                "target_peg": target,
                "auxiliary_pegs": spare,
                "solution_length": moves.len(),
            }),
        }
    }

    /// Less for more moves than needed, and a twentieth for moves that are allowed but do not do it.
    fn score(task: &Task, answer: &str) -> f64 {
        let number = |key: &str| task.data.get(key).and_then(Value::as_u64).map(|n| n as usize);
        let (Some(disks), Some(pegs)) = (number("num_disks"), number("num_pegs")) else { return 0.0 };
        let (Some(start), Some(target)) = (number("start_peg"), number("target_peg")) else { return 0.0 };
        let possible =
            disks <= 64 && pegs <= 64 && (1..=pegs).contains(&start) && (1..=pegs).contains(&target);
        if answer.is_empty() || !possible {
            return 0.0;
        }
        let mut towers = vec![Vec::new(); pegs + 1];
        towers[start] = (1..=disks).rev().collect();
        let mut count = 0;
        for line in python::lines(answer).map(python::strip).filter(|line| !line.is_empty()) {
            let Some((disk, from, to)) = read(line) else { return 0.0 };
            let allowed = towers.get(from).is_some_and(|tower| tower.last() == Some(&disk))
                && towers.get(to).is_some_and(|tower| to > 0 && tower.last().is_none_or(|top| *top >= disk));
            if !allowed {
                return 0.0;
            }
            towers[from].pop();
            towers[to].push(disk);
            count += 1;
        }
        if towers[target].len() < disks {
            return 0.05;
        }
        match number("solution_length") {
            Some(needed) if count > needed => needed as f64 / count as f64,
            _ => 1.0,
        }
    }

    fn shorten(answer: &str) -> String {
        let short = |line| read(line).map(|(disk, from, to)| format!("{disk}:{from}-{to}"));
        python::lines(answer).filter_map(short).collect::<Vec<_>>().join(",")
    }

    fn expand(short: &str) -> String {
        let line = |step: &str| {
            let (disk, way) = step.split_once(':').unwrap_or((step, ""));
            let (from, to) = way.split_once('-').unwrap_or((way, ""));
            format!("Move disk {disk} from Peg {from} to Peg {to}")
        };
        short.split(',').map(line).collect::<Vec<_>>().join("\n")
    }
}

/// The pegs as they stand, each with its disks from below.
fn drawn(disks: usize, pegs: usize, start: usize) -> String {
    let tower: Vec<String> = (1..=disks).rev().map(|disk| disk.to_string()).collect();
    let tower = format!(" {}", tower.join(" "));
    let line = |peg: usize| format!("\nPeg {peg}:{}", if peg == start { &tower } else { "" });
    (1..=pegs).map(line).collect::<Vec<_>>().concat()
}

/// Moves that carry `count` disks, `above` of them above smaller ones that stay elsewhere, by way of the spare pegs.
///
/// The upper part goes to a spare peg with the help of all, the lower part to its target with the help of all but that one, then the
/// upper part on top of it (Frame and Stewart). With one spare peg this is the classic solution.
fn carry(moves: &mut Vec<Move>, count: usize, above: usize, from: usize, to: usize, spare: &[usize]) {
    match (count, spare.split_first()) {
        (1, _) => moves.push((above + 1, from, to)),
        // No disk, or no spare peg: `best_split` asks for neither more.
        (0, _) | (_, None) => {}
        (_, Some((aside, rest))) => {
            let upper = best_split(count, spare.len() + 2);
            carry(moves, upper, above, from, *aside, &with(rest, to));
            carry(moves, count - upper, above + upper, from, to, rest);
            carry(moves, upper, above, *aside, to, &with(rest, from));
        }
    }
}

fn with(pegs: &[usize], more: usize) -> Vec<usize> {
    pegs.iter().copied().chain([more]).collect()
}

/// How many disks to set aside so that the fewest moves are made.
fn best_split(count: usize, pegs: usize) -> usize {
    let table = table(count, pegs);
    // With two pegs, only one disk can be carried.
    let most = if pegs == 3 { count - 1..=count - 1 } else { 1..=count - 1 };
    most.min_by_key(|upper| cost(&table, *upper, count, pegs)).unwrap_or(1)
}

fn cost(table: &[Vec<u64>], upper: usize, count: usize, pegs: usize) -> u64 {
    let lower = if pegs == 3 { 1 } else { table[pegs - 1][count - upper] };
    2 * table[pegs][upper] + lower
}

/// How many moves so many pegs take for so many disks.
fn table(count: usize, pegs: usize) -> Vec<Vec<u64>> {
    let mut table = vec![vec![0; count + 1]; pegs + 1];
    for k in 3..=pegs {
        for n in 1..=count {
            table[k][n] = if n == 1 {
                1
            } else if k == 3 {
                2 * table[3][n - 1] + 1
            } else {
                (1..n).map(|upper| cost(&table, upper, n, k)).min().unwrap_or(0)
            };
        }
    }
    table
}

/// A move as it is written: nine words, among which are these.
fn read(line: &str) -> Option<Move> {
    let words: Vec<&str> = python::words(line).take(10).collect();
    let [_, _, disk, _, _, from, _, _, to] = words[..] else { return None };
    // The words between the numbers must be right, with one blank between any two; before the first, anything may stand.
    let at = line.find("Move disk ")?;
    let rest = number_then(&line[at + "Move disk ".len()..], " from Peg ")?;
    let rest = number_then(rest, " to Peg ")?;
    rest.chars().next().and_then(python::digit)?;
    let number = |text: &str| usize::try_from(python::int(text).filter(|n| *n >= BigInt::ZERO)?).ok();
    Some((number(disk)?, number(from)?, number(to)?))
}

/// What follows digits and these words.
fn number_then<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let rest = text.trim_start_matches(|c| python::digit(c).is_some());
    if rest.len() == text.len() { None } else { rest.strip_prefix(words) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<TowerOfHanoi>(|task| task.answer.replace("disk 1", "disk 2"));
        trial::refuses::<TowerOfHanoi>(&[r#"{"min_disks":0}"#, r#"{"max_disks":15}"#, r#"{"min_pegs":2}"#]);
        let shown = crate::configured("tower_of_hanoi", r#"{"visualize":true}"#).unwrap().task(0, 0);
        assert!(shown.question.contains("\nPeg 3:"), "{}", shown.question);
    }

    #[test]
    fn towers_are_moved_in_as_few_moves_as_known() {
        for (disks, pegs, count) in [
            (3, 3, 7),
            (7, 3, 127),
            (4, 4, 9),
            (7, 4, 25),
            (10, 4, 49),
            (14, 3, 16_383),
            (1, 3, 1),
            (6, 10, 11),
        ] {
            let mut moves = Vec::new();
            let spare: Vec<usize> = (3..=pegs).collect();
            carry(&mut moves, disks, 0, 1, 2, &spare);
            assert_eq!(moves.len(), count, "{disks} disks, {pegs} pegs");
            let lines: Vec<String> =
                moves.iter().map(|(d, a, b)| format!("Move disk {d} from Peg {a} to Peg {b}")).collect();
            let data = json!({ "num_disks": disks, "num_pegs": pegs, "start_peg": 1, "target_peg": 2, "solution_length": count });
            trial::scores::<TowerOfHanoi>("", data, &[(&lines.join("\n"), 1.0)]);
        }
    }

    #[test]
    fn moves_count_if_they_are_allowed() {
        let data =
            json!({ "num_disks": 2, "num_pegs": 3, "start_peg": 1, "target_peg": 3, "solution_length": 3 });
        let line = |moves: &[Move]| {
            moves
                .iter()
                .map(|(d, a, b)| format!("Move disk {d} from Peg {a} to Peg {b}"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let right = line(&[(1, 1, 2), (2, 1, 3), (1, 2, 3)]);
        trial::scores::<TowerOfHanoi>(
            "",
            data.clone(),
            &[
                (&right, 1.0),
                (&right.replace('\n', "\r\n\n  "), 1.0),
                (&right.replace("Move", "7.Move"), 1.0),
                (&line(&[(1, 1, 3), (1, 3, 2), (2, 1, 3), (1, 2, 3)]), 0.75),
                (&line(&[(1, 1, 2)]), 0.05),
                (" ", 0.05),
                (&line(&[(2, 1, 3)]), 0.0),
                (&line(&[(1, 1, 3), (2, 1, 3)]), 0.0),
                (&line(&[(1, 1, 4)]), 0.0),
                (&line(&[(1, 1, 0)]), 0.0),
                (&right.replace("Move", "move"), 0.0),
                (&right.replace("disk 1", "disk  1"), 0.0),
                (&right.replace(" to", ", to"), 0.0),
                ("nonsense", 0.0),
                ("", 0.0),
            ],
        );
        for (key, value) in [
            ("num_pegs", json!(1u64 << 60)),
            ("start_peg", json!(0)),
            ("target_peg", json!("1")),
            ("num_disks", Value::Null),
        ] {
            let mut strange = data.clone();
            strange[key] = value;
            trial::scores::<TowerOfHanoi>("", strange, &[(&right, 0.0)]);
        }
    }
}
