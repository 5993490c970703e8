//! `starling up`: a whole swarm on this machine, and what comes of it.

mod board;
mod view;

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use clap::Args;
use node::api::Dashboard;
use node::{Charter, Colony, News, Plan, Play, Practised, Report};

use crate::identity::usual_home;
use board::Board;
use view::Screen;

/// Where the dashboard is if nobody says otherwise.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4748);

/// What swarm, and how large.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(crate) struct Options {
    /// Nodes that learn together
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
    /// End after so many rounds; without it, when you press Ctrl-C
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// The swarm's charter, as `starling swarm new` writes one
    #[arg(long, value_name = "FILE")]
    swarm: Option<PathBuf>,
    /// What is learned, instead of what the charter says: reverse, add, express, or any environment by name
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// How they work together, instead of what the charter says: share or debate
    #[arg(long, value_name = "NAME")]
    game: Option<String>,
    /// Leave out the node that hears nobody, which shows what company is worth
    #[arg(long)]
    no_control: bool,
    /// The most memory of each node, in mebibytes
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    memory: u64,
    /// Where everything is kept; run again with the same, and it goes on where it was
    #[arg(long, value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// Begin anew: forget what was learned in that folder
    #[arg(long)]
    fresh: bool,
    /// Let other machines join: the address of this one that they reach it by. The chain then answers whoever reaches it there
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<IpAddr>,
    /// Give strangers who join nothing of the chain's money
    #[arg(long)]
    no_gifts: bool,
    /// Where the dashboard is served; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS", default_value_t = USUAL, conflicts_with = "no_dashboard")]
    dashboard: SocketAddr,
    /// Without the dashboard
    #[arg(long)]
    no_dashboard: bool,
    /// One JSON object per line, for programs
    #[arg(long)]
    json: bool,
    /// Lines rather than a screen that is drawn; so it is anyhow where there is no terminal
    #[arg(long)]
    plain: bool,
}

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// How often the screen is drawn.
const DRAWN: Duration = Duration::from_millis(250);

pub(crate) fn run(options: &Options) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(fly(options))
}

async fn fly(options: &Options) -> Done {
    let begin = Instant::now();
    let folder = match &options.home {
        Some(folder) => folder.clone(),
        None => usual_home()?.join("up"),
    };
    if options.fresh {
        forget(&folder)?;
    }
    let plan = Plan {
        home: node::Home::open(&folder)?,
        charter: charter(options)?,
        nodes: usize::from(options.nodes),
        alone: !options.no_control,
        rounds: options.rounds,
        memory_bytes: options.memory << 20,
        program: std::env::current_exe()?,
        listen: options.listen,
        gifts: !options.no_gifts,
    };
    if options.listen.is_some_and(|address| address.is_unspecified()) {
        return Err("--listen takes the address that others reach this machine by, as in 192.168.1.20".into());
    }
    let json = options.json;
    if !json {
        say!("Starling {}: {} in {}", env!("CARGO_PKG_VERSION"), plan.charter.name, folder.display());
    }
    let dashboard = if options.no_dashboard { None } else { Some(dashboard(options, &folder).await?) };
    if let Some(dashboard) = dashboard.as_ref().filter(|_| !json) {
        say!("  watch it at   {}", dashboard.url());
    }
    let mut told = Ok(());
    let mut colony = Colony::start(&plan, |what| {
        if let Some(dashboard) = &dashboard {
            dashboard.say(&what);
        }
        if !json && told.is_ok() {
            told = writeln!(io::stdout(), "  {what}");
        }
    })
    .await?;
    told?;
    std::fs::write(folder.join("invite"), colony.invite().to_string())?;
    if let Some(dashboard) = &dashboard {
        dashboard.about(colony.invite());
        for (name, home) in colony.homes() {
            dashboard.adopt(&name, &home);
        }
    }
    let mut board = Board::new(colony.names(), begin);
    if json {
        say!("{}", board::begun(&colony, dashboard.as_ref().map(Dashboard::url).as_deref()));
    } else {
        say!(
            "  another node{} joins with   starling join {}…   (`starling invite` prints it whole)",
            if options.listen.is_some() { "" } else { " of this machine" },
            head(&colony)
        );

        say!("  Ctrl-C ends it; run it again, and it goes on where it was.\n");
    }
    let drawn = !json && !options.plain && io::stdout().is_terminal();
    // The lines above are hidden by what is drawn: the address is in its title.
    let title = match &dashboard {
        Some(dashboard) => format!("{}   {}", plan.charter.name, dashboard.url()),
        None => plan.charter.name.clone(),
    };
    let mut screen = drawn.then(|| Screen::open(title)).transpose()?;
    let mut frames = tokio::time::interval(DRAWN);
    frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    // One from the beginning to the end: an interrupt that comes between two looks counts.
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut leaving = false;
    loop {
        tokio::select! {
            news = colony.next() => match news {
                Some((i, news)) => {
                    if let Some(dashboard) = &dashboard {
                        dashboard.tell(board.name(i), report(&news));
                    }
                    tell(&mut board, i, &news, json, screen.as_mut())?;
                }
                None => break,
            },
            _ = frames.tick(), if screen.is_some() => {
                if let Some(screen) = &mut screen {
                    screen.draw(&board)?;
                }
            }
            _ = &mut interrupt, if !leaving => leaving = leave(&mut colony, &mut screen, json)?,
            () = key(&mut screen), if !leaving => leaving = leave(&mut colony, &mut screen, json)?,
        }
    }
    // The terminal as it was, for what was learned.
    drop(screen);
    let purses = colony.purses().await?;
    if json {
        say!("{}", board.ended(&purses));
    } else {
        for line in board.summary(&purses) {
            say!("{line}");
        }
    }
    colony.ended().await;
    Ok(())
}

/// Waits for the key that ends it, where keys are read.
async fn key(screen: &mut Option<Screen>) {
    match screen {
        Some(screen) => screen.end().await,
        None => std::future::pending().await,
    }
}

/// Tells the nodes to end; true, since they are leaving then.
fn leave(colony: &mut Colony, screen: &mut Option<Screen>, json: bool) -> Done<bool> {
    let what =
        "leaving: each node is examined, saved, and paid for its last rounds; this takes half a minute";
    match screen {
        Some(screen) => screen.say(what),
        None if json => {}
        None => say!("\n{what}"),
    }
    colony.farewell();
    Ok(true)
}

/// The usual address, or another if somebody else has that one and no other was named.
async fn dashboard(options: &Options, folder: &std::path::Path) -> Result<Dashboard, node::Error> {
    match Dashboard::start(folder, options.dashboard).await {
        Err(node::Error::Listen { .. }) if options.dashboard == USUAL => {
            Dashboard::start(folder, SocketAddr::new(USUAL.ip(), 0)).await
        }
        done => done,
    }
}

/// News as the dashboard is told it.
fn report(news: &News) -> Report {
    match news {
        News::Report(report) => report.as_ref().clone(),
        News::Words(words) => Report::Said { words: words.chars().take(1000).collect() },
        News::Gone => Report::Gone,
    }
}

fn tell(board: &mut Board, i: usize, news: &News, json: bool, screen: Option<&mut Screen>) -> Done {
    let lines = board.take(i, news);
    if let Some(screen) = screen {
        for line in &lines {
            screen.say(line);
        }
        return Ok(());
    }
    if json {
        if let News::Report(report) = news {
            say!("{}", serde_json::json!({ "node": board.name(i), "report": report }));
        }
        return Ok(());
    }
    for line in lines {
        say!("{line}");
    }
    Ok(())
}

/// The charter of the file, or the one that ships; with what the command line says otherwise.
fn charter(options: &Options) -> Done<Charter> {
    let mut charter = match &options.swarm {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
            Charter::from_toml(&text).map_err(|e| format!("{}: {e}", file.display()))?
        }
        None => usual(),
    };
    if !options.env.is_empty() {
        charter.environments = options.env.iter().map(|name| Practised::new(name)).collect();
        if options.swarm.is_none() {
            // Room for the questions of any of them.
            charter.answers = Charter::new().answers;
        }
    }
    if let Some(game) = &options.game {
        charter.game = play(game, charter.game)?;
    }
    charter.check()?;
    Ok(charter)
}

/// What is flown without a charter: words backwards, with no more room than they need, and 48 prompts to learn from in a round: with
/// fewer, the steps are too noisy for this model to get better reliably.
fn usual() -> Charter {
    let mut charter = Charter::new();
    charter.game = Play::Share { own: 12, foreign: 36 };
    (charter.answers.prompt, charter.answers.tokens) = (12, 10);
    charter
}

/// A game by name: as the charter has it, if it is that one, else with the usual numbers.
fn play(name: &str, known: Play) -> Done<Play> {
    match (name, known) {
        ("share", Play::Share { own, foreign }) => Ok(Play::Share { own, foreign }),
        ("share", _) => Ok(Charter::new().game),
        ("debate", Play::Debate { tasks, critiques, candidates, foreign }) => {
            Ok(Play::Debate { tasks, critiques, candidates, foreign })
        }
        ("debate", _) => Ok(Play::Debate { tasks: 8, critiques: 1, candidates: 3, foreign: 16 }),
        _ => Err(format!("{name} is no game: there are share and debate").into()),
    }
}

/// Removes what an earlier run left, and nothing that is not ours.
fn forget(folder: &std::path::Path) -> Done {
    for part in ["chain", "feed", "founder", "nodes"] {
        let path = folder.join(part);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == "swarm.json" || name == "invite" || name.starts_with("outbox-") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The beginning of the invite.
fn head(colony: &Colony) -> String {
    colony.invite().to_string().chars().take(24).collect()
}
