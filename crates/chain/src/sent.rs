//! What was sent to a chain, in our contracts' words: for people who want to see what their node did there.

use alloy::primitives::{Address as Foreign, B256, Bytes, U64, U256};
use alloy::sol_types::SolInterface;
use serde::Deserialize;

use crate::bindings::{agents, bonds, credit, jobs, reputation, swarms, validation};
use crate::units::narrow;
use crate::{Address, Chain, Error, Hash, Manifest, Time, Wei};

/// Transactions of a block that are looked at.
const LIMIT: usize = 256;
/// The longest text of a call's arguments.
const LIMIT_ARGUMENTS: usize = 400;

/// A transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// By which the chain knows it.
    pub hash: Hash,
    /// When its block was made.
    pub at: Time,
    /// Who sent it.
    pub from: Address,
    /// To whom; nobody, if it made a contract.
    pub to: Option<Address>,
    /// The chain's money that went with it.
    pub value: Wei,
    /// What it asked of a contract of ours.
    pub call: Option<Call>,
}

/// What a transaction asked of a contract of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The contract's name.
    pub contract: &'static str,
    /// The function's.
    pub function: String,
    /// What it was given, each by its name.
    pub arguments: String,
}

#[derive(Debug, Deserialize)]
struct Block {
    number: U64,
    timestamp: U64,
    #[serde(default)]
    transactions: Vec<Transaction>,
}

/// Rollups have kinds of their own, with more fields, which we do not look at.
#[derive(Debug, Deserialize)]
struct Transaction {
    hash: B256,
    from: Foreign,
    #[serde(default)]
    to: Option<Foreign>,
    #[serde(default)]
    value: U256,
    #[serde(default)]
    input: Bytes,
}

impl Chain {
    /// What is in a block, with what it asked of our contracts; nothing if there is no such block.
    pub async fn sent(&self, block: u64) -> Result<Vec<Sent>, Error> {
        let found: Option<Block> = self.ask("eth_getBlockByNumber", (U64::from(block), true)).await?;
        let Some(found) = found.filter(|found| found.number.to::<u64>() == block) else {
            return Ok(Vec::new());
        };
        let at = Time(found.timestamp.to());
        let sent = |t: Transaction| Sent {
            hash: t.hash.into(),
            at,
            from: t.from.into(),
            to: t.to.map(Into::into),
            value: Wei(narrow(t.value)),
            call: t.to.and_then(|to| called(self.manifest(), to.into(), &t.input)),
        };
        Ok(found.transactions.into_iter().take(LIMIT).map(sent).collect())
    }
}

/// What a call asks of a contract of ours, if it is one.
fn called(manifest: &Manifest, to: Address, input: &[u8]) -> Option<Call> {
    macro_rules! ours {
        ($($name:literal, $calls:path);* $(;)?) => {
            $(if manifest.address($name).is_ok_and(|address| address == to) {
                let call = <$calls>::abi_decode(input).ok()?;
                return Some(in_words($name, &format!("{call:?}")));
            })*
        };
    }
    ours!(
        "Swarms", swarms::Swarms::SwarmsCalls;
        "Agents", agents::Agents::AgentsCalls;
        "Bonds", bonds::Bonds::BondsCalls;
        "Credit", credit::Credit::CreditCalls;
        "Jobs", jobs::Jobs::JobsCalls;
        "Validation", validation::Validation::ValidationCalls;
        "Reputation", reputation::Reputation::ReputationCalls;
    );
    None
}

/// `commit(commitCall { swarm: 1, root: 0x… })` without what it says twice.
fn in_words(contract: &'static str, debug: &str) -> Call {
    let (function, rest) = debug.split_once('(').unwrap_or((debug, ""));
    let inner = rest.split_once('{').map_or("", |(_, inner)| inner);
    let inner = inner.trim_end_matches(')').trim().trim_end_matches('}').trim();
    let mut arguments: String = inner.chars().take(LIMIT_ARGUMENTS).collect();
    if inner.chars().nth(LIMIT_ARGUMENTS).is_some() {
        arguments.push('…');
    }
    Call { contract, function: function.to_owned(), arguments }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{Embedded, Options};
    use crate::{Account, Identity, Passphrase};

    #[tokio::test]
    async fn what_an_account_did_is_read_back() {
        let chain = Chain::embedded(&Embedded::in_memory(Options::default()).unwrap()).await.unwrap();
        let folder = std::env::temp_dir().join(format!("starling-sent-{}", std::process::id()));
        let identity = Identity::open(&folder, &Passphrase::None).unwrap();
        let account = Account::open(&chain, identity.wallet(), None).unwrap();
        chain.fund(account.address(), Wei::ether(2)).await.unwrap();
        account.deploy().await.unwrap();
        account.deposit(Wei::ether(1)).await.unwrap();
        let (head, _) = chain.head().await.unwrap();
        let last = chain.sent(head).await.unwrap().pop().unwrap();
        assert_eq!((last.from, last.value), (account.address(), Wei::ether(1)));
        let call = last.call.unwrap();
        assert_eq!((call.contract, call.function.as_str()), ("Credit", "deposit"));
        assert!(chain.sent(head + 1000).await.unwrap().is_empty(), "there is no such block");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_call_reads_as_its_name_and_what_it_was_given() {
        let call = in_words("Swarms", "commit(commitCall { swarm: 1, seats: [Seat { id: 2 }] })");
        assert_eq!(
            (call.function.as_str(), call.arguments.as_str()),
            ("commit", "swarm: 1, seats: [Seat { id: 2 }]")
        );
        assert_eq!(in_words("Credit", "deposit(depositCall)").arguments, "");
        let long = format!("post(postCall {{ result: {} }})", "7".repeat(1000));
        assert_eq!(in_words("Swarms", &long).arguments.chars().count(), LIMIT_ARGUMENTS + 1);
    }
}
