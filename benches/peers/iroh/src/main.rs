//! iroh-blobs as it comes, for `cargo xtask bench blob`: `serve FILE STORE` prints what `get` needs and stays until its
//! standard input ends; `get ID ADDRESS HASH STORE` fetches into an empty store and prints the seconds it took.

use std::error::Error;
use std::time::Instant;

use iroh::endpoint::presets;
use iroh::protocol::Router;
use iroh::{Endpoint, EndpointAddr, RelayMode, TransportAddr};
use iroh_blobs::store::fs::FsStore;
use iroh_blobs::{BlobsProtocol, Hash};
use tokio::io::AsyncReadExt;

type Done<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Done {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", file, store] => serve(file, store).await,
        ["get", id, address, hash, store] => get(id, address, hash, store).await,
        _ => Err("serve FILE STORE | get ID ADDRESS HASH STORE".into()),
    }
}

/// An endpoint on loopback that asks nobody else for anything.
async fn endpoint() -> Done<Endpoint> {
    let builder = Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Disabled);
    Ok(builder.clear_ip_transports().bind_addr("127.0.0.1:0")?.bind().await?)
}

async fn serve(file: &str, store: &str) -> Done {
    let store = FsStore::load(store).await?;
    let tag = store.blobs().add_path(std::path::absolute(file)?).await?;
    let endpoint = endpoint().await?;
    let address = endpoint.bound_sockets().into_iter().next().ok_or("no socket")?;
    println!("{} {address} {}", endpoint.id(), tag.hash);
    let router = Router::builder(endpoint).accept(iroh_blobs::ALPN, BlobsProtocol::new(&store, None)).spawn();
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    router.shutdown().await?;
    Ok(())
}

async fn get(id: &str, address: &str, hash: &str, store: &str) -> Done {
    let hash: Hash = hash.parse()?;
    let store = FsStore::load(store).await?;
    let endpoint = endpoint().await?;
    let peer = EndpointAddr::from_parts(id.parse()?, [TransportAddr::Ip(address.parse()?)]);
    let connection = endpoint.connect(peer, iroh_blobs::ALPN).await?;
    let start = Instant::now();
    store.remote().fetch(connection, hash).complete().await?;
    println!("{}", start.elapsed().as_secs_f64());
    endpoint.close().await;
    store.shutdown().await?;
    Ok(())
}
