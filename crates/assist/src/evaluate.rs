//! Scores for a folder of recordings.

use std::path::{Path, PathBuf};

use exact::Device;

use crate::error::Error;
use crate::helper::{Assistant, Nerve};
use crate::home::sessions_in;
use crate::learn::{Outcome, learn};
use crate::net::Weights;
use crate::recording::Recording;
use crate::score::{Helper, Score, score};

/// What the assistant knows when it plays a recording again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowing {
    /// Nothing of the player: every session is a first one.
    Nothing,
    /// The sessions of the same player that come before, as memories.
    Memories,
    /// The same, and weights that learn after every session.
    Learning,
}

/// A session that was scored.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub player: String,
    /// How many of the player's sessions the assistant knew.
    pub before: usize,
    /// What came of it with the assistant.
    pub assistant: Score,
    /// What came of it with the rule of thumb.
    pub line: Score,
}

/// Plays all recordings of a folder again; `watch` is told of each as soon as it is scored. Sessions of one player are those whose
/// headers name the same one; their order is that of the files' names.
pub fn evaluate(
    folder: &Path,
    weights: &Weights,
    nerve: Nerve,
    knowing: Knowing,
    device: &Device,
    mut watch: impl FnMut(&Evaluated),
) -> Result<Vec<Evaluated>, Error> {
    let mut players: Vec<(String, Vec<PathBuf>)> = Vec::new();
    for path in sessions_in(folder)? {
        let player = Recording::open(&path)?.header.player;
        // Sessions that name no player are nobody's.
        match players.iter_mut().find(|(name, _)| *name == player && !player.is_empty()) {
            Some((_, paths)) => paths.push(path),
            None => players.push((player, vec![path])),
        }
    }
    let mut all = Vec::new();
    for (player, paths) in players {
        let mut weights = weights.clone();
        let mut sessions: Vec<Recording> = Vec::new();
        for path in paths {
            let recording = Recording::open(&path)?;
            let mut assistant = Assistant::new(&weights, nerve, device)?;
            if knowing != Knowing::Nothing {
                for session in &sessions {
                    assistant.remember(session);
                }
            }
            let evaluated = Evaluated {
                name: path.strip_prefix(folder).unwrap_or(&path).display().to_string(),
                player: player.clone(),
                before: if knowing == Knowing::Nothing { 0 } else { sessions.len() },
                assistant: score(&recording, &mut Helper::Assistant(&mut assistant))?,
                line: score(&recording, &mut Helper::Line)?,
            };
            watch(&evaluated);
            all.push(evaluated);
            sessions.push(recording);
            if knowing == Knowing::Learning
                && let Outcome::Judged { better: Some(better), .. } =
                    learn(&weights, &sessions, nerve, device, |_| {})?
            {
                weights = better;
            }
        }
    }
    Ok(all)
}
