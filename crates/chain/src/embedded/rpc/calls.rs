//! What a transaction would do, without doing it.

use alloy::consensus::Header;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, TxKind, U64, U256};
use alloy::rpc::types::state::{AccountOverride, StateOverride};
use alloy::rpc::types::{BlockOverrides, TransactionRequest};
use revm::context::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, ResultAndState};
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::context_interface::either::Either;
use revm::database::CacheDB;
use revm::handler::{MainBuilder as _, MainContext as _};
use revm::state::Bytecode;
use revm::{Database as _, ExecuteEvm as _};

use super::error::RpcError;
use super::request::Params;
use super::{Answer, Rpc, result};
use crate::embedded::execute::{self, TRANSACTION_GAS_CAP};
use crate::embedded::world::{Ground, Info};

/// Accounts and slots that one call may override.
const MOST_OVERRIDES: usize = 1024;
/// What a transfer of money costs.
const TRANSFER_GAS: u64 = 21_000;
/// How far an estimate may be above what is needed at least, as geth has it: one part in so many.
const ESTIMATE_PARTS: u64 = 64;

/// A call to try: on which state, in which block, by which rules.
pub(super) struct Trial {
    ground: CacheDB<Ground>,
    pub(super) block: BlockEnv,
    rules: CfgEnv,
    pub(super) transaction: TxEnv,
}

impl Trial {
    /// What becomes of it with so much gas, and of the state.
    pub(super) fn run(&self, gas: u64) -> Result<ResultAndState, RpcError> {
        let mut machine = Context::mainnet()
            .with_db(self.ground.clone())
            .with_block(self.block.clone())
            .with_cfg(self.rules.clone())
            .build_mainnet();
        let done = machine.transact(TxEnv { gas_limit: gas, ..self.transaction.clone() });
        done.map_err(|why| refused(&why))
    }
}

impl Rpc {
    pub(super) fn try_call(&self, p: &mut Params<'_>) -> Answer {
        let (request, at): (TransactionRequest, Option<BlockId>) = (p.next()?, p.optional()?);
        let (state, block): (Option<StateOverride>, Option<BlockOverrides>) = (p.optional()?, p.optional()?);
        let gas = request.gas.unwrap_or(u64::MAX).min(self.limits.call_gas);
        let at = at.unwrap_or(BlockId::Number(BlockNumberOrTag::Latest));
        let trial = self.trial(request, at, state, block)?;
        match trial.run(gas)?.result {
            ExecutionResult::Success { output, .. } => result(output.into_data()),
            ExecutionResult::Revert { output, .. } => Err(RpcError::reverted(&output)),
            ExecutionResult::Halt { reason, .. } => Err(RpcError::failed(halted(&reason))),
        }
    }

    /// The least gas with which a transaction does what it does with plenty, or a little more.
    pub(super) fn estimate(&self, p: &mut Params<'_>) -> Answer {
        let (request, at): (TransactionRequest, Option<BlockId>) = (p.next()?, p.optional()?);
        let (state, block): (Option<StateOverride>, Option<BlockOverrides>) = (p.optional()?, p.optional()?);
        let at = at.unwrap_or(BlockId::Number(BlockNumberOrTag::Pending));
        let wanted = request.gas;
        let mut trial = self.trial(request, at, state, block)?;
        let mut most = trial.block.gas_limit.min(TRANSACTION_GAS_CAP).min(self.limits.call_gas);
        most = most.min(wanted.filter(|gas| *gas >= TRANSFER_GAS).unwrap_or(most));
        most = most.min(affordable(&mut trial)?);

        if plain_transfer(&mut trial) && trial.run(TRANSFER_GAS).is_ok_and(|done| done.result.is_success()) {
            return result(U64::from(TRANSFER_GAS));
        }
        let spent = match trial.run(most)?.result {
            ExecutionResult::Success { gas, .. } => gas,
            ExecutionResult::Revert { output, .. } => return Err(RpcError::reverted(&output)),
            ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => {
                return Err(RpcError::failed(format!("gas required exceeds allowance ({most})")));
            }
            ExecutionResult::Halt { reason, .. } => return Err(RpcError::failed(halted(&reason))),
        };
        let enough = |gas: u64| match trial.run(gas) {
            Ok(done) => done.result.is_success(),
            // Less than a transaction must have at least.
            Err(_) => false,
        };
        let mut too_little = spent.tx_gas_used().saturating_sub(1);
        let mut plenty = most;
        // Nearly always enough: what it spent before refunds, and what calls hold back of it.
        let guess = (spent.total_gas_spent().max(spent.floor_gas()) + 2_300) / 63 * 64 + 64;
        if guess < plenty {
            if enough(guess) {
                plenty = guess;
            } else {
                too_little = guess;
            }
        }
        while plenty - too_little > 1 + plenty / ESTIMATE_PARTS {
            // What is needed is mostly near the lower end.
            let middle = (too_little + (plenty - too_little) / 2).min(too_little.saturating_mul(2).max(1));
            if enough(middle) {
                plenty = middle;
            } else {
                too_little = middle;
            }
        }
        result(U64::from(plenty))
    }

    /// A call that was asked for, ready to be tried.
    pub(super) fn trial(
        &self,
        request: TransactionRequest,
        at: BlockId,
        state: Option<StateOverride>,
        block: Option<BlockOverrides>,
    ) -> Result<Trial, RpcError> {
        let chain_id = self.shared.chain_id;
        if let Some(have) = request.chain_id.filter(|have| *have != chain_id) {
            return Err(RpcError::failed(format!("invalid chain id: have {have} want {chain_id}")));
        }
        if request.blob_versioned_hashes.is_some() || request.sidecar.is_some() {
            return Err(RpcError::failed("blobs have no place on this chain"));
        }
        let view = self.shared.view();
        let head = self.head(at)?;
        let header: Header = if at == BlockId::Number(BlockNumberOrTag::Pending) {
            execute::next_header(&head.block, self.shared.clock.now())
        } else {
            head.block.header.clone()
        };
        let mut environment = execute::environment(&header);
        override_block(&mut environment, block.unwrap_or_default())?;
        let mut ground = CacheDB::new(view.ground(&head));
        override_state(&mut ground, state.unwrap_or_default())?;

        let mut rules = execute::rules(chain_id);
        rules.tx_gas_limit_cap = Some(u64::MAX);
        rules.disable_block_gas_limit = true;
        rules.disable_nonce_check = true;
        // A contract may be asked what it would be told.
        rules.disable_eip3607 = true;
        let (price, tip) = prices(&request)?;
        // Without a price the call is free, as everywhere.
        rules.disable_base_fee = price == 0;
        let caller = request.from.unwrap_or_default();
        let kind = request.to.unwrap_or(TxKind::Create);
        let authorizations = request.authorization_list.unwrap_or_default();
        let nonce = request.nonce.unwrap_or_else(|| head.world.info(&caller).nonce);
        let access_list = request.access_list.unwrap_or_default();
        let tx_type = match (authorizations.is_empty(), tip, access_list.is_empty()) {
            (false, ..) => 4,
            (true, Some(_), _) => 2,
            (true, None, false) => 1,
            (true, None, true) => 0,
        };
        let transaction = TxEnv {
            tx_type,
            caller,
            gas_limit: 0,
            gas_price: price,
            kind,
            value: request.value.unwrap_or_default(),
            data: request.input.into_input().unwrap_or_default(),
            nonce,
            chain_id: Some(chain_id),
            access_list,
            gas_priority_fee: tip,
            blob_hashes: Vec::new(),
            max_fee_per_blob_gas: 0,
            authorization_list: authorizations.into_iter().map(Either::Left).collect(),
        };
        Ok(Trial { ground, block: environment, rules, transaction })
    }
}

/// The highest price, and the tip if the request has one.
fn prices(request: &TransactionRequest) -> Result<(u128, Option<u128>), RpcError> {
    match (request.gas_price, request.max_fee_per_gas, request.max_priority_fee_per_gas) {
        (Some(price), None, None) => Ok((price, None)),
        (None, None, None) => Ok((0, None)),
        (None, fee, tip) => {
            let (fee, tip) = (fee.or(tip).unwrap_or_default(), tip.unwrap_or_default());
            if tip > fee {
                let why = format!("max priority fee per gas ({tip}) higher than max fee per gas ({fee})");
                return Err(RpcError::failed(why));
            }
            Ok((fee, Some(tip)))
        }
        (Some(_), ..) => {
            Err(RpcError::failed("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"))
        }
    }
}

/// How much gas the caller can pay for at its price.
fn affordable(trial: &mut Trial) -> Result<u64, RpcError> {
    let TxEnv { caller, gas_price, value, .. } = trial.transaction;
    if gas_price == 0 {
        return Ok(u64::MAX);
    }
    let balance = info(&mut trial.ground, caller).balance;
    let rest =
        balance.checked_sub(value).ok_or_else(|| RpcError::failed("insufficient funds for transfer"))?;
    Ok((rest / U256::from(gas_price)).saturating_to())
}

/// Whether it does nothing but send money to an account without code.
fn plain_transfer(trial: &mut Trial) -> bool {
    let TxKind::Call(to) = trial.transaction.kind else { return false };
    let bare = trial.transaction.data.is_empty()
        && trial.transaction.access_list.is_empty()
        && trial.transaction.authorization_list.is_empty();
    bare && info(&mut trial.ground, to).code_hash == Info::default().code_hash
}

fn info(ground: &mut CacheDB<Ground>, address: Address) -> Info {
    let Ok(info) = ground.basic(address);
    info.map_or_else(Info::default, |i| Info { nonce: i.nonce, balance: i.balance, code_hash: i.code_hash })
}

fn override_block(block: &mut BlockEnv, with: BlockOverrides) -> Result<(), RpcError> {
    let BlockOverrides { number, time, gas_limit, coinbase, random, base_fee, block_hash, .. } = with;
    if block_hash.is_some_and(|hashes| !hashes.is_empty()) {
        return Err(RpcError::params("block hashes cannot be overridden"));
    }
    block.number = number.unwrap_or(block.number);
    block.timestamp = time.map_or(block.timestamp, U256::from);
    block.gas_limit = gas_limit.unwrap_or(block.gas_limit);
    block.beneficiary = coinbase.unwrap_or(block.beneficiary);
    block.prevrandao = random.or(block.prevrandao);
    block.basefee = base_fee.map_or(block.basefee, |fee| fee.saturating_to());
    Ok(())
}

fn override_state(ground: &mut CacheDB<Ground>, with: StateOverride) -> Result<(), RpcError> {
    let size: usize = with
        .values()
        .map(|account| {
            let slots = |slots: &Option<_>| {
                slots.as_ref().map_or(0, |slots: &alloy::primitives::map::B256HashMap<_>| slots.len())
            };
            1 + slots(&account.state) + slots(&account.state_diff)
        })
        .sum();
    if size > MOST_OVERRIDES {
        return Err(RpcError::limit(format!(
            "too many overrides: at most {MOST_OVERRIDES} accounts and slots"
        )));
    }
    for (address, account) in with {
        let AccountOverride { balance, nonce, code, state, state_diff, move_precompile_to } = account;
        if move_precompile_to.is_some() {
            return Err(RpcError::params("precompiles cannot be moved"));
        }
        if state.is_some() && state_diff.is_some() {
            return Err(RpcError::params(format!("account {address} has both 'state' and 'stateDiff'")));
        }
        let Ok(known) = ground.basic(address);
        let mut info = known.unwrap_or_default();
        info.balance = balance.unwrap_or(info.balance);
        info.nonce = nonce.unwrap_or(info.nonce);
        if let Some(code) = code {
            let code = Bytecode::new_raw_checked(code)
                .map_err(|why| RpcError::params(format!("the code for {address}: {why}")))?;
            info.code_hash = code.hash_slow();
            info.code = Some(code);
        }
        ground.insert_account_info(address, info);
        let slots = |slots: alloy::primitives::map::B256HashMap<alloy::primitives::B256>| {
            slots.into_iter().map(|(slot, value)| (slot.into(), value.into()))
        };
        if let Some(state) = state {
            let Ok(()) = ground.replace_account_storage(address, slots(state).collect());
        }
        for (slot, value) in state_diff.into_iter().flat_map(slots) {
            let Ok(()) = ground.insert_account_storage(address, slot, value);
        }
    }
    Ok(())
}

/// Why the machine did not run at all, in the words of other nodes.
fn refused(why: &EVMError<std::convert::Infallible, InvalidTransaction>) -> RpcError {
    RpcError::failed(match why {
        EVMError::Transaction(InvalidTransaction::LackOfFundForMaxFee { fee, balance }) => {
            format!("insufficient funds for gas * price + value: have {balance} want {fee}")
        }
        EVMError::Transaction(InvalidTransaction::GasPriceLessThanBasefee) => {
            "max fee per gas less than block base fee".to_owned()
        }
        EVMError::Transaction(
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
            | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
        ) => "intrinsic gas too low".to_owned(),
        other => other.to_string(),
    })
}

/// Why the machine stopped, in the words of other nodes.
pub(super) fn halted(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(_) => "out of gas".to_owned(),
        HaltReason::OpcodeNotFound | HaltReason::InvalidFEOpcode => "invalid opcode".to_owned(),
        HaltReason::InvalidJump => "invalid jump destination".to_owned(),
        HaltReason::StackUnderflow => "stack underflow".to_owned(),
        HaltReason::StackOverflow => "stack limit reached 1024".to_owned(),
        HaltReason::CallTooDeep => "max call depth exceeded".to_owned(),
        HaltReason::CreateCollision => "contract address collision".to_owned(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".to_owned(),
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
        HaltReason::StateChangeDuringStaticCall => "write protection".to_owned(),
        other => other.to_string(),
    }
}
