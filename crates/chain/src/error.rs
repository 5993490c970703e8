//! What can go wrong between a node and a chain.

use crate::{Address, Hash, KeyError, OutboxError, Wei};

/// Why something could not be done on a chain.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an amount of money.
    #[error("`{text}` is not an amount: write it like 12.5, with at most 18 decimals")]
    NotAnAmount {
        /// What was written.
        text: String,
    },
    /// Not an address.
    #[error(
        "`{text}` is not an address: 0x and 40 hexadecimal digits, whose capitals catch mistypings (EIP-55)"
    )]
    NotAnAddress {
        /// What was written.
        text: String,
    },
    /// Not a hash.
    #[error("`{text}` is not a hash: 0x and 64 hexadecimal digits")]
    NotAHash {
        /// What was written.
        text: String,
    },
    /// Neither an address nor the name of a chain we know.
    #[error("`{text}` is neither an http, https, ws or wss address nor a chain known by name ({known})")]
    NotAChain {
        /// What was written.
        text: String,
        /// The names.
        known: String,
    },
    /// The node does not answer.
    #[error(
        "{chain} does not answer: {why}. Is the address right and the node up? What was to be sent waits in the outbox"
    )]
    Unreachable {
        /// Which chain, by name or address.
        chain: String,
        /// What happened at each address.
        why: String,
    },
    /// The node serves another chain.
    #[error("the node serves chain {found}, and {expected} was expected: check the RPC address")]
    WrongChain {
        /// The chain id that was expected.
        expected: u64,
        /// The one the node told.
        found: u64,
    },
    /// The node's answers contradict each other.
    #[error(
        "the node contradicts itself ({why}): it is behind, in a reorganisation, or lies. Another RPC address may help"
    )]
    Contradiction {
        /// How.
        why: String,
    },
    /// The node refused a question.
    #[error("the node refused {method}: {why}")]
    Rpc {
        /// What was asked.
        method: &'static str,
        /// What it said.
        why: String,
    },
    /// The contract refuses the call.
    #[error("the contract would refuse this, so it was not sent: {why}")]
    WouldFail {
        /// The contract's reason.
        why: String,
    },
    /// The transaction failed in its block.
    #[error("transaction {transaction} failed in its block: somebody else was quicker, or its gas ran out")]
    Reverted {
        /// Which one.
        transaction: Hash,
    },
    /// The wallet has too little.
    #[error(
        "{wallet} needs {missing} {symbol} more (it has {balance}): send it there {place}. What was to be done waits in the outbox"
    )]
    NeedsFunds {
        /// Whose money it is.
        wallet: Address,
        /// How much is missing.
        missing: Wei,
        /// What it has.
        balance: Wei,
        /// The name of the chain's money.
        symbol: String,
        /// On which chain, and where else to get it, as the end of a sentence.
        place: String,
    },
    /// The wallet's key lies open and the chain's money is real.
    #[error(
        "the wallet has no passphrase, and {chain} has real money: `starling identity passphrase` gives it one"
    )]
    Unprotected {
        /// The chain's name.
        chain: String,
    },
    /// No such contract in the manifest.
    #[error(
        "the manifest has no contract {name}: `starling chain deploy` makes them all and prints a manifest"
    )]
    NoContract {
        /// Its name.
        name: &'static str,
    },
    /// No code at a contract's address.
    #[error("there is no {name} at {address} on this chain: `starling chain deploy` puts it there")]
    NotDeployed {
        /// The contract.
        name: String,
        /// Where it should be.
        address: Address,
    },
    /// Other code than ours at a contract's address.
    #[error("what is at {address} is not our {name}: the manifest is of another version, or somebody's trap")]
    OtherCode {
        /// The contract.
        name: String,
        /// Where it is.
        address: Address,
    },
    /// The chain lacks the deterministic deployer.
    #[error(
        "this chain lacks the deterministic deployer 0x4e59b44847b379578588920cA78FbF26c0B4956C, without which contracts would have \
         other addresses here: https://github.com/Arachnid/deterministic-deployment-proxy says how to put it there"
    )]
    NoDeployer,
    /// The manifest cannot be read.
    #[error("the manifest cannot be read: {why}")]
    Manifest {
        /// What is wrong with it.
        why: String,
    },
    /// The committed artifacts are not what this program was built for.
    #[error(
        "the contract artifacts in this build are damaged ({why}): `cargo xtask contracts` makes them anew"
    )]
    Artifact {
        /// What is wrong with them.
        why: String,
    },
    /// A contract answered with what cannot be.
    #[error("{what} on the chain is not what our contracts give: check the manifest's addresses")]
    Foreign {
        /// What was read.
        what: &'static str,
    },
    /// The outbox never heard of it.
    #[error("the outbox does not know this intent: put it in first")]
    NoSuchIntent,
    /// A transaction without the event it was made for.
    #[error(
        "transaction {transaction} is in a block, but without the event it was to cause: check the manifest's addresses"
    )]
    NoEvent {
        /// Which one.
        transaction: Hash,
    },
    /// The events told so far were undone further back than is remembered.
    #[error("more than {blocks} blocks were undone: begin to follow anew, from block {from}")]
    DeepReorganisation {
        /// How many are remembered.
        blocks: usize,
        /// Where to begin.
        from: u64,
    },
    /// There is no faucet.
    #[error("{chain} has no faucet that this node could ask: send {symbol} to {wallet}")]
    NoFaucet {
        /// The chain's name.
        chain: String,
        /// The name of its money.
        symbol: String,
        /// Where to send it.
        wallet: Address,
    },
    /// A key could not be had, or did not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The outbox could not do its work.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}
