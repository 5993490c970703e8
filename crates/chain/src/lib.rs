//! Identity, coordination and money on any Ethereum chain, one of them built in.

pub mod embedded;
