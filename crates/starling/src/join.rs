//! `starling join`: this machine takes part in a swarm.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;

use clap::Args;
use node::api::Dashboard;
use node::{Invite, Listen, Options as Node, Report};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use crate::identity::Home;

/// What the node is called on its own dashboard.
const NAME: &str = "this node";

/// Which swarm, and what this machine lends it.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(crate) struct Options {
    /// The invite, one word; `-` reads it from standard input
    invite: String,
    #[command(flatten)]
    home: Home,
    /// The port to listen on with QUIC and TCP; 0 lets the system choose
    #[arg(long, value_name = "PORT", default_value_t = net::PORT)]
    port: u16,
    /// Talk to this machine only
    #[arg(long)]
    loopback: bool,
    /// Neither look for peers on the local network nor ask the router to let them in
    #[arg(long)]
    quiet: bool,
    /// Threads to compute with; all of the machine's if not given
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The most memory that learning may take, in mebibytes; it learns in smaller parts, or says why it cannot
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: u64,
    /// Leave after so many rounds
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// Hear nobody and tell nobody: what the others' company is worth is seen beside it
    #[arg(long)]
    alone: bool,
    /// Serve the dashboard here; where others can reach the address, they need the token that is printed
    #[arg(long, value_name = "ADDRESS")]
    dashboard: Option<SocketAddr>,
    /// What is written into `node.log` in its home: a level, or levels by crate, as in `warn,node=debug`
    #[arg(long, value_name = "LEVELS", default_value = node::logs::USUAL)]
    log: String,
    /// Leave when standard input ends
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(take_part(options));
    // Nobody waits for a standard input that nothing more comes from.
    runtime.shutdown_background();
    done
}

async fn take_part(options: &Options) -> Result<(), Box<dyn Error>> {
    let invite: Invite = if options.invite == "-" {
        let mut text = String::new();
        tokio::io::stdin().take(64 << 10).read_to_string(&mut text).await?;
        text.parse()?
    } else {
        options.invite.parse()?
    };
    let threads =
        options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let home = node::Home::open(&options.home.folder()?)?;
    node::logs::begin(home.folder(), &options.log)?;
    let node = Node {
        home,
        identity: options.home.identity()?,
        invite,
        listen: if options.loopback { Listen::Loopback } else { Listen::Port(options.port) },
        look_around: !options.quiet && !options.loopback,
        alone: options.alone,
        threads,
        memory_bytes: options.memory << 20,
        rounds: options.rounds,
    };
    let json = options.home.json;
    let dashboard = match options.dashboard {
        Some(address) => {
            let dashboard = Dashboard::start(node.home.folder(), address).await?;
            dashboard.about(&node.invite);
            dashboard.adopt(NAME, node.home.folder());
            let url = dashboard.url();
            let line = if json {
                serde_json::json!({ "dashboard": url }).to_string()
            } else {
                format!("watch it at {url}")
            };
            writeln!(io::stdout(), "{line}")?;
            Some(dashboard)
        }
        None => None,
    };
    let (to, mut reports) = mpsc::channel::<Report>(1024);
    let until_stdin_ends = options.until_stdin_ends;
    let stop = async move {
        if until_stdin_ends {
            let mut byte = [0];
            while tokio::io::stdin().read(&mut byte).await.is_ok_and(|n| n > 0) {}
        } else {
            let _ = tokio::signal::ctrl_c().await;
        }
    };
    let tell = tokio::task::spawn_blocking(move || {
        while let Some(report) = reports.blocking_recv() {
            if let Some(dashboard) = &dashboard {
                dashboard.tell(NAME, report.clone());
            }
            if show(&report, json).is_err() {
                // Nobody reads any more; the node is told by what it is told with being gone.
                break;
            }
        }
    });
    // An interrupt from the terminal reaches every process of it. Whoever started us says when it is time to go.
    let ignored =
        until_stdin_ends.then(|| tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} }));
    let done = node::join(node, to, stop).await;
    if let Some(ignored) = ignored {
        ignored.abort();
    }
    let _ = tell.await;
    Ok(done?)
}

fn show(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, report)?;
        writeln!(out)?;
        return out.flush();
    }
    match report.sentence() {
        Some(sentence) => writeln!(out, "{sentence}"),
        None => Ok(()),
    }
}
