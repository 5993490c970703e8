//! A download: finds who has a blob, fetches from several of them at once, and goes on until all that is wanted is here or
//! nobody gives it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::Instant;

use super::fetch::{Ended, fetch};
use super::limits::Intake;
use super::plan::Plan;
use super::reader::Reader;
use super::wire::{Gone, Wire};
use super::{Blob, Error, Root, Store, offer};
use crate::PeerId;
use crate::memory::Pool;

/// Peers that one blob is fetched from at once.
const PEERS: usize = 8;
/// Peers that one download remembers, good or bad.
const KNOWN: usize = 256;
/// A peer that failed so often in a row, and gave nothing in between, is not asked again.
const STRIKES: u32 = 4;
/// The swarm is asked again who has the blob after this.
const LOOK: Duration = Duration::from_secs(10);

/// The network as blobs need it.
pub(crate) trait Net: Send + Sync + 'static {
    /// Opens a stream to a peer.
    fn open(&self, peer: PeerId) -> BoxFuture<'_, Result<Wire, String>>;
    /// Who says that they have a blob.
    fn providers(&self, root: Root) -> BoxFuture<'_, Vec<PeerId>>;
    /// Says that we have a blob.
    fn provide(&self, root: Root) -> BoxFuture<'_, ()>;
    /// Says so no more.
    fn withdraw(&self, root: Root) -> BoxFuture<'_, ()>;
    /// What may be held of others' bytes.
    fn memory(&self) -> &Pool;
    /// What may come in per second.
    fn intake(&self) -> &Intake;
    /// A peer was caught lying.
    fn lied(&self, peer: PeerId) -> BoxFuture<'_, ()>;
    /// Whether a peer was caught before.
    fn is_liar(&self, peer: PeerId) -> bool;
}

/// What to fetch, and how.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Peers that may have it; those the swarm knows of are asked as well.
    pub peers: Vec<PeerId>,
    /// The bytes that are wanted; all, if none are named.
    pub bytes: Option<Range<u64>>,
    /// Nothing is fetched of a blob that is larger.
    pub limit_bytes: u64,
    /// It is given up when nothing has come for so long.
    pub patience: Duration,
}

impl Default for Wish {
    fn default() -> Wish {
        Wish { peers: Vec::new(), bytes: None, limit_bytes: u64::MAX, patience: Duration::from_mins(1) }
    }
}

/// How far a download is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The blob's size, once it is known and proved.
    pub size: Option<u64>,
    /// How many of its bytes are here, each checked.
    pub present: u64,
    /// From how many peers it is being fetched.
    pub peers: usize,
}

/// A blob on its way here. It goes on as long as the download or a reader of it is kept.
#[derive(Clone, Debug)]
pub struct Download {
    active: Arc<Active>,
}

/// How something ended, once it has.
type Outcome = Option<Result<(), Arc<Error>>>;

/// The work of a download, which ends when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the workers of a download, its readers and its driver share.
pub(crate) struct Shared {
    pub(crate) root: Root,
    pub(crate) store: Store,
    pub(crate) net: Arc<dyn Net>,
    pub(crate) limit_bytes: u64,
    patience: Duration,
    /// Told when what a worker was fetching may be fetched by others, or is wanted earlier.
    pub(crate) freed: Notify,
    wish: Mutex<Option<Range<u64>>>,
    plan: Mutex<Option<Plan>>,
    blob: watch::Sender<Option<Arc<Blob>>>,
    peers: watch::Sender<usize>,
    outcome: watch::Sender<Outcome>,
    /// Set when the blob lies on the disk, whole.
    kept: watch::Sender<Outcome>,
    more: mpsc::Sender<PeerId>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Download {
    pub(crate) fn start(store: Store, net: Arc<dyn Net>, root: Root, wish: Wish) -> Download {
        let (more, others) = mpsc::channel(KNOWN);
        let shared = Arc::new(Shared {
            root,
            store,
            net,
            limit_bytes: wish.limit_bytes,
            patience: wish.patience,
            freed: Notify::new(),
            wish: Mutex::new(wish.bytes),
            plan: Mutex::new(None),
            blob: watch::Sender::new(None),
            peers: watch::Sender::new(0),
            outcome: watch::Sender::new(None),
            kept: watch::Sender::new(None),
            more,
        });
        let driver = Driver {
            shared: shared.clone(),
            known: BTreeMap::new(),
            workers: JoinSet::new(),
            next_worker: 0,
        };
        let task = tokio::spawn(driver.drive(wish.peers, others)).abort_handle();
        Download { active: Arc::new(Active { shared, task }) }
    }

    pub(crate) fn of(active: Arc<Active>) -> Download {
        Download { active }
    }

    pub(crate) fn active(&self) -> &Arc<Active> {
        &self.active
    }

    /// Wants more of the same blob, perhaps from more peers. Says whether the download still runs, and so will do it.
    pub(crate) fn join(&self, wish: &Wish) -> bool {
        let shared = &self.active.shared;
        if shared.outcome.borrow().is_some() {
            return false;
        }
        for peer in &wish.peers {
            let _ = shared.more.try_send(*peer);
        }
        let mut known = shared.wish.lock().unwrap_or_else(PoisonError::into_inner);
        *known = match (known.take(), &wish.bytes) {
            (Some(a), Some(b)) => Some(a.start.min(b.start)..a.end.max(b.end)),
            _ => None,
        };
        if let Some(blob) = shared.known() {
            let groups = groups(&blob, known.clone());
            shared.plan(|plan| plan.widen(groups));
            shared.freed.notify_waiters();
        }
        true
    }

    /// The blob's name.
    pub fn root(&self) -> Root {
        self.active.shared.root
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let shared = &self.active.shared;
        let blob = shared.blob.borrow().clone();
        Progress {
            size: blob.as_ref().map(|blob| blob.size()),
            present: blob.map_or(0, |blob| blob.present()),
            peers: *shared.peers.borrow(),
        }
    }

    /// Reads the blob while it arrives. Where it reads is fetched first.
    pub fn reader(&self) -> Reader {
        Reader::new(self.active.clone())
    }

    /// Waits until all that is wanted is here, checked and readable. It may not have reached the disk's surface yet: see
    /// [`kept`](Self::kept).
    pub async fn done(&self) -> Result<Arc<Blob>, Arc<Error>> {
        let shared = &self.active.shared;
        ended(&shared.outcome, shared.root).await?;
        shared.known().ok_or_else(|| Arc::new(Error::NotHere { root: shared.root }))
    }

    /// Waits until what is wanted would survive a power cut.
    pub async fn kept(&self) -> Result<Arc<Blob>, Arc<Error>> {
        let blob = self.done().await?;
        ended(&self.active.shared.kept, blob.root()).await?;
        Ok(blob)
    }
}

async fn ended(outcome: &watch::Sender<Outcome>, root: Root) -> Result<(), Arc<Error>> {
    let mut outcome = outcome.subscribe();
    let ended = outcome.wait_for(Option::is_some).await;
    ended.ok().and_then(|ended| ended.clone()).unwrap_or_else(|| Err(Arc::new(Error::Stopped { root })))
}

/// The groups of a wish.
fn groups(blob: &Blob, bytes: Option<Range<u64>>) -> Range<u64> {
    bytes.map_or(0..blob.shape().groups(), |bytes| blob.shape().groups_of(bytes))
}

impl Shared {
    /// The blob, once its size is known.
    pub(crate) fn known(&self) -> Option<Arc<Blob>> {
        self.blob.borrow().clone()
    }

    /// The first who knows the size begins; the others get what it began.
    pub(crate) fn set_known(&self, blob: Arc<Blob>) -> Arc<Blob> {
        let wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        self.blob.send_if_modified(|known| {
            if known.is_some() {
                return false;
            }
            let plan = Plan::new(groups(&blob, wish.clone()));
            *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
            *known = Some(blob.clone());
            true
        });
        drop(wish);
        self.known().unwrap_or(blob)
    }

    /// Waits until the size is known.
    pub(crate) async fn sized(&self) -> Result<Arc<Blob>, Arc<Error>> {
        let (mut blob, mut outcome) = (self.blob.subscribe(), self.outcome.subscribe());
        tokio::select! {
            biased;
            blob = blob.wait_for(Option::is_some) => {
                let blob = blob.ok().and_then(|blob| blob.clone());
                blob.ok_or_else(|| Arc::new(Error::Stopped { root: self.root }))
            }
            failed = outcome.wait_for(|outcome| matches!(outcome, Some(Err(_)))) => {
                let failed = failed.ok().and_then(|failed| failed.clone());
                Err(failed.and_then(Result::err).unwrap_or_else(|| Arc::new(Error::Stopped { root: self.root })))
            }
        }
    }

    /// Waits until a group is here.
    pub(crate) async fn there(&self, blob: &Blob, group: u64) -> Result<(), Arc<Error>> {
        let (mut changes, mut outcome) = (blob.changes(), self.outcome.subscribe());
        loop {
            changes.mark_unchanged();
            if blob.has(group..group + 1) {
                return Ok(());
            }
            let ended = outcome.borrow_and_update().clone();
            match ended {
                Some(Err(error)) => return Err(error),
                // It ended well and this is not here: it was not wanted.
                Some(Ok(())) => return Err(Arc::new(Error::NotHere { root: self.root })),
                None => {}
            }
            if self.plan(|plan| !plan.wanted().contains(&group)).unwrap_or(false) {
                return Err(Arc::new(Error::NotHere { root: self.root }));
            }
            tokio::select! {
                _ = changes.changed() => {}
                _ = outcome.changed() => {}
            }
        }
    }

    /// Does something with the plan, if there is one yet.
    pub(crate) fn plan<T>(&self, with: impl FnOnce(&mut Plan) -> T) -> Option<T> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(with)
    }
}

/// Finds peers and puts them to work.
struct Driver {
    shared: Arc<Shared>,
    known: BTreeMap<PeerId, Candidate>,
    workers: JoinSet<(PeerId, u64, Ended)>,
    next_worker: u64,
}

/// A peer that may give something.
#[derive(Debug)]
struct Candidate {
    working: bool,
    strikes: u32,
    /// Not asked before this; never, if none.
    again: Option<Instant>,
    last: Option<Gone>,
}

impl Driver {
    async fn drive(mut self, peers: Vec<PeerId>, others: mpsc::Receiver<PeerId>) {
        let outcome = self.fetch_all(peers, others).await;
        self.workers.shutdown().await;
        let shared = self.shared;
        shared.peers.send_replace(0);
        let outcome = outcome.map_err(Arc::new);
        shared.outcome.send_replace(Some(outcome.clone()));
        // By itself: whoever has what it wanted may drop the download, and the blob is put in its place all the same.
        if outcome.is_ok() {
            tokio::spawn(async move {
                let (store, blob) = (shared.store.clone(), shared.known());
                let kept = spawn_blocking(move || match blob {
                    Some(blob) if blob.is_whole() => store.finish(&blob),
                    Some(blob) => blob.sync(),
                    None => Ok(()),
                });
                let kept = kept.await.unwrap_or(Err(Error::Stopped { root: shared.root }));
                if let Err(error) = &kept {
                    tracing::warn!("a blob was fetched but not kept: {error}");
                }
                shared.kept.send_replace(Some(kept.map_err(Arc::new)));
                offer(shared.net.clone(), shared.store.clone(), shared.root).await;
            });
        } else {
            shared.kept.send_replace(Some(outcome));
        }
    }

    async fn fetch_all(
        &mut self,
        peers: Vec<PeerId>,
        mut others: mpsc::Receiver<PeerId>,
    ) -> Result<(), Error> {
        let (shared, root) = (self.shared.clone(), self.shared.root);
        let store = shared.store.clone();
        let found = spawn_blocking(move || store.find(root)).await.map_err(|_| Error::Stopped { root })??;
        if let Some(blob) = found {
            let blob = shared.set_known(blob);
            if shared.plan(|plan| blob.has(plan.wanted())) == Some(true) {
                return Ok(());
            }
        }
        for peer in peers {
            self.meet(peer);
        }
        let net = shared.net.clone();
        let mut looking = Some(net.providers(root));
        let mut look = Instant::now() + LOOK;
        let (mut best, mut patience) = (0, Instant::now() + shared.patience);
        let mut provided = false;
        loop {
            self.put_to_work();
            let next = self.known.values().filter(|peer| !peer.working).filter_map(|peer| peer.again).min();
            let present = shared.known().map_or(0, |blob| blob.present());
            if present > best {
                (best, patience) = (present, Instant::now() + shared.patience);
            }
            if self.workers.is_empty() && next.is_none() && looking.is_none() {
                return Err(self.nobody("all were asked"));
            }
            // What there is of it can be had from us, before it is whole.
            if !provided && present > 0 && shared.known().is_some_and(|blob| !blob.is_whole()) {
                provided = true;
                tokio::spawn(offer(net.clone(), shared.store.clone(), root));
            }
            let again = next.filter(|_| self.workers.len() < PEERS);
            let wake =
                [again, looking.is_none().then_some(look)].into_iter().flatten().min().unwrap_or(patience);
            tokio::select! {
                Some(ended) = self.workers.join_next() => {
                    if let Ok((peer, worker, ended)) = ended && self.ended(peer, worker, ended).await? {
                        return Ok(());
                    }
                }
                found = async { match &mut looking { Some(looking) => looking.await, None => std::future::pending().await } } => {
                    looking = None;
                    for peer in found {
                        self.meet(peer);
                    }
                }
                Some(peer) = others.recv() => self.meet(peer),
                () = tokio::time::sleep_until(wake.min(patience)) => {
                    let now = Instant::now();
                    if now >= look && looking.is_none() {
                        looking = Some(net.providers(root));
                        look = now + LOOK;
                    }
                    let present = shared.known().map_or(0, |blob| blob.present());
                    if now >= patience && present <= best {
                        return Err(self.nobody("nothing came for too long"));
                    }
                }
            }
        }
    }

    /// Remembers a peer that may have the blob.
    fn meet(&mut self, peer: PeerId) {
        if self.known.len() < KNOWN && !self.shared.net.is_liar(peer) {
            let new = Candidate { working: false, strikes: 0, again: Some(Instant::now()), last: None };
            self.known.entry(peer).or_insert(new);
        }
    }

    fn put_to_work(&mut self) {
        let now = Instant::now();
        for (peer, candidate) in &mut self.known {
            if self.workers.len() >= PEERS {
                break;
            }
            if !candidate.working && candidate.again.is_some_and(|again| again <= now) {
                candidate.working = true;
                self.next_worker += 1;
                let (shared, worker, peer) = (self.shared.clone(), self.next_worker, *peer);
                self.workers.spawn(async move { (peer, worker, fetch(shared, worker, peer).await) });
            }
        }
        self.shared
            .peers
            .send_if_modified(|peers| std::mem::replace(peers, self.workers.len()) != self.workers.len());
    }

    /// A worker is done with its peer. Says whether all is here.
    async fn ended(&mut self, peer: PeerId, worker: u64, ended: Ended) -> Result<bool, Error> {
        let gone = match ended {
            Ended::Done => return Ok(true),
            Ended::Store(error) => return Err(error),
            Ended::Gone(Gone::TooLarge(size)) => {
                let (root, limit) = (self.shared.root, self.shared.limit_bytes);
                return Err(Error::TooLarge { root, size, limit });
            }
            Ended::Gone(gone) => gone,
        };
        tracing::debug!(%peer, worker, ?gone, "a peer gives no more");
        if gone == Gone::Lied {
            self.shared.net.lied(peer).await;
        }
        if let Some(candidate) = self.known.get_mut(&peer) {
            candidate.working = false;
            candidate.strikes += 1;
            candidate.last = Some(gone);
            let wait = Duration::from_millis(250) * 2u32.pow(candidate.strikes.min(6));
            candidate.again = match gone {
                Gone::Lied => None,
                // It was well enough, and has more to do than time: keep trying until patience ends.
                Gone::Busy => Some(Instant::now() + wait),
                _ if candidate.strikes >= STRIKES => None,
                _ => Some(Instant::now() + wait),
            };
        }
        Ok(false)
    }

    /// Why it was given up, in words.
    fn nobody(&self, end: &str) -> Error {
        let root = self.shared.root;
        let missing = self.shared.known().map_or("nothing of it is here".to_owned(), |blob| {
            format!("{} of {} bytes are here", blob.present(), blob.size())
        });
        let count = |gone: Gone| self.known.values().filter(|peer| peer.last == Some(gone)).count();
        let kinds = [
            (Gone::NotHere, "do not have it"),
            (Gone::Broken, "could not be reached or went away"),
            (Gone::Slow, "were too slow"),
            (Gone::Busy, "were busy"),
            (Gone::Lied, "sent wrong bytes and are not asked again"),
        ];
        let said: Vec<String> = kinds
            .iter()
            .filter(|(gone, _)| count(*gone) > 0)
            .map(|(gone, say)| format!("{} {say}", count(*gone)))
            .collect();
        let why = match (self.known.len(), said.is_empty()) {
            (0, _) => "nobody says that they have it".to_owned(),
            (known, true) => format!("{end}, {known} peers"),
            (known, false) => format!("{end}; of {known} peers, {}", said.join(", ")),
        };
        Error::NoPeers { root, missing, why }
    }
}
