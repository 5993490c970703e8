//! The parsers of foreign bytes, for whoever wants to break them. No part of the interface.

use crate::blob::{fuzz_lane, fuzz_lane_example, read_anything, request_example};
use crate::envelope::Envelope;
use crate::remembered::{self, Ban, Remembered};
use std::time::{Duration, UNIX_EPOCH};

/// A parser of bytes that come from elsewhere.
#[derive(Debug)]
pub struct Decoder {
    /// What the bytes are taken for.
    pub name: &'static str,
    /// Reads them. It does not panic, or hold more than it was given room for.
    pub read: fn(&[u8]),
    /// Bytes that are what they are taken for, to begin with.
    pub examples: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const DECODERS: [Decoder; 7] = [
    Decoder {
        name: "envelope",
        read: envelope,
        examples: || vec![Envelope::encode(UNIX_EPOCH + Duration::from_secs(9), b"words")],
    },
    Decoder { name: "frame", read: frame, examples: || vec![[&5u32.to_le_bytes()[..], b"words"].concat()] },
    Decoder { name: "remembered", read: remembered, examples: || vec![memories().encode()] },
    Decoder {
        name: "peer",
        read: peer,
        examples: || example_peer().iter().flat_map(postcard::to_allocvec).collect(),
    },
    Decoder { name: "address", read: address, examples: addresses },
    Decoder { name: "blob", read: read_anything, examples: || vec![request_example(), vec![0; 300]] },
    Decoder { name: "lane", read: fuzz_lane, examples: || vec![fuzz_lane_example().unwrap_or_default()] },
];

/// Reads bytes as everything that comes from outside.
pub fn everything(bytes: &[u8]) {
    for decoder in &DECODERS {
        (decoder.read)(bytes);
    }
}

fn envelope(bytes: &[u8]) {
    if let Some(envelope) = Envelope::decode(bytes) {
        assert_eq!(Envelope::encode(envelope.sent, envelope.data), bytes, "two encodings of one envelope");
    }
}

fn frame(bytes: &[u8]) {
    const LIMIT: usize = 1 << 12;
    if let Some(body) = crate::requests::fuzz_frame(bytes, LIMIT) {
        assert!(body.len() <= LIMIT, "a frame longer than its limit");
    }
}

fn remembered(bytes: &[u8]) {
    let _ = Remembered::decode(bytes, 1_800_000_000);
}

fn peer(bytes: &[u8]) {
    if let Ok(peer) = postcard::from_bytes::<crate::PeerId>(bytes) {
        let again = peer.to_string().parse::<crate::PeerId>();
        assert_eq!(again.ok(), Some(peer), "a peer that its text does not name");
    }
}

fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(address) = text.parse::<crate::Address>() {
        let again = address.to_string().parse::<crate::Address>();
        assert_eq!(again.ok(), Some(address), "an address that its text does not name");
    }
    let _ = text.parse::<crate::PeerId>();
}

fn example_peer() -> Option<crate::PeerId> {
    crate::PeerId::from_secret(&[1; 32]).ok()
}

fn memories() -> Remembered {
    let at = |peer| remembered::Peer {
        id: peer,
        addresses: addresses()
            .iter()
            .filter_map(|text| std::str::from_utf8(text).ok()?.parse().ok())
            .collect(),
        last_seen: 1_800_000_000,
        anchor: true,
    };
    let peer = example_peer();
    let bans = peer.map(|peer| Ban { peer, until: 1_900_000_000 }).into_iter().collect();
    Remembered { peers: peer.map(at).into_iter().collect(), bans }
}

fn addresses() -> Vec<Vec<u8>> {
    let peer = example_peer().map(|peer| peer.to_string()).unwrap_or_default();
    let plain = [
        "/ip4/203.0.113.7/udp/4747/quic-v1",
        "/ip6/2001:db8::1/tcp/4747",
        "/dns/example.org/tcp/4747",
        "/memory/7",
    ];
    let known = plain.iter().map(|address| format!("{address}/p2p/{peer}"));
    let relayed = format!("/ip4/203.0.113.7/tcp/1/p2p/{peer}/p2p-circuit/p2p/{peer}");
    known.chain([relayed, peer.clone()]).map(String::into_bytes).collect()
}
