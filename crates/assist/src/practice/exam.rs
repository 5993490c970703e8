//! Examinations: sessions of players whose habits and goals no lesson shows.

use super::player::{Part, Player};
use crate::recording::Recording;

/// A player's sessions for an examination.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Sessions that come first and are remembered, and the one that is scored each time: all of the player's own style.
    pub sessions: Vec<Recording>,
}

/// Players who come back to their motifs, with this many sessions each.
pub fn repeaters(part: Part, seed: u64, players: usize, sessions: usize) -> Vec<Candidate> {
    let play = |i: usize| {
        let mut player = Player::new(part, seed, i as u64);
        Candidate { sessions: (0..sessions).map(|_| player.repeat()).collect() }
    };
    (0..players).map(play).collect()
}

/// Goals that are built once.
pub fn one_offs(part: Part, seed: u64, players: usize) -> Vec<Recording> {
    (0..players).map(|i| Player::new(part, seed ^ 0x0ff, i as u64).one_off()).collect()
}
