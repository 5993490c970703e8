//! How a node is, in a file of its home: what `starling status` shows, of a node that runs or has run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::home::replace;
use crate::report::Report;

/// The least time from one writing to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// How a node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// When this was so, in seconds since 1970.
    pub at: u64,
    /// The process.
    pub process: u32,
    /// Its peer id.
    pub peer: String,
    /// Its swarm.
    pub swarm: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Peers connected.
    pub peers: usize,
    /// What is wrong, each with its remedy, by what it is wrong with.
    pub complaints: Vec<String>,
    /// The chain and its agent's number there.
    pub agent: Option<(String, u64)>,
    /// The last round it learned in.
    pub round: u64,
    /// The mean reward of its own answers in it.
    pub reward: f64,
    /// Answers of others that it learned from in it.
    pub heard: usize,
    /// The share of examination questions it answered rightly, and after which round.
    pub right: Option<(u64, f64)>,
    /// What it was paid since it started, in credits.
    pub paid: Vec<(u64, String)>,
    /// What the process takes.
    pub resident_bytes: u64,
    /// Why it begins no round for now, if it does not.
    #[serde(default)]
    pub rests: Option<String>,
    /// Whether it has ended.
    pub ended: bool,
    /// What it has counted since it started.
    #[serde(default)]
    pub counts: Counts,
}

/// What a node has counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Counts {
    /// Rounds it learned in.
    pub rounds: u64,
    /// Their mean rewards, added up.
    pub rewards: f64,
    /// Answers of its own that it learned from.
    pub own: u64,
    /// Answers of others.
    pub heard: u64,
    /// Tokens it spoke.
    pub tokens: u64,
    /// How long it answered, in milliseconds.
    pub answer_ms: u64,
    /// How long it learned.
    pub learn_ms: u64,
    /// Audits that found every bit right.
    pub audits_held: u64,
    /// Audits that found a lie.
    pub audits_failed: u64,
    /// How often it stopped listening to a peer.
    pub unheard: u64,
    /// How often something was the matter.
    pub troubles: u64,
    /// How often it was paid.
    pub payments: u64,
    /// How much in all, in credits: close, for plots; the chain has it to the last digit.
    pub credits: f64,
}

impl Counts {
    fn take(&mut self, report: &Report) {
        match report {
            Report::Learned { reward, own, heard, tokens_per_second, answer_ms, learn_ms, .. } => {
                self.rounds += 1;
                self.rewards += reward;
                self.own += *own as u64;
                self.heard += heard.iter().map(|(_, count)| *count as u64).sum::<u64>();
                self.tokens += (tokens_per_second * *answer_ms as f64 / 1000.0).round() as u64;
                self.answer_ms += answer_ms;
                self.learn_ms += learn_ms;
            }
            Report::Audited { holds: true, .. } => self.audits_held += 1,
            Report::Audited { .. } => self.audits_failed += 1,
            Report::Heard { heard: false, .. } => self.unheard += 1,
            Report::Trouble { .. } => self.troubles += 1,
            Report::Paid { credits, .. } => {
                self.payments += 1;
                self.credits += credits.parse().unwrap_or(0.0);
            }
            _ => {}
        }
    }
}

/// Payments that are listed.
const LIMIT_PAID: usize = 32;

impl Status {
    /// How the node of a home is, or was.
    pub fn read(home: &Path) -> Result<Status> {
        let file = home.join("status.json");
        let bytes = fs::read(&file).map_err(|why| Error::file("reading", &file, why))?;
        serde_json::from_slice(&bytes).map_err(|why| Error::Damaged { file, why: why.to_string() })
    }

    /// Takes a report in.
    pub(crate) fn take(&mut self, report: &Report) {
        self.counts.take(report);
        match report {
            Report::Started { peer, process, swarm, .. } => {
                (self.peer, self.process, self.swarm) = (peer.clone(), *process, swarm.clone());
            }
            Report::Listening { addresses } => self.addresses.clone_from(addresses),
            Report::Connected { peers, complaints } => {
                self.peers = *peers;
                self.complaints.clone_from(complaints);
            }
            Report::Registered { chain, agent } => self.agent = Some((chain.clone(), *agent)),
            Report::Learned { round, reward, heard, resident_bytes, .. } => {
                (self.round, self.reward, self.resident_bytes) = (*round, *reward, *resident_bytes);
                self.heard = heard.iter().map(|(_, count)| count).sum();
            }
            Report::Examined { round, right, .. } => self.right = Some((*round, *right)),
            Report::Paid { round, credits } => {
                self.paid.push((*round, credits.clone()));
                let many = self.paid.len().saturating_sub(LIMIT_PAID);
                self.paid.drain(..many);
            }
            Report::Trouble { part, why } => {
                let complaint = format!("{part}: {why}");
                if !self.complaints.contains(&complaint) {
                    self.complaints.push(complaint);
                }
            }
            Report::Well { part } => self.complaints.retain(|c| !c.starts_with(&format!("{part}: "))),
            Report::Rests { why } => self.rests = Some(why.clone()),
            Report::Works => self.rests = None,
            Report::Ended { .. } => self.ended = true,
            _ => {}
        }
    }
}

/// Keeps the file up to date.
#[derive(Debug)]
pub(crate) struct Notes {
    status: Status,
    file: PathBuf,
    written: Option<Instant>,
}

impl Notes {
    pub(crate) fn new(home: &Path) -> Notes {
        Notes { status: Status::default(), file: home.join("status.json"), written: None }
    }

    /// Takes a report in; writes the file if that was not just done, and always at the end.
    pub(crate) fn take(&mut self, report: &Report) {
        self.status.take(report);
        let due = self.written.is_none_or(|at| at.elapsed() >= PAUSE);
        if !due && !self.status.ended {
            return;
        }
        self.written = Some(Instant::now());
        self.status.at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let bytes = serde_json::to_vec_pretty(&self.status).unwrap_or_default();
        if let Err(why) = replace(&self.file, &bytes) {
            tracing::warn!(%why, "the status could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_again_is_no_complaint() {
        let mut status = Status::default();
        let trouble = Report::Trouble { part: "chain".to_owned(), why: "it does not answer".to_owned() };
        status.take(&trouble);
        status.take(&trouble);
        assert_eq!(status.complaints, ["chain: it does not answer"]);
        status.take(&Report::Well { part: "chain".to_owned() });
        assert!(status.complaints.is_empty());
    }

    #[test]
    fn what_was_written_is_read() {
        let home = tempfile::tempdir().unwrap();
        let mut notes = Notes::new(home.path());
        notes.take(&Report::Paid { round: 3, credits: "1.5".to_owned() });
        notes.take(&Report::Ended { round: 4 });
        let status = Status::read(home.path()).unwrap();
        assert!(status.ended && status.at > 0);
        assert_eq!(status.paid, [(3, "1.5".to_owned())]);
        assert!(Status::read(&home.path().join("nowhere")).unwrap_err().to_string().contains("status.json"));
    }
}
