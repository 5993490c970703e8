//! What peers of other versions and machines have to agree on.

use gym::{Mixture, Part, environment, names};

#[test]
fn tasks_and_scores_are_the_same_bits_everywhere() {
    let mut text = String::new();
    for name in names() {
        let environment = environment(name).unwrap();
        for level in 0..environment.levels() {
            for seed in 0..20 {
                let task = environment.task(seed, level);
                let other = environment.task(seed + 1, level).answer;
                let part = &task.answer[..task.answer.floor_char_boundary(3)];
                let scores =
                    ["0", "1 2", &other, part].map(|answer| environment.score(&task, answer).value());
                text += &serde_json::json!([name, task, scores.map(f64::to_bits)]).to_string();
            }
        }
    }
    // A change here parts the swarm: peers who have not changed as well score other answers. Say so where you make it.
    assert_eq!(blake3::hash(text.as_bytes()).to_hex().as_str(), PINNED);
}

const PINNED: &str = "6b68eceb1abc08039936c2e20598072d7417de88ad2f2b8673713489d59d19f5";

#[test]
fn draws_and_parts_are_the_same_everywhere() {
    let mixture = Mixture::read("chain_sum=2,spell_backward,gcd=0.5").unwrap();
    let drawn: Vec<String> = (0..4)
        .map(|number| {
            let drawn = mixture.draw(11, number);
            let task = Part::HeldOut.task(&*drawn.environment, drawn.seed, 0).unwrap();
            format!("{} {}", drawn.environment.name(), task.compact)
        })
        .collect();
    assert_eq!(
        drawn,
        ["chain_sum a:5-8+1-0=", "chain_sum a:4-6=", "spell_backward r:are=", "spell_backward r:sukobu="]
    );
}
