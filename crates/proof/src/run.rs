//! Work as it was agreed on, and what comes of doing it.

use std::collections::BTreeMap;

use exact::{DType, Device, Limits, Program, Session, Type};

use crate::Error;
use crate::graph::Graph;
use crate::hash::{Digest, Tag, tagged};
use crate::record::{Opcode, Record};
use crate::rule;
use crate::tensor::Tensor;
use crate::tree::Tree;

/// What a run is to do: everything that determines its result.
#[derive(Clone, Debug)]
pub struct Work {
    /// Whom it is for: no claim of one job can pass for one of another.
    pub job: Digest,
    graphs: Vec<Graph>,
    slots: Vec<(String, Type)>,
    start: Vec<Tensor>,
    steps: Vec<Given>,
}

/// What one step is given: a program, by its place in the list, and its inputs in the program's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Which program.
    pub program: usize,
    /// Its inputs.
    pub inputs: Vec<Tensor>,
}

/// What all claims about one piece of work agree on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Whom it is for.
    pub job: Digest,
    /// The root over the steps that are to be made: programs and inputs, in order.
    pub schedule: Digest,
    /// The states before the first step.
    pub start: Digest,
    /// How many steps.
    pub steps: u64,
}

/// That this is what came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Of what.
    pub terms: Terms,
    /// The root over the states after each step.
    pub run: Digest,
}

impl Terms {
    /// What the terms are known by.
    pub fn digest(&self) -> Digest {
        tagged(Tag::Claim, &[&self.job, &self.schedule, &self.start, &self.steps.to_be_bytes()])
    }
}

/// What step `t`, the first being 0, is committed to as.
pub fn scheduled(t: u64, program: &Digest, inputs: &Digest) -> Digest {
    tagged(Tag::Step, &[&t.to_be_bytes(), program, inputs])
}

/// What the states are committed to as, given the root over them, when `t` steps have been made.
pub fn state_after(t: u64, slots: &Digest) -> Digest {
    tagged(Tag::State, &[&t.to_be_bytes(), slots])
}

/// The tree over what some tensors are committed to as.
pub(crate) fn tree_of(tensors: &[Tensor]) -> Tree {
    Tree::new(tensors.iter().map(Tensor::commitment).collect())
}

impl Work {
    /// Work of these programs on states that begin like this.
    pub fn new(
        job: Digest,
        programs: &[Program],
        start: Vec<(String, Tensor)>,
        steps: Vec<Given>,
    ) -> Result<Work, Error> {
        let slots: Vec<(String, Type)> =
            start.iter().map(|(name, tensor)| (name.clone(), tensor.ty)).collect();
        let start: Vec<Tensor> = start.into_iter().map(|(_, tensor)| tensor).collect();
        let graphs = programs.iter().map(|p| Graph::new(p, &slots)).collect::<Result<Vec<_>, _>>()?;
        if let Some(i) = start.iter().position(|t| !fits(t, &t.ty)) {
            let (name, expected) = slots[i].clone();
            return Err(Error::Data { what: "state", name, expected });
        }
        for given in &steps {
            let graph = graphs.get(given.program).ok_or(Error::Malformed { what: "program's number" })?;
            let inputs = graph.program().inputs();
            if graph.inputs() as usize != given.inputs.len() {
                return Err(Error::Malformed { what: "list of inputs" });
            }
            for ((name, expected), tensor) in inputs.zip(&given.inputs) {
                if !fits(tensor, &expected) {
                    return Err(Error::Data { what: "input", name: name.to_owned(), expected });
                }
            }
        }
        Ok(Work { job, graphs, slots, start, steps })
    }

    /// The programs of its steps.
    pub fn graphs(&self) -> &[Graph] {
        &self.graphs
    }

    /// The states of the run: names and types.
    pub fn slots(&self) -> &[(String, Type)] {
        &self.slots
    }

    /// The states before the first step.
    pub fn start(&self) -> &[Tensor] {
        &self.start
    }

    /// What each step is given.
    pub fn steps(&self) -> &[Given] {
        &self.steps
    }

    /// The program of a step.
    pub fn graph(&self, t: u64) -> Result<&Graph, Error> {
        Ok(&self.graphs[self.given(t)?.program])
    }

    /// What a step is given.
    pub fn given(&self, t: u64) -> Result<&Given, Error> {
        let steps = self.steps.len() as u64;
        self.steps.get(t as usize).ok_or(Error::Step { step: t, steps })
    }

    /// The tree over the steps that are to be made.
    pub fn schedule(&self) -> Tree {
        let programs: Vec<Digest> = self.graphs.iter().map(|g| g.header().commitment()).collect();
        let leaf = |(t, given): (u64, &Given)| {
            scheduled(t, &programs[given.program], &tree_of(&given.inputs).root())
        };
        Tree::new((0..).zip(&self.steps).map(leaf).collect())
    }

    /// What all claims about it agree on.
    pub fn terms(&self) -> Terms {
        Terms {
            job: self.job,
            schedule: self.schedule().root(),
            start: state_after(0, &tree_of(&self.start).root()),
            steps: self.steps.len() as u64,
        }
    }
}

/// Whether a tensor is of this type, with as many words as that says and no NaN but the canonical one.
fn fits(tensor: &Tensor, ty: &Type) -> bool {
    let nan = |word: &u32| word & 0x7fff_ffff > 0x7f80_0000 && *word != 0x7fc0_0000;
    tensor.ty == *ty
        && tensor.words.len() == ty.shape.elements()
        && (ty.dtype == DType::U32 || !tensor.words.iter().any(nan))
}

/// Why a step has no result.
#[derive(Debug)]
pub enum Stop {
    /// An element of this value has none: an id out of range, an integer that does not fit.
    Fault {
        /// The value.
        value: u32,
        /// Its element.
        element: u64,
    },
    /// It could not be run.
    Error(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Error(error.into())
    }
}

/// Told of each value as soon as it is there.
pub type Watch<'a> = &'a mut dyn FnMut(u32, &Tensor);

/// Whoever makes the steps of a run.
pub trait Runner {
    /// Makes one step from these states, given by their place in the run; gives all states after it.
    fn step(
        &mut self,
        graph: &Graph,
        t: u64,
        inputs: &[Tensor],
        states: &[Tensor],
        watch: Option<Watch<'_>>,
    ) -> Result<Vec<Tensor>, Stop>;
}

/// Makes steps with `exact`: the program as it is when only the result counts, as primitives when every value is to be seen.
#[derive(Debug)]
pub struct Honest {
    device: Device,
    limits: Limits,
    sessions: BTreeMap<([u8; 32], bool), Session>,
}

impl Honest {
    /// One that runs on this device.
    pub fn new(device: Device, limits: Limits) -> Honest {
        Honest { device, limits, sessions: BTreeMap::new() }
    }
}

impl Runner for Honest {
    fn step(
        &mut self,
        graph: &Graph,
        _: u64,
        inputs: &[Tensor],
        states: &[Tensor],
        watch: Option<Watch<'_>>,
    ) -> Result<Vec<Tensor>, Stop> {
        let watched = watch.is_some();
        let program = if watched { graph.lowered() } else { graph.program() };
        let key = (graph.program().hash().0, watched);
        if !self.sessions.contains_key(&key) {
            self.sessions.insert(key, Session::new(program, &self.device, self.limits)?);
        }
        let Some(session) = self.sessions.get_mut(&key) else {
            return Err(Stop::Error(Error::Malformed { what: "session" }));
        };
        for ((name, _), tensor) in program.inputs().zip(inputs) {
            write(session, name, tensor)?;
        }
        for ((name, _), slot) in program.states().zip(graph.states()) {
            write(session, name, &states[*slot as usize])?;
        }
        let done = match watch {
            None => session.run(),
            Some(watch) => watched_run(graph, session, inputs, states, watch)?,
        };
        match done {
            Ok(()) => {}
            Err(exact::Error::Index { .. } | exact::Error::IntegerOverflow { .. }) => {
                return Err(fault(graph, inputs, states));
            }
            Err(error) => return Err(error.into()),
        }
        let mut after = states.to_vec();
        for ((name, ty), slot) in program.states().zip(graph.states()) {
            if graph.becomes(*slot).is_some() {
                after[*slot as usize] = Tensor { ty, words: words(session, name, ty.dtype)? };
            }
        }
        Ok(after)
    }
}

/// Runs a program of primitives and shows every value, those of `keep`'s records included.
fn watched_run(
    graph: &Graph,
    session: &mut Session,
    inputs: &[Tensor],
    states: &[Tensor],
    watch: Watch<'_>,
) -> Result<Result<(), exact::Error>, Stop> {
    // What `keep` reads has to be at hand when its records are worked out.
    let mut wanted: BTreeMap<u32, Option<Tensor>> = BTreeMap::new();
    let of_keep = |value: u32| graph.records()[value as usize].code == Opcode::Rank;
    for (first, count) in inner(graph) {
        let range = first..first + count;
        for value in range.clone().filter(|v| of_keep(*v)).take(1).flat_map(|_| range.clone()) {
            let outside = graph.records()[value as usize].operands.iter().map(|(v, _)| *v);
            wanted.extend(outside.filter(|v| !range.contains(v)).map(|v| (v, None)));
        }
    }
    for (value, record) in (0u32..).zip(graph.records()) {
        let slot = record.attributes[0] as usize;
        let tensor = match record.code {
            Opcode::Input => &inputs[slot],
            Opcode::State => &states[slot],
            _ => continue,
        };
        watch(value, tensor);
        wanted.entry(value).and_modify(|kept| *kept = Some(tensor.clone()));
    }
    let leaves = graph.inputs() + graph.states().len() as u32;
    let mut next = leaves;
    let mut stopped = None;
    let done = session.trace(&mut |traced| {
        let value = graph.value_of(leaves + traced.index() as u32);
        let ty = graph.records()[value as usize].ty;
        let tensor = Tensor { ty, words: traced.bits(0).to_vec() };
        // The records before the last are of our own making.
        let mut made: BTreeMap<u32, Tensor> = BTreeMap::new();
        for inside in next..value {
            let record = &graph.records()[inside as usize];
            let find = |v: &u32| made.get(v).or_else(|| wanted.get(v).and_then(Option::as_ref));
            let operands: Option<Vec<&Tensor>> = record.operands.iter().map(|(v, _)| find(v)).collect();
            let result = operands.ok_or(None).and_then(|o| evaluate(record, &o).map_err(Some));
            match result {
                Ok(tensor) => {
                    watch(inside, &tensor);
                    made.insert(inside, tensor);
                }
                Err(element) => stopped = stopped.or(Some((inside, element.unwrap_or(0)))),
            }
        }
        next = value + 1;
        watch(value, &tensor);
        wanted.entry(value).and_modify(|kept| *kept = Some(tensor));
    });
    match stopped {
        Some((value, element)) => Err(Stop::Fault { value, element }),
        None => Ok(done),
    }
}

/// The stretches of values that one operation of the lowered program became, where they are several.
fn inner(graph: &Graph) -> Vec<(u32, u32)> {
    let leaves = graph.inputs() + graph.states().len() as u32;
    let mut next = leaves;
    let mut stretches = Vec::new();
    for index in 0..graph.lowered().len() as u32 {
        let last = graph.value_of(leaves + index);
        if last > next {
            stretches.push((next, last - next + 1));
        }
        next = last + 1;
    }
    stretches
}

/// Where a step that failed has no value: the first element of the first value that has none.
fn fault(graph: &Graph, inputs: &[Tensor], states: &[Tensor]) -> Stop {
    match evaluate_all(graph, inputs, states, &mut |_, _| {}) {
        Err(stop) => stop,
        Ok(_) => Stop::Error(Error::Malformed { what: "run" }),
    }
}

/// Makes a step by the rules alone, one element after another, letting `change` at every value before the next is made from it.
pub fn evaluate_all(
    graph: &Graph,
    inputs: &[Tensor],
    states: &[Tensor],
    change: &mut dyn FnMut(u32, &mut Tensor),
) -> Result<Vec<Tensor>, Stop> {
    let mut values: Vec<Tensor> = Vec::with_capacity(graph.records().len());
    for (value, record) in (0..).zip(graph.records()) {
        let slot = record.attributes[0] as usize;
        let mut tensor = match record.code {
            Opcode::Input => inputs[slot].clone(),
            Opcode::State => states[slot].clone(),
            _ => {
                let operands: Vec<&Tensor> =
                    record.operands.iter().map(|(v, _)| &values[*v as usize]).collect();
                evaluate(record, &operands).map_err(|element| Stop::Fault { value, element })?
            }
        };
        change(value, &mut tensor);
        values.push(tensor);
    }
    Ok(values)
}

/// The value that a record makes, by its rule; or the first element that has none.
pub fn evaluate(record: &Record, operands: &[&Tensor]) -> Result<Tensor, u64> {
    let words = match record.code {
        // The same as the rules, all elements of a row at once: these two would take the square of its length.
        Opcode::Rank => {
            operands[0].words.chunks(record.ty.shape.last().max(1)).flat_map(rule::ranks).collect()
        }
        Opcode::Running => {
            operands[0].words.chunks(record.ty.shape.last().max(1)).flat_map(rule::running).collect()
        }
        _ => {
            let one = |e: u64| element(record, operands, e).ok_or(e);
            (0..record.ty.shape.elements() as u64).map(one).collect::<Result<Vec<u32>, u64>>()?
        }
    };
    Ok(Tensor { ty: record.ty, words })
}

/// One block of a chain: the words it reads, and the state after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// After it.
    pub state: Vec<u32>,
    /// What it reads.
    pub reads: Vec<u32>,
}

impl Block {
    /// What it is committed to as.
    pub fn commitment(&self) -> Digest {
        let count = (self.state.len() as u16).to_be_bytes();
        tagged(Tag::Block, &[&count, &crate::hash::bytes(&self.state), &crate::hash::bytes(&self.reads)])
    }
}

/// The words that a block reads.
pub fn reads(record: &Record, operands: &[&Tensor], element: u64, block: u64) -> Vec<u32> {
    let mut words = Vec::new();
    while let Some((operand, index)) = rule::read(record, element, block, words.len(), &words) {
        let Some(word) = operands[operand].words.get(index as usize) else { break };
        words.push(*word);
    }
    words
}

/// The chain of an element by its rule; it ends early where the element has no value.
pub fn chain(record: &Record, operands: &[&Tensor], element: u64) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for block in 0..rule::blocks(record) {
        let reads = reads(record, operands, element, block);
        let before = blocks.last().map_or(&[][..], |b| &b.state);
        let Some(state) = rule::run(record, element, block, before, &reads) else { break };
        blocks.push(Block { state, reads });
    }
    blocks
}

/// One element by its rule, if it has a value.
pub fn element(record: &Record, operands: &[&Tensor], element: u64) -> Option<u32> {
    let mut state = Vec::new();
    for block in 0..rule::blocks(record).max(1) {
        let reads = reads(record, operands, element, block);
        state = rule::run(record, element, block, &state, &reads)?;
    }
    state.first().copied()
}

fn write(session: &mut Session, name: &str, tensor: &Tensor) -> Result<(), Error> {
    match tensor.ty.dtype {
        DType::U32 => session.write(name, &tensor.words)?,
        DType::F32 => {
            let numbers: Vec<f32> = tensor.words.iter().map(|w| f32::from_bits(*w)).collect();
            session.write(name, &numbers)?;
        }
    }
    Ok(())
}

fn words(session: &Session, name: &str, dtype: DType) -> Result<Vec<u32>, Error> {
    Ok(match dtype {
        DType::U32 => session.read::<u32>(name)?,
        DType::F32 => session.read::<f32>(name)?.into_iter().map(f32::to_bits).collect(),
    })
}
