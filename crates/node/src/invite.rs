//! Invites: all that a machine needs to join a swarm, as one word.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use net::Address;
use serde::{Deserialize, Serialize};
use swarm::Charter;

use crate::error::Error;

/// What every invite begins with; the number is its format's.
const HEAD: &str = "starling1";
/// Bytes of the hash that shows an invite to be whole.
const CHECK: usize = 8;
/// The longest invite.
const LIMIT: usize = 32 << 10;

/// A swarm, where it is written down, and whom to ask for the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Invite {
    /// What the swarm does.
    pub charter: Charter,
    /// Where its rounds and rewards are; without one, rounds go by the clock and nobody is paid.
    pub place: Option<Place>,
    /// Peers to begin with.
    pub peers: Vec<Address>,
}

/// A swarm's place on a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The chain by name, or its nodes' addresses, separated by commas.
    pub rpc: String,
    /// The chain's id.
    pub chain: u64,
    /// The swarm's number there.
    pub swarm: u64,
    /// Where our contracts are, as a manifest in JSON, if not where they are on every chain.
    pub contracts: Option<String>,
}

/// What is written.
#[derive(Serialize, Deserialize)]
struct Body {
    charter: String,
    place: Option<Place>,
    peers: Vec<String>,
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = Body {
            charter: bare(&self.charter.to_toml()),
            place: self.place.clone(),
            peers: self.peers.iter().map(ToString::to_string).collect(),
        };
        let mut bytes = postcard::to_stdvec(&body).map_err(|_| fmt::Error)?;
        let check = check_of(&bytes);
        bytes.extend_from_slice(&check);
        write!(f, "{HEAD}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Invite {
    type Err = Error;

    fn from_str(text: &str) -> Result<Invite, Error> {
        let no = |why: &str| Error::NotAnInvite { why: why.to_owned() };
        // Terminals and mails break long words.
        let text: String = text.chars().filter(|c| !c.is_whitespace()).take(LIMIT + 1).collect();
        if text.len() > LIMIT {
            return Err(no("it is too long"));
        }
        let Some(body) = text.strip_prefix(HEAD) else {
            let newer = text.starts_with("starling");
            return Err(no(if newer {
                "it is of another version of Starling"
            } else {
                "it begins otherwise"
            }));
        };
        let bytes =
            BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| no("a character is missing or wrong"))?;
        let Some((body, check)) = bytes.split_last_chunk::<CHECK>() else {
            return Err(no("it is cut short"));
        };
        if *check != check_of(body) {
            return Err(no("a part is missing or changed"));
        }
        let body: Body =
            postcard::from_bytes(body).map_err(|_| no("it is of another version of Starling"))?;
        let charter = Charter::from_toml(&body.charter)?;
        let peers = body.peers.iter().map(|text| text.parse()).collect::<Result<_, net::Error>>()?;
        Ok(Invite { charter, place: body.place, peers })
    }
}

/// Without the comments, which are for people.
fn bare(toml: &str) -> String {
    let lines = toml.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn check_of(bytes: &[u8]) -> [u8; CHECK] {
    let mut check = [0; CHECK];
    blake3::Hasher::new_derive_key("starling 2026 invite").update(bytes).finalize_xof().fill(&mut check);
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn invite() -> Invite {
        let place = Place { rpc: "http://127.0.0.1:8545".to_owned(), chain: 7, swarm: 3, contracts: None };
        let peers = vec!["/ip4/127.0.0.1/udp/4747/quic-v1".parse().unwrap()];
        Invite { charter: Charter::new(), place: Some(place), peers }
    }

    #[test]
    fn an_invite_is_one_word_that_survives_being_broken_into_lines() {
        let word = invite().to_string();
        assert!(word.starts_with("starling1") && !word.contains(char::is_whitespace), "{word}");
        assert_eq!(word.parse::<Invite>().unwrap(), invite());
        let broken: String =
            word.chars().flat_map(|c| [Some(c), (c == 'A').then_some('\n')]).flatten().collect();
        assert_eq!(broken.parse::<Invite>().unwrap(), invite());
    }

    #[test]
    fn what_is_wrong_with_one_is_said() {
        let why = |text: &str| text.parse::<Invite>().unwrap_err().to_string();
        assert!(why("hello").contains("it begins otherwise"));
        assert!(why("starling9abc").contains("another version"));
        let word = invite().to_string();
        assert!(why(&word[..word.len() - 9]).contains("missing"));
        assert!(why(&"starling1A".repeat(9999)).contains("too long"));
    }

    proptest! {
        #[test]
        fn no_changed_character_goes_unnoticed(at in 0..200usize, other in "[A-Za-z0-9_-]") {
            let word = invite().to_string();
            let at = at % word.len();
            prop_assume!(!word[at..].starts_with(&other));
            let changed = format!("{}{other}{}", &word[..at], &word[at + 1..]);
            prop_assert!(changed.parse::<Invite>().is_err());
        }

        #[test]
        fn any_text_is_an_invite_or_an_error(text in "(starling1)?\\PC{0,300}") {
            let _ = text.parse::<Invite>();
        }
    }
}
