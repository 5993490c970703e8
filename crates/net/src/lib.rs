//! Peers that find each other, talk within limits, and move large things.

mod address;
mod behaviour;
pub mod blob;
mod config;
mod dial;
mod driver;
mod error;
mod handle;
mod id;
mod queue;
mod streams;
mod transport;

pub use address::Address;
pub use config::{Config, Limits, PORT, RelayLimits, listen_on};
pub use driver::Event;
pub use error::{Error, Result};
pub use handle::{Events, Handle, Network};
pub use id::{PeerId, SwarmId};
pub use streams::{Incoming, Stream};
