//! Contenders taking turns.

use std::time::{Duration, Instant};

use crate::{Bench, Result};

/// One that does the work: `turn(reps)` does it `reps` times and says how many seconds each took.
pub(crate) struct Contender<'a> {
    pub(crate) name: String,
    turn: Box<dyn FnMut(usize) -> Result<f64> + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: &str, turn: impl FnMut(usize) -> Result<f64> + 'a) -> Contender<'a> {
        Contender { name: name.to_owned(), turn: Box::new(turn) }
    }
}

/// Between turns. The threads of the last contender may look for more work for a while before they sleep (those of OpenMP
/// for some milliseconds), and would take a processor from the next one.
const REST: Duration = Duration::from_millis(15);

/// Contenders that take longer than this to try once or twice have fewer turns.
const LONG: Duration = Duration::from_secs(10);

/// The median seconds per call of each contender.
///
/// They take turns, so that whatever slows the machine for a while slows all of them; each round begins with the next
/// one, and each turn with calls that are not counted, since the last contender left its own data in the caches.
pub(crate) fn race(bench: &Bench, contenders: &mut [Contender<'_>]) -> Result<Vec<f64>> {
    let (rounds, turn_seconds) = if bench.quick { (3, 0.002) } else { (11, 0.02) };
    let (mut reps, start) = (Vec::with_capacity(contenders.len()), Instant::now());
    for contender in contenders.iter_mut() {
        reps.push(calibrate(contender, turn_seconds)?);
    }
    // What takes seconds each time is steadier, and is waited for.
    let rounds = if start.elapsed() > LONG { rounds.min(5) } else { rounds };
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..rounds {
        for i in 0..contenders.len() {
            let i = (i + round) % contenders.len();
            let turn = &mut contenders[i].turn;
            std::thread::sleep(REST);
            // A long call warms itself. Short ones are given a whole turn: threads that have just woken may share a
            // processor for some milliseconds before the system moves one of them.
            if reps[i] > 1 {
                turn(reps[i])?;
            }
            times[i].push(turn(reps[i])?);
        }
    }
    Ok(times.iter_mut().map(|times| median(times)).collect())
}

/// How many calls fill a turn.
fn calibrate(contender: &mut Contender<'_>, turn_seconds: f64) -> Result<usize> {
    (contender.turn)(1)?;
    let mut reps = 1;
    loop {
        let each = (contender.turn)(reps)?.max(1e-9);
        let fills = (turn_seconds / each).ceil().max(1.0) as usize;
        // A first guess from few calls is rough: try again until the guess is near what was tried.
        if fills <= reps * 4 {
            return Ok(fills);
        }
        reps = fills.min(reps * 16);
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_few() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
    }

    #[test]
    fn a_turn_is_filled() {
        let calls = |each: f64| {
            let mut contender = Contender::new("", |_| Ok(each));
            calibrate(&mut contender, 0.02).unwrap()
        };
        assert_eq!(calls(1.0), 1);
        assert_eq!(calls(1e-3), 20);
        assert_eq!(calls(1e-6), 20_000);
    }
}
