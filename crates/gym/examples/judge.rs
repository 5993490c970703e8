//! Tasks and scores for programs in other languages: a question a line on stdin, an answer a line on stdout, both JSON.
//!
//! ```text
//! {"environments": true}                                        {"environments": ["ab", …]}
//! {"environment": "gcd", "seed": 7, "level": 0}                 {"levels": 3, "task": {…}}
//! {"environment": "gcd", "seed": 7, "parameters": {…}}          {"levels": 1, "task": {…}}
//! {"environment": "gcd", "task": {…}, "answer": "12"}           {"score": 1.0}
//! {"environment": "gcd", "task": {…}, "answer": "12", "short": true}   {"score": 1.0, "meant": "12"}
//! ```
//!
//! Of a task that is to be scored, `answer` and `data` are what counts; the rest may be left out. An entry of the public package is such a
//! task: its `metadata` is the `data`. Whatever cannot be done is answered with `{"error": "…"}`.

use gym::{Environment, Task};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, Write};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    #[serde(default)]
    environments: bool,
    #[serde(default)]
    environment: String,
    seed: Option<u64>,
    #[serde(default)]
    level: u8,
    parameters: Option<Value>,
    task: Option<Asked>,
    answer: Option<String>,
    #[serde(default)]
    short: bool,
}

/// A task as far as scorers look at it.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    answer: String,
    #[serde(default)]
    data: Value,
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let said = answer(&line?).unwrap_or_else(|error| json!({ "error": error }));
        writeln!(out, "{said}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(line: &str) -> Result<Value, String> {
    let ask: Ask = serde_json::from_str(line).map_err(|e| format!("this line is no question: {e}"))?;
    if ask.environments {
        return Ok(json!({ "environments": gym::names().collect::<Vec<_>>() }));
    }
    let of_its_own = match &ask.parameters {
        Some(parameters) => {
            Some(gym::configured(&ask.environment, &parameters.to_string()).map_err(|e| e.to_string())?)
        }
        None => None,
    };
    let environment: &dyn Environment = match &of_its_own {
        Some(environment) => &**environment,
        None => gym::environment(&ask.environment).ok_or_else(|| {
            format!("there is no environment `{}`: ask for \"environments\"", ask.environment)
        })?,
    };
    match (ask.seed, ask.task, ask.answer) {
        (Some(seed), None, None) => {
            Ok(json!({ "levels": environment.levels(), "task": environment.task(seed, ask.level) }))
        }
        (None, Some(Asked { answer, data }), Some(given)) => {
            let (question, compact) = (String::new(), String::new());
            let task = Task { seed: 0, level: 0, question, compact, answer, data };
            if ask.short {
                let meant = environment.expand(&given);
                return Ok(json!({ "score": environment.score(&task, &meant), "meant": meant }));
            }
            Ok(json!({ "score": environment.score(&task, &given) }))
        }
        _ => Err("give either a `seed`, or a `task` and an `answer`".to_owned()),
    }
}
