//! Peers that find each other, talk within limits, and move large things.
//!
//! ```
//! # async fn example() -> net::Result<()> {
//! use net::{Config, Network, SwarmId, TopicRules};
//!
//! let config = Config::in_memory([7; 32], SwarmId::named("example"));
//! let (node, mut events) = Network::start(config)?;
//!
//! // Small things reach everyone, and each node judges them before it passes them on.
//! let mut rounds = node.subscribe("rounds/1", TopicRules::default()).await?;
//! while let Some(mut message) = rounds.next().await {
//!     if message.data.len() == 8 {
//!         message.accept();
//!     } else {
//!         message.reject();
//!     }
//! }
//! # Ok(())
//! # }
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async { let _ = tokio::time::timeout(std::time::Duration::from_millis(1), example()).await; });
//! ```
//!
//! A node is one task that owns the connections ([`Network::start`]); the rest of the program holds its [`Handle`] and
//! reads its [`Events`]. There are four ways to talk:
//!
//! | to | by |
//! |---|---|
//! | everyone of a topic | [`Handle::publish`], [`Handle::subscribe`] |
//! | one peer, a question | [`Handle::request`], [`Handle::serve`] |
//! | one peer, bytes without end | [`Handle::open`], [`Handle::accept`] |
//! | whoever has a thing | [`Handle::provide`], [`Handle::providers`] |
//!
//! Peers are found by themselves: from bootstrap addresses, on the LAN, in the swarm's table, and from the last run.
//! Everything a stranger can make a node hold or do has a bound ([`Limits`], [`TopicRules`], [`ServeLimits`]), and who
//! goes beyond it again and again is put out and remembered ([`Offence`]). [`Handle::health`] and
//! [`Handle::reachability`] say in words how the node is. Only this crate knows libp2p.

mod address;
mod behaviour;
pub mod blob;
mod clock;
mod config;
mod crowd;
mod dial;
mod discovery;
mod driver;
mod envelope;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod gossip;
mod handle;
mod health;
mod id;
mod limits;
mod memory;
mod queue;
mod rate;
mod reachability;
mod records;
mod relay;
mod remembered;
mod reputation;
mod requests;
mod streams;
mod table;
mod transport;

pub use address::Address;
pub use config::{Config, Limits, PORT, RelayLimits, listen_on};
pub use driver::Event;
pub use error::{Error, Result};
pub use gossip::{MESSAGE_BYTES, Message, Subscription, TopicRules, Verdict};
pub use handle::{Events, Handle, Network, Received};
pub use health::{Health, State};
pub use id::{PeerId, SwarmId, new_secret};
pub use memory::Memory;
pub use reachability::Reachability;
pub use reputation::Offence;
pub use requests::{Asked, Reply, Request, Requests, ServeLimits};
pub use streams::{Incoming, Stream};
