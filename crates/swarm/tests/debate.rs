//! Debates, end to end in the simulator.

mod common;

use std::sync::Arc;

use common::{charter, mean, parrots, parts};
use swarm::sim::{Links, Nature, Parrot, Sim, broken};
use swarm::{Entry, Message, Parts, Play, Reference, Rule};

fn debate() -> Arc<Parts> {
    parts(charter(Play::Debate { tasks: 4, critiques: 2, candidates: 3, foreign: 24 }))
}

fn stage_reward(sim: &Sim<Parrot>, stage: u8, rounds: std::ops::Range<u64>) -> f32 {
    let said = |seen: &swarm::sim::Seen| match seen.entry {
        Entry::Said { round, stage: of, reward, groups }
            if of == stage && groups > 0 && rounds.contains(&round) =>
        {
            Some(reward)
        }
        _ => None,
    };
    let all: Vec<f32> = sim.seen.iter().filter_map(said).collect();
    all.iter().sum::<f32>() / all.len().max(1) as f32
}

#[test]
fn a_flock_learns_to_answer_criticise_and_vote() {
    let parts = debate();
    let mut sim = Sim::new(parts.clone(), parrots(&parts, 4), Links::GOOD, 1).unwrap();
    sim.run(60).unwrap();
    for stage in 0..2 {
        let (first, last) = (stage_reward(&sim, stage, 0..10), stage_reward(&sim, stage, 50..60));
        assert!(last > first + 0.1, "stage {stage}: {first} -> {last}");
    }
    // Where all say the same, there is nothing to vote on any more.
    let (first, later) = (stage_reward(&sim, 2, 0..3), stage_reward(&sim, 2, 5..60));
    assert!(later > first + 0.1, "votes: {first} -> {later}");
    assert!(broken(&sim.seen).is_empty(), "{:?}", broken(&sim.seen));
    let held =
        |s: &&swarm::sim::Seen| matches!(s.entry, Entry::Audited { finding: swarm::Finding::Holds, .. });
    assert!(sim.seen.iter().filter(held).count() > 200, "critiques and votes are audited like answers");
}

/// On bad links many have not heard what a critique is about: it is not used, and nobody is blamed.
#[test]
fn what_was_not_heard_is_nobodys_fault() {
    let parts = debate();
    let mut sim = Sim::new(parts.clone(), parrots(&parts, 5), Links { loss: 0.3, ..Links::BAD }, 2).unwrap();
    sim.kill_one_every_round();
    sim.run(40).unwrap();
    let broken = broken(&sim.seen);
    assert!(broken.values().flatten().any(|rule| *rule == Rule::Unheard), "it does happen");
    assert!(broken.values().flatten().all(|rule| rule.price() == 0), "{broken:?}");
    let (first, last) = (mean(&sim, 0..5, 0..5), mean(&sim, 0..5, 35..40));
    assert!(last > first + 0.1, "{first} -> {last}");
}

#[test]
fn who_does_not_show_up_loses_nothing_else() {
    let parts = debate();
    let mut sim = Sim::new(parts.clone(), parrots(&parts, 4), Links::GOOD, 3).unwrap();
    sim.run(5).unwrap();
    sim.kill_now(3);
    sim.run(10).unwrap();
    let absent = Sim::<Parrot>::id(3);
    let opinions = |from: u64| sim.scores.iter().filter(move |(_, round, _)| *round >= from);
    assert!(opinions(6).all(|(.., of)| !of.contains_key(&absent)), "no opinion, so no reward");
    for honest in 0..3 {
        let standing = sim.flock(honest).unwrap().standings().get(&absent).copied();
        assert!(standing.is_none_or(|standing| standing.is_heard() && standing.points() >= 48));
        let learned = |s: &&swarm::sim::Seen| {
            s.by == Sim::<Parrot>::id(honest) && matches!(s.entry, Entry::Learned { .. })
        };
        assert_eq!(sim.seen.iter().filter(learned).count(), 15, "nobody waits");
    }
}

#[test]
fn what_is_criticised_cannot_be_chosen_at_will() {
    type Lie = fn(&mut Message, &mut gym::Dice);
    let lies: &[(&str, Lie)] = &[
        ("oneself", |m, _| shown(m, 1).for_each(|r| r.node = Sim::<Parrot>::id(0))),
        ("another task", |m, _| shown(m, 1).for_each(|r| r.number = (r.number + 1) % 4)),
        ("a later answer", |m, _| shown(m, 1).for_each(|r| r.sample = 1)),
        ("a stage to come", |m, _| shown(m, 1).for_each(|r| r.stage = 2)),
        ("nothing", |m, _| m.groups.iter_mut().filter(|_| m.stage == 1).for_each(|g| g.shown.clear())),
        ("one choice only", |m, _| {
            m.groups.iter_mut().filter(|_| m.stage == 2).for_each(|g| g.shown.truncate(1));
        }),
        ("one choice twice", |m, _| {
            for group in m.groups.iter_mut().filter(|_| m.stage == 2) {
                let first = group.shown[0];
                group.shown.iter_mut().for_each(|r| *r = first);
            }
        }),
    ];
    for (name, lie) in lies {
        let parts = debate();
        let mut nodes = parrots(&parts, 4);
        nodes[0].1 = Nature { lie: Some(Box::new(lie)), ..Nature::default() };
        let mut sim = Sim::new(parts, nodes, Links::GOOD, 3).unwrap();
        sim.run(6).unwrap();
        let liar = Sim::<Parrot>::id(0);
        sim.seen.retain(|seen| seen.by != liar);
        let broken = broken(&sim.seen);
        assert!(broken.get(&liar).is_some_and(|rules| rules.contains(&Rule::Shown)), "{name}: {broken:?}");
    }
}

fn shown(message: &mut Message, stage: u8) -> impl Iterator<Item = &mut Reference> {
    let of = message.stage == stage;
    message.groups.iter_mut().filter(move |_| of).flat_map(|group| &mut group.shown)
}
