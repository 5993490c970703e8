//! A node: the machine of [`swarm`] with a model, peers and a chain around it.
//!
//! All decisions are the machine's. This file tells it what happens and does what it wants done; nothing here waits for anybody.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chain::{Account, Chain, Identity, Key, Money, Patience};
use net::blob::{Blobs, Store, Uploads};
use net::{Config, Handle, Message, Network, PeerId, Subscription, TopicRules};
use swarm::{Beacon, Charter, Effect, Entry, Event, Finding, Memory, NodeId, Play, Seed, Verdict};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::home::Home;
use crate::invite::{Invite, Place};
use crate::journal::Journal;
use crate::ledger::{Deed, Ledger, Word};
use crate::mind::{Job, Mind, Thought};
use crate::owner::Owner;
use crate::pace::Pace;
use crate::report::{Report, hex};
use crate::status::Notes;
use crate::tell::{self, Watch, resident_bytes};
use crate::weights::{self, Shelf, Weights};

/// What everyone in a swarm hears.
const TOPIC: &str = "rounds/1";
/// Who is ready for the next round. Rounds could be opened without it; with it they are opened when everyone is, and no later.
const READY: &str = "ready/1";
/// How often it is looked whether time has come for something.
const TICK: Duration = Duration::from_millis(100);
/// How long no further address must turn up for all to be known.
const SETTLES: Duration = Duration::from_millis(100);
/// How long a node listens that hears nobody.
const LISTENS_ALONE_MS: u64 = 100;
/// Who joins in a later round than this has missed something.
const LATE: u64 = 3;
/// Questions of an examination, and rounds from one to the next.
const EXAM: usize = 256;
const EXAM_EVERY: u64 = 10;
/// Rounds from one checkpoint of the model to the next. What is lost with a killed process is learned again from the log.
const SAVE_EVERY: u64 = 8;
/// Messages whose verdict is still to come.
const LIMIT_PENDING: usize = 4096;
/// Peers whose names are known.
const LIMIT_NAMES: usize = 16 << 10;
/// How long a chain that does not answer at the start is asked again, before rounds go by the clock.
const CHAIN_PATIENCE: Duration = Duration::from_secs(20);
/// How long a chain's gift to a newcomer may take.
const GIFT: Duration = Duration::from_secs(10);
/// How long what is under way may take when the node leaves.
const LAST_ROUND: Duration = Duration::from_secs(20);

/// Where a node listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On this machine only, on ports that the system chooses.
    Loopback,
    /// On this port of all addresses.
    Port(u16),
}

/// How a node takes part.
#[derive(Debug)]
pub struct Options {
    /// Where it keeps what is its own.
    pub home: Home,
    /// Its keys.
    pub identity: Identity,
    /// What it takes part in.
    pub invite: Invite,
    /// Where it listens.
    pub listen: Listen,
    /// Whether it looks for peers on the local network, and asks the router to let them in.
    pub look_around: bool,
    /// Whether it hears nobody and tells nobody: what company is worth is seen beside it.
    pub alone: bool,
    /// Threads to compute with.
    pub threads: usize,
    /// The most memory that the model may take.
    pub memory_bytes: u64,
    /// After how many rounds it leaves.
    pub rounds: Option<u64>,
}

/// Takes part in a swarm until `stop` is done, or for as many rounds as were wanted.
pub async fn join(
    options: Options,
    reports: mpsc::Sender<Report>,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let charter = options.invite.charter.clone();
    let folder = options.home.swarm(&charter.id())?;
    let played = if options.alone { by_itself(&charter) } else { charter.clone() };
    let owner = Owner::open(options.home.folder())?;
    let limits = owner.limits();
    let threads = limits.threads.map_or(options.threads, |most| options.threads.min(most.into()));
    let memory = limits.memory_mib.map_or(options.memory_bytes, |most| options.memory_bytes.min(most << 20));
    let (mind, thoughts, woken) = Mind::wake(&played, &folder, threads, memory)?;
    let peer = PeerId::from_public_key(&options.identity.peer().public())?;
    let me = NodeId::of(peer.public_key());
    let newcomer = || Memory::new(played.id(), me, Seed(net::new_secret()));
    let (journal, unfinished) = Journal::open(&folder.join("log"), &woken.parts, woken.learned, newcomer)?;
    let resumed = journal.flock().round();
    for (round, lessons, root) in unfinished.learned {
        mind.put(Job::Redo { round, lessons, root });
    }
    let mut reports = Reports { to: reports, notes: Notes::new(options.home.folder()) };
    let started = Report::Started {
        peer: peer.to_string(),
        process: std::process::id(),
        wallet: options.identity.address(Key::Wallet).to_string(),
        swarm: charter.name.clone(),
        model: hex(&woken.weights.root),
        resumed,
        resident_bytes: resident_bytes(),
        alone: options.alone,
        machine: tell::machine(options.threads, options.memory_bytes),
        game: match charter.game {
            Play::Share { .. } => "share".to_owned(),
            Play::Debate { .. } => "debate".to_owned(),
        },
        environments: charter.environments.iter().map(|practised| practised.name.clone()).collect(),
    };
    reports.tell(started).await;
    let handle = start_network(&options, &charter, folder.join("peers"))?;
    let addresses = listens(&handle).await?.iter().map(ToString::to_string).collect();
    reports.tell(Report::Listening { addresses }).await;
    let blobs = Blobs::start(
        &handle,
        Store::open(&folder.join("blobs"), limits.blobs_mib << 20)?,
        Uploads::default(),
    )?;
    let shelf = Shelf::default();
    shelf.put(woken.weights);
    tokio::spawn(weights::serve(handle.clone(), blobs.clone(), shelf.clone()));
    let subscription =
        if options.alone { None } else { Some(handle.subscribe(TOPIC, TopicRules::default()).await?) };
    let paces = handle.subscribe(READY, TopicRules { message_bytes: 64, ..TopicRules::default() }).await?;
    let (words_in, words) = mpsc::channel(256);
    let (deeds, deeds_out) = mpsc::channel(256);
    let by_clock = Rounds::ByClock(Beacon::new(charter.id(), charter.round.period_ms));
    let rounds = match &options.invite.place {
        Some(place) => match take_place(&options, place, &charter, &folder, words_in.clone()).await {
            Ok(ledger) => {
                if let Some(agent) = ledger.agent() {
                    let chain = ledger.chain().title().to_owned();
                    reports.tell(Report::Registered { chain, agent: agent.0 }).await;
                }
                tokio::spawn(ledger.run(deeds_out));
                Rounds::OfChain
            }
            Err(why) if is_passing(&why) => {
                let why = format!(
                    "{why}; rounds go by the clock, and nobody is paid, until the node is started again"
                );
                reports.tell(Report::Trouble { part: "chain".to_owned(), why }).await;
                by_clock
            }
            Err(why) => return Err(why),
        },
        None => by_clock,
    };
    // Only the ledger speaks: when it has ended, there is nothing more to hear.
    drop(words_in);
    let node = Node {
        peer,
        names: BTreeMap::from([(me, peer)]),
        me,
        journal,
        mind,
        handle,
        blobs,
        shelf,
        deeds,
        reports,
        pending: HashMap::new(),
        tickets: 0,
        fetching: JoinSet::new(),
        rounds,
        newest: resumed.unwrap_or(0),
        pace: Pace::new(Duration::from_millis(charter.round.period_ms)),
        late: false,
        learned: woken.learned.unwrap_or(0),
        done: 0,
        wanted: options.rounds,
        alone: options.alone,
        leaving: None,
        part: Part::default(),
        peers: None,
        watch: Watch::new(options.home.folder()),
        owner,
    };
    node.run(unfinished.effects, thoughts, subscription, paces, words, stop).await
}

/// The same for a node that hears nobody: what it would learn from others' answers, it answers itself, so that it learns from as many.
fn by_itself(charter: &Charter) -> Charter {
    let mut alone = charter.clone();
    if let Play::Share { own, foreign } = &mut alone.game {
        (*own, *foreign) = (own.saturating_add(*foreign), 0);
    }
    // Nobody will say anything: it has not to listen for long.
    alone.round.stage_ms = LISTENS_ALONE_MS;
    alone
}

/// Where rounds come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounds {
    OfChain,
    ByClock(Beacon),
}

struct Node {
    me: NodeId,
    peer: PeerId,
    journal: Journal,
    mind: Mind,
    handle: Handle,
    blobs: Blobs,
    shelf: Shelf,
    deeds: mpsc::Sender<Deed>,
    reports: Reports,
    /// The peers behind the machine's names for them.
    names: BTreeMap<NodeId, PeerId>,
    /// Messages that wait for their verdict.
    pending: HashMap<u64, Message>,
    tickets: u64,
    fetching: JoinSet<Fetched>,
    rounds: Rounds,
    /// The newest round that was opened.
    newest: u64,
    pace: Pace,
    /// Whether the others have begun long ago, and this node is new.
    late: bool,
    /// The last round that was learned in.
    learned: u64,
    /// How many were since the start.
    done: u64,
    wanted: Option<u64>,
    alone: bool,
    /// When it was told to leave.
    leaving: Option<Instant>,
    part: Part,
    /// What was last told of the connections.
    peers: Option<(usize, Vec<String>)>,
    watch: Watch,
    /// What the machine's owner lets it have, and whether it may work.
    owner: Owner,
}

/// What this node did in the round, for its report.
#[derive(Clone, Debug, Default)]
struct Part {
    reward: f64,
    own: usize,
    heard: Vec<(String, usize)>,
    tokens: usize,
    answer_ms: u64,
}

/// What came of fetching a peer's weights, and what they are for.
struct Fetched {
    weights: std::result::Result<Option<Weights>, Error>,
    wanted: Wanted,
}

enum Wanted {
    /// To see whether the peer said what it says it did.
    Audit { round: u64, peer: NodeId, claims: Vec<swarm::Claim> },
    /// To begin where the others are.
    Start,
}

impl Node {
    async fn run(
        mut self,
        unfinished: Vec<Effect>,
        mut thoughts: mpsc::Receiver<Thought>,
        mut subscription: Option<Subscription>,
        mut paces: Subscription,
        mut words: mpsc::Receiver<Word>,
        stop: impl Future<Output = ()>,
    ) -> Result<()> {
        let mut stop = pin!(stop);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.heed();
        match self.owner.rest() {
            Some(rest) => self.tell(Report::Rests { why: rest.to_string() }).await,
            None => {
                self.mind.put(Job::Examine { round: self.journal.flock().round().unwrap_or(0), count: EXAM });
            }
        }
        for effect in unfinished {
            self.apply(effect).await?;
        }
        while !self.has_left() {
            tokio::select! {
                thought = thoughts.recv() => match thought {
                    Some(thought) => self.thought(thought).await?,
                    None => return Err(Error::Stopped { part: "mind", why: "its thread ended".to_owned() }),
                },
                Some(message) = next(&mut subscription) => self.heard(message).await?,
                Some(mut message) = paces.next() => self.pace.heard(&mut message, self.newest),
                Some(word) = words.recv() => self.word(word).await?,
                Some(fetched) = self.fetching.join_next() => {
                    if let Ok(fetched) = fetched {
                        self.fetched(fetched).await?;
                    }
                }
                _ = ticks.tick() => self.tick().await?,
                () = &mut stop, if self.leaving.is_none() => self.leave()?,
            }
        }
        // The chain's side takes what is due before it ends; it tells when it has.
        let _ = self.deeds.send(Deed::Leave).await;
        while let Some(word) = words.recv().await {
            self.word(word).await?;
        }
        self.handle.stop().await;
        let round = self.journal.flock().round().unwrap_or(0);
        self.tell(Report::Ended { round }).await;
        Ok(())
    }

    /// Whether all that was to be done before leaving is done, or has taken too long.
    fn has_left(&self) -> bool {
        self.leaving.is_some_and(|since| self.mind.is_idle() || since.elapsed() > LAST_ROUND)
    }

    fn leave(&mut self) -> Result<()> {
        self.leaving = Some(Instant::now());
        self.mind.hurry();
        if self.owner.rest().is_none() {
            self.mind.put(Job::Examine { round: self.learned, count: EXAM });
        }
        self.save()
    }

    /// Sets what can be set while it runs to what the owner lets it have.
    fn heed(&self) {
        let limits = self.owner.limits();
        self.mind.set_share(limits.cpu_percent);
        let rate = |kib: Option<u64>| kib.map(|kib| kib.saturating_mul(1 << 10));
        self.blobs.set_rates(rate(limits.upload_kib_per_second), rate(limits.download_kib_per_second));
    }

    /// Looks whether the owner has changed his mind, or the machine is busy.
    async fn look_after_owner(&mut self) {
        let seen = self.owner.look();
        if seen.limits {
            self.heed();
        }
        if seen.file {
            let part = "limits".to_owned();
            let report = match self.owner.wrong() {
                Some(why) => Report::Trouble { part, why: why.to_owned() },
                None => Report::Well { part },
            };
            self.tell(report).await;
        }
        if seen.rest {
            let rest = self.owner.rest().map(|rest| Report::Rests { why: rest.to_string() });
            self.tell(rest.unwrap_or(Report::Works)).await;
        }
    }

    async fn step(&mut self, event: Event) -> Result<()> {
        for effect in self.journal.step(now_ms(), event)? {
            self.apply(effect).await?;
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<()> {
        let health = self.handle.health();
        let seen = (health.peers, health.complaints);
        if !self.alone && self.peers.as_ref() != Some(&seen) {
            self.tell(Report::Connected { peers: seen.0, complaints: seen.1.clone() }).await;
            self.peers = Some(seen);
        }
        for report in self.watch.look(&self.handle, self.alone) {
            self.tell(report).await;
        }
        self.look_after_owner().await;
        self.reports.notes.beat();
        if self.leaving.is_none() && self.owner.rest().is_none() {
            match self.rounds {
                Rounds::OfChain if !self.alone && self.pace.is_time(self.newest) => {
                    // A ledger that is too busy to hear it is told again.
                    let _ = self.deeds.try_send(Deed::Ready { round: self.newest });
                }
                Rounds::OfChain => {}
                Rounds::ByClock(beacon) => {
                    let round = beacon.round(now_ms());
                    if round > self.newest {
                        self.opened(round, beacon.seed(round)).await?;
                    }
                }
            }
        }
        // Told more often, the machine would do nothing, and the log would say so ten times a second.
        match self.journal.flock().wakes_at() {
            Some(at) if now_ms() >= at => self.step(Event::Tick).await,
            _ => Ok(()),
        }
    }

    async fn opened(&mut self, round: u64, seed: Seed) -> Result<()> {
        if self.newest == 0 && round > LATE && self.rounds == Rounds::OfChain && self.learned == 0 {
            self.late = !self.alone;
        }
        self.newest = self.newest.max(round);
        self.pace.opened();
        if self.leaving.is_some() || self.owner.rest().is_some() {
            return Ok(());
        }
        self.tell(Report::Opened { round }).await;
        self.step(Event::Opened { round, seed }).await
    }

    /// Says that this node is ready for another round, if it was its turn to speak. The one that hears nobody says so too: it is to have as many rounds.
    async fn ready(&mut self) {
        let (all, me) = self.journal.flock().speaks().unwrap_or((true, true));
        self.pace.draws(!all);
        self.pace.ready(me.then_some(self.peer), self.newest);
        if me {
            let _ = self.handle.publish(READY, self.newest.to_le_bytes()).await;
        }
    }

    async fn word(&mut self, word: Word) -> Result<()> {
        match word {
            Word::Opened { round, seed } => self.opened(round, Seed(seed)).await?,
            Word::Paid { round, amount } => {
                self.tell(Report::Paid { round, credits: amount.to_string() }).await;
            }
            Word::Did { round, what } => self.tell(Report::Did { round, deed: what.to_owned() }).await,
            Word::Trouble(why) => self.tell(Report::Trouble { part: "chain".to_owned(), why }).await,
            Word::Well => self.tell(Report::Well { part: "chain".to_owned() }).await,
        }
        Ok(())
    }

    async fn heard(&mut self, message: Message) -> Result<()> {
        let from = NodeId::of(message.author.public_key());
        if self.names.len() < LIMIT_NAMES {
            self.names.insert(from, message.author);
        }
        if self.pending.len() >= LIMIT_PENDING {
            // Dropped without a verdict: it is ignored.
            return Ok(());
        }
        self.tickets += 1;
        let (ticket, bytes) = (self.tickets, message.data.clone());
        self.pending.insert(ticket, message);
        self.step(Event::Heard { ticket, from, bytes }).await
    }

    async fn thought(&mut self, thought: Thought) -> Result<()> {
        match thought {
            Thought::Answered { round, stage, root, answers, took } => {
                self.part.tokens += answers.iter().flatten().map(|said| said.tokens.len()).sum::<usize>();
                self.part.own += answers.iter().map(Vec::len).sum::<usize>();
                self.part.answer_ms += took.as_millis() as u64;
                self.step(Event::Answered { round, stage, root, answers }).await
            }
            Thought::Learned { round, weights, progress, took } => {
                let root = weights.root;
                self.shelf.put(weights);
                let environments = tell::practised(self.journal.flock(), round);
                let samples = tell::samples(self.journal.flock(), round, |node| self.name(node));
                // Before the step, which may begin the next round.
                let Part { reward, own, heard, tokens, answer_ms } = std::mem::take(&mut self.part);
                self.step(Event::Learned { round, root }).await?;
                self.tell(Report::Learned {
                    round,
                    reward,
                    own,
                    heard,
                    tokens_per_second: tokens as f64 / (answer_ms.max(1) as f64 / 1000.0),
                    answer_ms,
                    learn_ms: took.as_millis() as u64,
                    model: hex(&root),
                    resident_bytes: resident_bytes(),
                    environments,
                    answer_tokens: tokens as f64 / own.max(1) as f64,
                    progress: progress.map(tell::progress),
                })
                .await;
                if !samples.is_empty() {
                    self.tell(Report::Samples { round, samples }).await;
                }
                self.done += 1;
                if self.wanted.is_some_and(|wanted| self.done >= wanted) {
                    if self.leaving.is_none() {
                        self.leave()?;
                    }
                } else {
                    if self.done.is_multiple_of(EXAM_EVERY) {
                        self.mind.put(Job::Examine { round, count: EXAM });
                    }
                    self.ready().await;
                }
                Ok(())
            }
            Thought::Audited { round, peer, finding, answers, took } => {
                self.audited(round, peer, finding, answers, took).await
            }
            Thought::Examined { round, right, asked } => {
                self.tell(Report::Examined { round, right, asked }).await;
                Ok(())
            }
            Thought::Redone { round, weights: Weights { root, bytes }, same: true } => {
                self.shelf.put(Weights { root, bytes });
                self.tell(Report::Redone { round, model: hex(&root) }).await;
                Ok(())
            }
            Thought::Redone { round, .. } => {
                let why =
                    format!("what was learned in round {round} does not come to the same weights again");
                self.tell(Report::Trouble { part: "model".to_owned(), why }).await;
                Ok(())
            }
            Thought::TakenUp { weights: Weights { root, bytes } } => {
                self.shelf.put(Weights { root, bytes });
                tracing::info!(root = hex(&root), "a peer's weights were taken up");
                self.save()
            }
            Thought::Trouble { part, why } => {
                self.tell(Report::Trouble { part: part.to_owned(), why }).await;
                Ok(())
            }
            Thought::Broken(why) => Err(why),
        }
    }

    async fn audited(
        &mut self,
        round: u64,
        peer: NodeId,
        finding: Finding,
        answers: usize,
        took: Duration,
    ) -> Result<()> {
        if finding != Finding::Undone {
            let said = match finding {
                Finding::Holds => "every bit holds".to_owned(),
                Finding::Lie { claim, answer } => {
                    format!("answer {answer} to its prompt {claim} is not what its model says")
                }
                _ => "it does not show the weights that it says it answered with".to_owned(),
            };
            let holds = finding == Finding::Holds;
            let (peer, took_ms) = (self.name(peer), took.as_millis() as u64);
            self.tell(Report::Audited { round, peer, holds, finding: said, answers, took_ms }).await;
        }
        self.step(Event::Audited { round, peer, finding }).await
    }

    async fn fetched(&mut self, fetched: Fetched) -> Result<()> {
        let (round, peer, claims) = match fetched.wanted {
            Wanted::Audit { round, peer, claims } => (round, peer, claims),
            Wanted::Start => {
                if let Ok(Some(weights)) = fetched.weights {
                    self.mind.put(Job::TakeUp { weights });
                }
                return Ok(());
            }
        };
        match fetched.weights {
            Ok(Some(weights)) => {
                self.mind.put(Job::Audit { round, peer, weights, claims });
                Ok(())
            }
            Ok(None) => self.audited(round, peer, Finding::Withheld, 0, Duration::ZERO).await,
            Err(why) => {
                tracing::debug!(%why, "an audit could not be done");
                self.audited(round, peer, Finding::Undone, 0, Duration::ZERO).await
            }
        }
    }

    /// A newcomer begins where the others are: with the weights of the peer whose answers are worth most.
    fn begin_where_others_are(&mut self) {
        let Some((teacher, root, _)) = self.journal.flock().teachers().into_iter().next() else { return };
        self.late = false;
        self.fetch(teacher, root, Wanted::Start);
    }

    /// Fetches a peer's weights in the background; false if nobody knows who that is.
    fn fetch(&mut self, peer: NodeId, root: [u8; 32], wanted: Wanted) -> bool {
        let Some(of) = self.names.get(&peer).copied() else { return false };
        let (handle, blobs, config) = (self.handle.clone(), self.blobs.clone(), self.mind.config().clone());
        self.fetching.spawn(async move {
            let weights = weights::fetch(&handle, &blobs, of, root, &config).await;
            Fetched { weights, wanted }
        });
        true
    }

    async fn apply(&mut self, effect: Effect) -> Result<()> {
        match effect {
            Effect::Publish(bytes) if !self.alone => {
                if let Err(why) = self.handle.publish(TOPIC, bytes).await {
                    tracing::debug!(%why, "nobody was told");
                }
            }
            Effect::Publish(_) => {}
            Effect::Answer { round, stage, asks } => {
                self.mind.put(Job::Answer { round, stage, asks });
            }
            Effect::Learn { round, lessons } => {
                let mut by: BTreeMap<NodeId, usize> = BTreeMap::new();
                for lesson in lessons.iter().filter(|l| l.node != self.me) {
                    *by.entry(lesson.node).or_default() += lesson.claim.answers.len();
                }
                self.part.heard = by.into_iter().map(|(node, count)| (self.name(node), count)).collect();
                self.mind.put(Job::Learn { round, lessons });
            }
            Effect::Audit { round, peer, root, claims } => {
                if !self.fetch(peer, root, Wanted::Audit { round, peer, claims }) {
                    return Box::pin(self.audited(round, peer, Finding::Undone, 0, Duration::ZERO)).await;
                }
            }
            Effect::Commit { round, root } => self.deed(Deed::Made { round, root }).await,
            Effect::Scores { round, of } => {
                let key = |(node, score): (NodeId, u8)| Some((*self.names.get(&node)?.public_key(), score));
                let opinions = of.into_iter().filter_map(key).collect();
                self.deed(Deed::Thinks { round, opinions }).await;
            }
            Effect::Judge { ticket, verdict, .. } => {
                if let Some(mut message) = self.pending.remove(&ticket) {
                    message.judge(match verdict {
                        Verdict::Accept => net::Verdict::Accept,
                        Verdict::Ignore => net::Verdict::Ignore,
                        Verdict::Reject => net::Verdict::Reject,
                    });
                }
            }
            Effect::Done { round } => {
                self.learned = round;
                let logs = self.owner.limits().logs_mib << 20;
                if self.done.is_multiple_of(SAVE_EVERY) || self.journal.is_long(logs) {
                    self.save()?;
                }
            }
            Effect::Log(entry) => self.logged(entry).await,
        }
        Ok(())
    }

    async fn logged(&mut self, entry: Entry) {
        match entry {
            Entry::Said { round, stage, groups, reward } => {
                let reward = f64::from(reward);
                if stage == 0 {
                    self.part.reward = reward;
                }
                self.tell(Report::Answered { round, stage, groups, reward }).await;
            }
            Entry::Heard { from, round, stage, groups, reward } => {
                if self.late {
                    self.begin_where_others_are();
                }
                let (peer, reward) = (self.name(from), f64::from(reward));
                self.tell(Report::Received { round, stage, peer, groups, reward }).await;
            }
            Entry::Behind { round } => self.tell(Report::Behind { round }).await,
            Entry::Unheard { peer } => {
                let why = "it broke the rules too often, or lied".to_owned();
                self.tell(Report::Heard { peer: self.name(peer), heard: false, why }).await;
            }
            Entry::HeardAgain { peer } => {
                self.tell(Report::Heard { peer: self.name(peer), heard: true, why: String::new() }).await;
            }
            Entry::Refused { from, rule } => {
                let (peer, rule) = (self.name(from), format!("{rule:?}"));
                tracing::debug!(peer, rule, "refused");
                // A flood of them is not to be one of reports.
                if self.watch.may_tell_of_refusal() {
                    self.tell(Report::Refused { peer, rule }).await;
                }
            }
            _ => {}
        }
    }

    /// Has the model saved as it is, and begins a new log from here.
    fn save(&mut self) -> Result<()> {
        self.mind.put(Job::Save { round: self.learned });
        self.journal.rotate()
    }

    async fn deed(&self, deed: Deed) {
        if !self.alone && self.rounds == Rounds::OfChain {
            // Without a ledger there is nobody to tell.
            let _ = self.deeds.send(deed).await;
        }
    }

    fn name(&self, node: NodeId) -> String {
        self.names.get(&node).map_or_else(|| node.to_string(), ToString::to_string)
    }

    async fn tell(&mut self, report: Report) {
        self.reports.tell(report).await;
    }
}

/// Where it listens, once no further address turns up: they come one after the other, and the first is this machine's own.
async fn listens(handle: &Handle) -> Result<Vec<net::Address>> {
    let mut known = handle.until_listening().await?;
    loop {
        tokio::time::sleep(SETTLES).await;
        let now = handle.until_listening().await?;
        if now.len() == known.len() {
            return Ok(now);
        }
        known = now;
    }
}

/// The next message, of whoever hears any.
async fn next(subscription: &mut Option<Subscription>) -> Option<Message> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

/// Whom a node tells of itself.
struct Reports {
    to: mpsc::Sender<Report>,
    notes: Notes,
}

impl Reports {
    /// Whoever reads may be slow; if nobody does, the node goes on.
    async fn tell(&mut self, report: Report) {
        self.notes.take(&report);
        match (&report, report.sentence()) {
            (Report::Trouble { .. }, Some(sentence)) => tracing::warn!("{sentence}"),
            (_, Some(sentence)) => tracing::info!("{sentence}"),
            _ => {}
        }
        let _ = self.to.send(report).await;
    }
}

fn start_network(options: &Options, charter: &Charter, peers: PathBuf) -> Result<Handle> {
    let secret = *options.identity.peer().secret();
    let swarm = net::SwarmId(charter.id());
    let mut config = match options.listen {
        Listen::Loopback => Config::on_loopback(secret, swarm),
        Listen::Port(port) => {
            let mut config = Config::new(secret, swarm);
            config.listen = net::listen_on(port);
            config
        }
    };
    (config.lan, config.port_mapping) = (options.look_around, options.look_around);
    config.folder = Some(peers);
    config.bootstrap.clone_from(&options.invite.peers);
    let (handle, mut events) = Network::start(config)?;
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            tracing::debug!(?event, "network");
        }
    });
    Ok(handle)
}

/// Takes the node's place on the chain, asking again for a while if it does not answer.
async fn take_place(
    options: &Options,
    place: &Place,
    charter: &Charter,
    folder: &std::path::Path,
    words: mpsc::Sender<Word>,
) -> Result<Ledger> {
    let begin = Instant::now();
    loop {
        match try_place(options, place, charter, folder, words.clone()).await {
            Err(why) if is_passing(&why) && begin.elapsed() < CHAIN_PATIENCE => {
                tracing::info!(%why, "the chain is asked again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            done => return done,
        }
    }
}

async fn try_place(
    options: &Options,
    place: &Place,
    charter: &Charter,
    folder: &std::path::Path,
    words: mpsc::Sender<Word>,
) -> Result<Ledger> {
    let manifest = place.contracts.as_deref().map(chain::Manifest::read).transpose()?;
    let chain = Chain::connect_with(&place.rpc, Some(place.chain), manifest, Patience::default()).await?;
    let swarm = chain::SwarmId(place.swarm);
    if options.alone {
        return Ledger::watch(chain, swarm, charter.id(), words).await;
    }
    let account = Account::open(&chain, options.identity.wallet(), Some(options.home.folder()))?;
    let key = options.identity.peer();
    if chain.money() == Money::Private && chain.balance(account.address()).await?.0 == 0 {
        // Somebody's own chain may give newcomers what they need. If it does not, that is said below.
        match tokio::time::timeout(GIFT, chain.beg(account.address())).await {
            Ok(Ok(())) => tracing::info!("the chain gave this wallet what it needs to begin"),
            Ok(Err(why)) => tracing::info!(%why, "nothing was given"),
            Err(_) => tracing::info!("nothing was given in time"),
        }
    }
    match Ledger::join(account, key, swarm, charter.id(), folder, words.clone()).await {
        // Who has no money learns and shares all the same.
        Err(Error::Chain(why @ chain::Error::NeedsFunds { .. })) => {
            let why = format!("{why}; until then, and until it is started again, the node takes part unpaid");
            let _ = words.send(Word::Trouble(why)).await;
            Ledger::watch(chain, swarm, charter.id(), words).await
        }
        done => done,
    }
}

/// Whether it may be otherwise the next time.
fn is_passing(why: &Error) -> bool {
    matches!(why, Error::Chain(chain::Error::Unreachable { .. }))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
