//! When an answer ends.

use std::sync::Arc;

use crate::Error;

/// The most end tokens or stops that a request may name.
const MAX_STOPS: usize = 64;
/// The most tokens or bytes of one stop.
const MAX_STOP_LENGTH: usize = 1024;

/// What ends an answer: whichever comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Until {
    /// The most tokens it may have.
    pub limit: usize,
    /// Tokens each of which ends it. The one that did belongs to the answer.
    pub ends: Vec<u32>,
    /// What else ends it once it has been said.
    pub stops: Vec<Stop>,
}

/// Something that ends an answer once it has been said, wherever tokens begin and end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// These tokens, one after another.
    Tokens(Vec<u32>),
    /// This text. It may begin and end within a token; all tokens that have a part of it belong to the answer.
    Text(String),
}

/// Why an answer ended. Of several reasons at one token, the first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Its last token is an end token.
    End,
    /// It has said the stop of this number.
    Stop(usize),
    /// It is as long as it may be.
    Limit,
    /// Whoever asked did not want more of it. No check finds such an answer whole.
    Cancelled,
}

/// The bytes that each token stands for, which stop texts are looked for in.
#[derive(Clone, Debug)]
pub struct Words(Arc<[Vec<u8>]>);

impl Words {
    /// The bytes of every token, by its number; none for those that stand for no text.
    pub fn new(words: Vec<Vec<u8>>) -> Words {
        Words(words.into())
    }

    fn word(&self, token: u32) -> &[u8] {
        self.0.get(token as usize).map_or(&[], Vec::as_slice)
    }
}

impl Until {
    /// At most this many tokens, and no further than any of these end tokens.
    pub fn new(limit: usize, ends: &[u32]) -> Until {
        Until { limit, ends: ends.to_vec(), stops: Vec::new() }
    }

    /// The same with more stops.
    pub fn or(mut self, stop: Stop) -> Until {
        self.stops.push(stop);
        self
    }

    /// Checks what may have come from anyone.
    pub(super) fn check(&self, words: Option<&Words>) -> Result<(), Error> {
        let wrong = |field, why: &str| Err(Error::Request { field, why: why.to_owned() });
        if self.limit == 0 {
            return wrong("limit", "must leave room for at least one token");
        }
        if self.ends.len() > MAX_STOPS || self.stops.len() > MAX_STOPS {
            return wrong("until", &format!("may name at most {MAX_STOPS} end tokens and {MAX_STOPS} stops"));
        }
        for stop in &self.stops {
            let length = match stop {
                Stop::Tokens(tokens) => tokens.len(),
                Stop::Text(text) => text.len(),
            };
            if length == 0 || length > MAX_STOP_LENGTH {
                return wrong("stops", &format!("must each have 1 to {MAX_STOP_LENGTH} tokens or bytes"));
            }
            if matches!(stop, Stop::Text(_)) && words.is_none() {
                return wrong(
                    "stops",
                    "are texts, and it was not said what texts tokens stand for: give `Words`",
                );
            }
        }
        Ok(())
    }

    /// Why an answer ends with its last token, if it does.
    pub fn ending(&self, answer: &[u32], words: Option<&Words>) -> Option<Ending> {
        let last = answer.last()?;
        if self.ends.contains(last) {
            return Some(Ending::End);
        }
        let said = |stop: &Stop| match stop {
            Stop::Tokens(tokens) => answer.ends_with(tokens),
            Stop::Text(text) => words.is_some_and(|words| ends_within_last(answer, text.as_bytes(), words)),
        };
        match self.stops.iter().position(said) {
            Some(number) => Some(Ending::Stop(number)),
            None => (answer.len() >= self.limit).then_some(Ending::Limit),
        }
    }
}

/// Whether a text ends somewhere within the last token of an answer.
fn ends_within_last(answer: &[u32], text: &[u8], words: &Words) -> bool {
    let Some((last, before)) = answer.split_last() else { return false };
    let last = words.word(*last);
    if last.is_empty() {
        return false;
    }
    // What came before matters as far as all but one byte of the text reach back.
    let mut tail: Vec<u8> = Vec::with_capacity(text.len() + last.len());
    let mut parts: Vec<&[u8]> = Vec::new();
    let mut missing = text.len() - 1;
    for token in before.iter().rev() {
        if missing == 0 {
            break;
        }
        let word = words.word(*token);
        let part = &word[word.len().saturating_sub(missing)..];
        missing -= part.len();
        parts.push(part);
    }
    parts.iter().rev().for_each(|part| tail.extend_from_slice(part));
    tail.extend_from_slice(last);
    tail.windows(text.len()).any(|part| part == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        Words::new(["", "ab", "c", "\n", "\n\nx", "é"].map(|w| w.as_bytes().to_vec()).to_vec())
    }

    #[track_caller]
    fn check(stop: Stop, answer: &[u32], expected: Option<usize>) {
        let until = Until::new(100, &[0]).or(stop);
        let found = (1..=answer.len()).find(|n| until.ending(&answer[..*n], Some(&words())).is_some());
        assert_eq!(found, expected);
    }

    #[test]
    fn a_text_may_lie_across_tokens_or_within_one() {
        let text = |t: &str| Stop::Text(t.to_owned());
        check(text("bc"), &[1, 2, 1], Some(2));
        check(text("bca"), &[1, 1, 2, 1], Some(4));
        check(text("\n\n"), &[1, 3, 1, 3, 3], Some(5));
        check(text("\n\n"), &[1, 4, 1], Some(2));
        check(text("\n\n\n"), &[3, 4, 1], Some(2));
        check(text("é"), &[1, 5], Some(2));
        check(text("abab"), &[1, 2, 1], None);
        // A token without a text neither ends one nor breaks it.
        check(text("bc"), &[1, 9, 2], Some(3));
        check(text("ab"), &[1, 9], Some(1));
    }

    #[test]
    fn tokens_one_after_another() {
        check(Stop::Tokens(vec![1, 2]), &[1, 1, 2], Some(3));
        check(Stop::Tokens(vec![1, 2]), &[2, 1], None);
    }

    #[test]
    fn the_first_reason_counts() {
        let until = Until::new(2, &[7]).or(Stop::Tokens(vec![5])).or(Stop::Tokens(vec![5, 7]));
        assert_eq!(until.ending(&[5, 7], None), Some(Ending::End));
        assert_eq!(until.ending(&[5], None), Some(Ending::Stop(0)));
        assert_eq!(until.ending(&[4, 4], None), Some(Ending::Limit));
        assert_eq!(until.ending(&[4], None), None);
        assert_eq!(until.ending(&[], None), None);
    }
}
