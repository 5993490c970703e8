//! A small decoder learns to continue a repeated pattern: forward, loss, backward, clipping and AdamW as one program.
//!
//! ```text
//! cargo run --release -p exact --example decoder                  # learns for 30 steps
//! cargo run --release -p exact --example decoder -- profile 1     # where a step's time goes, on one thread
//! ```

use std::collections::BTreeMap;
use std::time::Instant;

use exact::{AdamState, AdamW, Builder, Device, Error, Limits, Program, Session, Var};

const LAYERS: usize = 6;
const WIDTH: usize = 256;
const HEADS: usize = 8;
const HIDDEN: usize = 704;
const VOCABULARY: usize = 512;
const BATCH: usize = 32;
const TOKENS: usize = 128;

/// A parameter, and how large its first values are.
struct Parameter {
    name: String,
    value: Var<f32>,
    spread: f32,
}

/// Declares parameters as the model is built, and remembers them for the optimiser.
struct Model {
    b: Builder,
    parameters: Vec<Parameter>,
}

impl Model {
    fn parameter(&mut self, name: &str, dims: &[usize], spread: f32) -> Result<Var<f32>, Error> {
        let value = self.b.state::<f32>(name, dims)?;
        self.parameters.push(Parameter { name: name.to_owned(), value, spread });
        Ok(value)
    }

    /// A weight `[K, N]` that keeps the size of what goes through it.
    fn weight(&mut self, name: &str, k: usize, n: usize) -> Result<Var<f32>, Error> {
        self.parameter(name, &[k, n], 1.0 / (k as f32).sqrt())
    }

    fn norm(&mut self, name: &str, x: Var<f32>) -> Result<Var<f32>, Error> {
        let w = self.parameter(name, &[WIDTH], 0.0)?;
        // Weights start at zero and stand for one more than they are.
        let one = self.b.scalar(1.0)?;
        let w = self.b.add(w, one)?;
        Ok(self.b.rms_norm(x, w, 1e-6)?.0)
    }
}

fn decoder() -> Result<(Program, Vec<Parameter>), Error> {
    let mut m = Model { b: Builder::new(), parameters: Vec::new() };
    let ids = m.b.input::<u32>("ids", &[BATCH, TOKENS])?;
    let targets = m.b.input::<u32>("targets", &[BATCH, TOKENS])?;
    let lr = m.b.input::<f32>("lr", &[])?;

    let start = m.b.full(&[BATCH], 0u32)?;
    let positions = m.b.iota(&[TOKENS], 0)?;
    let tables = m.b.rope_tables(positions, WIDTH / HEADS, 10_000.0)?;
    let scale = 1.0 / ((WIDTH / HEADS) as f32).sqrt();
    let split = [BATCH, TOKENS, HEADS, WIDTH / HEADS];

    let embedding = m.parameter("embedding", &[VOCABULARY, WIDTH], 0.02)?;
    let mut x = m.b.gather(embedding, ids)?;
    for layer in 0..LAYERS {
        let h = m.norm(&format!("{layer}.attention.norm"), x)?;
        let mut heads = [h; 3];
        for (head, name) in heads.iter_mut().zip(["q", "k", "v"]) {
            let w = m.weight(&format!("{layer}.attention.{name}"), WIDTH, WIDTH)?;
            let y = m.b.linear(h, w)?;
            *head = m.b.reshape(y, &split)?;
        }
        let [q, k, v] = heads;
        let (q, k) = (m.b.rope(q, &tables)?, m.b.rope(k, &tables)?);
        let o = m.b.attention(q, k, v, start, scale, true)?;
        let o = m.b.reshape(o, &[BATCH, TOKENS, WIDTH])?;
        let w = m.weight(&format!("{layer}.attention.o"), WIDTH, WIDTH)?;
        let o = m.b.linear(o, w)?;
        x = m.b.add(x, o)?;

        let h = m.norm(&format!("{layer}.mlp.norm"), x)?;
        let w = m.weight(&format!("{layer}.mlp.gate"), WIDTH, HIDDEN)?;
        let gate = m.b.linear(h, w)?;
        let w = m.weight(&format!("{layer}.mlp.up"), WIDTH, HIDDEN)?;
        let up = m.b.linear(h, w)?;
        let y = m.b.swiglu(gate, up)?;
        let w = m.weight(&format!("{layer}.mlp.down"), HIDDEN, WIDTH)?;
        let y = m.b.linear(y, w)?;
        x = m.b.add(x, y)?;
    }
    let x = m.norm("last.norm", x)?;
    let x = m.b.reshape(x, &[BATCH * TOKENS, WIDTH])?;
    let logits = m.b.matmul_t(x, false, embedding, true)?;
    let targets = m.b.reshape(targets, &[BATCH * TOKENS])?;
    let logp = m.b.token_logprob(logits, targets)?;
    let loss = m.b.mean_all(logp)?;
    let loss = m.b.scale(loss, -1.0)?;
    m.b.output("loss", loss)?;

    let Model { mut b, parameters } = m;
    let values: Vec<Var<f32>> = parameters.iter().map(|p| p.value).collect();
    let gradients = b.gradients(loss, &values)?;
    let (gscale, norm) = b.clip_scale(&gradients, 1.0)?;
    b.output("norm", norm)?;

    // 1 - beta^t, by keeping beta^t: no power function.
    let one = b.scalar(1.0)?;
    let mut corrections = [one; 2];
    let (b1, b2) = (0.9, 0.95);
    for ((name, beta), correction) in [("beta1^t", b1), ("beta2^t", b2)].into_iter().zip(&mut corrections) {
        let state = b.state::<f32>(name, &[])?;
        let next = b.scale(state, beta)?;
        b.assign(state, next)?;
        let rest = b.sub(one, next)?;
        *correction = b.div(one, rest)?;
    }
    let [c1, c2] = corrections;
    let with = AdamW { lr, gscale, c1, c2, b1, b2, eps: 1e-8, decay: 0.0 };
    for (p, g) in parameters.iter().zip(gradients) {
        let dims = p.value.shape().to_vec();
        let m = b.state::<f32>(&format!("{}.m", p.name), &dims)?;
        let v = b.state::<f32>(&format!("{}.v", p.name), &dims)?;
        let (value, state) = b.adamw(p.value, g, AdamState { m, v }, &with)?;
        b.assign(p.value, value)?;
        b.assign(m, state.m)?;
        b.assign(v, state.v)?;
    }
    Ok((b.finish()?, parameters))
}

/// Small numbers that look random.
fn noise(n: usize, seed: usize, spread: f32) -> Vec<f32> {
    let at = |i: usize| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed << 32);
    let mix = |x: usize| (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
    (0..n).map(|i| (mix(at(i)) as f32 / 8_388_608.0 - 1.0) * 1.7 * spread).collect()
}

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let profile = arguments.first().is_some_and(|a| a == "profile");
    let threads = arguments.get(1).and_then(|t| t.parse().ok()).unwrap_or(2);

    let (program, parameters) = decoder()?;
    let device = Device::cpu(threads);
    let mut session = Session::new(&program, &device, Limits::default())?;
    println!("program {} has {} operations", program.hash(), program.len());
    println!("memory  {} MiB on {device:?}", session.bytes() >> 20);

    let count: usize = parameters.iter().map(|p| p.value.shape().elements()).sum();
    println!("model   {count} parameters");
    for (i, p) in parameters.iter().enumerate() {
        session.write(&p.name, &noise(p.value.shape().elements(), i, p.spread))?;
    }
    session.write("beta1^t", &[1.0f32])?;
    session.write("beta2^t", &[1.0f32])?;
    session.write("lr", &[1e-3f32])?;
    for round in 0..30u32 {
        // Each row repeats a word of its own.
        let word = |row: usize, i: usize| (row * 31 + i % 7 * 73 + round as usize * 17) % VOCABULARY;
        let at = |from: usize| -> Vec<u32> {
            (0..BATCH).flat_map(|row| (0..TOKENS).map(move |i| word(row, i + from) as u32)).collect()
        };
        session.write("ids", &at(0))?;
        session.write("targets", &at(1))?;
        let begin = Instant::now();
        if profile && round == 3 {
            let mut last = Instant::now();
            let mut spent: BTreeMap<String, (f64, usize)> = BTreeMap::new();
            session.trace(&mut |t| {
                let types: Vec<String> = t.types().map(|t| t.to_string()).collect();
                let slot = spent.entry(format!("{:22} {}", t.op().name(), types[0])).or_default();
                slot.0 += last.elapsed().as_secs_f64() * 1e3;
                slot.1 += 1;
                last = Instant::now();
            })?;
            let mut spent: Vec<_> = spent.into_iter().collect();
            spent.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
            for (name, (ms, times)) in spent {
                println!("{ms:9.3} ms {times:4} x {name}");
            }
            return Ok(());
        }
        session.run()?;
        let ms = begin.elapsed().as_secs_f64() * 1e3;
        let (loss, norm) = (session.read::<f32>("loss")?[0], session.read::<f32>("norm")?[0]);
        println!("step {round:2}  loss {loss:.4}  gradient norm {norm:.4}  {ms:.0} ms");
    }
    Ok(())
}
