//! Requests that come and go: whatever else is asked, each answer is what it would be alone.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::collections::BTreeMap;

use common::{config, model};
use exact::{Device, Limits};
use lm::{
    Checker, Config, Ending, Error, Event, Finding, Model, Request, RequestId, Rollout, Sampling, Speaker,
    Until, plan_learner, plan_speaker,
};
use lm::{Learner, Objective, Optimiser, step_program};
use proptest::prelude::*;

const END: u32 = 1;

/// Steps until all is said; how many it took, and the answers by their requests.
fn run_out(speaker: &mut Speaker) -> (usize, BTreeMap<RequestId, Rollout>) {
    let (mut steps, mut done) = (0, BTreeMap::new());
    while speaker.under_way() > 0 {
        for event in speaker.step().unwrap() {
            if let Event::Done { id, rollout } = event {
                done.insert(id, rollout);
            }
        }
        steps += 1;
    }
    (steps, done)
}

/// The shapes that a decoder of this family may have, small.
fn shapes() -> impl Strategy<Value = Config> {
    let sizes = (5usize..40, 1usize..4, 1usize..3, 1usize..4, 1usize..5, 1usize..40);
    (sizes, any::<[bool; 3]>()).prop_map(|(sizes, [tied, qkv_bias, qk_norm])| {
        let (vocabulary, layers, kv_heads, group, half, hidden) = sizes;
        Config {
            vocabulary,
            layers,
            kv_heads,
            heads: kv_heads * group,
            head_dim: 2 * half,
            hidden,
            width: 8 + 2 * hidden % 14,
            context: 256,
            tied,
            qkv_bias,
            qk_norm,
            ..config()
        }
    })
}

/// A request, and how many steps after the one before it comes.
type Arrival = (usize, Request);

fn arrivals(vocabulary: usize) -> impl Strategy<Value = Vec<Arrival>> {
    let token = 0..vocabulary as u32;
    let sampling = prop_oneof![
        Just(Sampling::GREEDY),
        Just(Sampling::PLAIN),
        (0.1f32..3.0, 0u32..8, 0.1f32..1.0).prop_map(|(temperature, top_k, top_p)| Sampling {
            temperature,
            top_k,
            top_p
        }),
    ];
    // Some ask what others ask, or begin as they do: long prompts are cuts of one text.
    let text = prop::collection::vec(token.clone(), 170);
    let prompt = (prop_oneof![1usize..6, 1usize..40, 120usize..170], prop::collection::vec(token, 0..3));
    let one = (0usize..4, prompt, any::<u64>(), sampling, 1usize..14);
    (text, prop::collection::vec(one, 1..14)).prop_map(|(text, some)| {
        let request = |(after, (cut, more), seed, sampling, limit): (usize, (usize, Vec<u32>), _, _, _)| {
            let prompt = text[..cut].iter().copied().chain(more).collect();
            (after, Request { prompt, seed, sampling, until: Until::new(limit, &[0, 1]) })
        };
        some.into_iter().map(request).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Prefill equals decoding, and a batch equals its sequences, bit for bit: each answer is the one that it is alone, and
    /// reading it at once says what speaking it step by step said.
    #[test]
    fn nothing_of_the_others_shows(
        (shape, arrivals) in shapes().prop_flat_map(|shape| {
            let arrivals = arrivals(shape.vocabulary);
            (Just(shape), arrivals)
        }),
        seats in 2usize..20,
        rows in 1usize..5,
        threads in 1usize..3,
    ) {
        let model = model(shape, &Device::cpu(threads));
        let mut alone = Speaker::new(&model, 1, 190, Limits::default()).unwrap();
        let right: Vec<Rollout> =
            arrivals.iter().map(|(_, r)| alone.answer(std::slice::from_ref(r)).unwrap().remove(0)).collect();

        let mut speaker = Speaker::new(&model, seats, 190, Limits::default()).unwrap();
        let mut done = BTreeMap::new();
        let mut ids = Vec::new();
        let mut step = |speaker: &mut Speaker, said: &mut BTreeMap<RequestId, Vec<(u32, u32)>>| {
            for event in speaker.step().unwrap() {
                match event {
                    Event::Token { id, token, logp } => said.entry(id).or_default().push((token, logp.to_bits())),
                    Event::Done { id, rollout } => _ = done.insert(id, rollout),
                }
            }
        };
        let mut said = BTreeMap::new();
        for (after, request) in &arrivals {
            for _ in 0..*after {
                step(&mut speaker, &mut said);
            }
            ids.push(speaker.ask(request.clone()).unwrap());
        }
        while speaker.under_way() > 0 {
            step(&mut speaker, &mut said);
        }
        for (id, right) in ids.iter().zip(&right) {
            prop_assert_eq!(&done[id], right);
            // What was streamed is what the rollout says.
            let streamed: Vec<_> = right.answer.iter().zip(&right.logps).map(|(t, l)| (*t, l.to_bits())).collect();
            prop_assert_eq!(&said[id], &streamed);
        }
        let mut checker = Checker::new(&model, rows, 190, Limits::default()).unwrap();
        prop_assert_eq!(checker.check(&right).unwrap(), vec![Finding::Holds; right.len()]);
    }

    /// What is planned is what is taken, to the byte, and it is within the limit; what is refused says what to do.
    #[test]
    fn plans_are_kept(shape in shapes(), seats in 1usize..40, tokens in 2usize..200, share in 1u64..120) {
        let model = model(shape.clone(), &Device::cpu(1));
        let wanted = plan_speaker(&shape, model.device(), seats, tokens, tokens, u64::MAX).unwrap();
        prop_assert_eq!((wanted.seats, wanted.tokens), (seats, tokens));
        let limit = wanted.need.total() * share / 100;
        match plan_speaker(&shape, model.device(), seats, tokens, 2, limit) {
            Ok(plan) => {
                prop_assert!(plan.need.total() <= limit && plan.seats <= seats && plan.tokens <= tokens);
                let limits = Limits { memory_bytes: limit, ..Limits::default() };
                let mut speaker = Speaker::new(&model, plan.seats, plan.tokens, limits).unwrap();
                prop_assert_eq!(speaker.bytes(), plan.need.total());
                let request = Request { prompt: vec![1; plan.tokens - 1], seed: 0, sampling: Sampling::PLAIN, until: Until::new(1, &[]) };
                prop_assert_eq!(speaker.answer(&[request]).unwrap().len(), 1);
                let less = Limits { memory_bytes: plan.need.total() - 1, ..limits };
                let refused = matches!(Speaker::new(&model, plan.seats, plan.tokens, less), Err(Error::Memory { .. }));
                prop_assert!(refused);
            }
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.contains("raise the limit") && text.contains("2 tokens"), "{}", text);
            }
        }
    }

    #[test]
    fn learners_are_planned_to_the_byte(shape in shapes(), rows in 1usize..13, tokens in 2usize..20, share in 20u64..110) {
        let device = Device::cpu(1);
        let optimiser = Optimiser::default();
        let programs = |n| Ok(vec![step_program(&shape, Objective::Imitate, &optimiser, n, tokens)?]);
        let whole = plan_learner(&shape, &device, rows, u64::MAX, programs).unwrap();
        prop_assert_eq!((whole.micro_rows, whole.micro_batches), (rows, 1));
        prop_assert!(whole.need.kept > 2 * whole.need.weights - 4096);
        let limit = whole.need.total() * share / 100;
        match plan_learner(&shape, &device, rows, limit, programs) {
            Ok(plan) => {
                prop_assert!(plan.need.total() <= limit);
                prop_assert_eq!(plan.micro_rows * plan.micro_batches, rows);
                let model = model(shape.clone(), &device);
                let limits = Limits { memory_bytes: limit, ..Limits::default() };
                let learner = Learner::new(&model, Objective::Imitate, &optimiser, plan.micro_rows, tokens, limits).unwrap();
                prop_assert_eq!(learner.bytes(), plan.need.total());
            }
            Err(error) => prop_assert!(error.to_string().contains("shorten the sequences"), "{}", error),
        }
    }
}

fn small(seats: usize) -> (Model, Speaker) {
    let model = model(config(), &Device::cpu(1));
    let speaker = Speaker::new(&model, seats, 32, Limits::default()).unwrap();
    (model, speaker)
}

fn request(prompt: &[u32], seed: u64, limit: usize) -> Request {
    let until = Until::new(limit, &[]);
    Request { prompt: prompt.to_vec(), seed, sampling: Sampling::PLAIN, until }
}

#[test]
fn one_leaves_and_another_joins() {
    let (_, mut speaker) = small(2);
    let first = speaker.ask(request(&[2, 3, 4], 1, 3)).unwrap();
    let long = speaker.ask(request(&[5, 6], 2, 20)).unwrap();
    let third = speaker.ask(request(&[7, 8], 3, 3)).unwrap();
    let mut order = Vec::new();
    let mut steps = 0;
    while speaker.under_way() > 0 {
        for event in speaker.step().unwrap() {
            if let Event::Done { id, .. } = event {
                order.push(id);
            }
        }
        steps += 1;
    }
    assert_eq!(order, [first, third, long]);
    // The third was answered beside the second.
    assert!(steps < 23, "{steps} steps");
}

#[test]
fn a_prompt_is_read_once_for_all_who_ask_it() {
    let (_, mut speaker) = small(8);
    let prompt: Vec<u32> = (0..30).map(|i| 2 + i % 30).collect();
    // 32 seeds of one prompt of 30 tokens, on 8 seats of one page: 4 rounds of 2 tokens, and one of reading.
    (0..32).for_each(|seed| _ = speaker.ask(request(&prompt, seed, 2)).unwrap());
    let (steps, done) = run_out(&mut speaker);
    assert_eq!((steps, done.len()), (8, 32));
}

#[test]
fn a_long_prompt_keeps_nobody_waiting() {
    let model = model(Config { context: 1024, ..config() }, &Device::cpu(1));
    let mut speaker = Speaker::new(&model, 2, 1000, Limits::default()).unwrap();
    let short = speaker.ask(request(&[2], 1, 30)).unwrap();
    let mut tokens = usize::from(matches!(speaker.step().unwrap()[..], [Event::Token { .. }]));
    let long = speaker.ask(request(&[3; 900], 2, 1)).unwrap();
    let mut both = 0;
    while speaker.under_way() > 0 {
        let before = tokens;
        for event in speaker.step().unwrap() {
            match event {
                Event::Token { id, .. } if id == short => tokens += 1,
                Event::Token { id, .. } if id == long => both = tokens,
                _ => {}
            }
        }
        // As long as it is not done, every step brings it a token.
        assert!(tokens > before || tokens == 30);
    }
    assert!((5..30).contains(&both), "the long prompt was read within {both} steps");
}

#[test]
fn cancelled_requests_leave_and_their_answers_never_hold() {
    let (model, mut speaker) = small(2);
    let ids: Vec<RequestId> = (0..4).map(|i| speaker.ask(request(&[2, 3, 4 + i], 9, 9)).unwrap()).collect();
    let alone = small(1).1.answer(&[request(&[2, 3, 5], 9, 9)]).unwrap();
    speaker.step().unwrap();
    speaker.step().unwrap();
    let partial = speaker.cancel(ids[0]).unwrap().unwrap();
    assert_eq!((partial.answer.len(), partial.ending), (2, Ending::Cancelled));
    assert_eq!(speaker.cancel(ids[0]).unwrap(), None);
    assert_eq!(speaker.cancel(ids[3]).unwrap(), None);
    let (_, done) = run_out(&mut speaker);
    assert_eq!(done.keys().copied().collect::<Vec<_>>(), ids[1..3]);
    assert_eq!(done[&ids[1]], alone[0]);
    let mut checker = Checker::new(&model, 1, 32, Limits::default()).unwrap();
    assert!(matches!(checker.check(&[partial]).unwrap()[0], Finding::Ending { right: None, .. }));
}

/// A conversation goes on from where it was, and what was said is still what it would be from nothing.
#[test]
fn one_seat_remembers_its_conversation() {
    let model = model(Config { context: 600, ..config() }, &Device::cpu(1));
    let mut speaker = Speaker::new(&model, 1, 600, Limits::default()).unwrap();
    let mut text: Vec<u32> = (0..300).map(|i| 2 + i % 35).collect();
    for turn in 0..3 {
        let ask = request(&text, turn, 5);
        let id = speaker.ask(ask.clone()).unwrap();
        let (steps, done) = run_out(&mut speaker);
        // The first turn reads the whole text in pieces; the others only what is new.
        assert_eq!(steps, if turn == 0 { 8 } else { 5 }, "turn {turn}");
        let mut fresh = Speaker::new(&model, 1, 600, Limits::default()).unwrap();
        assert_eq!(done[&id], fresh.answer(&[ask]).unwrap()[0]);
        text.extend(&done[&id].answer);
        text.push(7);
    }
    // And a shorter one that begins alike, and one that does not.
    for ask in [request(&text[..100], 1, 3), request(&[9], 1, 3), request(&[9, 8, 7], 1, 3)] {
        let mut fresh = Speaker::new(&model, 1, 600, Limits::default()).unwrap();
        assert_eq!(speaker.answer(std::slice::from_ref(&ask)).unwrap(), fresh.answer(&[ask]).unwrap());
    }
}

#[test]
fn weights_that_move_are_noticed() {
    let (mut model, mut speaker) = small(3);
    let ask = || request(&[2, 3, 4, 5, 6], 1, 4);
    let before = speaker.answer(&[ask()]).unwrap().remove(0);
    let name = "model.layers.0.mlp.up_proj.weight";
    let turned: Vec<f32> = model.weight(name).unwrap().iter().map(|w| -w).collect();
    let id = speaker.ask(ask()).unwrap();
    speaker.step().unwrap();
    model.set_weight(name, &turned).unwrap();
    for _ in 0..2 {
        let error = speaker.step().unwrap_err();
        assert!(
            matches!(error, Error::Changed { answers: 1 }) && error.to_string().contains("cancel"),
            "{error}"
        );
    }
    speaker.cancel(id).unwrap();
    // Nothing of the old weights is left, neither in the root nor in what was read.
    let after = speaker.answer(&[ask()]).unwrap().remove(0);
    assert_ne!((after.root, &after.logps), (before.root, &before.logps));
    let mut fresh = Speaker::new(&model, 3, 32, Limits::default()).unwrap();
    assert_eq!(fresh.answer(&[ask()]).unwrap()[0], after);
    assert_eq!(after.root, model.root().unwrap());
}

#[test]
fn answers_asked_for_by_others_are_kept_for_them() {
    let (_, mut speaker) = small(2);
    let id = speaker.ask(request(&[2, 3], 1, 2)).unwrap();
    let mine = speaker.answer(&[request(&[4, 5], 1, 6), request(&[END], 2, 1)]).unwrap();
    assert_eq!(mine.iter().map(|r| r.answer.len()).collect::<Vec<_>>(), [6, 1]);
    assert_eq!(speaker.under_way(), 0);
    let events = speaker.step().unwrap();
    assert!(events.iter().any(|e| matches!(e, Event::Done { id: other, .. } if *other == id)), "{events:?}");
}
