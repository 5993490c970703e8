//! A node that tells what happens to it, greets another, and says and hears things on a topic.
//!
//! ```sh
//! cargo run -p net --example neighbour -- --listen /ip4/127.0.0.1/udp/4747/quic-v1 --say hello
//! cargo run -p net --example neighbour -- --bootstrap ADDRESS --greet PEER     # as the first one prints them
//! cargo run -p net --example neighbour -- --lan yes --listen /ip4/0.0.0.0/udp/0/quic-v1     # no address needed
//! ```
//!
//! `--external ADDRESS` is where others reach it, if its owner knows; `--swarm NAME` whom to look for.

use futures::{AsyncReadExt, AsyncWriteExt};
use net::{Address, Config, Event, Handle, Network, PeerId, SwarmId, TopicRules, new_secret};
use std::error::Error;
use std::time::{Duration, Instant};

const TOPIC: &str = "words/1";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::on_loopback(new_secret(), SwarmId::named("neighbours"));
    let (mut greet, mut say): (Option<PeerId>, Option<String>) = (None, None);
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        let value = args.next().ok_or(format!("{option} wants a value"))?;
        match option.as_str() {
            "--listen" => config.listen = vec![value.parse()?],
            "--bootstrap" => config.bootstrap.push(value.parse()?),
            "--external" => config.external.push(value.parse()?),
            "--swarm" => config.swarm = SwarmId::named(&value),
            "--lan" => config.lan = value == "yes",
            "--greet" => greet = Some(value.parse()?),
            "--say" => say = Some(value),
            other => return Err(format!("no such option: {other}").into()),
        }
    }
    let began = Instant::now();
    let (node, mut events) = Network::start(config)?;
    println!("peer {}", node.peer_id());
    let mut greetings = node.accept("greet/1")?;
    tokio::spawn(async move {
        while let Some(mut stream) = greetings.next().await {
            let mut words = [0; 5];
            if stream.read_exact(&mut words).await.is_ok() {
                let _ = stream.write_all(&words).await;
                let _ = stream.close().await;
            }
        }
    });
    let mut words = node.subscribe(TOPIC, TopicRules::default()).await?;
    tokio::spawn(async move {
        while let Some(mut message) = words.next().await {
            message.accept();
            let after = began.elapsed().as_secs_f64();
            println!("heard {} (after {after:.3} s)", String::from_utf8_lossy(&message.data));
        }
    });
    if let Some(words) = say {
        tokio::spawn(repeat(node.clone(), words));
    }
    if let Some(peer) = greet {
        tokio::spawn(tell_of(node.clone(), peer));
    }
    while let Some(event) = events.next().await {
        match event {
            Event::Listening(address) => println!("listening {address}"),
            Event::Reachability(found) => println!("reachable {}", found.in_words()),
            Event::Connected(peer) => println!("connected {peer}"),
            _ => {}
        }
    }
    Ok(())
}

/// Says something over and over; that nobody is there to hear it is no reason to stop.
async fn repeat(node: Handle, words: String) {
    for time in 1.. {
        let _ = node.publish(TOPIC, format!("{words}, {time}")).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

/// Greets a peer, and says by which way; then waits for the direct one.
async fn tell_of(node: Handle, peer: PeerId) {
    let mut at: Vec<Address> = Vec::new();
    loop {
        match node.open(peer, "greet/1").await {
            Ok(mut stream) => {
                let mut words = [0; 5];
                let greeted =
                    stream.write_all(b"hello").await.is_ok() && stream.read_exact(&mut words).await.is_ok();
                let now = node.ways_to(peer).await.unwrap_or_default();
                if greeted && words == *b"hello" && now != at {
                    let direct = now.iter().any(|address| !address.is_relayed());
                    println!("greeted {}", if direct { "directly" } else { "through a relay" });
                    at = now;
                }
            }
            Err(why) => eprintln!("{why}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
