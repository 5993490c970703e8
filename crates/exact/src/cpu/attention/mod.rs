//! Softmax attention, fused: scores, weights and sums of one tile of queries at a time, never a whole matrix of them.
//!
//! ```text
//! qs[i,d] = q[i,d] * scale                      s[i,j] = sum over d of qs[i,d] k[j,d]        for j < n(i)
//! m[i]    = max s[i,j]                          e[i,j] = exp(s[i,j] - m[i])
//! r[i]    = 1 / sum e[i,j]                      o[i,d] = (sum over j < n(i) of e[i,j] v[j,d]) * r[i]
//! ```
//! Query i sees the keys before `n(i)`: `start + i + 1` if causal, else `start`. Sums over keys take only those (a product
//! with a zero would not be nothing: think of inf, and of -0), so tiles of a causal product have a slanted edge.

mod grad;
mod product;
mod rows;
#[cfg(test)]
mod tests;

use product::{panel_product, ragged_product};
use rows::{Ahead, Rows, STEP, fetch_rows, scale_each_row, scale_rows, softmax_rows};

use super::Shared;
use super::gemm::Cx;
use super::gemm::pack::pack;
use super::gemm::tile::kernels;
use crate::Level;

/// Floats of scores that one worker holds, unless a single band of a tile's rows is more.
const SCORES: usize = 32 * 1024;
/// Queries that are worked on together, at most.
const QUERIES: usize = 128;

/// The sizes of one attention. Tensors lie as `q, o: [batch, queries, heads, dim]`, `k, v: [batch, keys, kv_heads, dim]`,
/// `m, r: [batch, heads, queries]`, `start: [batch]`. Head `h` reads the keys of `h / (heads / kv_heads)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attention {
    pub(crate) batch: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) dim: usize,
    pub(crate) scale: f32,
    /// Query i sees `start + i + 1` keys rather than `start`.
    pub(crate) causal: bool,
}

impl Attention {
    /// Query heads that share the same keys.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Floats from one row of scores to the next.
    fn score_stride(&self) -> usize {
        self.keys.next_multiple_of(STEP) + STEP
    }

    /// Queries in a tile: a power of two, so that tiles end where blocks of 512 do.
    fn tile(&self) -> usize {
        let fit = (SCORES / self.score_stride()).clamp(16, QUERIES);
        1 << fit.ilog2()
    }

    /// What query `i` of batch `b` sees.
    unsafe fn rows(&self, start: *const u32, b: usize, i: usize, count: usize) -> Rows {
        // SAFETY: the caller's tensor holds `batch` elements.
        let start = unsafe { *start.add(b) } as usize;
        if self.causal {
            Rows { count, first: start + i + 1, step: 1 }
        } else {
            Rows { count, first: start, step: 0 }
        }
    }

    /// The floats of scratch that each worker needs for [`Attention::forward`].
    pub(crate) fn scratch_floats(&self, level: Level) -> usize {
        let queries = if self.queries == 1 { self.group() } else { self.tile().min(self.queries) };
        let width = kernels(level).columns();
        let packed = if self.queries <= self.tile() { width } else { self.keys.next_multiple_of(width) };
        (queries * (self.score_stride() + self.dim) + packed * self.dim).next_multiple_of(16)
    }

    /// Computes `o`, `m` and `r`.
    ///
    /// # Safety
    /// The tensors must be there, the outputs apart from everything else; `start` must keep to the keys
    /// (`start + queries <= keys` if causal, else `1 <= start <= keys`); `cx` must name a level of this machine
    /// and [`Attention::scratch_floats`] for each worker.
    pub(crate) unsafe fn forward(
        &self,
        cx: &Cx,
        q: *const f32,
        k: *const f32,
        v: *const f32,
        start: *const u32,
        o: *mut f32,
        m: *mut f32,
        r: *mut f32,
    ) {
        let inputs = Inputs { q, k, v, start };
        let (o, m, r) = (Shared(o), Shared(m), Shared(r));
        if self.queries == 1 {
            // The heads of a group see the same keys: they make one tile, if that leaves a task for each thread.
            let together = self.batch * self.kv_heads >= cx.pool.threads();
            let group = if together { self.group() } else { 1 };
            let tiles = self.heads / group;
            cx.pool.run(self.batch * tiles, &|task, worker| {
                let (b, h) = (task / tiles, task % tiles * group);
                // SAFETY: each task writes its own heads; the rest is the caller's promise.
                unsafe {
                    let one = self.rows(inputs.start, b, 0, 1);
                    let rows = Rows { count: group, first: one.first, step: 0 };
                    let head = b * self.heads + h;
                    let at = head * self.dim;
                    let tile = Queries { rows, at, stride: self.dim };
                    let mut keys = Keys::new(self, &inputs, b, h / self.group(), rows.most());
                    self.tile_forward(cx, worker, &inputs, tile, &mut keys, o.at(at), m.at(head), r.at(head));
                }
            });
            return;
        }
        // A task is a head, whose keys are then packed once; or every so manieth tile of one, if heads are few.
        let tile = self.tile();
        let tiles = self.queries.div_ceil(tile);
        let heads = self.batch * self.heads;
        let parts = (4 * cx.pool.threads()).div_ceil(heads.max(1)).min(tiles);
        let parts = if cx.pool.threads() == 1 { 1 } else { parts };
        cx.pool.run(heads * parts, &|task, worker| {
            // The part with the longest tiles comes first, so that the threads end together.
            let (bh, part) = (task % heads, parts - 1 - task / heads);
            let (b, h) = (bh / self.heads, bh % self.heads);
            let stride = self.heads * self.dim;
            // SAFETY: each task writes its own queries; the rest is the caller's promise.
            unsafe {
                let most = self.rows(inputs.start, b, 0, self.queries).most();
                let mut keys = Keys::new(self, &inputs, b, h / self.group(), most);
                for i in (part * tile..self.queries).step_by(parts * tile) {
                    let rows = self.rows(inputs.start, b, i, tile.min(self.queries - i));
                    let at = (b * self.queries + i) * stride + h * self.dim;
                    let stat = bh * self.queries + i;
                    let tile = Queries { rows, at, stride };
                    self.tile_forward(cx, worker, &inputs, tile, &mut keys, o.at(at), m.at(stat), r.at(stat));
                }
            }
        });
    }

    unsafe fn tile_forward(
        &self,
        cx: &Cx,
        worker: usize,
        x: &Inputs,
        tile: Queries,
        keys: &mut Keys,
        o: *mut f32,
        m: *mut f32,
        r: *mut f32,
    ) {
        let Queries { rows, at, stride } = tile;
        let Self { dim, .. } = *self;
        let kernels = kernels(cx.level);
        let width = kernels.columns();
        let ld = self.score_stride();
        let kv_stride = self.kv_heads * dim;
        // SAFETY: the caller's promise; the parts of the scratch are those counted in `scratch_floats`.
        unsafe {
            let s = cx.scratch(worker);
            let qs = s.add(rows.count * ld);
            let panels = cx.scratch(worker).add(self.tile().min(self.queries).max(rows.count) * (ld + dim));
            fetch_rows(rows.count, dim, x.q.add(at), stride);
            fetch_rows(width.min(rows.most()), dim, keys.k, kv_stride);
            scale_rows(cx.level, rows.count, dim, x.q.add(at), stride, self.scale, qs, dim);
            // One tile a head leaves most of the time to memory, so it fetches between its products what will be needed: the values,
            // a place for the sums, and what the next head begins with.
            let lone = self.queries <= self.tile();
            let ahead_rows = if lone && self.queries > 1 { rows.most().min(QUERIES) } else { 0 };
            let next = |x: *const f32| x.wrapping_add(dim);
            let from = [
                (keys.v, kv_stride),
                (o.cast_const(), stride),
                (next(x.q.add(at)), stride),
                (next(keys.k), kv_stride),
            ];
            let mut ahead = Ahead::new(ahead_rows, dim, from);
            for j in (0..rows.most()).step_by(width) {
                // A lone tile needs no panel twice: they take turns in one place.
                let panel = panels.add(if lone { 0 } else { j * dim });
                if j >= keys.packed {
                    let columns = width.min(keys.most - j);
                    let next = width.min(keys.most - j - columns);
                    fetch_rows(next, dim, keys.k.add((j + columns) * kv_stride), kv_stride);
                    if ahead_rows == 0 {
                        fetch_rows(columns, dim, keys.v.add(j * kv_stride), kv_stride);
                    }
                    pack(cx.level, columns, dim, keys.k.add(j * kv_stride), kv_stride, 1, panel, width);
                    keys.packed = j + columns;
                }
                let columns = width.min(rows.most() - j);
                panel_product(kernels, rows, dim, qs, panel, j, columns, s, ld, &mut ahead);
            }
            softmax_rows(cx.level, rows, s, ld, m, r, 1);
            ragged_product(kernels, rows, s, ld, dim, keys.v, kv_stride, o, stride);
            scale_each_row(cx.level, rows.count, dim, o, stride, r, 1, o, stride);
        }
    }
}

/// The tensors that are read.
struct Inputs {
    q: *const f32,
    k: *const f32,
    v: *const f32,
    start: *const u32,
}

// SAFETY: only read, by tasks that the call outlives.
unsafe impl Sync for Inputs {}

/// A tile of queries: the rows, the first's place in `q` and `o`, the floats between two.
#[derive(Clone, Copy)]
struct Queries {
    rows: Rows,
    at: usize,
    stride: usize,
}

/// The keys and values of one head, of which `most` are seen and the first `packed` are packed for the tiles to come.
struct Keys {
    k: *const f32,
    v: *const f32,
    most: usize,
    packed: usize,
}

impl Keys {
    unsafe fn new(sizes: &Attention, x: &Inputs, b: usize, kv_head: usize, most: usize) -> Self {
        let at = (b * sizes.keys * sizes.kv_heads + kv_head) * sizes.dim;
        // SAFETY: the caller's tensors hold these heads.
        let (k, v) = unsafe { (x.k.add(at), x.v.add(at)) };
        Self { k, v, most, packed: 0 }
    }
}
