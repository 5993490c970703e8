//! One round as the chain has it, and what this node should do about it next. No clock, no network: both come in.

use std::collections::{BTreeMap, BTreeSet};

use chain::{AgentId, Event, Hash, Reward, RoundId, Scores, Time};

/// When the parts of a round end, and what else its rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) commit: Time,
    pub(super) reveal: Time,
    pub(super) score: Time,
    /// How long a result may be posted, and then challenged.
    pub(super) challenge: u64,
    /// What the medians are worked out with.
    pub(super) quorum: u16,
}

/// What is to be done on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Commit to the root of what was made.
    Commit(Hash),
    /// Show it.
    Reveal(Hash),
    /// Say what one thinks of each seat.
    Score(Scores),
    /// Post the result.
    Post(Scores),
    /// Show that the posted result is wrong about a seat.
    Challenge { seat: u16, posted: Scores, given: Vec<(u16, Scores)> },
}

/// What a node gets of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is not final.
    Open,
    /// A share, which is to be claimed.
    Share(Reward),
    /// Nothing.
    Nothing,
}

/// A round that is under way on the chain.
#[derive(Clone, Debug)]
pub(super) struct Play {
    pub(super) id: RoundId,
    pub(super) terms: Terms,
    /// The block it was opened in, to read on from after a restart.
    pub(super) block: u64,
    me: AgentId,
    root: Option<Hash>,
    opinions: Option<BTreeMap<AgentId, u8>>,
    seats: BTreeMap<AgentId, u16>,
    present: BTreeSet<u16>,
    given: Vec<(u16, Scores)>,
    posted: Option<Scores>,
    /// When the posted result was first seen.
    posted_at: Time,
    /// Acts that are under way or done, by their kind, so that none is begun twice.
    begun: BTreeSet<&'static str>,
}

/// How long another node is given to post a result before the next one does, in seconds.
const TURN: u64 = 1;

impl Act {
    /// Its name, for whoever reads along.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Act::Commit(_) => "commit",
            Act::Reveal(_) => "reveal",
            Act::Score(_) => "score",
            Act::Post(_) => "post",
            Act::Challenge { .. } => "challenge",
        }
    }
}

impl Play {
    pub(super) fn new(id: RoundId, terms: Terms, block: u64, me: AgentId) -> Play {
        Play {
            id,
            terms,
            block,
            me,
            root: None,
            opinions: None,
            seats: BTreeMap::new(),
            present: BTreeSet::new(),
            given: Vec::new(),
            posted: None,
            posted_at: Time(0),
            begun: BTreeSet::new(),
        }
    }

    /// What this node made in the round.
    pub(super) fn made(&mut self, root: Hash) {
        self.root.get_or_insert(root);
    }

    /// What this node thinks of the others, 0 to 254.
    pub(super) fn thinks(&mut self, opinions: BTreeMap<AgentId, u8>) {
        self.opinions = Some(opinions);
    }

    /// The agents that took seats.
    pub(super) fn agents(&self) -> impl Iterator<Item = AgentId> {
        self.seats.keys().copied()
    }

    /// Takes in what the chain told.
    pub(super) fn told(&mut self, event: &Event, at: Time) {
        match event {
            Event::Committed { agent, seat, .. } => {
                self.seats.insert(*agent, *seat);
            }
            Event::Revealed { agent, .. } => self.present.extend(self.seats.get(agent)),
            Event::Scored { agent, scores, .. } => {
                if let Some(seat) = self.seats.get(agent)
                    && self.given.iter().all(|(by, _)| by != seat)
                {
                    self.given.push((*seat, scores.clone()));
                }
            }
            Event::Posted { result, .. } => {
                self.posted = Some(result.clone());
                self.posted_at = at;
            }
            Event::Overturned { .. } => {
                self.posted = None;
                self.begun.remove("post");
                self.begun.remove("challenge");
            }
            _ => {}
        }
    }

    /// What is to be done now, if anything; it counts as begun.
    pub(super) fn next(&mut self, now: Time) -> Option<Act> {
        let act = self.due(now)?;
        self.begun.insert(act.name()).then_some(act)
    }

    /// An act has failed in a way that may pass: it may be begun again.
    pub(super) fn failed(&mut self, act: &'static str) {
        self.begun.remove(act);
    }

    fn due(&self, now: Time) -> Option<Act> {
        let root = self.root?;
        if now < self.terms.commit {
            return (!self.begun.contains("commit")).then_some(Act::Commit(root));
        }
        let seat = *self.seats.get(&self.me)?;
        if now < self.terms.reveal {
            let shown = self.present.contains(&seat) || self.begun.contains("reveal");
            return (!shown).then_some(Act::Reveal(root));
        }
        if !self.present.contains(&seat) {
            return None;
        }
        if now < self.terms.score {
            let scored = self.given.iter().any(|(by, _)| *by == seat) || self.begun.contains("score");
            return (!scored).then(|| self.opinion(seat)).flatten().map(Act::Score);
        }
        let right = self.result();
        match &self.posted {
            None => {
                let open = now.0 < self.terms.score.0 + self.terms.challenge;
                let my_turn = self.terms.score.0 + TURN * self.rank(seat);
                (open && now.0 >= my_turn && !self.begun.contains("post")).then_some(Act::Post(right))
            }
            Some(posted) if *posted != right && !self.begun.contains("challenge") => {
                let wrong = (1..=right.0.len() as u16).find(|s| posted.of(*s) != right.of(*s))?;
                let given = self.given.clone();
                Some(Act::Challenge { seat: wrong, posted: posted.clone(), given })
            }
            Some(_) => None,
        }
    }

    /// The medians of what was given.
    fn result(&self) -> Scores {
        let given = self.given.iter().cloned().collect();
        Scores::medians(self.seats.len() as u16, self.terms.quorum, &given, |seat| {
            self.present.contains(&seat)
        })
    }

    /// This node's opinions in the order of the seats; of whom it has none it says so.
    fn opinion(&self, mine: u16) -> Option<Scores> {
        let opinions = self.opinions.as_ref()?;
        let mut scores = vec![Scores::NO_OPINION; self.seats.len()];
        for (agent, seat) in self.seats.iter().filter(|(_, seat)| **seat != mine) {
            let at = scores.get_mut(usize::from(*seat).checked_sub(1)?)?;
            *at = opinions.get(agent).copied().unwrap_or(Scores::NO_OPINION);
        }
        Some(Scores(scores))
    }

    /// Whose turn it is to post goes around, so that no node does it always.
    fn rank(&self, seat: u16) -> u64 {
        let order: Vec<u16> = self.present.iter().copied().collect();
        let at = order.iter().position(|s| *s == seat).unwrap_or(0) as u64;
        let count = order.len().max(1) as u64;
        (at + self.id.number) % count
    }

    /// What this node gets of the round.
    pub(super) fn outcome(&self, now: Time) -> Outcome {
        let over = self.terms.score.0 + 2 * self.terms.challenge;
        match (&self.posted, self.seats.get(&self.me)) {
            (Some(result), Some(seat)) if now.0 > self.posted_at.0 + self.terms.challenge => {
                if result.of(*seat).is_some_and(|score| score > 0) {
                    return Outcome::Share(Reward { round: self.id, seat: *seat, result: result.clone() });
                }
                Outcome::Nothing
            }
            _ if now.0 > over + 1 => Outcome::Nothing,
            _ => Outcome::Open,
        }
    }

    /// What must outlive the process.
    pub(super) fn kept(&self) -> Option<Hash> {
        self.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain::SwarmId;

    const ME: AgentId = AgentId(1);
    const OTHER: AgentId = AgentId(2);
    const THIRD: AgentId = AgentId(3);

    fn play() -> Play {
        let terms = Terms { commit: Time(10), reveal: Time(20), score: Time(30), challenge: 10, quorum: 2 };
        Play::new(SwarmId(1).round(1), terms, 5, ME)
    }

    fn id() -> RoundId {
        SwarmId(1).round(1)
    }

    /// Three seats, all revealed.
    fn seated() -> Play {
        let mut play = play();
        play.made(Hash([7; 32]));
        for (agent, seat) in [(OTHER, 1), (ME, 2), (THIRD, 3)] {
            play.told(&Event::Committed { round: id(), agent, seat, commitment: Hash::ZERO }, Time(3));
        }
        for agent in [OTHER, ME, THIRD] {
            play.told(&Event::Revealed { round: id(), agent, root: Hash::ZERO }, Time(12));
        }
        play
    }

    fn scored(play: &mut Play, agent: AgentId, scores: &[u8]) {
        play.told(&Event::Scored { round: id(), agent, scores: Scores(scores.to_vec()) }, Time(25));
    }

    #[test]
    fn it_commits_once_and_only_with_something_made() {
        let mut play = play();
        assert_eq!(play.next(Time(1)), None);
        play.made(Hash([7; 32]));
        assert_eq!(play.next(Time(1)), Some(Act::Commit(Hash([7; 32]))));
        assert_eq!(play.next(Time(2)), None);
        play.failed("commit");
        assert_eq!(play.next(Time(3)), Some(Act::Commit(Hash([7; 32]))));
        // Nobody gave it a seat: it has no more to do.
        assert_eq!(play.next(Time(15)), None);
        assert_eq!(play.outcome(Time(100)), Outcome::Nothing);
    }

    #[test]
    fn it_scores_seats_in_their_order() {
        let mut play = seated();
        assert_eq!(play.next(Time(25)), None, "it thinks nothing yet");
        play.thinks(BTreeMap::from([(THIRD, 9)]));
        assert_eq!(play.next(Time(25)), Some(Act::Score(Scores(vec![255, 255, 9]))));
    }

    #[test]
    fn the_result_is_posted_by_turns_and_a_wrong_one_is_challenged() {
        let mut play = seated();
        scored(&mut play, OTHER, &[255, 100, 50]);
        scored(&mut play, ME, &[200, 255, 60]);
        scored(&mut play, THIRD, &[180, 90, 255]);
        let right = Scores(vec![180, 90, 50]);
        // Seat 2 of 3 in round 1 has the last turn.
        assert_eq!(play.clone().next(Time(30)), None);
        assert_eq!(play.clone().next(Time(32)), Some(Act::Post(right.clone())));
        let posted = |result| Event::Posted { round: id(), agent: OTHER, result };
        let mut honest = play.clone();
        honest.told(&posted(right.clone()), Time(31));
        assert_eq!(honest.next(Time(33)), None);
        assert_eq!(honest.outcome(Time(41)), Outcome::Open);
        assert_eq!(honest.outcome(Time(42)), Outcome::Share(Reward { round: id(), seat: 2, result: right }));
        let lie = Scores(vec![254, 90, 50]);
        play.told(&posted(lie.clone()), Time(31));
        assert!(
            matches!(play.next(Time(33)), Some(Act::Challenge { seat: 1, posted, given }) if posted == lie && given.len() == 3)
        );
        // Once it is struck, another result may be posted.
        let struck = Event::Overturned {
            round: id(),
            challenger: chain::Address::ZERO,
            seat: 1,
            posted: 254,
            right: 180,
        };
        play.told(&struck, Time(34));
        assert!(matches!(play.next(Time(35)), Some(Act::Post(_))));
    }

    #[test]
    fn who_was_absent_does_nothing_more_and_earns_nothing() {
        let mut play = play();
        play.made(Hash([7; 32]));
        play.told(&Event::Committed { round: id(), agent: ME, seat: 1, commitment: Hash::ZERO }, Time(3));
        play.thinks(BTreeMap::new());
        assert_eq!(play.next(Time(25)), None);
        play.told(&Event::Posted { round: id(), agent: OTHER, result: Scores(vec![0]) }, Time(31));
        assert_eq!(play.next(Time(33)), None);
        assert_eq!(play.outcome(Time(50)), Outcome::Nothing);
    }
}
