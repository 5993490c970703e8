//! Whatever is sent, there is an answer with the right code, and the chain goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::OnceLock;

use alloy::primitives::{Bytes, U256};
use alloy::sol_types::SolCall as _;
use chain::embedded::{Embedded, EmbeddedError, Limits, Mining, Options, PoolLimits};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::node::{Node, Probe, Wish, number, options, rich};

fn with(limits: Limits) -> Node {
    Node::of(Embedded::in_memory(Options { limits, ..options() }).unwrap())
}

#[test]
fn requests_are_bounded() {
    let node = with(Limits { body_bytes: 2_000, batch: 3, answer_bytes: 3_000, ..Limits::default() });
    let c = &node.client;
    let code = |body: &str| {
        let (status, answer) = c.post(body.as_bytes()).unwrap();
        assert_eq!(status, 200);
        serde_json::from_str::<Value>(&answer).unwrap()["error"]["code"].clone()
    };
    assert_eq!(c.post(&[b' '; 2_001]).unwrap().0, 413);
    assert_eq!(code(&" ".repeat(2_000)), json!(-32700));
    assert_eq!(code(&"[".repeat(2_000)), json!(-32700));
    assert_eq!(code("[]"), json!(-32600));
    assert_eq!(code("7"), json!(-32600));
    assert_eq!(code(&format!("[{}]", ["7"; 4].join(","))), json!(-32600));
    for bad in [
        r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
    ] {
        assert_eq!(code(bad), json!(-32600), "{bad}");
    }
    for params in ["{}", r#""0x""#, "[1,2,3,4,5,6,7,8,9]", r#"["latest", false, 3]"#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":{params}}}"#);
        assert_eq!(code(&body), json!(-32602), "{params}");
    }
    // An answer for each of a batch, whatever is wrong with one; and no more than may be.
    let big = r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["latest",true]}"#;
    let (_, answers) = c.post(format!("[{big},7,{big}]").as_bytes()).unwrap();
    let answers: Value = serde_json::from_str(&answers).unwrap();
    assert!(answers[0]["result"].is_object());
    assert_eq!(answers[1]["error"]["code"], json!(-32600));
    let three = format!("[{big},{big},{big}]");
    let answers: Value = serde_json::from_str(&c.post(three.as_bytes()).unwrap().1).unwrap();
    assert_eq!(answers[2]["error"]["code"], json!(-32005));
    // To notifications nothing is answered.
    let (status, answer) = c.post(br#"{"jsonrpc":"2.0","method":"eth_chainId"}"#).unwrap();
    assert_eq!((status, answer.as_str()), (204, ""));
}

#[test]
fn gas_bombs_and_log_floods_end() {
    let limits = Limits { call_gas: 2_000_000, logs: 50, log_blocks: 10, ..Limits::default() };
    let node = with(limits);
    let c = &node.client;
    let probe = c.probe();
    let burn = json!({"to": probe, "data": Bytes::from(Probe::burnCall {}.abi_encode()), "gas": "0xffffffffffffffff"});
    assert_eq!(c.call("eth_call", json!([burn, "latest"])).unwrap_err().message, "out of gas");
    assert_eq!(c.call("eth_estimateGas", json!([burn])).unwrap_err().code, -32000);
    let flood = |n: u64| c.act(probe, Probe::floodCall { n: U256::from(n) }.abi_encode());
    flood(40);
    let find = |from: &str| c.call("eth_getLogs", json!([{"fromBlock": from}]));
    assert_eq!(find("0x0").unwrap().as_array().unwrap().len(), 40);
    flood(20);
    assert_eq!(find("0x0").unwrap_err().code, -32005);
    assert_eq!(find("0x3").unwrap().as_array().unwrap().len(), 20);
    for _ in 0..10 {
        flood(0);
    }
    assert_eq!(find("0x0").unwrap_err().code, -32005);
    let many = json!([{"fromBlock": "0x5", "toBlock": "0x4"}]);
    assert_eq!(c.call("eth_getLogs", many).unwrap_err().code, -32602);
}

#[test]
fn the_pool_is_bounded_and_keeps_the_best() {
    let pool = PoolLimits { transaction_bytes: 1_000, per_sender: 3, total: 5 };
    let options = Options { pool, mining: Mining::ByHand, ..options() };
    let node = Node::of(Embedded::in_memory(options).unwrap());
    let c = &node.client;
    let wish = |i: usize, nonce: u64, fee: u128| Wish { nonce, fee, gas: 21_000, tip: 1, ..Wish::new(c, i) };
    let send = |wish: Wish| c.send(&wish.sign()).map_err(|why| why.message);
    let large = send(Wish { data: vec![0; 2_000].into(), gas: 100_000, ..wish(0, 0, 10) }).unwrap_err();
    assert!(large.contains("oversized"), "{large}");
    for nonce in 0..3 {
        send(wish(0, nonce, 3_000_000_000)).unwrap();
    }
    assert!(send(wish(0, 3, 3_000_000_000)).unwrap_err().contains("account limit"));
    send(wish(1, 0, 5_000_000_000)).unwrap();
    send(wish(1, 1, 2_000_000_000)).unwrap();
    assert!(send(wish(2, 0, 1_500_000_000)).unwrap_err().contains("txpool is full"));
    // Who pays more takes the place of the cheapest that nobody waits behind.
    send(wish(2, 0, 4_000_000_000)).unwrap();
    node.embedded.as_ref().unwrap().mine().unwrap();
    assert_eq!((0..3).map(|i| c.nonce(rich(i).address())).collect::<Vec<_>>(), [3, 1, 1]);
    // What the sender cannot pay for all together is not taken.
    let most = number(&c.get("eth_getBalance", json!([rich(1).address(), "latest"])));
    let half = U256::from(most / 2 + 1);
    send(Wish { value: half, ..wish(1, 1, 2_000_000_000) }).unwrap();
    assert!(
        send(Wish { value: half, ..wish(1, 2, 2_000_000_000) }).unwrap_err().contains("insufficient funds")
    );
}

#[test]
fn a_full_block_leaves_the_rest_for_the_next() {
    let options = Options { gas_limit: 50_000, mining: Mining::ByHand, ..options() };
    let node = Node::of(Embedded::in_memory(options).unwrap());
    let c = &node.client;
    let wish = |nonce: u64, gas: u64| Wish { nonce, gas, ..Wish::new(c, 0) };
    for nonce in 0..5 {
        c.send(&wish(nonce, 21_000).sign()).unwrap();
    }
    assert!(c.send(&wish(5, 50_001).sign()).unwrap_err().message.contains("exceeds block gas limit"));
    for mined in [2, 4, 5] {
        node.embedded.as_ref().unwrap().mine().unwrap();
        assert_eq!(c.nonce(rich(0).address()), mined);
    }
    // Twice the target: the fee has risen by an eighth, and then again.
    let fee =
        |n: u64| number(&c.get("eth_getBlockByNumber", json!([format!("{n:#x}"), false]))["baseFeePerGas"]);
    assert_eq!(fee(0), 1_000_000_000);
    assert!(fee(2) > fee(1) && fee(3) > fee(2));
}

#[test]
fn connections_are_bounded_and_the_silent_lose_their_seats() {
    let node = with(Limits { connections: 2, patience_ms: 200, ..Limits::default() });
    let c = &node.client;
    // They take all seats, and say nothing, or half of something.
    let mut silent: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(c.address).unwrap()).collect();
    silent[1].write_all(b"POST / HTTP/1.1\r\nContent-Le").unwrap();
    assert_eq!(c.get("eth_blockNumber", json!([])), json!("0x0"));
    for stream in &mut silent {
        let mut rest = Vec::new();
        // Closed or reset: in any case, over.
        let _ = stream.read_to_end(&mut rest);
    }
}

#[test]
fn it_listens_on_this_machine_only() {
    let chain = Embedded::in_memory(options()).unwrap();
    let open = Runtime::new().unwrap().block_on(chain.serve(([0, 0, 0, 0], 0).into()));
    assert!(matches!(open.unwrap_err(), EmbeddedError::NotLoopback { .. }));
}

#[test]
fn other_paths_and_methods_are_told_where_to_go() {
    let node = Node::embedded();
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(node.client.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap().to_owned()
    };
    let close = "Host: x\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(&format!("GET / HTTP/1.1\r\n{close}")), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(ask(&format!("GET /secret HTTP/1.1\r\n{close}")), "HTTP/1.1 404 Not Found");
    assert_eq!(ask(&format!("OPTIONS / HTTP/1.1\r\n{close}")), "HTTP/1.1 204 No Content");
}

/// A chain for all cases, and what runs it.
fn shared() -> &'static (Embedded, Runtime) {
    static SHARED: OnceLock<(Embedded, Runtime)> = OnceLock::new();
    SHARED.get_or_init(|| (Embedded::in_memory(options()).unwrap(), Runtime::new().unwrap()))
}

fn answer(bytes: &[u8]) -> Option<Value> {
    let (chain, runtime) = shared();
    let answer = runtime.block_on(chain.answer(bytes))?;
    Some(serde_json::from_str(&answer).unwrap_or_else(|why| panic!("{why}: {answer}")))
}

const METHODS: &[&str] = &[
    "eth_call",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getCode",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_getLogs",
    "eth_getProof",
    "eth_getStorageAt",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_newFilter",
    "eth_sendRawTransaction",
    "eth_sendRawTransactionSync",
    "eth_subscribe",
    "eth_uninstallFilter",
    "web3_sha3",
];

/// Values that methods take, nearly take, and do not take.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<f64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(format!("{n:#x}"))),
        any::<[u8; 20]>().prop_map(|a| json!(Bytes::from(a))),
        any::<[u8; 32]>().prop_map(|h| json!(Bytes::from(h))),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|b| json!(Bytes::from(b))),
        Just(json!(rich(0).address())),
        prop::sample::select(vec!["latest", "pending", "earliest", "safe", "0x0", "logs", "0x1", ""])
            .prop_map(|s| json!(s)),
        ".{0,12}".prop_map(|s| json!(s)),
    ];
    let name = prop::sample::select(vec![
        "from",
        "to",
        "data",
        "input",
        "gas",
        "gasPrice",
        "value",
        "nonce",
        "address",
        "topics",
        "fromBlock",
        "toBlock",
        "blockHash",
        "type",
        "accessList",
        "authorizationList",
        "maxFeePerGas",
        "maxPriorityFeePerGas",
        "balance",
        "state",
        "stateDiff",
        "code",
        "number",
        "time",
        "chainId",
        "blobVersionedHashes",
    ]);
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let code = answer(&bytes).unwrap()["error"]["code"].as_i64().unwrap();
        prop_assert!([-32700, -32600].contains(&code));
    }

    #[test]
    fn any_parameters_are_answered(
        method in prop::sample::select(METHODS), params in prop::collection::vec(value(), 0..5), cut in any::<prop::sample::Index>(),
        whole in prop::bool::weighted(0.9),
    ) {
        let body = json!({"jsonrpc": "2.0", "id": "x", "method": method, "params": params}).to_string();
        let bytes = if whole { body.as_bytes() } else { &body.as_bytes()[..cut.index(body.len())] };
        let told = answer(bytes).unwrap();
        let known = [-32700, -32600, -32601, -32602, -32603, -32005, -32000, 3, 4];
        let code = told["error"]["code"].as_i64();
        prop_assert!(code.is_none_or(|code| known.contains(&code)), "{}", told);
        prop_assert!(code.is_some() || told["id"] == "x");
        // Nothing is broken by it.
        prop_assert!(code != Some(-32603), "{}", told);
    }

    #[test]
    fn any_transaction_is_taken_or_refused(
        kind in 0..6u8, bytes in prop::collection::vec(any::<u8>(), 0..300), flip in any::<prop::sample::Index>(), bit in 0..8u8,
        junk in any::<bool>(),
    ) {
        let (chain, _) = shared();
        let wish = Wish {
            key: rich(0),
            chain_id: chain.chain_id(),
            nonce: 0,
            gas: 21_000,
            fee: 20_000_000_000,
            tip: 1,
            to: alloy::primitives::Address::ZERO.into(),
            value: U256::ZERO,
            data: Bytes::new(),
        };
        let mut raw = alloy::eips::eip2718::Encodable2718::encoded_2718(&wish.sign());
        if junk {
            raw = [&[kind][..], &bytes].concat();
        } else {
            let at = flip.index(raw.len());
            raw[at] ^= 1 << bit;
        }
        let raw = Bytes::from(raw);
        let told = answer(json!({"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw]}).to_string().as_bytes()).unwrap();
        // Changed by one bit it is another transaction of somebody who has nothing, or none.
        prop_assert_eq!(told["error"]["code"].as_i64(), Some(-32000), "{}", told);
    }
}
