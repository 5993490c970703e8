//! The embedded chain next to Anvil: transfers through JSON-RPC, the way to a receipt, and starting again after a crash.
//!
//! Both run as processes of their own and are asked over HTTP on loopback by the same client. Ours stores every transaction durably
//! before it answers; Anvil keeps all in memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alloy::consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, Bytes, U256, keccak256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use chain::embedded::{Embedded, Options};
use serde_json::{Value, json};

use crate::race::{Contender, race};
use crate::report::Unit;
use crate::{Bench, Result};

/// The hidden name under which the bench starts itself as the chain.
pub(crate) const SERVER: &str = "chain-server";
const CHAIN_ID: u64 = 31337;
/// Clients that send at the same time, each for an account of its own, and each waits for an answer before it sends again.
const CLIENTS: usize = 64;
/// Transfers of each client in one go.
const BURST: u64 = 4;

pub(crate) fn bench(bench: &mut Bench) -> Result {
    let Some(anvil) = std::env::var_os("BENCH_ANVIL").map(PathBuf::from) else {
        return Err("BENCH_ANVIL must name Anvil's program: `cargo xtask bench chain` installs it".into());
    };
    bench.report.open("chain", "the embedded chain, durable, next to Anvil, in memory");
    let folder = std::env::temp_dir().join(format!("bench-chain-{}", std::process::id()));
    let nodes = [Node::ours(&folder)?, Node::anvil(&anvil)?];
    let figures = compare(bench, &nodes);
    drop(nodes);
    let figures = figures.and_then(|()| restart(bench, &folder.join("again")));
    std::fs::remove_dir_all(&folder)?;
    figures
}

fn compare(bench: &Bench, nodes: &[Node]) -> Result {
    let mut bursts = Vec::new();
    for node in nodes {
        let mut senders = (0..CLIENTS).map(|i| Sender::new(node, i)).collect::<Result<Vec<_>>>()?;
        bursts.push(Contender::new(&node.name, move |reps| transfers(&mut senders, reps)));
    }
    let seconds = race(bench, &mut bursts)?;
    drop(bursts);
    let rate = |seconds: f64| CLIENTS as f64 * BURST as f64 / seconds;
    let (ours, peer) = (rate(seconds[0]), rate(seconds[1]));
    let figure = format!("transfers/s of {CLIENTS} clients, JSON-RPC");
    bench.report.figure(&figure, Unit::Rate("/s"), ours, &nodes[1].name, peer);

    let mut singles = Vec::new();
    for node in nodes {
        let mut sender = Sender::new(node, CLIENTS)?;
        singles.push(Contender::new(&node.name, move |reps| receipts(&mut sender, reps)));
    }
    let seconds = race(bench, &mut singles)?;
    let figure = "from sending to the receipt";
    let (ours, peer) = (seconds[0] * 1e3, seconds[1] * 1e3);
    bench.report.figure(figure, Unit::Cost("ms"), ours, &nodes[1].name, peer);
    bench.report.figure(figure, Unit::Cost("ms"), ours, "the bar", 50.0);
    Ok(())
}

/// All senders at the same time; the signing is the client's work and is not counted.
fn transfers(senders: &mut [Sender], reps: usize) -> Result<f64> {
    let signed: Vec<Vec<String>> = senders
        .iter_mut()
        .map(|s| (0..reps as u64 * BURST).map(|_| s.sign()).collect())
        .collect::<Result<_>>()?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let sending = senders.iter_mut().zip(&signed).map(|(sender, bodies)| {
            scope.spawn(move || {
                bodies.iter().try_for_each(|body| sender.client.send(body)).map_err(|e| e.to_string())
            })
        });
        let sending: Vec<_> = sending.collect();
        sending
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a sender panicked".to_owned())?)
    })?;
    Ok(start.elapsed().as_secs_f64() / reps as f64)
}

/// One after the other, each followed to its receipt.
fn receipts(sender: &mut Sender, reps: usize) -> Result<f64> {
    let signed: Vec<String> = (0..reps).map(|_| sender.sign()).collect::<Result<_>>()?;
    let start = Instant::now();
    for body in &signed {
        let hash = sender.client.post(body)?;
        while sender.client.call("eth_getTransactionReceipt", &json!([hash]))?.is_null() {}
    }
    Ok(start.elapsed().as_secs_f64() / reps as f64)
}

/// Fills a chain with accounts, kills it, and takes the time until it answers again.
fn restart(bench: &Bench, folder: &Path) -> Result {
    let accounts: usize = if bench.quick { 1_000 } else { 20_000 };
    let mut times = Vec::new();
    {
        let node = Node::ours(folder)?;
        let mut senders = (0..CLIENTS).map(|i| Sender::new(&node, i)).collect::<Result<Vec<_>>>()?;
        transfers(&mut senders, accounts / (CLIENTS * BURST as usize) + 1)?;
    }
    for _ in 0..5 {
        let start = Instant::now();
        let node = Node::ours(folder)?;
        Client::new(node.address)?.call("eth_blockNumber", &json!([]))?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let figure = format!("start after kill -9, {accounts} accounts");
    bench.report.figure(&figure, Unit::Cost("s"), times[times.len() / 2], "the bar", 1.0);
    Ok(())
}

/// What `chain-server FOLDER` does: the embedded chain, until the process is killed or its input ends.
pub(crate) fn serve(folder: &str) -> Result {
    let funded = (0..=CLIENTS).map(|i| Ok((key(i)?.address().into(), 10_000 * 10_u128.pow(18))));
    let options =
        Options { chain_id: CHAIN_ID, funded: funded.collect::<Result<_>>()?, ..Options::default() };
    tokio::runtime::Runtime::new()?.block_on(async {
        let chain = Embedded::open(folder, options)?;
        let server = chain.serve(([127, 0, 0, 1], 0).into()).await?;
        println!("{}", server.address());
        // Whoever started us holds the other end.
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        Ok(())
    })
}

fn key(i: usize) -> Result<PrivateKeySigner> {
    Ok(PrivateKeySigner::from_bytes(&keccak256(format!("bench {i}")))?)
}

struct Node {
    name: String,
    address: SocketAddr,
    child: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        // If it has ended already, so much the better.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    fn ours(folder: &Path) -> Result<Node> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVER)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("the chain has no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Node { name: "ours".to_owned(), address: line.trim().parse()?, child })
    }

    fn anvil(program: &Path) -> Result<Node> {
        // Silent, it does not say which port it has chosen.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let [port, id] = [address.port().to_string(), CHAIN_ID.to_string()];
        let arguments = ["--silent", "--port", &port, "--chain-id", &id, "--hardfork", "osaka"];
        let child = Command::new(program).args(arguments).spawn()?;
        let node = Node { name: "Anvil".to_owned(), address, child };
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut client = loop {
            match Client::new(address) {
                Ok(client) => break client,
                Err(why) if Instant::now() > deadline => return Err(why),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        for i in 0..=CLIENTS {
            client.call("anvil_setBalance", &json!([key(i)?.address(), "0x21e19e0c9bab2400000"]))?;
        }
        Ok(node)
    }
}

/// A client with an account.
struct Sender {
    client: Client,
    key: PrivateKeySigner,
    nonce: u64,
}

impl Sender {
    fn new(node: &Node, i: usize) -> Result<Sender> {
        let (mut client, key) = (Client::new(node.address)?, key(i)?);
        let nonce = client.call("eth_getTransactionCount", &json!([key.address(), "latest"]))?;
        let nonce = serde_json::from_value::<alloy::primitives::U64>(nonce)?.to();
        Ok(Sender { client, key, nonce })
    }

    /// The request that sends the next transfer, to an account that nobody knows yet.
    fn sign(&mut self) -> Result<String> {
        let to = keccak256([self.key.address().as_slice(), &self.nonce.to_be_bytes()].concat());
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 20_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: Address::from_slice(&to[..20]).into(),
            value: U256::from(1),
            ..TxEip1559::default()
        };
        self.nonce += 1;
        let signature = self.key.sign_hash_sync(&transaction.signature_hash())?;
        let raw = Bytes::from(TxEnvelope::from(transaction.into_signed(signature)).encoded_2718());
        Ok(request("eth_sendRawTransaction", &json!([raw])))
    }
}

fn request(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

/// JSON-RPC over one connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Client(BufReader::new(stream)))
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.post(&request(method, params))
    }

    fn send(&mut self, body: &str) -> Result {
        self.post(body).map(|_| ())
    }

    fn post(&mut self, body: &str) -> Result<Value> {
        let length = body.len();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        self.0.get_mut().write_all(format!("{head}{body}").as_bytes())?;
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err("the node has closed the connection".into());
            }
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(rest) = header.strip_prefix("content-length: ") {
                length = rest.parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        let mut answer: Value = serde_json::from_slice(&answer)?;
        match answer["error"].take() {
            Value::Null => Ok(answer["result"].take()),
            error => Err(error.to_string().into()),
        }
    }
}
