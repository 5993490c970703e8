//! Downloads between stores over pipes in memory, with peers of every kind at the other end.

use std::collections::{HashMap, HashSet};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, DuplexStream, ReadBuf};
use tokio::sync::watch;

use super::tree::tests::some_bytes;
use super::tree::{GROUP, PART_GROUPS};
use super::wire::{REQUEST, Request, Span, Status};
use super::*;
use crate::memory::Pool;

const G: usize = GROUP as usize;
const P: usize = (GROUP * PART_GROUPS) as usize;
const ROOM: u64 = 1 << 30;

/// What the network does to the bytes that a server sends.
#[derive(Clone, Default)]
struct Weather {
    /// Flips a bit of the byte at this place.
    flip: Option<u64>,
    /// Nothing comes from here on, and the stream stays open.
    silence: Option<u64>,
    /// The stream ends here.
    cut: Option<u64>,
    /// Nothing passes this place before the gate is opened.
    gate: Option<(u64, watch::Receiver<bool>)>,
    /// How many bytes there were in all.
    passed: Arc<AtomicU64>,
}

/// A pipe in memory, with weather for what is written into it.
struct Pipe {
    inner: DuplexStream,
    weather: Weather,
    at: u64,
    waiting: Option<BoxFuture<'static, ()>>,
}

impl Pipe {
    fn pair(weather: Weather) -> (Wire, Wire) {
        let (ours, theirs) = tokio::io::duplex(256 << 10);
        let pipe = |inner, weather| Box::new(Pipe { inner, weather, at: 0, waiting: None }) as Wire;
        (pipe(ours, Weather::default()), pipe(theirs, weather))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(to);
        ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.inner), cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let at = self.at;
        if self.weather.silence.is_some_and(|place| at >= place) {
            return Poll::Pending;
        }
        if self.weather.cut.is_some_and(|place| at >= place) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if let Some((place, gate)) = self.weather.gate.clone()
            && at >= place
        {
            let mut gate = gate;
            let wait = async move { drop(gate.wait_for(|open| *open).await) };
            ready!(self.waiting.get_or_insert_with(|| wait.boxed()).poll_unpin(cx));
            self.weather.gate = None;
        }
        let gate = self.weather.gate.as_ref().map(|(place, _)| *place);
        let places = [self.weather.flip, self.weather.silence, self.weather.cut, gate];
        let until = places.into_iter().flatten().filter(|place| *place > at).min().unwrap_or(u64::MAX);
        let mut bytes = from[..(from.len() as u64).min(until - at) as usize].to_vec();
        if self.weather.flip == Some(at) {
            bytes[0] ^= 4;
        }
        let len = ready!(tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.inner), cx, &bytes))?;
        self.at += len as u64;
        self.weather.passed.fetch_add(len as u64, Ordering::Relaxed);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.inner), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.inner), cx)
    }
}

/// A network of stores in memory.
#[derive(Clone, Default)]
struct Town {
    peers: Arc<Mutex<HashMap<PeerId, Server>>>,
    liars: Arc<Mutex<HashSet<PeerId>>>,
    providers: Arc<Mutex<Vec<PeerId>>>,
    memory: Pool,
    intake: Arc<Intake>,
}

#[derive(Clone)]
enum Server {
    Honest(Store, Arc<Gate>, Weather),
    /// Sends these bytes whatever it is asked.
    Parrot(Vec<u8>),
    Absent,
}

fn peer(n: u8) -> PeerId {
    PeerId::from_secret(&[n; 32]).unwrap()
}

impl Town {
    fn honest(&self, n: u8, store: &Store, weather: Weather) -> PeerId {
        let server = Server::Honest(store.clone(), Gate::new(Uploads::default(), Pool::default()), weather);
        self.peers.lock().unwrap().insert(peer(n), server);
        peer(n)
    }

    fn parrot(&self, n: u8, bytes: &[u8]) -> PeerId {
        self.peers.lock().unwrap().insert(peer(n), Server::Parrot(bytes.to_vec()));
        peer(n)
    }

    fn get(&self, store: &Store, root: Root, peers: &[PeerId]) -> Download {
        self.wish(store, root, Wish { peers: peers.to_vec(), ..Wish::default() })
    }

    fn wish(&self, store: &Store, root: Root, wish: Wish) -> Download {
        Download::start(store.clone(), Arc::new(self.clone()), root, wish)
    }

    fn liars(&self) -> HashSet<PeerId> {
        self.liars.lock().unwrap().clone()
    }
}

impl Net for Town {
    fn open(&self, peer: PeerId) -> BoxFuture<'_, Result<Wire, String>> {
        let server = self.peers.lock().unwrap().get(&peer).cloned().unwrap_or(Server::Absent);
        async move {
            match server {
                Server::Absent => Err("absent".to_owned()),
                Server::Honest(store, gate, weather) => {
                    let (ours, theirs) = Pipe::pair(weather);
                    tokio::spawn(serve::serve(store, gate, peer, theirs));
                    Ok(ours)
                }
                Server::Parrot(bytes) => {
                    let (ours, mut theirs) = Pipe::pair(Weather::default());
                    tokio::spawn(async move {
                        let mut request = [0; REQUEST];
                        theirs.read_exact(&mut request).await?;
                        theirs.write_all(&bytes).await?;
                        // Then it says no more, and does not leave.
                        std::future::pending::<io::Result<()>>().await
                    });
                    Ok(ours)
                }
            }
        }
        .boxed()
    }

    fn providers(&self, _: Root) -> BoxFuture<'_, Vec<PeerId>> {
        let providers = self.providers.lock().unwrap().clone();
        async move { providers }.boxed()
    }

    fn provide(&self, _: Root) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn withdraw(&self, _: Root) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn memory(&self) -> &Pool {
        &self.memory
    }

    fn intake(&self) -> &Intake {
        &self.intake
    }

    fn lied(&self, peer: PeerId) -> BoxFuture<'_, ()> {
        self.liars.lock().unwrap().insert(peer);
        async {}.boxed()
    }

    fn is_liar(&self, peer: PeerId) -> bool {
        self.liars.lock().unwrap().contains(&peer)
    }
}

/// A store in a folder that goes with it.
fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), ROOM).unwrap();
    (folder, store)
}

/// A store that has some bytes.
fn stored(bytes: &[u8]) -> (tempfile::TempDir, Store) {
    let (folder, store) = store();
    assert_eq!(store.add(bytes).unwrap().root(), Root::of(bytes));
    (folder, store)
}

/// A store that has some parts of some bytes.
fn partly(bytes: &[u8], parts: &[u64]) -> (tempfile::TempDir, Store) {
    let (folder, store) = store();
    let shape = tree::Shape::new(bytes.len() as u64).unwrap();
    let tree = tree::tests::tree(bytes);
    let blob = store.begin(Root::of(bytes), shape).unwrap();
    let put = |part: u64, groups: std::ops::Range<u64>| {
        let proved = blob.prove(part, &tree::tests::proof(shape, &tree, part)).unwrap();
        let place = shape.bytes(groups.clone());
        blob.put(&proved, groups.start, &bytes[place.start as usize..place.end as usize]).unwrap();
    };
    for part in parts {
        put(*part, shape.groups_of_part(*part));
    }
    // Whoever knows the size has the last group.
    put(shape.parts() - 1, shape.groups() - 1..shape.groups());
    (folder, store)
}

fn read_all(blob: &Blob) -> Vec<u8> {
    let mut bytes = vec![0; blob.size() as usize];
    blob.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Every group that counts as here is right.
fn nothing_wrong(store: &Store, bytes: &[u8]) {
    if let Some(blob) = store.find(Root::of(bytes)).unwrap() {
        for at in (0..bytes.len()).step_by(G) {
            let end = (at + G).min(bytes.len());
            let mut read = vec![0; end - at];
            if blob.read_at(at as u64, &mut read).is_ok() {
                assert!(read == bytes[at..end], "wrong bytes at {at}");
            }
        }
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}

#[test]
fn blobs_of_all_sizes_arrive_and_are_kept() {
    run(async {
        for len in [0, 1, G - 1, G, G + 1, P, P + 1, 2 * P + 5 * G + 17] {
            let bytes = some_bytes(len, 1);
            let (_from, served) = stored(&bytes);
            let (folder, store) = store();
            let town = Town::default();
            let download = town.get(&store, Root::of(&bytes), &[town.honest(1, &served, Weather::default())]);
            let blob = download.kept().await.unwrap();
            assert!(read_all(&blob) == bytes, "{len}");
            assert_eq!(download.progress().present, len as u64);
            drop((blob, download, store));
            let again = Store::open(folder.path(), ROOM).unwrap();
            assert!(read_all(&again.blob(Root::of(&bytes)).unwrap()) == bytes, "{len}");
            again.verify(Root::of(&bytes)).unwrap();
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_wrong_byte_anywhere_is_never_stored(len in 1..2 * P, place in any::<u64>(), with_help in any::<bool>()) {
        run(async {
            let bytes = some_bytes(len, 2);
            let root = Root::of(&bytes);
            let (_from, served) = stored(&bytes);
            let (_to, store) = store();
            let town = Town::default();
            // The whole answer: statuses, size, proofs, data, parts.
            let flip = Some(place % (len as u64 + 64));
            let liar = town.honest(1, &served, Weather { flip, ..Weather::default() });
            let mut peers = vec![liar];
            if with_help {
                peers.push(town.honest(2, &served, Weather::default()));
            }
            let download = town.get(&store, root, &peers);
            let done = download.done().await;
            nothing_wrong(&store, &bytes);
            prop_assert!(!town.liars().contains(&peer(2)));
            if with_help {
                prop_assert!(read_all(&done.unwrap()) == bytes);
            } else if let Ok(blob) = done {
                // The byte that says that a whole blob is partial, say, harms nobody.
                prop_assert!(read_all(&blob) == bytes);
            }
            Ok(())
        })?;
    }

    #[test]
    fn one_that_leaves_or_falls_silent_anywhere_holds_up_nothing(len in 1..3 * P, place in any::<u64>(), silent in any::<bool>()) {
        run(async {
            let bytes = some_bytes(len, 3);
            let (_from, served) = stored(&bytes);
            let (_to, store) = store();
            let town = Town::default();
            let place = Some(place % (len as u64 + 64));
            let weather = if silent { Weather { silence: place, ..Weather::default() } } else { Weather { cut: place, ..Weather::default() } };
            let peers = [town.honest(1, &served, weather), town.honest(2, &served, Weather::default())];
            let download = town.get(&store, Root::of(&bytes), &peers);
            prop_assert!(read_all(&download.done().await.unwrap()) == bytes);
            prop_assert!(town.liars().is_empty());
            Ok(())
        })?;
    }

    #[test]
    fn whatever_a_parrot_says_it_is_left(bytes in prop::collection::vec(any::<u8>(), 0..300), here in any::<bool>()) {
        run(async {
            let (_to, store) = store();
            let town = Town::default();
            let said = if here { [&[0][..], &bytes].concat() } else { bytes };
            let wish = Wish { peers: vec![town.parrot(1, &said)], patience: Duration::from_secs(200), ..Wish::default() };
            let download = town.wish(&store, Root::of(b"something else"), wish);
            let refused = matches!(*download.done().await.unwrap_err(), Error::NoPeers { .. });
            prop_assert!(refused);
            prop_assert_eq!(store.list(), vec![]);
            Ok(())
        })?;
    }
}

#[test]
fn a_lie_names_the_liar_and_it_is_not_asked_again() {
    run(async {
        let bytes = some_bytes(P + 9, 4);
        let (_from, served) = stored(&bytes);
        let (_to, store) = store();
        let town = Town::default();
        let weather = Weather { flip: Some(P as u64 / 2), ..Weather::default() };
        let liar = town.honest(1, &served, weather.clone());
        let error = town.get(&store, Root::of(&bytes), &[liar]).done().await.unwrap_err();
        assert!(error.to_string().contains("sent wrong bytes"), "{error}");
        assert!(town.liars().contains(&liar));
        let passed = weather.passed.load(Ordering::Relaxed);
        let error = town.get(&store, Root::of(&bytes), &[liar]).done().await.unwrap_err();
        assert!(error.to_string().contains("nobody says that they have it"), "{error}");
        assert_eq!(weather.passed.load(Ordering::Relaxed), passed);
        // What it sent before the lie was right, and is there for the next one.
        assert!(store.find(Root::of(&bytes)).unwrap().unwrap().present() > 0);
    });
}

#[test]
fn huge_sizes_take_nothing() {
    run(async {
        let town = Town::default();
        for size in [1u64 << 40, 1 << 44, (1 << 44) + 1, u64::MAX] {
            let (_to, store) = store();
            let said = [&[0][..], &size.to_le_bytes(), &vec![7; 200 << 10]].concat();
            let liar = town.parrot(1, &said);
            let error = town.get(&store, Root::of(b"small"), &[liar]).done().await.unwrap_err();
            assert!(matches!(*error, Error::NoPeers { .. }), "{error}");
            assert!(town.liars.lock().unwrap().remove(&liar), "{size}");
            assert_eq!(store.usage().0, 0);
        }
    });
}

#[test]
fn what_is_too_large_or_does_not_fit_is_refused_by_its_proved_size() {
    run(async {
        let bytes = some_bytes(P, 5);
        let (_from, served) = stored(&bytes);
        let (_to, store) = store();
        let town = Town::default();
        let peers = vec![town.honest(1, &served, Weather::default())];
        let wish = Wish { peers: peers.clone(), limit_bytes: 1000, ..Wish::default() };
        let error = town.wish(&store, Root::of(&bytes), wish).done().await.unwrap_err();
        assert!(matches!(*error, Error::TooLarge { limit: 1000, .. }), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let small = Store::open(folder.path(), 1 << 20).unwrap();
        let error = town.get(&small, Root::of(&bytes), &peers).done().await.unwrap_err();
        assert!(matches!(*error, Error::Quota { limit: 1048576, .. }), "{error}");
        assert_eq!(store.list(), vec![]);
        assert_eq!(small.usage().0, 0);
    });
}

#[test]
fn peers_with_different_parts_make_a_whole() {
    run(async {
        let bytes = some_bytes(6 * P + 100, 6);
        let root = Root::of(&bytes);
        let held = [partly(&bytes, &[0, 3]), partly(&bytes, &[1, 4, 6]), partly(&bytes, &[2, 5])];
        let (_to, store) = store();
        let town = Town::default();
        let peers: Vec<PeerId> =
            held.iter().zip(1..).map(|((_, store), n)| town.honest(n, store, Weather::default())).collect();
        // One is a hint, the others are found.
        *town.providers.lock().unwrap() = peers[1..].to_vec();
        let blob = town.get(&store, root, &peers[..1]).done().await.unwrap();
        assert!(read_all(&blob) == bytes);
    });
}

#[test]
fn a_partial_blob_is_given_while_it_grows() {
    run(async {
        let bytes = some_bytes(3 * P, 7);
        let root = Root::of(&bytes);
        let (_from, served) = stored(&bytes);
        let ((_middle, between), (_to, store)) = (store(), store());
        let town = Town::default();
        let (open, gate) = watch::channel(false);
        let gated = Weather { gate: Some((P as u64 * 3 / 2, gate)), ..Weather::default() };
        let first = town.get(&between, root, &[town.honest(1, &served, gated)]);
        let mut head = vec![0; 100];
        first.reader().read_exact(&mut head).await.unwrap();
        let second = town.get(&store, root, &[town.honest(2, &between, Weather::default())]);
        // The last in the row reads what the middle one does not have whole yet.
        let mut reader = second.reader();
        let mut read = vec![0; P / 2];
        reader.read_exact(&mut read).await.unwrap();
        assert!(read == bytes[..P / 2] && first.progress().present < bytes.len() as u64);
        open.send(true).unwrap();
        assert!(read_all(&second.done().await.unwrap()) == bytes);
        assert!(read_all(&first.done().await.unwrap()) == bytes);
    });
}

#[test]
fn a_download_goes_on_where_it_stopped() {
    run(async {
        let bytes = some_bytes(4 * P, 8);
        let root = Root::of(&bytes);
        let (_from, served) = stored(&bytes);
        let (folder, store) = store();
        let town = Town::default();
        let cut = Weather { cut: Some(5 * P as u64 / 2), ..Weather::default() };
        let wish = Wish {
            peers: vec![town.honest(1, &served, cut)],
            patience: Duration::from_millis(1),
            ..Wish::default()
        };
        assert!(town.wish(&store, root, wish).done().await.is_err());
        drop(store);
        let store = Store::open(folder.path(), ROOM).unwrap();
        let there = store.find(root).unwrap().unwrap().present();
        assert!(there > P as u64);
        let weather = Weather::default();
        let honest = town.honest(2, &served, weather.clone());
        assert!(read_all(&town.get(&store, root, &[honest]).done().await.unwrap()) == bytes);
        let came = weather.passed.load(Ordering::Relaxed);
        assert!(came < bytes.len() as u64 - there + G as u64, "{came} came, and {there} were there");
    });
}

#[test]
fn the_first_bytes_before_the_last_and_where_one_reads_first() {
    run(async {
        let bytes = some_bytes(8 * P + 11, 9);
        let (_from, served) = stored(&bytes);
        let (_to, store) = store();
        let town = Town::default();
        let (open, gate) = watch::channel(false);
        // Room for the head, the parts asked for first, and the one that is sought; not for the rest.
        let gated = Weather { gate: Some((7 * GROUP * PART_GROUPS, gate)), ..Weather::default() };
        let download = town.get(&store, Root::of(&bytes), &[town.honest(1, &served, gated)]);
        let mut reader = download.reader();
        let mut head = [0; 1000];
        reader.read_exact(&mut head).await.unwrap();
        assert!(head == bytes[..1000]);
        let at = reader.seek(io::SeekFrom::End(-(P as i64))).await.unwrap() as usize;
        assert_eq!(at, bytes.len() - P);
        let mut tail = vec![0; 1000];
        reader.read_exact(&mut tail).await.unwrap();
        assert!(tail == bytes[at..at + 1000] && download.progress().present < bytes.len() as u64);
        open.send(true).unwrap();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        assert!(rest == bytes[at + 1000..]);
        assert!(reader.seek(io::SeekFrom::Current(i64::MIN)).await.is_err());
    });
}

#[test]
fn only_the_bytes_that_are_wanted_come() {
    run(async {
        let bytes = some_bytes(5 * P, 10);
        let root = Root::of(&bytes);
        let (_from, served) = stored(&bytes);
        let (_to, store) = store();
        let town = Town::default();
        let weather = Weather::default();
        let peers = vec![town.honest(1, &served, weather.clone())];
        let wanted = 2 * P as u64 + 5..2 * P as u64 + 3 * GROUP;
        let wish = Wish { peers: peers.clone(), bytes: Some(wanted.clone()), ..Wish::default() };
        let download = town.wish(&store, root, wish);
        let blob = download.kept().await.unwrap();
        let mut read = vec![0; (wanted.end - wanted.start) as usize];
        blob.read_at(wanted.start, &mut read).unwrap();
        assert!(read == bytes[wanted.start as usize..wanted.end as usize]);
        assert!(weather.passed.load(Ordering::Relaxed) < 5 * GROUP);
        assert!(matches!(blob.read_at(0, &mut [0]), Err(Error::NotHere { .. })));
        assert!(download.reader().read(&mut [0]).await.is_err(), "it does not wait for what will not come");
        assert!(read_all(&town.get(&store, root, &peers).done().await.unwrap()) == bytes);
    });
}

#[test]
fn nobody_has_it() {
    run(async {
        let (_other, served) = stored(b"something");
        let (_to, store) = store();
        let town = Town::default();
        let error = town.get(&store, Root::of(b"x"), &[]).done().await.unwrap_err();
        assert!(error.to_string().contains("nobody says that they have it"), "{error}");
        let peers = [town.honest(1, &served, Weather::default()), peer(9)];
        let error = town.get(&store, Root::of(b"x"), &peers).done().await.unwrap_err().to_string();
        assert!(error.contains("1 do not have it") && error.contains("1 could not be reached"), "{error}");
    });
}

#[test]
fn no_more_comes_in_than_the_owner_gives() {
    run(async {
        let bytes = some_bytes(40 * G, 12);
        let (_from, served) = stored(&bytes);
        let (_to, store) = store();
        let town = Town::default();
        town.intake.set_rate(Some(GROUP));
        // From one: of two slow ones, both are asked for the same, and what comes twice is paid for twice.
        let peer = town.honest(1, &served, Weather::default());
        let start = tokio::time::Instant::now();
        town.get(&store, Root::of(&bytes), &[peer]).done().await.unwrap();
        let took = start.elapsed().as_secs();
        assert!((35..=50).contains(&took), "{took} s of the clock that tests have");
    });
}

/// Speaks to a server as a client that follows no rules.
fn client(store: &Store, uploads: Uploads) -> (Wire, tokio::task::JoinHandle<Result<(), Gone>>) {
    let (ours, theirs) = Pipe::pair(Weather::default());
    let serving =
        tokio::spawn(serve::serve(store.clone(), Gate::new(uploads, Pool::default()), peer(1), theirs));
    (ours, serving)
}

#[test]
fn a_client_that_asks_and_does_not_read_is_left_alone() {
    run(async {
        let bytes = some_bytes(2 * P, 11);
        let (_from, store) = stored(&bytes);
        let (wire, serving) = client(&store, Uploads::default());
        let (_unread, mut wire) = wire.split();
        let want = Request::Want(Root::of(&bytes), Span { part: 0, first: 0, count: 64 });
        let flood = async {
            for asked in 0..1_000_000u32 {
                if wire.write_all(&want.encode()).await.is_err() {
                    return asked;
                }
            }
            unreachable!("a million requests were taken")
        };
        let (asked, served) = tokio::join!(flood, serving);
        assert_eq!(served.unwrap(), Err(Gone::Slow));
        assert!(asked < 20_000, "{asked} requests waited");
    });
}

#[test]
fn a_client_that_says_nonsense_or_nothing_is_left() {
    run(async {
        let (_from, store) = stored(b"bytes");
        let (mut wire, serving) = client(&store, Uploads::default());
        wire.write_all(&[255; REQUEST]).await.unwrap();
        assert_eq!(serving.await.unwrap(), Err(Gone::Lied));
        let (_wire, serving) = client(&store, Uploads::default());
        assert_eq!(serving.await.unwrap(), Err(Gone::Slow));
    });
}

#[test]
fn requests_beyond_the_blob_are_answered_with_no() {
    run(async {
        let bytes = some_bytes(P + 1, 12);
        let (_from, store) = stored(&bytes);
        let (mut wire, _serving) = client(&store, Uploads::default());
        for (part, first, count) in [(0, 0, 64), (1, 0, 2), (1, 1, 1), (2, 0, 1), (1 << 43, 63, 1)] {
            let want = Request::Want(Root::of(&bytes), Span { part, first, count });
            wire.write_all(&want.encode()).await.unwrap();
            let mut status = [9];
            wire.read_exact(&mut status).await.unwrap();
            if part == 0 {
                assert_eq!(status[0], Status::Here.byte());
                // 64 groups, and the one hash beside the way up.
                wire.read_exact(&mut vec![0; 65 * 32 + P]).await.unwrap();
            } else {
                assert_eq!(status[0], Status::NotHere.byte(), "{part} {first} {count}");
            }
        }
    });
}

#[test]
fn too_many_streams_are_told_to_come_later() {
    run(async {
        let (_from, store) = stored(b"bytes");
        let (mut wire, serving) = client(&store, Uploads { streams: 0, ..Uploads::default() });
        let mut said = Vec::new();
        wire.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, [Status::Busy.byte()]);
        serving.await.unwrap().unwrap();
    });
}
