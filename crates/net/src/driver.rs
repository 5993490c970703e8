//! The one task that owns the swarm: it does what handles ask, and tells what happens.

use crate::address::{Address, is_relayed};
use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::config::Config;
use crate::crowd::{self, Guest};
use crate::discovery::{Discovery, Source};
use crate::error::{Error, Result};
use crate::gossip::{self, Subscription, TopicRules, Topics, Traffic, Verdict};
use crate::health::{Health, State};
use crate::id::PeerId;
use crate::memory::Pool;
use crate::queue;
use crate::reachability::{Findings, Reachability};
use crate::remembered::{Ban, Remembered, unix_seconds};
use crate::reputation::{Offence, Reputation};
use crate::streams::{self, Open};
use crate::table::{self, Networks};
use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::core::{ConnectedPoint, PeerRecord};
use libp2p::kad::store::RecordStore;
use libp2p::kad::{self, QueryId, QueryResult};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{ConnectionId, FromSwarm, NetworkBehaviour, NewExternalAddrCandidate, SwarmEvent};
use libp2p::{Multiaddr, Swarm, autonat, gossipsub, identify, mdns, ping, relay, upnp};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// How often the node looks around.
const TICK: Duration = Duration::from_millis(250);
/// A node without peers for so long says so.
const ALONE_AFTER: Duration = Duration::from_secs(3);
/// Whoever has not said by then who it is has to go.
const IDENTIFIED_WITHIN: Duration = Duration::from_secs(20);
/// Between walks through the table in search of more peers.
const WALK: Duration = Duration::from_secs(15);
/// Between writes of what is remembered.
const WRITE: Duration = Duration::from_secs(10);
/// What relays are known by.
const RELAY_PROTOCOL: &str = "/libp2p/circuit/relay/0.2.0/hop";
/// Messages that did not fit in a neighbour's queue within a heartbeat, to be called slow.
const SLOW: usize = 64;
/// Peers that are asked last where one is that is sought.
const SOUGHT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);
/// Addresses that are believed of one peer.
const ADDRESSES: usize = 8;

/// What a handle asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Open { peer: PeerId, wish: Open },
    Dial { address: Address, reply: oneshot::Sender<Result<()>> },
    Hint { address: Address },
    Disconnect { peer: PeerId },
    Provide { key: [u8; 32], reply: oneshot::Sender<Result<()>> },
    StopProviding { key: [u8; 32] },
    Providers { key: [u8; 32], reply: oneshot::Sender<Vec<PeerId>> },
    Known { peer: PeerId, reply: oneshot::Sender<Option<Known>> },
    Subscribe { topic: String, rules: TopicRules, reply: oneshot::Sender<Result<Subscription>> },
    Publish { topic: String, data: Vec<u8>, reply: oneshot::Sender<Result<()>> },
    Report { peer: PeerId, offence: Offence },
    Ways { peer: PeerId, reply: oneshot::Sender<Vec<Address>> },
    KeptOut { reply: oneshot::Sender<Vec<PeerId>> },
    Stop { reply: oneshot::Sender<()> },
}

/// What a connected peer told about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) agent: String,
    pub(crate) protocols: Vec<String>,
}

/// What happens to a node that its owner may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A first connection to a peer stands.
    Connected(PeerId),
    /// The last connection to a peer is gone.
    Disconnected(PeerId),
    /// We listen here.
    Listening(Address),
    /// A neighbour listens to a topic.
    Joined {
        /// Who.
        peer: PeerId,
        /// To what.
        topic: String,
    },
    /// A peer misbehaved and is kept out for a while.
    PutOut {
        /// Who.
        peer: PeerId,
        /// The last thing it did.
        offence: Offence,
    },
    /// Others can or cannot reach this node.
    Reachability(Reachability),
    /// The node's health changed.
    Health(Health),
}

/// What the driver tells handles as it changes.
pub(crate) struct Told {
    pub(crate) events: queue::Sender<Event>,
    pub(crate) listening: watch::Sender<Vec<Address>>,
    pub(crate) connected: watch::Sender<HashSet<PeerId>>,
    /// How long the last ping to each connected peer took, there and back.
    pub(crate) latencies: watch::Sender<HashMap<PeerId, Duration>>,
    pub(crate) reachability: watch::Sender<Reachability>,
    pub(crate) health: watch::Sender<Health>,
}

/// A connected peer.
struct Peer {
    remote: Multiaddr,
    /// We reached it at its own address: so can others.
    chosen: bool,
    since: Instant,
    connections: HashMap<ConnectionId, Multiaddr>,
    known: Option<Known>,
}

pub(crate) struct Driver {
    swarm: Swarm<Behaviour>,
    config: Config,
    commands: mpsc::Receiver<Command>,
    verdicts: mpsc::UnboundedReceiver<(u64, Verdict)>,
    told: Told,
    queries: HashMap<QueryId, Query>,
    peers: HashMap<libp2p::PeerId, Peer>,
    listeners: HashSet<ListenerId>,
    /// Keys that we provide and have told nobody of.
    untold: HashSet<[u8; 32]>,
    topics: Topics,
    discovery: Discovery,
    networks: Networks,
    reputation: Reputation,
    findings: Findings,
    /// Peers of other swarms that we came upon.
    strangers: u64,
    /// What is wrong with the file of remembered peers.
    file: Option<String>,
    version: String,
    namespace: String,
    table_protocol: String,
    /// Since when nobody is connected.
    alone_since: Option<Instant>,
    walked: Option<Instant>,
    written: Instant,
    expired: Instant,
    relays_asked: HashMap<libp2p::PeerId, Instant>,
    /// Peers that we relay for: places they wait at, and connections that we carry.
    carried: HashMap<libp2p::PeerId, usize>,
}

/// What a walk through the swarm's table is for.
enum Query {
    Provide(oneshot::Sender<Result<()>>),
    Providers { found: HashSet<PeerId>, reply: oneshot::Sender<Vec<PeerId>> },
    Seek { peer: libp2p::PeerId, found: Vec<Multiaddr> },
    Walk,
}

impl Driver {
    pub(crate) fn new(
        mut swarm: Swarm<Behaviour>,
        config: Config,
        commands: mpsc::Receiver<Command>,
        told: Told,
        traffic: Arc<Traffic>,
        pool: Pool,
    ) -> Driver {
        let namespace = config.swarm.namespace();
        let (remembered, complaint) = config.folder.as_deref().map(Remembered::read).unwrap_or_default();
        let now = Instant::now();
        let unix = unix_seconds();
        for ban in remembered.bans {
            let until = now + Duration::from_secs(ban.until.saturating_sub(unix)).min(config.limits.ban);
            swarm.behaviour_mut().gate.ban(ban.peer.foreign(), until, now);
        }
        let me = *swarm.local_peer_id();
        let discovery = Discovery::new(me, config.limits.wanted_peers, &config.bootstrap, remembered.peers);
        let (verdict, verdicts) = mpsc::unbounded_channel();
        let (queries, peers, listeners, untold, relays_asked, carried) = Default::default();
        Driver {
            topics: Topics::new(namespace.clone(), verdict, traffic, pool),
            version: crate::behaviour::version(config.swarm),
            networks: Networks::new(config.limits.count_local_networks),
            reputation: Reputation::default(),
            findings: Findings::default(),
            strangers: 0,
            file: complaint.map(|why| why.to_string()),
            table_protocol: format!("{namespace}/kad/1"),
            alone_since: Some(now),
            walked: None,
            written: now,
            expired: now,
            relays_asked,
            carried,
            swarm,
            config,
            commands,
            verdicts,
            told,
            queries,
            peers,
            listeners,
            untold,
            discovery,
            namespace,
        }
    }

    /// Runs until all handles are gone or one says stop.
    pub(crate) async fn run(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stopped = loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                Some((number, verdict)) = self.verdicts.recv() => self.on_verdict(number, verdict),
                command = self.commands.recv() => match command {
                    None => break None,
                    Some(Command::Stop { reply }) => break Some(reply),
                    Some(command) => self.on_command(command),
                },
                _ = ticks.tick() => self.tick(),
            }
        };
        if let Some((folder, remembered)) = self.take_changes() {
            let _ = tokio::task::spawn_blocking(move || remembered.write(&folder)).await;
        }
        // Everything is closed before anyone is told so. In memory, a port is not given back by itself.
        for listener in std::mem::take(&mut self.listeners) {
            self.swarm.remove_listener(listener);
        }
        drop(self);
        if let Some(reply) = stopped {
            let _ = reply.send(());
        }
    }

    fn on_command(&mut self, command: Command) {
        let behaviour = self.swarm.behaviour_mut();
        match command {
            Command::Open { peer, wish } => {
                let peer = peer.foreign();
                behaviour.streams.open(peer, wish, self.discovery.addresses(&peer));
            }
            Command::Dial { address, reply } => {
                let done = self.swarm.dial(address.0);
                let _ = reply.send(done.map_err(|why| Error::Transport { why: crate::dial::in_words(&why) }));
            }
            Command::Hint { address } => {
                if let Some(peer) = address.peer() {
                    self.discovery.heard_of(peer.foreign(), vec![address.0], Source::Met);
                }
            }
            Command::Disconnect { peer } => _ = self.swarm.disconnect_peer_id(peer.foreign()),
            Command::Provide { key, reply } => {
                if let Ok(query) = behaviour.kad.start_providing(record_key(key)) {
                    // With nobody to tell, it is told when someone is there.
                    if behaviour.kad.kbuckets().all(|bucket| bucket.is_empty()) {
                        self.untold.insert(key);
                    }
                    self.queries.insert(query, Query::Provide(reply));
                } else {
                    let limit = self.config.limits.provider_records;
                    let _ = reply.send(Err(Error::Busy { what: "keys that this node provides", limit }));
                }
            }
            Command::StopProviding { key } => {
                self.untold.remove(&key);
                behaviour.kad.stop_providing(&record_key(key));
            }
            Command::Providers { key, reply } => {
                let query = behaviour.kad.get_providers(record_key(key));
                self.queries.insert(query, Query::Providers { found: HashSet::new(), reply });
            }
            Command::Known { peer, reply } => {
                let _ = reply.send(self.peers.get(&peer.foreign()).and_then(|p| p.known.clone()));
            }
            Command::Subscribe { topic, rules, reply } => {
                let _ = reply.send(self.topics.subscribe(&mut behaviour.gossip, &topic, rules));
            }
            Command::Publish { topic, data, reply } => {
                let health = self.told.health.borrow().to_string();
                let _ = reply.send(self.topics.publish(&mut behaviour.gossip, &topic, &data, &health));
            }
            Command::Report { peer, offence } => self.punish(peer.foreign(), offence),
            Command::Ways { peer, reply } => {
                let ways = self.peers.get(&peer.foreign()).map(|peer| peer.connections.values().cloned());
                let _ = reply.send(ways.into_iter().flatten().filter_map(Address::checked).collect());
            }
            Command::KeptOut { reply } => {
                let kept = behaviour.gate.banned().filter_map(|(peer, _)| PeerId::of(&peer)).collect();
                let _ = reply.send(kept);
            }
            Command::Stop { .. } => {}
        }
    }

    fn on_verdict(&mut self, number: u64, verdict: Verdict) {
        if let Some(judged) = self.topics.judged(number, verdict) {
            judged.report(&mut self.swarm.behaviour_mut().gossip);
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        let now = Instant::now();
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                if let Some(peer) = self.peers.get_mut(&peer_id) {
                    peer.connections.remove(&connection_id);
                }
                if num_established == 0 && self.peers.remove(&peer_id).is_some() {
                    self.carried.remove(&peer_id);
                    self.discovery.disconnected(peer_id, now);
                    if self.peers.is_empty() {
                        self.alone_since = Some(now);
                    }
                    if let Some(peer) = PeerId::of(&peer_id) {
                        self.told.connected.send_modify(|all| _ = all.remove(&peer));
                        self.told.latencies.send_modify(|all| _ = all.remove(&peer));
                        self.tell(Event::Disconnected(peer));
                    }
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.discovery.failed(connection_id, &crate::dial::in_words(&error), now);
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.listeners.insert(listener_id);
                self.on_listening(address);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.on_not_listening(&address),
            SwarmEvent::ListenerClosed { listener_id, addresses, .. } => {
                self.listeners.remove(&listener_id);
                for address in &addresses {
                    self.on_not_listening(address);
                }
            }
            SwarmEvent::ExternalAddrConfirmed { address } => {
                self.findings.confirmed(address);
                self.tell_reachability();
            }
            SwarmEvent::ExternalAddrExpired { address } => {
                self.findings.expired(&address);
                self.tell_reachability();
            }
            _ => {}
        }
    }

    fn on_connected(&mut self, id: libp2p::PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let remote = endpoint.get_remote_address();
        let we_dialed = endpoint.is_dialer();
        let Some(peer) = PeerId::of(&id) else {
            // A key of another kind than the swarm's.
            let _ = self.swarm.disconnect_peer_id(id);
            return;
        };
        self.discovery.connected(connection, id, remote, we_dialed && !is_relayed(remote));
        self.alone_since = None;
        let first = !self.peers.contains_key(&id);
        let entry = self.peers.entry(id).or_insert_with(|| Peer {
            remote: remote.clone(),
            chosen: false,
            since: Instant::now(),
            connections: HashMap::new(),
            known: None,
        });
        entry.connections.insert(connection, remote.clone());
        if is_relayed(&entry.remote) {
            entry.remote = remote.clone();
        }
        entry.chosen |= we_dialed && !is_relayed(remote);
        self.networks.met(id, remote);
        if first {
            self.told.connected.send_modify(|all| _ = all.insert(peer));
            self.tell(Event::Connected(peer));
        }
    }

    fn on_listening(&mut self, address: Multiaddr) {
        if is_relayed(&address) {
            self.findings.relay_listens(address.clone());
            self.tell_reachability();
        }
        if let (Some(address), Some(me)) = (Address::checked(address), self.me()) {
            let address = address.with_peer(me);
            self.told.listening.send_modify(|all| {
                if !all.contains(&address) {
                    all.push(address.clone());
                }
            });
            self.tell(Event::Listening(address));
        }
    }

    fn on_not_listening(&mut self, address: &Multiaddr) {
        let gone = Address(address.clone()).without_peer();
        self.told.listening.send_modify(|all| all.retain(|a| a.without_peer() != gone));
        if is_relayed(address) {
            self.findings.relay_gone(address);
            self.tell_reachability();
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(streams::Event::Seek(peer)) => {
                let query = self.swarm.behaviour_mut().kad.get_n_closest_peers(peer, SOUGHT);
                self.queries.insert(query, Query::Seek { peer, found: Vec::new() });
            }
            BehaviourEvent::Streams(streams::Event::TooMany(peer)) => self.punish(peer, Offence::TooMany),
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Ping(ping::Event { peer, result: Ok(took), .. }) => {
                // One that is answered after the connection has closed is of nobody.
                if let (true, Some(peer)) = (self.peers.contains_key(&peer), PeerId::of(&peer)) {
                    self.told.latencies.send_modify(|all| _ = all.insert(peer, took));
                }
            }
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_identified(peer_id, info);
            }
            BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed { id, result, step, .. }) => {
                self.on_query(id, &result, step.last);
            }
            BehaviourEvent::Kad(kad::Event::InboundRequest { request }) => self.on_table_request(request),
            BehaviourEvent::Lan(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    self.discovery.heard_of(peer, vec![address], Source::Lan);
                }
                self.dial_more();
            }
            BehaviourEvent::Relay(event) => self.on_relay(&event),
            BehaviourEvent::Router(event) => {
                self.findings.router = Some(match event {
                    upnp::Event::NewExternalAddr { .. } => "the router forwards a port to this node",
                    upnp::Event::ExpiredExternalAddr { .. } => {
                        "the router forwards no port to this node any more"
                    }
                    upnp::Event::GatewayNotFound => "the router offers no port forwarding by UPnP",
                    upnp::Event::NonRoutableGateway => "the router stands behind another router",
                });
            }
            BehaviourEvent::CallBack(autonat::v2::client::Event { result: Err(_), .. }) => {
                self.findings.call_back_failed();
                self.tell_reachability();
            }
            _ => {}
        }
    }

    /// Keeps count of those we relay for.
    fn on_relay(&mut self, event: &relay::Event) {
        use relay::Event::{
            CircuitClosed, CircuitReqAccepted, ReservationClosed, ReservationReqAccepted, ReservationTimedOut,
        };
        let mut more = |peer| *self.carried.entry(peer).or_insert(0) += 1;
        match event {
            ReservationReqAccepted { src_peer_id, renewed: false } => more(*src_peer_id),
            CircuitReqAccepted { src_peer_id, dst_peer_id } => {
                more(*src_peer_id);
                more(*dst_peer_id);
            }
            ReservationClosed { src_peer_id } | ReservationTimedOut { src_peer_id } => {
                self.carries_less(*src_peer_id);
            }
            CircuitClosed { src_peer_id, dst_peer_id, .. } => {
                self.carries_less(*src_peer_id);
                self.carries_less(*dst_peer_id);
            }
            _ => {}
        }
    }

    fn carries_less(&mut self, peer: libp2p::PeerId) {
        if let Some(count) = self.carried.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.carried.remove(&peer);
            }
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source: from, message_id, message } => {
                let (judged, offence) = self.topics.receive(from, message_id, &message);
                if let Some(judged) = judged {
                    judged.report(&mut self.swarm.behaviour_mut().gossip);
                }
                if let Some(offence) = offence {
                    self.punish(from, offence);
                }
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                let start = format!("{}/", self.namespace);
                if let (Some(peer), Some(topic)) = (PeerId::of(&peer_id), topic.as_str().strip_prefix(&start))
                {
                    self.tell(Event::Joined { peer, topic: crate::id::shortened(topic) });
                }
            }
            // A busy machine may lag behind; one that takes nothing fills its whole queue again and again.
            gossipsub::Event::SlowPeer { peer_id, failed_messages: lost }
                if lost.priority + lost.non_priority >= SLOW =>
            {
                self.punish(peer_id, Offence::Slow);
            }
            _ => {}
        }
    }

    /// A peer said who it is: of our swarm, or not.
    fn on_identified(&mut self, peer: libp2p::PeerId, info: identify::Info) {
        if info.protocol_version != self.version {
            self.strangers += 1;
            self.discovery.forget(peer);
            let _ = self.swarm.disconnect_peer_id(peer);
            return;
        }
        let addresses = match info.signed_peer_record.map(PeerRecord::from_signed_envelope) {
            Some(Ok(record)) if record.peer_id() == peer => record.addresses().to_vec(),
            None => info.listen_addrs,
            // A record that is not its own, or not signed by it.
            Some(_) => return self.punish(peer, Offence::Malformed),
        };
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        let seen = crate::address::ip(&info.observed_addr);
        let own = || self.told.listening.borrow().iter().any(|address| address.ip() == seen);
        if seen.is_some_and(crate::address::is_public) && !own() {
            self.findings.seen_translated(Instant::now());
            // Identify takes it that a NAT keeps our port. Many do not; where we called, what the peer saw is the way back.
            if entry.chosen {
                let seen = NewExternalAddrCandidate { addr: &info.observed_addr };
                self.swarm.behaviour_mut().punch.on_swarm_event(FromSwarm::NewExternalAddrCandidate(seen));
            }
        }
        const PROTOCOLS: usize = 256;
        let protocols: Vec<String> = info.protocols.iter().take(PROTOCOLS).map(ToString::to_string).collect();
        let (remote, in_table) = (entry.remote.clone(), protocols.contains(&self.table_protocol));
        entry.known = Some(Known { agent: crate::id::shortened(&info.agent_version), protocols });
        let addresses: Vec<Multiaddr> =
            addresses.into_iter().filter(|a| Address::checked(a.clone()).is_some()).take(ADDRESSES).collect();
        // It listens there by its own word, and we met it: worth a try when it is gone.
        self.discovery.heard_of(peer, addresses.clone(), Source::Met);
        if in_table {
            let kad = &mut self.swarm.behaviour_mut().kad;
            if table::admit(kad, peer, &remote, addresses, &self.networks) {
                for key in std::mem::take(&mut self.untold) {
                    // It is in the store already, so there is room for it.
                    let _ = kad.start_providing(record_key(key));
                }
            }
        }
    }

    /// A peer wants its record kept.
    fn on_table_request(&mut self, request: kad::InboundRequest) {
        match request {
            kad::InboundRequest::AddProvider { record: Some(record) } => {
                let from = record.provider;
                if self.swarm.behaviour_mut().kad.store_mut().add_provider(record).is_err() {
                    self.punish(from, Offence::Records);
                }
            }
            // Nobody of ours does that.
            kad::InboundRequest::PutRecord { source, .. } => self.punish(source, Offence::Records),
            _ => {}
        }
    }

    fn on_query(&mut self, id: QueryId, result: &QueryResult, last: bool) {
        let peers = match result {
            QueryResult::GetClosestPeers(
                Ok(kad::GetClosestPeersOk { peers, .. })
                | Err(kad::GetClosestPeersError::Timeout { peers, .. }),
            ) => peers.as_slice(),
            _ => &[],
        };
        match (self.queries.get_mut(&id), result) {
            (
                Some(Query::Providers { found, .. }),
                QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders { providers, .. })),
            ) => found.extend(providers.iter().filter_map(PeerId::of).take(256)),
            (Some(Query::Seek { peer, found }), _) => {
                found.extend(
                    peers.iter().filter(|p| p.peer_id == *peer).flat_map(|p| p.addrs.clone()).take(ADDRESSES),
                );
            }
            _ => {}
        }
        for peer in peers {
            self.discovery.heard_of(peer.peer_id, peer.addrs.clone(), Source::Hearsay);
        }
        if !last {
            return;
        }
        match self.queries.remove(&id) {
            Some(Query::Provide(reply)) => _ = reply.send(Ok(())),
            Some(Query::Providers { found, reply }) => _ = reply.send(found.into_iter().collect()),
            Some(Query::Seek { peer, found }) => self.swarm.behaviour_mut().streams.found(peer, found),
            Some(Query::Walk) | None => {}
        }
    }

    /// Takes note of an offence; whoever has offended enough has to go, and is kept out for a while.
    fn punish(&mut self, peer: libp2p::PeerId, offence: Offence) {
        let now = Instant::now();
        if self.swarm.behaviour().gate.is_banned(&peer, now) || !self.reputation.add(peer, offence, now) {
            return;
        }
        let behaviour = self.swarm.behaviour_mut();
        behaviour.gate.ban(peer, now + self.config.limits.ban, now);
        behaviour.kad.remove_peer(&peer);
        self.discovery.forget(peer);
        self.discovery.changed = true;
        if let Some(peer) = PeerId::of(&peer) {
            tracing::info!(%peer, why = offence.in_words(), "a peer is put out");
            self.tell(Event::PutOut { peer, offence });
        }
    }

    /// What has to be done from time to time.
    fn tick(&mut self) {
        let now = Instant::now();
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        for judged in self.topics.tick(gossip, now) {
            judged.report(gossip);
        }
        self.dial_more();
        self.let_go(now);
        self.walk(now);
        self.put_out_the_worst(now);
        if self.findings.waited_in_vain(now) {
            self.tell_reachability();
        }
        self.find_relays(now);
        if now >= self.expired + Duration::from_mins(1) {
            self.expired = now;
            let behaviour = self.swarm.behaviour_mut();
            behaviour.kad.store_mut().expire(now);
            let table: HashSet<libp2p::PeerId> = behaviour
                .kad
                .kbuckets()
                .flat_map(|bucket| bucket.iter().map(|entry| *entry.node.key.preimage()).collect::<Vec<_>>())
                .collect();
            let peers = &self.peers;
            self.networks.keep(|peer| table.contains(peer) || peers.contains_key(peer));
        }
        if now >= self.written + WRITE {
            self.written = now;
            if let Some((folder, remembered)) = self.take_changes() {
                tokio::task::spawn_blocking(move || {
                    if let Err(why) = remembered.write(&folder) {
                        tracing::warn!(%why, "peers are not remembered");
                    }
                });
            }
        }
        self.tell_health(now);
    }

    /// Says farewell to a crowd.
    fn let_go(&mut self, now: Instant) {
        let most = crowd::most(self.config.limits.wanted_peers);
        if self.peers.len() <= most {
            return;
        }
        let behaviour = self.swarm.behaviour();
        let mesh: HashSet<&libp2p::PeerId> = behaviour.gossip.all_mesh_peers().collect();
        let guests = self.peers.iter().map(|(peer, state)| Guest {
            peer: *peer,
            chosen: state.chosen,
            since: state.since,
            used: mesh.contains(peer)
                || behaviour.streams.is_used(peer, now)
                || self.carried.contains_key(peer)
                || self.findings.waits_at(peer),
        });
        for peer in crowd::let_go(guests, most, now) {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn dial_more(&mut self) {
        let connected: HashSet<libp2p::PeerId> = self.peers.keys().copied().collect();
        let now = Instant::now();
        for opts in self.discovery.tick(&connected, now) {
            let id = opts.connection_id();
            if let Err(why) = self.swarm.dial(opts) {
                self.discovery.failed(id, &crate::dial::in_words(&why), now);
            }
        }
    }

    /// Asks the swarm for more peers, if there are too few.
    fn walk(&mut self, now: Instant) {
        let few = self.peers.len() < self.config.limits.wanted_peers;
        if few && !self.peers.is_empty() && self.walked.is_none_or(|at| now >= at + WALK) {
            let target = libp2p::PeerId::random();
            // It meets several times as many as it is asked for.
            let missing = self.config.limits.wanted_peers.saturating_sub(self.peers.len());
            let some = NonZeroUsize::new(missing / 4 + 1).unwrap_or(NonZeroUsize::MIN);
            let query = self.swarm.behaviour_mut().kad.get_n_closest_peers(target, some);
            self.queries.insert(query, Query::Walk);
            // The first walk finds little if it begins before anyone has said who it is.
            let known = self.peers.values().any(|peer| peer.known.is_some());
            self.walked = known.then_some(now);
        }
    }

    /// Peers whose score fell too low, and those who never said who they are.
    fn put_out_the_worst(&mut self, now: Instant) {
        let gossip = &self.swarm.behaviour().gossip;
        let worst: Vec<libp2p::PeerId> = self
            .peers
            .keys()
            .filter(|peer| gossip.peer_score(peer).is_some_and(|score| score < gossip::WORST_SCORE))
            .copied()
            .collect();
        for peer in worst {
            // The score has counted; three of these are enough.
            for _ in 0..3 {
                self.punish(peer, Offence::Invalid);
            }
        }
        let silent: Vec<libp2p::PeerId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.known.is_none() && now >= peer.since + IDENTIFIED_WITHIN)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in silent {
            self.punish(peer, Offence::Silent);
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// Waits at relays for callers, if callers cannot come by themselves.
    fn find_relays(&mut self, now: Instant) {
        const AGAIN: Duration = Duration::from_secs(30);
        if !self.findings.needs_relay() {
            return;
        }
        self.relays_asked.retain(|_, at| now < *at + AGAIN);
        let relay = self.peers.iter().find(|(peer, state)| {
            let relays = |known: &Known| known.protocols.iter().any(|p| p == RELAY_PROTOCOL);
            state.known.as_ref().is_some_and(relays)
                && !is_relayed(&state.remote)
                && state.chosen
                && !self.relays_asked.contains_key(*peer)
                && !self.findings.waits_at(peer)
        });
        let Some((relay, address)) = relay.map(|(peer, state)| (*peer, state.remote.clone())) else { return };
        self.relays_asked.insert(relay, now);
        let mut at = Address(address).without_peer().0;
        at.push(Protocol::P2p(relay));
        at.push(Protocol::P2pCircuit);
        if let Err(why) = self.swarm.listen_on(at) {
            tracing::debug!(%why, "a relay cannot be used");
        }
    }

    /// What to remember, if it changed.
    fn take_changes(&mut self) -> Option<(std::path::PathBuf, Remembered)> {
        let folder = self.config.folder.clone()?;
        if !std::mem::take(&mut self.discovery.changed) {
            return None;
        }
        let (now, unix) = (Instant::now(), unix_seconds());
        let bans = self.swarm.behaviour().gate.banned().filter_map(|(peer, until)| {
            let left = until.checked_duration_since(now)?;
            Some(Ban { peer: PeerId::of(&peer)?, until: unix + left.as_secs() })
        });
        let bans = bans.collect();
        Some((folder, Remembered { peers: self.discovery.remember(now), bans }))
    }

    fn tell_health(&mut self, now: Instant) {
        let peers = self.peers.values().filter(|peer| peer.known.is_some()).count();
        let mut complaints = Vec::new();
        let alone = self.peers.is_empty() && self.alone_since.is_some_and(|since| now >= since + ALONE_AFTER);
        if alone {
            complaints.push(self.discovery.complaint(self.config.lan));
            if self.strangers > 0 {
                complaints.push(format!(
                    "{} nodes of other swarms, or of another version of this one, answered: the addresses may be of \
                     another swarm; ask for its invite, or upgrade the older side ({})",
                    self.strangers,
                    crate::behaviour::AGENT
                ));
            }
        }
        complaints.extend(self.topics.clocks.complaint());
        complaints.extend(self.file.clone());
        let state = match (alone, peers) {
            (true, _) => State::Alone,
            (false, 0) if complaints.is_empty() => State::Starting,
            (false, _) if complaints.is_empty() => State::Good,
            (false, _) => State::Troubled,
        };
        let health = Health { state, peers, complaints };
        let before = self.told.health.borrow().clone();
        if before != health {
            if before.state != health.state || before.complaints != health.complaints {
                self.tell(Event::Health(health.clone()));
            }
            let _ = self.told.health.send(health);
        }
    }

    fn tell_reachability(&self) {
        let reachability = self.findings.result();
        if *self.told.reachability.borrow() != reachability {
            self.tell(Event::Reachability(reachability.clone()));
            let _ = self.told.reachability.send(reachability);
        }
    }

    fn me(&self) -> Option<PeerId> {
        PeerId::of(self.swarm.local_peer_id())
    }

    fn tell(&self, event: Event) {
        drop(self.told.events.push(event, 1));
    }
}

fn record_key(key: [u8; 32]) -> kad::RecordKey {
    kad::RecordKey::new(&key)
}
