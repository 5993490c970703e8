//! A model learns, the same way everywhere, and a control does not.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use exact::{Device, Level, Limits};
use lm::wren::{self, Task};
use lm::{
    Alphabet, Batch, Config, Decay, Drill, Error, Group, Improve, Learner, Lesson, Likelihoods, Lora, Model,
    Objective, Optimiser, Practice, Request, Rollout, Sampling, Schedule, Speaker, Until, advantages,
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
        rope_scaling: lm::RopeScaling::None,
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

/// A model that has learned a little, so that it likes some tokens better than others.
fn begun() -> Model {
    taught(&Device::cpu(1), false, 4).0
}

fn weights(model: &Model) -> Vec<Vec<f32>> {
    model.config().parameters().iter().map(|p| model.weight(&p.name).unwrap()).collect()
}

/// Rollouts with advantages of both signs, of different lengths.
fn rollouts(model: &Model) -> Vec<(Rollout, f32)> {
    let alphabet = Alphabet::new("abcd=");
    let mut speaker = Speaker::new(model, 8, 7, Limits::default()).unwrap();
    let ask = |i: usize| Request {
        prompt: alphabet.encode(["ab=", "cd=", "da=", "b="][i % 4]).unwrap(),
        seed: 40 + i as u64,
        sampling: Sampling::PLAIN,
        until: Until::new(4, &[Alphabet::END]),
    };
    let said = speaker.answer(&(0..8).map(ask).collect::<Vec<_>>()).unwrap();
    said.into_iter().zip([1.5, -0.5, 0.75, -1.25, 0.25, 2.0, -2.0, -0.75]).collect()
}

fn improving(model: &Model) -> Batch {
    let rollouts = rollouts(model);
    Batch::improve(&rollouts.iter().map(|(r, a)| (r, *a)).collect::<Vec<_>>(), 8, 6).unwrap()
}

fn lesson(objective: Objective) -> Lesson {
    // Clipped by nothing, and with a plain step, so that what moves is the gradient.
    let optimiser = Optimiser { clip: 1e9, ..Optimiser::default() };
    Lesson { objective, optimiser, rows: 8, tokens: 6, passes: false, lora: None }
}

fn learner(model: &Model, lesson: Lesson) -> Learner {
    Learner::of(model, lesson, Limits::default()).unwrap()
}

/// The loss as its definition says, in f64, from log-probabilities.
fn defined(how: &Improve, batch: &Batch, logps: &[f64]) -> f64 {
    let mut loss = 0.0;
    for (i, logp) in logps.iter().enumerate() {
        let of = |numbers: &[f32]| f64::from(numbers[i]);
        let (a, ratio) = (of(&batch.advantages), (logp - of(&batch.logps)).exp());
        let held = ratio.clamp(f64::from(1.0 - how.low), f64::from(1.0 + how.high));
        let mut gain = (ratio * a).min(held * a);
        if let Some(limit) = how.truncate {
            gain *= (of(&batch.logps) - of(&batch.drawn)).exp().min(f64::from(limit));
        }
        if how.kl > 0.0 {
            let apart = of(&batch.reference) - logp;
            gain -= f64::from(how.kl) * (apart.exp() - apart - 1.0);
        }
        loss -= of(&batch.weights) * gain;
    }
    loss
}

fn objectives() -> [Improve; 4] {
    let kl = Improve { kl: 0.3, ..Improve::PLAIN };
    let foreign = Improve { truncate: Some(1.1), ..Improve::PLAIN };
    [Improve::PLAIN, kl, foreign, Improve { truncate: Some(1.1), ..kl }]
}

/// A batch whose policies all differ, so that clip, truncation and divergence all have something to do.
fn of_many_policies(model: &Model) -> Batch {
    let mut batch = improving(model);
    let apart = |i: usize, by: f32| (i as f32 * 0.7).sin() * by;
    for i in 0..batch.ids.len() {
        batch.logps[i] += apart(i, 0.5);
        batch.drawn[i] += apart(i + 5, 0.4);
    }
    batch.reference = batch.drawn.iter().enumerate().map(|(i, x)| x + apart(i + 9, 0.6)).collect();
    batch
}

#[test]
fn losses_are_what_they_are_defined_to_be() {
    for how in objectives() {
        let model = begun();
        let batch = of_many_policies(&model);
        let logps = Likelihoods::new(&model, 8, 6, Limits::default()).unwrap().of(&batch).unwrap();
        let logps: Vec<f64> = logps.iter().map(|x| f64::from(*x)).collect();
        let right = defined(&how, &batch, &logps);
        let mut learner = learner(&model, lesson(Objective::Improve(how)));
        let progress = learner.learn(&batch, 0.0, 0.0).unwrap();
        assert!((f64::from(progress.loss) - right).abs() < 1e-5, "{how:?}: {} and {right}", progress.loss);
        assert!(progress.clipped > 0.0 && progress.clipped < 1.0, "{how:?}: {progress:?}");
        assert_eq!(progress.kl > 0.0, how.kl > 0.0, "{how:?}");
    }
}

#[test]
fn gradients_are_the_slope_of_the_loss() {
    for how in objectives() {
        let model = begun();
        let batch = of_many_policies(&model);
        let name = "model.layers.0.mlp.down_proj.weight";
        let start = model.weight(name).unwrap();
        // After one step of AdamW from nothing, a moment is (1 - beta1) times the gradient.
        let mut learner = learner(&model, lesson(Objective::Improve(how)));
        learner.learn(&batch, 0.0, 0.0).unwrap();
        let gradient: Vec<f64> =
            learner.kept(&format!("{name}.m")).unwrap().iter().map(|m| f64::from(*m) / 0.1).collect();

        let mut moved = model.copy_to(&Device::cpu(1), Limits::default()).unwrap();
        let mut at = |by: f64| {
            let there: Vec<f32> =
                start.iter().zip(&gradient).map(|(w, g)| (f64::from(*w) + by * g) as f32).collect();
            moved.set_weight(name, &there).unwrap();
            let logps = Likelihoods::new(&moved, 8, 6, Limits::default()).unwrap().of(&batch).unwrap();
            // How far it really went, after rounding.
            let went: f64 =
                there.iter().zip(&start).zip(&gradient).map(|((to, from), g)| f64::from(to - from) * g).sum();
            (defined(&how, &batch, &logps.iter().map(|x| f64::from(*x)).collect::<Vec<_>>()), went)
        };
        let (up, down) = (at(2e-2), at(-2e-2));
        let slope = (up.0 - down.0) / (up.1 - down.1);
        assert!((slope - 1.0).abs() < 0.02, "{how:?}: {slope}");
    }
}

/// The mean log-probability of answers whose advantage was above 0, or below.
fn mean_logp(model: &Model, batch: &Batch, good: bool) -> f32 {
    let logps = Likelihoods::new(model, 8, 6, Limits::default()).unwrap().of(batch).unwrap();
    let here: Vec<f32> = (0..logps.len())
        .filter(|i| batch.advantages[*i] != 0.0 && (batch.advantages[*i] > 0.0) == good)
        .map(|i| logps[i])
        .collect();
    here.iter().sum::<f32>() / here.len() as f32
}

#[test]
fn the_clip_ends_what_a_batch_can_teach() {
    let model = begun();
    let batch = improving(&model);
    let mut learner =
        learner(&model, lesson(Objective::Improve(Improve { low: 0.1, high: 0.3, ..Improve::PLAIN })));
    let first = learner.learn(&batch, 0.01, 0.0).unwrap();
    assert!((first.ratio - 1.0).abs() < 1e-6 && first.clipped == 0.0, "{first:?}");
    let before = [true, false].map(|good| mean_logp(&begun(), &batch, good));
    let mut last = first;
    for _ in 0..200 {
        last = learner.learn(&batch, 0.003, 0.0).unwrap();
    }
    assert!(last.clipped > 0.8, "{last:?}");
    let after = [true, false].map(|good| mean_logp(&model, &batch, good));
    assert!(after[0] > before[0] && after[1] < before[1], "{before:?} {after:?}");
    // Without a clip it would have gone on.
    let free = begun();
    let mut without = unclipped(&free);
    for _ in 0..201 {
        without.learn(&batch, 0.003, 0.0).unwrap();
    }
    assert!(mean_logp(&free, &batch, false) < after[1] - 1.0);
}

fn unclipped(model: &Model) -> Learner {
    learner(model, lesson(Objective::Improve(Improve { low: 1.0, high: 1e6, ..Improve::PLAIN })))
}

#[test]
fn divergence_pulls_back() {
    let apart = |kl: f32| {
        let model = begun();
        let mut batch = improving(&model);
        batch.reference = batch.logps.clone();
        let how = Improve { low: 1.0, high: 1e6, kl, truncate: None };
        let mut learner = learner(&model, lesson(Objective::Improve(how)));
        for _ in 0..60 {
            learner.learn(&batch, 0.003, 0.0).unwrap();
        }
        let now = Likelihoods::new(&model, 8, 6, Limits::default()).unwrap().of(&batch).unwrap();
        now.iter().zip(&batch.logps).map(|(a, b)| (a - b).abs()).sum::<f32>()
    };
    let (free, held) = (apart(0.0), apart(20.0));
    assert!(held < free / 4.0, "{held} and {free}");
}

#[test]
fn passes_add_up_to_the_whole() {
    let whole = begun();
    let batch = improving(&whole);
    let rate = 0.01;
    let objective = Objective::IMPROVE;
    let one = learner(&whole, lesson(objective)).learn(&batch, rate, 0.0).unwrap();
    for rows in [1, 2, 4, 8] {
        let parts = || {
            let model = begun();
            let mut learner = learner(&model, Lesson { rows, passes: true, ..lesson(objective) });
            (
                learner.learn(&batch, rate, 0.0).unwrap(),
                learner.learn(&batch, rate, 0.0).unwrap(),
                weights(&model),
            )
        };
        let (first, second, moved) = parts();
        assert_eq!(parts().2, moved, "the same bits again");
        assert!((first.loss - one.loss).abs() < 1e-5 && (first.norm - one.norm).abs() < 1e-4 * one.norm);
        assert!(second.loss < first.loss, "gradients begin anew: {first:?} {second:?}");
    }
    // Rows in which nothing counts cost nothing and change nothing.
    let some = Batch::improve(&[], 8, 6).unwrap();
    let model = begun();
    let before = weights(&model);
    let mut learner = learner(&model, Lesson { rows: 2, passes: true, ..lesson(objective) });
    assert_eq!(learner.learn(&some, rate, 0.0).unwrap().norm, 0.0);
    assert_eq!(weights(&model), before);
}

#[test]
fn groups_move_otherwise() {
    let moved = |groups: Vec<Group>| {
        let model = begun();
        let batch = improving(&model);
        let optimiser = Optimiser { groups, muon: true, ..Optimiser::default() };
        let before = weights(&model);
        let lesson = Lesson { optimiser, ..lesson(Objective::IMPROVE) };
        learner(&model, lesson).learn(&batch, 0.01, 0.01).unwrap();
        let far = |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>();
        before.iter().zip(&weights(&model)).map(far).collect::<Vec<f32>>()
    };
    let group = |part: &str, rate, decay| Group { part: part.to_owned(), rate, decay };
    let plain = moved(vec![]);
    assert!(plain.iter().all(|far| *far > 0.0));
    let frozen = moved(vec![group("embed_tokens", 0.0, 0.0), group("layers.0.mlp", 0.5, 0.0)]);
    let names: Vec<String> = begun().config().parameters().iter().map(|p| p.name.clone()).collect();
    for (i, name) in names.iter().enumerate() {
        let share = frozen[i] / plain[i];
        let right = if name.contains("embed_tokens") {
            0.0
        } else if name.contains("mlp") {
            0.5
        } else {
            1.0
        };
        // The joint norm that gradients are clipped by has changed a little.
        assert!((share - right).abs() < 0.05, "{name}: {share}");
    }
    let decayed = moved(vec![group("o_proj", 1.0, 50.0)]);
    let at = names.iter().position(|name| name.contains("o_proj")).unwrap();
    assert!(decayed[at] > 1.5 * plain[at], "{} and {}", decayed[at], plain[at]);
}

#[test]
fn adapters_learn_and_the_rest_stays() {
    let model = begun();
    let batch = improving(&model);
    let before = weights(&model);
    let lora = Lora { on: vec!["q_proj".into(), "down_proj".into()], ..Lora::of_rank(4) };
    let mut adapted = learner(&model, Lesson { lora: Some(lora), ..lesson(Objective::IMPROVE) });
    let down = "model.layers.0.mlp.down_proj";
    let first = adapted.learn(&batch, 0.0, 0.0).unwrap();
    assert_eq!(weights(&model), before, "an adapter that has not moved changes no bit");
    let mut last = first;
    for _ in 0..10 {
        last = adapted.learn(&batch, 0.01, 0.0).unwrap();
    }
    assert!(last.loss < first.loss - 0.01, "{first:?} {last:?}");
    for (parameter, before) in model.config().parameters().iter().zip(&before) {
        let now = model.weight(&parameter.name).unwrap();
        let is_adapted = parameter.name.contains("q_proj") || parameter.name.contains("down_proj");
        assert_eq!(now != *before, is_adapted, "{}", parameter.name);
        if is_adapted {
            assert_eq!(adapted.kept(&format!("{}.base", parameter.name)).unwrap(), *before);
        }
    }
    // What the model has is base + 2 A B, and what the learner computes with is what the model has.
    let [a, b] = ["A", "B"].map(|which| adapted.kept(&format!("{down}.lora_{which}.weight")).unwrap());
    let (base, merged) = (
        adapted.kept(&format!("{down}.weight.base")).unwrap(),
        model.weight(&format!("{down}.weight")).unwrap(),
    );
    for (i, merged) in merged.iter().enumerate() {
        let (row, column) = (i / 32, i % 32);
        let product: f64 = (0..4).map(|k| f64::from(a[4 * row + k]) * f64::from(b[32 * k + column])).sum();
        let right = f64::from(base[i]) + 2.0 * product;
        assert!((f64::from(*merged) - right).abs() < 1e-6, "{i}: {merged} and {right}");
    }
    let of_factors = adapted.learn(&batch, 0.0, 0.0).unwrap().loss;
    let copy = model.copy_to(&Device::cpu(1), Limits::default()).unwrap();
    let of_merged = learner(&copy, lesson(Objective::IMPROVE)).learn(&batch, 0.0, 0.0).unwrap().loss;
    assert_eq!(of_factors.to_bits(), of_merged.to_bits());
}

/// Reward by trial, and only adapters learn: the letter comes more often, and all but the adapted matrices stay as they are.
#[test]
fn practice_with_adapters_moves_nothing_else() {
    let alphabet = Alphabet::new("abcd=");
    let model = begun();
    let before = weights(&model);
    let lora = Lora { on: vec!["_proj.weight".into()], ..Lora::of_rank(4) };
    let rate = Schedule { peak: 0.01, rise: 0, decay: Decay::Never };
    let drill = Drill {
        prompts: 2,
        samples: 16,
        rows: 16,
        lora: Some(lora),
        rate,
        ..Drill::new(3, 2, Alphabet::END)
    };
    let mut practice = Practice::new(&model, drill, Limits::default()).unwrap();
    let asked = ["ab=", "ca="].map(|text| alphabet.encode(text).unwrap());
    let mut rewards = Vec::new();
    for round in 0..40 {
        let right = |_, r: &Rollout| f32::from(u8::from(alphabet.decode(&r.answer).starts_with('d')));
        rewards.push(practice.round(&asked, 32 * round, right).unwrap().reward());
    }
    // The embedding, which is the head too, stays: so the letter comes slowly.
    let [first, last] = [&rewards[..10], &rewards[30..]].map(|some| some.iter().sum::<f32>());
    assert!(last > first + 0.5, "{rewards:?}");
    for (parameter, before) in model.config().parameters().iter().zip(&before) {
        let now = model.weight(&parameter.name).unwrap();
        assert_eq!(now != *before, parameter.name.contains("_proj.weight"), "{}", parameter.name);
    }
}

#[test]
fn every_kind_of_step_has_the_same_bits_everywhere() {
    let how = Improve { kl: 0.1, truncate: Some(2.0), ..Improve::PLAIN };
    let lessons = [
        Lesson { rows: 2, passes: true, ..lesson(Objective::Improve(how)) },
        Lesson { lora: Some(Lora::of_rank(2)), ..lesson(Objective::Improve(how)) },
    ];
    let batch = of_many_policies(&begun());
    for lesson in lessons {
        let root = |device: &Device| {
            let model = begun().copy_to(device, Limits::default()).unwrap();
            let mut learner = Learner::of(&model, lesson.clone(), Limits::default()).unwrap();
            learner.learn(&batch, 0.01, 0.0).unwrap();
            learner.learn(&batch, 0.01, 0.0).unwrap();
            model.root().unwrap()
        };
        let right = root(&Device::scalar());
        for level in Level::available() {
            assert_eq!(root(&Device::cpu_at(level, 2)), right, "{level}");
        }
    }
}

#[test]
fn what_cannot_be_learned_from_is_refused_and_nothing_moves() {
    let model = begun();
    let before = weights(&model);
    let good = improving(&model);
    let mut learner = learner(&model, lesson(Objective::IMPROVE));
    let mut refused = |what: &str, spoil: &dyn Fn(&mut Batch)| {
        let mut batch = good.clone();
        spoil(&mut batch);
        let error = learner.learn(&batch, 0.01, 0.0).unwrap_err();
        assert!(matches!(error, Error::Batch { .. } | Error::Token { .. }), "{what}: {error}");
        error.to_string()
    };
    let error = refused("a token", &|b| b.ids[3] = 7);
    assert_eq!(error, "there is no token 7: the model has tokens 0 to 6");
    refused("a target", &|b| b.targets[3] = u32::MAX);
    refused("no number", &|b| b.advantages[3] = f32::NAN);
    refused("too much", &|b| b.advantages[3] = 1e30);
    refused("an infinite logp", &|b| b.logps[3] = f32::NEG_INFINITY);
    refused("too few", &|b| _ = b.weights.pop());
    refused("too few targets", &|b| _ = b.targets.pop());
    refused("too many rows", &|b| b.ids.extend([0; 6]));
    assert_eq!(weights(&model), before);
    // A log-probability that no honest policy has, but that is a number: the step is finite.
    for lie in [-1e30, 1e30] {
        let mut batch = good.clone();
        batch.logps.fill(lie);
        learner.learn(&batch, 0.01, 0.0).unwrap();
        assert!(weights(&model).iter().flatten().all(|w| w.is_finite()), "{lie}");
    }
    for (lora, part) in [
        (Lora::of_rank(0), "rank"),
        (Lora::of_rank(999), "rank"),
        (Lora { on: vec!["nothing".into()], ..Lora::of_rank(1) }, "nothing"),
    ] {
        let error =
            Learner::of(&model, Lesson { lora: Some(lora), ..lesson(Objective::Imitate) }, Limits::default());
        assert!(error.unwrap_err().to_string().contains(part));
    }
}

/// How many of the exam's questions `wren` answers rightly, before and after some rounds of practice.
fn practised(task: Task, rounds: u64, shuffled: bool) -> [f32; 2] {
    let limits = Limits::default();
    let model = wren::load(&Device::cpu(2), limits).unwrap();
    let alphabet = wren::alphabet();
    let drill = task.drill();
    let (prompts, samples) = (drill.prompts, drill.samples);
    let mut practice = Practice::new(&model, drill, limits).unwrap();
    let exam = || task.exam(&model, 256, Sampling::PLAIN, limits).unwrap();
    let before = exam();
    for round in 0..rounds {
        let texts = task.questions(7, round, prompts);
        let asked: Vec<_> = texts.iter().map(|text| alphabet.encode(text).unwrap()).collect();
        let rollouts = practice.answer(&asked, round * 1000).unwrap();
        let reward = |(i, rollout): (usize, &Rollout)| task.reward(&alphabet, &texts[i / samples], rollout);
        let mut rewards: Vec<f32> = rollouts.iter().enumerate().map(reward).collect();
        if shuffled {
            // As many successes, and nothing to do with the answers.
            rewards.rotate_right(samples + 3);
        }
        practice.reinforce(rollouts, rewards).unwrap();
    }
    [before, exam()]
}

/// `LM_ROUNDS` asks for more rounds than a sample.
#[test]
fn practice_makes_better_and_shuffled_rewards_do_not() {
    let rounds = std::env::var("LM_ROUNDS").map_or(25, |rounds| rounds.parse().unwrap());
    let [before, after] = practised(Task::Reverse, rounds, false);
    assert!(after > before + 0.07, "practice: {before} -> {after}");
    let [before, after] = practised(Task::Reverse, rounds, true);
    assert!(after < before + 0.03, "shuffled: {before} -> {after}");
}
