//! How tasks become tokens, and tokens answers.

use lm::{Alphabet, Language, Message as Turn, wren};

use crate::Error;

/// What is asked, for models of either kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// In natural language.
    pub natural: String,
    /// In a few characters, for models that read one character at a time.
    pub compact: String,
}

/// How a model is asked and understood: a pure function of texts and tokens, the same for everyone in a swarm.
#[derive(Clone, Debug)]
pub struct Tongue {
    speech: Speech,
    vocabulary: usize,
    ends: Vec<u32>,
    limit: usize,
    answer: usize,
}

#[derive(Clone, Debug)]
enum Speech {
    /// A token per character; compact questions.
    Characters(Alphabet),
    /// A tokenizer and a chat template; questions in natural language.
    Words(Box<Language>),
}

impl Tongue {
    /// The tongue of `wren`, for prompts and answers of at most so many tokens.
    pub fn wren(prompt: u16, answer: u16) -> Tongue {
        Tongue::characters(wren::alphabet(), prompt, answer)
    }

    /// The tongue of a model with one token per character.
    pub fn characters(alphabet: Alphabet, prompt: u16, answer: u16) -> Tongue {
        let vocabulary = alphabet.len();
        Tongue {
            speech: Speech::Characters(alphabet),
            vocabulary,
            ends: vec![Alphabet::END],
            limit: prompt.into(),
            answer: answer.into(),
        }
    }

    /// The tongue of a model that reads conversations, with so many tokens.
    pub fn words(language: Language, vocabulary: usize, prompt: u16, answer: u16) -> Tongue {
        let ends = language.ends.clone();
        Tongue {
            speech: Speech::Words(Box::new(language)),
            vocabulary,
            ends,
            limit: prompt.into(),
            answer: answer.into(),
        }
    }

    /// A question as tokens; an error if the model has not all of its characters, or it is too long.
    pub fn prompt(&self, question: &Question) -> Result<Vec<u32>, lm::Error> {
        let tokens = match &self.speech {
            Speech::Characters(alphabet) => alphabet.encode(&question.compact)?,
            Speech::Words(language) if language.chat.is_some() => {
                language.prompt(&[Turn::new("user", &question.natural)])?
            }
            Speech::Words(language) => language.tokenizer.encode(&question.natural)?,
        };
        if tokens.is_empty() {
            return Err(lm::Error::Empty { what: "a question" });
        }
        if tokens.len() > self.limit {
            return Err(lm::Error::TooLong { what: "a question", length: tokens.len(), limit: self.limit });
        }
        Ok(tokens)
    }

    /// What an answer says; nothing if it was cut off before its end, or is no text.
    pub fn text(&self, tokens: &[u32]) -> Option<String> {
        let (last, said) = tokens.split_last()?;
        if !self.ends.contains(last) {
            return None;
        }
        match &self.speech {
            Speech::Characters(alphabet) => Some(alphabet.decode(said)),
            Speech::Words(language) => {
                let text = language.tokenizer.decode(said).ok()?;
                // Those who think aloud say where their answer is.
                let inner = text
                    .rsplit_once("<answer>")
                    .map(|(_, rest)| rest.split("</answer>").next().unwrap_or(rest));
                Some(inner.unwrap_or(&text).trim().to_owned())
            }
        }
    }

    /// Whether it asks compact questions, whose answers are short forms.
    pub fn is_compact(&self) -> bool {
        matches!(self.speech, Speech::Characters(_))
    }

    /// How many tokens the model has.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The tokens that end an answer.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The most tokens of an answer.
    pub fn answer_tokens(&self) -> usize {
        self.answer
    }

    /// The most tokens of a prompt.
    pub fn prompt_tokens(&self) -> usize {
        self.limit
    }

    /// Says which environment it is that cannot be asked, or whose right answers could not be given: `short` is one, as a model that
    /// reads one character at a time gives it. Others may think aloud, so nobody knows how long theirs are.
    pub(crate) fn must_fit(&self, environment: &str, question: &Question, short: &str) -> Result<(), Error> {
        let about = |e: lm::Error| Error::Prompt { environment: environment.to_owned(), why: e.to_string() };
        self.prompt(question).map_err(about)?;
        if let Speech::Characters(alphabet) = &self.speech {
            let length = alphabet.encode(short).map_err(about)?.len() + 1;
            if length > self.answer {
                return Err(about(lm::Error::TooLong { what: "a right answer", length, limit: self.answer }));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_has_no_end_is_none() {
        let tongue = Tongue::wren(20, 8);
        let asked =
            |compact: &str| tongue.prompt(&Question { compact: compact.to_owned(), ..Question::default() });
        let mut answer = asked("cba").unwrap();
        assert_eq!(tongue.text(&answer), None);
        answer.push(Alphabet::END);
        assert_eq!(tongue.text(&answer).unwrap(), "cba");
        assert_eq!(tongue.text(&[]), None);
        assert!(matches!(asked(&"a".repeat(21)), Err(lm::Error::TooLong { .. })));
        assert!(matches!(asked("A"), Err(lm::Error::Character { .. })));
        assert!(matches!(asked(""), Err(lm::Error::Empty { .. })));
    }

    #[test]
    fn those_who_think_aloud_are_understood() {
        let tokenizer = lm::Tokenizer::bytes(&["<pad>", "<end>"]).unwrap();
        let language =
            Language { tokenizer: tokenizer.clone(), chat: None, begin: None, ends: vec![1], pad: Some(0) };
        let tongue = Tongue::words(language, tokenizer.len(), 100, 100);
        for (said, answer) in [
            ("  7 ", "7"),
            ("hm, <answer>6</answer> no, <answer> 7 </answer> it is", "7"),
            ("<answer>7", "7"),
        ] {
            let mut tokens = tokenizer.encode(said).unwrap();
            tokens.push(1);
            assert_eq!(tongue.text(&tokens).unwrap(), answer);
        }
    }
}
