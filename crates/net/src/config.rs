//! What a node is told when it starts.

use crate::address::Address;
use crate::id::SwarmId;
use std::path::PathBuf;
use std::time::Duration;

/// The port a node listens on unless told otherwise.
pub const PORT: u16 = 4747;

/// What a node is told when it starts.
#[derive(Clone)]
pub struct Config {
    /// The peer's secp256k1 secret, from the keystore.
    pub secret: [u8; 32],
    /// The swarm to take part in.
    pub swarm: SwarmId,
    /// Where to listen.
    pub listen: Vec<Address>,
    /// Peers to begin with, from the invite and the swarm's contract: the more the better.
    pub bootstrap: Vec<Address>,
    /// Where peers are remembered between runs; nothing is without.
    pub folder: Option<PathBuf>,
    /// Look for peers on the local network, and let them find us.
    pub lan: bool,
    /// Ask the router to let peers in.
    pub port_mapping: bool,
    /// Carry bytes for peers behind NAT, within these limits, if this node turns out to be reachable.
    pub relay: Option<RelayLimits>,
    /// Addresses that the owner knows to reach this node from outside, such as a forwarded port.
    pub external: Vec<Address>,
    /// What this node bears.
    pub limits: Limits,
}

impl Config {
    /// A node that listens on [`PORT`] with QUIC and TCP, IPv4 and IPv6, looks around on its LAN, and helps others.
    pub fn new(secret: [u8; 32], swarm: SwarmId) -> Config {
        Config {
            secret,
            swarm,
            listen: listen_on(PORT),
            bootstrap: Vec::new(),
            folder: None,
            lan: true,
            port_mapping: true,
            relay: Some(RelayLimits::default()),
            external: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// A node that talks to others of this process only.
    pub fn in_memory(secret: [u8; 32], swarm: SwarmId) -> Config {
        Config {
            listen: vec![Address(libp2p::multiaddr::Protocol::Memory(0).into())],
            lan: false,
            port_mapping: false,
            relay: None,
            ..Config::new(secret, swarm)
        }
    }

    /// A node that listens on 127.0.0.1 only, on ports that the system chooses.
    pub fn on_loopback(secret: [u8; 32], swarm: SwarmId) -> Config {
        use libp2p::multiaddr::Protocol::{Ip4, QuicV1, Tcp, Udp};
        let ip = Ip4(std::net::Ipv4Addr::LOCALHOST);
        let address =
            |parts: &[libp2p::multiaddr::Protocol<'static>]| Address(parts.iter().cloned().collect());
        Config {
            listen: vec![address(&[ip.clone(), Udp(0), QuicV1]), address(&[ip, Tcp(0)])],
            lan: false,
            port_mapping: false,
            ..Config::new(secret, swarm)
        }
    }
}

/// Never shows the secret.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("swarm", &self.swarm)
            .field("listen", &self.listen)
            .field("bootstrap", &self.bootstrap)
            .field("folder", &self.folder)
            .field("lan", &self.lan)
            .field("port_mapping", &self.port_mapping)
            .field("relay", &self.relay)
            .field("external", &self.external)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// QUIC and TCP on one port of all addresses of this machine, IPv4 and IPv6; 0 lets the system choose.
pub fn listen_on(port: u16) -> Vec<Address> {
    use libp2p::multiaddr::Protocol::{Ip4, Ip6, QuicV1, Tcp, Udp};
    use std::net::{Ipv4Addr, Ipv6Addr};
    let mut all = Vec::new();
    for ip in [Ip4(Ipv4Addr::UNSPECIFIED), Ip6(Ipv6Addr::UNSPECIFIED)] {
        all.push(Address([ip.clone(), Udp(port), QuicV1].into_iter().collect()));
        all.push(Address([ip, Tcp(port)].into_iter().collect()));
    }
    all
}

/// What a node bears. Each is checked before anything is spent.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of others that may be held in all: half for what comes on connections and was not read yet, half for waiting
    /// messages, questions and answers, streams, and batches of blobs. With little, there are fewer connections.
    pub memory_bytes: u64,
    /// Connections in all.
    pub connections: u32,
    /// Of these, connections that others opened: the rest is for those we choose, so that strangers cannot take all.
    pub inbound: u32,
    /// Connections to one peer.
    pub per_peer: u32,
    /// Connections that peers of one network opened: a /24 of IPv4, a /48 of IPv6.
    pub per_network: u32,
    /// Connections whose handshake is under way.
    pub pending_inbound: u32,
    /// Handshakes that one network may begin per second, on average.
    pub handshakes_per_network: u32,
    /// Handshakes per second from all networks together, on average.
    pub handshakes: u32,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// Streams that one peer may have open to us.
    pub streams_per_peer: usize,
    /// Whether this machine and its LAN count as networks, too. Many honest nodes may share them, so they usually do not.
    pub count_local_networks: bool,
    /// Provider records that we keep for the swarm.
    pub provider_records: usize,
    /// Of these, for one provider.
    pub provider_records_per_peer: usize,
    /// Peers that we try to be connected to.
    pub wanted_peers: usize,
    /// How long a peer that misbehaved is kept out.
    pub ban: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: 1 << 30,
            connections: 192,
            inbound: 128,
            per_peer: 4,
            per_network: 16,
            pending_inbound: 64,
            handshakes_per_network: 8,
            handshakes: 64,
            handshake_timeout: Duration::from_secs(10),
            streams_per_peer: 64,
            count_local_networks: false,
            provider_records: 16_384,
            provider_records_per_peer: 1_024,
            wanted_peers: 16,
            ban: Duration::from_hours(1),
        }
    }
}

/// What a node carries for peers behind NAT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayLimits {
    /// Peers that may wait here for callers.
    pub reservations: usize,
    /// Connections carried at once.
    pub circuits: usize,
    /// Of these, for one peer.
    pub circuits_per_peer: usize,
    /// Bytes that one carried connection may take.
    pub circuit_bytes: u64,
    /// How long one may last.
    pub circuit_duration: Duration,
}

impl Default for RelayLimits {
    fn default() -> RelayLimits {
        RelayLimits {
            reservations: 64,
            circuits: 16,
            circuits_per_peer: 4,
            circuit_bytes: 4 << 20,
            circuit_duration: Duration::from_mins(10),
        }
    }
}
