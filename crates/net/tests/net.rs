//! Nodes as the rest of the program uses them, most of them in memory.

#[path = "net/common.rs"]
mod common;
#[path = "net/streams.rs"]
mod streams;
