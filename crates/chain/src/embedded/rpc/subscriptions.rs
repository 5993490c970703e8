//! Subscriptions of one connection: what happens is told without being asked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy::primitives::U64;
use alloy::rpc::types::Filter;
use serde::Serialize;

use super::error::RpcError;
use super::logs::{Wanted, logs_of, pending};
use super::request::Params;
use super::{Answer, result, shapes};
use crate::embedded::sequencer::Shared;
use crate::embedded::view::Event;

/// The subscriptions of a connection.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    state: Mutex<State>,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    all: Vec<Subscription>,
    /// How many events have been told.
    told: u64,
}

#[derive(Debug)]
struct Subscription {
    id: u64,
    what: Wanted,
    /// Events before this one are not its business.
    since: u64,
}

impl Subscriptions {
    /// None yet; what has happened so far is not told.
    pub(crate) fn new(shared: &Shared, limit: usize) -> Subscriptions {
        let told = shared.journal().end();
        Subscriptions { state: Mutex::new(State { told, ..State::default() }), limit }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscribe(&self, shared: &Shared, p: &mut Params<'_>) -> Answer {
        let what: String = p.next()?;
        let what = match what.as_str() {
            "newHeads" => Wanted::Blocks,
            "logs" => Wanted::Logs(Box::new(p.optional::<Filter>()?.unwrap_or_default())),
            "newPendingTransactions" => {
                if p.optional::<bool>()? == Some(true) {
                    return Err(RpcError::params("only hashes of pending transactions are given"));
                }
                Wanted::Pending
            }
            _ => {
                let there_are = "there are newHeads, logs and newPendingTransactions";
                return Err(RpcError::params(format!("no such subscription in eth namespace: {there_are}")));
            }
        };
        p.end()?;
        let since = shared.journal().end();
        let mut state = self.state();
        if state.all.len() >= self.limit {
            return Err(RpcError::limit(format!(
                "too many subscriptions: at most {} per connection",
                self.limit
            )));
        }
        state.last += 1;
        let id = state.last;
        state.all.push(Subscription { id, what, since });
        result(U64::from(id))
    }

    pub(super) fn unsubscribe(&self, p: &mut Params<'_>) -> Answer {
        let id: U64 = p.next()?;
        p.end()?;
        let mut state = self.state();
        let before = state.all.len();
        state.all.retain(|subscription| U64::from(subscription.id) != id);
        if state.all.len() == before {
            return Err(RpcError::failed("subscription not found"));
        }
        result(true)
    }

    /// What is to be told now, as messages; an error when so much has happened that some is forgotten.
    pub(crate) fn messages(&self, shared: &Shared) -> Result<Vec<String>, String> {
        let mut state = self.state();
        let first = state.told;
        let events = {
            let journal = shared.journal();
            state.told = journal.end();
            if state.all.is_empty() {
                return Ok(Vec::new());
            }
            journal.since(first).ok_or("more has happened than this connection could be told")?
        };
        let mut messages = Vec::new();
        for (at, event) in (first..).zip(&events) {
            for Subscription { id, what, .. } in state.all.iter().filter(|s| s.since <= at) {
                match what {
                    Wanted::Blocks => {
                        if let Event::Added { number, hash } = event {
                            let block = shared.block(*number).map_err(|why| why.to_string())?;
                            let block = block.filter(|block| block.hash == *hash);
                            messages.extend(block.and_then(|block| message(*id, shapes::header(&block))));
                        }
                    }
                    Wanted::Pending => messages.extend(pending(event).and_then(|hash| message(*id, hash))),
                    Wanted::Logs(filter) => {
                        let logs = logs_of(shared, event, filter).map_err(|why| why.message)?;
                        messages.extend(logs.into_iter().filter_map(|log| message(*id, log)));
                    }
                }
            }
        }
        Ok(messages)
    }
}

fn message(id: u64, result: impl Serialize) -> Option<String> {
    let result = serde_json::to_string(&result).ok()?;
    let params = format!(r#"{{"subscription":"{id:#x}","result":{result}}}"#);
    Some(format!(r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{params}}}"#))
}
