//! Where programs run: the scalar reference, or this machine's processor at full speed.

use std::fmt;
use std::sync::Arc;

use crate::Error;
use crate::cpu::{self, Level, Pool};
use crate::plan::{Needs, stretch_of};
use crate::program::op::Op;
use crate::shape::{Shape, Type};
use crate::spec::{self, At, Operands, Tensor};

/// A tensor where it lies in a session's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) ptr: *mut u32,
    pub(crate) ty: Type,
}

// SAFETY: a view is a pointer into memory that the session owns; the session alone runs operations on it.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    pub(crate) fn elements(&self) -> usize {
        self.ty.shape.elements()
    }

    /// The elements' bits.
    ///
    /// # Safety
    /// Nothing may write them meanwhile.
    pub(crate) unsafe fn words<'a>(&self) -> &'a [u32] {
        // SAFETY: the plan gave the view this many words.
        unsafe { std::slice::from_raw_parts(self.ptr, self.elements()) }
    }

    /// The elements' bits, to be written.
    ///
    /// # Safety
    /// Nothing else may read or write them meanwhile.
    pub(crate) unsafe fn words_mut<'a>(&self) -> &'a mut [u32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.ptr, self.elements()) }
    }
}

impl Operands for [View] {
    fn shape(&self, i: usize) -> &Shape {
        &self[i].ty.shape
    }
    fn ints(&self, i: usize) -> &[u32] {
        // SAFETY: operands are not written before they have been checked.
        unsafe { self[i].words() }
    }
}

/// What runs programs. Cheap to clone; clones share their threads.
#[derive(Clone)]
pub struct Device(Arc<Kind>);

enum Kind {
    Scalar,
    Cpu { level: Level, pool: Pool },
}

impl Device {
    /// The reference: one element at a time, in plain Rust. Slow, and right by definition.
    pub fn scalar() -> Device {
        Device(Arc::new(Kind::Scalar))
    }

    /// This machine's processor, with the best instructions it has and this many threads (at least one).
    pub fn cpu(threads: usize) -> Device {
        Device::cpu_at(Level::best(), threads)
    }

    /// This machine's processor with the given instructions; the best below them that it has, if it lacks those.
    pub fn cpu_at(level: Level, threads: usize) -> Device {
        let level = Level::available().filter(|other| *other <= level).max().unwrap_or(Level::Portable);
        Device(Arc::new(Kind::Cpu { level, pool: Pool::new(threads.max(1)) }))
    }

    pub(crate) fn pool(&self) -> Option<&Pool> {
        match &*self.0 {
            Kind::Scalar => None,
            Kind::Cpu { pool, .. } => Some(pool),
        }
    }

    /// Runs one operation.
    ///
    /// # Safety
    /// Operands must be initialised and typed as the operation wants; results may overlap operands only where `plan` lets
    /// them; `scratch` must have the words that [`Needs`] asked for.
    pub(crate) unsafe fn run(
        &self,
        at: At<'_>,
        operands: &[View],
        results: &[View],
        scratch: *mut u32,
    ) -> Result<(), Error> {
        // Another shape of its operand, or a piece that the plan left where it is.
        if let Some(words) = operands.first().and_then(|x| stretch_of(at.op, &x.ty))
            && results[0].ptr == operands[0].ptr.wrapping_add(words)
        {
            return Ok(());
        }
        spec::check_ids(at, operands)?;
        // Nothing to write; yet the other axes of an empty tensor may be so long that to walk them would take for ever.
        if results.iter().all(|view| view.elements() == 0) {
            return Ok(());
        }
        match &*self.0 {
            // SAFETY: as the caller promises.
            Kind::Scalar => unsafe { run_scalar(at, operands, results) },
            Kind::Cpu { level, pool } => {
                // SAFETY: as the caller promises.
                unsafe { cpu::run(*level, pool, at, operands, results, scratch.cast()) }
            }
        }
    }
}

/// Runs one operation as the spec says, on copies.
///
/// # Safety
/// As for [`Device::run`].
pub(crate) unsafe fn run_scalar(at: At<'_>, operands: &[View], results: &[View]) -> Result<(), Error> {
    // SAFETY: operands are initialised, and not written before `evaluate` is done with the copies.
    let copy = |view: &View| Tensor::new(view.ty, unsafe { view.words() }.to_vec());
    let operands: Vec<Tensor> = operands.iter().map(copy).collect();
    let types: Vec<Type> = results.iter().map(|view| view.ty).collect();
    let tensors = spec::evaluate(at, &operands.iter().collect::<Vec<_>>(), &types)?;
    for (view, tensor) in results.iter().zip(&tensors) {
        // SAFETY: results are this operation's to write.
        unsafe { view.words_mut() }.copy_from_slice(&tensor.bits);
    }
    Ok(())
}

impl Needs for Device {
    fn scratch_words(&self, op: &Op, operands: &[Type], results: &[Type]) -> usize {
        match &*self.0 {
            Kind::Scalar => spec::words_needed(op, operands, results),
            Kind::Cpu { level, pool } => cpu::scratch_words(*level, pool, op, operands, results),
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Scalar => f.write_str("scalar"),
            Kind::Cpu { level, pool } => write!(f, "cpu ({level}, {} threads)", pool.threads()),
        }
    }
}
