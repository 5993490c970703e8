//! What happens in a session, and what the assistant wants to happen: all that a game and the assistant say to each other.

use crate::world::{Actor, Block, Cell};

/// Something that was done.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A block was put there; what stood there before is gone.
    Place {
        /// Where.
        at: Cell,
        /// What.
        block: Block,
    },
    /// What stood there was taken away.
    Break {
        /// Where.
        at: Cell,
    },
    /// Somebody stands there now.
    Move {
        /// Where the feet are.
        at: Cell,
    },
    /// The assistant shows a block that it would put there.
    Ghost {
        /// Where.
        at: Cell,
        /// What.
        block: Block,
    },
    /// The player took a ghost as it was; the block it stands for is an event of its own.
    Accept {
        /// Where.
        at: Cell,
    },
    /// The player wants nothing there from the assistant.
    Reject {
        /// Where.
        at: Cell,
    },
    /// Words.
    Say {
        /// At most [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES) of them.
        text: String,
    },
    /// The player wants no help.
    Stop,
    /// The player wants help again.
    Resume,
}

/// An act with its circumstances.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Milliseconds since the session began.
    pub time_ms: u64,
    /// Who.
    pub who: Actor,
    /// What.
    pub act: Act,
    /// How sure the assistant was, for what it does.
    pub sure: Option<f32>,
}

impl Event {
    /// What the player did.
    pub fn player(time_ms: u64, act: Act) -> Event {
        Event { time_ms, who: Actor::Player, act, sure: None }
    }

    /// What the player put or took and where: the acts that count.
    pub(crate) fn block_act(&self) -> Option<(Cell, Block)> {
        match self.act {
            _ if self.who != Actor::Player => None,
            Act::Place { at, block } => Some((at, block)),
            Act::Break { at } => Some((at, Block::AIR)),
            _ => None,
        }
    }
}

/// What the assistant wants, for the game to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    /// Put this block there: the assistant is sure.
    Place {
        /// Where.
        at: Cell,
        /// What.
        block: Block,
        /// How likely the player wants it.
        sure: f32,
    },
    /// Show this block there, for the player to take or leave.
    Ghost {
        /// Where.
        at: Cell,
        /// What.
        block: Block,
        /// How likely the player wants it.
        sure: f32,
    },
    /// Take away what the assistant itself put there.
    Break {
        /// Where.
        at: Cell,
    },
    /// Fly there.
    Move {
        /// Where.
        at: Cell,
    },
    /// Tell the player something.
    Say {
        /// What.
        text: String,
    },
}
