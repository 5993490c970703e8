//! Programs as lists of values, each with the record that says what it is made from: what a claim names and a dispute walks through.

use std::collections::BTreeMap;

use exact::{BinaryFn, CompareFn, DType, IntFn, Op, Program, Shape, Type, UnaryFn};

use crate::Error;
use crate::hash::{Digest, Tag, tagged};
use crate::record::{Opcode, Record, compare_number, int_number, number};
use crate::tree::Tree;

/// What a state that is not assigned becomes.
pub(crate) const KEPT: u32 = u32::MAX;

/// A program of primitives alone, over the states of a run.
///
/// Values are numbered: inputs first, then states, then what each operation makes, in order; so a value is made from values of lower
/// numbers alone.
#[derive(Clone, Debug)]
pub struct Graph {
    program: Program,
    lowered: Program,
    records: Vec<Record>,
    inputs: u32,
    /// The place of each of the program's states among those of the run.
    states: Vec<u32>,
    /// What each state of the run becomes.
    assigned: Vec<u32>,
    /// The value that each value of the lowered program is.
    values: Vec<u32>,
    records_tree: Tree,
    assigned_tree: Tree,
}

/// The numbers and roots that a program is committed to by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// How many inputs it takes.
    pub inputs: u32,
    /// How many values it has, inputs and states included.
    pub values: u32,
    /// How many states the run has.
    pub slots: u32,
    /// The root over the values' records.
    pub records: Digest,
    /// The root over what the states become.
    pub assigned: Digest,
}

impl Header {
    /// What the program is committed to as.
    pub fn commitment(&self) -> Digest {
        let numbers = [self.inputs, self.values, self.slots].map(u32::to_be_bytes);
        tagged(Tag::Program, &[&numbers.concat(), &self.records, &self.assigned])
    }
}

/// What it is committed to that a state becomes a value.
pub(crate) fn assignment(slot: u32, value: u32) -> Digest {
    tagged(Tag::Assignment, &[&slot.to_be_bytes(), &value.to_be_bytes()])
}

impl Graph {
    /// The values of a program whose states are among these.
    pub fn new(program: &Program, slots: &[(String, Type)]) -> Result<Graph, Error> {
        let lowered = program.lowered()?;
        let places: BTreeMap<&str, (usize, &Type)> =
            slots.iter().enumerate().map(|(i, (name, ty))| (name.as_str(), (i, ty))).collect();
        let mut records = Vec::new();
        for (i, (_, ty)) in lowered.inputs().enumerate() {
            records.push(Record::leaf(Opcode::Input, i as u32, ty));
        }
        let inputs = records.len() as u32;
        let mut states = Vec::new();
        for (name, ty) in lowered.states() {
            match places.get(name) {
                Some((slot, expected)) if **expected == ty => states.push(*slot as u32),
                _ => return Err(Error::State { name: name.to_owned(), ty }),
            }
            records.push(Record::leaf(Opcode::State, states[states.len() - 1], ty));
        }
        let mut values: Vec<u32> = (0..records.len() as u32).collect();
        for node in lowered.nodes() {
            let ty = lowered.type_of(node.first).ok_or(Error::Malformed { what: "program" })?;
            let operands: Vec<(u32, Type)> = (node.operands.iter())
                .map(|v| values[*v as usize])
                .map(|v| (v, records[v as usize].ty))
                .collect();
            if let Op::Keep = node.op {
                keep(&mut records, &operands)?;
            } else {
                let record = Record::new(node.op, ty, &operands);
                records.push(record.ok_or(Error::NoRule { op: node.op.name() })?);
            }
            values.push(records.len() as u32 - 1);
        }
        let mut assigned = vec![KEPT; slots.len()];
        for (slot, value) in states.iter().zip(lowered.assigned()) {
            if let Some(value) = value {
                assigned[*slot as usize] = values[*value as usize];
            }
        }
        let records_tree = Tree::new(records.iter().zip(0..).map(|(r, v)| r.commitment(v)).collect());
        let assigned_tree = Tree::new(assigned.iter().zip(0..).map(|(v, s)| assignment(s, *v)).collect());
        let program = program.clone();
        Ok(Graph { program, lowered, records, inputs, states, assigned, values, records_tree, assigned_tree })
    }

    /// The program it was made from.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The same as primitives: what is run when every value is to be seen.
    pub fn lowered(&self) -> &Program {
        &self.lowered
    }

    /// What each value is made from.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How many of the values are inputs.
    pub fn inputs(&self) -> u32 {
        self.inputs
    }

    /// The place of each of the program's states among those of the run.
    pub fn states(&self) -> &[u32] {
        &self.states
    }

    /// The value that a state of the run becomes, if it changes.
    pub fn becomes(&self, slot: u32) -> Option<u32> {
        self.assigned.get(slot as usize).copied().filter(|v| *v != KEPT)
    }

    /// The value that a value of the lowered program is.
    pub(crate) fn value_of(&self, lowered: u32) -> u32 {
        self.values[lowered as usize]
    }

    /// What it is committed to by.
    pub fn header(&self) -> Header {
        Header {
            inputs: self.inputs,
            values: self.records.len() as u32,
            slots: self.assigned.len() as u32,
            records: self.records_tree.root(),
            assigned: self.assigned_tree.root(),
        }
    }

    /// What shows that a record is the program's.
    pub fn record_path(&self, value: u32) -> Vec<Digest> {
        self.records_tree.path(u64::from(value))
    }

    /// What shows what a state becomes.
    pub fn assignment_path(&self, slot: u32) -> Vec<Digest> {
        self.assigned_tree.path(u64::from(slot))
    }
}

/// What top-k and top-p keep of `(x[R, V], k[R], p[R])`: elements are ranked, and the mass of those before each is summed up.
///
/// With `exact`'s scalar code: an element of rank r is kept if r is below k (or k is 0), and if r is 0, or p is at least 1, or the
/// elements before it together have less than p of the mass. The sums along the order never fall, so no element that is left out comes
/// before one that is kept.
fn keep(records: &mut Vec<Record>, operands: &[(u32, Type)]) -> Result<(), Error> {
    let [x, k, p] = operands else { return Err(Error::Malformed { what: "keep" }) };
    let (rows, n) = (x.1.shape.dim(0), x.1.shape.dim(1));
    if u32::try_from(rows * n).is_err() {
        return Err(Error::TooLarge { what: "logits to sample from", count: rows * n });
    }
    let mut make = |code: Opcode, function: u8, attribute: u32, ty: Type, operands: &[(u32, Type)]| {
        let mut attributes = [0; 8];
        attributes[0] = attribute;
        records.push(Record { code, function, attributes, ty, operands: operands.to_vec() });
        (records.len() as u32 - 1, ty)
    };
    let ty = |dtype, dims: &[usize]| Ok::<Type, Error>(Type { dtype, shape: Shape::new(dims)? });
    let (numbers, words) = (ty(DType::F32, &[rows, n])?, ty(DType::U32, &[rows, n])?);
    let (number_column, word_column) = (ty(DType::F32, &[rows, 1])?, ty(DType::U32, &[rows, 1])?);
    let (flat_numbers, flat_words) = (ty(DType::F32, &[rows * n])?, ty(DType::U32, &[rows * n])?);
    let row_numbers = ty(DType::F32, &[rows])?;
    let (one_number, one_word) = (ty(DType::F32, &[])?, ty(DType::U32, &[])?);
    let int = int_number;

    let rank = make(Opcode::Rank, 0, 0, words, &[*x]);
    let k = make(Opcode::Copy, 0, 0, word_column, &[*k]);
    let p = make(Opcode::Copy, 0, 0, number_column, &[*p]);
    let zero = make(Opcode::Full, 0, 0, one_word, &[]);
    let nothing = make(Opcode::Full, 0, 0, one_number, &[]);
    let one = make(Opcode::Full, 0, 1f32.to_bits(), one_number, &[]);
    let all = make(Opcode::Int, int(IntFn::Eq), 0, word_column, &[k, zero]);
    let within = make(Opcode::Int, int(IntFn::Lt), 0, words, &[rank, k]);
    let within = make(Opcode::Int, int(IntFn::Max), 0, words, &[within, all]);

    let greatest = make(Opcode::Max, 0, 1, row_numbers, &[*x]);
    let greatest = make(Opcode::Copy, 0, 0, number_column, &[greatest]);
    let below = make(Opcode::Binary, number(&BinaryFn::ALL, BinaryFn::Sub), 0, numbers, &[*x, greatest]);
    let mass = make(Opcode::Unary, number(&UnaryFn::ALL, UnaryFn::Exp), 0, numbers, &[below]);
    let mass = make(Opcode::Select, 0, 0, numbers, &[within, mass, nothing]);
    let sum = make(Opcode::Sum, 0, 1, row_numbers, &[mass]);
    let sum = make(Opcode::Copy, 0, 0, number_column, &[sum]);
    let enough = make(Opcode::Binary, number(&BinaryFn::ALL, BinaryFn::Mul), 0, number_column, &[p, sum]);

    // Into the order of the ranks, summed up, and back.
    let row = make(Opcode::Iota, 0, 0, word_column, &[]);
    let length = make(Opcode::Full, 0, n as u32, one_word, &[]);
    let row = make(Opcode::Int, int(IntFn::Mul), 0, word_column, &[row, length]);
    let place = make(Opcode::Int, int(IntFn::Add), 0, words, &[rank, row]);
    let flat_place = make(Opcode::Copy, 0, 0, flat_words, &[place]);
    let flat_mass = make(Opcode::Copy, 0, 0, flat_numbers, &[mass]);
    let sorted = make(Opcode::ScatterAdd, 0, (rows * n) as u32, flat_numbers, &[flat_place, flat_mass]);
    let sorted = make(Opcode::Copy, 0, 0, numbers, &[sorted]);
    let running = make(Opcode::Running, 0, 0, numbers, &[sorted]);
    let running = make(Opcode::Copy, 0, 0, flat_numbers, &[running]);
    let before = make(Opcode::Gather, 0, 0, numbers, &[running, place]);

    let room = make(Opcode::Compare, compare_number(CompareFn::Lt), 0, words, &[before, enough]);
    let first = make(Opcode::Int, int(IntFn::Eq), 0, words, &[rank, zero]);
    let wide = make(Opcode::Compare, compare_number(CompareFn::Le), 0, word_column, &[one, p]);
    let kept = make(Opcode::Int, int(IntFn::Max), 0, words, &[room, first]);
    let kept = make(Opcode::Int, int(IntFn::Max), 0, words, &[kept, wide]);
    make(Opcode::Int, int(IntFn::Min), 0, words, &[kept, within]);
    Ok(())
}
