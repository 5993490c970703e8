//! Where a passphrase comes from: a file, the environment, or the person at the terminal.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeyError;

/// The environment variable that holds a passphrase.
const VARIABLE: &str = "STARLING_PASSPHRASE";

/// Where to get the passphrase of a key from, when one is needed.
#[derive(Clone, Debug)]
pub enum Passphrase {
    /// From a file if one is named, else from `STARLING_PASSPHRASE`, else from the terminal if there is one.
    Found {
        /// Its first line is the passphrase.
        file: Option<PathBuf>,
        /// Whether to ask for one when a key is made. Without this, a key made without file and variable has no passphrase.
        ask_for_new: bool,
    },
    /// This one.
    Given(Zeroizing<String>),
    /// There is none, and nobody is asked.
    None,
}

impl Passphrase {
    /// This one.
    pub fn given(text: &str) -> Self {
        Self::Given(Zeroizing::new(text.to_owned()))
    }

    /// For a key that has one.
    pub(super) fn for_old(&self, path: &Path) -> Result<Option<Zeroizing<String>>, KeyError> {
        match self.unasked()? {
            Some(phrase) => Ok(Some(phrase)),
            None if matches!(self, Self::Found { .. }) && std::io::stdin().is_terminal() => {
                ask(&format!("Passphrase of {}: ", path.display())).map(Some)
            }
            None => Ok(None),
        }
    }

    /// For a key that is being made: none is an answer.
    pub fn for_new(&self) -> Result<Option<Zeroizing<String>>, KeyError> {
        match self.unasked()? {
            None if matches!(self, Self::Found { ask_for_new: true, .. }) => Self::asked(),
            phrase => Ok(phrase.filter(|phrase| !phrase.is_empty())),
        }
    }

    /// From the person at the terminal, who types it twice; none is an answer.
    pub fn asked() -> Result<Option<Zeroizing<String>>, KeyError> {
        let first = ask("New passphrase (empty for none): ")?;
        if *first != *ask("Once more: ")? {
            return Err(KeyError::Mistyped);
        }
        Ok(Some(first).filter(|phrase| !phrase.is_empty()))
    }

    fn unasked(&self) -> Result<Option<Zeroizing<String>>, KeyError> {
        match self {
            Self::None => Ok(None),
            Self::Given(phrase) => Ok(Some(phrase.clone())),
            Self::Found { file: Some(path), .. } => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| KeyError::File { path: path.clone(), source })?;
                let text = Zeroizing::new(text);
                Ok(Some(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())))
            }
            Self::Found { file: None, .. } => Ok(std::env::var(VARIABLE).ok().map(Zeroizing::new)),
        }
    }
}

/// Asks at the terminal, without showing what is typed.
fn ask(prompt: &str) -> Result<Zeroizing<String>, KeyError> {
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|source| KeyError::File { path: PathBuf::from("the terminal"), source })
}
