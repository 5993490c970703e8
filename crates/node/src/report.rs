//! What a node tells of itself: one JSON object per line for programs, sentences for people.

use serde::{Deserialize, Serialize};

/// Something that a node tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
        /// Whether it hears nobody and tells nobody.
        #[serde(default)]
        alone: bool,
        /// What it runs on.
        #[serde(default)]
        machine: Machine,
        /// How the swarm works together: `share` or `debate`.
        #[serde(default)]
        game: String,
        /// What is learned, by name.
        #[serde(default)]
        environments: Vec<String>,
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
    /// Whom it is connected to, when that changes.
    Linked {
        /// At most 64 of them.
        links: Vec<Link>,
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
    /// A round was opened while the last was not finished here; it is entered later, or the next after it.
    Behind {
        /// Which.
        round: u64,
    },
    /// It has answered in a stage of a round.
    Answered {
        /// The round.
        round: u64,
        /// The stage, from 0.
        stage: u8,
        /// Groups of answers.
        groups: u16,
        /// Their mean reward.
        reward: f64,
    },
    /// Another's answers came.
    Received {
        /// The round that they are of.
        round: u64,
        /// The stage.
        stage: u8,
        /// Whose.
        peer: String,
        /// Groups of answers.
        groups: u16,
        /// Their mean reward, as scored here.
        reward: f64,
    },
    /// A message broke a rule.
    Refused {
        /// Who wrote it.
        peer: String,
        /// The rule, by its name in the book's page on swarms.
        rule: String,
    },
    /// Some answers of a round, to be read: its own and others', as scored here.
    Samples {
        /// Which round.
        round: u64,
        /// At most 8 of them.
        samples: Vec<Sample>,
    },
    /// What the process takes of the machine.
    Vitals {
        /// Of one processor's time since the last such report; nothing where the system does not say.
        processor: Option<f64>,
        /// Memory.
        resident_bytes: u64,
        /// What is in its home.
        disk_bytes: u64,
        /// New messages that came by gossip so far.
        messages: u64,
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
        /// The same reward, by environment.
        #[serde(default)]
        environments: Vec<Practice>,
        /// The mean length of its own answers, in tokens.
        #[serde(default)]
        answer_tokens: f64,
        /// What the last step of learning told; nothing if no answer was better than another.
        #[serde(default)]
        progress: Option<Progress>,
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
        /// Answers that were checked.
        #[serde(default)]
        answers: usize,
        /// How long the check took, in milliseconds, without fetching the weights.
        #[serde(default)]
        took_ms: u64,
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
    /// Words of its process that are none of the above. Whoever started it passes them on.
    Said {
        /// At most a thousand characters.
        words: String,
    },
    /// Its process has ended. Whoever started it tells so.
    Gone,
}

/// What a node runs on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Machine {
    /// The processor's name; empty where the system does not say.
    pub processor: String,
    /// Threads that it can run at once.
    pub cores: usize,
    /// Threads that the node computes with.
    pub threads: usize,
    /// Memory of the machine; 0 where the system does not say.
    pub memory_bytes: u64,
    /// The most that the model may take of it.
    pub model_bytes: u64,
    /// Operating system and kind of processor.
    pub system: String,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Link {
    /// To whom.
    pub peer: String,
    /// There and back, in milliseconds, once it was measured.
    pub latency_ms: Option<f64>,
}

/// A question, and answers to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sample {
    /// Who answered; nobody, if it was the node itself.
    pub peer: Option<String>,
    /// The stage of the round.
    pub stage: u8,
    /// The environment.
    pub environment: String,
    /// The question.
    pub question: String,
    /// An answer that is right; there may be others.
    pub right: String,
    /// At most 8 of the answers.
    pub answers: Vec<Answer>,
}

/// An answer with what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {
    /// What it says; nothing if it was cut off.
    pub text: Option<String>,
    /// From 0 to 1.
    pub reward: f64,
}

/// What came of practising an environment in a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Practice {
    /// The environment.
    pub name: String,
    /// The mean reward.
    pub reward: f64,
    /// Over so many answers.
    pub answers: usize,
}

/// What a step of learning told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Progress {
    /// The loss.
    pub loss: f64,
    /// The mean surprise at the tokens that were learned from: an estimate of the policy's entropy.
    pub entropy: f64,
    /// How much likelier the tokens have become, as a mean ratio to the policy that gave them; 1 if not at all.
    pub ratio: f64,
    /// The share of tokens at which the clip holds the policy back.
    pub clipped: f64,
    /// The gradients' joint norm before clipping.
    pub norm: f64,
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
            Report::Said { words } => words.clone(),
            Report::Gone => "its process has ended".to_owned(),
            Report::Refused { peer, rule } => format!("a message of {} broke the rule {rule}", bird(peer)),
            Report::Opened { .. }
            | Report::Behind { .. }
            | Report::Linked { .. }
            | Report::Answered { .. }
            | Report::Received { .. }
            | Report::Samples { .. }
            | Report::Vitals { .. }
            | Report::Did { .. }
            | Report::Redone { .. } => return None,
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
