//! Large things, by the hash of their bytes.
//!
//! A blob is any bytes; its name is their BLAKE3 [`Root`]. Whoever knows the name can fetch the blob from anyone, strangers
//! among them: every 64 KiB are checked against the root before they are written, so a wrong byte is never stored, and the
//! first bytes can be used before the last have come. A blob arrives from several peers at once and goes on where it stopped
//! after a crash; what has arrived is given to others before it is whole.
//!
//! ```no_run
//! # async fn example(handle: net::Handle, somebody: net::PeerId) -> Result<(), Box<dyn std::error::Error>> {
//! use net::blob::{Blobs, Store, Uploads, Wish};
//! use tokio::io::AsyncReadExt;
//!
//! let store = Store::open("blobs".as_ref(), 50 << 30)?;
//! let blobs = Blobs::start(&handle, store, Uploads::default())?;
//! let ours = blobs.add_file("model.safetensors".as_ref()).await?;
//! println!("others can fetch {}", ours.root());
//!
//! let root = "a8f8cd7b6e1c1a3a5b6c7d8e9f00112233445566778899aabbccddeeff001122".parse()?;
//! let download = blobs.get(root, Wish { peers: vec![somebody], ..Wish::default() });
//! let mut first = [0; 1024];
//! download.reader().read_exact(&mut first).await?; // while the rest still comes
//! let theirs = download.done().await?;
//! # Ok(()) }
//! ```
//!
//! [`Store`] is the disk: one folder, a limit, pins, and eviction of what was not used for longest. [`Blobs`] connects it to
//! the network. `docs/blobs.md` has the protocol and the files in words.

mod bits;
mod disk;
mod download;
mod error;
mod fetch;
mod file;
mod import;
mod lane;
mod limits;
mod plan;
mod reader;
mod root;
mod serve;
mod store;
#[cfg(test)]
mod tests;
mod tree;
mod wire;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::Instant;

pub use download::{Download, Progress, Wish};
pub use error::Error;
pub use file::Blob;
pub use limits::Uploads;
pub use reader::Reader;
pub use root::Root;
pub use store::{Listed, Removed, Store};
#[doc(hidden)]
pub use wire::read_anything;

pub(crate) use lane::{fuzz as fuzz_lane, fuzz_example as fuzz_lane_example};
pub(crate) use wire::request_example;

use crate::memory::Pool;
use crate::{Handle, PeerId};
use download::{Active, Net};
use lane::Lanes;
use limits::{Gate, Intake};
use wire::{Gone, PROTOCOL, Wire};

/// A peer that lied is not asked again, and gets nothing, for so long.
const SHUNNED: Duration = Duration::from_hours(1);
/// Liars that are remembered, and peers without a lane.
const LIARS: usize = 4096;
/// A peer to whom there was no lane is not asked for one again for so long.
const NO_LANE: Duration = Duration::from_mins(5);
/// Blobs that the swarm is told of when a node starts: those used last.
const TOLD: usize = 512;

/// The blobs of a node: its store, what it gives to peers and what it fetches. Clones are the same.
#[derive(Clone, Debug)]
pub struct Blobs {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    net: Arc<dyn Net>,
    gate: Arc<Gate>,
    active: Mutex<HashMap<Root, Weak<Active>>>,
    tasks: Vec<AbortHandle>,
    /// Those who are served are left when it goes, so that nobody holds the store any more.
    _alive: watch::Sender<()>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blobs").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Blobs {
    /// Gives what is in the store to peers, and can fetch from now on. It runs in the tokio runtime that it is called in.
    pub fn start(handle: &Handle, store: Store, uploads: Uploads) -> Result<Blobs, crate::Error> {
        let (mut incoming, mut asking) = (handle.accept(PROTOCOL)?, handle.accept(lane::PROTOCOL)?);
        let net: Arc<dyn Net> = Arc::new(Peers {
            handle: handle.clone(),
            liars: Mutex::default(),
            lanes: uploads.lane_port.is_some(),
            no_lane: Mutex::default(),
            intake: Intake::default(),
        });
        let gate = Gate::new(uploads, handle.pool().clone());
        let (alive, ended) = watch::channel(());
        let (serving, to) = (store.clone(), net.clone());
        let kept = gate.clone();
        let serve = Arc::new(move |peer: PeerId, wire: Wire| {
            if to.is_liar(peer) {
                return;
            }
            let (store, gate, net, mut ended) = (serving.clone(), gate.clone(), to.clone(), ended.clone());
            tokio::spawn(async move {
                let served = tokio::select! {
                    served = serve::serve(store, gate, peer, wire) => served,
                    _ = ended.changed() => return,
                };
                if let Err(Gone::Lied) = served {
                    net.lied(peer).await;
                }
            });
        });
        let direct = serve.clone();
        let lanes = uploads.lane_port.and_then(|port| {
            let listening = Lanes::listen(port, move |peer, wire| direct(peer, wire));
            // A port that is taken is no reason to give nothing.
            listening.inspect_err(|error| tracing::warn!("no lanes, only streams: port {port}: {error}")).ok()
        });
        let (lanes, listening) = lanes.unzip();
        let lanes_asked = tokio::spawn(async move {
            while let Some(stream) = asking.next().await {
                let (lanes, peer) = (lanes.clone(), stream.peer());
                tokio::spawn(async move { lane::offer(lanes.as_deref(), peer, stream).await });
            }
        });
        let serve = tokio::spawn(async move {
            while let Some(stream) = incoming.next().await {
                serve(stream.peer(), Box::new(stream));
            }
        });
        let mut listed = store.list();
        listed.sort_by_key(|listed| std::cmp::Reverse(listed.used));
        let (telling, told, roots) =
            (net.clone(), store.clone(), listed.into_iter().take(TOLD).map(|listed| listed.root));
        let roots: Vec<Root> = roots.collect();
        let tell = tokio::spawn(async move {
            for root in roots {
                offer(telling.clone(), told.clone(), root).await;
            }
        });
        let (net_of_gone, mut gone) = (net.clone(), store.removals());
        let withdraw = tokio::spawn(async move {
            while let Some(root) = gone.recv().await {
                net_of_gone.withdraw(root).await;
            }
        });
        let tasks = [serve, lanes_asked, tell, withdraw]
            .map(|task| task.abort_handle())
            .into_iter()
            .chain(listening)
            .collect();
        let inner = Inner { store, net, gate: kept, active: Mutex::default(), tasks, _alive: alive };
        Ok(Blobs { inner: Arc::new(inner) })
    }

    /// From now on gives to all peers together, and fetches from them, no more bytes per second than this.
    pub fn set_rates(&self, up: Option<u64>, down: Option<u64>) {
        self.inner.gate.set_rate(up);
        self.inner.net.intake().set_rate(down);
    }

    /// The disk.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Takes in a file and tells the swarm that it can be had here.
    pub async fn add_file(&self, path: &Path) -> Result<Arc<Blob>, Error> {
        let (store, path): (Store, PathBuf) = (self.inner.store.clone(), path.to_owned());
        self.added(move || store.add_file(&path)).await
    }

    /// Takes in bytes and tells the swarm that they can be had here.
    pub async fn add(&self, bytes: Vec<u8>) -> Result<Arc<Blob>, Error> {
        let store = self.inner.store.clone();
        self.added(move || store.add(&bytes[..])).await
    }

    async fn added(
        &self,
        add: impl FnOnce() -> Result<Arc<Blob>, Error> + Send + 'static,
    ) -> Result<Arc<Blob>, Error> {
        let blob = spawn_blocking(add).await.unwrap_or_else(|broken| {
            let path = self.inner.store.folder().to_owned();
            Err(Error::Io { doing: "add to", path, source: std::io::Error::other(broken) })
        })?;
        tokio::spawn(offer(self.inner.net.clone(), self.inner.store.clone(), blob.root()));
        Ok(blob)
    }

    /// Fetches a blob, or what is missing of it. Asked twice for the same one, both get the same download.
    pub fn get(&self, root: Root, wish: Wish) -> Download {
        let mut active = self.inner.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.retain(|_, active| active.strong_count() > 0);
        if let Some(running) = active.get(&root).and_then(Weak::upgrade).map(Download::of)
            && running.join(&wish)
        {
            return running;
        }
        let download = Download::start(self.inner.store.clone(), self.inner.net.clone(), root, wish);
        active.insert(root, Arc::downgrade(download.active()));
        download
    }
}

/// Tells the swarm of a blob, and takes it back if the blob was evicted meanwhile.
async fn offer(net: Arc<dyn Net>, store: Store, root: Root) {
    net.provide(root).await;
    if !store.knows(root) {
        net.withdraw(root).await;
    }
}

/// The peers of a node, and those of them who lied.
struct Peers {
    handle: Handle,
    liars: Mutex<HashMap<PeerId, Instant>>,
    /// Whether lanes may be taken.
    lanes: bool,
    /// Peers to whom there was no lane the last time, and until when none is tried.
    no_lane: Mutex<HashMap<PeerId, Instant>>,
    /// What may come in per second.
    intake: Intake,
}

impl Peers {
    /// A lane to a peer, if there is a way.
    async fn lane(&self, peer: PeerId) -> Option<Wire> {
        let now = Instant::now();
        if !self.lanes {
            return None;
        }
        {
            let mut no_lane = self.no_lane.lock().unwrap_or_else(PoisonError::into_inner);
            no_lane.retain(|_, until| *until > now);
            if no_lane.contains_key(&peer) || no_lane.len() >= LIARS {
                return None;
            }
        }
        let taken = async {
            let mut stream = self.handle.open(peer, lane::PROTOCOL).await.ok()?;
            let remote = stream.remote()?;
            lane::take(&mut stream, remote).await
        };
        let taken = taken.await;
        if taken.is_none() {
            self.no_lane.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, now + NO_LANE);
        }
        taken
    }
}

impl Net for Peers {
    fn open(&self, peer: PeerId) -> BoxFuture<'_, Result<Wire, String>> {
        async move {
            if let Some(lane) = self.lane(peer).await {
                return Ok(lane);
            }
            let opened = self.handle.open(peer, PROTOCOL).await;
            opened.map(|stream| Box::new(stream) as Wire).map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn providers(&self, root: Root) -> BoxFuture<'_, Vec<PeerId>> {
        async move {
            let mut found = self.handle.providers(*root.bytes()).await.unwrap_or_default();
            found.retain(|peer| *peer != self.handle.peer_id());
            found
        }
        .boxed()
    }

    fn provide(&self, root: Root) -> BoxFuture<'_, ()> {
        async move {
            if let Err(error) = self.handle.provide(*root.bytes()).await {
                tracing::debug!(%root, "the swarm was not told of a blob: {error}");
            }
        }
        .boxed()
    }

    fn withdraw(&self, root: Root) -> BoxFuture<'_, ()> {
        async move {
            let _ = self.handle.stop_providing(*root.bytes()).await;
        }
        .boxed()
    }

    fn memory(&self) -> &Pool {
        self.handle.pool()
    }

    fn intake(&self) -> &Intake {
        &self.intake
    }

    fn lied(&self, peer: PeerId) -> BoxFuture<'_, ()> {
        async move {
            {
                let mut liars = self.liars.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                liars.retain(|_, until| *until > now);
                if liars.len() < LIARS {
                    liars.insert(peer, now + SHUNNED);
                }
            }
            tracing::warn!(%peer, "sent bytes that are not the blob's, and is shunned");
            let _ = self.handle.disconnect(peer).await;
        }
        .boxed()
    }

    fn is_liar(&self, peer: PeerId) -> bool {
        let liars = self.liars.lock().unwrap_or_else(PoisonError::into_inner);
        liars.get(&peer).is_some_and(|until| *until > Instant::now())
    }
}
