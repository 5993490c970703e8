//! Rows that do not know of each other: row i of a result is the same whatever other rows there are, whatever lies in the
//! padding, and whether tokens come all at once or one by one.

use exact::{Builder, Device, Error, Op, Program, Session, Shape, Type, UnaryFn, Var};

use crate::common::cases;
use crate::common::cases::{Case, Size, case};
use crate::common::choices::Stream;
use crate::common::play::{ROOMY, devices, read, write};
use crate::common::values::{Kind, floats, ints};
use crate::common::wire::alone;

/// The scalar device on some runs, and every other one always.
fn everywhere(scalar: bool) -> impl Iterator<Item = Device> {
    let reference = scalar.then(Device::scalar);
    reference.into_iter().chain(devices().iter().map(|(_, device)| device.clone()))
}

fn run(case: &Case, device: &Device) -> Vec<Vec<u32>> {
    let program = alone(&case.op, &case.operands).unwrap();
    let mut session = Session::new(&program, device, ROOMY).unwrap();
    for (i, (ty, data)) in case.operands.iter().zip(&case.data).enumerate() {
        write(&mut session, &format!("x{i}"), ty.dtype, data).unwrap();
    }
    session.run().unwrap();
    program.outputs().map(|(name, ty)| read(&session, name, ty.dtype)).collect()
}

/// A case with only some rows of the operands that have rows: those of `batched`, along their first axis.
fn some_rows(case: &Case, batched: &[usize], rows: std::ops::Range<usize>) -> Case {
    let mut part = case.clone();
    for i in batched {
        let mut dims = case.operands[*i].shape.to_vec();
        let row: usize = dims[1..].iter().product();
        dims[0] = rows.len();
        part.operands[*i].shape = Shape::new(&dims).unwrap();
        part.data[*i] = case.data[*i][rows.start * row..rows.end * row].to_vec();
    }
    part
}

/// Which operands have a batch as their first axis; all results have it.
#[allow(clippy::match_same_arms, reason = "a line for each sort of operation")]
fn batched(op: &Op) -> &'static [usize] {
    match op {
        Op::Matmul { ta: false, .. } | Op::Reduce { .. } | Op::Conv3d { .. } => &[0],
        Op::Philox { .. } | Op::Softmax | Op::RmsNorm { .. } | Op::ArgMax | Op::Unary(_) => &[0],
        Op::TokenLogprob | Op::Swiglu | Op::Pick | Op::Dot { .. } => &[0, 1],
        Op::Keep | Op::WriteRows | Op::SwigluGrad => &[0, 1, 2],
        Op::RmsNormGrad => &[0, 2, 3],
        Op::Attention { .. } => &[0, 1, 2, 3],
        Op::Sample | Op::TokenLogprobGrad => &[0, 1, 2, 3, 4],
        Op::AttentionGrad { .. } => &[0, 1, 2, 3, 4, 5, 6, 7],
        other => panic!("{other:?}: which operands have rows?"),
    }
}

/// A batch in one piece, in two, and row by row.
#[test]
fn a_batch_is_the_same_in_any_pieces() {
    let kinds = [
        "matmul",
        "softmax",
        "rms_norm",
        "rms_norm_grad",
        "argmax",
        "unary",
        "nested_axes",
        "conv3d",
        "token_logprob",
        "token_logprob_grad",
        "swiglu",
        "pick",
        "dot",
        "keep",
        "write_rows",
        "swiglu_grad",
        "attention",
        "attention_grad",
        "sample",
        "philox",
    ];
    for kind in kinds {
        for seed in 0..u64::from(cases(10)) {
            let size = if seed % 5 == 4 { Size::Large } else { Size::Small };
            let case = case(kind, size, seed << 4 | 9);
            let first = batched_axis(&case);
            let Some(rows) = first else { continue };
            let mut s = Stream(seed);
            for device in everywhere(size == Size::Small) {
                let whole = run(&case, &device);
                let cut = s.below(rows + 1);
                let mut pieces = vec![0..cut, cut..rows];
                pieces.extend((0..rows.min(5)).map(|i| i..i + 1));
                for piece in pieces {
                    let part = run(&some_rows(&case, batched(&case.op), piece.clone()), &device);
                    for (whole, part) in whole.iter().zip(&part) {
                        let row = whole.len() / rows;
                        let same = whole[piece.start * row..piece.end * row] == part[..];
                        assert!(same, "{kind}, seed {seed}, rows {piece:?} of {rows} on {device:?}");
                    }
                }
            }
        }
    }
}

/// How many rows a case has, if it has rows that can be taken apart.
fn batched_axis(case: &Case) -> Option<usize> {
    match case.op {
        // The batch of a batched product is in both operands.
        Op::Matmul { ta, .. } if ta || case.operands[0].shape.rank() > 2 => return None,
        Op::Reduce { axis: 0, .. } | Op::Dot { axis: 0 } => return None,
        _ => {}
    }
    // A row over the last axis is a row only if there is an axis before it.
    let last_axis = matches!(
        case.op,
        Op::Softmax
            | Op::RmsNorm { .. }
            | Op::RmsNormGrad
            | Op::ArgMax
            | Op::TokenLogprob
            | Op::TokenLogprobGrad
            | Op::Pick
    );
    let shape = case.operands[0].shape;
    let rows = (shape.rank() > usize::from(last_axis)).then(|| shape.dim(0));
    rows.filter(|rows| *rows > 0)
}

/// What lies in the cache beyond the last key that a query sees has no say, be it NaN, and neither has its length.
#[test]
fn attention_does_not_see_the_padding() {
    for seed in 0..u64::from(cases(20)) {
        let mut s = Stream(seed);
        let [batch, queries, heads, group, dim] =
            [s.pick(&[1, 2, 3]), s.pick(&[1, 2, 5]), 2, s.pick(&[1, 2]), s.pick(&[1, 4, 7, 16])];
        let past = s.pick(&[0, 1, 60, 64, 510, 513]);
        let causal = s.one_in(2);
        let kind = s.pick(&[Kind::Tame, Kind::Spiked, Kind::Wild]);
        let keys = past + queries;
        let attend = |padding: usize, fill: u32, device: &Device| {
            let f32 = |dims: &[usize]| Type { dtype: exact::DType::F32, shape: Shape::new(dims).unwrap() };
            let cache = |seed: u64| {
                let row = heads * dim;
                let mut data = Vec::new();
                for b in 0..batch {
                    data.extend(floats(kind, seed ^ b as u64, keys * row));
                    data.extend(vec![fill; padding * row]);
                }
                data
            };
            let start = if causal { past } else { keys } as u32;
            let q = [batch, queries, heads * group, dim];
            let kv = f32(&[batch, keys + padding, heads, dim]);
            let start_type = Type { dtype: exact::DType::U32, shape: Shape::new(&[batch]).unwrap() };
            let case = Case {
                op: Op::Attention { scale: 0.4, causal },
                operands: vec![f32(&q), kv, kv, start_type],
                data: vec![
                    floats(kind, seed ^ 0x100, q.iter().product()),
                    cache(seed ^ 0x200),
                    cache(seed ^ 0x300),
                    vec![start; batch],
                ],
            };
            run(&case, device)
        };
        let reference = attend(0, 0, &Device::scalar());
        for device in everywhere(seed % 4 == 0) {
            for (padding, fill) in [(0, 0), (1, 0x7fc0_0000), (3, 0x7f80_0000), (70, 0xff7f_ffff)] {
                let padded = attend(padding, fill, &device);
                assert_eq!(reference, padded, "seed {seed}, {padding} rows of padding on {device:?}");
            }
        }
    }
}

/// A decoder of one layer with random weights and a cache.
struct Decoder {
    vocabulary: usize,
    width: usize,
    heads: usize,
    shared: usize,
    room: usize,
}

impl Decoder {
    /// Reads `t` tokens for each of `batch` sequences at the positions from `start[batch]` on; gives the logits, the
    /// log-probability of each next token, and a sampled token.
    fn program(&self, batch: usize, t: usize) -> Result<Program, Error> {
        let mut b = Builder::new();
        let Decoder { vocabulary, width, heads, shared, room } = *self;
        let dim = width / heads;
        let tokens = b.input::<u32>("tokens", &[batch, t])?;
        let next = b.input::<u32>("next", &[batch, t])?;
        let start = b.input::<u32>("start", &[batch])?;
        let seeds = b.input::<u32>("seeds", &[batch * t, 4])?;
        let mut weight = |name: &str, dims: &[usize]| b.state::<f32>(name, dims);
        let table = weight("table", &[vocabulary, width])?;
        let norms = [weight("norm", &[width])?, weight("norm2", &[width])?];
        let [wq, wk, wv, wo] = [
            weight("wq", &[width, width])?,
            weight("wk", &[width, shared * dim])?,
            weight("wv", &[width, shared * dim])?,
            weight("wo", &[width, width])?,
        ];
        let [gate, up, down] =
            [weight("gate", &[width, 40])?, weight("up", &[width, 40])?, weight("down", &[40, width])?];
        let caches = [
            weight("k cache", &[batch, room, shared, dim])?,
            weight("v cache", &[batch, room, shared, dim])?,
        ];

        let x = b.gather(table, tokens)?;
        let (h, _) = b.rms_norm(x, norms[0], 1e-5)?;
        // Position of token i of sequence b: start[b] + i.
        let column = b.reshape(start, &[batch, 1])?;
        let i = b.iota(&[1, t], 1)?;
        let positions = b.int(exact::IntFn::Add, column, i)?;
        let tables = b.rope_tables(positions, dim, 10_000.0)?;
        let project = |b: &mut Builder, w: Var<f32>, n: usize| -> Result<Var<f32>, Error> {
            let y = b.linear(h, w)?;
            b.reshape(y, &[batch, t, n, dim])
        };
        let (q, k, v) =
            (project(&mut b, wq, heads)?, project(&mut b, wk, shared)?, project(&mut b, wv, shared)?);
        let (q, k) = (b.rope(q, &tables)?, b.rope(k, &tables)?);
        let keys = b.write_rows(caches[0], k, start)?;
        let values = b.write_rows(caches[1], v, start)?;
        b.assign(caches[0], keys)?;
        b.assign(caches[1], values)?;
        let o = b.attention(q, keys, values, start, 1.0 / (dim as f32).sqrt(), true)?;
        let o = b.reshape(o, &[batch, t, width])?;
        let o = b.linear(o, wo)?;
        let x = b.add(x, o)?;
        let (h, _) = b.rms_norm(x, norms[1], 1e-5)?;
        let (g, u) = (b.linear(h, gate)?, b.linear(h, up)?);
        let m = b.swiglu(g, u)?;
        let m = b.linear(m, down)?;
        let x = b.add(x, m)?;
        let x = b.unary(UnaryFn::Tanh, x)?;
        let flat = b.reshape(x, &[batch * t, width])?;
        let logits = b.matmul_t(flat, false, table, true)?;
        let ids = b.reshape(next, &[batch * t])?;
        let logp = b.token_logprob(logits, ids)?;
        let (one, p) = (b.full(&[batch * t], 0.8)?, b.full(&[batch * t], 0.95)?);
        let k = b.full(&[batch * t], 20_u32)?;
        let token = b.sample(logits, seeds, one, k, p)?;
        b.output("logits", logits)?;
        b.output("logp", logp)?;
        b.output("token", token)?;
        b.finish()
    }

    /// Feeds `tokens[batch][..]` in pieces of these lengths; gives, for each sequence, what each output said of each token.
    fn read(&self, tokens: &[Vec<u32>], pieces: &[usize], device: &Device) -> Vec<Vec<Vec<u32>>> {
        let batch = tokens.len();
        let mut caches =
            vec![vec![0x7fc0_0000; batch * self.room * self.shared * (self.width / self.heads)]; 2];
        let mut said = vec![Vec::new(); batch];
        let mut at = 0;
        for &t in pieces {
            let program = self.program(batch, t).unwrap();
            let mut session = Session::new(&program, device, ROOMY).unwrap();
            for (i, (name, ty)) in program.states().enumerate() {
                if !name.ends_with("cache") {
                    let n = ty.shape.elements();
                    let small: Vec<f32> = floats(Kind::Tame, i as u64, n)
                        .into_iter()
                        .map(|b| f32::from_bits(b) * 0.3)
                        .collect();
                    session.write(name, &small).unwrap();
                }
            }
            for (name, cache) in ["k cache", "v cache"].iter().zip(&caches) {
                write(&mut session, name, exact::DType::F32, cache).unwrap();
            }
            let piece = |from: usize| -> Vec<u32> {
                tokens.iter().flat_map(|s| s[from..from + t].to_vec()).collect()
            };
            session.write("tokens", &piece(at)).unwrap();
            session.write("next", &piece(at + 1)).unwrap();
            session.write("start", &vec![at as u32; batch]).unwrap();
            let seeds: Vec<u32> = (0..batch as u32)
                .flat_map(|b| (0..t as u32).flat_map(move |i| [7, b, 0, at as u32 + i]))
                .collect();
            session.write("seeds", &seeds).unwrap();
            session.run().unwrap();
            for (b, said) in said.iter_mut().enumerate() {
                for i in 0..t {
                    let mut row = Vec::new();
                    for (name, ty) in program.outputs() {
                        let all = read(&session, name, ty.dtype);
                        let n = all.len() / (batch * t);
                        row.extend(&all[(b * t + i) * n..][..n]);
                    }
                    said.push(row);
                }
            }
            caches = ["k cache", "v cache"].map(|name| read(&session, name, exact::DType::F32)).to_vec();
            at += t;
        }
        said
    }
}

#[test]
fn reading_at_once_and_token_by_token_give_the_same_logits() {
    let decoder = Decoder { vocabulary: 67, width: 32, heads: 4, shared: 2, room: 90 };
    let long = 70;
    let tokens: Vec<Vec<u32>> = (0..3).map(|s| ints(0, 66, s, long + 1)).collect();
    let one = |device: &Device| decoder.read(&tokens[..1], &[long], device).remove(0);
    let reference = one(&Device::scalar());
    for (name, device) in devices() {
        assert_eq!(reference, one(device), "{name}: at once");
        let stepwise = decoder.read(&tokens[..1], &vec![1; long], device).remove(0);
        assert_eq!(reference, stepwise, "{name}: token by token");
        let pieces = decoder.read(&tokens, &[5, 64, 1], device);
        assert_eq!(reference, pieces[0], "{name}: in pieces, among others");
        // A cache with more room is more padding.
        let roomy = Decoder { room: 600, ..decoder };
        assert_eq!(reference, roomy.read(&tokens[..2], &[67, 3], device)[0], "{name}: with more room");
    }
}
