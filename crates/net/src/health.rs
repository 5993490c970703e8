//! How the node is, in words.

use std::fmt;

/// How the node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It has just begun to look for peers.
    #[default]
    Starting,
    /// It has peers, and nothing is wrong.
    Good,
    /// It has peers, and something is wrong.
    Troubled,
    /// It has no peers: nobody hears it.
    Alone,
}

/// How the node is, and what is wrong with what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// In a word.
    pub state: State,
    /// Peers connected.
    pub peers: usize,
    /// What is wrong, each with its remedy.
    pub complaints: Vec<String>,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            State::Starting => write!(f, "looking for peers")?,
            State::Good => write!(f, "{} peers are connected", self.peers)?,
            State::Troubled => write!(f, "{} peers are connected, but", self.peers)?,
            State::Alone => write!(f, "no peer is connected:")?,
        }
        for (i, complaint) in self.complaints.iter().enumerate() {
            write!(f, "{} {complaint}", if i == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_a_sentence() {
        let health = |state, peers, complaints: &[&str]| {
            let complaints = complaints.iter().map(ToString::to_string).collect();
            Health { state, peers, complaints }.to_string()
        };
        assert_eq!(health(State::Good, 3, &[]), "3 peers are connected");
        assert_eq!(health(State::Alone, 0, &["a", "b"]), "no peer is connected: a; b");
        assert_eq!(health(State::Troubled, 2, &["a"]), "2 peers are connected, but a");
    }
}
