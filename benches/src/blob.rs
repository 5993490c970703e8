//! A blob of 1 GiB between two processes on loopback: ours, iroh-blobs, and plain TCP that checks nothing.
//!
//! Everyone reads a file that is in the page cache, sends it, and writes it where it is to stay; ours and iroh check every
//! byte on the way. The time is from the request to the last byte that counts as there, in the process that fetches. Nobody
//! waits for the disk: the folders lie in memory where there is such a place.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use net::blob::{Blobs, Root, Store, Uploads, Wish};
use net::{Address, Config, Handle, Network, SwarmId};

use crate::race::{Contender, race};
use crate::report::Unit;
use crate::{Bench, Result};

/// What plain TCP reads and writes at once.
const CHUNK: usize = 1 << 20;

pub(crate) fn bench(bench: &mut Bench) -> Result {
    let size: u64 = if bench.quick { 32 << 20 } else { 1 << 30 };
    bench.report.open("blob", "one blob from process to process on loopback, stored on both sides");
    let folder = Folder::new()?;
    let file = folder.0.join("file");
    write_file(&file, size)?;
    let us = std::env::current_exe()?;
    let iroh = iroh()?;
    let path = |path: &Path| path.display().to_string();

    let served = path(&folder.0.join("served"));
    let ours = Served::start(&us, &["child", "blob-serve", &path(&file), &served])?;
    let theirs = Served::start(&iroh, &["serve", &path(&file), &path(&folder.0.join("iroh-served"))])?;
    let plain = Served::start(&us, &["child", "tcp-serve", &path(&file)])?;

    let into = folder.0.join("into");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
    let (root, addresses) = {
        let mut said = words(&ours.said);
        (said.remove(0), said)
    };
    let mut contenders = Vec::new();
    for (way, transport) in [("lane", "quic"), ("stream", "quic"), ("stream", "tcp")] {
        let address = addresses.iter().find(|a| a.contains("quic") == (transport == "quic"));
        let address = address.ok_or("we listen on QUIC and TCP, and one of them is missing")?.clone();
        let (us, into, root) = (us.clone(), into.clone(), root.clone());
        contenders.push(Contender::new(transport, move |reps| {
            fetched(reps, &us, &["child", "blob-get", way, &address, &root], &into)
        }));
    }
    contenders.push(Contender::new("iroh-blobs", |reps| {
        let said = words(&theirs.said);
        let args: Vec<&str> = std::iter::once("get").chain(said.iter().map(String::as_str)).collect();
        fetched(reps, &iroh, &args, &into)
    }));
    contenders.push(Contender::new("plain TCP, unverified", |reps| {
        fetched(reps, &us, &["child", "tcp-get", plain.said.trim(), &size.to_string()], &into)
    }));
    let seconds = race(bench, &mut contenders)?;
    let rates: Vec<f64> = seconds.iter().map(|seconds| size as f64 / seconds / 1e6).collect();
    for (ours, name) in rates.iter().zip(["over a lane", "over QUIC", "over TCP"]) {
        for at in [3, 4] {
            let figure = format!("{} MiB verified, {name}", size >> 20);
            bench.report.figure(&figure, Unit::Rate("MB/s"), *ours, &contenders[at].name, rates[at]);
        }
    }
    Ok(())
}

/// Runs a process that fetches into an empty folder and prints how long it took.
fn fetched(reps: usize, program: &Path, args: &[&str], into: &Path) -> Result<f64> {
    let mut sum = 0.0;
    for _ in 0..reps {
        let _ = std::fs::remove_dir_all(into);
        std::fs::create_dir_all(into)?;
        let output = Command::new(program).args(args).arg(into).stderr(Stdio::inherit()).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!("{} {} failed", program.display(), args.join(" ")).into());
        }
        sum += said.trim().parse::<f64>()?;
    }
    Ok(sum / reps as f64)
}

/// A process that gives, until it is dropped.
struct Served {
    process: Child,
    said: String,
}

impl Served {
    fn start(program: &Path, args: &[&str]) -> Result<Served> {
        let mut process =
            Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        let out = process.stdout.take().ok_or("the process has no output")?;
        BufReader::new(out).read_line(&mut said)?;
        if said.is_empty() {
            return Err(format!("{} {} did not start", program.display(), args.join(" ")).into());
        }
        Ok(Served { process, said })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A folder for the run, in memory where the system has such a place.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let memory = Path::new("/dev/shm");
        let under = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = under.join(format!("starling-bench-blob-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Folder(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn write_file(path: &Path, size: u64) -> Result {
    let mut bytes = blake3::Hasher::new().update(b"a blob to bench with").finalize_xof();
    let mut file = std::fs::File::create(path)?;
    let mut buffer = vec![0; CHUNK];
    for _ in 0..size / CHUNK as u64 {
        bytes.fill(&mut buffer);
        file.write_all(&buffer)?;
    }
    Ok(())
}

/// Builds the peer, which is a workspace of its own.
fn iroh() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/iroh");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--release", "--locked"]).current_dir(&folder).status()?;
    if !built.success() {
        return Err(format!("the peer in {} does not build", folder.display()).into());
    }
    Ok(folder.join("target/release/iroh-peer"))
}

/// What this program does as one of the two processes.
pub(crate) fn child(job: &[&str]) -> Result {
    match job {
        ["blob-serve", file, store] => in_runtime(blob_serve(Path::new(file), Path::new(store))),
        ["blob-get", way, address, root, store] => {
            in_runtime(blob_get(*way == "lane", address.parse()?, root.parse()?, Path::new(store)))
        }
        ["tcp-serve", file] => tcp_serve(Path::new(file)),
        ["tcp-get", address, size, into] => tcp_get(address, size.parse()?, Path::new(into)),
        _ => Err("no such job".into()),
    }
}

fn in_runtime(work: impl Future<Output = Result>) -> Result {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

async fn node(secret: u8) -> Result<Handle> {
    let config = Config::on_loopback([secret; 32], SwarmId::named("bench"));
    let (handle, mut events) = Network::start(config)?;
    tokio::spawn(async move { while events.next().await.is_some() {} });
    handle.until_listening().await?;
    Ok(handle)
}

async fn blob_serve(file: &Path, store: &Path) -> Result {
    let store = Store::open(store, u64::MAX)?;
    let blob = store.add_file(file)?;
    let handle = node(1).await?;
    while handle.listening().len() < 2 {
        tokio::task::yield_now().await;
    }
    let _blobs = Blobs::start(&handle, store, Uploads::default())?;
    let addresses: Vec<String> = handle.listening().iter().map(Address::to_string).collect();
    println!("{} {}", blob.root(), addresses.join(" "));
    std::future::pending().await
}

async fn blob_get(lane: bool, address: Address, root: Root, store: &Path) -> Result {
    let peer = address.peer().ok_or("the address does not say whose it is")?;
    let store = Store::open(store, u64::MAX)?;
    let handle = node(2).await?;
    handle.dial(address).await?;
    handle.until_peers(1).await?;
    let uploads = Uploads { lane_port: lane.then_some(0), ..Uploads::default() };
    let blobs = Blobs::start(&handle, store, uploads)?;
    let start = Instant::now();
    let download = blobs.get(root, Wish { peers: vec![peer], ..Wish::default() });
    download.done().await?;
    println!("{}", start.elapsed().as_secs_f64());
    handle.stop().await;
    Ok(())
}

fn tcp_serve(file: &Path) -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    loop {
        let (mut to, _) = listener.accept()?;
        to.read_exact(&mut [0])?;
        let mut from = std::fs::File::open(file)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let len = from.read(&mut buffer)?;
            if len == 0 {
                break;
            }
            to.write_all(&buffer[..len])?;
        }
    }
}

fn tcp_get(address: &str, size: u64, into: &Path) -> Result {
    let file = std::fs::File::create(into.join("data"))?;
    let mut from = TcpStream::connect(address)?;
    let start = Instant::now();
    from.write_all(&[1])?;
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < size {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return Err("the server left".into());
        }
        file.write_all_at(&buffer[..len], at)?;
        at += len as u64;
    }
    println!("{}", start.elapsed().as_secs_f64());
    Ok(())
}
