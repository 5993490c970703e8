//! `wren`'s own three tasks as environments: what it was made for, and so what a swarm shows first.

use gym::{Environment, Score};
use lm::wren::{Part, Task};

/// One of `wren`'s tasks. Its questions are those that lessons may show: the exam's are never drawn.
#[derive(Debug)]
struct Native(Task);

static REVERSE: Native = Native(Task::Reverse);
static ADD: Native = Native(Task::Add);
static EXPRESS: Native = Native(Task::Express);

/// The environment of this name: one of `wren`'s own, or of `gym`.
pub fn environment(name: &str) -> Option<&'static dyn Environment> {
    match native(name) {
        Some(Task::Reverse) => Some(&REVERSE),
        Some(Task::Add) => Some(&ADD),
        Some(Task::Express) => Some(&EXPRESS),
        None => gym::environment(name),
    }
}

/// `wren`'s task of this name.
pub(crate) fn native(name: &str) -> Option<Task> {
    Task::ALL.into_iter().find(|task| task.name() == name)
}

impl Environment for Native {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn levels(&self) -> u8 {
        1
    }

    fn task(&self, seed: u64, _: u8) -> gym::Task {
        task_of(self.0, Part::Lessons, seed, 0)
    }

    fn score(&self, task: &gym::Task, answer: &str) -> Score {
        Score::new(f64::from(u8::from(self.0.is_right(&task.compact, answer))))
    }
}

/// A question of a part of a task's questions.
pub(crate) fn task_of(task: Task, part: Part, seed: u64, number: u64) -> gym::Task {
    let compact = task.question(part, seed, number);
    let body = compact[2..compact.len() - 1].to_owned();
    let question = match task {
        Task::Reverse => format!("Write this word backwards, and nothing else: {body}"),
        Task::Add => {
            format!("What is {body}? Write the sum's digits from the last to the first, and nothing else.")
        }
        Task::Express => format!(
            "Write an expression of x that does this to x, one after the other: {body}. Use x, numbers, +, -, * and brackets only."
        ),
    };
    let answer = task.answer(&compact).unwrap_or_default();
    gym::Task { seed, level: 0, question, compact, answer, data: serde_json::Value::Null }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_environments_like_others() {
        for task in Task::ALL {
            let environment = environment(task.name()).unwrap();
            assert_eq!((environment.name(), environment.levels()), (task.name(), 1));
            for seed in 0..100 {
                let asked = environment.task(seed, 0);
                assert_eq!(environment.task(seed, 9), asked, "a level beyond the last is the last");
                assert!(environment.score(&asked, &asked.answer).is_full());
                assert_eq!(environment.score(&asked, "no"), Score::ZERO);
                assert_eq!(asked.compact, task.question(Part::Lessons, seed, 0));
            }
        }
        assert!(environment("no such thing").is_none());
    }
}
