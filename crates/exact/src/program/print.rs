//! Programs as text that a person can read: one operation a line.

use std::fmt;

use super::Program;

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "program {}", self.hash())?;
        for (i, leaf) in self.leaves.iter().enumerate() {
            let kind = if i < self.inputs { "input" } else { "state" };
            writeln!(f, "  %{i} = {kind} {:?} : {}", leaf.name, leaf.ty)?;
        }
        for operation in &self.operations {
            let list = |ids: &mut dyn Iterator<Item = u32>| {
                ids.map(|v| format!("%{v}")).collect::<Vec<_>>().join(", ")
            };
            let results = list(&mut operation.results());
            let operands = list(&mut operation.operands.iter().copied());
            let types: Vec<String> = operation.results().map(|v| self.ty(v).to_string()).collect();
            let attributes = attributes(&operation.op);
            let name = operation.op.name();
            writeln!(f, "  {results} = {name}{attributes}({operands}) : {}", types.join(", "))?;
        }
        for (leaf, value) in self.leaves[self.inputs..].iter().zip(&self.assigned) {
            if let Some(value) = value {
                writeln!(f, "  assign {:?} = %{value}", leaf.name)?;
            }
        }
        for (name, value) in &self.outputs {
            writeln!(f, "  output {name:?} = %{value}")?;
        }
        Ok(())
    }
}

/// The attributes as Rust prints them, without the variant's own name, which `Op::name` already gives.
fn attributes(op: &super::op::Op) -> String {
    let debug = format!("{op:?}");
    match debug.find(" {") {
        Some(at) => debug[at..].to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::Builder;

    #[test]
    fn a_program_reads_as_one_line_per_operation() {
        let mut b = Builder::new();
        let x = b.input::<f32>("x", &[2, 3]).unwrap();
        let w = b.state::<f32>("w", &[3, 4]).unwrap();
        let y = b.matmul(x, w).unwrap();
        let y = b.sum(y, 1).unwrap();
        b.output("y", y).unwrap();
        let text = b.finish().unwrap().to_string();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "  %0 = input \"x\" : f32[2, 3]",
                "  %1 = state \"w\" : f32[3, 4]",
                "  %2 = matmul { ta: false, tb: false }(%0, %1) : f32[2, 4]",
                "  %3 = sum { with: Sum, axis: 1 }(%2) : f32[2]",
                "  output \"y\" = %3",
            ]
        );
    }
}
