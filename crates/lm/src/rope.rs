//! Rotary positions: how far each pair of a head's numbers is turned, and how models that were stretched to longer texts turn it.

use exact::{Builder, CompareFn, RopeTables, UnaryFn, Var};

use crate::Error;
use crate::config::Config;

/// How a model's frequencies were changed so that it reads longer texts than it was first taught on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    #[default]
    None,
    /// All of them divided by a factor.
    Linear {
        /// The factor.
        factor: f32,
    },
    /// The slow ones divided by a factor and the fast ones left, with a slope between (Llama 3.1).
    Llama3 {
        /// The factor.
        factor: f32,
        /// Frequencies with fewer turns than this over the original context are divided.
        low: f32,
        /// Those with more than this are left as they are.
        high: f32,
        /// The context that the model was first taught on.
        original: usize,
    },
}

impl RopeScaling {
    pub(crate) fn check(self) -> Result<(), Error> {
        let wrong = |why: &str| Err(Error::Config { field: "rope_scaling", why: why.to_owned() });
        let (factor, slope, original) = match self {
            RopeScaling::None => return Ok(()),
            RopeScaling::Linear { factor } => (factor, 1.0, 1),
            RopeScaling::Llama3 { factor, low, high, original } => (factor, (high - low).min(low), original),
        };
        if !(factor.is_finite() && (1.0..=1e6).contains(&factor)) {
            return wrong("must have a factor between 1 and a million");
        }
        if !(slope.is_finite() && slope > 0.0) {
            return wrong("must have a low_freq_factor above 0 and a high_freq_factor above that");
        }
        if original == 0 || original > 1 << 24 {
            return wrong("must have an original_max_position_embeddings that is a model's context");
        }
        Ok(())
    }
}

/// Sines and cosines for the tokens at these positions.
pub(crate) fn tables(b: &mut Builder, positions: Var<u32>, config: &Config) -> Result<RopeTables, Error> {
    let (dim, theta) = (config.head_dim, config.rope_theta);
    if config.rope_scaling == RopeScaling::None {
        return Ok(b.rope_tables(positions, dim, theta)?);
    }
    // The frequencies as `Builder::rope_tables` has them, and then what was done to them.
    let i = b.iota(&[dim / 2], 0)?;
    let i = b.to_float(i)?;
    let two = b.scale(i, 2.0)?;
    let dim = b.scalar(dim as f32)?;
    let share = b.div(two, dim)?;
    let theta = b.scalar(theta)?;
    let log = b.unary(UnaryFn::Log, theta)?;
    let power = b.mul(share, log)?;
    let power = b.unary(UnaryFn::Neg, power)?;
    let frequency = b.unary(UnaryFn::Exp, power)?;
    let frequency = scaled(b, frequency, config.rope_scaling)?;

    let at = b.to_float(positions)?;
    let column: Vec<usize> = positions.shape().iter().chain([1]).collect();
    let at = b.reshape(at, &column)?;
    let angle = b.mul(at, frequency)?;
    Ok(RopeTables { cos: b.unary(UnaryFn::Cos, angle)?, sin: b.unary(UnaryFn::Sin, angle)? })
}

/// What became of the frequencies.
fn scaled(b: &mut Builder, frequency: Var<f32>, scaling: RopeScaling) -> Result<Var<f32>, Error> {
    let divided = |b: &mut Builder, factor: f32| -> Result<Var<f32>, Error> {
        let factor = b.scalar(factor)?;
        Ok(b.div(frequency, factor)?)
    };
    match scaling {
        RopeScaling::None => Ok(frequency),
        RopeScaling::Linear { factor } => divided(b, factor),
        RopeScaling::Llama3 { factor, low, high, original } => {
            let slow = divided(b, factor)?;
            // Turns over the original context, and where they lie between low and high, from 0 to 1.
            let turns = b.scale(frequency, original as f32 / std::f32::consts::TAU)?;
            let (least, zero, one) = (b.scalar(low)?, b.scalar(0.0)?, b.scalar(1.0)?);
            let above = b.sub(turns, least)?;
            let place = b.scale(above, 1.0 / (high - low))?;
            // slow + place (frequency - slow)
            let apart = b.sub(frequency, slow)?;
            let between = b.fma(place, apart, slow)?;
            let is_slow = b.compare(CompareFn::Lt, place, zero)?;
            let is_fast = b.compare(CompareFn::Lt, one, place)?;
            let either = b.select(is_slow, slow, between)?;
            Ok(b.select(is_fast, frequency, either)?)
        }
    }
}
