//! Jobs: work for money, held in escrow until it is judged.

use alloy::primitives::{Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::bindings::jobs::Jobs;
use crate::round::counted;
use crate::units::narrow;
use crate::{Account, Address, AgentId, Chain, Credits, Error, Hash, Time};

/// A job's number on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// A compute job to be posted: what is to be run, on what, by when and for how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// The hash of the program.
    pub program: Hash,
    /// The hash of its inputs.
    pub inputs: Hash,
    /// What it says to people.
    pub description: String,
    /// What is paid, held in escrow from the start.
    pub price: Credits,
    /// What whoever takes it puts up.
    pub bond: Credits,
    /// Until when it must be done.
    pub deadline: Time,
    /// Who judges the work.
    pub evaluator: Address,
    /// Who may take it, or nobody in particular.
    pub provider: Option<Address>,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobStatus {
    /// Nobody has taken it.
    Open,
    /// Somebody is at it.
    Funded,
    /// The work is handed in.
    Submitted,
    /// It was accepted and paid.
    Completed,
    /// It was turned down, the price returned.
    Rejected,
    /// Its time was over, the price returned.
    Expired,
}

/// What the chain knows of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// How far it has come.
    pub status: JobStatus,
    /// Who pays.
    pub client: Address,
    /// Who works, or may.
    pub provider: Option<Address>,
    /// As which agent.
    pub agent: Option<AgentId>,
    /// Who judges.
    pub evaluator: Address,
    /// What it says to people.
    pub description: String,
    /// What it pays.
    pub price: Credits,
    /// Until when it must be done.
    pub deadline: Time,
    /// The hash of the program, or nothing if it is no compute job.
    pub program: Hash,
    /// The hash of its inputs.
    pub inputs: Hash,
    /// What the provider put up, or must.
    pub bond: Credits,
}

impl JobId {
    fn alloy(self) -> U256 {
        U256::from(self.0)
    }
}

impl Chain {
    /// What is known of a job.
    pub async fn job(&self, id: JobId) -> Result<Job, Error> {
        let jobs = self.manifest().address("Jobs")?;
        let job = self.call(jobs, Jobs::getJobCall { jobId: id.alloy() }).await?;
        let terms = self.call(jobs, Jobs::termsOfCall { jobId: id.alloy() }).await?;
        let status = [
            JobStatus::Open,
            JobStatus::Funded,
            JobStatus::Submitted,
            JobStatus::Completed,
            JobStatus::Rejected,
            JobStatus::Expired,
        ];
        let (provider, agent) = (Address::from(job.provider), AgentId::from_chain(job.providerAgentId)?);
        Ok(Job {
            id,
            status: *status.get(job.status as usize).ok_or(Error::Foreign { what: "a job's status" })?,
            client: job.client.into(),
            provider: (provider != Address::ZERO).then_some(provider),
            agent: (agent.0 != 0).then_some(agent),
            evaluator: job.evaluator.into(),
            description: job.description,
            price: Credits(narrow(job.budget)),
            deadline: Time(counted(job.expiredAt)?),
            program: terms.program.into(),
            inputs: terms.inputs.into(),
            bond: Credits(narrow(terms.bond)),
        })
    }

    /// The bonds of jobs that came back to somebody, to be collected.
    pub async fn returned_bonds(&self, who: Address) -> Result<Credits, Error> {
        let credit = self.manifest().address("Credit")?;
        let call = Jobs::owedCall { token: credit.alloy(), who: who.alloy() };
        Ok(Credits(narrow(self.call(self.manifest().address("Jobs")?, call).await?)))
    }
}

impl Account {
    /// Posts a compute job, its price in escrow.
    pub async fn post_job(&self, posting: &Posting) -> Result<JobId, Error> {
        self.allow("Jobs", posting.price).await?;
        let credit = self.chain().manifest().address("Credit")?;
        let post = Jobs::Post {
            provider: posting.provider.unwrap_or(Address::ZERO).alloy(),
            evaluator: posting.evaluator.alloy(),
            expiredAt: U256::from(posting.deadline.0),
            description: posting.description.clone(),
            hook: Address::ZERO.alloy(),
            token: credit.alloy(),
            price: posting.price.alloy(),
            terms: Jobs::Terms {
                program: posting.program.alloy(),
                inputs: posting.inputs.alloy(),
                bond: posting.bond.alloy(),
            },
        };
        let receipt = self.act_on("Jobs", Jobs::postJobCall { post }).await?;
        let posted: Jobs::JobPosted = self.caused("Jobs", &receipt).await?;
        counted(posted.jobId).map(JobId)
    }

    /// Takes a posted job for an agent, and puts up its bond.
    pub async fn take_job(&self, id: JobId, agent: AgentId) -> Result<(), Error> {
        let bond = self.chain().job(id).await?.bond;
        if bond.0 > 0 {
            self.allow("Jobs", bond).await?;
        }
        let call = Jobs::takeCall { jobId: id.alloy(), agentId: agent.alloy(), optParams: Bytes::new() };
        self.act_on("Jobs", call).await.map(drop)
    }

    /// Hands the work in, by its hash.
    pub async fn submit_job(&self, id: JobId, work: Hash) -> Result<(), Error> {
        let call = Jobs::submitCall { jobId: id.alloy(), deliverable: work.alloy(), optParams: Bytes::new() };
        self.act_on("Jobs", call).await.map(drop)
    }

    /// Accepts the work, as its evaluator: the provider is paid.
    pub async fn accept_job(&self, id: JobId, reason: Hash) -> Result<(), Error> {
        let call = Jobs::completeCall { jobId: id.alloy(), reason: reason.alloy(), optParams: Bytes::new() };
        self.act_on("Jobs", call).await.map(drop)
    }

    /// Turns the work down, as its evaluator, or the job, as its client while nobody has taken it: the price comes back.
    pub async fn reject_job(&self, id: JobId, reason: Hash) -> Result<(), Error> {
        let call = Jobs::rejectCall { jobId: id.alloy(), reason: reason.alloy(), optParams: Bytes::new() };
        self.act_on("Jobs", call).await.map(drop)
    }

    /// Ends a job whose time is over: the price comes back. Anyone may.
    pub async fn expire_job(&self, id: JobId) -> Result<(), Error> {
        self.act_on("Jobs", Jobs::claimRefundCall { jobId: id.alloy() }).await.map(drop)
    }

    /// Takes the bonds of jobs that came back to this account.
    pub async fn collect_bonds(&self) -> Result<(), Error> {
        // Labelled by where the chain is: bonds come back again and again.
        let (block, _) = self.chain().head().await?;
        let token = self.chain().manifest().address("Credit")?.alloy();
        self.labelled(format!("at {block}")).act_on("Jobs", Jobs::collectCall { token }).await.map(drop)
    }
}
