//! How much a node holds of what others send: one budget for all of it.
//!
//! Everything whose size a peer has a say in is taken out of the budget before it is held, and given back when it is let go:
//! messages that wait for the application, questions and answers, streams, and batches of blobs. Whatever does not fit is
//! refused or waits, so a crowd of peers, each within its own limits, cannot make the node hold more than its owner allowed.

use crate::config::Limits;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the budget is counted in: a permit is a kibibyte.
const UNIT: usize = 1 << 10;
/// The least that a connection needs to be of use.
const LEAST_WINDOW: u64 = 128 << 10;
/// More than this under way on one connection makes nothing faster.
const LARGEST_WINDOW: u64 = 16 << 20;
/// What a stream may hold that shares its connection with others and has no window of QUIC's.
pub(crate) const STREAM: usize = 256 << 10;

/// What a node holds of others' bytes, and how much that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes held now: waiting messages, questions and answers, streams, batches of blobs.
    pub held_bytes: u64,
    /// The most that may be held. The other half of [`Limits::memory_bytes`] is the connections'.
    pub limit_bytes: u64,
}

/// The budget. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    free: Arc<Semaphore>,
    units: usize,
}

/// Some bytes of the budget, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share(#[expect(dead_code, reason = "it is held to be dropped")] OwnedSemaphorePermit);

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

impl Pool {
    /// A budget of so many bytes.
    pub(crate) fn new(bytes: u64) -> Pool {
        let units = usize::try_from(bytes / UNIT as u64).unwrap_or(usize::MAX).min(u32::MAX as usize);
        Pool { free: Arc::new(Semaphore::new(units)), units }
    }

    /// Takes bytes, if they are there.
    pub(crate) fn take(&self, bytes: usize) -> Option<Share> {
        self.free.clone().try_acquire_many_owned(units(bytes)).ok().map(Share)
    }

    /// Waits for bytes. Nobody gets more than the whole budget.
    pub(crate) async fn wait(&self, bytes: usize) -> Option<Share> {
        let most = units(bytes).min(self.units as u32);
        self.free.clone().acquire_many_owned(most).await.ok().map(Share)
    }

    pub(crate) fn memory(&self) -> Memory {
        let (limit, free) = (self.units as u64, self.free.available_permits() as u64);
        Memory { held_bytes: (limit - free) * UNIT as u64, limit_bytes: limit * UNIT as u64 }
    }
}

/// The usual budget.
#[cfg(test)]
impl Default for Pool {
    fn default() -> Pool {
        Limits::default().pool()
    }
}

impl Limits {
    /// Half of the memory is for what is held on purpose.
    pub(crate) fn pool(&self) -> Pool {
        Pool::new(self.memory_bytes / 2)
    }

    /// The other half is for what comes on connections before anyone has read it: so much for each.
    pub(crate) fn window(&self) -> u32 {
        let each = self.memory_bytes / 2 / u64::from(self.connections.max(1));
        each.clamp(LEAST_WINDOW, LARGEST_WINDOW) as u32
    }

    /// As many connections as the memory has windows for, and no more of them inbound than before.
    pub(crate) fn within_memory(mut self) -> Limits {
        let most = u32::try_from(self.memory_bytes / 2 / LEAST_WINDOW).unwrap_or(u32::MAX).max(1);
        if self.connections > most {
            self.inbound = u64::from(self.inbound)
                .saturating_mul(u64::from(most))
                .div_ceil(self.connections.into()) as u32;
            self.connections = most;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_held_is_counted_until_it_is_let_go() {
        let pool = Pool::new(100 << 10);
        let (small, large) = (pool.take(1).unwrap(), pool.take(90 << 10).unwrap());
        assert_eq!(pool.memory(), Memory { held_bytes: 91 << 10, limit_bytes: 100 << 10 });
        assert!(pool.take(10 << 10).is_none(), "nine are left");
        let mut waits = Box::pin(pool.wait(10 << 10));
        assert!(futures::poll!(&mut waits).is_pending());
        drop(small);
        assert!(futures::poll!(&mut waits).is_ready());
        drop((large, waits));
        assert_eq!(pool.memory().held_bytes, 0);
        assert!(pool.wait(1 << 30).await.is_some(), "whoever wants more than there is gets it all");
    }

    #[test]
    fn connections_and_their_windows_fit_into_the_memory() {
        for memory_bytes in [0, 1 << 20, 16 << 20, 256 << 20, 1 << 30, 64 << 30] {
            let limits = Limits { memory_bytes, ..Limits::default() }.within_memory();
            let windows = u64::from(limits.connections) * u64::from(limits.window());
            assert!(limits.connections == 1 || windows <= memory_bytes / 2, "{memory_bytes}");
            assert!(limits.inbound <= limits.connections && limits.connections > 0, "{memory_bytes}");
        }
        let usual = Limits::default();
        assert_eq!(usual.clone().within_memory().connections, usual.connections, "what is usual fits");
    }
}
