//! `starling up`: a model learns a small skill from nothing, answers, and is checked by a device that computes differently.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use clap::Args;
use exact::{Device, Level, Limits};
use lm::{
    Alphabet, Batch, Checker, Config, Finding, Learner, Model, Objective, Optimiser, Request, Rollout,
    Sampling, Speaker, Until,
};

/// Prints a line, or says why it could not: a reader that has gone away is no reason to panic.
macro_rules! say {
    ($($line:tt)*) => {
        writeln!(std::io::stdout(), $($line)*)?
    };
}

/// How it runs.
#[derive(Args)]
pub(crate) struct Options {
    /// Threads to compute with; all of the machine's if not given
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Steps of learning, 64 examples each
    #[arg(long, value_name = "N", default_value_t = 260)]
    steps: usize,
    /// What the first weights and the examples are drawn from; the same seed gives the same model, to the bit
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The most memory it may take, in mebibytes
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: u64,
}

/// Examples in a step of learning.
const ROWS: usize = 64;
/// The longest word.
const WORD: usize = 8;
/// Tokens of the longest example: word, sign, the word backwards, of which the last token is predicted and not read.
const TOKENS: usize = 2 * WORD + 1;
/// Words it is examined on.
const EXAM: usize = 128;

type Done<T> = Result<T, Box<dyn Error>>;

pub(crate) fn run(options: &Options) -> Done<()> {
    let threads =
        options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let device = Device::cpu(threads);
    let limits = Limits { memory_bytes: options.memory << 20, ..Limits::default() };
    let alphabet = Alphabet::new("abcdefghijklmnopqrstuvwxyz=");
    let config = Config {
        vocabulary: alphabet.len(),
        width: 128,
        layers: 3,
        heads: 4,
        kv_heads: 4,
        head_dim: 32,
        hidden: 352,
        context: TOKENS + 1,
        rope_theta: 10_000.0,
        rope_scaling: lm::RopeScaling::None,
        norm_eps: 1e-6,
        tied: true,
        qkv_bias: false,
        qk_norm: false,
    };
    say!("Starling {} on this machine: {device:?}", env!("CARGO_PKG_VERSION"));
    say!(
        "\nA model of {} numbers is born from seed {}. It is to write words backwards.",
        config.size(),
        options.seed
    );
    let model = Model::new(config, options.seed, &device, limits)?;
    say!("  its weights   {}", short(&model.root()?));
    let words = Words { seed: options.seed };

    same_bits_twice(options, &model, &words, &alphabet, limits)?;
    teach(options, &model, &words, &alphabet, limits)?;
    let rollouts = ask(&model, &words, &alphabet, limits)?;
    check(&model, &rollouts, limits)
}

/// The first step of learning, done again from the same seed by other instructions and another number of threads.
fn same_bits_twice(
    options: &Options,
    model: &Model,
    words: &Words,
    alphabet: &Alphabet,
    limits: Limits,
) -> Done<()> {
    let other = other_device();
    let twins = [
        Model::new(model.config().clone(), options.seed, &Device::cpu(2), limits)?,
        Model::new(model.config().clone(), options.seed, &other, limits)?,
    ];
    let mut roots = Vec::new();
    for twin in &twins {
        let mut learner = Learner::new(twin, Objective::Imitate, &optimiser(), ROWS, TOKENS, limits)?;
        learner.learn(&words.batch(0, alphabet)?, 1e-3, 1e-3)?;
        roots.push(twin.root()?);
    }
    if roots[0] != roots[1] {
        return Err("two devices disagree about one step of learning: please report this machine".into());
    }
    say!("  one step      {} on 2 threads, and the same on {other:?}", short(&roots[0]));
    Ok(())
}

/// Instructions and threads other than those that teach.
fn other_device() -> Device {
    Device::cpu_at(Level::available().rev().nth(1).unwrap_or(Level::Portable), 1)
}

fn optimiser() -> Optimiser {
    Optimiser { muon: true, ..Optimiser::default() }
}

fn teach(options: &Options, model: &Model, words: &Words, alphabet: &Alphabet, limits: Limits) -> Done<()> {
    let mut learner = Learner::new(model, Objective::Imitate, &optimiser(), ROWS, TOKENS, limits)?;
    let program = learner.program();
    say!(
        "\nIt learns from {ROWS} examples a step. A step is one program of {} operations, {},",
        program.len(),
        short(&program.hash().0)
    );
    say!(
        "forward pass, gradients, clipping and optimiser together; {} MiB of memory.",
        learner.bytes() >> 20
    );
    let begin = Instant::now();
    for step in 0..options.steps {
        // From the full rate down to nothing.
        let rate = 1.0 - step as f32 / options.steps as f32;
        let progress = learner.learn(&words.batch(step + 1, alphabet)?, 0.005 * rate, 0.01 * rate)?;
        let done = step + 1;
        if done % (options.steps / 10).max(1) == 0 || done == options.steps {
            let right = exam(model, words, alphabet, limits)?;
            say!(
                "  step {done:4}   loss {:.3}   {right:3} of {EXAM} words it has never seen   {:.0} s",
                progress.loss,
                begin.elapsed().as_secs_f32()
            );
        }
    }
    say!("  its weights   {}", short(&model.root()?));
    Ok(())
}

/// How many of the words kept back it writes backwards without a slip.
fn exam(model: &Model, words: &Words, alphabet: &Alphabet, limits: Limits) -> Done<usize> {
    let mut speaker = Speaker::new(model, EXAM, 2 * WORD + 2, limits)?;
    let kept: Vec<String> = (0..EXAM).map(|i| words.kept_back(i)).collect();
    let ask = |w: &String| request(w, 0, Sampling::GREEDY, alphabet);
    let rollouts = speaker.answer(&kept.iter().map(ask).collect::<Done<Vec<_>>>()?)?;
    let right = |(r, word): &(&Rollout, &String)| alphabet.decode(&r.answer) == backwards(word);
    Ok(rollouts.iter().zip(&kept).filter(right).count())
}

fn ask(model: &Model, words: &Words, alphabet: &Alphabet, limits: Limits) -> Done<Vec<Rollout>> {
    say!("\nIt is asked, and draws its answers by chance from what it thinks likely:");
    let asked: Vec<String> = ["starling", "murmur"]
        .map(str::to_owned)
        .into_iter()
        .chain((0..4).map(|i| words.kept_back(EXAM + i)))
        .collect();
    let mut speaker = Speaker::new(model, asked.len(), 2 * WORD + 2, limits)?;
    let ask = |(seed, word): (u64, &String)| request(word, seed, Sampling::PLAIN, alphabet);
    let rollouts = speaker.answer(&(0..).zip(&asked).map(ask).collect::<Done<Vec<_>>>()?)?;
    for (word, rollout) in asked.iter().zip(&rollouts) {
        let answer = alphabet.decode(&rollout.answer);
        let verdict = if answer == backwards(word) { "right" } else { "wrong" };
        say!("  {word:>8} = {answer:8}  {verdict}");
    }
    Ok(rollouts)
}

/// Whether the answers are the model's own is for anyone to check, in one pass and on other hardware; then the lies.
fn check(model: &Model, rollouts: &[Rollout], limits: Limits) -> Done<()> {
    let other = other_device();
    say!("\nAnyone can check that it said so. Here: {other:?}, one forward pass for all answers.");
    let mut copy = model.copy_to(&other, limits)?;
    let mut checker = Checker::new(&copy, rollouts.len(), 2 * WORD + 2, limits)?;
    let findings = checker.check(rollouts)?;
    let holds = findings.iter().filter(|f| **f == Finding::Holds).count();
    say!("  as it was     {holds} of {} hold, every token and every bit of its probability", rollouts.len());
    if holds != rollouts.len() {
        return Err("an honest answer was found wrong: please report this machine".into());
    }

    let mut lies: Vec<(&str, Vec<Rollout>)> = Vec::new();
    let mut lie = |what, tell: fn(&mut Rollout)| {
        let mut told = rollouts.to_vec();
        tell(&mut told[0]);
        lies.push((what, told));
    };
    lie("another token", |r| {
        let at = r.answer.len() / 2;
        r.answer[at] = (r.answer[at] + 1) % 26;
    });
    lie("another question", |r| r.prompt[0] = 2 + (r.prompt[0] - 1) % 26);
    lie("a bit of a probability", |r| {
        let at = r.logps.len() / 2;
        r.logps[at] = f32::from_bits(r.logps[at].to_bits() ^ 1);
    });
    for (what, told) in lies {
        tell_finding(what, &checker.check(&told)?[0])?;
    }
    // A weight's bit always changes the root; whether an answer shows it depends on how much it weighs.
    let name = "model.layers.1.mlp.up_proj.weight";
    let mut weight = copy.weight(name)?;
    let at = weight.len() / 2;
    weight[at] = f32::from_bits(weight[at].to_bits() ^ (1 << 20));
    copy.set_weight(name, &weight)?;
    let root = copy.root()?;
    if root == model.root()? {
        return Err("one bit of one weight went unnoticed: please report this machine".into());
    }
    let told: Vec<Rollout> = rollouts.iter().map(|r| Rollout { root, ..r.clone() }).collect();
    let fallen = checker.check(&told)?.iter().filter(|f| **f != Finding::Holds).count();
    say!(
        "  one bit of one weight  caught: the weights are {}, and {fallen} of {} answers fall",
        short(&root),
        rollouts.len()
    );
    Ok(())
}

fn tell_finding(what: &str, finding: &Finding) -> Done<()> {
    match finding {
        Finding::Token { at, .. } => {
            say!("  {what:22} caught at token {at}");
        }
        Finding::Logp { at, claimed, right } => {
            say!(
                "  {what:22} caught at token {at}: {:08x} should be {:08x}",
                claimed.to_bits(),
                right.to_bits()
            );
        }
        Finding::Root { .. } => {
            say!("  {what:22} caught: it is of another model");
        }
        Finding::Ending { at, .. } => {
            say!("  {what:22} caught: it does not end where it should, at token {at}");
        }
        Finding::Malformed => {
            say!("  {what:22} caught: malformed");
        }
        Finding::Holds => return Err(format!("{what} went unnoticed: please report this machine").into()),
    }
    Ok(())
}

fn request(word: &str, seed: u64, sampling: Sampling, alphabet: &Alphabet) -> Done<Request> {
    Ok(Request {
        prompt: question(word, alphabet)?,
        seed,
        sampling,
        until: Until::new(WORD + 1, &[Alphabet::END]),
    })
}

fn question(word: &str, alphabet: &Alphabet) -> Done<Vec<u32>> {
    Ok(alphabet.encode(&format!("{word}="))?)
}

fn backwards(word: &str) -> String {
    word.chars().rev().collect()
}

fn short(hash: &[u8; 32]) -> String {
    format!("{:016x}", hash[..8].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte)))
}

/// Made-up words of 3 to 8 letters, each a function of the seed and its number.
struct Words {
    seed: u64,
}

impl Words {
    /// One in eight words, by what it is, is kept back for examinations; these are the others.
    fn batch(&self, step: usize, alphabet: &Alphabet) -> Done<Batch> {
        let first = (step * 4 * ROWS) as u64;
        let examples = (first..).map(|i| self.word(i)).filter(|w| !is_kept_back(w)).take(ROWS);
        let example = |word: String| -> Done<(Vec<u32>, Vec<u32>)> {
            let mut answer = alphabet.encode(&backwards(&word))?;
            answer.push(Alphabet::END);
            Ok((question(&word, alphabet)?, answer))
        };
        let examples = examples.map(example).collect::<Done<Vec<_>>>()?;
        Ok(Batch::imitate(&examples, ROWS, TOKENS)?)
    }

    fn kept_back(&self, i: usize) -> String {
        (1 << 40..).map(|i| self.word(i)).filter(|w| is_kept_back(w)).nth(i).unwrap_or_default()
    }

    fn word(&self, number: u64) -> String {
        let mut state = mix(self.seed ^ mix(number));
        let mut next = || {
            state = mix(state);
            state >> 33
        };
        let length = 3 + next() % (WORD as u64 - 2);
        (0..length).map(|_| char::from(b'a' + (next() % 26) as u8)).collect()
    }
}

fn is_kept_back(word: &str) -> bool {
    word.bytes().fold(0, |hash, b| mix(hash ^ u64::from(b))) >> 61 == 0
}

/// Every bit of the result depends on every bit of the number.
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
