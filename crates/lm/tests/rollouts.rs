//! An honest rollout holds wherever it is checked; a dishonest one holds nowhere.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{config, model};
use exact::{Device, Level, Limits};
use lm::{
    Checker, Config, Ending, Error, Finding, Model, Request, Rollout, Sampling, Speaker, Stop, Until, Words,
};

const END: u32 = 1;

fn requests(sampling: Sampling) -> Vec<Request> {
    let prompt = |i: u32| (0..=2 * i).map(|t| 2 + (t * 5 + i) % 35).collect();
    let request =
        |i| Request { prompt: prompt(i), seed: 100 + u64::from(i), sampling, until: Until::new(12, &[END]) };
    (0..5).map(request).collect()
}

fn answers(model: &Model, seats: usize, sampling: Sampling) -> Vec<Rollout> {
    let mut speaker = Speaker::new(model, seats, 21, Limits::default()).unwrap();
    speaker.answer(&requests(sampling)).unwrap()
}

fn check(model: &Model, rollouts: &[Rollout]) -> Vec<Finding> {
    Checker::new(model, 3, 21, Limits::default()).unwrap().check(rollouts).unwrap()
}

fn samplings() -> [Sampling; 4] {
    [
        Sampling::GREEDY,
        Sampling::PLAIN,
        Sampling { temperature: 0.7, top_k: 5, top_p: 1.0 },
        Sampling { temperature: 1.3, top_k: 0, top_p: 0.8 },
    ]
}

#[test]
fn one_forward_pass_says_what_step_by_step_decoding_said() {
    let variants = [
        config(),
        Config { tied: false, ..config() },
        Config { qkv_bias: true, kv_heads: 1, ..config() },
        Config { qk_norm: true, kv_heads: 4, ..config() },
    ];
    for config in variants {
        let model = model(config, &Device::cpu(2));
        for sampling in samplings() {
            let rollouts = answers(&model, 5, sampling);
            assert_eq!(check(&model, &rollouts), vec![Finding::Holds; 5], "{sampling:?}");
        }
    }
}

#[test]
fn the_batch_does_not_show_in_the_answers() {
    let model = model(config(), &Device::cpu(1));
    for sampling in samplings() {
        let together = answers(&model, 5, sampling);
        for seats in [1, 2, 3, 9] {
            assert_eq!(answers(&model, seats, sampling), together, "{seats} seats, {sampling:?}");
        }
    }
}

#[test]
fn every_machine_finds_the_same() {
    let model = model(config(), &Device::cpu(2));
    let rollouts = answers(&model, 5, Sampling::PLAIN);
    let devices = Level::available().map(|level| Device::cpu_at(level, 1)).chain([Device::scalar()]);
    for device in devices {
        let copy = model.copy_to(&device, Limits::default()).unwrap();
        assert_eq!(copy.root().unwrap(), model.root().unwrap());
        assert_eq!(check(&copy, &rollouts), vec![Finding::Holds; 5], "{device:?}");
    }
}

/// Flat enough that another seed says something else.
const FLAT: Sampling = Sampling { temperature: 2.0, top_k: 30, top_p: 0.99 };

#[test]
fn every_lie_is_caught() {
    let model = model(config(), &Device::cpu(2));
    let honest = answers(&model, 5, FLAT);
    assert_eq!(check(&model, &honest), vec![Finding::Holds; 5]);
    let at = honest.iter().position(|r| r.answer.len() >= 4).unwrap();
    let caught = |what: &str, tell: &dyn Fn(&mut Rollout)| {
        let mut told = honest.clone();
        tell(&mut told[at]);
        let findings = check(&model, &told);
        for (i, finding) in findings.iter().enumerate() {
            assert_eq!(
                *finding == Finding::Holds,
                i != at,
                "{what}: rollout {i} of which {at} lies: {finding:?}"
            );
        }
        findings[at].clone()
    };
    for i in 0..honest[at].answer.len() {
        caught("another token", &|r| r.answer[i] = (r.answer[i] + 1) % 37);
        let finding =
            caught("another probability", &|r| r.logps[i] = f32::from_bits(r.logps[i].to_bits() ^ 1));
        assert!(matches!(finding, Finding::Logp { at, .. } if at == i));
    }
    let finding = caught("another root", &|r| r.root[31] ^= 1);
    assert!(matches!(finding, Finding::Root { .. }));
    for i in 0..honest[at].prompt.len() {
        caught("another prompt", &|r| r.prompt[i] = 2 + (r.prompt[i] - 1) % 35);
    }
    caught("a longer prompt", &|r| r.prompt.insert(0, 2));
    caught("another seed", &|r| r.seed += 1);
    caught("the seed's upper half", &|r| r.seed ^= 1 << 40);
    caught("another temperature", &|r| r.sampling.temperature = 0.2);
    caught("no temperature", &|r| r.sampling.temperature = 0.0);
    caught("another top-k", &|r| r.sampling.top_k = 1);
    caught("another top-p", &|r| r.sampling.top_p = 0.01);
    for temperature in [f32::NAN, f32::INFINITY, -1.0] {
        assert_eq!(caught("no number", &|r| r.sampling.temperature = temperature), Finding::Malformed);
    }
    caught("a missing probability", &|r| {
        r.logps.pop();
    });
    caught("no answer", &|r| {
        r.answer.clear();
        r.logps.clear();
    });
    assert_eq!(caught("a token that there is not", &|r| r.answer[0] = 37), Finding::Malformed);
    assert_eq!(caught("a prompt that there is not", &|r| r.prompt[0] = u32::MAX), Finding::Malformed);
}

/// Where an answer ends follows from what it was told to end at; no one may stop it sooner, or make it go on.
#[test]
fn an_answer_ends_where_it_should() {
    let model = model(config(), &Device::cpu(2));
    let honest = answers(&model, 2, FLAT);
    let caught = |i: usize, what: &str, tell: &dyn Fn(&mut Rollout)| {
        let mut told = honest[i].clone();
        tell(&mut told);
        match &check(&model, &[told])[0] {
            Finding::Ending { at, .. } => *at,
            other => panic!("{what}: {other:?}"),
        }
    };
    for (i, r) in honest.iter().enumerate() {
        let last = r.answer.len() - 1;
        if last > 0 {
            let at = caught(i, "cut short", &|r| {
                r.answer.pop();
                r.logps.pop();
            });
            assert_eq!(at, last - 1);
        }
        caught(i, "ended for another reason", &|r| {
            r.ending = if r.ending == Ending::End { Ending::Limit } else { Ending::End };
        });
        caught(i, "cancelled", &|r| r.ending = Ending::Cancelled);
        caught(i, "a limit it is beyond", &|r| {
            r.until.limit = r.answer.len() + 1;
            r.ending = Ending::Stop(0);
        });
    }
    // A model that says what it would say after its end token, too.
    let mut on = requests(FLAT);
    on.iter_mut().for_each(|r| r.until.ends.clear());
    let said = Speaker::new(&model, 5, 21, Limits::default()).unwrap().answer(&on).unwrap();
    for rollout in said {
        let token = rollout.answer[0];
        let beyond = Rollout { until: Until::new(12, &[token]), ..rollout.clone() };
        let findings = check(&model, &[rollout, beyond]);
        assert_eq!(findings[0], Finding::Holds);
        let right = Some(Ending::End);
        assert_eq!(findings[1], Finding::Ending { at: 0, claimed: Ending::Limit, right });
    }
}

#[test]
fn stops_end_answers_and_are_checked() {
    let model = model(config(), &Device::cpu(1));
    // Every token is two letters of its own, so that a text of three spans two tokens.
    let letter = |n: u32| char::from(b'A' + (n % 58) as u8);
    let words =
        Words::new((0..37).map(|t| format!("{}{}", letter(t), letter(t + 20)).into_bytes()).collect());
    let mut free = requests(FLAT);
    free.iter_mut().for_each(|r| r.until = Until::new(12, &[]));
    let speaker = || Speaker::new(&model, 3, 21, Limits::default()).unwrap();
    let said = speaker().answer(&free).unwrap();
    let text = format!("{}{}{}", letter(said[2].answer[4] + 20), letter(said[2].answer[5]), "");
    let stops = [Stop::Tokens(said[1].answer[2..4].to_vec()), Stop::Text(text)];
    let stopped: Vec<Request> = free
        .iter()
        .map(|r| stops.iter().fold(r.clone(), |r, s| Request { until: r.until.or(s.clone()), ..r }))
        .collect();
    assert!(matches!(speaker().ask(stopped[0].clone()), Err(Error::Request { field: "stops", .. })));
    let rollouts = speaker().with_words(words.clone()).answer(&stopped).unwrap();
    assert_eq!((rollouts[1].ending, rollouts[1].answer.len()), (Ending::Stop(0), 4));
    assert_eq!(rollouts[2].ending, Ending::Stop(1));
    assert!(rollouts[2].answer.len() <= 6);
    for (rollout, free) in rollouts.iter().zip(&said) {
        assert!(free.answer.starts_with(&rollout.answer));
    }
    let checker = || Checker::new(&model, 2, 21, Limits::default()).unwrap();
    assert_eq!(checker().with_words(words).check(&rollouts).unwrap(), vec![Finding::Holds; 5]);
    assert_eq!(checker().check(&rollouts).unwrap(), vec![Finding::Malformed; 5]);
}

#[test]
fn every_weight_counts_to_the_bit() {
    let mut model = model(config(), &Device::cpu(1));
    let rollouts = answers(&model, 5, Sampling::PLAIN);
    let root = model.root().unwrap();
    let mut checker = Checker::new(&model, 2, 21, Limits::default()).unwrap();
    for parameter in model.config().parameters() {
        let honest = model.weight(&parameter.name).unwrap();
        let mut changed = honest.clone();
        // A high bit of the fraction, of an element that every token goes through (a row of the embedding that is read).
        let at = if parameter.name.contains("embed") { 2 * 24 + 3 } else { changed.len() / 2 };
        changed[at] = f32::from_bits(changed[at].to_bits() ^ (1 << 21));
        model.set_weight(&parameter.name, &changed).unwrap();
        let other = model.root().unwrap();
        assert_ne!(other, root, "{}", parameter.name);
        let finding = Finding::Root { claimed: root, right: other };
        assert_eq!(checker.check(&rollouts).unwrap(), vec![finding; 5]);
        // Nor does it help to claim the other root: its answers are others.
        let told: Vec<Rollout> = rollouts.iter().map(|r| Rollout { root: other, ..r.clone() }).collect();
        let findings = checker.check(&told).unwrap();
        assert!(findings.iter().any(|f| *f != Finding::Holds), "{}", parameter.name);
        model.set_weight(&parameter.name, &honest).unwrap();
    }
    assert_eq!(checker.check(&rollouts).unwrap(), vec![Finding::Holds; 5]);
}

#[test]
fn what_does_not_fit_is_refused_with_the_limit() {
    let model = model(config(), &Device::cpu(1));
    let long = Speaker::new(&model, 1, 33, Limits::default()).unwrap_err();
    assert_eq!(long.to_string(), "a prompt and answer of 33 tokens: at most 32 fit");
    let mut speaker = Speaker::new(&model, 1, 7, Limits::default()).unwrap();
    let request =
        |prompt: Vec<u32>, until: Until| Request { prompt, seed: 0, sampling: Sampling::GREEDY, until };
    let mut refused = |request: Request| speaker.ask(request).unwrap_err().to_string();
    assert_eq!(
        refused(request(vec![2; 5], Until::new(3, &[]))),
        "a prompt and the answer it may get of 8 tokens: at most 7 fit"
    );
    assert_eq!(refused(request(vec![], Until::new(3, &[]))), "a prompt is missing");
    assert_eq!(
        refused(request(vec![37], Until::new(3, &[]))),
        "there is no token 37: the model has tokens 0 to 36"
    );
    assert!(refused(request(vec![2], Until::new(0, &[]))).contains("limit"));
    assert!(refused(request(vec![2], Until::new(usize::MAX, &[]))).contains("at most 7"));
    assert!(refused(request(vec![2], Until::new(1, &[0; 65]))).contains("at most 64"));
    assert!(refused(request(vec![2], Until::new(1, &[]).or(Stop::Text(String::new())))).contains("stops"));
    let hot = Sampling { temperature: f32::NAN, ..Sampling::PLAIN };
    assert!(
        refused(Request { sampling: hot, ..request(vec![2], Until::new(1, &[])) }).contains("temperature")
    );
    let odd = Config { head_dim: 5, ..config() };
    let error = Model::new(odd, 0, &Device::cpu(1), Limits::default()).unwrap_err();
    assert!(error.to_string().contains("head_dim"), "{error}");
}
