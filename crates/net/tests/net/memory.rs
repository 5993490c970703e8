//! The node's budget of memory: whatever peers send within their own limits, no more than that is held.

use crate::common::{connect, join, secret, soon, start, swarm};
use futures::{AsyncReadExt, AsyncWriteExt};
use net::{Config, Error, Events, Handle, Network, Request, ServeLimits, TopicRules};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// A node that may hold a mebibyte of messages, questions, streams and blobs.
fn small(number: u64) -> (Handle, Events) {
    let mut config = Config::in_memory(secret(number), swarm());
    config.limits.memory_bytes = 2 * MIB;
    let (node, events) = Network::start(config).unwrap();
    assert_eq!((node.memory().held_bytes, node.memory().limit_bytes), (0, MIB));
    (node, events)
}

async fn until_nothing_is_held(node: &Handle) {
    let nothing = async {
        while node.memory().held_bytes > 0 {
            tokio::task::yield_now().await;
        }
    };
    soon("everything let go", nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_beyond_the_budget_are_refused_until_others_end() {
    let (peer, _ep) = start(700);
    let (node, _en) = small(701);
    let mut incoming = node.accept("hold/1").unwrap();
    connect(&peer, &node).await;
    let held = tokio::spawn(async move {
        let mut held = Vec::new();
        while held.len() < 4 {
            let mut stream = incoming.next().await.unwrap();
            stream.write_all(&[1]).await.unwrap();
            stream.flush().await.unwrap();
            held.push(stream);
        }
        (held, incoming)
    });
    let mut streams = Vec::new();
    for number in 0..12 {
        let mut stream = soon("a stream", peer.open(node.peer_id(), "hold/1")).await.unwrap();
        let greeted = soon("an end", stream.read_exact(&mut [0])).await.is_ok();
        assert_eq!(greeted, number < 4, "stream {number}");
        streams.push(stream);
        assert!(node.memory().held_bytes <= node.memory().limit_bytes);
    }
    let (held, mut incoming) = held.await.unwrap();
    drop((held, streams));
    until_nothing_is_held(&node).await;
    let _again = soon("a stream", peer.open(node.peer_id(), "hold/1")).await.unwrap();
    assert!(soon("the stream", incoming.next()).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_wait_are_held_within_the_budget() {
    const TOPIC: &str = "long/1";
    let (peer, mut of_peer) = start(710);
    let (node, _en) = small(711);
    let rules = || TopicRules { queue: 1000, queue_bytes: usize::MAX, ..TopicRules::default() };
    let _own = peer.subscribe(TOPIC, rules()).await.unwrap();
    let mut messages = node.subscribe(TOPIC, rules()).await.unwrap();
    connect(&peer, &node).await;
    join(&mut of_peer, node.peer_id(), TOPIC).await;
    // Seventeen of these fit; the next are ignored, and nobody is to blame.
    for number in 0..40_u8 {
        peer.publish(TOPIC, vec![number; 60_000]).await.unwrap();
    }
    while node.received().copies < 40 {
        assert!(node.memory().held_bytes <= node.memory().limit_bytes);
        tokio::task::yield_now().await;
    }
    peer.publish(TOPIC, "short").await.unwrap();
    let mut read = 0;
    loop {
        let mut message = soon("a message", messages.next()).await.unwrap();
        message.accept();
        if message.data == b"short" {
            break;
        }
        read += 1;
    }
    assert!((17..40).contains(&read), "{read}");
    until_nothing_is_held(&node).await;
    assert!(node.kept_out().await.unwrap().is_empty());
}

#[derive(Serialize, Deserialize)]
struct Weigh(Vec<u8>);

impl Request for Weigh {
    type Response = usize;
    const PROTOCOL: &'static str = "weigh/1";
    const REQUEST_BYTES: usize = 4 << 20;
    const RESPONSE_BYTES: usize = 16;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_does_not_fit_finds_the_node_busy() {
    let (peer, _ep) = start(720);
    let (node, _en) = small(721);
    let mut asked = node.serve::<Weigh>(ServeLimits::default()).unwrap();
    tokio::spawn(async move {
        while let Some(question) = asked.next().await {
            question.reply.answer(question.request.0.len());
        }
    });
    connect(&peer, &node).await;
    let ask = async |bytes: usize| {
        peer.request(node.peer_id(), &Weigh(vec![7; bytes]), Duration::from_secs(30)).await
    };
    // A quarter of the budget is the stream's.
    let refused = ask(900 << 10).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused { why, .. } if why.contains("busy")), "{refused}");
    assert_eq!(ask(500 << 10).await.unwrap(), 500 << 10);
    until_nothing_is_held(&node).await;
}
