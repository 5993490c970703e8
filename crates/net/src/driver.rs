//! The one task that owns the swarm: it does what handles ask, and tells what happens.

use crate::address::Address;
use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::id::PeerId;
use crate::queue;
use crate::streams::{self, Open};
use futures::StreamExt;
use libp2p::kad::{self, QueryId, QueryResult};
use libp2p::swarm::SwarmEvent;
use libp2p::{Swarm, identify};
use std::collections::{HashMap, HashSet};
use tokio::sync::{mpsc, oneshot, watch};

/// What a handle asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Open { peer: PeerId, wish: Open },
    Dial { address: Address, reply: oneshot::Sender<Result<()>> },
    Disconnect { peer: PeerId },
    Provide { key: [u8; 32], reply: oneshot::Sender<Result<()>> },
    StopProviding { key: [u8; 32] },
    Providers { key: [u8; 32], reply: oneshot::Sender<Vec<PeerId>> },
    Known { peer: PeerId, reply: oneshot::Sender<Option<Known>> },
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
}

pub(crate) struct Driver {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) config: Config,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: queue::Sender<Event>,
    pub(crate) listening: watch::Sender<Vec<Address>>,
    pub(crate) connected: watch::Sender<HashSet<PeerId>>,
    pub(crate) queries: HashMap<QueryId, Query>,
    pub(crate) known: HashMap<libp2p::PeerId, Known>,
    version: String,
}

/// What a walk through the swarm's table is for.
pub(crate) enum Query {
    Provide(oneshot::Sender<Result<()>>),
    Providers { found: HashSet<PeerId>, reply: oneshot::Sender<Vec<PeerId>> },
    Seek(libp2p::PeerId),
}

impl Driver {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        config: Config,
        commands: mpsc::Receiver<Command>,
        events: queue::Sender<Event>,
        listening: watch::Sender<Vec<Address>>,
        connected: watch::Sender<HashSet<PeerId>>,
    ) -> Driver {
        let version = crate::behaviour::version(config.swarm);
        let (queries, known) = Default::default();
        Driver { swarm, config, commands, events, listening, connected, queries, known, version }
    }

    /// Runs until all handles are gone or one says stop.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                command = self.commands.recv() => match command {
                    None => break,
                    Some(Command::Stop { reply }) => {
                        drop(self);
                        let _ = reply.send(());
                        return;
                    }
                    Some(command) => self.on_command(command),
                },
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        let behaviour = self.swarm.behaviour_mut();
        match command {
            Command::Open { peer, wish } => behaviour.streams.open(peer.foreign(), wish),
            Command::Dial { address, reply } => {
                let done = self.swarm.dial(address.0);
                let _ = reply.send(done.map_err(|why| Error::Transport { why: crate::dial::in_words(&why) }));
            }
            Command::Disconnect { peer } => _ = self.swarm.disconnect_peer_id(peer.foreign()),
            Command::Provide { key, reply } => match behaviour.kad.start_providing(record_key(key)) {
                Ok(query) => _ = self.queries.insert(query, Query::Provide(reply)),
                Err(_) => {
                    let limit = self.config.limits.provider_records;
                    let _ = reply.send(Err(Error::Busy { what: "keys that this node provides", limit }));
                }
            },
            Command::StopProviding { key } => behaviour.kad.stop_providing(&record_key(key)),
            Command::Providers { key, reply } => {
                let query = behaviour.kad.get_providers(record_key(key));
                self.queries.insert(query, Query::Providers { found: HashSet::new(), reply });
            }
            Command::Known { peer, reply } => {
                let _ = reply.send(self.known.get(&peer.foreign()).cloned());
            }
            Command::Stop { .. } => {}
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, num_established, .. }
                if num_established.get() == 1 =>
            {
                if let Some(peer) = PeerId::of(&peer_id) {
                    self.connected.send_modify(|all| _ = all.insert(peer));
                    self.tell(Event::Connected(peer));
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.known.remove(&peer_id);
                if let Some(peer) = PeerId::of(&peer_id) {
                    self.connected.send_modify(|all| _ = all.remove(&peer));
                    self.tell(Event::Disconnected(peer));
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                if let (Some(address), Some(me)) = (Address::checked(address), self.me()) {
                    let address = address.with_peer(me);
                    self.listening.send_modify(|all| {
                        if !all.contains(&address) {
                            all.push(address.clone());
                        }
                    });
                    self.tell(Event::Listening(address));
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listening.send_modify(|all| all.retain(|a| a.without_peer().0 != address));
            }
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(streams::Event::Seek(peer)) => {
                let query = self.swarm.behaviour_mut().kad.get_closest_peers(peer);
                self.queries.insert(query, Query::Seek(peer));
            }
            BehaviourEvent::Streams(streams::Event::TooMany(peer)) => _ = self.swarm.disconnect_peer_id(peer),
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_identified(peer_id, info);
            }
            BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed { id, result, step, .. }) => {
                self.on_query(id, result, step.last);
            }
            _ => {}
        }
    }

    /// A peer said who it is: of our swarm, or not.
    fn on_identified(&mut self, peer: libp2p::PeerId, info: identify::Info) {
        if info.protocol_version != self.version {
            let _ = self.swarm.disconnect_peer_id(peer);
            return;
        }
        for address in info.listen_addrs {
            self.swarm.behaviour_mut().kad.add_address(&peer, address);
        }
        let protocols = info.protocols.iter().map(ToString::to_string).collect();
        self.known.insert(peer, Known { agent: info.agent_version, protocols });
    }

    fn on_query(&mut self, id: QueryId, result: QueryResult, last: bool) {
        if let (
            Some(Query::Providers { found, .. }),
            QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders { providers, .. })),
        ) = (self.queries.get_mut(&id), &result)
        {
            found.extend(providers.iter().filter_map(PeerId::of));
        }
        if !last {
            return;
        }
        match self.queries.remove(&id) {
            Some(Query::Provide(reply)) => _ = reply.send(Ok(())),
            Some(Query::Providers { found, reply }) => _ = reply.send(found.into_iter().collect()),
            Some(Query::Seek(peer)) => {
                let addresses = match result {
                    QueryResult::GetClosestPeers(Ok(found)) => found.peers,
                    QueryResult::GetClosestPeers(Err(kad::GetClosestPeersError::Timeout {
                        peers, ..
                    })) => peers,
                    _ => Vec::new(),
                };
                let known = addresses.into_iter().find(|p| p.peer_id == peer).map(|p| p.addrs);
                match known {
                    Some(addresses) if !addresses.is_empty() => {
                        for address in addresses {
                            self.swarm.add_peer_address(peer, address);
                        }
                        self.swarm.behaviour_mut().streams.found(peer);
                    }
                    _ => self.swarm.behaviour_mut().streams.lost(peer),
                }
            }
            None => {}
        }
    }

    pub(crate) fn me(&self) -> Option<PeerId> {
        PeerId::of(self.swarm.local_peer_id())
    }

    pub(crate) fn tell(&self, event: Event) {
        self.events.push(event, 1);
    }
}

fn record_key(key: [u8; 32]) -> kad::RecordKey {
    kad::RecordKey::new(&key)
}
