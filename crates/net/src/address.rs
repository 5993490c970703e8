//! Where a peer is reached.

use crate::error::{Error, Result};
use crate::id::{PeerId, shortened};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address of a peer, with or without who it is: `/ip4/203.0.113.7/udp/4747/quic-v1/p2p/16Uiu2HA…`.
///
/// The notation is libp2p's multiaddr. `/memory/1` is an address inside this process, `…/p2p/RELAY/p2p-circuit/p2p/PEER`
/// a peer behind a relay.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(pub(crate) Multiaddr);

/// Longer addresses are refused: a relayed one takes about 200 bytes.
const LONGEST: usize = 512;

impl Address {
    /// Who is there, if the address says so.
    pub fn peer(&self) -> Option<PeerId> {
        match self.0.iter().last()? {
            Protocol::P2p(id) => PeerId::of(&id),
            _ => None,
        }
    }

    /// The same address, saying that `peer` is there.
    pub fn with_peer(&self, peer: PeerId) -> Address {
        let mut address = self.without_peer().0;
        address.push(Protocol::P2p(peer.foreign()));
        Address(address)
    }

    /// The same address, not saying who is there.
    pub fn without_peer(&self) -> Address {
        let mut address = self.0.clone();
        if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
            address.pop();
        }
        Address(address)
    }

    /// Whether a relay stands between us and the peer.
    pub fn is_relayed(&self) -> bool {
        is_relayed(&self.0)
    }

    /// The machine's IP address, if the address names one and no relay stands between.
    pub fn ip(&self) -> Option<IpAddr> {
        ip(&self.0)
    }

    /// Whether anyone on the internet could try it: a public IP address or a name.
    pub fn is_public(&self) -> bool {
        match self.0.iter().next() {
            Some(Protocol::Ip4(ip)) => is_public(ip.into()),
            Some(Protocol::Ip6(ip)) => is_public(ip.into()),
            Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)) => true,
            _ => false,
        }
    }

    pub(crate) fn checked(address: Multiaddr) -> Option<Address> {
        (address.len() <= LONGEST).then_some(Address(address))
    }
}

pub(crate) fn is_relayed(address: &Multiaddr) -> bool {
    // Of whoever calls through a relay, libp2p shows the peer and nothing else.
    let peer_only = matches!(address.iter().next(), Some(Protocol::P2p(_)));
    peer_only || address.iter().any(|part| part == Protocol::P2pCircuit)
}

pub(crate) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        _ if is_relayed(address) => None,
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.to_ipv4_mapped().map_or(ip.into(), Into::into)),
        _ => None,
    }
}

/// Whether an IP address is one that the internet routes.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            let [first, ..] = ip.octets();
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || shared
                || first == 0
                || first >= 224)
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_public(ip.into()),
            None => ip.segments()[0] & 0xe000 == 0x2000,
        },
    }
}

/// A network that one owner can hold many addresses of: /24 of IPv4, /48 of IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Prefix {
    V4([u8; 3]),
    V6([u8; 6]),
}

impl Prefix {
    pub(crate) fn of(ip: IpAddr) -> Prefix {
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Prefix::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                if let Some(ip) = ip.to_ipv4_mapped() {
                    return Prefix::of(ip.into());
                }
                let [a, b, c, d, e, f, ..] = ip.octets();
                Prefix::V6([a, b, c, d, e, f])
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address> {
        let wrong = |why: String| Error::AddressText { text: shortened(text), why };
        if text.len() > 2 * LONGEST {
            return Err(wrong("it is too long".to_owned()));
        }
        let address: Multiaddr = text.parse().map_err(|why| wrong(format!("{why}")))?;
        if address.iter().next().is_none() {
            return Err(wrong("it is empty".to_owned()));
        }
        Address::checked(address).ok_or_else(|| wrong("it is too long".to_owned()))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Address, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_addresses_say() {
        let peer = PeerId::from_secret(&[3; 32]).unwrap();
        let plain: Address = "/ip4/203.0.113.7/udp/4747/quic-v1".parse().unwrap();
        let full = plain.with_peer(peer);
        assert_eq!((plain.peer(), full.peer()), (None, Some(peer)));
        assert_eq!(full.without_peer(), plain);
        assert_eq!(full.with_peer(peer), full);
        assert_eq!(full.to_string().parse::<Address>().unwrap(), full);
        assert!(full.is_public() && !full.is_relayed());
        let relayed: Address = format!("{full}/p2p-circuit/p2p/{peer}").parse().unwrap();
        assert!(relayed.is_relayed());
        assert!(is_relayed(&format!("/p2p/{peer}").parse().unwrap()), "it called through a relay");
        assert_eq!(relayed.ip(), None);
        for text in ["", "4747", "/ip4/1.2.3", "/nonsense/1", "127.0.0.1:4747"] {
            assert!(matches!(text.parse::<Address>(), Err(Error::AddressText { .. })), "{text}");
        }
    }

    #[test]
    fn public_addresses_and_their_networks() {
        for (text, public) in [
            ("8.8.8.8", true),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("::1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("2606:4700::1", true),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(is_public(text.parse().unwrap()), public, "{text}");
        }
        let prefix = |text: &str| Prefix::of(text.parse().unwrap());
        assert_eq!(prefix("8.8.8.8"), prefix("8.8.8.200"));
        assert_ne!(prefix("8.8.8.8"), prefix("8.8.9.8"));
        assert_eq!(prefix("2606:4700:1::1"), prefix("2606:4700:1:ffff::1"));
        assert_eq!(prefix("::ffff:8.8.8.8"), prefix("8.8.8.8"));
    }

    proptest! {
        #[test]
        fn no_text_upsets_the_parser(text in ".*") {
            let _ = text.parse::<Address>();
        }
    }
}
