//! The matrix product.
