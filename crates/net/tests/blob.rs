//! Blobs as their users have them: stores on a disk, nodes on a network, and processes that die.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use net::blob::{Blobs, Error, Root, Store, Uploads, Wish};
use net::{Config, Handle, Network, SwarmId};
use tokio::io::AsyncReadExt;

const MIB: usize = 1 << 20;
const ROOM: u64 = 1 << 30;

fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn roots(store: &Store) -> HashSet<Root> {
    store.list().into_iter().map(|listed| listed.root).collect()
}

fn is_right(store: &Store, bytes: &[u8]) -> bool {
    let blob = store.blob(Root::of(bytes)).unwrap();
    let mut read = vec![0; bytes.len()];
    blob.read_at(0, &mut read).unwrap();
    read == bytes
}

#[test]
fn what_goes_in_comes_out_however_it_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store"), ROOM).unwrap();
    for (seed, len) in [0, 1, 65_535, 65_536, 65_537, 4 * MIB, 9 * MIB + 1].into_iter().enumerate() {
        let bytes = bytes(len, seed as u64);
        let (file, copy) = (folder.path().join("file"), folder.path().join("copy"));
        std::fs::write(&file, &bytes).unwrap();
        let blob = store.add_file(&file).unwrap();
        assert_eq!(blob.root(), Root::of(&bytes));
        assert_eq!(store.add(&bytes[..]).unwrap().root(), blob.root());
        // What becomes of the file later is nothing to the blob.
        std::fs::write(&file, b"another").unwrap();
        assert!(is_right(&store, &bytes), "{len}");
        blob.copy_to(&copy).unwrap();
        assert!(std::fs::read(&copy).unwrap() == bytes, "{len}");
        store.verify(blob.root()).unwrap();
    }
    assert_eq!(store.list().len(), 7);
    assert!(matches!(store.add_file(folder.path()), Err(Error::Io { .. })), "a folder is no file");
    assert_eq!(store.list().len(), 7);
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 10 * MIB as u64).unwrap();
    let all: Vec<Vec<u8>> = (0..6).map(|seed| bytes(3 * MIB, seed)).collect();
    let root = |at: usize| Root::of(&all[at]);
    for bytes in &all[..3] {
        store.add(&bytes[..]).unwrap();
    }
    store.pin("first", root(0)).unwrap();
    drop(store.blob(root(1)).unwrap());
    store.add(&all[3][..]).unwrap();
    assert_eq!(roots(&store), HashSet::from([root(0), root(1), root(3)]), "2 was used before 1");
    let open = store.blob(root(1)).unwrap();
    drop(store.blob(root(3)).unwrap());
    store.add(&all[4][..]).unwrap();
    assert_eq!(roots(&store), HashSet::from([root(0), root(1), root(4)]), "0 is pinned, and 1 open");
    let too_much = store.add(&bytes(8 * MIB, 9)[..]).unwrap_err();
    assert!(matches!(too_much, Error::Quota { .. }), "{too_much}");
    assert!(roots(&store).contains(&root(0)) && roots(&store).contains(&root(1)));
    drop(open);
    drop(store);
    // All of it is known again, and the pin holds.
    let store = Store::open(folder.path(), 10 * MIB as u64).unwrap();
    assert_eq!(store.pins()["first"], root(0));
    let removed = store.gc(0).unwrap();
    assert_eq!(roots(&store), HashSet::from([root(0)]));
    assert!(removed.bytes >= removed.blobs * 3 * MIB as u64);
    assert!(store.unpin("first").unwrap() && !store.unpin("first").unwrap());
    store.gc(0).unwrap();
    assert_eq!((store.list().len(), store.usage().0), (0, 0));
}

#[test]
fn a_pin_is_a_name_and_not_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), ROOM).unwrap();
    for name in ["", ".", "..", ".hidden", "a/b", "a\\b", "ü", "a b", "a\0", &"x".repeat(101)] {
        assert!(matches!(store.pin(name, Root::of(b"")), Err(Error::NotAName { .. })), "{name:?}");
    }
    store.pin("run-7.model_a", Root::of(b"")).unwrap();
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), ROOM).unwrap();
    let second = Store::open(folder.path(), ROOM).unwrap_err();
    assert!(second.to_string().contains("in use by another process"), "{second}");
    drop(store);
    Store::open(folder.path(), ROOM).unwrap();
}

#[test]
fn damage_is_found_and_only_the_damaged_groups_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), ROOM).unwrap();
    let bytes = bytes(5 * MIB, 1);
    let root = store.add(&bytes[..]).unwrap().root();
    let data = folder.path().join("blobs").join(root.to_string()).join("data");
    let mut wrong = bytes.clone();
    wrong[3 * MIB] ^= 1;
    std::fs::write(&data, &wrong).unwrap();
    assert!(matches!(store.verify(root), Err(Error::Damaged { bad: 1, groups: 80, .. })));
    assert!(matches!(store.blob(root), Err(Error::NotHere { .. })));
    let blob = store.find(root).unwrap().unwrap();
    assert_eq!(blob.present(), (5 * MIB - 65_536) as u64);
    assert!(blob.read_at(3 * MIB as u64, &mut [0]).is_err() && blob.read_at(0, &mut [0]).is_ok());
}

fn secret(n: u8) -> [u8; 32] {
    [n; 32]
}

async fn node(n: u8, known: Option<&Handle>) -> Handle {
    let config = Config::in_memory(secret(n), SwarmId::named("blobs"));
    let (handle, mut events) = Network::start(config).unwrap();
    tokio::spawn(async move { while events.next().await.is_some() {} });
    handle.until_listening().await.unwrap();
    if let Some(known) = known {
        handle.dial(known.listening()[0].clone()).await.unwrap();
    }
    handle
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_find_who_has_it_and_pass_it_on() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let store = |at: usize| Store::open(folders[at].path(), ROOM).unwrap();
    let bytes = bytes(9 * MIB + 5, 1);
    let first = node(1, None).await;
    let (second, third) = (node(2, Some(&first)).await, node(3, Some(&first)).await);
    second.until_peers(1).await.unwrap();
    third.until_peers(1).await.unwrap();
    let giving = Blobs::start(&first, store(0), Uploads::default()).unwrap();
    let blob = giving.add(bytes.clone()).await.unwrap();

    // By a hint.
    let second_blobs = Blobs::start(&second, store(1), Uploads::default()).unwrap();
    let wish = Wish { peers: vec![first.peer_id()], ..Wish::default() };
    let download = second_blobs.get(blob.root(), wish);
    let mut read = Vec::new();
    download.reader().read_to_end(&mut read).await.unwrap();
    assert!(read == bytes);
    download.kept().await.unwrap();

    // By what the swarm knows, from someone who has it from someone.
    drop((giving, blob));
    first.stop_providing(*Root::of(&bytes).bytes()).await.unwrap();
    second.provide(*Root::of(&bytes).bytes()).await.unwrap();
    let third_blobs = Blobs::start(&third, store(2), Uploads::default()).unwrap();
    let download = third_blobs.get(Root::of(&bytes), Wish::default());
    download.kept().await.unwrap();
    assert!(is_right(third_blobs.store(), &bytes));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_lane_or_a_stream_the_same_comes() {
    let bytes = bytes(9 * MIB + 5, 1);
    let start = |n: u8| {
        let config = Config::on_loopback(secret(n), SwarmId::named("lanes"));
        let (handle, mut events) = Network::start(config).unwrap();
        tokio::spawn(async move { while events.next().await.is_some() {} });
        handle
    };
    let (folder, first) = (tempfile::tempdir().unwrap(), start(1));
    let addresses = first.until_listening().await.unwrap();
    let giving = Blobs::start(&first, Store::open(folder.path(), ROOM).unwrap(), Uploads::default()).unwrap();
    giving.add(bytes.clone()).await.unwrap();
    for (n, lane_port) in [(2, Some(0)), (3, None)] {
        let (folder, handle) = (tempfile::tempdir().unwrap(), start(n));
        handle.dial(addresses[0].clone()).await.unwrap();
        handle.until_peers(1).await.unwrap();
        let store = Store::open(folder.path(), ROOM).unwrap();
        let blobs = Blobs::start(&handle, store, Uploads { lane_port, ..Uploads::default() }).unwrap();
        let wish = Wish { peers: vec![first.peer_id()], ..Wish::default() };
        blobs.get(Root::of(&bytes), wish).kept().await.unwrap();
        assert!(is_right(blobs.store(), &bytes));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_evicted_is_promised_to_nobody() {
    let (folder, handle) = (tempfile::tempdir().unwrap(), node(4, None).await);
    let store = Store::open(folder.path(), 10 * MIB as u64).unwrap();
    let blobs = Blobs::start(&handle, store.clone(), Uploads::default()).unwrap();
    let root = blobs.add(bytes(3 * MIB, 1)).await.unwrap().root();
    let promised = async |whether: bool| {
        let until = async {
            while handle.providers(*root.bytes()).await.unwrap().contains(&handle.peer_id()) != whether {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_mins(1), until).await.unwrap();
    };
    promised(true).await;
    for seed in 2..5 {
        blobs.add(bytes(3 * MIB, seed)).await.unwrap();
    }
    assert!(!roots(&store).contains(&root), "it made room");
    promised(false).await;
}

/// The name of a child's job, and its folder, are in these.
const JOB: &str = "BLOB_TEST_JOB";
const FOLDER: &str = "BLOB_TEST_FOLDER";
/// What the child fetches.
const LARGE: usize = 24 * MIB;

fn child(test: &str, job: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(JOB, job).env(FOLDER, folder).stdout(Stdio::piped());
    command
}

/// Adds a blob, says so, and fetches a large one slowly, saying how far it is, until it is killed.
async fn fetch_slowly(folder: &Path) {
    let store = Store::open(&folder.join("store"), ROOM).unwrap();
    let count = store.list().len() as u64;
    println!("added {}", store.add(&bytes(MIB, 100 + count)[..]).unwrap().root());
    let served = Store::open(&folder.join("served"), ROOM).unwrap();
    let (first, second) = (node(1, None).await, node(2, None).await);
    let uploads = Uploads { bytes_per_second: Some(60 * MIB as u64), ..Uploads::default() };
    let _giving = Blobs::start(&first, served, uploads).unwrap();
    second.dial(first.listening()[0].clone()).await.unwrap();
    let blobs = Blobs::start(&second, store, Uploads::default()).unwrap();
    let download =
        blobs.get(Root::of(&bytes(LARGE, 1)), Wish { peers: vec![first.peer_id()], ..Wish::default() });
    println!("begun {}", download.progress().present);
    let mut reader = download.reader();
    let mut buffer = vec![0; MIB];
    while reader.read_exact(&mut buffer).await.is_ok() {
        println!("read {}", download.progress().present);
    }
    download.kept().await.unwrap();
    println!("kept");
    std::future::pending::<()>().await;
}

/// Reads lines until one begins with this.
fn wait_for(lines: &mut impl Iterator<Item = String>, start: &str) -> Option<String> {
    lines.find_map(|line| line.find(start).map(|at| line[at + start.len()..].to_owned()))
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn killed_at_any_moment_nothing_wrong_counts_and_nothing_kept_is_lost() {
    let test = "killed_at_any_moment_nothing_wrong_counts_and_nothing_kept_is_lost";
    if std::env::var(JOB).as_deref() == Ok("fetch") {
        let folder = std::env::var_os(FOLDER).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fetch_slowly(Path::new(&folder)));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let large = bytes(LARGE, 1);
    drop(Store::open(&folder.path().join("served"), ROOM).unwrap().add(&large[..]).unwrap());
    let mut added: Vec<Root> = Vec::new();
    let mut most = 0;
    // Killed after so many lines of the reader; the last time it may end.
    for after in [0, 1, 4, 2, 7, usize::MAX] {
        let mut child = child(test, "fetch", folder.path()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        added.push(wait_for(&mut lines, "added ").unwrap().trim().parse().unwrap());
        if after == usize::MAX {
            wait_for(&mut lines, "kept").unwrap();
        } else {
            wait_for(&mut lines, "begun ").unwrap();
            (0..after).for_each(|_| drop(wait_for(&mut lines, "read ")));
        }
        kill(child);
        let store = Store::open(&folder.path().join("store"), ROOM).unwrap();
        for root in &added {
            store.verify(*root).unwrap();
        }
        let Some(blob) = store.find(Root::of(&large)).unwrap() else { continue };
        let mut present = 0;
        for (at, group) in large.chunks(65_536).enumerate() {
            let mut read = vec![0; group.len()];
            if blob.read_at(at as u64 * 65_536, &mut read).is_ok() {
                assert!(read == group, "group {at} is wrong");
                present += read.len() as u64;
            }
        }
        assert_eq!(blob.present(), present);
        assert!(present >= most, "{present} are left of {most}");
        most = present;
    }
    assert_eq!(most, LARGE as u64);
}

#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing_and_says_so() {
    let test = "a_full_disk_loses_nothing_and_says_so";
    if std::env::var(JOB).as_deref() == Ok("full") {
        let folder = std::env::var_os(FOLDER).unwrap();
        let store = Store::open(Path::new(&folder), ROOM).unwrap();
        println!("{}", store.add(&bytes(8 * MIB, 2)[..]).unwrap_err());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let small = bytes(MIB, 1);
    drop(Store::open(folder.path(), ROOM).unwrap().add(&small[..]).unwrap());
    // A limit on the size of files stands for the disk's: the system answers a write above it with an error.
    let child = child(test, "full", folder.path());
    let mut limited = Command::new("sh");
    limited.arg("-c").arg("trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\"");
    limited.arg(child.get_program()).args(child.get_args()).stdout(Stdio::piped());
    for (name, value) in child.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    let mut said = String::new();
    let mut running = limited.spawn().unwrap();
    running.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    running.wait().unwrap();
    assert!(said.contains("the disk is full"), "{said}");
    let store = Store::open(folder.path(), ROOM).unwrap();
    assert!(is_right(&store, &small));
    assert_eq!(store.list().len(), 1);
    assert_eq!(std::fs::read_dir(folder.path().join("temp")).unwrap().count(), 0);
}
