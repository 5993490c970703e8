//! Tensor programs whose result is the same bits on every machine.
//!
//! A program is a static list of operations over tensors of `f32` and `u32`. Whoever runs it, on whatever processor, with however
//! many threads, gets the same bits; so a wrong bit is a wrong answer, and anyone can show it.
//!
//! ```
//! use exact::{Builder, Device, Limits, Session};
//!
//! // Build: one layer and a squared error.
//! let mut b = Builder::new();
//! let x = b.input::<f32>("x", &[4, 3])?;
//! let target = b.input::<f32>("target", &[4, 2])?;
//! let w = b.state::<f32>("w", &[3, 2])?;
//! let y = b.matmul(x, w)?;
//! let error = b.sub(y, target)?;
//! let square = b.mul(error, error)?;
//! let loss = b.mean_all(square)?;
//!
//! // Differentiate: the gradient is more operations of the same program. Then take a step.
//! let [dw] = b.gradients(loss, &[w])?[..] else { unreachable!() };
//! let step = b.scale(dw, 0.1)?;
//! let better = b.sub(w, step)?;
//! b.assign(w, better)?;
//! b.output("loss", loss)?;
//! let program = b.finish()?;
//!
//! // Run: `w` stays in the session and moves with every run.
//! let mut session = Session::new(&program, &Device::cpu(2), Limits::default())?;
//! session.write("x", &[1.0f32, 2.0, 3.0, 0.5, 0.1, 0.0, -1.0, 0.3, 0.7, 0.2, 0.2, 0.9])?;
//! session.write("target", &[1.0f32, 0.0, 0.5, 0.5, -1.0, 0.25, 0.0, 1.0])?;
//! session.run()?;
//! let first = session.read::<f32>("loss")?[0];
//! for _ in 0..20 {
//!     session.run()?;
//! }
//! assert!(session.read::<f32>("loss")?[0] < first / 2.0);
//!
//! // Prove: the reference, one number at a time, has the same bits. So has every machine.
//! let mut reference = Session::new(&program, &Device::scalar(), Limits::default())?;
//! reference.write("x", &[1.0f32, 2.0, 3.0, 0.5, 0.1, 0.0, -1.0, 0.3, 0.7, 0.2, 0.2, 0.9])?;
//! reference.write("target", &[1.0f32, 0.0, 0.5, 0.5, -1.0, 0.25, 0.0, 1.0])?;
//! for _ in 0..21 {
//!     reference.run()?;
//! }
//! let bits = |s: &Session| Ok::<_, exact::Error>(s.read::<f32>("w")?.iter().map(|w| w.to_bits()).collect::<Vec<_>>());
//! assert_eq!(bits(&session)?, bits(&reference)?);
//! # Ok::<(), exact::Error>(())
//! ```
//!
//! # How it holds
//!
//! - The scalar code in `spec` defines every primitive operation; `expand.rs` defines every fused one as a few primitives. `docs/spec.md`
//!   says the same in words.
//! - Nothing in a result depends on threads, vector width, batch size, the clock or a system's mathematical library.
//! - A [`Program`] has one encoding and one [`ProgramHash`]: forward pass, gradients, clipping and optimiser are one object that
//!   can be shipped, run, traced and disputed.
//! - Everything is bounded: a program from a stranger is checked whole by [`Program::decode`], and [`Session::new`] refuses what needs
//!   more memory than [`Limits`] allow before it allocates anything.

mod cpu;
mod device;
mod digest;
mod error;
mod expand;
mod memory;
mod plan;
mod program;
pub mod scalar;
mod session;
mod shape;
mod spec;

pub use cpu::{Level, Pool};
pub use device::Device;
pub use error::Error;
pub use program::op::{BinaryFn, CompareFn, IntFn, Op, ReduceFn, UnaryFn};
pub use program::{
    AdamState, AdamW, Builder, Element, MAX_ENCODED_BYTES, MAX_NAME_BYTES, MAX_OPERATIONS, Node, Program,
    ProgramHash, RopeTables, Var,
};
pub use session::{Limits, Session, Traced};
pub use shape::{DType, MAX_ELEMENTS, MAX_RANK, Shape, Type};

/// The bits of the only NaN that is ever stored.
pub(crate) const CANONICAL_NAN: u32 = 0x7fc0_0000;
