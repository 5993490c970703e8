//! A chain to act on: ours, in this process, or Anvil, over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use chain::embedded::{Clock, Embedded, Options};
use chain::{Account, Address, Chain, Manifest, Patience, Wallet, Wei};

use crate::anvil::{Anvil, CHAIN_ID};

/// The first of the accounts that Anvil funds; ours does the same here.
const RICH: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

pub(crate) struct World {
    pub(crate) chain: Chain,
    kind: Kind,
    rich: Wallet,
}

enum Kind {
    Ours { embedded: Embedded, clock: Clock },
    Anvil(Anvil),
}

/// Runs a test on both chains.
pub(crate) fn both<F: Future<Output = ()>>(test: impl Fn(World) -> F) {
    run(async {
        test(World::ours().await).await;
        if let Some(anvil) = Anvil::start() {
            test(World::anvil(anvil).await).await;
        }
    });
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test);
}

/// A wallet that nobody else has.
pub(crate) fn wallet(n: u8) -> Wallet {
    Wallet::from_secret(&[n; 32]).unwrap()
}

/// A folder of one's own, gone with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("starling-client-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl World {
    pub(crate) async fn ours() -> Self {
        let rich = rich();
        let clock = Clock::system();
        let options = Options {
            funded: vec![(rich.address().0, Wei::ether(10_000).0)],
            clock: clock.clone(),
            ..Options::default()
        };
        let embedded = Embedded::in_memory(options).unwrap();
        let chain = Chain::embedded(&embedded).await.unwrap();
        Self { chain, kind: Kind::Ours { embedded, clock }, rich }
    }

    async fn anvil(anvil: Anvil) -> Self {
        let chain = Chain::connect(&format!("http://{}", anvil.address)).await.unwrap();
        Self { chain, kind: Kind::Anvil(anvil), rich: rich() }
    }

    /// The same chain as another client reaches it, over HTTP for Anvil.
    pub(crate) async fn again(&self) -> Chain {
        match &self.kind {
            Kind::Ours { embedded, .. } => Chain::embedded(embedded).await.unwrap(),
            Kind::Anvil(anvil) => {
                let (to, known) = (format!("ws://{}", anvil.address), Manifest::everywhere().unwrap());
                let chain = Chain::connect_with(&to, Some(CHAIN_ID), Some(known), Patience::default());
                chain.await.unwrap()
            }
        }
    }

    /// Who has money and has put our contracts there.
    pub(crate) async fn founder(&self) -> Account {
        let founder = Account::open(&self.chain, &self.rich, None).unwrap();
        founder.deploy().await.unwrap();
        founder
    }

    pub(crate) async fn fund(&self, account: Address, amount: Wei) {
        Account::open(&self.chain, &self.rich, None)
            .unwrap()
            .labelled(account.to_string())
            .pay(account, amount)
            .await
            .unwrap();
    }

    /// An account with money.
    pub(crate) async fn someone(&self, n: u8) -> Account {
        let wallet = wallet(n);
        self.fund(wallet.address(), Wei::ether(10)).await;
        Account::open(&self.chain, &wallet, None).unwrap()
    }

    /// Moves the chain's time.
    pub(crate) fn advance(&self, seconds: u64) {
        match &self.kind {
            Kind::Ours { embedded, clock } => {
                clock.advance(seconds);
                embedded.mine().unwrap();
            }
            Kind::Anvil(anvil) => {
                ask(anvil, "evm_increaseTime", &format!("[{seconds}]"));
                ask(anvil, "evm_mine", "[]");
            }
        }
    }

    /// Takes the newest blocks away, and forgets what was in them.
    pub(crate) fn undo(&self, blocks: usize) {
        match &self.kind {
            Kind::Ours { embedded, .. } => embedded.drop_blocks(blocks, false).unwrap(),
            Kind::Anvil(anvil) => {
                ask(anvil, "anvil_rollback", &format!("[{blocks}]"));
            }
        }
    }

    /// Makes an empty block.
    pub(crate) fn mine(&self) {
        match &self.kind {
            Kind::Ours { embedded, .. } => {
                embedded.mine().unwrap();
            }
            Kind::Anvil(anvil) => {
                ask(anvil, "evm_mine", "[]");
            }
        }
    }
}

fn rich() -> Wallet {
    let bytes: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&RICH[2 * i..2 * i + 2], 16).unwrap()).collect();
    Wallet::from_secret(&bytes.try_into().unwrap()).unwrap()
}

/// One question over HTTP, past the client.
fn ask(anvil: &Anvil, method: &str, params: &str) -> String {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let mut stream = TcpStream::connect(anvil.address).unwrap();
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(!answer.contains("\"error\""), "{method}: {answer}");
    answer
}
