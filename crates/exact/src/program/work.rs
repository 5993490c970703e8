//! How much there is to do: an upper bound that is known before anything runs.

use super::Program;
use super::op::Op;
use crate::shape::Type;

impl Program {
    /// At most how many steps a run takes: fused multiply-adds, or elements read and written.
    ///
    /// A few bytes can describe days of work. Whoever runs programs of strangers compares this with what they are paid for, or sets
    /// [`Limits::work`](crate::Limits::work).
    pub fn work(&self) -> u64 {
        (0..self.operations.len()).fold(0u64, |sum, at| sum.saturating_add(self.work_of(at)))
    }

    /// The bound for one operation.
    pub(crate) fn work_of(&self, at: usize) -> u64 {
        let operation = &self.operations[at];
        let operand = |i: usize| self.ty(operation.operands[i]);
        let operands = || operation.operands.iter().map(|v| self.ty(*v));
        let results = || operation.results().map(|v| self.ty(v));
        let touched = total(operands()).saturating_add(total(results()));
        let contracted = match &operation.op {
            // Every number is unpacked, however few rows it is for.
            Op::PackedMatmul { .. } => {
                let inner = operand(0).shape.dim(1) as u64;
                let columns = operand(1).shape.dim(1) as u64;
                total(results()).saturating_add(columns).saturating_mul(inner)
            }
            Op::Matmul { ta, .. } | Op::RaggedMatmul { ta, .. } => {
                let a = operand(0).shape;
                let inner = a.dim(if *ta { a.rank() - 2 } else { a.rank() - 1 });
                total(results()).saturating_mul(inner as u64)
            }
            // Scores, and what is mixed by them; twice and a half as much on the way back.
            Op::Attention { .. } => scores(&operand(0), &operand(1)).saturating_mul(2),
            Op::AttentionGrad { .. } => scores(&operand(0), &operand(1)).saturating_mul(5),
            Op::Conv3d { .. } => {
                let w = operand(1).shape;
                let taps = (0..4).map(|axis| w.dim(axis) as u64).fold(1, u64::saturating_mul);
                total(results()).saturating_mul(taps)
            }
            Op::Conv3dWeightGrad { kernel, .. } => {
                let taps = kernel
                    .iter()
                    .fold(operand(0).shape.dim(4) as u64, |n, k| n.saturating_mul(u64::from(*k)));
                total([operand(1)].into_iter()).saturating_mul(taps)
            }
            // Sorting.
            Op::Keep | Op::Sample => touched.saturating_mul(32),
            _ => 0,
        };
        touched.saturating_add(contracted)
    }
}

fn total(types: impl Iterator<Item = Type>) -> u64 {
    types.fold(0, |sum, ty| sum.saturating_add(ty.shape.elements() as u64))
}

/// Every query with every key, in every dimension.
fn scores(q: &Type, k: &Type) -> u64 {
    total([*q].into_iter()).saturating_mul(k.shape.dim(1) as u64)
}

#[cfg(test)]
mod tests {
    use crate::{Builder, Device, Error, Limits, Session};

    #[test]
    fn a_product_is_counted_and_can_be_refused() {
        let mut b = Builder::new();
        let a = b.input::<f32>("a", &[10, 30]).unwrap();
        let c = b.input::<f32>("c", &[30, 20]).unwrap();
        let y = b.matmul(a, c).unwrap();
        b.output("y", y).unwrap();
        let program = b.finish().unwrap();
        let work = 10 * 30 * 20 + 10 * 30 + 30 * 20 + 10 * 20;
        assert_eq!(program.work(), work);
        let limits = |work| Limits { work, ..Limits::default() };
        assert!(Session::new(&program, &Device::scalar(), limits(work)).is_ok());
        let refused = Session::new(&program, &Device::scalar(), limits(work - 1)).unwrap_err();
        assert_eq!(refused, Error::Work { needed: work, limit: work - 1, op: "matmul", at: 0 });
    }
}
