//! A whole swarm on one machine: a chain, and nodes that are processes of their own.
//!
//! What they run is what a node on another machine runs, [`crate::join`] with an invite; they find each other by libp2p, on loopback, and
//! each has its own keys, folder and model. One may be told to hear nobody: it shows what being together is worth.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chain::embedded::{Embedded, Giving, Options, Server};
use chain::{Account, Address, Chain, Credits, Hash, Identity, Key, Passphrase, Rules, Time, Wei};
use net::Address as PeerAddress;
use serde::{Deserialize, Serialize};
use swarm::Charter;
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::home::Home;
use crate::invite::{Invite, Place};
use crate::report::Report;

/// What a node is given for its transactions, and to stake.
const PURSE: Wei = Wei::ether(100);
/// How many strangers the chain gives as much to, who join with nothing.
const STRANGERS: u128 = 64;
/// What the swarm's pool is filled with.
const POOL: Credits = Credits::whole(100_000);
/// What a round pays all its nodes together.
const REWARD: Credits = Credits::whole(10);
/// What each has at stake.
const BOND: Credits = Credits::whole(5);
/// How long a node has to end by itself.
const FAREWELL: Duration = Duration::from_secs(90);
/// How often it is looked whether a process has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long the first one has until it listens.
const AWAKENING: Duration = Duration::from_mins(1);
/// The longest line that a node may say.
const LINE_BYTES: u64 = 1 << 20;
/// Lines that wait to be read.
const LINES: usize = 4096;

/// What is to be started.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where everything is kept.
    pub home: Home,
    /// What the swarm does.
    pub charter: Charter,
    /// Nodes that learn together.
    pub nodes: usize,
    /// Whether one more hears nobody.
    pub alone: bool,
    /// After how many rounds they end; never by themselves without.
    pub rounds: Option<u64>,
    /// The most memory of each node.
    pub memory_bytes: u64,
    /// The program that they run.
    pub program: PathBuf,
    /// The address by which other machines reach this one, if they may join.
    pub listen: Option<IpAddr>,
    /// Whether strangers who join are given what they need of the chain's money.
    pub gifts: bool,
}

/// A swarm that runs on this machine.
#[derive(Debug)]
pub struct Colony {
    birds: Vec<Bird>,
    lines: mpsc::Receiver<(usize, News)>,
    /// What was said while it began.
    early: VecDeque<(usize, News)>,
    server: Server,
    chain: Chain,
    place: Place,
    invite: Invite,
}

#[derive(Debug)]
struct Bird {
    name: String,
    home: PathBuf,
    wallet: Address,
    child: Child,
    /// It has said that it ended, or its output has.
    gone: bool,
}

/// Something that happened in the colony.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A node told something.
    Report(Box<Report>),
    /// A node said something that is no report.
    Words(String),
    /// A node's process has ended.
    Gone,
}

/// What is kept between runs.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    charter: [u8; 32],
    swarm: u64,
}

impl Colony {
    /// Starts the chain, founds the swarm if that was not done in an earlier run, and starts the nodes.
    ///
    /// `tell` is told what is being done.
    pub async fn start(plan: &Plan, mut tell: impl FnMut(String)) -> Result<Colony> {
        let folder = plan.home.folder();
        let giving = plan.gifts.then_some(Giving { each: PURSE.0, all: STRANGERS * PURSE.0 });
        let options = Options { giving, open: plan.listen.is_some(), ..Options::default() };
        let embedded = Embedded::open(folder.join("chain"), options)?;
        let address = plan.listen.unwrap_or(IpAddr::from([127, 0, 0, 1]));
        let server = embedded.serve((address, 0).into()).await?;
        let chain = Chain::embedded(&embedded).await?;
        let rpc = format!("http://{}", server.address());
        tell(format!("chain {} at block {}, on {rpc}", chain.id(), embedded.height()));

        let founder = Identity::open(&folder.join("founder"), &Passphrase::None)?;
        let account = Account::open(&chain, founder.wallet(), Some(folder))?;
        let swarm = found(&plan.home, &chain, &account, &plan.charter, &mut tell).await?;
        let place = Place { rpc, chain: chain.id(), swarm: swarm.0, contracts: None };
        let (to, lines) = mpsc::channel(LINES);
        let invite = Invite { charter: plan.charter.clone(), place: Some(place.clone()), peers: Vec::new() };
        let mut colony =
            Colony { birds: Vec::new(), lines, early: VecDeque::new(), server, chain, place, invite };
        let count = plan.nodes + usize::from(plan.alone);
        for i in 0..count {
            let alone = i >= plan.nodes;
            let name = if alone { "alone".to_owned() } else { format!("{}", i + 1) };
            let home = Home::open(&folder.join("nodes").join(&name))?;
            let identity = Identity::open(&home.keys(), &Passphrase::None)?;
            let wallet = identity.address(Key::Wallet);
            if colony.chain.balance(wallet).await?.0 < PURSE.0 / 2 {
                colony.chain.fund(wallet, PURSE).await?;
            }
            let child = spawn(plan, &home, &colony.invite, alone)?;
            colony.adopt(name, home.folder().to_owned(), wallet, child, &to);
            if i == 0 {
                colony.invite.peers = colony.first_address(plan.listen).await?;
            }
        }
        tell(format!("{count} nodes, each a process with its own keys, model and folder"));
        Ok(colony)
    }

    /// The names of the nodes, by which news tells of them.
    pub fn names(&self) -> Vec<String> {
        self.birds.iter().map(|b| b.name.clone()).collect()
    }

    /// Where each node keeps what is its own, by name.
    pub fn homes(&self) -> Vec<(String, PathBuf)> {
        self.birds.iter().map(|b| (b.name.clone(), b.home.clone())).collect()
    }

    /// Where the chain answers.
    pub fn rpc(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The swarm's number on its chain.
    pub fn swarm(&self) -> u64 {
        self.place.swarm
    }

    /// How others join it.
    pub fn invite(&self) -> &Invite {
        &self.invite
    }

    /// What each node has earned and not spent, in credits.
    pub async fn purses(&self) -> Result<Vec<Credits>> {
        let mut purses = Vec::new();
        for bird in &self.birds {
            purses.push(self.chain.credits(bird.wallet).await?);
        }
        Ok(purses)
    }

    /// The next news, with the number of the node; none when all have gone.
    pub async fn next(&mut self) -> Option<(usize, News)> {
        if let Some(early) = self.early.pop_front() {
            return Some(early);
        }
        if self.birds.iter().all(|bird| bird.gone) {
            return None;
        }
        let (i, news) = self.lines.recv().await?;
        self.birds[i].gone |= news == News::Gone;
        Some((i, news))
    }

    /// Tells all nodes to end, which they do once what they are at is safe.
    pub fn farewell(&mut self) {
        for bird in &mut self.birds {
            // A node ends when nobody holds the other end of its standard input.
            drop(bird.child.stdin.take());
        }
    }

    /// Waits until all have ended; who does not in time is made to.
    pub async fn ended(mut self) {
        self.farewell();
        let begin = Instant::now();
        for bird in &mut self.birds {
            while begin.elapsed() < FAREWELL && matches!(bird.child.try_wait(), Ok(None)) {
                tokio::time::sleep(LOOK).await;
            }
            let _ = bird.child.kill();
            let _ = bird.child.wait();
        }
    }

    fn adopt(
        &mut self,
        name: String,
        home: PathBuf,
        wallet: Address,
        mut child: Child,
        to: &mpsc::Sender<(usize, News)>,
    ) {
        let i = self.birds.len();
        if let Some(output) = child.stdout.take() {
            let to = to.clone();
            thread::spawn(move || {
                let mut lines = BufReader::new(output);
                let mut bytes = Vec::new();
                loop {
                    bytes.clear();
                    match lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut bytes) {
                        Ok(0) | Err(_) => break,
                        Ok(_) => {}
                    }
                    let text = String::from_utf8_lossy(&bytes);
                    let line = match serde_json::from_str(text.trim()) {
                        Ok(report) => News::Report(Box::new(report)),
                        Err(_) => News::Words(text.trim().to_owned()),
                    };
                    if to.blocking_send((i, line)).is_err() {
                        break;
                    }
                }
                let _ = to.blocking_send((i, News::Gone));
            });
        }
        self.birds.push(Bird { name, home, wallet, child, gone: false });
    }

    /// Where the first node listens: the others begin with it.
    async fn first_address(&mut self, by: Option<IpAddr>) -> Result<Vec<PeerAddress>> {
        // A node that others can reach listens on all addresses of its machine; they are told of the one that they know.
        let known = by.map(|ip| format!("/{ip}/"));
        let is_known = |address: &&String| known.as_ref().is_none_or(|known| address.contains(known));
        let begin = Instant::now();
        while let Some(left) = AWAKENING.checked_sub(begin.elapsed()) {
            let Ok(Some((i, news))) = tokio::time::timeout(left, self.lines.recv()).await else { break };
            let found = match &news {
                News::Report(report) => match report.as_ref() {
                    Report::Listening { addresses } => {
                        Some(addresses.iter().filter(is_known).filter_map(|a| a.parse().ok()).collect())
                    }
                    _ => None,
                },
                News::Gone => break,
                News::Words(_) => None,
            };
            self.early.push_back((i, news));
            if let Some(found) = found {
                return Ok(found);
            }
        }
        let why = format!("it does not listen after {:.0} s", begin.elapsed().as_secs_f64());
        Err(Error::Stopped { part: "first node", why })
    }
}

/// The swarm on the chain: the one of the last run if it has the same charter, else a new one.
async fn found(
    home: &Home,
    chain: &Chain,
    account: &Account,
    charter: &Charter,
    tell: &mut impl FnMut(String),
) -> Result<chain::SwarmId> {
    let file = home.folder().join("swarm.json");
    let kept: Option<Kept> = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(kept) = kept.filter(|k| k.charter == charter.id()) {
        let swarm = chain::SwarmId(kept.swarm);
        if chain.swarm(swarm).await.is_ok_and(|s| s.rules.spec.0 == charter.id()) {
            tell(format!("swarm {} goes on", kept.swarm));
            return Ok(swarm);
        }
    }
    chain.fund(account.address(), Wei(POOL.0 * 2)).await?;
    let deployed = account.deploy().await?;
    tell(format!("{} contracts are on it", deployed.len()));
    let rules = Rules {
        start: Time(0),
        period: 1,
        commit_time: 10,
        reveal_time: 3,
        score_time: 3,
        challenge_time: 3,
        seats: 64,
        quorum: 2,
        bond: BOND,
        reward: REWARD,
        referee: Address::ZERO,
        spec: Hash(charter.id()),
    };
    let made = chain.head().await?.0;
    let account = account.labelled(format!("founded after block {made}"));
    let swarm = account.create_swarm(&rules, &charter.name).await?;
    account.deposit(Wei(POOL.0)).await?;
    account.top_up(swarm, POOL).await?;
    let kept = serde_json::to_vec(&Kept { charter: charter.id(), swarm: swarm.0 }).unwrap_or_default();
    std::fs::write(&file, kept).map_err(|why| Error::file("writing", &file, why))?;
    tell(format!("swarm {} is founded; its rounds pay {REWARD} credits from a pool of {POOL}", swarm.0));
    Ok(swarm)
}

/// Starts a node as anyone else would, but for the pipe that tells it when to end.
fn spawn(plan: &Plan, home: &Home, invite: &Invite, alone: bool) -> Result<Child> {
    let mut command = Command::new(&plan.program);
    command.arg("join").arg(invite.to_string()).arg("--home").arg(home.folder());
    command.args(["--json", "--until-stdin-ends"]);
    match plan.listen {
        None => command.arg("--loopback"),
        Some(_) => command.args(["--quiet", "--port", "0"]),
    };
    command.args(["--threads", "1", "--memory", &(plan.memory_bytes >> 20).to_string()]);
    if alone {
        command.arg("--alone");
    }
    if let Some(rounds) = plan.rounds {
        command.args(["--rounds", &rounds.to_string()]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().map_err(|why| Error::file("starting", &plan.program, why))
}
