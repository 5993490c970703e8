//! The keys and values that models remember, and the programs that work on them.
//!
//! A cache is two states per layer, `[rows, tokens, kv_heads, head_dim]`, which programs of many sizes share. A program works on some
//! neighbouring rows of it, its *window*, without copying any: what is new is written where it belongs, and attention reads it there.

use exact::{Builder, IntFn, Limits, Program, Session, Var};

use crate::config::Config;
use crate::decoder::{Memory, decoder};
use crate::plan::Need;
use crate::weights::{Form, Weights};
use crate::{Error, Model};

/// Tokens that are copied from row to row together.
pub(super) const PIECE: usize = 16;
/// Up to this many rows are written one by one, more of them all at once beside the rows that are left as they are.
const ONE_BY_ONE: usize = 4;

/// The shape of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cache {
    pub(crate) rows: usize,
    /// A multiple of [`PIECE`].
    pub(crate) tokens: usize,
}

/// The rows of a cache that a program works on, from `first` on, and how many tokens each has already.
pub(crate) struct Window {
    cache: Cache,
    first: usize,
    /// For each row of the cache.
    all: Var<u32>,
    /// For each row of the window.
    pub(crate) start: Var<u32>,
    /// For each row of the window, the place of its next token if all rows of the cache lay one after another.
    places: Vec<Var<u32>>,
}

impl Window {
    /// A window of `rows` rows, with an input `start` that says how many tokens each row of the cache has.
    pub(crate) fn new(b: &mut Builder, cache: Cache, first: usize, rows: usize) -> Result<Window, Error> {
        let all = b.input::<u32>("start", &[cache.rows])?;
        let start = b.slice(all, 0, first, rows)?;
        let place = |i: usize| {
            let (row, from) = (b.slice(start, 0, i, 1)?, b.full(&[1], ((first + i) * cache.tokens) as u32)?);
            Ok(b.int(IntFn::Add, row, from)?)
        };
        let places = (0..rows).map(place).collect::<Result<_, Error>>()?;
        Ok(Window { cache, first, all, start, places })
    }

    /// Writes what is new of `kept` (`k` or `v`) of a layer behind what there is; gives all of the window's rows.
    pub(crate) fn extend(
        &self,
        b: &mut Builder,
        layer: usize,
        kept: &str,
        new: Var<f32>,
    ) -> Result<Var<f32>, Error> {
        let Cache { rows, tokens } = self.cache;
        let [count, fresh, heads, dim] = [0, 1, 2, 3].map(|axis| new.dim(axis));
        let cache = state(b, layer, kept, self.cache, heads, dim)?;
        let longer = if count == rows {
            b.write_rows(cache, new, self.all)?
        } else if fresh == 1 && count > ONE_BY_ONE {
            // The other rows are given zeros behind their last token, which whoever speaks there next writes over.
            let new = b.pad(new, 0, self.first, rows - self.first - count)?;
            b.write_rows(cache, new, self.all)?
        } else {
            let mut flat = b.reshape(cache, &[1, rows * tokens, heads, dim])?;
            for (i, place) in self.places.iter().enumerate() {
                let row = b.slice(new, 0, i, 1)?;
                flat = b.write_rows(flat, row, *place)?;
            }
            b.reshape(flat, &[rows, tokens, heads, dim])?
        };
        b.assign(cache, longer)?;
        Ok(b.slice(longer, 0, self.first, count)?)
    }
}

fn state(
    b: &mut Builder,
    layer: usize,
    kept: &str,
    Cache { rows, tokens }: Cache,
    heads: usize,
    dim: usize,
) -> Result<Var<f32>, Error> {
    Ok(b.state::<f32>(&format!("cache.{layer}.{kept}"), &[rows, tokens, heads, dim])?)
}

/// A program that reads `tokens` tokens into each of `rows` rows from `first` on, and says nothing.
pub(super) fn read(
    form: &Form,
    cache: Cache,
    first: usize,
    rows: usize,
    tokens: usize,
) -> Result<Program, Error> {
    let mut b = Builder::new();
    let ids = b.input::<u32>("ids", &[rows, tokens])?;
    let weights = Weights::declare_in(&mut b, form)?;
    let window = Window::new(&mut b, cache, first, rows)?;
    // What no state needs is left out: the last layer is its keys and values alone.
    decoder(&mut b, form.config(), &weights, ids, &Memory::Cached(window))?;
    Ok(b.finish()?)
}

/// A program that reads `tokens` tokens into each of the first `rows` rows, and draws a token after each of them.
pub(super) fn speak(form: &Form, cache: Cache, rows: usize, tokens: usize) -> Result<Program, Error> {
    let mut b = Builder::new();
    let ids = b.input::<u32>("ids", &[rows, tokens])?;
    let n = rows * tokens;
    let seeds = b.input("seeds", &[n, 4])?;
    let temperature = b.input("temperature", &[n])?;
    let top_k = b.input("top_k", &[n])?;
    let top_p = b.input("top_p", &[n])?;
    let weights = Weights::declare_in(&mut b, form)?;
    let window = Window::new(&mut b, cache, 0, rows)?;
    let x = decoder(&mut b, form.config(), &weights, ids, &Memory::Cached(window))?;
    let logits = weights.head(&mut b, form.config(), x)?;
    let token = b.sample(logits, seeds, temperature, top_k, top_p)?;
    let logp = b.token_logprob(logits, token)?;
    b.output("token", token)?;
    b.output("logp", logp)?;
    Ok(b.finish()?)
}

/// A program that copies pieces of the cache to other places of it, all of them read before any is written.
///
/// The inputs `from` and `to` count pieces through all rows.
pub(super) fn copy(config: &Config, cache: Cache, pieces: usize) -> Result<Program, Error> {
    let mut b = Builder::new();
    let from = b.input::<u32>("from", &[pieces])?;
    let to = b.input::<u32>("to", &[pieces])?;
    let piece = b.scalar(PIECE as u32)?;
    let to = b.int(IntFn::Mul, to, piece)?;
    let places = (0..pieces).map(|i| Ok(b.slice(to, 0, i, 1)?)).collect::<Result<Vec<_>, Error>>()?;
    let (heads, dim) = (config.kv_heads, config.head_dim);
    let all = cache.rows * cache.tokens;
    for layer in 0..config.layers {
        for kept in ["k", "v"] {
            let cache_state = state(&mut b, layer, kept, cache, heads, dim)?;
            let table = b.reshape(cache_state, &[all / PIECE, PIECE * heads * dim])?;
            let copied = b.gather(table, from)?;
            let mut flat = b.reshape(cache_state, &[1, all, heads, dim])?;
            for (i, place) in places.iter().enumerate() {
                let one = b.slice(copied, 0, i, 1)?;
                let one = b.reshape(one, &[1, PIECE, heads, dim])?;
                flat = b.write_rows(flat, one, *place)?;
            }
            let moved = b.reshape(flat, &[cache.rows, cache.tokens, heads, dim])?;
            b.assign(cache_state, moved)?;
        }
    }
    Ok(b.finish()?)
}

/// Sessions of programs that share a model's weights and one cache, and the bytes that all of it takes; or, before any memory is taken, why
/// they would not fit.
pub(super) fn share(
    model: &Model,
    programs: &[Program],
    limits: Limits,
    what: &str,
    remedy: &str,
) -> Result<(Vec<Session>, u64), Error> {
    let needed = Need::of(model.config(), programs, model.device()).total();
    if needed > limits.memory_bytes {
        let (what, remedy) = (what.to_owned(), remedy.to_owned());
        return Err(Error::Memory { what, needed, limit: limits.memory_bytes, remedy });
    }
    // The weights belong to the model; the cache to these programs, who get it from the first of them.
    let mut sessions: Vec<Session> = Vec::with_capacity(programs.len());
    for program in programs {
        let session = sessions.first().unwrap_or(model.session()).share(program, limits)?;
        sessions.push(session);
    }
    Ok((sessions, needed))
}
