//! What a peer may say about blobs: requests to us, and answers to ours.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| net::blob::read_anything(bytes));
