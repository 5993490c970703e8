//! Whole disputes between two machines: who lies loses, whatever the lie; and who does not lie never loses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arena;

use arena::{Arena, Lie, quarrel, work};
use proof::game::{Book, Dispute, Move, Party, Player, Refusal, Stage};
use proof::{Opcode, Tensor};

/// A lie in one word of each value that a step has, all that follows being computed from the lie.
#[test]
fn every_value_can_be_lied_about_and_no_lie_stands() {
    let work = work(2);
    let records = work.graph(1).unwrap().records().to_vec();
    let mut codes = std::collections::BTreeSet::new();
    for (value, record) in (0u32..).zip(&records) {
        // Every other value, and all of the kinds that have to show.
        let wanted = [Opcode::Sum, Opcode::Gather, Opcode::ScatterAdd].contains(&record.code)
            || !record.operands.is_empty() && value % 2 == 0
            || record.operands.is_empty();
        if record.ty.shape.elements() == 0 || !wanted {
            continue;
        }
        let lie = Lie::at(1, value, move |tensor: &mut Tensor| {
            // Enough of a change not to be rounded away on its way to the states.
            let last = tensor.words.len() - 1;
            tensor.words[last] = match tensor.ty.dtype {
                exact::DType::U32 => tensor.words[last] ^ 1,
                exact::DType::F32 if tensor.words[last] == 0 => 0.5f32.to_bits(),
                exact::DType::F32 => tensor.words[last] ^ 1 << 21,
            };
        });
        let Some(outcome) = quarrel(&work, &lie) else { continue };
        assert_eq!(outcome.winner, Party::Challenger, "value {value}: {record:?}");
        // A lie from which nothing follows, such as a bound that is out of range, leaves the liar without a step to show.
        assert!(outcome.step == 1 && outcome.value.is_none_or(|v| v == value), "{outcome:?}: {record:?}");
        codes.extend(outcome.value.map(|_| record.code));
    }
    for code in [Opcode::Matmul, Opcode::Sum, Opcode::Gather, Opcode::ScatterAdd] {
        assert!(codes.contains(&code), "no lie about {code:?} showed in the result");
    }
    assert!(codes.contains(&Opcode::Input) && codes.contains(&Opcode::State));
}

#[test]
fn an_accuser_of_the_honest_loses_wherever_it_points() {
    let work = work(2);
    let mut arena = Arena::new(&work);
    for seed in 0..60 {
        assert_eq!(arena.slander(seed), Party::Defender, "seed {seed}");
    }
}

#[test]
fn who_does_not_move_in_time_loses() {
    let work = work(1);
    let mut honest = Player::new(Book::new(work.clone(), arena::Plain));
    let claim = honest.account().claim().unwrap();
    let mut dispute = Dispute::new(claim, 100, 1000);
    assert_eq!(dispute.turn(), Some(Party::Defender));
    assert_eq!(dispute.expire(1100), Err(Refusal::Early));
    let first = honest.next(Party::Defender, &dispute).unwrap().unwrap();
    assert_eq!(dispute.play(Party::Challenger, &first, 1000), Err(Refusal::Turn(Party::Defender)));
    // A wrong move changes nothing, the clock least of all.
    assert_eq!(dispute.play(Party::Defender, &Move::Root([0; 32]), 1090), Err(Refusal::Stage(Stage::Step)));
    assert_eq!(dispute.play(Party::Defender, &first, 1101), Err(Refusal::Late));
    let mut late = dispute.clone();
    assert_eq!(late.expire(1101), Ok(Party::Challenger));
    assert_eq!(late.play(Party::Defender, &first, 1101), Err(Refusal::Over));
    assert_eq!(late.expire(9999), Err(Refusal::Over));
    dispute.play(Party::Defender, &first, 1100).unwrap();
    assert_eq!(dispute.left_s(Party::Defender), 0);
    assert_eq!(dispute.left_s(Party::Challenger), 100);
    assert_eq!(dispute.expire(1201), Ok(Party::Defender));
}

#[test]
fn the_number_of_moves_is_logarithmic() {
    let moves: Vec<u32> = [1, 16, 17, 40]
        .into_iter()
        .map(|steps| {
            let work = work(steps);
            let last = work.graph(0).unwrap().records().len() as u32 - 1;
            let lie = Lie::at(steps - 1, last, |tensor: &mut Tensor| tensor.words[0] ^= 1);
            quarrel(&work, &lie).unwrap().moves
        })
        .collect();
    assert_eq!((moves[1], moves[2]), (moves[0] + 2, moves[0] + 4), "{moves:?}");
    assert_eq!(moves[3], moves[2]);
}
