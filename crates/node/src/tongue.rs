//! How a charter's model is asked and understood.

use lm::Files;
use swarm::{Charter, Tongue};

/// The files of a charter's model; none of the one that is built in.
pub(crate) fn files(charter: &Charter) -> Result<Option<Files>, lm::Error> {
    (charter.model != "wren").then(|| Files::open(&charter.model)).transpose()
}

/// The tongue of a charter's model.
pub(crate) fn tongue(charter: &Charter, files: Option<&Files>) -> Result<Tongue, lm::Error> {
    let (prompt, answer) = (charter.answers.prompt, charter.answers.tokens);
    Ok(match files {
        None => Tongue::wren(prompt, answer),
        Some(files) => Tongue::words(files.language()?.clone(), files.config().vocabulary, prompt, answer),
    })
}
