//! What can go wrong, and what to do about it.

use crate::address::Address;
use crate::id::PeerId;
use std::time::Duration;

/// The result of most calls.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. The message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's secret is not a key.
    #[error(
        "the peer's secret is no secp256k1 key: it must be 32 bytes, neither zero nor above the curve's order; make a new one"
    )]
    Secret,
    /// 33 bytes that are no key.
    #[error("these 33 bytes are no compressed secp256k1 public key: ask for the peer's id again")]
    PublicKey,
    /// Text that names no peer.
    #[error(
        "`{text}` names no peer: a peer's id begins with 16Uiu2HA and is shown by `starling doctor` on its machine"
    )]
    PeerText {
        /// The text, shortened.
        text: String,
    },
    /// Text that is no address.
    #[error(
        "`{text}` is no address ({why}): write it as /ip4/203.0.113.7/udp/4747/quic-v1 or /dns/example.org/tcp/4747, with /p2p/PEER at its end if you know the peer"
    )]
    AddressText {
        /// The text, shortened.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The name of a protocol, request or topic is not usable.
    #[error("`{name}` is no name for a protocol or topic: use 1 to 64 letters, digits and `-_./`")]
    Name {
        /// The name, shortened.
        name: String,
    },
    /// Another program listens there.
    #[error(
        "{address} is in use: another node may be running here; stop it, or listen on another port (0 lets the system choose)"
    )]
    PortInUse {
        /// Where we were to listen.
        address: Address,
    },
    /// We cannot listen there.
    #[error(
        "cannot listen on {address}: {why}; check that this machine has that address and that the port is allowed"
    )]
    Listen {
        /// Where we were to listen.
        address: Address,
        /// What the system said.
        why: String,
    },
    /// The transports could not be set up.
    #[error("the transports cannot be set up: {why}")]
    Transport {
        /// What the system said.
        why: String,
    },
    /// No tokio runtime is there to run the node.
    #[error("a node needs a tokio runtime with I/O and time: start it from within one")]
    Runtime,
    /// The node's task has ended.
    #[error("this node has stopped: start it again")]
    Stopped,
    /// There is too much to do at once.
    #[error("{what}: too many at once ({limit}); wait for some to end")]
    Busy {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// The node holds as many bytes of others as it may.
    #[error(
        "{what}: the node already holds the {limit} bytes that it may; wait for some to go, or allow more memory"
    )]
    Memory {
        /// What there is no room for.
        what: &'static str,
        /// How many bytes may be held.
        limit: u64,
    },
    /// The peer cannot be reached.
    #[error("peer {peer} cannot be reached: {why}")]
    Unreachable {
        /// Whom.
        peer: PeerId,
        /// Every way that was tried.
        why: String,
    },
    /// The connection to the peer broke.
    #[error("the connection to peer {peer} broke ({why}): try again, or ask another peer")]
    Broken {
        /// Whom.
        peer: PeerId,
        /// What the system said.
        why: String,
    },
    /// The peer does not speak the protocol.
    #[error("peer {peer} does not speak {protocol}: {remedy}")]
    Unsupported {
        /// Whom.
        peer: PeerId,
        /// Our protocol and version.
        protocol: String,
        /// Who has to upgrade, and to what.
        remedy: String,
    },
    /// It took too long.
    #[error("{what} took longer than {after:?}: the peer is slow or gone; try another, or allow more time")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// The peer said no.
    #[error("peer {peer} refused: {why}")]
    Refused {
        /// Whom.
        peer: PeerId,
        /// The peer's own words, shortened.
        why: String,
    },
    /// More bytes than the type or topic allows.
    #[error("{what} has {bytes} bytes, and at most {limit} are allowed: send less at once, or send a blob")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// Bytes that do not decode.
    #[error("peer {peer} sent a {what} that does not decode: it may run another version; ours is {ours}")]
    Malformed {
        /// Who sent it.
        peer: PeerId,
        /// What it should have been.
        what: &'static str,
        /// Our version.
        ours: &'static str,
    },
    /// A value that does not encode.
    #[error("a {what} does not encode: {why}")]
    Encode {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// Nobody to send to.
    #[error("no peer of the topic is connected, so nobody heard it: {health}")]
    NobodyListens {
        /// What `Health` says.
        health: String,
    },
    /// The same message again.
    #[error(
        "this message was already sent on this topic within the last two minutes: a message's content is its identity; add what makes it new, such as the round"
    )]
    AlreadySent,
    /// The topic is not subscribed to, or twice.
    #[error("topic {topic}: {why}")]
    Topic {
        /// Which.
        topic: String,
        /// What is wrong.
        why: &'static str,
    },
    /// We send faster than the topic allows.
    #[error("topic {topic} allows {per_second} messages per second from each author: send less often")]
    TooFast {
        /// Which.
        topic: String,
        /// How many.
        per_second: u32,
    },
    /// A file of ours cannot be read or written.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: String,
        /// What the system said, and what to do.
        why: String,
    },
}
