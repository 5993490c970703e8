//! Where our contracts are: a manifest of addresses, which CREATE2 makes the same on every chain.

use std::collections::BTreeMap;

use alloy::primitives as p;
use serde::{Deserialize, Serialize};

use crate::{Address, Error, Hash};

/// The contract that puts other contracts at addresses that follow from their code; it is on nearly every chain.
pub(crate) const DEPLOYER: Address = Address([
    0x4e, 0x59, 0xb4, 0x48, 0x47, 0xb3, 0x79, 0x57, 0x85, 0x88, 0x92, 0x0c, 0xa7, 0x8f, 0xbf, 0x26, 0xc0,
    0xb4, 0x95, 0x6c,
]);

/// The longest manifest that is read.
const LIMIT_BYTES: usize = 64 << 10;

/// The addresses of our contracts on a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The chain they are on, if it is one in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<u64>,
    /// Each contract's address by its name.
    pub contracts: BTreeMap<String, Address>,
}

/// A contract as it is put on a chain.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) address: Address,
    /// What is sent to the deployer: salt, code, arguments.
    pub(crate) call: Vec<u8>,
    /// What must then be at the address, but for immutable values.
    pub(crate) code: Vec<u8>,
}

/// An artifact, of which the bindings use the rest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    bytecode: String,
    deployed_bytecode: String,
}

/// A line of `deploy.json`.
#[derive(Deserialize)]
struct Line {
    name: String,
    salt: Hash,
    args: Vec<String>,
    /// Where the makers of the artifacts say that it comes to stand.
    address: Address,
}

/// The artifacts that this program was built with.
const ARTIFACTS: &[(&str, &str)] = &[
    ("Credit", include_str!("../../../contracts/artifacts/Credit.json")),
    ("Agents", include_str!("../../../contracts/artifacts/Agents.json")),
    ("Bonds", include_str!("../../../contracts/artifacts/Bonds.json")),
    ("Swarms", include_str!("../../../contracts/artifacts/Swarms.json")),
    ("Jobs", include_str!("../../../contracts/artifacts/Jobs.json")),
    ("Crowd", include_str!("../../../contracts/artifacts/Crowd.json")),
    ("Reputation", include_str!("../../../contracts/artifacts/Reputation.json")),
    ("Validation", include_str!("../../../contracts/artifacts/Validation.json")),
    ("Referee", include_str!("../../../contracts/artifacts/Referee.json")),
    ("Disputes", include_str!("../../../contracts/artifacts/Disputes.json")),
];
const PLAN: &str = include_str!("../../../contracts/artifacts/deploy.json");

impl Manifest {
    /// Where CREATE2 puts our contracts on every chain.
    pub fn everywhere() -> Result<Self, Error> {
        let contracts = parts()?.into_iter().map(|part| (part.name, part.address)).collect();
        Ok(Self { chain: None, contracts })
    }

    /// Reads a manifest's JSON.
    pub fn read(text: &str) -> Result<Self, Error> {
        if text.len() > LIMIT_BYTES {
            return Err(Error::Manifest { why: "it is longer than any manifest".to_owned() });
        }
        serde_json::from_str(text).map_err(|e| Error::Manifest { why: e.to_string() })
    }

    /// The manifest as JSON.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|e| Error::Manifest { why: e.to_string() })
    }

    /// A contract's address.
    pub fn address(&self, name: &'static str) -> Result<Address, Error> {
        self.contracts.get(name).copied().ok_or(Error::NoContract { name })
    }
}

/// All contracts of the plan, in an order in which each finds those it refers to.
pub(crate) fn parts() -> Result<Vec<Part>, Error> {
    parts_of(PLAN)
}

fn parts_of(plan: &str) -> Result<Vec<Part>, Error> {
    let damaged = |why: String| Error::Artifact { why };
    let plan: Vec<Line> = serde_json::from_str(plan).map_err(|e| damaged(format!("deploy.json: {e}")))?;
    let mut parts: Vec<Part> = Vec::new();
    for line in plan {
        let name = line.name;
        let artifact = ARTIFACTS.iter().find(|(n, _)| *n == name).map(|(_, text)| text);
        let artifact = artifact.ok_or_else(|| damaged(format!("there is no {name}.json")))?;
        let artifact: Artifact =
            serde_json::from_str(artifact).map_err(|e| damaged(format!("{name}.json: {e}")))?;
        let hex = |text: &str| alloy::hex::decode(text).map_err(|e| damaged(format!("{name}.json: {e}")));
        let mut init = hex(&artifact.bytecode)?;
        for arg in &line.args {
            init.extend(
                word(arg, &parts).ok_or_else(|| damaged(format!("deploy.json: {name}'s argument {arg}")))?,
            );
        }
        let address: Address = DEPLOYER.alloy().create2(line.salt.0, p::keccak256(&init)).into();
        if address != line.address {
            return Err(damaged(format!("{name} comes to stand at {address}, and not at {}", line.address)));
        }
        let call = [&line.salt.0[..], &init].concat();
        parts.push(Part { name: name.clone(), address, call, code: hex(&artifact.deployed_bytecode)? });
    }
    Ok(parts)
}

/// A constructor's argument as a word: another contract's address, an address, 32 bytes, or a number.
fn word(arg: &str, parts: &[Part]) -> Option<[u8; 32]> {
    let padded = |address: Address| {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&address.0);
        word
    };
    if let Some(name) = arg.strip_prefix("${").and_then(|a| a.strip_suffix('}')) {
        return parts.iter().find(|p| p.name == name).map(|p| padded(p.address));
    }
    if let Ok(address) = arg.parse::<Address>() {
        return Some(padded(address));
    }
    if let Ok(hash) = arg.parse::<Hash>() {
        return Some(hash.0);
    }
    arg.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| arg.parse::<p::U256>().ok())
        .flatten()
        .map(|n| n.to_be_bytes())
}

/// Whether the code on a chain is an artifact's: the same, but for values that are only fixed when it is put there. The
/// compiler leaves thirty-two zero bytes to push in their place.
pub(crate) fn is_code_of(artifact: &[u8], found: &[u8]) -> bool {
    const PUSH1: u8 = 0x60;
    const PUSH32: u8 = 0x7f;
    if artifact.len() != found.len() || artifact.is_empty() {
        return false;
    }
    let mut at = 0;
    while at < artifact.len() {
        let op = artifact[at];
        let operand = if (PUSH1..=PUSH32).contains(&op) { usize::from(op - PUSH1) + 1 } else { 0 };
        let end = (at + 1 + operand).min(artifact.len());
        let is_open = op == PUSH32 && artifact[at + 1..end] == [0; 32];
        if op != found[at] || !is_open && artifact[at + 1..end] != found[at + 1..end] {
            return false;
        }
        at = end;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_contract_has_its_place() {
        let parts = parts().unwrap();
        let names: Vec<_> = parts.iter().map(|p| p.name.as_str()).collect();
        for (name, _) in ARTIFACTS {
            assert!(names.contains(name), "deploy.json lacks {name}");
        }
        let mut addresses: Vec<_> = parts.iter().map(|p| p.address).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), parts.len());
        assert_eq!(DEPLOYER.to_string(), "0x4e59b44847b379578588920cA78FbF26c0B4956C");
    }

    #[test]
    fn a_manifest_comes_back_from_its_json() {
        let manifest = Manifest { chain: Some(8453), ..Manifest::everywhere().unwrap() };
        assert_eq!(Manifest::read(&manifest.to_json().unwrap()).unwrap(), manifest);
        assert!(Manifest::read("{}").is_err());
        assert!(Manifest::read(&"[".repeat(LIMIT_BYTES + 1)).is_err());
    }

    #[test]
    fn only_immutable_values_may_differ() {
        // PUSH32 0…, ADD, PUSH1 5
        let mut artifact = vec![0x7f];
        artifact.extend([0; 32]);
        artifact.extend([0x01, 0x60, 0x05]);
        let mut found = artifact.clone();
        assert!(is_code_of(&artifact, &found));
        found[7] = 9;
        assert!(is_code_of(&artifact, &found));
        for at in [0, 33, 34, 35] {
            let mut other = found.clone();
            other[at] ^= 1;
            assert!(!is_code_of(&artifact, &other), "{at}");
        }
        assert!(!is_code_of(&artifact, &found[..35]));
        assert!(!is_code_of(&[], &[]));
    }

    proptest! {
        #[test]
        fn any_text_is_a_manifest_or_none(text in ".{0,200}", code in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Manifest::read(&text);
            prop_assert_eq!(is_code_of(&code, &code), !code.is_empty());
        }
    }
}
