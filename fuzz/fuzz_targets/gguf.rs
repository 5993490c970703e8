//! Bytes as a GGUF file, its shape, tokenizer and chat template read: no panic, and no more memory than a few times its bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = lm::foreign::gguf(bytes);
});
