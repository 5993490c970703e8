//! A contract in a virtual machine of its own, to be asked questions.

use revm::bytecode::Bytecode;
use revm::context::result::ExecutionResult;
use revm::context::{CfgEnv, Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::handler::{MainBuilder as _, MainContext as _, MainnetContext, MainnetEvm};
use revm::primitives::{Address, Bytes, TxKind, hex, keccak256};
use revm::state::AccountInfo;
use revm::{ExecuteEvm as _, primitives::hardfork::SpecId};

/// A contract that has no state, as its committed artifact says it.
pub(crate) struct Contract {
    machine: MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>,
}

/// An argument of a call.
pub(crate) enum Argument<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

const HERE: Address = Address::repeat_byte(0xc0);

impl Contract {
    pub(crate) fn of(name: &str) -> Contract {
        let path = format!("{}/../../contracts/artifacts/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let artifact: serde_json::Value = serde_json::from_str(&text).unwrap();
        let code = hex::decode(artifact["deployedBytecode"].as_str().unwrap()).unwrap();
        assert!(code.len() <= 24_576, "{name} has {} bytes: no chain takes it", code.len());
        let mut world = CacheDB::new(EmptyDB::default());
        world.insert_account_info(HERE, AccountInfo::from_bytecode(Bytecode::new_raw(code.into())));
        // The contracts are compiled for Cancun, the oldest rules that they have to run by.
        let mut rules = CfgEnv::new_with_spec(SpecId::CANCUN);
        rules.tx_gas_limit_cap = Some(u64::MAX);
        rules.disable_block_gas_limit = true;
        rules.disable_nonce_check = true;
        Contract { machine: Context::mainnet().with_db(world).with_cfg(rules).build_mainnet() }
    }

    /// What a function answers, and the gas that it took beyond a transaction's own and its data's; or what it reverted with.
    pub(crate) fn call(
        &mut self,
        signature: &str,
        arguments: &[Argument],
    ) -> Result<(Vec<u8>, u64), Vec<u8>> {
        let data: Bytes = encoded(signature, arguments).into();
        let intrinsic: u64 = 21_000 + data.iter().map(|b| if *b == 0 { 4 } else { 16 }).sum::<u64>();
        let call = TxEnv { kind: TxKind::Call(HERE), data, gas_limit: u64::MAX >> 1, ..TxEnv::default() };
        match self.machine.transact(call).unwrap().result {
            ExecutionResult::Success { output, gas, .. } => {
                Ok((output.into_data().to_vec(), gas.tx_gas_used() - intrinsic))
            }
            ExecutionResult::Revert { output, .. } => Err(output.to_vec()),
            ExecutionResult::Halt { reason, .. } => panic!("{signature} halted: {reason:?}"),
        }
    }
}

/// The data of a call: words of 32 bytes, then the byte strings that they point to.
fn encoded(signature: &str, arguments: &[Argument]) -> Vec<u8> {
    let (mut head, mut tail) = (keccak256(signature)[..4].to_vec(), Vec::new());
    for argument in arguments {
        match argument {
            Argument::Number(n) => head.extend(word(*n)),
            Argument::Bytes(bytes) => {
                head.extend(word((32 * arguments.len() + tail.len()) as u64));
                tail.extend(word(bytes.len() as u64));
                tail.extend(*bytes);
                tail.resize(tail.len().next_multiple_of(32), 0);
            }
        }
    }
    head.extend(tail);
    head
}

fn word(n: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&n.to_be_bytes());
    word
}

/// Word `i` of an answer, as a number.
pub(crate) fn number(answer: &[u8], i: usize) -> u64 {
    assert_eq!(answer[32 * i..32 * i + 24], [0; 24]);
    u64::from_be_bytes(answer[32 * i + 24..32 * i + 32].try_into().unwrap())
}

/// The byte string that word `i` of an answer points to.
pub(crate) fn bytes(answer: &[u8], i: usize) -> &[u8] {
    let from = number(answer, i) as usize;
    let length = number(&answer[from..], 0) as usize;
    &answer[from + 32..][..length]
}
