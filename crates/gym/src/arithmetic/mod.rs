//! Families of numbers.

mod chain_sum;
mod products;

pub use chain_sum::ChainSum;
pub use products::Products;
