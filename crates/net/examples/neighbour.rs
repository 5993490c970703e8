//! A node that tells what happens to it, and greets another.
//!
//! ```sh
//! cargo run -p net --example neighbour -- --listen /ip4/127.0.0.1/udp/4747/quic-v1
//! cargo run -p net --example neighbour -- --bootstrap ADDRESS --greet PEER     # as the first one prints them
//! ```
//!
//! `--external ADDRESS` is where others reach it, if its owner knows. It ends when it has greeted, and found out whether the way
//! to the other is direct, or else when its input ends.

use futures::{AsyncReadExt, AsyncWriteExt};
use net::{Address, Config, Event, Handle, Network, PeerId, SwarmId, new_secret};
use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::on_loopback(new_secret(), SwarmId::named("neighbours"));
    let mut greet: Option<PeerId> = None;
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        let value = args.next().ok_or(format!("{option} wants a value"))?;
        match option.as_str() {
            "--listen" => config.listen = vec![value.parse()?],
            "--bootstrap" => config.bootstrap.push(value.parse()?),
            "--external" => config.external.push(value.parse()?),
            "--greet" => greet = Some(value.parse()?),
            other => return Err(format!("no such option: {other}").into()),
        }
    }
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
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}
