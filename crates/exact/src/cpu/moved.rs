//! Operations that move elements, on all threads.

use super::{Pool, Shared};
use crate::device::View;
use crate::program::op::Op;
use crate::shape::MAX_RANK;
use crate::spec::math::canon;

/// About how many elements one task moves.
const PIECE: usize = 32 << 10;

/// Runs one operation of this family.
///
/// # Safety
/// As for [`super::run`].
pub(super) unsafe fn run(pool: &Pool, op: &Op, x: &[View], y: View) {
    // SAFETY: every walk below stays within the shapes that `infer` checked.
    unsafe {
        match op {
            Op::Copy => Walk::over(y, x[0]).go(pool),
            Op::Permute { order } => {
                let strides = x[0].ty.shape.strides();
                let mut walk = Walk::over(y, x[0]);
                for (to, axis) in order.iter().enumerate() {
                    walk.from_strides[to] = strides[usize::from(*axis)] as isize;
                }
                walk.go(pool);
            }
            Op::Broadcast { shape } => {
                let mut walk = Walk::over(y, x[0]);
                walk.from_strides = x[0].ty.shape.strides_over(shape).map(|s| s as isize);
                walk.go(pool);
            }
            Op::Slice { axis, start, .. } => {
                let mut walk = Walk::over(y, x[0]);
                walk.from_strides = x[0].ty.shape.strides().map(|s| s as isize);
                walk.from_start = *start as usize * x[0].ty.shape.strides()[usize::from(*axis)];
                walk.go(pool);
            }
            Op::Flip { axis } => {
                let axis = usize::from(*axis);
                let mut walk = Walk::over(y, x[0]);
                walk.from_start = x[0].dim(axis).saturating_sub(1) * walk.from_strides[axis] as usize;
                walk.from_strides[axis] *= -1;
                walk.go(pool);
            }
            Op::Pad { axis, before, .. } => {
                y.words_mut().fill(0);
                Walk::into(y, usize::from(*axis), *before as usize, x[0]).go(pool);
            }
            Op::Concat { axis } => {
                let mut start = 0;
                for part in x {
                    Walk::into(y, usize::from(*axis), start, *part).go(pool);
                    start += part.dim(usize::from(*axis));
                }
            }
            Op::Gather => gather(pool, x[0], x[1], y),
            Op::ScatterAdd { .. } => scatter_add(pool, x[0], x[1], y),
            Op::Pick => {
                let n = x[0].ty.shape.last();
                for (row, (id, out)) in x[1].words().iter().zip(y.words_mut()).enumerate() {
                    *out = *x[0].ptr.add(row * n + *id as usize);
                }
            }
            Op::Place { n } => {
                y.words_mut().fill(0);
                for (row, (id, word)) in x[0].words().iter().zip(x[1].words()).enumerate() {
                    *y.ptr.add(row * *n as usize + *id as usize) = *word;
                }
            }
            Op::WriteRows => {
                if x[0].ptr != y.ptr {
                    Walk::over(y, x[0]).go(pool);
                }
                let row: usize = y.ty.shape.iter().skip(2).product();
                let (rows, written) = (y.dim(1), x[1].dim(1));
                for (b, start) in x[2].words().iter().enumerate() {
                    let from = x[1].ptr.add(b * written * row);
                    from.copy_to_nonoverlapping(y.ptr.add((b * rows + *start as usize) * row), written * row);
                }
            }
            _ => debug_assert!(false, "{} does not move elements", op.name()),
        }
    }
}

/// A walk over a box of elements that copies each from one place to another.
struct Walk {
    dims: [usize; MAX_RANK],
    rank: usize,
    from: Shared<u32>,
    from_start: usize,
    from_strides: [isize; MAX_RANK],
    to: Shared<u32>,
    to_start: usize,
    to_strides: [usize; MAX_RANK],
}

impl Walk {
    /// Over all of `to`, reading `from` in its own order until told otherwise.
    fn over(to: View, from: View) -> Walk {
        Walk {
            from_strides: from.ty.shape.strides().map(|s| s as isize),
            ..Walk::into(to, 0, 0, View { ty: to.ty, ..from })
        }
    }

    /// Over all of `from`, into the part of `to` that begins at `start` along `axis`.
    fn into(to: View, axis: usize, start: usize, from: View) -> Walk {
        let shape = from.ty.shape;
        let mut dims = [1; MAX_RANK];
        dims.iter_mut().zip(shape.iter()).for_each(|(slot, d)| *slot = d);
        let to_strides = to.ty.shape.strides();
        Walk {
            dims,
            rank: shape.rank(),
            from: Shared(from.ptr),
            from_start: 0,
            from_strides: shape.strides().map(|s| s as isize),
            to: Shared(to.ptr),
            to_start: start * to_strides[axis],
            to_strides,
        }
    }

    unsafe fn go(&self, pool: &Pool) {
        // Trailing axes that lie one after another on both sides are one run.
        let (mut run, mut axes) = (1, self.rank);
        while axes > 0 {
            let axis = axes - 1;
            let together = self.to_strides[axis] == run && self.from_strides[axis] == run as isize;
            if self.dims[axis] != 1 && !together {
                break;
            }
            run *= self.dims[axis];
            axes -= 1;
        }
        // What is left of the innermost broken axis is a strided loop.
        let (count, to_step, from_step) = match axes {
            0 => (1, 0, 0),
            _ => (self.dims[axes - 1], self.to_strides[axes - 1], self.from_strides[axes - 1]),
        };
        let outer_axes = axes.saturating_sub(1);
        let outer: usize = self.dims[..outer_axes].iter().product();
        if run * count * outer == 0 {
            return;
        }
        let each = (PIECE / (run * count)).max(1);
        pool.run(outer.div_ceil(each), &|task, _| {
            for row in task * each..outer.min((task + 1) * each) {
                let (mut to, mut from) = (self.to_start, self.from_start as isize);
                let mut rest = row;
                for axis in (0..outer_axes).rev() {
                    let index = rest % self.dims[axis];
                    rest /= self.dims[axis];
                    to += index * self.to_strides[axis];
                    from += index as isize * self.from_strides[axis];
                }
                for i in 0..count {
                    // SAFETY: the walk stays within both tensors.
                    unsafe {
                        let source = self.from.at(0).offset(from + i as isize * from_step);
                        let target = self.to.at(to + i * to_step);
                        if run == 1 {
                            *target = *source;
                        } else {
                            source.copy_to_nonoverlapping(target, run);
                        }
                    }
                }
            }
        });
    }
}

unsafe fn gather(pool: &Pool, table: View, ids: View, y: View) {
    let n: usize = table.ty.shape.iter().skip(1).product();
    // SAFETY: ids were checked against the table.
    let ids = unsafe { ids.words() };
    let (from, to) = (Shared(table.ptr), Shared(y.ptr));
    let each = (PIECE / n.max(1)).max(1);
    pool.run(ids.len().div_ceil(each), &|task, _| {
        let end = ids.len().min((task + 1) * each);
        for (i, id) in ids[..end].iter().enumerate().skip(task * each) {
            // SAFETY: as above; each task writes its own rows.
            unsafe { from.at(*id as usize * n).copy_to_nonoverlapping(to.at(i * n), n) };
        }
    });
}

/// Each task takes some columns of every row, so that what goes to a row is added in the order of the ids.
unsafe fn scatter_add(pool: &Pool, ids: View, source: View, y: View) {
    let n: usize = y.ty.shape.iter().skip(1).product();
    let rows = y.dim(0);
    // SAFETY: ids were checked against the rows.
    let ids = unsafe { ids.words() };
    let (from, to) = (Shared(source.f32()), Shared(y.f32()));
    let columns = n.div_ceil(pool.threads()).next_multiple_of(16);
    pool.run(n.div_ceil(columns.max(1)), &|task, _| {
        let (first, last) = (task * columns, n.min((task + 1) * columns));
        for row in 0..rows {
            // SAFETY: each task has its own columns.
            unsafe { std::slice::from_raw_parts_mut(to.at(row * n + first), last - first) }.fill(0.0);
        }
        for (i, id) in ids.iter().enumerate() {
            // SAFETY: as above.
            let (sums, given) = unsafe {
                (
                    std::slice::from_raw_parts_mut(to.at(*id as usize * n + first), last - first),
                    std::slice::from_raw_parts(from.at(i * n + first), last - first),
                )
            };
            for (sum, g) in sums.iter_mut().zip(given) {
                *sum = canon(*sum + g);
            }
        }
    });
}
