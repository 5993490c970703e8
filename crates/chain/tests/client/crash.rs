//! Killed at any moment, a node's outbox loses no intent that it took, and does none twice.
//!
//! This test program starts itself again as the node, which puts payments into its outbox and has the outbox do them, kills it, and starts it
//! again. `OUTBOX_CRASHES=200` kills it that often; without it, a few times.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use chain::embedded::{Embedded, Mining, Options};
use chain::{Address, Chain, Intent, Manifest, Outbox, Patience, Wallet, Wei};

use crate::world::{Folder, run, wallet};

const FOLDER: &str = "OUTBOX_CRASH_FOLDER";
const ADDRESS: &str = "OUTBOX_CRASH_ADDRESS";
const FIRST: &str = "OUTBOX_CRASH_FIRST";

/// Payments that a node makes in one life at most.
const LIFE: u64 = 24;

fn payer() -> Wallet {
    wallet(71)
}

/// Each payment has a payee of its own, so that one made twice shows.
fn payee(n: u64) -> Address {
    let mut address = [0x72; 20];
    address[12..].copy_from_slice(&n.to_be_bytes());
    Address(address)
}

fn payment(n: u64) -> Intent {
    Intent::new(payee(n), Vec::new()).paying(Wei(1))
}

async fn open(folder: &Path, address: &str) -> (Chain, Outbox) {
    let (to, known) = (format!("http://{address}"), Manifest::everywhere().unwrap());
    let chain = Chain::connect_with(&to, None, Some(known), Patience::default()).await.unwrap();
    let outbox = Outbox::open(Some(&folder.join("outbox.redb")), &chain, &payer()).unwrap();
    (chain, outbox)
}

/// The node that is going to be killed. Started as a test like any other, it has nothing to do.
#[test]
fn victim() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (address, first) = (std::env::var(ADDRESS).unwrap(), std::env::var(FIRST).unwrap());
    let first: u64 = first.parse().unwrap();
    run(async {
        let (_, outbox) = open(Path::new(&folder), &address).await;
        println!("\nup");
        // What was put in before the last death, it may put in again.
        for n in first.saturating_sub(5)..first + LIFE {
            outbox.put(payment(n)).unwrap();
            println!("put {n}");
            if n % 3 == 0 {
                outbox.tick().await.unwrap();
                println!("ticked");
            }
        }
        std::future::pending::<()>().await;
    });
}

struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        // On Unix this is kill -9.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(folder: &Folder, address: &str, first: u64) -> (Victim, BufReader<ChildStdout>) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::victim", "--exact", "--nocapture", "--test-threads=1"])
        .envs([(FOLDER, folder.0.to_str().unwrap()), (ADDRESS, address), (FIRST, &first.to_string())])
        .stdout(Stdio::piped())
        .spawn();
    let mut victim = Victim(child.unwrap());
    let lines = BufReader::new(victim.0.stdout.take().unwrap());
    (victim, lines)
}

#[test]
fn no_intent_is_lost_or_done_twice() {
    let crashes: u64 = std::env::var("OUTBOX_CRASHES").map_or(6, |n| n.parse().unwrap());
    run(async move {
        let folder = Folder::new();
        // Blocks take a moment, so that there is always something on its way.
        let embedded = Embedded::in_memory(Options {
            funded: vec![(payer().address().0, Wei::ether(1000).0)],
            mining: Mining::Every(Duration::from_millis(15)),
            ..Options::default()
        })
        .unwrap();
        let server = embedded.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = server.address().to_string();
        let mut taken = 0;
        for crash in 0..crashes {
            // How far it comes: to another place each time, the same in every run, and then a little further.
            let chance = (crash + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let (folder, address) = (&folder, &address);
            taken = tokio::task::block_in_place(move || {
                let (victim, lines) = start(folder, address, taken);
                let mut lines = lines.lines().map(|line| line.unwrap()).skip_while(|line| line != "up");
                let mut last = taken;
                for line in lines.by_ref().take(1 + (chance >> 32) as usize % LIFE as usize) {
                    if let Some(n) = line.strip_prefix("put ") {
                        last = last.max(n.parse::<u64>().unwrap() + 1);
                    }
                }
                (0..chance % 500_000).for_each(|_| std::hint::spin_loop());
                drop(victim);
                // What it had said before it died, it had done.
                let said = lines.filter_map(|line| line.strip_prefix("put ")?.parse::<u64>().ok());
                said.fold(last, |last, n| last.max(n + 1))
            });
        }
        let (chain, outbox) = open(&folder.0, &address).await;
        let waiting: Vec<_> = outbox.open_intents().into_iter().map(|(intent, _)| intent.id()).collect();
        let left = waiting.len();
        for id in waiting {
            outbox.settle(id).await.unwrap();
        }
        for n in 0..taken {
            assert_eq!(chain.balance(payee(n)).await.unwrap(), Wei(1), "payment {n} of {taken}");
        }
        // One more may have been taken, and its node killed before it could say so.
        assert!(chain.balance(payee(taken)).await.unwrap() <= Wei(1));
        assert!(taken > crashes, "{taken} payments in {crashes} lives");
        eprintln!("{crashes} crashes, {taken} intents taken, {left} of them left to the last life");
    });
}
