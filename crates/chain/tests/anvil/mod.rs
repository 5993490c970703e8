//! Anvil, as a process of its own, for the tests that hold us to it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The id that Anvil gives its chain.
pub(crate) const CHAIN_ID: u64 = 31337;

/// A running Anvil; it ends with this.
pub(crate) struct Anvil {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Anvil {
    /// Nothing where the one who runs the tests has said that they are to do without.
    pub(crate) fn start() -> Option<Anvil> {
        if std::env::var_os("CHAIN_WITHOUT_ANVIL").is_some() {
            eprintln!("left out, since CHAIN_WITHOUT_ANVIL is set: the same on Anvil");
            return None;
        }
        let program = std::env::var_os("ANVIL").map_or_else(installed, PathBuf::from);
        let mut child = Command::new(&program)
            .args(["--port", "0", "--chain-id", &CHAIN_ID.to_string(), "--hardfork", "osaka"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|why| {
                panic!(
                    "{}: {why}. `cargo xtask test` installs Anvil; ANVIL=<program> names another one, and \
                     CHAIN_WITHOUT_ANVIL=1 leaves it out",
                    program.display()
                )
            });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address =
            lines.find_map(|line| line.unwrap().strip_prefix("Listening on ")?.parse().ok()).unwrap();
        // It writes on, and must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Anvil { address, child })
    }
}

/// Where `cargo xtask` puts it.
fn installed() -> PathBuf {
    let system = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    let processor = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/node/chain/node_modules/@foundry-rs");
    PathBuf::from(format!("{home}/anvil-{system}-{processor}/bin/anvil"))
}
