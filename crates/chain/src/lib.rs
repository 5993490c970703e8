//! Identity, coordination and money on any Ethereum chain, one of them built in.
//!
//! A node owns a wallet and a peer key, registers as an agent, stakes, plays rounds, claims what it earned, and pays and is
//! paid for jobs. All of that happens on a chain: the [embedded] one in this process, or any rollup by the address of a node.
//!
//! ```
//! use chain::embedded::{Embedded, Options};
//! use chain::{Account, Chain, Credits, Identity, Passphrase, Wei};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! // A chain of one's own. `Chain::connect("base").await?` is the same with a rollup.
//! let chain = Chain::embedded(&Embedded::in_memory(Options::default())?).await?;
//!
//! // The keys of a node, made now, and who acts with them.
//! # let folder = std::env::temp_dir().join(format!("starling-doc-{}", std::process::id()));
//! let identity = Identity::open(&folder, &Passphrase::None)?;
//! let node = Account::open(&chain, identity.wallet(), Some(&folder))?;
//! chain.fund(node.address(), Wei::ether(1)).await?;
//!
//! // Our contracts, at the addresses they have everywhere; then an agent, and something at stake.
//! node.deploy().await?;
//! let agent = node.register(identity.peer(), "").await?;
//! node.deposit("0.5".parse()?).await?;
//! node.stake(agent, chain.swarms()?, "0.2".parse()?).await?;
//! assert_eq!(chain.bond(agent, chain.swarms()?).await?.staked, "0.2".parse::<Credits>()?);
//! assert_eq!(node.register(identity.peer(), "").await?, agent); // twice is harmless
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! Where to go on:
//!
//! - [`Account`] acts: its methods are what can be done, in the nouns [`Agent`], [`Bond`], [`Round`], [`Reward`] and [`Job`]. They wait
//!   until it is in a block.
//! - [`Chain`] tells what is, [`Follower`] what happens, also when the chain takes it back.
//! - [`Outbox`] is why nothing is lost and nothing is done twice, whatever dies in between.
//! - [`keys`] is about the two keys, where they lie and how they are moved. Any signer of alloy's may be a [`Wallet`].
//! - [`Manifest`] has the addresses of our contracts, [`Preset`] what is known of the well-known rollups.
//!
//! Invariants: no type of alloy's or revm's is seen from outside, but for [`Wallet::foreign`] and [`embedded::InProcess`]; money is moved by nothing but
//! an [`Intent`] in an outbox; an answer of a node is bounded before it is read, and believed only as far as it does not contradict another.

mod account;
mod agent;
mod bindings;
mod bond;
mod client;
mod deploy;
mod dispute;
pub mod embedded;
mod error;
mod event;
mod job;
pub mod keys;
mod manifest;
pub mod outbox;
mod presets;
mod reward;
mod round;
mod sent;
mod units;

pub use account::Account;
pub use agent::{Agent, AgentId, Feedback, Peer, Verdict};
pub use bond::Bond;
pub use client::{Chain, Patience};
pub use deploy::Deployed;
pub use dispute::{ClaimId, ClaimStatus, Conditions, Contest, DisputeId, WorkClaim};
pub use error::Error;
pub use event::{Cursor, Event, Follower, Step};
pub use job::{Job, JobId, JobStatus, Posting};
pub use keys::{Identity, Key, KeyError, Passphrase, PeerKey, Signature, Wallet};
pub use manifest::Manifest;
pub use outbox::{Intent, Outbox, OutboxError, Policy};
pub use presets::{Money, Preset};
pub use reward::{Reward, Scores};
pub use round::{Phase, Round, RoundId, Rules, Swarm, SwarmId};
pub use sent::{Call, Sent};
pub use units::{Address, Credits, Hash, Time, Wei};
