//! An answer to a task of every environment: whatever it is, it gets a score between 0 and 1.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, u8, &str)| {
    let (seed, level, answer) = input;
    for name in gym::names() {
        let Some(environment) = gym::environment(name) else { continue };
        let task = environment.task(seed, level);
        for answer in [answer, &environment.expand(answer), &format!("{}{answer}", task.answer)] {
            let score = environment.score(&task, answer).value();
            assert!((0.0..=1.0).contains(&score), "{name}: {score}");
        }
    }
});
