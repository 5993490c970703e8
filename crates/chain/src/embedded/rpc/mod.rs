//! The JSON-RPC of the chain: from bytes to bytes, however these travel.
//!
//! `request.rs` decodes; here each method goes to those who answer it: `state.rs` for accounts, blocks, transactions and fees, `calls.rs`
//! for what a transaction would do, `access.rs` for what it would touch, `logs.rs` for logs and filters.

mod access;
mod calls;
mod error;
mod logs;
mod request;
mod shapes;
mod state;
mod subscriptions;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::consensus::{TxEnvelope, transaction::Recovered};
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256, Bytes, keccak256};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{Semaphore, oneshot};

use super::block::Block;
use super::faucet::{Faucet, Given};
use super::pool::{self, PoolLimits, Rejected};
use super::sequencer::{Command, Refusal, Shared};
use super::view::Head;
use error::RpcError;
use logs::Filters;
use request::{Call, Incoming, Params};

pub(crate) use subscriptions::Subscriptions;

/// What one may ask of the RPC.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request or batch.
    pub body_bytes: usize,
    /// Bytes of an answer; what would be more of a batch is refused.
    pub answer_bytes: usize,
    /// Calls in a batch.
    pub batch: usize,
    /// Connections at a time.
    pub connections: usize,
    /// How long a connection may be silent, and a request take, in milliseconds.
    pub patience_ms: u64,
    /// Gas of a call that is only tried.
    pub call_gas: u64,
    /// Blocks that one search for logs may cover.
    pub log_blocks: u64,
    /// Logs that one search may give.
    pub logs: usize,
    /// Filters at a time.
    pub filters: usize,
    /// How long a filter lives that nobody asks, in seconds.
    pub filter_seconds: u64,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
}

impl Default for Limits {
    /// Room for a busy application; nothing that a machine with a gigabyte could not take.
    fn default() -> Limits {
        Limits {
            body_bytes: 2 << 20,
            answer_bytes: 32 << 20,
            batch: 256,
            connections: 256,
            patience_ms: 60_000,
            call_gas: 50_000_000,
            log_blocks: 100_000,
            logs: 20_000,
            filters: 1024,
            filter_seconds: 300,
            subscriptions: 64,
        }
    }
}

type Answer = Result<Box<RawValue>, RpcError>;

/// Answers requests.
#[derive(Debug)]
pub(crate) struct Rpc {
    shared: Arc<Shared>,
    commands: Mutex<Option<SyncSender<Command>>>,
    limits: Limits,
    pool_limits: PoolLimits,
    filters: Filters,
    /// Work that takes a processor for a while: as many at a time as there are processors.
    workers: Semaphore,
    closed: AtomicBool,
    /// Who gives to strangers, and what they were given.
    giver: Option<(Arc<Faucet>, Given)>,
}

impl Rpc {
    pub(crate) fn new(
        shared: Arc<Shared>,
        commands: SyncSender<Command>,
        limits: Limits,
        pool_limits: PoolLimits,
        giver: Option<(Arc<Faucet>, Given)>,
    ) -> Rpc {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        Rpc {
            shared,
            commands: Mutex::new(Some(commands)),
            limits,
            pool_limits,
            filters: Filters::default(),
            workers: Semaphore::new(workers),
            closed: AtomicBool::new(false),
            giver,
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// From now on nothing goes to the sequencer.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
        *self.commands.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Answers a request or a batch. Over a connection that stays, one can subscribe.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        bytes: &[u8],
        subscriptions: Option<&Subscriptions>,
    ) -> Option<String> {
        if bytes.len() > self.limits.body_bytes {
            let limit = self.limits.body_bytes;
            return Some(failed(
                None,
                &RpcError::invalid(format!("request too large: at most {limit} bytes")),
            ));
        }
        match Incoming::decode(bytes, self.limits.batch) {
            Err(error) => Some(failed(None, &error)),
            Ok(Incoming::One(call)) => self.one(call, subscriptions).await,
            Ok(Incoming::Batch(calls)) => {
                let mut answers = String::from("[");
                for call in calls {
                    let answer = match Call::decode(call) {
                        Err(error) => Some(failed(None, &error)),
                        Ok(call) if answers.len() > self.limits.answer_bytes => call.id.map(|id| {
                            failed(Some(id), &RpcError::limit("response too large: ask for less in a batch"))
                        }),
                        Ok(call) => self.one(call, subscriptions).await,
                    };
                    if let Some(answer) = answer {
                        answers.push_str(if answers.len() > 1 { "," } else { "" });
                        answers.push_str(&answer);
                    }
                }
                answers.push(']');
                // A batch of nothing but notifications has no answer.
                (answers.len() > 2).then_some(answers)
            }
        }
    }

    async fn one(self: &Arc<Self>, call: Call<'_>, subscriptions: Option<&Subscriptions>) -> Option<String> {
        let Call { id, method, params } = call;
        let patience = Duration::from_millis(self.limits.patience_ms);
        let done = tokio::time::timeout(patience, self.call(&method, params, subscriptions)).await;
        let done = done
            .unwrap_or_else(|_| Err(RpcError::failed("the request took too long; ask for less, or later")));
        let id = id?;
        Some(match done {
            Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#, id.get(), result.get()),
            Err(error) => failed(Some(id), &error),
        })
    }

    async fn call(
        self: &Arc<Self>,
        method: &str,
        mut params: Params<'_>,
        subscriptions: Option<&Subscriptions>,
    ) -> Answer {
        match (method, subscriptions) {
            ("eth_sendRawTransaction", _) => {
                let raw: Bytes = params.next()?;
                params.end()?;
                result(self.send(&raw).await?)
            }
            ("eth_sendRawTransactionSync", _) => {
                let raw: Bytes = params.next()?;
                let patience: Option<u64> = params.optional()?;
                params.end()?;
                self.send_and_wait(&raw, patience).await
            }
            ("starling_fund", _) => {
                let to: Address = params.next()?;
                params.end()?;
                self.give(to).await
            }
            ("eth_subscribe", Some(subscriptions)) => subscriptions.subscribe(&self.shared, &mut params),
            ("eth_unsubscribe", Some(subscriptions)) => subscriptions.unsubscribe(&mut params),
            ("eth_subscribe" | "eth_unsubscribe", None) => {
                Err(RpcError::method("eth_subscribe: notifications need a WebSocket; it"))
            }
            (method, _) if is_long(method) => {
                let busy = |_| RpcError::failed("the chain is closing");
                let _turn = self.workers.acquire().await.map_err(busy)?;
                let (rpc, method) = (self.clone(), method.to_owned());
                let params = params.raw().map(ToOwned::to_owned);
                let work = move || rpc.read(&method, Params::new(params.as_deref()));
                tokio::task::spawn_blocking(work)
                    .await
                    .unwrap_or_else(|_| Err(RpcError::failed("the call could not be finished")))
            }
            (method, _) => self.read(method, params),
        }
    }

    /// Answers whatever only reads.
    fn read(&self, method: &str, mut params: Params<'_>) -> Answer {
        let p = &mut params;
        let answer = match method {
            "eth_chainId" => result(format!("{:#x}", self.shared.chain_id)),
            "net_version" => result(self.shared.chain_id.to_string()),
            "net_listening" => result(true),
            "net_peerCount" => result("0x0"),
            "web3_clientVersion" => {
                result(concat!("starling/", env!("CARGO_PKG_VERSION"), "/single-sequencer"))
            }
            "web3_sha3" => result(keccak256(p.next::<Bytes>()?)),
            "eth_syncing" | "eth_mining" => result(false),
            "eth_accounts" => result([(); 0]),
            "eth_protocolVersion" => result("0x44"),
            "eth_blockNumber" => result(format!("{:#x}", self.shared.view().tip().block.number())),

            "eth_getBalance" => self.balance(p),
            "eth_getTransactionCount" => self.transaction_count(p),
            "eth_getCode" => self.code(p),
            "eth_getStorageAt" => self.storage_at(p),
            "eth_getProof" => self.proof(p),

            "eth_getBlockByNumber" => self.block_by_number(p),
            "eth_getBlockByHash" => self.block_by_hash(p),
            "eth_getBlockReceipts" => self.block_receipts(p),
            "eth_getBlockTransactionCountByNumber" => self.count_by_number(p),
            "eth_getBlockTransactionCountByHash" => self.count_by_hash(p),
            "eth_getUncleCountByBlockNumber" | "eth_getUncleCountByBlockHash" => self.uncle_count(method, p),
            "eth_getTransactionByHash" => self.transaction(p),
            "eth_getTransactionByBlockNumberAndIndex" => self.transaction_by_number(p),
            "eth_getTransactionByBlockHashAndIndex" => self.transaction_by_block_hash(p),
            "eth_getRawTransactionByHash" => self.raw_transaction(p),
            "eth_getTransactionReceipt" => self.receipt(p),

            "eth_gasPrice" => self.gas_price(),
            "eth_maxPriorityFeePerGas" => self.tip(),
            "eth_blobBaseFee" => result("0x1"),
            "eth_feeHistory" => self.fee_history(p),

            "eth_call" => self.try_call(p),
            "eth_estimateGas" => self.estimate(p),
            "eth_createAccessList" => self.access_list(p),

            "eth_getLogs" => self.logs(p),
            "eth_newFilter" => self.new_log_filter(p),
            "eth_newBlockFilter" => self.new_block_filter(),
            "eth_newPendingTransactionFilter" => self.new_pending_filter(p),
            "eth_getFilterChanges" => self.filter_changes(p),
            "eth_getFilterLogs" => self.filter_logs(p),
            "eth_uninstallFilter" => self.uninstall_filter(p),
            unknown => return Err(RpcError::method(unknown)),
        }?;
        params.end()?;
        if answer.get().len() > self.limits.answer_bytes {
            return Err(RpcError::limit("response too large: ask for less"));
        }
        Ok(answer)
    }

    /// Gives an address what strangers are given, if the chain's owner has said so; tells by which transaction.
    async fn give(&self, to: Address) -> Answer {
        let (faucet, given) = self.giver.as_ref().ok_or_else(|| RpcError::method("starling_fund"))?;
        let wei = given.take(to).map_err(RpcError::failed)?;
        match faucet.pay(self, to, wei).await {
            Ok(transaction) => result(transaction),
            Err(why) => {
                given.put_back(&to);
                Err(RpcError::failed(why.to_string()))
            }
        }
    }

    async fn send(&self, raw: &[u8]) -> Result<B256, RpcError> {
        let gas_limit = self.shared.view().tip().block.header.gas_limit;
        let transaction =
            pool::decode(raw, self.shared.chain_id, gas_limit, &self.pool_limits).map_err(Refusal::from)?;
        let hash = *transaction.tx_hash();
        match self.submit(transaction).await {
            // Sent twice, it is there once: whoever lost the first answer may ask again.
            Err(Refusal::Rejected(Rejected::NonceTooLow { .. }))
                if self.shared.store.place(&hash)?.is_some() =>
            {
                Err(RpcError::failed("already known"))
            }
            sent => Ok(sent?),
        }
    }

    /// Hands a transaction to the sequencer; returns when it is stored.
    pub(crate) async fn submit(&self, transaction: Recovered<TxEnvelope>) -> Result<B256, Refusal> {
        let stopped = || Refusal::Stopped("it is closing".to_owned());
        let (done, answer) = oneshot::channel();
        let mut command = Command::Submit(Box::new((transaction, done)));
        loop {
            match self.try_send(command) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return Err(stopped()),
                // The queue is longer than the sequencer takes at once: wait for it to move.
                Err(TrySendError::Full(back)) => command = back,
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        answer.await.map_err(|_| stopped())?
    }

    fn try_send(&self, command: Command) -> Result<(), TrySendError<Command>> {
        match &*self.commands.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(commands) => commands.try_send(command),
            None => Err(TrySendError::Disconnected(command)),
        }
    }

    /// Sends a transaction and waits for its receipt (EIP-7966).
    async fn send_and_wait(&self, raw: &[u8], patience_ms: Option<u64>) -> Answer {
        let mut news = self.shared.news();
        let hash = self.send(raw).await?;
        let found = async {
            loop {
                news.mark_unchanged();
                if let Some(receipt) = self.receipt_of(&hash)? {
                    return result(receipt);
                }
                news.changed().await.map_err(|_| RpcError::failed("the chain is closing"))?;
            }
        };
        let patience = Duration::from_millis(patience_ms.unwrap_or(2_000).min(self.limits.patience_ms / 2));
        tokio::time::timeout(patience, found).await.unwrap_or_else(|_| {
            let why = "the transaction was added to the pool but was not in a block in time";
            Err(RpcError { code: 4, message: why.to_owned(), data: to_raw_value(&hash).ok() })
        })
    }

    /// The number that a tag or number stands for; pending is the newest.
    fn number(&self, tag: BlockNumberOrTag) -> u64 {
        match tag {
            BlockNumberOrTag::Earliest => 0,
            BlockNumberOrTag::Number(number) => number,
            // One sequencer: what it has stored is safe and final at once.
            BlockNumberOrTag::Latest
            | BlockNumberOrTag::Pending
            | BlockNumberOrTag::Safe
            | BlockNumberOrTag::Finalized => self.shared.view().tip().block.number(),
        }
    }

    /// The block that is meant, if there is one.
    fn block(&self, id: BlockId) -> Result<Option<Arc<Block>>, RpcError> {
        let number = match id {
            BlockId::Number(tag) => self.number(tag),
            BlockId::Hash(hash) => match self.shared.store.number(&hash.block_hash)? {
                Some(number) => number,
                None => return Ok(None),
            },
        };
        let block = self.shared.block(number)?;
        Ok(block.filter(|block| id.as_block_hash().is_none_or(|hash| hash == block.hash)))
    }

    /// The block that is meant and the state after it.
    fn head(&self, id: BlockId) -> Result<Arc<Head>, RpcError> {
        let view = self.shared.view();
        if let BlockId::Number(tag) = id
            && !matches!(tag, BlockNumberOrTag::Number(_) | BlockNumberOrTag::Earliest)
        {
            return Ok(view.tip().clone());
        }
        let block = self.block(id)?.ok_or_else(|| RpcError::failed("header not found"))?;
        view.head(block.number()).cloned().ok_or_else(|| {
            let why = format!(
                "the state of block {} is pruned: only that of the newest blocks is kept",
                block.number()
            );
            RpcError::failed(why)
        })
    }
}

/// What may take a processor for a while.
fn is_long(method: &str) -> bool {
    matches!(
        method,
        "eth_call"
            | "eth_estimateGas"
            | "eth_createAccessList"
            | "eth_getLogs"
            | "eth_getFilterLogs"
            | "eth_getFilterChanges"
            | "eth_getProof"
            | "eth_feeHistory"
            | "eth_getBlockReceipts"
    )
}

fn result(value: impl Serialize) -> Answer {
    to_raw_value(&value).map_err(|why| RpcError::failed(format!("the answer cannot be written: {why}")))
}

fn failed(id: Option<&RawValue>, error: &RpcError) -> String {
    let id = id.map_or("null", RawValue::get);
    let error = serde_json::to_string(error).unwrap_or_else(|_| r#"{"code":-32603,"message":""}"#.to_owned());
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}
