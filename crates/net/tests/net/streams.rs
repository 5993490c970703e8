//! Streams between two nodes, and the records of who has what.

use crate::common::{connect, secret, soon, start, swarm};
use futures::{AsyncReadExt, AsyncWriteExt};
use net::{Config, Error, Network, SwarmId};

async fn echo(config: impl Fn(u64) -> Config) {
    let (a, _ea) = Network::start(config(1)).unwrap();
    let (b, _eb) = Network::start(config(2)).unwrap();
    let mut incoming = b.accept("echo/1").unwrap();
    connect(&a, &b).await;
    let sent: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let serve = tokio::spawn(async move {
        let mut stream = incoming.next().await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.close().await.unwrap();
        stream.peer()
    });
    let mut stream = a.open(b.peer_id(), "echo/1").await.unwrap();
    assert_eq!(stream.peer(), b.peer_id());
    stream.write_all(&sent).await.unwrap();
    stream.close().await.unwrap();
    let mut back = Vec::new();
    soon("the echo", stream.read_to_end(&mut back)).await.unwrap();
    assert!(back == sent);
    assert_eq!(serve.await.unwrap(), a.peer_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_there_and_back_over_every_transport() {
    soon("memory", echo(|n| Config::in_memory(secret(n), swarm()))).await;
    for only in ["tcp", "quic"] {
        let config = |n| {
            let mut config = Config::on_loopback(secret(n), swarm());
            config.listen.retain(|a| a.to_string().contains(only));
            config
        };
        soon(only, echo(config)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_do_not_open_say_why() {
    let (a, _ea) = start(3);
    let (b, _eb) = start(4);
    let (c, _ec) = start(5);
    let unknown = soon("an answer", a.open(c.peer_id(), "echo/1")).await.unwrap_err();
    assert!(matches!(&unknown, Error::Unreachable { why, .. } if why.contains("address")), "{unknown}");
    let _newer = b.accept("echo/2").unwrap();
    assert!(matches!(b.accept("echo/2"), Err(Error::Busy { .. })));
    connect(&a, &b).await;
    let mismatch = soon("an answer", a.open(b.peer_id(), "echo/1")).await.unwrap_err();
    assert!(matches!(mismatch, Error::Unsupported { .. }), "{mismatch}");
    let bad = soon("an answer", a.open(b.peer_id(), "white space")).await.unwrap_err();
    assert!(matches!(bad, Error::Name { .. }), "{bad}");
    b.stop().await;
    let gone = soon("an answer", b.open(a.peer_id(), "echo/1")).await.unwrap_err();
    assert!(matches!(gone, Error::Stopped), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_what_is_found_through_others() {
    let (hub, _eh) = start(6);
    let (a, _ea) = start(7);
    let (b, _eb) = start(8);
    connect(&a, &hub).await;
    connect(&b, &hub).await;
    let key = [9; 32];
    soon("providing", a.provide(key)).await.unwrap();
    let mut found = Vec::new();
    while found.is_empty() {
        found = soon("providers", b.providers(key)).await.unwrap();
    }
    assert_eq!(found, [a.peer_id()]);
    // B was never told where A is: it asks the others.
    let mut incoming = a.accept("echo/1").unwrap();
    let opened = soon("a stream", b.open(a.peer_id(), "echo/1")).await.unwrap();
    assert_eq!(opened.peer(), a.peer_id());
    assert_eq!(soon("the stream", incoming.next()).await.unwrap().peer(), b.peer_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_swarm_is_not_entered() {
    let (a, mut events) = start(9);
    let (b, _eb) = Network::start(Config::in_memory(secret(10), SwarmId::named("another"))).unwrap();
    let at = soon("listening", b.until_listening()).await.unwrap();
    a.dial(at[0].clone()).await.unwrap();
    loop {
        match soon("events", events.next()).await.unwrap() {
            net::Event::Disconnected(peer) if peer == b.peer_id() => break,
            _ => {}
        }
    }
    assert!(a.peers().is_empty());
}
