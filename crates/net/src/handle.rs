//! What the rest of the program holds: a node's handle, and what it tells.

use crate::address::Address;
use crate::behaviour::{AGENT, Behaviour};
use crate::config::Config;
use crate::driver::{Command, Driver, Event, Told};
use crate::error::{Error, Result};
use crate::gossip::{Subscription, TopicRules, Traffic};
use crate::health::Health;
use crate::id::{self, PeerId, SwarmId};
use crate::memory::{Memory, Pool};
use crate::queue;
use crate::reachability::Reachability;
use crate::reputation::Offence;
use crate::requests::Reporter;
use crate::streams::{self, Incoming, NotOpened, Open, Registry, Stream};
use crate::transport::transport;
use libp2p::core::transport::TransportError;
use libp2p::{Swarm, relay};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that wait for the node's task; callers wait when there are more.
const COMMANDS: usize = 1024;
/// Events that wait for their reader; older ones make room.
const EVENTS: usize = 1024;
/// A connection that nothing uses is closed after so long.
const IDLE: Duration = Duration::from_mins(5);
/// How long connecting and opening a stream may take.
const OPEN: Duration = Duration::from_secs(30);

/// A node of a swarm. See [`Network::start`].
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Starts a node on the current tokio runtime. It ends when all its handles are dropped.
    ///
    /// A port in use is an error here; peers that cannot be reached are not: the node keeps trying and says so.
    pub fn start(mut config: Config) -> Result<(Handle, Events)> {
        config.limits = config.limits.within_memory();
        let pool = config.limits.pool();
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| Error::Runtime)?;
        let key = id::keypair(&config.secret)?;
        let me = PeerId::of(&key.public().to_peer_id()).ok_or(Error::Secret)?;
        let (relay_transport, relayed) = relay::client::new(me.foreign());
        let transport = transport(&key, relay_transport, &config)?;
        let registry = Registry::default();
        let traffic = Arc::<Traffic>::default();
        let behaviour = Behaviour::new(&key, &config, registry.clone(), relayed, &pool, traffic.clone())?;
        let settings = libp2p::swarm::Config::with_tokio_executor()
            .with_idle_connection_timeout(IDLE)
            .with_max_negotiating_inbound_streams(64);
        let mut swarm = Swarm::new(transport, behaviour, me.foreign(), settings);
        config.listen.iter().try_for_each(nobody_listens)?;
        for address in &config.listen {
            match swarm.listen_on(address.0.clone()) {
                Ok(_) => {}
                // A machine may be without IPv6, and is asked to listen with both.
                Err(TransportError::Other(why)) if is_ipv6(address) && !in_use(&why) => {
                    tracing::warn!(%address, %why, "not listening with IPv6");
                }
                Err(why) => return Err(not_listening(address, why)),
            }
        }
        for address in &config.external {
            swarm.add_external_address(address.without_peer().0);
        }
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (events, told) = queue::queue(EVENTS, usize::MAX);
        let (listening, listens) = watch::channel(Vec::new());
        let (connected, connections) = watch::channel(HashSet::new());
        let (latencies, latency) = watch::channel(HashMap::new());
        let (reachability, reach) = watch::channel(Reachability::default());
        let (health, is_well) = watch::channel(Health::default());
        let shared = Shared {
            me,
            swarm: config.swarm,
            namespace: config.swarm.namespace(),
            commands,
            registry,
            listening: listens,
            connected: connections,
            latencies: latency,
            reachability: reach,
            health: is_well,
            traffic: traffic.clone(),
            pool: pool.clone(),
            runtime: runtime.clone(),
        };
        let tells = Told { events, listening, connected, latencies, reachability, health };
        runtime.spawn(Driver::new(swarm, config, inbox, tells, traffic, pool).run());
        Ok((Handle(Arc::new(shared)), Events(told)))
    }
}

/// That no other program listens on an address of TCP. Libp2p's sockets would share it with another node of the same user,
/// and each would get some of the other's callers.
fn nobody_listens(address: &Address) -> Result<()> {
    use libp2p::multiaddr::Protocol::{Ip4, Ip6, Tcp};
    let mut parts = address.0.iter();
    let socket: SocketAddr = match (parts.next(), parts.next()) {
        (Some(Ip4(ip)), Some(Tcp(port))) if port != 0 => (ip, port).into(),
        (Some(Ip6(ip)), Some(Tcp(port))) if port != 0 => (ip, port).into(),
        _ => return Ok(()),
    };
    match std::net::TcpListener::bind(socket) {
        Err(why) if why.kind() == io::ErrorKind::AddrInUse => {
            Err(Error::PortInUse { address: address.clone() })
        }
        // Other reasons are told when we listen.
        _ => Ok(()),
    }
}

/// Whether a transport's error says, somewhere within, that the address is taken.
fn in_use(error: &io::Error) -> bool {
    let said = crate::dial::chain(error);
    error.kind() == io::ErrorKind::AddrInUse || said.contains("in use") || said.contains("already occupied")
        // What the hub of the memory transport says instead.
        || said.contains("No listener on the given port")
}

fn is_ipv6(address: &Address) -> bool {
    matches!(address.0.iter().next(), Some(libp2p::multiaddr::Protocol::Ip6(_)))
}

fn not_listening(address: &Address, why: TransportError<io::Error>) -> Error {
    let address = address.clone();
    match why {
        TransportError::Other(why) if in_use(&why) => Error::PortInUse { address },
        TransportError::Other(why) => Error::Listen { address, why: why.to_string() },
        TransportError::MultiaddrNotSupported(_) => {
            Error::Listen { address, why: "it is no address of QUIC, TCP or memory".to_owned() }
        }
    }
}

/// A node, to be cloned and shared. The node ends with its last handle.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    me: PeerId,
    swarm: SwarmId,
    namespace: String,
    commands: mpsc::Sender<Command>,
    registry: Registry,
    listening: watch::Receiver<Vec<Address>>,
    connected: watch::Receiver<HashSet<PeerId>>,
    latencies: watch::Receiver<HashMap<PeerId, Duration>>,
    reachability: watch::Receiver<Reachability>,
    health: watch::Receiver<Health>,
    traffic: Arc<Traffic>,
    pool: Pool,
    runtime: tokio::runtime::Handle,
}

/// What came by gossip so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Copies of messages that neighbours sent us.
    pub copies: u64,
    /// Messages that were new.
    pub messages: u64,
}

impl Handle {
    /// Who this node is.
    pub fn peer_id(&self) -> PeerId {
        self.0.me
    }

    /// The swarm it takes part in.
    pub fn swarm(&self) -> SwarmId {
        self.0.swarm
    }

    /// Where this node listens now, with who it is: what to give to others on the same network.
    pub fn listening(&self) -> Vec<Address> {
        self.0.listening.borrow().clone()
    }

    /// Waits until the node listens somewhere, and says where.
    pub async fn until_listening(&self) -> Result<Vec<Address>> {
        let mut listening = self.0.listening.clone();
        let found = listening.wait_for(|all| !all.is_empty()).await.map_err(|_| Error::Stopped)?;
        Ok(found.clone())
    }

    /// The peers connected now.
    pub fn peers(&self) -> Vec<PeerId> {
        self.0.connected.borrow().iter().copied().collect()
    }

    /// The peers connected now, each with how long the last ping took there and back, if one did.
    pub fn links(&self) -> Vec<(PeerId, Option<Duration>)> {
        let latencies = self.0.latencies.borrow().clone();
        self.peers().into_iter().map(|peer| (peer, latencies.get(&peer).copied())).collect()
    }

    /// Waits until at least this many peers are connected.
    pub async fn until_peers(&self, count: usize) -> Result<()> {
        let mut connected = self.0.connected.clone();
        connected.wait_for(|all| all.len() >= count).await.map_err(|_| Error::Stopped)?;
        Ok(())
    }

    /// Waits until this peer is connected.
    pub async fn until_peer(&self, peer: PeerId) -> Result<()> {
        let mut connected = self.0.connected.clone();
        connected.wait_for(|all| all.contains(&peer)).await.map_err(|_| Error::Stopped)?;
        Ok(())
    }

    /// Connects to an address; it is done in the background.
    pub async fn dial(&self, address: Address) -> Result<()> {
        self.ask(|reply| Command::Dial { address, reply }).await?
    }

    /// Tells the node where a peer may be found, for when it is needed. The address has to say who is there.
    pub async fn hint(&self, address: Address) -> Result<()> {
        self.tell(Command::Hint { address }).await
    }

    /// Joins a topic: its messages come here, to be judged before others get them.
    pub async fn subscribe(&self, topic: &str, rules: TopicRules) -> Result<Subscription> {
        streams::protocol(&self.0.namespace, topic)?;
        let topic = topic.to_owned();
        self.ask(|reply| Command::Subscribe { topic, rules, reply }).await?
    }

    /// Says something to all peers of a topic, signed by this node.
    ///
    /// It is an error if nobody is there to hear it, and if it was said before: a message is known by its content.
    pub async fn publish(&self, topic: &str, data: impl Into<Vec<u8>>) -> Result<()> {
        streams::protocol(&self.0.namespace, topic)?;
        let (topic, data) = (topic.to_owned(), data.into());
        self.ask(|reply| Command::Publish { topic, data, reply }).await?
    }

    /// A peer did what it should not have. Whoever does so again and again is put out, and remembered.
    pub async fn report(&self, peer: PeerId, offence: Offence) {
        let _ = self.tell(Command::Report { peer, offence }).await;
    }

    /// The addresses that a connected peer is connected from or at; a relayed one is a way through a relay.
    pub async fn ways_to(&self, peer: PeerId) -> Result<Vec<Address>> {
        self.ask(|reply| Command::Ways { peer, reply }).await
    }

    /// The peers that misbehaved and are kept out for now.
    pub async fn kept_out(&self) -> Result<Vec<PeerId>> {
        self.ask(|reply| Command::KeptOut { reply }).await
    }

    /// Whether others can reach this node.
    pub fn reachability(&self) -> Reachability {
        self.0.reachability.borrow().clone()
    }

    /// Waits until it is known whether others can reach this node, in a way that suits.
    pub async fn until_reachability(&self, suits: impl Fn(&Reachability) -> bool) -> Result<Reachability> {
        let mut reachability = self.0.reachability.clone();
        let found = reachability.wait_for(|r| suits(r)).await.map_err(|_| Error::Stopped)?;
        Ok(found.clone())
    }

    /// How the node is, and what is wrong with what to do about it.
    pub fn health(&self) -> Health {
        self.0.health.borrow().clone()
    }

    /// Waits until the node's health suits.
    pub async fn until_health(&self, suits: impl Fn(&Health) -> bool) -> Result<Health> {
        let mut health = self.0.health.clone();
        let found = health.wait_for(|h| suits(h)).await.map_err(|_| Error::Stopped)?;
        Ok(found.clone())
    }

    /// What came by gossip so far.
    pub fn received(&self) -> Received {
        use std::sync::atomic::Ordering::Relaxed;
        let Traffic { copies, messages } = &*self.0.traffic;
        Received { copies: copies.load(Relaxed), messages: messages.load(Relaxed) }
    }

    /// What the node holds of others' bytes now, and how much that may be.
    pub fn memory(&self) -> Memory {
        self.0.pool.memory()
    }

    /// Closes all connections to a peer.
    pub async fn disconnect(&self, peer: PeerId) -> Result<()> {
        self.tell(Command::Disconnect { peer }).await
    }

    /// Opens a stream to a peer, connecting to it first if need be. The protocol's name ends in its version: `blob/1`.
    pub async fn open(&self, peer: PeerId, protocol: &str) -> Result<Stream> {
        let name = streams::protocol(&self.0.namespace, protocol)?;
        let (reply, opened) = oneshot::channel();
        self.tell(Command::Open { peer, wish: Open { protocol: name, reply } }).await?;
        let opened = tokio::time::timeout(OPEN, opened)
            .await
            .map_err(|_| Error::Timeout { what: "opening a stream", after: OPEN })?;
        match opened {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(NotOpened::Unreachable(why))) => Err(Error::Unreachable { peer, why }),
            Ok(Err(NotOpened::Broken(why))) => Err(Error::Broken { peer, why }),
            Ok(Err(NotOpened::Busy)) => {
                Err(Error::Busy { what: "streams that wait for one peer", limit: 256 })
            }
            Ok(Err(NotOpened::Memory)) => Err(self.no_memory("bytes held for streams")),
            Ok(Err(NotOpened::Unsupported)) => Err(self.unsupported(peer, protocol).await),
            // The connection closed with the wish in it.
            Err(_) => Err(Error::Broken { peer, why: "it was closed".to_owned() }),
        }
    }

    /// From now on peers can open streams to us for this protocol. Its name ends in its version: `blob/1`.
    pub fn accept(&self, protocol: &str) -> Result<Incoming> {
        let name = streams::protocol(&self.0.namespace, protocol)?;
        self.0.registry.accept(name).ok_or(Error::Busy { what: "acceptors of one protocol", limit: 1 })
    }

    /// Tells the swarm that we have what `key` names, now and again until [`Handle::stop_providing`]. Done when the peers that keep
    /// such records were told.
    pub async fn provide(&self, key: [u8; 32]) -> Result<()> {
        self.ask(|reply| Command::Provide { key, reply }).await?
    }

    /// We no longer have what `key` names; the swarm forgets it in time.
    pub async fn stop_providing(&self, key: [u8; 32]) -> Result<()> {
        self.tell(Command::StopProviding { key }).await
    }

    /// The peers that said they have what `key` names, in no order. They are believed only that they said so.
    pub async fn providers(&self, key: [u8; 32]) -> Result<Vec<PeerId>> {
        self.ask(|reply| Command::Providers { key, reply }).await
    }

    /// Ends the node for all its handles, and waits until it has ended.
    pub async fn stop(&self) {
        let _ = self.ask(|reply| Command::Stop { reply }).await;
    }

    async fn unsupported(&self, peer: PeerId, protocol: &str) -> Error {
        let known = self.ask(|reply| Command::Known { peer, reply }).await.ok().flatten().unwrap_or_default();
        let start = format!("{}/", self.0.namespace);
        let theirs: Vec<&str> = known.protocols.iter().filter_map(|p| p.strip_prefix(&start)).collect();
        let remedy = remedy(protocol, &theirs, &known.agent);
        Error::Unsupported { peer, protocol: protocol.to_owned(), remedy }
    }

    /// What is said when the budget is spent.
    pub(crate) fn no_memory(&self, what: &'static str) -> Error {
        Error::Memory { what, limit: self.memory().limit_bytes }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.0.runtime
    }

    pub(crate) fn reporter(&self) -> Reporter {
        self.0.commands.downgrade()
    }

    async fn tell(&self, command: Command) -> Result<()> {
        self.0.commands.send(command).await.map_err(|_| Error::Stopped)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| Error::Stopped)
    }
}

/// Who has to upgrade, and to what, when a peer does not speak our version of a protocol.
fn remedy(ours: &str, theirs: &[&str], agent: &str) -> String {
    let split = |name: &str| {
        let (name, version) = name.rsplit_once('/')?;
        Some((name.to_owned(), version.parse::<u32>().ok()?))
    };
    let agent = if agent.is_empty() { "another version" } else { agent };
    let agent = crate::id::shortened(agent);
    let Some((name, version)) = split(ours) else {
        return "it does not offer it; ask another peer".to_owned();
    };
    let other = theirs.iter().filter_map(|p| split(p)).filter(|(n, _)| *n == name).map(|(_, v)| v).max();
    match other {
        Some(newer) if newer > version => {
            format!("it speaks {name}/{newer}; upgrade this node ({AGENT}) to the peer's version, {agent}")
        }
        Some(older) => format!("it speaks {name}/{older} ({agent}); its owner should upgrade to {AGENT}"),
        None => format!("it runs {agent} and does not offer it; ask another peer"),
    }
}

/// What happens to the node, oldest first. Whoever reads too slowly misses the oldest.
#[derive(Debug)]
pub struct Events(queue::Receiver<Event>);

impl Events {
    /// The next event; none when the node has stopped.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.next().await
    }

    /// How many events were missed since the last call.
    pub fn missed(&mut self) -> u64 {
        self.0.take_dropped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_names_who_upgrades() {
        let newer = remedy("blob/1", &["blob/2", "kad/1"], "starling/9.0.0");
        assert!(newer.contains("upgrade this node") && newer.contains("starling/9.0.0"), "{newer}");
        let older = remedy("blob/3", &["blob/2"], "starling/0.0.1");
        assert!(older.contains("its owner should upgrade to starling/"), "{older}");
        let none = remedy("blob/3", &["blobs/3"], "");
        assert!(none.contains("does not offer it"), "{none}");
    }
}
