//! The embedded chain from outside, over HTTP and WebSocket; wherever Anvil can do the same, it does, and must say the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod anvil;

#[path = "embedded/node.rs"]
mod node;

#[path = "embedded/both.rs"]
mod both;
#[path = "embedded/crash.rs"]
mod crash;
#[path = "embedded/hostile.rs"]
mod hostile;
#[path = "embedded/ours.rs"]
mod ours;
