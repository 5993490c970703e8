//! Programs of primitives alone: what a dispute is about.

use super::build::Builder;
use super::op::Op;
use super::{Program, ValueId};
use crate::Error;
use crate::expand::expand;

/// One operation of a program, for who looks at it from outside.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// What it does.
    pub op: &'a Op,
    /// The values it reads: inputs have the first numbers, then states, then results in the order of the operations.
    pub operands: &'a [u32],
    /// The first value it makes; the others follow it.
    pub first: u32,
    /// How many it makes.
    pub results: u32,
}

impl Program {
    /// The program with each fused operation as the primitives that define it, and with concatenations of two parts at a time.
    ///
    /// It has the same inputs, states and outputs, and gives the same bits. Each of its operations makes one value.
    pub fn lowered(&self) -> Result<Program, Error> {
        let mut b = Builder::new();
        let mut to: Vec<ValueId> = Vec::with_capacity(self.types.len());
        for (i, leaf) in self.leaves.iter().enumerate() {
            to.push(b.push_leaf(&leaf.name, i >= self.inputs, leaf.ty)?);
        }
        for operation in &self.operations {
            let operands: Vec<ValueId> = operation.operands.iter().map(|v| to[*v as usize]).collect();
            if let Some(results) = expand(&operation.op, &mut b, &operands)? {
                to.extend(results);
                continue;
            }
            match (&operation.op, operands.as_slice()) {
                (Op::Concat { .. }, [first, second, rest @ ..]) => {
                    let mut joined = b.push(operation.op.clone(), &[*first, *second])?.start;
                    for part in rest {
                        joined = b.push(operation.op.clone(), &[joined, *part])?.start;
                    }
                    to.push(joined);
                }
                // One part alone is a copy.
                (Op::Concat { .. }, [only]) => to.push(b.push(Op::Copy, &[*only])?.start),
                _ => to.extend(b.push(operation.op.clone(), &operands)?),
            }
        }
        for (name, value) in &self.outputs {
            b.output_value(name, to[*value as usize])?;
        }
        for (state, value) in self.assigned.iter().enumerate() {
            if let Some(value) = value {
                b.assign_value(to[self.inputs + state], to[*value as usize])?;
            }
        }
        b.finish()
    }

    /// The operations in their order.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = Node<'_>> {
        self.operations.iter().map(|o| Node {
            op: &o.op,
            operands: &o.operands,
            first: o.first,
            results: o.results,
        })
    }

    /// The type of a value, if there is one of this number.
    pub fn type_of(&self, value: u32) -> Option<crate::Type> {
        self.types.get(value as usize).copied()
    }

    /// What each state becomes, by the value's number, if it changes.
    pub fn assigned(&self) -> &[Option<u32>] {
        &self.assigned
    }
}

#[cfg(test)]
mod tests {
    use crate::{Builder, Device, Limits, Op, Session};

    #[test]
    fn the_same_bits_from_primitives_alone() {
        let mut b = Builder::new();
        let x = b.input::<f32>("x", &[3, 5]).unwrap();
        let w = b.state::<f32>("w", &[5]).unwrap();
        let (y, inv) = b.rms_norm(x, w, 1e-5).unwrap();
        let s = b.softmax(y).unwrap();
        let all = b.concat(&[x, s, y], 0).unwrap();
        let only = b.concat(&[all], 1).unwrap();
        b.output("all", only).unwrap();
        b.output("inv", inv).unwrap();
        let sum = b.sum(s, 0).unwrap();
        b.assign(w, sum).unwrap();
        let fused = b.finish().unwrap();
        let plain = fused.lowered().unwrap();
        for node in plain.nodes() {
            assert!(!node.op.is_fused() && node.results == 1, "{}", node.op.name());
            assert!(!matches!(node.op, Op::Concat { .. }) || node.operands.len() == 2);
        }
        assert_eq!(plain.lowered().unwrap(), plain);
        let run = |program| {
            let mut s = Session::new(program, &Device::cpu(1), Limits::default()).unwrap();
            s.write("x", &(0..15).map(|i| (i as f32).sin()).collect::<Vec<_>>()).unwrap();
            s.write("w", &[1.0f32, 2.0, -3.0, 0.5, 0.1]).unwrap();
            s.run().unwrap();
            ["all", "inv", "w"].map(|name| s.read::<f32>(name).unwrap())
        };
        assert_eq!(run(&fused), run(&plain));
    }
}
