//! What a step of learning is given: sequences side by side, and how much each of their tokens counts.

use crate::Error;
use crate::Rollout;

/// One batch to learn from: `rows` sequences of `tokens` tokens each, padded on the right.
///
/// For each token there is the one that follows it, and how much that one counts (0 for prompts and padding). To improve rather
/// than imitate there are also its advantage and the log-probability it was drawn with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Tokens, `[rows * tokens]`.
    pub ids: Vec<u32>,
    /// The token after each.
    pub targets: Vec<u32>,
    /// How much each target counts in the loss; together 1.
    pub weights: Vec<f32>,
    /// How good each target turned out to be.
    pub advantages: Vec<f32>,
    /// The log-probability each target was drawn with.
    pub logps: Vec<f32>,
}

impl Batch {
    /// A batch of `rows` empty sequences of `tokens` tokens.
    fn empty(rows: usize, tokens: usize) -> Batch {
        let n = rows * tokens;
        let zeros = || vec![0.0; n];
        Batch { ids: vec![0; n], targets: vec![0; n], weights: zeros(), advantages: zeros(), logps: zeros() }
    }

    /// Lays a prompt and its answer into a row; gives the place whose target is the answer's first token.
    fn lay(&mut self, row: usize, tokens: usize, prompt: &[u32], answer: &[u32]) -> Result<usize, Error> {
        let length = prompt.len() + answer.len();
        if prompt.is_empty() || answer.is_empty() {
            return Err(Error::Empty { what: "a prompt or an answer to learn from" });
        }
        if length > tokens + 1 {
            return Err(Error::TooLong { what: "a prompt and answer", length, limit: tokens + 1 });
        }
        let from = row * tokens;
        let text: Vec<u32> = prompt.iter().chain(answer).copied().collect();
        self.ids[from..from + length - 1].copy_from_slice(&text[..length - 1]);
        self.targets[from..from + length - 1].copy_from_slice(&text[1..]);
        Ok(from + prompt.len() - 1)
    }

    /// Every token of every answer counts alike.
    pub fn imitate(examples: &[(Vec<u32>, Vec<u32>)], rows: usize, tokens: usize) -> Result<Batch, Error> {
        fits(examples.len(), rows)?;
        let mut batch = Batch::empty(rows, tokens);
        let count: usize = examples.iter().map(|(_, answer)| answer.len()).sum();
        for (row, (prompt, answer)) in examples.iter().enumerate() {
            let from = batch.lay(row, tokens, prompt, answer)?;
            batch.weights[from..from + answer.len()].fill(1.0 / count as f32);
        }
        Ok(batch)
    }

    /// Every token of every answer counts alike, for as much as its answer's advantage.
    pub fn improve(rollouts: &[(&Rollout, f32)], rows: usize, tokens: usize) -> Result<Batch, Error> {
        fits(rollouts.len(), rows)?;
        let mut batch = Batch::empty(rows, tokens);
        let count: usize = rollouts.iter().map(|(r, _)| r.answer.len()).sum();
        for (row, (rollout, advantage)) in rollouts.iter().enumerate() {
            let n = rollout.answer.len();
            if rollout.logps.len() != n {
                return Err(Error::Empty { what: "a log-probability of a rollout" });
            }
            let from = batch.lay(row, tokens, &rollout.prompt, &rollout.answer)?;
            batch.weights[from..from + n].fill(1.0 / count as f32);
            batch.advantages[from..from + n].fill(*advantage);
            batch.logps[from..from + n].copy_from_slice(&rollout.logps);
        }
        Ok(batch)
    }
}

fn fits(length: usize, rows: usize) -> Result<(), Error> {
    if length > rows {
        return Err(Error::TooLong { what: "a batch", length, limit: rows });
    }
    Ok(())
}

/// How far each reward of a group lies above its mean, in standard deviations; `None` if all are equal, for then there
/// is nothing to learn from them.
pub fn advantages(rewards: &[f32]) -> Option<Vec<f32>> {
    let n = rewards.len() as f32;
    let mean = rewards.iter().sum::<f32>() / n;
    let variance = rewards.iter().map(|r| (r - mean) * (r - mean)).sum::<f32>() / n;
    let deviation = variance.sqrt();
    (deviation > 0.0).then(|| rewards.iter().map(|r| (r - mean) / deviation).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_count() {
        let batch = Batch::imitate(&[(vec![5, 6], vec![7, 1])], 2, 4).unwrap();
        assert_eq!(batch.ids, [5, 6, 7, 0, 0, 0, 0, 0]);
        assert_eq!(batch.targets, [6, 7, 1, 0, 0, 0, 0, 0]);
        assert_eq!(batch.weights, [0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn equal_rewards_teach_nothing() {
        assert_eq!(advantages(&[1.0, 1.0, 1.0]), None);
        assert_eq!(advantages(&[0.0, 1.0]), Some(vec![-1.0, 1.0]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(matches!(Batch::imitate(&[(vec![1; 4], vec![1; 2])], 1, 4), Err(Error::TooLong { .. })));
        assert!(matches!(Batch::imitate(&[(vec![], vec![1])], 1, 4), Err(Error::Empty { .. })));
        assert!(Batch::imitate(&[], 0, 4).is_ok());
    }
}
