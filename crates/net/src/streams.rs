//! Byte streams to peers: opened by one side, accepted by the other, each with its own flow control.

use crate::error::{Error, Result};
use crate::id::PeerId;
use crate::memory::{self, Pool, Share};
use futures::future::{Ready, ready};
use futures::{AsyncRead, AsyncWrite};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, DialError,
    DialFailure, FromSwarm, NetworkBehaviour, NotifyHandler, StreamUpgradeError, SubstreamProtocol, ToSwarm,
};
use libp2p::{Multiaddr, StreamProtocol};
use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Streams that wait for `Incoming::next`; more are turned away.
const BACKLOG: usize = 64;
/// How long a stream may take to open, in which its connection counts as used.
const OPENING: Duration = Duration::from_secs(30);
/// Calls that may wait for a connection to one peer.
const WAITING: usize = 256;

/// A stream of bytes to a peer and back, with flow control: `futures::AsyncRead` and `AsyncWrite`.
///
/// Closing it ends our direction only; dropping it ends both.
pub struct Stream {
    inner: libp2p::Stream,
    peer: PeerId,
    remote: Option<IpAddr>,
    _open: Option<Count>,
    _memory: Option<Share>,
    /// Says that its connection is of use.
    _use: Arc<()>,
}

impl Stream {
    /// The address that the peer is connected to us with; none if it is by way of a relay, or within this process.
    pub(crate) fn remote(&self) -> Option<IpAddr> {
        self.remote
    }

    /// Who is at the other end.
    pub fn peer(&self) -> PeerId {
        self.peer
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(cx, to)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read_vectored(cx, to)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

/// The streams that peers open to us for one protocol. When it is dropped, we no longer speak the protocol.
#[derive(Debug)]
pub struct Incoming {
    receiver: mpsc::Receiver<Stream>,
    protocol: StreamProtocol,
    registry: Registry,
}

impl Incoming {
    /// The next stream; none when the node has stopped.
    pub async fn next(&mut self) -> Option<Stream> {
        self.receiver.recv().await
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.protocol);
    }
}

/// The protocols we accept streams for, shared between the handle and every connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry(Arc<Mutex<Accepted>>);

type Accepted = HashMap<StreamProtocol, mpsc::Sender<Stream>>;

impl Registry {
    /// From now on `protocol` is accepted; none if it already is.
    pub(crate) fn accept(&self, protocol: StreamProtocol) -> Option<Incoming> {
        let mut accepted = self.lock();
        if accepted.contains_key(&protocol) {
            return None;
        }
        let (sender, receiver) = mpsc::channel(BACKLOG);
        accepted.insert(protocol.clone(), sender);
        Some(Incoming { receiver, protocol, registry: self.clone() })
    }

    fn protocols(&self) -> Vec<StreamProtocol> {
        self.lock().keys().cloned().collect()
    }

    /// Hands a stream over; false if nobody takes it.
    fn hand_over(&self, protocol: &StreamProtocol, stream: Stream) -> bool {
        let sender = self.lock().get(protocol).cloned();
        sender.is_some_and(|sender| sender.try_send(stream).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, Accepted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the things that a limit counts; counted until it is dropped.
#[derive(Debug)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn one_of(counter: &Arc<AtomicUsize>, limit: usize) -> Option<Count> {
        let taken =
            counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < limit).then_some(n + 1));
        taken.ok().map(|_| Count(counter.clone()))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a stream did not open.
#[derive(Debug)]
pub(crate) enum NotOpened {
    Unreachable(String),
    Unsupported,
    Broken(String),
    Busy,
    /// The node holds as many bytes as it may.
    Memory,
}

/// A wish for a stream.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) protocol: StreamProtocol,
    pub(crate) reply: oneshot::Sender<std::result::Result<Stream, NotOpened>>,
}

/// What the driver must do or know.
#[derive(Debug)]
pub(crate) enum Event {
    /// Streams wait for this peer, and no address of it is known: look for some, then call `found`.
    Seek(libp2p::PeerId),
    /// The peer opened more streams at once than it may.
    TooMany(libp2p::PeerId),
}

/// Opens and accepts streams, over the best connection to each peer.
pub(crate) struct Behaviour {
    registry: Registry,
    /// Inbound streams that one peer's connection may have open at once.
    limit: usize,
    pool: Pool,
    connections: HashMap<libp2p::PeerId, Vec<Connection>>,
    /// What counts the streams of connections that are about to stand.
    begun: HashMap<ConnectionId, Weak<()>>,
    waiting: HashMap<libp2p::PeerId, Vec<Open>>,
    /// Peers whose addresses are being looked for.
    sought: HashSet<libp2p::PeerId>,
    todo: VecDeque<ToSwarm<Event, Open>>,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    /// Lower is better.
    rank: u8,
    /// Held by its handler and each of its streams.
    used: Weak<()>,
    /// When the last stream was asked for.
    asked: Option<Instant>,
}

impl Behaviour {
    pub(crate) fn new(registry: Registry, limit: usize, pool: Pool) -> Behaviour {
        let (connections, begun, waiting, sought) = Default::default();
        Behaviour { registry, limit, pool, connections, begun, waiting, sought, todo: VecDeque::new() }
    }

    /// Opens a stream to `peer`, connecting to it first if need be.
    ///
    /// The addresses are tried beside those that other protocols know.
    pub(crate) fn open(&mut self, peer: libp2p::PeerId, wish: Open, addresses: Vec<Multiaddr>) {
        if let Some(best) = self.best(&peer) {
            best.asked = Some(Instant::now());
            let best = best.id;
            self.todo.push_back(ToSwarm::NotifyHandler {
                peer_id: peer,
                handler: NotifyHandler::One(best),
                event: wish,
            });
            return;
        }
        let waiting = self.waiting.entry(peer).or_default();
        if waiting.len() >= WAITING {
            let _ = wish.reply.send(Err(NotOpened::Busy));
            return;
        }
        waiting.push(wish);
        self.dial(peer, addresses);
    }

    /// Whether streams to or from a peer are open, or about to be.
    pub(crate) fn is_used(&self, peer: &libp2p::PeerId, now: Instant) -> bool {
        let used = |connection: &Connection| {
            connection.used.strong_count() > 1 || connection.asked.is_some_and(|at| now < at + OPENING)
        };
        self.connections.get(peer).is_some_and(|all| all.iter().any(used))
    }

    /// These addresses of a sought peer were found.
    pub(crate) fn found(&mut self, peer: libp2p::PeerId, addresses: Vec<Multiaddr>) {
        if addresses.is_empty() {
            self.give_up(peer, "no connected peer knows an address of it");
        } else if self.waiting.contains_key(&peer) {
            self.dial(peer, addresses);
        }
    }

    /// The best connection to a peer: direct before relayed, QUIC before TCP.
    fn best(&mut self, peer: &libp2p::PeerId) -> Option<&mut Connection> {
        self.connections.get_mut(peer)?.iter_mut().min_by_key(|c| c.rank)
    }

    fn dial(&mut self, peer: libp2p::PeerId, addresses: Vec<Multiaddr>) {
        let opts = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            .build();
        self.todo.push_back(ToSwarm::Dial { opts });
    }

    fn give_up(&mut self, peer: libp2p::PeerId, why: &str) {
        self.sought.remove(&peer);
        for wish in self.waiting.remove(&peer).unwrap_or_default() {
            let _ = wish.reply.send(Err(NotOpened::Unreachable(why.to_owned())));
        }
    }

    fn dial_failed(&mut self, peer: libp2p::PeerId, error: &DialError) {
        if !self.waiting.contains_key(&peer) || self.connections.contains_key(&peer) {
            return;
        }
        match error {
            // Another dial is under way and will tell.
            DialError::DialPeerConditionFalse(_) => {}
            // What we knew of it is old or nothing: ask the others, once.
            DialError::NoAddresses | DialError::Transport(_) if self.sought.insert(peer) => {
                self.todo.push_back(ToSwarm::GenerateEvent(Event::Seek(peer)));
            }
            error => self.give_up(peer, &crate::dial::in_words(error)),
        }
    }

    fn handler(&mut self, id: ConnectionId, peer: libp2p::PeerId, address: &Multiaddr) -> Handler {
        let used = Arc::new(());
        self.begun.insert(id, Arc::downgrade(&used));
        let remote = crate::address::Address(address.clone());
        Handler {
            registry: self.registry.clone(),
            peer: PeerId::of(&peer),
            // What comes on QUIC is within its connection's window, which is counted.
            pool: (rank(address) != 0).then(|| self.pool.clone()),
            remote: if remote.is_relayed() { None } else { remote.ip() },
            open: Arc::default(),
            used,
            limit: self.limit,
            wishes: VecDeque::new(),
            too_many: false,
        }
    }
}

fn rank(address: &Multiaddr) -> u8 {
    if crate::address::is_relayed(address) {
        2
    } else {
        u8::from(!address.iter().any(|p| p == libp2p::multiaddr::Protocol::QuicV1))
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: libp2p::PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> std::result::Result<Handler, ConnectionDenied> {
        Ok(self.handler(id, peer, remote))
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: libp2p::PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> std::result::Result<Handler, ConnectionDenied> {
        Ok(self.handler(id, peer, remote))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(new) => {
                let rank = rank(new.endpoint.get_remote_address());
                let used = self.begun.remove(&new.connection_id).unwrap_or_default();
                let connection = Connection { id: new.connection_id, rank, used, asked: None };
                self.connections.entry(new.peer_id).or_default().push(connection);
                self.sought.remove(&new.peer_id);
                for wish in self.waiting.remove(&new.peer_id).unwrap_or_default() {
                    self.open(new.peer_id, wish, Vec::new());
                }
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                if let Some(connections) = self.connections.get_mut(&peer_id) {
                    connections.retain(|c| c.id != connection_id);
                    if connections.is_empty() {
                        self.connections.remove(&peer_id);
                    }
                }
            }
            FromSwarm::DialFailure(DialFailure { peer_id, error, connection_id }) => {
                self.begun.remove(&connection_id);
                if let Some(peer) = peer_id {
                    self.dial_failed(peer, error);
                }
            }
            FromSwarm::ListenFailure(failed) => _ = self.begun.remove(&failed.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: libp2p::PeerId, _: ConnectionId, (): ()) {
        self.todo.push_back(ToSwarm::GenerateEvent(Event::TooMany(peer)));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Event, Open>> {
        self.todo.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The streams of one connection.
pub(crate) struct Handler {
    registry: Registry,
    /// None if its key is not of our kind: then nothing is accepted.
    peer: Option<PeerId>,
    /// Where streams are counted; none if their connection is.
    pool: Option<Pool>,
    remote: Option<IpAddr>,
    open: Arc<AtomicUsize>,
    used: Arc<()>,
    limit: usize,
    wishes: VecDeque<Open>,
    too_many: bool,
}

impl Handler {
    /// What one more stream may hold.
    fn share(&self) -> std::result::Result<Option<Share>, NotOpened> {
        match &self.pool {
            Some(pool) => pool.take(memory::STREAM).map(Some).ok_or(NotOpened::Memory),
            None => Ok(None),
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = ();
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Open;

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade, ()> {
        SubstreamProtocol::new(Upgrade(self.registry.protocols()), ())
    }

    fn on_behaviour_event(&mut self, wish: Open) {
        self.wishes.push_back(wish);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Upgrade, Open, ()>> {
        if std::mem::take(&mut self.too_many) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(()));
        }
        match self.wishes.pop_front() {
            Some(wish) => {
                let protocol = SubstreamProtocol::new(Upgrade(vec![wish.protocol.clone()]), wish);
                Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
            }
            None => Poll::Pending,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade, (), Open>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (inner, protocol),
                ..
            }) => {
                let Some(peer) = self.peer else { return };
                let Some(count) = Count::one_of(&self.open, self.limit) else {
                    self.too_many = true;
                    return;
                };
                // If nobody takes it, or there is no room for it, it is dropped and thereby reset, which the peer sees.
                if let Ok(share) = self.share() {
                    let (remote, used) = (self.remote, self.used.clone());
                    let stream =
                        Stream { inner, peer, remote, _open: Some(count), _memory: share, _use: used };
                    self.registry.hand_over(&protocol, stream);
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (inner, _),
                info: wish,
            }) => {
                let stream = self.peer.ok_or(NotOpened::Unsupported).and_then(|peer| {
                    let share = self.share()?;
                    let (remote, used) = (self.remote, self.used.clone());
                    Ok(Stream { inner, peer, remote, _open: None, _memory: share, _use: used })
                });
                let _ = wish.reply.send(stream);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: wish, error }) => {
                let why = match error {
                    StreamUpgradeError::NegotiationFailed => NotOpened::Unsupported,
                    StreamUpgradeError::Timeout => NotOpened::Broken("no answer".to_owned()),
                    StreamUpgradeError::Io(why) => NotOpened::Broken(why.to_string()),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                let _ = wish.reply.send(Err(why));
            }
            _ => {}
        }
    }
}

/// Agrees on one of some protocols, and adds nothing to the stream.
#[derive(Debug)]
pub(crate) struct Upgrade(Vec<StreamProtocol>);

type Agreed = (libp2p::Stream, StreamProtocol);

impl UpgradeInfo for Upgrade {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<libp2p::Stream> for Upgrade {
    type Output = Agreed;
    type Error = Infallible;
    type Future = Ready<std::result::Result<Agreed, Infallible>>;

    fn upgrade_inbound(self, stream: libp2p::Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<libp2p::Stream> for Upgrade {
    type Output = Agreed;
    type Error = Infallible;
    type Future = Ready<std::result::Result<Agreed, Infallible>>;

    fn upgrade_outbound(self, stream: libp2p::Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

/// The full name of a protocol, in its swarm.
pub(crate) fn protocol(namespace: &str, name: &str) -> Result<StreamProtocol> {
    const LONGEST: usize = 64;
    let usable = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(usable) {
        return Err(Error::Name { name: crate::id::shortened(name) });
    }
    StreamProtocol::try_from_owned(format!("{namespace}/{name}"))
        .map_err(|_| Error::Name { name: name.to_owned() })
}
