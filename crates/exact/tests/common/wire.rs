//! Programs written down as `Program::encode` writes them, so that tests can make any of them: also such as no builder makes.

use exact::{Error, Op, Program, Type};
use serde::{Deserialize, Serialize};

pub(crate) const MAGIC: [u8; 6] = *b"exact\x01";

/// What an encoded program consists of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Wire {
    pub(crate) inputs: Vec<(String, Type)>,
    pub(crate) states: Vec<(String, Type)>,
    pub(crate) operations: Vec<(Op, Vec<u32>)>,
    pub(crate) outputs: Vec<(String, u32)>,
    pub(crate) assigned: Vec<Option<u32>>,
}

impl Wire {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, MAGIC.to_vec()).unwrap()
    }

    pub(crate) fn program(&self) -> Result<Program, Error> {
        Program::decode(&self.bytes())
    }
}

/// How many results an operation has.
pub(crate) fn results(op: &Op) -> u32 {
    match op {
        Op::RmsNorm { .. } | Op::SwigluGrad => 2,
        Op::TokenLogprob | Op::Attention { .. } | Op::AttentionGrad { .. } | Op::AdamW { .. } => 3,
        _ => 1,
    }
}

/// A program of one operation: inputs `x0`, `x1`, .., outputs `y0`, `y1`, ...
pub(crate) fn alone(op: &Op, operands: &[Type]) -> Result<Program, Error> {
    let n = operands.len() as u32;
    let mut operations = vec![(op.clone(), (0..n).collect())];
    let mut outputs: Vec<(String, u32)> = (0..results(op)).map(|i| (format!("y{i}"), n + i)).collect();
    // A result that is the operand under another shape is given back as a copy.
    if matches!(op, Op::Reshape { .. }) {
        operations.push((Op::Copy, vec![n]));
        outputs[0].1 = n + 1;
    }
    Wire { inputs: inputs(operands), operations, outputs, ..Wire::default() }.program()
}

/// The same with every operand copied first, so that the operation may write over it; operand `i` is the copy of input
/// `which[i]`, so that one value can be several operands.
pub(crate) fn over_copies(op: &Op, operands: &[Type], which: &[u32]) -> Result<Program, Error> {
    let n = operands.len() as u32;
    let mut used: Vec<u32> = which.to_vec();
    used.sort_unstable();
    used.dedup();
    let copy = |i: &u32| n + used.iter().position(|u| u == i).unwrap() as u32;
    let mut operations: Vec<(Op, Vec<u32>)> = used.iter().map(|i| (Op::Copy, vec![*i])).collect();
    operations.push((op.clone(), which.iter().map(copy).collect()));
    let first = n + used.len() as u32;
    let outputs = (0..results(op)).map(|i| (format!("y{i}"), first + i)).collect();
    Wire { inputs: inputs(operands), operations, outputs, ..Wire::default() }.program()
}

fn inputs(operands: &[Type]) -> Vec<(String, Type)> {
    operands.iter().enumerate().map(|(i, ty)| (format!("x{i}"), *ty)).collect()
}
