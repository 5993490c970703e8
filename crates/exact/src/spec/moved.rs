//! Operations that move elements and, for the scatter, add them up in order.

use super::{Tensor, stored};
use crate::shape::Shape;

/// The indices along each axis of element `i`.
fn unravel(mut i: usize, shape: &Shape) -> Vec<usize> {
    let mut at = vec![0; shape.rank()];
    for axis in (0..shape.rank()).rev() {
        at[axis] = i % shape.dim(axis);
        i /= shape.dim(axis);
    }
    at
}

fn ravel(at: &[usize], shape: &Shape) -> usize {
    at.iter().enumerate().fold(0, |i, (axis, a)| i * shape.dim(axis) + a)
}

pub(super) fn permute(x: &Tensor, order: &[u8], out: &Shape) -> Vec<u32> {
    let source = |i: usize| {
        let at = unravel(i, out);
        let mut from = vec![0; at.len()];
        for (to, axis) in order.iter().enumerate() {
            from[usize::from(*axis)] = at[to];
        }
        ravel(&from, x.shape())
    };
    (0..out.elements()).map(|i| x.bits[source(i)]).collect()
}

pub(super) fn slice(x: &Tensor, axis: u8, start: usize, out: &Shape) -> Vec<u32> {
    let source = |i: usize| {
        let mut at = unravel(i, out);
        at[usize::from(axis)] += start;
        ravel(&at, x.shape())
    };
    (0..out.elements()).map(|i| x.bits[source(i)]).collect()
}

pub(super) fn pad(x: &Tensor, axis: u8, before: usize, out: &Shape) -> Vec<u32> {
    let axis = usize::from(axis);
    let source = |i: usize| {
        let mut at = unravel(i, out);
        at[axis] = at[axis].checked_sub(before).filter(|a| *a < x.shape().dim(axis))?;
        Some(ravel(&at, x.shape()))
    };
    (0..out.elements()).map(|i| source(i).map_or(0, |s| x.bits[s])).collect()
}

pub(super) fn concat(parts: &[&Tensor], axis: u8, out: &Shape) -> Vec<u32> {
    let axis = usize::from(axis);
    let element = |i: usize| {
        let mut at = unravel(i, out);
        for part in parts {
            let length = part.shape().dim(axis);
            if at[axis] < length {
                return part.bits[ravel(&at, part.shape())];
            }
            at[axis] -= length;
        }
        0
    };
    (0..out.elements()).map(element).collect()
}

pub(super) fn flip(x: &Tensor, axis: u8) -> Vec<u32> {
    let axis = usize::from(axis);
    let source = |i: usize| {
        let mut at = unravel(i, x.shape());
        at[axis] = x.shape().dim(axis) - 1 - at[axis];
        ravel(&at, x.shape())
    };
    (0..x.bits.len()).map(|i| x.bits[source(i)]).collect()
}

/// The elements of one row of a table `[V, ..]`.
fn row_elements(table: &Shape) -> usize {
    table.iter().skip(1).product()
}

pub(super) fn gather(table: &Tensor, ids: &Tensor) -> Vec<u32> {
    let n = row_elements(table.shape());
    ids.bits.iter().flat_map(|id| &table.bits[*id as usize * n..][..n]).copied().collect()
}

/// Each row starts at +0, and what goes to it is added in the order of the ids.
pub(super) fn scatter_add(ids: &Tensor, source: &Tensor, out: &Shape) -> Vec<u32> {
    let n = row_elements(out);
    let mut sums = vec![0f32; out.elements()];
    for (i, id) in ids.bits.iter().enumerate() {
        for j in 0..n {
            sums[*id as usize * n + j] += source.f(i * n + j);
        }
    }
    sums.into_iter().map(stored).collect()
}

pub(super) fn pick(x: &Tensor, ids: &Tensor) -> Vec<u32> {
    let n = x.shape().last();
    ids.bits.iter().enumerate().map(|(row, id)| x.bits[row * n + *id as usize]).collect()
}

pub(super) fn place(ids: &Tensor, source: &Tensor, n: usize) -> Vec<u32> {
    let mut bits = vec![0; ids.bits.len() * n];
    for (row, id) in ids.bits.iter().enumerate() {
        bits[row * n + *id as usize] = source.bits[row];
    }
    bits
}

pub(super) fn write_rows(cache: &Tensor, new: &Tensor, start: &Tensor) -> Vec<u32> {
    let row: usize = cache.shape().iter().skip(2).product();
    let (rows, written) = (cache.shape().dim(1), new.shape().dim(1));
    let mut bits = cache.bits.clone();
    for (b, start) in start.bits.iter().enumerate() {
        let to = (b * rows + *start as usize) * row;
        bits[to..to + written * row].copy_from_slice(&new.bits[b * written * row..][..written * row]);
    }
    bits
}

/// Patch `[z, y, x, channel]` of each position as a row; +0 outside.
pub(super) fn im2col(x: &Tensor, kernel: [u32; 3], pad: [u32; 3], out: &Shape) -> Vec<u32> {
    let s = x.shape();
    let [kernel, pad] = [kernel, pad].map(|v| v.map(|n| n as usize));
    let positions: [usize; 3] = std::array::from_fn(|a| s.dim(a + 1) + 2 * pad[a] - kernel[a] + 1);
    let channels = s.dim(4);
    let element = |i: usize| {
        let (position, tap) = (i / out.dim(1), i % out.dim(1));
        let [_, h, w] = positions;
        let place = [position / (w * h) % positions[0], position / w % h, position % w];
        let inner = tap / channels;
        let offset = [inner / (kernel[1] * kernel[2]), inner / kernel[2] % kernel[1], inner % kernel[2]];
        let mut at = [position / (w * h * positions[0]), 0, 0, 0, tap % channels];
        for axis in 0..3 {
            at[axis + 1] =
                (place[axis] + offset[axis]).checked_sub(pad[axis]).filter(|p| *p < s.dim(axis + 1))?;
        }
        Some(x.bits[ravel(&at, s)])
    };
    (0..out.elements()).map(|i| element(i).unwrap_or(0)).collect()
}
