//! Going through a node's rounds again, from its event log.

use std::sync::Arc;

use swarm::{Charter, Effect, Event, Flock, Parts, log};

use crate::error::{Error, Result};
use crate::home::Home;
use crate::journal;
use crate::tongue::{files, tongue};

/// Goes through the logs of a node's home again, the oldest that is kept first; `watch` sees each step as it was: the same events, and the same of
/// what was to be done, to the bit. Gives the number of steps.
pub fn replay(home: &Home, mut watch: impl FnMut(u64, &Event, &[Effect], &Flock)) -> Result<usize> {
    let swarms = home.folder().join("swarms");
    let mut steps = 0;
    let mut found = false;
    let about = |why| Error::file("reading", &swarms, why);
    for entry in std::fs::read_dir(&swarms).map_err(about)? {
        for path in journal::logs(&entry.map_err(about)?.path().join("log"))? {
            found = true;
            let bytes = journal::read(&path)?;
            steps += log::replay(&bytes, parts, &mut watch)
                .map_err(|why| Error::Damaged { file: path.clone(), why: why.to_string() })?;
        }
    }
    if found { Ok(steps) } else { Err(Error::NoLog { folder: home.folder().to_owned() }) }
}

/// The parts that a charter names.
fn parts(charter: &str) -> std::result::Result<Arc<Parts>, swarm::Error> {
    let charter = Charter::from_toml(charter)?;
    let tongue = tongue(&charter, files(&charter)?.as_ref())?;
    Ok(Arc::new(Parts::new(charter, tongue)?))
}
