//! What a transaction would touch: the list that makes it cheaper when it is sent along (EIP-2930).

use std::collections::{BTreeMap, BTreeSet};

use alloy::eips::eip2930::{AccessList, AccessListItem, AccessListResult};
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256, TxKind, U256};
use alloy::rpc::types::TransactionRequest;
use alloy::rpc::types::state::StateOverride;
use revm::context::result::ExecutionResult;
use revm::context_interface::either::Either;
use revm::precompile::{PrecompileSpecId, Precompiles};
use revm::state::EvmState;

use super::calls::{Trial, halted};
use super::request::Params;
use super::{Answer, Rpc, result};
use crate::embedded::execute::RULES;

/// How often a call is tried, each time with the list of the last: one whose way depends on its gas may never touch the same twice.
const TRIALS: usize = 8;

impl Rpc {
    /// The accounts and slots that a call touches, and the gas that it takes when they are listed.
    pub(super) fn access_list(&self, p: &mut Params<'_>) -> Answer {
        let (request, at): (TransactionRequest, Option<BlockId>) = (p.next()?, p.optional()?);
        let state: Option<StateOverride> = p.optional()?;
        let gas = request.gas.unwrap_or(u64::MAX).min(self.limits.call_gas);
        let at = at.unwrap_or(BlockId::Number(BlockNumberOrTag::Latest));
        let mut trial = self.trial(request, at, state, None)?;
        let listed = trial.transaction.access_list.clone();
        let mut left = TRIALS;
        loop {
            let done = trial.run(gas)?;
            let touched = touched(&trial, &listed, &done.state);
            left -= 1;
            if left == 0 || touched == trial.transaction.access_list {
                let error = match &done.result {
                    ExecutionResult::Success { .. } => None,
                    ExecutionResult::Revert { .. } => Some("execution reverted".to_owned()),
                    ExecutionResult::Halt { reason, .. } => Some(halted(reason)),
                };
                let gas_used = U256::from(done.result.tx_gas_used());
                return result(AccessListResult { access_list: touched, gas_used, error });
            }
            trial.transaction.access_list = touched;
            // Only from the second kind on may a transaction have a list.
            trial.transaction.tx_type = trial.transaction.tx_type.max(1);
        }
    }
}

/// What was listed and what was touched. Who takes part in any case is listed only for its slots: it costs nothing else.
fn touched(trial: &Trial, listed: &AccessList, state: &EvmState) -> AccessList {
    let precompiles = Precompiles::new(PrecompileSpecId::from_spec_id(RULES));
    let transaction = &trial.transaction;
    let signers = transaction.authorization_list.iter().filter_map(|either| match either {
        Either::Left(signed) => signed.recover_authority().ok(),
        Either::Right(recovered) => recovered.authority(),
    });
    let mut warm: BTreeSet<Address> = signers.collect();
    warm.extend([transaction.caller, trial.block.beneficiary]);
    if let TxKind::Call(to) = transaction.kind {
        warm.insert(to);
    }
    let mut list: BTreeMap<Address, BTreeSet<B256>> = BTreeMap::new();
    for AccessListItem { address, storage_keys } in &listed.0 {
        list.entry(*address).or_default().extend(storage_keys);
    }
    for (address, account) in state {
        // What a call makes itself nobody can list before.
        if account.is_created() || precompiles.contains(address) {
            continue;
        }
        let slots: BTreeSet<B256> = account.storage.keys().map(|slot| B256::from(*slot)).collect();
        if !slots.is_empty() || !warm.contains(address) {
            list.entry(*address).or_default().extend(slots);
        }
    }
    let items = list
        .into_iter()
        .map(|(address, slots)| AccessListItem { address, storage_keys: slots.into_iter().collect() });
    AccessList(items.collect())
}
