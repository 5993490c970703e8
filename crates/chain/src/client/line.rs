//! The line to a chain: several addresses, of which any may stall, vanish or serve another chain.
//!
//! A question goes to the address that answered last. When it does not answer in time, the next one is asked, and when none
//! does, all are asked again after a while, which doubles each time and is never the same for two clients. Every
//! address must first show that it serves the right chain. Asking twice is safe: a transaction sent twice is one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use alloy::pubsub::PubSubConnect;
use alloy::rpc::json_rpc::{ErrorPayload, Id, Request, RequestPacket, Response, ResponsePacket};
use alloy::transports::ws::WsConnect;
use alloy::transports::{BoxTransport, TransportError, TransportErrorKind, TransportFut};
use tokio::sync::OnceCell;
use tower::Service;
use url::Url;

use crate::Error;

/// The longest answer that is read.
const LIMIT_BYTES: usize = 32 << 20;
/// How often all addresses are asked before the answer is that there is none.
const ROUNDS: u32 = 4;

/// How patient the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long one address may take to answer.
    pub timeout: Duration,
    /// How long to wait before all are asked again; twice as long each time.
    pub pause: Duration,
    /// What the waits are drawn from, so that a thousand nodes do not come back at the same moment.
    pub seed: u64,
}

impl Default for Patience {
    fn default() -> Self {
        let mut seed = [0; 8];
        // Without randomness all that is lost is that waits differ.
        let _ = getrandom::fill(&mut seed);
        Self {
            timeout: Duration::from_secs(15),
            pause: Duration::from_millis(250),
            seed: u64::from_le_bytes(seed),
        }
    }
}

#[derive(Clone)]
pub(super) struct Line {
    shared: Arc<Shared>,
}

struct Shared {
    addresses: Vec<Address>,
    /// Which of them answered last.
    current: AtomicUsize,
    /// The chain they must all serve; zero until the first has told.
    chain: AtomicU64,
    patience: Patience,
    drawn: AtomicU64,
}

struct Address {
    name: String,
    kind: Kind,
    /// The chain it says it serves.
    chain: OnceCell<u64>,
}

enum Kind {
    Http { url: Url, client: reqwest::Client },
    WebSocket { connect: WsConnect, transport: OnceCell<BoxTransport> },
    InProcess(BoxTransport),
}

impl Line {
    /// A line to some addresses, the preferred one first. Nothing is asked yet.
    pub(super) fn new(addresses: &[Url], patience: Patience) -> Result<Self, Error> {
        // The one place that chooses who does TLS; another part of the program may have chosen the same already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(patience.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::Unreachable { chain: "any chain".to_owned(), why: e.to_string() })?;
        let addresses = addresses.iter().map(|url| Address {
            name: shown(url),
            kind: match url.scheme() {
                "ws" | "wss" => {
                    Kind::WebSocket { connect: WsConnect::new(url.as_str()), transport: OnceCell::new() }
                }
                _ => Kind::Http { url: url.clone(), client: client.clone() },
            },
            chain: OnceCell::new(),
        });
        Ok(Self::over(addresses.collect(), patience))
    }

    /// A line to a chain in this process.
    pub(super) fn in_process(transport: BoxTransport) -> Self {
        let address = Address {
            name: "this process".to_owned(),
            kind: Kind::InProcess(transport),
            chain: OnceCell::new(),
        };
        Self::over(vec![address], Patience::default())
    }

    fn over(addresses: Vec<Address>, patience: Patience) -> Self {
        Self {
            shared: Arc::new(Shared {
                addresses,
                current: AtomicUsize::new(0),
                chain: AtomicU64::new(0),
                patience,
                drawn: AtomicU64::new(patience.seed),
            }),
        }
    }

    /// From now on, addresses that serve another chain are not asked.
    pub(super) fn expect(&self, chain: u64) {
        self.shared.chain.store(chain, Relaxed);
    }

    /// The chain that is served instead, when no address serves the right one.
    pub(super) fn other_chain(&self) -> Option<u64> {
        let expected = self.shared.chain.load(Relaxed);
        let told = || self.shared.addresses.iter().map(|a| a.chain.get().copied());
        let all_other = told().all(|chain| chain.is_some_and(|c| c != expected));
        told().next().flatten().filter(|_| expected != 0 && all_other)
    }

    async fn ask(&self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let shared = &*self.shared;
        let mut troubles = Vec::new();
        for round in 0..ROUNDS {
            if round > 0 {
                tokio::time::sleep(self.pause(round)).await;
            }
            troubles.clear();
            let first = shared.current.load(Relaxed);
            for step in 0..shared.addresses.len() {
                let at = (first + step) % shared.addresses.len();
                let address = &shared.addresses[at];
                let asked = async {
                    self.check(address).await?;
                    address.ask(packet.clone()).await
                };
                // Twice the time: the first question may come with another one before it.
                let why = match tokio::time::timeout(shared.patience.timeout * 2, asked).await {
                    Ok(Ok(answer)) if !is_busy(&answer) => {
                        shared.current.store(at, Relaxed);
                        return Ok(answer);
                    }
                    Ok(Ok(_)) => "asks us to come back later".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("no answer in {} s", shared.patience.timeout.as_secs_f32() * 2.0),
                };
                troubles.push(format!("{}: {}", address.name, clipped(&why)));
            }
            // Waiting does not make another chain of it.
            if self.other_chain().is_some() {
                break;
            }
        }
        Err(TransportErrorKind::custom_str(&troubles.join("; ")))
    }

    /// That an address serves the chain we are on, which it has to show once.
    async fn check(&self, address: &Address) -> Result<(), TransportError> {
        let expected = self.shared.chain.load(Relaxed);
        if expected == 0 {
            return Ok(());
        }
        let told = address.chain.get_or_try_init(|| address.told_chain()).await?;
        if *told == expected {
            return Ok(());
        }
        Err(TransportErrorKind::custom_str(&format!("serves chain {told}, not {expected}")))
    }

    /// Half of the full wait is sure, the other half drawn.
    fn pause(&self, round: u32) -> Duration {
        let drawn = mix(self.shared.drawn.fetch_add(1, Relaxed));
        let full = self.shared.patience.pause * 2_u32.pow(round - 1);
        full / 2 + full.mul_f64((drawn >> 11) as f64 / (1_u64 << 53) as f64) / 2
    }
}

impl Service<RequestPacket> for Line {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let line = self.clone();
        Box::pin(async move { line.ask(packet).await })
    }
}

impl Address {
    async fn ask(&self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        match &self.kind {
            Kind::Http { url, client } => post(client, url.clone(), &packet).await,
            Kind::WebSocket { connect, transport } => {
                let connect = || async {
                    let frontend = connect.clone().into_service().await?;
                    Ok::<_, TransportError>(BoxTransport::new(frontend))
                };
                transport.get_or_try_init(connect).await?.clone().call(packet).await
            }
            Kind::InProcess(transport) => transport.clone().call(packet).await,
        }
    }

    async fn told_chain(&self) -> Result<u64, TransportError> {
        let request = Request::new("eth_chainId", Id::Number(0), ());
        let request = request.serialize().map_err(TransportError::ser_err)?;
        let answer = self.ask(RequestPacket::Single(request)).await?;
        let ResponsePacket::Single(Response { payload, .. }) = answer else {
            return Err(TransportErrorKind::custom_str("one question got several answers"));
        };
        let text = payload.as_success().map_or("", |raw| raw.get());
        serde_json::from_str::<alloy::primitives::U64>(text)
            .map(|id| id.to())
            .map_err(|_| TransportErrorKind::custom_str("does not tell which chain it serves"))
    }
}

/// One question over HTTP, whose answer is read as far as is sensible.
async fn post(
    client: &reqwest::Client,
    url: Url,
    packet: &RequestPacket,
) -> Result<ResponsePacket, TransportError> {
    let body = serde_json::to_vec(packet).map_err(TransportError::ser_err)?;
    let request = client.post(url).header("content-type", "application/json").body(body);
    let mut response = request.send().await.map_err(said)?;
    let mut text = Vec::new();
    while let Some(part) = response.chunk().await.map_err(said)? {
        if text.len() + part.len() > LIMIT_BYTES {
            return Err(TransportErrorKind::custom_str("its answer is longer than 32 MiB"));
        }
        text.extend_from_slice(&part);
    }
    // An error of JSON-RPC may come with any status.
    serde_json::from_slice(&text).map_err(|_| {
        let start: String = String::from_utf8_lossy(&text[..text.len().min(120)]).into_owned();
        TransportErrorKind::custom_str(&format!("its answer ({}) is no JSON-RPC: {start}", response.status()))
    })
}

/// What went wrong with a request, down to the cause, and without its address, which may hold a secret.
fn said(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    TransportErrorKind::custom_str(&text)
}

/// Whether a node answered only that it is too busy.
fn is_busy(answer: &ResponsePacket) -> bool {
    match answer {
        ResponsePacket::Single(one) => one.payload.as_error().is_some_and(ErrorPayload::is_retry_err),
        ResponsePacket::Batch(_) => false,
    }
}

/// An address without what comes after its host: providers put their keys there.
fn shown(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// A node's words, as far as a line holds them, and nothing that moves a terminal's cursor.
pub(super) fn clipped(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Every bit of the result depends on every bit of the number.
fn mix(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_differ_and_repeat_from_their_seed() {
        let patience = |seed| Patience { timeout: Duration::ZERO, pause: Duration::from_millis(100), seed };
        let waits = |seed| {
            let line = Line::over(Vec::new(), patience(seed));
            (1..ROUNDS).map(|round| line.pause(round)).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        for (i, wait) in waits(3).into_iter().enumerate() {
            let full = Duration::from_millis(100) * 2_u32.pow(i as u32);
            assert!(full / 2 <= wait && wait <= full, "{wait:?}");
        }
    }

    #[test]
    fn a_providers_key_is_not_shown() {
        let url = Url::parse("https://user:pass@node.example:8545/v2/secret?key=secret").unwrap();
        assert_eq!(shown(&url), "https://node.example:8545");
        assert_eq!(clipped("a\u{1b}[2Jb"), "a [2Jb");
    }
}
