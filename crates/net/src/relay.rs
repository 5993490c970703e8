//! Carrying bytes between two peers that cannot reach each other directly.

use crate::address::is_relayed;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm,
};
use libp2p::{Multiaddr, PeerId, relay};
use std::task::{Context, Poll};

/// libp2p's relay, which hears nothing of what goes through other relays.
///
/// It gives connections through a relay a handler that takes no commands, but in libp2p 0.57 it counts them among those
/// that it sends commands to when it begins or ceases to relay; such a command ends in a panic of the connection. It also begins
/// to relay when the node has a place at another relay, where nobody could reach it.
pub(crate) struct Behaviour(relay::Behaviour);

impl Behaviour {
    pub(crate) fn new(me: PeerId, settings: relay::Config) -> Behaviour {
        Behaviour(relay::Behaviour::new(me, settings))
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = THandler<relay::Behaviour>;
    type ToSwarm = relay::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.0.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.0.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let elsewhere = match &event {
            FromSwarm::ConnectionEstablished(of) => of.endpoint.is_relayed(),
            FromSwarm::ConnectionClosed(of) => of.endpoint.is_relayed(),
            FromSwarm::ExternalAddrConfirmed(of) => is_relayed(of.addr),
            FromSwarm::ExternalAddrExpired(of) => is_relayed(of.addr),
            _ => false,
        };
        if !elsewhere {
            self.0.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.0.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.0.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::id::{SwarmId, keypair};
    use futures::StreamExt;
    use libp2p::multiaddr::Protocol;
    use libp2p::swarm::SwarmEvent;
    use libp2p::{Swarm, ping};
    use std::time::Duration;

    #[derive(NetworkBehaviour)]
    struct Node {
        relay: Behaviour,
        relayed: relay::client::Behaviour,
        ping: ping::Behaviour,
    }

    fn node(number: u8) -> Swarm<Node> {
        let config = Config::in_memory([number; 32], SwarmId::named("relays"));
        let key = keypair(&config.secret).unwrap();
        let me = key.public().to_peer_id();
        let (transport, relayed) = relay::client::new(me);
        let transport = crate::transport::transport(&key, transport, &config).unwrap();
        let ping = ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_millis(20)));
        let node = Node { relay: Behaviour::new(me, relay::Config::default()), relayed, ping };
        let settings =
            libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_mins(5));
        Swarm::new(transport, node, me, settings)
    }

    /// What happened at one of the three.
    async fn next(nodes: &mut [Swarm<Node>; 3]) -> (usize, SwarmEvent<NodeEvent>) {
        let [a, b, c] = nodes;
        let event = async {
            tokio::select! {
                event = a.select_next_some() => (0, event),
                event = b.select_next_some() => (1, event),
                event = c.select_next_some() => (2, event),
            }
        };
        tokio::time::timeout(Duration::from_mins(1), event).await.expect("something happens")
    }

    #[tokio::test]
    async fn relayed_connections_outlive_what_their_ends_think_of_relaying() {
        let mut nodes = [node(1), node(2), node(3)];
        nodes[0].listen_on(Protocol::Memory(0).into()).unwrap();
        let relay_at = loop {
            if let (0, SwarmEvent::NewListenAddr { address, .. }) = next(&mut nodes).await {
                break address;
            }
        };
        nodes[0].add_external_address(relay_at.clone());
        let place = relay_at.with(Protocol::P2p(*nodes[0].local_peer_id())).with(Protocol::P2pCircuit);
        nodes[1].listen_on(place.clone()).unwrap();
        let (mut waits, mut ends) = (false, Vec::new());
        while ends.len() < 2 {
            match next(&mut nodes).await {
                (1, SwarmEvent::NewListenAddr { .. }) if !waits => {
                    waits = true;
                    let callee = place.clone().with(Protocol::P2p(*nodes[1].local_peer_id()));
                    nodes[2].dial(callee).unwrap();
                }
                (at, SwarmEvent::ConnectionEstablished { endpoint, connection_id, .. })
                    if endpoint.is_relayed() =>
                {
                    ends.push((at, connection_id));
                }
                (1 | 2, SwarmEvent::Behaviour(NodeEvent::Relay(event))) => {
                    panic!("a place at a relay is no reason to relay: {event:?}");
                }
                _ => {}
            }
        }
        // Both ends begin to relay, and cease to.
        let public: Multiaddr = "/ip4/203.0.113.5/tcp/4747".parse().unwrap();
        for end in &mut nodes[1..] {
            end.add_external_address(public.clone());
            end.remove_external_address(&public);
        }
        let (mut changes, mut pings) = (0, [0; 3]);
        let told = async {
            while changes < 4 || pings[1] < 3 || pings[2] < 3 {
                match next(&mut nodes).await {
                    (1 | 2, SwarmEvent::Behaviour(NodeEvent::Relay(relay::Event::StatusChanged { .. }))) => {
                        changes += 1;
                    }
                    (at, SwarmEvent::Behaviour(NodeEvent::Ping(ping)))
                        if changes == 4 && ends.contains(&(at, ping.connection)) && ping.result.is_ok() =>
                    {
                        pings[at] += 1;
                    }
                    (at, SwarmEvent::ConnectionClosed { connection_id, cause, .. }) => {
                        assert!(!ends.contains(&(at, connection_id)), "{cause:?}");
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(1), told).await.expect("both connections live on");
    }
}
