//! The one thread that writes: it takes transactions in, makes blocks, and stores each step before anyone hears of it.
//!
//! Transactions that arrive while a step is being stored go into the next one together, so a disk that takes milliseconds
//! to be sure of a write does not limit how many go through.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use alloy::consensus::{TxEnvelope, transaction::Recovered};
use alloy::primitives::B256;
use tokio::sync::{oneshot, watch};

use super::Mining;
use super::block::Block;
use super::clock::Clock;
use super::error::EmbeddedError;
use super::execute::{self, Draft, Sealed, Verdict};
use super::pool::{Pool, Rejected, Waiting};
use super::store::{Step, Store};
use super::view::{Event, HISTORY, Head, Journal, View};
use super::world::Changes;

/// The most transactions that are taken in at one step.
const BATCH: usize = 4096;

/// What the sequencer shares with those who read.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) chain_id: u64,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    view: RwLock<Arc<View>>,
    pool: Mutex<Pool>,
    journal: Mutex<Journal>,
    /// How many events there have been.
    news: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(chain_id: u64, store: Store, clock: Clock, view: View, pool: Pool) -> Shared {
        Shared {
            chain_id,
            store,
            clock,
            view: RwLock::new(Arc::new(view)),
            pool: Mutex::new(pool),
            journal: Mutex::default(),
            news: watch::Sender::new(0),
        }
    }

    /// The blocks and states as they are now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What waits. To be held briefly.
    pub(crate) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has happened. To be held briefly.
    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when there are events.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// A block by its number, from memory or the store.
    pub(crate) fn block(&self, number: u64) -> Result<Option<Arc<Block>>, EmbeddedError> {
        let view = self.view();
        match view.head(number) {
            Some(head) => Ok(Some(head.block.clone())),
            // A block is stored before it is seen.
            None if number > view.tip().block.number() => Ok(None),
            None => self.store.block(number),
        }
    }

    fn publish(&self, view: Option<View>, events: impl IntoIterator<Item = Event>) {
        if let Some(view) = view {
            *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
        }
        let mut journal = self.journal();
        events.into_iter().for_each(|event| journal.push(event));
        self.news.send_replace(journal.end());
    }
}

/// Why a transaction did not go in.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("the chain takes no more transactions: {0}; start it again")]
    Stopped(String),
}

/// A transaction, and who is to be told when it is stored.
pub(crate) type Submitted = (Recovered<TxEnvelope>, oneshot::Sender<Result<B256, Refusal>>);

/// What the sequencer is asked to do.
pub(crate) enum Command {
    /// Take a transaction in; the answer comes when it is stored.
    Submit(Box<Submitted>),
    /// Make a block, even an empty one.
    Mine(SyncSender<Result<u64, EmbeddedError>>),
    /// Drop the newest blocks; their transactions wait again, or are forgotten.
    Drop { blocks: usize, wait_again: bool, done: SyncSender<Result<(), EmbeddedError>> },
}

/// The thread's own state.
pub(crate) struct Sequencer {
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    mining: Mining,
    /// Set when the store has failed: the pool in memory may be ahead of the disk, so nothing is taken any more.
    failed: Option<String>,
}

impl Sequencer {
    pub(crate) fn new(shared: Arc<Shared>, commands: Receiver<Command>, mining: Mining) -> Sequencer {
        Sequencer { shared, commands, mining, failed: None }
    }

    /// Works until nobody can send commands any more.
    pub(crate) fn run(mut self) {
        let mut due = self.period().map(|period| Instant::now() + period);
        // What waited when the chain was closed may go into a block now.
        self.step(Vec::new());
        loop {
            let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
            let command = match wait {
                Some(wait) => self.commands.recv_timeout(wait),
                None => self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match command {
                Ok(first) => self.work(first),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    // If it fails, the next who asks for something is told.
                    let _ = self.advance(Fresh::default(), Want::Block);
                    due = self.period().map(|period| Instant::now() + period);
                }
            }
        }
    }

    fn period(&self) -> Option<Duration> {
        match self.mining {
            Mining::Every(period) => Some(period),
            Mining::OnDemand | Mining::ByHand => None,
        }
    }

    /// Does a command, together with all that have come meanwhile.
    fn work(&mut self, first: Command) {
        let mut submitted = Vec::new();
        let mut next = Some(first);
        while let Some(command) = next.take() {
            match command {
                Command::Submit(one) => submitted.push(*one),
                other => {
                    self.step(std::mem::take(&mut submitted));
                    self.control(other);
                }
            }
            if submitted.len() < BATCH {
                next = self.commands.try_recv().ok();
            }
        }
        self.step(submitted);
    }

    fn control(&mut self, command: Command) {
        match command {
            Command::Submit(..) => {}
            // Who has asked may have gone: then nobody wants the answer.
            Command::Mine(done) => {
                let made = self.advance(Fresh::default(), Want::Block);
                let _ = done.send(made.map(|_| self.shared.view().tip().block.number()));
            }
            Command::Drop { blocks, wait_again, done } => _ = done.send(self.drop_blocks(blocks, wait_again)),
        }
    }

    /// Takes transactions in, makes blocks of what may go into them if that is wanted, and answers.
    fn step(&mut self, submitted: Vec<Submitted>) {
        let view = self.shared.view();
        let mut fresh = Fresh::default();
        let mut answers = Vec::with_capacity(submitted.len());
        for (transaction, answer) in submitted {
            let hash = *transaction.tx_hash();
            match self.shared.pool().add(transaction, &view.tip().world) {
                Ok(taken) => {
                    fresh.hashes.push(hash);
                    fresh.left.extend(taken.left);
                    answers.push((hash, answer));
                }
                // Who has asked may have gone: then nobody wants the answer.
                Err(why) => _ = answer.send(Err(why.into())),
            }
        }
        let want = if matches!(self.mining, Mining::OnDemand) { Want::Transactions } else { Want::Nothing };
        loop {
            let done = self.advance(std::mem::take(&mut fresh), want);
            for (hash, answer) in answers.drain(..) {
                let refused = |why: &EmbeddedError| Refusal::Stopped(why.to_string());
                let _ = answer.send(done.as_ref().map(|_| hash).map_err(refused));
            }
            // A block that was full leaves some for the next.
            if !matches!(done, Ok(true)) {
                return;
            }
        }
    }

    /// Stores what has come and, if there is to be one, the next block; only then are they seen. Says whether there is one.
    fn advance(&mut self, fresh: Fresh, want: Want) -> Result<bool, EmbeddedError> {
        if let Some(why) = &self.failed {
            return Err(EmbeddedError::Stopped { why: why.clone() });
        }
        let view = self.shared.view();
        let sealed = self.draft(&view, want);
        let (waiting, left) = {
            let pool = self.shared.pool();
            let mut left = fresh.left;
            if let Some(sealed) = &sealed {
                left.extend(pool.outdated(sealed.changes.accounts.keys(), &sealed.world));
            }
            let gone: HashSet<u64> = left.iter().copied().collect();
            let waiting = fresh.hashes.iter().filter_map(|hash| pool.get(hash));
            (waiting.filter(|w| !gone.contains(&w.ticket)).cloned().collect::<Vec<_>>(), left)
        };
        let step = Step {
            forget: sealed.as_ref().and_then(|sealed| sealed.block.number().checked_sub(HISTORY as u64)),
            sealed: sealed.as_ref().map(|sealed| (&sealed.block, &sealed.changes, &sealed.undo)),
            waiting: waiting.iter().collect(),
            left,
            ..Step::default()
        };
        self.store(&step)?;
        let mut events: Vec<_> = fresh.hashes.into_iter().map(Event::Pending).collect();
        let Some(Sealed { block, world, changes, .. }) = sealed else {
            self.shared.publish(None, events);
            return Ok(false);
        };
        events.push(Event::Added { number: block.number(), hash: block.hash });
        let next = view.with(Head { block: Arc::new(block), world: world.clone() });
        self.shared.publish(Some(next), events);
        // Only now, so that a transaction is at every moment in the pool or in a block.
        self.shared.pool().settle(changes.accounts.keys(), &world);
        Ok(true)
    }

    /// The next block, if there is to be one.
    fn draft(&self, view: &View, want: Want) -> Option<Sealed> {
        if want == Want::Nothing {
            return None;
        }
        let Head { block: parent, world } = &**view.tip();
        let header = execute::next_header(parent, self.shared.clock.now());
        let ready = self.shared.pool().ready(world, execute::next_base_fee(&parent.header));
        if ready.is_empty() && want == Want::Transactions {
            return None;
        }
        let mut draft = Draft::new(header, view.ground(view.tip()), self.shared.chain_id);
        // Whose transaction did not go in: their later ones cannot either.
        let mut stuck = HashSet::new();
        for Waiting { transaction, .. } in &ready {
            let from = transaction.signer();
            if !stuck.contains(&from) && draft.include(transaction) != Verdict::Included {
                stuck.insert(from);
            }
        }
        (want == Want::Block || !draft.is_empty()).then(|| draft.seal(world))
    }

    /// Drops the newest blocks, as a chain does whose other branch has won.
    fn drop_blocks(&mut self, blocks: usize, wait_again: bool) -> Result<(), EmbeddedError> {
        let view = self.shared.view();
        let too_deep = || EmbeddedError::TooDeep { limit: view.depth() as u64 };
        let (next, dropped) = view.without(blocks).ok_or_else(too_deep)?;
        let undos: Vec<Changes> = dropped
            .iter()
            .map(|head| self.shared.store.undo(head.block.number())?.ok_or_else(too_deep))
            .collect::<Result<_, _>>()?;
        let tickets = self.shared.pool().next_ticket()..;
        let back = dropped.iter().rev().flat_map(|head| &head.block.transactions).filter(|_| wait_again);
        let back = tickets.zip(back);
        let waiting: Vec<_> =
            back.map(|(ticket, t)| Waiting { transaction: t.recovered(), ticket }).collect();
        let step = Step {
            dropped: dropped.iter().map(|head| &*head.block).zip(&undos).collect(),
            waiting: waiting.iter().collect(),
            ..Step::default()
        };
        self.store(&step)?;
        for waiting in waiting {
            self.shared.pool().put(waiting);
        }
        self.shared.publish(Some(next), dropped.iter().map(|head| Event::Removed(head.block.clone())));
        Ok(())
    }

    fn store(&mut self, step: &Step<'_>) -> Result<(), EmbeddedError> {
        if step.is_empty() {
            return Ok(());
        }
        self.shared.store.commit(step).inspect_err(|why| self.failed = Some(why.to_string()))
    }
}

/// What has come into the pool and is not stored yet.
#[derive(Default)]
struct Fresh {
    hashes: Vec<B256>,
    /// Tickets of those that had to leave.
    left: Vec<u64>,
}

/// Whether a block is to be made.
#[derive(Clone, Copy, PartialEq)]
enum Want {
    Nothing,
    /// If there are transactions for it.
    Transactions,
    /// In any case.
    Block,
}
