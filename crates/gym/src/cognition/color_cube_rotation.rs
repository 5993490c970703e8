//! `color_cube_rotation`: a cube with a colour on every side, turned about.

use crate::dice::Dice;
use crate::environment::Task;
use crate::family::{Family, Problem, Unfit, span};
use crate::python;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Cubes to be turned in the mind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColorCubeRotation {
    /// The fewest turns.
    pub min_rotations: u32,
    /// The most turns.
    pub max_rotations: u32,
}

impl Default for ColorCubeRotation {
    fn default() -> ColorCubeRotation {
        ColorCubeRotation { min_rotations: 1, max_rotations: 3 }
    }
}

const COLORS: [&str; 16] = [
    "red", "green", "blue", "yellow", "white", "orange", "purple", "pink", "brown", "gray", "cyan",
    "magenta", "gold", "silver", "indigo", "violet",
];

/// The sides, the top first.
const SIDES: [&str; 6] = ["top", "right", "front", "left", "back", "bottom"];

/// For each side that comes to the top, which side's colour every side gets, by their places.
const TURNS: [[usize; 6]; 6] = [
    [0, 1, 2, 3, 4, 5],
    [1, 5, 2, 0, 4, 3],
    [2, 1, 5, 3, 0, 4],
    [3, 0, 2, 5, 4, 1],
    [4, 1, 0, 3, 5, 2],
    [5, 1, 4, 3, 2, 0],
];

impl Family for ColorCubeRotation {
    const NAME: &'static str = "color_cube_rotation";

    fn levels() -> Vec<ColorCubeRotation> {
        [1, 2, 3]
            .map(|max_rotations| ColorCubeRotation { max_rotations, ..ColorCubeRotation::default() })
            .into()
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_rotations", self.min_rotations), ("max_rotations", self.max_rotations), 1..=1000)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let mut colors = COLORS;
        dice.shuffle(&mut colors);
        let before: [&str; 6] = std::array::from_fn(|side| colors[side]);
        let count = dice.size(self.min_rotations, self.max_rotations);
        let turns: Vec<usize> = (0..count).map(|_| 1 + dice.below(5) as usize).collect();
        let after = turns.iter().fold(before, |now, turn| TURNS[*turn].map(|side| now[side]));
        let asked = dice.below(6) as usize;
        let named = |places: &[usize]| places.iter().map(|side| SIDES[*side]).collect::<Vec<_>>();
        let sides: Vec<String> =
            SIDES.iter().zip(before).map(|(side, color)| format!("{side} {color}")).collect();
        let state: Map<String, Value> =
            SIDES.iter().zip(before).map(|(side, color)| ((*side).to_owned(), color.into())).collect();
        let turns = named(&turns);
        let then: Vec<String> =
            turns[1..].iter().map(|side| format!(", then so that the one at the {side} does")).collect();
        let then = then.concat();
        Problem {
            question: format!(
                "The sides of a cube have these colors: {}. It is turned so that the side that was at the {} comes to the top{}. Which color \
                 is at the {} now? Answer with the color alone.",
                sides.join(", "),
                turns[0],
                then,
                SIDES[asked]
            ),
            compact: format!("cr:{}:{}:{}=", before.join(","), turns.join(","), SIDES[asked]),
            answer: after[asked].to_owned(),
            data: json!({
                "initial_state": state,
                "rotations": turns,
                "target_side": SIDES[asked],
                "num_rotations": count,
            }),
        }
    }

    /// A hundredth for any other answer, none included.
    fn score(task: &Task, answer: &str) -> f64 {
        let same = python::strip(answer).to_lowercase() == python::strip(&task.answer).to_lowercase();
        if same { 1.0 } else { 0.01 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<ColorCubeRotation>(|task| format!("dark {}", task.answer));
        trial::refuses::<ColorCubeRotation>(&[r#"{"min_rotations":0}"#, r#"{"max_rotations":1001}"#]);
        let cases = [("Orange ", 1.0), ("orange", 1.0), ("red", 0.01), ("", 0.01)];
        trial::scores::<ColorCubeRotation>("orange", json!({}), &cases);
    }

    #[test]
    fn turns_are_those_of_a_solid_cube() {
        for (side, turn) in TURNS.iter().enumerate() {
            assert_eq!(turn[0], side, "the side comes to the top");
            let opposite = |side: usize| [5, 3, 4, 1, 2, 0][side];
            assert!(
                (0..6).all(|to| turn[opposite(to)] == opposite(turn[to])),
                "opposite sides stay so: {turn:?}"
            );
            // Four quarter turns, or two half turns, change nothing.
            let again = |now: [usize; 6]| turn.map(|from| now[from]);
            assert_eq!((0..4).fold([0, 1, 2, 3, 4, 5], |now, _| again(now)), [0, 1, 2, 3, 4, 5]);
        }
    }
}
