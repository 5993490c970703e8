//! Kernels for the machine at hand: the same bits as the spec, at its full speed.

pub(crate) mod gemm;
pub(crate) mod lanes;
mod level;
pub(crate) mod map;
pub(crate) mod narrow;
mod pool;
pub(crate) mod reduce;
pub(crate) mod rows;

pub use level::Level;
pub use pool::Pool;
