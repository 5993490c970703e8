//! A chain of one's own: Ethereum's virtual machine, a sequencer and a store in this process.
//!
//! [`Embedded`] executes the same contracts as any rollup and speaks the same JSON-RPC, so wallets and libraries cannot tell it from
//! another chain. It says what it is: **a single sequencer for a private network, and no consensus**. Whoever runs it decides what goes
//! into blocks; a network whose members do not trust that one machine uses a rollup.
//!
//! ```
//! use chain::embedded::{Embedded, Options};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let chain = Embedded::in_memory(Options::default())?;
//! // The faucet gives a new account something to pay fees with.
//! chain.fund([7; 20], 10_u128.pow(18)).await?;
//! let server = chain.serve(([127, 0, 0, 1], 0).into()).await?;
//! println!("any wallet can be told to use http://{}", server.address());
//! # Ok::<_, chain::embedded::EmbeddedError>(())
//! # }).unwrap();
//! ```
//!
//! What it keeps:
//!
//! - A transaction is acknowledged when it is on the disk, in a block or waiting for one: a crash loses nothing that was acknowledged.
//! - Blocks are real: hashes, Merkle roots, blooms, EIP-1559 fees and gas are those that any Ethereum node would compute, by the rules of
//!   the Osaka upgrade. There are no blobs, and no withdrawals.
//! - The whole state lies in memory, and so do the states after each of the last 256 blocks; what asks for an older state is told so.
//! - Everything that comes from outside is bounded: see [`Limits`] and [`PoolLimits`].

mod block;
mod clock;
mod error;
mod execute;
mod faucet;
mod pool;
mod redo;
mod rpc;
mod sender;
mod sequencer;
mod server;
mod store;
mod transport;
mod trie;
mod view;
mod world;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use alloy::consensus::Header;
use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, address, bytes, keccak256};
use revm::bytecode::Bytecode;

use block::Block;
pub use faucet::Giving;
use faucet::{Faucet, Given};
use pool::Pool;
use rpc::Rpc;
use sequencer::{Command, Sequencer, Shared};
use store::{Step, Store};
use trie::Trie;
use view::{HISTORY, Head, View};
use world::{Account, Change, Changes, Info, World};

pub use clock::Clock;
pub use error::EmbeddedError;
pub use pool::PoolLimits;
pub use rpc::Limits;
pub use server::{Bounded, Seated, Server};
pub use transport::InProcess;

/// The id of a chain that was given none: the word "star".
pub const CHAIN_ID: u64 = 0x73_74_61_72;

/// The contract that puts other contracts at addresses that follow from their code: it is on every chain at this address.
const DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
const DEPLOYER_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);
/// What the faucet begins with: a billion ether.
const FAUCET_FUNDS: u128 = 1_000_000_000 * 10_u128.pow(18);

/// How many transactions of old blocks are read when a chain is opened, to have the states after these blocks.
const RELOADED_TRANSACTIONS: usize = 20_000;

/// When blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mining {
    /// As soon as there are transactions for one.
    OnDemand,
    /// At this interval, with what has come meanwhile or with nothing.
    Every(Duration),
    /// Only by [`Embedded::mine`].
    ByHand,
}

/// How a chain is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its id, which every transaction names.
    pub chain_id: u64,
    /// The gas of a block. Fixed when the chain begins.
    pub gas_limit: u64,
    /// The first block's fee per gas, in wei; later ones follow from demand. Fixed when the chain begins.
    pub base_fee: u64,
    /// Accounts that begin with money, in wei. Fixed when the chain begins.
    pub funded: Vec<([u8; 20], u128)>,
    /// When blocks are made.
    pub mining: Mining,
    /// Where timestamps come from.
    pub clock: Clock,
    /// How much may wait.
    pub pool: PoolLimits,
    /// How much may be asked.
    pub limits: Limits,
    /// What strangers are given who ask for it; without, the faucet gives to this process only.
    pub giving: Option<Giving>,
    /// Whether it may listen where other machines can reach it. It has no passwords: whoever reaches it may ask it all there is.
    pub open: bool,
}

impl Default for Options {
    /// Blocks on demand, of sixty million gas, with a fee that begins at one gwei.
    fn default() -> Options {
        Options {
            chain_id: CHAIN_ID,
            gas_limit: 60_000_000,
            base_fee: 1_000_000_000,
            funded: Vec::new(),
            mining: Mining::OnDemand,
            clock: Clock::system(),
            pool: PoolLimits::default(),
            limits: Limits::default(),
            giving: None,
            open: false,
        }
    }
}

/// A running chain. Clones are the same chain; it stops when the last is dropped.
#[derive(Clone, Debug)]
pub struct Embedded(Arc<Running>);

#[derive(Debug)]
struct Running {
    rpc: Arc<Rpc>,
    commands: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
    faucet: Option<Arc<Faucet>>,
    limits: Limits,
    open: bool,
}

impl Drop for Running {
    /// Waits until the last step is stored, so that the folder can be opened again.
    fn drop(&mut self) {
        self.rpc.close();
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // It panics never; and if it did, there would be nobody to tell.
            let _ = thread.join();
        }
    }
}

impl Embedded {
    /// Opens the chain in a folder, or begins one there.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Embedded, EmbeddedError> {
        let folder = folder.as_ref();
        let failed = |source| EmbeddedError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let store = Store::open(Some(folder))?;
        let begun = store.chain_id()?.is_some();
        Embedded::start(store, Faucet::in_folder(folder, begun)?, options)
    }

    /// A chain that is gone when it stops. Its faucet has a key that everyone knows.
    pub fn in_memory(options: Options) -> Result<Embedded, EmbeddedError> {
        Embedded::start(Store::open(None)?, Faucet::known(), options)
    }

    fn start(store: Store, faucet: Option<Faucet>, options: Options) -> Result<Embedded, EmbeddedError> {
        let (view, pool) = match store.chain_id()? {
            None => begin(&store, faucet.as_ref(), &options)?,
            Some(found) if found == options.chain_id => load(&store, &options)?,
            Some(found) => return Err(EmbeddedError::OtherChain { found, wanted: options.chain_id }),
        };
        let shared = Arc::new(Shared::new(options.chain_id, store, options.clock, view, pool));
        let (commands, receiver) = sync_channel(1 << 14);
        let sequencer = Sequencer::new(shared.clone(), receiver, options.mining);
        let thread = std::thread::Builder::new()
            .name("sequencer".to_owned())
            .spawn(move || sequencer.run())
            .map_err(|source| EmbeddedError::Folder { path: PathBuf::from("a thread"), source })?;
        let faucet = faucet.map(Arc::new);
        let giver = faucet.clone().zip(options.giving.map(Given::new));
        let rpc = Rpc::new(shared, commands.clone(), options.limits, options.pool, giver);
        Ok(Embedded(Arc::new(Running {
            rpc: Arc::new(rpc),
            commands: Some(commands),
            thread: Some(thread),
            faucet,
            limits: options.limits,
            open: options.open,
        })))
    }

    /// The chain's id.
    pub fn chain_id(&self) -> u64 {
        self.0.rpc.shared().chain_id
    }

    /// The number of the newest block.
    pub fn height(&self) -> u64 {
        self.0.rpc.shared().view().tip().block.number()
    }

    /// The account that pays new ones.
    pub fn faucet(&self) -> Option<[u8; 20]> {
        self.0.faucet.as_ref().map(|faucet| faucet.address().into())
    }

    /// Sends an account some wei from the faucet; gives the transaction's hash.
    ///
    /// Only this process can ask for so much of it as it likes; others ask by `starling_fund`, within [`Options::giving`].
    pub async fn fund(&self, account: [u8; 20], wei: u128) -> Result<[u8; 32], EmbeddedError> {
        let none = || EmbeddedError::Faucet {
            why: "its key, the file faucet.key in the chain's folder, is not there; put it back".to_owned(),
        };
        let faucet = self.0.faucet.as_ref().ok_or_else(none)?;
        Ok(faucet.pay(&self.0.rpc, account.into(), wei).await?.0)
    }

    /// Answers JSON-RPC over HTTP and WebSocket on an address of this machine.
    pub async fn serve(&self, address: std::net::SocketAddr) -> Result<Server, EmbeddedError> {
        Server::start(self.clone(), address, self.0.limits, self.0.open).await
    }

    /// A transport for a client in this process: the same decoder and answers as over HTTP, without the network.
    pub fn transport(&self) -> InProcess {
        InProcess::new(self.clone())
    }

    /// Answers the bytes of one JSON-RPC request or batch; nothing is to be answered to notifications.
    pub async fn answer(&self, request: &[u8]) -> Option<String> {
        self.0.rpc.answer(request, None).await
    }

    /// Makes a block of what waits, or an empty one; gives its number.
    pub fn mine(&self) -> Result<u64, EmbeddedError> {
        self.command(Command::Mine)
    }

    /// Drops the newest blocks, as a chain does when another branch wins: for tests of what is built on it.
    ///
    /// Their transactions wait again, or are forgotten.
    pub fn drop_blocks(&self, blocks: usize, wait_again: bool) -> Result<(), EmbeddedError> {
        self.command(|done| Command::Drop { blocks, wait_again, done })
    }

    fn command<T>(
        &self,
        command: impl FnOnce(SyncSender<Result<T, EmbeddedError>>) -> Command,
    ) -> Result<T, EmbeddedError> {
        let stopped = || EmbeddedError::Stopped { why: "its sequencer has ended".to_owned() };
        let (done, answer) = sync_channel(1);
        let commands = self.0.commands.as_ref().ok_or_else(stopped)?;
        commands.send(command(done)).map_err(|_| stopped())?;
        answer.recv().map_err(|_| stopped())?
    }

    pub(crate) fn rpc(&self) -> &Arc<Rpc> {
        &self.0.rpc
    }
}

/// The first block and its state, stored.
fn begin(store: &Store, faucet: Option<&Faucet>, options: &Options) -> Result<(View, Pool), EmbeddedError> {
    let mut changes = Changes::default();
    let mut fund = |address: Address, wei: u128| {
        let info = Info { balance: U256::from(wei), ..Info::default() };
        changes.accounts.insert(address, Change { info: Some(info), ..Change::default() });
    };
    if let Some(faucet) = faucet {
        fund(faucet.address(), FAUCET_FUNDS);
    }
    for (address, wei) in &options.funded {
        fund(Address::from(address), *wei);
    }
    let code_hash = keccak256(&DEPLOYER_CODE);
    let deployer = Info { nonce: 1, balance: U256::ZERO, code_hash };
    changes.accounts.insert(DEPLOYER, Change { info: Some(deployer), ..Change::default() });
    changes.codes.insert(code_hash, Bytecode::new_raw(DEPLOYER_CODE));
    let mut world = World::default();
    let undo = world.apply(&changes);
    let beneficiary = faucet.map_or(Address::ZERO, Faucet::address);
    let header = Header {
        base_fee_per_gas: Some(options.base_fee),
        timestamp: options.clock.now(),
        mix_hash: B256::ZERO,
        state_root: world.root(),
        ..execute::blank_header(options.gas_limit, beneficiary)
    };
    let block = Block::seal(header, Vec::new());
    let sealed = Some((&block, &changes, &undo));
    store.commit(&Step { chain_id: Some(options.chain_id), sealed, ..Step::default() })?;
    let hashes = [block.hash];
    let tip = Arc::new(Head { block: Arc::new(block), world });
    Ok((View::new(Vec::new(), tip, &hashes), Pool::new(options.pool)))
}

/// What was stored: the state, checked against the newest block's root, and the states before it.
fn load(store: &Store, options: &Options) -> Result<(View, Pool), EmbeddedError> {
    let damaged = |what: String| EmbeddedError::Damaged { what };
    let stored = store.load()?;
    let mut slots = stored.slots.into_iter().peekable();
    let mut world = World::default();
    for (hash, code) in stored.codes {
        if hash != KECCAK256_EMPTY {
            world.add_code(hash, code);
        }
    }
    for (address, info) in stored.accounts {
        let mut storage = Trie::default();
        // Both lists are in the order of addresses.
        while let Some((_, slot, value)) = slots.next_if(|(owner, ..)| *owner == address) {
            storage.insert(world::slot_key(slot), value);
        }
        world.put(&address, Account { info, storage });
    }
    let block = |number| store.block(number)?.ok_or_else(|| damaged(format!("block {number} is missing")));
    let newest = store.newest()?;
    let tip = Arc::new(Head { block: block(newest)?, world: world.clone() });
    if world.root() != tip.block.header.state_root {
        return Err(damaged(format!("the state is not that of block {newest}")));
    }
    let (mut heads, mut transactions) = (Vec::new(), 0);
    for number in (newest.saturating_sub(HISTORY as u64)..newest).rev() {
        // Full blocks take long to read: a quick start is worth more than the oldest states.
        if transactions > RELOADED_TRANSACTIONS {
            break;
        }
        let Some(undo) = store.undo(number + 1)? else { break };
        world.apply(&undo);
        let block = block(number)?;
        if world.root() != block.header.state_root {
            return Err(damaged(format!("the state cannot be taken back to block {number}")));
        }
        transactions += block.transactions.len();
        heads.push(Arc::new(Head { block, world: world.clone() }));
    }
    heads.reverse();
    let mut pool = Pool::new(options.pool);
    stored.waiting.into_iter().for_each(|waiting| pool.put(waiting));
    // Blocks further back are known by their hashes only.
    let oldest = heads.first().unwrap_or(&tip).block.number();
    let hashes = (oldest.saturating_sub(HISTORY as u64)..=newest)
        .map(|number| store.hash(number)?.ok_or_else(|| damaged(format!("block {number} is missing"))));
    let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
    Ok((View::new(heads, tip, &hashes), pool))
}
