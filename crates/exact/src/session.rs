//! A program with its memory on a device: write what it reads, run it, read what it gives.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::device::{Device, View};
use crate::memory::Memory;
use crate::plan::{Place, Plan};
use crate::program::op::Op;
use crate::program::{Element, Program, ValueId};
use crate::shape::Type;
use crate::spec::At;

/// What a session may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes for tensors and working memory together.
    pub memory_bytes: u64,
}

impl Default for Limits {
    /// Eight gibibytes.
    fn default() -> Limits {
        Limits { memory_bytes: 8 << 30 }
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
    states: Vec<Arc<Memory>>,
    steps: Vec<Step>,
    names: HashMap<String, (Kind, ValueId)>,
    family: Arc<Mutex<Family>>,
}

/// Sessions that share states. Whoever reads, writes or runs holds the lock, so that one does at a time.
#[derive(Default)]
struct Family {
    states: HashMap<String, (Type, Arc<Memory>)>,
    /// States that a failed run may have left half new.
    poisoned: HashSet<String>,
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
        Session::join(program, device, limits, Arc::default())
    }

    /// A session of another program whose states are this one's wherever they have the same name.
    ///
    /// So a model's weights are in memory once, however many programs work on them. Sessions that share run one at a time.
    pub fn share(&self, program: &Program, limits: Limits) -> Result<Session, Error> {
        Session::join(program, &self.device, limits, self.family.clone())
    }

    fn join(
        program: &Program,
        device: &Device,
        limits: Limits,
        family: Arc<Mutex<Family>>,
    ) -> Result<Session, Error> {
        let plan = Plan::new(program, device, limits.memory_bytes)?;
        let mut shared = lock(&family);
        for (name, ty) in program.states() {
            if let Some((expected, _)) = shared.states.get(name)
                && *expected != ty
            {
                let (name, expected) = (name.to_owned(), *expected);
                return Err(Error::Data { name, expected, given: ty.to_string() });
            }
        }
        let states: Vec<Arc<Memory>> = program
            .states()
            .map(|(name, ty)| {
                let fresh = || (ty, Arc::new(Memory::zeroed(ty.shape.elements())));
                shared.states.entry(name.to_owned()).or_insert_with(fresh).1.clone()
            })
            .collect();
        drop(shared);

        let memory = Memory::zeroed(plan.words + plan.scratch_words);
        let view = |v: ValueId| {
            let ptr = match plan.places[v as usize] {
                // SAFETY: the plan keeps every value within the arena's words.
                Place::Arena(word) => unsafe { memory.ptr().add(word) },
                Place::State(state) => states[state].ptr(),
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
        Ok(Session { program, device, plan, memory, states, steps, names, family })
    }

    /// What a session of this program would take on this device.
    pub fn bytes_needed(program: &Program, device: &Device) -> u64 {
        Plan::new(program, device, u64::MAX).map_or(u64::MAX, |plan| plan.bytes())
    }

    /// What this session took.
    pub fn bytes(&self) -> u64 {
        self.plan.bytes()
    }

    /// The program it runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Gives an input or a state its value. Any NaN becomes the canonical one.
    pub fn write<T: Element>(&mut self, name: &str, data: &[T]) -> Result<(), Error> {
        let value = self.find(name, "input or state", |kind| kind != Kind::Output)?;
        self.checked::<T>(name, value, Some(data.len()))?;
        let mut family = lock(&self.family);
        // SAFETY: the lock is held, so no other session of the family reads or writes.
        let target = unsafe { self.view(value).words_mut() };
        for (word, element) in target.iter_mut().zip(data) {
            *word = element.to_bits();
        }
        family.poisoned.remove(name);
        Ok(())
    }

    /// The value of a state or of an output of the last run.
    pub fn read<T: Element>(&self, name: &str) -> Result<Vec<T>, Error> {
        let value = self.find(name, "state or output", |kind| kind != Kind::Input)?;
        let mut data = vec![T::default(); self.program.ty(value).shape.elements()];
        self.read_into(name, &mut data)?;
        Ok(data)
    }

    /// Copies the value of a state or of an output of the last run, without allocating.
    pub fn read_into<T: Element>(&self, name: &str, data: &mut [T]) -> Result<(), Error> {
        let value = self.find(name, "state or output", |kind| kind != Kind::Input)?;
        self.checked::<T>(name, value, Some(data.len()))?;
        let family = lock(&self.family);
        // SAFETY: the lock is held, so no other session of the family writes.
        let words = unsafe { self.view(value).words() };
        for (element, bits) in data.iter_mut().zip(words) {
            *element = T::from_bits(*bits);
        }
        drop(family);
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
        let mut family = lock(&self.family);
        if !family.poisoned.is_empty()
            && let Some((name, _)) = self.program.states().find(|(name, _)| family.poisoned.contains(*name))
        {
            return Err(Error::Poisoned { name: name.to_owned() });
        }
        // SAFETY: the scratch follows the arena in the same memory.
        let scratch = unsafe { self.memory.ptr().add(self.plan.words) };
        for (index, (operation, step)) in self.program.operations.iter().zip(&self.steps).enumerate() {
            let at = At { op: &operation.op, index };
            // SAFETY: the views lie in this session's memory and in states that the lock keeps others from, typed as
            // `infer` found them; results overlap operands only as `plan` allows.
            let done = unsafe { self.device.run(at, &step.operands, &step.results, scratch) };
            if let Err(error) = done {
                // Any state that this program assigns may be half new.
                let assigned = self.program.states().zip(&self.program.assigned);
                let assigned = assigned.filter(|(_, value)| value.is_some());
                family.poisoned.extend(assigned.map(|((name, _), _)| name.to_owned()));
                return Err(error);
            }
            if let Some(watch) = &mut watch {
                let results = &step.results;
                watch(&Traced { index, op: &operation.op, results, device: &self.device });
            }
        }
        for (value, state) in &self.plan.copies {
            // SAFETY: as above; the planner lists a copy only between different places.
            unsafe { self.view(*state).words_mut().copy_from_slice(self.view(*value).words()) };
        }
        Ok(())
    }

    /// A value where it lies.
    fn view(&self, value: ValueId) -> View {
        let ptr = match self.plan.places[value as usize] {
            // SAFETY: the plan keeps every value within the arena's words.
            Place::Arena(word) => unsafe { self.memory.ptr().add(word) },
            Place::State(state) => self.states[state].ptr(),
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

/// The family, whatever became of a thread that held it: a run that panicked has left nothing half locked.
fn lock(family: &Mutex<Family>) -> MutexGuard<'_, Family> {
    family.lock().unwrap_or_else(PoisonError::into_inner)
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
