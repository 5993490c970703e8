//! What a node tells of itself: one JSON object per line for programs, sentences for people.

use serde::{Deserialize, Serialize};

/// Something that a node tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Report {
    /// It has begun.
    Started {
        /// Its peer id.
        peer: String,
        /// The process's number.
        process: u32,
        /// Its wallet.
        wallet: String,
        /// The swarm's name and the first half of its id.
        swarm: String,
        /// The model's root, in hexadecimal.
        model: String,
        /// The round it goes on from, if it was here before.
        resumed: Option<u64>,
        /// What the process takes.
        resident_bytes: u64,
    },
    /// Where it listens.
    Listening {
        /// Addresses with the peer's id.
        addresses: Vec<String>,
    },
    /// How it is connected, when that changes.
    Connected {
        /// Peers now.
        peers: usize,
        /// What is wrong, each with its remedy.
        complaints: Vec<String>,
    },
    /// It has a place on a chain.
    Registered {
        /// Which chain.
        chain: String,
        /// The agent's number.
        agent: u64,
    },
    /// A round has begun.
    Opened {
        /// Which.
        round: u64,
    },
    /// Its part in a round is done.
    Learned {
        /// Which round.
        round: u64,
        /// The mean reward of its own answers.
        reward: f64,
        /// Its own answers.
        own: usize,
        /// Answers of others that it learned from, by peer.
        heard: Vec<(String, usize)>,
        /// Tokens it spoke per second.
        tokens_per_second: f64,
        /// How long it took to answer and to learn, in milliseconds.
        answer_ms: u64,
        /// See above.
        learn_ms: u64,
        /// The model's root afterwards.
        model: String,
        /// What the process takes.
        resident_bytes: u64,
    },
    /// It has learned again what it had learned and not saved before it was interrupted.
    Redone {
        /// In which round that was.
        round: u64,
        /// The model's root afterwards, which is what it was then.
        model: String,
    },
    /// It was examined on questions that are never learned from.
    Examined {
        /// After which round; 0 before the first.
        round: u64,
        /// The share of right answers.
        right: f64,
        /// How many were asked.
        asked: usize,
    },
    /// It has checked another's answers bit by bit.
    Audited {
        /// In which round.
        round: u64,
        /// Whose.
        peer: String,
        /// Whether they hold.
        holds: bool,
        /// What was found.
        finding: String,
    },
    /// A peer is no longer heard, or again.
    Heard {
        /// Which.
        peer: String,
        /// Whether.
        heard: bool,
        /// Why.
        why: String,
    },
    /// It did something on the chain.
    Did {
        /// For which round.
        round: u64,
        /// What.
        deed: String,
    },
    /// It was paid.
    Paid {
        /// For which round.
        round: u64,
        /// In credits.
        credits: String,
    },
    /// Something is the matter.
    Trouble {
        /// With what: `chain`, `net`, `model`, `disk`.
        part: String,
        /// What, and what helps.
        why: String,
    },
    /// It no longer is.
    Well {
        /// With what.
        part: String,
    },
    /// It begins no round for now: its owner's limits.
    Rests {
        /// Why, and how to lift that.
        why: String,
    },
    /// It works again.
    Works,
    /// It ends.
    Ended {
        /// The last round it took part in.
        round: u64,
    },
}

impl Report {
    /// For people; nothing for what only programs need.
    pub fn sentence(&self) -> Option<String> {
        Some(match self {
            Report::Started { peer, swarm, resumed, .. } => {
                let again = resumed.map(|r| format!(", going on after round {r}")).unwrap_or_default();
                format!("{} joins {swarm}{again}", bird(peer))
            }
            Report::Listening { addresses } => format!("listening on {}", addresses.join(" and ")),
            Report::Connected { peers, complaints } => {
                let peers = format!("{peers} {} connected", if *peers == 1 { "peer" } else { "peers" });
                [&[peers][..], complaints].concat().join("\n  ")
            }
            Report::Registered { chain, agent } => format!("agent {agent} on {chain}"),
            Report::Learned { round, reward, own, heard, tokens_per_second, .. } => {
                let others: usize = heard.iter().map(|(_, count)| count).sum();
                format!(
                    "round {round:4}   reward {reward:.3}   {own} answers of its own and {others} of {} others   \
                     {tokens_per_second:.0} tokens/s",
                    heard.len()
                )
            }
            Report::Examined { round, right, asked } => {
                let when = if *round == 0 {
                    "before the first round".to_owned()
                } else {
                    format!("after round {round}")
                };
                format!("{when}: {:.1} % of {asked} questions it has never seen", 100.0 * right)
            }
            Report::Audited { peer, holds: true, .. } => format!("checked {}: every bit holds", bird(peer)),
            Report::Audited { peer, finding, .. } => format!("checked {}: {finding}", bird(peer)),
            Report::Heard { peer, heard: false, why } => {
                format!("{} is not heard any more: {why}", bird(peer))
            }
            Report::Heard { peer, .. } => format!("{} is heard again", bird(peer)),
            Report::Paid { round, credits } => format!("paid {credits} credits for round {round}"),
            Report::Trouble { part, why } => format!("{part}: {why}"),
            Report::Well { part } => format!("{part}: well again"),
            Report::Rests { why } => format!("rests: {why}"),
            Report::Works => "works again".to_owned(),
            Report::Ended { round } => format!("leaves after round {round}"),
            Report::Opened { .. } | Report::Did { .. } | Report::Redone { .. } => return None,
        })
    }
}

/// Bytes as people write them.
pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// A peer's id as people can tell it from others.
pub fn bird(peer: &str) -> String {
    let short: String = peer.chars().rev().take(6).collect::<Vec<_>>().into_iter().rev().collect();
    format!("…{short}")
}
