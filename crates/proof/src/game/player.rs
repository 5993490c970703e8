//! Who plays: from what a party knows of a run, its next move.

use std::collections::BTreeMap;

use super::{Dispute, Move, Party, Shown, Stage, StepOpening, Walk};
use crate::Error;
use crate::hash::Digest;
use crate::record::{Opcode, Record};
use crate::rule;
use crate::run::{Block, Claim, Runner, Stop, Work, chain, reads, state_after, tree_of};
use crate::tensor::{LEAF, Tensor, words_tree};
use crate::tree::{Tree, height};

/// Stands for what has no value: no hash of anything, so that whatever is claimed there is wrong.
const NOTHING: Digest = [0xff; 32];

/// What a party knows of one step.
#[derive(Clone, Debug)]
pub struct StepAccount {
    /// The states before it.
    pub before: Tree,
    /// All values of its program.
    pub trace: Tree,
    /// The states after it.
    pub after: Tree,
    /// The element that has no value, if the step cannot be made: which value, and which of its elements.
    pub fault: Option<(u32, u64)>,
}

/// What a party knows of a run, or says it knows.
pub trait Account {
    /// The work that the run is about.
    fn work(&self) -> &Work;
    /// The tree over the states after each step.
    fn run(&mut self) -> Result<Tree, Error>;
    /// One step.
    fn step(&mut self, t: u64) -> Result<StepAccount, Error>;
    /// One value of a step; where the step fails, whatever.
    fn value(&mut self, t: u64, value: u32) -> Result<Tensor, Error>;
    /// The chain of one element; it may end early where the element has no value.
    fn chain(&mut self, t: u64, value: u32, element: u64) -> Result<Vec<Block>, Error>;
}

/// An account that is worked out: a run is made, and made again in parts when more of it is asked for.
pub struct Book<R> {
    work: Work,
    runner: R,
    /// The commitments after each step, and states of some steps to go on from.
    run: Option<Tree>,
    kept: BTreeMap<u64, Vec<Tensor>>,
    step: Option<(u64, StepAccount)>,
}

impl<R: Runner> Book<R> {
    /// A book of this work, in which nothing is written yet.
    pub fn new(work: Work, runner: R) -> Book<R> {
        let kept = BTreeMap::from([(0, work.start().to_vec())]);
        Book { work, runner, run: None, kept, step: None }
    }

    /// The claim that the run came out as this book says.
    pub fn claim(&mut self) -> Result<Claim, Error> {
        Ok(Claim { terms: self.work.terms(), run: self.run()?.root() })
    }

    /// The states before step `t`; `None` if it is never reached.
    pub fn states(&mut self, t: u64) -> Result<Option<Vec<Tensor>>, Error> {
        let (mut at, mut states) = match self.kept.range(..=t).next_back() {
            Some((at, states)) => (*at, states.clone()),
            None => (0, self.work.start().to_vec()),
        };
        while at < t {
            let (graph, given) = (self.work.graph(at)?, self.work.given(at)?);
            states = match self.runner.step(graph, at, &given.inputs, &states, None) {
                Ok(after) => after,
                Err(Stop::Fault { .. }) => return Ok(None),
                Err(Stop::Error(error)) => return Err(error),
            };
            at += 1;
        }
        Ok(Some(states))
    }

    fn values(&mut self, t: u64, wanted: &[u32]) -> Result<BTreeMap<u32, Tensor>, Error> {
        let Some(states) = self.states(t)? else { return Ok(BTreeMap::new()) };
        let (graph, given) = (self.work.graph(t)?, self.work.given(t)?);
        let mut found = BTreeMap::new();
        let mut watch = |value: u32, tensor: &Tensor| {
            if wanted.contains(&value) {
                found.insert(value, tensor.clone());
            }
        };
        match self.runner.step(graph, t, &given.inputs, &states, Some(&mut watch)) {
            Ok(_) | Err(Stop::Fault { .. }) => Ok(found),
            Err(Stop::Error(error)) => Err(error),
        }
    }
}

impl<R: Runner> Account for Book<R> {
    fn work(&self) -> &Work {
        &self.work
    }

    fn run(&mut self) -> Result<Tree, Error> {
        if let Some(run) = &self.run {
            return Ok(run.clone());
        }
        let steps = self.work.steps().len() as u64;
        // States of some steps are kept: about as many as there are steps between them.
        let apart = steps.isqrt().max(1);
        let (mut leaves, mut states) = (Vec::new(), self.work.start().to_vec());
        for t in 0..steps {
            let (graph, given) = (self.work.graph(t)?, self.work.given(t)?);
            match self.runner.step(graph, t, &given.inputs, &states, None) {
                Ok(after) => states = after,
                Err(Stop::Fault { .. }) => break,
                Err(Stop::Error(error)) => return Err(error),
            }
            leaves.push(state_after(t + 1, &tree_of(&states).root()));
            if (t + 1).is_multiple_of(apart) {
                self.kept.insert(t + 1, states.clone());
            }
        }
        leaves.resize(steps as usize, NOTHING);
        let run = Tree::new(leaves);
        self.run = Some(run.clone());
        Ok(run)
    }

    fn step(&mut self, t: u64) -> Result<StepAccount, Error> {
        if let Some((of, account)) = &self.step
            && *of == t
        {
            return Ok(account.clone());
        }
        let steps = self.work.steps().len() as u64;
        let Some(states) = self.states(t)? else { return Err(Error::Step { step: t, steps }) };
        let (graph, given) = (self.work.graph(t)?, self.work.given(t)?);
        let mut leaves = vec![NOTHING; graph.records().len()];
        let mut watch = |value: u32, tensor: &Tensor| leaves[value as usize] = tensor.commitment();
        let done = self.runner.step(graph, t, &given.inputs, &states, Some(&mut watch));
        let (after, fault) = match done {
            Ok(after) => (tree_of(&after), None),
            Err(Stop::Fault { value, element }) => {
                leaves[value as usize..].fill(NOTHING);
                (Tree::new(vec![NOTHING; states.len()]), Some((value, element)))
            }
            Err(Stop::Error(error)) => return Err(error),
        };
        let account = StepAccount { before: tree_of(&states), trace: Tree::new(leaves), after, fault };
        self.step = Some((t, account.clone()));
        Ok(account)
    }

    fn value(&mut self, t: u64, value: u32) -> Result<Tensor, Error> {
        self.values(t, &[value])?.remove(&value).ok_or(Error::Malformed { what: "value's number" })
    }

    fn chain(&mut self, t: u64, value: u32, element: u64) -> Result<Vec<Block>, Error> {
        let record = self.work.graph(t)?.records()[value as usize].clone();
        let ids: Vec<u32> = record.operands.iter().map(|(v, _)| *v).collect();
        let values = self.values(t, &ids)?;
        let operands: Option<Vec<&Tensor>> = ids.iter().map(|v| values.get(v)).collect();
        Ok(chain(&record, &operands.ok_or(Error::Malformed { what: "value's number" })?, element))
    }
}

/// A party with its account, ready to make any move that is due.
pub struct Player<A> {
    account: A,
    schedule: Option<Tree>,
}

impl<A: Account> Player<A> {
    /// A party that knows this.
    pub fn new(account: A) -> Player<A> {
        Player { account, schedule: None }
    }

    /// What it knows.
    pub fn account(&mut self) -> &mut A {
        &mut self.account
    }

    /// Whether a claim differs from what it knows: whether there is something to dispute.
    pub fn disagrees(&mut self, claim: &Claim) -> Result<bool, Error> {
        Ok(self.account.run()?.root() != claim.run)
    }

    /// The move of this party; `None` if it finds nothing to say, or it is not its turn.
    pub fn next(&mut self, party: Party, dispute: &Dispute) -> Result<Option<Move>, Error> {
        if dispute.turn() != Some(party) {
            return Ok(None);
        }
        match party {
            Party::Defender => self.defend(dispute).map(Some),
            Party::Challenger => self.challenge(dispute),
        }
    }

    fn defend(&mut self, dispute: &Dispute) -> Result<Move, Error> {
        let (walk, t) = (dispute.walk(), dispute.wrong_step());
        let below = |tree: &Tree| Move::Open(tree.below(walk.level, walk.index));
        Ok(match dispute.stage() {
            Stage::Run => below(&self.account.run()?),
            Stage::Step => Move::Step(Box::new(self.opening(t)?)),
            Stage::Trace => below(&self.account.step(t)?.trace),
            Stage::After => below(&self.account.step(t)?.after),
            Stage::Root => Move::Root(self.tensor(dispute)?.tree().root()),
            Stage::Words => below(&self.tensor(dispute)?.tree()),
            Stage::Leaf => {
                let tensor = self.tensor(dispute)?;
                let words = tensor.words.chunks(LEAF).nth(walk.index as usize);
                Move::Words(words.unwrap_or_default().to_vec())
            }
            Stage::Chain => {
                let blocks = self.blocks(dispute)?;
                let tree = chain_tree(&blocks);
                let (root, path) = (tree.root(), tree.path(blocks.len() as u64 - 1));
                let last = blocks.last().cloned().ok_or(Error::Malformed { what: "chain" })?;
                Move::Chain { root, last, path }
            }
            Stage::Blocks => below(&chain_tree(&self.blocks(dispute)?)),
            Stage::Block => {
                let block = self.blocks(dispute)?.into_iter().nth(walk.index as usize);
                Move::Block(block.ok_or(Error::Malformed { what: "chain" })?)
            }
            _ => return Err(Error::Malformed { what: "stage" }),
        })
    }

    fn challenge(&mut self, dispute: &Dispute) -> Result<Option<Move>, Error> {
        let t = dispute.wrong_step();
        Ok(match dispute.stage() {
            Stage::Run => choose(dispute.walk(), &self.account.run()?),
            Stage::Trace => choose(dispute.walk(), &self.account.step(t)?.trace),
            Stage::After => choose(dispute.walk(), &self.account.step(t)?.after),
            Stage::Words => self.wrong_words(dispute)?,
            Stage::Blocks => choose(dispute.walk(), &self.right_blocks(dispute)?.0),
            Stage::Side => {
                let opened = dispute.step().ok_or(Error::Malformed { what: "stage" })?;
                let account = self.account.step(t)?;
                let value = account.trace.root() != opened.trace;
                (value || account.after.root() != opened.after).then_some(Move::Side { value })
            }
            Stage::Value => Some(self.derive(dispute)?),
            Stage::Slot => Some(self.becomes(dispute)?),
            Stage::Element => self.point(dispute)?,
            Stage::Last => self.last(dispute)?,
            _ => None,
        })
    }

    fn opening(&mut self, t: u64) -> Result<StepOpening, Error> {
        let run = self.account.run()?;
        let account = self.account.step(t)?;
        let work = self.account.work();
        let (graph, given) = (work.graph(t)?, work.given(t)?);
        let schedule = self.schedule.get_or_insert_with(|| work.schedule());
        Ok(StepOpening {
            before: account.before.root(),
            before_path: t.checked_sub(1).map(|last| run.path(last)).unwrap_or_default(),
            after: account.after.root(),
            program: graph.header(),
            inputs: tree_of(&given.inputs).root(),
            schedule_path: schedule.path(t),
            trace: account.trace.root(),
        })
    }

    fn disputed(dispute: &Dispute) -> Result<(u32, &Record), Error> {
        let (value, record, _) = dispute.value().ok_or(Error::Malformed { what: "stage" })?;
        Ok((value, record))
    }

    fn tensor(&mut self, dispute: &Dispute) -> Result<Tensor, Error> {
        self.account.value(dispute.wrong_step(), Self::disputed(dispute)?.0)
    }

    fn blocks(&mut self, dispute: &Dispute) -> Result<Vec<Block>, Error> {
        let (value, _) = Self::disputed(dispute)?;
        self.account.chain(dispute.wrong_step(), value, dispute.element().0)
    }

    /// The first opened node of the tensor that is wrong: on the way to the element that has no value, if there is one.
    fn wrong_words(&mut self, dispute: &Dispute) -> Result<Option<Move>, Error> {
        let (value, _) = Self::disputed(dispute)?;
        match self.account.step(dispute.wrong_step())?.fault {
            Some((of, element)) if of == value => {
                let Some((level, first, _)) = dispute.walk().opened.last() else { return Ok(None) };
                Ok(Some(Move::Choose(((element / LEAF as u64) >> level) - first)))
            }
            _ => Ok(choose(dispute.walk(), &words_tree(&self.tensor(dispute)?.words))),
        }
    }

    /// The chain as it should be, as a tree of as many blocks as it must have.
    fn right_blocks(&mut self, dispute: &Dispute) -> Result<(Tree, Vec<Block>), Error> {
        let blocks = self.blocks(dispute)?;
        let mut leaves: Vec<Digest> = blocks.iter().map(Block::commitment).collect();
        leaves.resize(rule::blocks(Self::disputed(dispute)?.1) as usize, NOTHING);
        Ok((Tree::new(leaves), blocks))
    }

    /// What the wrong value should be, or what it is made from.
    fn derive(&mut self, dispute: &Dispute) -> Result<Move, Error> {
        let (t, value) = (dispute.wrong_step(), dispute.walk().index as u32);
        let account = self.account.step(t)?;
        let work = self.account.work();
        let (graph, given) = (work.graph(t)?, work.given(t)?);
        let record = graph.records()[value as usize].clone();
        let record_path = graph.record_path(value);
        let shown = |tree: &Tree, index: u32| {
            let commitment = tree.leaf(u64::from(index)).unwrap_or(NOTHING);
            Shown { commitment, path: tree.path(u64::from(index)) }
        };
        let slot = record.attributes[0];
        Ok(match record.code {
            Opcode::Input => {
                let given = shown(&tree_of(&given.inputs), slot);
                Move::Given { record, record_path, given }
            }
            Opcode::State => {
                let given = shown(&account.before, slot);
                Move::Given { record, record_path, given }
            }
            _ => {
                let operand = |(v, _): &(u32, exact::Type)| Shown {
                    commitment: account.trace.leaf(u64::from(*v)).unwrap_or(NOTHING),
                    path: path_beside(dispute.walk(), &account.trace, u64::from(*v)),
                };
                let operands = record.operands.iter().map(operand).collect();
                Move::Made { record, record_path, operands }
            }
        })
    }

    fn becomes(&mut self, dispute: &Dispute) -> Result<Move, Error> {
        let (t, slot) = (dispute.wrong_step(), dispute.walk().index as u32);
        let account = self.account.step(t)?;
        let graph = self.account.work().graph(t)?;
        let (value, path) = (graph.becomes(slot), graph.assignment_path(slot));
        let (tree, index) = match value {
            Some(value) => (&account.trace, value),
            None => (&account.before, slot),
        };
        let commitment = tree.leaf(u64::from(index)).unwrap_or(NOTHING);
        Ok(Move::Becomes { value, path, given: Shown { commitment, path: tree.path(u64::from(index)) } })
    }

    fn point(&mut self, dispute: &Dispute) -> Result<Option<Move>, Error> {
        let (value, record) = Self::disputed(dispute)?;
        let (t, leaf) = (dispute.wrong_step(), dispute.walk().index as usize);
        let word = match self.account.step(t)?.fault {
            Some((of, element)) if of == value => element as usize % LEAF,
            _ => {
                let tensor = self.tensor(dispute)?;
                let right = tensor.words.chunks(LEAF).nth(leaf).unwrap_or_default();
                match right.iter().zip(dispute.words()).position(|(a, b)| a != b) {
                    Some(word) => word,
                    None => return Ok(None),
                }
            }
        };
        if rule::blocks(record) > 0 {
            return Ok(Some(Move::Element(word as u32)));
        }
        let element = (leaf * LEAF + word) as u64;
        let tensors: Vec<Tensor> =
            record.operands.iter().map(|(v, _)| self.account.value(t, *v)).collect::<Result<_, _>>()?;
        let operands: Vec<&Tensor> = tensors.iter().collect();
        let words = reads(record, &operands, element, 0);
        let opening =
            |j: usize| rule::read(record, element, 0, j, &words[..j]).map(|(o, i)| tensors[o].open(i));
        let reads = (0..words.len()).filter_map(opening).collect();
        Ok(Some(Move::Settle { word: word as u32, reads }))
    }

    fn last(&mut self, dispute: &Dispute) -> Result<Option<Move>, Error> {
        let (t, at, element) = (dispute.wrong_step(), dispute.walk().index, dispute.element().0);
        let (_, record) = Self::disputed(dispute)?;
        let said = dispute.block().ok_or(Error::Malformed { what: "stage" })?;
        let tensors: Vec<Tensor> =
            record.operands.iter().map(|(v, _)| self.account.value(t, *v)).collect::<Result<_, _>>()?;
        let operands: Vec<&Tensor> = tensors.iter().collect();
        let right = reads(record, &operands, element, at);
        let differs = |j: &usize| said.reads.get(*j).is_some_and(|word| *word != right[*j]);
        if let Some(j) = (0..right.len()).find(differs)
            && let Some((operand, index)) = rule::read(record, element, at, j, &said.reads)
        {
            let opening = tensors[operand].open(index);
            return Ok(Some(Move::Misread { read: j as u32, opening }));
        }
        let (tree, blocks) = self.right_blocks(dispute)?;
        let before = match at.checked_sub(1) {
            None => None,
            Some(last) => {
                let block = blocks.get(last as usize).cloned().ok_or(Error::Malformed { what: "chain" })?;
                Some((block, path_beside(dispute.walk(), &tree, last)))
            }
        };
        Ok(Some(Move::Miscount { before }))
    }
}

fn chain_tree(blocks: &[Block]) -> Tree {
    Tree::new(blocks.iter().map(Block::commitment).collect())
}

/// The first of the opened nodes that differs from one's own.
fn choose(walk: &Walk, own: &Tree) -> Option<Move> {
    let (_, _, nodes) = walk.opened.last()?;
    let own = own.below(walk.level, walk.index);
    let first = nodes.iter().zip(&own).position(|(a, b)| a != b)?;
    Some(Move::Choose(first as u64))
}

/// The way from leaf `u` up to the root of the other side's tree, for a leaf before the one that the descent has come to.
///
/// Below where the two ways part, all is agreed and one's own; above, it is what has been opened.
fn path_beside(walk: &Walk, own: &Tree, u: u64) -> Vec<Digest> {
    let v = walk.index;
    let mut path = Vec::new();
    for level in 0..height(walk.leaves) {
        let beside = (u >> level) ^ 1;
        if beside >= crate::tree::width(walk.leaves, level) {
            continue;
        }
        let apart = u >> level != v >> level && beside != v >> level;
        let node = if apart { own.node(level, beside) } else { walk.node(level, beside) };
        path.push(node.unwrap_or(NOTHING));
    }
    path
}
