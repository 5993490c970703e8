//! What time it is for the chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the timestamps of blocks come from.
///
/// Clones show the same time, so that whoever gave a clock to a chain can move it.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Whether the system's time goes in.
    runs: bool,
    ahead: Arc<AtomicU64>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock { runs: true, ahead: Arc::default() }
    }

    /// A clock that stands at these seconds since 1970 until someone moves it.
    pub fn stopped(seconds: u64) -> Clock {
        Clock { runs: false, ahead: Arc::new(AtomicU64::new(seconds)) }
    }

    /// Moves it forward.
    pub fn advance(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Relaxed);
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.ahead.load(Relaxed) + if self.runs { now } else { 0 }
    }
}
