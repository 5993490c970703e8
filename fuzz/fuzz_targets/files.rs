//! Bytes as a keystore, as a manifest, and as names and amounts that people type: they are read or refused, and never panic.

#![no_main]

use chain::{Address, Credits, Hash, Manifest, PeerKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = PeerKey::from_keystore(bytes, "");
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Manifest::read(text);
        if let Ok(amount) = text.parse::<Credits>() {
            assert_eq!(amount.to_string().parse::<Credits>().unwrap(), amount);
        }
        let _ = (text.parse::<Address>(), text.parse::<Hash>());
    }
});
