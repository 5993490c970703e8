//! The numbers that all contenders work on, and whether they came to the same result.

use crate::Result;

/// Numbers in [-scale, scale) that depend on seed and index alone; `peers/torch_peer.py` has the same function.
pub(crate) fn fill(seed: u32, count: usize, scale: f32) -> Vec<f32> {
    let start = seed.wrapping_mul(0x3C6E_F372);
    let number = |i: usize| {
        // The finaliser of MurmurHash3.
        let mut x = (i as u32).wrapping_mul(0x9E37_79B1).wrapping_add(start);
        for (shift, factor) in [(16, 0x85EB_CA6B), (13, 0xC2B2_AE35), (16, 1)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        ((x >> 8) as f32 * (0.5f32).powi(23) - 1.0) * scale
    };
    (0..count).map(number).collect()
}

/// Token numbers from the same numbers.
pub(crate) fn ids(seed: u32, count: usize, below: u32) -> Vec<u32> {
    let id = |x: f32| (((x + 1.0) * (below as f32 / 2.0)) as u32).min(below - 1);
    fill(seed, count, 1.0).into_iter().map(id).collect()
}

/// That two contenders did the same work: no element differs by more than `tolerance` times the largest.
pub(crate) fn agree(what: &str, ours: &[f32], peer_name: &str, peer: &[f32], tolerance: f32) -> Result {
    if ours.len() != peer.len() {
        return Err(format!("{what}: ours has {} numbers, {peer_name} has {}", ours.len(), peer.len()).into());
    }
    let largest = peer.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let apart = ours.iter().zip(peer).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    // Written so that a NaN does not agree.
    let same = apart <= tolerance * largest && ours.iter().chain(peer).all(|x| x.is_finite());
    if same {
        Ok(())
    } else {
        Err(format!("{what}: ours and {peer_name} differ by {apart} of {largest}").into())
    }
}
