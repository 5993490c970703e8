//! The thread that computes: it answers, learns, checks others and is examined, one thing after the other.
//!
//! Everything else in a node waits for the network and for the clock, and must never wait for this.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as jobs;
use std::thread;
use std::time::{Duration, Instant};

use exact::{Device, Limits};
use lm::checkpoint::Store;
use lm::{Config, Files, Model, wren};
use swarm::{Ask, Auditor, Charter, Claim, Draw, Finding, Lesson, Memory, NodeId, Pupil, RewardManager, Said, Tongue, Trainer};
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::weights::Weights;

/// Checkpoints that are kept: the last, and the one before in case the disk has damaged it.
const KEPT: usize = 2;
/// The note of a checkpoint that has the node's memory.
const MEMORY: &str = "memory";

/// Something to compute.
#[derive(Debug)]
pub(crate) enum Job {
    Answer { round: u64, stage: u8, asks: Vec<Ask> },
    Learn { round: u64, lessons: Vec<Lesson> },
    Audit { round: u64, peer: NodeId, weights: Weights, claims: Vec<Claim> },
    Examine { round: u64, count: usize },
    Save { round: u64, memory: Vec<u8> },
    /// Take up another's weights, as a newcomer does.
    TakeUp { weights: Weights },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Thought {
    Answered { round: u64, stage: u8, root: [u8; 32], answers: Vec<Vec<Said>>, took: Duration },
    Learned { round: u64, weights: Weights, took: Duration },
    Audited { round: u64, peer: NodeId, finding: Finding },
    Examined { round: u64, right: f64, asked: usize },
    /// Weights were taken up, or are not what they should be.
    TakenUp { took: bool },
    /// Something that the node can live with.
    Trouble { part: &'static str, why: String },
    /// Something that it cannot.
    Broken(Error),
}

/// What is known once the model is there.
#[derive(Debug)]
pub(crate) struct Woken {
    pub(crate) root: [u8; 32],
    pub(crate) tongue: Tongue,
    /// What the node remembered when it last saved itself.
    pub(crate) memory: Option<Memory>,
    pub(crate) memory_bytes: u64,
}

/// The other end of the thread.
#[derive(Debug)]
pub(crate) struct Mind {
    jobs: jobs::Sender<Job>,
    /// Jobs that were given and are not done.
    open: Arc<AtomicUsize>,
    config: Config,
}

impl Mind {
    /// Loads the charter's model, or what was last saved of it, and begins to compute.
    pub(crate) fn wake(
        charter: &Charter,
        folder: &Path,
        threads: usize,
        memory_bytes: u64,
    ) -> Result<(Mind, mpsc::Receiver<Thought>, Woken)> {
        let (put, take) = jobs::channel();
        let (say, thoughts) = mpsc::channel(64);
        let (woke, wakes) = jobs::channel();
        let open = Arc::new(AtomicUsize::new(0));
        let (charter, folder, left) = (charter.clone(), folder.to_owned(), open.clone());
        let limits = Limits { memory_bytes, ..Limits::default() };
        let run = move || {
            let mut thinker = match Thinker::new(&charter, &folder, threads, limits) {
                Ok((thinker, woken)) => {
                    let _ = woke.send(Ok((thinker.model.config().clone(), woken)));
                    thinker
                }
                Err(why) => {
                    let _ = woke.send(Err(why));
                    return;
                }
            };
            for job in take {
                let thought = thinker.think(job).unwrap_or_else(Thought::Broken.into_some());
                left.fetch_sub(1, Ordering::AcqRel);
                if let Some(thought) = thought
                    && say.blocking_send(thought).is_err()
                {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("mind".to_owned());
        thread.spawn(run).map_err(|why| Error::Stopped { part: "mind", why: why.to_string() })?;
        let ended = |_| Error::Stopped { part: "mind", why: "it ended while the model was loaded".to_owned() };
        let (config, woken) = wakes.recv().map_err(ended)??;
        Ok((Mind { jobs: put, open, config }, thoughts, woken))
    }

    /// Something to compute, after all that was given before.
    pub(crate) fn put(&self, job: Job) {
        self.open.fetch_add(1, Ordering::AcqRel);
        // If the thread has ended, its last thought says why.
        let _ = self.jobs.send(job);
    }

    /// Whether all is done.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// The model's shape.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}
