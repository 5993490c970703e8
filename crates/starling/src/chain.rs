//! `starling chain`: the chain that needs no other program, run and looked at.

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chain::embedded::{CHAIN_ID, Embedded, Mining, Options};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::deploy;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What is to be done with it.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the chain of this folder until interrupted: a single sequencer for a private network, no consensus.
    Run(Run),
    /// Say what the chain of this folder holds. It must not be running.
    Status(Status),
    /// Write all blocks of this folder's chain as JSON, one per line. It must not be running.
    Export(Export),
    /// Put our contracts on any chain, where they are not yet, check them, and print where they are.
    Deploy(deploy::Options),
}

/// The chain that is meant.
#[derive(Args)]
struct Which {
    /// The folder that it lies in.
    #[arg(long, default_value = "starling-chain")]
    folder: PathBuf,
    /// Its id.
    #[arg(long, default_value_t = CHAIN_ID)]
    chain_id: u64,
}

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    which: Which,
    /// Where to answer JSON-RPC, over HTTP and WebSocket. Port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:8545")]
    listen: SocketAddr,
    /// Make a block at this interval, in milliseconds, instead of as soon as there are transactions.
    #[arg(long)]
    block_ms: Option<u64>,
    /// An account that the faucet gives a thousand ether at the start. May be given several times.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    fund: Vec<[u8; 20]>,
    /// Say it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    which: Which,
    /// Say it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    which: Which,
}

/// Does it.
pub(crate) fn run(command: &Command) -> Result {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match command {
            Command::Run(options) => serve(options).await,
            Command::Status(options) => status(options).await,
            Command::Export(options) => export(options).await,
            Command::Deploy(options) => deploy::run(options).await,
        }
    })
}

async fn serve(options: &Run) -> Result {
    let mining = match options.block_ms {
        None => Mining::OnDemand,
        Some(0) => return Err("a block every 0 ms: leave --block-ms out for blocks on demand".into()),
        Some(period) => Mining::Every(Duration::from_millis(period)),
    };
    let chain = Embedded::open(&options.which.folder, of(&options.which, mining))?;
    for account in &options.fund {
        chain.fund(*account, 1_000 * 10_u128.pow(18)).await?;
    }
    let server = chain.serve(options.listen).await?;
    let (id, height, address) = (chain.chain_id(), chain.height(), server.address());
    let mut out = std::io::stdout();
    if options.json {
        let told = json!({"chain_id": id, "height": height, "http": format!("http://{address}"), "ws": format!("ws://{address}")});
        writeln!(out, "{told}")?;
    } else {
        writeln!(out, "Chain {id} at block {height}, on http://{address} and ws://{address}")?;
        writeln!(out, "It is a single sequencer for a private network, not a consensus. Ctrl-C ends it.")?;
    }
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}

async fn status(options: &Status) -> Result {
    let chain = existing(&options.which)?;
    let newest = ask(&chain, "eth_getBlockByNumber", json!(["latest", false])).await?;
    let faucet = chain
        .faucet()
        .map(|account| account.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}")));
    let mut out = std::io::stdout();
    if options.json {
        let told = json!({"chain_id": chain.chain_id(), "height": chain.height(), "newest": newest, "faucet": faucet});
        writeln!(out, "{told}")?;
        return Ok(());
    }
    writeln!(out, "chain      {}", chain.chain_id())?;
    writeln!(out, "height     {}", chain.height())?;
    writeln!(out, "newest     {}", newest["hash"].as_str().unwrap_or_default())?;
    writeln!(out, "state      {}", newest["stateRoot"].as_str().unwrap_or_default())?;
    writeln!(out, "faucet     {}", faucet.as_deref().unwrap_or("none: its key is not in the folder"))?;
    Ok(())
}

async fn export(options: &Export) -> Result {
    let chain = existing(&options.which)?;
    let mut out = std::io::BufWriter::new(std::io::stdout());
    for number in 0..=chain.height() {
        let number = format!("{number:#x}");
        let block = ask(&chain, "eth_getBlockByNumber", json!([number, true])).await?;
        let receipts = ask(&chain, "eth_getBlockReceipts", json!([number])).await?;
        writeln!(out, "{}", json!({"block": block, "receipts": receipts}))?;
    }
    out.flush()?;
    Ok(())
}

fn of(which: &Which, mining: Mining) -> Options {
    Options { chain_id: which.chain_id, mining, ..Options::default() }
}

/// The chain of a folder that has one; nothing is put into blocks by looking at it.
fn existing(which: &Which) -> Result<Embedded> {
    if !which.folder.join("chain.redb").is_file() {
        let folder = which.folder.display();
        return Err(format!(
            "there is no chain in {folder}: `starling chain run --folder {folder}` begins one"
        )
        .into());
    }
    Ok(Embedded::open(&which.folder, of(which, Mining::ByHand))?)
}

async fn ask(chain: &Embedded, method: &str, params: serde_json::Value) -> Result<serde_json::Value> {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let answer = chain.answer(request.as_bytes()).await.ok_or("the chain has not answered")?;
    let mut answer: serde_json::Value = serde_json::from_str(&answer)?;
    match answer["error"]["message"].take() {
        serde_json::Value::Null => Ok(answer["result"].take()),
        why => Err(format!("{method}: {why}").into()),
    }
}

/// An address in hexadecimal.
fn address(text: &str) -> std::result::Result<[u8; 20], String> {
    let wrong = || format!("{text} is no address: 0x and 40 hexadecimal digits are expected");
    let digits =
        text.strip_prefix("0x").filter(|digits| digits.len() == 40 && digits.is_ascii()).ok_or_else(wrong)?;
    let mut address = [0; 20];
    for (byte, pair) in address.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(address)
}
