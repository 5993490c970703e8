//! A piece of work with most kinds of operations in it, and parties that lie about it.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::sync::Arc;

use exact::{Builder, CompareFn, DType, IntFn, Shape, Type};
use proof::game::{Account, Book, Dispute, Move, Party, Player, StepAccount};
use proof::tree::Tree;
use proof::{Block, Claim, Error, Given, Graph, Record, Runner, Stop, Tensor, Watch, Work, evaluate_all};

/// Makes steps by the rules, one element after another.
pub(crate) struct Plain;

impl Runner for Plain {
    fn step(
        &mut self,
        graph: &Graph,
        t: u64,
        inputs: &[Tensor],
        states: &[Tensor],
        watch: Option<Watch<'_>>,
    ) -> Result<Vec<Tensor>, Stop> {
        Changed(|_, _, _: &mut Tensor| {}).step(graph, t, inputs, states, watch)
    }
}

/// The same, but for what a function makes of each value.
pub(crate) struct Changed<F>(pub(crate) F);

impl<F: FnMut(u64, u32, &mut Tensor)> Runner for Changed<F> {
    fn step(
        &mut self,
        graph: &Graph,
        t: u64,
        inputs: &[Tensor],
        states: &[Tensor],
        watch: Option<Watch<'_>>,
    ) -> Result<Vec<Tensor>, Stop> {
        let mut seen = Vec::new();
        let done = evaluate_all(graph, inputs, states, &mut |value, tensor| {
            (self.0)(t, value, tensor);
            seen.push(tensor.clone());
        });
        if let Some(watch) = watch {
            (0..).zip(&seen).for_each(|(value, tensor)| watch(value, tensor));
        }
        done?;
        let mut after = states.to_vec();
        for slot in 0..states.len() as u32 {
            if let Some(value) = graph.becomes(slot) {
                after[slot as usize] = seen[value as usize].clone();
            }
        }
        Ok(after)
    }
}

/// Makes steps as a machine makes them.
pub(crate) fn honest() -> proof::Honest {
    proof::Honest::new(exact::Device::cpu(1), exact::Limits::default())
}

/// Makes steps by rules of its own where it has them.
pub(crate) struct Otherwise<F>(pub(crate) F);

impl<F: FnMut(u64, &Record, &[&Tensor]) -> Option<Tensor>> Runner for Otherwise<F> {
    fn step(
        &mut self,
        graph: &Graph,
        t: u64,
        inputs: &[Tensor],
        states: &[Tensor],
        watch: Option<Watch<'_>>,
    ) -> Result<Vec<Tensor>, Stop> {
        let mut values: Vec<Tensor> = Vec::new();
        for (value, record) in (0..).zip(graph.records()) {
            let operands: Vec<&Tensor> = record.operands.iter().map(|(v, _)| &values[*v as usize]).collect();
            let slot = record.attributes[0] as usize;
            let right = || match record.code {
                proof::Opcode::Input => Ok(inputs[slot].clone()),
                proof::Opcode::State => Ok(states[slot].clone()),
                _ => proof::evaluate(record, &operands).map_err(|element| Stop::Fault { value, element }),
            };
            let made = match (self.0)(t, record, &operands) {
                Some(tensor) => tensor,
                None => right()?,
            };
            values.push(made);
        }
        if let Some(watch) = watch {
            (0..).zip(&values).for_each(|(value, tensor)| watch(value, tensor));
        }
        let mut after = states.to_vec();
        for slot in 0..states.len() as u32 {
            if let Some(value) = graph.becomes(slot) {
                after[slot as usize] = values[value as usize].clone();
            }
        }
        Ok(after)
    }
}

/// Makes steps, but from inputs or states of its choosing, or with other states after them.
pub(crate) struct Scheming<F>(pub(crate) F);

impl<F: FnMut(u64, &mut Vec<Tensor>, &mut Vec<Tensor>) -> bool> Runner for Scheming<F> {
    fn step(
        &mut self,
        graph: &Graph,
        t: u64,
        inputs: &[Tensor],
        states: &[Tensor],
        watch: Option<Watch<'_>>,
    ) -> Result<Vec<Tensor>, Stop> {
        let (mut inputs, mut from) = (inputs.to_vec(), states.to_vec());
        let skipped = (self.0)(t, &mut inputs, &mut from);
        let after = Plain.step(graph, t, &inputs, &from, watch)?;
        Ok(if skipped { states.to_vec() } else { after })
    }
}

type Change = Arc<dyn Fn(u64, u32, &mut Tensor) + Send + Sync>;

/// What a liar does.
#[derive(Clone)]
pub(crate) struct Lie {
    change: Change,
}

impl Lie {
    pub(crate) fn new(change: impl Fn(u64, u32, &mut Tensor) + Send + Sync + 'static) -> Lie {
        Lie { change: Arc::new(change) }
    }

    /// A change to one value of one step.
    pub(crate) fn at(t: u64, value: u32, change: impl Fn(&mut Tensor) + Send + Sync + 'static) -> Lie {
        Lie::new(move |step, of, tensor| {
            if (step, of) == (t, value) {
                change(tensor);
            }
        })
    }
}

/// A liar's account: chains end in what it claims.
pub(crate) struct Liar<R> {
    pub(crate) book: Book<R>,
}

impl<R: Runner> Account for Liar<R> {
    fn work(&self) -> &Work {
        self.book.work()
    }
    fn run(&mut self) -> Result<Tree, Error> {
        self.book.run()
    }
    fn step(&mut self, t: u64) -> Result<StepAccount, Error> {
        self.book.step(t)
    }
    fn value(&mut self, t: u64, value: u32) -> Result<Tensor, Error> {
        self.book.value(t, value)
    }
    fn chain(&mut self, t: u64, value: u32, element: u64) -> Result<Vec<Block>, Error> {
        let claimed = self.book.value(t, value)?.words[element as usize];
        let mut blocks = self.book.chain(t, value, element)?;
        if let Some(last) = blocks.last_mut() {
            last.state = vec![claimed];
        }
        Ok(blocks)
    }
}

/// How a dispute ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) winner: Party,
    pub(crate) step: u64,
    pub(crate) value: Option<u32>,
    pub(crate) moves: u32,
}

/// A liar's claim and an honest challenger; nothing if the lie does not change the result.
pub(crate) fn quarrel(work: &Work, lie: &Lie) -> Option<Outcome> {
    let change = lie.change.clone();
    let liar = Changed(move |t, v, tensor: &mut Tensor| change(t, v, tensor));
    let mut defender = Player::new(Liar { book: Book::new(work.clone(), liar) });
    let claim = defender.account().book.claim().unwrap();
    let mut challenger = Player::new(Book::new(work.clone(), honest()));
    challenger.disagrees(&claim).unwrap().then(|| settle(claim, &mut defender, &mut challenger))
}

/// Plays a dispute to its end; who has nothing to say loses by time.
pub(crate) fn settle<D: Account, C: Account>(
    claim: Claim,
    defender: &mut Player<D>,
    challenger: &mut Player<C>,
) -> Outcome {
    let mut dispute = Dispute::new(claim, 1000, 0);
    let mut last_value = None;
    let mut now = 0;
    while let Some(turn) = dispute.turn() {
        let step = match turn {
            Party::Defender => defender.next(turn, &dispute).ok().flatten(),
            Party::Challenger => challenger.next(turn, &dispute).unwrap(),
        };
        now += 1;
        if dispute.stage() == proof::game::Stage::Value {
            last_value = Some(dispute.walk().index as u32);
        }
        if let Some(step) = &step {
            assert_eq!(Move::decode(&dispute.encode(step)).as_ref(), Some(step));
        }
        let played = step.is_some_and(|step| dispute.play(turn, &step, now).is_ok());
        if !played {
            dispute.expire(now + 10_000).unwrap();
        }
    }
    let winner = dispute.winner().unwrap();
    Outcome { winner, step: dispute.wrong_step(), value: last_value, moves: dispute.moves() }
}

/// An honest defender and somebody who accuses it at random.
pub(crate) struct Arena {
    work: Work,
    defender: Player<Book<Plain>>,
    claim: Claim,
}

impl Arena {
    pub(crate) fn new(work: &Work) -> Arena {
        let mut defender = Player::new(Book::new(work.clone(), Plain));
        let claim = defender.account().claim().unwrap();
        Arena { work: work.clone(), defender, claim }
    }

    /// Chooses anything at every turn, as far as it can; the defender answers.
    pub(crate) fn slander(&mut self, seed: u64) -> Party {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
        let mut any = |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n.max(1)
        };
        let mut dispute = Dispute::new(self.claim, 1_000_000, 0);
        let mut honest = Player::new(Book::new(self.work.clone(), Plain));
        let mut now = 0;
        while let Some(turn) = dispute.turn() {
            // Delays up to the clock do not matter.
            now += any(1000);
            let step = match turn {
                Party::Defender => self.defender.next(turn, &dispute).unwrap(),
                Party::Challenger => accuse(&mut honest, &self.work, &dispute, &mut any),
            };
            match step {
                Some(step) => {
                    let refused = dispute.play(turn, &step, now);
                    assert!(refused.is_ok() || turn == Party::Challenger, "{refused:?}: {step:?}");
                    if refused.is_err() {
                        dispute.expire(now + 2_000_000).unwrap();
                    }
                }
                None => {
                    dispute.expire(now + 2_000_000).unwrap();
                }
            }
        }
        dispute.winner().unwrap()
    }
}

/// A move of a challenger who has nothing to show: right in its form, at a place of no meaning.
fn accuse(
    honest: &mut Player<Book<Plain>>,
    work: &Work,
    dispute: &Dispute,
    any: &mut impl FnMut(u64) -> u64,
) -> Option<Move> {
    use proof::game::{Shown, Stage};
    let t = dispute.wrong_step();
    if dispute.walk().choosing {
        let n = dispute.walk().opened.last().unwrap().2.len() as u64;
        return Some(Move::Choose(any(n)));
    }
    let account = honest.account();
    Some(match dispute.stage() {
        Stage::Side => Move::Side { value: any(3) > 0 },
        Stage::Value => {
            let value = dispute.walk().index as u32;
            let step = account.step(t).unwrap();
            let graph = work.graph(t).unwrap();
            let record = graph.records()[value as usize].clone();
            let record_path = graph.record_path(value);
            let show = |tree: &Tree, i: u32| Shown {
                commitment: tree.leaf(u64::from(i)).unwrap(),
                path: tree.path(u64::from(i)),
            };
            match record.code {
                proof::Opcode::Input => {
                    let inputs =
                        Tree::new(work.given(t).unwrap().inputs.iter().map(Tensor::commitment).collect());
                    Move::Given { given: show(&inputs, record.attributes[0]), record, record_path }
                }
                proof::Opcode::State => {
                    Move::Given { given: show(&step.before, record.attributes[0]), record, record_path }
                }
                _ => {
                    let operands = record.operands.iter().map(|(v, _)| show(&step.trace, *v)).collect();
                    Move::Made { record, record_path, operands }
                }
            }
        }
        Stage::Element => {
            let (value, record, _) = dispute.value().unwrap();
            let word = any(dispute.words().len() as u64) as u32;
            if proof::rule::blocks(record) > 0 {
                return Some(Move::Element(word));
            }
            let element = dispute.walk().index * proof::LEAF as u64 + u64::from(word);
            assert!(value > 0);
            let tensors: Vec<Tensor> =
                record.operands.iter().map(|(v, _)| account.value(t, *v).unwrap()).collect();
            let words = proof::reads(record, &tensors.iter().collect::<Vec<_>>(), element, 0);
            let open = |j: usize| {
                proof::rule::read(record, element, 0, j, &words[..j]).map(|(o, i)| tensors[o].open(i))
            };
            Move::Settle { word, reads: (0..words.len()).filter_map(open).collect() }
        }
        // The rest of an honest party's moves are accusations like any other.
        _ => {
            let own = honest.next(Party::Challenger, dispute).unwrap();
            return own;
        }
    })
}

fn ty(dtype: DType, dims: &[usize]) -> Type {
    Type { dtype, shape: Shape::new(dims).unwrap() }
}

pub(crate) fn numbers(dims: &[usize], seed: u32) -> Tensor {
    let ty = ty(DType::F32, dims);
    let mut x = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = |_| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        (f32::from(x as u16) / 32768.0 - 1.0).to_bits()
    };
    Tensor { ty, words: (0..ty.shape.elements()).map(next).collect() }
}

pub(crate) fn ids(dims: &[usize], seed: u32, below: u32) -> Tensor {
    let of = numbers(dims, seed);
    Tensor {
        ty: ty(DType::U32, dims),
        words: of.words.iter().map(|w| w.wrapping_mul(0x85eb_ca6b) % below).collect(),
    }
}

/// A small model with a table, attention, a norm and a loss; its gradients, clipping and AdamW; and a sample at the end.
pub(crate) fn program() -> exact::Program {
    let mut b = Builder::new();
    let tokens = b.input::<u32>("tokens", &[2, 5]).unwrap();
    let targets = b.input::<u32>("targets", &[10]).unwrap();
    let lr = b.input::<f32>("lr", &[]).unwrap();
    let seeds = b.input::<u32>("seeds", &[10, 4]).unwrap();
    let table = b.state::<f32>("table", &[12, 6]).unwrap();
    let w = b.state::<f32>("w", &[6, 12]).unwrap();
    let scale = b.state::<f32>("scale", &[6]).unwrap();
    let m = b.state::<f32>("w.m", &[6, 12]).unwrap();
    let v = b.state::<f32>("w.v", &[6, 12]).unwrap();
    let drawn = b.state::<u32>("drawn", &[10]).unwrap();
    let x = b.gather(table, tokens).unwrap();
    let heads = b.reshape(x, &[2, 5, 1, 6]).unwrap();
    let zero = b.full::<u32>(&[2], 0).unwrap();
    let positions = b.iota(&[5], 0).unwrap();
    let tables = b.rope_tables(positions, 6, 10_000.0).unwrap();
    let heads = b.rope(heads, &tables).unwrap();
    let at = b.attention(heads, heads, heads, zero, 0.4, true).unwrap();
    let at = b.reshape(at, &[2, 5, 6]).unwrap();
    let x = b.add(x, at).unwrap();
    let (x, _) = b.rms_norm(x, scale, 1e-5).unwrap();
    let gate = b.swiglu(x, x).unwrap();
    let logits = b.linear(gate, w).unwrap();
    let logits = b.reshape(logits, &[10, 12]).unwrap();
    let logp = b.token_logprob(logits, targets).unwrap();
    let loss = b.mean_all(logp).unwrap();
    let loss = b.scale(loss, -1.0).unwrap();
    let gradients = b.gradients(loss, &[w, table, scale]).unwrap();
    let (clip, _) = b.clip_scale(&gradients, 1.0).unwrap();
    let one = b.scalar(1.0f32).unwrap();
    let with = exact::AdamW { lr, gscale: clip, c1: one, c2: one, b1: 0.9, b2: 0.95, eps: 1e-8, decay: 0.01 };
    let (better, state) = b.adamw(w, gradients[0], exact::AdamState { m, v }, &with).unwrap();
    b.assign(w, better).unwrap();
    b.assign(m, state.m).unwrap();
    b.assign(v, state.v).unwrap();
    let move_table = b.mul(gradients[1], lr).unwrap();
    let better = b.sub(table, move_table).unwrap();
    b.assign(table, better).unwrap();
    let move_scale = b.mul(gradients[2], lr).unwrap();
    let big = b.scalar(0.5f32).unwrap();
    let mask = b.compare(CompareFn::Lt, move_scale, big).unwrap();
    let chosen = b.select(mask, move_scale, big).unwrap();
    let better = b.sub(scale, chosen).unwrap();
    b.assign(scale, better).unwrap();
    let temperature = b.full(&[10], 0.8f32).unwrap();
    let top_k = b.full(&[10], 7u32).unwrap();
    let top_p = b.full(&[10], 0.9f32).unwrap();
    let token = b.sample(logits, seeds, temperature, top_k, top_p).unwrap();
    let next = b.int(IntFn::Max, token, drawn).unwrap();
    b.assign(drawn, next).unwrap();
    b.finish().unwrap()
}

/// One step of arithmetic at its edges: subnormals, signed zeros, NaN, ties, sums whose order shows.
pub(crate) fn edges() -> Work {
    let mut b = Builder::new();
    let x = b.input::<f32>("x", &[3, 70]).unwrap();
    let keep = |b: &mut Builder, name: &str, value: exact::Var<f32>| {
        let state = b.state::<f32>(name, &value.shape().to_vec()).unwrap();
        b.assign(state, value).unwrap();
        (name.to_owned(), value.shape().to_vec())
    };
    let half = b.scale(x, 0.5).unwrap();
    let minus = b.unary(exact::UnaryFn::Neg, x).unwrap();
    let e = b.unary(exact::UnaryFn::Exp, x).unwrap();
    let sums = b.sum(e, 1).unwrap();
    let tame = b.unary(exact::UnaryFn::Tanh, e).unwrap();
    let product = b.matmul_t(tame, false, tame, true).unwrap();
    let fused = b.fma(tame, tame, tame).unwrap();
    let quotient = b.div(x, x).unwrap();
    let tied = b.unary(exact::UnaryFn::Relu, minus).unwrap();
    let tied = b.compare(CompareFn::Lt, tied, tied).unwrap();
    let tied = b.to_float(tied).unwrap();
    let best = b.argmax(tied).unwrap();
    let best = b.to_float(best).unwrap();
    let mut states = Vec::new();
    for (name, value) in [
        ("half", half),
        ("minus", minus),
        ("sums", sums),
        ("product", product),
        ("fused", fused),
        ("quotient", quotient),
        ("best", best),
    ] {
        states.push(keep(&mut b, name, value));
    }
    let program = b.finish().unwrap();
    let mut x = numbers(&[3, 70], 9);
    // A zero of each sign, and numbers whose half is subnormal.
    (x.words[3], x.words[4]) = (0, 0x8000_0000);
    x.words[60..70].iter_mut().for_each(|w| *w = 0x0080_0000 | *w & 0x8000_ffff);
    let start = states.into_iter().map(|(name, dims)| {
        let ty = ty(DType::F32, &dims);
        (name, Tensor { ty, words: vec![0; ty.shape.elements()] })
    });
    Work::new([8; 32], &[program], start.collect(), vec![Given { program: 0, inputs: vec![x] }]).unwrap()
}

/// So many steps of that program.
pub(crate) fn work(steps: u64) -> Work {
    let start = vec![
        ("table".to_owned(), numbers(&[12, 6], 1)),
        ("w".to_owned(), numbers(&[6, 12], 2)),
        ("scale".to_owned(), numbers(&[6], 3)),
        ("w.m".to_owned(), numbers(&[6, 12], 4)),
        ("w.v".to_owned(), {
            let mut v = numbers(&[6, 12], 5);
            v.words.iter_mut().for_each(|w| *w &= 0x7fff_ffff);
            v
        }),
        ("drawn".to_owned(), ids(&[10], 6, 12)),
    ];
    let given = (0..steps as u32).map(|t| Given {
        program: 0,
        inputs: vec![
            ids(&[2, 5], 100 + t, 12),
            ids(&[10], 200 + t, 12),
            Tensor { ty: ty(DType::F32, &[]), words: vec![0.01f32.to_bits()] },
            ids(&[10, 4], 300 + t, 1 << 31),
        ],
    });
    Work::new([7; 32], &[program()], start, given.collect()).unwrap()
}
