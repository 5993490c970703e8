//! Sharing, end to end in the simulator.

mod common;

use common::{charter, mean, parrots, parts, share, sim};
use swarm::sim::{Body, Links, Nature, Parrot, Sim, broken};
use swarm::{Entry, Play, Standing};

#[test]
fn a_flock_learns() {
    let parts = share();
    let mut sim = sim(&parts, 4, 1);
    sim.run(60).unwrap();
    let (first, last) = (mean(&sim, 0..4, 0..5), mean(&sim, 0..4, 55..60));
    assert!(last > 2.0 * first && last > 0.5, "{first} -> {last}");
    assert!(broken(&sim.seen).is_empty(), "{:?}", broken(&sim.seen));
    // Everyone learns from others, and audits find nothing.
    let of_others = |seen: &swarm::sim::Seen| matches!(&seen.entry, Entry::Learning { groups, .. } if groups.keys().any(|k| *k != seen.by));
    assert!(sim.seen.iter().filter(|seen| of_others(seen)).count() > 100);
    let held =
        sim.seen.iter().filter(|s| matches!(s.entry, Entry::Audited { finding: swarm::Finding::Holds, .. }));
    assert!(held.count() > 200);
    assert!(sim.scores.iter().any(|(.., of)| of.len() == 3 && of.values().all(|score| *score > 60)));
}

#[test]
fn the_same_seed_is_the_same_story() {
    let parts = share();
    let story = |seed| {
        let mut sim = Sim::new(parts.clone(), parrots(&parts, 3), Links::BAD, seed).unwrap();
        sim.kill_one_every_round();
        sim.run(6).unwrap();
        (0..3).map(|i| sim.body(i).freeze().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(story(3), story(3));
    assert_ne!(story(3), story(4));
}

#[test]
fn sharing_helps_those_who_seldom_succeed() {
    let run = |own, foreign| {
        let parts = parts(charter(Play::Share { own, foreign }));
        let mut sim = sim(&parts, 8, 5);
        sim.run(25).unwrap();
        mean(&sim, 0..8, 0..25)
    };
    let (alone, together) = (run(4, 0), run(4, 24));
    assert!(together > 1.2 * alone, "{alone} alone, {together} together");
}

/// Any node killed in every round, a fifth of all messages lost, 300 ms on the way, and one that lies in every field.
#[test]
fn a_flock_bears_what_may_happen() {
    let parts = share();
    let rounds = 50;
    let mut calm = sim(&parts, 8, 7);
    calm.run(rounds).unwrap();

    let mut nodes = parrots(&parts, 8);
    nodes[0].1 = Nature { lie: Some(Box::new(common_lies)), ..Nature::default() };
    let mut rough = Sim::new(parts.clone(), nodes, Links::BAD, 7).unwrap();
    rough.kill_one_every_round();
    rough.run(rounds).unwrap();

    let (right, got) = (mean(&calm, 1..8, rounds - 10..rounds), mean(&rough, 1..8, rounds - 10..rounds));
    assert!(got > 0.9 * right, "{right} without faults, {got} with them");
    let liar = Sim::<Parrot>::id(0);
    for honest in 1..8 {
        let by = Sim::<Parrot>::id(honest);
        let unheard = |seen: &&swarm::sim::Seen| seen.by == by && seen.entry == Entry::Unheard { peer: liar };
        let first = rough.seen.iter().find(unheard).map(|seen| seen.round);
        assert!(
            first.is_some_and(|round| round < 5),
            "node {honest} stopped hearing the liar in round {first:?}"
        );
    }
    // Nobody who is honest lost the others' ear.
    let honest = |seen: &&swarm::sim::Seen| {
        seen.by != liar && matches!(seen.entry, Entry::Unheard { peer } if peer != liar)
    };
    assert_eq!(rough.seen.iter().find(honest), None);
}

/// Every field, by chance.
fn common_lies(message: &mut swarm::Message, dice: &mut gym::Dice) {
    message.round = message.round.wrapping_add(dice.below(3)).wrapping_sub(1);
    message.stage = dice.below(3) as u8;
    message.root[0] ^= dice.bits() as u8;
    message.parts = dice.below(9) as u16;
    for group in &mut message.groups {
        group.number = dice.below(9) as u16;
        group.environment = dice.below(2) as u16;
        group.level = dice.below(2) as u8;
        group.seed ^= dice.below(2);
        group.sampling.temperature = dice.unit() as f32;
        for said in &mut group.answers {
            for (token, logp) in said.tokens.iter_mut().zip(&mut said.logps) {
                *token = dice.below(12) as u32;
                *logp += dice.unit() as f32 - 0.5;
            }
        }
    }
}

#[test]
fn nobody_is_waited_for() {
    let parts = share();
    let mut sim = sim(&parts, 4, 2);
    sim.run(3).unwrap();
    (1..4).for_each(|dead| sim.kill_now(dead));
    sim.run(5).unwrap();
    assert_eq!(sim.rewards(0).len(), 8, "it answered in every round");
    let done =
        |s: &&swarm::sim::Seen| s.by == Sim::<Parrot>::id(0) && matches!(s.entry, Entry::Learned { .. });
    assert_eq!(sim.seen.iter().filter(done).count(), 8, "and learned in every round");
    // Who is not there is not worse for it.
    let flock = sim.flock(0).unwrap();
    assert!(flock.standings().values().all(|standing| standing.points() >= Standing::STRANGER));
}

#[test]
fn who_is_slow_is_used_as_it_comes() {
    let parts = share();
    let mut nodes = parrots(&parts, 3);
    // Longer than a stage, so that the others do not wait; and longer than a round to do both.
    nodes[2].1.takes_ms = [2_500, 2_500];
    let mut sim = Sim::new(parts.clone(), nodes, Links::GOOD, 1).unwrap();
    sim.run(20).unwrap();
    let slow = Sim::<Parrot>::id(2);
    let learned_from = |by: usize, whom| {
        let by = Sim::<Parrot>::id(by);
        let of = move |s: &&swarm::sim::Seen| {
            s.by == by && matches!(&s.entry, Entry::Learning { groups, .. } if groups.contains_key(&whom))
        };
        sim.seen.iter().filter(of).count()
    };
    assert!(learned_from(0, slow) > 5, "{}", learned_from(0, slow));
    assert!(learned_from(2, Sim::<Parrot>::id(0)) > 5);
    assert!((12..=17).contains(&sim.rewards(2).len()), "{} rounds", sim.rewards(2).len());
    assert!(broken(&sim.seen).values().flatten().all(|rule| rule.price() == 0));
}

#[test]
fn the_deaf_learn_alone() {
    let parts = share();
    let mut nodes = parrots(&parts, 3);
    nodes[2].1.deaf = true;
    let mut sim = Sim::new(parts.clone(), nodes, Links::GOOD, 1).unwrap();
    sim.run(10).unwrap();
    let deaf = Sim::<Parrot>::id(2);
    let others = |s: &&swarm::sim::Seen| {
        s.by == deaf
            && matches!(&s.entry, Entry::Learning { groups, .. } if groups.keys().any(|k| *k != deaf))
    };
    assert_eq!(sim.seen.iter().find(others), None);
}

#[test]
fn in_a_large_swarm_a_few_speak_at_a_time_and_all_learn() {
    let mut charter = charter(Play::Share { own: 4, foreign: 8 });
    charter.round.voices = 8;
    let parts = parts(charter);
    let mut sim = sim(&parts, 80, 3);
    sim.run(12).unwrap();
    let (mut spoke, mut rounds) = (std::collections::BTreeSet::new(), 0);
    for _ in 0..20 {
        sim.run(1).unwrap();
        let flock = sim.flock(0).unwrap();
        let world = flock.worlds().next().unwrap();
        let heard: std::collections::BTreeSet<_> = world.stage(0).map(|(node, ..)| node).collect();
        assert!((1..=33).contains(&heard.len()), "{} spoke, and about 8 were to", heard.len());
        rounds += heard.len();
        spoke.extend(heard);
    }
    assert!((100..=300).contains(&rounds), "{rounds} in 20 rounds");
    assert!(spoke.len() > 60, "only {} of 80 ever spoke", spoke.len());
    let (first, last) = (mean(&sim, 0..80, 0..3), mean(&sim, 0..80, 29..32));
    assert!(last > 1.5 * first, "{first} -> {last}");
    assert!(broken(&sim.seen).values().flatten().all(|rule| rule.price() == 0), "{:?}", broken(&sim.seen));
}
