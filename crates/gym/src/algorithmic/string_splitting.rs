//! `string_splitting`: machines to be taken apart and parts to be put together, as long as it goes on.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span, within};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Machines A, B and C, and the parts X, Y and Z.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StringSplitting {
    /// The fewest machines of a kind.
    pub min_initial_machines: u32,
    /// The most machines of a kind.
    pub max_initial_machines: u32,
    /// After so many steps it ends.
    pub max_iterations: u32,
}

impl Default for StringSplitting {
    fn default() -> StringSplitting {
        StringSplitting { min_initial_machines: 0, max_initial_machines: 5, max_iterations: 1000 }
    }
}

/// The most machines of a kind, so that what happens to them still fits into a task.
const MAX_MACHINES: u32 = 500;

impl Family for StringSplitting {
    const NAME: &'static str = "string_splitting";

    fn levels() -> Vec<StringSplitting> {
        [2, 3, 5]
            .map(|max_initial_machines| StringSplitting {
                max_initial_machines,
                ..StringSplitting::default()
            })
            .into()
    }

    fn check(&self) -> Result<(), Unfit> {
        let (least, most) = (self.min_initial_machines, self.max_initial_machines);
        span(("min_initial_machines", least), ("max_initial_machines", most), 0..=MAX_MACHINES)?;
        within("max_iterations", self.max_iterations, 1..=10_000)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let machines =
            [(); 3].map(|()| dice.size(self.min_initial_machines, self.max_initial_machines) as u32);
        let [a, b, c] = machines;
        let mut states = vec![[a, b, c, 0, 0, 0]];
        let mut now = states[0];
        for _ in 0..self.max_iterations {
            let Some(next) = step(now) else { break };
            now = next;
            states.push(now);
        }
        let limit = match self.max_iterations {
            1000 => String::new(),
            other => format!(":{other}"),
        };
        Problem {
            question: format!(
                "There are {a} machines A, {b} machines B and {c} machines C. In each step the first of these rules that can be \
                 applied is applied once:\n1. An A is taken apart into two parts X and a part Y.\n2. Two Bs are taken apart into an \
                 X.\n3. Two Cs are taken apart into a Y.\n4. A B and a C are put together into an A.\n5. An X and a Y are put together \
                 into a Z.\nIt ends when no rule can be applied, or after {} steps. How many A, B, C, X, Y and Z are there then? \
                 Answer with six numbers in this order, with blanks between them, as in 1 0 1 5 4 3.",
                self.max_iterations
            ),
            compact: format!("ss:{a},{b},{c}{limit}="),
            answer: now.map(|n| n.to_string()).join(" "),
            data: json!({ "states": states, "solution": now, "initial_machines": machines }),
        }
    }

    fn shorten(answer: &str) -> String {
        answer.replace(' ', ",")
    }

    fn expand(short: &str) -> String {
        short.replace(',', " ")
    }
}

/// What the first rule that can be applied makes of the counts of A, B, C, X, Y and Z.
fn step([a, b, c, x, y, z]: [u32; 6]) -> Option<[u32; 6]> {
    if a >= 1 {
        Some([a - 1, b, c, x + 2, y + 1, z])
    } else if b >= 2 {
        Some([a, b - 2, c, x + 1, y, z])
    } else if c >= 2 {
        Some([a, b, c - 2, x, y + 1, z])
    } else if b >= 1 && c >= 1 {
        Some([a + 1, b - 1, c - 1, x, y, z])
    } else if x >= 1 && y >= 1 {
        Some([a, b, c, x - 1, y - 1, z + 1])
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::family::{Levels, trial};

    #[test]
    fn tasks_hold() {
        trial::hold::<StringSplitting>(|task| task.answer.replace(' ', "  "));
        trial::refuses::<StringSplitting>(&[r#"{"max_initial_machines":501}"#, r#"{"max_iterations":0}"#]);
        let exact = r#"{"min_initial_machines":3,"max_initial_machines":3}"#;
        assert_eq!(Levels::<StringSplitting>::of(exact).unwrap().task(0, 0).answer, "0 0 0 4 0 5");
        let short = r#"{"min_initial_machines":3,"max_initial_machines":3,"max_iterations":2}"#;
        let task = Levels::<StringSplitting>::of(short).unwrap().task(0, 0);
        assert_eq!((task.answer.as_str(), task.compact.as_str()), ("1 3 3 4 2 0", "ss:3,3,3:2="));
    }
}
