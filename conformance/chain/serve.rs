//! The embedded chain as a program: it says where it listens, as Anvil does, and ends when its input does.

use std::io::Read as _;

use chain::embedded::{Embedded, Options};

/// The account that the scripts sign for.
const RICH: [u8; 20] = [
    0xf3, 0x9f, 0xd6, 0xe5, 0x1a, 0xad, 0x88, 0xf6, 0xf4, 0xce, 0x6a, 0xb8, 0x82, 0x72, 0x79, 0xcf, 0xff,
    0xb9, 0x22, 0x66,
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let funded = vec![(RICH, 10_000 * 10_u128.pow(18))];
    let chain = Embedded::in_memory(Options { chain_id: 31337, funded, ..Options::default() })?;
    let server = chain.serve(([127, 0, 0, 1], 0).into()).await?;
    println!("Listening on {}", server.address());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
