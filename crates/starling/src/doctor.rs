//! `starling doctor`: can this machine take part? It starts a node, looks around for a while, and says what it found in words.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use net::{Address, Config, Network, Reachability, State, SwarmId, listen_on};

/// Where it looks.
#[derive(Args)]
pub(crate) struct Options {
    /// The swarm to look for, by its name
    #[arg(long, value_name = "NAME", default_value = "starling")]
    swarm: String,
    /// A peer to begin with: /ip4/203.0.113.7/udp/4747/quic-v1; may be given more than once
    #[arg(long, value_name = "ADDRESS")]
    bootstrap: Vec<Address>,
    /// The port to listen on; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value_t = net::PORT)]
    port: u16,
    /// Where peers are remembered
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// How long to look around, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// Do not look on the local network, and leave the router alone
    #[arg(long)]
    quiet: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(look(options))
}

async fn look(options: &Options) -> Result<(), Box<dyn Error>> {
    // A name for this look only: the node's own key is not needed to see the network.
    let mut config = Config::new(net::new_secret(), SwarmId::named(&options.swarm));
    config.listen = listen_on(options.port);
    config.bootstrap.clone_from(&options.bootstrap);
    config.folder.clone_from(&options.folder);
    (config.lan, config.port_mapping) = (!options.quiet, !options.quiet);
    let (node, _events) = Network::start(config)?;
    say!("swarm      {}", options.swarm);
    for address in node.until_listening().await? {
        say!("listening  {address}");
    }
    say!("looking around for {} s", options.seconds);
    let known = node.until_reachability(|found| !matches!(found, Reachability::Unknown));
    // Whatever is known by then is told.
    let _ = tokio::time::timeout(Duration::from_secs(options.seconds), known).await;
    let health = node.health();
    for peer in node.peers() {
        say!("peer       {peer}");
    }
    let verdict = match health.state {
        State::Good => "well",
        State::Troubled => "troubled",
        State::Alone | State::Starting => "alone",
    };
    say!("network    {verdict}: {health}");
    say!("reachable  {}", node.reachability().in_words());
    node.stop().await;
    Ok(())
}
