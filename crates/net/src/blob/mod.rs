//! Large things, by the hash of their bytes.
#![allow(dead_code, unreachable_pub)]
mod bits;
mod disk;
mod error;
mod file;
mod import;
mod root;
mod store;
mod tree;

pub use error::Error;
pub use file::Blob;
pub use root::Root;
pub use store::{Listed, Removed, Store};
