//! Chains known by name: data, not code.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::{Policy, Wei};

/// A chain we know something about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preset {
    /// How it is called on a command line.
    pub name: String,
    /// How it calls itself.
    pub title: String,
    /// Its id, which every signature names.
    pub id: u64,
    /// Public addresses of nodes. They are slow and may be gone: have one of your own for serious work.
    #[serde(default)]
    pub rpc: Vec<String>,
    /// Where people look things up.
    #[serde(default)]
    pub explorer: Option<String>,
    /// What its money is called.
    pub symbol: String,
    /// Whether its money is worth anything.
    pub money: Money,
    /// Where test money is given away.
    #[serde(default)]
    pub faucet: Option<String>,
    /// How many blocks deep is for good.
    pub confirmations: u64,
    /// How long a transaction may wait before its price is raised, in seconds.
    pub patience: u64,
    /// How often to look, in milliseconds.
    pub poll_ms: u64,
    /// The most that is offered for a unit of gas, in billionths.
    pub max_fee_gwei: u64,
    /// What is special about its prices.
    #[serde(default)]
    pub note: String,
}

/// What a chain's money is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Money {
    /// People buy it.
    Real,
    /// It is given away, for tests.
    Test,
    /// It exists on one machine, or among friends.
    Private,
}

static PRESETS: LazyLock<Vec<Preset>> =
    LazyLock::new(|| serde_json::from_str(include_str!("presets.json")).unwrap_or_default());

impl Preset {
    /// All of them.
    pub fn all() -> &'static [Self] {
        &PRESETS
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|p| p.name == name)
    }

    /// The one of that id, or what to assume of a chain that nobody has heard of.
    pub fn of(id: u64) -> Self {
        PRESETS.iter().find(|p| p.id == id).cloned().unwrap_or_else(|| Self::private(id))
    }

    /// A network of one's own: one sequencer, whose blocks come when there is something to put in them, and stay.
    fn private(id: u64) -> Self {
        Self {
            name: format!("chain-{id}"),
            title: format!("the private chain {id}"),
            id,
            rpc: Vec::new(),
            explorer: None,
            symbol: "ETH".to_owned(),
            money: Money::Private,
            faucet: None,
            confirmations: 1,
            patience: 30,
            poll_ms: 50,
            max_fee_gwei: 1000,
            note: String::new(),
        }
    }

    /// How the outbox goes about it there.
    pub fn policy(&self) -> Policy {
        Policy {
            confirmations: self.confirmations,
            patience: self.patience,
            max_fee: Wei(u128::from(self.max_fee_gwei) * Wei::GWEI.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_data_is_sound() {
        let all: Vec<Preset> = serde_json::from_str(include_str!("presets.json")).unwrap();
        assert_eq!(all, Preset::all());
        assert!(all.len() >= 10);
        let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for preset in &all {
            assert!(names.insert(&preset.name), "{} is there twice", preset.name);
            assert!(ids.insert(preset.id), "{} is there twice", preset.id);
            for rpc in &preset.rpc {
                assert!(rpc.starts_with("https://") && url::Url::parse(rpc).is_ok(), "{rpc}");
            }
            assert!(preset.money != Money::Private && !preset.rpc.is_empty());
            assert!(preset.confirmations > 1 && preset.patience > 0 && preset.poll_ms > 0);
        }
        assert_eq!(Preset::of(8453).title, "Base");
        assert_eq!(Preset::of(31337).money, Money::Private);
    }
}
