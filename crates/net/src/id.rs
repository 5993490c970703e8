//! Who a peer is, and which swarm it belongs to.

use crate::error::{Error, Result};
use libp2p::identity::{Keypair, secp256k1};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A peer: its compressed secp256k1 public key, which a contract can check a signature of.
///
/// Its text form is the one libp2p gives such keys, `16Uiu2HA…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId([u8; 33]);

/// What stands before the 33 bytes of the key in libp2p's form: an identity multihash of 37 bytes, a message that says
/// "secp256k1, 33 bytes".
const PREFIX: [u8; 6] = [0x00, 0x25, 0x08, 0x02, 0x12, 0x21];

impl PeerId {
    /// The peer with this compressed public key.
    pub fn from_public_key(key: &[u8; 33]) -> Result<PeerId> {
        match secp256k1::PublicKey::try_from_bytes(key) {
            Ok(_) => Ok(PeerId(*key)),
            Err(_) => Err(Error::PublicKey),
        }
    }

    /// The peer that holds this secret.
    pub fn from_secret(secret: &[u8; 32]) -> Result<PeerId> {
        let id = keypair(secret)?.public().to_peer_id();
        PeerId::of(&id).ok_or(Error::Secret)
    }

    /// The compressed public key.
    pub fn public_key(&self) -> &[u8; 33] {
        &self.0
    }

    /// Whether `signature` is this peer's over `message`: secp256k1 over its SHA-256, as libp2p signs.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        secp256k1::PublicKey::try_from_bytes(&self.0).is_ok_and(|key| key.verify(message, signature))
    }

    /// Ours from libp2p's; none if the peer's key is of another kind.
    pub(crate) fn of(id: &libp2p::PeerId) -> Option<PeerId> {
        let bytes = id.to_bytes();
        let key = bytes.strip_prefix(&PREFIX)?;
        Some(PeerId(key.try_into().ok()?))
    }

    /// Libp2p's from ours.
    pub(crate) fn foreign(&self) -> libp2p::PeerId {
        let mut bytes = [0; 39];
        bytes[..6].copy_from_slice(&PREFIX);
        bytes[6..].copy_from_slice(&self.0);
        // The bytes are well formed by construction; the other arm cannot be reached.
        libp2p::PeerId::from_bytes(&bytes).unwrap_or_else(|_| libp2p::PeerId::random())
    }
}

/// A secret that nobody has had, from the system's randomness.
pub fn new_secret() -> [u8; 32] {
    secp256k1::SecretKey::generate().to_bytes()
}

/// The key pair of a peer's secret.
pub(crate) fn keypair(secret: &[u8; 32]) -> Result<Keypair> {
    let secret = secp256k1::SecretKey::try_from_bytes(*secret).map_err(|_| Error::Secret)?;
    Ok(secp256k1::Keypair::from(secret).into())
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.foreign().fmt(f)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "PeerId(…{})", &text[text.len().saturating_sub(8)..])
    }
}

impl FromStr for PeerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<PeerId> {
        let id: libp2p::PeerId = text.parse().map_err(|_| Error::PeerText { text: shortened(text) })?;
        let id = PeerId::of(&id).ok_or_else(|| Error::PeerText { text: shortened(text) })?;
        PeerId::from_public_key(&id.0)
    }
}

/// Text for programs that read text; 33 bytes, as a parity and 32 bytes, for others.
impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let mut x = [0; 32];
        x.copy_from_slice(&self.0[1..]);
        (self.0[0], x).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<PeerId, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(de::Error::custom);
        }
        let (parity, x) = <(u8, [u8; 32])>::deserialize(deserializer)?;
        let mut key = [parity; 33];
        key[1..].copy_from_slice(&x);
        PeerId::from_public_key(&key).map_err(de::Error::custom)
    }
}

/// A swarm: 32 bytes that its members agree on, such as the hash of its contract's address and chain.
///
/// Every protocol and topic carries it in its name, so that swarms which share machines, relays or a LAN do not mix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SwarmId(pub [u8; 32]);

impl SwarmId {
    /// The swarm called by this name.
    pub fn named(name: &str) -> SwarmId {
        SwarmId(*blake3::hash(name.as_bytes()).as_bytes())
    }

    /// What protocols and topics of this swarm begin with.
    pub(crate) fn namespace(&self) -> String {
        let hash = blake3::derive_key("starling 2026 net namespace", &self.0);
        format!("/starling/{}", hex(&hash[..10]))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Foreign text for an error message: not longer than a line.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    let clean: String = text.chars().filter(|c| !c.is_control()).take(LONGEST + 1).collect();
    match clean.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_peer_is_the_same_in_every_form() {
        let peer = PeerId::from_secret(&[7; 32]).unwrap();
        assert_eq!(PeerId::of(&peer.foreign()), Some(peer));
        assert_eq!(peer.to_string().parse::<PeerId>().unwrap(), peer);
        assert!(peer.to_string().starts_with("16Uiu2HA"), "{peer}");
        let bytes = postcard::to_allocvec(&peer).unwrap();
        assert_eq!(bytes.len(), 33);
        assert_eq!(postcard::from_bytes::<PeerId>(&bytes).unwrap(), peer);
        assert_eq!(PeerId::from_public_key(peer.public_key()).unwrap(), peer);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(matches!(PeerId::from_secret(&[0; 32]), Err(Error::Secret)));
        assert!(matches!(PeerId::from_secret(&[0xff; 32]), Err(Error::Secret)));
        assert!(matches!(PeerId::from_public_key(&[0; 33]), Err(Error::PublicKey)));
        assert!(
            postcard::from_bytes::<PeerId>(&[2; 33]).is_ok() || PeerId::from_public_key(&[2; 33]).is_err()
        );
        // A peer of another kind of key.
        let text = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
        assert!(matches!(text.parse::<PeerId>(), Err(Error::PeerText { .. })));
    }

    #[test]
    fn swarms_have_names_of_their_own() {
        let [a, b] = ["a", "b"].map(|name| SwarmId::named(name).namespace());
        assert_ne!(a, b);
        assert_eq!(a.len(), "/starling/".len() + 20);
    }

    proptest! {
        #[test]
        fn no_text_and_no_bytes_upset_the_parsers(text in ".*", bytes: Vec<u8>) {
            let _ = text.parse::<PeerId>();
            let _ = postcard::from_bytes::<PeerId>(&bytes);
            prop_assert!(shortened(&text).chars().count() <= 81);
        }
    }
}
