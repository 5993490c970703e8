//! Nodes as the rest of the program uses them, most of them in memory.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "net/common.rs"]
mod common;
#[path = "net/discovery.rs"]
mod discovery;
#[path = "net/gossip.rs"]
mod gossip;
#[path = "net/hostile.rs"]
mod hostile;
#[path = "net/join.rs"]
mod join;
#[path = "net/memory.rs"]
mod memory;
#[cfg(target_os = "linux")]
#[path = "net/nat.rs"]
mod nat;
#[path = "net/programs.rs"]
mod programs;
#[path = "net/raw.rs"]
mod raw;
#[path = "net/relay.rs"]
mod relay;
#[path = "net/requests.rs"]
mod requests;
#[path = "net/streams.rs"]
mod streams;
