//! Nodes that find each other, and find back.

use crate::common::{secret, soon, swarm};
use net::{Address, Config, Error, Events, Handle, Network, State};

fn memory(number: u64, port: u64, bootstrap: &[String]) -> Config {
    let mut config = Config::in_memory(secret(number), swarm());
    config.listen = vec![format!("/memory/{port}").parse().unwrap()];
    config.bootstrap = bootstrap.iter().map(|text| text.parse().unwrap()).collect();
    config
}

fn start(config: Config) -> (Handle, Events) {
    Network::start(config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_good_address_among_many_dead_ones_is_enough() {
    let (hub, _eh) = start(memory(300, 300_300, &[]));
    let mut addresses: Vec<String> = (0..12).map(|n| format!("/memory/{}", 999_000 + n)).collect();
    addresses.push("/memory/300300".to_owned());
    let (node, _en) = start(memory(301, 300_301, &addresses));
    soon("the hub", node.until_peer(hub.peer_id())).await.unwrap();
    soon("good health", node.until_health(|h| h.state == State::Good)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_know_one_get_to_know_many() {
    const NODES: u64 = 24;
    let mut nodes = vec![start(memory(310, 310_000, &[]))];
    for n in 1..NODES {
        let mut config = memory(310 + n, 310_000 + n, &["/memory/310000".to_owned()]);
        config.limits.wanted_peers = 8;
        nodes.push(start(config));
    }
    for (node, _) in &nodes {
        soon("peers", node.until_peers(8)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_everyone_finds_back() {
    let (hub, _eh) = start(memory(340, 340_340, &[]));
    let (node, _en) = start(memory(341, 340_341, &["/memory/340340".to_owned()]));
    soon("the hub", node.until_peer(hub.peer_id())).await.unwrap();
    hub.stop().await;
    let alone = soon("being alone", node.until_health(|h| h.state == State::Alone)).await.unwrap();
    assert!(alone.complaints[0].contains("/memory/340340"), "it says what it tries: {alone}");
    let (hub, _eh) = start(memory(340, 340_340, &[]));
    soon("the hub again", node.until_peer(hub.peer_id())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_remembered_between_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, _eh) = start(memory(350, 350_350, &[]));
    let mut config = memory(351, 350_351, &["/memory/350350".to_owned()]);
    config.folder = Some(folder.path().join("net"));
    let (node, _en) = start(config.clone());
    soon("the hub", node.until_peer(hub.peer_id())).await.unwrap();
    node.stop().await;
    config.bootstrap.clear();
    let (node, _en) = start(config);
    soon("the hub, from memory", node.until_peer(hub.peer_id())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_an_error_that_says_so() {
    for only in ["tcp", "quic"] {
        let config = |n, listen: &str| {
            let mut config = Config::on_loopback(secret(n), swarm());
            config.listen = vec![listen.parse().unwrap()];
            config
        };
        let anywhere = if only == "tcp" { "/ip4/127.0.0.1/tcp/0" } else { "/ip4/127.0.0.1/udp/0/quic-v1" };
        let (first, _e) = start(config(360, anywhere));
        let at: Address = soon("listening", first.until_listening()).await.unwrap()[0].without_peer();
        let error = Network::start(config(361, &at.to_string())).unwrap_err();
        assert!(matches!(&error, Error::PortInUse { address } if *address == at), "{error}");
        assert!(error.to_string().contains("another port"), "{error}");
    }
    let mut config = Config::on_loopback(secret(362), swarm());
    config.listen = vec!["/ip4/203.0.113.77/tcp/0".parse().unwrap()];
    assert!(matches!(Network::start(config), Err(Error::Listen { .. })));
}

#[test]
fn without_a_runtime_it_says_so() {
    let error = Network::start(Config::in_memory(secret(370), swarm())).unwrap_err();
    assert!(matches!(error, Error::Runtime), "{error}");
}
