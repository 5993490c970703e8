//! What only ours does: it stores, tells subscribers, drops blocks, forgets old states and obeys its clock.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall as _;
use chain::embedded::{Clock, Embedded, EmbeddedError, Limits, Mining, Options};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use super::node::{Node, Probe, Wish, number, options, rich};

/// A folder that is gone at the end.
pub(crate) struct Folder(pub(crate) std::path::PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("starling-chain-{name}-{}", std::process::id()));
        // Of an earlier run with the same number, if any.
        let _ = std::fs::remove_dir_all(&folder);
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_was_stored_is_there_again() {
    let folder = Folder::new("again");
    let open = || Node::of(Embedded::open(&folder.0, options()).unwrap());
    let (probe, waits, before);
    {
        let node = open();
        let c = &node.client;
        probe = c.probe();
        c.act(probe, Probe::storeManyCall { from: U256::from(0), n: U256::from(9) }.abi_encode());
        c.act(probe, Probe::clearCall { key: U256::from(3) }.abi_encode());
        let gap = Wish::new(c, 1);
        waits = Wish { nonce: gap.nonce + 1, ..gap }.sign();
        c.send(&waits).unwrap();
        before = everything(&node, probe, waits.tx_hash());
    }
    let node = open();
    let c = &node.client;
    assert_eq!(everything(&node, probe, waits.tx_hash()), before);
    // And it goes on: the gap is filled, and what waited goes in.
    c.receipt(&Wish::new(c, 1).sign());
    while c.get("eth_getTransactionReceipt", json!([waits.tx_hash()])).is_null() {}
}

fn everything(node: &Node, probe: Address, waits: &B256) -> Vec<Value> {
    let c = &node.client;
    let mut told = vec![
        c.get("eth_getBlockByNumber", json!(["latest", true])),
        c.get("eth_getLogs", json!([{"fromBlock": "0x0"}])),
        c.get("eth_getProof", json!([probe, ["0x1"], "latest"])),
        c.get("eth_getTransactionByHash", json!([waits])),
    ];
    for number in 0..=3 {
        let number = format!("{number:#x}");
        told.push(c.get("eth_getBlockReceipts", json!([number])));
        told.push(c.get("eth_getBalance", json!([rich(0).address(), number])));
        told.push(c.get("eth_getProof", json!([probe, ["0x1"], number])));
    }
    told
}

#[test]
fn a_folder_is_one_chain_of_one_process() {
    let folder = Folder::new("one");
    let chain = Embedded::open(&folder.0, options()).unwrap();
    let again = Embedded::open(&folder.0, options()).unwrap_err();
    assert!(matches!(again, EmbeddedError::Busy { .. }), "{again}");
    drop(chain);
    let other = Embedded::open(&folder.0, Options { chain_id: 5, ..options() }).unwrap_err();
    assert!(matches!(other, EmbeddedError::OtherChain { found: 31337, wanted: 5 }), "{other}");
    // The faucet's key is the owner's alone, and the same every time.
    let key = folder.0.join("faucet.key");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&key.metadata().unwrap().permissions()) & 0o777,
        0o600
    );
    let faucet = |chain: &Embedded| chain.faucet().unwrap();
    let first = faucet(&Embedded::open(&folder.0, options()).unwrap());
    assert_eq!(faucet(&Embedded::open(&folder.0, options()).unwrap()), first);
    std::fs::write(folder.0.join("chain.redb"), b"this is no chain at all").unwrap();
    assert!(Embedded::open(&folder.0, options()).is_err());
}

#[test]
fn the_faucet_pays() {
    let node = Node::embedded();
    let chain = node.embedded.as_ref().unwrap();
    let runtime = Runtime::new().unwrap();
    let to = |i: u8| [i; 20];
    runtime.block_on(async {
        // Many at the same time, each once.
        let paid = (1..=20).map(|i| chain.fund(to(i), 1000 + u128::from(i)));
        futures_util::future::try_join_all(paid).await.unwrap();
    });
    for i in 1..=20 {
        let balance = node.client.quantity("eth_getBalance", json!([Address::from(to(i)), "latest"]));
        assert_eq!(balance, 1000 + u128::from(i));
    }
}

#[test]
fn blocks_come_when_they_are_to() {
    let node = |mining| Node::of(Embedded::in_memory(Options { mining, ..options() }).unwrap());
    let by_hand = node(Mining::ByHand);
    let (c, chain) = (&by_hand.client, by_hand.embedded.as_ref().unwrap());
    let transaction = Wish::new(c, 0).sign();
    c.send(&transaction).unwrap();
    assert_eq!(c.quantity("eth_blockNumber", json!([])), 0);
    let nonce = |tag: &str| c.quantity("eth_getTransactionCount", json!([rich(0).address(), tag]));
    assert_eq!((nonce("latest"), nonce("pending")), (0, 1));
    assert_eq!(chain.mine().unwrap(), 1);
    assert_eq!((nonce("latest"), nonce("pending")), (1, 1));
    // The best payers go first, each sender's in order.
    let wish = |i: usize, nonce: u64, tip: u128| Wish { nonce, tip, gas: 21_000, ..Wish::new(c, i) }.sign();
    let [a, b, d, e] = [wish(0, 1, 5), wish(0, 2, 90), wish(1, 0, 50), wish(2, 0, 70)];
    for transaction in [&a, &b, &d, &e] {
        c.send(transaction).unwrap();
    }
    chain.mine().unwrap();
    let block = c.get("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(block["transactions"], json!([e.tx_hash(), d.tx_hash(), a.tx_hash(), b.tx_hash()]));

    let every = node(Mining::Every(Duration::from_millis(20)));
    let c = &every.client;
    let transaction = Wish::new(c, 0).sign();
    c.send(&transaction).unwrap();
    while c.get("eth_getTransactionReceipt", json!([transaction.tx_hash()])).is_null() {}
    let height = c.quantity("eth_blockNumber", json!([]));
    while c.quantity("eth_blockNumber", json!([])) < height + 2 {}
}

#[test]
fn time_is_what_the_clock_says() {
    let clock = Clock::stopped(1_000_000);
    let node = Node::of(Embedded::in_memory(Options { clock: clock.clone(), ..options() }).unwrap());
    let c = &node.client;
    let stamp = |tag: &str| number(&c.get("eth_getBlockByNumber", json!([tag, false]))["timestamp"]);
    assert_eq!(stamp("latest"), 1_000_000);
    clock.advance(500);
    assert_eq!(stamp("pending"), 1_000_500);
    c.receipt(&Wish::new(c, 0).sign());
    c.receipt(&Wish::new(c, 0).sign());
    assert_eq!((stamp("0x1"), stamp("latest")), (1_000_500, 1_000_500));
}

#[test]
fn dropped_blocks_are_as_if_they_had_never_been() {
    let folder = Folder::new("dropped");
    let node = Node::of(Embedded::open(&folder.0, Options { mining: Mining::ByHand, ..options() }).unwrap());
    let (c, chain) = (&node.client, node.embedded.as_ref().unwrap());
    let mine = |wish: Wish| {
        let transaction = wish.sign();
        c.send(&transaction).unwrap();
        chain.mine().unwrap();
        transaction
    };
    mine(Wish::new(c, 0));
    let filter = c.get("eth_newFilter", json!([{}]));
    let root = |tag: &str| c.get("eth_getBlockByNumber", json!([tag, false]))["stateRoot"].clone();
    let (before, balance) = (root("latest"), c.get("eth_getBalance", json!([rich(1).address(), "latest"])));
    let deploy =
        Wish { to: alloy::primitives::TxKind::Create, data: super::node::probe_code(1), ..Wish::new(c, 1) };
    let made = mine(deploy);
    let probe = c.get("eth_getTransactionReceipt", json!([made.tx_hash()]))["contractAddress"].clone();
    let store = Probe::storeCall { key: U256::from(1), value: U256::from(2) }.abi_encode();
    let to: Address = serde_json::from_value(probe.clone()).unwrap();
    let stored = mine(Wish { to: to.into(), data: store.into(), ..Wish::new(c, 1) });
    let logs = |filter: &Value| {
        let told = c.get("eth_getFilterChanges", json!([filter]));
        told.as_array().unwrap().iter().map(|log| log["removed"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(logs(&filter), [false]);

    chain.drop_blocks(2, true).unwrap();
    assert_eq!((root("latest"), c.quantity("eth_blockNumber", json!([]))), (before, 1));
    assert_eq!(c.get("eth_getBalance", json!([rich(1).address(), "latest"])), balance);
    assert_eq!(c.get("eth_getCode", json!([probe, "latest"])), json!("0x"));
    assert_eq!(c.get("eth_getTransactionReceipt", json!([made.tx_hash()])), Value::Null);
    assert_eq!(c.get("eth_getLogs", json!([{"fromBlock": "0x0"}])), json!([]));
    assert_eq!(logs(&filter), [true]);
    // Both wait, and go in again.
    assert_eq!(c.quantity("eth_getTransactionCount", json!([rich(1).address(), "pending"])), 2);
    chain.mine().unwrap();
    let receipt = c.get("eth_getTransactionReceipt", json!([stored.tx_hash()]));
    assert_eq!((&receipt["blockNumber"], &receipt["status"]), (&json!("0x2"), &json!("0x1")));
    assert_eq!(logs(&filter), [false]);
    let before = root("latest");
    // Or they are forgotten.
    chain.mine().unwrap();
    mine(Wish::new(c, 1));
    chain.drop_blocks(2, false).unwrap();
    assert_eq!(c.quantity("eth_getTransactionCount", json!([rich(1).address(), "pending"])), 2);
    assert!(matches!(chain.drop_blocks(100, false), Err(EmbeddedError::TooDeep { limit: 2 })));
    drop(node);
    let node = Node::of(Embedded::open(&folder.0, options()).unwrap());
    let block = node.client.get("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!((&block["stateRoot"], &block["number"]), (&before, &json!("0x2")));
}

#[test]
fn old_states_are_forgotten_and_old_blocks_are_not() {
    let node = Node::of(Embedded::in_memory(Options { mining: Mining::ByHand, ..options() }).unwrap());
    let (c, chain) = (&node.client, node.embedded.as_ref().unwrap());
    let first = Wish::new(c, 0).sign();
    c.send(&first).unwrap();
    for _ in 0..300 {
        chain.mine().unwrap();
    }
    let balance = |block: &str| c.call("eth_getBalance", json!([rich(0).address(), block]));
    assert!(balance("latest").is_ok() && balance("0x2c").is_ok());
    let why = balance("0x2b").unwrap_err();
    assert!(why.code == -32000 && why.message.contains("pruned"), "{why:?}");
    assert!(balance("earliest").is_err());
    assert_eq!(c.get("eth_getTransactionReceipt", json!([first.tx_hash()]))["blockNumber"], "0x1");
    assert_eq!(
        c.get("eth_getBlockByNumber", json!(["0x1", false]))["transactions"],
        json!([first.tx_hash()])
    );
}

#[test]
fn filters_expire() {
    let clock = Clock::stopped(1_000_000);
    let limits = Limits { filters: 2, filter_seconds: 60, ..Limits::default() };
    let node = Node::of(Embedded::in_memory(Options { clock: clock.clone(), limits, ..options() }).unwrap());
    let c = &node.client;
    let new = || c.call("eth_newBlockFilter", json!([]));
    let first = new().unwrap();
    clock.advance(40);
    let second = new().unwrap();
    assert_eq!(new().unwrap_err().code, -32005);
    clock.advance(40);
    assert_eq!(c.call("eth_getFilterChanges", json!([first])).unwrap_err().message, "filter not found");
    c.get("eth_getFilterChanges", json!([second]));
    new().unwrap();
}

#[test]
fn subscribers_are_told() {
    let node = Node::embedded();
    let c = &node.client;
    let probe = c.probe();
    Runtime::new().unwrap().block_on(async {
        let (mut socket, _) = connect_async(format!("ws://{}", c.address)).await.unwrap();
        let mut ids = Vec::new();
        for (i, params) in
            [json!(["newHeads"]), json!(["logs", {"address": probe}]), json!(["newPendingTransactions"])]
                .iter()
                .enumerate()
        {
            let request = json!({"jsonrpc": "2.0", "id": i, "method": "eth_subscribe", "params": params});
            socket.send(Message::text(request.to_string())).await.unwrap();
            let answer = next(&mut socket).await;
            assert_eq!(answer["id"], json!(i));
            ids.push(answer["result"].clone());
        }
        let store = Probe::storeCall { key: U256::from(1), value: U256::from(2) }.abi_encode();
        let receipt = c.act(probe, store);
        let mut told = Vec::new();
        for _ in 0..3 {
            let news = next(&mut socket).await;
            assert_eq!(news["method"], "eth_subscription");
            told.push((news["params"]["subscription"].clone(), news["params"]["result"].clone()));
        }
        let of = |id: &Value| told.iter().find(|(own, _)| own == id).unwrap().1.clone();
        assert_eq!(of(&ids[0])["hash"], receipt["blockHash"]);
        assert_eq!(of(&ids[1]), receipt["logs"][0]);
        assert_eq!(of(&ids[2]), receipt["transactionHash"]);
        // Whoever has left is told no more, and calls go over the same line.
        for id in &ids[1..] {
            let request = json!({"jsonrpc": "2.0", "id": 7, "method": "eth_unsubscribe", "params": [id]});
            socket.send(Message::text(request.to_string())).await.unwrap();
            assert_eq!(next(&mut socket).await["result"], json!(true));
        }
        c.act(probe, Probe::storeCall { key: U256::from(1), value: U256::from(3) }.abi_encode());
        assert_eq!(next(&mut socket).await["params"]["subscription"], ids[0]);
        let request = json!({"jsonrpc": "2.0", "id": 8, "method": "eth_blockNumber"});
        socket.send(Message::text(request.to_string())).await.unwrap();
        assert_eq!(next(&mut socket).await["result"], json!("0x3"));
    });
}

async fn next<S>(socket: &mut S) -> Value
where
    S: futures_util::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
{
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[test]
fn calls_can_be_made_on_another_state() {
    let node = Node::embedded();
    let c = &node.client;
    let probe = c.probe();
    let call = |data: Vec<u8>, state: Value, block: Value| {
        let request = json!({"from": rich(0).address(), "to": probe, "data": Bytes::from(data)});
        c.call("eth_call", json!([request, "latest", state, block]))
    };
    let count = Probe::countCall {}.abi_encode();
    let slot = |value: u64| json!({probe.to_string(): {"stateDiff": {B256::from(U256::from(1)).to_string(): B256::from(U256::from(value))}}});
    assert_eq!(number(&call(count.clone(), slot(99), json!(null)).unwrap()), 99);
    assert_eq!(number(&call(count.clone(), json!(null), json!(null)).unwrap()), 5);
    // Code that gives its own size back.
    let code = json!({probe.to_string(): {"code": "0x3860005260206000f3"}});
    assert_eq!(number(&call(count, code, json!(null)).unwrap()), 9);
    let seen = call(Probe::seenCall {}.abi_encode(), json!(null), json!({"number": "0x40", "time": "0x50"}))
        .unwrap();
    let seen =
        Probe::seenCall::abi_decode_returns(&seen.as_str().unwrap().parse::<Bytes>().unwrap()).unwrap();
    assert_eq!((seen.number, seen.timestamp), (U256::from(0x40), U256::from(0x50)));
}

#[test]
fn a_client_in_the_process_hears_the_same() {
    let node = Node::embedded();
    let chain = node.embedded.as_ref().unwrap();
    Runtime::new().unwrap().block_on(async {
        let client = alloy::rpc::client::RpcClient::new(chain.transport(), true);
        let id: alloy::primitives::U64 = client.request_noparams("eth_chainId").await.unwrap();
        assert_eq!(id.to::<u64>(), chain.chain_id());
        let error = client.request::<_, Value>("eth_getBalance", ["0x12"]).await.unwrap_err();
        assert_eq!(error.as_error_resp().unwrap().code, -32602);
        let mut batch = client.new_batch();
        let height = batch.add_call::<_, Value>("eth_blockNumber", &()).unwrap();
        let version = batch.add_call::<_, Value>("net_version", &()).unwrap();
        batch.send().await.unwrap();
        assert_eq!((height.await.unwrap(), version.await.unwrap()), (json!("0x0"), json!("31337")));
    });
}

#[test]
fn a_sender_can_wait_for_the_receipt() {
    let node = Node::embedded();
    let c = &node.client;
    let raw = |wish: &Wish| Bytes::from(alloy::eips::eip2718::Encodable2718::encoded_2718(&wish.sign()));
    let wish = Wish::new(c, 0);
    let receipt = c.get("eth_sendRawTransactionSync", json!([raw(&wish)]));
    assert_eq!(receipt, c.get("eth_getTransactionReceipt", json!([receipt["transactionHash"]])));
    let gap = Wish { nonce: wish.nonce + 5, ..wish };
    let why = c.call("eth_sendRawTransactionSync", json!([raw(&gap), 1])).unwrap_err();
    assert_eq!((why.code, why.data), (4, json!(gap.sign().tx_hash())));
}
