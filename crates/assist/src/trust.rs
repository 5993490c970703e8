//! How far the assistant may believe itself with this player: what it expected but left alone is compared with what came.
//!
//! A network that was taught by simulated players is surer of people than it should be, or not sure enough of somebody who always builds the same. Every
//! thought that is nearly sure and is not acted upon is a bet that costs nothing; the bets of the last while say whether "90 %" has meant 90 %.

use std::collections::HashSet;

use crate::helper::Thought;
use crate::world::{Actor, Block, Cell, World};

/// Thoughts that are as sure as this are bets.
const BET: f32 = 0.75;
/// How many of a moment's thoughts are bets: those nearest to being acted upon.
const BETS_AT_ONCE: usize = 3;
/// How many of the player's actions a bet may take to come true.
const PATIENCE: u32 = 40;
/// What is believed before there are any: as much as so many bets that came out as they should.
const PRIOR: f32 = 10.0;
/// How much of the old remains when a bet is decided.
const FADE: f32 = 0.98;

#[derive(Clone, Copy, Debug)]
struct Bet {
    at: Cell,
    block: Block,
    sure: f32,
    since: u32,
}

/// The bets of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    open: Vec<Bet>,
    known: HashSet<(Cell, Block)>,
    /// How sure it was, how often it was right, and of how many bets; all fading.
    claimed: f32,
    right: f32,
    decided: f32,
}

impl Trust {
    /// Looks which bets are decided.
    pub(crate) fn look(&mut self, world: &World) {
        let open = std::mem::take(&mut self.open);
        for bet in open {
            let came = match world.standing(bet.at) {
                Some(here) if here.block != bet.block => Some(false),
                Some(here) if here.by == Actor::Player => Some(true),
                // We did it ourselves: that says nothing.
                Some(_) => continue,
                None if world.acts() - bet.since > PATIENCE => Some(false),
                None => None,
            };
            match came {
                None => self.open.push(bet),
                Some(came) => {
                    self.claimed = self.claimed * FADE + bet.sure;
                    self.right = self.right * FADE + f32::from(u8::from(came));
                    self.decided = self.decided * FADE + 1.0;
                }
            }
        }
    }

    /// Bets on what is thought and not acted upon.
    pub(crate) fn bet(&mut self, world: &World, thoughts: &[Thought]) {
        for thought in thoughts.iter().take_while(|t| t.sure >= BET).take(BETS_AT_ONCE) {
            // Once only: who says the same again says nothing new.
            if self.known.insert((thought.at, thought.block)) {
                let Thought { at, block, sure } = *thought;
                self.open.push(Bet { at, block, sure, since: world.acts() });
            }
        }
    }

    /// How much surer it was than it was right; below 0 if it was right more often than it thought.
    pub(crate) fn conceit(&self) -> f32 {
        (self.claimed - self.right) / (self.decided + PRIOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Act, Event};

    fn put(world: &mut World, x: i32, block: u8) {
        world.apply(&Event::player(0, Act::Place { at: Cell::new(x, 0, 0), block: Block(block) }));
    }

    fn thought(x: i32) -> Thought {
        Thought { at: Cell::new(x, 0, 0), block: Block(1), sure: 0.9 }
    }

    #[test]
    fn bets_that_come_true_give_trust_and_others_take_it() {
        let mut world = World::new(None, Some(0));
        let mut good = Trust::default();
        let mut bad = Trust::default();
        for x in 0..30 {
            put(&mut world, x, 1);
            good.look(&world);
            bad.look(&world);
            good.bet(&world, &[thought(x + 1)]);
            bad.bet(&world, &[Thought { at: Cell::new(x + 1, 0, 0), block: Block(2), sure: 0.9 }]);
        }
        assert!(good.conceit() < -0.05, "{}", good.conceit());
        assert!(bad.conceit() > 0.4, "{}", bad.conceit());
    }

    #[test]
    fn a_bet_that_nobody_takes_is_lost_after_a_while() {
        let mut world = World::new(None, Some(0));
        let mut trust = Trust::default();
        put(&mut world, 0, 1);
        trust.bet(&world, &[thought(1000)]);
        for x in 0..=PATIENCE as i32 {
            trust.look(&world);
            assert_eq!(trust.conceit(), 0.0);
            put(&mut world, x, 1);
        }
        trust.look(&world);
        assert!(trust.conceit() > 0.05);
        assert!(trust.open.is_empty());
    }
}
