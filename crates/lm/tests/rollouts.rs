//! An honest rollout holds wherever it is checked; a dishonest one holds nowhere.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use exact::{Device, Level, Limits};
use lm::{Checker, Config, Finding, Model, Rollout, Sampling, Speaker};

const END: u32 = 1;

fn config() -> Config {
    Config {
        vocabulary: 37,
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        hidden: 40,
        context: 32,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied: true,
        qkv_bias: false,
        qk_norm: false,
    }
}

/// A model whose random weights are large enough that its answers are not all alike.
fn model(config: Config, device: &Device) -> Model {
    let mut model = Model::new(config, 7, device, Limits::default()).unwrap();
    for parameter in model.config().parameters() {
        let larger: Vec<f32> = model.weight(&parameter.name).unwrap().iter().map(|w| w * 5.0).collect();
        model.set_weight(&parameter.name, &larger).unwrap();
    }
    model
}

fn prompts() -> Vec<(Vec<u32>, u64)> {
    (0..5).map(|i| ((0..=2 * i).map(|t| 2 + (t * 5 + i) % 35).collect(), 100 + u64::from(i))).collect()
}

fn answers(model: &Model, rows: usize, sampling: Sampling) -> Vec<Rollout> {
    let mut speaker = Speaker::new(model, rows, 9, 12, END, Limits::default()).unwrap();
    prompts().chunks(rows).flat_map(|some| speaker.answer(some, sampling).unwrap()).collect()
}

fn check(model: &Model, rollouts: &[Rollout]) -> Vec<Finding> {
    Checker::new(model, rollouts.len(), 21, Limits::default()).unwrap().check(rollouts).unwrap()
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
        for rows in [1, 2, 3] {
            assert_eq!(answers(&model, rows, sampling), together, "{rows} rows, {sampling:?}");
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

#[test]
fn every_lie_is_caught() {
    let model = model(config(), &Device::cpu(2));
    // Flat enough that another seed says something else.
    let honest = answers(&model, 5, Sampling { temperature: 2.0, top_k: 30, top_p: 0.99 });
    let caught = |what: &str, tell: &dyn Fn(&mut Rollout)| {
        let mut told = honest.clone();
        tell(&mut told[3]);
        let findings = check(&model, &told);
        assert_ne!(findings[3], Finding::Holds, "{what}");
        for i in [0, 1, 2, 4] {
            assert_eq!(findings[i], Finding::Holds, "{what} must not touch the others");
        }
    };
    for at in 0..honest[3].answer.len() {
        caught("another token", &|r| r.answer[at] = (r.answer[at] + 1) % 37);
        caught("another probability", &|r| r.logps[at] = f32::from_bits(r.logps[at].to_bits() ^ 1));
    }
    caught("another prompt", &|r| r.prompt[0] += 1);
    caught("another seed", &|r| r.seed += 1);
    caught("the seed's upper half", &|r| r.seed ^= 1 << 40);
    caught("another temperature", &|r| r.sampling.temperature = 0.2);
    caught("no temperature", &|r| r.sampling.temperature = 0.0);
    caught("a missing probability", &|r| {
        r.logps.pop();
    });
    caught("no answer", &|r| {
        r.answer.clear();
        r.logps.clear();
    });
}

#[test]
fn every_weight_counts_to_the_bit() {
    let mut model = model(config(), &Device::cpu(1));
    let rollouts = answers(&model, 5, Sampling::PLAIN);
    let root = model.root().unwrap();
    for parameter in model.config().parameters() {
        let honest = model.weight(&parameter.name).unwrap();
        let mut changed = honest.clone();
        // A high bit of the fraction, of an element that every token goes through (a row of the embedding that is read).
        let at = if parameter.name.contains("embed") { 2 * 24 + 3 } else { changed.len() / 2 };
        changed[at] = f32::from_bits(changed[at].to_bits() ^ (1 << 21));
        model.set_weight(&parameter.name, &changed).unwrap();
        assert_ne!(model.root().unwrap(), root, "{}", parameter.name);
        let findings = check(&model, &rollouts);
        assert!(findings.iter().any(|f| *f != Finding::Holds), "{}", parameter.name);
        model.set_weight(&parameter.name, &honest).unwrap();
    }
    assert_eq!(check(&model, &rollouts), vec![Finding::Holds; 5]);
}

#[test]
fn what_does_not_fit_is_refused_with_the_limit() {
    let model = model(config(), &Device::cpu(1));
    let long = Speaker::new(&model, 1, 30, 3, END, Limits::default()).unwrap_err();
    assert_eq!(long.to_string(), "a prompt and answer of 33 tokens: at most 32 fit");
    let mut speaker = Speaker::new(&model, 1, 4, 3, END, Limits::default()).unwrap();
    let error = speaker.answer(&[(vec![2; 5], 0)], Sampling::GREEDY).unwrap_err();
    assert_eq!(error.to_string(), "a prompt of 5 tokens: at most 4 fit");
    let error = speaker.answer(&[(vec![99], 0)], Sampling::GREEDY).unwrap_err();
    assert!(error.to_string().contains("gather") && error.to_string().contains("37"), "{error}");
    let odd = Config { head_dim: 5, ..config() };
    let error = Model::new(odd, 0, &Device::cpu(1), Limits::default()).unwrap_err();
    assert!(error.to_string().contains("head_dim"), "{error}");
}
