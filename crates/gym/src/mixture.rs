//! Several environments at once, each as often as its weight says.

use crate::dice::Dice;
use crate::environment::Environment;
use crate::family::Unfit;
use crate::registry::environment;
use std::sync::Arc;

/// The most environments of a mixture.
const MAX_PARTS: usize = 1024;

/// Environments with weights.
#[derive(Clone, Debug)]
pub struct Mixture {
    parts: Vec<Arc<dyn Environment>>,
    weights: Vec<f64>,
}

/// What a mixture drew: where the task is from, and its seed.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Its place in the mixture.
    pub place: usize,
    /// The environment.
    pub environment: Arc<dyn Environment>,
    /// The seed for [`Environment::task`].
    pub seed: u64,
}

impl Mixture {
    /// A mixture of these environments; their weights are finite and not negative, and not all zero.
    pub fn new(parts: Vec<(Arc<dyn Environment>, f64)>) -> Result<Mixture, Unfit> {
        let (parts, weights): (Vec<_>, Vec<f64>) = parts.into_iter().unzip();
        let heavy = weights.iter().all(|w| (0.0..=1e9).contains(w)) && weights.iter().any(|w| *w > 0.0);
        if !heavy || parts.len() > MAX_PARTS {
            let named = parts.iter().zip(&weights).map(|(part, weight)| format!("{}={weight}", part.name()));
            return Err(Unfit::Mixture { text: named.take(16).collect::<Vec<_>>().join(",") });
        }
        Ok(Mixture { parts, weights })
    }

    /// Reads names of built-in environments with weights: `chain_sum=2,spell_backward`. A weight that is not said is 1.
    pub fn read(text: &str) -> Result<Mixture, Unfit> {
        let wrong = || Unfit::Mixture { text: text.chars().take(200).collect() };
        let part = |word: &str| {
            let (name, weight) = word.split_once('=').unwrap_or((word, "1"));
            let found = environment(name.trim()).ok_or_else(|| crate::registry::unknown(name.trim()))?;
            let weight = weight.trim().parse().map_err(|_| wrong())?;
            Ok((Arc::new(found) as Arc<dyn Environment>, weight))
        };
        Mixture::new(text.split(',').take(MAX_PARTS + 1).map(part).collect::<Result<_, Unfit>>()?)
            .map_err(|_| wrong())
    }

    /// Its environments, in the order they were given.
    pub fn parts(&self) -> &[Arc<dyn Environment>] {
        &self.parts
    }

    /// Draw `number` of a seed: the same for everyone.
    pub fn draw(&self, seed: u64, number: u64) -> Drawn {
        let mut dice = Dice::new("mixture", seed, number);
        let place = dice.weighted(&self.weights);
        Drawn { place, environment: self.parts[place].clone(), seed: dice.bits() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_keep_the_weights_and_follow_from_the_seed() {
        let mixture = Mixture::read("chain_sum=3, spell_backward").unwrap();
        let names: Vec<_> = (0..4_000).map(|n| mixture.draw(9, n)).collect();
        let sums = names.iter().filter(|drawn| drawn.environment.name() == "chain_sum").count();
        assert!((2_850..3_150).contains(&sums), "{sums}");
        for number in 0..50 {
            let (a, b) = (mixture.draw(9, number), mixture.draw(9, number));
            assert_eq!((a.place, a.seed), (b.place, b.seed));
        }
        assert_ne!(mixture.draw(9, 0).seed, mixture.draw(10, 0).seed);
    }

    #[test]
    fn what_is_no_mixture_is_refused_with_a_remedy() {
        for text in [
            "",
            "chain_sum=x",
            "chain_sum=0",
            "chain_sum=-1,spell_backward=2",
            "chain_sum=inf",
            "chain_sum=nan",
        ] {
            let why = Mixture::read(text).unwrap_err().to_string();
            assert!(why.contains("chain_sum"), "{why}");
        }
        let why = Mixture::read("chain_sum,chess").unwrap_err().to_string();
        assert!(why.contains("no environment `chess`") && why.contains("spell_backward"), "{why}");
        assert!(Mixture::new(Vec::new()).is_err());
    }
}
