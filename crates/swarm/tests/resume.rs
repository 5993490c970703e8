//! What is kept: a log that replays, a memory that goes on, a node that comes back.

mod common;

use common::{parrots, share, sim};
use swarm::log::Reader;
use swarm::sim::{Body, Links, Nature, Parrot, Sim};
use swarm::{Effect, Error, Event, Flock, Memory, Record, Recorder, replay};

#[test]
fn a_log_replays_to_the_bit() {
    let parts = share();
    let mut nodes = parrots(&parts, 4);
    let lie = |m: &mut swarm::Message, _: &mut gym::Dice| m.groups[0].answers.reverse();
    nodes[3].1 = Nature { lie: Some(Box::new(lie)), ..Nature::default() };
    let mut sim = Sim::new(parts.clone(), nodes, Links::BAD, 11).unwrap();
    sim.kill_one_every_round();
    sim.run(8).unwrap();
    for node in 0..4 {
        let (mut learned, mut rounds) = (0, Vec::new());
        let steps = replay(
            sim.log(node),
            |charter| {
                assert_eq!(charter, parts.charter.to_toml());
                Ok(parts.clone())
            },
            |_, _, effects, flock| {
                learned += effects.iter().filter(|e| matches!(e, Effect::Learn { .. })).count();
                rounds.extend(flock.round());
            },
        );
        assert!(steps.unwrap() > 50 && learned >= 5, "{learned}");
        rounds.dedup();
        assert!(rounds.is_sorted() && rounds.len() >= 7, "{rounds:?}");
    }
}

#[test]
fn a_log_that_was_changed_does_not_replay() {
    let parts = share();
    let mut sim = sim(&parts, 2, 1);
    sim.run(2).unwrap();
    let records: Vec<Record> = Reader::new(sim.log(0)).collect();
    // Another secret makes other audits; an event less, another story.
    for change in [0, 3] {
        let mut writer = swarm::log::Writer::new();
        let mut log = Vec::new();
        for (i, record) in records.iter().enumerate() {
            if i == change && i > 0 {
                continue;
            }
            let mut record = record.clone();
            if let (0, Record::Begin { memory, .. }) = (change, &mut record) {
                **memory = Memory::new(parts.charter.id(), Sim::<Parrot>::id(7), swarm::Seed([9; 32]));
            }
            log.extend(writer.bytes(&record));
        }
        let found = replay(&log, |_| Ok(parts.clone()), |_, _, _, _| {});
        assert!(matches!(found, Err(Error::Replay { .. })), "{change}: {found:?}");
    }
}

#[test]
fn a_torn_end_is_cut_off() {
    let parts = share();
    let mut sim = sim(&parts, 2, 1);
    sim.run(1).unwrap();
    let log = sim.log(0);
    let mut ends = vec![0];
    let mut reader = Reader::new(log);
    while reader.next().is_some() {
        ends.push(reader.whole());
    }
    assert_eq!(ends.last(), Some(&log.len()));
    let tail = ends[ends.len().saturating_sub(4)];
    for cut in tail..log.len() {
        let mut reader = Reader::new(&log[..cut]);
        let count = reader.by_ref().count();
        assert_eq!(
            reader.whole(),
            ends.iter().rev().copied().find(|end| *end <= cut).unwrap(),
            "cut at {cut}"
        );
        assert_eq!(count, ends.iter().filter(|end| **end > 0 && **end <= cut).count());
    }
    // A bit that fell over ends it there, not later.
    let mut damaged = log.to_vec();
    damaged[tail + 14] ^= 4;
    let mut reader = Reader::new(&damaged);
    reader.by_ref().for_each(drop);
    assert_eq!(reader.whole(), tail);
    // What goes on after a cut is one log.
    let (mut recorder, _, whole) = Recorder::resume(parts.clone(), &log[..log.len() - 1]).unwrap().unwrap();
    let mut mended = log[..whole].to_vec();
    for at in 0..3 {
        mended.extend(recorder.step(100_000 + at, Event::Tick).0);
    }
    let steps = replay(&mended, |_| Ok(parts.clone()), |_, _, _, _| {}).unwrap();
    assert_eq!(steps, ends.len() - 3 + 3);
}

#[test]
fn a_log_without_a_beginning_is_none() {
    let parts = share();
    assert!(Recorder::resume(parts.clone(), b"").unwrap().is_none());
    assert!(Recorder::resume(parts.clone(), &[0xff; 100]).unwrap().is_none());
    assert!(matches!(replay(b"", |_| Ok(parts.clone()), |_, _, _, _| {}), Err(Error::Kept { .. })));
}

/// Killed at some time in some rounds and back at once: the same bits as if nothing had happened.
#[test]
fn who_comes_back_goes_on_where_it_was() {
    let parts = share();
    let run = |kills: &[(u64, usize)]| {
        let mut sim = sim(&parts, 3, 1);
        for round in 0..8 {
            for (_, who) in kills.iter().filter(|(at, _)| *at == round) {
                sim.kill_now(*who);
                sim.raise(*who).unwrap();
            }
            sim.run(1).unwrap();
        }
        (0..3).map(|i| sim.body(i).freeze().unwrap()).collect::<Vec<_>>()
    };
    let calm = run(&[]);
    assert_eq!(run(&[(2, 0), (3, 1), (3, 2), (5, 0), (6, 0)]), calm);
}

/// From any moment of a round, by the memory alone: what follows is the same.
#[test]
fn a_memory_is_all_there_is_to_a_flock() {
    let parts = share();
    let mut sim = Sim::new(parts.clone(), parrots(&parts, 3), Links::BAD, 5).unwrap();
    sim.kill_one_every_round();
    sim.run(4).unwrap();
    let steps: Vec<(u64, Event)> = Reader::new(sim.log(1))
        .filter_map(|record| match record {
            Record::Step { at, event, .. } => Some((at, event)),
            Record::Begin { .. } => None,
        })
        .collect();
    let begin = || {
        Flock::new(parts.clone(), Memory::new(parts.charter.id(), Sim::<Parrot>::id(1), swarm::Seed([1; 32])))
    };
    let mut whole = begin().unwrap();
    let mut again = begin().unwrap();
    for (i, (at, event)) in steps.into_iter().enumerate() {
        assert_eq!(whole.step(at, event.clone()), again.step(at, event), "step {i}");
        let bytes = again.memory().encode();
        again = Flock::new(parts.clone(), Memory::decode(&bytes).unwrap()).unwrap();
        assert_eq!(again.memory(), whole.memory(), "after step {i}");
    }
}

#[test]
fn anothers_memory_is_not_taken_up() {
    let parts = share();
    let memory = Memory::new([7; 32], Sim::<Parrot>::id(1), swarm::Seed([1; 32]));
    assert!(matches!(Flock::new(parts, memory.clone()), Err(Error::Kept { .. })));
    let mut bytes = memory.encode();
    assert_eq!(Memory::decode(&bytes).unwrap(), memory);
    bytes[0] = 9;
    assert!(Memory::decode(&bytes).unwrap_err().to_string().contains("another version"));
    assert!(Memory::decode(&[]).is_err() && Memory::decode(&[1, 2, 3]).is_err());
}
