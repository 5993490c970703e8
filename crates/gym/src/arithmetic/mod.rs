//! Families of numbers.

mod basic_arithmetic;
mod bitwise_arithmetic;
mod calendar_arithmetic;
mod chain_sum;
mod count_bits;
mod date;
mod decimal_chain_sum;
mod fraction_simplification;
mod gcd;
mod lcm;
mod leg_counting;
mod prime_factorization;
mod products;

pub use basic_arithmetic::{BasicArithmetic, FormatStyle, Operator, Whitespace};
pub use bitwise_arithmetic::BitwiseArithmetic;
pub use calendar_arithmetic::{CalendarArithmetic, CalendarTask};
pub use chain_sum::ChainSum;
pub use count_bits::CountBits;
pub use decimal_chain_sum::DecimalChainSum;
pub use fraction_simplification::{FractionSimplification, FractionStyle};
pub use gcd::Gcd;
pub use lcm::Lcm;
pub use leg_counting::LegCounting;
pub use prime_factorization::PrimeFactorization;
pub use products::Products;
