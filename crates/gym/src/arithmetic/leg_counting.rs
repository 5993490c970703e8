//! `leg_counting`: animals, and how many legs they have together.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Animals whose legs are to be counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LegCounting {
    /// The fewest kinds of animals.
    pub min_animals: u32,
    /// The most kinds of animals.
    pub max_animals: u32,
    /// The fewest animals of a kind.
    pub min_instances: u32,
    /// The most animals of a kind.
    pub max_instances: u32,
}

/// Kinds of animals by the number of their legs. A starfish stands on its five arms.
const ANIMALS: [(u32, &[&str]); 8] = [
    (0, &["snake", "sea slug", "jellyfish", "flatworm", "leech"]),
    (2, &["chicken", "bird", "human", "duck"]),
    (4, &["dog", "cat", "cow", "horse", "lion", "elephant", "giraffe", "tiger", "deer", "sheep"]),
    (5, &["starfish"]),
    (
        6,
        &[
            "insect",
            "ant",
            "butterfly",
            "beetle",
            "bee",
            "wasp",
            "grasshopper",
            "cricket",
            "cockroach",
            "praying mantis",
            "firefly",
        ],
    ),
    (8, &["spider", "scorpion"]),
    (10, &["crab", "lobster", "shrimp"]),
    (14, &["woodlouse"]),
];

fn animals() -> Vec<(&'static str, u32)> {
    ANIMALS.iter().flat_map(|(legs, names)| names.iter().map(|name| (*name, *legs))).collect()
}

impl Default for LegCounting {
    fn default() -> LegCounting {
        LegCounting { min_animals: 3, max_animals: 10, min_instances: 1, max_instances: 15 }
    }
}

impl Family for LegCounting {
    const NAME: &'static str = "leg_counting";

    fn levels() -> Vec<LegCounting> {
        let all = LegCounting::default();
        vec![
            LegCounting { min_animals: 1, max_animals: 3, ..all.clone() },
            LegCounting { min_animals: 2, max_animals: 6, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(
            ("min_animals", self.min_animals),
            ("max_animals", self.max_animals),
            1..=animals().len() as u32,
        )?;
        let (least, most) = (self.min_instances, self.max_instances);
        span(("min_instances", least), ("max_instances", most), 1..=1_000_000)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let all = animals();
        let kinds = dice.size(self.min_animals, self.max_animals);
        let mut total = 0;
        let (mut counts, mut texts, mut shorts) = (Map::new(), Vec::new(), Vec::new());
        for place in dice.sample(all.len(), kinds) {
            let (name, legs) = all[place];
            let count = dice.size(self.min_instances, self.max_instances) as u64;
            total += count * u64::from(legs);
            counts.insert(name.to_owned(), Value::from(count));
            texts.push(format!("{count} {name}"));
            shorts.push(format!("{count}{}", name.replace(' ', "-")));
        }
        Problem {
            question: format!(
                "A list says how many animals there are of each kind: {}. How many legs do they have together?",
                texts.join(", ")
            ),
            compact: format!("lg:{}=", shorts.join(",")),
            answer: total.to_string(),
            data: json!({ "animals": counts, "num_animals": kinds, "total_legs": total }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::family::{Levels, trial};

    #[test]
    fn tasks_hold() {
        trial::hold::<LegCounting>(|task| (task.answer.parse::<u64>().unwrap() + 1).to_string());
        trial::refuses::<LegCounting>(&[
            r#"{"max_animals":38}"#,
            r#"{"min_instances":0}"#,
            r#"{"min_animals":11}"#,
        ]);
        assert_eq!(animals().len(), 37);
    }

    #[test]
    fn legs_are_those_of_the_animals() {
        let flies = Levels::<LegCounting>::built_in().task(3, 2);
        let counts = flies.data["animals"].as_object().unwrap();
        let legs = |name: &str| u64::from(animals().iter().find(|(n, _)| *n == name).unwrap().1);
        let total: u64 = counts.iter().map(|(name, count)| legs(name) * count.as_u64().unwrap()).sum();
        assert_eq!(flies.answer, total.to_string());
    }
}
