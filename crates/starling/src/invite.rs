//! `starling invite`: the one word that lets others in.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use node::Invite;
use serde_json::json;

use crate::identity::usual_home;

/// Which invite.
#[derive(Args)]
pub(crate) struct Options {
    /// An invite, to be told what is in it
    invite: Option<String>,
    /// The folder of `starling up`, if not the usual one
    #[arg(long, value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let Some(text) = &options.invite else {
        let folder = options.home.clone().map_or_else(|| usual_home().map(|home| home.join("up")), Ok)?;
        let file = folder.join("invite");
        let text = std::fs::read_to_string(&file)
            .map_err(|e| format!("{}: {e}; `starling up` writes it when it begins", file.display()))?;
        writeln!(out, "{text}")?;
        return Ok(());
    };
    let invite: Invite = text.parse()?;
    let peers: Vec<String> = invite.peers.iter().map(ToString::to_string).collect();
    if options.json {
        let told = json!({"charter": invite.charter, "place": invite.place, "peers": peers});
        writeln!(out, "{told}")?;
        return Ok(());
    }
    match &invite.place {
        Some(place) => writeln!(out, "swarm {} on chain {} at {}", place.swarm, place.chain, place.rpc)?,
        None => writeln!(out, "a swarm without a chain: rounds go by the clock, and nobody is paid")?,
    }
    for peer in peers {
        writeln!(out, "peer {peer}")?;
    }
    writeln!(out, "\n{}", invite.charter.to_toml())?;
    Ok(())
}
