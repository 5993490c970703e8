//! The network: from what is seen to what every cell will be, what the player does next, and how much of the build stands.

use exact::{AdamState, AdamW, Builder, Device, Limits, Program, Session, UnaryFn, Var};

use crate::dice::Dice;
use crate::error::Error;
use crate::view::{CELLS, CLASSES, PLANES, SIZE};

/// Channels of every convolution.
const WIDTH: usize = 16;
/// Convolutions after the first.
const DEPTH: usize = 4;
/// The head's numbers for a cell: the goal's classes, then the next action.
const HEAD: usize = CLASSES + 1;

/// The network's parameters, by name and shape.
fn parameters() -> Vec<(String, Vec<usize>)> {
    let mut all =
        vec![("first".to_owned(), vec![3, 3, 3, PLANES, WIDTH]), ("first.bias".to_owned(), vec![WIDTH])];
    for i in 0..DEPTH {
        all.push((format!("conv{i}"), vec![3, 3, 3, WIDTH, WIDTH]));
        all.push((format!("conv{i}.bias"), vec![WIDTH]));
    }
    all.push(("whole".to_owned(), vec![WIDTH, WIDTH]));
    all.push(("head".to_owned(), vec![WIDTH, HEAD]));
    all.push(("head.direct".to_owned(), vec![PLANES, HEAD]));
    all.push(("head.bias".to_owned(), vec![HEAD]));
    all.push(("value".to_owned(), vec![WIDTH, 1]));
    all.push(("value.bias".to_owned(), vec![1]));
    all
}

/// The weights of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// All numbers, parameter after parameter.
    numbers: Vec<f32>,
}

impl Weights {
    /// How many numbers a network has.
    pub fn count() -> usize {
        parameters().iter().map(|(_, dims)| dims.iter().product::<usize>()).sum()
    }

    /// Weights to begin with.
    pub(crate) fn first(seed: u64) -> Weights {
        let mut numbers = Vec::with_capacity(Weights::count());
        for (i, (name, dims)) in parameters().into_iter().enumerate() {
            let count: usize = dims.iter().product();
            let inputs: usize = dims[..dims.len() - 1].iter().product();
            let mut dice = Dice::new(seed, i as u64);
            // A uniform number of this bound has the variance 1 / inputs, or a third of it for what is added to a stream.
            let bound = match name.as_str() {
                "first" => (3.0 / 27.0 / 6.0_f32).sqrt(),
                n if n.ends_with("bias") || n == "head" || n == "head.direct" => 0.0,
                n if n.starts_with("conv") => (3.0 / inputs as f32).sqrt(),
                _ => (1.0 / inputs as f32).sqrt(),
            };
            numbers.extend((0..count).map(|_| dice.unit() * bound));
        }
        Weights { numbers }
    }

    /// As bytes, the same on every machine.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    /// From the bytes of [`Weights::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Weights, Error> {
        let expected = Weights::count() * 4;
        if bytes.len() != expected {
            return Err(Error::Weights { why: format!("{} bytes instead of {expected}", bytes.len()) });
        }
        let number = |b: &[u8]| b.first_chunk().map_or(f32::NAN, |b| f32::from_le_bytes(*b));
        let numbers: Vec<f32> = bytes.chunks_exact(4).map(number).collect();
        if numbers.iter().any(|n| !n.is_finite()) {
            return Err(Error::Weights { why: "a number that is none".to_owned() });
        }
        Ok(Weights { numbers })
    }

    /// The BLAKE3 hash of the bytes, in hexadecimal digits.
    pub fn hash(&self) -> String {
        blake3::hash(&self.to_bytes()).to_hex().to_string()
    }

    fn write(&self, session: &mut Session) -> Result<(), Error> {
        let mut from = 0;
        for (name, dims) in parameters() {
            let count: usize = dims.iter().product();
            session.write(&name, &self.numbers[from..from + count])?;
            from += count;
        }
        Ok(())
    }

    fn read(session: &Session) -> Result<Weights, Error> {
        let mut numbers = Vec::with_capacity(Weights::count());
        for (name, _) in parameters() {
            numbers.extend(session.read::<f32>(&name)?);
        }
        Ok(Weights { numbers })
    }
}

struct Heads {
    /// `[N * CELLS, CLASSES]`.
    goal: Var<f32>,
    /// `[N, CELLS]`.
    next: Var<f32>,
    /// `[N]`.
    value: Var<f32>,
    parameters: Vec<Var<f32>>,
}

fn forward(b: &mut Builder, rows: usize) -> Result<Heads, exact::Error> {
    let [x, y, z] = SIZE;
    let seen = b.input::<f32>("seen", &[rows, x, y, z, PLANES])?;
    let mut states = Vec::new();
    for (name, dims) in parameters() {
        states.push(b.state::<f32>(&name, &dims)?);
    }
    let mut state = states.iter().copied();
    let mut take = || {
        state.next().ok_or(exact::Error::UnknownName {
            kind: "state",
            name: "a parameter".to_owned(),
            known: String::new(),
        })
    };
    let (w, bias) = (take()?, take()?);
    let h = b.conv3d(seen, w, [1, 1, 1])?;
    let h = b.add(h, bias)?;
    let mut h = b.unary(UnaryFn::Relu, h)?;
    let mut convolutions = Vec::new();
    for _ in 0..DEPTH {
        convolutions.push((take()?, take()?));
    }
    let whole = take()?;
    for (i, (w, bias)) in convolutions.into_iter().enumerate() {
        let c = b.conv3d(h, w, [1, 1, 1])?;
        let mut c = b.add(c, bias)?;
        if i == DEPTH / 2 {
            // What the whole window has in common is told to every cell.
            let flat = b.reshape(h, &[rows, CELLS, WIDTH])?;
            let sum = b.sum(flat, 1)?;
            let mean = b.scale(sum, 1.0 / CELLS as f32)?;
            let told = b.matmul(mean, whole)?;
            let told = b.reshape(told, &[rows, 1, 1, 1, WIDTH])?;
            c = b.add(c, told)?;
        }
        let c = b.unary(UnaryFn::Relu, c)?;
        h = b.add(h, c)?;
    }
    let flat = b.reshape(h, &[rows * CELLS, WIDTH])?;
    let plain = b.reshape(seen, &[rows * CELLS, PLANES])?;
    let (head, direct, bias) = (take()?, take()?, take()?);
    let (a, d) = (b.matmul(flat, head)?, b.matmul(plain, direct)?);
    let logits = b.add(a, d)?;
    let logits = b.add(logits, bias)?;
    let goal = b.slice(logits, 1, 0, CLASSES)?;
    let next = b.slice(logits, 1, CLASSES, 1)?;
    let next = b.reshape(next, &[rows, CELLS])?;
    let (w, bias) = (take()?, take()?);
    let deep = b.reshape(h, &[rows, CELLS, WIDTH])?;
    let sum = b.sum(deep, 1)?;
    let mean = b.scale(sum, 1.0 / CELLS as f32)?;
    let value = b.matmul(mean, w)?;
    let value = b.add(value, bias)?;
    let value = b.unary(UnaryFn::Sigmoid, value)?;
    let value = b.reshape(value, &[rows])?;
    Ok(Heads { goal, next, value, parameters: states })
}

/// What the network says.
#[derive(Clone, Debug)]
pub(crate) struct Opinion {
    /// `[CELLS, CLASSES]`: how likely each cell comes to be what.
    pub(crate) goal: Vec<f32>,
    /// `[CELLS]`: how likely the player's next block is there.
    pub(crate) next: Vec<f32>,
    /// Which share of the build stands.
    pub(crate) value: f32,
}

/// A network that is asked.
pub(crate) struct Asker {
    session: Session,
}

impl Asker {
    pub(crate) fn new(weights: &Weights, device: &Device) -> Result<Asker, Error> {
        let mut b = Builder::new();
        let heads = forward(&mut b, 1)?;
        let goal = b.softmax(heads.goal)?;
        let next = b.softmax(heads.next)?;
        b.output("goal", goal)?;
        b.output("next", next)?;
        b.output("share", heads.value)?;
        let mut session =
            Session::new(&b.finish()?, device, Limits { memory_bytes: 256 << 20, ..Limits::default() })?;
        weights.write(&mut session)?;
        Ok(Asker { session })
    }

    pub(crate) fn ask(&mut self, planes: &[f32]) -> Result<Opinion, Error> {
        self.session.write("seen", planes)?;
        self.session.run()?;
        let read = |name| self.session.read::<f32>(name);
        Ok(Opinion { goal: read("goal")?, next: read("next")?, value: read("share")?[0] })
    }
}

/// One thing to learn from.
#[derive(Clone, Debug)]
pub(crate) struct Lesson {
    pub(crate) planes: Vec<f32>,
    /// The class that each cell came to be of.
    pub(crate) goal: Vec<u32>,
    pub(crate) weights: Vec<f32>,
    /// Where the player's next block was, if that is in the window.
    pub(crate) next: Option<usize>,
    pub(crate) value: f32,
}

/// Lessons of one step of learning.
pub(crate) const ROWS: usize = 16;

/// How much the other two heads count beside the goal.
const NEXT_COUNTS: f32 = 0.1;
const VALUE_COUNTS: f32 = 0.1;

/// A network that learns.
pub(crate) struct Learner {
    session: Session,
}

impl Learner {
    pub(crate) fn new(weights: &Weights, device: &Device) -> Result<Learner, Error> {
        let limits = Limits { memory_bytes: 1 << 30, ..Limits::default() };
        let mut session = Session::new(&step()?, device, limits)?;
        weights.write(&mut session)?;
        Ok(Learner { session })
    }

    /// One step on these lessons, at most [`ROWS`] of them; gives the goal's loss.
    pub(crate) fn learn(&mut self, lessons: &[Lesson], rate: f32) -> Result<f32, Error> {
        let mut seen = vec![0.0; ROWS * CELLS * PLANES];
        let (mut goal, mut weights) = (vec![0u32; ROWS * CELLS], vec![0.0f32; ROWS * CELLS]);
        let (mut next, mut knows) = (vec![0u32; ROWS], vec![0.0f32; ROWS]);
        let (mut value, mut rows) = (vec![0.0f32; ROWS], vec![0.0f32; ROWS]);
        for (i, lesson) in lessons.iter().take(ROWS).enumerate() {
            seen[i * CELLS * PLANES..(i + 1) * CELLS * PLANES].copy_from_slice(&lesson.planes);
            goal[i * CELLS..(i + 1) * CELLS].copy_from_slice(&lesson.goal);
            weights[i * CELLS..(i + 1) * CELLS].copy_from_slice(&lesson.weights);
            if let Some(at) = lesson.next {
                (next[i], knows[i]) = (at as u32, 1.0);
            }
            (value[i], rows[i]) = (lesson.value, 1.0);
        }
        let s = &mut self.session;
        s.write("seen", &seen)?;
        s.write("goal", &goal)?;
        s.write("weights", &weights)?;
        s.write("next", &next)?;
        s.write("knows", &knows)?;
        s.write("progress", &value)?;
        s.write("rows", &rows)?;
        s.write("lr", &[rate])?;
        s.run()?;
        Ok(s.read::<f32>("loss")?[0])
    }

    pub(crate) fn weights(&self) -> Result<Weights, Error> {
        Weights::read(&self.session)
    }
}

/// A step of learning as one program.
fn step() -> Result<Program, exact::Error> {
    let mut b = Builder::new();
    let heads = forward(&mut b, ROWS)?;
    let goal = b.input::<u32>("goal", &[ROWS * CELLS])?;
    let weights = b.input::<f32>("weights", &[ROWS * CELLS])?;
    let next = b.input::<u32>("next", &[ROWS])?;
    let knows = b.input::<f32>("knows", &[ROWS])?;
    let progress = b.input::<f32>("progress", &[ROWS])?;
    let rows = b.input::<f32>("rows", &[ROWS])?;

    let logp = b.token_logprob(heads.goal, goal)?;
    let goal_loss = weighted(&mut b, logp, weights)?;
    let logp = b.token_logprob(heads.next, next)?;
    let next_loss = weighted(&mut b, logp, knows)?;
    let off = b.sub(heads.value, progress)?;
    let square = b.mul(off, off)?;
    let minus = b.unary(UnaryFn::Neg, square)?;
    let value_loss = weighted(&mut b, minus, rows)?;
    let next_loss = b.scale(next_loss, NEXT_COUNTS)?;
    let value_loss = b.scale(value_loss, VALUE_COUNTS)?;
    let loss = b.add(goal_loss, next_loss)?;
    let loss = b.add(loss, value_loss)?;
    b.output("loss", goal_loss)?;

    let gradients = b.gradients(loss, &heads.parameters)?;
    let (gscale, _) = b.clip_scale(&gradients, 1.0)?;
    let lr = b.input::<f32>("lr", &[])?;
    let (b1, b2) = (0.9, 0.99);
    let (c1, c2) = (correction(&mut b, "c1", b1)?, correction(&mut b, "c2", b2)?);
    for (((name, dims), p), g) in parameters().into_iter().zip(&heads.parameters).zip(gradients) {
        let m = b.state::<f32>(&format!("{name}.m"), &dims)?;
        let v = b.state::<f32>(&format!("{name}.v"), &dims)?;
        let with = AdamW { lr, gscale, c1, c2, b1, b2, eps: 1e-8, decay: 0.0 };
        let (moved, state) = b.adamw(*p, g, AdamState { m, v }, &with)?;
        b.assign(m, state.m)?;
        b.assign(v, state.v)?;
        b.assign(*p, moved)?;
    }
    b.finish()
}

/// Minus the mean of log-probabilities by these weights.
fn weighted(b: &mut Builder, logp: Var<f32>, weights: Var<f32>) -> Result<Var<f32>, exact::Error> {
    let product = b.mul(logp, weights)?;
    let (sum, all) = (b.sum_all(product)?, b.sum_all(weights)?);
    let tiny = b.scalar(1e-6)?;
    let all = b.add(all, tiny)?;
    let mean = b.div(sum, all)?;
    b.unary(UnaryFn::Neg, mean)
}

/// `1 / (1 - beta^t)`: a state follows `1 - beta^t`, so that no power function is needed.
fn correction(b: &mut Builder, name: &str, beta: f32) -> Result<Var<f32>, exact::Error> {
    let rest = b.state::<f32>(name, &[])?;
    let (beta, fresh) = (b.scalar(beta)?, b.scalar(1.0 - beta)?);
    let next = b.fma(beta, rest, fresh)?;
    b.assign(rest, next)?;
    b.unary(UnaryFn::Recip, next)
}
