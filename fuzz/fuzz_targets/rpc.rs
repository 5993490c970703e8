//! Bytes as a JSON-RPC request or batch from a stranger: whatever it is, there is no panic, and the answer is JSON.

#![no_main]

use std::sync::OnceLock;

use chain::embedded::{Embedded, Options};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

fuzz_target!(|bytes: &[u8]| {
    static CHAIN: OnceLock<(Embedded, Runtime)> = OnceLock::new();
    let (chain, runtime) =
        CHAIN.get_or_init(|| (Embedded::in_memory(Options::default()).unwrap(), Runtime::new().unwrap()));
    if let Some(answer) = runtime.block_on(chain.answer(bytes)) {
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert!(answer.is_array() || answer["jsonrpc"] == "2.0", "{answer}");
    }
});
