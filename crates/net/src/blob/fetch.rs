//! Fetching from one peer: asks for what the plan says, some parts ahead, and checks what comes while more is coming.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::bits::Bits;
use super::download::Shared;
use super::file::{BATCH, Refused};
use super::plan::{Next, Worker};
use super::tree::{GROUP, Proved};
use super::wire::{Gone, Head, Request, Span, Wire, in_time, read_head, read_nodes, read_parts, read_status};
use super::{Blob, Error};
use crate::PeerId;

/// Batches being checked and written while the next is read.
const JOBS: usize = 2;
/// What fetching from one peer may hold: those batches, the one being read, and what a lane holds.
const HELD: usize = (JOBS + 2) * (BATCH * GROUP) as usize;
/// A peer that had nothing new is asked again what it has after this.
const AGAIN: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Everything wanted is here.
    Done,
    /// The peer gives nothing more.
    Gone(Gone),
    /// It cannot be stored.
    Store(Error),
}

impl From<Gone> for Ended {
    fn from(gone: Gone) -> Ended {
        Ended::Gone(gone)
    }
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Ended {
        match refused {
            Refused::Lie => Ended::Gone(Gone::Lied),
            Refused::Store(error) => Ended::Store(error),
        }
    }
}

/// Fetches from a peer until all is here or the peer gives no more.
pub(crate) async fn fetch(shared: Arc<Shared>, worker: Worker, peer: PeerId) -> Ended {
    let _share = shared.net.memory().wait(HELD).await;
    let opened = in_time(async { shared.net.open(peer).await.map_err(|_| Gone::Broken) }).await;
    let ended = match opened {
        Ok(wire) => {
            let jobs = VecDeque::new();
            let line = Line {
                shared: shared.clone(),
                worker,
                wire,
                jobs,
                spare: Vec::new(),
                batch: 1,
                usual: Duration::ZERO,
            };
            line.run().await
        }
        Err(gone) => gone.into(),
    };
    shared.plan(|plan| plan.leave(worker));
    shared.freed.notify_waiters();
    ended
}

/// One stream to one peer.
struct Line {
    shared: Arc<Shared>,
    worker: Worker,
    wire: Wire,
    /// Batches being checked and written, oldest first, and the part that ends with each.
    jobs: VecDeque<(Job, Option<u64>)>,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
    /// Groups to read at once: few from a slow peer, so that each counts as soon as it is here.
    batch: u64,
    /// How long this peer takes for a part.
    usual: Duration,
}

type Job = JoinHandle<Result<Vec<u8>, Refused>>;

impl Line {
    async fn run(mut self) -> Ended {
        let ended = match self.fetch_all().await {
            Ok(()) => return Ended::Done,
            Err(ended) => ended,
        };
        // What it sent before it left may turn out to be a lie.
        while !self.jobs.is_empty() {
            if let Err(worse) = self.settle().await {
                return worse;
            }
        }
        ended
    }

    async fn fetch_all(&mut self) -> Result<(), Ended> {
        let (blob, mut parts) = self.begin().await?;
        let mut asked: VecDeque<(Span, Instant)> = VecDeque::new();
        loop {
            let mut next = Next::Nothing;
            // Before the plan looks at what is missing, heed that it may change right after.
            let shared = self.shared.clone();
            let freed = shared.freed.notified();
            while asked.len() < self.ahead() {
                let now = Instant::now();
                let (worker, usual) = (self.worker, self.usual);
                next = shared
                    .plan(|plan| plan.next(&blob, worker, parts.as_ref(), usual, now))
                    .unwrap_or(Next::Nothing);
                let Next::Fetch(span) = next else { break };
                in_time(send(&mut self.wire, Request::Want(blob.root(), span))).await?;
                asked.push_back((span, now));
            }
            if let Some((span, since)) = asked.pop_front() {
                let start = Instant::now().max(since);
                self.span(&blob, span).await?;
                // Those asked for ahead waited for the ones before: only the time of its own counts.
                self.usual = (self.usual + start.elapsed()) / 2;
                continue;
            }
            if !self.jobs.is_empty() {
                while !self.jobs.is_empty() {
                    self.settle().await?;
                }
                continue;
            }
            match next {
                Next::Done => return Ok(()),
                Next::Wait(until) => {
                    tokio::select! {
                        () = freed => {}
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
                Next::Fetch(_) | Next::Nothing => {
                    let _ = tokio::time::timeout(AGAIN, freed).await;
                    if parts.is_some() {
                        in_time(send(&mut self.wire, Request::Have(blob.root()))).await?;
                        parts = in_time(async {
                            read_status(&mut self.wire).await?;
                            read_parts(&mut self.wire, blob.shape()).await
                        })
                        .await?;
                    }
                }
            }
        }
    }

    /// Parts that are asked for before the first has come: enough that a fast peer never waits for us, and no more, since they
    /// stand before what a reader may want next.
    fn ahead(&self) -> usize {
        match self.usual {
            Duration::ZERO => 2,
            fast if fast < Duration::from_millis(250) => 4,
            slow if slow < Duration::from_secs(2) => 2,
            _ => 1,
        }
    }

    /// Asks for the size, if it is not known yet, and what the peer has.
    async fn begin(&mut self) -> Result<(Arc<Blob>, Option<Bits>), Ended> {
        let root = self.shared.root;
        if let Some(blob) = self.shared.known() {
            let parts = in_time(async {
                send(&mut self.wire, Request::Have(root)).await?;
                read_status(&mut self.wire).await?;
                read_parts(&mut self.wire, blob.shape()).await
            });
            return Ok((blob.clone(), parts.await?));
        }
        let limit = self.shared.limit_bytes;
        let head = in_time(async {
            send(&mut self.wire, Request::Head(root)).await?;
            read_head(&mut self.wire, root, limit).await
        });
        let Head { shape, proof, last } = head.await?;
        let parts = in_time(read_parts(&mut self.wire, shape)).await?;
        let (store, part, group) = (self.shared.store.clone(), shape.parts() - 1, shape.groups() - 1);
        let begun = spawn_blocking(move || {
            let blob = store.begin(root, shape)?;
            if !blob.is_whole() {
                let proved = blob.prove(part, &proof)?;
                blob.put(&proved, group, &last)?;
            }
            Ok::<_, Refused>(blob)
        });
        let blob = begun.await.map_err(|_| Gone::Broken)??;
        Ok((self.shared.set_known(blob), parts))
    }

    /// Reads groups that were asked for.
    async fn span(&mut self, blob: &Arc<Blob>, span: Span) -> Result<(), Ended> {
        let count = blob.shape().proof_len(span.part);
        let proof = in_time(async {
            read_status(&mut self.wire).await?;
            read_nodes(&mut self.wire, count).await
        });
        let (proof, proving) = (proof.await?, blob.clone());
        let proved = spawn_blocking(move || proving.prove(span.part, &proof));
        let proved: Arc<Proved> = Arc::new(proved.await.map_err(|_| Gone::Broken)??);
        let groups = span.groups();
        let mut at = groups.start;
        while at < groups.end {
            let most = self.shared.net.intake().groups();
            let end = (at + self.batch.min(most)).min(groups.end);
            let place = blob.shape().bytes(at..end);
            let mut buffer = self.spare.pop().unwrap_or_default();
            buffer.resize((place.end - place.start) as usize, 0);
            let start = Instant::now();
            in_time(async { Ok(self.wire.read_exact(&mut buffer).await?) }).await?;
            match start.elapsed() {
                fast if fast < Duration::from_millis(10) => self.batch = (self.batch * 2).min(BATCH),
                slow if slow > Duration::from_millis(100) => self.batch = (self.batch / 2).max(1),
                _ => {}
            }
            self.shared.net.intake().pay(place.end - place.start).await;
            while self.jobs.len() >= JOBS {
                self.settle().await?;
            }
            let (blob, proved) = (blob.clone(), proved.clone());
            let job = spawn_blocking(move || blob.put(&proved, at, &buffer).map(|()| buffer));
            self.jobs.push_back((job, (end == groups.end).then_some(span.part)));
            at = end;
        }
        Ok(())
    }

    /// Waits for the oldest batch to be checked and written.
    async fn settle(&mut self) -> Result<(), Ended> {
        let Some((job, part)) = self.jobs.pop_front() else { return Ok(()) };
        let buffer = job.await.map_err(|_| Gone::Broken)??;
        self.spare.push(buffer);
        if let Some(part) = part {
            self.shared.plan(|plan| plan.end(self.worker, part));
        }
        Ok(())
    }
}

async fn send(wire: &mut Wire, request: Request) -> Result<(), Gone> {
    wire.write_all(&request.encode()).await?;
    Ok(wire.flush().await?)
}
