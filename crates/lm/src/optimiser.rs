//! From gradients to new parameters, inside the program.

use exact::{AdamState, AdamW, BinaryFn, Builder, UnaryFn, Var};

use crate::Error;
use crate::config::Parameter;

/// How parameters move.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimiser {
    /// Decay of the running mean of gradients.
    pub beta1: f32,
    /// Decay of the running mean of their squares.
    pub beta2: f32,
    /// Added to the root before dividing.
    pub eps: f32,
    /// Decoupled weight decay, on matrices only.
    pub decay: f32,
    /// The joint norm that gradients are scaled down to.
    pub clip: f32,
    /// Whether hidden matrices move by Muon instead: along the nearest orthogonal matrix to their momentum.
    pub muon: bool,
    /// Parameters that move otherwise. The first group that a parameter is in decides.
    pub groups: Vec<Group>,
}

/// Parameters that move otherwise than the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What is part of their names, such as `embed_tokens` or `layers.0.`.
    pub part: String,
    /// What the learning rate is multiplied by; at 0 they stay as they are, and no gradient is worked out for them.
    pub rate: f32,
    /// Their weight decay, vectors included.
    pub decay: f32,
}

impl Default for Optimiser {
    fn default() -> Optimiser {
        Optimiser {
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            decay: 0.0,
            clip: 1.0,
            muon: false,
            groups: Vec::new(),
        }
    }
}

/// Decay of Muon's momentum.
const MOMENTUM: f32 = 0.95;
/// The quintic of Muon's Newton–Schulz iteration: it drives all singular values towards 1, fast rather than exactly.
const QUINTIC: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// How often it is applied.
const ITERATIONS: usize = 5;

impl Optimiser {
    /// Whether a parameter moves at all.
    pub(crate) fn moves(&self, parameter: &Parameter) -> bool {
        self.how(parameter).0 != 0.0
    }

    /// What a parameter's learning rate is multiplied by, and its weight decay.
    fn how(&self, parameter: &Parameter) -> (f32, f32) {
        match self.groups.iter().find(|group| parameter.name.contains(&group.part)) {
            Some(group) => (group.rate, group.decay),
            None => (1.0, if parameter.dims.len() > 1 { self.decay } else { 0.0 }),
        }
    }

    /// Adds one step for every parameter and gives what they become: inputs `lr` and, with Muon, `muon_lr`; states for the moments;
    /// an output `norm`.
    pub(crate) fn step(
        &self,
        b: &mut Builder,
        parameters: &[(Parameter, Var<f32>)],
        gradients: &[Var<f32>],
    ) -> Result<Vec<Var<f32>>, Error> {
        let lr = b.input::<f32>("lr", &[])?;
        let (gscale, norm) = b.clip_scale(gradients, self.clip)?;
        b.output("norm", norm)?;
        let (c1, c2) = (correction(b, "beta1^t", self.beta1)?, correction(b, "beta2^t", self.beta2)?);
        let muon_lr = if self.muon { Some(b.input::<f32>("muon_lr", &[])?) } else { None };
        let mut all = Vec::with_capacity(parameters.len());
        for ((parameter, value), g) in parameters.iter().zip(gradients) {
            let name = &parameter.name;
            let (rate, decay) = self.how(parameter);
            let scaled = |b: &mut Builder, lr| if rate == 1.0 { Ok(lr) } else { b.scale(lr, rate) };
            let moved = if let (Some(lr), true) = (muon_lr, parameter.hidden) {
                let momentum = b.state::<f32>(&format!("{name}.momentum"), &parameter.dims)?;
                let g = b.mul(*g, gscale)?;
                let (next, update) = muon(b, momentum, g)?;
                b.assign(momentum, next)?;
                let lr = scaled(b, lr)?;
                let mut from = *value;
                if decay != 0.0 {
                    let share = b.scale(lr, decay)?;
                    let less = b.mul(from, share)?;
                    from = b.sub(from, less)?;
                }
                let largest = parameter.dims.iter().copied().max().unwrap_or(1);
                let lr = b.scale(lr, 0.2 * (largest as f32).sqrt())?;
                let step = b.mul(update, lr)?;
                b.sub(from, step)?
            } else {
                let m = b.state::<f32>(&format!("{name}.m"), &parameter.dims)?;
                let v = b.state::<f32>(&format!("{name}.v"), &parameter.dims)?;
                let lr = scaled(b, lr)?;
                let with = AdamW { lr, gscale, c1, c2, b1: self.beta1, b2: self.beta2, eps: self.eps, decay };
                let (moved, next) = b.adamw(*value, *g, AdamState { m, v }, &with)?;
                b.assign(m, next.m)?;
                b.assign(v, next.v)?;
                moved
            };
            b.assign(*value, moved)?;
            all.push(moved);
        }
        Ok(all)
    }
}

/// `1 / (1 - beta^t)`. A state keeps `1 - beta^t`, which is 0 before the first step: `1 - beta r` follows `r` without a power function.
fn correction(b: &mut Builder, name: &str, beta: f32) -> Result<Var<f32>, Error> {
    let rest = b.state::<f32>(&format!("1 - {name}"), &[])?;
    // 1 - beta^(t+1) = beta (1 - beta^t) + (1 - beta)
    let (beta, fresh) = (b.scalar(beta)?, b.scalar(1.0 - beta)?);
    let next = b.fma(beta, rest, fresh)?;
    b.assign(rest, next)?;
    Ok(b.unary(UnaryFn::Recip, next)?)
}

/// Muon: the new momentum, and the direction to move in.
fn muon(b: &mut Builder, momentum: Var<f32>, g: Var<f32>) -> Result<(Var<f32>, Var<f32>), Error> {
    let decay = b.scalar(MOMENTUM)?;
    let next = b.fma(decay, momentum, g)?;
    let ahead = b.fma(decay, next, g)?;

    let size = ahead.shape().elements();
    let flat = b.reshape(ahead, &[size])?;
    let square = b.dot(flat, flat, 0)?;
    let norm = b.unary(UnaryFn::Sqrt, square)?;
    let tiny = b.scalar(1e-7)?;
    let norm = b.binary(BinaryFn::Add, norm, tiny)?;
    let mut x = b.div(ahead, norm)?;

    // x <- a x + (b A + c A A) x with A = x x'; on the shorter side, whichever that is.
    let tall = x.dim(0) > x.dim(1);
    let [one, two, three] = [b.scalar(QUINTIC[0])?, b.scalar(QUINTIC[1])?, b.scalar(QUINTIC[2])?];
    for _ in 0..ITERATIONS {
        let a = b.matmul_t(x, tall, x, !tall)?;
        let aa = b.matmul(a, a)?;
        let aa = b.mul(aa, three)?;
        let p = b.fma(a, two, aa)?;
        let px = if tall { b.matmul(x, p)? } else { b.matmul(p, x)? };
        x = b.fma(x, one, px)?;
    }
    Ok((next, x))
}
