//! Kernels for the machine at hand: the same bits as the spec, at its full speed.

pub(crate) mod attention;
pub(crate) mod conv;
pub(crate) mod gemm;
pub(crate) mod lanes;
mod level;
pub(crate) mod map;
mod pool;

pub use level::Level;
pub use pool::Pool;
