//! A chain to ask: ours or Anvil, both over HTTP, through a client that hides nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, OnceLock};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use chain::embedded::{Embedded, Options, Server};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::anvil::Anvil;
pub(crate) use crate::anvil::CHAIN_ID;

alloy::sol! {
    #[derive(Debug)]
    contract Probe {
        error Refused(address who, uint256 code);
        event Stored(address indexed who, uint256 indexed key, uint256 value);
        function values(uint256 key) external view returns (uint256);
        function count() external view returns (uint256);
        function store(uint256 key, uint256 value) external;
        function storeMany(uint256 from, uint256 n) external;
        function clear(uint256 key) external;
        function flood(uint256 n) external;
        function sayNo() external pure;
        function refuse(uint256 code) external view;
        function panic(uint256 divisor) external pure returns (uint256);
        function silent() external pure;
        function burn() external pure returns (uint256 n);
        function child(bytes32 salt) external returns (address);
        function vanish() external returns (address gone);
        function send(address to, uint256 amount) external;
        function seen() external view returns (uint256 number, uint256 timestamp, uint256 chain, uint256 limit, bytes32 before);
        function digest(bytes32 hash, uint8 v, bytes32 r, bytes32 s) external pure returns (address, bytes32);
    }
}

/// What deploys a probe that starts counting at `start`.
pub(crate) fn probe_code(start: u64) -> Bytes {
    static CODE: OnceLock<Bytes> = OnceLock::new();
    let code = CODE.get_or_init(|| {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/chain/Probe.json");
        let artifact: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        artifact["bytecode"].as_str().unwrap().parse().unwrap()
    });
    [code.as_ref(), &U256::from(start).to_be_bytes::<32>()].concat().into()
}

/// An account that has money on all chains here.
pub(crate) fn rich(i: usize) -> PrivateKeySigner {
    let keys = [
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
        "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
        "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    ];
    keys[i].parse().unwrap()
}

/// Options with which ours begins as Anvil does.
pub(crate) fn options() -> Options {
    let funded = (0..3).map(|i| (rich(i).address().into(), 10_000 * 10_u128.pow(18)));
    Options { chain_id: CHAIN_ID, funded: funded.collect(), ..Options::default() }
}

/// A chain that runs.
pub(crate) struct Node {
    pub(crate) client: Client,
    pub(crate) embedded: Option<Embedded>,
    _keeper: Keeper,
}

enum Keeper {
    // In this order: the server goes before what it runs on.
    Ours(
        #[expect(dead_code, reason = "kept for its end")] Server,
        #[expect(dead_code, reason = "kept for its end")] Runtime,
    ),
    Anvil(#[expect(dead_code, reason = "kept for its end")] Anvil),
}

impl Node {
    pub(crate) fn embedded() -> Node {
        Node::of(Embedded::in_memory(options()).unwrap())
    }

    pub(crate) fn of(embedded: Embedded) -> Node {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(embedded.serve(([127, 0, 0, 1], 0).into())).unwrap();
        let client = Client::new(server.address());
        Node { client, embedded: Some(embedded), _keeper: Keeper::Ours(server, runtime) }
    }

    /// Nothing where there is to be no Anvil.
    pub(crate) fn anvil() -> Option<Node> {
        let anvil = Anvil::start()?;
        Some(Node { client: Client::new(anvil.address), embedded: None, _keeper: Keeper::Anvil(anvil) })
    }
}

/// What a node answers when it does not do it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Value,
}

pub(crate) type Answer = Result<Value, Refused>;

/// JSON-RPC over one connection at a time.
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    stream: Mutex<Option<BufReader<TcpStream>>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Client {
        Client { address, stream: Mutex::default() }
    }

    /// Sends a body and gives the status and body of the answer.
    pub(crate) fn post(&self, body: &[u8]) -> std::io::Result<(u16, String)> {
        let mut held = self.stream.lock().unwrap();
        let mut stream = if let Some(stream) = held.take() {
            stream
        } else {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            BufReader::new(stream)
        };
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(rest) = header.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            }
            if let Some(rest) = header.strip_prefix("content-length: ") {
                length = rest.parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        if status == 200 {
            *held = Some(stream);
        }
        Ok((status, String::from_utf8(answer).unwrap()))
    }

    pub(crate) fn try_call(&self, method: &str, params: &Value) -> std::io::Result<Answer> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let (status, answer) = self.post(body.as_bytes())?;
        assert_eq!(status, 200, "{answer}");
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(1)));
        Ok(match answer["error"].take() {
            Value::Null => Ok(answer["result"].take()),
            mut error => Err(Refused {
                code: error["code"].as_i64().unwrap(),
                message: error["message"].as_str().unwrap().to_owned(),
                data: error["data"].take(),
            }),
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that `json!` needs no ampersand")]
    pub(crate) fn call(&self, method: &str, params: Value) -> Answer {
        self.try_call(method, &params).unwrap()
    }

    /// A call that must go well.
    pub(crate) fn get(&self, method: &str, params: Value) -> Value {
        self.call(method, params).unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
    }

    pub(crate) fn quantity(&self, method: &str, params: Value) -> u128 {
        number(&self.get(method, params))
    }

    pub(crate) fn nonce(&self, address: Address) -> u64 {
        self.quantity("eth_getTransactionCount", json!([address, "latest"])) as u64
    }

    pub(crate) fn send(&self, transaction: &TxEnvelope) -> Result<B256, Refused> {
        let sent = self.call("eth_sendRawTransaction", json!([Bytes::from(transaction.encoded_2718())]))?;
        let hash = sent.as_str().unwrap().parse().unwrap();
        assert_eq!(hash, *transaction.tx_hash());
        Ok(hash)
    }

    /// Sends a transaction and gives its receipt, which must be there soon.
    pub(crate) fn receipt(&self, transaction: &TxEnvelope) -> Value {
        let hash = self.send(transaction).unwrap();
        loop {
            let receipt = self.get("eth_getTransactionReceipt", json!([hash]));
            if !receipt.is_null() {
                return receipt;
            }
        }
    }

    /// Calls a contract on the newest state.
    pub(crate) fn ask(&self, to: Address, data: Vec<u8>) -> Answer {
        self.call(
            "eth_call",
            json!([{"from": rich(0).address(), "to": to, "data": Bytes::from(data)}, "latest"]),
        )
    }

    /// A contract to try things with.
    pub(crate) fn probe(&self) -> Address {
        let deploy = Wish { to: TxKind::Create, data: probe_code(5), ..Wish::new(self, 0) };
        let receipt = self.receipt(&deploy.sign());
        assert_eq!(receipt["status"], "0x1");
        receipt["contractAddress"].as_str().unwrap().parse().unwrap()
    }

    /// Has a rich account call a contract with plenty of gas; gives the receipt.
    pub(crate) fn act(&self, to: Address, data: Vec<u8>) -> Value {
        self.receipt(&Wish { to: to.into(), data: data.into(), ..Wish::new(self, 0) }.sign())
    }
}

pub(crate) fn number(quantity: &Value) -> u128 {
    let text = quantity.as_str().unwrap_or_else(|| panic!("no quantity: {quantity}"));
    u128::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

/// A transaction to be.
#[derive(Clone)]
pub(crate) struct Wish {
    pub(crate) key: PrivateKeySigner,
    pub(crate) chain_id: u64,
    pub(crate) nonce: u64,
    pub(crate) gas: u64,
    pub(crate) fee: u128,
    pub(crate) tip: u128,
    pub(crate) to: TxKind,
    pub(crate) value: U256,
    pub(crate) data: Bytes,
}

impl Wish {
    /// A rich account's next transaction: one wei for nobody.
    pub(crate) fn new(client: &Client, i: usize) -> Wish {
        let key = rich(i);
        Wish {
            nonce: client.nonce(key.address()),
            key,
            chain_id: CHAIN_ID,
            gas: 3_000_000,
            fee: 20_000_000_000,
            tip: 1_000_000_000,
            to: Address::repeat_byte(0xee).into(),
            value: U256::ZERO,
            data: Bytes::new(),
        }
    }

    pub(crate) fn sign(&self) -> TxEnvelope {
        let Wish { chain_id, nonce, gas, fee, tip, to, value, data, .. } = self.clone();
        let transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit: gas,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: tip,
            to,
            value,
            input: data,
            ..TxEip1559::default()
        };
        sign(transaction, &self.key)
    }
}

pub(crate) fn sign<T: SignableTransaction<Signature>>(transaction: T, key: &PrivateKeySigner) -> TxEnvelope
where
    TxEnvelope: From<alloy::consensus::Signed<T>>,
{
    let signature = key.sign_hash_sync(&transaction.signature_hash()).unwrap();
    transaction.into_signed(signature).into()
}
