//! The chain's side of a node: it registers, stakes, and plays each round to its end while the next ones run.
//!
//! `play.rs` decides what is to be done; this file does it, tells what happened, and keeps what must outlive the process. Whatever
//! the chain does or leaves undone, learning goes on: what goes wrong here is told and tried again.

mod play;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chain::{
    Account, AgentId, Chain, Credits, Cursor, Event, Follower, Hash, Money, PeerKey, Reward, RoundId, Rules,
    Step, Swarm, SwarmId, Time,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::home::replace;
use play::{Act, Outcome, Play, Terms};

/// A peer's public key, as the chain and the network both know it.
pub(crate) type Peer = [u8; 33];

/// What no agent is called: they are numbered from 1.
const NOBODY: AgentId = AgentId(0);
/// Rounds that are played at once; the oldest is given up for a new one.
const LIMIT_PLAYS: usize = 64;
/// Shares that are claimed in one transaction.
const CLAIMED_AT_ONCE: usize = 8;
/// The least time between two looks at the chain.
const LOOK: Duration = Duration::from_millis(200);
/// The longest, while it does not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How long rounds that this node has a part in may take to end when it leaves.
const FAREWELL: Duration = Duration::from_secs(30);
/// How long another node is given to open a round before the next one does.
const TURN: Duration = Duration::from_millis(250);

/// What the chain has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// A round was opened. Its seed is for drawing its tasks.
    Opened { round: u64, seed: [u8; 32] },
    /// This node was paid.
    Paid { round: u64, amount: Credits },
    /// Something was done there.
    Did { round: u64, what: &'static str },
    /// Something is the matter, and what helps.
    Trouble(String),
    /// What was the matter no longer is.
    Well,
}

/// What the node has for the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// What this node made in a round.
    Made { round: u64, root: [u8; 32] },
    /// What it thinks of the others, 0 to 254.
    Thinks { round: u64, opinions: BTreeMap<Peer, u8> },
    /// It is ready for the round after this one.
    Ready { round: u64 },
    /// It leaves: what can be claimed is claimed.
    Leave,
}

/// A node's place in a swarm on a chain.
#[derive(Debug)]
pub(crate) struct Ledger {
    chain: Chain,
    swarm: SwarmId,
    rules: Rules,
    /// Who acts; nobody, if the node only watches.
    actor: Option<Actor>,
    kept: Kept,
    plays: BTreeMap<u64, Play>,
    peers: BTreeMap<AgentId, Option<Peer>>,
    /// The newest round that was opened.
    newest: u64,
    /// The round after which the node wants another, since when.
    ready: Option<(u64, Instant)>,
    words: mpsc::Sender<Word>,
}

/// Who acts for the node.
#[derive(Clone, Debug)]
struct Actor {
    account: Account,
    agent: AgentId,
    /// Makes the salts of commitments, which must be the same after a restart.
    salt: [u8; 32],
    /// Where what outlives the process is kept.
    file: PathBuf,
}

/// What outlives the process.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// The block to read on from.
    block: Option<u64>,
    /// What was made in rounds that are not over.
    roots: BTreeMap<u64, Hash>,
    /// Shares that were not claimed.
    shares: Vec<Share>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Share {
    round: u64,
    seat: u16,
    result: chain::Scores,
}

/// What an act came to.
struct Done {
    round: u64,
    what: &'static str,
    outcome: std::result::Result<(), chain::Error>,
}

impl Ledger {
    /// Takes a node's place: checks that the swarm on the chain is the one that is meant, registers and stakes.
    ///
    /// `spec` is the charter's id, which the swarm was made with.
    pub(crate) async fn join(
        account: Account,
        key: &PeerKey,
        swarm: SwarmId,
        spec: [u8; 32],
        folder: &Path,
        words: mpsc::Sender<Word>,
    ) -> Result<Ledger> {
        let chain = account.chain().clone();
        let found = meant(&chain, swarm, spec).await?;
        let agent = account.register(key, "").await?;
        let judge = chain.swarms()?;
        let staked = chain.bond(agent, judge).await?.staked;
        if staked < found.rules.bond {
            let missing = Credits(found.rules.bond.0 - staked.0);
            let had = account.credits().await?;
            if had < missing {
                account.deposit(chain::Wei(missing.0 - had.0)).await?;
            }
            account.stake(agent, judge, missing).await?;
        }
        let file = folder.join("ledger.json");
        let kept = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|why| Error::Damaged { file: file.clone(), why: why.to_string() })?,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Kept::default(),
            Err(why) => return Err(Error::file("reading", &file, why)),
        };
        let salt = blake3::derive_key("starling 2026 salts of commitments", key.secret().as_slice());
        let actor = Actor { account, agent, salt, file };
        Ok(Self::new(chain, found, Some(actor), kept, words))
    }

    /// Watches a swarm's rounds without a place in it.
    pub(crate) async fn watch(
        chain: Chain,
        swarm: SwarmId,
        spec: [u8; 32],
        words: mpsc::Sender<Word>,
    ) -> Result<Ledger> {
        let found = meant(&chain, swarm, spec).await?;
        Ok(Self::new(chain, found, None, Kept::default(), words))
    }

    fn new(
        chain: Chain,
        found: Swarm,
        actor: Option<Actor>,
        kept: Kept,
        words: mpsc::Sender<Word>,
    ) -> Ledger {
        Ledger {
            chain,
            swarm: found.id,
            rules: found.rules,
            actor,
            kept,
            plays: BTreeMap::new(),
            peers: BTreeMap::new(),
            newest: found.rounds,
            ready: None,
            words,
        }
    }

    /// Who the node is on the chain, if it has a place there.
    pub(crate) fn agent(&self) -> Option<AgentId> {
        self.actor.as_ref().map(|actor| actor.agent)
    }

    /// Which chain.
    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Plays until told to leave, or until nobody tells it anything any more.
    pub(crate) async fn run(mut self, mut deeds: mpsc::Receiver<Deed>) {
        let chain = self.chain.clone();
        let begin = match self.kept.block {
            Some(block) => block,
            None => loop {
                match chain.head().await {
                    Ok((head, _)) => break head + 1,
                    Err(why) => self.say(Word::Trouble(why.to_string())).await,
                }
                tokio::time::sleep(LOOK).await;
            },
        };
        let mut follower = Follower::new(&chain, Cursor::from_block(begin));
        let mut acts = JoinSet::new();
        let least = LOOK.max(Duration::from_millis(chain.preset().poll_ms));
        let mut wait = least;
        let mut troubled = false;
        let mut leaving: Option<Instant> = None;
        let mut next_look = Instant::now();
        loop {
            if leaving.is_some_and(|since| {
                since.elapsed() > FAREWELL || self.plays.values().all(|p| p.kept().is_none())
            }) {
                break;
            }
            tokio::select! {
                deed = deeds.recv(), if leaving.is_none() => match deed {
                    Some(Deed::Leave) | None => { leaving = Some(Instant::now()); continue }
                    Some(deed) => { self.take(deed); continue }
                },
                Some(done) = acts.join_next() => {
                    if let Ok(done) = done {
                        self.done(done).await;
                    }
                    continue;
                }
                () = tokio::time::sleep_until(next_look.into()) => {}
            }
            let looked = self.look(&mut follower, &mut acts).await;
            next_look = Instant::now() + wait;
            match looked {
                Ok(()) => {
                    wait = least;
                    if std::mem::take(&mut troubled) {
                        self.say(Word::Well).await;
                    }
                }
                Err(why) => {
                    wait = (2 * wait).min(LOOK_AGAIN);
                    troubled = true;
                    self.say(Word::Trouble(why.to_string())).await;
                }
            }
        }
        // What is under way is in the outbox and goes on with the next run; shares can be taken now.
        acts.abort_all();
        self.ready = None;
        let claimed = match self.claim(1).await {
            // That it was paid is told like all else.
            Ok(()) => self.look(&mut follower, &mut acts).await,
            failed => failed,
        };
        if let Err(why) = claimed {
            self.say(Word::Trouble(format!("what was earned is claimed in the next run: {why}"))).await;
        }
    }

    fn take(&mut self, deed: Deed) {
        match deed {
            Deed::Made { round, root } => {
                if let Some(play) = self.plays.get_mut(&round).filter(|_| self.actor.is_some()) {
                    play.made(Hash(root));
                    self.kept.roots.insert(round, Hash(root));
                    self.keep();
                }
            }
            Deed::Thinks { round, opinions } => {
                let known: BTreeMap<Peer, AgentId> =
                    self.peers.iter().filter_map(|(agent, peer)| Some(((*peer)?, *agent))).collect();
                let of = |(peer, score): (Peer, u8)| Some((*known.get(&peer)?, score));
                if let Some(play) = self.plays.get_mut(&round) {
                    play.thinks(opinions.into_iter().filter_map(of).collect());
                }
            }
            // Said again, it is no later than when it was said first.
            Deed::Ready { round } if self.ready.is_some_and(|(of, _)| of == round) => {}
            Deed::Ready { round } => self.ready = Some((round, Instant::now())),
            Deed::Leave => {}
        }
    }

    /// Looks what happened, and does what is due.
    async fn look(&mut self, follower: &mut Follower, acts: &mut JoinSet<Done>) -> Result<()> {
        for step in follower.poll().await? {
            // What is taken back was of rounds that will be opened again; their plays end by the clock.
            if let Step::Happened { block, transaction, event } = step {
                self.happened(block, transaction, &event).await?;
            }
        }
        let chain = self.chain.clone();
        let time = if chain.money() == Money::Private { now() } else { chain.head().await?.1 };
        let mut over = Vec::new();
        for (round, play) in &mut self.plays {
            if let Some(actor) = &self.actor
                && let Some(act) = play.next(time)
            {
                acts.spawn(perform(actor.clone(), play.id, act));
            }
            match play.outcome(time) {
                Outcome::Open => {}
                outcome => over.push((*round, outcome)),
            }
        }
        if !over.is_empty() {
            for (round, outcome) in over {
                self.plays.remove(&round);
                self.kept.roots.remove(&round);
                if let Outcome::Share(Reward { seat, result, .. }) = outcome {
                    self.kept.shares.push(Share { round, seat, result });
                }
            }
            self.kept.block =
                self.plays.values().map(|p| p.block).min().or(Some(follower.cursor().next_block()));
            self.keep();
        }
        self.claim(CLAIMED_AT_ONCE).await?;
        self.open(acts);
        Ok(())
    }

    async fn happened(&mut self, block: u64, transaction: Hash, event: &Event) -> Result<()> {
        let Some(id) = round_of(event).filter(|id| id.swarm == self.swarm) else { return Ok(()) };
        if let Event::RoundOpened { .. } = event {
            let round = self.chain.round(id).await?;
            let terms = Terms {
                commit: round.commit_ends,
                reveal: round.reveal_ends,
                score: round.score_ends,
                challenge: u64::from(self.rules.challenge_time),
                quorum: round.quorum,
            };
            let mut play = Play::new(id, terms, block, self.agent().unwrap_or(NOBODY));
            if let Some(root) = self.kept.roots.get(&id.number) {
                play.made(*root);
            }
            self.plays.insert(id.number, play);
            while self.plays.len() > LIMIT_PLAYS {
                self.plays.pop_first();
            }
            self.kept.block = self.plays.values().map(|p| p.block).min();
            self.newest = self.newest.max(id.number);
            let mut seed = blake3::Hasher::new_derive_key("starling 2026 seed of a round");
            seed.update(&self.rules.spec.0).update(&id.number.to_le_bytes()).update(&transaction.0);
            self.say(Word::Opened { round: id.number, seed: seed.finalize().into() }).await;
            return Ok(());
        }
        if let Event::Committed { agent, .. } = event
            && !self.peers.contains_key(agent)
        {
            let known = self.chain.agent(*agent).await?;
            self.peers.insert(*agent, known.and_then(|a| a.peer).map(|p| p.0));
        }
        if let Event::Claimed { agent, amount, .. } = event
            && Some(*agent) == self.agent()
        {
            self.say(Word::Paid { round: id.number, amount: *amount }).await;
        }
        if let Some(play) = self.plays.get_mut(&id.number) {
            play.told(event, now());
        }
        Ok(())
    }

    /// Opens the next round if this node is ready, its time has come, and nobody whose turn was earlier did.
    fn open(&mut self, acts: &mut JoinSet<Done>) {
        let (Some((round, since)), Some(actor)) = (self.ready, &self.actor) else { return };
        if round < self.newest {
            self.ready = None;
            return;
        }
        let mut others: Vec<AgentId> =
            self.plays.get(&round).map(|p| p.agents().collect()).unwrap_or_default();
        if !others.contains(&actor.agent) {
            others.push(actor.agent);
        }
        others.sort_by_key(|a| *blake3::hash(&[a.0.to_le_bytes(), round.to_le_bytes()].concat()).as_bytes());
        let rank = others.iter().position(|a| *a == actor.agent).unwrap_or(0) as u32;
        if since.elapsed() < TURN * rank {
            return;
        }
        let (account, swarm) = (actor.account.clone(), self.swarm);
        acts.spawn(async move {
            let outcome = open(&account, swarm, round).await;
            Done { round, what: "open", outcome }
        });
        self.ready = None;
    }

    async fn done(&mut self, done: Done) {
        let Done { round, what, outcome } = done;
        match outcome {
            Ok(()) => self.say(Word::Did { round, what }).await,
            Err(why) => {
                if what == "open" {
                    if round >= self.newest {
                        self.ready = Some((round, Instant::now()));
                    }
                    // Its time has not come, or somebody was quicker.
                    if matches!(why, chain::Error::WouldFail { .. } | chain::Error::Reverted { .. }) {
                        return;
                    }
                } else if let Some(play) = self.plays.get_mut(&round)
                    && !matches!(why, chain::Error::WouldFail { .. } | chain::Error::Reverted { .. })
                {
                    play.failed(what);
                }
                self.say(Word::Trouble(format!("{what} in round {round}: {why}"))).await;
            }
        }
    }

    /// Claims shares if there are so many.
    async fn claim(&mut self, at_least: usize) -> Result<()> {
        let Some(actor) = self.actor.as_ref().filter(|_| self.kept.shares.len() >= at_least) else {
            return Ok(());
        };
        let some: Vec<Share> = self.kept.shares.iter().take(CLAIMED_AT_ONCE).cloned().collect();
        let id = |round| RoundId { swarm: self.swarm, number: round };
        let rewards: Vec<Reward> = some
            .iter()
            .map(|s| Reward { round: id(s.round), seat: s.seat, result: s.result.clone() })
            .collect();
        match actor.account.claim(actor.agent, &rewards).await {
            // One of them is not to be had: they are not tried again, since the chain's answer would be the same.
            Ok(()) | Err(chain::Error::WouldFail { .. } | chain::Error::Reverted { .. }) => {
                self.kept.shares.drain(..some.len());
                self.keep();
                Ok(())
            }
            Err(why) => Err(why.into()),
        }
    }

    fn keep(&self) {
        let Some(Actor { file, .. }) = &self.actor else { return };
        let bytes = serde_json::to_vec(&self.kept).unwrap_or_default();
        if let Err(why) = replace(file, &bytes) {
            tracing::warn!(file = %file.display(), %why, "the ledger's notes could not be kept");
        }
    }

    /// Whoever listens may be slow or gone: the chain goes on.
    async fn say(&self, word: Word) {
        let _ = self.words.send(word).await;
    }
}

/// The swarm of this number, if it was made for this charter.
async fn meant(chain: &Chain, swarm: SwarmId, spec: [u8; 32]) -> Result<Swarm> {
    let found = chain.swarm(swarm).await?;
    if found.rules.spec.0 == spec {
        return Ok(found);
    }
    Err(Error::OtherSwarm { swarm: swarm.0, chain: chain.title().to_owned() })
}

/// Does it.
async fn perform(actor: Actor, round: RoundId, act: Act) -> Done {
    let Actor { account, agent, salt, .. } = actor;
    let what = act.name();
    let outcome = match act {
        Act::Commit(root) => account.commit(round, agent, root, salt_of(&salt, round)).await,
        Act::Reveal(root) => account.reveal(round, agent, root, salt_of(&salt, round)).await,
        Act::Score(scores) => account.score(round, agent, &scores).await,
        Act::Post(result) => account.post(round, agent, &result).await,
        Act::Challenge { seat, posted, given } => account.challenge(round, seat, &posted, &given).await,
    };
    Done { round: round.number, what, outcome }
}

/// Opens the round after `round`, unless it is there.
async fn open(account: &Account, swarm: SwarmId, round: u64) -> std::result::Result<(), chain::Error> {
    let found = account.chain().swarm(swarm).await?;
    if found.rounds > round {
        return Ok(());
    }
    account.chain().until(found.next_at).await?;
    account.open_round(swarm).await.map(drop)
}

fn salt_of(key: &[u8; 32], round: RoundId) -> Hash {
    let words = [round.swarm.0.to_le_bytes(), round.number.to_le_bytes()].concat();
    Hash(*blake3::keyed_hash(key, &words).as_bytes())
}

fn round_of(event: &Event) -> Option<RoundId> {
    match event {
        Event::RoundOpened { round, .. }
        | Event::Committed { round, .. }
        | Event::Revealed { round, .. }
        | Event::Scored { round, .. }
        | Event::Posted { round, .. }
        | Event::Overturned { round, .. }
        | Event::Struck { round, .. }
        | Event::Claimed { round, .. } => Some(*round),
        _ => None,
    }
}

fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
