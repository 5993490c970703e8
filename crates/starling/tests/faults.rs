//! Nodes that are killed at any moment, over and over: the swarm goes on, and nothing that a node has said it learned is lost.
//!
//! `STARLING_KILLS=50 cargo test -p starling --test faults` kills that often.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::path::{Path, PathBuf};

use common::Process;
use serde_json::Value;

/// A node that is killed and comes back, and what it has said in all its lives.
struct Phoenix {
    home: PathBuf,
    invite: String,
    process: Option<Process>,
    /// Rounds that it has said it learned in, and the model it came to.
    learned: Vec<(u64, String)>,
    lives: u64,
}

impl Phoenix {
    fn new(home: &Path, invite: &str) -> Phoenix {
        Phoenix {
            home: home.to_owned(),
            invite: invite.to_owned(),
            process: None,
            learned: Vec::new(),
            lives: 0,
        }
    }

    fn rise(&mut self) {
        let home = self.home.to_str().unwrap();
        let arguments = [
            "join",
            &self.invite,
            "--home",
            home,
            "--loopback",
            "--threads",
            "1",
            "--json",
            "--until-stdin-ends",
        ];
        self.process = Some(Process::start(&arguments));
        self.lives += 1;
    }

    /// Lives until it has learned in another round.
    fn live(&mut self) {
        let before = self.learned.len();
        while self.learned.len() == before {
            let report = self.process.as_ref().unwrap().next();
            self.note(&report);
        }
    }

    fn die(&mut self) {
        let process = self.process.take().unwrap();
        for report in process.kill() {
            self.note(&report);
        }
    }

    fn note(&mut self, report: &Value) {
        let round = report["round"].as_u64();
        let model = report["model"].as_str().unwrap_or_default().to_owned();
        match report["what"].as_str().unwrap() {
            "started" if self.lives > 1 => {
                let resumed = report["resumed"].as_u64();
                let last = self.learned.last().map(|(round, _)| *round);
                assert!(resumed >= last, "it learned in round {last:?} and goes on from {resumed:?}");
            }
            "redone" => {
                // What it had not said before it was killed, it says now.
                match self.learned.iter().find(|(of, _)| Some(*of) == round) {
                    Some((_, known)) => assert_eq!(&model, known, "round {round:?} came to other bits"),
                    None => self.learned.push((round.unwrap(), model)),
                }
            }
            "learned" => {
                let last = self.learned.last().map(|(round, _)| *round);
                assert!(round > last, "round {round:?} is learned after {last:?}");
                self.learned.push((round.unwrap(), model));
            }
            "trouble" => assert_ne!(report["part"], "model", "{report}"),
            _ => {}
        }
    }
}

#[test]
fn a_swarm_bears_that_one_of_it_is_killed_every_round() {
    let kills: usize = std::env::var("STARLING_KILLS").map_or(2, |kills| kills.parse().unwrap());
    let home = tempfile::tempdir().unwrap();
    let up = home.path().join("up");
    let up =
        Process::start(&["up", "--nodes", "1", "--no-control", "--home", up.to_str().unwrap(), "--json"]);
    let begun = up.next();
    let invite = begun["begun"]["invite"].as_str().unwrap();
    let mut birds = ["a", "b"].map(|name| Phoenix::new(&home.path().join(name), invite));
    for bird in &mut birds {
        bird.rise();
    }
    for round in 0..kills {
        for bird in &mut birds {
            bird.live();
        }
        let unlucky = &mut birds[round % 2];
        unlucky.die();
        unlucky.rise();
    }
    for bird in &mut birds {
        bird.live();
        bird.die();
        assert!(bird.learned.len() > kills / 2, "{:?}", bird.learned);
    }
    // The one that was never killed has gone on through all of it.
    let learned: Vec<u64> = up
        .kill()
        .iter()
        .filter(|line| line["report"]["what"] == "learned")
        .map(|line| line["report"]["round"].as_u64().unwrap())
        .collect();
    assert!(learned.len() > kills && learned.is_sorted(), "{learned:?}");
}
