//! A hub on this machine, which breaks off, lies and forgets, and what becomes of models that are fetched from it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use node::hub::{Hub, HubError, Pulled, list, put};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How a hub behaves.
#[derive(Clone, Default)]
struct Nature {
    /// Breaks off after so many bytes of a file, as often as this says.
    breaks: Option<(usize, usize)>,
    /// Knows no parts of files.
    whole: bool,
    /// Sends this instead of a large file.
    lie: Option<Vec<u8>>,
    /// What it says instead of its list.
    list: Option<Value>,
}

struct Server {
    nature: Mutex<Nature>,
    files: BTreeMap<String, Vec<u8>>,
    /// Heads of the requests that came.
    asked: Mutex<Vec<String>>,
}

impl Server {
    async fn start(nature: Nature) -> (Arc<Server>, String) {
        let weights: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        let files = BTreeMap::from([
            ("config.json".to_owned(), b"{\"a\": 1}".to_vec()),
            ("model.safetensors".to_owned(), weights),
            ("pytorch_model.bin".to_owned(), b"a program".to_vec()),
        ]);
        let server = Arc::new(Server { nature: Mutex::new(nature), files, asked: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        (server, address)
    }

    fn list(&self) -> Value {
        let sibling = |(name, bytes): (&String, &Vec<u8>)| {
            let (size, hash) = (bytes.len(), Sha256::digest(bytes));
            match name.as_str() {
                // What `git hash-object` says of it.
                "config.json" => {
                    json!({"rfilename": name, "size": size, "blobId": "4a036f56bb619924ec4189bd84ed716c766971ae"})
                }
                _ => {
                    json!({"rfilename": name, "size": size, "blobId": COMMIT, "lfs": {"sha256": node::hex(&hash), "size": size, "pointerSize": 134}})
                }
            }
        };
        json!({"sha": COMMIT, "siblings": self.files.iter().map(sibling).collect::<Vec<_>>(), "private": false})
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        self.asked.lock().unwrap().push(head.clone());
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let nature = self.nature.lock().unwrap().clone();
        let (status, extra, body, cut) = if path == "/api/models/a/small/revision/main?blobs=true" {
            let list = nature.list.unwrap_or_else(|| self.list());
            ("200 OK", String::new(), serde_json::to_vec(&list).unwrap(), None)
        } else if let Some(name) = path.strip_prefix(&format!("/a/small/resolve/{COMMIT}/")) {
            let mut bytes = self.files[name].clone();
            if let Some(lie) = nature.lie.filter(|_| name == "model.safetensors") {
                bytes = lie;
            }
            let range = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
            let from: Option<usize> = range.map(|range| range.trim_end_matches('-').parse().unwrap());
            let cut =
                nature.breaks.filter(|(at, times)| *times > 0 && bytes.len() > *at).map(|(at, times)| {
                    self.nature.lock().unwrap().breaks = Some((at, times - 1));
                    at
                });
            match from.filter(|_| !nature.whole) {
                Some(from) => {
                    let range =
                        format!("content-range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
                    ("206 Partial Content", range, bytes[from..].to_vec(), cut)
                }
                None => ("200 OK", String::new(), bytes, cut),
            }
        } else {
            ("404 Not Found", String::new(), Vec::new(), None)
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{extra}\r\n",
            body.len()
        );
        let end = cut.map_or(body.len(), |at| at.min(body.len()));
        let _ = stream.write_all(&[head.as_bytes(), &body[..end]].concat()).await;
        let _ = stream.shutdown().await;
    }

    fn asked_for(&self, what: &str) -> Vec<String> {
        self.asked.lock().unwrap().iter().filter(|head| head.contains(what)).cloned().collect()
    }
}

async fn pull(address: &str, into: &Path) -> Result<Vec<u64>, HubError> {
    let hub = Hub::new(address, Some("secret".to_owned()))?;
    let listing = hub.look("a/small", "main", false).await?;
    let mut seen = Vec::new();
    hub.pull(&listing, into, 10 << 20, &mut |progress| seen.push(progress.done)).await?;
    Ok(seen)
}

#[tokio::test]
async fn a_model_comes_whole_and_once() {
    let (server, address) = Server::start(Nature::default()).await;
    let models = tempfile::tempdir().unwrap();
    let into = models.path().join("a/small");
    let seen = pull(&address, &into).await.unwrap();
    assert!(seen.is_sorted() && *seen.last().unwrap() == 1_200_008);
    for name in ["config.json", "model.safetensors"] {
        assert_eq!(std::fs::read(into.join(name)).unwrap(), server.files[name], "{name}");
    }
    assert!(!into.join("pytorch_model.bin").exists(), "what may hold programs is not fetched");
    assert!(
        server
            .asked_for("/resolve/")
            .iter()
            .all(|head| head.to_lowercase().contains("authorization: bearer secret"))
    );
    // Again, only the list is asked for.
    let before = server.asked_for("/resolve/").len();
    pull(&address, &into).await.unwrap();
    assert_eq!(server.asked_for("/resolve/").len(), before);

    let found = list(models.path());
    let (folder, Some(pulled)) = &found[0] else { panic!("{found:?}") };
    assert_eq!((found.len(), folder, pulled.commit.as_str()), (1, &into, COMMIT));
    assert!(pulled.changed(folder).unwrap().is_empty());
    let to = models.path().join("elsewhere");
    assert_eq!(put(folder, &to).unwrap().len(), 2);
    assert_eq!(std::fs::read(to.join("model.safetensors")).unwrap(), server.files["model.safetensors"]);
    assert!(matches!(put(folder, models.path()), Err(HubError::Occupied { .. })));
    std::fs::write(folder.join("config.json"), "{\"a\": 2}").unwrap();
    assert_eq!(Pulled::read(folder).unwrap().changed(folder).unwrap(), ["config.json"]);
    // What has changed is fetched again.
    pull(&address, &into).await.unwrap();
    assert!(pulled.changed(folder).unwrap().is_empty());
}

#[tokio::test]
async fn what_breaks_off_goes_on_where_it_was() {
    for whole in [false, true] {
        let nature = Nature { breaks: Some((700_000, 1)), whole, ..Nature::default() };
        let (server, address) = Server::start(nature).await;
        let into = tempfile::tempdir().unwrap();
        pull(&address, into.path()).await.unwrap();
        assert_eq!(
            std::fs::read(into.path().join("model.safetensors")).unwrap(),
            server.files["model.safetensors"]
        );
        let asked = server.asked_for("/model.safetensors");
        assert_eq!(asked.len(), 2);
        assert!(asked[1].to_lowercase().contains("range: bytes="), "{}", asked[1]);
    }
}

#[tokio::test]
async fn a_later_run_goes_on_as_well() {
    let (server, address) = Server::start(Nature::default()).await;
    let into = tempfile::tempdir().unwrap();
    std::fs::write(into.path().join("model.safetensors.part"), &server.files["model.safetensors"][..500_000])
        .unwrap();
    pull(&address, into.path()).await.unwrap();
    let asked = server.asked_for("/model.safetensors");
    assert!(asked.len() == 1 && asked[0].to_lowercase().contains("range: bytes=500000-"), "{asked:?}");
    assert_eq!(
        std::fs::read(into.path().join("model.safetensors")).unwrap(),
        server.files["model.safetensors"]
    );
}

#[tokio::test]
async fn lies_are_not_kept() {
    let right: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let mut other = right.clone();
    other[77] ^= 1;
    let (_server, address) = Server::start(Nature { lie: Some(other), ..Nature::default() }).await;
    let into = tempfile::tempdir().unwrap();
    let error = pull(&address, into.path()).await.unwrap_err();
    assert!(matches!(&error, HubError::Mismatch { file, .. } if file == "model.safetensors"), "{error}");
    let left: Vec<_> =
        std::fs::read_dir(into.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["config.json"], "neither the lie nor a part of it");

    let (_server, address) =
        Server::start(Nature { lie: Some([right, vec![0; 9]].concat()), ..Nature::default() }).await;
    let error = pull(&address, into.path()).await.unwrap_err();
    assert!(error.to_string().contains("more than the 1200000 bytes"), "{error}");
}

#[tokio::test]
async fn what_a_hub_says_is_checked_before_anything_is_fetched() {
    let file = |name: &str, size: u64, blob: &str| json!({"sha": COMMIT, "siblings": [{"rfilename": name, "size": size, "blobId": blob}, {"rfilename": "config.json", "size": 1, "blobId": COMMIT}]});
    let into = tempfile::tempdir().unwrap();
    for (list, why) in [
        (file("../model.safetensors.json", 1, COMMIT), "has no name, size or hash"),
        (file("model.safetensors", 1, "short"), "has no name, size or hash"),
        (file("model.safetensors", 1 << 40, COMMIT), "raise that with --limit"),
        (file("other.bin", 1, COMMIT), "has no files of a model"),
        (json!({"sha": "x", "siblings": []}), "its commit is none"),
        (json!({"message": "hello"}), "cannot be used"),
    ] {
        // A name that leaves the folder is looked at with all the others.
        let (server, address) = Server::start(Nature { list: Some(list.clone()), ..Nature::default() }).await;
        let hub = Hub::new(&address, None).unwrap();
        let done = match hub.look("a/small", "main", list.to_string().contains("../")).await {
            Ok(listing) => hub.pull(&listing, into.path(), 10 << 20, &mut |_| {}).await,
            Err(why) => Err(why),
        };
        let error = done.unwrap_err().to_string();
        assert!(error.contains(why), "{list}: {error}");
        assert!(server.asked_for("/resolve/").is_empty());
    }
    let (_server, address) = Server::start(Nature::default()).await;
    let hub = Hub::new(&address, None).unwrap();
    for (repo, revision, why) in [
        ("a/large", "main", "there is no such model"),
        ("a/small", "nowhere", "there is no such model"),
        ("a/../small", "main", "names no model"),
        ("small", "main", "names no model"),
    ] {
        let error = hub.look(repo, revision, false).await.unwrap_err().to_string();
        assert!(error.contains(why), "{repo} {revision}: {error}");
    }
    for (base, why) in [
        ("http://example.org", "read and changed on the way"),
        ("ftp://127.0.0.1", "on the way"),
        ("hello", "no hub"),
    ] {
        assert!(Hub::new(base, None).unwrap_err().to_string().contains(why), "{base}");
    }
}
