//! The tokenizer of small models: one token per character.

use crate::{Error, Tokenizer};

/// Tokens that stand for no character.
const SPECIAL: u32 = 2;

/// One token per character, after the padding and end tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alphabet {
    characters: Vec<char>,
}

impl Alphabet {
    /// The token that fills up short sequences.
    pub const PAD: u32 = 0;
    /// The token that ends an answer.
    pub const END: u32 = 1;

    /// An alphabet of these characters; each once.
    pub fn new(characters: &str) -> Alphabet {
        let mut kept: Vec<char> = Vec::new();
        for c in characters.chars() {
            if !kept.contains(&c) {
                kept.push(c);
            }
        }
        Alphabet { characters: kept }
    }

    /// The names of the tokens that stand for no character, as other tokenizers write them.
    pub const SPECIAL: [&str; SPECIAL as usize] = ["<|pad|>", "<|end|>"];

    /// The same tokens as a tokenizer that is saved and loaded like any other.
    pub fn tokenizer(&self) -> Result<Tokenizer, Error> {
        Tokenizer::characters(&Alphabet::SPECIAL, &self.characters)
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.characters.len() + SPECIAL as usize
    }

    /// Whether it has no characters.
    pub fn is_empty(&self) -> bool {
        self.characters.is_empty()
    }

    /// A text as tokens.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let token = |character: char| {
            let at = self.characters.iter().position(|c| *c == character);
            let unknown = || Error::Character { character, alphabet: self.characters.iter().collect() };
            at.map(|i| i as u32 + SPECIAL).ok_or_else(unknown)
        };
        text.chars().map(token).collect()
    }

    /// Tokens as a text; those that stand for no character are left out.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let character = |t: &u32| self.characters.get(t.checked_sub(SPECIAL)? as usize);
        tokens.iter().filter_map(character).collect()
    }
}
