//! Bytes as a chat template: whatever it is, it renders or says why not, within its limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lm::{Chat, Message};

fuzz_target!(|source: &str| {
    let Ok(chat) = Chat::new("fuzzed", source, &[("bos_token", "<s>")]) else { return };
    let _ = chat.render(&[Message::new("system", "Be brief."), Message::new("user", " Hi\n")], true);
});
