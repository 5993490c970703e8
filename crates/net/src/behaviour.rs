//! The protocols of a node, put together.

use crate::config::Config;
use crate::error::Result;
use crate::id::SwarmId;
use crate::streams::{self, Registry};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{identify, kad, ping};
use std::time::Duration;

/// What we say we are.
pub(crate) const AGENT: &str = concat!("starling/", env!("CARGO_PKG_VERSION"));

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) streams: streams::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) kad: kad::Behaviour<kad::store::MemoryStore>,
}

impl Behaviour {
    pub(crate) fn new(key: &Keypair, config: &Config, registry: Registry) -> Result<Behaviour> {
        let me = key.public().to_peer_id();
        let namespace = config.swarm.namespace();
        let identify = identify::Config::new_with_signed_peer_record(version(config.swarm), key)
            .with_agent_version(AGENT.to_owned())
            .with_push_listen_addr_updates(true)
            .with_interval(Duration::from_secs(300));
        let mut kad = kad::Config::new(streams::protocol(&namespace, "kad/1")?);
        kad.set_query_timeout(Duration::from_secs(20));
        let mut kad = kad::Behaviour::with_config(me, kad::store::MemoryStore::new(me), kad);
        kad.set_mode(Some(kad::Mode::Server));
        Ok(Behaviour {
            streams: streams::Behaviour::new(registry, config.limits.streams_per_peer),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new()),
            kad,
        })
    }
}

/// What members of the swarm tell each other first; whoever says another thing belongs elsewhere.
pub(crate) fn version(swarm: SwarmId) -> String {
    format!("{}/1", swarm.namespace())
}
