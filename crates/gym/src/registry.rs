//! The built-in environments, by name.

use crate::environment::Environment;
use crate::family::{Family, Levels, Unfit};
use crate::{algebra, algorithmic as alg, arithmetic as ari, cognition, games, graphs};
use serde_json::Value;
use std::sync::LazyLock;

/// A family that is built in: as an environment, and how to make one of it with parameters of one's own.
struct Entry {
    environment: Box<dyn Environment>,
    of: fn(&str) -> Result<Box<dyn Environment>, Unfit>,
    parameters: fn() -> Vec<Value>,
}

fn entry<F: Family>() -> Entry {
    Entry {
        environment: Box::new(Levels::<F>::built_in()),
        of: |text| Ok(Box::new(Levels::<F>::of(text)?)),
        parameters: || F::levels().iter().filter_map(|level| serde_json::to_value(level).ok()).collect(),
    }
}

/// All of them, in alphabetical order.
static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let mut entries = vec![
        entry::<algebra::SimpleEquations>(),
        entry::<alg::Ab>(),
        entry::<alg::BaseConversion>(),
        entry::<alg::BinaryAlternation>(),
        entry::<alg::BinaryMatrix>(),
        entry::<alg::CaesarCipher>(),
        entry::<alg::IsomorphicStrings>(),
        entry::<alg::LetterCounting>(),
        entry::<alg::LetterJumble>(),
        entry::<alg::ManipulateMatrix>(),
        entry::<alg::NumberFiltering>(),
        entry::<alg::NumberSorting>(),
        entry::<alg::PalindromeGeneration>(),
        entry::<alg::RansomNote>(),
        entry::<alg::RotateMatrix>(),
        entry::<alg::SpellBackward>(),
        entry::<alg::SpiralMatrix>(),
        entry::<alg::StringInsertion>(),
        entry::<alg::StringManipulation>(),
        entry::<alg::StringSplitting>(),
        entry::<alg::WordSequenceReversal>(),
        entry::<alg::WordSorting>(),
        entry::<ari::BasicArithmetic>(),
        entry::<ari::BitwiseArithmetic>(),
        entry::<ari::CalendarArithmetic>(),
        entry::<ari::ChainSum>(),
        entry::<ari::CountBits>(),
        entry::<ari::DecimalChainSum>(),
        entry::<ari::FractionSimplification>(),
        entry::<ari::Gcd>(),
        entry::<ari::Lcm>(),
        entry::<ari::LegCounting>(),
        entry::<ari::PrimeFactorization>(),
        entry::<ari::Products>(),
        entry::<cognition::ColorCubeRotation>(),
        entry::<cognition::NumberSequence>(),
        entry::<games::Countdown>(),
        entry::<games::MiniSudoku>(),
        entry::<games::TowerOfHanoi>(),
        entry::<graphs::ShortestPath>(),
    ];
    entries.sort_by(|a, b| a.environment.name().cmp(b.environment.name()));
    entries
});

fn find(name: &str) -> Option<&'static Entry> {
    let at = ENTRIES.binary_search_by(|entry| entry.environment.name().cmp(name)).ok()?;
    ENTRIES.get(at)
}

/// The built-in environment of this name.
pub fn environment(name: &str) -> Option<&'static dyn Environment> {
    find(name).map(|entry| &*entry.environment)
}

/// The names of all built-in environments, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.environment.name())
}

/// A built-in environment with parameters of one's own, as JSON: it has one level. What is left out has the public package's default.
pub fn configured(name: &str, parameters: &str) -> Result<Box<dyn Environment>, Unfit> {
    (find(name).ok_or_else(|| unknown(name))?.of)(parameters)
}

/// The parameters of a built-in environment's levels, as [`configured`] takes them; the last are the public package's defaults.
pub fn parameters(name: &str) -> Option<Vec<Value>> {
    find(name).map(|entry| (entry.parameters)())
}

pub(crate) fn unknown(name: &str) -> Unfit {
    Unfit::Unknown { name: name.chars().take(100).collect(), known: names().collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_environment_is_found_by_its_name() {
        for name in names() {
            assert_eq!(environment(name).unwrap().name(), name);
            assert_eq!(configured(name, "{}").unwrap().levels(), 1);
            for (level, parameters) in parameters(name).unwrap().into_iter().enumerate() {
                // The seed's throws belong to the level: only the form of the task is the same.
                let own = configured(name, &parameters.to_string()).unwrap();
                assert_eq!(
                    level == 0,
                    own.task(3, 0) == environment(name).unwrap().task(3, level as u8),
                    "{name}"
                );
            }
        }
        assert_eq!(names().count(), 40);
        assert!(environment("chess").is_none());
    }

    #[test]
    fn parameters_are_read_or_refused_with_a_remedy() {
        let long = configured("chain_sum", r#"{"min_terms":9,"max_terms":9}"#).unwrap();
        assert_eq!(long.task(1, 0).question.matches([' ']).count(), 2 + 16 + 5, "{:?}", long.task(1, 0));
        for (name, parameters, said) in [
            ("chess", "{}", "choose one of"),
            ("chain_sum", "{\"terms\":1}", "its defaults are {\"min_terms\":2"),
            ("chain_sum", "{\"max_terms\":1000}", "`max_terms` is 1000: take a value from 1 to 64"),
            ("chain_sum", "{\"min_terms\":7}", "`min_terms` is more than `max_terms`"),
            ("chain_sum", "[", "no parameters of `chain_sum`"),
        ] {
            let why = configured(name, parameters).unwrap_err().to_string();
            assert!(why.contains(said), "{why}");
        }
    }
}
