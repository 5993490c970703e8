//! What a policy thinks of tokens that it need not have drawn.

use exact::{Builder, Limits, Session};

use crate::batch::Batch;
use crate::decoder::{Memory, decoder};
use crate::weights::Weights;
use crate::{Error, Model};

/// The log-probabilities that a model gives to the targets of a batch: one forward pass, and nothing moves.
///
/// Of a frozen copy they are the reference of a divergence; of the model itself, before it learns from rollouts of others, what its
/// ratios are measured from.
#[derive(Debug)]
pub struct Likelihoods {
    session: Session,
    rows: usize,
    tokens: usize,
}

impl Likelihoods {
    /// For passes of `rows` sequences of `tokens` tokens.
    pub fn new(model: &Model, rows: usize, tokens: usize, limits: Limits) -> Result<Likelihoods, Error> {
        let config = model.config();
        if tokens > config.context {
            return Err(Error::TooLong {
                what: "a batch with sequences",
                length: tokens,
                limit: config.context,
            });
        }
        let mut b = Builder::new();
        let ids = b.input::<u32>("ids", &[rows, tokens])?;
        let targets = b.input::<u32>("targets", &[rows * tokens])?;
        let weights = Weights::declare_in(&mut b, model.form())?;
        let x = decoder(&mut b, config, &weights, ids, &Memory::Fresh)?;
        let logits = weights.head(&mut b, config, x)?;
        let logp = b.token_logprob(logits, targets)?;
        b.output("logp", logp)?;
        let session = model.session().share(&b.finish()?, limits)?;
        Ok(Likelihoods { session, rows, tokens })
    }

    /// One for each target of a batch of any multiple of its rows; 0 where nothing counts.
    pub fn of(&mut self, batch: &Batch) -> Result<Vec<f32>, Error> {
        let one = self.rows * self.tokens;
        let n = batch.ids.len();
        if !n.is_multiple_of(one.max(1)) || batch.targets.len() != n || batch.weights.len() != n {
            let why = format!("are {n} tokens: {} rows of {} are one pass", self.rows, self.tokens);
            return Err(Error::Batch { field: "ids", why });
        }
        let mut all = vec![0.0; n];
        for from in (0..n).step_by(one.max(1)) {
            let here = from..from + one;
            let weights = &batch.weights[here.clone()];
            if weights.iter().all(|w| *w == 0.0) {
                continue;
            }
            self.session.write("ids", &batch.ids[here.clone()])?;
            self.session.write("targets", &batch.targets[here.clone()])?;
            self.session.run()?;
            self.session.read_into("logp", &mut all[here.clone()])?;
            for (logp, weight) in all[here].iter_mut().zip(weights) {
                if *weight == 0.0 {
                    *logp = 0.0;
                }
            }
        }
        Ok(all)
    }
}
