//! The hub's side: what a model consists of at a commit, and its files.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::folder::Pulled;
use super::{HubError, LIMIT_FILES, NOTE, is_inside, is_name, is_wanted};
use crate::report::hex;

/// The longest list of files that a hub may send.
const LIST_BYTES: usize = 8 << 20;
/// How long a hub may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How often a transfer that broke off is taken up again without having brought anything, and the pause before each.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
const REDIRECTS: usize = 5;
/// Bytes that are hashed at a time of what is on the disk.
const AT_A_TIME: usize = 1 << 20;

/// A hub of models.
#[derive(Debug, Clone)]
pub struct Hub {
    base: Url,
    token: Option<String>,
    client: Client,
}

/// What a model consists of at one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its name.
    pub repo: String,
    /// The commit.
    pub commit: String,
    /// Its files, those that are not wanted left out.
    pub files: Vec<Remote>,
}

/// A file at a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Where it lies in the model's folder.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// Its hash.
    pub sum: Sum,
}

/// A hash as hubs name them: that of large files over their bytes alone, that of small ones as git has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sum {
    /// SHA-256, in hexadecimal.
    Sha256(String),
    /// Git's SHA-1 of a file of that length, in hexadecimal.
    Git(String),
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file that is being fetched.
    pub file: &'a str,
    /// Bytes of all files that are here.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// The hub's own words.
#[derive(Deserialize)]
struct Model {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Listing {
    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }
}

impl Hub {
    /// Where models are fetched from unless told otherwise.
    pub const USUAL: &'static str = "https://huggingface.co";

    /// A hub by its address; `token` is shown to it and to nobody else.
    pub fn new(base: &str, token: Option<String>) -> Result<Hub, HubError> {
        let wrong = |why: String| HubError::NotAHub { text: base.to_owned(), why };
        let mut url: Url = base.parse().map_err(|why| wrong(format!("{why}")))?;
        let here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        match url.scheme() {
            "https" => {}
            "http" if here => {}
            _ => return Err(wrong("what comes could be read and changed on the way".to_owned())),
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        // Another part of the program may have chosen the same already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(SILENCE)
            .read_timeout(SILENCE)
            .https_only(url.scheme() == "https")
            .redirect(Policy::limited(REDIRECTS))
            .user_agent(concat!("starling/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|why| wrong(why.to_string()))?;
        Ok(Hub { base: url, token, client })
    }

    /// Asks what a model consists of at a branch, a tag or a commit: the files that we read, or all.
    pub async fn look(&self, repo: &str, revision: &str, all: bool) -> Result<Listing, HubError> {
        if !is_name(repo) {
            return Err(HubError::NotAName { text: repo.to_owned() });
        }
        if !is_inside(revision) {
            return Err(HubError::NotAName { text: format!("{repo} at {revision}") });
        }
        let mut url = self.url(&["api", "models", repo, "revision", revision]);
        url.set_query(Some("blobs=true"));
        let bytes = whole(self.get(&url, 0).await?, &url).await?;
        let nonsense = |why: String| HubError::Nonsense { url: url.to_string(), why };
        let model: Model = serde_json::from_slice(&bytes).map_err(|why| nonsense(why.to_string()))?;
        if !is_hash(&model.sha, 40) {
            return Err(nonsense("its commit is none".to_owned()));
        }
        if model.siblings.len() > LIMIT_FILES {
            return Err(nonsense(format!(
                "it names {} files, and no model has so many",
                model.siblings.len()
            )));
        }
        let mut files = Vec::new();
        for Sibling { rfilename: path, size, blob_id, lfs } in model.siblings {
            if path == NOTE || (!all && !is_wanted(&path)) {
                continue;
            }
            let (size, sum) = match (lfs, size, blob_id) {
                (Some(lfs), ..) => (Some(lfs.size), Some(Sum::Sha256(lfs.sha256)).filter(Sum::is_hash)),
                (None, size, blob) => (size, blob.map(Sum::Git).filter(Sum::is_hash)),
            };
            let (true, Some(size), Some(sum)) = (is_inside(&path), size, sum) else {
                return Err(nonsense(format!("{path:?} has no name, size or hash that can be used")));
            };
            files.push(Remote { path, size, sum });
        }
        let has = |name: &str| files.iter().any(|file| file.path == name);
        let weights = files.iter().any(|file| file.path.ends_with(".safetensors"));
        if !(all || has("config.json") && weights) {
            return Err(HubError::NoModel { repo: repo.to_owned() });
        }
        Ok(Listing { repo: repo.to_owned(), commit: model.sha, files })
    }

    /// Fetches what is missing of a model into a folder, no more than `limit_bytes` in all, and says in the folder what it is.
    pub async fn pull(
        &self,
        listing: &Listing,
        into: &Path,
        limit_bytes: u64,
        tell: &mut (dyn FnMut(Progress<'_>) + Send),
    ) -> Result<(), HubError> {
        let total = listing.bytes();
        if total > limit_bytes {
            return Err(HubError::TooLarge { what: listing.repo.clone(), bytes: total, limit: limit_bytes });
        }
        let mut before = 0;
        for file in &listing.files {
            self.fetch(listing, file, into, &mut |done| {
                tell(Progress { file: &file.path, done: before + done, total });
            })
            .await?;
            before += file.size;
        }
        Pulled { repo: listing.repo.clone(), commit: listing.commit.clone(), files: listing.files.clone() }
            .write(into)
    }

    async fn fetch(
        &self,
        listing: &Listing,
        file: &Remote,
        into: &Path,
        tell: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), HubError> {
        let path = into.join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(HubError::file("making the folder", folder))?;
        }
        if fs::metadata(&path).is_ok_and(|found| found.len() == file.size) && file.is(&path)? {
            tell(file.size);
            return Ok(());
        }
        let part = part_of(&path);
        let mut coming = Coming::open(&part, file)?;
        let url = self.url(&[&listing.repo, "resolve", &listing.commit, &file.path]);
        let mut tries = 0;
        while coming.bytes < file.size {
            let before = coming.bytes;
            let broke = match self.transfer(&url, file, &mut coming, tell).await {
                Ok(()) => continue,
                Err(why @ HubError::Unreachable { .. }) => why,
                Err(why) => return Err(why),
            };
            tries = if coming.bytes > before { 0 } else { tries + 1 };
            let Some(pause) = PAUSES.get(tries) else { return Err(broke) };
            tokio::time::sleep(*pause).await;
        }
        let found = coming.hash.end();
        coming.file.sync_all().map_err(HubError::file("writing", &part))?;
        drop(coming.file);
        if found != *file.sum.digits() {
            let _ = fs::remove_file(&part);
            let (file, expected) = (file.path.clone(), file.sum.digits().clone());
            return Err(HubError::Mismatch { file, expected, found });
        }
        fs::rename(&part, &path).map_err(HubError::file("naming", &path))
    }

    /// Takes what comes of a file from where it is on, until it is whole or the connection breaks.
    async fn transfer(
        &self,
        url: &Url,
        file: &Remote,
        coming: &mut Coming,
        tell: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), HubError> {
        let mut answer = self.get(url, coming.bytes).await?;
        if coming.bytes > 0 && !continues(&answer, coming.bytes) {
            // A hub that knows no parts begins at the beginning.
            coming.again(file)?;
        }
        while let Some(bytes) = answer.chunk().await.map_err(|why| unreachable(url, &why))? {
            if bytes.len() as u64 > file.size - coming.bytes {
                let why = format!("there is more than the {} bytes of {}", file.size, file.path);
                return Err(HubError::Nonsense { url: url.to_string(), why });
            }
            coming.take(&bytes)?;
            tell(coming.bytes);
        }
        if coming.bytes < file.size {
            let why = format!("it broke off after {} of {} bytes", coming.bytes, file.size);
            return Err(HubError::Unreachable { url: url.to_string(), why });
        }
        Ok(())
    }

    /// Asks for something from a byte on.
    async fn get(&self, url: &Url, from: u64) -> Result<Response, HubError> {
        let mut asked = self.client.get(url.clone());
        if from > 0 {
            asked = asked.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = &self.token {
            asked = asked.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = asked.send().await.map_err(|why| unreachable(url, &why))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let url = url.to_string();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(HubError::Unreachable { url, why: format!("the hub is busy or broken ({status})") });
        }
        let remedy = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "it is private or asks for consent: agree to its terms on its page, and set HF_TOKEN to a token that may read it"
            }
            StatusCode::NOT_FOUND => "there is no such model or revision: look for it on the hub's pages",
            _ => "try again later, or take another hub",
        };
        Err(HubError::Refused { url, status: status.as_u16(), remedy })
    }

    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            path.extend(parts.iter().flat_map(|part| part.split('/')));
        }
        url
    }
}

impl Sum {
    fn digits(&self) -> &String {
        match self {
            Sum::Sha256(digits) | Sum::Git(digits) => digits,
        }
    }

    fn is_hash(&self) -> bool {
        match self {
            Sum::Sha256(digits) => is_hash(digits, 64),
            Sum::Git(digits) => is_hash(digits, 40),
        }
    }
}

impl Remote {
    /// Whether a file on the disk is this one.
    pub(super) fn is(&self, path: &Path) -> Result<bool, HubError> {
        let mut hash = Hash::new(self);
        read(path, &mut hash)?;
        Ok(hash.end() == *self.sum.digits())
    }
}

/// The hash that is being worked out.
enum Hash {
    Sha256(Sha256),
    Git(Sha1),
}

impl Hash {
    fn new(file: &Remote) -> Hash {
        match file.sum {
            Sum::Sha256(_) => Hash::Sha256(Sha256::new()),
            // Git hashes a file's kind and length before its bytes.
            Sum::Git(_) => Hash::Git(Sha1::new_with_prefix(format!("blob {}\0", file.size))),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Hash::Sha256(hash) => hash.update(bytes),
            Hash::Git(hash) => hash.update(bytes),
        }
    }

    fn end(self) -> String {
        match self {
            Hash::Sha256(hash) => hex(&hash.finalize()),
            Hash::Git(hash) => hex(&hash.finalize()),
        }
    }
}

/// A file of which a part is here.
struct Coming {
    path: std::path::PathBuf,
    file: File,
    bytes: u64,
    hash: Hash,
}

impl Coming {
    /// What came of a file the last time, to go on from.
    fn open(part: &Path, file: &Remote) -> Result<Coming, HubError> {
        let about = HubError::file("opening", part);
        let opened = File::options().create(true).append(true).open(part).map_err(about)?;
        let mut coming = Coming { path: part.to_owned(), file: opened, bytes: 0, hash: Hash::new(file) };
        coming.bytes = read(part, &mut coming.hash)?;
        if coming.bytes > file.size {
            coming.again(file)?;
        }
        Ok(coming)
    }

    fn again(&mut self, file: &Remote) -> Result<(), HubError> {
        self.file.set_len(0).map_err(HubError::file("cutting", &self.path))?;
        (self.bytes, self.hash) = (0, Hash::new(file));
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).map_err(HubError::file("writing", &self.path))?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Hashes a file; gives its length.
fn read(path: &Path, hash: &mut Hash) -> Result<u64, HubError> {
    let mut file = File::open(path).map_err(HubError::file("reading", path))?;
    let (mut buffer, mut length) = (vec![0; AT_A_TIME], 0);
    loop {
        match file.read(&mut buffer).map_err(HubError::file("reading", path))? {
            0 => return Ok(length),
            some => {
                hash.update(&buffer[..some]);
                length += some as u64;
            }
        }
    }
}

fn part_of(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Whether an answer goes on from this byte.
fn continues(answer: &Response, from: u64) -> bool {
    let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    answer.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

/// All of a short answer.
async fn whole(mut answer: Response, url: &Url) -> Result<Vec<u8>, HubError> {
    let mut bytes = Vec::new();
    while let Some(some) = answer.chunk().await.map_err(|why| unreachable(url, &why))? {
        bytes.extend_from_slice(&some);
        if bytes.len() > LIST_BYTES {
            let why = format!("it is longer than {LIST_BYTES} bytes");
            return Err(HubError::Nonsense { url: url.to_string(), why });
        }
    }
    Ok(bytes)
}

/// Why there was no answer, with what lies under it: the outermost words say little.
fn unreachable(url: &Url, why: &reqwest::Error) -> HubError {
    let mut words = why.to_string();
    let mut under = std::error::Error::source(why);
    while let Some(deeper) = under {
        words = format!("{words}: {deeper}");
        under = deeper.source();
    }
    HubError::Unreachable { url: url.to_string(), why: words }
}

fn is_hash(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}
