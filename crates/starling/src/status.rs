//! `starling status`: how a node of this machine is.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use node::Status;

use crate::identity::usual_home;

/// Which node.
#[derive(Args)]
pub(crate) struct Options {
    /// The node's home; without it, all nodes of `starling up`, and the one that `starling join` runs
    #[arg(long, value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// One JSON object per node, for programs
    #[arg(long, conflicts_with = "metrics")]
    json: bool,
    /// What the nodes have counted, as Prometheus reads it: put it where its node exporter looks
    #[arg(long)]
    metrics: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let homes = homes(options.home.as_deref())?;
    if options.metrics {
        let mut nodes = Vec::new();
        for home in &homes {
            nodes.push(Status::read(home)?);
        }
        say!("{}", node::metrics::render(&nodes).trim_end());
        return Ok(());
    }
    for home in homes {
        let status = Status::read(&home)?;
        if options.json {
            say!("{}", serde_json::json!({ "home": home, "status": status }));
            continue;
        }
        show(&home.display().to_string(), &status)?;
    }
    Ok(())
}

/// The home that was named, or those in which nodes have run on this machine.
pub(crate) fn homes(named: Option<&Path>) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if let Some(home) = named {
        return Ok(vec![home.to_owned()]);
    }
    let home = usual_home()?;
    let nodes = home.join("up/nodes");
    let mut homes: Vec<PathBuf> =
        std::fs::read_dir(nodes).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    homes.push(home);
    homes.retain(|home| home.join("status.json").is_file());
    homes.sort();
    if homes.is_empty() {
        return Err("no node has run here yet: `starling up` or `starling join` starts one".into());
    }
    Ok(homes)
}

fn show(home: &str, status: &Status) -> Result<(), Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let since = now.saturating_sub(status.at);
    let state = match (status.ended, since) {
        (true, _) => "has ended".to_owned(),
        (false, 0..=30) => "runs".to_owned(),
        (false, _) => format!("has said nothing for {since} s: it may have been killed"),
    };
    say!("{home}");
    say!("  {} of {}: {state}", node::bird(&status.peer), status.swarm);
    say!(
        "  round {}, reward {:.3}, learned from {} answers of others",
        status.round,
        status.reward,
        status.heard
    );
    if let Some((round, right)) = status.right {
        say!("  {:.1} % of questions it has never seen, after round {round}", 100.0 * right);
    }
    say!("  {} peers, {} MiB", status.peers, status.resident_bytes >> 20);
    if let Some((chain, agent)) = &status.agent {
        say!("  agent {agent} on {chain}, paid {} times since it started", status.paid.len());
    }
    if let Some(why) = status.rests.as_ref().filter(|_| !status.ended) {
        say!("  rests: {why}");
    }
    for complaint in &status.complaints {
        say!("  ! {complaint}");
    }
    Ok(())
}
