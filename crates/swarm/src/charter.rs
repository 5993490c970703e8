//! The charter: what a swarm has agreed on, as a `swarm.toml` that people write and a hash that machines compare.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::limits::{ANSWER_TOKENS, CHARTER_BYTES, MESSAGE_BYTES, PEERS, PROMPTS, SAMPLES, SHOWN};

/// What a swarm has agreed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charter {
    /// What it is called.
    pub name: String,
    /// The model that everyone begins with: `wren`, or the folder of another or its name on a hub.
    pub model: String,
    /// What is practised.
    pub environments: Vec<Practised>,
    /// How it is played.
    pub game: Play,
    /// How prompts are answered.
    #[serde(default)]
    pub answers: Answers,
    /// How answers are learned from.
    #[serde(default)]
    pub learning: Learning,
    /// When things happen, and how much is checked.
    #[serde(default)]
    pub round: Rounds,
}

/// An environment that is practised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Practised {
    /// Its name.
    pub name: String,
    /// How often its tasks come, next to the others' weights.
    #[serde(default = "one")]
    pub weight: f64,
    /// How hard its tasks are: from 0 to one less than the environment has levels.
    #[serde(default)]
    pub level: u8,
    /// Whether each node's tasks become harder as it becomes better.
    #[serde(default)]
    pub climb: bool,
}

impl Practised {
    /// An environment's easiest tasks, as often as any other's.
    pub fn new(name: &str) -> Practised {
        Practised { name: name.to_owned(), weight: 1.0, level: 0, climb: false }
    }
}

fn one() -> f64 {
    1.0
}

/// How it is played.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Play {
    /// Each answers tasks of its own and learns from these answers and some of the others'.
    Share {
        /// Tasks of one's own in a round.
        own: u16,
        /// Groups of others' answers that are learned from in a round, at most.
        foreign: u16,
    },
    /// All answer the same tasks, criticise each other's answers, and vote.
    Debate {
        /// Tasks of a round.
        tasks: u16,
        /// Answers of others that each criticises, for each task.
        critiques: u16,
        /// Answers that a vote chooses between.
        candidates: u16,
        /// Groups of others' answers that are learned from in a round, at most.
        foreign: u16,
    },
}

/// How prompts are answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answers {
    /// Answers to each prompt. What is better than the others is learned.
    pub samples: u16,
    /// The most tokens of an answer, the end included.
    pub tokens: u16,
    /// The most tokens of a prompt.
    pub prompt: u16,
}

impl Default for Answers {
    fn default() -> Answers {
        Answers { samples: 8, tokens: 12, prompt: 52 }
    }
}

/// How answers are learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Learning {
    /// Steps of learning from one round's answers.
    pub updates: u16,
    /// The learning rate.
    pub rate: f32,
    /// Steps in which it rises to that.
    pub rise: u16,
    /// Whether advantages are in standard deviations of their group.
    pub scaled: bool,
    /// The greatest weight of a token of another model's answer, next to one of its own.
    pub truncate: f32,
}

impl Default for Learning {
    fn default() -> Learning {
        Learning { updates: 1, rate: 3e-4, rise: 10, scaled: true, truncate: 2.0 }
    }
}

/// When things happen, and how much is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rounds {
    /// From one round's opening to the next one's, where no chain opens them.
    pub period_ms: u64,
    /// How long each stage of the game may take. Who is later is used as it comes.
    pub stage_ms: u64,
    /// Peers that each node audits in a round: it fetches their weights and reads all they said in that round.
    pub audits: u16,
    /// About how many nodes speak in a round. Where there are more, those who do are drawn by lot; the others listen and learn.
    pub voices: u16,
}

impl Default for Rounds {
    fn default() -> Rounds {
        Rounds { period_ms: 5_000, stage_ms: 2_000, audits: 1, voices: 24 }
    }
}

impl Charter {
    /// A charter as [`Charter::template`] has it.
    pub fn new() -> Charter {
        Charter {
            name: "murmuration".to_owned(),
            model: "wren".to_owned(),
            environments: vec![Practised::new("reverse")],
            game: Play::Share { own: 4, foreign: 4 },
            answers: Answers::default(),
            learning: Learning::default(),
            round: Rounds::default(),
        }
    }

    /// Reads a `swarm.toml`, and checks all of it.
    pub fn from_toml(text: &str) -> Result<Charter, Error> {
        if text.len() > CHARTER_BYTES {
            return Err(Error::Toml { why: format!("it is longer than {CHARTER_BYTES} bytes") });
        }
        let charter: Charter = toml::from_str(text).map_err(|e| Error::Toml { why: e.to_string() })?;
        charter.check()?;
        Ok(charter)
    }

    /// The same as a `swarm.toml`, with every field and what it means.
    pub fn to_toml(&self) -> String {
        let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut environments = String::new();
        for (i, Practised { name, weight, level, climb }) in self.environments.iter().enumerate() {
            let [of_name, of_weight, of_level, of_climb] = if i == 0 {
                [
                    "# Its name: reverse, add and express are wren's own; `starling swarm new --help` lists the others.\n",
                    "# How often its tasks come, next to the other environments' weights.\n",
                    "# How hard its tasks are; 0 is the easiest.\n",
                    "# Whether each node's tasks become harder as it becomes better; only where each has tasks of its own.\n",
                ]
            } else {
                [""; 4]
            };
            let name = text(name);
            let _ = write!(
                environments,
                "[[environments]]\n{of_name}name = {name}\n{of_weight}weight = {weight:?}\n{of_level}level = {level}\n{of_climb}climb = {climb}\n\n"
            );
        }
        let game = match &self.game {
            Play::Share { own, foreign } => format!(
                "# share: each node answers tasks of its own, and learns from these answers and from some of the others'.\n\
                 # debate: all answer the same tasks, criticise each other's answers, and vote; it has the fields `tasks`, `critiques` (how many\n\
                 # answers of others each criticises, per task), `candidates` (how many answers a vote is between) and `foreign`.\n\
                 kind = \"share\"\n\
                 # Tasks that a node answers in a round.\n\
                 own = {own}\n\
                 # Groups of other nodes' answers that it learns from in a round, at most. A group is all answers of a node to one prompt.\n\
                 foreign = {foreign}\n"
            ),
            Play::Debate { tasks, critiques, candidates, foreign } => format!(
                "# debate: all answer the same tasks, criticise each other's answers, and vote.\n\
                 # share: each node answers tasks of its own; it has the fields `own` (tasks of a round) and `foreign`.\n\
                 kind = \"debate\"\n\
                 # Tasks of a round.\n\
                 tasks = {tasks}\n\
                 # Answers of others that a node criticises, for each task.\n\
                 critiques = {critiques}\n\
                 # Answers that a vote is between.\n\
                 candidates = {candidates}\n\
                 # Groups of other nodes' answers that a node learns from in a round, at most. A group is all answers of a node to one prompt.\n\
                 foreign = {foreign}\n"
            ),
        };
        let Answers { samples, tokens, prompt } = &self.answers;
        let Learning { updates, rate, rise, scaled, truncate } = &self.learning;
        let Rounds { period_ms, stage_ms, audits, voices } = &self.round;
        let (name, model) = (text(&self.name), text(&self.model));
        format!(
            "# The charter of a swarm. Everyone in it has the same: one other character of meaning, and it is another swarm.\n\
             # A field that is left out has the value that is written here.\n\n\
             # What the swarm is called.\n\
             name = {name}\n\
             # The model that everyone begins with: wren, which is built in, or a Hugging Face folder.\n\
             model = {model}\n\n\
             # What is practised: one or more environments.\n\
             {environments}\
             # How it is played.\n\
             [game]\n{game}\n\
             # How prompts are answered.\n\
             [answers]\n\
             # Answers to each prompt: those that are better than the rest are what is learned.\n\
             samples = {samples}\n\
             # The most tokens of an answer, the end included, and of a prompt. Together they must fit into what the model reads at once.\n\
             tokens = {tokens}\n\
             prompt = {prompt}\n\n\
             # How answers are learned from.\n\
             [learning]\n\
             # Steps of learning from one round's answers.\n\
             updates = {updates}\n\
             # The learning rate, and the steps in which it rises to that.\n\
             rate = {rate:?}\n\
             rise = {rise}\n\
             # Whether an answer counts by how many standard deviations it is better than the others to its prompt.\n\
             scaled = {scaled}\n\
             # The greatest weight that a token of another node's answer may have, next to 1 for one's own.\n\
             truncate = {truncate:?}\n\n\
             # When things happen, and how much is checked.\n\
             [round]\n\
             # Milliseconds from one round to the next, where no chain opens them, and how many of them each stage of the game may take.\n\
             period_ms = {period_ms}\n\
             stage_ms = {stage_ms}\n\
             # Peers whose weights a node fetches in a round, to see that they said what they say they did.\n\
             audits = {audits}\n\
             # About how many nodes speak in a round. Where there are more, those who do are drawn by lot; the others listen and learn.\n\
             voices = {voices}\n"
        )
    }

    /// A `swarm.toml` to begin with, every field explained.
    pub fn template() -> String {
        Charter::new().to_toml()
    }

    /// Its hash: who has another is in another swarm.
    pub fn id(&self) -> [u8; 32] {
        let bytes = postcard::to_allocvec(&Canonical::of(self)).unwrap_or_default();
        let mut hasher = blake3::Hasher::new_derive_key("starling swarm charter v1");
        *hasher.update(&bytes).finalize().as_bytes()
    }

    /// Groups of others' answers that are learned from in a round, at most.
    pub fn foreign(&self) -> u16 {
        match self.game {
            Play::Share { foreign, .. } | Play::Debate { foreign, .. } => foreign,
        }
    }

    /// Refuses what could not be played. Whether the environments are there is for [`crate::Draw::new`] to say.
    pub fn check(&self) -> Result<(), Error> {
        let short =
            |text: &str| !text.trim().is_empty() && text.len() <= 200 && !text.contains(char::is_control);
        must("name", short(&self.name), "must be 1 to 200 bytes of text")?;
        must("model", short(&self.model), "must be wren, or the folder of a model")?;
        let count = self.environments.len();
        must("environments", (1..=64).contains(&count), &format!("are {count}, and may be 1 to 64"))?;
        for (i, environment) in self.environments.iter().enumerate() {
            must(
                &format!("environments[{i}].name"),
                short(&environment.name),
                "must be the name of an environment",
            )?;
            must(
                &format!("environments[{i}].weight"),
                environment.weight > 0.0 && environment.weight <= 1e6,
                "must be above 0 and at most 1000000",
            )?;
            must(
                &format!("environments[{i}].climb"),
                !environment.climb || matches!(self.game, Play::Share { .. }),
                "cannot be in a debate: all answer the same tasks, so nobody has a level of its own",
            )?;
        }
        match self.game {
            Play::Share { own, foreign } => {
                within("game.own", own.into(), 1, PROMPTS)?;
                within("game.foreign", foreign.into(), 0, PROMPTS)?;
            }
            Play::Debate { tasks, critiques, candidates, foreign } => {
                within("game.tasks", tasks.into(), 1, PROMPTS)?;
                within("game.critiques", critiques.into(), 1, PROMPTS / usize::from(tasks.max(1)))?;
                within("game.candidates", candidates.into(), 2, SHOWN)?;
                within("game.foreign", foreign.into(), 0, PROMPTS)?;
            }
        }
        let Answers { samples, tokens, prompt } = self.answers;
        within("answers.samples", samples.into(), 2, SAMPLES)?;
        within("answers.tokens", tokens.into(), 2, ANSWER_TOKENS)?;
        within("answers.prompt", prompt.into(), 1, 1 << 15)?;
        // A token takes up to 5 bytes and its log-probability 4; what else a group says takes less than 512.
        let bytes = usize::from(samples) * (usize::from(tokens) * 9 + 8) + 1_024;
        must(
            "answers.samples",
            bytes <= MESSAGE_BYTES,
            &format!(
                "times answers.tokens is too much for a message of {MESSAGE_BYTES} bytes: take at most {} samples, or shorter answers",
                (MESSAGE_BYTES - 1_024) / (usize::from(tokens) * 9 + 8)
            ),
        )?;
        let Learning { updates, rate, rise, truncate, .. } = self.learning;
        within("learning.updates", updates.into(), 1, 64)?;
        must("learning.rate", rate > 0.0 && rate <= 1.0, "must be above 0 and at most 1")?;
        within("learning.rise", rise.into(), 0, 10_000)?;
        must("learning.truncate", truncate > 0.0 && truncate <= 100.0, "must be above 0 and at most 100")?;
        let Rounds { period_ms, stage_ms, audits, voices } = self.round;
        let stages = match self.game {
            Play::Share { .. } => 1,
            Play::Debate { .. } => 3,
        };
        must("round.stage_ms", (50..=86_400_000).contains(&stage_ms), "must be 50 to 86400000 milliseconds")?;
        must(
            "round.period_ms",
            period_ms >= stages * stage_ms && period_ms <= 7 * 86_400_000,
            &format!(
                "must be at least {}, the game's {stages} stages together, and at most a week",
                stages * stage_ms
            ),
        )?;
        within("round.audits", audits.into(), 0, 64)?;
        within("round.voices", voices.into(), 4, PEERS)
    }
}

impl Default for Charter {
    fn default() -> Charter {
        Charter::new()
    }
}

/// What of a charter is hashed: everything, in an encoding of its own, since a tagged `game` has none in postcard.
#[derive(Serialize)]
struct Canonical<'a> {
    name: &'a str,
    model: &'a str,
    environments: &'a [Practised],
    game: (u8, [u16; 4]),
    answers: &'a Answers,
    learning: &'a Learning,
    round: &'a Rounds,
}

impl Canonical<'_> {
    fn of(charter: &Charter) -> Canonical<'_> {
        let game = match charter.game {
            Play::Share { own, foreign } => (0, [own, foreign, 0, 0]),
            Play::Debate { tasks, critiques, candidates, foreign } => {
                (1, [tasks, critiques, candidates, foreign])
            }
        };
        let Charter { name, model, environments, answers, learning, round, .. } = charter;
        Canonical { name, model, environments, game, answers, learning, round }
    }
}

fn must(field: &str, holds: bool, why: &str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Field { field: field.to_owned(), why: why.to_owned() }) }
}

fn within(field: &str, number: usize, least: usize, most: usize) -> Result<(), Error> {
    must(field, (least..=most).contains(&number), &format!("is {number}, and may be {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_the_default_with_every_field() {
        let template = Charter::template();
        assert_eq!(Charter::from_toml(&template).unwrap(), Charter::new());
        let mut debate = Charter::new();
        debate.game = Play::Debate { tasks: 3, critiques: 2, candidates: 3, foreign: 5 };
        debate.round = Rounds { period_ms: 60_000, ..Rounds::default() };
        debate.environments.push(Practised { weight: 0.5, climb: false, ..Practised::new("add") });
        debate.name = "a \"quoted\" name".to_owned();
        assert_eq!(Charter::from_toml(&debate.to_toml()).unwrap(), debate);
    }

    #[test]
    fn little_has_to_be_said() {
        let text = "name = \"mine\"\nmodel = \"wren\"\n[game]\nkind = \"share\"\nown = 4\nforeign = 4\n[[environments]]\nname = \"reverse\"\n";
        let charter = Charter::from_toml(text).unwrap();
        assert_eq!(charter, Charter { name: "mine".to_owned(), ..Charter::new() });
    }

    #[test]
    fn every_wrong_field_is_named() {
        for (from, to, field) in [
            ("name = \"murmuration\"", "name = \"\"", "name must be"),
            ("model = \"wren\"", "model = \"\"", "model must be"),
            ("weight = 1.0", "weight = -1.0", "environments[0].weight"),
            ("weight = 1.0", "weight = nan", "environments[0].weight"),
            ("own = 4", "own = 0", "game.own is 0, and may be 1 to 256"),
            ("foreign = 4", "foreign = 300", "game.foreign"),
            ("foreign = 4", "foreign = 70000", "70000"),
            ("foreign = 4", "foriegn = 4", "foriegn"),
            ("samples = 8", "samples = 1", "answers.samples"),
            ("samples = 8\n", "samples = 64\n", "answers.samples times answers.tokens"),
            ("tokens = 12", "tokens = 900", "answers.samples times answers.tokens"),
            ("tokens = 12", "tokens = 5000", "answers.tokens"),
            ("updates = 1", "updates = 0", "learning.updates"),
            ("rate = 0.0003", "rate = inf", "learning.rate"),
            ("truncate = 2.0", "truncate = 0.0", "learning.truncate"),
            ("period_ms = 5000", "period_ms = 10", "round.period_ms must be at least 2000"),
            ("stage_ms = 2000", "stage_ms = 1", "round.stage_ms"),
            ("audits = 1", "audits = 1000", "round.audits"),
            ("voices = 24", "voices = 1", "round.voices"),
            ("audits = 1", "audit = 1", "audit"),
            ("kind = \"share\"", "kind = \"chess\"", "chess"),
        ] {
            let mut text = Charter::template();
            if to.contains("samples = 64") {
                text = text.replace("tokens = 12", "tokens = 200");
            }
            assert!(text.contains(from), "{from}");
            let why = Charter::from_toml(&text.replace(from, to)).unwrap_err().to_string();
            assert!(why.contains(field), "{from} -> {to}: {why}");
        }
    }

    #[test]
    fn the_hash_is_of_what_it_means() {
        let charter = Charter::new();
        let id = charter.id();
        let commented = format!("# mine\n{}", charter.to_toml().replace("\n\n", "\n\n# and so on\n\n"));
        assert_eq!(Charter::from_toml(&commented).unwrap().id(), id);
        let mut others = vec![id];
        for change in [
            |c: &mut Charter| c.name.push('x'),
            |c: &mut Charter| c.model.push('x'),
            |c: &mut Charter| c.environments[0].weight = 2.0,
            |c: &mut Charter| c.environments[0].level = 1,
            |c: &mut Charter| c.game = Play::Share { own: 4, foreign: 5 },
            |c: &mut Charter| c.game = Play::Share { own: 5, foreign: 4 },
            |c: &mut Charter| c.answers.samples = 9,
            |c: &mut Charter| c.learning.rate = 2e-4,
            |c: &mut Charter| c.round.audits = 2,
            |c: &mut Charter| c.round.voices = 25,
        ] {
            let mut other = Charter::new();
            change(&mut other);
            assert!(!others.contains(&other.id()), "{other:?}");
            others.push(other.id());
        }
    }
}
