//! The same with the model that ships: a few rounds, and what is kept of it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use exact::{Device, Limits};
use lm::checkpoint::Store;
use lm::wren;
use swarm::sim::{Bird, Links, Nature, Seen, Sim, broken};
use swarm::{
    Ask, Auditor, Charter, Claim, Entry, Error, Finding, Lesson, Message, NodeId, Parts, Play, Pupil, Rule,
    Tongue, Trainer, weight_bytes,
};

fn parts() -> Arc<Parts> {
    let mut charter = Charter { game: Play::Share { own: 2, foreign: 2 }, ..Charter::new() };
    charter.answers.samples = 4;
    charter.answers.prompt = 11;
    charter.answers.tokens = 9;
    let tongue = Tongue::wren(11, 9);
    Arc::new(Parts::new(charter, tongue).unwrap())
}

fn pupil(parts: &Parts) -> Pupil {
    let limits = Limits::default();
    let model = wren::load(&Device::cpu(1), limits).unwrap();
    Pupil::new(model, &parts.charter, &parts.tongue, limits).unwrap()
}

#[test]
fn wrens_learn_from_each_other_and_a_liar_is_found_out() {
    let parts = parts();
    let bird = || Bird::new(pupil(&parts), parts.tongue.clone(), Limits::default());
    // The right answer to a question is easy to say, and hard to have said.
    let lie = |message: &mut Message, _: &mut gym::Dice| {
        let said = &mut message.groups[0].answers[0];
        said.tokens[0] = if said.tokens[0] == 2 { 3 } else { 2 };
        said.tokens.truncate(1);
        said.logps.truncate(1);
        said.tokens.push(lm::Alphabet::END);
        said.logps.push(-0.5);
    };
    let mut nodes: Vec<(Bird, Nature)> = (0..3).map(|_| (bird(), Nature::default())).collect();
    nodes[2].1.lie = Some(Box::new(lie));
    let mut sim = Sim::new(parts.clone(), nodes, Links::GOOD, 1).unwrap();
    sim.run(4).unwrap();
    let ids: Vec<NodeId> = (0..3).map(Sim::<Bird>::id).collect();
    sim.seen.retain(|seen| seen.by != ids[2]);
    assert_eq!(broken(&sim.seen).into_iter().collect::<Vec<_>>(), [(ids[2], [Rule::Audit].into())]);
    let held = |seen: &Seen| matches!(seen.entry, Entry::Audited { finding: Finding::Holds, .. });
    assert!(sim.seen.iter().any(held), "the honest are audited and found honest");
    let roots: Vec<[u8; 32]> = (0..2).map(|node| sim.body(node).pupil.root().unwrap()).collect();
    assert_ne!(roots[0], roots[1]);
    assert_ne!(roots[0], pupil(&parts).root().unwrap());
}

fn lessons(parts: &Parts, pupil: &mut Pupil, seed: u64) -> Vec<Lesson> {
    let exam = parts.data.exam(3);
    let ask = |assigned: &swarm::Assigned| {
        let prompt = parts.tongue.prompt(&swarm::Question::of(&assigned.task)).unwrap();
        Ask { prompt, seed: seed + assigned.task.seed, samples: 4 }
    };
    let asks: Vec<Ask> = exam.iter().map(ask).collect();
    let root = pupil.root().unwrap();
    let answers = pupil.answer(&asks).unwrap();
    let lesson = |(ask, answers): (Ask, _)| Lesson {
        node: NodeId([0; 32]),
        root,
        claim: Claim { prompt: ask.prompt, seed: ask.seed, answers },
        rewards: vec![1.0, 0.0, 0.0, 1.0],
    };
    asks.into_iter().zip(answers).map(lesson).collect()
}

#[test]
fn a_pupil_goes_on_from_its_checkpoint() {
    let parts = parts();
    let folder = std::env::temp_dir().join(format!("starling-swarm-{}", std::process::id()));
    let mut one = pupil(&parts);
    let first = lessons(&parts, &mut one, 1);
    let learned = one.learn(&first).unwrap();
    assert_eq!((learned.groups, learned.steps), (3, 1));
    let second = lessons(&parts, &mut one, 2);
    {
        let store = Store::open(&folder).unwrap();
        let mut saving = store.save(7);
        one.save(&mut saving, Some(7)).unwrap();
        saving.finish().unwrap();
    }
    one.learn(&second).unwrap();

    let mut two = pupil(&parts);
    let store = Store::open(&folder).unwrap();
    assert_eq!(two.restore(&store.load(7).unwrap()).unwrap(), Some(7));
    assert_eq!(two.steps(), 1);
    assert_ne!(two.root().unwrap(), one.root().unwrap());
    two.learn(&second).unwrap();
    assert_eq!(two.root().unwrap(), one.root().unwrap(), "weights, moments and rates are what they were");
    drop(store);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn nothing_is_learned_from_what_teaches_nothing() {
    let parts = parts();
    let mut pupil = pupil(&parts);
    let before = pupil.root().unwrap();
    let mut lessons = lessons(&parts, &mut pupil, 1);
    for (lesson, rewards) in
        lessons.iter_mut().zip([vec![0.5; 4], vec![1.0, 0.0], vec![f32::NAN, 0.0, 1.0, 0.0]])
    {
        lesson.rewards = rewards;
    }
    assert_eq!(pupil.learn(&lessons).unwrap().groups, 0);
    assert_eq!(pupil.root().unwrap(), before);
}

#[test]
fn weights_are_known_by_their_root() {
    let parts = parts();
    let mut one = pupil(&parts);
    let first = lessons(&parts, &mut one, 1);
    let base = weight_bytes(one.model()).unwrap();
    let base_root = one.root().unwrap();
    one.learn(&first).unwrap();
    let (bytes, root) = (weight_bytes(one.model()).unwrap(), one.root().unwrap());
    let claims: Vec<Claim> = first.iter().map(|lesson| lesson.claim.clone()).collect();
    let mut auditor = Auditor::new(pupil(&parts).model(), &parts.tongue, Limits::default()).unwrap();
    for (bytes, root) in [(&bytes[..], base_root), (&base, root), (&bytes[4..], root), (&[], root)] {
        assert!(matches!(auditor.take_up(bytes, root), Err(Error::Weights { .. })));
    }
    // One auditor, whoever is audited and whatever it was given before.
    assert_eq!(auditor.audit(&base, base_root, &claims).unwrap(), Finding::Holds);
    assert!(matches!(auditor.audit(&bytes, root, &claims).unwrap(), Finding::Lie { .. }));
    assert_eq!(auditor.audit(&base, base_root, &claims).unwrap(), Finding::Holds);
    // A newcomer takes them for its own.
    let mut newcomer = pupil(&parts);
    newcomer.set_weights(&bytes).unwrap();
    assert_eq!(newcomer.root().unwrap(), root);
}

#[test]
fn an_exam_is_what_it_always_was() {
    let parts = parts();
    let mut pupil = pupil(&parts);
    let got = pupil.examine(&parts, 64, lm::Sampling::PLAIN).unwrap();
    let right = wren::Task::Reverse.exam(pupil.model(), 64, lm::Sampling::PLAIN, Limits::default()).unwrap();
    assert_eq!(got, right);
    assert!(got > 0.05 && got < 0.5, "{got}");
}
