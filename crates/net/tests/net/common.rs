//! What the tests share: nodes with secrets that are easy to tell apart, and waiting with an end.

use net::{Config, Event, Events, Handle, Network, PeerId, SwarmId};
use std::time::Duration;

/// Longer than anything takes on a busy machine; reaching it is a failure, never a pass.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A secret for each number.
pub(crate) fn secret(number: u64) -> [u8; 32] {
    let mut secret = [1; 32];
    secret[24..].copy_from_slice(&number.to_be_bytes());
    secret
}

pub(crate) fn swarm() -> SwarmId {
    SwarmId::named("test")
}

/// What the future gives, if it gives it in time.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// A node in memory.
pub(crate) fn start(number: u64) -> (Handle, Events) {
    Network::start(Config::in_memory(secret(number), swarm())).unwrap()
}

/// Connects `a` to `b`.
pub(crate) async fn connect(a: &Handle, b: &Handle) {
    let at = soon("listening", b.until_listening()).await.unwrap();
    a.dial(at[0].clone()).await.unwrap();
    soon("a peer", a.until_peer(b.peer_id())).await.unwrap();
    soon("a peer", b.until_peer(a.peer_id())).await.unwrap();
}

/// Waits until a neighbour has said that it listens to a topic.
pub(crate) async fn join(events: &mut Events, neighbour: PeerId, topic: &str) {
    loop {
        match soon("a neighbour on the topic", events.next()).await.unwrap() {
            Event::Joined { peer, topic: joined } if peer == neighbour && joined == topic => return,
            _ => {}
        }
    }
}
