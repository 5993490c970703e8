//! The outbox against a chain that does everything chains do: it loses, delays and reorders what it is sent, undoes
//! blocks, raises prices, forgets its pool; the process dies and comes back; another node with the same wallet takes nonces.
//!
//! First the trouble, then none. In the trouble no intent may ever be on the chain twice, and afterwards each must be there once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::intent::{Attempt, Fees, Intent, IntentId, Receipt, State};
use super::machine::{Effect, Estimate, Event, GAS_MARGIN, MARKS, Machine, Policy, Record, Refusal, View};
use crate::{Address, Hash, Time, Wei};

const DEPTH: u64 = 4;
const GAS: u64 = 50_000;

/// A transaction as the model's chain sees it; `what` is the intent, or nothing for the other node's.
#[derive(Clone, Debug, PartialEq)]
struct Transaction {
    hash: Hash,
    nonce: u64,
    fee: u128,
    what: Option<IntentId>,
}

#[derive(Default)]
struct Model {
    /// Blocks, each with its transactions; the first is block 1.
    blocks: Vec<Vec<Transaction>>,
    /// The most blocks there ever were: what was deep below them stays.
    highest: usize,
    pool: Vec<Transaction>,
    /// Everything that was ever sent: any of it may come back at any time.
    sent: Vec<Transaction>,
    base_fee: u128,
    balance: u128,
    now: u64,
    drawn: u64,
}

impl Model {
    fn nonce(&self, blocks: usize) -> u64 {
        self.blocks[..blocks].iter().map(Vec::len).sum::<usize>() as u64
    }

    fn view(&self) -> View {
        let number = self.blocks.len();
        let nonce = self.nonce(number);
        let mut pending = nonce;
        while self.pool.iter().any(|t| t.nonce == pending) {
            pending += 1;
        }
        View {
            now: Time(self.now),
            number: number as u64,
            nonce,
            pending,
            settled: self.nonce((number + 1).saturating_sub(DEPTH as usize)),
            balance: Wei(self.balance),
            base_fee: Wei(self.base_fee),
            tip: Wei(1),
        }
    }

    fn send(&mut self, transaction: Transaction) -> Result<(), Refusal> {
        if !self.sent.contains(&transaction) {
            self.sent.push(transaction.clone());
        }
        if transaction.nonce < self.nonce(self.blocks.len()) {
            return Err(Refusal::Spent);
        }
        if let Some(at) = self.pool.iter().position(|t| t.nonce == transaction.nonce) {
            if self.pool[at].hash == transaction.hash {
                return Ok(());
            }
            if transaction.fee * 10 < self.pool[at].fee * 11 {
                return Err(Refusal::Underpriced);
            }
            self.pool.remove(at);
        }
        self.pool.push(transaction);
        Ok(())
    }

    /// A block of what is in the pool, has its turn, and pays enough.
    fn mine(&mut self, most: usize) {
        let mut block = Vec::new();
        let mut nonce = self.nonce(self.blocks.len());
        while block.len() < most {
            let Some(at) = self.pool.iter().position(|t| t.nonce == nonce && t.fee >= self.base_fee) else {
                break;
            };
            block.push(self.pool.remove(at));
            nonce += 1;
        }
        self.blocks.push(block);
        self.highest = self.highest.max(self.blocks.len());
        self.pool.retain(|t| t.nonce >= nonce);
    }

    fn undo(&mut self, blocks: usize, keep: bool) {
        let firm = self.highest.saturating_sub(DEPTH as usize - 1);
        let kept = self.blocks.len().saturating_sub(blocks).max(firm).min(self.blocks.len());
        for block in self.blocks.split_off(kept) {
            if keep {
                self.pool.extend(block);
            }
        }
        self.pool.sort_by_key(|t| std::cmp::Reverse(t.fee));
        let mut seen = BTreeSet::new();
        self.pool.retain(|t| seen.insert(t.nonce));
    }

    fn receipt(&self, hash: Hash) -> Option<Receipt> {
        let at = self.blocks.iter().position(|b| b.iter().any(|t| t.hash == hash))?;
        let block = at as u64 + 1;
        Some(Receipt { hash, block, block_hash: Hash::of(&block.to_be_bytes()), success: true })
    }

    fn times(&self, id: IntentId) -> usize {
        self.blocks.iter().flatten().filter(|t| t.what == Some(id)).count()
    }

    fn draw(&mut self) -> Hash {
        self.drawn += 1;
        Hash::of(&self.drawn.to_be_bytes())
    }
}

/// One node: its machine, what is on its disk, and the answers under way to it.
struct Node {
    machine: Machine,
    disk: BTreeMap<IntentId, Record>,
    under_way: Vec<Event>,
}

const POLICY: Policy = Policy { confirmations: DEPTH, patience: 3, max_fee: Wei(u128::MAX) };

impl Node {
    fn new() -> Self {
        Self { machine: Machine::new(POLICY, []), disk: BTreeMap::new(), under_way: Vec::new() }
    }

    fn step(&mut self, model: &mut Model, event: Event, lossy: &mut impl FnMut() -> bool) {
        for effect in self.machine.step(event) {
            let record = |id| self.machine.record(id).cloned();
            let answer = match effect {
                Effect::Save(id) => {
                    self.disk.insert(id, record(id).unwrap());
                    None
                }
                Effect::Forget(id) => {
                    self.disk.remove(&id);
                    None
                }
                Effect::Estimate(id) => Some(Event::Estimated(id, Estimate::Gas(GAS))),
                Effect::Sign { id, nonce, fees, .. } => {
                    let attempt =
                        Attempt { hash: model.draw(), nonce, fees, raw: Vec::new(), at: Time(model.now) };
                    Some(Event::Signed(id, attempt))
                }
                Effect::Send(id) => {
                    // What is sent must be on disk, or a node that dies forgets what others know.
                    let State::Placed { nonce, attempts, .. } = self.disk[&id].state.clone() else {
                        panic!("sent without being placed")
                    };
                    let last = attempts.last().expect("sent without being saved");
                    assert_eq!(last.nonce, nonce);
                    let what = Some(id).filter(|id| !self.disk[id].intent.is_filler());
                    let transaction = Transaction { hash: last.hash, nonce, fee: last.fees.max.0, what };
                    if lossy() { None } else { Some(Event::Sent(id, model.send(transaction))) }
                }
                Effect::Look(id) => match record(id).unwrap().state {
                    State::Placed { attempts, .. } | State::Included { attempts, .. } => {
                        Some(Event::Looked(id, attempts.iter().find_map(|a| model.receipt(a.hash))))
                    }
                    _ => None,
                },
            };
            if let Some(answer) = answer.filter(|_| !lossy()) {
                self.under_way.push(answer);
            }
        }
    }

    /// As the driver does: answers come one by one, and all of them before the next look.
    fn tick(&mut self, model: &mut Model, lossy: &mut impl FnMut() -> bool) {
        let view = model.view();
        self.step(model, Event::Saw(view), lossy);
        while !self.under_way.is_empty() {
            let event = self.under_way.remove(0);
            self.step(model, event, lossy);
        }
    }

    fn restart(&mut self) {
        let saved: Vec<Record> = self
            .disk
            .values()
            .map(|r| postcard::from_bytes(&postcard::to_stdvec(r).unwrap()).unwrap())
            .collect();
        self.machine = Machine::new(POLICY, saved);
        self.under_way.clear();
    }
}

#[derive(Clone, Debug)]
enum Trouble {
    Put(u8),
    Tick {
        lossy: bool,
    },
    /// The node dies in the middle of a tick, after so many answers.
    Die(usize),
    Mine(usize),
    Undo {
        blocks: usize,
        keep: bool,
    },
    ForgetPool,
    /// The other node of the wallet sends something, so many nonces ahead.
    Other {
        ahead: u64,
        fee: u128,
    },
    /// Somebody sends again what was once sent.
    Again(prop::sample::Index),
    Price(u128),
    Balance(u128),
    Wait(u64),
}

fn troubles() -> impl Strategy<Value = Vec<Trouble>> {
    let one = prop_oneof![
        2 => (0..6_u8).prop_map(Trouble::Put),
        8 => any::<bool>().prop_map(|lossy| Trouble::Tick { lossy }),
        1 => (0..4_usize).prop_map(Trouble::Die),
        5 => (0..4_usize).prop_map(Trouble::Mine),
        2 => (1..4_usize, any::<bool>()).prop_map(|(blocks, keep)| Trouble::Undo { blocks, keep }),
        1 => Just(Trouble::ForgetPool),
        2 => (0..3_u64, 1..2000_u128).prop_map(|(ahead, fee)| Trouble::Other { ahead, fee: fee * MARKS }),
        2 => any::<prop::sample::Index>().prop_map(Trouble::Again),
        1 => (1..1000_u128).prop_map(|price| Trouble::Price(price * MARKS)),
        1 => prop_oneof![Just(0), Just(u128::MAX)].prop_map(Trouble::Balance),
        2 => (1..6_u64).prop_map(Trouble::Wait),
    ];
    proptest::collection::vec(one, 1..150)
}

fn intent(n: u8) -> Intent {
    let intent = Intent::new(Address([n; 20]), vec![n]);
    // Every third comes after the one before it.
    if n % 3 == 2 { intent.after(Intent::new(Address([n - 1; 20]), vec![n - 1]).id()) } else { intent }
}

fn check(troubles: Vec<Trouble>, seed: u64) {
    let mut model = Model { base_fee: 100 * MARKS, balance: u128::MAX, now: 1000, ..Model::default() };
    let mut node = Node::new();
    let mut put = BTreeSet::new();
    let mut dice = seed;
    let mut roll = move || {
        dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        dice >> 33
    };
    for trouble in troubles {
        match trouble {
            Trouble::Put(n) => {
                // What comes after another is only asked for once the other was.
                if intent(n).after.is_none_or(|before| put.contains(&before)) {
                    put.insert(intent(n).id());
                    node.step(&mut model, Event::Put(intent(n)), &mut || false);
                }
            }
            Trouble::Tick { lossy } => node.tick(&mut model, &mut || lossy && roll() % 3 == 0),
            Trouble::Die(after) => {
                let view = model.view();
                node.step(&mut model, Event::Saw(view), &mut || false);
                for _ in 0..after.min(node.under_way.len()) {
                    let event = node.under_way.remove(0);
                    node.step(&mut model, event, &mut || false);
                }
                node.restart();
            }
            Trouble::Mine(most) => model.mine(most),
            Trouble::Undo { blocks, keep } => model.undo(blocks, keep),
            Trouble::ForgetPool => model.pool.clear(),
            Trouble::Other { ahead, fee } => {
                let hash = model.draw();
                let nonce = model.nonce(model.blocks.len()) + ahead;
                let _ = model.send(Transaction { hash, nonce, fee, what: None });
            }
            Trouble::Again(index) => {
                if !model.sent.is_empty() {
                    let transaction = index.get(&model.sent).clone();
                    let _ = model.send(transaction);
                }
            }
            Trouble::Price(fee) => model.base_fee = fee,
            Trouble::Balance(balance) => model.balance = balance,
            Trouble::Wait(time) => model.now += time,
        }
        for id in &put {
            assert!(model.times(*id) <= 1, "an intent is on the chain twice");
        }
    }
    // No trouble from here on, and the other node's leftovers are underpriced no more.
    model.balance = u128::MAX;
    model.base_fee = 1;
    for _ in 0..400 {
        node.tick(&mut model, &mut || false);
        model.mine(8);
        model.now += 4;
        if put.iter().all(|id| matches!(node.machine.record(*id).unwrap().state, State::Final { .. })) {
            break;
        }
    }
    for id in put {
        let record = node.machine.record(id).unwrap();
        assert!(matches!(record.state, State::Final { .. }), "never came to an end: {record:?}");
        assert_eq!(model.times(id), 1, "an intent is not on the chain once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20_000, ..ProptestConfig::default() })]
    #[test]
    fn every_intent_happens_once(troubles in troubles(), seed: u64) {
        check(troubles, seed);
    }
}

/// `OUTBOX_CASES=100000` looks harder.
fn cases() -> u32 {
    std::env::var("OUTBOX_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(500)
}

#[test]
fn a_wallet_without_funds_says_what_it_needs() {
    let mut model = Model { base_fee: 100, balance: 7, now: 1000, ..Model::default() };
    let mut node = Node::new();
    node.step(&mut model, Event::Put(intent(0)), &mut || false);
    node.tick(&mut model, &mut || false);
    let need = node.machine.need().unwrap();
    assert_eq!((need.wanted, need.balance), (Wei((GAS + GAS_MARGIN) as u128 * (201 + MARKS)), Wei(7)));
    assert!(model.sent.is_empty());
    model.balance = need.wanted.0;
    node.tick(&mut model, &mut || false);
    assert_eq!((node.machine.need(), model.sent.len()), (None, 1));
}

#[test]
fn what_would_fail_is_never_sent_and_may_be_tried_again() {
    let mut model = Model { base_fee: 100, balance: u128::MAX, ..Model::default() };
    let mut machine = Machine::new(POLICY, []);
    let id = intent(1).id();
    machine.step(Event::Put(intent(1)));
    machine.step(Event::Put(intent(2)));
    machine.step(Event::Saw(model.view()));
    machine.step(Event::Estimated(id, Estimate::WouldFail("TooEarly".to_owned())));
    assert!(matches!(&machine.record(id).unwrap().state, State::Refused { why } if why == "TooEarly"));
    // What was to come after it is refused with it.
    machine.step(Event::Saw(model.view()));
    assert!(matches!(machine.record(intent(2).id()).unwrap().state, State::Refused { .. }));
    machine.step(Event::Put(intent(1)));
    assert_eq!(machine.record(id).unwrap().state, State::Waiting);
    model.mine(0);
}

#[test]
fn a_stuck_transaction_is_offered_more_each_time_up_to_the_limit() {
    let limit = Wei(10 * MARKS);
    let mut machine = Machine::new(Policy { max_fee: limit, ..POLICY }, []);
    let mut model = Model { base_fee: 100, balance: u128::MAX, now: 1000, ..Model::default() };
    let id = intent(0).id();
    machine.step(Event::Put(intent(0)));
    machine.step(Event::Saw(model.view()));
    let mut effects = machine.step(Event::Estimated(id, Estimate::Gas(GAS)));
    let mut offers: Vec<Fees> = Vec::new();
    for _ in 0..40 {
        for effect in std::mem::take(&mut effects) {
            if let Effect::Sign { nonce, fees, .. } = effect {
                assert_eq!(nonce, 0);
                offers.push(fees);
                let hash = model.draw();
                machine.step(Event::Signed(
                    id,
                    Attempt { hash, nonce, fees, raw: Vec::new(), at: Time(model.now) },
                ));
            }
        }
        model.now += POLICY.patience;
        machine.step(Event::Saw(model.view()));
        effects = machine.step(Event::Looked(id, None));
    }
    assert!(offers.len() > 5);
    for pair in offers.windows(2) {
        assert!(pair[1].max.0 * 8 >= pair[0].max.0 * 9 && pair[1].tip.0 * 8 >= pair[0].tip.0 * 9, "{pair:?}");
        assert!(pair[1].max <= limit && pair[1].tip <= pair[1].max);
    }
}
