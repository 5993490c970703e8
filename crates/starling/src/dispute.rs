//! `starling dispute`: a whole dispute over a claim, both sides played by this machine, on a chain made for it.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use chain::embedded::{Embedded, Options as ChainOptions};
use chain::{
    Account, AgentId, Chain, ClaimStatus, Conditions, Credits, Hash, PeerKey, Wallet, Wei, WorkClaim,
};
use clap::Args;
use proof::game::{Book, Dispute, Party, Player};
use proof::{Graph, Honest, Runner, Stop, Tensor, Watch};

use crate::model::Machine;
use crate::verify;

/// Over which claim, and what is wrong with it.
#[derive(Args)]
pub(crate) struct Options {
    /// The claim's file (`starling verify make` writes one)
    claim: PathBuf,
    /// The step after which the defender lies about one bit; the last one if not given
    #[arg(long, value_name = "STEP")]
    lie: Option<u64>,
    /// The state that it lies about, by its place in the list of states
    #[arg(long, value_name = "N", default_value_t = 0)]
    state: usize,
    #[command(flatten)]
    machine: Machine,
}

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// Makes steps rightly, but for one bit of one state after one step, and all that follows from it.
struct OneBit {
    honest: Honest,
    step: u64,
    state: usize,
}

impl Runner for OneBit {
    fn step(
        &mut self,
        graph: &Graph,
        t: u64,
        inputs: &[Tensor],
        states: &[Tensor],
        watch: Option<Watch<'_>>,
    ) -> Result<Vec<Tensor>, Stop> {
        if t != self.step {
            return self.honest.step(graph, t, inputs, states, watch);
        }
        let lied = graph.becomes(self.state as u32);
        let flip = |tensor: &mut Tensor| {
            if let Some(word) = tensor.words.first_mut() {
                *word ^= 1;
            }
        };
        let mut after = match watch {
            None => self.honest.step(graph, t, inputs, states, None)?,
            Some(watch) => self.honest.step(
                graph,
                t,
                inputs,
                states,
                Some(&mut |value, tensor| {
                    if Some(value) == lied {
                        let mut tensor = tensor.clone();
                        flip(&mut tensor);
                        watch(value, &tensor);
                    } else {
                        watch(value, tensor);
                    }
                }),
            )?,
        };
        flip(&mut after[self.state]);
        Ok(after)
    }
}

pub(crate) fn run(options: &Options) -> Done {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(dispute(options))
}

/// Somebody with money, an agent and a stake. The chain is thrown away with them, so their keys may be anybody's.
async fn someone(chain: &Chain, embedded: &Embedded, secret: u8) -> Done<(Account, AgentId)> {
    let wallet = Wallet::from_secret(&[secret; 32])?;
    embedded.fund(wallet.address().0, Wei::ether(100).0).await?;
    let account = Account::open(chain, &wallet, None)?;
    account.deploy().await?;
    let agent = account.register(&PeerKey::from_secret(&[secret; 32])?, "").await?;
    account.deposit(Wei::ether(10)).await?;
    account.stake(agent, chain.disputes()?, Credits(Wei::ether(5).0)).await?;
    Ok((account, agent))
}

async fn dispute(options: &Options) -> Done {
    let file = verify::read(&options.claim)?;
    let steps = file.work.steps().len() as u64;
    let step = options.lie.unwrap_or(steps - 1);
    let slots = file.work.slots();
    let Some((name, _)) = slots.get(options.state).filter(|_| step < steps) else {
        return Err(format!(
            "there are {steps} steps and {} states: pass --lie and --state below these",
            slots.len()
        )
        .into());
    };
    let mut out = std::io::stdout();
    writeln!(out, "the defender lies about one bit of {name:?} after step {step} of {steps}")?;
    let liar = OneBit { honest: verify::runner(&options.machine), step, state: options.state };
    let mut defender = Player::new(Book::new(file.work.clone(), liar));
    let claim = defender.account().claim()?;
    let mut challenger = Player::new(Book::new(file.work.clone(), verify::runner(&options.machine)));
    if !challenger.disagrees(&claim)? {
        return Err("the lie does not change the claim: pass another --state".into());
    }

    let embedded = Embedded::in_memory(ChainOptions::default())?;
    let chain = Chain::embedded(&embedded).await?;
    let (claimant, agent) = someone(&chain, &embedded, 1).await?;
    let (accuser, other) = someone(&chain, &embedded, 2).await?;
    let (time_s, bond) = (24 * 3600, Credits(Wei::ether(1).0));
    let conditions = Conditions { bond, challenge_bond: Credits(bond.0 / 10), window_s: 3600, time_s };
    let what = WorkClaim {
        job: Hash(claim.terms.job),
        schedule: Hash(claim.terms.schedule),
        start: Hash(claim.terms.start),
        steps: claim.terms.steps,
        run: Hash(claim.run),
    };
    let id = claimant.claim_work(agent, &what, &conditions).await?;
    let contest = accuser.contest(id, other).await?;
    writeln!(out, "claim {} is contested: dispute {}", id.0, contest.0)?;

    // Beside the chain the same machine runs here, which knows what each side has to answer.
    let mut game = Dispute::new(claim, u64::from(time_s), 0);
    while let Some(turn) = game.turn() {
        let (player, account) = match turn {
            Party::Defender => (defender.next(turn, &game)?, &claimant),
            Party::Challenger => (challenger.next(turn, &game)?, &accuser),
        };
        let step = player.ok_or_else(|| format!("the {turn:?} has nothing to say at {:?}", game.stage()))?;
        let bytes = game.encode(&step);
        let number = game.moves();
        writeln!(
            out,
            "{number:>3}  {:<10} {:<8} {:>6} bytes",
            format!("{turn:?}"),
            format!("{:?}", game.stage()),
            bytes.len()
        )?;
        account.play(contest, number, &[bytes]).await?;
        game.play(turn, &step, 0)?;
    }
    if let Some((value, record, _)) = game.value() {
        let (element, says) = game.element();
        writeln!(out, "value {value} of the step, {:?}: element {element} is not {says:#010x}", record.code)?;
    }
    let status = chain.claim_status(id).await?;
    let ended = chain.contest(contest).await?;
    if status == ClaimStatus::Convicted && ended.convicted {
        let won = chain.owed(accuser.address()).await?;
        writeln!(out, "convicted in {} moves; the challenger has won {won}", game.moves())?;
        return Ok(());
    }
    Err("the liar was not convicted: please report this with the claim's file".into())
}
