//! `starling blob`: large files by the hash of their bytes, from and to anyone.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use net::blob::{Blobs, Download, Root, Store, Uploads, Wish};
use net::{Address, Config, Handle, Network, SwarmId, listen_on};
use serde_json::{Value, json};

use crate::identity::Home;

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// What to do with blobs.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    home: Home,
    /// The folder of the store; blobs in the node's folder if not given
    #[arg(long, global = true, value_name = "DIR")]
    store: Option<PathBuf>,
    /// The most the store may take on the disk: what was not used for longest makes room, unless it is pinned
    #[arg(long, global = true, value_name = "SIZE", default_value = "50GiB")]
    limit: Size,
}

#[derive(Subcommand)]
enum What {
    /// Take in files and print their roots
    Add {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Keep it, under this name; for one file
        #[arg(long, value_name = "NAME")]
        pin: Option<String>,
    },
    /// Fetch a blob from peers, checking every byte; what is here already is not fetched again
    Get {
        /// Its root, 64 hexadecimal digits
        root: Root,
        /// Write it to this file; `-` is standard output, which begins with the first byte that has come
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Keep it, under this name
        #[arg(long, value_name = "NAME")]
        pin: Option<String>,
        #[command(flatten)]
        network: Of,
        /// Give up when nothing has come for so many seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        patience: u64,
    },
    /// Give what is in the store to whoever asks, until interrupted
    Serve {
        /// Files to take in first
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        network: Of,
        /// The port to listen on; 0 lets the system choose
        #[arg(long, value_name = "PORT", default_value_t = net::PORT)]
        port: u16,
        /// Bytes per second to all peers together
        #[arg(long, value_name = "SIZE")]
        upload: Option<Size>,
        /// The TCP port of direct connections for bulk; 0 lets the system choose
        #[arg(long, value_name = "PORT", default_value_t = 0)]
        lane_port: u16,
    },
    /// Show what is in the store
    List,
    /// Read blobs and check every byte; all, if none is named
    Verify {
        /// Their roots
        roots: Vec<Root>,
    },
    /// Keep a blob, also one still to come, whatever needs room
    Pin {
        /// The pin
        name: String,
        /// What it holds
        root: Root,
    },
    /// Take a pin away
    Unpin {
        /// The pin
        name: String,
    },
    /// Remove what is not pinned, the least recently used first
    Gc {
        /// Stop when no more than this is taken
        #[arg(long, value_name = "SIZE", default_value = "0")]
        keep: Size,
    },
}

/// The network to be in.
#[derive(Args)]
struct Of {
    /// Addresses of peers that have it, as `starling blob serve` prints them
    #[arg(long = "peer", value_name = "ADDRESS")]
    peers: Vec<Address>,
    /// The swarm to be in, by its name: its members find each other
    #[arg(long, value_name = "NAME", default_value = "starling")]
    swarm: String,
}

/// A number of bytes: `1000`, `64MiB`, `2GB`.
#[derive(Clone, Copy)]
struct Size(u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err("use a number of bytes, or of KiB, MiB, GiB, TiB".to_owned()),
        };
        let number: u64 = text[..digits].parse().map_err(|_| "it begins with a whole number".to_owned())?;
        number.checked_mul(unit).map(Size).ok_or_else(|| "that is more than any disk has".to_owned())
    }
}

pub(crate) fn run(options: &Options) -> Done {
    let dir = match &options.store {
        Some(dir) => dir.clone(),
        None => options.home.folder()?.join("blobs"),
    };
    let store = Store::open(&dir, options.limit.0)?;
    let (home, json) = (&options.home, options.home.json);
    match &options.what {
        What::Add { files, pin } => add(&store, files, pin.as_deref(), json),
        What::Get { root, output, pin, network, patience } => {
            if let Some(name) = pin {
                store.pin(name, *root)?;
            }
            let wish = Wish {
                peers: network.peers.iter().filter_map(Address::peer).collect(),
                patience: Duration::from_secs(*patience),
                ..Wish::default()
            };
            in_runtime(get(home, store, *root, output.as_deref(), network, wish))
        }
        What::Serve { files, network, port, upload, lane_port } => {
            add(&store, files, None, json)?;
            let uploads = Uploads {
                bytes_per_second: upload.map(|size| size.0),
                lane_port: Some(*lane_port),
                ..Uploads::default()
            };
            in_runtime(serve(home, store, network, *port, uploads))
        }
        What::List => list(&store, json),
        What::Verify { roots } => verify(&store, roots, json),
        What::Pin { name, root } => Ok(store.pin(name, *root)?),
        What::Unpin { name } => {
            if store.unpin(name)? {
                return Ok(());
            }
            Err(format!("there is no pin `{name}`: `starling blob list` shows those there are").into())
        }
        What::Gc { keep } => {
            let removed = store.gc(keep.0)?;
            if json {
                say!("{}", json!({"removed": removed.blobs, "bytes": removed.bytes}));
            } else {
                say!("removed {} blobs, {}", removed.blobs, shown(removed.bytes));
            }
            Ok(())
        }
    }
}

fn in_runtime(work: impl Future<Output = Done>) -> Done {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

fn add(store: &Store, files: &[PathBuf], pin: Option<&str>, json: bool) -> Done {
    if pin.is_some() && files.len() > 1 {
        return Err("a pin holds one blob: give one file with --pin".into());
    }
    for path in files {
        let blob = store.add_file(path)?;
        if let Some(name) = pin {
            store.pin(name, blob.root())?;
        }
        if json {
            let (root, path) = (blob.root().to_string(), path.display().to_string());
            say!("{}", json!({"root": root, "size": blob.size(), "path": path}));
        } else {
            say!("{}  {}", blob.root(), path.display());
        }
    }
    Ok(())
}

fn list(store: &Store, json: bool) -> Done {
    for blob in store.list() {
        if json {
            let root = blob.root.to_string();
            say!("{}", json!({"root": root, "size": blob.size, "present": blob.present, "pins": blob.pins}));
        } else {
            let part = if blob.present == blob.size {
                String::new()
            } else {
                format!("  {:.0} % here", blob.present as f64 * 100.0 / blob.size as f64)
            };
            say!("{}  {:>10}{part}  {}", blob.root, shown(blob.size), blob.pins.join(" "));
        }
    }
    let (used, limit) = store.usage();
    if !json {
        say!("{} of {} taken in {}", shown(used), shown(limit), store.folder().display());
    }
    Ok(())
}

fn verify(store: &Store, roots: &[Root], json: bool) -> Done {
    let all = store.list().into_iter().filter(|blob| blob.present == blob.size).map(|blob| blob.root);
    let roots: Vec<Root> = if roots.is_empty() { all.collect() } else { roots.to_vec() };
    let mut failed = 0;
    for root in &roots {
        let verdict = store.verify(*root);
        failed += u64::from(verdict.is_err());
        if json {
            let why = verdict.err().map(|error| error.to_string());
            say!("{}", json!({"root": root.to_string(), "good": why.is_none(), "why": why}));
        } else {
            match verdict {
                Ok(()) => say!("{root}  good"),
                Err(error) => say!("{error}"),
            }
        }
    }
    if failed > 0 {
        Err(format!("{failed} of {} blobs are not as they should be", roots.len()).into())
    } else {
        Ok(())
    }
}

/// Joins the network as this node.
async fn join(home: &Home, network: &Of, port: u16) -> Done<Handle> {
    let mut config = Config::new(*home.identity()?.peer().secret(), SwarmId::named(&network.swarm));
    config.listen = listen_on(port);
    config.bootstrap = network.peers.clone();
    let (handle, mut events) = Network::start(config)?;
    if network.peers.iter().any(|address| address.peer() == Some(handle.peer_id())) {
        return Err("this address is that of this node itself: two processes on one machine need a folder each (--home)".into());
    }
    tokio::spawn(async move { while events.next().await.is_some() {} });
    handle.until_listening().await?;
    for address in &network.peers {
        handle.dial(address.clone()).await?;
    }
    Ok(handle)
}

async fn get(home: &Home, store: Store, root: Root, output: Option<&Path>, network: &Of, wish: Wish) -> Done {
    let json = home.json;
    // What is here needs no network.
    let handle = if store.find(root)?.is_some_and(|blob| blob.is_whole()) {
        None
    } else {
        Some(join(home, network, 0).await?)
    };
    let blob = match &handle {
        None => store.blob(root)?,
        Some(handle) => {
            let blobs = Blobs::start(handle, store, Uploads::default())?;
            let download = blobs.get(root, wish);
            if output == Some(Path::new("-")) {
                let (mut reader, mut out) = (download.reader(), tokio::io::stdout());
                tokio::select! {
                    copied = tokio::io::copy(&mut reader, &mut out) => { copied?; }
                    never = show(download.clone(), json) => match never {},
                }
                tokio::io::AsyncWriteExt::flush(&mut out).await?;
            }
            tokio::select! {
                kept = download.kept() => kept?,
                never = show(download.clone(), json) => match never {},
            }
        }
    };
    match output {
        Some(path) if path != Path::new("-") => blob.copy_to(path)?,
        Some(_) if handle.is_none() => {
            let mut buffer = vec![0; 1 << 20];
            let mut at = 0;
            while at < blob.size() {
                let len = (blob.size() - at).min(buffer.len() as u64) as usize;
                blob.read_at(at, &mut buffer[..len])?;
                io::stdout().write_all(&buffer[..len])?;
                at += len as u64;
            }
        }
        _ => {}
    }
    if output != Some(Path::new("-")) {
        if json {
            say!("{}", json!({"root": root.to_string(), "size": blob.size(), "done": true}));
        } else {
            say!("{root}  {}, every byte checked", shown(blob.size()));
        }
    }
    if let Some(handle) = handle {
        handle.stop().await;
    }
    Ok(())
}

/// Shows how far a download is, for as long as it is polled: a bar on a terminal, or JSON lines.
async fn show(download: Download, json: bool) -> std::convert::Infallible {
    let bar = !json && io::stderr().is_terminal();
    let mut last = (Instant::now(), download.progress().present);
    loop {
        tokio::time::sleep(Duration::from_millis(if json { 1000 } else { 200 })).await;
        let progress = download.progress();
        let rate = (progress.present.saturating_sub(last.1)) as f64 / last.0.elapsed().as_secs_f64();
        last = (Instant::now(), progress.present);
        // That nobody sees it is no reason to stop fetching.
        if json {
            let size = progress.size.map_or(Value::Null, Value::from);
            let _ = writeln!(
                io::stderr(),
                "{}",
                json!({"present": progress.present, "size": size, "peers": progress.peers, "bytes_per_second": rate})
            );
        } else if bar {
            let size = progress.size.unwrap_or(0);
            let part = if size == 0 { 0.0 } else { progress.present as f64 / size as f64 };
            let full = (part * 30.0) as usize;
            let _ = write!(
                io::stderr(),
                "\r[{}{}] {:3.0} %  {} of {}  {}/s  {} peers \x1b[K",
                "=".repeat(full),
                " ".repeat(30 - full),
                part * 100.0,
                shown(progress.present),
                if size == 0 { "?".to_owned() } else { shown(size) },
                shown(rate as u64),
                progress.peers
            );
            if progress.size == Some(progress.present) {
                let _ = write!(io::stderr(), "\r\x1b[K");
            }
        }
    }
}

async fn serve(home: &Home, store: Store, network: &Of, port: u16, uploads: Uploads) -> Done {
    let json = home.json;
    let handle = join(home, network, port).await?;
    let blobs = Blobs::start(&handle, store, uploads)?;
    // They come one by one, and nothing says which is the last.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for address in handle.listening() {
        if json {
            say!("{}", json!({"address": address.to_string()}));
        } else {
            say!("{address}");
        }
    }
    if !json {
        say!("giving {} blobs; end with Ctrl-C", blobs.store().list().len());
    }
    io::stdout().flush()?;
    tokio::signal::ctrl_c().await?;
    handle.stop().await;
    Ok(())
}

/// Bytes for people.
fn shown(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut at = 0;
    let mut size = bytes as f64;
    while size >= 1024.0 {
        (size, at) = (size / 1024.0, at + 1);
    }
    if at == 0 { format!("{bytes} bytes") } else { format!("{size:.1} {}", units[at]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("0", 0), ("12", 12), ("64MiB", 64 << 20), ("2 GB", 2_000_000_000), ("1t", 1 << 40)]
        {
            assert_eq!(text.parse::<Size>().ok().map(|size| size.0), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5GiB", "-1", "9XB", "99999999999999TiB", "18446744073709551616"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert_eq!([0, 1023, 1024, 1 << 30].map(shown), ["0 bytes", "1023 bytes", "1.0 KiB", "1.0 GiB"]);
    }
}
