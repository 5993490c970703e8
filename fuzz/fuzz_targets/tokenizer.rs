//! Bytes as a `tokenizer.json`, and a text: what is taken encodes and decodes without a panic, as a whole and token by token.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|given: (&[u8], &str)| {
    let (json, text) = given;
    let Ok(tokenizer) = lm::Tokenizer::from_json(json, "fuzzed") else { return };
    let _ = tokenizer.encode_alone(text);
    let Ok(tokens) = tokenizer.encode(text) else { return };
    let _ = (tokenizer.decode(&tokens), tokenizer.decode_all(&tokens), tokenizer.words());
    let mut stream = tokenizer.stream();
    for token in tokens {
        if stream.push(token).is_err() {
            return;
        }
    }
    let _ = stream.finish();
});
