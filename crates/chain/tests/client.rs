//! The client against our own chain and against Anvil, each test on both; and against nodes that lie, stall and vanish.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod anvil;

#[path = "client/crash.rs"]
mod crash;
#[path = "client/hostile.rs"]
mod hostile;
#[path = "client/keys.rs"]
mod keys;
#[path = "client/outbox.rs"]
mod outbox;
#[path = "client/story.rs"]
mod story;
#[path = "client/world.rs"]
mod world;
