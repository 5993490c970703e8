//! Words to make tasks of.
//!
//! They are those of "In the Year 2889" (Michel and Jules Verne, 1889), which is in the public domain, as in the public package.
//! Where any letters do, half of the words are coined, so that there is no end to them.

use crate::dice::Dice;
use crate::family::Unfit;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The story.
const STORY: &str = include_str!("../data/in_the_year_2889.txt");

/// The story itself.
pub(crate) fn story() -> &'static str {
    STORY
}

/// Whether there are as many words as `max_words` asks for.
pub(crate) fn enough(there_are: usize, max_words: u32) -> Result<(), Unfit> {
    if there_are as u32 >= max_words {
        return Ok(());
    }
    Err(Unfit::Range {
        parameter: "max_words",
        value: max_words.to_string(),
        low: "1".to_owned(),
        high: format!("{there_are}, since there are no more words of these lengths"),
    })
}

/// Its words as they follow each other, of letters and digits of ASCII.
pub(crate) fn in_order() -> &'static [&'static str] {
    static WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let words = STORY.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.filter(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric())).collect()
    });
    &WORDS
}

/// Its words of ASCII letters, capitals and all, each once, in the order of their codes.
pub(crate) fn distinct() -> &'static [&'static str] {
    static DISTINCT: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let plain = in_order().iter().copied().filter(|w| w.bytes().all(|b| b.is_ascii_alphabetic()));
        plain.collect::<BTreeSet<_>>().into_iter().collect()
    });
    &DISTINCT
}

/// Its words of ASCII letters in lower case, each once, in alphabetical order.
pub(crate) fn all() -> &'static [&'static str] {
    static ALL: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let words = STORY.split(|c: char| !c.is_alphanumeric());
        let plain = words.filter(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()));
        plain.collect::<BTreeSet<_>>().into_iter().collect()
    });
    &ALL
}

/// A word of so many letters: one of the story's, or a coined one.
pub(crate) fn any(dice: &mut Dice, least: usize, most: usize) -> String {
    let length = dice.between(least as i64, most as i64) as usize;
    if dice.chance(0.5) {
        let fitting: Vec<&str> = all().iter().copied().filter(|w| w.len() == length).collect();
        if let Some(word) = dice.pick(&fitting) {
            return (*word).to_owned();
        }
    }
    coined(dice, length)
}

/// A word nobody has said before, but could: consonants and vowels take turns, now and then one comes twice.
fn coined(dice: &mut Dice, length: usize) -> String {
    let mut vowel = dice.chance(0.4);
    let mut word = String::new();
    while word.len() < length {
        let letters: &[u8] = if vowel { b"aeiouy" } else { b"bcdfghjklmnpqrstvwxz" };
        word.extend(dice.pick(letters).map(|b| char::from(*b)));
        vowel ^= dice.chance(0.85);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_has_words_of_all_lengths() {
        assert!(all().len() > 1_000, "{}", all().len());
        for length in 1..=12 {
            assert!(all().iter().any(|w| w.len() == length), "{length}");
        }
        assert!(!story().contains("Gutenberg"));
    }

    #[test]
    fn words_are_as_long_as_asked_for_and_many() {
        let mut dice = Dice::new("test", 0, 0);
        let words: BTreeSet<String> = (0..500).map(|_| any(&mut dice, 3, 6)).collect();
        assert!(words.len() > 350, "{}", words.len());
        assert!(
            words.iter().all(|w| (3..=6).contains(&w.len()) && w.bytes().all(|b| b.is_ascii_lowercase()))
        );
    }
}
