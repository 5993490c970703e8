//! Who acts on a chain: a wallet, the chain, and the outbox between them.

use std::path::Path;

use alloy::primitives::U256;
use alloy::sol_types::{SolCall, SolEvent};

use crate::bindings::credit::Credit;
use crate::client::Log;
use crate::outbox::Receipt;
use crate::presets::Money;
use crate::{Address, Chain, Credits, Error, Intent, Outbox, Wallet, Wei};

/// A wallet at work on a chain.
///
/// Each of its methods that change something waits until that is in a block. If it cannot happen yet, for want of funds or
/// of an answer, the method says so with an error and the intent stays in the outbox; calling the method again with the same arguments
/// goes on with the same intent, and never does it twice. What is to happen twice on purpose is [labelled](Account::labelled).
#[derive(Clone, Debug)]
pub struct Account {
    chain: Chain,
    wallet: Wallet,
    outbox: Outbox,
    label: String,
}

impl Account {
    /// Opens an account, whose outbox is in a file of the folder. Without a folder it is gone with the process.
    ///
    /// A wallet that no passphrase protects is refused where money is real.
    pub fn open(chain: &Chain, wallet: &Wallet, folder: Option<&Path>) -> Result<Self, Error> {
        if chain.money() == Money::Real && !wallet.is_protected() {
            return Err(Error::Unprotected { chain: chain.title().to_owned() });
        }
        let file = folder.map(|f| f.join(format!("outbox-{}-{}.redb", chain.id(), wallet.address())));
        let outbox = Outbox::open(file.as_deref(), chain, wallet)?;
        Ok(Self { chain: chain.clone(), wallet: wallet.clone(), outbox, label: String::new() })
    }

    /// The same account, whose acts are other acts than those with another word: the way to do the same thing again.
    pub fn labelled(&self, word: impl Into<String>) -> Self {
        Self { label: word.into(), ..self.clone() }
    }

    /// Whose account it is.
    pub fn address(&self) -> Address {
        self.wallet.address()
    }

    /// The chain it is on.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What signs.
    pub fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// What waits.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// How many credits it has.
    pub async fn credits(&self) -> Result<Credits, Error> {
        self.chain.credits(self.address()).await
    }

    /// Pays somebody in the chain's own money.
    pub async fn pay(&self, to: Address, amount: Wei) -> Result<(), Error> {
        self.act(Intent::new(to, Vec::new()).paying(amount)).await.map(drop)
    }

    /// Pays somebody in credits.
    pub async fn pay_credits(&self, to: Address, amount: Credits) -> Result<(), Error> {
        let call = Credit::transferCall { to: to.alloy(), value: amount.alloy() };
        self.act_on("Credit", call).await.map(drop)
    }

    /// Turns the chain's money into credits, one for one.
    pub async fn deposit(&self, amount: Wei) -> Result<(), Error> {
        let to = self.chain.manifest().address("Credit")?;
        self.act(Intent::new(to, Credit::depositCall {}.abi_encode()).paying(amount)).await.map(drop)
    }

    /// Turns credits back into the chain's money, one for one.
    pub async fn withdraw(&self, amount: Credits) -> Result<(), Error> {
        self.act_on("Credit", Credit::withdrawCall { amount: amount.alloy() }).await.map(drop)
    }

    /// Does something, once.
    pub(crate) async fn act(&self, intent: Intent) -> Result<Receipt, Error> {
        let intent = Intent { label: format!("{}{}", self.label, intent.label), ..intent };
        self.outbox.settle(self.outbox.put(intent)?).await
    }

    /// Calls one of our contracts, once.
    pub(crate) async fn act_on<C: SolCall>(&self, contract: &'static str, call: C) -> Result<Receipt, Error> {
        self.act(Intent::new(self.chain.manifest().address(contract)?, call.abi_encode())).await
    }

    /// The event that an act was to cause.
    pub(crate) async fn caused<E: SolEvent>(
        &self,
        contract: &'static str,
        receipt: &Receipt,
    ) -> Result<E, Error> {
        let from = self.chain.manifest().address(contract)?.alloy();
        let logs = self.chain.events_of(receipt).await?;
        let ours =
            |log: &Log| (log.address == from).then(|| E::decode_log_data(&log.event()?).ok()).flatten();
        logs.iter().find_map(ours).ok_or(Error::NoEvent { transaction: receipt.hash })
    }

    /// Lets one of our contracts take credits of this account, unless it may take so many already.
    ///
    /// It may then take any number. Our contracts take credits from nobody but their caller, and have no owner who could change that.
    pub(crate) async fn allow(&self, contract: &'static str, amount: Credits) -> Result<(), Error> {
        let spender = self.chain.manifest().address(contract)?;
        let credit = self.chain.manifest().address("Credit")?;
        let call = Credit::allowanceCall { owner: self.address().alloy(), spender: spender.alloy() };
        let had = self.chain.call(credit, call).await?;
        if had >= amount.alloy() {
            return Ok(());
        }
        let approve = Credit::approveCall { spender: spender.alloy(), value: U256::MAX };
        // Labelled by what there was: an allowance that is used up, or was taken back, is given again.
        let intent = Intent::new(credit, approve.abi_encode()).labelled(format!("after {had}"));
        self.outbox.settle(self.outbox.put(intent)?).await.map(drop)
    }
}

impl Chain {
    /// How many credits somebody has.
    pub async fn credits(&self, of: Address) -> Result<Credits, Error> {
        let call = Credit::balanceOfCall { account: of.alloy() };
        Ok(Credits(crate::units::narrow(self.call(self.manifest().address("Credit")?, call).await?)))
    }
}
