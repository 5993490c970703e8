//! What other programs did meanwhile: wall times taken on a busy machine say little.

use crate::torch::Torch;
use std::time::Instant;

/// Processor seconds since boot: the machine's, and those of this process and its children.
#[derive(Clone, Copy)]
struct Used {
    machine: f64,
    ours: f64,
}

/// Watches the machine from its making on.
pub(crate) struct Watch {
    since: Instant,
    before: Option<Used>,
}

impl Watch {
    pub(crate) fn new(torch: &[Torch]) -> Watch {
        Watch { since: Instant::now(), before: used(torch) }
    }

    /// Warns if other programs took a share of the machine that shows in the figures.
    pub(crate) fn warn(&self, torch: &[Torch]) {
        let (Some(before), Some(after)) = (self.before, used(torch)) else { return };
        let others = (after.machine - before.machine) - (after.ours - before.ours);
        let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let percent = 100.0 * others / (self.since.elapsed().as_secs_f64() * processors);
        if percent > 5.0 {
            eprintln!(
                "Other programs took {percent:.0} % of the machine meanwhile. One thread's figures are processor time and \
                 bear that; for those of two threads, measure again when it is quiet."
            );
        }
    }
}

/// Nothing where the system does not tell (it is Linux that does).
fn used(torch: &[Torch]) -> Option<Used> {
    // user, nice, system, idle, iowait, irq, softirq, steal
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<f64> =
        stat.lines().next()?.split_whitespace().skip(1).take(8).map_while(|w| w.parse().ok()).collect();
    let machine = ticks.iter().sum::<f64>() - ticks.get(3)? - ticks.get(4)?;
    let of = |pid: u32| -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name, which may hold anything: the times of the process and of its own children.
        let times =
            stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(4).map_while(|w| w.parse::<f64>().ok());
        Some(times.sum())
    };
    let ours: f64 = torch.iter().map(Torch::pid).chain([std::process::id()]).filter_map(of).sum();
    // Ticks are a hundredth of a second wherever Linux runs in practice.
    Some(Used { machine: machine / 100.0, ours: ours / 100.0 })
}
