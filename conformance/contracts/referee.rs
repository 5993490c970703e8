//! The referee contract against its mirror in `proof`, for every operation: what is read, what comes out of each block, and what is
//! refused. The mirror itself is compared with `exact` in `crates/proof`.
//!
//! `REFEREE_RECORDS=2000 cargo test -p conformance-contracts --test referee` tries that many random operations of each kind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod evm;
#[allow(dead_code, reason = "the other test needs more of it")]
mod numbers;

use evm::{Argument, Contract, bytes, number};
use exact::{DType, Shape, Type};
use numbers::Stream;
use proof::{Opcode, Record, rule};

/// An operation with its operands' elements.
struct Case {
    record: Record,
    operands: Vec<Vec<u32>>,
}

/// The contract's three functions, with the types of the mirror's.
struct Referee {
    contract: Contract,
    most_gas: u64,
}

impl Referee {
    fn blocks(&mut self, record: &[u8]) -> u64 {
        let (answer, _) = self.contract.call("blocks(bytes)", &[Argument::Bytes(record)]).unwrap();
        number(&answer, 0)
    }

    fn read(
        &mut self,
        record: &[u8],
        element: u64,
        block: u64,
        j: usize,
        before: &[u32],
    ) -> Option<(usize, u64)> {
        use Argument::{Bytes, Number};
        let before = packed(before);
        let arguments = [Bytes(record), Number(element), Number(block), Number(j as u64), Bytes(&before)];
        let (answer, _) = self.contract.call("read(bytes,uint64,uint64,uint256,bytes)", &arguments).unwrap();
        let operand = number(&answer, 0) as usize;
        (operand != 255).then(|| (operand, number(&answer, 1)))
    }

    fn run(
        &mut self,
        record: &[u8],
        element: u64,
        block: u64,
        state: &[u32],
        reads: &[u32],
    ) -> Option<Vec<u32>> {
        use Argument::{Bytes, Number};
        let (state, reads) = (packed(state), packed(reads));
        let arguments = [Bytes(record), Number(element), Number(block), Bytes(&state), Bytes(&reads)];
        let (answer, gas) = self.contract.call("run(bytes,uint64,uint64,bytes,bytes)", &arguments).unwrap();
        self.most_gas = self.most_gas.max(gas);
        let next = bytes(&answer, 1).chunks_exact(4).map(|w| u32::from_le_bytes(w.try_into().unwrap()));
        (number(&answer, 0) == 1).then(|| next.collect())
    }
}

fn packed(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Every block of one element, in both; and then blocks that are not as they should be.
fn compare(referee: &mut Referee, case: &Case, element: u64, s: &mut Stream) {
    let (record, coded) = (&case.record, case.record.encode());
    let blocks = rule::blocks(record);
    assert_eq!(referee.blocks(&coded), blocks, "{record:?}");
    let mut state = Vec::new();
    for block in 0..blocks.max(1) {
        let mut reads = Vec::new();
        loop {
            let place = rule::read(record, element, block, reads.len(), &reads);
            assert_eq!(
                referee.read(&coded, element, block, reads.len(), &reads),
                place,
                "read {} of block {block} of element {element} of {record:?} after {reads:08x?}",
                reads.len()
            );
            let Some((operand, index)) = place else { break };
            reads.push(case.operands[operand][index as usize]);
        }
        let mut both = |state: &[u32], reads: &[u32], block: u64| {
            let next = rule::run(record, element, block, state, reads);
            assert_eq!(
                referee.run(&coded, element, block, state, reads),
                next,
                "block {block} of element {element} of {record:?}: {state:08x?}, {reads:08x?}"
            );
            next
        };
        let next = both(&state, &reads, block);

        // Too few words, too many, a state that is not the rule's, a block that there is not.
        if let Some((last, fewer)) = reads.split_last() {
            assert_eq!(both(&state, fewer, block), None);
            // The last may be an id or a bound: then another one may be out of range, or fit as well.
            both(&state, &[fewer, &[*last ^ 1 << s.below(32)]].concat(), block);
            let mut other = reads.clone();
            other[s.below(reads.len() as u32) as usize] = s.number();
            both(&state, &other, block);
        }
        assert_eq!(both(&state, &[&reads[..], &[0]].concat(), block), None);
        assert_eq!(both(&[&state[..], &[0]].concat(), &reads, block), None);
        assert_eq!(both(&state, &reads, block + blocks.max(1)), None);
        if !state.is_empty() {
            assert_eq!(both(&[], &reads, block), None);
            assert_eq!(both(&state[1..], &reads, block), None);
            let other: Vec<u32> = state.iter().map(|_| s.number() & 0xff80_ffff).collect();
            both(&other, &reads, block);
        }
        // An element without a value has no further blocks.
        let Some(next) = next else { return };
        state = next;
    }
    assert_eq!(state.len(), 1);
}

fn shape(dims: &[usize]) -> Shape {
    Shape::new(dims).unwrap()
}

fn floats(shape: Shape) -> Type {
    Type { dtype: DType::F32, shape }
}

fn words(shape: Shape) -> Type {
    Type { dtype: DType::U32, shape }
}

/// A random shape: of few axes, none of them long.
fn any(s: &mut Stream, least_rank: u32) -> Vec<usize> {
    (0..least_rank + s.below(4)).map(|_| 1 + s.below(4) as usize).collect()
}

/// A shape that broadcasts to this one: some axes of one, some of the first ones left out.
fn shorter(s: &mut Stream, full: &[usize]) -> Vec<usize> {
    let from = if s.below(2) == 0 { 0 } else { s.below(full.len() as u32 + 1) as usize };
    full[from..].iter().map(|d| if s.below(3) == 0 { 1 } else { *d }).collect()
}

/// Several that broadcast, the first of them the full one or all short of it, and what they give.
fn together<const N: usize>(s: &mut Stream) -> ([Vec<usize>; N], Vec<usize>) {
    let full = any(s, 0);
    let full_one = s.below(N as u32) as usize;
    let operands = std::array::from_fn(|i| if i == full_one { full.clone() } else { shorter(s, &full) });
    (operands, full)
}

/// A random operation of this kind. A new kind has no place here until its line is written.
fn case(s: &mut Stream, code: Opcode) -> Option<Case> {
    let d = |s: &mut Stream| 1 + s.below(4) as usize;
    // Chains: short, of several blocks, and of several cuts; seldom empty.
    let long = |s: &mut Stream| match s.below(8) {
        0 => 0,
        1 | 2 => 500 + s.below(600) as usize,
        3 | 4 => 60 + s.below(140) as usize,
        _ => 1 + s.below(20) as usize,
    };
    let replaced = |dims: &[usize], axis: usize, n: usize| {
        let mut dims = dims.to_vec();
        dims[axis] = n;
        dims
    };
    let without = |dims: &[usize], axis: usize| [&dims[..axis], &dims[axis + 1..]].concat();
    let (mut function, mut attributes) = (0, Vec::new());
    // Ids are below this; where there are none, words are random.
    let mut below = None;
    let (result, operands): (Type, Vec<Type>) = match code {
        // They are committed to, and never executed.
        Opcode::Input | Opcode::State => return None,
        Opcode::Full => {
            attributes = vec![s.number()];
            (floats(shape(&any(s, 0))), vec![])
        }
        Opcode::Iota => {
            let dims = any(s, 1);
            attributes = vec![s.below(dims.len() as u32)];
            (words(shape(&dims)), vec![])
        }
        Opcode::Philox => {
            let (rows, n) = (d(s), 1 + s.below(11) as usize);
            (words(shape(&[rows, n])), vec![words(shape(&[rows, 4]))])
        }
        Opcode::Unit | Opcode::ToFloat => {
            let full = shape(&any(s, 0));
            (floats(full), vec![words(full)])
        }
        Opcode::Copy | Opcode::Unary => {
            function = if code == Opcode::Unary { s.below(14) as u8 } else { 0 };
            let full = shape(&any(s, 0));
            (floats(full), vec![floats(full)])
        }
        Opcode::Binary | Opcode::Compare => {
            function = s.below(if code == Opcode::Binary { 9 } else { 3 }) as u8;
            let (operands, full) = together::<2>(s);
            let full = shape(&full);
            let result = if code == Opcode::Binary { floats(full) } else { words(full) };
            (result, operands.map(|x| floats(shape(&x))).to_vec())
        }
        Opcode::Int => {
            function = s.below(7) as u8;
            let (operands, full) = together::<2>(s);
            (words(shape(&full)), operands.map(|x| words(shape(&x))).to_vec())
        }
        Opcode::Fma => {
            let (operands, full) = together::<3>(s);
            (floats(shape(&full)), operands.map(|x| floats(shape(&x))).to_vec())
        }
        Opcode::Select => {
            let ([mask, a, b], full) = together::<3>(s);
            below = Some(2);
            (floats(shape(&full)), vec![words(shape(&mask)), floats(shape(&a)), floats(shape(&b))])
        }
        Opcode::Permute => {
            let mut order: Vec<u32> = (0..=s.below(6)).collect();
            for i in (1..order.len()).rev() {
                order.swap(i, s.below(i as u32 + 1) as usize);
            }
            let x: Vec<usize> = order.iter().map(|_| d(s)).collect();
            let out: Vec<usize> = order.iter().map(|axis| x[*axis as usize]).collect();
            attributes = order;
            (floats(shape(&out)), vec![floats(shape(&x))])
        }
        Opcode::Broadcast => {
            let full = any(s, 0);
            (floats(shape(&full)), vec![floats(shape(&shorter(s, &full)))])
        }
        Opcode::Slice | Opcode::Pad | Opcode::Concat | Opcode::Flip => {
            let x = any(s, 1);
            let axis = s.below(x.len() as u32) as usize;
            let (n, more) = (x[axis], s.below(4) as usize);
            let mut operands = vec![floats(shape(&x))];
            attributes = vec![axis as u32];
            let out = match code {
                Opcode::Slice => {
                    let start = s.below(n as u32) as usize;
                    attributes.push(start as u32);
                    1 + s.below((n - start) as u32) as usize
                }
                Opcode::Pad => {
                    let before = s.below(3);
                    attributes.push(before);
                    before as usize + n + more
                }
                Opcode::Concat => {
                    operands.push(floats(shape(&replaced(&x, axis, more))));
                    n + more
                }
                _ => n,
            };
            (floats(shape(&replaced(&x, axis, out))), operands)
        }
        Opcode::Gather => {
            let (rows, row, ids) = (d(s), any(s, 0), shape(&any(s, 0)[..]));
            below = Some(rows as u32);
            let ids = if ids.rank() > 2 { shape(&[2]) } else { ids };
            let out: Vec<usize> = ids.iter().chain(row.iter().copied()).collect();
            (floats(shape(&out)), vec![floats(shape(&[&[rows], &row[..]].concat())), words(ids)])
        }
        Opcode::ScatterAdd => {
            let rows = d(s);
            let row: Vec<usize> = (0..s.below(3)).map(|_| d(s)).collect();
            let n = long(s).min(200);
            below = Some(rows as u32);
            attributes = vec![rows as u32];
            let source = shape(&[&[n], &row[..]].concat());
            (floats(shape(&[&[rows], &row[..]].concat())), vec![words(shape(&[n])), floats(source)])
        }
        Opcode::Pick => {
            let x = any(s, 1);
            let n = x[x.len() - 1];
            below = Some(n as u32);
            let ids = shape(&x[..x.len() - 1]);
            (floats(ids), vec![floats(shape(&x)), words(ids)])
        }
        Opcode::Place => {
            let (ids, n) = (any(s, 0), d(s));
            below = Some(n as u32);
            attributes = vec![n as u32];
            let out = shape(&[&ids[..], &[n]].concat());
            (floats(out), vec![words(shape(&ids)), floats(shape(&ids))])
        }
        Opcode::WriteRows => {
            let mut cache = any(s, 2);
            let new = s.below(cache[1] as u32 + 1) as usize;
            below = Some((cache[1] - new + 1) as u32);
            let batch = cache[0];
            let out = shape(&cache);
            cache[1] = new;
            (floats(out), vec![floats(out), floats(shape(&cache)), words(shape(&[batch]))])
        }
        Opcode::Im2col => {
            let x: Vec<usize> = (0..5).map(|_| d(s)).collect();
            let pad: [u32; 3] = std::array::from_fn(|_| s.below(3));
            let kernel: [u32; 3] =
                std::array::from_fn(|a| 1 + s.below((x[a + 1] as u32 + 2 * pad[a]).min(3)));
            let places: usize =
                (0..3).map(|a| x[a + 1] + 2 * pad[a] as usize - kernel[a] as usize + 1).product();
            let taps: usize = kernel.iter().map(|k| *k as usize).product();
            attributes = [kernel, pad].concat();
            (floats(shape(&[x[0] * places, taps * x[4]])), vec![floats(shape(&x))])
        }
        Opcode::Matmul | Opcode::RaggedMatmul => {
            let batch: Vec<usize> = (0..s.below(3)).map(|_| d(s)).collect();
            let (m, n, k) = (d(s), d(s), long(s));
            let [ta, tb] = [s.below(2), s.below(2)];
            attributes = vec![ta, tb];
            let of = |rows: usize, columns: usize, turned: u32| {
                let matrix = if turned == 1 { [columns, rows] } else { [rows, columns] };
                floats(shape(&[&batch[..], &matrix].concat()))
            };
            let mut operands = vec![of(m, k, ta), of(k, n, tb)];
            if code == Opcode::RaggedMatmul {
                let bounds = words(shape(&[&batch[..], &[m]].concat()));
                below = Some(k as u32 + 1);
                operands.extend([bounds, bounds]);
            }
            (of(m, n, 0), operands)
        }
        Opcode::Sum | Opcode::Max | Opcode::Dot => {
            let mut x: Vec<usize> = (0..=s.below(3)).map(|_| d(s)).collect();
            let axis = s.below(x.len() as u32) as usize;
            x[axis] = if code == Opcode::Max { long(s).max(1) } else { long(s) }.min(300);
            attributes = vec![axis as u32];
            let operands = vec![floats(shape(&x)); if code == Opcode::Dot { 2 } else { 1 }];
            (floats(shape(&without(&x, axis))), operands)
        }
        Opcode::ArgMax => {
            let x = [&any(s, 0)[..], &[long(s).clamp(1, 300)]].concat();
            (words(shape(&x[..x.len() - 1])), vec![floats(shape(&x))])
        }
        Opcode::Unpack => {
            let bits = 4 + 4 * s.below(2);
            let (groups, each, columns) = (d(s), d(s), d(s));
            attributes = vec![bits];
            let scale = floats(shape(&[groups, columns]));
            let out = shape(&[groups * each * (32 / bits) as usize, columns]);
            (floats(out), vec![words(shape(&[groups * each, columns])), scale, scale])
        }
        Opcode::Rank | Opcode::Running => {
            let x = shape(&[d(s), long(s).clamp(1, 300)]);
            (if code == Opcode::Rank { words(x) } else { floats(x) }, vec![floats(x)])
        }
    };
    // Few values in a tensor now and then, for equals and ties.
    let pool: Option<[u32; 3]> = (s.below(4) == 0).then(|| std::array::from_fn(|_| s.number()));
    let mut element = |ty: &Type| match (ty.dtype, below) {
        (DType::U32, Some(limit)) if s.below(16) == 0 => limit + s.below(2),
        (DType::U32, Some(limit)) => s.below(limit),
        (DType::U32, None) => s.bits() >> s.below(32),
        (DType::F32, _) => match pool {
            Some(pool) => pool[s.below(3) as usize],
            None => s.number(),
        },
    };
    let data = operands.iter().map(|ty| (0..ty.shape.elements()).map(|_| element(ty)).collect()).collect();
    let mut all = [0; 8];
    all[..attributes.len()].copy_from_slice(&attributes);
    let operands = operands.into_iter().enumerate().map(|(i, ty)| (i as u32, ty)).collect();
    Some(Case { record: Record { code, function, attributes: all, ty: result, operands }, operands: data })
}

#[test]
fn every_operation_in_solidity_is_the_mirrors() {
    let records = std::env::var("REFEREE_RECORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(24);
    let mut referee = Referee { contract: Contract::of("Referee"), most_gas: 0 };
    for code in Opcode::ALL {
        let mut s = Stream(code as u64);
        let mut elements = 0;
        referee.most_gas = 0;
        for _ in 0..records {
            let Some(case) = case(&mut s, code) else { continue };
            assert_eq!(Record::decode(&case.record.encode()).as_ref(), Some(&case.record));
            let n = case.record.ty.shape.elements() as u32;
            // The first, the last and one between.
            for element in if n == 0 { vec![] } else { vec![0, n - 1, s.below(n)] } {
                compare(&mut referee, &case, u64::from(element), &mut s);
                elements += 1;
            }
        }
        let executed = !matches!(code, Opcode::Input | Opcode::State);
        assert_eq!(executed, elements > 0, "{code:?}");
        println!("{code:?}: {elements} elements, at most {} gas", referee.most_gas);
    }
}

#[test]
fn what_is_no_operation_is_refused() {
    let mut contract = Contract::of("Referee");
    let mut s = Stream(1);
    let case = case(&mut s, Opcode::Matmul).unwrap();
    let good = case.record.encode();
    assert!(contract.call("blocks(bytes)", &[Argument::Bytes(&good)]).is_ok());
    for length in 0..good.len() {
        assert!(contract.call("blocks(bytes)", &[Argument::Bytes(&good[..length])]).is_err());
    }
    assert!(contract.call("blocks(bytes)", &[Argument::Bytes(&[&good[..], &[0]].concat())]).is_err());
    // A type of seven axes; five operands; what is never executed; no operation at all.
    for (at, byte) in [(36, 7), (2, 5), (0, 0), (0, 34), (0, 240), (0, 255)] {
        let mut bad = good.clone();
        bad[at] = byte;
        use Argument::{Bytes, Number};
        let run = [Bytes(&bad[..]), Number(0), Number(0), Bytes(&[]), Bytes(&[])];
        assert!(contract.call("run(bytes,uint64,uint64,bytes,bytes)", &run).is_err(), "byte {at} as {byte}");
    }
}
