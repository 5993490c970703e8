//! `starling chain deploy`: our contracts on a chain, once, at the same addresses everywhere.

use std::error::Error;
use std::io::Write;

use chain::{Account, Chain};
use clap::Args;
use serde_json::json;

use crate::identity::Home;

/// Where to, and who pays.
#[derive(Args)]
pub(crate) struct Options {
    /// A chain by name (base, optimism-sepolia, …) or the RPC addresses of its nodes, separated by commas
    #[arg(long, value_name = "CHAIN")]
    rpc: String,
    #[command(flatten)]
    home: Home,
}

pub(crate) async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let identity = options.home.identity()?;
    let folder = options.home.folder()?;
    let chain = Chain::connect(&options.rpc).await?;
    let account = Account::open(&chain, identity.wallet(), Some(&folder))?;
    let deployed = account.deploy().await?;
    let manifest = chain.manifest_here();
    let mut out = std::io::stdout();
    if options.home.json {
        let new: Vec<_> = deployed.iter().filter(|d| d.now).map(|d| &d.name).collect();
        writeln!(out, "{}", json!({"manifest": manifest, "deployed_now": new}))?;
        return Ok(());
    }
    // The manifest alone on stdout, so that it can go into a file.
    for contract in &deployed {
        let what = if contract.now { "put there now" } else { "was there already" };
        eprintln!("{:<12} {}  {what}, its code checked", contract.name, contract.address);
    }
    writeln!(out, "{}", manifest.to_json()?)?;
    Ok(())
}
