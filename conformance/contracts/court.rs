//! All contracts that a dispute needs, on a chain of one machine, and two parties that play there.

use std::collections::BTreeMap;

use proof::Claim;
use proof::game::{Account, Dispute, Move, Party, Player, Stage};
use revm::context::result::{ExecutionResult, Output};
use revm::context::{CfgEnv, Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::handler::{MainBuilder as _, MainContext as _, MainnetContext, MainnetEvm};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, TxKind, U256, hex, keccak256};
use revm::state::AccountInfo;
use revm::{ExecuteCommitEvm as _, ExecuteEvm as _};

/// Who claims, and who contests.
pub(crate) const DEFENDER: Address = Address::repeat_byte(0xde);
pub(crate) const CHALLENGER: Address = Address::repeat_byte(0xc4);
/// What each has at stake, and what a claim and a challenge cost its loser.
pub(crate) const STAKE: u64 = 1_000_000;
pub(crate) const BOND: u64 = 4000;
pub(crate) const CHALLENGE: u64 = 400;
/// How long a claim can be contested, and how long each side may think.
pub(crate) const WINDOW: u64 = 3600;
pub(crate) const TIME: u64 = 600;

/// A chain with the contracts on it.
pub(crate) struct Court {
    machine: MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>,
    at: BTreeMap<&'static str, Address>,
    now: u64,
    agents: BTreeMap<Address, u64>,
    /// What each kind of move took, and all of them.
    pub(crate) gas: BTreeMap<String, u64>,
}

/// An argument of a call.
pub(crate) enum Value<'a> {
    Word([u8; 32]),
    Moves(&'a [Vec<u8>]),
}

pub(crate) fn word(n: u64) -> Value<'static> {
    Value::Word(U256::from(n).to_be_bytes())
}

fn address(of: Address) -> Value<'static> {
    Value::Word(of.into_word().0)
}

fn encoded(signature: &str, arguments: &[Value<'_>]) -> Bytes {
    let mut head = if signature.is_empty() { Vec::new() } else { keccak256(signature)[..4].to_vec() };
    let mut tail: Vec<u8> = Vec::new();
    let number = |n: usize| U256::from(n).to_be_bytes::<32>();
    for argument in arguments {
        match argument {
            Value::Word(word) => head.extend(word),
            Value::Moves(moves) => {
                head.extend(number(32 * arguments.len() + tail.len()));
                tail.extend(number(moves.len()));
                let mut from = 32 * moves.len();
                for bytes in *moves {
                    tail.extend(number(from));
                    from += 32 + bytes.len().next_multiple_of(32);
                }
                for bytes in *moves {
                    tail.extend(number(bytes.len()));
                    tail.extend(bytes);
                    tail.resize(tail.len().next_multiple_of(32), 0);
                }
            }
        }
    }
    head.extend(tail);
    head.into()
}

impl Court {
    pub(crate) fn new() -> Court {
        let mut world = CacheDB::new(EmptyDB::default());
        for who in [DEFENDER, CHALLENGER] {
            world.insert_account_info(
                who,
                AccountInfo { balance: U256::from(u128::MAX), ..AccountInfo::default() },
            );
        }
        let mut rules = CfgEnv::new_with_spec(SpecId::CANCUN);
        rules.disable_nonce_check = true;
        rules.disable_block_gas_limit = true;
        let machine = Context::mainnet().with_db(world).with_cfg(rules).build_mainnet();
        let (at, agents, gas) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut court = Court { machine, at, now: 1_800_000_000, agents, gas };
        for (name, needs) in [
            ("Credit", &[][..]),
            ("Agents", &[]),
            ("Bonds", &["Credit", "Agents"]),
            ("Validation", &["Agents"]),
            ("Referee", &[]),
            ("Disputes", &["Agents", "Bonds", "Validation", "Referee"]),
        ] {
            let path = format!("{}/../../contracts/artifacts/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
            let artifact: serde_json::Value = serde_json::from_str(&text).unwrap();
            let mut code = hex::decode(artifact["bytecode"].as_str().unwrap()).unwrap();
            let needs: Vec<Value<'_>> = needs.iter().map(|n| address(court.at[n])).collect();
            code.extend(encoded("", &needs));
            let create =
                TxEnv { caller: DEFENDER, kind: TxKind::Create, data: code.into(), ..TxEnv::default() };
            let create = TxEnv { gas_limit: 16_000_000, ..create };
            match court.run(create).0 {
                ExecutionResult::Success { output: Output::Create(_, Some(made)), .. } => {
                    court.at.insert(name, made)
                }
                other => panic!("{name}: {other:?}"),
            };
        }
        for who in [DEFENDER, CHALLENGER] {
            let id = court.act(who, "Agents", "register()", &[], 0).unwrap();
            let id = U256::from_be_slice(&id).to::<u64>();
            court.agents.insert(who, id);
            court.act(who, "Credit", "deposit()", &[], STAKE).unwrap();
            let (bonds, disputes) = (court.at["Bonds"], court.at["Disputes"]);
            court.act(who, "Credit", "approve(address,uint256)", &[address(bonds), word(STAKE)], 0).unwrap();
            let stake = [word(id), address(disputes), word(STAKE)];
            court.act(who, "Bonds", "stake(uint256,address,uint128)", &stake, 0).unwrap();
        }
        court
    }

    fn run(&mut self, call: TxEnv) -> (ExecutionResult, u64) {
        self.machine.ctx.block.timestamp = U256::from(self.now);
        let done = self.machine.transact_commit(call).unwrap();
        let gas = done.tx_gas_used();
        (done, gas)
    }

    /// A transaction; what it answers, or what it reverts with.
    pub(crate) fn act(
        &mut self,
        who: Address,
        contract: &'static str,
        signature: &str,
        arguments: &[Value<'_>],
        wei: u64,
    ) -> Result<Vec<u8>, Vec<u8>> {
        let (kind, data) = (TxKind::Call(self.at[contract]), encoded(signature, arguments));
        let call = TxEnv {
            caller: who,
            kind,
            data,
            value: U256::from(wei),
            gas_limit: 16_000_000,
            ..TxEnv::default()
        };
        let (done, gas) = self.run(call);
        let name = signature.split('(').next().unwrap_or_default().to_owned();
        match done {
            ExecutionResult::Success { output, .. } => {
                self.gas.insert(name, gas);
                Ok(output.into_data().to_vec())
            }
            ExecutionResult::Revert { output, .. } => Err(output.to_vec()),
            ExecutionResult::Halt { reason, .. } => panic!("{signature} halted: {reason:?}"),
        }
    }

    /// What a function would answer, without doing it.
    pub(crate) fn ask(
        &mut self,
        who: Address,
        contract: &'static str,
        signature: &str,
        arguments: &[Value<'_>],
    ) -> Option<Vec<u8>> {
        let (kind, data) = (TxKind::Call(self.at[contract]), encoded(signature, arguments));
        let call = TxEnv { caller: who, kind, data, gas_limit: 16_000_000, ..TxEnv::default() };
        self.machine.ctx.block.timestamp = U256::from(self.now);
        match self.machine.transact(call).unwrap().result {
            ExecutionResult::Success { output, .. } => Some(output.into_data().to_vec()),
            _ => None,
        }
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += seconds;
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn agent(&self, who: Address) -> u64 {
        self.agents[&who]
    }

    /// What an agent has at stake with the disputes.
    pub(crate) fn staked(&mut self, who: Address) -> u64 {
        let arguments = [word(self.agent(who)), address(self.at["Disputes"])];
        let answer = self.ask(who, "Bonds", "staked(uint256,address)", &arguments).unwrap();
        U256::from_be_slice(&answer).to()
    }

    /// What slashing has earned somebody.
    pub(crate) fn owed(&mut self, who: Address) -> u64 {
        U256::from_be_slice(&self.ask(who, "Bonds", "owed(address)", &[address(who)]).unwrap()).to()
    }

    /// What an agent has promised of its stake.
    pub(crate) fn reserved(&mut self, who: Address) -> u64 {
        let id = word(self.agent(who));
        U256::from_be_slice(&self.ask(who, "Disputes", "reserved(uint256)", &[id]).unwrap()).to()
    }

    pub(crate) fn claim(&mut self, claim: &Claim) -> u64 {
        let terms = &claim.terms;
        let arguments = [
            word(self.agent(DEFENDER)),
            Value::Word(terms.job),
            Value::Word(terms.schedule),
            Value::Word(terms.start),
            word(terms.steps),
            Value::Word(claim.run),
            word(BOND),
            word(CHALLENGE),
            word(WINDOW),
            word(TIME),
            Value::Word([0; 32]),
        ];
        let signature =
            "claim(uint256,(bytes32,bytes32,bytes32,uint64),bytes32,(uint128,uint128,uint32,uint32),bytes32)";
        let id = self.act(DEFENDER, "Disputes", signature, &arguments, 0).unwrap();
        U256::from_be_slice(&id).to()
    }

    pub(crate) fn contest(&mut self, claim: u64) -> Result<u64, Vec<u8>> {
        let arguments = [word(claim), word(self.agent(CHALLENGER))];
        let id = self.act(CHALLENGER, "Disputes", "contest(uint256,uint256)", &arguments, 0)?;
        Ok(U256::from_be_slice(&id).to())
    }

    pub(crate) fn play(&mut self, party: Party, dispute: u64, moves: &[Vec<u8>]) -> Result<(), Vec<u8>> {
        let who = if party == Party::Defender { DEFENDER } else { CHALLENGER };
        let arguments = [word(dispute), Value::Moves(moves)];
        self.act(who, "Disputes", "play(uint256,bytes[])", &arguments, 0).map(drop)
    }

    /// Whether the contract would take this move.
    pub(crate) fn takes(&mut self, party: Party, dispute: u64, step: &[u8]) -> bool {
        let who = if party == Party::Defender { DEFENDER } else { CHALLENGER };
        let moves = [step.to_vec()];
        self.ask(who, "Disputes", "play(uint256,bytes[])", &[word(dispute), Value::Moves(&moves)]).is_some()
    }

    /// What the contract knows of a dispute: its stage, the node it is at, whose turn it is, whether it is over and how.
    pub(crate) fn dispute(&mut self, id: u64) -> (u8, [u8; 32], bool, bool, bool) {
        let a = self.ask(DEFENDER, "Disputes", "disputeOf(uint256)", &[word(id)]).unwrap();
        let at = |i: usize| -> [u8; 32] { a[32 * i..32 * i + 32].try_into().unwrap() };
        (at(2)[31], at(4), at(5)[31] == 1, at(7)[31] == 1, at(8)[31] == 1)
    }

    /// The status of a claim: 1 open, 2 convicted, 3 stands.
    pub(crate) fn status(&mut self, claim: u64) -> u8 {
        self.ask(DEFENDER, "Disputes", "claimOf(uint256)", &[word(claim)]).unwrap()[32 + 31]
    }
}

/// How a dispute ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) winner: Party,
    pub(crate) claim: u64,
    pub(crate) stage: Stage,
    pub(crate) step: u64,
    pub(crate) value: Option<u32>,
    pub(crate) moves: u32,
    pub(crate) gas: u64,
}

/// A dispute over this claim, played to its end on the chain and beside it; both must say the same after every move.
///
/// A side that has nothing to say lets its time pass.
pub(crate) fn fight<D: Account, C: Account>(
    court: &mut Court,
    claim: Claim,
    defender: &mut Player<D>,
    challenger: &mut Player<C>,
) -> Ended {
    let id = court.claim(&claim);
    let contest = court.contest(id).unwrap();
    let mut dispute = Dispute::new(claim, TIME, court.now());
    let mut gas = court.gas["contest"];
    let (mut stage, mut value) = (Stage::Run, None);
    while let Some(turn) = dispute.turn() {
        stage = dispute.stage();
        if stage == Stage::Value {
            value = Some(dispute.walk().index as u32);
        }
        court.wait(1);
        let step = match turn {
            Party::Defender => defender.next(turn, &dispute).ok().flatten(),
            Party::Challenger => challenger.next(turn, &dispute).ok().flatten(),
        };
        let bytes = step.as_ref().map(|step| dispute.encode(step));
        let here = step.as_ref().map(|step| dispute.play(turn, step, court.now()));
        if let (Some(step), Some(bytes)) = (&step, &bytes) {
            assert_eq!(Move::decode(bytes).as_ref(), Some(step));
            let there = court.play(turn, contest, std::slice::from_ref(bytes));
            assert_eq!(
                here.unwrap().is_ok(),
                there.is_ok(),
                "{stage:?}: {here:?} here, {there:02x?} there: {step:?}"
            );
            if there.is_ok() {
                gas += court.gas["play"];
            }
        }
        if here.is_none_or(|done| done.is_err()) {
            court.wait(TIME + 1);
            dispute.expire(court.now()).unwrap();
            court.act(CHALLENGER, "Disputes", "expire(uint256)", &[word(contest)], 0).unwrap();
        }
        let (said, node, defenders, over, convicted) = court.dispute(contest);
        assert_eq!(over, dispute.turn().is_none());
        if let Some(turn) = dispute.turn() {
            assert_eq!(said, dispute.stage() as u8, "{:?}", dispute.stage());
            assert_eq!(defenders, turn == Party::Defender);
            assert_eq!(node, dispute.walk().at, "{stage:?} to {:?}", dispute.stage());
        } else {
            assert_eq!(convicted, dispute.winner() == Some(Party::Challenger));
        }
    }
    let (winner, step, moves) = (dispute.winner().unwrap(), dispute.wrong_step(), dispute.moves());
    Ended { winner, claim: id, stage, step, value, moves, gas }
}
