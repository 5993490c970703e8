//! Language models as `exact` programs: what they are, how they learn, how they speak, and how anyone checks what they said.
//!
//! ```
//! use exact::{Device, Limits};
//! use lm::{Alphabet, Batch, Chat, Checker, Config, Files, Finding, Language, Learner, Message, Model};
//! use lm::{Objective, Optimiser, Request, RopeScaling, Sampling, Speaker, Until};
//!
//! // A model that knows nothing, with one token per letter. `Files::open` takes one that knows more: a Hugging Face folder, a GGUF file.
//! let (device, limits) = (Device::cpu(2), Limits::default());
//! let tokenizer = Alphabet::new("abcdefghijklmnopqrstuvwxyz ?").tokenizer()?;
//! let config = Config {
//!     vocabulary: tokenizer.len(), width: 32, layers: 1, heads: 2, kv_heads: 1, head_dim: 16, hidden: 64, context: 32,
//!     rope_theta: 10_000.0, rope_scaling: RopeScaling::None, norm_eps: 1e-6, tied: true, qkv_bias: false, qk_norm: false,
//! };
//! let chat = Some(Chat::new("plain", "{% for m in messages %}{{ m.content }}{% endfor %}", &[])?);
//! let language = Language { tokenizer, chat, begin: None, ends: vec![Alphabet::END], pad: Some(Alphabet::PAD) };
//! let model = Model::new(config, 1, &device, limits)?;
//!
//! // Teach it one answer.
//! let prompt = language.prompt(&[Message::new("user", "who flies?")])?;
//! let answer = [language.tokenizer.encode("the flock")?, vec![Alphabet::END]].concat();
//! let batch = Batch::imitate(&[(prompt.clone(), answer)], 1, 24)?;
//! let mut learner = Learner::new(&model, Objective::Imitate, &Optimiser::default(), 1, 24, limits)?;
//! for _ in 0..60 {
//!     learner.learn(&batch, 0.01, 0.0)?;
//! }
//!
//! // Save it, load it as anyone else would, and ask.
//! let folder = std::env::temp_dir().join(format!("starling-doc-{}", std::process::id()));
//! model.save(&folder, Some(&language))?;
//! let files = Files::open(&folder)?;
//! let loaded = files.load(&device, limits, &mut |_, _| {})?;
//! let mut speaker = Speaker::new(&loaded, 1, 32, limits)?;
//! let until = Until::new(12, &files.language()?.ends);
//! let rollouts = speaker.answer(&[Request { prompt, seed: 7, sampling: Sampling::GREEDY, until }])?;
//! assert_eq!(language.tokenizer.decode(&rollouts[0].answer)?, "the flock");
//!
//! // Anyone can check that the model said so, on other hardware, in one pass.
//! assert_eq!(Checker::new(&model, 1, 32, limits)?.check(&rollouts)?, [Finding::Holds]);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alphabet;
mod batch;
mod chat;
pub mod checkpoint;
mod config;
mod decoder;
mod error;
mod files;
mod learn;
mod likelihood;
mod lora;
mod machine;
mod model;
mod objective;
mod optimiser;
mod plan;
mod practice;
mod rope;
mod schedule;
mod speak;
mod tokenizer;
mod weights;
pub mod wren;

pub use alphabet::Alphabet;
pub use batch::{Batch, advantages, advantages_unscaled};
pub use chat::{Chat, Message};
pub use config::{Config, Parameter, Start};
pub use error::Error;
pub use files::gguf::Packing;
pub use files::{Files, Language};
pub use learn::{Learner, Lesson, Progress, Run, step_program};
pub use likelihood::Likelihoods;
pub use lora::Lora;
pub use machine::{available_bytes, spare_bytes};
pub use model::Model;
pub use objective::{Improve, Objective};
pub use optimiser::{Group, Optimiser};
pub use plan::{LearnerPlan, Need, SpeakerPlan, plan_learner, plan_speaker, plan_speaker_of};
pub use practice::{Drill, Practice, Round};
pub use rope::RopeScaling;
pub use schedule::{Decay, Schedule};
pub use speak::{
    Checker, Ending, Event, Finding, Request, RequestId, Rollout, Sampling, Speaker, Stop, Until, Words,
};
pub use tokenizer::{Stream, Tokenizer};

/// What fuzzers call: each parser of foreign bytes by itself.
#[doc(hidden)]
pub mod foreign {
    use crate::{Config, Error, files};

    /// The tensors of a safetensors file, or what is wrong with it.
    pub fn safetensors(bytes: &[u8]) -> Result<Vec<(String, Vec<u64>)>, String> {
        files::safetensors::inspect(bytes)
    }

    /// The tensors of a GGUF file, its shape and tokenizer understood, or what is wrong with it.
    pub fn gguf(bytes: &[u8]) -> Result<Vec<(String, Vec<u64>)>, Error> {
        files::gguf::inspect(bytes)
    }

    /// A `config.json`.
    pub fn config(bytes: &[u8]) -> Result<Config, Error> {
        files::shape::inspect(bytes)
    }
}
