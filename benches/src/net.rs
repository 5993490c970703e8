//! Peers: gossip among 50 nodes, a swarm of 200 that come and go, and how long joining takes, each against the bar it has
//! to pass. All nodes are real and live in this process.

use crate::report::Unit;
use crate::{Bench, Result};
use net::{Config, Events, Handle, Network, SwarmId, TopicRules};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const TOPIC: &str = "bench/1";
const BAR: &str = "the bar";
const SLOWEST: Duration = Duration::from_mins(1);

/// `net`, or one part of it.
pub(crate) fn bench(bench: &mut Bench, name: &str) -> Result {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let part = name.strip_prefix("net-");
    // A runtime for each, so that no node of one is still at work in the next.
    if part.is_none_or(|part| part == "gossip") {
        gossip(bench, &runtime()?)?;
    }
    if part.is_none_or(|part| part == "churn") {
        churn(bench, &runtime()?)?;
    }
    if part.is_none_or(|part| part == "join") {
        join(bench, &runtime()?);
    }
    Ok(())
}

/// Secrets that are easy to tell apart.
pub(crate) fn secret(number: u64) -> [u8; 32] {
    let mut secret = [1; 32];
    secret[24..].copy_from_slice(&(number + 1).to_be_bytes());
    secret
}

/// A node that accepts everything and tells when what came.
struct Node {
    handle: Handle,
    _events: Events,
}

/// A message's number, which node it reached, and when.
type Arrival = (u64, usize, Instant);

async fn node(number: usize, config: Config, arrivals: mpsc::UnboundedSender<Arrival>) -> Result<Node> {
    let (handle, events) = Network::start(config)?;
    let rules = TopicRules { author_per_second: 10_000, author_burst: 10_000, ..TopicRules::default() };
    let mut messages = handle.subscribe(TOPIC, rules).await?;
    tokio::spawn(async move {
        while let Some(mut message) = messages.next().await {
            message.accept();
            if let Some((number_of, _)) = message.data.split_first_chunk::<8>() {
                let _ = arrivals.send((u64::from_le_bytes(*number_of), number, Instant::now()));
            }
        }
    });
    Ok(Node { handle, _events: events })
}

/// Nodes in memory; each knows a few of those before it.
async fn swarm(name: &str, nodes: usize, arrivals: &mpsc::UnboundedSender<Arrival>) -> Result<Vec<Node>> {
    let mut all: Vec<Node> = Vec::new();
    for number in 0..nodes {
        let mut config = Config::in_memory(secret(number as u64), SwarmId::named(name));
        config.limits.wanted_peers = 10;
        for known in [number / 2, number / 3, number.saturating_sub(1)] {
            if let Some(node) = all.get(known) {
                config.bootstrap.extend(node.handle.until_listening().await?);
            }
        }
        all.push(node(number, config, arrivals.clone()).await?);
    }
    for node in &all {
        tokio::time::timeout(SLOWEST, node.handle.until_peers(3)).await??;
    }
    Ok(all)
}

/// A message of 4 KiB that begins with its number.
fn message(number: u64) -> Vec<u8> {
    let mut data = vec![0; 4096];
    data[..8].copy_from_slice(&number.to_le_bytes());
    data
}

/// In its first seconds a swarm that starts all at once is busy with handshakes: everyone gets to know everyone.
const SETTLING: Duration = Duration::from_secs(20);

/// Waits until the swarm has settled, and publishes until three messages in a row have reached everyone: then the mesh stands.
async fn warm_up(nodes: &[Node], inbox: &mut mpsc::UnboundedReceiver<Arrival>) -> Result {
    tokio::time::sleep(SETTLING).await;
    let mut in_a_row = 0;
    for number in 0..60_u64 {
        let sender = &nodes[number as usize % nodes.len()];
        let mut heard = 1;
        if sender.handle.publish(TOPIC, message(1_000_000 + number)).await.is_ok() {
            while heard < nodes.len() {
                match tokio::time::timeout(Duration::from_secs(2), inbox.recv()).await {
                    Ok(Some((n, ..))) if n == 1_000_000 + number => heard += 1,
                    Ok(Some(_)) => {}
                    _ => break,
                }
            }
        }
        in_a_row = if heard == nodes.len() { in_a_row + 1 } else { 0 };
        if in_a_row == 3 {
            while inbox.try_recv().is_ok() {}
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err("the swarm did not come together: no three messages in a row reached everyone".into())
}

fn gossip(bench: &mut Bench, runtime: &tokio::runtime::Runtime) -> Result {
    const NODES: usize = 50;
    bench.report.open("net", "50 nodes in one process, messages of 4 KiB, 5 a second");
    let messages: u64 = if bench.quick { 20 } else { 150 };
    let (times, copies, lost) = runtime.block_on(async {
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let nodes = swarm("bench gossip", NODES, &sender).await?;
        warm_up(&nodes, &mut inbox).await?;
        let before: u64 = nodes.iter().map(|n| n.handle.received().copies).sum();
        let mut sent = Vec::new();
        for number in 0..messages {
            sent.push(Instant::now());
            nodes[(number as usize * 7) % NODES].handle.publish(TOPIC, message(number)).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let expected = messages as usize * (NODES - 1);
        let mut times = Vec::new();
        while times.len() < expected {
            match tokio::time::timeout(Duration::from_secs(10), inbox.recv()).await {
                Ok(Some((number, _, at))) if number < messages => {
                    times.push(at.duration_since(sent[number as usize]).as_secs_f64() * 1000.0);
                }
                Ok(Some(_)) => {}
                _ => break,
            }
        }
        let after: u64 = nodes.iter().map(|n| n.handle.received().copies).sum();
        let heard = times.len() as f64;
        Ok::<_, Box<dyn std::error::Error>>((
            (times),
            (after - before) as f64 / heard - 1.0,
            expected as f64 - heard,
        ))
    })?;
    let mut times = times;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len() - 1) as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    bench.report.figure("delivery, p50", Unit::Cost("ms"), at(0.5), BAR, 250.0);
    bench.report.figure("delivery, p99", Unit::Cost("ms"), at(0.99), BAR, 250.0);
    bench.report.figure("duplicates per node and message", Unit::Cost("x"), copies, BAR, 2.5);
    bench.report.figure(
        "delivered",
        Unit::Rate("%"),
        100.0 - lost * 100.0 / (times.len() as f64 + lost),
        BAR,
        100.0,
    );
    Ok(())
}

/// 200 nodes. Over and over, one in ten leaves and another joins per (sped-up) minute.
fn churn(bench: &mut Bench, runtime: &tokio::runtime::Runtime) -> Result {
    const NODES: usize = 200;
    /// The first half stays; what it hears is counted.
    const STABLE: usize = 100;
    const SPEED: f64 = 12.0;
    bench
        .report
        .open("net", "200 nodes in one process, of which 10 % leave and join per minute, sped up 12 times");
    let minutes = if bench.quick { 1.0 } else { 10.0 };
    let before = memory_mib();
    let (share, grown, peers) = runtime.block_on(async {
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let mut nodes = swarm("bench churn", NODES, &sender).await?;
        warm_up(&nodes, &mut inbox).await?;
        let at_first = memory_mib();
        let heard = Arc::new(Mutex::new(std::collections::HashSet::new()));
        let hearing = heard.clone();
        let listener = tokio::spawn(async move {
            while let Some((number, node, _)) = inbox.recv().await {
                if node < STABLE && number < 1_000_000 {
                    hearing.lock().unwrap_or_else(PoisonError::into_inner).insert((number, node));
                }
            }
        });
        let (start, length) = (Instant::now(), Duration::from_secs_f64(minutes * 60.0 / SPEED));
        let mut steps = tokio::time::interval(Duration::from_secs_f64(60.0 / SPEED / (NODES as f64 / 10.0)));
        let (mut number, mut next) = (0_u64, 0_usize);
        while start.elapsed() < length {
            steps.tick().await;
            let leaves = STABLE + next % (NODES - STABLE);
            next += 1;
            nodes[leaves].handle.stop().await;
            let mut config = Config::in_memory(secret(10_000 + next as u64), SwarmId::named("bench churn"));
            config.limits.wanted_peers = 10;
            for known in [next % STABLE, (next * 7) % STABLE] {
                config.bootstrap.extend(nodes[known].handle.until_listening().await?);
            }
            nodes[leaves] = node(leaves, config, sender.clone()).await?;
            let speaker = (next * 13) % STABLE;
            // What cannot be sent counts as not delivered.
            if let Err(why) = nodes[speaker].handle.publish(TOPIC, message(number)).await {
                eprintln!("net: message {number} was not sent: {why}");
            }
            number += 1;
        }
        let (expected, end) = (number as usize * (STABLE - 1), Instant::now());
        let heard_of = heard.clone();
        let heard = || heard.lock().unwrap_or_else(PoisonError::into_inner).len();
        while heard() < expected && end.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        listener.abort();
        missing(&heard_of.lock().unwrap_or_else(PoisonError::into_inner), number, STABLE);
        let peers: usize = nodes.iter().map(|node| node.handle.peers().len()).sum();
        let memory = (at_first - before, memory_mib() - before);
        Ok::<_, Box<dyn std::error::Error>>((heard() as f64 / expected as f64, memory, peers))
    })?;
    let nodes = NODES as f64;
    bench.report.figure("delivered among those who stay", Unit::Rate("%"), share * 100.0, BAR, 99.9);
    bench.report.figure("memory per node, at first", Unit::Cost("MiB"), grown.0 / nodes, BAR, 16.0);
    bench.report.figure("memory per node, at the end", Unit::Cost("MiB"), grown.1 / nodes, BAR, 16.0);
    bench.report.figure("peers per node, at the end", Unit::Cost("peers"), peers as f64 / nodes, BAR, 48.0);
    Ok(())
}

/// Says which messages did not reach everyone, if there are any.
fn missing(heard: &std::collections::HashSet<(u64, usize)>, messages: u64, nodes: usize) {
    for message in 0..messages {
        let without: Vec<usize> = (0..nodes).filter(|node| !heard.contains(&(message, *node))).collect();
        // Its author does not hear it.
        if without.len() > 1 {
            eprintln!("net: message {message} of {messages} did not reach {} nodes", without.len() - 1);
        }
    }
}

/// From the start of a node to its first message heard, through a bootstrap address on loopback.
fn join(bench: &mut Bench, runtime: &tokio::runtime::Runtime) {
    bench.report.open("net", "a node joins: from its start to the first message it hears");
    let rounds = if bench.quick { 3 } else { 15 };
    for (way, lan, bar) in [("by a bootstrap address", false, 2.0), ("by the LAN alone", true, 1.0)] {
        let mut times = Vec::new();
        for round in 0..rounds {
            let took = runtime.block_on(join_once(round, lan));
            match took {
                Ok(took) => times.push(took),
                Err(why) => eprintln!("net: joining {way}: {why}"),
            }
            if times.is_empty() {
                break;
            }
        }
        times.sort_by(f64::total_cmp);
        if let Some(median) = times.get(times.len() / 2) {
            bench.report.figure(&format!("{way}, median"), Unit::Cost("s"), *median, BAR, bar);
            bench.report.figure(
                &format!("{way}, slowest"),
                Unit::Cost("s"),
                times[times.len() - 1],
                BAR,
                bar,
            );
        }
    }
}

async fn join_once(round: u64, lan: bool) -> Result<f64> {
    let swarm = SwarmId::named(&format!("bench join {round} {lan}"));
    let config = |number| {
        let mut config = Config::on_loopback(secret(number), swarm);
        config.lan = lan;
        if lan {
            // What listens on loopback only cannot be reached from the LAN.
            config.listen = net::listen_on(0);
        }
        config
    };
    let (there, _e) = Network::start(config(20_000 + round))?;
    let _own = there.subscribe(TOPIC, TopicRules::default()).await?;
    let bootstrap = there.until_listening().await?;
    let speaker = tokio::spawn(async move {
        for number in 0..u64::MAX {
            // Nobody hears it until the other has joined.
            let _ = there.publish(TOPIC, message(number)).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let start = Instant::now();
    let mut joining = config(30_000 + round);
    if !lan {
        joining.bootstrap = bootstrap;
    }
    let (node, _e) = Network::start(joining)?;
    let mut messages = node.subscribe(TOPIC, TopicRules::default()).await?;
    let first = tokio::time::timeout(Duration::from_secs(20), messages.next()).await;
    let took = start.elapsed().as_secs_f64();
    speaker.abort();
    match first {
        Ok(Some(_)) => Ok(took),
        _ => Err("no message came within 20 s; is there a network with multicast?".into()),
    }
}

/// What this process holds, in MiB; 0 where the system does not say.
fn memory_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).unwrap_or(0.0)
        / 1024.0
}
