//! Whom to connect to next: peers from the invite, the last run, the LAN and the swarm's table.

use crate::address::{Address, Prefix, ip, is_public};
use crate::id::PeerId;
use crate::remembered::{self, unix_seconds};
use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// Peers known at once that others only told of.
const HEARSAY: usize = 512;
/// Peers known at once in all.
const KNOWN: usize = 1_024;
/// Addresses tried of one peer.
const ADDRESSES: usize = 8;
/// Peers of one network that are believed in without having been met.
const HEARSAY_PER_NETWORK: usize = 8;
/// Attempts under way at once.
const DIALS: usize = 16;
/// Between attempts at one peer: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// The most when there is nobody at all.
const LONGEST_WAIT_ALONE: Duration = Duration::from_secs(10);
/// A peer that did not answer so often is forgotten, unless it was given to us.
const HOPELESS: u32 = 6;
/// How long a chosen peer stays before it is an anchor, and how many there are.
const ANCHORED_AFTER: Duration = Duration::from_mins(2);
const ANCHORS: usize = 4;

/// How we know of a peer; the first are tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// It was an anchor in an earlier run.
    Anchor,
    /// It announced itself on the LAN.
    Lan,
    /// We were connected.
    Met,
    /// Others told us.
    Hearsay,
}

#[derive(Debug)]
struct Known {
    addresses: Vec<Multiaddr>,
    source: Source,
    last_seen: u64,
    retry: Retry,
    /// Since when we are connected to it because we chose to be.
    chosen: Option<Instant>,
}

/// A bootstrap address, whoever is there.
#[derive(Debug)]
struct Seed {
    address: Address,
    retry: Retry,
    /// Who was there the last time.
    peer: Option<libp2p::PeerId>,
    said: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Retry {
    failures: u32,
    next: Instant,
    /// When nobody is connected: whoever is alone has nothing better to do.
    next_alone: Instant,
}

impl Retry {
    fn now() -> Retry {
        let now = Instant::now();
        Retry { failures: 0, next: now, next_alone: now }
    }

    fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(12)).min(LONGEST_WAIT);
        // A crowd that failed together does not come back together.
        let spread = 0.5 + chance();
        self.next = now + wait.mul_f64(spread);
        self.next_alone = now + wait.min(LONGEST_WAIT_ALONE).mul_f64(spread);
    }

    fn is_due(&self, now: Instant, alone: bool) -> bool {
        now >= if alone { self.next_alone } else { self.next }
    }
}

/// Between 0 and 1, never the same.
fn chance() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

/// What an attempt is at.
#[derive(Clone, Copy, Debug)]
enum Target {
    Seed(usize),
    Peer(libp2p::PeerId),
}

/// The peers a node knows of, and the attempts to reach them.
pub(crate) struct Discovery {
    me: libp2p::PeerId,
    wanted: usize,
    seeds: Vec<Seed>,
    known: HashMap<libp2p::PeerId, Known>,
    dials: HashMap<ConnectionId, Target>,
    /// Something worth writing happened.
    pub(crate) changed: bool,
}

impl Discovery {
    pub(crate) fn new(
        me: libp2p::PeerId,
        wanted: usize,
        bootstrap: &[Address],
        peers: Vec<remembered::Peer>,
    ) -> Discovery {
        let seed = |address: &Address| Seed {
            address: address.clone(),
            retry: Retry::now(),
            peer: None,
            said: None,
        };
        let mut seeds: Vec<Seed> = Vec::new();
        for address in bootstrap {
            if address.peer().is_none_or(|peer| peer.foreign() != me)
                && seeds.iter().all(|s| s.address != *address)
            {
                seeds.push(seed(address));
            }
        }
        let mut known = HashMap::new();
        for peer in peers {
            let source = if peer.anchor { Source::Anchor } else { Source::Met };
            let addresses = peer.addresses.into_iter().map(|a| a.0).collect();
            let entry =
                Known { addresses, source, last_seen: peer.last_seen, retry: Retry::now(), chosen: None };
            known.insert(peer.id.foreign(), entry);
        }
        Discovery { me, wanted, seeds, known, dials: HashMap::new(), changed: false }
    }

    /// Someone told us where a peer is.
    pub(crate) fn heard_of(&mut self, peer: libp2p::PeerId, addresses: Vec<Multiaddr>, source: Source) {
        if peer == self.me || PeerId::of(&peer).is_none() {
            return;
        }
        let addresses: Vec<Multiaddr> =
            addresses.into_iter().filter(|a| Address::checked(a.clone()).is_some()).take(ADDRESSES).collect();
        if addresses.is_empty() {
            return;
        }
        if let Some(known) = self.known.get_mut(&peer) {
            // Whoever only tells tales does not change what we have seen ourselves.
            if source <= known.source {
                for address in addresses {
                    known.addresses.retain(|a| *a != address);
                    known.addresses.insert(0, address);
                }
                known.addresses.truncate(ADDRESSES);
                known.source = source.min(known.source);
                if source == Source::Lan {
                    known.retry.next = Instant::now();
                }
            }
            return;
        }
        if source == Source::Hearsay && !self.has_room_for_hearsay(&addresses) {
            return;
        }
        if self.known.len() >= KNOWN && !self.forget_one() {
            return;
        }
        let entry = Known { addresses, source, last_seen: unix_seconds(), retry: Retry::now(), chosen: None };
        self.known.insert(peer, entry);
    }

    fn has_room_for_hearsay(&self, addresses: &[Multiaddr]) -> bool {
        let networks = |addresses: &[Multiaddr]| -> HashSet<Prefix> {
            addresses.iter().filter_map(ip).filter(|ip| is_public(*ip)).map(Prefix::of).collect()
        };
        let hearsay = || self.known.values().filter(|k| k.source == Source::Hearsay);
        let theirs = networks(addresses);
        let same = hearsay().filter(|k| !theirs.is_disjoint(&networks(&k.addresses))).count();
        hearsay().count() < HEARSAY && same < HEARSAY_PER_NETWORK
    }

    /// Makes room: the peer that failed most, among those nobody gave us.
    fn forget_one(&mut self) -> bool {
        let worst = self
            .known
            .iter()
            .filter(|(_, k)| k.chosen.is_none())
            .max_by_key(|(_, k)| (k.source, k.retry.failures));
        let Some(peer) = worst.map(|(peer, _)| *peer) else { return false };
        self.known.remove(&peer).is_some()
    }

    /// What to try now, given whom we are connected to.
    pub(crate) fn tick(&mut self, connected: &HashSet<libp2p::PeerId>, now: Instant) -> Vec<DialOpts> {
        let mut room = DIALS.saturating_sub(self.dials.len());
        let alone = connected.is_empty();
        let missing = self.wanted.saturating_sub(connected.len() + self.dials.len());
        room = room.min(missing);
        let mut dials = Vec::new();
        let seeds: Vec<usize> = (0..self.seeds.len())
            .filter(|i| {
                let seed = &self.seeds[*i];
                let there = seed.peer.or(seed.address.peer().map(|p| p.foreign()));
                let busy = self.dials.values().any(|t| matches!(t, Target::Seed(j) if j == i));
                !busy && seed.retry.is_due(now, alone) && there.is_none_or(|peer| !connected.contains(&peer))
            })
            .collect();
        // Many at once from the start: one that answers is enough, and which one nobody knows.
        for i in seeds.into_iter().take(room) {
            let opts = DialOpts::from(self.seeds[i].address.0.clone());
            self.dials.insert(opts.connection_id(), Target::Seed(i));
            dials.push(opts);
        }
        room -= dials.len();
        let mut peers: Vec<(Source, u32, u64, libp2p::PeerId)> = self
            .known
            .iter()
            .filter(|(peer, known)| {
                let busy = self.dials.values().any(|t| matches!(t, Target::Peer(p) if p == *peer));
                !busy && known.retry.is_due(now, alone) && !connected.contains(*peer)
            })
            // Chance last, so that not all nodes choose the same.
            .map(|(peer, known)| {
                (known.source, known.retry.failures, RandomState::new().hash_one(peer), *peer)
            })
            .collect();
        peers.sort_unstable();
        for (.., peer) in peers.into_iter().take(room) {
            let Some(known) = self.known.get(&peer) else { continue };
            let opts = DialOpts::peer_id(peer)
                .addresses(known.addresses.clone())
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .build();
            self.dials.insert(opts.connection_id(), Target::Peer(peer));
            dials.push(opts);
        }
        dials
    }

    /// A connection stands.
    pub(crate) fn connected(
        &mut self,
        id: ConnectionId,
        peer: libp2p::PeerId,
        address: &Multiaddr,
        we_dialed: bool,
    ) {
        if let Some(Target::Seed(i)) = self.dials.remove(&id)
            && let Some(seed) = self.seeds.get_mut(i)
        {
            (seed.peer, seed.said) = (Some(peer), None);
            seed.retry = Retry::now();
        }
        if we_dialed {
            self.heard_of(peer, vec![address.clone()], Source::Met);
        }
        if let Some(known) = self.known.get_mut(&peer) {
            known.retry = Retry::now();
            known.last_seen = unix_seconds();
            if we_dialed {
                known.chosen.get_or_insert(Instant::now());
            }
            self.changed = true;
        }
    }

    /// The last connection to a peer is gone: it is tried again, not at once.
    pub(crate) fn disconnected(&mut self, peer: libp2p::PeerId, now: Instant) {
        if let Some(known) = self.known.get_mut(&peer) {
            known.chosen = None;
            known.last_seen = unix_seconds();
            known.retry.failed(now);
        }
        for seed in self.seeds.iter_mut().filter(|s| s.peer == Some(peer)) {
            seed.retry.failed(now);
        }
    }

    /// An attempt failed.
    pub(crate) fn failed(&mut self, id: ConnectionId, why: &str, now: Instant) {
        match self.dials.remove(&id) {
            Some(Target::Seed(i)) => {
                if let Some(seed) = self.seeds.get_mut(i) {
                    seed.retry.failed(now);
                    seed.said = Some(why.to_owned());
                }
            }
            Some(Target::Peer(peer)) => {
                if let Some(known) = self.known.get_mut(&peer) {
                    known.retry.failed(now);
                    if known.retry.failures > HOPELESS && known.source == Source::Hearsay {
                        self.known.remove(&peer);
                    }
                }
            }
            None => {}
        }
    }

    /// A peer that is not to be tried any more: it is of another swarm, or was put out.
    pub(crate) fn forget(&mut self, peer: libp2p::PeerId) {
        if self.known.remove(&peer).is_some() {
            self.changed = true;
        }
        // A seed may be given to someone else one day.
        for seed in self.seeds.iter_mut().filter(|s| s.peer == Some(peer)) {
            seed.retry.failures = HOPELESS * 2;
            seed.retry.failed(Instant::now());
            seed.said = Some("it belongs to another swarm, or misbehaved; ask for a newer invite".to_owned());
        }
    }

    /// Why nobody is there, in words, with what to do.
    pub(crate) fn complaint(&self, lan: bool) -> String {
        let failed: Vec<String> = self
            .seeds
            .iter()
            .filter_map(|seed| Some(format!("{}: {}", seed.address, seed.said.as_ref()?)))
            .take(4)
            .collect();
        if self.seeds.is_empty() && self.known.is_empty() {
            let looked = if lan { "nobody on this network answers, and " } else { "" };
            return format!(
                "{looked}no other address is known: join by an invite, or give a bootstrap address"
            );
        }
        if failed.is_empty() {
            return format!("{} addresses are being tried", self.seeds.len() + self.known.len());
        }
        format!("no bootstrap address answers ({}); they are tried again all the time", failed.join("; "))
    }

    /// Where a peer may be.
    pub(crate) fn addresses(&self, peer: &libp2p::PeerId) -> Vec<Multiaddr> {
        self.known.get(peer).map(|known| known.addresses.clone()).unwrap_or_default()
    }

    /// How many peers are known.
    #[cfg(test)]
    fn known(&self) -> usize {
        self.known.len()
    }

    /// What to write down.
    pub(crate) fn remember(&self, now: Instant) -> Vec<remembered::Peer> {
        let mut anchors: Vec<(Instant, &libp2p::PeerId)> = self
            .known
            .iter()
            .filter_map(|(peer, known)| known.chosen.map(|since| (since, peer)))
            .filter(|(since, _)| now.saturating_duration_since(*since) >= ANCHORED_AFTER)
            .collect();
        anchors.sort_unstable();
        anchors.truncate(ANCHORS);
        let anchors: HashSet<&libp2p::PeerId> = anchors.into_iter().map(|(_, peer)| peer).collect();
        self.known
            .iter()
            .filter(|(_, known)| known.source != Source::Hearsay)
            .filter_map(|(peer, known)| {
                Some(remembered::Peer {
                    id: PeerId::of(peer)?,
                    addresses: known.addresses.iter().cloned().map(Address).collect(),
                    last_seen: known.last_seen,
                    anchor: anchors.contains(peer) || known.source == Source::Anchor,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::keypair;

    fn peer(n: u64) -> libp2p::PeerId {
        let mut secret = [7; 32];
        secret[..8].copy_from_slice(&n.to_le_bytes());
        keypair(&secret).unwrap().public().to_peer_id()
    }

    fn at(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    fn discovery(bootstrap: &[&str]) -> Discovery {
        let bootstrap: Vec<Address> = bootstrap.iter().map(|a| a.parse().unwrap()).collect();
        Discovery::new(peer(0), 8, &bootstrap, Vec::new())
    }

    #[test]
    fn all_bootstrap_addresses_are_tried_at_once_and_again_later() {
        let mut d = discovery(&["/ip4/8.8.8.1/tcp/1", "/ip4/8.8.8.2/tcp/1", "/ip4/8.8.8.3/tcp/1"]);
        let now = Instant::now() + Duration::from_millis(1);
        let nobody = HashSet::new();
        let first = d.tick(&nobody, now);
        assert_eq!(first.len(), 3);
        assert!(d.tick(&nobody, now).is_empty(), "they are under way");
        for opts in &first {
            d.failed(opts.connection_id(), "nobody listens there", now);
        }
        assert!(d.tick(&nobody, now).is_empty(), "not at once");
        assert!(d.complaint(true).contains("nobody listens there"), "{}", d.complaint(true));
        assert_eq!(d.tick(&nobody, now + Duration::from_secs(3)).len(), 3);
    }

    #[test]
    fn those_who_fail_wait_longer_but_whoever_is_alone_tries_on() {
        let mut d = discovery(&["/ip4/8.8.8.1/tcp/1"]);
        let mut now = Instant::now() + Duration::from_millis(1);
        let nobody = HashSet::new();
        for _ in 0..20 {
            while d.tick(&nobody, now).is_empty() {
                now += Duration::from_secs(1);
            }
            let id = *d.dials.keys().next().unwrap();
            d.failed(id, "", now);
        }
        let start = now;
        while d.tick(&nobody, now).is_empty() {
            now += Duration::from_secs(1);
        }
        assert!(now - start <= LONGEST_WAIT_ALONE * 2, "{:?}", now - start);
    }

    #[test]
    fn enough_is_enough() {
        let mut d = discovery(&["/ip4/8.8.8.1/tcp/1"]);
        let connected: HashSet<_> = (1..=8).map(peer).collect();
        assert!(d.tick(&connected, Instant::now() + Duration::from_secs(1)).is_empty());
    }

    #[test]
    fn hearsay_is_bounded_in_all_and_per_network() {
        let mut d = discovery(&[]);
        for n in 1..100 {
            d.heard_of(peer(n), vec![at(&format!("/ip4/8.8.8.{n}/tcp/1"))], Source::Hearsay);
        }
        assert_eq!(d.known(), HEARSAY_PER_NETWORK, "one network fills its share only");
        for n in 100..1500_u64 {
            d.heard_of(
                peer(n),
                vec![at(&format!("/ip4/9.{}.{}.1/tcp/1", n / 250, n % 250))],
                Source::Hearsay,
            );
        }
        assert_eq!(d.known(), HEARSAY);
        d.heard_of(peer(0), vec![at("/ip4/1.1.1.1/tcp/1")], Source::Lan);
        assert_eq!(d.known(), HEARSAY, "not ourselves");
        // What we saw ourselves is not changed by tales.
        d.heard_of(peer(5000), vec![at("/ip4/1.1.1.1/tcp/1")], Source::Met);
        d.heard_of(peer(5000), vec![at("/ip4/6.6.6.6/tcp/1")], Source::Hearsay);
        assert_eq!(d.known[&peer(5000)].addresses, [at("/ip4/1.1.1.1/tcp/1")]);
    }

    #[test]
    fn anchors_come_first_at_the_next_start() {
        let address: Address = "/ip4/8.8.8.8/tcp/1".parse().unwrap();
        let remembered = (1..20)
            .map(|n| remembered::Peer {
                id: PeerId::of(&peer(n)).unwrap(),
                addresses: vec![address.clone()],
                last_seen: unix_seconds(),
                anchor: n == 13,
            })
            .collect();
        let mut d = Discovery::new(peer(0), 1, &[], remembered);
        let dials = d.tick(&HashSet::new(), Instant::now() + Duration::from_millis(1));
        assert_eq!(dials.iter().map(DialOpts::get_peer_id).collect::<Vec<_>>(), [Some(peer(13))]);
    }

    #[test]
    fn a_chosen_peer_that_stays_becomes_an_anchor() {
        let mut d = discovery(&[]);
        d.connected(ConnectionId::new_unchecked(1), peer(1), &at("/ip4/8.8.8.8/tcp/1"), true);
        d.connected(ConnectionId::new_unchecked(2), peer(2), &at("/ip4/8.8.8.9/tcp/1"), false);
        let now = Instant::now();
        assert!(d.remember(now).iter().all(|p| !p.anchor));
        let later = d.remember(now + ANCHORED_AFTER);
        assert_eq!(later.len(), 1, "a caller's address is not known to be its own");
        assert!(later[0].anchor);
    }
}
