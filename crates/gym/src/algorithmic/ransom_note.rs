//! `ransom_note`: whether a note can be pasted together from the letters of a magazine.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span, within};
use crate::short;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Notes and magazines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RansomNote {
    /// The fewest letters of a note.
    pub min_note_length: u32,
    /// The most letters of a note.
    pub max_note_length: u32,
    /// The fewest letters of a magazine.
    pub min_magazine_length: u32,
    /// The most letters of a magazine.
    pub max_magazine_length: u32,
    /// How often the letters suffice.
    pub p_solvable: f64,
}

impl Default for RansomNote {
    fn default() -> RansomNote {
        RansomNote {
            min_note_length: 1,
            max_note_length: 10,
            min_magazine_length: 2,
            max_magazine_length: 30,
            p_solvable: 0.5,
        }
    }
}

const LETTERS: [char; 26] = [
    'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u',
    'v', 'w', 'x', 'y', 'z',
];

impl Family for RansomNote {
    const NAME: &'static str = "ransom_note";

    fn levels() -> Vec<RansomNote> {
        let all = RansomNote::default();
        vec![
            RansomNote {
                min_note_length: 2,
                max_note_length: 5,
                min_magazine_length: 3,
                max_magazine_length: 6,
                ..all.clone()
            },
            RansomNote { min_note_length: 2, max_note_length: 7, max_magazine_length: 15, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        let note = (("min_note_length", self.min_note_length), ("max_note_length", self.max_note_length));
        span(note.0, note.1, 1..=2000)?;
        let (least, most) = (self.min_magazine_length, self.max_magazine_length);
        span(("min_magazine_length", least), ("max_magazine_length", most), 2..=2001)?;
        within("max_magazine_length", most, self.max_note_length + 1..=2001)?;
        within("p_solvable", self.p_solvable, 0.0..=1.0)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let length = dice.size(self.min_note_length, self.max_note_length);
        let pages = dice.size(self.min_magazine_length.max(length as u32), self.max_magazine_length);
        let solvable = dice.chance(self.p_solvable);
        let mut note: Vec<char> = (0..length).map(|_| dice.one(LETTERS)).collect();
        let mut magazine = note.clone();
        if !solvable {
            // One letter of the note is missing, and none that is added later is like it.
            let gone = dice.below(length as u64) as usize;
            let others: Vec<char> = LETTERS.into_iter().filter(|letter| *letter != note[gone]).collect();
            magazine[gone] = dice.pick(&others).copied().unwrap_or('a');
        }
        let missing = LETTERS.into_iter().find(|letter| count(&magazine, *letter) < count(&note, *letter));
        while magazine.len() < pages {
            let letter = dice.one(LETTERS);
            if Some(letter) != missing {
                magazine.push(letter);
            }
        }
        dice.shuffle(&mut note);
        dice.shuffle(&mut magazine);
        let enough = LETTERS.into_iter().all(|letter| count(&note, letter) <= count(&magazine, letter));
        let (note, magazine): (String, String) = (note.into_iter().collect(), magazine.into_iter().collect());
        Problem {
            question: format!(
                "Letters are cut out of a magazine and pasted into a note; each can be used once. Are there enough of each?\n\
                 Note: {note}\nMagazine: {magazine}\nAnswer with True or False."
            ),
            compact: format!("rn:{note},{magazine}="),
            answer: if enough { "True" } else { "False" }.to_owned(),
            data: json!({
                "ransom_note": note,
                "magazine": magazine,
                "solution": enough,
                "solvable": solvable,
                "note_length": length,
                "magazine_length": pages,
            }),
        }
    }

    fn shorten(answer: &str) -> String {
        short::truth(answer)
    }

    fn expand(short: &str) -> String {
        short::unshortened_truth(short)
    }
}

fn count(letters: &[char], letter: char) -> usize {
    letters.iter().filter(|l| **l == letter).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::family::{Levels, trial};

    #[test]
    fn tasks_hold() {
        trial::hold::<RansomNote>(|task| if task.answer == "True" { "False" } else { "True" }.to_owned());
        trial::refuses::<RansomNote>(&[
            r#"{"min_note_length":0}"#,
            r#"{"max_note_length":30}"#,
            r#"{"min_magazine_length":1}"#,
            r#"{"p_solvable":2}"#,
        ]);
    }

    #[test]
    fn notes_are_as_solvable_as_asked_for() {
        for (probability, answer) in [(0, "False"), (1, "True")] {
            let environment =
                Levels::<RansomNote>::of(&format!(r#"{{"p_solvable":{probability}}}"#)).unwrap();
            assert!((0..300).all(|seed| environment.task(seed, 0).answer == answer));
        }
    }
}
