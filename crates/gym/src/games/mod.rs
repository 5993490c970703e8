//! Families of games that one plays alone.

mod countdown;
mod mini_sudoku;
mod tower_of_hanoi;

pub use countdown::Countdown;
pub use mini_sudoku::MiniSudoku;
pub use tower_of_hanoi::TowerOfHanoi;
