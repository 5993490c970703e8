//! Learning after a session: a challenger is taught from the player's sessions and judged on one that it has not seen.
//!
//! The newest session is the judge: champion and challenger both play it again, with the older ones in mind, and the challenger takes the
//! place of the champion only if it helps more and is not wrong more often. What is judged is what is kept. The newest session teaches the
//! next time; it is remembered at once in any case.

use exact::Device;

use crate::dice::Dice;
use crate::error::Error;
use crate::helper::{Assistant, Nerve};
use crate::likeness::Build;
use crate::net::{Learner, Lesson, ROWS, Weights};
use crate::practice::{Simulated, lessons_of};
use crate::recording::Recording;
use crate::score::{Helper, Score, score};
use crate::view::Memory;

/// Steps of learning after a session.
const STEPS: usize = 120;
/// The rate at the start; it falls to nothing in a line.
const RATE: f32 = 3e-4;
/// Of a step's lessons, those from the player's own sessions; the others are simulated, so that nothing general is lost.
const OWN: usize = 10;

/// How learning went.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// There was nothing to judge by yet.
    TooFew {
        /// Sessions so far.
        sessions: usize,
    },
    /// Both were judged.
    Judged {
        /// How the weights that were there did on the newest session.
        champion: Score,
        /// How the new ones did.
        challenger: Score,
        /// The new weights, if they are better.
        better: Option<Weights>,
    },
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::TooFew { sessions } => write!(
                f,
                "{sessions} session(s) so far: remembered at once. The weights stay until there are two, one to learn from and one to be judged by."
            ),
            Outcome::Judged { champion, challenger, better } => {
                let told = |s: &Score| {
                    format!("saves {:.1} %, {:.1} % wrong", 100.0 * s.saved_share(), 100.0 * s.wrong_share())
                };
                let verdict =
                    if better.is_some() { "the new weights take over" } else { "the old weights stay" };
                write!(
                    f,
                    "on the newest session, which taught neither: as it was, {}; as it has learned, {}: {verdict}",
                    told(champion),
                    told(challenger)
                )
            }
        }
    }
}

/// Learns from sessions, the oldest first; `watch` is told how much of the work is done, from 0 to 1.
pub fn learn(
    champion: &Weights,
    sessions: &[Recording],
    nerve: Nerve,
    device: &Device,
    watch: impl FnMut(f32),
) -> Result<Outcome, Error> {
    learn_for(STEPS, champion, sessions, nerve, device, watch)
}

fn learn_for(
    steps: usize,
    champion: &Weights,
    sessions: &[Recording],
    nerve: Nerve,
    device: &Device,
    mut watch: impl FnMut(f32),
) -> Result<Outcome, Error> {
    let Some((newest, older)) = sessions.split_last().filter(|(_, older)| !older.is_empty()) else {
        return Ok(Outcome::TooFew { sessions: sessions.len() });
    };
    // One seed for what is learned from: the same sessions give the same weights on every machine.
    let mut dice = Dice::new(0x1ea2, older.len() as u64);
    let mut own = Vec::new();
    let mut memory = Memory::default();
    let count = (steps * OWN / older.len()).clamp(8, 240);
    for session in older {
        lessons_of(&session.player_only(), &memory, count, &mut dice, &mut own);
        memory.builds.push(Build::new(&session.steps()));
    }
    if own.is_empty() {
        return Ok(Outcome::TooFew { sessions: sessions.len() });
    }
    let mut simulated = Simulated::new(0x1ea2);
    let mut learner = Learner::new(champion, device)?;
    for step in 0..steps {
        let mut batch: Vec<Lesson> = (0..OWN).map(|_| own[dice.below(own.len())].clone()).collect();
        batch.extend((OWN..ROWS).map(|_| simulated.next()));
        let warm = (step as f32 + 1.0) / 10.0;
        learner.learn(&batch, RATE * warm.min(1.0) * (1.0 - step as f32 / steps as f32))?;
        watch(0.8 * (step + 1) as f32 / steps as f32);
    }
    let taught = learner.weights()?;
    drop(learner);
    let judge = |weights: &Weights| -> Result<Score, Error> {
        let mut assistant = Assistant::new(weights, nerve, device)?;
        for session in older {
            assistant.remember(session);
        }
        score(newest, &mut Helper::Assistant(&mut assistant))
    };
    let before = judge(champion)?;
    watch(0.9);
    let after = judge(&taught)?;
    watch(1.0);
    let better = is_better(&after, &before).then_some(taught);
    Ok(Outcome::Judged { champion: before, challenger: after, better })
}

/// Whether a challenger takes over: it helps more, and is not wrong more often, but for a share that nobody would notice.
fn is_better(challenger: &Score, champion: &Score) -> bool {
    let gain = |s: &Score| s.saved as i64 - s.wrong as i64;
    gain(challenger) > gain(champion) && challenger.wrong_share() <= champion.wrong_share().max(0.02)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::{Part, repeaters};

    #[test]
    fn one_session_is_too_few_to_judge_by() {
        let sessions = &repeaters(Part::Lessons, 3, 1, 1)[0].sessions;
        let weights = Weights::first(1);
        let outcome = learn(&weights, sessions, Nerve::default(), &Device::cpu(1), |_| {}).unwrap();
        assert!(matches!(outcome, Outcome::TooFew { sessions: 1 }), "{outcome}");
    }

    #[test]
    fn who_does_not_help_more_does_not_take_over() {
        let mut sessions = repeaters(Part::Lessons, 3, 1, 2).remove(0).sessions;
        for session in &mut sessions {
            session.events.truncate(24);
        }
        // A step from nothing: neither is ever sure of anything.
        let weights = Weights::first(1);
        let mut told = Vec::new();
        let outcome =
            learn_for(1, &weights, &sessions, Nerve::default(), &Device::cpu(1), |share| told.push(share))
                .unwrap();
        let Outcome::Judged { champion, challenger, better } = outcome else { panic!("{outcome}") };
        assert_eq!((champion.placed, challenger.placed), (0, 0));
        assert_eq!(better, None);
        assert!(told.is_sorted() && told.last() == Some(&1.0));
    }

    #[test]
    fn more_help_counts_only_without_more_that_is_wrong() {
        let of = |saved, placed, wrong| Score { acts: 100, saved, placed, wrong, ..Score::default() };
        for (challenger, champion, takes_over) in [
            (of(30, 31, 1), of(20, 21, 1), true),
            (of(20, 21, 1), of(20, 21, 1), false),
            (of(40, 50, 10), of(20, 21, 1), false),
            (of(10, 10, 0), of(20, 21, 1), false),
            (of(1, 1, 0), of(0, 0, 0), true),
        ] {
            assert_eq!(is_better(&challenger, &champion), takes_over, "{challenger:?} against {champion:?}");
        }
    }
}
