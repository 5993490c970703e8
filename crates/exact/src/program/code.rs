//! Programs as bytes: one encoding for each program, and its hash.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::build::Builder;
use super::op::Op;
use super::{MAX_OPERATIONS, Program, ValueId};
use crate::Error;
use crate::shape::Type;

/// The most bytes an encoded program may have.
pub const MAX_ENCODED_BYTES: usize = 4 << 20;

/// Leads every encoded program; the last byte is the version.
const MAGIC: [u8; 6] = *b"exact\x01";
/// Keeps a program's hash apart from every other hash in the network.
const HASH_CONTEXT: &str = "starling exact program v1";

/// The hash of a program's encoding: equal if and only if the programs are the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramHash(pub [u8; 32]);

impl fmt::Display for ProgramHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ProgramHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is written: leaves, operations with the numbers of what they read, and where the results go. Types of results are
/// not written, since they follow.
#[derive(Serialize, Deserialize)]
struct Wire {
    inputs: Vec<(String, Type)>,
    states: Vec<(String, Type)>,
    operations: Vec<(Op, Vec<ValueId>)>,
    outputs: Vec<(String, ValueId)>,
    assigned: Vec<Option<ValueId>>,
}

impl Program {
    /// The program as bytes; the same program always gives the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let named = |(name, ty): (&str, Type)| (name.to_owned(), ty);
        let wire = Wire {
            inputs: self.inputs().map(named).collect(),
            states: self.states().map(named).collect(),
            operations: self.operations.iter().map(|o| (o.op.clone(), o.operands.clone())).collect(),
            outputs: self.outputs.clone(),
            assigned: self.assigned.clone(),
        };
        // Writing to a vector cannot fail: every length is known and no value refuses to be serialised.
        postcard::to_extend(&wire, MAGIC.to_vec()).unwrap_or_default()
    }

    /// The program's content hash.
    pub fn hash(&self) -> ProgramHash {
        ProgramHash(blake3::derive_key(HASH_CONTEXT, &self.encode()))
    }

    /// Reads a program from bytes that may come from anyone.
    ///
    /// Everything is checked again: names, operands, shapes, limits, and that these bytes are the program's one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Program, Error> {
        let fail = |why: &str| Error::Decode { why: why.to_owned() };
        if bytes.len() > MAX_ENCODED_BYTES {
            let (count, limit) = (bytes.len(), MAX_ENCODED_BYTES);
            return Err(Error::ProgramTooLong { what: "bytes", count, limit });
        }
        let body =
            bytes.strip_prefix(&MAGIC).ok_or_else(|| fail("it does not begin as one of version 1 does"))?;
        let wire: Wire =
            postcard::from_bytes(body).map_err(|e| fail(&format!("its body cannot be read: {e}")))?;
        if wire.operations.len() > MAX_OPERATIONS {
            let count = wire.operations.len();
            return Err(Error::ProgramTooLong { what: "operations", count, limit: MAX_OPERATIONS });
        }

        let mut builder = Builder::new();
        let mut states = Vec::with_capacity(wire.states.len());
        for (name, ty) in &wire.inputs {
            builder.push_leaf(name, false, *ty)?;
        }
        for (name, ty) in &wire.states {
            states.push(builder.push_leaf(name, true, *ty)?);
        }
        for (op, operands) in wire.operations {
            builder.push(op, &operands)?;
        }
        for (name, value) in &wire.outputs {
            builder.output_value(name, *value)?;
        }
        if wire.assigned.len() != states.len() {
            return Err(fail("it does not say of every state whether it is assigned"));
        }
        for (state, value) in states.into_iter().zip(wire.assigned) {
            if let Some(value) = value {
                builder.assign_value(state, value)?;
            }
        }
        let program = builder.finish()?;
        // Dead operations, long integers and the like would give one program two hashes.
        if program.encode() != bytes {
            return Err(fail("it is not in the one canonical form"));
        }
        Ok(program)
    }
}
