//! An operation as the referee sees it: one record of bytes.

use exact::{BinaryFn, CompareFn, IntFn, Op, ReduceFn, Type, UnaryFn};

use crate::hash::{Digest, Tag, tagged};
use crate::tensor::{decode, encode};

/// What a value comes from, by the number it has in records.
///
/// `Rank` and `Running` are no operations of `exact`: what top-k and top-p keep is defined by them (`graph.rs`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the operation it is named after")]
#[repr(u8)]
pub enum Opcode {
    Full = 1,
    Iota = 2,
    Philox = 3,
    Unit = 4,
    Copy = 5,
    Unary = 6,
    Binary = 7,
    Compare = 8,
    Int = 9,
    Fma = 10,
    Select = 11,
    ToFloat = 12,
    Permute = 13,
    Broadcast = 14,
    Slice = 15,
    Pad = 16,
    Concat = 17,
    Flip = 18,
    Gather = 19,
    ScatterAdd = 20,
    Pick = 21,
    Place = 22,
    WriteRows = 23,
    Im2col = 24,
    Matmul = 25,
    RaggedMatmul = 26,
    Sum = 27,
    Max = 28,
    Dot = 29,
    ArgMax = 30,
    Unpack = 31,
    /// How many elements of its row come before each.
    Rank = 32,
    /// The sum of all elements of its row before each.
    Running = 33,
    /// Given for this step.
    Input = 240,
    /// As the step before left it.
    State = 241,
}

impl Opcode {
    /// Every kind of value.
    pub const ALL: [Opcode; 35] = {
        use Opcode::{
            ArgMax, Binary, Broadcast, Compare, Concat, Copy, Dot, Flip, Fma, Full, Gather, Im2col, Input,
            Int, Iota, Matmul, Max, Pad, Permute, Philox, Pick, Place, RaggedMatmul, Rank, Running,
            ScatterAdd, Select, Slice, State, Sum, ToFloat, Unary, Unit, Unpack, WriteRows,
        };
        [
            Full,
            Iota,
            Philox,
            Unit,
            Copy,
            Unary,
            Binary,
            Compare,
            Int,
            Fma,
            Select,
            ToFloat,
            Permute,
            Broadcast,
            Slice,
            Pad,
            Concat,
            Flip,
            Gather,
            ScatterAdd,
            Pick,
            Place,
            WriteRows,
            Im2col,
            Matmul,
            RaggedMatmul,
            Sum,
            Max,
            Dot,
            ArgMax,
            Unpack,
            Rank,
            Running,
            Input,
            State,
        ]
    };

    /// How many operands it has.
    pub fn operands(self) -> usize {
        match self {
            Opcode::Full | Opcode::Iota | Opcode::Input | Opcode::State => 0,
            Opcode::Philox
            | Opcode::Unit
            | Opcode::Copy
            | Opcode::Unary
            | Opcode::ToFloat
            | Opcode::Permute
            | Opcode::Broadcast
            | Opcode::Slice
            | Opcode::Pad
            | Opcode::Flip
            | Opcode::Im2col
            | Opcode::Sum
            | Opcode::Max
            | Opcode::ArgMax
            | Opcode::Rank
            | Opcode::Running => 1,
            Opcode::Binary
            | Opcode::Compare
            | Opcode::Int
            | Opcode::Concat
            | Opcode::Gather
            | Opcode::ScatterAdd
            | Opcode::Pick
            | Opcode::Place
            | Opcode::Matmul
            | Opcode::Dot => 2,
            Opcode::Fma | Opcode::Select | Opcode::WriteRows | Opcode::Unpack => 3,
            Opcode::RaggedMatmul => 4,
        }
    }

    /// The kind of this number.
    pub fn of(number: u8) -> Option<Opcode> {
        Opcode::ALL.into_iter().find(|code| *code as u8 == number)
    }
}

/// What one value of a program is and what it is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The kind of operation.
    pub code: Opcode,
    /// Which function, where there are several.
    pub function: u8,
    /// Whatever else says what it does.
    pub attributes: [u32; 8],
    /// The type of the value.
    pub ty: Type,
    /// The values it reads and their types.
    pub operands: Vec<(u32, Type)>,
}

/// How long the part of a record before its operands is.
const HEAD: usize = 61;
/// What each operand adds to it.
const OPERAND: usize = 30;

impl Record {
    /// The record of a primitive operation; `None` for one that is fused, for `keep`, and for a concatenation of other than two.
    pub fn new(op: &Op, ty: Type, operands: &[(u32, Type)]) -> Option<Record> {
        let (code, function, attributes) = code(op)?;
        let mut all = [0; 8];
        all[..attributes.len()].copy_from_slice(&attributes);
        let fits = operands.len() == code.operands();
        fits.then(|| Record { code, function, attributes: all, ty, operands: operands.to_vec() })
    }

    /// The record of a leaf: an input or a state by its place.
    pub fn leaf(code: Opcode, slot: u32, ty: Type) -> Record {
        let mut attributes = [0; 8];
        attributes[0] = slot;
        Record { code, function: 0, attributes, ty, operands: Vec::new() }
    }

    /// The record as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + OPERAND * self.operands.len());
        out.extend([self.code as u8, self.function, self.operands.len() as u8]);
        out.extend(self.attributes.iter().flat_map(|a| a.to_be_bytes()));
        out.extend(encode(&self.ty));
        for (value, ty) in &self.operands {
            out.extend(value.to_be_bytes());
            out.extend(encode(ty));
        }
        out
    }

    /// The record of these bytes, if they are one's.
    pub fn decode(bytes: &[u8]) -> Option<Record> {
        let code = Opcode::of(*bytes.first()?)?;
        if bytes.len() != HEAD + OPERAND * code.operands() || usize::from(bytes[2]) != code.operands() {
            return None;
        }
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let ty = |at: usize| decode(bytes.get(at..at + 26)?.try_into().ok()?);
        let mut attributes = [0; 8];
        for (i, attribute) in attributes.iter_mut().enumerate() {
            *attribute = word(3 + 4 * i)?;
        }
        let operands = (0..code.operands()).map(|i| HEAD + OPERAND * i);
        let operands = operands.map(|at| Some((word(at)?, ty(at + 4)?))).collect::<Option<_>>()?;
        Some(Record { code, function: bytes[1], attributes, ty: ty(35)?, operands })
    }

    /// What the record of value `value` of a program is committed to as.
    pub fn commitment(&self, value: u32) -> Digest {
        tagged(Tag::Record, &[&value.to_be_bytes(), &self.encode()])
    }
}

/// The kind, the function and the attributes of a primitive operation.
fn code(op: &Op) -> Option<(Opcode, u8, Vec<u32>)> {
    let plain = |code| Some((code, 0, vec![]));
    let with = |code, attributes: &[u32]| Some((code, 0, attributes.to_vec()));
    match op {
        Op::Full { bits, .. } => with(Opcode::Full, &[*bits]),
        Op::Iota { axis, .. } => with(Opcode::Iota, &[u32::from(*axis)]),
        Op::Philox { .. } => plain(Opcode::Philox),
        Op::Unit => plain(Opcode::Unit),
        Op::Copy | Op::Reshape { .. } => plain(Opcode::Copy),
        Op::Unary(f) => Some((Opcode::Unary, number(&UnaryFn::ALL, *f), vec![])),
        Op::Binary(f) => Some((Opcode::Binary, number(&BinaryFn::ALL, *f), vec![])),
        Op::Compare(f) => Some((Opcode::Compare, number(&COMPARE, *f), vec![])),
        Op::Int(f) => Some((Opcode::Int, number(&INT, *f), vec![])),
        Op::Fma => plain(Opcode::Fma),
        Op::Select => plain(Opcode::Select),
        Op::ToFloat => plain(Opcode::ToFloat),
        Op::Permute { order } => Some((Opcode::Permute, 0, order.iter().map(|a| u32::from(*a)).collect())),
        Op::Broadcast { .. } => plain(Opcode::Broadcast),
        Op::Slice { axis, start, .. } => with(Opcode::Slice, &[u32::from(*axis), *start]),
        Op::Pad { axis, before, .. } => with(Opcode::Pad, &[u32::from(*axis), *before]),
        Op::Concat { axis } => with(Opcode::Concat, &[u32::from(*axis)]),
        Op::Flip { axis } => with(Opcode::Flip, &[u32::from(*axis)]),
        Op::Gather => plain(Opcode::Gather),
        Op::ScatterAdd { rows } => with(Opcode::ScatterAdd, &[*rows]),
        Op::Pick => plain(Opcode::Pick),
        Op::Place { n } => with(Opcode::Place, &[*n]),
        Op::WriteRows => plain(Opcode::WriteRows),
        Op::Im2col { kernel, pad } => Some((Opcode::Im2col, 0, [*kernel, *pad].concat())),
        Op::Matmul { ta, tb } => with(Opcode::Matmul, &[u32::from(*ta), u32::from(*tb)]),
        Op::RaggedMatmul { ta, tb } => with(Opcode::RaggedMatmul, &[u32::from(*ta), u32::from(*tb)]),
        Op::Reduce { with: ReduceFn::Sum, axis } => with(Opcode::Sum, &[u32::from(*axis)]),
        Op::Reduce { with: ReduceFn::Max, axis } => with(Opcode::Max, &[u32::from(*axis)]),
        Op::Dot { axis } => with(Opcode::Dot, &[u32::from(*axis)]),
        Op::ArgMax => plain(Opcode::ArgMax),
        Op::Unpack { bits } => with(Opcode::Unpack, &[u32::from(*bits)]),
        // Keep is made of ranks, sums and comparisons (`graph.rs`), the fused ones of what they expand to.
        Op::Keep
        | Op::RmsNorm { .. }
        | Op::RmsNormGrad
        | Op::RmsNormWeightGrad
        | Op::Softmax
        | Op::TokenLogprob
        | Op::TokenLogprobGrad
        | Op::Swiglu
        | Op::SwigluGrad
        | Op::Rope { .. }
        | Op::Attention { .. }
        | Op::AttentionGrad { .. }
        | Op::Conv3d { .. }
        | Op::Conv3dWeightGrad { .. }
        | Op::AdamW { .. }
        | Op::Sample
        | Op::PackedMatmul { .. } => None,
    }
}

/// The comparisons in the order of their numbers.
pub(crate) const COMPARE: [CompareFn; 3] = [CompareFn::Lt, CompareFn::Le, CompareFn::Eq];
/// Integer arithmetic in the order of its numbers.
pub(crate) const INT: [IntFn; 7] =
    [IntFn::Add, IntFn::Sub, IntFn::Mul, IntFn::Max, IntFn::Min, IntFn::Lt, IntFn::Eq];

/// The number of a comparison.
pub(crate) fn compare_number(f: CompareFn) -> u8 {
    number(&COMPARE, f)
}

/// The number of a function of integers.
pub(crate) fn int_number(f: IntFn) -> u8 {
    number(&INT, f)
}

/// The number of a function: its place among all there are.
pub(crate) fn number<T: PartialEq + Copy>(all: &[T], one: T) -> u8 {
    all.iter().position(|other| *other == one).unwrap_or(all.len()) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use exact::{DType, Shape};

    #[test]
    fn records_have_one_encoding() {
        let ty = |dims: &[usize]| Type { dtype: DType::F32, shape: Shape::new(dims).unwrap() };
        let op = Op::Matmul { ta: false, tb: true };
        let record = Record::new(&op, ty(&[2, 4]), &[(0, ty(&[2, 3])), (7, ty(&[4, 3]))]).unwrap();
        let bytes = record.encode();
        assert_eq!(bytes.len(), 121);
        assert_eq!(Record::decode(&bytes), Some(record.clone()));
        assert_ne!(record.commitment(3), record.commitment(4));
        for wrong in [&bytes[..120], &[&bytes[..], &[0]].concat(), &[&[200], &bytes[1..]].concat(), &[]] {
            assert_eq!(Record::decode(wrong), None);
        }
        assert_eq!(Record::new(&op, ty(&[2, 4]), &[]), None);
        assert_eq!(Record::new(&Op::Softmax, ty(&[2]), &[(0, ty(&[2]))]), None);
    }
}
