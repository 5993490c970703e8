//! A run that is killed at any moment goes on to the same bits; files that are harmed are noticed.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{config, model};
use exact::{Device, Limits};
use lm::checkpoint::{Checkpoint, CheckpointError, Content, Store};
use lm::{Batch, Error, Learner, Model, Objective, Optimiser};

/// Names the folder to a process that is a run of its own; without it the test that is such a run takes a fresh one.
const FOLDER: &str = "LM_CHECKPOINT_FOLDER";
const STEPS: u64 = 14;

fn fresh(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    folder
}

/// A model that learns, and whose next batch follows from the step it is at.
struct Run {
    model: Model,
    learner: Learner,
    step: u64,
}

impl Run {
    fn new() -> Run {
        let model = model(config(), &Device::cpu(1));
        let optimiser = Optimiser { muon: true, ..Optimiser::default() };
        let learner = Learner::new(&model, Objective::Imitate, &optimiser, 4, 8, Limits::default()).unwrap();
        Run { model, learner, step: 0 }
    }

    fn learn(&mut self) {
        let token = |i: u64| 2 + (i * i * 31 + self.step * 17) as u32 % 35;
        let example =
            |row: u64| ((0..3).map(|i| token(row + i)).collect(), (3..6).map(|i| token(row * i)).collect());
        let examples: Vec<(Vec<u32>, Vec<u32>)> = (0..4).map(example).collect();
        let batch = Batch::imitate(&examples, 4, 8).unwrap();
        self.learner.learn(&batch, 0.01, 0.01).unwrap();
        self.step += 1;
    }

    fn save(&self, store: &Store) -> [u8; 32] {
        let mut saving = store.save(self.step);
        saving.note("program", &self.learner.program().hash().0);
        saving.note("cursor", &self.step.to_le_bytes());
        saving.states(&self.learner.states()).unwrap();
        saving.finish().unwrap()
    }

    fn restore(&mut self, found: &Checkpoint<'_>) -> Result<(), Error> {
        assert_eq!(found.note("program")?, self.learner.program().hash().0);
        found.restore(&mut self.learner.states_mut())?;
        self.step = u64::from_le_bytes(found.note("cursor")?.try_into().unwrap());
        Ok(())
    }
}

fn uninterrupted() -> [u8; 32] {
    let mut run = Run::new();
    (0..STEPS).for_each(|_| run.learn());
    run.model.root().unwrap()
}

/// A whole run, from wherever its folder has it; the test below starts it as a process and kills it.
#[test]
fn a_run_goes_on_from_its_folder() {
    let folder = std::env::var_os(FOLDER).map_or_else(|| fresh("run"), PathBuf::from);
    let store = Store::open(&folder).unwrap();
    let mut run = Run::new();
    let found = store.resume(|found| run.restore(found)).unwrap();
    assert!(found.is_none_or(|(_, failed)| failed.is_empty()));
    println!("\nat {}", run.step);
    while run.step < STEPS {
        run.learn();
        println!("learned {}", run.step);
        run.save(&store);
        println!("saved {}", run.step);
        store.collect(2).unwrap();
        println!("collected {}", run.step);
    }
    assert_eq!(run.model.root().unwrap(), uninterrupted());
    assert_eq!(store.steps().unwrap(), [STEPS - 1, STEPS]);
}

#[test]
fn killed_at_any_moment_it_goes_on_to_the_same_bits() {
    let folder = fresh("killed");
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_run_goes_on_from_its_folder", "--nocapture"])
            .env(FOLDER, &folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut from = Vec::new();
    for kill in 0u64..12 {
        let mut child = start();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // After some line or other, while it goes on: in the middle of a step, of a checkpoint, or of clearing away.
        let mut lines = lines.skip_while(|line| !line.starts_with("at "));
        from.push(lines.next().unwrap()["at ".len()..].parse::<u64>().unwrap());
        lines.nth((kill * 5 % 7) as usize);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // Each went on from where the one before it was at least.
    assert!(from.is_sorted() && from[0] == 0 && from[11] > 0, "{from:?}");
    let done = start().wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[test]
fn what_was_saved_comes_back_and_unchanged_tensors_are_there_once() {
    let folder = fresh("once");
    let store = Store::open(&folder).unwrap();
    let (big, small) = (vec![1.5f32; 400_000], [f32::NAN, -0.0, f32::MIN_POSITIVE / 4.0]);
    let save = |step: u64, last: u32| {
        let mut saving = store.save(step);
        saving.numbers("big", &[1000, 400], &big).unwrap();
        saving.numbers("small", &[3], &small).unwrap();
        saving.integers("ids", &[2, 200], &vec![last; 400]).unwrap();
        saving.note("seed", b"7");
        saving.finish().unwrap()
    };
    let chunks = || walk(&folder.join("chunks")).len();
    let first = save(1, 1);
    // One whole piece and a rest of `big`, whose pieces are not alike in length, and one of `ids`.
    assert_eq!(chunks(), 3);
    assert_ne!(save(2, 2), first);
    assert_eq!(chunks(), 4);
    // The hash is of the content: step 3 differs from step 2 by its number alone.
    assert_ne!(save(3, 2), save(2, 2));
    assert_eq!((store.steps().unwrap(), chunks()), (vec![1, 2, 3], 4));

    let found = store.load(1).unwrap();
    assert_eq!((found.hash(), found.step()), (first, 1));
    assert_eq!(found.numbers("big").unwrap(), big);
    let back = found.numbers("small").unwrap();
    assert!(back.iter().zip(small).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert_eq!(found.integers("ids").unwrap(), [1; 400]);
    assert_eq!(found.note("seed").unwrap(), b"7");
    for missing in
        [found.numbers("ids").map(drop), found.integers("none").map(drop), found.note("x").map(drop)]
    {
        assert!(matches!(missing, Err(CheckpointError::Differs { step: 1, .. })));
    }

    store.keep(1, "first").unwrap();
    assert!(store.collect(1).unwrap() > 0);
    assert_eq!((store.steps().unwrap(), chunks()), (vec![3], 4));
    assert_eq!(store.load_named("first").unwrap().hash(), first);
    store.load_named("first").unwrap().verify().unwrap();
    store.forget("first").unwrap();
    store.collect(1).unwrap();
    assert_eq!(chunks(), 3);
    store.load(3).unwrap().verify().unwrap();
    assert!(matches!(store.load(1), Err(CheckpointError::Missing { .. })));
    assert!(matches!(store.keep(3, "../x"), Err(CheckpointError::Name { .. })));
}

#[test]
fn a_folder_has_one_user() {
    let folder = fresh("one-user");
    let store = Store::open(&folder).unwrap();
    let error = Store::open(&folder).unwrap_err();
    assert!(
        matches!(error, CheckpointError::InUse { .. }) && error.to_string().contains("end it"),
        "{error}"
    );
    drop(store);
    Store::open(&folder).unwrap();
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

#[test]
fn any_harm_to_a_file_is_noticed_and_the_checkpoint_before_is_taken() {
    let folder = fresh("harm");
    let store = Store::open(&folder).unwrap();
    let mut run = Run::new();
    let mut roots = Vec::new();
    for _ in 0..2 {
        run.learn();
        run.save(&store);
        roots.push(run.model.root().unwrap());
    }
    let files: Vec<PathBuf> =
        [vec![folder.join("steps/000000000002")], walk(&folder.join("chunks"))].concat();
    let mut earlier = 0;
    for path in &files {
        let honest = fs::read(path).unwrap();
        let mut harms =
            vec![None, Some(honest[..honest.len() - 1].to_vec()), Some([&honest[..], &[0]].concat())];
        for at in [0, honest.len() / 2, honest.len() - 1] {
            let mut other = honest.clone();
            other[at] ^= 16;
            harms.push(Some(other));
        }
        for harm in harms {
            match harm {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
            match store.resume(|found| run.restore(found)) {
                Ok(Some((found, failed))) => {
                    assert_eq!(run.model.root().unwrap(), roots[found.step() as usize - 1]);
                    // Either the later one does not need the file, or it was said which file is damaged.
                    assert_eq!(
                        failed.is_empty(),
                        found.step() == 2
                            || !path.exists() && found.step() == 1 && path.ends_with("000000000002")
                    );
                    for why in &failed {
                        let text = why.to_string();
                        assert!(
                            text.contains(path.to_str().unwrap()) && text.contains("earlier checkpoint"),
                            "{text}"
                        );
                    }
                    earlier += u32::from(found.step() == 1);
                }
                Ok(None) => panic!("both are gone"),
                // Both need it.
                Err(error) => assert!(error.to_string().contains(path.to_str().unwrap()), "{error}"),
            }
            fs::write(path, &honest).unwrap();
        }
    }
    assert!(earlier > 6, "{earlier}");
    // A damaged piece is mended when it is saved again.
    let (found, _) = store.resume(|found| run.restore(found)).unwrap().unwrap();
    let mut chunks = found.manifest().tensors.iter().filter_map(|tensor| match &tensor.content {
        Content::Chunks(chunks) => chunks.first(),
        Content::Here(_) => None,
    });
    let name = blake3::Hash::from_bytes(*chunks.next_back().unwrap()).to_hex();
    fs::write(folder.join("chunks").join(&name[..2]).join(&name[..]), b"x").unwrap();
    assert!(store.load(2).unwrap().verify().is_err());
    run.save(&store);
    store.load(2).unwrap().verify().unwrap();
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let store = Store::open(&fresh("else")).unwrap();
    let mut run = Run::new();
    run.save(&store);
    let mut other =
        Learner::new(&run.model, Objective::Imitate, &Optimiser::default(), 4, 8, Limits::default()).unwrap();
    let found = store.load(0).unwrap();
    let error = found.restore(&mut other.states_mut()).unwrap_err().to_string();
    assert!(error.contains("momentum") && error.contains("something else"), "{error}");
    let mut saving = store.save(1);
    saving.numbers("model.norm.weight", &[25], &[0.0; 25]).unwrap();
    saving.finish().unwrap();
    let error = store.load(1).unwrap().restore(&mut run.learner.states_mut()).unwrap_err().to_string();
    assert!(error.contains("something else"), "{error}");
    let unfit = store.save(2).numbers("x", &[3], &[0.0; 4]).unwrap_err();
    assert!(matches!(unfit, CheckpointError::Unfit { .. }), "{unfit}");
}
