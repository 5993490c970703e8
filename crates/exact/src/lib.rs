//! Tensor programs whose result is the same bits on every machine.

#[allow(dead_code, reason = "the executor that calls the kernels comes with the cpu backend")]
mod cpu;
#[allow(dead_code, reason = "see cpu")]
mod spec;

pub use cpu::{Level, Pool};
