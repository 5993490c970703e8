//! The committed conformance vectors, on every device; and hashes of programs that must never change.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::play::devices;
use common::vectors::{Vector, hex, text_of, vectors_of};
use exact::{Builder, Device, Program, UnaryFn};

fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = paths.filter(|path| path.extension().is_some_and(|e| e == "txt"));
    texts
        .map(|path| (path.file_name().unwrap().display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn every_device_gives_the_bits_of_the_vectors() {
    let files = files();
    assert_eq!(files.len(), 9);
    let scalar = [("scalar".to_owned(), Device::scalar())];
    for (file, text) in files {
        let vectors = vectors_of(&text).unwrap();
        for (name, device) in scalar.iter().chain(devices()) {
            for vector in &vectors {
                let played = vector.played(device).unwrap();
                assert!(*vector == played, "{file}, {} on {name}\n{}", vector.title, said(vector, &played));
            }
        }
    }
}

/// What a device says beside what is committed.
fn said(right: &Vector, other: &Vector) -> String {
    let [right, other] = [right, other].map(|v| text_of(std::slice::from_ref(v)));
    let parting = right.lines().zip(other.lines()).find(|(a, b)| a != b);
    parting.map_or_else(String::new, |(a, b)| format!("{a}\n{b}"))
}

#[test]
fn the_vectors_are_of_every_operation_and_not_too_large() {
    let files = files();
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    assert!(bytes < 1_500_000, "{bytes} bytes");
    let mut seen = BTreeSet::new();
    for (_, text) in &files {
        for line in text.lines().filter_map(|line| line.strip_prefix("# %")) {
            let (_, right) = line.split_once(" = ").unwrap();
            seen.insert(right.split([' ', '(']).next().unwrap().to_owned());
        }
    }
    seen.remove("input");
    seen.remove("state");
    assert_eq!(seen.len(), 14 + 9 + 3 + 7 + 45, "{seen:?}");
}

/// What a reader of the files must refuse.
#[test]
fn files_that_are_none_are_refused() {
    for text in [
        "",
        "exact vectors 2\n",
        "exact vectors 1\nrun\n",
        "exact vectors 1\ncase a\nprogram 0\n",
        "exact vectors 1\ncase a\nin x f32[] 00000000\n",
        "exact vectors 1\ncase a\nrun\nin x f32[2] 00000000\n",
        "exact vectors 1\ncase a\nrun\nin x f64[] 00000000\n",
        "exact vectors 1\ncase a\nrun\nbad\n",
    ] {
        assert!(vectors_of(text).is_err(), "{text:?}");
    }
}

/// An encoding that changes makes every stored hash, signature and dispute worthless: it must be on purpose, with a new
/// version in its first bytes.
#[test]
fn hashes_stay() {
    let check = |build: fn(&mut Builder) -> Result<(), exact::Error>, bytes: &str, hash: &str| {
        let mut b = Builder::new();
        build(&mut b).unwrap();
        let program = b.finish().unwrap();
        assert_eq!((hex(&program.encode()).as_str(), program.hash().to_string().as_str()), (bytes, hash));
        assert_eq!(Program::decode(&program.encode()).unwrap(), program);
    };
    check(|_| Ok(()), EMPTY.0, EMPTY.1);
    check(
        |b| {
            let x = b.input::<f32>("x", &[2, 3])?;
            let y = b.unary(UnaryFn::Relu, x)?;
            b.output("y", y)
        },
        RELU.0,
        RELU.1,
    );
    check(
        |b| {
            let x = b.input::<f32>("x", &[300, 3])?;
            let ids = b.input::<u32>("ids", &[300])?;
            let w = b.state::<f32>("w", &[3, 200])?;
            let (gain, eps) = (b.full(&[3], 0.5)?, 1e-5);
            let (h, _) = b.rms_norm(x, gain, eps)?;
            let logits = b.matmul(h, w)?;
            let logp = b.token_logprob(logits, ids)?;
            let loss = b.mean_all(logp)?;
            let [g] = b.gradients(loss, &[w])?[..] else { unreachable!() };
            let step = b.scale(g, -0.25)?;
            let next = b.add(w, step)?;
            b.assign(w, next)?;
            b.output("loss", loss)
        },
        LEARN.0,
        LEARN.1,
    );
}

const EMPTY: (&str, &str) =
    ("6578616374010000000000", "1f5a14b54acd8133a9e60ca19991e459964228611229745956f42acb8c3e7c6a");
const RELU: (&str, &str) = (
    "657861637401010178000202030001050d01000101790100",
    "45f9c615388cbd72ebdeb03d91138b0fa90d64c098939aa2510eaa29a473f9c0",
);
const LEARN: (&str, &str) = (
    concat!(
        "6578616374010201780002ac0203036964730101ac02010177000203c8011000000103808080f803001facc527370200",
        "03190000020402230206011b000001070000008080d89c04000603020a0b000000808080fc03000603020d0b0c010101",
        "0e0e01ac02010f24050601080910190100020411000000808080f40b000602021213060002021401046c6f73730c0101",
        "15",
    ),
    "00e17fdb6c52d86696369ae2ae1cdcbb69787ea33d5e4d407ed7009726b24946",
);
