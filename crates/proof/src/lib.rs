//! Claims that can be checked: commitments over a run, the game that finds the one block of arithmetic where a claim is wrong, and what the
//! referee computes of it. Without input or output.
//!
//! ```
//! use exact::{Builder, DType, Device, Limits, Shape, Type};
//! use proof::game::{Book, Dispute, Party, Player};
//! use proof::{Given, Honest, Tensor, Work};
//!
//! // Some work: two steps of a program that moves a state by its input.
//! let mut b = Builder::new();
//! let (x, w) = (b.input::<f32>("x", &[3])?, b.state::<f32>("w", &[3])?);
//! let moved = b.fma(x, x, w)?;
//! b.assign(w, moved)?;
//! let ty = Type { dtype: DType::F32, shape: Shape::new(&[3])? };
//! let tensor = |of: [f32; 3]| Tensor { ty, words: of.map(f32::to_bits).to_vec() };
//! let steps = vec![Given { program: 0, inputs: vec![tensor([1.0, 2.0, 3.0])] }; 2];
//! let start = |of| vec![("w".to_owned(), tensor(of))];
//! let work = Work::new([1; 32], &[b.finish()?], start([0.5, 0.0, -1.0]), steps.clone())?;
//!
//! // Somebody claims its result, having begun elsewhere than was agreed.
//! let honest = || Honest::new(Device::cpu(1), Limits::default());
//! let other = Work::new([1; 32], &[work.graphs()[0].program().clone()], start([0.5, 0.0, -2.0]), steps)?;
//! let mut liar = Player::new(Book::new(other, honest()));
//! let mut claim = liar.account().claim()?;
//! claim.terms = work.terms();
//!
//! // Anyone who does the work sees that, and a dispute shows it to everyone.
//! let mut challenger = Player::new(Book::new(work, honest()));
//! assert!(challenger.disagrees(&claim)?);
//! let mut dispute = Dispute::new(claim, 3600, 0);
//! while let Some(turn) = dispute.turn() {
//!     let player = if turn == Party::Defender { &mut liar } else { &mut challenger };
//!     let played = player.next(turn, &dispute)?.map(|step| dispute.play(turn, &step, 1));
//!     if !matches!(played, Some(Ok(()))) {
//!         dispute.expire(9999)?; // The liar has nothing to show that leads to the terms.
//!     }
//! }
//! assert_eq!(dispute.winner(), Some(Party::Challenger));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! - [`Work`] is what was agreed on, [`Claim`] what is said to have come of it, [`ClaimFile`] both as bytes.
//! - [`rule`] says of every operation how one element follows from elements of its operands. `Referee.sol` is the same.
//! - [`game`] is the dispute as a machine, and who plays it. `Game.sol` is the same.
//! - `docs/proof.md` has the hashes, and what rests on what.

mod audit;
mod error;
mod file;
pub mod game;
mod graph;
mod hash;
mod record;
pub mod rule;
mod run;
mod tensor;
pub mod tree;

pub use audit::{Verdict, make};
pub use error::Error;
pub use file::ClaimFile;
pub use graph::{Graph, Header};
pub use hash::Digest;
pub use record::{Opcode, Record};
pub use run::{
    Block, Claim, Given, Honest, Runner, Stop, Terms, Watch, Work, chain, element, evaluate, evaluate_all,
    reads, scheduled, state_after,
};
pub use tensor::{LEAF, Opening, Tensor, commitment, words_leaf};
