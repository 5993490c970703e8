//! Bytes as a `config.json`: no panic, and no shape that could not be.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = lm::foreign::config(bytes) else { return };
    assert!(config.check().is_ok(), "an impossible shape was let in");
});
