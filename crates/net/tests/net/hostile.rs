//! Attacks, each by a peer that speaks the protocols in its own way. The node stands, the offender is put out and
//! remembered, and honest peers are served meanwhile.

use crate::common::{connect, join, secret, soon, start, swarm};
use crate::raw::{Raw, keypair};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::identity::Keypair;
use net::{
    Address, Config, Event, Events, Handle, Network, Offence, PeerId, RelayLimits, Request, ServeLimits,
    TopicRules,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpSocket;

const TOPIC: &str = "words/1";
/// Gossipsub's own name for its protocol.
const GOSSIP: &str = "/meshsub/1.1.0";

/// Waits until a peer is put out, and says for what.
async fn put_out(events: &mut Events, who: PeerId) -> Offence {
    loop {
        match soon("the offender put out", events.next()).await.unwrap() {
            Event::PutOut { peer, offence } if peer == who => return offence,
            _ => {}
        }
    }
}

/// A gossip frame as it goes over the wire: one message, signed by `signer` as if `author` had written it.
fn gossip_frame(author: &Keypair, signer: &Keypair, topic: &str, number: u64, data: &[u8]) -> Vec<u8> {
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2], varint(bytes.len()).as_slice(), bytes].concat()
    }
    fn varint(mut n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while n >= 0x80 {
            bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
        bytes
    }
    let from = author.public().to_peer_id().to_bytes();
    let body = [field(1, &from), field(2, data), field(3, &number.to_be_bytes()), field(4, topic.as_bytes())]
        .concat();
    let signature = signer.sign(&[b"libp2p-pubsub:".as_slice(), &body].concat()).unwrap();
    let rpc = field(2, &[body, field(5, &signature)].concat());
    [varint(rpc.len()), rpc].concat()
}

/// Our envelope around data: version, milliseconds since 1970, data.
fn envelope(at: SystemTime, data: &[u8]) -> Vec<u8> {
    let ms = at.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    [&[1], ms.to_le_bytes().as_slice(), data].concat()
}

/// The topic's name on the wire, which every member of the swarm knows.
fn full_topic() -> String {
    let hash = blake3::derive_key("starling 2026 net namespace", &swarm().0);
    let start = hash[..10].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    format!("/starling/{start}/{TOPIC}")
}

/// A victim, an honest peer and an attacker, all on the topic.
struct Scene {
    victim: Handle,
    told: Events,
    honest: Handle,
    heard: net::Subscription,
    attacker: Raw,
    _others: (Events, net::Subscription),
}

impl Scene {
    async fn new(number: u64) -> Scene {
        let (victim, mut told) = start(number);
        let (honest, mut of_honest) = start(number + 1);
        let heard = victim.subscribe(TOPIC, TopicRules::default()).await.unwrap();
        let own = honest.subscribe(TOPIC, TopicRules::default()).await.unwrap();
        connect(&honest, &victim).await;
        join(&mut of_honest, victim.peer_id(), TOPIC).await;
        join(&mut told, honest.peer_id(), TOPIC).await;
        let attacker = Raw::dial(number + 2, &victim.listening()[0]).await;
        Scene { victim, told, honest, heard, attacker, _others: (of_honest, own) }
    }

    /// An honest message still comes through.
    async fn honest_is_heard(&mut self, word: &str) {
        self.honest.publish(TOPIC, word).await.unwrap();
        loop {
            let mut message = soon("the honest message", self.heard.next()).await.unwrap();
            if message.author == self.honest.peer_id() {
                assert_eq!(message.data, word.as_bytes());
                message.accept();
                return;
            }
            assert_ne!(message.author, self.attacker.id, "{:?}", message.data);
        }
    }
}

/// Writes frames to the victim's gossip until it does not take any more.
async fn send_gossip(attacker: &Raw, frames: impl Iterator<Item = Vec<u8>>) {
    let Ok(mut stream) = attacker.open(GOSSIP).await else { return };
    for frame in frames {
        if stream.write_all(&frame).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_signatures() {
    let mut scene = Scene::new(400).await;
    let (author, forger) = (keypair(401), keypair(402));
    let frames = (0..10).map(|n| {
        let data = envelope(SystemTime::now(), format!("forged {n}").as_bytes());
        gossip_frame(&author, &forger, &full_topic(), n, &data)
    });
    send_gossip(&scene.attacker, frames).await;
    scene.honest_is_heard("true").await;
    assert_eq!(put_out(&mut scene.told, scene.attacker.id).await, Offence::Invalid);
    scene.honest_is_heard("still true").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_messages() {
    let mut scene = Scene::new(410).await;
    let author = keypair(411);
    let topic = full_topic();
    // Well signed, an hour ago.
    let before = SystemTime::now() - Duration::from_hours(1);
    let old = (0..40).map(|n| gossip_frame(&author, &author, &topic, n, &envelope(before, &[n as u8])));
    let old: Vec<Vec<u8>> = old.collect();
    send_gossip(&scene.attacker, old.into_iter()).await;
    assert_eq!(put_out(&mut scene.told, scene.attacker.id).await, Offence::Replay);
    // A fresh one again and again, with new numbers: it is heard once, since its content is its identity.
    let second = Raw::dial(413, &scene.victim.listening()[0]).await;
    let data = envelope(SystemTime::now(), b"once");
    let same = (0..20).map(|n| gossip_frame(&author, &author, &topic, 1000 + n, &data));
    send_gossip(&second, same).await;
    let once = soon("it", scene.heard.next()).await.unwrap();
    assert_eq!(once.data, b"once");
    drop(once);
    scene.honest_is_heard("twice is not").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_gossip_frames() {
    let mut scene = Scene::new(420).await;
    // It says that 256 MiB follow, and sends as much as is taken.
    let mut stream = scene.attacker.open(GOSSIP).await.unwrap();
    stream.write_all(&[0x80, 0x80, 0x80, 0x80, 0x01]).await.unwrap();
    let (mut sent, zeros) = (0_usize, vec![0; 1 << 16]);
    while sent < 64 << 20 && stream.write_all(&zeros).await.is_ok() && stream.flush().await.is_ok() {
        sent += 1 << 16;
    }
    assert!(sent < 64 << 20, "the victim took all of it");
    scene.honest_is_heard("still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_messages() {
    let mut scene = Scene::new(430).await;
    let author = keypair(432);
    let topic = full_topic();
    let flood = (0..3_000_u64)
        .map(|n| gossip_frame(&author, &author, &topic, n, &envelope(SystemTime::now(), &n.to_le_bytes())));
    // What is within its rate is heard, the rest is not, and it is put out.
    let flood: Vec<Vec<u8>> = flood.collect();
    send_gossip(&scene.attacker, flood.into_iter()).await;
    assert_eq!(put_out(&mut scene.told, scene.attacker.id).await, Offence::TooFast);
    scene.honest.publish(TOPIC, "honest").await.unwrap();
    let mut from_flood = 0;
    loop {
        let message = soon("the honest message", scene.heard.next()).await.unwrap();
        if message.author == scene.honest.peer_id() {
            break;
        }
        from_flood += 1;
    }
    assert!(from_flood < 300, "{from_flood}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sybils_are_put_out_with_their_machine() {
    let config = |n| {
        let mut config = Config::on_loopback(secret(n), swarm());
        config.listen.retain(|a| a.to_string().contains("tcp"));
        config.limits.count_local_networks = true;
        config.limits.handshakes_per_network = 1000;
        config.limits.per_network = 100;
        config
    };
    let (victim, mut told) = Network::start(config(440)).unwrap();
    let mut heard = victim.subscribe(TOPIC, TopicRules::default()).await.unwrap();
    tokio::spawn(async move {
        while let Some(mut message) = heard.next().await {
            message.reject();
        }
    });
    for n in 441..444 {
        let (sybil, mut events) = Network::start(config(n)).unwrap();
        let _own = sybil.subscribe(TOPIC, TopicRules::default()).await.unwrap();
        connect(&sybil, &victim).await;
        join(&mut events, victim.peer_id(), TOPIC).await;
        for n in 0..8 {
            // It fails once the victim has hung up.
            let _ = sybil.publish(TOPIC, format!("{} {n}", sybil.peer_id())).await;
        }
        assert_eq!(put_out(&mut told, sybil.peer_id()).await, Offence::Invalid);
        sybil.stop().await;
    }
    // The fourth comes from the same machine, and is not even listened to.
    let (fourth, mut events) = Network::start(config(445)).unwrap();
    let at = soon("listening", victim.until_listening()).await.unwrap();
    fourth.dial(at[0].clone()).await.unwrap();
    let mut config = config(446);
    config.bootstrap = vec![at[0].clone()];
    let alone = Network::start(config).unwrap();
    soon("being alone", alone.0.until_health(|h| h.state == net::State::Alone)).await.unwrap();
    assert!(victim.peers().is_empty() && fourth.peers().is_empty());
    fourth.stop().await;
    while let Some(event) = soon("the end", events.next()).await {
        assert!(!matches!(event, Event::Connected(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_network_cannot_surround_a_node() {
    let config = |n| {
        let mut config = Config::on_loopback(secret(n), swarm());
        config.listen.retain(|a| a.to_string().contains("tcp"));
        config.limits.wanted_peers = 0;
        config
    };
    let mut guarded = config(450);
    guarded.limits.count_local_networks = true;
    guarded.limits.per_network = 3;
    guarded.limits.handshakes_per_network = 1000;
    let (victim, _told) = Network::start(guarded).unwrap();
    let at = soon("listening", victim.until_listening()).await.unwrap()[0].clone();
    let mut attackers = Vec::new();
    for n in 451..463 {
        let (attacker, events) = Network::start(config(n)).unwrap();
        attacker.dial(at.clone()).await.unwrap();
        attackers.push((attacker, events));
    }
    // An honest peer that the victim itself chooses has its place.
    let (honest, _e) = Network::start(config(470)).unwrap();
    let to = soon("listening", honest.until_listening()).await.unwrap()[0].clone();
    soon("three", victim.until_peers(3)).await.unwrap();
    victim.dial(to).await.unwrap();
    soon("the honest one", victim.until_peer(honest.peer_id())).await.unwrap();
    assert!(victim.peers().len() <= 4, "{}", victim.peers().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_provider_records() {
    let mut guarded = Config::in_memory(secret(480), swarm());
    guarded.limits.provider_records_per_peer = 20;
    let (victim, mut told) = Network::start(guarded).unwrap();
    let (honest, _eh) = start(481);
    let (attacker, _ea) = start(482);
    connect(&honest, &victim).await;
    soon("providing", honest.provide([7; 32])).await.unwrap();
    connect(&attacker, &victim).await;
    let flooding = attacker.clone();
    let flood = tokio::spawn(async move {
        for n in 0_u32.. {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&n.to_le_bytes());
            // Its own store would be full at some time.
            let _ = flooding.provide(key).await;
            let _ = flooding.stop_providing(key).await;
        }
    });
    assert_eq!(put_out(&mut told, attacker.peer_id()).await, Offence::Records);
    flood.abort();
    let (seeker, _es) = start(483);
    connect(&seeker, &victim).await;
    let mut found = Vec::new();
    while found.is_empty() {
        found = soon("providers", seeker.providers([7; 32])).await.unwrap();
    }
    assert_eq!(found, [honest.peer_id()]);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Ping(u8);

impl Request for Ping {
    type Response = u8;
    const PROTOCOL: &'static str = "ping-test/1";
    const REQUEST_BYTES: usize = 16;
    const RESPONSE_BYTES: usize = 16;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_askers() {
    let (victim, mut told) = start(490);
    let (honest, _eh) = start(491);
    let (attacker, _ea) = start(492);
    let limits = ServeLimits { deadline: Duration::from_millis(300), per_peer: 8, total: 16 };
    let mut asked = victim.serve::<Ping>(limits).unwrap();
    tokio::spawn(async move {
        while let Some(question) = asked.next().await {
            question.reply.answer(question.request.0);
        }
    });
    connect(&honest, &victim).await;
    connect(&attacker, &victim).await;
    let (to, slow) = (victim.peer_id(), attacker.clone());
    let attack = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            // Half a length, and then nothing, on as many streams as there may be.
            let Ok(mut stream) = slow.open(to, Ping::PROTOCOL).await else { return };
            if stream.write_all(&[1]).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            held.push(stream);
            if held.len() > 8 {
                let mut end = [0];
                let _ = held.remove(0).read(&mut end).await;
            }
        }
    });
    let answer = honest.request(to, &Ping(3), Duration::from_secs(20)).await.unwrap();
    assert_eq!(answer, 3);
    let offence = put_out(&mut told, attacker.peer_id()).await;
    assert!(matches!(offence, Offence::Slow | Offence::TooMany), "{offence:?}");
    attack.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_handshakes() {
    let mut guarded = Config::on_loopback(secret(500), swarm());
    guarded.listen = vec!["/ip4/127.0.0.1/tcp/0".parse::<Address>().unwrap()];
    guarded.limits.count_local_networks = true;
    guarded.limits.pending_inbound = 16;
    guarded.limits.handshakes_per_network = 2;
    let (victim, _told) = Network::start(guarded).unwrap();
    let at = soon("listening", victim.until_listening()).await.unwrap()[0].clone();
    let port: u16 = at.to_string().split('/').nth(4).unwrap().parse().unwrap();
    // Callers of another network that never say a word, and call again when they are hung up on.
    let mut floods = Vec::new();
    for _ in 0..40 {
        floods.push(tokio::spawn(async move {
            loop {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind("127.9.9.9:0".parse().unwrap()).unwrap();
                let Ok(mut caller) = socket.connect(([127, 0, 0, 1], port).into()).await else { continue };
                let mut end = [0];
                while tokio::io::AsyncReadExt::read(&mut caller, &mut end).await.is_ok_and(|n| n > 0) {}
            }
        }));
    }
    let mut config = Config::on_loopback(secret(501), swarm());
    config.bootstrap = vec![at];
    let (honest, mut events) = Network::start(config).unwrap();
    let _own = honest.subscribe(TOPIC, TopicRules::default()).await.unwrap();
    let mut heard = victim.subscribe(TOPIC, TopicRules::default()).await.unwrap();
    join(&mut events, victim.peer_id(), TOPIC).await;
    honest.publish(TOPIC, "through").await.unwrap();
    assert_eq!(soon("the message", heard.next()).await.unwrap().data, b"through");
    floods.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offender_is_remembered_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::in_memory(secret(510), swarm());
    config.listen = vec!["/memory/510510".parse().unwrap()];
    config.folder = Some(folder.path().to_owned());
    let (victim, mut told) = Network::start(config.clone()).unwrap();
    let (attacker, _ea) = start(511);
    connect(&attacker, &victim).await;
    victim.report(attacker.peer_id(), Offence::WrongBytes).await;
    assert_eq!(put_out(&mut told, attacker.peer_id()).await, Offence::WrongBytes);
    victim.stop().await;
    let (victim, _told) = Network::start(config).unwrap();
    assert_eq!(victim.kept_out().await.unwrap(), [attacker.peer_id()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_gives_no_more_than_its_owner_allows() {
    let mut config = Config::in_memory(secret(520), swarm());
    config.relay = Some(RelayLimits { reservations: 2, ..RelayLimits::default() });
    config.external = vec!["/ip4/203.0.113.5/tcp/4747".parse().unwrap()];
    let (victim, _told) = Network::start(config).unwrap();
    let at = soon("listening", victim.until_listening()).await.unwrap()[0].clone();
    let mut granted = 0;
    let mut takers = Vec::new();
    for n in 521..529 {
        let taker = Raw::dial(n, &at).await;
        let mut stream = soon("a stream", taker.open("/libp2p/circuit/relay/0.2.0/hop")).await.unwrap();
        // "Reserve a place for me", and the status at the end of the answer: 100 is yes.
        stream.write_all(&[2, 0x08, 0]).await.unwrap();
        stream.flush().await.unwrap();
        let mut length = 0_usize;
        for shift in [0, 7] {
            let mut byte = [0];
            soon("an answer", stream.read_exact(&mut byte)).await.unwrap();
            length |= usize::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                break;
            }
        }
        let mut answer = vec![0; length];
        soon("the answer", stream.read_exact(&mut answer)).await.unwrap();
        granted += usize::from(answer.ends_with(&[0x28, 100]));
        takers.push((taker, stream));
    }
    assert_eq!(granted, 2);
}
