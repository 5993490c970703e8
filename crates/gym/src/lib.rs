//! Environments: places to learn, which make tasks from a seed and score answers.
//!
//! ```
//! let env = gym::environment("chain_sum").unwrap();
//! let task = env.task(7, 0);
//! assert_eq!(task, env.task(7, 0));
//!
//! assert!(env.score(&task, &task.answer).is_full());
//! assert_eq!(env.score(&task, "no idea").value(), 0.0);
//!
//! // A model that writes a character at a time is asked, and answers, in few characters.
//! let short = env.shorten(&task.answer);
//! assert!(env.score(&task, &env.expand(&short)).is_full());
//! ```
//!
//! Both are pure: a task follows from (environment, seed, level), a score from (task, answer), on every machine alike. So a swarm sends a
//! seed and not a task, and whoever hears of an answer scores it anew and believes no one. An answer is a stranger's text: whatever it is, a scorer
//! comes to an end soon, evaluates nothing and does not panic.
//!
//! The families are those of the public package Reasoning Gym (0.1.25 on `PyPI`): the same names, parameters, defaults, answers and scores,
//! so that whoever knows it is at home, and `cargo xtask conformance gym` holds ours to it. `docs/environments.md` has the table, and
//! where we differ on purpose.
//!
//! Around them:
//!
//! | | |
//! |---|---|
//! | [`Mixture`] | several environments, each as often as its weight says |
//! | [`held_out`], [`Part`] | lessons and examinations that share no question |
//! | [`Ladder`] | difficulty that follows the learner |
//! | [`configured`], [`parameters`] | a family with parameters of one's own, and those of its levels |

pub mod algebra;
pub mod algorithmic;
pub mod arithmetic;
pub mod cognition;
mod dice;
mod environment;
mod exp;
mod expression;
mod family;
pub mod games;
pub mod graphs;
mod ladder;
mod mixture;
mod python;
pub mod reference;
mod registry;
mod short;
mod split;
mod words;

pub use dice::Dice;
pub use environment::{Environment, MAX_ANSWER_BYTES, Score, Task};
pub use family::{Family, Problem, Unfit};
pub use ladder::Ladder;
pub use mixture::{Drawn, Mixture};
pub use registry::{configured, environment, names, parameters};
pub use split::{Part, held_out};
