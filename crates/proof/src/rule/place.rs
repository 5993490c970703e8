//! Which element of an operand an element of a result comes from.

use exact::Shape;

use crate::record::Record;

/// One element of the value that a record makes.
pub(super) struct Place<'a> {
    pub(super) record: &'a Record,
    pub(super) element: u64,
}

impl Place<'_> {
    fn shape(&self) -> &Shape {
        &self.record.ty.shape
    }

    pub(super) fn operand(&self, i: usize) -> &Shape {
        &self.record.operands[i].1.shape
    }

    /// The length of the result's last axis.
    pub(super) fn last(&self) -> u64 {
        self.shape().last() as u64
    }

    pub(super) fn last_of(&self, operand: usize) -> u64 {
        self.operand(operand).last() as u64
    }

    pub(super) fn dim(&self, operand: usize, axis: usize) -> u64 {
        self.operand(operand).dim(axis) as u64
    }

    /// The elements of one row of a table.
    pub(super) fn row_of(&self, operand: usize) -> u64 {
        self.operand(operand).iter().skip(1).map(|d| d as u64).product()
    }

    pub(super) fn below(id: u32, limit: u64) -> Option<u64> {
        let id = u64::from(id);
        (id < limit).then_some(id)
    }

    fn attribute(&self, i: usize) -> usize {
        self.record.attributes[i] as usize
    }

    /// The element's indices along the axes of the result.
    fn indices(&self) -> Vec<u64> {
        indices(self.element, self.shape())
    }

    /// Its place in an operand that is stretched to the result's shape.
    pub(super) fn stretched(&self, operand: usize) -> u64 {
        let (full, own) = (self.shape(), self.operand(operand));
        let offset = full.rank() - own.rank();
        let at = self.indices();
        let along =
            |axis: usize| if own.dim(axis) == full.dim(axis + offset) { at[axis + offset] } else { 0 };
        (0..own.rank()).fold(0, |i, axis| i * own.dim(axis) as u64 + along(axis))
    }

    pub(super) fn iota(&self) -> u64 {
        self.indices()[self.attribute(0)]
    }

    pub(super) fn permuted(&self) -> u64 {
        let at = self.indices();
        let mut from = vec![0; at.len()];
        for (to, index) in at.iter().enumerate() {
            from[self.attribute(to)] = *index;
        }
        element(&from, self.operand(0))
    }

    pub(super) fn sliced(&self) -> u64 {
        let mut at = self.indices();
        at[self.attribute(0)] += self.attribute(1) as u64;
        element(&at, self.operand(0))
    }

    pub(super) fn padded(&self) -> Option<u64> {
        let axis = self.attribute(0);
        let mut at = self.indices();
        at[axis] = at[axis].checked_sub(self.attribute(1) as u64).filter(|i| *i < self.dim(0, axis))?;
        Some(element(&at, self.operand(0)))
    }

    pub(super) fn concatenated(&self) -> (usize, u64) {
        let axis = self.attribute(0);
        let mut at = self.indices();
        match at[axis].checked_sub(self.dim(0, axis)) {
            None => (0, element(&at, self.operand(0))),
            Some(beyond) => {
                at[axis] = beyond;
                (1, element(&at, self.operand(1)))
            }
        }
    }

    pub(super) fn flipped(&self) -> u64 {
        let axis = self.attribute(0);
        let mut at = self.indices();
        at[axis] = self.dim(0, axis) - 1 - at[axis];
        element(&at, self.operand(0))
    }

    /// The sequence that an element of a cache belongs to.
    pub(super) fn batch(&self) -> u64 {
        self.indices()[0]
    }

    /// Where an element of a cache comes from, if new rows are written from `start` on.
    pub(super) fn written(&self, start: u32) -> Option<(usize, u64)> {
        let start = u64::from(start);
        let (rows, new) = (self.dim(0, 1), self.dim(1, 1));
        if start > rows - new {
            return None;
        }
        let mut at = self.indices();
        match at[1].checked_sub(start).filter(|row| *row < new) {
            None => Some((0, self.element)),
            Some(row) => {
                at[1] = row;
                Some((1, element(&at, self.operand(1))))
            }
        }
    }

    /// The element of `x[N, D, H, W, C]` that a patch's element is; none outside.
    pub(super) fn patch(&self) -> Option<u64> {
        let x = self.operand(0);
        let kernel: [u64; 3] = std::array::from_fn(|a| self.attribute(a) as u64);
        let pad: [u64; 3] = std::array::from_fn(|a| self.attribute(3 + a) as u64);
        let positions: [u64; 3] = std::array::from_fn(|a| self.dim(0, a + 1) + 2 * pad[a] - kernel[a] + 1);
        let (position, tap) = (self.element / self.last(), self.element % self.last());
        let [depth, height, width] = positions;
        let place = [position / (width * height) % depth, position / width % height, position % width];
        let (inner, channels) = (tap / self.last_of(0), self.last_of(0));
        let offset = [inner / (kernel[1] * kernel[2]), inner / kernel[2] % kernel[1], inner % kernel[2]];
        let mut at = [position / (width * height * depth), 0, 0, 0, tap % channels];
        for axis in 0..3 {
            let along = (place[axis] + offset[axis]).checked_sub(pad[axis]);
            at[axis + 1] = along.filter(|i| *i < x.dim(axis + 1) as u64)?;
        }
        Some(element(&at, x))
    }

    /// Of a matrix in few bits: the word, the group's scale and shift, and where in the word.
    pub(super) fn packed(&self) -> (u64, u64, u32) {
        let bits = self.record.attributes[0];
        let per = u64::from(32 / bits);
        let columns = self.last();
        let words_per_group = self.dim(0, 0) / self.dim(1, 0);
        let (row, column) = (self.element / columns / per, self.element % columns);
        let shift = (self.element / columns % per) as u32 * bits;
        (row * columns + column, row / words_per_group * columns + column, shift)
    }
}

/// The indices along each axis of one element.
fn indices(mut i: u64, shape: &Shape) -> Vec<u64> {
    let mut at = vec![0; shape.rank()];
    for axis in (0..shape.rank()).rev() {
        let dim = shape.dim(axis) as u64;
        at[axis] = i % dim;
        i /= dim;
    }
    at
}

fn element(at: &[u64], shape: &Shape) -> u64 {
    at.iter().enumerate().fold(0, |i, (axis, a)| i * shape.dim(axis) as u64 + a)
}
