//! Killed at any moment, the chain has lost nothing that it had acknowledged.
//!
//! This test program starts itself again as the chain, writes to it from several sides, kills it, and opens what is left.
//! `CHAIN_CRASHES=200` kills it that often; without it, a few times.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use alloy::consensus::Transaction as _;
use alloy::primitives::{Address, B256, U256};
use chain::embedded::{Embedded, Mining, Options};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::node::{Client, Node, Wish, number, options, rich};
use super::ours::Folder;

const FOLDER: &str = "CHAIN_CRASH_FOLDER";
const MINING: &str = "CHAIN_CRASH_MINING";

/// The chain that is going to be killed. Started as a test like any other, it has nothing to do.
#[test]
fn victim() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let mining = match std::env::var(MINING).unwrap().as_str() {
        "demand" => Mining::OnDemand,
        _ => Mining::Every(Duration::from_millis(5)),
    };
    Runtime::new().unwrap().block_on(async {
        let chain = Embedded::open(folder, Options { mining, ..options() }).unwrap();
        let server = chain.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
        println!("\nserving {}", server.address());
        std::future::pending::<()>().await;
    });
}

/// The victim, started.
struct Victim(Child);

impl Victim {
    fn start(folder: &Folder, mining: &str) -> (Victim, Client) {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::victim", "--exact", "--nocapture", "--test-threads=1"])
            .envs([(FOLDER, folder.0.to_str().unwrap()), (MINING, mining)])
            .stdout(Stdio::piped())
            .spawn();
        let mut victim = Victim(child.unwrap());
        let mut lines = BufReader::new(victim.0.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().strip_prefix("serving ")?.parse().ok()).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        (victim, Client::new(address))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // On Unix this is kill -9.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    let crashes: u64 = std::env::var("CHAIN_CRASHES").map_or(12, |n| n.parse().unwrap());
    let folder = Folder::new("crash");
    let mut acknowledged: Vec<B256> = Vec::new();
    let mut nonces = [0_u64; 3];
    let mut slowest = Duration::ZERO;
    for crash in 0..crashes {
        let (victim, client) = Victim::start(&folder, if crash % 2 == 0 { "demand" } else { "interval" });
        let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
        // Where in the work the end comes: at another place each time, the same in every run.
        let quota = 1 + crash.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 97;
        std::thread::scope(|scope| {
            let (done, stop, address) = (&done, &stop, client.address);
            let senders: Vec<_> = (0..3)
                .map(|i| {
                    let mut nonce = nonces[i];
                    scope.spawn(move || {
                        let client = Client::new(address);
                        let mut sent = Vec::new();
                        while !stop.load(Relaxed) {
                            let to = Address::left_padding_from(&nonce.to_be_bytes());
                            let wish = Wish {
                                key: rich(i),
                                chain_id: super::node::CHAIN_ID,
                                nonce,
                                gas: 21_000,
                                fee: 20_000_000_000,
                                tip: 1,
                                to: to.into(),
                                value: U256::from(1),
                                data: alloy::primitives::Bytes::default(),
                            };
                            let transaction = wish.sign();
                            let raw = alloy::eips::eip2718::Encodable2718::encoded_2718(&transaction);
                            let raw = alloy::primitives::Bytes::from(raw);
                            match client.try_call("eth_sendRawTransaction", &json!([raw])) {
                                // Killed before it answered: it may be there or not.
                                Err(_) => break,
                                Ok(Ok(hash)) => {
                                    sent.push(serde_json::from_value::<B256>(hash).unwrap());
                                    nonce += 1;
                                    done.fetch_add(1, Relaxed);
                                }
                                // Sent before the last crash, and there.
                                Ok(Err(why)) => {
                                    assert!(
                                        why.message.contains("nonce too low")
                                            || why.message.contains("already known"),
                                        "{why:?}"
                                    );
                                    nonce += 1;
                                }
                            }
                        }
                        (nonce, sent)
                    })
                })
                .collect();
            while done.load(Relaxed) < quota {
                std::thread::yield_now();
            }
            drop(victim);
            stop.store(true, Relaxed);
            for (i, sender) in senders.into_iter().enumerate() {
                let (nonce, sent) = sender.join().unwrap();
                nonces[i] = nonce;
                acknowledged.extend(sent);
            }
        });
        // Opening works out the state's root anew and compares it with the newest block's.
        let start = Instant::now();
        let chain = Embedded::open(&folder.0, Options { mining: Mining::ByHand, ..options() }).unwrap();
        slowest = slowest.max(start.elapsed());
        let node = Node::of(chain);
        let known = known(&node.client);
        for hash in &acknowledged {
            assert!(known.contains_key(hash), "{hash} was acknowledged before crash {crash}, and is gone");
        }
    }
    eprintln!(
        "{crashes} crashes, {} transactions acknowledged; slowest start {slowest:?}",
        acknowledged.len()
    );
    let node = Node::of(Embedded::open(&folder.0, options()).unwrap());
    // All that waited can still go in, in order.
    let c = &node.client;
    for (i, nonce) in nonces.iter().enumerate() {
        while c.nonce(rich(i).address()) < *nonce {}
    }
}

/// Every transaction in a block, by its block, checked against the chain of hashes; and every one that waits.
fn known(c: &Client) -> HashMap<B256, u128> {
    let mut known = HashMap::new();
    let newest = c.quantity("eth_blockNumber", json!([]));
    let mut parent = Value::Null;
    for block in 0..=newest {
        let told = c.get("eth_getBlockByNumber", json!([format!("{block:#x}"), false]));
        if block > 0 {
            assert_eq!(told["parentHash"], parent);
        }
        parent = told["hash"].clone();
        for hash in told["transactions"].as_array().unwrap() {
            assert!(
                known.insert(serde_json::from_value(hash.clone()).unwrap(), block).is_none(),
                "{hash} is in twice"
            );
        }
    }
    for i in 0..3 {
        let pending = c.quantity("eth_getTransactionCount", json!([rich(i).address(), "pending"]));
        let mined = c.quantity("eth_getTransactionCount", json!([rich(i).address(), "latest"]));
        for nonce in mined..pending {
            let to = Address::left_padding_from(&(nonce as u64).to_be_bytes());
            let wish = Wish {
                nonce: nonce as u64,
                gas: 21_000,
                tip: 1,
                to: to.into(),
                value: U256::from(1),
                ..Wish::new(c, i)
            };
            let transaction = wish.sign();
            let told = c.get("eth_getTransactionByHash", json!([transaction.tx_hash()]));
            assert_eq!(number(&told["nonce"]) as u64, transaction.nonce());
            known.insert(*transaction.tx_hash(), u128::MAX);
        }
    }
    known
}
