//! A model learns, the same way everywhere, and a control does not.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use exact::{Device, Level, Limits};
use lm::{
    Alphabet, Batch, Config, Learner, Model, Objective, Optimiser, Request, Sampling, Speaker, Until,
    advantages,
};

fn config(alphabet: &Alphabet) -> Config {
    Config {
        vocabulary: alphabet.len(),
        width: 32,
        layers: 1,
        heads: 2,
        kv_heads: 2,
        head_dim: 16,
        hidden: 64,
        context: 12,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied: true,
        qkv_bias: false,
        qk_norm: false,
    }
}

/// Questions `ab=` whose answer is the letter after the second, with wrap-around.
fn examples(alphabet: &Alphabet, from: usize) -> Vec<(Vec<u32>, Vec<u32>)> {
    let letters = ['a', 'b', 'c', 'd'];
    let example = |i: usize| {
        let question = format!("{}{}=", letters[i / 4 % 4], letters[i % 4]);
        let mut answer = alphabet.encode(&letters[(i + 1) % 4].to_string()).unwrap();
        answer.push(Alphabet::END);
        (alphabet.encode(&question).unwrap(), answer)
    };
    (from..from + 16).map(example).collect()
}

fn taught(device: &Device, muon: bool, steps: usize) -> (Model, f32) {
    let alphabet = Alphabet::new("abcd=");
    let model = Model::new(config(&alphabet), 3, device, Limits::default()).unwrap();
    let optimiser = Optimiser { muon, ..Optimiser::default() };
    let mut learner = Learner::new(&model, Objective::Imitate, &optimiser, 16, 6, Limits::default()).unwrap();
    let batch = Batch::imitate(&examples(&alphabet, 0), 16, 6).unwrap();
    let mut loss = f32::NAN;
    for _ in 0..steps {
        loss = learner.learn(&batch, 0.01, 0.01).unwrap().loss;
    }
    (model, loss)
}

#[test]
fn it_learns_with_either_optimiser() {
    for muon in [false, true] {
        let (_, loss) = taught(&Device::cpu(2), muon, 60);
        assert!(loss < 0.02, "loss {loss} with muon: {muon}");
    }
}

#[test]
fn a_step_has_the_same_bits_everywhere() {
    let (model, _) = taught(&Device::cpu(2), true, 3);
    let root = model.root().unwrap();
    for level in Level::available() {
        for threads in [1, 3] {
            let (other, _) = taught(&Device::cpu_at(level, threads), true, 3);
            assert_eq!(other.root().unwrap(), root, "{level}, {threads} threads");
        }
    }
    assert_eq!(taught(&Device::scalar(), true, 3).0.root().unwrap(), root);
}

/// Reward by trial: the model is rewarded for one letter it is told nothing about.
fn rewarded(reward: impl Fn(usize, &str) -> f32) -> f32 {
    let alphabet = Alphabet::new("abcd=");
    let model = Model::new(config(&alphabet), 3, &Device::cpu(1), Limits::default()).unwrap();
    let mut speaker = Speaker::new(&model, 32, 5, Limits::default()).unwrap();
    let mut learner =
        Learner::new(&model, Objective::IMPROVE, &Optimiser::default(), 32, 6, Limits::default()).unwrap();
    let prompt = alphabet.encode("ab=").unwrap();
    let mut right = 0.0;
    for round in 0..40u64 {
        let ask = |i| Request {
            prompt: prompt.clone(),
            seed: round * 1000 + i,
            sampling: Sampling::PLAIN,
            until: Until::new(2, &[Alphabet::END]),
        };
        let rollouts = speaker.answer(&(0..32).map(ask).collect::<Vec<_>>()).unwrap();
        let said: Vec<String> = rollouts.iter().map(|r| alphabet.decode(&r.answer)).collect();
        right = said.iter().filter(|s| s.starts_with('d')).count() as f32 / 32.0;
        let rewards: Vec<f32> = said.iter().enumerate().map(|(i, s)| reward(i, s)).collect();
        if let Some(advantages) = advantages(&rewards) {
            let learned: Vec<_> = rollouts.iter().zip(advantages).collect();
            learner.learn(&Batch::improve(&learned, 32, 6).unwrap(), 0.01, 0.0).unwrap();
        }
    }
    right
}

#[test]
fn reward_teaches_and_noise_does_not() {
    let right = rewarded(|_, said| f32::from(u8::from(said.starts_with('d'))));
    assert!(right > 0.9, "rewarded: {right}");
    let right = rewarded(|i, _| (i % 2) as f32);
    assert!(right < 0.6, "control: {right}");
}

#[test]
fn an_alphabet_keeps_its_letters() {
    let alphabet = Alphabet::new("abca=");
    assert_eq!(alphabet.len(), 6);
    assert_eq!(alphabet.decode(&alphabet.encode("cab=").unwrap()), "cab=");
    assert_eq!(alphabet.decode(&[0, 2, 1, 99]), "a");
    let error = alphabet.encode("x").unwrap_err().to_string();
    assert_eq!(error, "the character 'x' is not in the model's alphabet \"abc=\"");
}
