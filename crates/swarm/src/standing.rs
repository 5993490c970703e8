//! What a node thinks of its peers.

use serde::{Deserialize, Serialize};

use crate::rules::Rule;

/// A peer's standing with a node: it falls by what the peer does wrong, and recovers slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    points: u16,
    /// The round in which it was last audited.
    pub audited: Option<u64>,
    /// Audits that found nothing wrong.
    pub held: u32,
    /// Lies that it was convicted of.
    pub lies: u32,
}

impl Standing {
    /// As high as it can be.
    pub const FULL: u16 = 64;
    /// A stranger's: not better than that of a peer who has done nothing wrong for long.
    pub const STRANGER: u16 = 48;
    /// Below this a peer is not heard.
    pub const HEARD: u16 = 24;

    /// The standing of someone new.
    pub fn stranger() -> Standing {
        Standing { points: Standing::STRANGER, audited: None, held: 0, lies: 0 }
    }

    /// Its points.
    pub fn points(&self) -> u16 {
        self.points
    }

    /// Whether what it says is listened to.
    pub fn is_heard(&self) -> bool {
        self.points >= Standing::HEARD
    }

    /// Takes off what breaking a rule costs.
    pub fn broke(&mut self, rule: Rule) {
        self.points = self.points.saturating_sub(rule.price());
        self.lies += u32::from(rule == Rule::Audit);
    }

    /// A round has passed. From nothing to being heard it takes [`Standing::HEARD`] of them.
    pub fn recover(&mut self) {
        self.points = (self.points + 1).min(Standing::FULL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_at_once_and_recovers_slowly() {
        let mut standing = Standing::stranger();
        standing.broke(Rule::Audit);
        assert_eq!((standing.points(), standing.is_heard(), standing.lies), (0, false, 1));
        for _ in 1..Standing::HEARD {
            standing.recover();
        }
        assert!(!standing.is_heard());
        standing.recover();
        assert!(standing.is_heard());
        (0..1000).for_each(|_| standing.recover());
        assert_eq!(standing.points(), Standing::FULL);
    }

    #[test]
    fn two_wrong_messages_are_enough() {
        let mut standing = Standing::stranger();
        let messages = (1..99).find(|_| {
            standing.broke(Rule::Seed);
            !standing.is_heard()
        });
        assert_eq!(messages, Some(2));
        let mut standing = Standing::stranger();
        (0..1000).for_each(|_| standing.broke(Rule::Late));
        assert!(standing.is_heard(), "who is slow does nothing wrong");
    }
}
