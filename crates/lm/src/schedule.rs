//! How the learning rate changes from step to step: plain arithmetic, so that every machine gets the same bits.

/// A learning rate for every step: a rise, and then what [`Decay`] says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The highest rate.
    pub peak: f32,
    /// Steps in which it rises to the peak, by equal amounts.
    pub rise: u64,
    /// What it does after.
    pub decay: Decay,
}

/// How a learning rate falls from its peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// Not at all.
    Never,
    /// On a straight line, to 0 at this step.
    Linear(u64),
    /// On half a wave of a cosine, to 0 at this step.
    Cosine(u64),
}

impl Schedule {
    /// The same rate for ever.
    pub fn constant(rate: f32) -> Schedule {
        Schedule { peak: rate, rise: 0, decay: Decay::Never }
    }

    /// The rate of a step; the first is step 0.
    pub fn rate(&self, step: u64) -> f32 {
        if step < self.rise {
            return (f64::from(self.peak) * ((step + 1) as f64 / self.rise as f64)) as f32;
        }
        // How far it is from the peak to the end, from 0 to 1.
        let way = |end: u64| {
            let (done, all) = (step - self.rise, end.saturating_sub(self.rise));
            if done >= all { 1.0 } else { done as f64 / all as f64 }
        };
        let share = match self.decay {
            Decay::Never => 1.0,
            Decay::Linear(end) => 1.0 - way(end),
            Decay::Cosine(end) if step >= end => 0.0,
            // (1 + cos pi w) / 2 = cos² (pi w / 2)
            Decay::Cosine(end) => {
                let c = quarter_cosine(way(end));
                c * c
            }
        };
        (f64::from(self.peak) * share) as f32
    }
}

/// `cos(pi w / 2)` for `w` from 0 to 1: its Taylor polynomial, far beyond the precision of a rate. A system's own cosine would do it in
/// fewer words, and on another system otherwise.
fn quarter_cosine(w: f64) -> f64 {
    let angle = w * std::f64::consts::FRAC_PI_2;
    let square = angle * angle;
    let mut sum = 1.0;
    for i in (1..=10u32).rev() {
        sum = 1.0 - sum * square / f64::from((2 * i - 1) * 2 * i);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, steps: impl IntoIterator<Item = u64>) -> Vec<f32> {
        steps.into_iter().map(|step| schedule.rate(step)).collect()
    }

    #[test]
    fn it_rises_and_falls() {
        let constant = Schedule::constant(3.0);
        assert_eq!(rates(constant, [0, 1, u64::MAX]), [3.0, 3.0, 3.0]);
        let rising = Schedule { peak: 2.0, rise: 4, decay: Decay::Never };
        assert_eq!(rates(rising, 0..6), [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]);
        let linear = Schedule { peak: 1.0, rise: 0, decay: Decay::Linear(4) };
        assert_eq!(rates(linear, 0..6), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]);
        let both = Schedule { peak: 1.0, rise: 2, decay: Decay::Linear(6) };
        assert_eq!(rates(both, 0..7), [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]);
        let never_there = Schedule { peak: 1.0, rise: 5, decay: Decay::Linear(3) };
        assert_eq!(rates(never_there, 4..6), [1.0, 0.0]);
    }

    #[test]
    fn the_wave_is_a_cosine() {
        let cosine = Schedule { peak: 1.0, rise: 0, decay: Decay::Cosine(1000) };
        for step in 0..=1000 {
            let right = f64::midpoint(1.0, (std::f64::consts::PI * step as f64 / 1000.0).cos());
            assert!((f64::from(cosine.rate(step)) - right).abs() < 1e-7, "{step}");
        }
        assert_eq!([cosine.rate(0), cosine.rate(1000)], [1.0, 0.0]);
    }
}
