//! How bytes travel: QUIC, TCP with Noise and Yamux, relays, and memory.

use crate::config::Config;
use crate::error::{Error, Result};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, MemoryTransport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport, dns, noise, quic, relay, tcp, yamux};

/// All transports as one.
pub(crate) fn transport(
    key: &Keypair,
    relay: relay::client::Transport,
    config: &Config,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>> {
    let timeout = config.limits.handshake_timeout;
    let failed = |why: &dyn std::fmt::Display| Error::Transport { why: why.to_string() };
    let noise = || noise::Config::new(key).map_err(|why| failed(&why));

    let mut quic = quic::Config::new(key);
    quic.handshake_timeout = timeout;
    quic.max_idle_timeout = 30_000;
    // Bytes that a peer may have under way to us before we read them.
    quic.max_stream_data = config.limits.window();
    quic.max_connection_data = config.limits.window();
    let quic =
        quic::tokio::Transport::new(quic).map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))).boxed();

    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise()?)
        .multiplex(yamux::Config::default())
        .timeout(timeout)
        .boxed();
    let relay = relay
        .upgrade(Version::V1Lazy)
        .authenticate(noise()?)
        .multiplex(yamux::Config::default())
        .timeout(timeout)
        .boxed();
    let memory = MemoryTransport::new()
        .upgrade(Version::V1Lazy)
        .authenticate(noise()?)
        .multiplex(yamux::Config::default())
        .timeout(timeout)
        .boxed();

    let mut internet = either(quic, tcp);
    // A machine without a resolver cannot look names up; numbers still work.
    if dns::tokio::Transport::system(MemoryTransport::new()).is_ok() {
        internet = dns::tokio::Transport::system(internet).map_err(|why| failed(&why))?.boxed();
    }
    Ok(either(relay, either(memory, internet)))
}

type Connections = Boxed<(PeerId, StreamMuxerBox)>;

fn either(a: Connections, b: Connections) -> Connections {
    a.or_transport(b).map(|both, _| both.into_inner()).boxed()
}
