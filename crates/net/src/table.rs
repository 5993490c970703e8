//! Who enters the swarm's table: peers that were met, and not too many of one network.

use crate::address::{Prefix, ip, is_public};
use crate::records::Records;
use libp2p::kad;
use libp2p::{Multiaddr, PeerId};

/// Entries of one network: in one of the table's buckets, and in all of it.
const PER_BUCKET: usize = 2;
const PER_TABLE: usize = 10;

/// Puts a peer in the table that is connected from `remote` and says it listens at `addresses`; false if its network
/// has its share already.
///
/// Where it is connected from counts, not where it says it is: whoever wants to surround us would say anything.
pub(crate) fn admit(
    table: &mut kad::Behaviour<Records>,
    peer: PeerId,
    remote: &Multiaddr,
    addresses: Vec<Multiaddr>,
    networks: &Networks,
) -> bool {
    if let Some(prefix) = networks.prefix(remote) {
        let of_network = |other: &PeerId| *other != peer && networks.of(other) == Some(prefix);
        let in_all = table
            .kbuckets()
            .flat_map(|bucket| bucket.iter().map(|entry| *entry.node.key.preimage()).collect::<Vec<_>>());
        if in_all.filter(of_network).count() >= PER_TABLE {
            return false;
        }
        let in_bucket = table
            .kbucket(peer)
            .map_or(0, |bucket| bucket.iter().filter(|entry| of_network(entry.node.key.preimage())).count());
        if in_bucket >= PER_BUCKET {
            return false;
        }
    }
    for address in addresses {
        table.add_address(&peer, address);
    }
    true
}

/// The networks that the table's peers were met in.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    count_local: bool,
    of: std::collections::HashMap<PeerId, Prefix>,
}

/// More peers than a table holds.
const KEPT: usize = 8_192;

impl Networks {
    pub(crate) fn new(count_local: bool) -> Networks {
        Networks { count_local, of: std::collections::HashMap::new() }
    }

    /// The network of an address, if it counts as one.
    pub(crate) fn prefix(&self, address: &Multiaddr) -> Option<Prefix> {
        ip(address).filter(|ip| self.count_local || is_public(*ip)).map(Prefix::of)
    }

    pub(crate) fn met(&mut self, peer: PeerId, address: &Multiaddr) {
        if let Some(prefix) = self.prefix(address)
            && (self.of.len() < KEPT || self.of.contains_key(&peer))
        {
            self.of.insert(peer, prefix);
        }
    }

    /// Forgets those who are in no table.
    pub(crate) fn keep(&mut self, kept: impl Fn(&PeerId) -> bool) {
        self.of.retain(|peer, _| kept(peer));
    }

    fn of(&self, peer: &PeerId) -> Option<Prefix> {
        self.of.get(peer).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use libp2p::StreamProtocol;

    #[test]
    fn one_network_cannot_fill_the_table() {
        let me = PeerId::random();
        let mut config = kad::Config::new(StreamProtocol::new("/test"));
        config.set_kbucket_inserts(kad::BucketInserts::Manual);
        let mut table = kad::Behaviour::with_config(me, Records::new(me, &Limits::default()), config);
        let mut networks = Networks::new(false);
        let mut enter = |address: String, networks: &mut Networks| {
            let (peer, address): (_, Multiaddr) = (PeerId::random(), address.parse().unwrap());
            networks.met(peer, &address);
            admit(&mut table, peer, &address, vec![address.clone()], networks)
        };
        let attackers = (0..250).filter(|n| enter(format!("/ip4/6.6.6.{n}/tcp/1"), &mut networks)).count();
        assert!((PER_BUCKET..=PER_TABLE).contains(&attackers), "{attackers}");
        let honest = (0..20).filter(|n| enter(format!("/ip4/8.8.{n}.8/tcp/1"), &mut networks)).count();
        assert_eq!(honest, 20, "other networks have their places");
        let lan = (0..20).filter(|n| enter(format!("/ip4/192.168.1.{n}/tcp/1"), &mut networks)).count();
        assert_eq!(lan, 20, "a LAN is no network to be afraid of");
    }
}
