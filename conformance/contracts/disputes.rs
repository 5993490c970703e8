//! Whole disputes against the contracts: each cheat ends in the liar's conviction, each false accusation in the accuser's loss.
//!
//! Every move is made by the machine in `proof` and by the contract, and both must come to the same place. `DISPUTES=all cargo test -p
//! conformance-contracts --test disputes` lies about every value of a step, not only some.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::unnecessary_wraps,
    clippy::semicolon_if_nothing_returned,
    reason = "what liars do is said in one line"
)]

#[path = "../../crates/proof/tests/arena/mod.rs"]
mod arena;
mod court;
mod vast;

use arena::{Changed, Liar, Otherwise, Plain, Scheming, edges, honest, work};
use court::{BOND, CHALLENGE, CHALLENGER, Court, DEFENDER, Ended, STAKE, TIME, WINDOW, fight, word};
use exact::BinaryFn;
use proof::game::{Account, Book, Dispute, Move, Party, Player, Stage, StepAccount};
use proof::tree::Tree;
use proof::{Block, Claim, Error, Opcode, Record, Runner, Tensor, Work};

/// A liar's claim against an honest challenger, on a chain of its own.
fn trial<R: Runner>(work: &Work, liar: R) -> (Ended, Court) {
    let mut court = Court::new();
    let mut defender = Player::new(Liar { book: Book::new(work.clone(), liar) });
    let claim = defender.account().book.claim().unwrap();
    let mut challenger = Player::new(Book::new(work.clone(), honest()));
    assert!(challenger.disagrees(&claim).unwrap(), "the lie does not show");
    let ended = fight(&mut court, claim, &mut defender, &mut challenger);
    (ended, court)
}

/// The liar is convicted over this kind of value; its bond is gone and the challenger has the better part of it.
fn convicted<R: Runner>(cheat: &str, work: &Work, liar: R, step: u64, code: Option<Opcode>) {
    let (ended, mut court) = trial(work, liar);
    assert_eq!(ended.winner, Party::Challenger, "{cheat}: {ended:?}");
    assert_eq!(ended.step, step, "{cheat}: {ended:?}");
    let record = |v: u32| work.graph(step).unwrap().records()[v as usize].code;
    assert_eq!(ended.value.map(record), code, "{cheat}: {ended:?}");
    assert_eq!(court.status(ended.claim), 2, "{cheat}");
    assert_eq!(court.staked(DEFENDER), STAKE - BOND);
    assert_eq!((court.owed(CHALLENGER), court.staked(CHALLENGER)), (BOND / 4 * 3, STAKE));
    assert_eq!((court.reserved(DEFENDER), court.reserved(CHALLENGER)), (0, 0));
}

fn float(words: &[u32]) -> Vec<f32> {
    words.iter().map(|w| f32::from_bits(*w)).collect()
}

fn tensor(record: &Record, of: impl Iterator<Item = f32>) -> Option<Tensor> {
    Some(Tensor { ty: record.ty, words: of.map(f32::to_bits).collect() })
}

/// A runner that applies another rule to one kind of operation.
fn rule(
    code: Opcode,
    mut with: impl FnMut(&Record, &[&Tensor]) -> Option<Tensor>,
) -> Otherwise<impl FnMut(u64, &Record, &[&Tensor]) -> Option<Tensor>> {
    Otherwise(
        move |_, record: &Record, operands: &[&Tensor]| {
            if record.code == code { with(record, operands) } else { None }
        },
    )
}

/// A runner that is given other inputs or states at step 1, or leaves it out.
fn scheme(
    mut with: impl FnMut(&mut Vec<Tensor>, &mut Vec<Tensor>) -> bool,
) -> Scheming<impl FnMut(u64, &mut Vec<Tensor>, &mut Vec<Tensor>) -> bool> {
    Scheming(move |t, inputs: &mut Vec<Tensor>, states: &mut Vec<Tensor>| t == 1 && with(inputs, states))
}

#[test]
fn other_data_other_states_other_steps() {
    let work = work(3);
    let of = |t: u64| work.given(t).unwrap().inputs.clone();
    let input = Some(Opcode::Input);
    convicted("skipped step", &work, scheme(|_, _| true), 1, None);
    convicted(
        "repeated step",
        &work,
        scheme(|inputs, _| {
            *inputs = of(0);
            false
        }),
        1,
        input,
    );
    convicted(
        "wrong data order",
        &work,
        scheme(|inputs, _| {
            *inputs = of(2);
            false
        }),
        1,
        input,
    );
    convicted(
        "dropped sample",
        &work,
        scheme(|inputs, _| {
            inputs[0].words[5..].fill(0);
            false
        }),
        1,
        input,
    );
    convicted(
        "duplicated sample",
        &work,
        scheme(|inputs, _| {
            inputs[0].words.copy_within(0..5, 5);
            false
        }),
        1,
        input,
    );
    convicted(
        "poisoned batch",
        &work,
        scheme(|inputs, _| {
            inputs[1].words[3] = 11 - inputs[1].words[3];
            false
        }),
        1,
        input,
    );
    convicted(
        "wrong learning rate at one step",
        &work,
        scheme(|inputs, _| {
            inputs[2].words[0] += 1 << 20;
            false
        }),
        1,
        input,
    );
    convicted(
        "ground seed",
        &work,
        scheme(|inputs, _| {
            inputs[3].words.iter_mut().for_each(|w| *w += 1);
            inputs[2].words[0] += 1 << 18;
            false
        }),
        1,
        input,
    );
    let start = work.start().to_vec();
    convicted(
        "stale checkpoint",
        &work,
        scheme(|_, states| {
            states.clone_from(&start);
            false
        }),
        1,
        Some(Opcode::State),
    );
}

#[test]
fn other_arithmetic() {
    let (edges, work) = (edges(), work(2));
    convicted(
        "reassociated sum",
        &edges,
        rule(Opcode::Sum, |record, x| {
            let rows = float(&x[0].words);
            tensor(record, rows.chunks(70).map(|row| row.iter().sum()))
        }),
        0,
        Some(Opcode::Sum),
    );
    let product = |record: &Record, x: &[&Tensor], with: fn(f32, f32, f32) -> f32| {
        let x = float(&x[0].words);
        let of = |i: usize| (0..70).fold(0f32, |acc, k| with(x[i / 3 * 70 + k], x[i % 3 * 70 + k], acc));
        tensor(record, (0..9).map(of))
    };
    convicted(
        "unfused multiply-add",
        &edges,
        rule(Opcode::Matmul, |record, x| product(record, x, |a, b, c| a * b + c)),
        0,
        Some(Opcode::Matmul),
    );
    convicted(
        "lower precision",
        &edges,
        rule(Opcode::Matmul, |record, x| {
            product(record, x, |a, b, c| {
                let short = |x: f32| f32::from_bits(x.to_bits() & 0xffff_0000);
                short(a).mul_add(short(b), c)
            })
        }),
        0,
        Some(Opcode::Matmul),
    );
    convicted(
        "flushed subnormals",
        &edges,
        rule(Opcode::Binary, |record, x| {
            let mut right = proof::evaluate(record, x).unwrap();
            right.words.iter_mut().filter(|w| **w & 0x7f80_0000 == 0).for_each(|w| *w &= 0x8000_0000);
            Some(right)
        }),
        0,
        Some(Opcode::Binary),
    );
    convicted(
        "other exp",
        &edges,
        rule(Opcode::Unary, |record, x| {
            if record.function != 5 {
                return None;
            }
            tensor(record, x[0].words.iter().map(|w| f64::from(f32::from_bits(*w)).exp() as f32))
        }),
        0,
        Some(Opcode::Unary),
    );
    convicted(
        "NaN payload",
        &edges,
        Changed(|_, _, x: &mut Tensor| {
            x.words.iter_mut().filter(|w| **w == 0x7fc0_0000).for_each(|w| *w = 0x7fc0_0001);
        }),
        0,
        Some(Opcode::Binary),
    );
    convicted(
        "-0 swap",
        &edges,
        rule(Opcode::Unary, |record, x| {
            let mut right = proof::evaluate(record, x).unwrap();
            right.words.iter_mut().filter(|w| **w == 0x8000_0000).for_each(|w| *w = 0);
            (record.function == 0).then_some(right)
        }),
        0,
        Some(Opcode::Unary),
    );
    convicted(
        "wrong tie-break",
        &edges,
        rule(Opcode::ArgMax, |record, _| Some(Tensor { ty: record.ty, words: vec![69; 3] })),
        0,
        Some(Opcode::ArgMax),
    );
    convicted(
        "omitted scatter",
        &work,
        rule(Opcode::ScatterAdd, |record, x| {
            if record.ty.shape.rank() != 2 {
                return None;
            }
            // The last row that is added is left out.
            let mut source = x[1].clone();
            let row = record.ty.shape.last();
            let from = source.words.len() - row;
            source.words[from..].fill(0);
            proof::evaluate(record, &[x[0], &source]).ok()
        }),
        0,
        Some(Opcode::ScatterAdd),
    );
    convicted(
        "clip bypass",
        &work,
        rule(Opcode::Binary, |record, _| {
            let min = BinaryFn::ALL.iter().position(|f| *f == BinaryFn::Min).unwrap();
            (usize::from(record.function) == min)
                .then(|| Tensor { ty: record.ty, words: vec![3f32.to_bits()] })
        }),
        0,
        Some(Opcode::Binary),
    );
    convicted(
        "wrong RoPE offset",
        &work,
        rule(Opcode::Iota, |record, x| {
            let mut right = proof::evaluate(record, x).unwrap();
            right.words.iter_mut().for_each(|w| *w += 1);
            (record.ty.shape.to_vec() == [5]).then_some(right)
        }),
        0,
        Some(Opcode::Iota),
    );
    convicted(
        "forged sampling",
        &work,
        rule(Opcode::ArgMax, |record, x| {
            let mut right = proof::evaluate(record, x).unwrap();
            right.words.fill(11);
            Some(right)
        }),
        0,
        Some(Opcode::ArgMax),
    );
    convicted(
        "sampling from a smaller model",
        &work,
        rule(Opcode::Matmul, |record, x| {
            let mut right = proof::evaluate(record, x).unwrap();
            right.words.iter_mut().for_each(|w| *w &= 0xff80_0000);
            (record.ty.shape.to_vec() == [10, 12]).then_some(right)
        }),
        0,
        Some(Opcode::Matmul),
    );
}

#[test]
fn a_lie_about_any_value() {
    let work = work(2);
    let records = work.graph(1).unwrap().records().to_vec();
    let all = std::env::var("DISPUTES").is_ok();
    let (mut most, mut longest) = (0, 0);
    for (value, record) in (0u32..).zip(&records).filter(|(v, _)| all || v % 9 == 4) {
        let liar = Changed(move |t, of, x: &mut Tensor| {
            if (t, of) == (1, value)
                && let Some(last) = x.words.last_mut()
            {
                *last ^= if x.ty.dtype == exact::DType::U32 { 1 } else { 1 << 21 };
            }
        });
        let mut court = Court::new();
        let mut defender = Player::new(Liar { book: Book::new(work.clone(), liar) });
        let claim = defender.account().book.claim().unwrap();
        let mut challenger = Player::new(Book::new(work.clone(), honest()));
        if !challenger.disagrees(&claim).unwrap() {
            continue;
        }
        let ended = fight(&mut court, claim, &mut defender, &mut challenger);
        assert_eq!(ended.winner, Party::Challenger, "value {value}: {record:?}");
        most = most.max(ended.gas);
        longest = longest.max(ended.moves);
    }
    assert!(most < 3_000_000, "{most} gas");
    assert!(longest < 40, "{longest} moves");
}

/// A liar's account with one of its answers changed.
struct Meddler<F, G> {
    book: Book<Plain>,
    trace: F,
    chain: G,
    work: Work,
}

impl<F: FnMut(u64, &mut StepAccount), G: FnMut(&mut Vec<Block>)> Account for Meddler<F, G> {
    fn work(&self) -> &Work {
        &self.work
    }
    fn run(&mut self) -> Result<Tree, Error> {
        // The states after the last step are not what they are.
        let run = self.book.run()?;
        let leaves = (0..run.leaves()).map(|i| run.leaf(i).unwrap());
        let last = run.leaves() - 1;
        let mut leaves: Vec<_> = leaves.collect();
        let after = self.step(last)?.after.root();
        leaves[last as usize] = proof::state_after(last + 1, &after);
        Ok(Tree::new(leaves))
    }
    fn step(&mut self, t: u64) -> Result<StepAccount, Error> {
        let mut account = self.book.step(t)?;
        (self.trace)(t, &mut account);
        Ok(account)
    }
    fn value(&mut self, t: u64, value: u32) -> Result<Tensor, Error> {
        self.book.value(t, value)
    }
    fn chain(&mut self, t: u64, value: u32, element: u64) -> Result<Vec<Block>, Error> {
        let mut blocks = self.book.chain(t, value, element)?;
        (self.chain)(&mut blocks);
        Ok(blocks)
    }
}

fn with_leaf(tree: &Tree, at: u64, leaf: [u8; 32]) -> Tree {
    let mut leaves: Vec<_> = (0..tree.leaves()).map(|i| tree.leaf(i).unwrap()).collect();
    leaves[at as usize] = leaf;
    Tree::new(leaves)
}

/// A claim of this account against an honest challenger.
fn meddle(
    work: &Work,
    shown: Work,
    trace: impl FnMut(u64, &mut StepAccount),
    chain: impl FnMut(&mut Vec<Block>),
) -> Ended {
    let meddler = Meddler { book: Book::new(work.clone(), Plain), trace, chain, work: shown };
    let mut defender = Player::new(meddler);
    let claim = Claim { terms: work.terms(), run: defender.account().run().unwrap().root() };
    let mut challenger = Player::new(Book::new(work.clone(), honest()));
    assert!(challenger.disagrees(&claim).unwrap());
    fight(&mut Court::new(), claim, &mut defender, &mut challenger)
}

#[test]
fn other_commitments() {
    let work = work(2);
    let lie = [9; 32];
    // A right trace, and states that do not follow from it.
    let ended = meddle(
        &work,
        work.clone(),
        |t, a| {
            if t == 1 {
                a.after = with_leaf(&a.after, 2, lie)
            }
        },
        |_| {},
    );
    assert_eq!(
        (ended.winner, ended.stage),
        (Party::Challenger, Stage::Slot),
        "correct trace with a lying output"
    );
    // The same states seen as of another shape: nobody can show the words of that.
    let records = work.graph(1).unwrap().records();
    let value = records.iter().position(|r| r.code == Opcode::Matmul && r.ty.shape.rank() == 2).unwrap();
    let flat = exact::Type {
        shape: exact::Shape::new(&[records[value].ty.shape.elements()]).unwrap(),
        ..records[value].ty
    };
    let mut book = Book::new(work.clone(), Plain);
    let words = book.value(1, value as u32).unwrap().words;
    let other = Tensor { ty: flat, words }.commitment();
    let ended = meddle(
        &work,
        work.clone(),
        |t, a| {
            if t == 1 {
                a.trace = with_leaf(&a.trace, value as u64, other);
                a.after = with_leaf(&a.after, 2, lie);
            }
        },
        |_| {},
    );
    assert_eq!((ended.winner, ended.stage), (Party::Challenger, Stage::Root), "shape reinterpretation");
    // Another program, with all that follows from it: not the one that was to be run.
    let mut given = work.steps().to_vec();
    given[1].inputs[2].words[0] += 1;
    let start = work.slots().iter().map(|(name, _)| name.clone()).zip(work.start().to_vec()).collect();
    let shown = Work::new(work.job, &[arena::program()], start, given).unwrap();
    let ended = meddle(
        &work,
        shown,
        |t, a| {
            if t == 1 {
                a.after = with_leaf(&a.after, 2, lie)
            }
        },
        |_| {},
    );
    assert_eq!((ended.winner, ended.stage), (Party::Challenger, Stage::Step), "self-consistent wrong graph");
    // States before the step that no step ended in.
    let ended = meddle(
        &work,
        work.clone(),
        |t, a| {
            if t == 1 {
                a.before = with_leaf(&a.before, 0, lie);
                a.after = with_leaf(&a.after, 2, lie);
            }
        },
        |_| {},
    );
    assert_eq!((ended.winner, ended.stage), (Party::Challenger, Stage::Step), "seam substitution");
}

/// A liar about a product whose chain lies elsewhere than at its end.
#[test]
fn other_chains() {
    let work = edges();
    let records = work.graph(0).unwrap().records();
    let product = records.iter().position(|r| r.code == Opcode::Matmul).unwrap() as u32;
    for (what, tamper) in [
        ("a word that is another one", 0),
        ("words that are missing", 1),
        ("a state between that is another one", 2),
    ] {
        struct Chained<R> {
            book: Book<R>,
            tamper: i32,
        }
        impl<R: Runner> Account for Chained<R> {
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
                match self.tamper {
                    0 => blocks[0].reads[7] ^= 1 << 20,
                    1 => blocks[0].reads.truncate(10),
                    _ => blocks[0].state[1] ^= 1,
                }
                blocks.last_mut().unwrap().state = vec![claimed];
                Ok(blocks)
            }
        }
        let liar = Changed(move |_, v, x: &mut Tensor| {
            if v == product {
                x.words[4] ^= 1
            }
        });
        let mut defender = Player::new(Chained { book: Book::new(work.clone(), liar), tamper });
        let claim = defender.account().book.claim().unwrap();
        let mut challenger = Player::new(Book::new(work.clone(), honest()));
        let ended = fight(&mut Court::new(), claim, &mut defender, &mut challenger);
        assert_eq!((ended.winner, ended.stage), (Party::Challenger, Stage::Last), "{what}: {ended:?}");
    }
}

/// An honest claim under attack.
struct Siege {
    court: Court,
    work: Work,
    claim: Claim,
    id: u64,
}

impl Siege {
    fn new() -> Siege {
        let work = work(2);
        let claim = Book::new(work.clone(), Plain).claim().unwrap();
        let mut court = Court::new();
        let id = court.claim(&claim);
        Siege { court, work, claim, id }
    }

    /// A challenger that computes wrongly, against the honest claim.
    fn accuse(&mut self, value: u32) -> Ended {
        let wrong = Changed(move |_, v, x: &mut Tensor| {
            if v == value
                && let Some(first) = x.words.first_mut()
            {
                *first ^= if x.ty.dtype == exact::DType::U32 { 1 } else { 1 << 21 };
            }
        });
        let mut challenger = Player::new(Liar { book: Book::new(self.work.clone(), wrong) });
        let mut defender = Player::new(Book::new(self.work.clone(), Plain));
        fight(&mut self.court, self.claim, &mut defender, &mut challenger)
    }
}

#[test]
fn false_accusers_pay_and_the_claim_stands() {
    let mut siege = Siege::new();
    let mut lost = 0;
    for value in (4..120).step_by(13) {
        let ended = siege.accuse(value);
        assert_eq!(ended.winner, Party::Defender, "value {value}: {ended:?}");
        lost += CHALLENGE;
    }
    let court = &mut siege.court;
    assert_eq!(court.staked(CHALLENGER), STAKE - lost);
    assert_eq!((court.owed(DEFENDER), court.staked(DEFENDER)), (lost / 4 * 3, STAKE));
    let finish = |court: &mut Court, id| court.act(CHALLENGER, "Disputes", "finish(uint256)", &[word(id)], 0);
    court.wait(WINDOW);
    assert!(finish(court, siege.id).is_ok());
    assert_eq!(court.status(siege.id), 3);
    assert!(finish(court, siege.id).is_err(), "twice");
    assert!(court.contest(siege.id).is_err(), "too late");
}

/// The liar contests itself and gives up; somebody honest comes late, and convicts it all the same. Nobody waits for anybody.
#[test]
fn who_contests_itself_gains_no_time() {
    let work = work(2);
    let liar = || {
        Changed(|t, v, x: &mut Tensor| {
            if (t, v) == (1, 60) {
                x.words[0] ^= 1 << 21
            }
        })
    };
    let mut defender = Player::new(Liar { book: Book::new(work.clone(), liar()) });
    let claim = defender.account().book.claim().unwrap();
    let mut court = Court::new();
    let id = court.claim(&claim);
    // The friend opens several disputes, in one of which the liar has "won" by its silence.
    let friends: Vec<u64> = (0..5).map(|_| court.contest(id).unwrap()).collect();
    let mut lost = Dispute::new(claim, TIME, court.now());
    let open = defender.next(Party::Defender, &lost).unwrap().unwrap();
    court.play(Party::Defender, friends[0], &[lost.encode(&open)]).unwrap();
    lost.play(Party::Defender, &open, court.now()).unwrap();
    court.wait(TIME + 1);
    court.act(DEFENDER, "Disputes", "expire(uint256)", &[word(friends[0])], 0).unwrap();
    assert_eq!(court.status(id), 1);
    // In the others the liar has not moved either; anyone may end them, and that convicts it.
    let contest = court.contest(id).unwrap();
    let mut late = Dispute::new(claim, TIME, court.now());
    let mut rightful = Player::new(Book::new(work.clone(), honest()));
    while let Some(turn) = late.turn() {
        let player: Option<Move> = match turn {
            Party::Defender => defender.next(turn, &late).unwrap(),
            Party::Challenger => rightful.next(turn, &late).unwrap(),
        };
        let step = player.unwrap();
        court.play(turn, contest, &[late.encode(&step)]).unwrap();
        late.play(turn, &step, court.now()).unwrap();
    }
    assert_eq!(late.winner(), Some(Party::Challenger));
    assert_eq!(court.status(id), 2);
    // What was at stake in the disputes that are left is free again, once each.
    for friend in &friends[1..] {
        court.act(CHALLENGER, "Disputes", "close(uint256)", &[word(*friend)], 0).unwrap();
        assert!(court.act(CHALLENGER, "Disputes", "close(uint256)", &[word(*friend)], 0).is_err());
    }
    assert_eq!((court.reserved(CHALLENGER), court.reserved(DEFENDER)), (0, 0));
    // Nothing moves any more.
    assert!(court.play(Party::Defender, contest, &[vec![0, 0]]).is_err());
    assert!(court.contest(id).is_err());
}

/// Bytes that are nearly a move: the contract takes none that the machine would not take.
#[test]
fn garbage_is_no_move_and_costs_its_time() {
    let mut siege = Siege::new();
    let mut defender = Player::new(Book::new(siege.work.clone(), Plain));
    let wrong = Changed(|t, v, x: &mut Tensor| {
        if (t, v) == (1, 60) {
            x.words[0] ^= 1 << 21
        }
    });
    let mut challenger = Player::new(Liar { book: Book::new(siege.work.clone(), wrong) });
    let contest = siege.court.contest(siege.id).unwrap();
    let mut dispute = Dispute::new(siege.claim, TIME, siege.court.now());
    let mut seed = 1u64;
    let mut refused = 0;
    while let Some(turn) = dispute.turn() {
        let step = match turn {
            Party::Defender => defender.next(turn, &dispute).unwrap(),
            Party::Challenger => challenger.next(turn, &dispute).unwrap(),
        };
        let Some(step) = step else { break };
        let bytes = dispute.encode(&step);
        for _ in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut other = bytes.clone();
            let at = (seed >> 33) as usize % other.len();
            match seed % 4 {
                0 => other.truncate(at),
                1 => other.push(0),
                _ => other[at] ^= 1 << (seed >> 20 & 7),
            }
            let here = Move::decode(&other)
                .is_some_and(|step| dispute.clone().play(turn, &step, siege.court.now()).is_ok());
            let there = siege.court.takes(turn, contest, &other);
            assert!(here || !there, "the contract takes what is no move: {other:02x?} for {step:?}");
            refused += u32::from(!there);
        }
        assert!(!siege.court.takes(turn.other(), contest, &bytes), "out of turn");
        siege.court.play(turn, contest, std::slice::from_ref(&bytes)).unwrap();
        dispute.play(turn, &step, siege.court.now()).unwrap();
        assert!(!siege.court.takes(turn, contest, &bytes), "the same move again");
    }
    assert!(refused > 100, "{refused}");
}

/// `cargo test -p conformance-contracts --test disputes bill -- --nocapture` prints what each move costs.
#[test]
fn the_bill_of_a_dispute() {
    let steps =
        [("10^15 operations", 4096, 1 << 26, 4096, 1 << 12), ("2^30 operations", 1024, 1024, 1024, 1 << 11)];
    for (what, m, k, n, values) in steps {
        let bill = vast::product(m, k, n, values);
        println!(
            "a step of {what}: {} gas in {} moves, {} rounds\n{}",
            bill.gas, bill.moves, bill.rounds, bill.table
        );
        assert!(bill.gas <= 3_000_000, "{what}: {} gas", bill.gas);
        assert!(bill.rounds <= 20, "{what}: {} rounds", bill.rounds);
    }
}
