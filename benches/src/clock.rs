//! How long work takes.

use crate::Result;
use rustix::time::{ClockId, clock_gettime};

/// Seconds per call, over `reps` calls of work done on `threads` threads.
///
/// One thread's work is measured as the processor time of the process, which other programs on the machine do not blur; that
/// of several is measured as wall time. Peers in other processes do the same.
pub(crate) fn per_call(threads: usize, reps: usize, mut call: impl FnMut() -> Result) -> Result<f64> {
    let clock = if threads == 1 { ClockId::ProcessCPUTime } else { ClockId::Monotonic };
    let start = seconds(clock);
    for _ in 0..reps {
        call()?;
    }
    Ok((seconds(clock) - start) / reps as f64)
}

fn seconds(clock: ClockId) -> f64 {
    let now = clock_gettime(clock);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}
