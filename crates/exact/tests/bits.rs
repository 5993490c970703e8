//! The same bits everywhere: every operation and random programs, on the scalar device and on every level of the processor
//! with one thread and with two; rows that do not know of each other; traces that change nothing.
//!
//! `EXACT_CASES=n` gives each random property n cases.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

#[path = "bits/alone.rs"]
mod alone;
#[path = "bits/random.rs"]
mod random;
#[path = "bits/rows.rs"]
mod rows;
