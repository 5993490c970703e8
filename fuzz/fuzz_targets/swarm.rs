//! What a node hears: any bytes, from anyone, in a round. Whatever they are, each message is judged and the round goes on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, OnceLock};
use swarm::{Charter, Effect, Event, Flock, Memory, Message, NodeId, Parts, Record, Seed, Tongue};

static PARTS: OnceLock<Arc<Parts>> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let parts = PARTS.get_or_init(|| {
        let charter = Charter::new();
        let tongue = Tongue::wren(charter.answers.prompt, charter.answers.tokens);
        Arc::new(Parts::new(charter, tongue).expect("the template's charter"))
    });
    if let Some(message) = Message::decode(bytes) {
        assert_eq!(message.encode(), bytes);
    }
    // A log, and a charter.
    let records: Vec<Record> = swarm::log::Reader::new(bytes).collect();
    assert!(records.len() <= bytes.len());
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Charter::from_toml(text);
    }
    // A message of this very swarm and round, so that it comes further than to its first field.
    let me = NodeId::of(b"me");
    let mut flock = Flock::new(parts.clone(), Memory::new(parts.charter.id(), me, Seed([0; 32]))).expect("its own swarm");
    flock.step(0, Event::Opened { round: 1, seed: Seed([1; 32]) });
    for (ticket, part) in bytes.chunks(200).enumerate() {
        let mut heard = parts.charter.id().to_vec();
        heard.push(1);
        heard.extend(part);
        for bytes in [part.to_vec(), heard] {
            let from = NodeId::of(&[ticket as u8 % 4]);
            let effects = flock.step(1, Event::Heard { ticket: ticket as u64, from, bytes });
            assert!(effects.len() < 10);
        }
    }
    let effects = flock.step(1, Event::Answered { round: 1, stage: 0, root: [0; 32], answers: Vec::new() });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Publish(_))));
});
