//! Programs as bytes: one encoding for each program, and its hash.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::build::Builder;
use super::op::Op;
use super::{Program, ValueId};
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

/// What is written, and read part by part: leaves, operations with the numbers of what they read, and where the results go. Types of results are
/// not written, since they follow.
#[derive(Serialize)]
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
        // Each part is checked as soon as it is read, so that what is held is never much more than what is valid.
        let mut rest = Reader(body);
        let mut builder = Builder::new();
        let mut states = Vec::new();
        rest.each(|(name, ty): (String, Type)| builder.push_leaf(&name, false, ty).map(drop))?;
        rest.each(|(name, ty): (String, Type)| {
            states.push(builder.push_leaf(&name, true, ty)?);
            Ok(())
        })?;
        rest.each(|(op, operands): (Op, Vec<ValueId>)| builder.push(op, &operands).map(drop))?;
        rest.each(|(name, value): (String, ValueId)| builder.output_value(&name, value))?;
        let mut left = states.iter();
        rest.each(|value: Option<ValueId>| match (left.next(), value) {
            (Some(state), Some(value)) => builder.assign_value(*state, value),
            (Some(_), None) => Ok(()),
            (None, _) => Err(fail("it assigns more states than it has")),
        })?;
        if left.next().is_some() {
            return Err(fail("it does not say of every state whether it is assigned"));
        }
        let program = builder.finish()?;
        // Dead operations, long integers, bytes at the end and the like would give one program two hashes.
        if program.encode() != bytes {
            return Err(fail("it is not in the one canonical form"));
        }
        Ok(program)
    }
}

/// The part of an encoding that is yet to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn next<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let (value, rest) = postcard::take_from_bytes(self.0)
            .map_err(|e| Error::Decode { why: format!("its body cannot be read: {e}") })?;
        self.0 = rest;
        Ok(value)
    }

    /// Gives the elements of a list to `take`, one by one.
    fn each<T: DeserializeOwned>(
        &mut self,
        mut take: impl FnMut(T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let count: u64 = self.next()?;
        (0..count).try_for_each(|_| take(self.next()?))
    }
}
