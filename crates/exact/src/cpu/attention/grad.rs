//! The gradient of attention.
//!
//! ```text
//! g[i,d]  = do[i,d] * r[i]                        delta[i] = dot of g[i] and o[i]
//! dp[i,j] = sum over d of g[i,d] v[j,d]           ds[i,j]  = e[i,j] * (dp[i,j] - delta[i])
//! dv[j,d] = sum over i of e[i,j] g[i,d]           dk[j,d]  = sum over i of ds[i,j] qs[i,d]
//! dq[i,d] = (sum over j < n(i) of ds[i,j] k[j,d]) * scale
//! ```
//! with `qs`, `e` as in the forward direction (the maximum is kept, not found again), and the sums over i taken over the queries
//! that see key j, in blocks of 512.

use super::product::{panel_product, ragged_product, turned_product};
use super::rows::{
    Ahead, Rows, add_rows, dot_rows, fetch_rows, scale_each_row, scale_rows, softmax_grad_rows,
};
use super::{Attention, Inputs};
use crate::Level;
use crate::cpu::Shared;
use crate::cpu::gemm::pack::pack;
use crate::cpu::gemm::tile::{Kernels, Mode, kernels};
use crate::cpu::gemm::{BLOCK, Cx};

/// Rows of keys that are fetched ahead: the hardware finds its own way to more.
const FETCHED: usize = 128;

impl Attention {
    /// The floats of scratch that each worker needs for [`Attention::backward`].
    pub(crate) fn grad_scratch_floats(&self, level: Level) -> usize {
        let queries = self.tile().min(self.queries);
        let panels = self.keys.next_multiple_of(kernels(level).columns()) * self.dim;
        let parts = if self.queries > BLOCK { self.keys * self.dim } else { 0 };
        (2 * (queries * (self.score_stride() + self.dim) + panels + parts) + queries).next_multiple_of(16)
    }

    /// Computes `dq: [batch, queries, heads, dim]` and, for each *query* head, `dk` and `dv`: `[batch, keys, heads, dim]`.
    ///
    /// # Safety
    /// As for [`Attention::forward`], with [`Attention::grad_scratch_floats`].
    pub(crate) unsafe fn backward(
        &self,
        cx: &Cx,
        q: *const f32,
        k: *const f32,
        v: *const f32,
        start: *const u32,
        o: *const f32,
        m: *const f32,
        r: *const f32,
        go: *const f32,
        dq: *mut f32,
        dk: *mut f32,
        dv: *mut f32,
    ) {
        let (inputs, given) = (Inputs { q, k, v, start }, Given { o, m, r, go });
        let (dq, dk, dv) = (Shared(dq), Shared(dk), Shared(dv));
        cx.pool.run(self.batch * self.heads, &|head, worker| {
            let (b, h) = (head / self.heads, head % self.heads);
            let (queries, keys) = (b * self.queries, b * self.keys);
            // SAFETY: each task writes its own head; the rest is the caller's promise.
            unsafe {
                let out = |x: Shared<f32>, row: usize| x.at((row * self.heads + h) * self.dim);
                self.head_backward(
                    cx,
                    worker,
                    &inputs,
                    &given,
                    b,
                    h,
                    [out(dq, queries), out(dk, keys), out(dv, keys)],
                );
            }
        });
    }

    unsafe fn head_backward(
        &self,
        cx: &Cx,
        worker: usize,
        x: &Inputs,
        given: &Given,
        b: usize,
        h: usize,
        [dq, dk, dv]: [*mut f32; 3],
    ) {
        let Self { queries, keys, dim, heads, kv_heads, .. } = *self;
        let level = cx.level;
        let kernels = kernels(level);
        let tile = self.tile();
        let ld = self.score_stride();
        let (stride, kv_stride) = (heads * dim, kv_heads * dim);
        // SAFETY: the caller's promise; the parts of the scratch are those counted in `grad_scratch_floats`.
        unsafe {
            let mut scratch = cx.scratch(worker);
            let mut take = |floats: usize| {
                let part = scratch;
                scratch = scratch.add(floats);
                part
            };
            let panels = keys.next_multiple_of(kernels.columns()) * dim;
            let (k_panels, v_panels) = (take(panels), take(panels));
            let held = tile.min(queries);
            let (s, dp) = (take(held * ld), take(held * ld));
            let (qs, g, delta) = (take(held * dim), take(held * dim), take(held));
            let parts = if queries > BLOCK { [take(keys * dim), take(keys * dim)] } else { [scratch; 2] };

            let kv = (b * keys * kv_heads + h / self.group()) * dim;
            let (k, v) = (x.k.add(kv), x.v.add(kv));
            let first = b * queries * stride + h * dim;
            let stat = (b * heads + h) * queries;
            let seen = self.rows(x.start, b, 0, queries);
            let fetch = |i: usize| {
                for x in [x.q, given.go, given.o] {
                    fetch_rows(held, dim, x.wrapping_add(first + i * stride), stride);
                }
            };
            fetch_rows(seen.most().min(FETCHED), dim, k, kv_stride);
            fetch_rows(seen.most().min(FETCHED), dim, v, kv_stride);
            fetch(0);
            self.pack_panels(level, kernels, seen.most(), k, k_panels);
            self.pack_panels(level, kernels, seen.most(), v, v_panels);

            for i in (0..queries).step_by(tile) {
                let rows = Rows { count: tile.min(queries - i), first: seen.keys(i), step: seen.step };
                let at = first + i * stride;
                scale_rows(level, rows.count, dim, x.q.add(at), stride, self.scale, qs, dim);
                scale_each_row(
                    level,
                    rows.count,
                    dim,
                    given.go.add(at),
                    stride,
                    given.r.add(stat + i),
                    1,
                    g,
                    dim,
                );
                dot_rows(level, rows.count, dim, g, dim, given.o.add(at), stride, delta);
                // What comes next: a tile, or another head.
                let next = if i + tile < queries { tile * stride } else { dim };
                let [q, go, o] = [x.q, given.go, given.o].map(|x| (x.wrapping_add(at + next), stride));
                let [k_next, v_next] = [k, v].map(|x| (x.wrapping_add(dim), kv_stride));
                let mut ahead = Ahead::new(held, dim, [q, go, o, k_next, v_next]);
                for j in (0..rows.most()).step_by(kernels.columns()) {
                    let columns = kernels.columns().min(rows.most() - j);
                    panel_product(
                        kernels,
                        rows,
                        dim,
                        qs,
                        k_panels.add(j * dim),
                        j,
                        columns,
                        s,
                        ld,
                        &mut ahead,
                    );
                    panel_product(
                        kernels,
                        rows,
                        dim,
                        g,
                        v_panels.add(j * dim),
                        j,
                        columns,
                        dp,
                        ld,
                        &mut ahead,
                    );
                }
                softmax_grad_rows(level, rows, s, dp, ld, given.m.add(stat + i), 1, delta);

                let dq = dq.add(i * stride);
                ragged_product(kernels, rows, dp, ld, dim, k, kv_stride, dq, stride);
                scale_rows(level, rows.count, dim, dq, stride, self.scale, dq, stride);
                self.add_keys(level, kernels, seen, i, rows.count, s, g, dv, parts[0]);
                self.add_keys(level, kernels, seen, i, rows.count, dp, qs, dk, parts[1]);
            }
            for j in seen.most()..keys {
                std::slice::from_raw_parts_mut(dk.add(j * stride), dim).fill(0.0);
                std::slice::from_raw_parts_mut(dv.add(j * stride), dim).fill(0.0);
            }
        }
    }

    /// The transposes of the first `n` rows of keys or values, in panels as wide as a tile.
    unsafe fn pack_panels(&self, level: Level, kernels: &Kernels, n: usize, from: *const f32, to: *mut f32) {
        let stride = self.kv_heads * self.dim;
        for j in (0..n).step_by(kernels.columns()) {
            let columns = kernels.columns().min(n - j);
            // SAFETY: the caller's promise.
            unsafe {
                let to = to.add(j * self.dim);
                pack(level, columns, self.dim, from.add(j * stride), stride, 1, to, kernels.columns());
            }
        }
    }

    /// Adds what `count` queries from `i` on contribute to the gradient of the keys they see: `out[j] += w[., j] x`.
    ///
    /// The sum over a block of 512 queries goes on from tile to tile. It is held in `out` itself if it is the first
    /// that the key takes part in, else in `part` until the block ends.
    unsafe fn add_keys(
        &self,
        level: Level,
        kernels: &Kernels,
        seen: Rows,
        i: usize,
        count: usize,
        w: *const f32,
        x: *const f32,
        out: *mut f32,
        part: *mut f32,
    ) {
        let dim = self.dim;
        let stride = self.heads * dim;
        let block = i / BLOCK * BLOCK;
        // Keys seen before query i of the batch; if causal, each query sees one more than the one before.
        let before = |i: usize| if seen.step == 0 { seen.first } else { seen.first - 1 + i };
        let older = if block == 0 { 0 } else { before(block) };
        let ld = self.score_stride();
        let goes_on = |first: bool| if first { Mode::Store } else { Mode::Chain };
        // SAFETY: the caller's promise.
        unsafe {
            let product = |from, to, slanted, out, ldc, mode| {
                turned_product(kernels, from, to, slanted, count, w, ld, dim, x, dim, out, ldc, mode);
            };
            product(0, older, false, part, dim, goes_on(i == block));
            product(older, before(i), false, out, stride, goes_on(i == 0));
            if seen.step == 1 {
                product(before(i), before(i) + count, true, out, stride, Mode::Store);
            }
            if older > 0 && (i + count == self.queries || (i + count).is_multiple_of(BLOCK)) {
                add_rows(level, older, dim, part, dim, out, stride);
            }
        }
    }
}

/// What the forward direction left, and the gradient that came.
struct Given {
    o: *const f32,
    m: *const f32,
    r: *const f32,
    go: *const f32,
}

// SAFETY: only read, by tasks that the call outlives.
unsafe impl Sync for Given {}
