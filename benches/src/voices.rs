//! What a node hears in a round, in swarms of up to 200: real nodes on `net`'s memory transport, each with the machine of `swarm` and a parrot for a
//! model, all in this process.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::{Config, Events, Handle, Network, SwarmId, TopicRules};
use swarm::sim::Parrot;
use swarm::{Charter, Effect, Event, Flock, Memory, NodeId, Parts, Play, Seed, Tongue, Trainer, Verdict};
use tokio::sync::watch;

use crate::net::secret;
use crate::report::Unit;
use crate::{Bench, Result};

const TOPIC: &str = "rounds/1";
const PERIOD: Duration = Duration::from_secs(3);
/// In the first rounds everyone speaks: nobody knows yet how many there are.
const SETTLING: u64 = 8;
/// The longest that nodes may take to find each other.
const SLOWEST: Duration = Duration::from_mins(1);

pub(crate) fn bench(bench: &mut Bench) -> Result {
    let (sizes, rounds): (&[usize], u64) =
        if bench.quick { (&[12, 60], 4) } else { (&[12, 25, 50, 100, 200], 12) };
    let mut charter = Charter { game: Play::Share { own: 2, foreign: 4 }, ..Charter::new() };
    charter.answers.samples = 4;
    (charter.round.period_ms, charter.round.stage_ms) = (PERIOD.as_millis() as u64, 1_500);
    // Audits fetch weights from one node each, however many there are.
    charter.round.audits = 0;
    let voices = charter.round.voices;
    let tongue = Tongue::wren(charter.answers.prompt, charter.answers.tokens);
    let parts = Arc::new(Parts::new(charter, tongue)?);
    bench.report.open(
        "voices",
        &format!(
            "messages that reach a node in a round, copies included; about {voices} nodes speak in a round"
        ),
    );
    let mut heard = BTreeMap::new();
    for &nodes in sizes {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let [new, copies] = runtime.block_on(run(&parts, nodes, rounds))?;
        bench.report.figure(
            &format!("new messages, {nodes} nodes"),
            Unit::Cost("/round"),
            new,
            "all others",
            nodes as f64 - 1.0,
        );
        bench.report.figure(
            &format!("all copies, {nodes} nodes"),
            Unit::Cost("/round"),
            copies,
            "all others",
            nodes as f64 - 1.0,
        );
        heard.insert(nodes, copies);
    }
    // From the first size on at which not all speak.
    let (Some((&most, many)), Some((&first, few))) =
        (heard.last_key_value(), heard.iter().find(|(nodes, _)| **nodes >= usize::from(voices)))
    else {
        return Ok(());
    };
    let logarithm = (most as f64).ln() / (first as f64).ln();
    bench.report.figure(
        &format!("growth, {first} to {most} nodes"),
        Unit::Cost("x"),
        many / few,
        "the logarithm's",
        logarithm,
    );
    Ok(())
}

/// The mean number of new messages, and of all copies, per node and round.
async fn run(parts: &Arc<Parts>, nodes: usize, rounds: u64) -> Result<[f64; 2]> {
    let (open, opened) = watch::channel((0, Seed([0; 32])));
    let mut handles: Vec<(Handle, Events)> = Vec::new();
    for number in 0..nodes {
        let mut config =
            Config::in_memory(secret(number as u64), SwarmId::named(&format!("bench voices {nodes}")));
        config.limits.wanted_peers = 10;
        for known in [number / 2, number / 3, number.saturating_sub(1)] {
            if let Some((handle, _)) = handles.get(known) {
                config.bootstrap.extend(handle.until_listening().await?);
            }
        }
        handles.push(Network::start(config)?);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (handle, _) in &handles {
        tokio::time::timeout(SLOWEST, handle.until_peers(3.min(nodes - 1))).await??;
        let node = Node::new(parts, handle.clone()).await?;
        tasks.spawn(node.run(opened.clone()));
    }
    let received = || {
        let all = handles.iter().map(|(handle, _)| handle.received());
        all.fold([0, 0], |[new, copies], more| [new + more.messages, copies + more.copies])
    };
    let mut before = [0, 0];
    for round in 1..=SETTLING + rounds {
        if round == SETTLING + 1 {
            before = received();
        }
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&round.to_le_bytes());
        open.send((round, Seed(seed)))?;
        tokio::time::sleep(PERIOD).await;
        // All nodes share this machine, and in the first rounds all of them speak: until it is quiet, the round is not over.
        let mut last = received();
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = received();
            if now == last {
                break;
            }
            last = now;
        }
    }
    let after = received();
    eprintln!("  {nodes} nodes: done");
    drop(open);
    tasks.shutdown().await;
    for (handle, _) in &handles {
        handle.stop().await;
    }
    Ok([0, 1].map(|i| (after[i] - before[i]) as f64 / (nodes as f64 * rounds as f64)))
}

struct Node {
    handle: Handle,
    subscription: net::Subscription,
    flock: Flock,
    parrot: Parrot,
    pending: HashMap<u64, net::Message>,
    begin: Instant,
}

impl Node {
    async fn new(parts: &Arc<Parts>, handle: Handle) -> Result<Node> {
        let me = NodeId::of(handle.peer_id().public_key());
        Ok(Node {
            subscription: handle.subscribe(TOPIC, TopicRules::default()).await?,
            flock: Flock::new(parts.clone(), Memory::new(parts.charter.id(), me, Seed(me.0)))?,
            parrot: Parrot::new(&parts.tongue, 0.2),
            pending: HashMap::new(),
            begin: Instant::now(),
            handle,
        })
    }

    /// Until no more rounds are opened.
    async fn run(mut self, mut opened: watch::Receiver<(u64, Seed)>) {
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        let mut tickets = 0;
        loop {
            let event = tokio::select! {
                changed = opened.changed() => match changed {
                    Ok(()) => {
                        let (round, seed) = *opened.borrow_and_update();
                        Event::Opened { round, seed }
                    }
                    Err(_) => return,
                },
                Some(message) = self.subscription.next() => {
                    tickets += 1;
                    let from = NodeId::of(message.author.public_key());
                    let bytes = message.data.clone();
                    self.pending.insert(tickets, message);
                    Event::Heard { ticket: tickets, from, bytes }
                }
                _ = ticks.tick() => Event::Tick,
            };
            self.step(event).await;
        }
    }

    async fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for effect in self.flock.step(self.begin.elapsed().as_millis() as u64, event) {
                match effect {
                    Effect::Publish(bytes) => _ = self.handle.publish(TOPIC, bytes).await,
                    Effect::Answer { round, stage, asks } => {
                        let (root, answers) = (self.parrot.root(), self.parrot.answer(&asks));
                        if let (Ok(root), Ok(answers)) = (root, answers) {
                            events.push(Event::Answered { round, stage, root, answers });
                        }
                    }
                    Effect::Learn { round, lessons } => {
                        let learned = self.parrot.learn(&lessons).and_then(|_| self.parrot.root());
                        events.extend(learned.map(|root| Event::Learned { round, root }));
                    }
                    Effect::Judge { ticket, verdict, .. } => {
                        if let Some(mut message) = self.pending.remove(&ticket) {
                            message.judge(match verdict {
                                Verdict::Accept => net::Verdict::Accept,
                                Verdict::Ignore => net::Verdict::Ignore,
                                Verdict::Reject => net::Verdict::Reject,
                            });
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}
