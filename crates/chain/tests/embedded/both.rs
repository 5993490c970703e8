//! What ours and Anvil must do alike.

use std::collections::BTreeSet;

use alloy::consensus::{TxEip2930, TxEip7702, TxLegacy};
use alloy::eips::eip2930::{AccessList, AccessListItem};
use alloy::eips::eip7702::Authorization;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use alloy::signers::SignerSync as _;
use alloy::sol_types::{SolCall as _, SolError as _, SolEvent as _};
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use serde_json::{Value, json};

use super::node::{CHAIN_ID, Node, Probe, Refused, Wish, number, probe_code, rich, sign};

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[test] fn $name() { super::$name(&super::Node::embedded()) })*
        }
        mod anvil {
            $(#[test] fn $name() { if let Some(node) = super::Node::anvil() { super::$name(&node) } })*
        }
    };
}

on_both![
    a_transfer_is_told_alike_everywhere,
    a_contract_stores_logs_and_is_searched,
    reverts_say_why,
    estimates_are_enough_and_near,
    a_list_of_what_is_touched_is_right_and_pays,
    all_kinds_of_transactions,
    bad_transactions_are_refused,
    gaps_are_queued_and_replacements_must_pay,
    proofs_lead_to_the_root,
    fees_have_a_history,
    filters_tell_what_is_new,
    old_states_can_be_asked,
    contracts_make_contracts,
    bad_requests_have_the_right_codes,
];

/// The same steps on both, and every number that has one right value must be the same.
#[test]
fn the_story_is_the_same() {
    let Some(anvil) = Node::anvil() else { return };
    assert_eq!(story(&Node::embedded()), story(&anvil));
}

fn story(node: &Node) -> Vec<(String, Value)> {
    let c = &node.client;
    let mut told = Vec::new();
    let probe = c.probe();
    let mut tell = |what: &str, value: Value| told.push((what.to_owned(), value));
    tell("probe", json!(probe));
    let acts: [(&str, Vec<u8>); 10] = [
        ("store", Probe::storeCall { key: U256::from(1), value: U256::from(2) }.abi_encode()),
        ("store again", Probe::storeCall { key: U256::from(1), value: U256::from(3) }.abi_encode()),
        ("store many", Probe::storeManyCall { from: U256::from(10), n: U256::from(20) }.abi_encode()),
        ("clear", Probe::clearCall { key: U256::from(1) }.abi_encode()),
        ("say no", Probe::sayNoCall {}.abi_encode()),
        ("refuse", Probe::refuseCall { code: U256::from(9) }.abi_encode()),
        ("burn", Probe::burnCall {}.abi_encode()),
        ("child", Probe::childCall { salt: B256::repeat_byte(3) }.abi_encode()),
        ("child again", Probe::childCall { salt: B256::repeat_byte(3) }.abi_encode()),
        ("vanish", Probe::vanishCall {}.abi_encode()),
    ];
    for (name, data) in acts {
        let receipt = c.act(probe, data.clone());
        for field in
            ["status", "gasUsed", "cumulativeGasUsed", "logsBloom", "type", "contractAddress", "to", "from"]
        {
            tell(&format!("{name}: {field}"), receipt[field].clone());
        }
        for log in receipt["logs"].as_array().unwrap() {
            for field in ["address", "topics", "data", "logIndex", "transactionIndex", "removed"] {
                tell(&format!("{name}: log: {field}"), log[field].clone());
            }
        }
        // Asked, not told; what reverts gives its data.
        let asked = c.ask(probe, data);
        let failed = |refused: Refused| match refused.code {
            3 => json!([3, refused.data]),
            // Anvil has another code than geth for whatever fails without reverting.
            _ => json!("failed"),
        };
        tell(&format!("{name}: asked"), asked.unwrap_or_else(failed));
        // Before anything is cleared: Anvil keeps slots that are zero in its trie, where Ethereum has none.
        if name == "store many" {
            tell("storage root", c.get("eth_getProof", json!([probe, [], "latest"]))["storageHash"].clone());
        }
    }
    let seen = c.ask(
        probe,
        Probe::digestCall {
            hash: B256::repeat_byte(1),
            v: 27,
            r: B256::repeat_byte(2),
            s: B256::repeat_byte(3),
        }
        .abi_encode(),
    );
    tell("precompiles", seen.unwrap());
    tell("code", c.get("eth_getCode", json!([probe, "latest"])));
    for slot in 0..3 {
        tell("slot", c.get("eth_getStorageAt", json!([probe, format!("{slot:#x}"), "latest"])));
    }
    let all = c.get("eth_getLogs", json!([{"fromBlock": "earliest", "toBlock": "latest", "address": probe}]));
    for log in all.as_array().unwrap() {
        for field in ["address", "topics", "data", "blockNumber", "logIndex", "transactionHash"] {
            tell(&format!("logs: {field}"), log[field].clone());
        }
    }
    // The same fields in the same answers: a client may rely on any.
    let hash = all[0]["transactionHash"].clone();
    let fields = |value: Value| json!(value.as_object().unwrap().keys().collect::<BTreeSet<_>>());
    let ignored = |value: Value| {
        let mut value = value;
        // Anvil says more than others, by its version.
        for field in ["blobGasPrice", "blockTimestamp", "totalDifficulty"] {
            value.as_object_mut().unwrap().remove(field);
        }
        fields(value)
    };
    tell("fields of a transaction", ignored(c.get("eth_getTransactionByHash", json!([hash]))));
    tell("fields of a receipt", ignored(c.get("eth_getTransactionReceipt", json!([hash]))));
    tell("fields of a block", ignored(c.get("eth_getBlockByNumber", json!(["latest", true]))));
    told
}

fn a_transfer_is_told_alike_everywhere(node: &Node) {
    let c = &node.client;
    assert_eq!(c.get("eth_chainId", json!([])), json!(format!("{CHAIN_ID:#x}")));
    assert_eq!(c.get("net_version", json!([])), json!(CHAIN_ID.to_string()));
    assert_eq!(c.get("eth_syncing", json!([])), json!(false));
    assert!(c.get("web3_clientVersion", json!([])).is_string());
    assert_eq!(c.get("web3_sha3", json!(["0x68656c6c6f"])), json!(keccak256("hello")));

    let to = Address::repeat_byte(0xbb);
    let balance = |address: Address| c.quantity("eth_getBalance", json!([address, "latest"]));
    let before = balance(rich(0).address());
    let wish = Wish { to: to.into(), value: U256::from(7), gas: 21_000, ..Wish::new(c, 0) };
    let transaction = wish.sign();
    let receipt = c.receipt(&transaction);
    assert_eq!((number(&receipt["gasUsed"]), number(&receipt["status"])), (21_000, 1));
    assert_eq!(balance(to), 7);
    let paid = 21_000 * number(&receipt["effectiveGasPrice"]);
    assert_eq!(balance(rich(0).address()), before - 7 - paid);
    assert_eq!(c.nonce(rich(0).address()), wish.nonce + 1);

    let block = c.get("eth_getBlockByHash", json!([receipt["blockHash"], false]));
    assert_eq!(block["transactions"], json!([transaction.tx_hash()]));
    assert_eq!(block, c.get("eth_getBlockByNumber", json!([receipt["blockNumber"], false])));
    let full = c.get("eth_getBlockByNumber", json!([receipt["blockNumber"], true]));
    let by_hash = || c.get("eth_getTransactionByHash", json!([transaction.tx_hash()]));
    let mut told = by_hash();
    // Anvil gives the receipt before it forgets that the transaction waited.
    while node.embedded.is_none() && told["blockHash"].is_null() {
        told = by_hash();
    }
    assert_eq!(full["transactions"][0], told);
    assert_eq!(told["blockHash"], receipt["blockHash"]);
    for (method, block) in [
        ("eth_getTransactionByBlockHashAndIndex", &receipt["blockHash"]),
        ("eth_getTransactionByBlockNumberAndIndex", &receipt["blockNumber"]),
    ] {
        assert_eq!(c.get(method, json!([block, "0x0"])), told);
        assert_eq!(c.get(method, json!([block, "0x1"])), Value::Null);
    }
    assert_eq!(c.get("eth_getBlockReceipts", json!([receipt["blockNumber"]])), json!([receipt]));
    assert_eq!(c.get("eth_getTransactionReceipt", json!([B256::ZERO])), Value::Null);
    assert_eq!(c.get("eth_getBlockByNumber", json!(["0xffffff", false])), Value::Null);

    // The block's hash is that of its header, so a light client can follow.
    let header: alloy::consensus::Header = serde_json::from_value(block.clone()).unwrap();
    assert_eq!(json!(header.hash_slow()), block["hash"]);
}

fn a_contract_stores_logs_and_is_searched(node: &Node) {
    let c = &node.client;
    let probe = c.probe();
    let store =
        |key: u64| Probe::storeCall { key: U256::from(key), value: U256::from(key + 100) }.abi_encode();
    let receipts: Vec<_> = (1..=3).map(|key| c.act(probe, store(key))).collect();
    let count = c.ask(probe, Probe::countCall {}.abi_encode()).unwrap();
    assert_eq!(number(&count), 8);
    let slot = keccak256([U256::from(2).to_be_bytes::<32>(), U256::ZERO.to_be_bytes::<32>()].concat());
    assert_eq!(number(&c.get("eth_getStorageAt", json!([probe, slot, "latest"]))), 102);

    let key = |key: u64| B256::from(U256::from(key));
    let find = |filter: Value| {
        let logs = c.get("eth_getLogs", json!([filter]));
        logs.as_array().unwrap().iter().map(|log| number(&log["data"])).collect::<Vec<_>>()
    };
    let topic = Probe::Stored::SIGNATURE_HASH;
    let everywhere = json!({"fromBlock": "0x0", "toBlock": "latest"});
    let with = |extra: Value| {
        let mut filter = everywhere.clone();
        filter.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        filter
    };
    assert_eq!(find(with(json!({"address": probe}))), [101, 102, 103]);
    assert_eq!(
        find(with(json!({"address": [probe, Address::ZERO], "topics": [topic, null, key(2)]}))),
        [102]
    );
    assert_eq!(find(with(json!({"topics": [topic, null, [key(1), key(3)]]}))), [101, 103]);
    assert_eq!(find(with(json!({"topics": [key(1)]}))), [0_u128; 0]);
    assert_eq!(find(with(json!({"address": Address::ZERO}))), [0_u128; 0]);
    assert_eq!(find(json!({"blockHash": receipts[1]["blockHash"]})), [102]);
    let one = &receipts[2]["blockNumber"];
    assert_eq!(find(json!({"fromBlock": one, "toBlock": one})), [103]);
}

fn reverts_say_why(node: &Node) {
    let c = &node.client;
    let probe = c.probe();
    let refused = |data: Vec<u8>| {
        let asked = c.ask(probe, data.clone()).unwrap_err();
        let request = json!([{"from": rich(0).address(), "to": probe, "data": Bytes::from(data)}]);
        let estimated = c.call("eth_estimateGas", request).unwrap_err();
        assert_eq!((asked.code, estimated.code), (3, 3));
        assert_eq!(asked.data, estimated.data);
        (asked.message, asked.data.as_str().unwrap().parse::<Bytes>().unwrap())
    };
    let (message, data) = refused(Probe::sayNoCall {}.abi_encode());
    assert_eq!(message, "execution reverted: no means no");
    assert_eq!(alloy::sol_types::Revert::abi_decode(&data).unwrap().reason, "no means no");
    let (message, data) = refused(Probe::refuseCall { code: U256::from(9) }.abi_encode());
    assert!(message.starts_with("execution reverted"));
    let error = Probe::Refused::abi_decode(&data).unwrap();
    assert_eq!((error.who, error.code), (rich(0).address(), U256::from(9)));
    let (_, data) = refused(Probe::panicCall { divisor: U256::ZERO }.abi_encode());
    assert_eq!(alloy::sol_types::Panic::abi_decode(&data).unwrap().code, U256::from(0x12));
    let (_, data) = refused(Probe::silentCall {}.abi_encode());
    assert!(data.is_empty());
    // It is the sender's gas that burns, and their nonce that is used.
    let receipt = c.act(probe, Probe::sayNoCall {}.abi_encode());
    assert_eq!(receipt["status"], "0x0");
    // Gas that is not enough is no revert.
    assert_ne!(c.ask(probe, Probe::burnCall {}.abi_encode()).unwrap_err().code, 3);
}

fn estimates_are_enough_and_near(node: &Node) {
    let c = &node.client;
    let probe = c.probe();
    let from = rich(0).address();
    let estimate = |request: Value| c.quantity("eth_estimateGas", json!([request])) as u64;
    assert_eq!(estimate(json!({"from": from, "to": Address::repeat_byte(1), "value": "0x1"})), 21_000);
    for data in [
        Probe::storeCall { key: U256::from(1), value: U256::from(2) }.abi_encode(),
        Probe::clearCall { key: U256::from(1) }.abi_encode(),
        Probe::storeManyCall { from: U256::from(50), n: U256::from(30) }.abi_encode(),
        Probe::childCall { salt: B256::ZERO }.abi_encode(),
    ] {
        let gas = estimate(json!({"from": from, "to": probe, "data": Bytes::from(data.clone())}));
        let wish = Wish { to: probe.into(), data: data.into(), gas, ..Wish::new(c, 0) };
        let receipt = c.receipt(&wish.sign());
        assert_eq!(receipt["status"], "0x1");
        let used = number(&receipt["gasUsed"]) as u64;
        // Refunds come only at the end, and calls hold one part in 64 back.
        assert!((used..=used * 5 / 4 + 10_000).contains(&gas), "{gas} for {used}");
    }
    let gas = estimate(json!({"from": from, "data": probe_code(1)}));
    let receipt = c.receipt(&Wish { to: TxKind::Create, data: probe_code(1), gas, ..Wish::new(c, 0) }.sign());
    assert_eq!(receipt["status"], "0x1");
}

fn a_list_of_what_is_touched_is_right_and_pays(node: &Node) {
    let c = &node.client;
    let probe = c.probe();
    let from = rich(0).address();
    let request = |data: Vec<u8>| json!([{"from": from, "to": probe, "data": Bytes::from(data)}, "latest"]);
    let ask = |data: Vec<u8>| {
        let told = c.get("eth_createAccessList", request(data));
        let list: AccessList = serde_json::from_value(told["accessList"].clone()).unwrap();
        (list, number(&told["gasUsed"]) as u64, told)
    };
    // A slot of the mapping and the counter; sending money touches another account as well.
    let value = |key: u64| keccak256([B256::from(U256::from(key)), B256::ZERO].concat());
    let (list, gas, told) = ask(Probe::storeCall { key: U256::from(1), value: U256::from(2) }.abi_encode());
    assert!(told.get("error").is_none_or(Value::is_null), "{told}");
    let slots: BTreeSet<B256> = list.0.iter().flat_map(|item| item.storage_keys.clone()).collect();
    assert_eq!(list.0.iter().map(|item| item.address).collect::<Vec<_>>(), [probe]);
    assert_eq!(slots, BTreeSet::from([B256::with_last_byte(1), value(1)]));
    let key = rich(0);
    let transaction = TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: c.nonce(from),
        gas_price: 20_000_000_000,
        gas_limit: 200_000,
        to: probe.into(),
        access_list: list,
        input: Probe::storeCall { key: U256::from(1), value: U256::from(2) }.abi_encode().into(),
        ..TxEip2930::default()
    };
    assert_eq!(number(&c.receipt(&sign(transaction, &key))["gasUsed"]) as u64, gas);
    let payee = Address::repeat_byte(0x77);
    let (list, ..) = ask(Probe::sendCall { to: payee, amount: U256::ZERO }.abi_encode());
    assert_eq!(list.0.iter().map(|item| item.address).collect::<Vec<_>>(), [payee]);
    // What fails has touched something all the same: ours says both, as geth does; Anvil says that it fails.
    match c.call("eth_createAccessList", request(Probe::sayNoCall {}.abi_encode())) {
        Ok(told) => {
            assert_eq!((&told["error"], &told["accessList"]), (&json!("execution reverted"), &json!([])));
        }
        Err(refused) => assert!(node.embedded.is_none() && refused.code == 3, "{refused:?}"),
    }
}

fn all_kinds_of_transactions(node: &Node) {
    let c = &node.client;
    let key = rich(1);
    let (to, price) = (Address::repeat_byte(0x11), 20_000_000_000);
    let legacy = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce: c.nonce(key.address()),
        gas_price: price,
        gas_limit: 50_000,
        to: to.into(),
        ..TxLegacy::default()
    };
    assert_eq!(c.receipt(&sign(legacy, &key))["type"], "0x0");
    let item = AccessListItem { address: to, storage_keys: vec![B256::ZERO] };
    let listed = TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: c.nonce(key.address()),
        gas_price: price,
        gas_limit: 50_000,
        to: to.into(),
        access_list: AccessList(vec![item]),
        ..TxEip2930::default()
    };
    let receipt = c.receipt(&sign(listed, &key));
    assert_eq!((&receipt["type"], number(&receipt["gasUsed"])), (&json!("0x1"), 21_000 + 2_400 + 1_900));

    // An account takes on a contract's code for good.
    let probe = c.probe();
    let authority = rich(2);
    let authorization =
        Authorization { chain_id: U256::from(CHAIN_ID), address: probe, nonce: c.nonce(authority.address()) };
    let signature = authority.sign_hash_sync(&authorization.signature_hash()).unwrap();
    let delegating = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: c.nonce(key.address()),
        gas_limit: 300_000,
        max_fee_per_gas: price,
        max_priority_fee_per_gas: 1,
        to: authority.address(),
        input: Probe::storeCall { key: U256::from(1), value: U256::from(77) }.abi_encode().into(),
        authorization_list: vec![authorization.into_signed(signature)],
        ..TxEip7702::default()
    };
    let receipt = c.receipt(&sign(delegating, &key));
    assert_eq!((&receipt["type"], &receipt["status"]), (&json!("0x4"), &json!("0x1")));
    let code = c.get("eth_getCode", json!([authority.address(), "latest"]));
    assert_eq!(code, json!(Bytes::from([&[0xef, 1, 0], probe.as_slice()].concat())));
    let value = c.ask(authority.address(), Probe::valuesCall { key: U256::from(1) }.abi_encode());
    assert_eq!(number(&value.unwrap()), 77);
}

fn bad_transactions_are_refused(node: &Node) {
    let c = &node.client;
    let fresh = || Wish::new(c, 0);
    let refused = |wish: Wish| c.send(&wish.sign()).unwrap_err();
    let used = fresh();
    c.receipt(&used.sign());
    let code = |wish: Wish| refused(wish).code;
    let invalid = [-32000, -32003, -32602];
    for wish in [
        Wish { value: U256::from(3), ..used.clone() },
        Wish { chain_id: 1, ..fresh() },
        Wish { value: U256::MAX >> 8, ..fresh() },
        Wish { gas: 20_999, ..fresh() },
        Wish { gas: 61_000_000, ..fresh() },
        Wish { tip: 1 << 60, ..fresh() },
    ] {
        let shown = format!("nonce {} value {} gas {}", wish.nonce, wish.value, wish.gas);
        assert!(invalid.contains(&code(wish)), "{shown}");
    }
    let low = refused(Wish { value: U256::from(3), ..used }).message;
    assert!(low.to_lowercase().contains("nonce too low"), "{low}");
    let poor = refused(Wish { value: U256::MAX >> 8, ..fresh() }).message;
    assert!(poor.to_lowercase().contains("insufficient funds"), "{poor}");
    for junk in ["0x", "0xc0", "0x02c0", "0xff00"] {
        assert!(c.call("eth_sendRawTransaction", json!([junk])).is_err(), "{junk}");
    }
    // Nothing of all that has moved anything.
    c.receipt(&fresh().sign());
}

fn gaps_are_queued_and_replacements_must_pay(node: &Node) {
    let c = &node.client;
    let first = Wish { gas: 21_000, ..Wish::new(c, 0) };
    let later = Wish { nonce: first.nonce + 1, ..first.clone() };
    let waits = later.sign();
    c.send(&waits).unwrap();
    assert_eq!(c.get("eth_getTransactionReceipt", json!([waits.tx_hash()])), Value::Null);
    assert_eq!(c.get("eth_getTransactionByHash", json!([waits.tx_hash()]))["blockHash"], Value::Null);
    assert!(c.send(&waits).is_err());
    // The same place in the queue, for hardly more.
    let cheap = Wish { fee: later.fee + 1, value: U256::from(1), ..later.clone() };
    // Anvil takes any fee that is higher, where others want a tenth more.
    if node.embedded.is_some() {
        let why = c.send(&cheap.sign()).unwrap_err().message;
        assert!(why.contains("underpriced"), "{why}");
    }
    let dear = Wish { fee: later.fee * 2, tip: later.tip * 2, value: U256::from(1), ..later }.sign();
    c.send(&dear).unwrap();
    c.receipt(&first.sign());
    while c.get("eth_getTransactionReceipt", json!([dear.tx_hash()])).is_null() {}
    assert_eq!(c.get("eth_getTransactionByHash", json!([waits.tx_hash()])), Value::Null);
    assert_eq!(c.nonce(rich(0).address()), first.nonce + 2);
}

fn proofs_lead_to_the_root(node: &Node) {
    let c = &node.client;
    let probe = c.probe();
    c.act(probe, Probe::storeManyCall { from: U256::from(0), n: U256::from(40) }.abi_encode());
    let slot =
        |key: u64| U256::from_be_bytes(keccak256([U256::from(key).to_be_bytes::<32>(), [0; 32]].concat()).0);
    let slots = [slot(3), slot(39), slot(1000), U256::from(1)];
    let told = c.get("eth_getProof", json!([probe, slots.map(B256::from), "latest"]));
    let block = c.get("eth_getBlockByNumber", json!(["latest", false]));
    let nodes = |proof: &Value| serde_json::from_value::<Vec<Bytes>>(proof.clone()).unwrap();
    let hash = |value: &Value| serde_json::from_value::<B256>(value.clone()).unwrap();
    let account = TrieAccount {
        nonce: number(&told["nonce"]) as u64,
        balance: U256::from(number(&told["balance"])),
        storage_root: hash(&told["storageHash"]),
        code_hash: hash(&told["codeHash"]),
    };
    let path = Nibbles::unpack(keccak256(probe));
    let proof = nodes(&told["accountProof"]);
    verify_proof(hash(&block["stateRoot"]), path, Some(alloy_rlp::encode(account)), &proof).unwrap();
    for (slot, proof) in slots.iter().zip(told["storageProof"].as_array().unwrap()) {
        let value = U256::from(number(&proof["value"]));
        let expected = (!value.is_zero()).then(|| alloy_rlp::encode(value));
        let path = Nibbles::unpack(keccak256(B256::from(*slot)));
        verify_proof(account.storage_root, path, expected, &nodes(&proof["proof"])).unwrap();
    }
    assert_eq!(number(&told["storageProof"][0]["value"]), 4);
    assert_eq!(number(&told["storageProof"][2]["value"]), 0);
    // Nobody is proved to be nobody.
    let nobody = address!("00000000000000000000000000000000deadbeef");
    let told = c.get("eth_getProof", json!([nobody, [], "latest"]));
    let path = Nibbles::unpack(keccak256(nobody));
    verify_proof(hash(&block["stateRoot"]), path, None, &nodes(&told["accountProof"])).unwrap();
}

fn fees_have_a_history(node: &Node) {
    let c = &node.client;
    for _ in 0..3 {
        c.receipt(&Wish { gas: 21_000, ..Wish::new(c, 0) }.sign());
    }
    let history = c.get("eth_feeHistory", json!(["0x3", "latest", [0.0, 50.0, 100.0]]));
    let newest = c.quantity("eth_blockNumber", json!([]));
    assert_eq!(number(&history["oldestBlock"]), newest - 2);
    let fees: Vec<u128> = history["baseFeePerGas"].as_array().unwrap().iter().map(number).collect();
    assert_eq!(fees.len(), 4);
    for (i, fee) in fees[..3].iter().enumerate() {
        let block = c.get("eth_getBlockByNumber", json!([format!("{:#x}", newest - 2 + i as u128), false]));
        assert_eq!(number(&block["baseFeePerGas"]), *fee);
    }
    assert!(fees[3] <= fees[2]);
    assert_eq!(history["reward"].as_array().unwrap().len(), 3);
    assert_eq!(history["reward"][1], json!(["0x3b9aca00", "0x3b9aca00", "0x3b9aca00"]));
    assert!(c.quantity("eth_gasPrice", json!([])) >= fees[3]);
    assert!(c.quantity("eth_maxPriorityFeePerGas", json!([])) > 0);
    // A transaction that pays what is asked goes in.
    let fee = c.quantity("eth_gasPrice", json!([]));
    c.receipt(&Wish { fee, tip: 0, gas: 21_000, ..Wish::new(c, 0) }.sign());
}

fn filters_tell_what_is_new(node: &Node) {
    let c = &node.client;
    let probe = c.probe();
    let logs = c.get("eth_newFilter", json!([{"address": probe}]));
    let blocks = c.get("eth_newBlockFilter", json!([]));
    let pending = c.get("eth_newPendingTransactionFilter", json!([]));
    let changes = |filter: &Value| c.get("eth_getFilterChanges", json!([filter]));
    assert_eq!(changes(&logs), json!([]));
    let receipt = c.act(probe, Probe::storeCall { key: U256::from(1), value: U256::from(2) }.abi_encode());
    let told = changes(&logs);
    assert_eq!(
        (told.as_array().unwrap().len(), &told[0]["transactionHash"]),
        (1, &receipt["transactionHash"])
    );
    assert_eq!(changes(&logs), json!([]));
    assert_eq!(changes(&blocks), json!([receipt["blockHash"]]));
    assert_eq!(changes(&pending), json!([receipt["transactionHash"]]));
    assert_eq!(c.get("eth_getFilterLogs", json!([logs]))[0]["transactionHash"], receipt["transactionHash"]);
    assert_eq!(c.get("eth_uninstallFilter", json!([logs])), json!(true));
    assert_eq!(c.get("eth_uninstallFilter", json!([logs])), json!(false));
    if node.embedded.is_some() {
        assert_eq!(c.call("eth_getFilterChanges", json!([logs])).unwrap_err().message, "filter not found");
    }
}

fn old_states_can_be_asked(node: &Node) {
    let c = &node.client;
    let to = Address::repeat_byte(0xcc);
    let mut blocks = Vec::new();
    for _ in 0..4 {
        let wish = Wish { to: to.into(), value: U256::from(5), gas: 21_000, ..Wish::new(c, 0) };
        blocks.push(c.receipt(&wish.sign())["blockNumber"].clone());
    }
    for (i, block) in blocks.iter().enumerate() {
        assert_eq!(c.quantity("eth_getBalance", json!([to, block])), 5 * (i as u128 + 1));
    }
    let probe = c.probe();
    let code_before = c.get("eth_getCode", json!([probe, blocks[3]]));
    assert_eq!(code_before, json!("0x"));
    assert!(c.call("eth_getBalance", json!([to, "0xffffff"])).is_err());
    let hash = c.get("eth_getBlockByNumber", json!([blocks[1], false]))["hash"].clone();
    assert_eq!(c.quantity("eth_getBalance", json!([to, {"blockHash": hash}])), 10);
    // What a contract sees is the block that it is asked in.
    let seen = Probe::seenCall {}.abi_encode();
    let request = json!({"to": probe, "data": Bytes::from(seen)});
    let told = c.get("eth_call", json!([request, "latest"]));
    let told =
        Probe::seenCall::abi_decode_returns(&told.as_str().unwrap().parse::<Bytes>().unwrap()).unwrap();
    let newest = c.get("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(told.chain, U256::from(CHAIN_ID));
    assert_eq!(json!(told.before), newest["parentHash"]);
}

fn contracts_make_contracts(node: &Node) {
    let c = &node.client;
    let deployer = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
    let salt = B256::repeat_byte(9);
    let code = probe_code(1);
    let receipt = c.act(deployer, [salt.as_slice(), &code].concat());
    assert_eq!(receipt["status"], "0x1");
    let made = deployer.create2_from_code(salt, &code);
    assert_eq!(number(&c.ask(made, Probe::countCall {}.abi_encode()).unwrap()), 1);
    let again = c.act(deployer, [salt.as_slice(), &code].concat());
    assert_eq!(again["status"], "0x0");
    // One that destroys itself at birth leaves nothing.
    let probe = c.probe();
    let gone = c.ask(probe, Probe::vanishCall {}.abi_encode()).unwrap();
    let gone =
        Probe::vanishCall::abi_decode_returns(&gone.as_str().unwrap().parse::<Bytes>().unwrap()).unwrap();
    c.act(probe, Probe::vanishCall {}.abi_encode());
    assert_eq!(c.get("eth_getCode", json!([gone, "latest"])), json!("0x"));
    // Money goes in and out.
    c.receipt(&Wish { to: probe.into(), value: U256::from(1000), ..Wish::new(c, 0) }.sign());
    c.act(probe, Probe::sendCall { to: Address::repeat_byte(0xdd), amount: U256::from(400) }.abi_encode());
    let balance = |address: Address| c.quantity("eth_getBalance", json!([address, "latest"]));
    assert_eq!((balance(probe), balance(Address::repeat_byte(0xdd))), (600, 400));
}

fn bad_requests_have_the_right_codes(node: &Node) {
    let c = &node.client;
    let code = |body: &str| {
        let (_, answer) = c.post(body.as_bytes()).unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()["error"]["code"].as_i64()
    };
    // Anvil says of what is no JSON that it is no request.
    assert_eq!(code("{"), Some(if node.embedded.is_some() { -32700 } else { -32600 }));
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"eth_nothing","params":[]}"#), Some(-32601));
    for params in [r#"["0x12"]"#, "[]", "[1,2]"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":{params}}}"#);
        assert_eq!(code(&body), Some(-32602), "{params}");
    }
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},{"jsonrpc":"2.0","id":"b","method":"net_version"}]"#;
    let answers: Value = serde_json::from_str(&c.post(batch.as_bytes()).unwrap().1).unwrap();
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!(1), &json!("b")));
}
