//! Random words, and which tokens may be drawn.

use super::Tensor;
use super::contract::{LANES, halve};
use super::math::{Soft, exp, max};
use super::philox::philox;

/// Word `i` of a row is word `i mod 4` of Philox at the counter (i / 4, position, stream, 0) under the row's seed.
pub(super) fn philox_words(seeds: &Tensor, words: usize) -> Vec<u32> {
    let row = |seed: &[u32]| -> Vec<u32> {
        let word = |i: usize| philox([(i / 4) as u32, seed[3], seed[2], 0], [seed[0], seed[1]])[i % 4];
        (0..words).map(word).collect()
    };
    seeds.bits.chunks(4).flat_map(row).collect()
}

/// 1 for each element of a row that top-k and top-p keep.
pub(super) fn keep(x: &Tensor, k: &Tensor, p: &Tensor) -> Vec<u32> {
    let n = x.shape().last();
    let row = |r: usize| {
        let values: Vec<f32> = (0..n).map(|i| x.f(r * n + i)).collect();
        keep_row(&values, k.bits[r], p.f(r))
    };
    (0..x.shape().rows()).flat_map(row).collect()
}

/// The best `k` (0 for all) by value, lower index first among equals and NaN above all; of those, going down the order,
/// each whose betters together have less than `p` of the mass `exp(x - max)`. The best is always kept.
pub(crate) fn keep_row(x: &[f32], k: u32, p: f32) -> Vec<u32> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&i, &j| {
        let (a, b) = (x[i], x[j]);
        b.is_nan()
            .cmp(&a.is_nan())
            .then(b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal))
            .then(i.cmp(&j))
    });
    if k > 0 {
        order.truncate(k as usize);
    }
    let mut kept = vec![0; x.len()];
    if p >= 1.0 {
        for i in order {
            kept[i] = 1;
        }
        return kept;
    }
    let mut mass = vec![0.0; x.len()];
    let greatest = x.iter().copied().fold(f32::NEG_INFINITY, max);
    for i in &order {
        mass[*i] = exp::<Soft>(x[*i] - greatest);
    }
    // The whole mass is a sum in the order of the indices, so that it is the tree every sum is.
    let mut lanes = [0.0; LANES];
    mass.iter().enumerate().for_each(|(i, m)| lanes[i % LANES] += m);
    let enough = p * halve(lanes);
    let mut before = 0.0;
    for (rank, i) in order.into_iter().enumerate() {
        // Neither does a NaN leave room for another.
        let room = before < enough;
        if rank > 0 && !room {
            break;
        }
        kept[i] = 1;
        before += mass[i];
    }
    kept
}
