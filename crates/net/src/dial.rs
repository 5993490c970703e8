//! Why a peer could not be dialled, in words.

use libp2p::core::transport::TransportError;
use libp2p::swarm::DialError;
use std::io;

/// What to tell the user.
pub(crate) fn in_words(error: &DialError) -> String {
    match error {
        DialError::LocalPeerId { .. } => "it is this node itself".to_owned(),
        DialError::NoAddresses => "no address of it is known".to_owned(),
        DialError::DialPeerConditionFalse(_) => "it is being dialled already".to_owned(),
        DialError::Aborted => "the attempt was given up".to_owned(),
        DialError::WrongPeerId { obtained, address } => {
            format!("{address} is now the address of another peer, {obtained}; ask for its new address")
        }
        DialError::Denied { cause } => cause.to_string(),
        DialError::Transport(attempts) => {
            const SHOWN: usize = 4;
            let mut all: Vec<String> = attempts
                .iter()
                .take(SHOWN)
                .map(|(address, error)| format!("{address}: {}", transport_in_words(error)))
                .collect();
            if attempts.len() > SHOWN {
                all.push(format!("and {} more addresses", attempts.len() - SHOWN));
            }
            all.join("; ")
        }
    }
}

fn transport_in_words(error: &TransportError<io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => {
            "this node has no transport for such an address".to_owned()
        }
        TransportError::Other(error) => {
            let chain = chain(error);
            match error.kind() {
                io::ErrorKind::ConnectionRefused => "nobody listens there: is that node running?".to_owned(),
                io::ErrorKind::TimedOut => {
                    "no answer: a firewall or NAT may stand between, or it is off".to_owned()
                }
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                    "there is no way there: is this machine on the network?".to_owned()
                }
                _ if chain.contains("imeout") || chain.contains("timed out") => {
                    "no answer: a firewall or NAT may stand between, or it is off".to_owned()
                }
                _ if chain.contains("Connection refused") => {
                    "nobody listens there: is that node running?".to_owned()
                }
                _ => chain,
            }
        }
    }
}

/// An error with all its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    crate::id::shortened(&text)
}
