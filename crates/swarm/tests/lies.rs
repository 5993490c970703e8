//! Lies, each caught by the rule that is there for it.

mod common;

use std::collections::BTreeSet;

use common::{Hand, charter, parrots, parts, share};
use gym::Dice;
use proptest::prelude::*;
use swarm::sim::{Links, Nature, Parrot, Sim, broken};
use swarm::{Entry, Finding, Message, NodeId, Play, Reference, Rule, Said, Verdict, limits};

type Lie = fn(&mut Message, &mut Dice);

fn said(message: &mut Message) -> &mut Said {
    &mut message.groups[0].answers[0]
}

/// One field each, all else being right.
const LIES: &[(&str, Rule, Lie)] = &[
    ("the swarm", Rule::Swarm, |m, _| m.swarm[0] ^= 1),
    ("the round, made old", Rule::Late, |m, _| m.round = m.round.saturating_sub(3)),
    ("the round, made the last one", Rule::Seed, |m, _| m.round = m.round.saturating_sub(1)),
    ("the round, made up", Rule::Future, |m, _| m.round += 7),
    ("the stage", Rule::Stage, |m, _| m.stage = 1),
    ("the part", Rule::Stage, |m, _| m.part = m.parts),
    ("the parts", Rule::Stage, |m, _| m.parts = 9),
    ("the root, made up", Rule::Withheld, |m, _| m.root[0] ^= 1),
    ("the number", Rule::Number, |m, _| m.groups[0].number = 4),
    ("the numbers, exchanged", Rule::Seed, |m, _| {
        let [a, b, ..] = &mut m.groups[..] else { return };
        std::mem::swap(&mut a.number, &mut b.number);
    }),
    ("the number, twice", Rule::Equivocation, |m, _| {
        let group = m.groups[0].clone();
        m.groups[1] = group;
        m.groups[1].answers.swap(0, 1);
    }),
    ("the environment", Rule::Environment, |m, _| m.groups[0].environment = 1),
    ("the level", Rule::Level, |m, _| m.groups[0].level = 1),
    ("what was shown", Rule::Shown, |m, _| {
        m.groups[0].shown.push(Reference { node: NodeId([0; 32]), stage: 0, number: 0, sample: 0 });
    }),
    ("the seed", Rule::Seed, |m, _| m.groups[0].seed ^= 1),
    ("the temperature", Rule::Sampling, |m, _| m.groups[0].sampling.temperature = 0.5),
    ("the likeliest only", Rule::Sampling, |m, _| m.groups[0].sampling.top_k = 1),
    ("the likely only", Rule::Sampling, |m, _| m.groups[0].sampling.top_p = 0.9),
    ("an answer less", Rule::Samples, |m, _| _ = m.groups[0].answers.pop()),
    ("an answer more", Rule::Samples, |m, _| {
        let more = said(m).clone();
        m.groups[0].answers.push(more);
    }),
    ("no token", Rule::Length, |m, _| *said(m) = Said::default()),
    ("too many tokens", Rule::Length, |m, _| *said(m) = Said { tokens: vec![2; 9], logps: vec![-1.0; 9] }),
    ("a log-probability less", Rule::Length, |m, _| _ = said(m).logps.pop()),
    ("no such token", Rule::Vocabulary, |m, _| said(m).tokens[0] = 999),
    ("an end in the middle", Rule::Ending, |m, _| {
        *said(m) = Said { tokens: vec![lm::Alphabet::END, 3, lm::Alphabet::END], logps: vec![-1.0; 3] };
    }),
    ("no end", Rule::Ending, |m, _| *said(m) = Said { tokens: vec![3, 3], logps: vec![-1.0; 2] }),
    ("a probability above 1", Rule::Logp, |m, _| said(m).logps[0] = 0.5),
    ("a probability that is none", Rule::Logp, |m, _| said(m).logps[0] = f32::NAN),
    ("a probability of 0", Rule::Logp, |m, _| said(m).logps[0] = f32::NEG_INFINITY),
    ("a bit of a log-probability", Rule::Audit, |m, _| {
        let logp = &mut said(m).logps[0];
        *logp = f32::from_bits(logp.to_bits() ^ 1);
    }),
    ("a token", Rule::Audit, |m, _| {
        let token = &mut said(m).tokens[0];
        *token = if *token == 3 {
            4
        } else if *token == lm::Alphabet::END {
            *token
        } else {
            3
        };
    }),
    ("answers exchanged", Rule::Audit, |m, _| m.groups[0].answers.reverse()),
];

#[test]
fn every_lie_is_caught_by_its_rule() {
    for (name, rule, lie) in LIES {
        let parts = share();
        let mut nodes = parrots(&parts, 4);
        nodes[0].1 = Nature { lie: Some(Box::new(lie)), ..Nature::default() };
        let mut sim = Sim::new(parts, nodes, Links::GOOD, 3).unwrap();
        sim.run(30).unwrap();
        let liar = Sim::<Parrot>::id(0);
        sim.seen.retain(|seen| seen.by != liar);
        let broken = broken(&sim.seen);
        let of_liar = broken.get(&liar).cloned().unwrap_or_default();
        assert!(of_liar.contains(rule), "a lie about {name} broke {of_liar:?}, not {rule:?}");
        let blamed: Vec<NodeId> = broken.keys().copied().collect();
        assert_eq!(blamed, [liar], "{name}: the honest are not blamed: {broken:?}");
        if rule.price() > 0 {
            for honest in 1..4 {
                let by = Sim::<Parrot>::id(honest);
                let unheard = sim.seen.iter().any(|s| s.by == by && s.entry == Entry::Unheard { peer: liar });
                assert!(unheard, "{name}: node {honest} goes on hearing the liar");
            }
        }
    }
}

/// Until an audit convicts, what only an audit can find is learned from: not longer.
#[test]
fn a_conviction_is_for_long() {
    let parts = share();
    let mut nodes = parrots(&parts, 4);
    let lie: Lie = |m, _| m.groups[0].answers.reverse();
    nodes[0].1 = Nature { lie: Some(Box::new(lie)), ..Nature::default() };
    let mut sim = Sim::new(parts, nodes, Links::GOOD, 3).unwrap();
    sim.run(20).unwrap();
    let liar = Sim::<Parrot>::id(0);
    for by in (1..4).map(Sim::<Parrot>::id) {
        let convicted = sim.seen.iter().position(|s| {
            s.by == by && matches!(s.entry, Entry::Audited { peer, finding: Finding::Lie { .. }, .. } if peer == liar)
        });
        let after = &sim.seen[convicted.expect("it is audited in 20 rounds")..];
        let learned = |s: &&swarm::sim::Seen| {
            s.by == by && matches!(&s.entry, Entry::Learning { groups, .. } if groups.contains_key(&liar))
        };
        assert_eq!(after.iter().find(learned), None);
        let round = after[0].round;
        assert!(
            sim.scores
                .iter()
                .any(|(who, of, scores)| *who == by && *of == round && scores.get(&liar) == Some(&0))
        );
    }
}

#[test]
fn a_model_is_the_same_throughout_a_round() {
    let parts = share();
    let (mut one, mut two) = (Hand::new(&parts, 1), Hand::new(&parts, 2));
    let (_, message) = (one.open(1), two.open(1).remove(0));
    let from = Sim::<Parrot>::id(2);
    let half = |groups: std::ops::Range<usize>, part| Message {
        part,
        parts: 2,
        groups: message.groups[groups].to_vec(),
        ..message.clone()
    };
    assert_eq!(one.hear(from, &half(0..2, 0)), (Some(Verdict::Accept), None));
    let mut other = half(2..4, 1);
    other.root[0] ^= 1;
    assert_eq!(one.hear(from, &other), (Some(Verdict::Ignore), Some(Rule::Root)));
    assert_eq!(one.hear(from, &half(2..4, 1)), (Some(Verdict::Accept), None));
    assert_eq!(one.hear(from, &half(2..4, 1)), (Some(Verdict::Ignore), None), "again");
}

#[test]
fn nobody_says_two_things() {
    let parts = share();
    let (mut one, mut two) = (Hand::new(&parts, 1), Hand::new(&parts, 2));
    let (_, message) = (one.open(1), two.open(1).remove(0));
    let from = Sim::<Parrot>::id(2);
    assert_eq!(one.hear(from, &message).0, Some(Verdict::Accept));
    let mut other = message.clone();
    other.groups[0].answers.swap(0, 1);
    assert_eq!(one.hear(from, &other).1, Some(Rule::Equivocation));
    // Of the last round as well.
    one.open(2);
    other.groups[0].answers.swap(1, 2);
    assert_eq!(one.hear(from, &other).1, Some(Rule::Equivocation));
}

#[test]
fn nobody_gives_anothers_answers_for_its_own() {
    // All have the same tasks.
    let parts = parts(charter(Play::Debate { tasks: 3, critiques: 1, candidates: 2, foreign: 4 }));
    let [mut one, mut two, mut three] = [1, 2, 3].map(|number| Hand::new(&parts, number));
    let (_, honest, mut copied) = (one.open(1), two.open(1).remove(0), three.open(1).remove(0));
    for (copy, group) in copied.groups.iter_mut().zip(&honest.groups) {
        copy.answers.clone_from(&group.answers);
    }
    assert_eq!(one.hear(Sim::<Parrot>::id(2), &honest), (Some(Verdict::Accept), None));
    assert_eq!(one.hear(Sim::<Parrot>::id(3), &copied), (Some(Verdict::Ignore), Some(Rule::Copy)));
    // One's own answers are known again, too.
    let mut own = two.open(2).remove(0);
    let mine = one.open(2).remove(0);
    for (copy, group) in own.groups.iter_mut().zip(&mine.groups) {
        copy.answers.clone_from(&group.answers);
    }
    assert_eq!(one.hear(Sim::<Parrot>::id(2), &own).1, Some(Rule::Copy));
}

#[test]
fn there_is_a_limit_on_everything() {
    let parts = share();
    let mut one = Hand::new(&parts, 1);
    let mut two = Hand::new(&parts, 2);
    let (_, message) = (one.open(1), two.open(1).remove(0));
    let stranger = |number: usize| NodeId::of(&(1_000 + number).to_le_bytes());
    assert_eq!(one.hear_bytes(stranger(0), vec![0; limits::MESSAGE_BYTES + 1]).1, Some(Rule::Size));
    assert_eq!(one.hear_bytes(stranger(0), vec![0xff; 100]).1, Some(Rule::Form));

    // One who will not stop.
    let empty = Message { groups: Vec::new(), ..message.clone() };
    let rules: Vec<_> = (0..40).map(|_| one.hear(stranger(1), &empty).1).collect();
    assert!(rules.contains(&Some(Rule::Flood)), "{rules:?}");
    assert_eq!(rules.last(), Some(&None), "and is not heard any more");

    // Too many.
    let rules: Vec<_> = (2..limits::PEERS + 10).map(|number| one.hear(stranger(number), &empty).1).collect();
    assert_eq!(rules.iter().flatten().collect::<BTreeSet<_>>(), [&Rule::Room].into());
    assert!(one.flock.standings().len() <= limits::STANDINGS);

    // Messages of a round to come: some are kept, and judged when it comes.
    let mut early = Hand::new(&parts, 3);
    let from = Sim::<Parrot>::id(2);
    assert_eq!(early.hear(from, &message), (None, None));
    for i in 0..limits::EARLY_MESSAGES {
        early.hear(stranger(i), &message);
    }
    assert_eq!(early.hear(stranger(9_999), &message).0, Some(Verdict::Ignore), "no room is left");
    let effects = early.step(swarm::Event::Opened { round: 1, seed: swarm::Seed([1; 32]) });
    let judged = |e: &&swarm::Effect| matches!(e, swarm::Effect::Judge { .. });
    assert_eq!(effects.iter().filter(judged).count(), limits::EARLY_MESSAGES);
    assert!(
        effects.iter().any(
            |e| matches!(e, swarm::Effect::Judge { from: f, verdict: Verdict::Accept, .. } if *f == from)
        )
    );
}

#[test]
fn if_many_are_elsewhere_it_is_we_who_are_lost() {
    let parts = share();
    type Change = fn(&mut Message);
    let changes: [(Rule, Change); 2] =
        [(Rule::Future, |m| m.round = 9), (Rule::Seed, |m| m.groups[0].seed ^= 1)];
    for (rule, change) in changes {
        for elsewhere in [1, 3] {
            let mut hands: Vec<Hand> = (0..5).map(|number| Hand::new(&parts, number)).collect();
            let mut messages: Vec<Message> = hands.iter_mut().map(|hand| hand.open(1).remove(0)).collect();
            messages.iter_mut().skip(1).take(elsewhere).for_each(change);
            for (i, message) in messages.iter().enumerate().skip(1) {
                let verdict = if i <= elsewhere { Verdict::Ignore } else { Verdict::Accept };
                assert_eq!(hands[0].hear(Sim::<Parrot>::id(i), message), (Some(verdict), None));
            }
            let effects = hands[0].step(swarm::Event::Opened { round: 2, seed: swarm::Seed([2; 32]) });
            hands[0].act(effects);
            let standings = hands[0].flock.standings();
            let blamed = standings.values().filter(|s| s.points() < swarm::Standing::STRANGER).count();
            assert_eq!(blamed, usize::from(elsewhere == 1), "{elsewhere} by {rule:?}");
        }
    }
}

/// The chain took a round back and opened it again.
#[test]
fn a_round_may_be_opened_again() {
    let parts = share();
    let [mut one, mut two] = [1, 2].map(|number| Hand::new(&parts, number));
    let first = one.open(1);
    let seed = swarm::Seed([99; 32]);
    let effects = one.step(swarm::Event::Opened { round: 1, seed });
    let second = one.act(effects);
    assert_eq!((first[0].round, second[0].round), (1, 1));
    assert_ne!(first[0].groups, second[0].groups);
    let effects = two.step(swarm::Event::Opened { round: 1, seed });
    two.act(effects);
    assert_eq!(two.hear(Sim::<Parrot>::id(1), &second[0]), (Some(Verdict::Accept), None));
    assert!(one.step(swarm::Event::Opened { round: 1, seed }).is_empty(), "once is enough");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever comes, every message is judged once, and the round goes on.
    #[test]
    fn any_messages_are_borne(
        changes in proptest::collection::vec((0..4usize, any::<usize>(), any::<u8>(), any::<bool>()), 1..30)
    ) {
        let parts = share();
        let mut one = Hand::new(&parts, 0);
        let mut hands: Vec<Hand> = (1..4).map(|number| Hand::new(&parts, number)).collect();
        one.open(1);
        let messages: Vec<Vec<u8>> = hands.iter_mut().map(|hand| hand.open(1).remove(0).encode()).collect();
        for (who, at, byte, cut) in changes {
            let mut bytes = messages[who % 3].clone();
            let at = at % bytes.len();
            bytes[at] ^= byte;
            if cut {
                bytes.truncate(at);
            }
            let (verdict, _) = one.hear_bytes(Sim::<Parrot>::id(who), bytes);
            prop_assert!(verdict.is_some() || who == 0 || cut || at >= 32, "of a round to come, or judged");
        }
        one.now += 10_000;
        let effects = one.step(swarm::Event::Tick);
        let goes_on = effects.iter().any(|e| matches!(e, swarm::Effect::Learn { .. } | swarm::Effect::Done { .. }));
        prop_assert!(goes_on);
    }
}
