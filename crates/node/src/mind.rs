//! The thread that computes: it answers, learns, checks others and is examined, one thing after the other.
//!
//! Everything else in a node waits for the network and for the clock, and must never wait for this.

use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc as jobs;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use exact::{Device, Limits};
use lm::checkpoint::{CheckpointError, Store};
use lm::{Config, Sampling, wren};
use swarm::{Ask, Auditor, Charter, Claim, Finding, Lesson, NodeId, Parts, Pupil, Said, Trainer};
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::tongue;
use crate::weights::Weights;

/// Checkpoints that are kept: the last, and the one before in case the disk has damaged it.
const KEPT: usize = 2;

/// Something to compute.
#[derive(Debug)]
pub(crate) enum Job {
    Answer {
        round: u64,
        stage: u8,
        asks: Vec<Ask>,
    },
    Learn {
        round: u64,
        lessons: Vec<Lesson>,
    },
    Audit {
        round: u64,
        peer: NodeId,
        weights: Weights,
        claims: Vec<Claim>,
    },
    Examine {
        round: u64,
        count: usize,
    },
    Save {
        round: u64,
    },
    /// Learn what was learned before and not saved; it has to come to this root.
    Redo {
        round: u64,
        lessons: Vec<Lesson>,
        root: [u8; 32],
    },
    /// Take up another's weights, as a newcomer does.
    TakeUp {
        weights: Weights,
    },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Thought {
    Answered {
        round: u64,
        stage: u8,
        root: [u8; 32],
        answers: Vec<Vec<Said>>,
        took: Duration,
    },
    Learned {
        round: u64,
        weights: Weights,
        /// What the last step told, if there was one.
        progress: Option<lm::Progress>,
        took: Duration,
    },
    Audited {
        round: u64,
        peer: NodeId,
        finding: Finding,
        /// Answers that were checked.
        answers: usize,
        took: Duration,
    },
    Examined {
        round: u64,
        right: f64,
        asked: usize,
    },
    /// What was learned before was learned again, and whether it came to the same.
    Redone {
        round: u64,
        weights: Weights,
        same: bool,
    },
    /// Another's weights were taken up.
    TakenUp {
        weights: Weights,
    },
    /// Something that the node can live with.
    Trouble {
        part: &'static str,
        why: String,
    },
    /// Something that it cannot.
    Broken(Error),
}

/// What is known once the model is there.
#[derive(Debug)]
pub(crate) struct Woken {
    pub(crate) weights: Weights,
    /// The charter's parts, in the model's tongue.
    pub(crate) parts: Arc<Parts>,
    /// The round after which it was saved, if it was.
    pub(crate) learned: Option<u64>,
}

/// The other end of the thread.
#[derive(Debug)]
pub(crate) struct Mind {
    jobs: jobs::Sender<Job>,
    /// Jobs that were given and are not done.
    open: Arc<AtomicUsize>,
    leisure: Arc<Leisure>,
    config: Config,
}

/// How much of the time is left to others: after a piece of work, the thread pauses for as long as it takes that its share is what it may have.
#[derive(Debug)]
struct Leisure {
    /// The share that it may have, in percent.
    share: AtomicU8,
    /// Whether it is to make an end of it.
    hurried: Mutex<bool>,
    woken: Condvar,
}

impl Leisure {
    /// How long to pause after work that took so long.
    fn after(&self, took: Duration) -> Duration {
        let share = u32::from(self.share.load(Ordering::Relaxed).clamp(1, 100));
        took * (100 - share) / share
    }

    fn pause(&self, took: Duration) {
        let hurried = self.hurried.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.woken.wait_timeout_while(hurried, self.after(took), |hurried| !*hurried));
    }
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
        let leisure = Arc::new(Leisure {
            share: AtomicU8::new(100),
            hurried: Mutex::new(false),
            woken: Condvar::new(),
        });
        let (charter, folder, left) = (charter.clone(), folder.to_owned(), open.clone());
        let pauses = leisure.clone();
        let limits = Limits { memory_bytes, ..Limits::default() };
        let run = move || {
            let mut thinker = match Thinker::new(&charter, &folder, threads, limits) {
                Ok((thinker, woken)) => {
                    let _ = woke.send(Ok((thinker.pupil.model().config().clone(), woken)));
                    thinker
                }
                Err(why) => {
                    let _ = woke.send(Err(why));
                    return;
                }
            };
            for job in take {
                let begin = Instant::now();
                let thought = thinker.think(job).unwrap_or_else(|why| Some(Thought::Broken(why)));
                let heard = thought.is_none_or(|thought| say.blocking_send(thought).is_ok());
                left.fetch_sub(1, Ordering::AcqRel);
                if !heard {
                    break;
                }
                pauses.pause(begin.elapsed());
            }
        };
        let thread = thread::Builder::new().name("mind".to_owned());
        thread.spawn(run).map_err(|why| Error::Stopped { part: "mind", why: why.to_string() })?;
        let ended =
            |_| Error::Stopped { part: "mind", why: "it ended while the model was loaded".to_owned() };
        let (config, woken) = wakes.recv().map_err(ended)??;
        Ok((Mind { jobs: put, open, leisure, config }, thoughts, woken))
    }

    /// Something to compute, after all that was given before.
    pub(crate) fn put(&self, job: Job) {
        self.open.fetch_add(1, Ordering::AcqRel);
        // If the thread has ended, its last thought says why.
        let _ = self.jobs.send(job);
    }

    /// Computes no more than this share of the time, in percent, from the next piece of work on.
    pub(crate) fn set_share(&self, percent: u16) {
        self.leisure.share.store(percent.min(100) as u8, Ordering::Relaxed);
    }

    /// Pauses no more: the node leaves.
    pub(crate) fn hurry(&self) {
        *self.leisure.hurried.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.leisure.woken.notify_all();
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

/// What the thread has.
struct Thinker {
    pupil: Pupil,
    parts: Arc<Parts>,
    store: Store,
    limits: Limits,
    /// Who checks others, made for the first check and kept.
    auditor: Option<Auditor>,
}

impl Thinker {
    fn new(charter: &Charter, folder: &Path, threads: usize, limits: Limits) -> Result<(Thinker, Woken)> {
        let device = Device::cpu(threads.max(1));
        let files = tongue::files(charter)?;
        let tongue = tongue::tongue(charter, files.as_ref())?;
        let model = match files {
            None => wren::load(&device, limits)?,
            Some(files) => files.load(&device, limits, &mut |_, _| {})?,
        };
        let mut pupil = Pupil::new(model, charter, &tongue, limits)?;
        let store = Store::open(&folder.join("checkpoints")).map_err(lm::Error::from)?;
        let mut learned = None;
        store.resume(|found| {
            learned = pupil.restore(found).map_err(Error::from)?;
            Ok::<(), Error>(())
        })?;
        let parts = Arc::new(Parts::new(charter.clone(), tongue)?);
        let mut thinker = Thinker { pupil, parts, store, limits, auditor: None };
        let woken = Woken { weights: thinker.weights()?, parts: thinker.parts.clone(), learned };
        Ok((thinker, woken))
    }

    fn think(&mut self, job: Job) -> Result<Option<Thought>> {
        let begin = Instant::now();
        Ok(match job {
            Job::Answer { round, stage, asks } => {
                let root = self.pupil.root()?;
                let answers = self.pupil.answer(&asks)?;
                Some(Thought::Answered { round, stage, root, answers, took: begin.elapsed() })
            }
            Job::Learn { round, lessons } => {
                let learned = self.pupil.learn(&lessons)?;
                let progress = (learned.groups > 0).then_some(learned.progress);
                Some(Thought::Learned { round, weights: self.weights()?, progress, took: begin.elapsed() })
            }
            Job::Redo { round, lessons, root } => {
                self.pupil.learn(&lessons)?;
                let weights = self.weights()?;
                let same = weights.root == root;
                Some(Thought::Redone { round, weights, same })
            }
            Job::Audit { round, peer, weights, claims } => {
                let finding = self.audit(&weights, &claims)?;
                let answers = claims.iter().map(|claim| claim.answers.len()).sum();
                Some(Thought::Audited { round, peer, finding, answers, took: begin.elapsed() })
            }
            Job::Examine { round, count } => {
                // As it answers in rounds, by chance.
                let right = self.pupil.examine(&self.parts, count, Sampling::PLAIN)?.into();
                Some(Thought::Examined { round, right, asked: count })
            }
            Job::Save { round } => {
                // A full disk is no reason not to learn.
                let trouble = |why: lm::Error| Thought::Trouble { part: "disk", why: why.to_string() };
                self.save(round).err().map(trouble)
            }
            Job::TakeUp { weights } => {
                // Looked at beside our own, which stay if these are not what they should be.
                match self.auditor()?.take_up(&weights.bytes, weights.root) {
                    Ok(()) => {
                        self.pupil.set_weights(&weights.bytes)?;
                        Some(Thought::TakenUp { weights })
                    }
                    Err(why) => Some(Thought::Trouble { part: "model", why: why.to_string() }),
                }
            }
        })
    }

    fn weights(&mut self) -> Result<Weights> {
        let root = self.pupil.root()?;
        Ok(Weights { root, bytes: Arc::new(swarm::weight_bytes(self.pupil.model())?) })
    }

    /// Whether a model of these weights said so. Weights that are not of the root that was named are none.
    fn audit(&mut self, weights: &Weights, claims: &[Claim]) -> Result<Finding> {
        match self.auditor()?.audit(&weights.bytes, weights.root, claims) {
            Err(swarm::Error::Weights { .. }) => Ok(Finding::Withheld),
            found => Ok(found?),
        }
    }

    fn auditor(&mut self) -> Result<&mut Auditor> {
        Ok(match &mut self.auditor {
            Some(auditor) => auditor,
            none => none.insert(Auditor::new(self.pupil.model(), &self.parts.tongue, self.limits)?),
        })
    }

    fn save(&self, round: u64) -> Result<(), lm::Error> {
        let about = |why: swarm::Error| match why {
            swarm::Error::Model(why) => why,
            other => CheckpointError::Unfit { why: other.to_string() }.into(),
        };
        let mut saving = self.store.save(round);
        self.pupil.save(&mut saving, Some(round)).map_err(about)?;
        saving.finish()?;
        self.store.collect(KEPT)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_time_is_left_to_others() {
        let leisure =
            Leisure { share: AtomicU8::new(100), hurried: Mutex::new(false), woken: Condvar::new() };
        let took = Duration::from_secs(3);
        for (share, pause) in [(100, 0), (50, 3), (25, 9), (1, 297)] {
            leisure.share.store(share, Ordering::Relaxed);
            assert_eq!(leisure.after(took), Duration::from_secs(pause), "{share} %");
        }
        // Who is in a hurry does not pause: this would take a day.
        *leisure.hurried.lock().unwrap() = true;
        leisure.pause(Duration::from_hours(1));
    }
}
