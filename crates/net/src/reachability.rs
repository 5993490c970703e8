//! Can others reach this node, and how?

use crate::address::Address;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long calling back and the router's port forwarding may take before a NAT is taken to be closed.
const PATIENCE: Duration = Duration::from_secs(8);

/// Whether others can reach this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// Nobody has tried yet.
    #[default]
    Unknown,
    /// Others were asked to call back, and did.
    Direct(Vec<Address>),
    /// A NAT or firewall stands before us; relays forward calls, and a direct way is then tried.
    Relayed(Vec<Address>),
    /// A NAT or firewall stands before us, and no relay is at hand: we can call, not be called.
    Unreachable,
}

impl Reachability {
    /// What it means, and what can be done.
    pub fn in_words(&self) -> String {
        let list =
            |all: &[Address]| all.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Reachability::Unknown => {
                "not known yet: no peer has tried to call back; connect to some and look again".to_owned()
            }
            Reachability::Direct(at) => {
                format!("anyone can call this node at {}, and it relays for others within its limits", list(at))
            }
            Reachability::Relayed(at) => format!(
                "a router or firewall keeps callers out; peers call through a relay ({}) and then try to connect \
                 directly. To be called directly, forward a port on the router and pass it as an external address",
                list(at)
            ),
            Reachability::Unreachable => "a router or firewall keeps callers out, and no connected peer relays: this \
                 node can call others, but not be called. Forward a port on the router and pass it as an external \
                 address, switch on UPnP in the router, or connect to a peer that is reachable"
                .to_owned(),
        }
    }
}

/// What was found out so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    direct: BTreeSet<Multiaddr>,
    relayed: BTreeSet<Multiaddr>,
    /// Someone was asked to call back and could not, or nobody has for a while although a NAT stands between.
    failed: bool,
    /// Since when peers have seen us at an address that is not our own.
    translated: Option<Instant>,
    /// What the router said.
    pub(crate) router: Option<&'static str>,
}

impl Findings {
    pub(crate) fn confirmed(&mut self, address: Multiaddr) {
        if !crate::address::is_relayed(&address) {
            self.direct.insert(address);
        }
    }

    pub(crate) fn expired(&mut self, address: &Multiaddr) {
        self.direct.remove(address);
    }

    pub(crate) fn call_back_failed(&mut self) {
        self.failed = true;
    }

    /// A peer sees us at a public address that this machine does not have: a NAT stands between.
    pub(crate) fn seen_translated(&mut self, now: Instant) {
        self.translated.get_or_insert(now);
    }

    /// Callers had time to come through the NAT, if the router lets them; true if they did not.
    pub(crate) fn waited_in_vain(&mut self, now: Instant) -> bool {
        let over = self.translated.is_some_and(|since| now >= since + PATIENCE);
        let news = over && !self.failed && self.direct.is_empty();
        self.failed |= news;
        news
    }

    pub(crate) fn relay_listens(&mut self, address: Multiaddr) {
        self.relayed.insert(address);
    }

    pub(crate) fn relay_gone(&mut self, address: &Multiaddr) {
        self.relayed.remove(address);
    }

    /// Whether we wait for callers at this relay already.
    pub(crate) fn waits_at(&self, relay: &libp2p::PeerId) -> bool {
        self.relayed.iter().any(|address| address.iter().any(|part| part == Protocol::P2p(*relay)))
    }

    /// Whether relays should be looked for.
    pub(crate) fn needs_relay(&self) -> bool {
        self.failed && self.direct.is_empty() && self.relayed.len() < 2
    }

    pub(crate) fn result(&self) -> Reachability {
        let list = |all: &BTreeSet<Multiaddr>| all.iter().cloned().filter_map(Address::checked).collect();
        if !self.direct.is_empty() {
            Reachability::Direct(list(&self.direct))
        } else if !self.relayed.is_empty() {
            Reachability::Relayed(list(&self.relayed))
        } else if self.failed {
            Reachability::Unreachable
        } else {
            Reachability::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_nat_nobody_calls_back_forever() {
        let (mut findings, now) = (Findings::default(), Instant::now());
        assert!(!findings.waited_in_vain(now + PATIENCE * 2), "no NAT is known of");
        findings.seen_translated(now);
        assert!(!findings.waited_in_vain(now));
        assert!(findings.waited_in_vain(now + PATIENCE) && findings.needs_relay());
        assert!(!findings.waited_in_vain(now + PATIENCE), "said once");
        let mut open = Findings::default();
        open.seen_translated(now);
        open.confirmed("/ip4/8.8.8.8/tcp/1".parse().unwrap());
        assert!(!open.waited_in_vain(now + PATIENCE), "the router lets callers in");
    }

    #[test]
    fn findings_add_up_to_words() {
        let mut findings = Findings::default();
        let at: Multiaddr = "/ip4/8.8.8.8/tcp/1".parse().unwrap();
        let relay: Multiaddr =
            format!("/ip4/9.9.9.9/tcp/1/p2p/{}/p2p-circuit", libp2p::PeerId::random()).parse().unwrap();
        assert_eq!(findings.result(), Reachability::Unknown);
        assert!(!findings.needs_relay(), "not before someone tried");
        findings.call_back_failed();
        assert!(findings.needs_relay());
        assert_eq!(findings.result(), Reachability::Unreachable);
        assert!(findings.result().in_words().contains("Forward a port"));
        findings.relay_listens(relay.clone());
        let Some(Protocol::P2p(at_relay)) = relay.iter().nth(2) else { panic!("{relay}") };
        assert!(findings.waits_at(&at_relay) && !findings.waits_at(&libp2p::PeerId::random()));
        assert!(findings.result().in_words().contains("through a relay"));
        findings.confirmed(relay);
        assert!(matches!(findings.result(), Reachability::Relayed(_)), "a relay is no direct way");
        findings.confirmed(at.clone());
        assert!(matches!(findings.result(), Reachability::Direct(_)) && !findings.needs_relay());
        findings.expired(&at);
        assert!(matches!(findings.result(), Reachability::Relayed(_)));
    }
}
