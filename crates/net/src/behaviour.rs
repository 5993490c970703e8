//! The protocols of a node, put together.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::gossip::{self, Traffic};
use crate::id::SwarmId;
use crate::limits::Gate;
use crate::memory::Pool;
use crate::records::Records;
use crate::streams::{self, Registry};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{autonat, dcutr, identify, kad, mdns, ping, relay, upnp};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// What we say we are.
pub(crate) const AGENT: &str = concat!("starling/", env!("CARGO_PKG_VERSION"));
/// How long the swarm keeps a record of who has what, and how often it is told again.
const RECORD_KEPT: Duration = Duration::from_hours(6);
const RECORD_TOLD: Duration = Duration::from_hours(2);
/// The largest message of the swarm's table: 20 peers with their addresses, and some room.
const TABLE_BYTES: usize = 64 << 10;

/// All protocols. The gate stands first: what it refuses, no other sees.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) gate: Gate,
    pub(crate) streams: streams::Behaviour,
    pub(crate) gossip: gossip::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) kad: kad::Behaviour<Records>,
    pub(crate) lan: Toggle<mdns::tokio::Behaviour>,
    pub(crate) router: Toggle<upnp::tokio::Behaviour>,
    pub(crate) relay: Toggle<crate::relay::Behaviour>,
    pub(crate) relayed: relay::client::Behaviour,
    pub(crate) punch: dcutr::Behaviour,
    pub(crate) call_back: autonat::v2::client::Behaviour,
    pub(crate) called_back: autonat::v2::server::Behaviour,
}

impl Behaviour {
    pub(crate) fn new(
        key: &Keypair,
        config: &Config,
        registry: Registry,
        relayed: relay::client::Behaviour,
        pool: &Pool,
        traffic: Arc<Traffic>,
    ) -> Result<Behaviour> {
        let me = key.public().to_peer_id();
        let namespace = config.swarm.namespace();
        let identify = identify::Config::new_with_signed_peer_record(version(config.swarm), key)
            .with_agent_version(AGENT.to_owned())
            .with_push_listen_addr_updates(true)
            .with_cache_size(256)
            .with_interval(Duration::from_mins(5));

        let mut table = kad::Config::new(streams::protocol(&namespace, "kad/1")?);
        table
            .set_query_timeout(Duration::from_secs(20))
            .set_substreams_timeout(Duration::from_secs(8))
            .set_max_packet_size(TABLE_BYTES)
            .disjoint_query_paths(true)
            // We decide who enters the table, and which records are kept.
            .set_kbucket_inserts(kad::BucketInserts::Manual)
            .set_record_filtering(kad::StoreInserts::FilterBoth)
            .set_caching(kad::Caching::Disabled)
            .set_provider_record_ttl(Some(RECORD_KEPT))
            .set_provider_publication_interval(Some(RECORD_TOLD))
            .set_record_ttl(None)
            .set_replication_interval(None)
            .set_publication_interval(None)
            .set_periodic_bootstrap_interval(Some(Duration::from_mins(5)));
        // Four ways that share no peer, each to the closest ten: what joining costs grows with both.
        if let (Some(ways), Some(closest)) = (NonZeroUsize::new(4), NonZeroUsize::new(10)) {
            table.set_parallelism(ways).set_replication_factor(closest);
        }
        let mut kad = kad::Behaviour::with_config(me, Records::new(me, &config.limits), table);
        kad.set_mode(Some(kad::Mode::Server));

        let lan = if config.lan {
            let settings = mdns::Config { query_interval: Duration::from_mins(1), ..mdns::Config::default() };
            let lan = mdns::tokio::Behaviour::new(settings, me);
            Some(
                lan.map_err(|why| Error::Transport { why: format!("the LAN cannot be listened to: {why}") })?,
            )
        } else {
            None
        };
        // It relays while it knows an address at which others reach it directly.
        let relay = config.relay.as_ref().map(|limits| {
            let settings = relay::Config {
                max_reservations: limits.reservations,
                max_reservations_per_peer: 2,
                max_circuits: limits.circuits,
                max_circuits_per_peer: limits.circuits_per_peer,
                max_circuit_bytes: limits.circuit_bytes,
                max_circuit_duration: limits.circuit_duration,
                ..relay::Config::default()
            };
            crate::relay::Behaviour::new(me, settings)
        });
        Ok(Behaviour {
            gate: Gate::new(config.limits.clone()),
            streams: streams::Behaviour::new(registry, config.limits.streams_per_peer, pool.clone()),
            gossip: gossip::behaviour(key, traffic)?,
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_secs(30))),
            kad,
            lan: lan.into(),
            router: config.port_mapping.then(upnp::tokio::Behaviour::default).into(),
            relay: relay.into(),
            relayed,
            punch: dcutr::Behaviour::new(me),
            call_back: autonat::v2::client::Behaviour::default(),
            called_back: autonat::v2::server::Behaviour::default(),
        })
    }
}

/// What members of the swarm tell each other first; whoever says another thing belongs elsewhere.
pub(crate) fn version(swarm: SwarmId) -> String {
    format!("{}/1", swarm.namespace())
}
