//! One training step of a small Llama-like decoder as an `exact` program; `peers/torch_peer.py` has the same model.

use crate::Result;
use crate::numbers::{fill, ids};
use exact::{AdamState, AdamW, Builder, Device, Limits, Program, RopeTables, Session, Var};
use serde_json::{Value, json};

const EPS: f32 = 1e-5;
const BETAS: (f32, f32) = (0.9, 0.95);

/// What the decoder is like.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) layers: usize,
    pub(crate) d: usize,
    pub(crate) heads: usize,
    pub(crate) d_ff: usize,
    pub(crate) vocab: usize,
    pub(crate) batch: usize,
    pub(crate) length: usize,
}

impl Size {
    /// The one that the README speaks of.
    pub(crate) const SMALL: Size =
        Size { layers: 6, d: 256, heads: 8, d_ff: 704, vocab: 512, batch: 32, length: 128 };

    pub(crate) fn tokens(&self) -> usize {
        self.batch * self.length
    }

    pub(crate) fn request(&self) -> Value {
        json!({ "layers": self.layers, "d": self.d, "heads": self.heads, "d_ff": self.d_ff,
            "vocab": self.vocab, "batch": self.batch, "length": self.length })
    }

    /// The floating-point operations of the step's matrix products: the weights', and attention's (causal: half of each).
    pub(crate) fn products(&self) -> f64 {
        let (d, t) = (self.d as f64, self.tokens() as f64);
        let weights = self.layers as f64 * (4.0 * d * d + 3.0 * d * self.d_ff as f64) + d * self.vocab as f64;
        let seen = (self.length + 1) as f64 / 2.0;
        // Forward, and two for each in backward; attention works out its scores once more there.
        let attention = self.layers as f64 * t * seen * d * (2.0 + 5.0);
        2.0 * (3.0 * weights * t + attention)
    }
}

/// A parameter with what AdamW keeps for it.
struct Parameter {
    p: Var<f32>,
    state: AdamState,
}

/// First values, by name.
type Values = Vec<(String, Vec<f32>)>;

/// Builds parameters and remembers their first values.
struct Parameters {
    all: Vec<Parameter>,
    values: Values,
}

impl Parameters {
    fn add(&mut self, b: &mut Builder, name: &str, dims: &[usize], values: Vec<f32>) -> Result<Var<f32>> {
        let p = b.state(name, dims)?;
        let state =
            AdamState { m: b.state(&format!("{name}.m"), dims)?, v: b.state(&format!("{name}.v"), dims)? };
        self.all.push(Parameter { p, state });
        self.values.push((name.to_owned(), values));
        Ok(p)
    }

    fn weight(
        &mut self,
        b: &mut Builder,
        layer: usize,
        i: usize,
        name: &str,
        dims: [usize; 2],
    ) -> Result<Var<f32>> {
        let scale = (dims[0] as f64).powf(-0.5) as f32;
        let values = fill((10 + 10 * layer + i) as u32, dims[0] * dims[1], scale);
        self.add(b, &format!("{layer}.{name}"), &dims, values)
    }

    fn ones(&mut self, b: &mut Builder, name: &str, d: usize) -> Result<Var<f32>> {
        self.add(b, name, &[d], vec![1.0; d])
    }
}

/// The step, ready to run again and again.
pub(crate) struct Step {
    pub(crate) session: Session,
    done: i32,
}

impl Step {
    pub(crate) fn new(size: &Size, threads: usize) -> Result<Step> {
        let (program, values) = program(size)?;
        let mut session = Session::new(&program, &Device::cpu(threads), Limits::default())?;
        for (name, values) in &values {
            session.write(name, values)?;
        }
        session.write("tokens", &ids(2, size.tokens(), size.vocab as u32))?;
        session.write("targets", &ids(3, size.tokens(), size.vocab as u32))?;
        Ok(Step { session, done: 0 })
    }

    /// Tells the next step's number; what remains is to run it.
    pub(crate) fn advance(&mut self) -> Result {
        self.done += 1;
        for (name, beta) in [("c1", BETAS.0), ("c2", BETAS.1)] {
            let correction = 1.0 / (1.0 - f64::from(beta).powi(self.done));
            self.session.write(name, &[correction as f32])?;
        }
        Ok(())
    }

    pub(crate) fn run(&mut self) -> Result {
        self.advance()?;
        Ok(self.session.run()?)
    }

    /// The loss and the gradients' norm of the last step.
    pub(crate) fn seen(&self) -> Result<[f32; 2]> {
        let mut both = [0.0; 2];
        for (slot, name) in both.iter_mut().zip(["loss", "norm"]) {
            self.session.read_into(name, std::slice::from_mut(slot))?;
        }
        Ok(both)
    }
}

fn program(size: &Size) -> Result<(Program, Values)> {
    let &Size { layers, d, d_ff, vocab, batch, length, .. } = size;
    let mut b = Builder::new();
    let tokens = b.input::<u32>("tokens", &[size.tokens()])?;
    let targets = b.input::<u32>("targets", &[size.tokens()])?;
    let (c1, c2) = (b.input::<f32>("c1", &[])?, b.input::<f32>("c2", &[])?);
    let positions = b.iota(&[length], 0)?;
    let turn = b.rope_tables(positions, d / size.heads, 10000.0)?;
    let start = b.full::<u32>(&[batch], 0)?;

    let mut parameters = Parameters { all: Vec::new(), values: Vec::new() };
    let embedding = parameters.add(&mut b, "embedding", &[vocab, d], fill(1, vocab * d, 0.05))?;
    let mut x = b.gather(embedding, tokens)?;
    for layer in 0..layers {
        let norm = parameters.ones(&mut b, &format!("{layer}.norm1"), d)?;
        let mut weight = |b: &mut Builder, i, name, dims| parameters.weight(b, layer, i, name, dims);
        let [q, k, v, o] = [
            weight(&mut b, 0, "q", [d, d])?,
            weight(&mut b, 1, "k", [d, d])?,
            weight(&mut b, 2, "v", [d, d])?,
            weight(&mut b, 3, "o", [d, d])?,
        ];
        let (gate, up) = (weight(&mut b, 4, "gate", [d, d_ff])?, weight(&mut b, 5, "up", [d, d_ff])?);
        let down = weight(&mut b, 6, "down", [d_ff, d])?;
        let norm2 = parameters.ones(&mut b, &format!("{layer}.norm2"), d)?;

        let (h, _) = b.rms_norm(x, norm, EPS)?;
        let h = attend(&mut b, size, h, [q, k, v], &turn, start)?;
        let h = b.matmul(h, o)?;
        x = b.add(x, h)?;
        let (h, _) = b.rms_norm(x, norm2, EPS)?;
        let (g, u) = (b.matmul(h, gate)?, b.matmul(h, up)?);
        let h = b.swiglu(g, u)?;
        let h = b.matmul(h, down)?;
        x = b.add(x, h)?;
    }
    let norm = parameters.ones(&mut b, "last_norm", d)?;
    let (h, _) = b.rms_norm(x, norm, EPS)?;
    let logits = b.matmul_t(h, false, embedding, true)?;
    let logp = b.token_logprob(logits, targets)?;
    let mean = b.mean_all(logp)?;
    let loss = b.scale(mean, -1.0)?;
    b.output("loss", loss)?;

    learn(&mut b, loss, &parameters.all, [c1, c2])?;
    Ok((b.finish()?, parameters.values))
}

fn attend(
    b: &mut Builder,
    size: &Size,
    h: Var<f32>,
    qkv: [Var<f32>; 3],
    turn: &RopeTables,
    start: Var<u32>,
) -> Result<Var<f32>> {
    let each = size.d / size.heads;
    let heads = [size.batch, size.length, size.heads, each];
    let mut split = [h; 3];
    for (i, weight) in qkv.into_iter().enumerate() {
        let x = b.matmul(h, weight)?;
        let x = b.reshape(x, &heads)?;
        split[i] = if i < 2 { b.rope(x, turn)? } else { x };
    }
    let [q, k, v] = split;
    let o = b.attention(q, k, v, start, (each as f64).powf(-0.5) as f32, true)?;
    Ok(b.reshape(o, &[size.tokens(), size.d])?)
}

/// Gradients, clipping by their joint norm, AdamW.
fn learn(b: &mut Builder, loss: Var<f32>, parameters: &[Parameter], [c1, c2]: [Var<f32>; 2]) -> Result {
    let wrt: Vec<Var<f32>> = parameters.iter().map(|p| p.p).collect();
    let gradients = b.gradients(loss, &wrt)?;
    let (gscale, norm) = b.clip_scale(&gradients, 1.0)?;
    b.output("norm", norm)?;
    let lr = b.scalar(1e-3)?;
    let with = AdamW { lr, gscale, c1, c2, b1: BETAS.0, b2: BETAS.1, eps: 1e-8, decay: 0.1 };
    for (Parameter { p, state }, g) in parameters.iter().zip(gradients) {
        let (new, next) = b.adamw(*p, g, *state, &with)?;
        b.assign(*p, new)?;
        b.assign(state.m, next.m)?;
        b.assign(state.v, next.v)?;
    }
    Ok(())
}
