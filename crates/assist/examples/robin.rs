//! `robin`, the assistant that ships: how it is made, and how good it is.
//!
//! ```sh
//! cargo run --release -p assist --example robin -- make --write crates/assist/models/robin.bin
//! cargo run --release -p assist --example robin -- exam             # what `cargo xtask bench assist` runs
//! cargo run --release -p assist --example robin -- record FOLDER    # the examination's sessions as files
//! ```

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use assist::{
    Assistant, Candidate, Helper, Nerve, Outcome, Part, Recipe, Recording, Score, Senses, Weights, learn,
    one_offs, repeaters, robin, score,
};
use exact::Device;

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// Sessions of each player who comes back.
const SESSIONS: usize = 4;
/// What players and their goals are drawn from: of no other use.
const SEED: u64 = 7;

fn main() -> Done {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let value = |name: &str| args.iter().position(|a| *a == name).and_then(|i| args.get(i + 1)).copied();
    let number = |name: &str, usual: usize| value(name).map_or(Ok(usual), str::parse);
    let nerve =
        Nerve { build: value("--sure").map_or(Ok(Nerve::default().build), str::parse)?, ..Nerve::default() };
    match args.first().copied() {
        Some("make") => {
            let usual = Recipe::shipped();
            make(&Recipe { steps: number("--steps", usual.steps as usize)? as u64, ..usual }, value("--write"))
        }
        Some("exam") => {
            let weights = match value("--weights") {
                Some(path) => Weights::from_bytes(&std::fs::read(path)?)?,
                None => robin()?,
            };
            let senses = Senses::ALL.into_iter().filter(|s| value("--senses").is_none_or(|v| format!("{s:?}") == v));
            let senses: Vec<Senses> = senses.collect();
            exam(&weights, nerve, &senses, number("--players", 24)?, number("--learners", 4)?)
        }
        Some("record") => record(Path::new(args.get(1).ok_or("record where to?")?), number("--players", 24)?),
        _ => Err("make [--write FILE] [--steps N], exam [--weights FILE] [--players N] [--learners N] [--senses Both|Network|Likeness] [--sure SHARE], or record FOLDER".into()),
    }
}

fn make(recipe: &Recipe, path: Option<&str>) -> Done {
    let begin = Instant::now();
    let weights = recipe.run(&Device::cpu(2), |step, loss| {
        if step % 50 == 0 {
            println!("step {step:>5}: loss {loss:.4}, {:.0} s", begin.elapsed().as_secs_f64());
        }
    })?;
    if let Some(path) = path {
        std::fs::write(path, weights.to_bytes())?;
    }
    println!("{}", weights.hash());
    Ok(())
}

fn record(folder: &Path, players: usize) -> Done {
    std::fs::create_dir_all(folder)?;
    for (i, player) in repeaters(Part::Exam, SEED, players, SESSIONS).iter().enumerate() {
        for (j, session) in player.sessions.iter().enumerate() {
            session.save(&folder.join(format!("repeat-{i:03}-{j}.jsonl.zst")))?;
        }
    }
    for (i, session) in one_offs(Part::Exam, SEED, 2 * players).iter().enumerate() {
        session.save(&folder.join(format!("once-{i:03}.jsonl.zst")))?;
    }
    Ok(())
}

/// Scores of one kind of sessions, one for each player.
struct Row {
    name: String,
    scores: Vec<Score>,
}

impl Row {
    fn new(name: impl Into<String>) -> Row {
        Row { name: name.into(), scores: Vec::new() }
    }

    fn print(&self) {
        let share = |of: fn(&Score) -> f64| {
            let all = |scores: &[&Score]| of(&scores.iter().fold(Score::default(), |a, s| a.plus(s)));
            let [low, high] = interval(&self.scores, &all);
            let whole: Vec<&Score> = self.scores.iter().collect();
            format!("{:>5.1} % [{:>5.1}, {:>5.1}]", 100.0 * all(&whole), 100.0 * low, 100.0 * high)
        };
        let placed: usize = self.scores.iter().map(|s| s.placed).sum();
        let acts: usize = self.scores.iter().map(|s| s.acts).sum();
        println!(
            "{:<44} {}   {}   {acts:>6} {placed:>6}",
            self.name,
            share(Score::saved_share),
            share(Score::wrong_share)
        );
    }
}

/// What 95 % of 1000 resamples of the players give.
fn interval(scores: &[Score], of: &dyn Fn(&[&Score]) -> f64) -> [f64; 2] {
    let mut state = 1u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        &scores[((state >> 33) as usize) % scores.len()]
    };
    let mut all: Vec<f64> = (0..1000)
        .map(|_| {
            let sample: Vec<&Score> = (0..scores.len()).map(|_| draw()).collect();
            of(&sample)
        })
        .collect();
    all.sort_by(f64::total_cmp);
    [all[25], all[974]]
}

fn exam(weights: &Weights, nerve: Nerve, senses: &[Senses], players: usize, learners: usize) -> Done {
    let device = Device::cpu(2);
    let candidates = repeaters(Part::Exam, SEED, players, SESSIONS);
    let singles = one_offs(Part::Exam, SEED, 2 * players);
    println!(
        "{players} players with {SESSIONS} sessions of their own motifs, {} goals built once; sure from {} on",
        singles.len(),
        nerve.build
    );
    println!("{:<44} {:<24}   {:<24}   {:>6} {:>6}", "", "saved [95 %]", "wrong [95 %]", "acts", "blocks");
    for &senses in senses {
        let mut rows: Vec<Row> =
            (0..SESSIONS).map(|i| Row::new(format!("{senses:?}, own motifs, session {i}"))).collect();
        for candidate in &candidates {
            let mut assistant = Assistant::with(weights, nerve, senses, &device)?;
            for (session, row) in candidate.sessions.iter().zip(&mut rows) {
                row.scores.push(score(session, &mut Helper::Assistant(&mut assistant))?);
                assistant.remember(session);
            }
        }
        rows.iter().for_each(Row::print);
        if senses == Senses::Both {
            let mut firsts: Vec<usize> = rows[0].scores.iter().map(|s| s.first_help).collect();
            firsts.sort_unstable();
            println!(
                "  first help in session 0 after {} of the player's actions (median)",
                firsts[firsts.len() / 2]
            );
        }
        let mut row = Row::new(format!("{senses:?}, built once"));
        let mut assistant = Assistant::with(weights, nerve, senses, &device)?;
        for session in &singles {
            row.scores.push(score(session, &mut Helper::Assistant(&mut assistant))?);
        }
        row.print();
    }
    let mut row = Row::new("going on in a line, own motifs");
    let all = candidates.iter().flat_map(|c| &c.sessions);
    for session in all {
        row.scores.push(score(session, &mut Helper::Line)?);
    }
    row.print();
    let mut row = Row::new("going on in a line, built once");
    for session in &singles {
        row.scores.push(score(session, &mut Helper::Line)?);
    }
    row.print();
    latency(weights, &candidates[0], &device)?;
    learning(weights, nerve, candidates.get(..learners).unwrap_or(&candidates), &device)
}

fn latency(weights: &Weights, candidate: &Candidate, device: &Device) -> Done {
    let mut assistant = Assistant::new(weights, Nerve::default(), device)?;
    let (last, before) = candidate.sessions.split_last().ok_or("no session")?;
    for session in before {
        assistant.remember(session);
    }
    let mut world = last.world();
    let mut times = Vec::new();
    for event in &last.events {
        world.apply(event);
        let begin = Instant::now();
        assistant.decide(&world)?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize];
    println!("a decision takes {:.1} ms (median), {:.1} ms (p95) on two threads", at(0.5), at(0.95));
    Ok(())
}

/// What weights that learn after every session change.
fn learning(weights: &Weights, nerve: Nerve, candidates: &[Candidate], device: &Device) -> Done {
    let mut rows: Vec<Row> =
        (0..SESSIONS).map(|i| Row::new(format!("and learning, own motifs, session {i}"))).collect();
    let (mut longest, mut taken, mut tried) = (0.0f64, 0, 0);
    for candidate in candidates {
        let mut own = weights.clone();
        for (i, session) in candidate.sessions.iter().enumerate() {
            let mut assistant = Assistant::new(&own, nerve, device)?;
            for session in &candidate.sessions[..i] {
                assistant.remember(session);
            }
            rows[i].scores.push(score(session, &mut Helper::Assistant(&mut assistant))?);
            let known: &[Recording] = &candidate.sessions[..=i];
            if i == 0 || i + 1 == SESSIONS {
                continue;
            }
            let begin = Instant::now();
            let outcome = learn(&own, known, nerve, device, |_| {})?;
            longest = longest.max(begin.elapsed().as_secs_f64());
            tried += 1;
            if let Outcome::Judged { better: Some(better), .. } = outcome {
                own = better;
                taken += 1;
            }
        }
    }
    if !candidates.is_empty() {
        rows.iter().for_each(Row::print);
        println!("new weights took over {taken} of {tried} times; learning took at most {longest:.0} s");
    }
    Ok(())
}
