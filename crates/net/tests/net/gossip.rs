//! Messages that reach everyone, and those that do not.

use crate::common::{connect, join, secret, soon, start, swarm};
use net::{Config, Error, Event, Events, Handle, Network, Offence, TopicRules};
use std::time::Duration;

const TOPIC: &str = "words/1";

/// Reads a subscription to its end, accepting all; tells what came.
fn accept_all(mut subscription: net::Subscription) -> tokio::sync::mpsc::UnboundedReceiver<Vec<u8>> {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(mut message) = subscription.next().await {
            message.accept();
            if sender.send(message.data.clone()).is_err() {
                return;
            }
        }
    });
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_those_who_are_not_neighbours() {
    // A line: each knows the one before it only.
    let mut nodes: Vec<(Handle, Events)> = Vec::new();
    for n in 100..105 {
        let mut config = Config::in_memory(secret(n), swarm());
        config.limits.wanted_peers = 0;
        nodes.push(Network::start(config).unwrap());
    }
    let mut inboxes = Vec::new();
    for (node, _) in &nodes {
        inboxes.push(accept_all(node.subscribe(TOPIC, TopicRules::default()).await.unwrap()));
    }
    for i in 1..nodes.len() {
        let (a, b) = (nodes[i].0.clone(), nodes[i - 1].0.clone());
        connect(&a, &b).await;
        join(&mut nodes[i].1, b.peer_id(), TOPIC).await;
        join(&mut nodes[i - 1].1, a.peer_id(), TOPIC).await;
    }
    nodes[0].0.publish(TOPIC, "hello").await.unwrap();
    for inbox in &mut inboxes[1..] {
        assert_eq!(soon("the message", inbox.recv()).await.unwrap(), b"hello");
    }
    let again = nodes[0].0.publish(TOPIC, "hello").await.unwrap_err();
    assert!(matches!(again, Error::AlreadySent), "{again}");
    let long = nodes[0].0.publish(TOPIC, vec![0; 65 << 10]).await.unwrap_err();
    assert!(matches!(long, Error::TooLarge { .. }), "{long}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_accepted_goes_no_further() {
    let config = |n| {
        let mut config = Config::in_memory(secret(n), swarm());
        config.limits.wanted_peers = 0;
        config
    };
    let (a, mut ea) = Network::start(config(110)).unwrap();
    let (middle, mut em) = Network::start(config(111)).unwrap();
    let (c, mut ec) = Network::start(config(112)).unwrap();
    let _own = a.subscribe(TOPIC, TopicRules::default()).await.unwrap();
    let mut judged = middle.subscribe(TOPIC, TopicRules::default()).await.unwrap();
    let mut last = accept_all(c.subscribe(TOPIC, TopicRules::default()).await.unwrap());
    connect(&a, &middle).await;
    connect(&c, &middle).await;
    join(&mut ea, middle.peer_id(), TOPIC).await;
    join(&mut ec, middle.peer_id(), TOPIC).await;
    join(&mut em, c.peer_id(), TOPIC).await;
    for word in ["wrong", "useless", "silent", "right"] {
        a.publish(TOPIC, word).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let mut message = soon("a message", judged.next()).await.unwrap();
        assert_eq!((message.author, message.from), (a.peer_id(), a.peer_id()));
        match message.data.as_slice() {
            b"wrong" => message.reject(),
            b"useless" => message.ignore(),
            b"right" => message.accept(),
            _ => {}
        }
        seen.push(message.data.clone());
    }
    // What is right comes through; had anything else gone on, it would have come before it.
    assert_eq!(soon("the right one", last.recv()).await.unwrap(), b"right");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_what_is_wrong_is_put_out() {
    let (a, mut ea) = start(120);
    let (b, mut eb) = start(121);
    let _own = a.subscribe(TOPIC, TopicRules::default()).await.unwrap();
    let mut judged = b.subscribe(TOPIC, TopicRules::default()).await.unwrap();
    connect(&a, &b).await;
    join(&mut ea, b.peer_id(), TOPIC).await;
    for n in 0..8 {
        a.publish(TOPIC, format!("lie {n}")).await.unwrap();
    }
    tokio::spawn(async move {
        while let Some(mut message) = judged.next().await {
            message.reject();
        }
    });
    loop {
        if let Event::PutOut { peer, offence } = soon("an event", eb.next()).await.unwrap() {
            assert_eq!((peer, offence), (a.peer_id(), Offence::Invalid));
            break;
        }
    }
    assert_eq!(b.kept_out().await.unwrap(), [a.peer_id()]);
    // It does not get in again.
    let at = b.until_listening().await.unwrap();
    a.dial(at[0].clone()).await.unwrap();
    soon("being alone", a.until_health(|h| h.peers == 0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_misses_the_oldest_and_is_told() {
    let (a, mut ea) = start(130);
    let (b, _eb) = start(131);
    let rules = TopicRules { queue: 4, ..TopicRules::default() };
    let _own = a.subscribe(TOPIC, TopicRules::default()).await.unwrap();
    let mut slow = b.subscribe(TOPIC, rules).await.unwrap();
    connect(&a, &b).await;
    join(&mut ea, b.peer_id(), TOPIC).await;
    for n in 0..50 {
        a.publish(TOPIC, format!("{n}")).await.unwrap();
    }
    while b.received().messages < 50 {
        tokio::task::yield_now().await;
    }
    let mut rest = Vec::new();
    while rest.last() != Some(&b"49".to_vec()) {
        rest.push(soon("the rest", slow.next()).await.unwrap().data.clone());
    }
    assert_eq!((rest.len(), slow.missed()), (4, 46));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_keeps_to_the_topics_rate() {
    let (a, mut ea) = start(140);
    let (b, _eb) = start(141);
    let rules = TopicRules { author_per_second: 1, author_burst: 5, ..TopicRules::default() };
    let _own = a.subscribe(TOPIC, rules).await.unwrap();
    let _other = b.subscribe(TOPIC, TopicRules::default()).await.unwrap();
    connect(&a, &b).await;
    join(&mut ea, b.peer_id(), TOPIC).await;
    let mut sent = 0;
    let stopped = loop {
        match a.publish(TOPIC, format!("{sent}")).await {
            Ok(()) => sent += 1,
            Err(why) => break why,
        }
        assert!(sent < 1000);
    };
    assert!(matches!(stopped, Error::TooFast { per_second: 1, .. }), "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_who_is_alone_and_it_says_why() {
    let (a, _ea) = start(150);
    let _own = a.subscribe(TOPIC, TopicRules::default()).await.unwrap();
    let alone = soon("being alone", a.until_health(|h| h.state == net::State::Alone)).await.unwrap();
    assert!(alone.to_string().contains("invite"), "{alone}");
    let unheard = a.publish(TOPIC, "hello?").await.unwrap_err();
    assert!(matches!(&unheard, Error::NobodyListens { health } if health.contains("invite")), "{unheard}");
    let twice = a.subscribe(TOPIC, TopicRules::default()).await.unwrap_err();
    assert!(matches!(twice, Error::Topic { .. }), "{twice}");
    let deadline =
        TopicRules { deadline: Duration::from_secs(1), message_bytes: 1 << 30, ..TopicRules::default() };
    assert!(matches!(a.subscribe("other/1", deadline).await, Err(Error::Topic { .. })));
}
