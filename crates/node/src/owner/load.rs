//! How busy a machine is with other programs' work, where the system says so (Linux).

use std::fs;

/// Looks that the mean goes over, about.
const MEMORY: f32 = 10.0;

/// The share of a machine's processors that other programs use, as a mean over the last looks.
#[derive(Debug, Default)]
pub(super) struct Load {
    last: Option<Times>,
    mean: Option<f32>,
}

/// What the system has counted since it started, in ticks of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    /// Of all processors.
    all: u64,
    /// Of these, while they did something.
    busy: u64,
    /// Of these, for this process.
    own: u64,
}

impl Load {
    pub(super) fn begin() -> Load {
        Load { last: Times::now(), mean: None }
    }

    pub(super) fn look(&mut self) {
        self.take(Times::now());
    }

    /// The share, if it is known.
    pub(super) fn busy(&self) -> Option<f32> {
        self.mean
    }

    fn take(&mut self, now: Option<Times>) {
        if let (Some(last), Some(now)) = (self.last, now) {
            let all = now.all.saturating_sub(last.all);
            if all == 0 {
                return;
            }
            let others = now.busy.saturating_sub(last.busy).saturating_sub(now.own.saturating_sub(last.own));
            let share = (others as f32 / all as f32).min(1.0);
            self.mean = Some(self.mean.map_or(share, |mean| mean + (share - mean) / MEMORY));
        }
        if now.is_none() {
            self.mean = None;
        }
        self.last = now;
    }
}

impl Times {
    fn now() -> Option<Times> {
        let (all, busy) = of_machine(&fs::read_to_string("/proc/stat").ok()?)?;
        Some(Times { all, busy, own: of_process(&fs::read_to_string("/proc/self/stat").ok()?)? })
    }
}

/// All ticks and the busy ones, of the first line of `/proc/stat`: user, nice, system, idle, waiting for a disk, and more that is work.
fn of_machine(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // Guests come after the eighth, and are in the first two already.
    let ticks: Vec<u64> = line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let all: u64 = ticks.iter().sum();
    Some((all, all - ticks.get(3)? - ticks.get(4)?))
}

/// A process's ticks, of `/proc/self/stat`: its name, which may have anything in it, is in brackets; user and system are the 14th and the 15th.
fn of_process(stat: &str) -> Option<u64> {
    let after = stat.rsplit_once(')')?.1;
    let mut rest = after.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (rest.next()?.parse().ok()?, rest.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_understood() {
        let stat = "cpu  100 5 20 800 50 1 2 3 40 4\ncpu0 50 2 10 400 25 0 1 1 20 2\n";
        assert_eq!(of_machine(stat), Some((981, 131)));
        let own = "7 (a (strange) name 1 2) S 1 1 1 0 -1 4194560 900 0 0 0 31 11 0 0 20 0 9 0 4000 1 1";
        assert_eq!(of_process(own), Some(42));
        assert_eq!((of_machine(""), of_machine("cpu  x"), of_process("7 name")), (None, None, None));
    }

    #[test]
    fn own_work_is_not_others_and_one_busy_moment_is_soon_forgotten() {
        let mut load = Load { last: Some(Times { all: 0, busy: 0, own: 0 }), mean: None };
        let mut at = Times { all: 0, busy: 0, own: 0 };
        let mut pass = |busy, own| {
            at = Times { all: at.all + 100, busy: at.busy + busy, own: at.own + own };
            load.take(Some(at));
            load.busy().unwrap()
        };
        assert_eq!(pass(90, 90), 0.0);
        let shaken = pass(100, 0);
        assert!((shaken - 0.1).abs() < 1e-6, "{shaken}");
        assert!((0..20).map(|_| pass(50, 50)).last().unwrap() < 0.02);
        assert!((0..50).map(|_| pass(80, 10)).last().unwrap() > 0.65);
        // A system that has stopped telling has no load that is known.
        load.take(None);
        assert_eq!(load.busy(), None);
    }
}
