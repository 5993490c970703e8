//! The gate: which connections there may be, from whom, and how often they are tried.

use crate::address::{Prefix, ip, is_public};
use crate::config::Limits;
use crate::rate::{Bucket, Buckets};
use libp2p::Multiaddr;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, ToSwarm, dummy,
};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Instant;

/// Peers that are kept out at once; then those whose time is nearly over make room.
const BANS: usize = 4_096;
/// So many peers put out at one IP address keep it out as a whole.
const BANS_OF_AN_IP: usize = 3;

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("this peer misbehaved and is kept out for a while")]
    Banned,
    #[error("its network has as many connections here as one may have")]
    Network,
    #[error("its network begins handshakes too often")]
    NetworkHandshakes,
    #[error("handshakes are begun too often")]
    Handshakes,
    #[error("too many handshakes are under way")]
    Pending,
    #[error("all places for those who call us are taken")]
    Inbound,
    #[error("all places for connections are taken; allow more with a higher limit")]
    Connections,
    #[error("the peer has as many connections here as one may have")]
    Peer,
}

/// Lets connections in or not, and keeps offenders out.
pub(crate) struct Gate {
    limits: Limits,
    pending: HashMap<ConnectionId, Option<Prefix>>,
    connections: HashMap<ConnectionId, Connection>,
    inbound: u32,
    networks: HashMap<Prefix, u32>,
    peers: HashMap<libp2p::PeerId, u32>,
    by_network: Buckets<Prefix>,
    by_all: Bucket,
    banned: HashMap<libp2p::PeerId, Instant>,
    banned_ips: HashMap<IpAddr, (usize, Instant)>,
    todo: VecDeque<ToSwarm<Infallible, Infallible>>,
}

struct Connection {
    peer: libp2p::PeerId,
    inbound: bool,
    prefix: Option<Prefix>,
    ip: Option<IpAddr>,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Gate {
        let rate = f64::from(limits.handshakes_per_network);
        let (pending, connections, networks, peers) = Default::default();
        let (banned, banned_ips, todo) = Default::default();
        Gate {
            by_network: Buckets::new(rate, rate * 4.0),
            by_all: Bucket::full(f64::from(limits.handshakes) * 4.0),
            inbound: 0,
            limits,
            pending,
            connections,
            networks,
            peers,
            banned,
            banned_ips,
            todo,
        }
    }

    /// Keeps a peer out until then, and its IP address with it if others of it were put out before.
    pub(crate) fn ban(&mut self, peer: libp2p::PeerId, until: Instant, now: Instant) {
        if self.banned.len() >= BANS {
            self.banned.retain(|_, end| *end > now);
        }
        if self.banned.len() >= BANS
            && let Some(soonest) = self.banned.iter().min_by_key(|(_, end)| **end).map(|(peer, _)| *peer)
        {
            self.banned.remove(&soonest);
        }
        self.banned_ips.retain(|_, (_, end)| *end > now);
        let ips = self.connections.values().filter(|c| c.peer == peer).filter_map(|c| c.ip);
        for ip in ips.filter(|ip| is_public(*ip) || self.limits.count_local_networks) {
            if self.banned_ips.len() < BANS {
                let entry = self.banned_ips.entry(ip).or_insert((0, until));
                *entry = (entry.0 + 1, until.max(entry.1));
            }
        }
        self.banned.insert(peer, until);
        self.todo.push_back(ToSwarm::CloseConnection { peer_id: peer, connection: CloseConnection::All });
    }

    /// Who is kept out, and until when.
    pub(crate) fn banned(&self) -> impl Iterator<Item = (libp2p::PeerId, Instant)> {
        self.banned.iter().map(|(peer, until)| (*peer, *until))
    }

    pub(crate) fn is_banned(&self, peer: &libp2p::PeerId, now: Instant) -> bool {
        self.banned.get(peer).is_some_and(|end| *end > now)
    }

    fn prefix(&self, ip: Option<IpAddr>) -> Option<Prefix> {
        ip.filter(|ip| is_public(*ip) || self.limits.count_local_networks).map(Prefix::of)
    }

    /// Before anything is spent on a caller.
    fn knock(&mut self, id: ConnectionId, from: &Multiaddr, now: Instant) -> Result<(), Denied> {
        let ip = ip(from);
        let prefix = self.prefix(ip);
        if ip.is_some_and(|ip| {
            self.banned_ips.get(&ip).is_some_and(|(count, end)| *count >= BANS_OF_AN_IP && *end > now)
        }) {
            return Err(Denied::Banned);
        }
        if self.pending.len() as u32 >= self.limits.pending_inbound {
            return Err(Denied::Pending);
        }
        if self.inbound >= self.limits.inbound {
            return Err(Denied::Inbound);
        }
        if let Some(prefix) = prefix {
            let waiting = self.pending.values().filter(|p| **p == Some(prefix)).count() as u32;
            if self.networks.get(&prefix).copied().unwrap_or(0) + waiting >= self.limits.per_network {
                return Err(Denied::Network);
            }
            if !self.by_network.take(&prefix, 1.0, now) {
                return Err(Denied::NetworkHandshakes);
            }
        }
        let rate = f64::from(self.limits.handshakes);
        if !self.by_all.take(1.0, rate, rate * 4.0, now) {
            return Err(Denied::Handshakes);
        }
        self.pending.insert(id, prefix);
        Ok(())
    }

    /// Once it is known who it is.
    fn enter(
        &mut self,
        id: ConnectionId,
        peer: libp2p::PeerId,
        address: &Multiaddr,
        inbound: bool,
    ) -> Result<(), Denied> {
        self.pending.remove(&id);
        if self.is_banned(&peer, Instant::now()) {
            return Err(Denied::Banned);
        }
        if self.connections.len() as u32 >= self.limits.connections {
            return Err(Denied::Connections);
        }
        if inbound && self.inbound >= self.limits.inbound {
            return Err(Denied::Inbound);
        }
        if self.peers.get(&peer).is_some_and(|count| *count >= self.limits.per_peer) {
            return Err(Denied::Peer);
        }
        let ip = ip(address);
        let prefix = if inbound { self.prefix(ip) } else { None };
        *self.peers.entry(peer).or_insert(0) += 1;
        self.inbound += u32::from(inbound);
        if let Some(prefix) = prefix {
            *self.networks.entry(prefix).or_insert(0) += 1;
        }
        self.connections.insert(id, Connection { peer, inbound, prefix, ip });
        Ok(())
    }

    fn leave(&mut self, id: ConnectionId) {
        self.pending.remove(&id);
        let Some(Connection { peer, inbound, prefix, .. }) = self.connections.remove(&id) else { return };
        self.inbound -= u32::from(inbound);
        count_down(&mut self.peers, &peer);
        if let Some(prefix) = prefix {
            count_down(&mut self.networks, &prefix);
        }
    }
}

fn count_down<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.knock(id, from, Instant::now()).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: libp2p::PeerId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.enter(id, peer, from, true).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<libp2p::PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let now = Instant::now();
        if peer.is_some_and(|peer| self.is_banned(&peer, now)) {
            return Err(ConnectionDenied::new(Denied::Banned));
        }
        if self.connections.len() as u32 >= self.limits.connections {
            return Err(ConnectionDenied::new(Denied::Connections));
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: libp2p::PeerId,
        to: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.enter(id, peer, to, false).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.leave(closed.connection_id),
            FromSwarm::ListenFailure(failure) => self.leave(failure.connection_id),
            FromSwarm::DialFailure(failure) => self.leave(failure.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: libp2p::PeerId, _: ConnectionId, never: Infallible) {
        match never {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, Infallible>> {
        self.todo.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn address(text: &str) -> Multiaddr {
        format!("/ip4/{text}/tcp/1").parse().unwrap()
    }

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    fn gate() -> Gate {
        Gate::new(Limits {
            connections: 10,
            inbound: 6,
            per_peer: 2,
            per_network: 3,
            pending_inbound: 4,
            handshakes_per_network: 2,
            handshakes: 5,
            ..Limits::default()
        })
    }

    #[test]
    fn a_network_has_its_share_and_no_more() {
        let mut gate = gate();
        let now = Instant::now();
        for n in 0..3 {
            let from = address(&format!("8.8.8.{n}"));
            gate.knock(id(n), &from, now).unwrap();
            gate.enter(id(n), libp2p::PeerId::random(), &from, true).unwrap();
        }
        assert_eq!(gate.knock(id(3), &address("8.8.8.9"), now), Err(Denied::Network));
        gate.knock(id(4), &address("8.8.9.9"), now).unwrap();
        gate.leave(id(0));
        gate.knock(id(5), &address("8.8.8.9"), now).unwrap();
        assert_eq!(
            gate.knock(id(6), &address("8.8.8.9"), now),
            Err(Denied::Network),
            "those who knock count too"
        );
    }

    #[test]
    fn handshakes_are_rationed_per_network_first() {
        let mut gate = gate();
        let now = Instant::now();
        let mut knocks = |n, from: &str, at| {
            let knocked = gate.knock(id(n), &address(from), at);
            gate.leave(id(n));
            knocked
        };
        let let_in = (0..100).filter(|n| knocks(*n, "8.8.8.8", now).is_ok()).count();
        assert_eq!(let_in, 8, "four seconds' worth at once");
        assert_eq!(knocks(200, "8.8.8.8", now), Err(Denied::NetworkHandshakes));
        assert_eq!(knocks(201, "9.9.9.9", now), Ok(()), "another network is not troubled");
        assert_eq!(knocks(202, "8.8.8.8", now + Duration::from_secs(1)), Ok(()));
        let many = (300..400).filter(|n| knocks(*n, &format!("7.7.{}.1", n - 300), now).is_ok()).count();
        assert!(many < 20, "all networks together are rationed as well: {many}");
    }

    #[test]
    fn strangers_cannot_take_all_places() {
        let mut gate = gate();
        let now = Instant::now();
        let mut entered = 0;
        for n in 0..20 {
            let from = address(&format!("8.{n}.8.8"));
            let at = now + Duration::from_secs(n as u64);
            if gate.knock(id(n), &from, at).is_ok() {
                entered += usize::from(gate.enter(id(n), libp2p::PeerId::random(), &from, true).is_ok());
            }
        }
        assert_eq!(entered, 6);
        for n in 20..24 {
            gate.enter(id(n), libp2p::PeerId::random(), &address("1.1.1.1"), false).unwrap();
        }
        let full = gate.enter(id(24), libp2p::PeerId::random(), &address("1.1.1.1"), false);
        assert_eq!(full, Err(Denied::Connections));
    }

    #[test]
    fn whoever_was_put_out_stays_out_until_then() {
        let mut gate = gate();
        let now = Instant::now();
        let peer = libp2p::PeerId::random();
        let from = address("8.8.8.8");
        gate.enter(id(1), peer, &from, true).unwrap();
        gate.ban(peer, now + Duration::from_hours(1), now);
        gate.leave(id(1));
        assert_eq!(gate.enter(id(2), peer, &from, true), Err(Denied::Banned));
        assert!(!gate.is_banned(&peer, now + Duration::from_secs(3601)));
        // Others of the same machine may come, until it has shown that it makes peers to misbehave.
        for n in 3..5 {
            let other = libp2p::PeerId::random();
            gate.enter(id(n), other, &from, true).unwrap();
            gate.ban(other, now + Duration::from_hours(1), now);
            gate.leave(id(n));
        }
        assert_eq!(gate.knock(id(6), &from, now), Err(Denied::Banned));
        assert_eq!(gate.knock(id(6), &address("8.8.8.9"), now), Ok(()));
    }

    #[test]
    fn a_crowd_of_bans_is_bounded() {
        let mut gate = gate();
        let now = Instant::now();
        for _ in 0..BANS + 100 {
            gate.ban(libp2p::PeerId::random(), now + Duration::from_hours(1), now);
            gate.todo.clear();
        }
        assert_eq!(gate.banned.len(), BANS);
    }
}
