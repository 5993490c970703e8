//! Bytes as a safetensors file: no panic, and no more memory than the header takes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = lm::foreign::safetensors(bytes);
});
