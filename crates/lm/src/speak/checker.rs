//! The checker: an answer read once says whether the model gave it.

use std::collections::VecDeque;

use exact::{Limits, Program, Session};

use super::cache::{self, Cache, PIECE};
use super::request::{Rollout, known};
use super::stop::{Ending, Words};
use crate::config::Config;
use crate::model::Root;
use crate::weights::Form;
use crate::{Error, Model};

/// Checks rollouts, however long each took to generate, by reading them: some side by side, each a piece at a time.
#[derive(Debug)]
pub struct Checker {
    form: Form,
    sizes: Sizes,
    sessions: Vec<Session>,
    words: Option<Words>,
    root: Root,
    bytes: u64,
}

/// What a check of a rollout found.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Every token and every log-probability is right, to the bit, and it ended where it should.
    Holds,
    /// It is of another model than this one.
    Root {
        /// The model it says it is of.
        claimed: [u8; 32],
        /// The model it was checked with.
        right: [u8; 32],
    },
    /// The token at this place of the answer is another.
    Token {
        /// Its place in the answer.
        at: usize,
        /// What was claimed.
        claimed: u32,
        /// What the model says.
        right: u32,
    },
    /// The token is right and its log-probability is not.
    Logp {
        /// Its place in the answer.
        at: usize,
        /// What was claimed.
        claimed: f32,
        /// What the model says.
        right: f32,
    },
    /// It should have ended with another token, or for another reason.
    Ending {
        /// The token's place in the answer: where it should have ended, or its last if it should have gone on.
        at: usize,
        /// Why it ended, so it says.
        claimed: Ending,
        /// Why it ends there; `None` if nothing ends it there.
        right: Option<Ending>,
    },
    /// It could not be an answer: no prompt or answer, tokens or settings that there are not, not one log-probability per token, stop
    /// texts where the checker was given no [`Words`], or more tokens than can be checked here.
    Malformed,
}

/// How many of everything a checker has.
#[derive(Clone, Debug)]
struct Sizes {
    cache: Cache,
    /// Tokens that a prompt and its answer may have together.
    kept: usize,
    /// Rows and tokens of the programs.
    read: Vec<[usize; 2]>,
}

/// A rollout that is being read.
struct Reading {
    index: usize,
    text: Vec<u32>,
    read: usize,
}

impl Checker {
    /// A checker that reads this many rollouts side by side, of up to `tokens` tokens each, prompt and answer together.
    pub fn new(model: &Model, rows: usize, tokens: usize, limits: Limits) -> Result<Checker, Error> {
        let form = model.form().clone();
        let sizes = Sizes::new(form.config(), rows, tokens)?;
        let what = format!("a checker of {rows} rollouts of {tokens} tokens at a time");
        let remedy = "let it read fewer at a time, or raise the limit";
        let (sessions, bytes) = cache::share(model, &sizes.programs(&form)?, limits, &what, remedy)?;
        Ok(Checker { form, sizes, sessions, words: None, root: Root::default(), bytes })
    }

    /// Lets rollouts name stop texts: `words` says what text each token stands for.
    pub fn with_words(mut self, words: Words) -> Checker {
        self.words = Some(words);
        self
    }

    /// What the model has to say to each rollout; any number of them, of any lengths.
    pub fn check(&mut self, rollouts: &[Rollout]) -> Result<Vec<Finding>, Error> {
        self.root.moved(&self.form, &self.sessions[0])?;
        let root = self.root.get(&self.form, &self.sessions[0])?;
        let mut findings: Vec<Finding> = rollouts.iter().map(|r| self.at_sight(r, root)).collect();
        let sound =
            |(i, _): &(usize, &Rollout)| !matches!(findings[*i], Finding::Malformed | Finding::Root { .. });
        let mut waiting: VecDeque<Reading> = (rollouts.iter().enumerate())
            .filter(sound)
            .map(|(index, r)| Reading { index, text: read_of(r), read: 0 })
            .collect();
        let mut rows: Vec<Option<Reading>> = (0..self.sizes.cache.rows).map(|_| None).collect();
        loop {
            for row in rows.iter_mut().filter(|row| row.is_none()) {
                *row = waiting.pop_front();
            }
            if rows.iter().all(Option::is_none) {
                return Ok(findings);
            }
            let (said, [_, tokens]) = self.read(&mut rows, rollouts)?;
            for (i, row) in rows.iter_mut().enumerate() {
                let Some(reading) = row.as_mut().filter(|_| (i + 1) * tokens <= said.tokens.len()) else {
                    continue;
                };
                let part = i * tokens..(i + 1) * tokens;
                let wrong = said.wrong(&rollouts[reading.index], part, said.from[i]);
                let done = reading.read == reading.text.len();
                if wrong.is_some() || done {
                    // A wrong token comes before a wrong end: what follows it is not the model's.
                    if let Some(wrong) = wrong {
                        findings[reading.index] = wrong;
                    }
                    *row = None;
                }
            }
        }
    }

    /// The bytes it holds, the model's weights included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What can be said without asking the model.
    fn at_sight(&self, r: &Rollout, root: [u8; 32]) -> Finding {
        let words = self.words.as_ref();
        let length = r.prompt.len().saturating_add(r.answer.len());
        let vocabulary = self.form.config().vocabulary;
        let sound = !r.prompt.is_empty()
            && !r.answer.is_empty()
            && length <= self.sizes.kept
            && r.logps.len() == r.answer.len()
            && r.sampling.check().is_ok()
            && r.until.check(words).is_ok()
            && known(&r.prompt, vocabulary).is_ok()
            && known(&r.answer, vocabulary).is_ok();
        if !sound {
            return Finding::Malformed;
        }
        if r.root != root {
            return Finding::Root { claimed: r.root, right: root };
        }
        let last = r.answer.len() - 1;
        for at in 0..=last {
            let right = r.until.ending(&r.answer[..=at], words);
            let claimed = (at == last).then_some(r.ending);
            if right != claimed {
                return Finding::Ending { at, claimed: r.ending, right };
            }
        }
        Finding::Holds
    }

    /// Reads a piece of each row by the program that suits them best.
    fn read(
        &mut self,
        rows: &mut [Option<Reading>],
        rollouts: &[Rollout],
    ) -> Result<(Said, [usize; 2]), Error> {
        let left = |row: &Option<Reading>| row.as_ref().map_or(0, |r| r.text.len() - r.read);
        let worth = |[some, tokens]: [usize; 2]| {
            let useful: usize = rows[..some].iter().map(|row| left(row).min(tokens)).sum();
            (useful << 16) / (some * tokens + 16)
        };
        let best = (0..self.sizes.read.len()).max_by_key(|i| worth(self.sizes.read[*i])).unwrap_or(0);
        let [some, tokens] = self.sizes.read[best];
        let n = some * tokens;
        let (mut ids, mut seeds) = (vec![0; n], vec![0; 4 * n]);
        let (mut temperature, mut top_k, mut top_p) = (vec![0.0; n], vec![0; n], vec![1.0; n]);
        let mut start: Vec<u32> = rows.iter().map(|row| row.as_ref().map_or(0, |r| r.read as u32)).collect();
        let mut from = vec![0; some];
        for (i, row) in rows[..some].iter_mut().enumerate() {
            let Some(reading) = row else { continue };
            let r = &rollouts[reading.index];
            // Where the cache ends before the piece does, some tokens are read again: they give the same bits.
            from[i] = reading.read.min(self.sizes.cache.tokens - tokens);
            start[i] = from[i] as u32;
            let end = reading.text.len().min(from[i] + tokens);
            for position in from[i]..end {
                let at = i * tokens + position - from[i];
                ids[at] = reading.text[position];
                // What follows a token of the prompt is the next one of it: nothing is drawn there.
                if position + 1 >= r.prompt.len() {
                    let key = [r.seed as u32, (r.seed >> 32) as u32, 0, position as u32 + 1];
                    seeds[4 * at..][..4].copy_from_slice(&key);
                    temperature[at] = r.sampling.temperature;
                    top_k[at] = r.sampling.top_k;
                    top_p[at] = r.sampling.top_p;
                }
            }
            reading.read = end;
        }
        let session = &mut self.sessions[best];
        session.write("ids", &ids)?;
        session.write("start", &start)?;
        session.write("seeds", &seeds)?;
        session.write("temperature", &temperature)?;
        session.write("top_k", &top_k)?;
        session.write("top_p", &top_p)?;
        session.run()?;
        let said = Said { tokens: session.read("token")?, logps: session.read("logp")?, from };
        Ok((said, [some, tokens]))
    }
}

/// What the model says after each token of a piece of each row.
struct Said {
    tokens: Vec<u32>,
    logps: Vec<f32>,
    /// The place of each piece's first token in its text.
    from: Vec<usize>,
}

impl Said {
    /// The first thing that the model says otherwise, of what it says of a part of a rollout.
    fn wrong(&self, r: &Rollout, part: std::ops::Range<usize>, from: usize) -> Option<Finding> {
        for (position, at) in (from + 1..).zip(part) {
            let Some(place) = position.checked_sub(r.prompt.len()) else { continue };
            let (Some(claimed), Some(logp)) = (r.answer.get(place), r.logps.get(place)) else { return None };
            let (right, right_logp) = (self.tokens[at], self.logps[at]);
            if *claimed != right {
                return Some(Finding::Token { at: place, claimed: *claimed, right });
            }
            if logp.to_bits() != right_logp.to_bits() {
                return Some(Finding::Logp { at: place, claimed: *logp, right: right_logp });
            }
        }
        None
    }
}

/// What has to be read of a rollout: all but the last token, which is only predicted.
fn read_of(r: &Rollout) -> Vec<u32> {
    r.prompt.iter().chain(&r.answer[..r.answer.len() - 1]).copied().collect()
}

impl Sizes {
    fn new(config: &Config, rows: usize, kept: usize) -> Result<Sizes, Error> {
        if rows == 0 {
            return Err(Error::Empty { what: "a row to check in" });
        }
        if kept > config.context {
            return Err(Error::TooLong { what: "a prompt and answer", length: kept, limit: config.context });
        }
        if kept < 2 {
            return Err(Error::Empty { what: "room for a token of a prompt and one of its answer" });
        }
        let cache = Cache { rows, tokens: kept.next_multiple_of(PIECE) };
        // A single answer is read at once if it is not too long for that; the smaller programs are for what is left of longer ones.
        let mut read: Vec<[usize; 2]> =
            [PIECE, 8 * PIECE, 32 * PIECE].map(|n| [1, cache.tokens.min(n)]).into();
        if rows > 1 {
            read.extend([[rows, PIECE], [rows, cache.tokens.min(4 * PIECE)]]);
        }
        read.dedup();
        Ok(Sizes { cache, kept, read })
    }

    /// The programs that read, in the order of their sizes here.
    fn programs(&self, form: &Form) -> Result<Vec<Program>, Error> {
        self.read.iter().map(|[rows, tokens]| cache::speak(form, self.cache, *rows, *tokens)).collect()
    }
}
