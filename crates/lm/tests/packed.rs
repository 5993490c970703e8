//! Matrices that stay in a file's blocks: the same model to the bit, in less memory.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/gguf.rs"]
mod gguf;

use std::path::PathBuf;

use exact::{Device, Limits};
use gguf::Gguf;
use lm::{
    Checker, Config, Error, Files, Finding, Learner, Likelihoods, Model, Objective, Optimiser, Packing,
    Request, RopeScaling, Sampling, Speaker, Until, plan_speaker, plan_speaker_of,
};

/// A shape whose rows are whole blocks of every kind.
fn config(tied: bool) -> Config {
    Config {
        vocabulary: 64,
        width: 256,
        layers: 1,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        hidden: 256,
        context: 40,
        rope_theta: 10_000.0,
        rope_scaling: RopeScaling::None,
        norm_eps: 1e-5,
        tied,
        qkv_bias: false,
        qk_norm: false,
    }
}

/// Blocks of any bytes, but for the exponents of their halves: scales are small, and of either sign.
fn blocks(packing: Packing, numbers: usize, seed: usize) -> Vec<u8> {
    let mut blocks: Vec<u8> = (0..numbers / packing.numbers() * packing.bytes())
        .map(|i| ((i + 977 * seed).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize) >> 29) as u8)
        .collect();
    for block in blocks.chunks_exact_mut(packing.bytes()) {
        let exponent = if packing.numbers() == 256 { 0x08 } else { 0x1c };
        for at in if packing == Packing::Q6_K { [209, 209] } else { [1, 3] } {
            block[at] = block[at] & 0x83 | exponent;
        }
    }
    blocks
}

/// A file of a model with all matrices in random blocks of this kind.
fn file(packing: Packing, tied: bool) -> PathBuf {
    let model = Model::new(config(tied), 1, &Device::cpu(1), Limits::default()).unwrap();
    let mut file = Gguf::of(&model, "llama", Packing::F32);
    for (i, (_, dims, kind, bytes)) in file.tensors.iter_mut().enumerate() {
        if dims.len() == 2 {
            (*kind, *bytes) = (packing, blocks(packing, dims.iter().product::<u64>() as usize, i));
        }
    }
    let path =
        std::env::temp_dir().join(format!("starling-packed-{packing:?}-{tied}-{}.gguf", std::process::id()));
    std::fs::write(&path, file.bytes()).unwrap();
    path
}

fn requests() -> Vec<Request> {
    let sampling = [Sampling::GREEDY, Sampling::PLAIN, Sampling { temperature: 0.7, top_k: 9, top_p: 0.9 }];
    let request = |(seed, sampling)| Request {
        prompt: (0..5 + seed as u32).map(|i| (i * 7 + seed as u32) % 64).collect(),
        seed,
        sampling,
        until: Until::new(8, &[]),
    };
    (0..).zip(sampling).map(request).collect()
}

#[test]
fn a_packed_model_is_the_model_it_stands_for() {
    // Every kind, and both ways to have a head for two of them.
    for (i, packing) in Packing::ALL.into_iter().filter(|p| p.numbers() > 1).enumerate() {
        let both = [Packing::Q4_1, Packing::Q6_K].contains(&packing);
        for tied in [true, false].into_iter().filter(|tied| both || *tied == i.is_multiple_of(2)) {
            let path = file(packing, tied);
            let files = Files::open(&path).unwrap();
            let mut last = (0, 0);
            let device = Device::cpu(2);
            let whole = files.load(&device, Limits::default(), &mut |_, _| {}).unwrap();
            let packed = files
                .load_packed(&device, Limits::default(), &mut |done, total| last = (done, total))
                .unwrap();
            std::fs::remove_file(&path).unwrap();
            assert_eq!(last.0, last.1);
            assert!(packed.is_packed() && !whole.is_packed());

            // The same numbers, and the same root.
            for parameter in whole.config().parameters() {
                let [a, b] = [&whole, &packed].map(|m| m.weight(&parameter.name).unwrap());
                let same = a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same && a.len() == b.len(), "{packing:?} {}", parameter.name);
            }
            assert_eq!(packed.root().unwrap(), whole.root().unwrap());
            let elsewhere = packed.copy_to(&Device::cpu(1), Limits::default()).unwrap();
            assert_eq!(elsewhere.root().unwrap(), whole.root().unwrap());

            // The same thoughts and answers, and either checks the other's.
            let bits = |m: &Model| -> Vec<u32> {
                m.logits(&[3, 1, 4, 1, 5], Limits::default()).unwrap().iter().map(|x| x.to_bits()).collect()
            };
            assert_eq!(bits(&packed), bits(&whole), "{packing:?}");
            let [ours, theirs] = [&packed, &whole].map(|model| {
                Speaker::new(model, 2, 40, Limits::default()).unwrap().answer(&requests()).unwrap()
            });
            assert_eq!(ours, theirs);
            let findings =
                Checker::new(&elsewhere, 2, 40, Limits::default()).unwrap().check(&theirs).unwrap();
            assert_eq!(findings, vec![Finding::Holds; 3]);
            assert!(Likelihoods::new(&packed, 1, 8, Limits::default()).is_ok());

            // In less memory, as planned.
            let plan = plan_speaker_of(&packed, 2, 40, 40, u64::MAX).unwrap();
            assert_eq!(plan.need.total(), Speaker::new(&packed, 2, 40, Limits::default()).unwrap().bytes());
            let plain = plan_speaker(whole.config(), &device, 2, 40, 40, u64::MAX).unwrap();
            let table = 4 * 64 * 256;
            assert!(plan.need.weights - table < (plain.need.weights - table) / 2, "{plan:?} {plain:?}");
        }
    }
}

#[test]
fn a_packed_model_does_not_move() {
    let path = file(Packing::Q4_1, true);
    let files = Files::open(&path).unwrap();
    let mut packed = files.load_packed(&Device::cpu(1), Limits::default(), &mut |_, _| {}).unwrap();
    std::fs::remove_file(&path).unwrap();
    let learner = Learner::new(&packed, Objective::Imitate, &Optimiser::default(), 1, 8, Limits::default());
    assert!(matches!(learner, Err(Error::Packed { .. })));
    for name in ["model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight"] {
        let numbers = packed.weight(name).unwrap();
        assert!(matches!(packed.set_weight(name, &numbers), Err(Error::Packed { .. })));
    }
    // A vector is in 32 bits, and may.
    let before = packed.root().unwrap();
    packed.set_weight("model.norm.weight", &[2.0; 256]).unwrap();
    assert_ne!(packed.root().unwrap(), before);

    // Saved, it is an ordinary folder of the numbers it stands for.
    let folder = std::env::temp_dir().join(format!("starling-unpacked-{}", std::process::id()));
    packed.save(&folder, None).unwrap();
    let again =
        Files::open(&folder).unwrap().load(&Device::cpu(1), Limits::default(), &mut |_, _| {}).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(again.root().unwrap(), packed.root().unwrap());
    assert!(!again.is_packed());
}

#[test]
fn a_file_that_is_not_the_model_it_says_is_refused() {
    let model = Model::new(config(false), 1, &Device::cpu(1), Limits::default()).unwrap();
    let path = std::env::temp_dir().join(format!("starling-packed-wrong-{}.gguf", std::process::id()));
    let refused = |change: &dyn Fn(&mut Gguf)| {
        let mut file = Gguf::of(&model, "llama", Packing::Q8_0);
        change(&mut file);
        std::fs::write(&path, file.bytes()).unwrap();
        let error =
            Files::open(&path).unwrap().load_packed(&Device::cpu(1), Limits::default(), &mut |_, _| {});
        error.unwrap_err().to_string()
    };
    let at = |file: &Gguf| file.tensors.iter().position(|t| t.0 == "blk.0.ffn_up.weight").unwrap();
    let error = refused(&|file| {
        let at = at(file);
        file.tensors[at].1 = vec![128, 512];
    });
    assert!(
        error.contains("mlp.up_proj.weight: is [512, 128] and the configuration wants [256, 256]"),
        "{error}"
    );
    let error = refused(&|file| {
        let at = at(file);
        file.tensors.remove(at);
    });
    assert!(error.contains("mlp.up_proj.weight: is missing"), "{error}");
    std::fs::remove_file(&path).unwrap();
}
