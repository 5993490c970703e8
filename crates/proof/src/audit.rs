//! Audits: doing the work again, and saying where the first wrong bit is.

use std::fmt;

use crate::Error;
use crate::file::ClaimFile;
use crate::hash::Digest;
use crate::run::{Runner, Stop};
use crate::tensor::Tensor;

/// What came of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that was looked at is as claimed.
    Holds,
    /// A state is not what the step makes of it.
    Wrong {
        /// The step, the first being 0.
        step: u64,
        /// The state's name.
        state: String,
        /// The element, what it is and what it is claimed to be; where the claim shows that.
        element: Option<(u64, u32, u32)>,
    },
    /// The step has no result at all.
    Impossible {
        /// The step.
        step: u64,
        /// The value of its program that has none.
        value: u32,
        /// The element.
        element: u64,
    },
    /// What is shown of the states in the end is not what they are committed to as.
    Unlike {
        /// The state's name.
        state: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Holds => f.write_str("it holds, to the last bit"),
            Verdict::Wrong { step, state, element: None } => {
                write!(f, "it is wrong: after step {step}, the state {state:?} is another one")
            }
            Verdict::Wrong { step, state, element: Some((i, right, said)) } => {
                let bit = (right ^ said).trailing_zeros();
                write!(
                    f,
                    "it is wrong: after step {step}, element {i} of {state:?} is {right:#010x} and not {said:#010x} (bit {bit})"
                )
            }
            Verdict::Impossible { step, value, element } => {
                write!(
                    f,
                    "it is wrong: step {step} has no result, since element {element} of value {value} has none"
                )
            }
            Verdict::Unlike { state } => {
                write!(f, "it is wrong: the state {state:?} in the end is not what it is committed to as")
            }
        }
    }
}

impl ClaimFile {
    /// Makes the run again, up to the first step that is wrong; `watch` is told of each that is not.
    pub fn verify(&self, runner: &mut impl Runner, mut watch: impl FnMut(u64)) -> Result<Verdict, Error> {
        let mut states = self.work.start().to_vec();
        for t in 0..self.work.steps().len() as u64 {
            match self.make(runner, t, &states)? {
                Ok(after) => states = after,
                Err(verdict) => return Ok(verdict),
            }
            if let Some(wrong) = self.compare(t, &states) {
                return Ok(wrong);
            }
            watch(t);
        }
        Ok(self.shown())
    }

    /// Makes one step again, from states that are known to be those before it.
    pub fn verify_step(&self, runner: &mut impl Runner, t: u64, before: &[Tensor]) -> Result<Verdict, Error> {
        let steps = self.work.steps().len() as u64;
        let claimed: Vec<Digest> = match t.checked_sub(1) {
            None => self.work.start().iter().map(Tensor::commitment).collect(),
            Some(last) => self.states.get(last as usize).cloned().ok_or(Error::Step { step: t, steps })?,
        };
        if before.iter().map(Tensor::commitment).collect::<Vec<_>>() != claimed {
            return Err(Error::Malformed { what: "state before the step" });
        }
        Ok(match self.make(runner, t, before)? {
            Ok(after) => self.compare(t, &after).unwrap_or(Verdict::Holds),
            Err(verdict) => verdict,
        })
    }

    fn make(
        &self,
        runner: &mut impl Runner,
        t: u64,
        states: &[Tensor],
    ) -> Result<Result<Vec<Tensor>, Verdict>, Error> {
        let (graph, given) = (self.work.graph(t)?, self.work.given(t)?);
        match runner.step(graph, t, &given.inputs, states, None) {
            Ok(after) => Ok(Ok(after)),
            Err(Stop::Fault { value, element }) => Ok(Err(Verdict::Impossible { step: t, value, element })),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    fn compare(&self, t: u64, states: &[Tensor]) -> Option<Verdict> {
        let claimed = &self.states[t as usize];
        let wrong = states.iter().zip(claimed).position(|(state, claimed)| state.commitment() != *claimed)?;
        let (right, said) = (&states[wrong].words, &self.last[wrong].words);
        let at = right.iter().zip(said).position(|(a, b)| a != b);
        let shown = t + 1 == self.work.steps().len() as u64;
        let element = at.filter(|_| shown).map(|i| (i as u64, right[i], said[i]));
        Some(Verdict::Wrong { step: t, state: self.work.slots()[wrong].0.clone(), element })
    }

    /// Whether the states that are shown are those that are committed to.
    fn shown(&self) -> Verdict {
        let Some(claimed) = self.states.last() else { return Verdict::Holds };
        let unlike =
            self.last.iter().zip(claimed).position(|(state, claimed)| state.commitment() != *claimed);
        match unlike {
            Some(i) => Verdict::Unlike { state: self.work.slots()[i].0.clone() },
            None => Verdict::Holds,
        }
    }
}

/// Does the work and claims what comes of it.
pub fn make(
    work: crate::Work,
    runner: &mut impl Runner,
    mut watch: impl FnMut(u64),
) -> Result<ClaimFile, Error> {
    let (mut last, mut states) = (work.start().to_vec(), Vec::new());
    for t in 0..work.steps().len() as u64 {
        let (graph, given) = (work.graph(t)?, work.given(t)?);
        last = match runner.step(graph, t, &given.inputs, &last, None) {
            Ok(after) => after,
            Err(Stop::Fault { value, element }) => return Err(Error::NoResult { step: t, value, element }),
            Err(Stop::Error(error)) => return Err(error),
        };
        states.push(last.iter().map(Tensor::commitment).collect());
        watch(t);
    }
    Ok(ClaimFile { work, states, last })
}
