//! `starling identity`: the keys of this node, shown, moved and replaced.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use chain::{Identity, Key, Passphrase};
use clap::{Args, Subcommand};
use serde_json::json;

type Done = Result<(), Box<dyn Error>>;

/// Where the keys are and how they are opened.
#[derive(Args)]
pub(crate) struct Home {
    /// The node's folder; by default `.starling` in your home, or what `STARLING_HOME` names
    #[arg(long = "home", value_name = "FOLDER", global = true)]
    at: Option<PathBuf>,
    /// A file whose first line is the passphrase; else `STARLING_PASSPHRASE`, else you are asked if a key has one
    #[arg(long, value_name = "FILE", global = true)]
    passphrase_file: Option<PathBuf>,
    /// Ask for a passphrase for keys that are made now
    #[arg(long, global = true)]
    ask_passphrase: bool,
    /// One JSON object on stdout, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Where everything is kept unless told otherwise: what `STARLING_HOME` names, or `.starling` in the user's home.
pub(crate) fn usual_home() -> Result<PathBuf, Box<dyn Error>> {
    if let Some(folder) = std::env::var_os("STARLING_HOME") {
        return Ok(PathBuf::from(folder));
    }
    let home = std::env::home_dir().ok_or("there is no home folder: name one with --home")?;
    Ok(home.join(".starling"))
}

impl Home {
    pub(crate) fn folder(&self) -> Result<PathBuf, Box<dyn Error>> {
        self.at.clone().map_or_else(usual_home, Ok)
    }

    pub(crate) fn keys(&self) -> Result<PathBuf, Box<dyn Error>> {
        Ok(self.folder()?.join("keys"))
    }

    pub(crate) fn passphrase(&self) -> Passphrase {
        Passphrase::Found { file: self.passphrase_file.clone(), ask_for_new: self.ask_passphrase }
    }

    pub(crate) fn identity(&self) -> Result<Identity, Box<dyn Error>> {
        Ok(Identity::open(&self.keys()?, &self.passphrase())?)
    }
}

/// What is to be done, and with which folder.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    home: Home,
}

#[derive(Subcommand)]
enum What {
    /// The addresses and the peer's public key; makes the keys if there are none
    Show,
    /// A key, to be kept elsewhere: a keystore that any wallet opens, or the bare number
    Export {
        /// The peer key instead of the wallet
        #[arg(long)]
        peer: bool,
        /// 64 hexadecimal digits instead of a keystore. Whoever sees them has the key
        #[arg(long)]
        raw: bool,
    },
    /// Take a key from a keystore (of Starling, geth, a browser's wallet) or from 64 hexadecimal digits
    Import {
        /// The file, or `-` for stdin
        file: PathBuf,
        /// As the peer key instead of the wallet
        #[arg(long)]
        peer: bool,
        /// Put the key that is there aside, in `retired`
        #[arg(long)]
        replace: bool,
        /// A file whose first line opens the keystore, if that has another passphrase than this node's keys
        #[arg(long, value_name = "FILE")]
        opens_with: Option<PathBuf>,
    },
    /// Make a new peer key; the chain learns of it when the node next registers
    Rotate,
    /// Give both keys a passphrase, or another one
    Passphrase {
        /// A file whose first line is the new one; without it you are asked
        #[arg(long, value_name = "FILE")]
        new: Option<PathBuf>,
    },
}

pub(crate) fn run(options: &Options) -> Done {
    let home = &options.home;
    match &options.what {
        What::Show => show(home, &home.identity()?),
        What::Export { peer, raw } => export(home, key(*peer), *raw),
        What::Import { file, peer, replace, opens_with } => {
            let opens = opens_with.as_ref().map_or_else(
                || home.passphrase(),
                |file| Passphrase::Found { file: Some(file.clone()), ask_for_new: false },
            );
            let text = read(file)?;
            Identity::import(&home.keys()?, key(*peer), &text, &opens, &home.passphrase(), *replace)?;
            show(home, &home.identity()?)
        }
        What::Rotate => {
            let mut identity = home.identity()?;
            identity.rotate(&home.passphrase())?;
            show(home, &identity)
        }
        What::Passphrase { new } => {
            let mut identity = home.identity()?;
            if new.is_none() && !std::io::stdin().is_terminal() {
                return Err("there is no terminal to ask at: name a file with --new".into());
            }
            let phrase = match new {
                Some(file) => Passphrase::Found { file: Some(file.clone()), ask_for_new: false }.for_new()?,
                None => Passphrase::asked()?,
            };
            identity.set_passphrase(&home.passphrase(), phrase.as_ref().map_or("", |p| p.as_str()))?;
            show(home, &identity)
        }
    }
}

fn key(peer: bool) -> Key {
    if peer { Key::Peer } else { Key::Wallet }
}

fn show(home: &Home, identity: &Identity) -> Done {
    let mut peer = String::new();
    for byte in identity.peer().public() {
        write!(peer, "{byte:02x}")?;
    }
    let folder = home.keys()?;
    if home.json {
        let object = json!({
            "wallet": identity.address(Key::Wallet).to_string(),
            "peer": peer,
            "peer_address": identity.address(Key::Peer).to_string(),
            "protected": identity.is_protected(),
            "folder": folder,
        });
        say!("{object}");
        return Ok(());
    }
    say!("wallet   {}", identity.address(Key::Wallet));
    say!("peer     {peer}");
    say!("in       {}", folder.display());
    if identity.is_protected() {
        say!("A passphrase protects both keys.");
    } else {
        say!(
            "No passphrase: good for a network of your own. Before real money, `starling identity passphrase`."
        );
    }
    Ok(())
}

fn export(home: &Home, key: Key, raw: bool) -> Done {
    let identity = home.identity()?;
    let address = identity.address(key).to_string();
    if raw {
        let secret = identity.export_raw(key, &home.passphrase())?;
        if home.json {
            say!("{}", json!({"address": address, "secret": secret.as_str()}));
        } else {
            say!("{}", secret.as_str());
        }
        return Ok(());
    }
    let none = "a keystore needs a passphrase: set STARLING_PASSPHRASE, name a file with --passphrase-file, or be \
                asked with --ask-passphrase; --raw goes without";
    let under = home.passphrase().for_new()?.ok_or(none)?;
    say!("{}", identity.export(key, &home.passphrase(), &under)?);
    Ok(())
}

/// As much of a file as a key may be.
fn read(file: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut text = Vec::new();
    let source: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(|e| format!("{}: {e}", file.display()))?)
    };
    source.take(1 << 20).read_to_end(&mut text)?;
    Ok(text)
}
