//! The scalar definition of every operation.

pub(crate) mod math;
pub(crate) mod philox;
