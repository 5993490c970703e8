//! What is learned from, and who is audited.

use std::collections::{BTreeMap, BTreeSet};

use super::Flock;
use crate::event::{Claim, Effect, Entry, Finding, Lesson};
use crate::id::NodeId;
use crate::round::{Key, Round};
use crate::rules::Rule;
use crate::standing::Standing;
use crate::world::Known;

impl Flock {
    /// One's own groups that teach something, and some of the others': from each peer one in turn, so that nobody is heard more for saying more.
    pub(super) fn chosen(&self, round: &Round) -> Vec<(bool, Key)> {
        let mine = round.world.all().filter(|(_, node, _, known)| *node == self.me && known.teaches());
        let mut chosen: Vec<(bool, Key)> =
            mine.map(|(stage, node, number, _)| (false, (stage, node, number))).collect();
        let mut others: BTreeMap<NodeId, Vec<(u64, bool, Key)>> = BTreeMap::new();
        for (of_last, from) in
            std::iter::once((false, round)).chain(self.last.iter().map(|last| (true, last)))
        {
            for key in &from.facts.fresh {
                let (stage, node, number) = *key;
                if self.hears(node) && from.world.get(stage, node, number).is_some_and(Known::teaches) {
                    let order = self.order(
                        round,
                        "lesson",
                        &[&node.0, &[stage, u8::from(of_last)], &number.to_le_bytes()],
                    );
                    others.entry(node).or_default().push((order, of_last, *key));
                }
            }
        }
        let mut turns: Vec<(usize, u64, bool, Key)> = Vec::new();
        for (node, mut keys) in others {
            keys.sort_unstable();
            let order = self.order(round, "peer", &[&node.0]);
            turns.extend(
                keys.into_iter().enumerate().map(|(turn, (_, of_last, key))| (turn, order, of_last, key)),
            );
        }
        turns.sort_unstable();
        let foreign = turns.into_iter().take(self.parts.charter.foreign().into());
        chosen.extend(foreign.map(|(_, _, of_last, key)| (of_last, key)));
        chosen
    }

    fn order(&self, round: &Round, purpose: &str, parts: &[&[u8]]) -> u64 {
        let parts: Vec<&[u8]> = std::iter::once(&self.me.0[..]).chain(parts.iter().copied()).collect();
        round.facts.seed.number(purpose, &parts)
    }

    pub(super) fn lessons(&self, round: &Round, chosen: &[(bool, Key)]) -> Vec<Lesson> {
        let lesson = |(of_last, (stage, node, number)): &(bool, Key)| {
            let from = if *of_last { self.last.as_ref()? } else { round };
            let known = from.world.get(*stage, *node, *number)?;
            Some(Lesson {
                node: *node,
                root: known.root,
                claim: claim(known),
                rewards: known.rewards.clone(),
            })
        };
        chosen.iter().filter_map(lesson).collect()
    }

    /// Who is audited: suspects first, then by lot, those for longer who were not audited for long. The lot is drawn from the round's seed, that nobody
    /// chooses, and from a secret of this node, so that nobody can know it who has not been audited yet.
    pub(super) fn drawn(&self, round: &Round) -> Vec<NodeId> {
        let heard: BTreeSet<NodeId> = round.world.all().map(|(_, node, ..)| node).collect();
        let mut left: Vec<(NodeId, u64)> = heard
            .into_iter()
            .filter(|node| *node != self.me && self.hears(*node))
            .map(|node| {
                let audited = self.standings.get(&node).and_then(|standing| standing.audited);
                let since = audited.map_or(16, |at| round.facts.number.saturating_sub(at).min(64));
                (node, if self.suspects.contains(&node) { 1 << 20 } else { 1 + since })
            })
            .collect();
        let mut drawn = Vec::new();
        for i in 0..self.parts.charter.round.audits {
            let all: u64 = left.iter().map(|(_, weight)| weight).sum();
            if all == 0 {
                break;
            }
            let lot = round.facts.seed.number("audit", &[&self.secret.0, &i.to_le_bytes()]) % all;
            let mut before = 0;
            let at = left.iter().position(|(_, weight)| {
                before += weight;
                lot < before
            });
            drawn.extend(at.map(|at| left.remove(at).0));
        }
        drawn
    }

    pub(super) fn audited(&mut self, number: u64, peer: NodeId, finding: Finding) {
        let found = self.round.iter_mut().chain(&mut self.last).find(|round| round.facts.number == number);
        let Some(round) = found else { return };
        if !round.facts.audits.remove(&peer) {
            return;
        }
        if matches!(finding, Finding::Lie { .. }) {
            round.facts.liars.insert(peer);
        }
        self.log(Entry::Audited { peer, round: number, finding });
        match finding {
            Finding::Holds => {
                self.make_room_for(peer);
                let standing = self.standings.entry(peer).or_insert_with(Standing::stranger);
                standing.held += 1;
            }
            Finding::Lie { .. } => self.broke(peer, Rule::Audit),
            Finding::Withheld => self.broke(peer, Rule::Withheld),
            Finding::Undone => return,
        }
        self.suspects.remove(&peer);
        if let Some(standing) = self.standings.get_mut(&peer) {
            standing.audited = Some(number);
        }
    }
}

/// What there is to audit of a peer.
pub(super) fn audit(round: &Round, peer: NodeId) -> Option<Effect> {
    let root = round.facts.peers.get(&peer)?.root?;
    let claims: Vec<Claim> =
        round.world.all().filter(|(_, node, ..)| *node == peer).map(|(.., known)| claim(known)).collect();
    (!claims.is_empty()).then_some(Effect::Audit { round: round.facts.number, peer, root, claims })
}

pub(super) fn claim(known: &Known) -> Claim {
    Claim { prompt: known.prompt.clone(), seed: known.group.seed, answers: known.group.answers.clone() }
}
