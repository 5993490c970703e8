//! What others say: judged, and taken or refused.

use std::collections::BTreeSet;

use super::Flock;
use crate::event::{Effect, Entry};
use crate::id::NodeId;
use crate::limits;
use crate::lot::Lot;
use crate::memory::Early;
use crate::round::Round;
use crate::rules::{Rule, Verdict, is_copy};
use crate::standing::Standing;
use crate::wire::Message;
use crate::world::Known;

/// How a message was found to be.
enum Judged {
    /// New, and in order.
    Fine,
    /// In order, and there before.
    Again,
    /// Of a round to come.
    Early,
    Broke(Rule),
    /// Too like what this node said.
    Copy {
        of: NodeId,
    },
    /// Of another world than ours: of rounds that we do not know of, or drawn from another seed.
    Apart(Rule),
}

impl Flock {
    pub(super) fn hears(&self, peer: NodeId) -> bool {
        self.standings.get(&peer).is_none_or(Standing::is_heard)
    }

    pub(super) fn heard(&mut self, message: Early) {
        let Early { ticket, from, .. } = message;
        let verdict = match self.judge(from, &message.bytes) {
            Judged::Fine => Verdict::Accept,
            Judged::Again => Verdict::Ignore,
            Judged::Early => {
                let of_one = self.early.iter().filter(|early| early.from == from).count();
                if of_one < limits::EARLY_OF_ONE && self.early.len() < limits::EARLY_MESSAGES {
                    return self.early.push_back(message);
                }
                Verdict::Ignore
            }
            Judged::Broke(rule) => {
                self.broke(from, rule);
                rule.verdict()
            }
            Judged::Copy { of } => {
                // Who came first need not be who made it: both are looked at.
                let room = limits::PEERS.saturating_sub(self.suspects.len());
                self.suspects.extend([from, of].into_iter().filter(|node| *node != self.me).take(room));
                self.broke(from, Rule::Copy);
                Rule::Copy.verdict()
            }
            Judged::Apart(rule) => {
                if let Some(round) = self.round.as_mut().filter(|r| r.facts.apart.len() < limits::PEERS) {
                    round.facts.apart.insert(from, rule);
                }
                rule.verdict()
            }
        };
        self.effects.push(Effect::Judge { ticket, from, verdict });
    }

    fn judge(&mut self, from: NodeId, bytes: &[u8]) -> Judged {
        if from == self.me || !self.hears(from) {
            return Judged::Again;
        }
        if bytes.len() > limits::MESSAGE_BYTES {
            return Judged::Broke(Rule::Size);
        }
        let Some(message) = Message::decode(bytes) else { return Judged::Broke(Rule::Form) };
        if message.swarm != self.swarm {
            return Judged::Broke(Rule::Swarm);
        }
        let Some(current) = self.round() else { return Judged::Early };
        if message.round > current {
            if message.round - current <= limits::EARLY_ROUNDS
                || self.next.is_some_and(|(n, ..)| n == message.round)
            {
                return Judged::Early;
            }
            return Judged::Apart(Rule::Future);
        }
        let slot = if message.round == current { self.round.take() } else { self.last.take() };
        let Some(mut round) = slot else { return Judged::Broke(Rule::Late) };
        let judged = if round.facts.number == message.round {
            self.take(&mut round, from, message, bytes.len())
        } else {
            Judged::Broke(Rule::Late)
        };
        if round.facts.number == current {
            self.round = Some(round);
        } else {
            self.last = Some(round);
        }
        judged
    }

    /// Takes a message into its round, or none of it.
    fn take(&self, round: &mut Round, from: NodeId, message: Message, bytes: usize) -> Judged {
        let stages = self.parts.game.stages();
        if !round.facts.voices.might_speak(Lot::of(&from, round.facts.seed)) {
            return Judged::Broke(Rule::Lot);
        }
        if !round.facts.peers.contains_key(&from) && round.facts.peers.len() >= limits::PEERS {
            return Judged::Broke(Rule::Room);
        }
        let peer = round.facts.peers.entry(from).or_default();
        peer.messages += 1;
        // Each prompt in a message of its own, and everything twice.
        let due: u32 = stages.iter().map(|stage| 1 + u32::from(stage.due)).sum();
        if peer.messages > 2 * due {
            return Judged::Broke(Rule::Flood);
        }
        let Some(stage) = stages.get(usize::from(message.stage)) else { return Judged::Broke(Rule::Stage) };
        let most = stage.due.max(1);
        if message.part >= message.parts || message.parts > most || message.groups.len() > usize::from(most) {
            return Judged::Broke(Rule::Stage);
        }
        // Who has nothing to say need not have a model yet.
        if !message.groups.is_empty() {
            if peer.root.is_some_and(|root| root != message.root) {
                return Judged::Broke(Rule::Root);
            }
            peer.root = Some(message.root);
        }
        if round.facts.held_bytes + bytes > limits::HELD_BYTES {
            return Judged::Broke(Rule::Room);
        }
        let (mut found, mut unheard) = (Vec::new(), false);
        let mut numbers = BTreeSet::new();
        for group in message.groups {
            if !numbers.insert(group.number) {
                return Judged::Broke(Rule::Equivocation);
            }
            if let Some(before) = round.world.get(message.stage, from, group.number) {
                // By their digests: a number that is none equals nothing, not even itself.
                if before.group.digest() != group.digest() {
                    return Judged::Broke(Rule::Equivocation);
                }
                continue;
            }
            match self.known(round, message.stage, from, message.root, group) {
                Ok(known) => found.push(known),
                Err(Rule::Unheard) => unheard = true,
                Err(Rule::Seed) => return Judged::Apart(Rule::Seed),
                Err(rule) => return Judged::Broke(rule),
            }
        }
        let original = |known: &Known| {
            let mut others = round.world.others(from, &known.prompt);
            others.find(|(_, other)| is_copy(&known.group, &other.group)).map(|(node, _)| node)
        };
        if let Some(of) = found.iter().find_map(original) {
            return Judged::Copy { of };
        }
        let peer = round.facts.peers.entry(from).or_default();
        let (parts, count) =
            peer.parts.entry(message.stage).or_insert_with(|| (BTreeSet::new(), message.parts));
        let again = !parts.insert(message.part) || *count != message.parts;
        if again && found.is_empty() {
            return Judged::Again;
        }
        round.facts.held_bytes += bytes;
        for known in found {
            round.facts.fresh.insert((message.stage, from, known.group.number));
            round.world.add(message.stage, from, known);
        }
        if unheard { Judged::Broke(Rule::Unheard) } else { Judged::Fine }
    }

    /// A peer broke a rule.
    pub(super) fn broke(&mut self, peer: NodeId, rule: Rule) {
        self.log(Entry::Refused { from: peer, rule });
        if rule.price() == 0 {
            return;
        }
        self.make_room_for(peer);
        let standing = self.standings.entry(peer).or_insert_with(Standing::stranger);
        let heard = standing.is_heard();
        standing.broke(rule);
        if heard && !standing.is_heard() {
            self.forget_answers(peer);
            self.log(Entry::Unheard { peer });
        }
    }

    /// What an unheard peer has said is not learned from any more.
    fn forget_answers(&mut self, peer: NodeId) {
        for round in self.round.iter_mut().chain(&mut self.last) {
            round.facts.fresh.retain(|(_, node, _)| *node != peer);
        }
    }

    /// Keeps standings bounded: the best are forgotten first, since a stranger is treated nearly as well.
    pub(super) fn make_room_for(&mut self, peer: NodeId) {
        if self.standings.len() < limits::STANDINGS || self.standings.contains_key(&peer) {
            return;
        }
        let best = self.standings.iter().max_by_key(|(_, standing)| standing.points()).map(|(node, _)| *node);
        if let Some(best) = best {
            self.standings.remove(&best);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::charter::Charter;
    use crate::event::Event;
    use crate::flock::Parts;
    use crate::id::Seed;
    use crate::lot::Voices;
    use crate::memory::Memory;
    use crate::rules::Verdict;
    use crate::tongue::Tongue;

    /// Who always speaks, though it was not drawn, is not heard: so it earns no more than the others.
    #[test]
    fn who_was_not_drawn_is_not_heard() {
        let charter = Charter::new();
        let tongue = Tongue::wren(charter.answers.prompt, charter.answers.tokens);
        let parts = Arc::new(Parts::new(charter, tongue).unwrap());
        let (swarm, seed) = (parts.charter.id(), Seed([1; 32]));
        let mut flock = Flock::new(parts, Memory::new(swarm, NodeId::of(b"me"), Seed([2; 32]))).unwrap();
        flock.step(0, Event::Opened { round: 1, seed });
        let nodes: Vec<NodeId> = (0..40_u8).map(|i| NodeId::of(&[i])).collect();
        let voices = Voices(u32::MAX / 10);
        flock.round.as_mut().unwrap().facts.voices = voices;
        let silence =
            Message { swarm, round: 1, stage: 0, part: 0, parts: 1, root: [0; 32], groups: Vec::new() };
        let mut heard = 0;
        for from in nodes {
            let bytes = silence.encode();
            let effects = flock.step(1, Event::Heard { ticket: 7, from, bytes });
            let refused = effects.contains(&Effect::Log(Entry::Refused { from, rule: Rule::Lot }));
            let verdict = if refused { Verdict::Ignore } else { Verdict::Accept };
            assert_eq!(refused, !voices.might_speak(Lot::of(&from, seed)));
            assert!(effects.contains(&Effect::Judge { ticket: 7, from, verdict }), "{effects:?}");
            assert_eq!(flock.standings.get(&from).map(Standing::points), None, "it costs nothing");
            heard += u32::from(!refused);
        }
        assert!((1..20).contains(&heard), "{heard}");
    }
}
