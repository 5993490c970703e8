//! One client for every chain: what is asked of a node, and what of its answers is believed.

mod line;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::{B256, Bytes, U64, U256};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{RpcError, RpcRecv, RpcSend};
use alloy::sol_types::SolCall;
use alloy::transports::{TransportError, TransportErrorKind};
use serde_json::{Value, json};
use url::Url;

pub use line::Patience;
pub(crate) use wire::{Block, Log};

use crate::embedded::Embedded;
use crate::outbox::{Attempt, Estimate, Intent, Need, Receipt, Refusal, View, now};
use crate::presets::{Money, Preset};
use crate::{Address, Error, Hash, Manifest, Policy, Time, Wei, bindings};
use line::{Line, clipped};
use wire::FoundReceipt;

/// A chain, reached through one or several nodes, with our contracts on it. Clones share the line.
#[derive(Clone)]
pub struct Chain {
    inner: Arc<Inner>,
    policy: Policy,
}

struct Inner {
    rpc: RpcClient,
    preset: Preset,
    manifest: Manifest,
    /// The highest block that was ever told of.
    seen: Mutex<u64>,
    /// The chain in this process, whose faucet may be asked.
    embedded: Option<Embedded>,
}

/// Blocks a node may fall behind what was told before, without being thought to have lost its mind.
const LIMIT_BACK: u64 = 256;

impl Chain {
    /// Connects to a chain by its name (`base`, `optimism-sepolia`, …) or by the addresses of its nodes, separated by commas,
    /// the preferred one first. Our contracts are where CREATE2 puts them on every chain.
    pub async fn connect(to: &str) -> Result<Self, Error> {
        Self::connect_with(to, None, None, Patience::default()).await
    }

    /// Connects to a chain whose contracts stand elsewhere, or whose id must be the one given.
    pub async fn connect_with(
        to: &str,
        id: Option<u64>,
        manifest: Option<Manifest>,
        patience: Patience,
    ) -> Result<Self, Error> {
        let known = Preset::named(to);
        let addresses = known.map_or_else(|| to.split(',').map(str::to_owned).collect(), |p| p.rpc.clone());
        let not_a_chain = |text: &str| Error::NotAChain {
            text: clipped(text),
            known: Preset::all().iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", "),
        };
        let urls = addresses
            .iter()
            .map(|text| match Url::parse(text.trim()) {
                Ok(url) if matches!(url.scheme(), "http" | "https" | "ws" | "wss") => Ok(url),
                _ => Err(not_a_chain(text)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let expected = id.or_else(|| known.map(|p| p.id)).or_else(|| manifest.as_ref().and_then(|m| m.chain));
        Self::over(Line::new(&urls, patience)?, expected, manifest, None).await
    }

    /// The chain in this process, with our contracts where CREATE2 puts them.
    pub async fn embedded(chain: &Embedded) -> Result<Self, Error> {
        let transport = alloy::transports::BoxTransport::new(chain.transport());
        Self::over(Line::in_process(transport), None, None, Some(chain.clone())).await
    }

    async fn over(
        line: Line,
        expected: Option<u64>,
        manifest: Option<Manifest>,
        embedded: Option<Embedded>,
    ) -> Result<Self, Error> {
        if let Some(id) = expected {
            line.expect(id);
        }
        let manifest = manifest.map_or_else(Manifest::everywhere, Ok)?;
        let rpc = RpcClient::new(line.clone(), true);
        let preset = Preset::of(expected.unwrap_or_default());
        let mut inner = Inner { rpc, preset, manifest, seen: Mutex::new(0), embedded };
        let asked = inner.ask::<_, U64>("eth_chainId", ()).await;
        if let (Err(_), Some(expected), Some(found)) = (&asked, expected, line.other_chain()) {
            return Err(Error::WrongChain { expected, found });
        }
        let found: u64 = asked?.to();
        line.expect(found);
        inner.preset = Preset::of(found);
        let policy = inner.preset.policy();
        Ok(Self { inner: Arc::new(inner), policy })
    }

    /// The same chain, with an outbox that goes about it differently: deeper, more patient, thriftier.
    pub fn with_policy(&self, policy: Policy) -> Self {
        Self { inner: self.inner.clone(), policy }
    }

    /// The chain's id, which every signature names.
    pub fn id(&self) -> u64 {
        self.inner.preset.id
    }

    /// What the chain calls itself.
    pub fn title(&self) -> &str {
        &self.inner.preset.title
    }

    /// What is known of the chain.
    pub fn preset(&self) -> &Preset {
        &self.inner.preset
    }

    /// Where our contracts are.
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// What the chain's money is worth.
    pub fn money(&self) -> Money {
        self.inner.preset.money
    }

    /// What an account has of the chain's money.
    pub async fn balance(&self, of: Address) -> Result<Wei, Error> {
        let balance: U256 = self.inner.ask("eth_getBalance", (of.alloy(), "latest")).await?;
        Ok(Wei(crate::units::narrow(balance)))
    }

    /// The number of the latest block and the chain's time.
    pub async fn head(&self) -> Result<(u64, Time), Error> {
        let block = self.latest().await?;
        Ok((block.number.to(), Time(block.timestamp.to())))
    }

    /// Waits until the chain's time has come, which only blocks move.
    ///
    /// A chain whose blocks come on demand has the time of its next block, so that our own clock decides there.
    pub async fn until(&self, time: Time) -> Result<(), Error> {
        loop {
            let (_, chain) = self.head().await?;
            if chain >= time || self.money() == Money::Private && now() >= time {
                return Ok(());
            }
            tokio::time::sleep(self.poll()).await;
        }
    }

    /// Gives an account some of the chain's money, where a faucet in this process can.
    pub async fn fund(&self, account: Address, amount: Wei) -> Result<(), Error> {
        let embedded = self.inner.embedded.as_ref().ok_or_else(|| self.no_faucet(account))?;
        let before = self.balance(account).await?;
        embedded
            .fund(account.0, amount.0)
            .await
            .map_err(|e| Error::Rpc { method: "the faucet", why: e.to_string() })?;
        self.until_more(account, before).await
    }

    /// Asks the chain for what it gives to strangers: the embedded one of somebody who wants company may give what a node needs.
    pub async fn beg(&self, account: Address) -> Result<(), Error> {
        let before = self.balance(account).await?;
        match self.inner.ask::<_, B256>("starling_fund", [account.alloy()]).await {
            Ok(_) => self.until_more(account, before).await,
            // Other chains know no such method, and ours only where its owner allows it.
            Err(Error::Rpc { .. }) => Err(self.no_faucet(account)),
            Err(why) => Err(why),
        }
    }

    async fn until_more(&self, account: Address, before: Wei) -> Result<(), Error> {
        while self.balance(account).await? <= before {
            tokio::time::sleep(self.poll()).await;
        }
        Ok(())
    }

    fn no_faucet(&self, wallet: Address) -> Error {
        let (chain, symbol) = (self.title().to_owned(), self.inner.preset.symbol.clone());
        Error::NoFaucet { chain, symbol, wallet }
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    pub(crate) fn poll(&self) -> Duration {
        Duration::from_millis(self.inner.preset.poll_ms)
    }

    /// What a wallet lacks, as an error with its remedy.
    pub(crate) fn needs(&self, need: Need, wallet: Address) -> Error {
        let preset = &self.inner.preset;
        let faucet = match (&preset.faucet, &self.inner.embedded) {
            (Some(url), _) => format!(", or get it from {url}"),
            (None, Some(_)) => ", or ask this node's faucet".to_owned(),
            (None, None) => String::new(),
        };
        Error::NeedsFunds {
            wallet,
            missing: Wei(need.wanted.0.saturating_sub(need.balance.0)),
            balance: need.balance,
            symbol: preset.symbol.clone(),
            place: format!("on {}{faucet}", preset.title),
        }
    }

    /// Calls a contract's view.
    pub(crate) async fn call<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return, Error> {
        let data = Bytes::from(call.abi_encode());
        let asked =
            self.inner.raw::<_, Bytes>("eth_call", (json!({"to": to.alloy(), "data": data}), "latest")).await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(error) => {
                return Err(match revert_reason(&error) {
                    Some(why) => Error::WouldFail { why },
                    None => self.inner.error("eth_call", &error),
                });
            }
        };
        C::abi_decode_returns(&answer).map_err(|_| Error::Foreign { what: C::SIGNATURE })
    }

    pub(crate) async fn code(&self, at: Address) -> Result<Vec<u8>, Error> {
        Ok(self.inner.ask::<_, Bytes>("eth_getCode", (at.alloy(), "latest")).await?.to_vec())
    }

    /// A question of one of our other files.
    pub(crate) async fn ask<P: RpcSend, R: RpcRecv>(
        &self,
        method: &'static str,
        params: P,
    ) -> Result<R, Error> {
        self.inner.ask(method, params).await
    }

    pub(crate) async fn block(&self, number: u64) -> Result<Option<Block>, Error> {
        let block: Option<Block> = self.inner.ask("eth_getBlockByNumber", (U64::from(number), false)).await?;
        match block {
            Some(block) if block.number.to::<u64>() != number => Err(Error::Contradiction {
                why: format!("asked for block {number}, it gave block {}", block.number),
            }),
            block => Ok(block),
        }
    }

    pub(crate) async fn latest(&self) -> Result<Block, Error> {
        let block: Option<Block> = self.inner.ask("eth_getBlockByNumber", ("latest", false)).await?;
        let block = block.ok_or_else(|| Error::Contradiction { why: "it has no latest block".to_owned() })?;
        let number: u64 = block.number.to();
        let mut seen = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if number.saturating_add(LIMIT_BACK) < *seen {
            let why = format!("its latest block is {number}, and it told of block {} before", *seen);
            return Err(Error::Contradiction { why });
        }
        *seen = number.max(*seen);
        Ok(block)
    }

    /// The events of some contracts in some blocks, both ends included.
    pub(crate) async fn logs(&self, from: u64, to: u64, of: &[Address]) -> Result<Vec<Log>, Error> {
        let of: Vec<_> = of.iter().map(|a| a.alloy()).collect();
        let filter = json!({"fromBlock": U64::from(from), "toBlock": U64::from(to), "address": of});
        self.inner.ask("eth_getLogs", (filter,)).await
    }

    /// The events of a transaction that is in a block.
    pub(crate) async fn events_of(&self, receipt: &Receipt) -> Result<Vec<Log>, Error> {
        let found: Option<FoundReceipt> =
            self.inner.ask("eth_getTransactionReceipt", (receipt.hash.alloy(),)).await?;
        Ok(found.map(|f| f.logs).unwrap_or_default())
    }

    /// Where a transaction is, if it is in a block that belongs to the chain.
    pub(crate) async fn receipt(&self, hash: Hash) -> Result<Option<Receipt>, Error> {
        let found: Option<FoundReceipt> =
            self.inner.ask("eth_getTransactionReceipt", (hash.alloy(),)).await?;
        let Some(found) = found else { return Ok(None) };
        let (Some(number), Some(block_hash)) = (found.block_number, found.block_hash) else {
            return Ok(None);
        };
        if found.transaction_hash != hash.alloy() {
            return Err(Error::Contradiction {
                why: format!("asked for {hash}, it gave {}", found.transaction_hash),
            });
        }
        let block = number.to();
        let there = self.block(block).await?.map(|b| b.hash);
        if there != Some(block_hash) {
            let why =
                format!("transaction {hash} is said to be in block {block} {block_hash}, which is another");
            return Err(Error::Contradiction { why });
        }
        Ok(Some(Receipt {
            hash,
            block,
            block_hash: block_hash.into(),
            success: found.status.to::<u64>() == 1,
        }))
    }

    /// Everything the outbox decides by.
    pub(crate) async fn view(&self, wallet: Address) -> Result<View, Error> {
        let head = self.latest().await?;
        let number: u64 = head.number.to();
        let nonce_at = |at: Value| self.inner.ask::<_, U64>("eth_getTransactionCount", (wallet.alloy(), at));
        let depth = self.policy().confirmations.max(1) - 1;
        let (nonce, pending, balance, tip, settled) = tokio::join!(
            nonce_at(json!("latest")),
            nonce_at(json!("pending")),
            self.balance(wallet),
            self.inner.ask::<_, U256>("eth_maxPriorityFeePerGas", ()),
            async {
                match number.checked_sub(depth) {
                    Some(at) => nonce_at(json!(U64::from(at))).await,
                    None => Ok(U64::ZERO),
                }
            },
        );
        let tip = match tip {
            Ok(tip) => Wei(crate::units::narrow(tip)),
            // Some nodes do not know the question; none refuses a tip.
            Err(Error::Rpc { .. }) => Wei(Wei::GWEI.0 / 1000),
            Err(other) => return Err(other),
        };
        let base_fee = match head.base_fee_per_gas {
            Some(fee) => fee,
            None => self.inner.ask("eth_gasPrice", ()).await?,
        };
        Ok(View {
            now: now(),
            number,
            nonce: nonce?.to(),
            pending: pending?.to(),
            settled: settled?.to(),
            balance: balance?,
            base_fee: Wei(crate::units::narrow(base_fee)),
            tip,
        })
    }

    /// What an intent would take in gas, or why it would fail.
    pub(crate) async fn estimate(&self, from: Address, intent: &Intent) -> Result<Estimate, Error> {
        let transaction = json!({
            "from": from.alloy(),
            "to": intent.to.alloy(),
            "data": Bytes::from(intent.data.clone()),
            "value": U256::from(intent.value.0),
        });
        match self.inner.raw::<_, U64>("eth_estimateGas", (transaction,)).await {
            Ok(gas) => Ok(Estimate::Gas(gas.to())),
            Err(error) => match (said(&error), revert_reason(&error)) {
                (Some(words), _) if words.contains("insufficient funds") || words.contains("outoffund") => {
                    Ok(Estimate::Funds)
                }
                (_, Some(why)) => Ok(Estimate::WouldFail(why)),
                _ => Err(self.inner.error("eth_estimateGas", &error)),
            },
        }
    }

    /// Offers a transaction to the node.
    pub(crate) async fn send(&self, attempt: &Attempt) -> Result<Result<(), Refusal>, Error> {
        let raw = Bytes::from(attempt.raw.clone());
        let error = match self.inner.raw::<_, B256>("eth_sendRawTransaction", (raw,)).await {
            Ok(hash) if hash == attempt.hash.alloy() => return Ok(Ok(())),
            Ok(hash) => {
                let why = format!("transaction {} was sent, and it took {hash}", attempt.hash);
                return Err(Error::Contradiction { why });
            }
            Err(error) => error,
        };
        let Some(words) = said(&error) else {
            return Err(self.inner.error("eth_sendRawTransaction", &error));
        };
        let has = |any: &[&str]| any.iter().any(|part| words.contains(part));
        Ok(if has(&["already known", "already imported", "known transaction", "already exists"]) {
            Ok(())
        } else if has(&["nonce too low", "nonce is too low", "nonce has already been used"]) {
            Err(Refusal::Spent)
        } else if has(&["underpriced", "fee too low", "less than block base fee", "replacement"]) {
            Err(Refusal::Underpriced)
        } else if has(&["insufficient funds"]) {
            Err(Refusal::Funds)
        } else {
            Err(Refusal::Other(clipped(&words)))
        })
    }
}

impl Inner {
    async fn raw<P: RpcSend, R: RpcRecv>(
        &self,
        method: &'static str,
        params: P,
    ) -> Result<R, TransportError> {
        self.rpc.request(method, params).await
    }

    async fn ask<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, Error> {
        self.raw(method, params).await.map_err(|e| self.error(method, &e))
    }

    fn error(&self, method: &'static str, error: &RpcError<TransportErrorKind>) -> Error {
        match error {
            RpcError::ErrorResp(payload) => Error::Rpc { method, why: clipped(&payload.message) },
            RpcError::Transport(why) => {
                Error::Unreachable { chain: self.preset.title.clone(), why: clipped(&why.to_string()) }
            }
            other => Error::Rpc {
                method,
                why: format!("its answer makes no sense: {}", clipped(&other.to_string())),
            },
        }
    }
}

/// A node's words of refusal, in small letters.
fn said(error: &TransportError) -> Option<String> {
    error.as_error_resp().map(|payload| payload.message.to_lowercase())
}

/// Why a contract refused, if it was the contract who did.
fn revert_reason(error: &TransportError) -> Option<String> {
    let payload = error.as_error_resp()?;
    let data = payload.data.as_ref().map_or("", |d| d.get());
    // Some nodes wrap the data.
    let data = match serde_json::from_str(data) {
        Ok(Value::String(text)) => text,
        Ok(Value::Object(map)) => map.get("data").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let data = alloy::hex::decode(&data).unwrap_or_default();
    if data.len() >= 4 {
        return Some(bindings::reason(&data));
    }
    payload.message.to_lowercase().contains("revert").then(|| clipped(&payload.message))
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("id", &self.id()).field("name", &self.title()).finish_non_exhaustive()
    }
}
