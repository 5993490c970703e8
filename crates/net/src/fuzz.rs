//! The parsers of foreign bytes, for the fuzzer. No part of the interface.

use crate::envelope::Envelope;
use crate::remembered::Remembered;

/// Reads bytes as everything that comes from outside; none of it may panic, or hold more than it was given room for.
pub fn everything(bytes: &[u8]) {
    if let Some(envelope) = Envelope::decode(bytes) {
        assert_eq!(Envelope::encode(envelope.sent, envelope.data), bytes, "two encodings of one envelope");
    }
    const LIMIT: usize = 1 << 12;
    if let Some(body) = crate::requests::fuzz_frame(bytes, LIMIT) {
        assert!(body.len() <= LIMIT, "a frame longer than its limit");
    }
    let _ = Remembered::decode(bytes, 1_800_000_000);
    if let Ok(peer) = postcard::from_bytes::<crate::PeerId>(bytes) {
        assert_eq!(
            peer.to_string().parse::<crate::PeerId>().ok(),
            Some(peer),
            "a peer that its text does not name"
        );
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(address) = text.parse::<crate::Address>() {
            let again = address.to_string().parse::<crate::Address>();
            assert_eq!(again.ok(), Some(address), "an address that its text does not name");
        }
        let _ = text.parse::<crate::PeerId>();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes(bytes: Vec<u8>, text in "(/[a-z0-9]{1,8}){0,6}") {
            super::everything(&bytes);
            super::everything(text.as_bytes());
            super::everything(&[b"starling peers 1\n", bytes.as_slice()].concat());
        }
    }
}
