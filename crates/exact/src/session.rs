//! A program with its memory on a device: write what it reads, run it, read what it gives.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::device::{Device, View};
use crate::memory::Memory;
use crate::plan::{self, Place, Plan};
use crate::program::op::Op;
use crate::program::{Element, Program, ValueId};
use crate::shape::Type;
use crate::spec::At;

/// What a session may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes for tensors and working memory together.
    pub memory_bytes: u64,
    /// The most steps of work in a run, as [`Program::work`] counts them.
    pub work: u64,
}

impl Default for Limits {
    /// Eight gibibytes, and no limit on the work.
    fn default() -> Limits {
        Limits { memory_bytes: 8 << 30, work: u64::MAX }
    }
}

/// A program laid out in memory and ready to run, again and again.
///
/// All memory is taken when the session is made; a run allocates nothing. States start as zeros and keep their value from run
/// to run; inputs keep theirs until they are written again.
pub struct Session {
    program: Program,
    device: Device,
    plan: Plan,
    memory: Memory,
    states: Vec<Arc<State>>,
    steps: Vec<Step>,
    names: HashMap<String, (Kind, ValueId)>,
    /// Held by whoever reads, writes or runs, of all sessions that share states: one does at a time.
    turn: Arc<Mutex<()>>,
    /// Whether the outputs are those of a run that went well.
    complete: bool,
}

/// A state's memory, and whether a failed run may have left it half new.
struct State {
    memory: Memory,
    stale: AtomicBool,
    /// How often it was written or assigned, by whichever session.
    changes: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Input,
    State,
    Output,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Input => "input",
            Kind::State => "state",
            Kind::Output => "output",
        }
    }
}

/// An operation with its operands and results where they lie.
struct Step {
    operands: Vec<View>,
    results: Vec<View>,
}

impl Session {
    /// Lays the program out on a device, if it fits the limits.
    pub fn new(program: &Program, device: &Device, limits: Limits) -> Result<Session, Error> {
        Session::join(program, device, limits, None)
    }

    /// A session of another program whose states are this one's wherever they have the same name.
    ///
    /// So a model's weights are in memory once, however many programs work on them. Sessions that share run one at a time.
    pub fn share(&self, program: &Program, limits: Limits) -> Result<Session, Error> {
        Session::join(program, &self.device, limits, Some(self))
    }

    fn join(
        program: &Program,
        device: &Device,
        limits: Limits,
        with: Option<&Session>,
    ) -> Result<Session, Error> {
        let needed = program.work();
        if needed > limits.work {
            let largest = (0..program.len()).max_by_key(|at| program.work_of(*at));
            let (op, at) = largest.map_or(("none", 0), |at| (program.operations[at].op.name(), at));
            return Err(Error::Work { needed, limit: limits.work, op, at });
        }
        let plan = Plan::new(program, device, limits.memory_bytes)?;
        let state = |(name, ty): (&str, Type)| {
            let of_that_name = |session: &'_ Session| match session.names.get(name) {
                Some((Kind::State, leaf)) => Some(*leaf as usize),
                _ => None,
            };
            if let Some((session, leaf)) = with.and_then(|session| Some((session, of_that_name(session)?))) {
                let expected = session.program.leaves[leaf].ty;
                if expected != ty {
                    let (name, given) = (name.to_owned(), ty.to_string());
                    return Err(Error::Data { name, expected, given });
                }
                return Ok(session.states[leaf - session.program.inputs].clone());
            }
            let memory = Memory::zeroed(ty.shape.elements())?;
            Ok(Arc::new(State { memory, stale: AtomicBool::new(false), changes: AtomicU64::new(0) }))
        };
        // The arena first: a program too large for the system then fails before it takes anything else.
        let memory = Memory::zeroed(plan.words + plan.scratch_words)?;
        let states: Vec<Arc<State>> = program.states().map(state).collect::<Result<_, _>>()?;
        let turn = with.map_or_else(Arc::default, |session| session.turn.clone());

        let view = |v: ValueId| {
            let ptr = match plan.places[v as usize] {
                // SAFETY: the plan keeps every value within the arena's words.
                Place::Arena(word) => unsafe { memory.ptr().add(word) },
                // SAFETY: as above, within the state's words.
                Place::State(state, word) => unsafe { states[state].memory.ptr().add(word) },
            };
            View { ptr, ty: program.ty(v) }
        };
        let steps = program
            .operations
            .iter()
            .map(|o| Step {
                operands: o.operands.iter().map(|v| view(*v)).collect(),
                results: o.results().map(view).collect(),
            })
            .collect();
        let mut names = HashMap::new();
        for (i, leaf) in program.leaves.iter().enumerate() {
            let kind = if i < program.inputs { Kind::Input } else { Kind::State };
            names.insert(leaf.name.clone(), (kind, i as ValueId));
        }
        names.extend(program.outputs.iter().map(|(name, v)| (name.clone(), (Kind::Output, *v))));
        let (program, device) = (program.clone(), device.clone());
        Ok(Session { program, device, plan, memory, states, steps, names, turn, complete: false })
    }

    /// What a session of this program would take on this device.
    pub fn bytes_needed(program: &Program, device: &Device) -> u64 {
        Plan::new(program, device, u64::MAX).map_or(u64::MAX, |plan| plan.bytes())
    }

    /// What a state of this type takes. Sessions may share states; the rest of [`Session::bytes_needed`] is each one's own.
    pub fn state_bytes(ty: &Type) -> u64 {
        plan::state_bytes(ty)
    }

    /// What this session took.
    pub fn bytes(&self) -> u64 {
        self.plan.bytes()
    }

    /// How often a state has been written or run over, by whichever session that shares it: while the number stays, so do its bits.
    pub fn changes(&self, name: &str) -> Result<u64, Error> {
        let state = self.find(name, "state", |kind| kind == Kind::State)?;
        let _turn = lock(&self.turn);
        Ok(self.states[state as usize - self.program.inputs].changes.load(Relaxed))
    }

    /// Where it runs.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The program it runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Gives an input or a state its value. Any NaN becomes the canonical one.
    pub fn write<T: Element>(&mut self, name: &str, data: &[T]) -> Result<(), Error> {
        let value = self.find(name, "input or state", |kind| kind != Kind::Output)?;
        self.checked::<T>(name, value, Some(data.len()))?;
        let _turn = lock(&self.turn);
        // SAFETY: it is this session's turn, so no other that shares the state reads or writes.
        let target = unsafe { self.view(value).words_mut() };
        for (word, element) in target.iter_mut().zip(data) {
            *word = element.to_bits();
        }
        if let Some(state) = (value as usize).checked_sub(self.program.inputs)
            && let Some(state) = self.states.get(state)
        {
            state.stale.store(false, Relaxed);
            state.changes.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Gives a stretch of a state new values, from this element on; the others stay. So a value larger than what its reader wants
    /// to hold comes in piece by piece. Any NaN becomes the canonical one.
    pub fn write_part<T: Element>(&mut self, name: &str, first: usize, data: &[T]) -> Result<(), Error> {
        let state = self.find_part::<T>(name, first, data.len())?;
        let _turn = lock(&self.turn);
        // SAFETY: it is this session's turn, so no other that shares the state reads or writes.
        let target = unsafe { self.view(state).words_mut() };
        for (word, element) in target[first..first + data.len()].iter_mut().zip(data) {
            *word = element.to_bits();
        }
        self.states[state as usize - self.program.inputs].changes.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Copies a stretch of a state, from this element on.
    pub fn read_part<T: Element>(&self, name: &str, first: usize, data: &mut [T]) -> Result<(), Error> {
        let state = self.find_part::<T>(name, first, data.len())?;
        let _turn = lock(&self.turn);
        if self.states[state as usize - self.program.inputs].stale.load(Relaxed) {
            return Err(Error::Poisoned { name: name.to_owned() });
        }
        // SAFETY: it is this session's turn, so no other that shares the state writes.
        let words = unsafe { self.view(state).words() };
        for (element, bits) in data.iter_mut().zip(&words[first..]) {
            *element = T::from_bits(*bits);
        }
        Ok(())
    }

    /// A state that has this stretch of elements.
    fn find_part<T: Element>(&self, name: &str, first: usize, len: usize) -> Result<ValueId, Error> {
        let state = self.find(name, "state", |kind| kind == Kind::State)?;
        let ty = self.checked::<T>(name, state, None)?;
        if first.checked_add(len).is_none_or(|end| end > ty.shape.elements()) {
            let given = format!("{len} x {} from element {first} on", T::DTYPE);
            return Err(Error::Data { name: name.to_owned(), expected: ty, given });
        }
        Ok(state)
    }

    /// The value of a state, or of an output of the last run if that went well.
    pub fn read<T: Element>(&self, name: &str) -> Result<Vec<T>, Error> {
        let value = self.find(name, "state or output", |kind| kind != Kind::Input)?;
        let mut data = vec![T::default(); self.program.ty(value).shape.elements()];
        self.read_into(name, &mut data)?;
        Ok(data)
    }

    /// Copies the value of a state, or of an output of the last run if that went well, without allocating.
    pub fn read_into<T: Element>(&self, name: &str, data: &mut [T]) -> Result<(), Error> {
        let value = self.find(name, "state or output", |kind| kind != Kind::Input)?;
        self.checked::<T>(name, value, Some(data.len()))?;
        let _turn = lock(&self.turn);
        if value as usize >= self.program.leaves.len() {
            if !self.complete {
                return Err(Error::NoResult { name: name.to_owned() });
            }
        } else if self.states[value as usize - self.program.inputs].stale.load(Relaxed) {
            return Err(Error::Poisoned { name: name.to_owned() });
        }
        // SAFETY: it is this session's turn, so no other that shares the state writes.
        let words = unsafe { self.view(value).words() };
        for (element, bits) in data.iter_mut().zip(words) {
            *element = T::from_bits(*bits);
        }
        Ok(())
    }

    /// Runs the program once.
    pub fn run(&mut self) -> Result<(), Error> {
        self.steps(None)
    }

    /// Runs the program once and shows each operation with its results as soon as they are there.
    ///
    /// The bits are those of [`Session::run`]: watching changes nothing. While it is watched the states are locked: reading or
    /// writing a session that shares them from inside `watch` would wait for ever.
    pub fn trace(&mut self, watch: &mut dyn FnMut(&Traced<'_>)) -> Result<(), Error> {
        self.steps(Some(watch))
    }

    fn steps(&mut self, mut watch: Option<&mut dyn FnMut(&Traced<'_>)>) -> Result<(), Error> {
        let _turn = lock(&self.turn);
        if let Some(i) = self.states.iter().position(|state| state.stale.load(Relaxed)) {
            let name = self.program.leaves[self.program.inputs + i].name.clone();
            return Err(Error::Poisoned { name });
        }
        self.complete = false;
        for (state, _) in self.states.iter().zip(&self.program.assigned).filter(|(_, to)| to.is_some()) {
            state.changes.fetch_add(1, Relaxed);
        }
        let mut run = Unfinished { states: &self.states, assigned: &self.program.assigned, done: false };
        // SAFETY: the scratch follows the arena in the same memory.
        let scratch = unsafe { self.memory.ptr().add(self.plan.words) };
        for (index, (operation, step)) in self.program.operations.iter().zip(&self.steps).enumerate() {
            let at = At { op: &operation.op, index };
            // SAFETY: the views lie in this session's memory and in states that others wait for, typed as
            // `infer` found them; results overlap operands only as `plan` allows.
            unsafe { self.device.run(at, &step.operands, &step.results, scratch)? };
            if let Some(watch) = &mut watch {
                let results = &step.results;
                watch(&Traced { index, op: &operation.op, results, device: &self.device });
            }
        }
        for (value, state) in &self.plan.copies {
            // SAFETY: as above; the planner lists a copy only between different places.
            unsafe { self.view(*state).words_mut().copy_from_slice(self.view(*value).words()) };
        }
        run.done = true;
        drop(run);
        self.complete = true;
        Ok(())
    }

    /// A value where it lies.
    fn view(&self, value: ValueId) -> View {
        let ptr = match self.plan.places[value as usize] {
            // SAFETY: the plan keeps every value within the arena's words.
            Place::Arena(word) => unsafe { self.memory.ptr().add(word) },
            // SAFETY: as above, within the state's words.
            Place::State(state, word) => unsafe { self.states[state].memory.ptr().add(word) },
        };
        View { ptr, ty: self.program.ty(value) }
    }

    fn find(&self, name: &str, kind: &'static str, fits: impl Fn(Kind) -> bool) -> Result<ValueId, Error> {
        match self.names.get(name) {
            Some((found, value)) if fits(*found) => Ok(*value),
            _ => {
                let mut known: Vec<String> = (self.names.iter())
                    .filter(|(_, (found, _))| fits(*found))
                    .map(|(name, (found, _))| format!("{} {name:?}", found.name()))
                    .collect();
                known.sort();
                known.truncate(32);
                Err(Error::UnknownName { kind, name: name.to_owned(), known: known.join(", ") })
            }
        }
    }

    fn checked<T: Element>(&self, name: &str, value: ValueId, len: Option<usize>) -> Result<Type, Error> {
        let ty = self.program.ty(value);
        let elements = ty.shape.elements();
        if ty.dtype == T::DTYPE && len.unwrap_or(elements) == elements {
            return Ok(ty);
        }
        let given = format!("{} x {}", len.unwrap_or(elements), T::DTYPE);
        Err(Error::Data { name: name.to_owned(), expected: ty, given })
    }
}

/// A run that has begun. If it ends early, be it by a panic, any state that its program assigns may be half new.
struct Unfinished<'a> {
    states: &'a [Arc<State>],
    assigned: &'a [Option<ValueId>],
    done: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.done {
            for (state, assigned) in self.states.iter().zip(self.assigned) {
                state.stale.fetch_or(assigned.is_some(), Relaxed);
            }
        }
    }
}

/// The turn, whatever became of a thread that had it: a run that panicked has marked its states itself.
fn lock(turn: &Mutex<()>) -> MutexGuard<'_, ()> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("program", &self.program.hash())
            .field("device", &self.device)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// One operation of a traced run, with its results.
pub struct Traced<'a> {
    index: usize,
    op: &'a Op,
    results: &'a [View],
    device: &'a Device,
}

impl Traced<'_> {
    /// The operation's number in the program.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The operation.
    pub fn op(&self) -> &Op {
        self.op
    }

    /// The types of its results.
    pub fn types(&self) -> impl ExactSizeIterator<Item = Type> + '_ {
        self.results.iter().map(|view| view.ty)
    }

    /// The elements of one result as their bits; panics if there is no such result.
    pub fn bits(&self, result: usize) -> &[u32] {
        let view = &self.results[result];
        // SAFETY: the result has just been written, and nothing runs while it is watched.
        unsafe { view.words() }
    }

    /// The BLAKE3 hash of one result's elements as little-endian bytes, computed on the device's threads.
    pub fn hash(&self, result: usize) -> [u8; 32] {
        crate::digest::hash_words(self.bits(result), self.device.pool())
    }
}
