//! `caesar_cipher`: a text whose letters were all moved on by the same number.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use crate::words;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Texts to be deciphered. By how much the letters were moved is not told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaesarCipher {
    /// What ends a sentence: texts never go beyond one.
    pub delimiter: String,
    /// The fewest words.
    pub min_words: u32,
    /// The most words.
    pub max_words: u32,
    /// The least rotation.
    pub min_rotation: u32,
    /// The largest rotation.
    pub max_rotation: u32,
}

impl Default for CaesarCipher {
    fn default() -> CaesarCipher {
        CaesarCipher {
            delimiter: ".".to_owned(),
            min_words: 3,
            max_words: 20,
            min_rotation: 1,
            max_rotation: 25,
        }
    }
}

impl CaesarCipher {
    /// The words of letters of a sentence that has enough of them: the first such from a place on, and round.
    fn sentence(&self, place: u64) -> Option<Vec<&'static str>> {
        let sentences: Vec<&str> = words::story().split(self.delimiter.as_str()).collect();
        let start = (place % sentences.len() as u64) as usize;
        let word = |w: &&str| w.bytes().all(|b| b.is_ascii_alphabetic());
        let (before, after) = sentences.split_at(start);
        let mut round =
            after.iter().chain(before).map(|s| s.split_whitespace().filter(word).collect::<Vec<_>>());
        round.find(|words| words.len() >= self.min_words as usize)
    }
}

impl Family for CaesarCipher {
    const NAME: &'static str = "caesar_cipher";

    fn levels() -> Vec<CaesarCipher> {
        let all = CaesarCipher::default();
        vec![
            CaesarCipher { min_words: 1, max_words: 1, max_rotation: 5, ..all.clone() },
            CaesarCipher { min_words: 2, max_words: 5, max_rotation: 12, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        span(("min_words", self.min_words), ("max_words", self.max_words), 1..=1000)?;
        span(("min_rotation", self.min_rotation), ("max_rotation", self.max_rotation), 1..=25)?;
        if self.delimiter.is_empty() || self.delimiter.len() > 64 || self.sentence(0).is_none() {
            let value = self.delimiter.chars().take(64).collect();
            let wanted =
                "a text, such as a full stop, between which there are sentences of `min_words` words";
            return Err(Unfit::Choice { parameter: "delimiter", value, wanted });
        }
        Ok(())
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        let sentence = self.sentence(dice.bits()).unwrap_or_default();
        let most = sentence.len().min(self.max_words as usize);
        let count = dice.size(self.min_words, most as u32);
        let start = dice.below((sentence.len() - count.min(sentence.len())) as u64 + 1) as usize;
        let clear = sentence[start..(start + count).min(sentence.len())].join(" ").to_ascii_uppercase();
        let rotation = dice.size(self.min_rotation, self.max_rotation) as u8;
        let cipher = rotated(&clear, rotation);
        Problem {
            question: format!(
                "Each letter of this text was moved on by the same number of places in the alphabet, from Z on to A: {cipher}\n\
                 What was it before? Answer with the text alone."
            ),
            compact: format!("cc:{}=", cipher.to_ascii_lowercase().replace(' ', ",")),
            data: json!({
                "rotation": rotation,
                "cipher_text": cipher,
                "clear_text": clear,
                "num_words": count,
            }),
            answer: clear,
        }
    }

    fn shorten(answer: &str) -> String {
        answer.to_ascii_lowercase().replace(' ', ",")
    }

    fn expand(short: &str) -> String {
        short.to_ascii_uppercase().replace(',', " ")
    }
}

/// Capitals, each moved on in the alphabet.
fn rotated(text: &str, by: u8) -> String {
    let moved = |b: u8| if b.is_ascii_uppercase() { b'A' + (b - b'A' + by) % 26 } else { b };
    text.bytes().map(|b| char::from(moved(b))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<CaesarCipher>(|task| rotated(&task.answer, 1));
        trial::refuses::<CaesarCipher>(&[
            r#"{"delimiter":""}"#,
            r#"{"delimiter":"e","min_words":900,"max_words":900}"#,
            r#"{"max_rotation":26}"#,
            r#"{"min_rotation":0}"#,
        ]);
    }

    #[test]
    fn letters_are_moved_round_the_alphabet() {
        assert_eq!(rotated("XYZ AB", 3), "ABC DE");
        assert_eq!(rotated(&rotated("HELLO", 7), 19), "HELLO");
    }
}
