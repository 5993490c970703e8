//! Logs, and filters: questions that a client asks again and again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{B256, U64};
use alloy::rpc::types::{Filter, FilterBlockOption, Log};

use super::error::RpcError;
use super::request::Params;
use super::{Answer, Rpc, result, shapes};
use crate::embedded::block::Block;
use crate::embedded::sequencer::Shared;
use crate::embedded::view::Event;

/// The filters of all clients.
#[derive(Debug, Default)]
pub(super) struct Filters {
    installed: Mutex<(u64, HashMap<u64, Installed>)>,
}

#[derive(Clone, Debug)]
struct Installed {
    what: Wanted,
    /// How many events its owner knows.
    seen: u64,
    /// When its owner last asked, in seconds.
    asked: u64,
}

/// What a filter or a subscription is about.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Blocks,
    Pending,
    Logs(Box<Filter>),
}

impl Filters {
    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<u64, Installed>)> {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rpc {
    pub(super) fn logs(&self, p: &mut Params<'_>) -> Answer {
        result(self.find(&p.next()?)?)
    }

    fn find(&self, filter: &Filter) -> Result<Vec<Log>, RpcError> {
        let mut found = Vec::new();
        if let FilterBlockOption::AtBlockHash(hash) = filter.block_option {
            let block = self.block(hash.into())?.ok_or_else(|| RpcError::failed("unknown block"))?;
            self.gather(&block, filter, &mut found)?;
            return Ok(found);
        }
        let (from, to) = filter.block_option.as_range();
        let newest = self.number(BlockNumberOrTag::Latest);
        let from = from.map_or(newest, |tag| self.number(*tag));
        let to = to.map_or(newest, |tag| self.number(*tag));
        if from > to {
            return Err(RpcError::params("invalid block range params: fromBlock is greater than toBlock"));
        }
        let to = to.min(newest);
        if to.saturating_sub(from) >= self.limits.log_blocks {
            let limit = self.limits.log_blocks;
            return Err(RpcError::limit(format!(
                "query exceeds max block range {limit}: ask for fewer blocks"
            )));
        }
        for number in self.shared.store.search(from, to, |bloom| filter.matches_bloom(bloom))? {
            if let Some(block) = self.shared.block(number)? {
                self.gather(&block, filter, &mut found)?;
            }
        }
        Ok(found)
    }

    fn gather(&self, block: &Block, filter: &Filter, found: &mut Vec<Log>) -> Result<(), RpcError> {
        found.extend(matching(block, filter, false));
        if found.len() > self.limits.logs {
            let limit = self.limits.logs;
            return Err(RpcError::limit(format!(
                "query returns more than {limit} logs: ask for fewer blocks"
            )));
        }
        Ok(())
    }

    pub(super) fn new_log_filter(&self, p: &mut Params<'_>) -> Answer {
        let filter: Filter = p.next()?;
        self.install(Wanted::Logs(Box::new(filter)))
    }

    pub(super) fn new_block_filter(&self) -> Answer {
        self.install(Wanted::Blocks)
    }

    pub(super) fn new_pending_filter(&self, p: &mut Params<'_>) -> Answer {
        if p.optional::<bool>()? == Some(true) {
            return Err(RpcError::params("only hashes of pending transactions are given"));
        }
        self.install(Wanted::Pending)
    }

    fn install(&self, what: Wanted) -> Answer {
        let (seen, now) = (self.shared.journal().end(), self.shared.clock.now());
        let mut filters = self.filters.lock();
        let (last, installed) = &mut *filters;
        installed.retain(|_, filter| now.saturating_sub(filter.asked) <= self.limits.filter_seconds);
        if installed.len() >= self.limits.filters {
            return Err(RpcError::limit("too many filters: uninstall some, or wait until old ones expire"));
        }
        *last += 1;
        installed.insert(*last, Installed { what, seen, asked: now });
        result(U64::from(*last))
    }

    pub(super) fn uninstall_filter(&self, p: &mut Params<'_>) -> Answer {
        let id: U64 = p.next()?;
        result(self.filters.lock().1.remove(&id.saturating_to()).is_some())
    }

    pub(super) fn filter_changes(&self, p: &mut Params<'_>) -> Answer {
        let id: U64 = p.next()?;
        let (events, what) = {
            // Both at once, so that two who ask for the same filter do not get the same events.
            let mut filters = self.filters.lock();
            let filter = self.filter(&mut filters.1, id)?;
            let journal = self.shared.journal();
            let events = journal.since(filter.seen);
            filter.seen = journal.end();
            (events, filter.what.clone())
        };
        let events = events
            .ok_or_else(|| RpcError::limit("too much has happened since this filter was last asked"))?;
        match what {
            Wanted::Logs(filter) => {
                let mut found: Vec<Log> = Vec::new();
                for event in &events {
                    found.extend(logs_of(&self.shared, event, &filter)?);
                    if found.len() > self.limits.logs {
                        return Err(RpcError::limit("too many logs since this filter was last asked"));
                    }
                }
                result(found)
            }
            Wanted::Blocks => result(events.iter().filter_map(added).collect::<Vec<_>>()),
            Wanted::Pending => result(events.iter().filter_map(pending).collect::<Vec<_>>()),
        }
    }

    pub(super) fn filter_logs(&self, p: &mut Params<'_>) -> Answer {
        let id: U64 = p.next()?;
        let what = self.filter(&mut self.filters.lock().1, id)?.what.clone();
        match what {
            Wanted::Logs(filter) => result(self.find(&filter)?),
            Wanted::Blocks | Wanted::Pending => Err(RpcError::failed("filter not found")),
        }
    }

    /// A filter that has not expired.
    fn filter<'a>(
        &self,
        all: &'a mut HashMap<u64, Installed>,
        id: U64,
    ) -> Result<&'a mut Installed, RpcError> {
        let (now, lives) = (self.shared.clock.now(), self.limits.filter_seconds);
        let filter = all.get_mut(&id.saturating_to()).filter(|f| now.saturating_sub(f.asked) <= lives);
        let filter = filter.ok_or_else(|| RpcError::failed("filter not found"))?;
        filter.asked = now;
        Ok(filter)
    }
}

/// The logs of a block that a filter wants; it has been asked already whether it wants this block.
pub(super) fn matching(block: &Block, filter: &Filter, removed: bool) -> Vec<Log> {
    if !filter.matches_bloom(block.header.logs_bloom) {
        return Vec::new();
    }
    let all = (0..block.transactions.len()).flat_map(|index| shapes::logs(block, index, removed));
    all.filter(|log| filter.matches_address(log.address()) && filter.matches_topics(log.topics())).collect()
}

/// The logs that an event adds or takes back.
pub(super) fn logs_of(shared: &Shared, event: &Event, filter: &Filter) -> Result<Vec<Log>, RpcError> {
    Ok(match event {
        Event::Added { number, hash } => {
            let block =
                shared.block(*number)?.filter(|block| block.hash == *hash && in_range(filter, *number));
            block.map(|block| matching(&block, filter, false)).unwrap_or_default()
        }
        Event::Removed(block) if in_range(filter, block.number()) => matching(block, filter, true),
        Event::Removed(_) | Event::Pending(_) => Vec::new(),
    })
}

/// Whether a filter that gives numbers wants this block.
fn in_range(filter: &Filter, number: u64) -> bool {
    let (from, to) = filter.block_option.as_range();
    let number_of = |tag: Option<&BlockNumberOrTag>| tag.and_then(BlockNumberOrTag::as_number);
    number_of(from).is_none_or(|from| from <= number) && number_of(to).is_none_or(|to| number <= to)
}

pub(super) fn added(event: &Event) -> Option<B256> {
    match event {
        Event::Added { hash, .. } => Some(*hash),
        Event::Removed(_) | Event::Pending(_) => None,
    }
}

pub(super) fn pending(event: &Event) -> Option<B256> {
    match event {
        Event::Pending(hash) => Some(*hash),
        Event::Added { .. } | Event::Removed(_) => None,
    }
}
