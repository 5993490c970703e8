//! What readers see: the newest blocks with their states, and what has happened in which order.

use std::collections::VecDeque;
use std::sync::Arc;

use alloy::primitives::B256;

use super::block::Block;
use super::world::{Ground, World};

/// How many states before the newest are kept.
pub(crate) const HISTORY: usize = 256;
/// How many hashes a contract can ask for, counted from the oldest state.
const HASHES: usize = HISTORY + 256;
/// How many events are kept for those who ask what is new.
const EVENTS: usize = 1 << 16;

/// A block and the state after it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) block: Arc<Block>,
    pub(crate) world: World,
}

/// The newest blocks. A view never changes: the sequencer makes a new one.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The oldest first; never empty.
    heads: Vec<Arc<Head>>,
    tip: Arc<Head>,
    hashes: Arc<[B256]>,
}

impl View {
    /// The view on consecutive blocks, the last of which is `tip`; `hashes` are those of as many blocks up to the tip as are known.
    pub(crate) fn new(mut before: Vec<Arc<Head>>, tip: Arc<Head>, hashes: &[B256]) -> View {
        before.push(tip.clone());
        View { heads: before, tip, hashes: hashes.into() }
    }

    /// The newest block.
    pub(crate) fn tip(&self) -> &Arc<Head> {
        &self.tip
    }

    /// How many states there are before the newest.
    pub(crate) fn depth(&self) -> usize {
        self.heads.len() - 1
    }

    /// The block of this number, if its state is kept.
    pub(crate) fn head(&self, number: u64) -> Option<&Arc<Head>> {
        let back = usize::try_from(self.tip.block.number().checked_sub(number)?).ok()?;
        self.heads.get(self.heads.len().checked_sub(1 + back)?)
    }

    /// The state after a block, for the machine.
    pub(crate) fn ground(&self, head: &Head) -> Ground {
        let first = self.tip.block.number() + 1 - self.hashes.len() as u64;
        Ground { world: head.world.clone(), hashes: self.hashes.clone(), first }
    }

    /// The view after one more block.
    pub(crate) fn with(&self, tip: Head) -> View {
        let skip = |len: usize, limit: usize| (len + 1).saturating_sub(limit);
        let before = self.heads[skip(self.heads.len(), HISTORY + 1)..].to_vec();
        let mut hashes = self.hashes[skip(self.hashes.len(), HASHES)..].to_vec();
        hashes.push(tip.block.hash);
        View::new(before, Arc::new(tip), &hashes)
    }

    /// The view before the last blocks, and these, the newest first; nothing if their states are not kept.
    pub(crate) fn without(&self, blocks: usize) -> Option<(View, Vec<Arc<Head>>)> {
        let left = self.heads.len().checked_sub(blocks).filter(|left| *left > 0)?;
        let (before, dropped) = self.heads.split_at(left);
        let (tip, before) = before.split_last()?;
        let hashes = &self.hashes[..self.hashes.len() - blocks];
        let view = View::new(before.to_vec(), tip.clone(), hashes);
        Some((view, dropped.iter().rev().cloned().collect()))
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A block was added. It is found by its number, since all of them would be too much to keep here.
    Added { number: u64, hash: B256 },
    /// A block is no more.
    Removed(Arc<Block>),
    /// A transaction waits.
    Pending(B256),
}

/// The newest events.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    events: VecDeque<Event>,
    /// How many came before the oldest here.
    gone: u64,
}

impl Journal {
    /// Notes an event.
    pub(crate) fn push(&mut self, event: Event) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
            self.gone += 1;
        }
        self.events.push_back(event);
    }

    /// How many events there have been.
    pub(crate) fn end(&self) -> u64 {
        self.gone + self.events.len() as u64
    }

    /// All events after the first `seen`; nothing if some of them are gone.
    pub(crate) fn since(&self, seen: u64) -> Option<Vec<Event>> {
        let skip = usize::try_from(seen.checked_sub(self.gone)?).ok()?;
        Some(self.events.iter().skip(skip).cloned().collect())
    }
}
