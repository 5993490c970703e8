//! Kernels for the machine at hand: the same bits as the spec, at its full speed.

pub(crate) mod gemm;
mod level;
mod pool;

pub use level::Level;
pub use pool::Pool;
