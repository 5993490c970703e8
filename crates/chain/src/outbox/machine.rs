//! The outbox as a state machine without input or output: `(State, Event) -> Effects`.
//!
//! One rule makes every intent happen once. **An intent keeps its nonce until that nonce is spent for good**, by a transaction that
//! is as deep as the chain's reorganisations never are. All that is ever signed for an intent meanwhile has the same nonce, so that no
//! two of them can be on one chain. Everything else here is about getting there: prices that rise, gaps that others left, receipts
//! that vanish, answers that never come. What was signed is saved before it is sent, so that a process that dies forgets nothing
//! anyone else may know.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::intent::{Attempt, Fees, Intent, IntentId, Need, Receipt, State};
use crate::{Time, Wei};

/// How the outbox goes about it; each chain's preset has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How many blocks deep is for good: the block of a transaction counts as the first.
    pub confirmations: u64,
    /// How long a transaction may wait before its price is raised, in seconds.
    pub patience: u64,
    /// The most that is ever offered for a unit of gas.
    pub max_fee: Wei,
}

impl Default for Policy {
    fn default() -> Self {
        Self { confirmations: 12, patience: 60, max_fee: Wei(500 * Wei::GWEI.0) }
    }
}

/// Intents that are not over yet.
const LIMIT_OPEN: usize = 4096;
/// Intents that are over, kept so that doing them again stays harmless; the oldest are forgotten first.
const LIMIT_DONE: usize = 16384;
/// Intents that are worked on at a time: nodes drop longer queues of one sender.
const LIMIT_PLACED: usize = 16;
/// How often the price of one transaction is raised.
const LIMIT_ATTEMPTS: usize = 24;
/// Marks of outboxes, which go on top of tips, are smaller, in wei.
pub(super) const MARKS: u128 = 1 << 20;
/// What is given on top of an estimate, or a quarter of it if that is more: two places of storage that were not new when it was made, and are by the time the
/// call is executed, as with checkpoints that have a time of their own in each block. What is not used is not paid.
pub(super) const GAS_MARGIN: u64 = 50_000;
/// What a call may take in gas, while nobody can say.
const GUESS: u64 = 250_000;
/// How many looks in a row must miss all of an intent's transactions before its nonce counts as spent by another: some
/// nodes know a block before they know its receipts.
const SURE: u32 = 3;

/// What the chain looked like at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Our own clock, which goes on where blocks do not.
    pub(crate) now: Time,
    /// The number of the latest block.
    pub(crate) number: u64,
    /// The wallet's next nonce after that block.
    pub(crate) nonce: u64,
    /// The same with what waits in the node's pool.
    pub(crate) pending: u64,
    /// The wallet's next nonce as of the newest block that is there for good.
    pub(crate) settled: u64,
    pub(crate) balance: Wei,
    /// What the latest block asked for a unit of gas, and what is usually given on top.
    pub(crate) base_fee: Wei,
    pub(crate) tip: Wei,
}

/// Why a node did not take a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its nonce is spent, which the next look explains.
    Spent,
    /// Another with its nonce is offered more.
    Underpriced,
    /// The wallet has too little.
    Funds,
    /// Anything else, in the node's words.
    Other(String),
}

/// What an intent would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Estimate {
    /// So much gas.
    Gas(u64),
    /// More than the wallet has, so that the node would not even try.
    Funds,
    /// Nothing, since the contract would refuse it.
    WouldFail(String),
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Put(Intent),
    Saw(View),
    Estimated(IntentId, Estimate),
    Signed(IntentId, Attempt),
    Sent(IntentId, Result<(), Refusal>),
    /// Which of an intent's transactions is in a block, if any.
    Looked(IntentId, Option<Receipt>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Write the intent down, before any effect that comes after it.
    Save(IntentId),
    Forget(IntentId),
    Estimate(IntentId),
    Sign {
        id: IntentId,
        nonce: u64,
        gas: u64,
        fees: Fees,
    },
    /// Send the newest of the intent's transactions.
    Send(IntentId),
    Look(IntentId),
}

/// What is kept of an intent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) intent: Intent,
    /// In which order the intents came.
    pub(crate) turn: u64,
    pub(crate) state: State,
    /// What last went wrong, for people.
    pub(crate) trouble: Option<String>,
}

/// All intents of one wallet on one chain.
#[derive(Debug)]
pub(crate) struct Machine {
    policy: Policy,
    records: BTreeMap<IntentId, Record>,
    turns: u64,
    view: Option<View>,
    /// What was asked of the outside and is not answered yet. An answer that never comes is asked for again at the next view.
    asked: BTreeSet<IntentId>,
    /// Looks in a row that missed an intent whose nonce is spent.
    misses: BTreeMap<IntentId, u32>,
    /// A nonce below ours that nobody uses, and since when.
    gap: Option<(u64, Time)>,
    need: Option<Need>,
}

impl Machine {
    /// The machine as it was when its records were saved.
    pub(crate) fn new(policy: Policy, records: impl IntoIterator<Item = Record>) -> Self {
        let records: BTreeMap<_, _> = records.into_iter().map(|r| (r.intent.id(), r)).collect();
        let turns = records.values().map(|r| r.turn + 1).max().unwrap_or(0);
        Self {
            policy: Policy { confirmations: policy.confirmations.max(1), ..policy },
            records,
            turns,
            view: None,
            asked: BTreeSet::new(),
            misses: BTreeMap::new(),
            gap: None,
            need: None,
        }
    }

    pub(crate) fn record(&self, id: IntentId) -> Option<&Record> {
        self.records.get(&id)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// What the wallet lacks for what waits.
    pub(crate) fn need(&self) -> Option<Need> {
        self.need
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.values().filter(|r| !r.state.is_over()).count() >= LIMIT_OPEN
    }

    pub(crate) fn step(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Put(intent) => self.put(intent),
            Event::Saw(view) => self.saw(view),
            Event::Estimated(id, estimate) => self.estimated(id, estimate),
            Event::Signed(id, attempt) => self.signed(id, attempt),
            Event::Sent(id, sent) => self.sent(id, sent),
            Event::Looked(id, found) => self.looked(id, found),
        }
    }

    /// An intent that is known is left alone, unless it never came to anything: then it is tried anew.
    fn put(&mut self, intent: Intent) -> Vec<Effect> {
        let id = intent.id();
        let known = self.records.get(&id);
        if known.is_some_and(|r| !matches!(r.state, State::Refused { .. })) || self.is_full() {
            return Vec::new();
        }
        let turn = self.turns;
        self.turns += 1;
        self.records.insert(id, Record { intent, turn, state: State::Waiting, trouble: None });
        let mut effects = self.forget_oldest();
        effects.push(Effect::Save(id));
        effects
    }

    fn saw(&mut self, view: View) -> Vec<Effect> {
        self.view = Some(view);
        self.asked.clear();
        self.need = None;
        let mut effects = Vec::new();
        let underway = |r: &&Record| matches!(r.state, State::Placed { .. } | State::Included { .. });
        effects
            .extend(self.in_turn().into_iter().filter(|r| underway(r)).map(|r| Effect::Look(r.intent.id())));
        // Each of these may have to be refused because what it comes after was.
        let waiting: Vec<_> =
            self.in_turn().into_iter().filter(|r| r.state == State::Waiting).cloned().collect();
        let mut room = LIMIT_PLACED.saturating_sub(effects.len());
        for record in waiting {
            let id = record.intent.id();
            match self.may_begin(&record.intent) {
                Ok(true) if room > 0 => {
                    room -= 1;
                    self.asked.insert(id);
                    effects.push(Effect::Estimate(id));
                }
                Ok(_) => {}
                Err(why) => effects.extend(self.enter(id, State::Refused { why })),
            }
        }
        effects.extend(self.mind_the_gap(view));
        effects
    }

    /// Whether what an intent comes after has happened. An error if it never will.
    fn may_begin(&self, intent: &Intent) -> Result<bool, String> {
        let Some(before) = intent.after else { return Ok(true) };
        // What is forgotten is long over.
        let Some(record) = self.records.get(&before) else { return Ok(true) };
        match &record.state {
            State::Included { receipt, .. } | State::Final { receipt } if receipt.success => Ok(true),
            State::Final { .. } | State::Refused { .. } => {
                Err("what it was to come after did not succeed".to_owned())
            }
            State::Waiting | State::Placed { .. } | State::Included { .. } => Ok(false),
        }
    }

    fn estimated(&mut self, id: IntentId, estimate: Estimate) -> Vec<Effect> {
        if !self.asked.remove(&id) {
            return Vec::new();
        }
        let (Some(view), Some(record)) = (self.view, self.records.get(&id)) else { return Vec::new() };
        if record.state != State::Waiting {
            return Vec::new();
        }
        let fees = self.market(view);
        let gas = match estimate {
            // State may move between now and then: a quarter more.
            Estimate::Gas(gas) => gas.saturating_add((gas / 4).max(GAS_MARGIN)),
            Estimate::Funds => {
                let wanted = fees.cost(GUESS).saturating_add(record.intent.value.0);
                self.lack(Wei(wanted.max(view.balance.0.saturating_add(1))), view.balance);
                return Vec::new();
            }
            Estimate::WouldFail(why) => return self.enter(id, State::Refused { why }),
        };
        let cost = fees.cost(gas).saturating_add(record.intent.value.0);
        let bound: u128 = self.records.values().map(Record::bound).fold(0, u128::saturating_add);
        let wanted = Wei(bound.saturating_add(cost));
        if view.balance < wanted {
            self.lack(wanted, view.balance);
            return Vec::new();
        }
        let nonce = self.next_nonce(view);
        self.asked.insert(id);
        // The nonce is taken from here on: the next estimate may come before this signature.
        let mut effects = self.enter(id, State::Placed { nonce, gas, attempts: Vec::new() });
        effects.push(Effect::Sign { id, nonce, gas, fees });
        effects
    }

    fn lack(&mut self, wanted: Wei, balance: Wei) {
        let need = Need { wanted, balance };
        self.need = Some(self.need.map_or(need, |n| if n.wanted > wanted { n } else { need }));
    }

    /// After the chain's, after the pool's, after our own.
    fn next_nonce(&self, view: View) -> u64 {
        let ours = self.records.values().filter_map(|r| r.state.nonce()).map(|n| n + 1).max().unwrap_or(0);
        view.nonce.max(view.pending).max(ours)
    }

    /// Room for the base fee to double, the usual tip and the outbox's mark; never more than the policy allows.
    fn market(&self, view: View) -> Fees {
        let max = view.base_fee.0.saturating_mul(2).saturating_add(view.tip.0).saturating_add(MARKS);
        let max = Wei(max.min(self.policy.max_fee.0));
        Fees { max, tip: view.tip.min(max) }
    }

    fn signed(&mut self, id: IntentId, attempt: Attempt) -> Vec<Effect> {
        self.asked.remove(&id);
        let Some(Record { state: State::Placed { nonce, attempts, .. }, .. }) = self.records.get_mut(&id)
        else {
            return Vec::new();
        };
        // An answer to a question of long ago, when the intent had another place.
        if attempt.nonce != *nonce || attempts.len() >= LIMIT_ATTEMPTS {
            return Vec::new();
        }
        attempts.push(attempt);
        vec![Effect::Save(id), Effect::Send(id)]
    }

    fn sent(&mut self, id: IntentId, sent: Result<(), Refusal>) -> Vec<Effect> {
        let Some(record) = self.records.get_mut(&id) else { return Vec::new() };
        let State::Placed { attempts, .. } = &mut record.state else { return Vec::new() };
        record.trouble = None;
        match sent {
            Ok(()) | Err(Refusal::Spent) => {}
            // Patience is over at once.
            Err(Refusal::Underpriced) => {
                if let Some(last) = attempts.last_mut() {
                    last.at = Time(0);
                }
            }
            Err(Refusal::Funds) => {
                let (wanted, balance) = (record.bound(), self.view.map_or(Wei(0), |v| v.balance));
                // A rollup may charge for data on top of what gas costs: a quarter more, and more than there is.
                let wanted = wanted.saturating_add(wanted / 4).max(balance.0.saturating_add(wanted / 4));
                self.lack(Wei(wanted), balance);
            }
            Err(Refusal::Other(why)) => record.trouble = Some(why),
        }
        Vec::new()
    }

    fn looked(&mut self, id: IntentId, found: Option<Receipt>) -> Vec<Effect> {
        let (Some(view), Some(record)) = (self.view, self.records.get(&id)) else { return Vec::new() };
        let (nonce, gas, attempts) = match &record.state {
            State::Placed { nonce, gas, attempts } | State::Included { nonce, gas, attempts, .. } => {
                (*nonce, *gas, attempts.clone())
            }
            _ => return Vec::new(),
        };
        let state = match found {
            Some(receipt) if view.number + 1 >= receipt.block.saturating_add(self.policy.confirmations) => {
                State::Final { receipt }
            }
            Some(receipt) => State::Included { nonce, gas, attempts, receipt },
            None => return self.missed(id, view, nonce, gas, attempts),
        };
        self.misses.remove(&id);
        if matches!(state, State::Final { .. }) && record.intent.is_filler() {
            self.records.remove(&id);
            return vec![Effect::Forget(id)];
        }
        if state == record.state {
            return Vec::new();
        }
        self.enter(id, state)
    }

    /// None of an intent's transactions is in a block.
    fn missed(
        &mut self,
        id: IntentId,
        view: View,
        nonce: u64,
        gas: u64,
        attempts: Vec<Attempt>,
    ) -> Vec<Effect> {
        if view.settled > nonce {
            let misses = self.misses.entry(id).or_default();
            *misses += 1;
            if *misses < SURE {
                return Vec::new();
            }
            // Another of the wallet's transactions has the nonce for good, so none of ours will ever count.
            self.misses.remove(&id);
            if self.records.get(&id).is_some_and(|r| r.intent.is_filler()) {
                self.records.remove(&id);
                return vec![Effect::Forget(id)];
            }
            return self.enter(id, State::Waiting);
        }
        self.misses.remove(&id);
        let last = attempts.last().cloned();
        let count = attempts.len();
        let placed = State::Placed { nonce, gas, attempts };
        let vanished = self.records.get(&id).is_some_and(|r| r.state != placed);
        let mut effects = if vanished { self.enter(id, placed) } else { Vec::new() };
        let Some(last) = last else {
            // The signature never came.
            if self.asked.insert(id) {
                effects.push(Effect::Sign { id, nonce, gas, fees: self.market(view) });
            }
            return effects;
        };
        let fees = last.fees.raised(self.market(view));
        let waited = view.now.0.saturating_sub(last.at.0) >= self.policy.patience;
        if waited && count < LIMIT_ATTEMPTS && fees.max <= self.policy.max_fee {
            if self.asked.insert(id) {
                effects.push(Effect::Sign { id, nonce, gas, fees });
            }
        } else {
            // Nodes forget what waits; telling them again is free.
            effects.push(Effect::Send(id));
        }
        effects
    }

    /// A nonce that a node of the same wallet took and never used holds up everything after it: something empty fills it.
    fn mind_the_gap(&mut self, view: View) -> Vec<Effect> {
        let mut ours: Vec<u64> = self.records.values().filter_map(|r| r.state.nonce()).collect();
        ours.sort_unstable();
        let blocked = ours.first().is_some_and(|first| *first > view.nonce) && view.pending <= view.nonce;
        if !blocked {
            self.gap = None;
            return Vec::new();
        }
        let since = match self.gap {
            Some((nonce, since)) if nonce == view.nonce => since,
            _ => view.now,
        };
        self.gap = Some((view.nonce, since));
        if view.now.0.saturating_sub(since.0) < self.policy.patience {
            return Vec::new();
        }
        self.gap = None;
        let filler = Intent::filler(view.nonce);
        let (id, gas) = (filler.id(), Intent::FILLER_GAS);
        let turn = self.turns;
        self.turns += 1;
        self.asked.insert(id);
        let state = State::Placed { nonce: view.nonce, gas, attempts: Vec::new() };
        self.records.insert(id, Record { intent: filler, turn, state, trouble: None });
        vec![Effect::Save(id), Effect::Sign { id, nonce: view.nonce, gas, fees: self.market(view) }]
    }

    fn enter(&mut self, id: IntentId, state: State) -> Vec<Effect> {
        let Some(record) = self.records.get_mut(&id) else { return Vec::new() };
        record.state = state;
        record.trouble = None;
        vec![Effect::Save(id)]
    }

    fn in_turn(&self) -> Vec<&Record> {
        let mut records: Vec<_> = self.records.values().filter(|r| !r.state.is_over()).collect();
        records.sort_by_key(|r| r.turn);
        records
    }

    fn forget_oldest(&mut self) -> Vec<Effect> {
        let over = self.records.values().filter(|r| r.state.is_over());
        if over.clone().count() <= LIMIT_DONE {
            return Vec::new();
        }
        let Some(id) = over.min_by_key(|r| r.turn).map(|r| r.intent.id()) else { return Vec::new() };
        self.records.remove(&id);
        vec![Effect::Forget(id)]
    }
}

impl Record {
    /// What the wallet must keep for a transaction that is not in a block yet.
    fn bound(&self) -> u128 {
        let State::Placed { gas, attempts, .. } = &self.state else { return 0 };
        let fee = attempts.last().map_or(0, |a| a.fees.cost(*gas));
        fee.saturating_add(self.intent.value.0)
    }
}
