//! How much of everything there may be, and why.
//!
//! A node holds what others send. Each limit below is checked before memory is taken, so that all of a flock together cannot make a node
//! hold more than [`HELD_BYTES`].

/// The longest message: what `net` carries by default, less its envelope.
pub const MESSAGE_BYTES: usize = 60 << 10;
/// The most groups in a message. More would not fit if they had anything in them.
pub const MESSAGE_GROUPS: usize = 256;
/// The most answers to one prompt: past this, more of them hardly steady the mean that they are compared with.
pub const SAMPLES: usize = 64;
/// The most tokens of an answer, so that one answer with its log-probabilities fits into a message.
pub const ANSWER_TOKENS: usize = 4_096;
/// The most answers of others that a prompt shows.
pub const SHOWN: usize = 8;
/// The most prompts of a node in one stage.
pub const PROMPTS: usize = 256;
/// The most peers that are heard in a round. A flock that is larger is heard in part.
pub const PEERS: usize = 1_024;
/// The most peers whose standing is kept: those who come back under the same name find it, as long as not too many come.
pub const STANDINGS: usize = 4 * PEERS;
/// The most bytes of answers that a round holds.
pub const HELD_BYTES: usize = 64 << 20;
/// Messages of a round that is not open here yet: somebody's clock or chain is a little ahead.
pub const EARLY_MESSAGES: usize = 256;
/// Those of one peer.
pub const EARLY_OF_ONE: usize = 4;
/// How many rounds ahead a message may be and still be kept.
pub const EARLY_ROUNDS: u64 = 1;
/// The longest `swarm.toml`.
pub const CHARTER_BYTES: usize = 64 << 10;
/// The longest record of an event log.
pub const RECORD_BYTES: usize = 64 << 20;
