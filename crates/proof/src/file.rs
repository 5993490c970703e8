//! A claim as a file: all it takes to make the run again, and what is said to have come of it.

use exact::{Program, Type};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::hash::Digest;
use crate::run::{Claim, Given, Work, state_after};
use crate::tensor::Tensor;
use crate::tree::Tree;

/// Leads every file; the last byte is the version.
const MAGIC: &[u8; 16] = b"starling claim\0\x01";

/// A claim with the work it is about.
#[derive(Clone, Debug)]
pub struct ClaimFile {
    /// What was to be done.
    pub work: Work,
    /// What each state is committed to as after each step.
    pub states: Vec<Vec<Digest>>,
    /// The states in the end.
    pub last: Vec<Tensor>,
}

/// A tensor as it is written: its type follows from the program or from the list of states.
#[derive(Serialize, Deserialize)]
struct Words(#[serde(with = "raw")] Vec<u32>);

/// Words as bytes, at once and not one by one.
mod raw {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(words: &[u32], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&crate::hash::bytes(words))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u32>, D::Error> {
        let bytes: &[u8] = Deserialize::deserialize(d)?;
        let (words, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(D::Error::custom("a tensor's bytes are no words"));
        }
        Ok(words.iter().map(|w| u32::from_le_bytes(*w)).collect())
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    job: Digest,
    programs: Vec<Vec<u8>>,
    start: Vec<(String, Type, Words)>,
    steps: Vec<(u32, Vec<Words>)>,
    states: Vec<Vec<Digest>>,
    last: Vec<Words>,
}

impl ClaimFile {
    /// What is claimed.
    pub fn claim(&self) -> Claim {
        let leaf = |(t, states): (u64, &Vec<Digest>)| state_after(t, &Tree::new(states.clone()).root());
        let run = Tree::new((1..).zip(&self.states).map(leaf).collect()).root();
        Claim { terms: self.work.terms(), run }
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let words = |tensor: &Tensor| Words(tensor.words.clone());
        let start = self.work.slots().iter().zip(self.work.start());
        let wire = Wire {
            job: self.work.job,
            programs: self.work.graphs().iter().map(|g| g.program().encode()).collect(),
            start: start.map(|((name, ty), tensor)| (name.clone(), *ty, words(tensor))).collect(),
            steps: (self.work.steps().iter())
                .map(|given| (given.program as u32, given.inputs.iter().map(words).collect()))
                .collect(),
            states: self.states.clone(),
            last: self.last.iter().map(words).collect(),
        };
        // Writing to a vector cannot fail: every length is known and no value refuses to be serialised.
        postcard::to_extend(&wire, MAGIC.to_vec()).unwrap_or_default()
    }

    /// Reads a file that may come from anyone; what is held of it is never much more than the bytes themselves.
    pub fn decode(bytes: &[u8]) -> Result<ClaimFile, Error> {
        let malformed = Error::Malformed { what: "claim's file" };
        let Some(body) = bytes.strip_prefix(MAGIC) else { return Err(malformed) };
        let Ok(wire) = postcard::from_bytes::<Wire>(body) else { return Err(malformed) };
        let programs = wire.programs.iter().map(|p| Program::decode(p)).collect::<Result<Vec<_>, _>>()?;
        let start: Vec<(String, Tensor)> =
            (wire.start.into_iter()).map(|(name, ty, words)| (name, Tensor { ty, words: words.0 })).collect();
        let types: Vec<Type> = start.iter().map(|(_, tensor)| tensor.ty).collect();
        let given = |(program, inputs): (u32, Vec<Words>)| {
            let of = programs.get(program as usize)?;
            let inputs = of.inputs().zip(inputs).map(|((_, ty), words)| Tensor { ty, words: words.0 });
            Some(Given { program: program as usize, inputs: inputs.collect() })
        };
        let steps = wire.steps.into_iter().map(given).collect::<Option<Vec<_>>>().ok_or(malformed)?;
        let work = Work::new(wire.job, &programs, start, steps)?;
        let whole = wire.states.len() == work.steps().len()
            && wire.states.iter().all(|states| states.len() == types.len())
            && wire.last.len() == types.len()
            && wire.last.iter().zip(&types).all(|(words, ty)| words.0.len() == ty.shape.elements());
        if !whole {
            return Err(Error::Malformed { what: "claim's file" });
        }
        let last = types.iter().zip(wire.last).map(|(ty, words)| Tensor { ty: *ty, words: words.0 });
        Ok(ClaimFile { work, states: wire.states, last: last.collect() })
    }
}
