//! Our contracts as Rust sees them, made from the committed artifacts when the crate is built: the larger part of what the
//! compiler has to read of this crate, so that nothing is derived but what tells an error.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

use alloy::sol_types::{Panic, Revert, SolError, SolInterface};

pub(crate) mod credit {
    alloy::sol! { #[sol(extra_derives(Debug))] Credit, "../../contracts/artifacts/Credit.json" }
}
pub(crate) mod agents {
    alloy::sol! { #[sol(extra_derives(Debug))] Agents, "../../contracts/artifacts/Agents.json" }
}
pub(crate) mod bonds {
    alloy::sol! { #[sol(extra_derives(Debug))] Bonds, "../../contracts/artifacts/Bonds.json" }
}
pub(crate) mod swarms {
    alloy::sol! { #[sol(extra_derives(Debug))] Swarms, "../../contracts/artifacts/Swarms.json" }
}
pub(crate) mod jobs {
    alloy::sol! { #[sol(extra_derives(Debug))] Jobs, "../../contracts/artifacts/Jobs.json" }
}
pub(crate) mod validation {
    alloy::sol! { #[sol(extra_derives(Debug))] Validation, "../../contracts/artifacts/Validation.json" }
}
pub(crate) mod disputes {
    alloy::sol! { #[sol(extra_derives(Debug))] Disputes, "../../contracts/artifacts/Disputes.json" }
}
pub(crate) mod reputation {
    alloy::sol! { #[sol(extra_derives(Debug))] Reputation, "../../contracts/artifacts/Reputation.json" }
}

/// A contract's reason for refusing, in the contract's words.
pub(crate) fn reason(data: &[u8]) -> String {
    if let Ok(Revert { reason }) = Revert::abi_decode(data) {
        return reason.chars().take(300).filter(|c| !c.is_control()).collect();
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return panic.to_string();
    }
    macro_rules! ours {
        ($($errors:path),* $(,)?) => {
            $(if let Ok(error) = <$errors>::abi_decode(data) {
                return name(&format!("{error:?}"));
            })*
        };
    }
    ours!(
        swarms::Swarms::SwarmsErrors,
        agents::Agents::AgentsErrors,
        bonds::Bonds::BondsErrors,
        jobs::Jobs::JobsErrors,
        credit::Credit::CreditErrors,
        validation::Validation::ValidationErrors,
        reputation::Reputation::ReputationErrors,
        disputes::Disputes::DisputesErrors,
    );
    format!("an error we do not know, {}", alloy::hex::encode_prefixed(&data[..data.len().min(36)]))
}

/// `WrongPhase(WrongPhase { phase: 2 })` without what it says twice.
fn name(debug: &str) -> String {
    debug.split_once('(').map_or(debug, |(_, inner)| inner.strip_suffix(')').unwrap_or(inner)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_contracts_reason_reads_well() {
        let error = bonds::Bonds::TooEarly { time: alloy::primitives::U256::from(7) };
        assert!(reason(&error.abi_encode()).starts_with("TooEarly"), "{}", reason(&error.abi_encode()));
        assert_eq!(reason(&Revert::from("no").abi_encode()), "no");
        assert_eq!(reason(&[1, 2, 3, 4]), "an error we do not know, 0x01020304");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_reason(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!reason(&data).is_empty() || data.len() < 200);
        }
    }
}
