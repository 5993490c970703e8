//! The two keys of a node: a wallet, which owns and pays, and a peer key, which the network knows it by.
//!
//! Both are secp256k1, so that a contract can check that they belong together. They lie in a folder of the node's own as sealed
//! keystores, `wallet.json` and `peer.json`, and are made when they are first asked for. Several nodes may share a
//! wallet, never a peer key.

mod keystore;
mod passphrase;
mod scrypt;
mod wallet;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use passphrase::Passphrase;
pub use wallet::{PeerKey, Signature, Wallet};

use crate::Address;
use keystore::{Cost, Secret};

/// The keys of one node, in a folder.
#[derive(Debug)]
pub struct Identity {
    folder: PathBuf,
    wallet: Wallet,
    peer: PeerKey,
    protected: bool,
}

/// Which of the two keys is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The key that owns and pays.
    Wallet,
    /// The key the network knows the node by.
    Peer,
}

/// Why a key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file of the folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("this is no keystore (Web3 secret storage, version 3): {why}")]
    NotAKeystore {
        /// What is wrong with it.
        why: String,
    },
    /// The text to import is neither a keystore nor a raw key.
    #[error("a key is a keystore's JSON, or 64 hexadecimal digits that are a number below the curve's order")]
    NotAKey,
    /// The passphrase does not open the key.
    #[error("the passphrase does not open this key")]
    WrongPassphrase,
    /// The key has a passphrase and nobody gave one.
    #[error(
        "{} has a passphrase: run in a terminal, set STARLING_PASSPHRASE, or name a file with --passphrase-file",
        path.display()
    )]
    NeedsPassphrase {
        /// The key's file.
        path: PathBuf,
    },
    /// What was typed the second time differs.
    #[error("the two passphrases differ: nothing was changed")]
    Mistyped,
    /// The file asks for more memory or time than any wallet's does.
    #[error(
        "this keystore asks for more than 1 GiB of memory or 2^23 steps to be opened, more than any wallet's does"
    )]
    TooCostly,
    /// A key without passphrase that others can read.
    #[error("{} has no passphrase and other users can read it: `chmod 600` it", path.display())]
    TooOpen {
        /// The key's file.
        path: PathBuf,
    },
    /// Another key is there already.
    #[error("{} holds another key, {address}: export it first, then import with --replace", path.display())]
    Occupied {
        /// The key's file.
        path: PathBuf,
        /// The key's address.
        address: Address,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers, without which no key can be made")]
    NoRandomness,
    /// A hardware or remote signer refused.
    #[error("the signer did not sign: {why}")]
    Signer {
        /// What it said.
        why: String,
    },
}

impl Identity {
    /// Opens the keys in a folder; those that are missing are made.
    ///
    /// A new key is sealed with the passphrase that a file or the environment gives (or the prompt, if it was asked for). Without one it has
    /// none, which is good enough for a network of one's own and nothing else: [`crate::Account`] refuses such a wallet on a chain with real money.
    pub fn open(folder: &Path, passphrase: &Passphrase) -> Result<Self, KeyError> {
        fs::create_dir_all(folder).map_err(|source| KeyError::File { path: folder.to_owned(), source })?;
        let mut known = None;
        let (wallet, protected) = open_or_make(&path(folder, Key::Wallet), passphrase, &mut known)?;
        let (peer, _) = open_or_make(&path(folder, Key::Peer), passphrase, &mut known)?;
        let wallet = Wallet::from_secret(&wallet)?.protected(protected);
        Ok(Self { folder: folder.to_owned(), wallet, peer: PeerKey::from_secret(&peer)?, protected })
    }

    /// The key that owns and pays.
    pub fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// The key the network knows the node by.
    pub fn peer(&self) -> &PeerKey {
        &self.peer
    }

    /// Whether a passphrase protects the wallet.
    pub fn is_protected(&self) -> bool {
        self.protected
    }

    /// The address of a key.
    pub fn address(&self, key: Key) -> Address {
        match key {
            Key::Wallet => self.wallet.address(),
            Key::Peer => self.peer.address(),
        }
    }

    /// A key as 64 hexadecimal digits, which every wallet takes. Whoever sees them has the key.
    pub fn export_raw(&self, key: Key, passphrase: &Passphrase) -> Result<Zeroizing<String>, KeyError> {
        Ok(Zeroizing::new(format!("0x{}", keystore::hex(self.secret(key, passphrase)?.as_slice()))))
    }

    /// A key as a keystore under a passphrase of its own, for keeping elsewhere.
    pub fn export(&self, key: Key, passphrase: &Passphrase, under: &str) -> Result<String, KeyError> {
        keystore::seal(&self.secret(key, passphrase)?, self.address(key), under, Cost::Strong)
    }

    /// Takes a key from a keystore's text or 64 hexadecimal digits into a folder, sealed as new keys are.
    ///
    /// Another key that is there already is an error, unless it may be replaced: then it is kept in `retired/`. The same key again is harmless.
    pub fn import(
        folder: &Path,
        key: Key,
        text: &[u8],
        opens_text: &Passphrase,
        passphrase: &Passphrase,
        replace: bool,
    ) -> Result<Address, KeyError> {
        fs::create_dir_all(folder).map_err(|source| KeyError::File { path: folder.to_owned(), source })?;
        let raw = std::str::from_utf8(text).ok().and_then(|t| keystore::bytes(t.trim()));
        let secret = match raw {
            Some(raw) => Zeroizing::new(raw),
            None => open_text(text, Path::new("the key to import"), opens_text, &mut None)?,
        };
        let address = PeerKey::from_secret(&secret)?.address();
        let path = path(folder, key);
        if let Some(there) = read(&path)? {
            let held = keystore::address(&there).unwrap_or_default();
            if held == address {
                return Ok(address);
            }
            if !replace {
                return Err(KeyError::Occupied { path, address: held });
            }
            retire(folder, &path, held)?;
        }
        write_new(&path, &sealed(&secret, address, passphrase.for_new()?.as_ref())?)?;
        Ok(address)
    }

    /// Makes a new peer key; the old one is kept in `retired/`. The chain learns of it when the node next registers.
    pub fn rotate(&mut self, passphrase: &Passphrase) -> Result<(), KeyError> {
        let path = path(&self.folder, Key::Peer);
        let mut known = None;
        // The old key is opened first: whoever cannot must not be able to replace it either.
        self.secret_with(Key::Peer, passphrase, &mut known)?;
        let secret = new_secret()?;
        let peer = PeerKey::from_secret(&secret)?;
        let phrase = if self.protected { known } else { passphrase.for_new()? };
        let text = sealed(&secret, peer.address(), phrase.as_ref())?;
        retire(&self.folder, &path, self.peer.address())?;
        write_new(&path, &text)?;
        self.peer = peer;
        Ok(())
    }

    /// Seals both keys anew under another passphrase; an empty one takes the protection away.
    pub fn set_passphrase(&mut self, old: &Passphrase, new: &str) -> Result<(), KeyError> {
        let mut known = None;
        let new = (!new.is_empty()).then(|| Zeroizing::new(new.to_owned()));
        let mut texts = Vec::new();
        for key in [Key::Wallet, Key::Peer] {
            let secret = self.secret_with(key, old, &mut known)?;
            texts.push((path(&self.folder, key), sealed(&secret, self.address(key), new.as_ref())?));
        }
        for (path, text) in texts {
            write_over(&path, &text)?;
        }
        self.protected = new.is_some();
        self.wallet = self.wallet.clone().protected(self.protected);
        Ok(())
    }

    fn secret(&self, key: Key, passphrase: &Passphrase) -> Result<Secret, KeyError> {
        self.secret_with(key, passphrase, &mut None)
    }

    fn secret_with(
        &self,
        key: Key,
        passphrase: &Passphrase,
        known: &mut Option<Zeroizing<String>>,
    ) -> Result<Secret, KeyError> {
        let path = path(&self.folder, key);
        let gone = || KeyError::File { path: path.clone(), source: ErrorKind::NotFound.into() };
        open_text(&read(&path)?.ok_or_else(gone)?, &path, passphrase, known)
    }
}

fn path(folder: &Path, key: Key) -> PathBuf {
    folder.join(match key {
        Key::Wallet => "wallet.json",
        Key::Peer => "peer.json",
    })
}

/// The secret in a file and whether it is protected; a new one if there is no file.
fn open_or_make(
    path: &Path,
    passphrase: &Passphrase,
    known: &mut Option<Zeroizing<String>>,
) -> Result<(Secret, bool), KeyError> {
    if read(path)?.is_none() {
        let secret = new_secret()?;
        if known.is_none() {
            *known = passphrase.for_new()?;
        }
        match write_new(path, &sealed(&secret, PeerKey::from_secret(&secret)?.address(), known.as_ref())?) {
            Err(KeyError::File { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
                // Another node of ours was quicker: its key it is.
            }
            done => done?,
        }
    }
    let gone = || KeyError::File { path: path.to_owned(), source: ErrorKind::NotFound.into() };
    let text = read(path)?.ok_or_else(gone)?;
    let protected = !keystore::needs_no_passphrase(&text);
    Ok((open_text(&text, path, passphrase, known)?, protected))
}

/// Opens a keystore with what is known, else with what the passphrase's source gives, which is then known.
fn open_text(
    text: &[u8],
    path: &Path,
    passphrase: &Passphrase,
    known: &mut Option<Zeroizing<String>>,
) -> Result<Secret, KeyError> {
    if keystore::needs_no_passphrase(text) {
        private(path)?;
        return keystore::open(text, "");
    }
    let phrase = match known.take() {
        Some(phrase) => phrase,
        None => {
            passphrase.for_old(path)?.ok_or_else(|| KeyError::NeedsPassphrase { path: path.to_owned() })?
        }
    };
    let secret = keystore::open(text, &phrase)?;
    *known = Some(phrase);
    Ok(secret)
}

fn sealed(secret: &Secret, address: Address, phrase: Option<&Zeroizing<String>>) -> Result<String, KeyError> {
    match phrase {
        Some(phrase) => keystore::seal(secret, address, phrase, Cost::Strong),
        None => keystore::seal(secret, address, "", Cost::None),
    }
}

/// A number below the curve's order, which almost every random one is.
fn new_secret() -> Result<Secret, KeyError> {
    loop {
        let secret = Zeroizing::new(keystore::random()?);
        if PeerKey::from_secret(&secret).is_ok() {
            return Ok(secret);
        }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, KeyError> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyError::File { path: path.to_owned(), source }),
    }
}

/// A key that no passphrase protects must be protected by its file.
fn private(path: &Path) -> Result<(), KeyError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0) {
            return Err(KeyError::TooOpen { path: path.to_owned() });
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Writes a file that only its owner may read, whole or not at all, and never over another.
fn write_new(path: &Path, text: &str) -> Result<(), KeyError> {
    put(path, text, |from, to| fs::hard_link(from, to).and_then(|()| fs::remove_file(from)))
}

fn write_over(path: &Path, text: &str) -> Result<(), KeyError> {
    put(path, text, |from, to| fs::rename(from, to))
}

fn put(path: &Path, text: &str, place: impl Fn(&Path, &Path) -> std::io::Result<()>) -> Result<(), KeyError> {
    let draft = path.with_extension(format!("{}.tmp", keystore::hex(&keystore::random::<8>()?)));
    let written = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        place(&draft, path)?;
        #[cfg(unix)]
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(())
    };
    written().map_err(|source| {
        let _ = fs::remove_file(&draft);
        KeyError::File { path: path.to_owned(), source }
    })
}

/// Puts a key aside, never away: something may still be owed to it.
fn retire(folder: &Path, path: &Path, address: Address) -> Result<(), KeyError> {
    let retired = folder.join("retired");
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let aside = retired.join(format!("{name}-{address}.json"));
    fs::create_dir_all(&retired)
        .and_then(|()| fs::rename(path, &aside))
        .map_err(|source| KeyError::File { path: aside, source })
}
