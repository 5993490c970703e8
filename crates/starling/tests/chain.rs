//! Keys and deployment, as a person at a terminal has them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chain::embedded::{Embedded, Options};
use serde_json::Value;

fn starling(home: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starling"))
        .args(words)
        .arg("--home")
        .arg(home)
        .env_remove("STARLING_PASSPHRASE")
        .output()
        .unwrap()
}

fn told(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("starling-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn keys_are_shown_moved_and_replaced() {
    let folder = Folder::new("identity");
    let (here, there) = (folder.0.join("here"), folder.0.join("there"));
    let first = told(&starling(&here, &["identity", "show", "--json"]));
    assert_eq!(first, told(&starling(&here, &["identity", "show", "--json"])), "the same keys again");
    assert_eq!(first["protected"], false);

    // Without a passphrase there is no keystore to take away, and the remedy is told.
    let refused = starling(&here, &["identity", "export"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--raw"));
    let raw = starling(&here, &["identity", "export", "--raw"]);
    let file = folder.0.join("raw");
    std::fs::write(&file, &raw.stdout).unwrap();
    let moved = told(&starling(&there, &["identity", "import", file.to_str().unwrap(), "--json"]));
    assert_eq!(moved["wallet"], first["wallet"]);
    assert_ne!(moved["peer"], first["peer"], "another node of the same wallet");

    let secret = folder.0.join("secret");
    std::fs::write(&secret, "nine birds\n").unwrap();
    let secret = secret.to_str().unwrap();
    let protected = told(&starling(&there, &["identity", "passphrase", "--new", secret, "--json"]));
    assert_eq!(protected["protected"], true);
    let locked = starling(&there, &["identity", "show"]);
    assert!(String::from_utf8_lossy(&locked.stderr).contains("STARLING_PASSPHRASE"));
    let rotated = told(&starling(&there, &["identity", "rotate", "--json", "--passphrase-file", secret]));
    assert_eq!(rotated["wallet"], moved["wallet"]);
    assert_ne!(rotated["peer"], moved["peer"]);
}

#[test]
fn contracts_are_deployed_once() {
    let folder = Folder::new("deploy");
    let wallet =
        told(&starling(&folder.0, &["identity", "show", "--json"]))["wallet"].as_str().unwrap().to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let chain = Embedded::in_memory(Options::default()).unwrap();
    let server = runtime.block_on(chain.serve(([127, 0, 0, 1], 0).into())).unwrap();
    let rpc = format!("http://{}", server.address());
    let deploy = || starling(&folder.0, &["chain", "deploy", "--json", "--rpc", &rpc]);

    let poor = deploy();
    let said = String::from_utf8_lossy(&poor.stderr).into_owned();
    assert!(!poor.status.success() && said.contains(&wallet) && said.contains("ETH"), "{said}");
    let account: chain::Address = wallet.parse().unwrap();
    runtime.block_on(chain.fund(account.0, 10_u128.pow(18))).unwrap();
    let first = told(&deploy());
    assert_eq!(
        first["deployed_now"].as_array().unwrap().len(),
        first["manifest"]["contracts"].as_object().unwrap().len()
    );
    let second = told(&deploy());
    assert_eq!(second["deployed_now"], Value::Array(Vec::new()));
    assert_eq!(second["manifest"], first["manifest"]);
}
