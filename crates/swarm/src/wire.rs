//! What nodes say to each other.
//!
//! `net` signs every message, so who sent it can be believed. Nothing in it can: see [`crate::rules`].

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::id::NodeId;
use crate::limits::{ANSWER_TOKENS, MESSAGE_BYTES, MESSAGE_GROUPS, SAMPLES, SHOWN};

/// What a node made in a stage of a round, or a part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The swarm's [id](crate::Charter::id).
    pub swarm: [u8; 32],
    /// The round.
    pub round: u64,
    /// The stage of the game.
    pub stage: u8,
    /// Which part of the stage's messages this is, from 0.
    pub part: u16,
    /// How many there are.
    pub parts: u16,
    /// The root of the model that answered.
    pub root: [u8; 32],
    /// The answers to each prompt.
    #[serde(deserialize_with = "few::<_, _, MESSAGE_GROUPS>")]
    pub groups: Vec<Group>,
}

/// Answers to one prompt. With the round and the root it is in, a claim that anyone can check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Which of the node's prompts of this stage.
    pub number: u16,
    /// The environment, by its place in the charter.
    pub environment: u16,
    /// The task's level.
    pub level: u8,
    /// The answers of others that the prompt shows.
    #[serde(deserialize_with = "few::<_, _, SHOWN>")]
    pub shown: Vec<Reference>,
    /// Where the first answer's random numbers came from; each further one's come from the next number.
    pub seed: u64,
    /// How tokens were drawn.
    pub sampling: Drawn,
    /// The answers.
    #[serde(deserialize_with = "few::<_, _, SAMPLES>")]
    pub answers: Vec<Said>,
}

/// An answer, by where it was said in this round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// Who said it.
    pub node: NodeId,
    /// In which stage.
    pub stage: u8,
    /// To which of its prompts.
    pub number: u16,
    /// Which of its answers.
    pub sample: u8,
}

/// How tokens were drawn, as [`lm::Sampling`] says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// The temperature.
    pub temperature: f32,
    /// The number of likeliest tokens; 0 for all.
    pub top_k: u32,
    /// The share of the likeliest tokens; 1 for all.
    pub top_p: f32,
}

impl Drawn {
    /// The model's own distribution: what is learned from has no other.
    pub const PLAIN: Drawn = Drawn { temperature: 1.0, top_k: 0, top_p: 1.0 };
}

/// An answer: its tokens, the one that ended it included, and the log-probability of each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The tokens.
    #[serde(deserialize_with = "few::<_, _, ANSWER_TOKENS>")]
    pub tokens: Vec<u32>,
    /// The log-probability of each, at temperature 1.
    #[serde(deserialize_with = "few::<_, _, ANSWER_TOKENS>")]
    pub logps: Vec<f32>,
}

impl Message {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        // A vector takes all that is written to it: there is nothing here that could not be encoded.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// The message that these bytes are, if they are one: no longer than it may be, and nothing left over.
    pub fn decode(bytes: &[u8]) -> Option<Message> {
        if bytes.len() > MESSAGE_BYTES {
            return None;
        }
        let (message, rest) = postcard::take_from_bytes::<Message>(bytes).ok()?;
        // One message has one encoding: else the same could be said twice as two.
        (rest.is_empty() && message.encode() == bytes).then_some(message)
    }
}

impl Group {
    /// Its hash, which commits to every bit of it.
    pub fn digest(&self) -> [u8; 32] {
        let bytes = postcard::to_allocvec(self).unwrap_or_default();
        let mut hasher = blake3::Hasher::new_derive_key("starling swarm group v1");
        *hasher.update(&bytes).finalize().as_bytes()
    }

    /// The bytes it has in a message.
    pub fn bytes(&self) -> usize {
        postcard::to_allocvec(self).map_or(0, |bytes| bytes.len())
    }
}

/// Puts groups into as few messages as they fit into, in their order; one without any, if there are none.
pub(crate) fn pack(head: &Message, groups: Vec<Group>) -> Vec<Message> {
    let room = MESSAGE_BYTES - 128;
    let mut parts: Vec<Vec<Group>> = vec![Vec::new()];
    let mut used = 0;
    for group in groups {
        let bytes = group.bytes();
        let last = parts.last().map_or(0, Vec::len);
        if last > 0 && (used + bytes > room || last == MESSAGE_GROUPS) {
            parts.push(Vec::new());
            used = 0;
        }
        used += bytes;
        if let Some(last) = parts.last_mut() {
            last.push(group);
        }
    }
    let count = parts.len() as u16;
    let message = |(part, groups)| Message { part, parts: count, groups, ..head.clone() };
    (0..count).zip(parts).map(message).collect()
}

/// Reads a list that may have at most `MOST` elements. A longer one is refused by what it says of itself, before anything is taken for it.
fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    struct Few<T, const MOST: usize>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Few<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "at most {MOST} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<T>, A::Error> {
            let said = from.size_hint().unwrap_or(0);
            if said > MOST {
                return Err(A::Error::invalid_length(said, &self));
            }
            let mut all = Vec::new();
            while let Some(one) = from.next_element()? {
                if all.len() == MOST {
                    return Err(A::Error::invalid_length(MOST + 1, &self));
                }
                all.push(one);
            }
            Ok(all)
        }
    }

    from.deserialize_seq(Few::<T, MOST>(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said() -> impl Strategy<Value = Said> {
        let tokens = proptest::collection::vec(any::<u32>(), 0..20);
        (tokens, proptest::collection::vec(-9.0f32..0.0, 0..20))
            .prop_map(|(tokens, logps)| Said { tokens, logps })
    }

    fn group() -> impl Strategy<Value = Group> {
        let reference = any::<([u8; 32], u8, u16, u8)>().prop_map(|(node, stage, number, sample)| {
            Reference { node: NodeId(node), stage, number, sample }
        });
        let shown = proptest::collection::vec(reference, 0..SHOWN);
        let numbers = any::<(u16, u16, u8, u64)>();
        (numbers, shown, proptest::collection::vec(said(), 0..5)).prop_map(
            |((number, environment, level, seed), shown, answers)| Group {
                number,
                environment,
                level,
                shown,
                seed,
                sampling: Drawn::PLAIN,
                answers,
            },
        )
    }

    pub(crate) fn message() -> impl Strategy<Value = Message> {
        let head = any::<([u8; 32], u64, u8, u16, u16, [u8; 32])>();
        (head, proptest::collection::vec(group(), 0..6)).prop_map(
            |((swarm, round, stage, part, parts, root), groups)| Message {
                swarm,
                round,
                stage,
                part,
                parts,
                root,
                groups,
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_said_is_what_is_heard(message in message()) {
            prop_assert_eq!(Message::decode(&message.encode()), Some(message));
        }

        #[test]
        fn any_bytes_are_a_message_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Some(message) = Message::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }

        #[test]
        fn a_changed_message_is_another_or_none(message in message(), at: usize, bit in 0..8u8) {
            let mut bytes = message.encode();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Some(other) = Message::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }

        #[test]
        fn packing_loses_nothing(message in message(), copies in 1..200usize) {
            let groups: Vec<Group> = message.groups.iter().cycle().take(message.groups.len() * copies).cloned().collect();
            let packed = pack(&message, groups.clone());
            prop_assert!(packed.iter().all(|m| m.encode().len() <= MESSAGE_BYTES && usize::from(m.parts) == packed.len()));
            prop_assert_eq!(packed.into_iter().flat_map(|m| m.groups).collect::<Vec<_>>(), groups);
        }
    }

    #[test]
    fn a_length_that_lies_takes_no_memory() {
        let message = Message {
            swarm: [0; 32],
            round: 0,
            stage: 0,
            part: 0,
            parts: 1,
            root: [0; 32],
            groups: Vec::new(),
        };
        let mut bytes = message.encode();
        bytes.pop();
        // 2^32 groups, it says.
        bytes.extend([0x80, 0x80, 0x80, 0x80, 0x10]);
        assert_eq!(Message::decode(&bytes), None);
        bytes.resize(MESSAGE_BYTES + 1, 0);
        assert_eq!(Message::decode(&bytes), None);
    }
}
