//! Two nodes that listen nowhere but at a relay.

use crate::common::{secret, soon, swarm};
use net::{Asked, Config, Network, RelayLimits, Request, ServeLimits};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Serialize, Deserialize)]
struct Greet(String);

impl Request for Greet {
    type Response = String;
    const PROTOCOL: &'static str = "greet/1";
    const REQUEST_BYTES: usize = 100;
    const RESPONSE_BYTES: usize = 100;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_goes_through_a_relay() {
    let mut config = Config::in_memory(secret(800), swarm());
    config.listen = vec!["/memory/800800800".parse().unwrap()];
    config.external.clone_from(&config.listen);
    config.relay = Some(RelayLimits::default());
    let (relay, _told) = Network::start(config).unwrap();
    let place: net::Address =
        format!("/memory/800800800/p2p/{}/p2p-circuit", relay.peer_id()).parse().unwrap();
    // These would relay, too, if others could reach them.
    let [(a, _a), (b, _b)] = [801, 802].map(|number| {
        let mut config = Config::in_memory(secret(number), swarm());
        config.listen = vec![place.clone()];
        config.relay = Some(RelayLimits::default());
        Network::start(config).unwrap()
    });
    let mut asked = b.serve::<Greet>(ServeLimits::default()).unwrap();
    tokio::spawn(async move {
        while let Some(Asked { request: Greet(name), reply, .. }) = asked.next().await {
            reply.answer(format!("hello {name}"));
        }
    });
    let at = soon("a place at the relay", b.until_listening()).await.unwrap();
    assert!(at.iter().all(net::Address::is_relayed), "{at:?}");
    a.hint(at[0].clone()).await.unwrap();
    soon("the callee", a.until_peer(b.peer_id())).await.unwrap();
    let greet = Greet("b".to_owned());
    let answer = a.request(b.peer_id(), &greet, Duration::from_secs(30));
    assert_eq!(soon("an answer", answer).await.unwrap(), "hello b");
    let ways = a.ways_to(b.peer_id()).await.unwrap();
    assert!(!ways.is_empty() && ways.iter().all(net::Address::is_relayed), "{ways:?}");
}
