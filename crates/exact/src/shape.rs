//! Shapes and element types.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::Error;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("sizes are counted in `usize` and may be beyond 32 bits: `exact` needs a 64-bit target");

/// The most axes a tensor may have.
pub const MAX_RANK: usize = 6;
/// The most elements a tensor may have (2^40, four tebibytes of `f32`).
pub const MAX_ELEMENTS: u64 = 1 << 40;

/// What a tensor's elements are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum DType {
    /// IEEE-754 binary32.
    F32,
    /// Unsigned 32-bit integer: ids, counts, masks (0 or 1).
    U32,
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::U32 => "u32",
        })
    }
}

/// A tensor's axes, outermost first; elements lie in row-major order.
///
/// Every `Shape` that exists is within [`MAX_RANK`] and [`MAX_ELEMENTS`], so products of its axes never overflow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    rank: u8,
    dims: [u32; MAX_RANK],
}

impl Shape {
    /// The shape of a single number.
    pub const SCALAR: Shape = Shape { rank: 0, dims: [0; MAX_RANK] };

    /// A shape from its axes, or an error that names the limit it breaks.
    pub fn new(dims: &[usize]) -> Result<Shape, Error> {
        if dims.len() > MAX_RANK {
            return Err(Error::Rank { rank: dims.len() });
        }
        let mut shape = Shape { rank: dims.len() as u8, dims: [0; MAX_RANK] };
        // Empty tensors count their other axes as well, so that no view of one can overflow either.
        let mut product: u64 = 1;
        for (slot, &dim) in shape.dims.iter_mut().zip(dims) {
            let narrow = u32::try_from(dim).map_err(|_| Error::too_large(dims))?;
            product = product.checked_mul(u64::from(narrow.max(1))).ok_or_else(|| Error::too_large(dims))?;
            *slot = narrow;
        }
        if product > MAX_ELEMENTS {
            return Err(Error::too_large(dims));
        }
        Ok(shape)
    }

    /// How many axes there are.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// How many elements there are.
    pub fn elements(&self) -> usize {
        self.iter().product()
    }

    /// The length of one axis.
    ///
    /// # Panics
    /// If there is no such axis, as a slice index would.
    pub fn dim(&self, axis: usize) -> usize {
        assert!(axis < self.rank(), "axis {axis} of a tensor with {} axes", self.rank);
        self.dims[axis] as usize
    }

    /// The axes, outermost first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + '_ {
        self.dims[..self.rank()].iter().map(|&d| d as usize)
    }

    /// The axes as a vector.
    pub fn to_vec(&self) -> Vec<usize> {
        self.iter().collect()
    }

    /// The length of the last axis, or 1 for a scalar.
    pub fn last(&self) -> usize {
        if self.rank == 0 { 1 } else { self.dims[self.rank() - 1] as usize }
    }

    /// The product of all axes but the last, or 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.iter().take(self.rank().saturating_sub(1)).product()
    }

    /// The shape seen as `[outer, n, inner]` around one axis.
    pub fn around(&self, axis: usize) -> (usize, usize, usize) {
        (self.iter().take(axis).product(), self.dim(axis), self.iter().skip(axis + 1).product())
    }

    /// The shape without one of its axes.
    pub fn without(&self, axis: usize) -> Shape {
        let mut shape = Shape { rank: self.rank - 1, dims: [0; MAX_RANK] };
        let kept = self.dims[..self.rank()].iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, d)| *d);
        for (slot, d) in shape.dims.iter_mut().zip(kept) {
            *slot = d;
        }
        shape
    }

    /// The shape with one axis set to another length.
    pub fn with(&self, axis: usize, length: usize) -> Result<Shape, Error> {
        let mut dims = self.to_vec();
        dims[axis] = length;
        Shape::new(&dims)
    }

    /// Row-major strides, in elements, of each axis.
    pub fn strides(&self) -> [usize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for axis in (0..self.rank()).rev() {
            strides[axis] = step;
            step *= self.dims[axis] as usize;
        }
        strides
    }

    /// The shape two operands take together: axes align from the right, and an axis of length 1 stretches.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let mut dims = [1usize; MAX_RANK];
        for from_right in 0..rank {
            let axis = |s: &Shape| if from_right < s.rank() { s.dim(s.rank() - 1 - from_right) } else { 1 };
            let (a, b) = (axis(self), axis(other));
            dims[rank - 1 - from_right] = match (a, b) {
                _ if a == b => a,
                (1, _) => b,
                (_, 1) => a,
                _ => return None,
            };
        }
        Shape::new(&dims[..rank]).ok()
    }

    /// Strides with which an operand of this shape is read over `full`, a shape it broadcasts to: 0 where it stretches.
    pub(crate) fn strides_over(&self, full: &Shape) -> [usize; MAX_RANK] {
        let own = self.strides();
        let mut strides = [0; MAX_RANK];
        let offset = full.rank() - self.rank();
        for axis in 0..self.rank() {
            if self.dim(axis) == full.dim(axis + offset) {
                strides[axis + offset] = own[axis];
            }
        }
        strides
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Shape {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.dims[..self.rank()].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
        let dims: Vec<u32> = Vec::deserialize(deserializer)?;
        let dims: Vec<usize> = dims.into_iter().map(|d| d as usize).collect();
        Shape::new(&dims).map_err(serde::de::Error::custom)
    }
}

/// A tensor's element type and shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Type {
    /// What the elements are.
    pub dtype: DType,
    /// How many there are along each axis.
    pub shape: Shape,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[usize]) -> Shape {
        Shape::new(dims).unwrap()
    }

    #[test]
    fn sizes_are_bounded_before_anything_is_allocated() {
        assert!(matches!(Shape::new(&[1; 7]), Err(Error::Rank { rank: 7 })));
        assert!(matches!(Shape::new(&[1 << 20, 1 << 21]), Err(Error::TooLarge { .. })));
        assert!(matches!(Shape::new(&[usize::MAX]), Err(Error::TooLarge { .. })));
        assert!(matches!(Shape::new(&[0, 1 << 31, 1 << 31]), Err(Error::TooLarge { .. })));
        assert_eq!(shape(&[1 << 20, 1 << 20]).elements(), 1 << 40);
    }

    #[test]
    fn broadcasting_follows_the_usual_rule() {
        let check = |a: &[usize], b: &[usize], want: Option<&[usize]>| {
            assert_eq!(shape(a).broadcast(&shape(b)).map(|s| s.to_vec()), want.map(<[usize]>::to_vec));
        };
        check(&[4, 3], &[3], Some(&[4, 3]));
        check(&[4, 1], &[3], Some(&[4, 3]));
        check(&[], &[2, 2], Some(&[2, 2]));
        check(&[0, 3], &[1, 3], Some(&[0, 3]));
        check(&[4], &[3], None);
    }
}
