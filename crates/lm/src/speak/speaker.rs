//! The speaker: requests take seats, are given a token a step, and leave.
//!
//! The rows of its cache are *seats*, where answers are spoken, and *pages*, into which prompts are read. All of a prompt but its last
//! token is read into a page, a piece a step, so that a long one keeps nobody waiting. Then it is copied to a seat: to as many as asked
//! the same, and a page that is read stays as it is until another prompt needs it. The last token of the prompt is the first that the
//! seat's row is asked to go on from. A speaker of one seat has no page: it reads into the seat, which remembers its last conversation.
//!
//! Seats that are taken come first in the cache. There are programs for 1, 2, 4, … seats, and a step runs the smallest that has
//! them all, so that empty seats cost little.

use std::collections::VecDeque;

use exact::{Limits, Program, Session};

use super::cache::{self, Cache, PIECE};
use super::request::{Request, Rollout};
use super::stop::{Ending, Words};
use crate::config::Config;
use crate::model::Root;
use crate::weights::Form;
use crate::{Error, Model};

/// Names a request among those of one speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// What a step of speaking brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A token more of an answer.
    Token {
        /// Whose it is.
        id: RequestId,
        /// The token.
        token: u32,
        /// Its log-probability at temperature 1 and with nothing left out.
        logp: f32,
    },
    /// An answer that has come to its end.
    Done {
        /// Whose it is.
        id: RequestId,
        /// The answer, as anyone can check it.
        rollout: Rollout,
    },
}

/// Answers requests, many at a time.
#[derive(Debug)]
pub struct Speaker {
    form: Form,
    sizes: Sizes,
    programs: Programs,
    words: Option<Words>,
    root: Root,
    waiting: VecDeque<Waiting>,
    pages: Vec<Page>,
    seats: Vec<Option<Seat>>,
    next: u64,
    /// What a step brought to requests that whoever ran it had not asked.
    kept: Vec<Event>,
    bytes: u64,
}

/// How many of everything a speaker has.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    seats: usize,
    pages: usize,
    cache: Cache,
    /// Tokens that a prompt and its answer may have together.
    kept: usize,
    /// Seats of the speaking programs, rising.
    speak: Vec<usize>,
    /// Pages and tokens of the reading programs.
    read: Vec<[usize; 2]>,
    /// Pieces that the copying program copies, if there is one.
    copy: Option<usize>,
}

#[derive(Debug)]
struct Programs {
    speak: Vec<Session>,
    read: Vec<Session>,
    copy: Option<Session>,
}

/// A request that has no seat yet.
#[derive(Debug)]
struct Waiting {
    id: RequestId,
    request: Request,
    page: Option<usize>,
}

/// A row into which a prompt is read.
#[derive(Debug, Default)]
struct Page {
    tokens: Vec<u32>,
    /// How many of them the cache has.
    read: usize,
    /// Requests that need it as it is.
    wanted: usize,
}

/// An answer under way.
#[derive(Debug)]
struct Seat {
    id: RequestId,
    request: Request,
    answer: Vec<u32>,
    logps: Vec<f32>,
}

impl Seat {
    /// The token to go on from.
    fn last(&self) -> u32 {
        self.answer.last().or(self.request.prompt.last()).copied().unwrap_or(0)
    }

    /// How many tokens there are, that one included.
    fn length(&self) -> usize {
        self.request.prompt.len() + self.answer.len()
    }

    fn rollout(self, root: [u8; 32], ending: Ending) -> Rollout {
        let Request { prompt, seed, sampling, until } = self.request;
        Rollout { root, prompt, answer: self.answer, logps: self.logps, seed, sampling, until, ending }
    }
}

impl Speaker {
    /// A speaker with this many seats, for prompts that have, together with their answers, up to `tokens` tokens.
    ///
    /// It takes all memory it will need now, and none if that were more than the limit. [`plan_speaker`](crate::plan_speaker) says what
    /// that is, and what would fit.
    pub fn new(model: &Model, seats: usize, tokens: usize, limits: Limits) -> Result<Speaker, Error> {
        let form = model.form().clone();
        let sizes = Sizes::new(form.config(), seats, tokens)?;
        let what = format!("a speaker of {seats} seats for {tokens} tokens each");
        let remedy =
            "give it fewer seats or shorter answers, or raise the limit; `plan_speaker` finds what fits";
        let (mut speak, bytes) = cache::share(model, &sizes.programs(&form)?, limits, &what, remedy)?;
        let mut read = speak.split_off(sizes.speak.len());
        let copy = read.split_off(sizes.read.len()).pop();
        Ok(Speaker {
            programs: Programs { speak, read, copy },
            words: None,
            root: Root::default(),
            waiting: VecDeque::new(),
            pages: (0..sizes.pages.max(1)).map(|_| Page::default()).collect(),
            seats: (0..seats).map(|_| None).collect(),
            next: 0,
            kept: Vec::new(),
            form,
            sizes,
            bytes,
        })
    }

    /// Lets requests name stop texts: `words` says what text each token stands for.
    pub fn with_words(mut self, words: Words) -> Speaker {
        self.words = Some(words);
        self
    }

    /// Takes a request, which the next steps will answer.
    pub fn ask(&mut self, request: Request) -> Result<RequestId, Error> {
        request.check(self.form.config().vocabulary, self.sizes.kept, self.words.as_ref())?;
        let id = RequestId(self.next);
        self.next += 1;
        self.waiting.push_back(Waiting { id, request, page: None });
        Ok(id)
    }

    /// Goes on by at most a token for each seat, reads a piece of prompts that wait, and says what came of it.
    ///
    /// There is nothing left to do once [`Speaker::under_way`] is 0.
    pub fn step(&mut self) -> Result<Vec<Event>, Error> {
        let mut events = std::mem::take(&mut self.kept);
        self.look_at_weights()?;
        self.read()?;
        self.close_ranks()?;
        self.speak(&mut events)?;
        Ok(events)
    }

    /// How many requests wait or are being answered.
    pub fn under_way(&self) -> usize {
        self.waiting.len() + self.seats.iter().flatten().count()
    }

    /// Lets go of a request; gives what was answered so far, or nothing if it had no seat yet or is none of those under way.
    pub fn cancel(&mut self, id: RequestId) -> Result<Option<Rollout>, Error> {
        if let Some(at) = self.waiting.iter().position(|w| w.id == id) {
            if let Some(page) = self.waiting.remove(at).and_then(|w| w.page) {
                self.pages[page].wanted -= 1;
            }
            return Ok(None);
        }
        let of_that_id = |seat: &Option<Seat>| seat.as_ref().is_some_and(|s| s.id == id);
        let Some(at) = self.seats.iter().position(of_that_id) else { return Ok(None) };
        let root = self.root.get(&self.form, &self.programs.speak[0])?;
        Ok(self.leave(at).map(|seat| seat.rollout(root, Ending::Cancelled)))
    }

    /// Answers these requests, and gives the answers in their order.
    pub fn answer(&mut self, requests: &[Request]) -> Result<Vec<Rollout>, Error> {
        for request in requests {
            request.check(self.form.config().vocabulary, self.sizes.kept, self.words.as_ref())?;
        }
        let first = self.next;
        for request in requests {
            self.ask(request.clone())?;
        }
        let mut answers: Vec<Option<Rollout>> = vec![None; requests.len()];
        let mut missing = requests.len();
        while missing > 0 {
            for event in self.step()? {
                let (Event::Token { id, .. } | Event::Done { id, .. }) = &event;
                match (id.0.checked_sub(first), event) {
                    (Some(at), Event::Done { rollout, .. }) => {
                        answers[at as usize] = Some(rollout);
                        missing -= 1;
                    }
                    (Some(_), Event::Token { .. }) => {}
                    (None, event) => self.kept.push(event),
                }
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// The bytes it holds, the model's weights included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keys and values of other weights are of no use.
    fn look_at_weights(&mut self) -> Result<(), Error> {
        if !self.root.moved(&self.form, &self.programs.speak[0])? {
            return Ok(());
        }
        self.pages.iter_mut().for_each(|page| page.read = 0);
        match self.seats.iter().flatten().count() {
            0 => Ok(()),
            answers => {
                // Asked again, it still finds them changed: what the seats remember stays what it is.
                self.root = Root::default();
                Err(Error::Changed { answers })
            }
        }
    }

    /// Reads prompts and seats those who wait, as far as there is room and others need not wait long.
    fn read(&mut self) -> Result<(), Error> {
        let others = self.seats.iter().any(Option::is_some);
        let mut budget = self.sizes.seats * if others { 8 } else { 32 };
        loop {
            self.open_pages();
            self.take_seats()?;
            let reading = self.pages.iter().any(|page| page.wanted > 0 && page.read < page.tokens.len());
            if !reading || budget == 0 {
                return Ok(());
            }
            budget = budget.saturating_sub(self.read_once()?);
        }
    }

    /// Gives a page to each of those next in line whose prompt needs one.
    fn open_pages(&mut self) {
        let in_place_and_taken = self.sizes.in_place() && self.seats[0].is_some();
        // In the one seat there is nothing to prepare for those further back.
        let ahead = if self.sizes.in_place() { 1 } else { self.sizes.ahead() };
        for waiting in self.waiting.iter_mut().take(ahead).filter(|w| w.page.is_none()) {
            let prompt = &waiting.request.prompt;
            let needed = &prompt[..prompt.len() - 1];
            if needed.is_empty() {
                continue;
            }
            let same = |page: &Page| page.wanted > 0 && page.tokens.starts_with(needed);
            let common =
                |page: &Page| page.tokens[..page.read].iter().zip(needed).take_while(|(a, b)| a == b).count();
            let page = match self.pages.iter().position(same) {
                Some(page) => page,
                None if in_place_and_taken => break,
                None => {
                    // Of those that nobody needs, the one with the longest part of it; the lowest of equals.
                    let free = (0..self.pages.len()).filter(|i| self.pages[*i].wanted == 0);
                    let Some(best) = free.rev().max_by_key(|i| common(&self.pages[*i])) else { break };
                    let page = &mut self.pages[best];
                    page.read = common(page);
                    needed.clone_into(&mut page.tokens);
                    best
                }
            };
            self.pages[page].wanted += 1;
            waiting.page = Some(page);
        }
    }

    /// Seats those next in line whose prompts have been read.
    fn take_seats(&mut self) -> Result<(), Error> {
        let mut moves = Vec::new();
        let mut at = 0;
        while at < self.waiting.len().min(self.sizes.ahead()) {
            let Some(free) = self.seats.iter().position(Option::is_none) else { break };
            let waiting = &self.waiting[at];
            let needed = waiting.request.prompt.len() - 1;
            let ready = needed == 0 || waiting.page.is_some_and(|page| self.pages[page].read >= needed);
            if !ready && self.sizes.in_place() {
                break;
            }
            if !ready {
                at += 1;
                continue;
            }
            let Some(Waiting { id, request, page }) = self.waiting.remove(at) else { break };
            if self.sizes.in_place() {
                // The page is the seat, and remembers what is said there.
                let page = &mut self.pages[0];
                page.tokens.truncate(needed);
                page.read = needed;
            } else if let Some(page) = page {
                let pieces = self.sizes.cache.tokens / PIECE;
                let [from, to] = [self.sizes.seats + page, free].map(|row| (row * pieces) as u32);
                moves.extend((0..needed.div_ceil(PIECE) as u32).map(|i| [from + i, to + i]));
                self.pages[page].wanted -= 1;
            }
            self.seats[free] = Some(Seat { id, request, answer: Vec::new(), logps: Vec::new() });
        }
        self.copy(&moves)
    }

    /// Reads one piece of as many prompts as a program takes; gives how many tokens the program was made for.
    fn read_once(&mut self) -> Result<usize, Error> {
        let left = |page: &Page| if page.wanted > 0 { page.tokens.len() - page.read } else { 0 };
        // Most tokens for what it takes, where a call takes something in itself.
        let worth = |[pages, tokens]: [usize; 2]| {
            let useful: usize = self.pages[..pages].iter().map(|page| left(page).min(tokens)).sum();
            (useful << 16) / (pages * tokens + 16)
        };
        let Some(best) = (0..self.sizes.read.len()).max_by_key(|i| worth(self.sizes.read[*i])) else {
            return Ok(0);
        };
        let [pages, tokens] = self.sizes.read[best];
        let mut ids = vec![0; pages * tokens];
        let mut start = self.starts();
        for (i, page) in self.pages[..pages].iter_mut().enumerate() {
            // Where the cache ends before the piece does, some tokens are read again: they give the same bits.
            let from = page.read.min(self.sizes.cache.tokens - tokens);
            start[self.sizes.first_page() + i] = from as u32;
            if page.wanted == 0 {
                page.read = from;
                continue;
            }
            let end = page.tokens.len().min(from + tokens);
            ids[i * tokens..][..end - from].copy_from_slice(&page.tokens[from..end]);
            page.read = end;
        }
        let session = &mut self.programs.read[best];
        session.write("ids", &ids)?;
        session.write("start", &start)?;
        session.run()?;
        Ok(pages * tokens)
    }

    /// Moves the last of those who are seated to free seats, where a smaller program then has them all.
    fn close_ranks(&mut self) -> Result<(), Error> {
        let seated = self.seats.iter().flatten().count();
        let Some(last) = self.seats.iter().rposition(Option::is_some) else { return Ok(()) };
        let (now, enough) = (self.sizes.speaking(last + 1), self.sizes.speaking(seated));
        if enough >= now {
            return Ok(());
        }
        let few = self.sizes.speak[enough];
        let pieces = self.sizes.cache.tokens / PIECE;
        let mut moves = Vec::new();
        for from in few..=last {
            if let Some(seat) = self.seats[from].take()
                && let Some(to) = self.seats.iter().position(Option::is_none)
            {
                let remembered = (seat.length() - 1).div_ceil(PIECE);
                moves.extend((0..remembered).map(|i| [(from * pieces + i) as u32, (to * pieces + i) as u32]));
                self.seats[to] = Some(seat);
            }
        }
        self.copy(&moves)
    }

    /// Draws a token for everyone who is seated.
    fn speak(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        let Some(last) = self.seats.iter().rposition(Option::is_some) else { return Ok(()) };
        let program = self.sizes.speaking(last + 1);
        let rows = self.sizes.speak[program];
        let (mut ids, mut seeds) = (vec![0; rows], vec![0; 4 * rows]);
        let (mut temperature, mut top_k, mut top_p) = (vec![0.0; rows], vec![0; rows], vec![1.0; rows]);
        let start = self.starts();
        for (row, seat) in self.seats[..rows].iter().enumerate() {
            let Some(seat) = seat else { continue };
            let Request { seed, sampling, .. } = &seat.request;
            ids[row] = seat.last();
            let key = [*seed as u32, (*seed >> 32) as u32, 0, seat.length() as u32];
            seeds[4 * row..][..4].copy_from_slice(&key);
            temperature[row] = sampling.temperature;
            top_k[row] = sampling.top_k;
            top_p[row] = sampling.top_p;
        }
        let session = &mut self.programs.speak[program];
        session.write("ids", &ids)?;
        session.write("start", &start)?;
        session.write("seeds", &seeds)?;
        session.write("temperature", &temperature)?;
        session.write("top_k", &top_k)?;
        session.write("top_p", &top_p)?;
        session.run()?;
        let (tokens, logps) = (session.read::<u32>("token")?, session.read::<f32>("logp")?);
        for row in 0..rows {
            let Some(seat) = &mut self.seats[row] else { continue };
            if self.sizes.in_place() {
                self.pages[0].tokens.push(ids[row]);
                self.pages[0].read += 1;
            }
            let (id, token, logp) = (seat.id, tokens[row], logps[row]);
            seat.answer.push(token);
            seat.logps.push(logp);
            let ending = seat.request.until.ending(&seat.answer, self.words.as_ref());
            events.push(Event::Token { id, token, logp });
            if let Some(ending) = ending {
                let root = self.root.get(&self.form, &self.programs.speak[0])?;
                events.extend(
                    self.leave(row).map(|seat| Event::Done { id, rollout: seat.rollout(root, ending) }),
                );
            }
        }
        Ok(())
    }

    fn leave(&mut self, row: usize) -> Option<Seat> {
        let seat = self.seats[row].take();
        if self.sizes.in_place() && seat.as_ref().is_some_and(|s| s.request.prompt.len() > 1) {
            self.pages[0].wanted -= 1;
        }
        seat
    }

    /// How many tokens each row of the cache has: what a program writes for rows that it does not work on goes behind them.
    fn starts(&self) -> Vec<u32> {
        let seats = self.seats.iter().map(|seat| seat.as_ref().map_or(0, |s| s.length() as u32 - 1));
        let pages = self.pages.iter().map(|page| page.read as u32);
        let pages = pages.take(if self.sizes.in_place() { 0 } else { self.pages.len() });
        seats.chain(pages).collect()
    }

    /// Copies pieces of the cache: pairs of where from and where to.
    fn copy(&mut self, moves: &[[u32; 2]]) -> Result<(), Error> {
        let (Some(session), Some(pieces)) = (&mut self.programs.copy, self.sizes.copy) else { return Ok(()) };
        for some in moves.chunks(pieces) {
            // Those that are over do the last again.
            let pair = |i: usize| some[i.min(some.len() - 1)];
            session.write("from", &(0..pieces).map(|i| pair(i)[0]).collect::<Vec<_>>())?;
            session.write("to", &(0..pieces).map(|i| pair(i)[1]).collect::<Vec<_>>())?;
            session.run()?;
        }
        Ok(())
    }
}

impl Sizes {
    /// What a speaker has for this many seats and tokens.
    pub(crate) fn new(config: &Config, seats: usize, kept: usize) -> Result<Sizes, Error> {
        if seats == 0 {
            return Err(Error::Empty { what: "a seat to speak from" });
        }
        if kept > config.context {
            return Err(Error::TooLong { what: "a prompt and answer", length: kept, limit: config.context });
        }
        if kept < 2 {
            return Err(Error::Empty { what: "room for a token of a prompt and one of its answer" });
        }
        let pages = if seats == 1 { 0 } else { seats.div_ceil(8) };
        let cache = Cache { rows: seats + pages, tokens: kept.next_multiple_of(PIECE) };
        let mut speak: Vec<usize> = (0..usize::BITS).map(|i| 1 << i).take_while(|n| *n < seats).collect();
        speak.push(seats);
        let long = cache.tokens.min(8 * PIECE);
        let mut read = vec![[1, PIECE], [1, long]];
        if pages > 1 {
            read.extend([[pages, PIECE], [pages, cache.tokens.min(4 * PIECE)]]);
        }
        read.dedup();
        let copy = (seats > 1).then(|| (seats / 2).clamp(4, 32));
        Ok(Sizes { seats, pages, cache, kept, speak, read, copy })
    }

    /// All programs of a speaker: those that speak, those that read, and the one that copies, if there is one.
    pub(crate) fn programs(&self, form: &Form) -> Result<Vec<Program>, Error> {
        let speak = self.speak.iter().map(|seats| cache::speak(form, self.cache, *seats, 1));
        let read =
            |[pages, tokens]: &[usize; 2]| cache::read(form, self.cache, self.first_page(), *pages, *tokens);
        let copy = self.copy.map(|pieces| cache::copy(form.config(), self.cache, pieces));
        speak.chain(self.read.iter().map(read)).chain(copy).collect()
    }

    /// Whether prompts are read where they are answered.
    fn in_place(&self) -> bool {
        self.pages == 0
    }

    fn first_page(&self) -> usize {
        if self.in_place() { 0 } else { self.seats }
    }

    /// The smallest speaking program for this many seats.
    fn speaking(&self, seats: usize) -> usize {
        self.speak.iter().position(|n| *n >= seats).unwrap_or(self.speak.len() - 1)
    }

    /// How many of those in line are looked at, so that a long line does not make each step long.
    fn ahead(&self) -> usize {
        2 * (self.seats + self.pages)
    }
}
