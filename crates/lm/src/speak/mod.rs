//! Speaking: answers to prompts, many at a time, and the check that an answer is what the model would have said.
//!
//! A [`Speaker`] has a number of *seats*. A request takes one when its prompt has been read, is given one token a step, and leaves when
//! its answer ends; others join meanwhile. Nothing of that shows in the answers: each is, to the bit, what it would be alone, which is
//! why a [`Checker`] can say of any answer whether the model gave it, by reading it once instead of speaking it again.

mod cache;
mod checker;
mod request;
mod speaker;
mod stop;

pub use checker::{Checker, Finding};
pub use request::{Request, Rollout, Sampling};
pub use speaker::{Event, RequestId, Speaker};
pub use stop::{Ending, Stop, Until, Words};

pub(crate) use cache::Window;
pub(crate) use speaker::Sizes;
