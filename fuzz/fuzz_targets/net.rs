//! Bytes as everything that a peer, a person or an old file may give the network: addresses, peers, envelopes, frames, remembered
//! peers. Whatever they are, there is no panic and nothing is held beyond its limit.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| net::fuzz::everything(bytes));
