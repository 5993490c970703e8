//! Low-rank adapters: instead of a large matrix, two thin ones learn what to add to it.

use exact::{Builder, Limits, Session, Var};

use crate::config::{Config, Parameter, Start};
use crate::model::drawn;
use crate::weights::Weights;
use crate::{Error, Model};

/// Which matrices are adapted, and by how much.
///
/// An adapted matrix is `W = base + (alpha / rank) A B` with `A[in, rank]` and `B[rank, out]`. Only `A` and `B` learn; `base` stays, to the
/// bit. The learner keeps base and factors; the model has the sum, anew after every step, so whoever asks, checks or saves it
/// needs to know nothing of adapters.
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// How many columns the thin matrices have.
    pub rank: usize,
    /// How much the product counts, together with the rank.
    pub alpha: f32,
    /// What is part of the names of the matrices it adapts, such as `q_proj`.
    pub on: Vec<String>,
    /// What the first `A`s are drawn from. The `B`s begin as zeros, so that nothing changes before the first step.
    pub seed: u64,
}

impl Lora {
    /// Adapters of this rank on every matrix of attention and feed-forward part.
    pub fn of_rank(rank: usize) -> Lora {
        Lora { rank, alpha: 2.0 * rank as f32, on: vec!["_proj.weight".to_owned()], seed: 0 }
    }

    /// The parameters it adapts, with their numbers in the order of all parameters.
    fn adapted(&self, config: &Config) -> Result<Vec<(usize, Parameter)>, Error> {
        let wrong = |field: &'static str, why: String| Err(Error::Config { field, why });
        if self.rank == 0 {
            return wrong("rank", "must be at least 1".to_owned());
        }
        if !self.alpha.is_finite() {
            return wrong("alpha", "must be a number".to_owned());
        }
        for part in &self.on {
            if !config.parameters().iter().any(|p| p.dims.len() == 2 && p.name.contains(part)) {
                return wrong("on", format!("names {part:?}, which is part of no matrix's name"));
            }
        }
        let here = |p: &Parameter| p.dims.len() == 2 && self.on.iter().any(|part| p.name.contains(part));
        let all: Vec<_> = config.parameters().into_iter().enumerate().filter(|(_, p)| here(p)).collect();
        if all.is_empty() {
            return wrong("on", "must name at least one matrix".to_owned());
        }
        let narrowest = all.iter().flat_map(|(_, p)| &p.dims).min().copied().unwrap_or(0);
        if self.rank > narrowest {
            return wrong(
                "rank",
                format!("must be at most {narrowest}, the narrowest side of what it adapts"),
            );
        }
        Ok(all)
    }

    /// Declares base and factors, and puts what they come to in the place of the adapted matrices.
    pub(crate) fn declare(
        &self,
        b: &mut Builder,
        config: &Config,
        weights: &mut Weights,
    ) -> Result<Adapters, Error> {
        let mut all = Vec::new();
        for (at, parameter) in self.adapted(config)? {
            let base = b.state::<f32>(&base(&parameter), &parameter.dims)?;
            let factors = factors(&parameter, self.rank);
            let [a, z] = [
                b.state::<f32>(&factors[0].name, &factors[0].dims)?,
                b.state(&factors[1].name, &factors[1].dims)?,
            ];
            let merged = weights.all[at].1;
            let value = sum(b, self, base, [a, z])?;
            weights.replace(&parameter.name, value);
            all.push(Adapter { merged, base, factors: factors.into_iter().zip([a, z]).collect() });
        }
        Ok(Adapters { lora: self.clone(), all })
    }

    /// Sets what the learner keeps to where the model stands: base is the model's matrix, `A` is drawn, `B` is zero.
    pub(crate) fn begin(&self, model: &Model, session: &Session, limits: Limits) -> Result<(), Error> {
        let mut b = Builder::new();
        let seed = b.input::<u32>("seed", &[2])?;
        for (at, parameter) in self.adapted(model.config())? {
            let weight = b.state::<f32>(&parameter.name, &parameter.dims)?;
            let kept = b.state::<f32>(&base(&parameter), &parameter.dims)?;
            let copy = b.copy(weight)?;
            b.assign(kept, copy)?;
            let [a, _] = factors(&parameter, self.rank);
            let value = b.state::<f32>(&a.name, &a.dims)?;
            let first = drawn(&mut b, seed, at as u32, &a)?;
            b.assign(value, first)?;
        }
        let mut first = session.share(&b.finish()?, limits)?;
        first.write("seed", &[self.seed as u32, (self.seed >> 32) as u32])?;
        Ok(first.run()?)
    }
}

/// What learns in the place of a model's matrices.
pub(crate) struct Adapters {
    lora: Lora,
    all: Vec<Adapter>,
}

struct Adapter {
    /// The model's own matrix.
    merged: Var<f32>,
    base: Var<f32>,
    /// `A` and `B`.
    factors: Vec<(Parameter, Var<f32>)>,
}

impl Adapters {
    /// What moves.
    pub(crate) fn factors(&self) -> Vec<(Parameter, Var<f32>)> {
        self.all.iter().flat_map(|adapter| adapter.factors.clone()).collect()
    }

    /// Gives the model what base and the moved factors come to.
    pub(crate) fn merge(&self, b: &mut Builder, moved: &[Var<f32>]) -> Result<(), Error> {
        for (adapter, factors) in self.all.iter().zip(moved.chunks_exact(2)) {
            let value = sum(b, &self.lora, adapter.base, [factors[0], factors[1]])?;
            b.assign(adapter.merged, value)?;
        }
        Ok(())
    }
}

fn base(parameter: &Parameter) -> String {
    format!("{}.base", parameter.name)
}

/// The thin matrices of an adapted one, under the names that PEFT gives them.
fn factors(parameter: &Parameter, rank: usize) -> [Parameter; 2] {
    let stem = parameter.name.trim_end_matches(".weight");
    let (rows, columns) = (parameter.dims[0], parameter.dims[1]);
    // A vector times A keeps about its length per number.
    let deviation = 1.0 / (rows as f32).sqrt();
    let factor = |which: &str, dims: [usize; 2], start| Parameter {
        name: format!("{stem}.lora_{which}.weight"),
        dims: dims.to_vec(),
        start,
        hidden: false,
    };
    [factor("A", [rows, rank], Start::Normal(deviation)), factor("B", [rank, columns], Start::Constant(0.0))]
}

/// `base + (alpha / rank) A B`.
fn sum(b: &mut Builder, lora: &Lora, base: Var<f32>, [a, z]: [Var<f32>; 2]) -> Result<Var<f32>, Error> {
    let product = b.matmul(a, z)?;
    let scale = b.scalar(lora.alpha / lora.rank as f32)?;
    Ok(b.fma(product, scale, base)?)
}
